/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the words that processes sleep on share: a patient backend, and storms of
 * kills.
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

/*
 * Four children run `fn`, which never ends. One after the other is killed, `kills` times in all, at
 * any instruction but not before `progress` grew by 1 to 1000, and replaced; then all are.
 */
void kill_storm(int (*fn)(void *arg), long kills, const _Atomic long *progress);

#endif
