/* SPDX-License-Identifier: MIT */
/*
 * Adaptive waiting: spin for a bounded time, then sleep on a bell of the segment in slices, each
 * followed by a look at the shared memory and at the peer. Signals do not end a wait.
 *
 * Who makes the condition true pays no fence: it stores, looks at the sleeping flag, and rings when
 * it is set. The one who falls asleep pays (PROTOCOL in wait.c).
 */
#ifndef DUOSHM_QUEUE_WAIT_H
#define DUOSHM_QUEUE_WAIT_H

#include "core/fast.h"
#include "core/object.h"
#include "core/spin.h"
#include "queue/endpoint_layout.h"

/* One side's way of waiting; private to its handle. */
struct duoshm__waiter {
	/* filled in by the caller, then waiter_init is called */
	const struct duoshm__role *peer;
	struct duoshm__word32 *sleeps; /* the flag of those who wait; NULL: no bell, poll */
	/* many sleepers: bell + its parity; NULL: one sleeper, one bell */
	const struct duoshm__word32 *epoch;
	unsigned bell;
	duoshm__ready_fn *ready;
	/* waiting's own */
	struct duoshm_segment *segment;
	const void *arg; /* of `ready` */
	struct duoshm__spin spin;
	unsigned pinned;       /* ours, as in struct duoshm__role */
	int64_t next_check_ns; /* of the peer's life */
	/* The caller's, before each wait: keep away at first. */
	bool away;
};

/* Reads DUOSHM_SPIN_NS. `arg` is for `ready`; without `bells` it polls. */
void duoshm__waiter_init(
	struct duoshm__waiter *waiter, struct duoshm_segment *segment, const void *arg, bool bells);
/*
 * Ready at once, or nearly so? Reading the clock takes a good part of the time that an answer does,
 * so first looks without it.
 */
bool duoshm__glance(struct duoshm__waiter *waiter);
/*
 * 0: ready. TIMEOUT, REMOVED, PEER_DEAD, CORRUPT: and still not ready when that was known. deadline
 * 0: only looks (at the peer, too, but no more often than once a millisecond).
 */
#define DUOSHM__TRY 0
int duoshm__wait(struct duoshm__waiter *waiter, int64_t deadline);
/*
 * Keeps its hands off what the peer works on, for `longest_ns` at most, or until there is `enough`,
 * which is looked at every `step_ns`; NULL: that cannot be told. Not where it may not spin, nor for
 * longer than it would.
 */
void duoshm__keep_away(struct duoshm__waiter *waiter, int64_t deadline, int64_t longest_ns,
	duoshm__ready_fn *enough, int64_t step_ns);
/* DUOSHM__TRY for 0, else as duoshm__deadline. */
int64_t duoshm__wait_deadline(int64_t timeout_ns);

/* May somebody sleep? To be called right after the store that a sleeper waits for. */
static DUOSHM__INLINE bool duoshm__sleepy(const struct duoshm__word32 *sleeps)
{
	/*
	 * The store before this (release) and this load (acquire) may pass each other on some
	 * processors: the sleeper's membarrier, or its short first slice, sees to that. The
	 * compiler must keep them in order.
	 */
	atomic_signal_fence(memory_order_seq_cst);
	return duoshm__load32_acquire(sleeps) != 0;
}
/* Takes the flag away; true: it was ours to take, and to ring for. */
static inline bool duoshm__sleeper(struct duoshm__word32 *sleeps)
{
	return duoshm__exchange32(sleeps, 0) != 0;
}

#endif
