/* SPDX-License-Identifier: MIT */
/*
 * What the files of this suite share. Each file states sentences of the contract (rules C1 to C12) or of
 * duoshm.h, one case each, by public calls only. No case asks which backend it runs on.
 */
#ifndef DUOSHM_TESTS_CONFORMANCE_H
#define DUOSHM_TESTS_CONFORMANCE_H

#include "duoshm.h"
#include "harness/harness.h"

#define SECOND INT64_C(1000000000)
/* Long enough for anything that comes, short enough to be told as a failure. */
#define LONG_TIME (20 * SECOND)

extern const struct harness_case object_cases[], right_cases[], inspect_cases[], semaphore_cases[],
	lock_cases[], process_cases[], queue_cases[];

/* A call must give a result; else it tells which it gave and the cause. */
#define EXPECT(call, want) CU_ASSERT(expect((long long)(call), want, #call, __FILE__, __LINE__))
#define EXPECT_FATAL(call, want)                                                                   \
	CU_ASSERT_FATAL(expect((long long)(call), want, #call, __FILE__, __LINE__))
/* The same in a child. */
#define CHILD_EXPECT(call, want)                                                                   \
	HARNESS_CHILD(expect((long long)(call), want, #call, __FILE__, __LINE__))
bool expect(long long got, long long want, const char *call, const char *file, int line);

/* A context of the backend under test; end_context asserts that nothing is open. */
struct duoshm *new_context(void);
void end_context(struct duoshm *ctx);
/* In a child. */
struct duoshm *child_context(void);
/* Creates a segment under harness_name(stem) and asserts CREATED. */
struct duoshm_segment *make_segment(
	struct duoshm *ctx, const char *stem, size_t size, unsigned flags);
/* Opens it at once and asserts success. */
struct duoshm_segment *open_segment(struct duoshm *ctx, const char *stem, unsigned flags);
void end_segment(struct duoshm_segment *segment);
/* Removes harness_name(stem) and asserts success. */
void discard(struct duoshm *ctx, const char *stem);
/* stat of harness_name(stem), asserted. */
struct duoshm_stat stat_of(struct duoshm *ctx, const char *stem);
/* Forks, and returns once the child has opened gate 0. Gate 1 is the child's to wait at. */
struct helper {
	struct harness_gate ready, go;
	pid_t pid;
	const char *stem;
	unsigned flags;
	int64_t number;
};
void start_helper(struct helper *helper, int (*fn)(void *helper), const char *stem, unsigned flags);
/* Kills it where it still runs. */
void kill_helper(struct helper *helper);
/* Lets it pass, waits for it, asserts that it ended with 0. */
void finish_helper(struct helper *helper);
/* A helper's function: creates harness_name(stem) with its flags, 4096 bytes, and waits for a kill. */
int create_and_hang(void *helper);
/* The same with an object that exists: opens it. */
int open_and_hang(void *helper);

#endif
