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

#define CHILD_EXPECT  EXPECT
#define child_context new_context

#endif
