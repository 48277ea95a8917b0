/* SPDX-License-Identifier: MIT */
/*
 * What many tests begin and end with: contexts, segments, and children that stand still where they
 * are told to. All of it may be used in a case and in its children. A stem is the argument of
 * harness_name().
 */
#ifndef DUOSHM_TESTS_FIXTURE_H
#define DUOSHM_TESTS_FIXTURE_H

#include "duoshm.h"
#include "harness/harness.h"

#define MS     INT64_C(1000000)
#define SECOND INT64_C(1000000000)
/* Long enough for anything that comes, short enough to be told as a failure. */
#define LONG_TIME (20 * SECOND)

/*
 * The context or object is there, or the case is left. Backend and directory may be NULL, as for
 * duoshm_new.
 */
struct duoshm *new_context(void); /* of the backend under test */
struct duoshm *context_of(const char *backend, const char *directory);
/* Asserts that nothing is open. */
void end_context(struct duoshm *ctx);

/* DUOSHM_CREATE_INIT with these. */
struct duoshm_create create_with(unsigned flags, unsigned bells);
/* Creates a segment of no bells and asserts CREATED. */
struct duoshm_segment *make_segment(
	struct duoshm *ctx, const char *stem, size_t size, unsigned flags);
/* Opens it at once. */
struct duoshm_segment *open_segment(struct duoshm *ctx, const char *stem, unsigned flags);
void end_segment(struct duoshm_segment *segment);
/* Removes the object of any kind. */
void discard(struct duoshm *ctx, const char *stem);
struct duoshm_stat stat_of(struct duoshm *ctx, const char *stem);
/* In the registry. */
unsigned count_kind(struct duoshm *ctx, int kind);
/* A client's lane does not fit beside a device in 64 KiB: true, and the case is skipped. */
bool has_no_room_for_lanes(void);

/*
 * A child, and two gates between it and the case; the fields from `stem` on are the case's to use.
 */
struct helper {
	struct harness_gate ready, go;
	pid_t pid;
	const char *stem;
	unsigned flags;
	int64_t number;
	void *more;
};
/* Forks, and returns once the child has opened `ready`. */
void start_helper(struct helper *helper, int (*fn)(void *helper), const char *stem, unsigned flags);
/* In the child: opens `ready`, and waits for `go`. The child's exit status. */
int helper_stays(struct helper *helper);
/* Kills it where it still runs. */
void kill_helper(struct helper *helper);
/* Lets it pass `go`, waits for it, asserts that it ended with 0. */
void finish_helper(struct helper *helper);
/* A helper's function: creates the segment with its flags, 4096 bytes, and stays. */
int create_and_hang(void *helper);
/* The same with an object that exists: opens it. */
int open_and_hang(void *helper);

#endif
