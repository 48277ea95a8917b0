/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the words that processes sleep on share: a patient backend.
 */
#ifndef DUOSHM_TESTS_SLEEPERS_H
#define DUOSHM_TESTS_SLEEPERS_H

#include "harness/fixture.h"

/*
 * Until patient_end, slices last a hundred seconds: who is not woken by a ring now hangs until the
 * harness ends it, instead of finding out by itself a little later.
 */
void patient_begin(void);
void patient_end(void);

/* Zeroed memory that is shared with children. */
void *shared_page(void);

#endif
