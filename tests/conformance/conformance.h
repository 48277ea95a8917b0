/* SPDX-License-Identifier: MIT */
/*
 * What the files of this suite share. Each file states sentences of the contract (rules C1 to C12)
 * or of duoshm.h, one case each, by public calls only. No case asks which backend it runs on.
 *
 * Each case begins with a context of the backend and ends with the removal of all objects that it
 * has left there. A child has the context of its parent, which is of no use to it: it makes its
 * own.
 */
#ifndef DUOSHM_TESTS_CONFORMANCE_H
#define DUOSHM_TESTS_CONFORMANCE_H

#include "duoshm.h"
#include "harness/fixture.h"

extern struct duoshm *ctx;
extern const struct harness_case object_cases[], right_cases[], inspect_cases[], semaphore_cases[],
	lock_cases[], process_cases[], queue_cases[];

/*
 * The system calls of `work`, in a child where `prepare` ran before, are none; skips where they
 * cannot be counted.
 */
void makes_no_system_call(int (*prepare)(void *arg), int (*work)(void *arg), void *arg);
/* Runs `fn` in `n` children, who all begin when they pass `go`; the sum of what they ended with. */
int run_together(int (*fn)(void *helper), struct helper *helper, int n);

#endif
