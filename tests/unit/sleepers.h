/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the words that processes sleep on share: a patient backend.
 */
#ifndef DUOSHM_TESTS_SLEEPERS_H
#define DUOSHM_TESTS_SLEEPERS_H

#include "harness/fixture.h"

/*
 * Until patient_end, a slice lasts 15 seconds, and who sleeps through it has failed: nobody rang
 * for it. Else it would find out by itself a little later.
 */
void patient_begin(void);
void patient_end(void);

#endif
