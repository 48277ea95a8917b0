/* SPDX-License-Identifier: MIT */
/*
 * What the files of this suite share. Each file states sentences of the contract (rules C1 to C12) or of
 * duoshm.h, one case each, by public calls only. No case asks which backend it runs on.
 */
#ifndef DUOSHM_TESTS_CONFORMANCE_H
#define DUOSHM_TESTS_CONFORMANCE_H

#include "duoshm.h"
#include "harness/fixture.h"

extern const struct harness_case object_cases[], right_cases[], inspect_cases[], semaphore_cases[],
	lock_cases[], process_cases[], queue_cases[];

/* The system calls of `work`, in a child where `prepare` ran before, are none; skips where they cannot be counted. */
void makes_no_system_call(int (*prepare)(void *arg), int (*work)(void *arg), void *arg);
/* Runs `fn` in `n` children, who all begin when they pass `go`; the sum of what they ended with. */
int run_together(int (*fn)(void *helper), struct helper *helper, int n);

#endif
