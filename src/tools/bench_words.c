/* SPDX-License-Identifier: MIT */
/*
 * What `compare bench` measures of semaphores and locks: without contention, by one process that
 * nobody disturbs; and a lock that many want at once.
 */
#include "config.h"

#include "tools/bench.h"
#include "tools/bench_bare.h"

#include <stdatomic.h>
#include <string.h>

#define BATCH 256 /* between two looks at the clock */
#define TURNS 16  /* the same, where many want a lock */

/* ---- without contention ---- */

/* A pair of calls that cancel each other. */
typedef int pair_fn(void *of);

static int repeat(struct bench_side *side, pair_fn *pair, void *of)
{
	bool goes_on = true;
	int result = 0;

	bench_go(side);
	while (result == 0 && goes_on) {
		int64_t begin = tool_now();
		for (unsigned i = 0; result == 0 && i < BATCH; i++)
			result = pair(of);
		goes_on = bench_record(side, begin, tool_now(), BATCH);
	}
	return result;
}

static int post_and_wait(void *semaphore)
{
	int result = duoshm_semaphore_post(semaphore, 1);

	return result < 0 ? result : duoshm_semaphore_wait(semaphore, 0, 0);
}

static int run_semaphore(struct bench_side *side)
{
	struct duoshm_semaphore *semaphore = NULL;
	int result = duoshm_semaphore_create(side->ctx, side->name, 0, NULL, &semaphore);

	if (result >= 0)
		result = repeat(side, post_and_wait, semaphore);
	if (result < 0)
		result = bench_refused(side, "semaphore", result);
	(void)duoshm_semaphore_close(semaphore);
	(void)duoshm_remove(side->ctx, side->name);
	return result;
}

static int bare_post_and_wait(void *semaphores)
{
	bare_post(semaphores, 0);
	bare_wait(semaphores, 0);
	return 0;
}

static int floor_semaphore(struct bench_side *side)
{
	struct bare_semaphores *semaphores = bare_semaphores_open(side);

	if (semaphores == NULL)
		return TOOL_FAILED;
	int result = repeat(side, bare_post_and_wait, semaphores);
	bare_semaphores_close(semaphores);
	return result;
}

static int acquire_and_release(void *lock)
{
	int result = duoshm_lock_acquire(lock, 0);

	return result < 0 ? result : duoshm_lock_release(lock);
}

static int run_lock(struct bench_side *side)
{
	struct duoshm_lock *lock = NULL;
	int result = duoshm_lock_create(side->ctx, side->name, NULL, &lock);

	if (result >= 0)
		result = repeat(side, acquire_and_release, lock);
	if (result < 0)
		result = bench_refused(side, "lock", result);
	(void)duoshm_lock_close(lock);
	(void)duoshm_remove(side->ctx, side->name);
	return result;
}

/* Two compare-and-swaps of one word: what no lock of two calls can do without. */
static int swap_there_and_back(void *memory)
{
	_Atomic uint64_t *word = memory;
	uint64_t before = 0, held = 1;

	return atomic_compare_exchange_strong(word, &before, 1) &&
			       atomic_compare_exchange_strong(word, &held, 0)
		       ? 0
		       : -1;
}

static int floor_lock(struct bench_side *side)
{
	return repeat(side, swap_there_and_back, side->memory);
}

const struct bench_test bench_semaphore = {.name = "semaphore",
	.title = "post and wait, uncontended",
	.unit = "pair",
	.flags = BENCH_OWN_FLOORS | BENCH_ALONE,
	.sides = 1,
	.run = run_semaphore,
	.floor = floor_semaphore,
	.prepare = bare_semaphores_make,
	.sweep = bare_semaphores_sweep};

const struct bench_test bench_lock = {.name = "lock",
	.title = "acquire and release, uncontended",
	.unit = "pair",
	.flags = BENCH_ALONE,
	.sides = 1,
	.run = run_lock,
	.floor = floor_lock};

/* ---- contention ---- */

/* In the memory of the sides, behind the page that bare semaphores need of it. */
#define CONTENDED_AT 4096u
struct contended {
	uint64_t guarded;           /* by the lock */
	_Atomic uint64_t counted;   /* what it should be */
	_Atomic int64_t longest_ns; /* wait of any side */
	_Atomic unsigned done;      /* sides but side 0 */
};

static struct contended *contended(const struct bench_side *side)
{
	return (void *)((unsigned char *)side->memory + CONTENDED_AT);
}

struct mutex {
	int (*acquire)(void *lock);
	int (*release)(void *lock);
	void *lock;
};

/* TURNS of them, with a look at the clock after each acquisition: *last. */
static int take_turns(
	const struct mutex *mutex, struct contended *c, int64_t *last, int64_t *longest)
{
	int result = 0;

	for (unsigned turn = 0; result >= 0 && turn < TURNS; turn++) {
		result = mutex->acquire(mutex->lock);
		if (result < 0)
			break;
		int64_t now = tool_now();
		c->guarded++;
		*longest = now - *last > *longest ? now - *last : *longest;
		*last = now;
		result = mutex->release(mutex->lock);
	}
	return result;
}

/* Until it is over; side 0's turns are the ones recorded. */
static int contend(struct bench_side *side, const struct mutex *mutex, int64_t *longest)
{
	struct contended *c = contended(side);
	int64_t looks = (int64_t)(bench_clock_cost() * (TURNS - 1));
	uint64_t counted = 0;
	bool goes_on = true;
	int result = 0;

	bench_go(side);
	for (int64_t begin = tool_now(), last = begin; result >= 0 && goes_on; begin = last) {
		if (!bench_is_warm(side, begin))
			*longest = 0;
		result = take_turns(mutex, c, &last, longest);
		counted += TURNS;
		goes_on = side->index == 0 ? bench_record(side, begin, last - looks, TURNS)
					   : !bench_over(side);
	}
	atomic_fetch_add(&c->counted, counted);
	return result;
}

static void tell_longest(struct contended *c, int64_t longest)
{
	int64_t told = atomic_load(&c->longest_ns);

	while (told < longest && !atomic_compare_exchange_weak(&c->longest_ns, &told, longest))
		;
}

/* Side 0, when all are done: nothing was lost, and the longest wait of all is among the times. */
static int conclude(struct bench_side *side)
{
	struct contended *c = contended(side);

	bench_finish(side);
	while (atomic_load(&c->done) < side->sides - 1)
		tool_pause(TOOL_SECOND / 10000);
	if (c->guarded != atomic_load(&c->counted))
		return bench_failed(side, "two held the lock at once");
	bench_add_time(side, atomic_load(&c->longest_ns));
	return 0;
}

static int contention(struct bench_side *side, const struct mutex *mutex)
{
	int64_t longest = 0;
	int result = contend(side, mutex, &longest);

	if (result < 0)
		return bench_refused(side, "lock", result);
	tell_longest(contended(side), longest);
	if (side->index == 0)
		return conclude(side);
	atomic_fetch_add(&contended(side)->done, 1);
	return 0;
}

static int acquire(void *lock)
{
	return duoshm_lock_acquire(lock, BENCH_PATIENCE);
}

static int release(void *lock)
{
	return duoshm_lock_release(lock);
}

static int run_contention(struct bench_side *side)
{
	struct duoshm_lock *lock = NULL;
	int result = side->index == 0
			     ? duoshm_lock_create(side->ctx, side->name, NULL, &lock)
			     : duoshm_lock_open(side->ctx, side->name, 0, BENCH_PATIENCE, &lock);
	const struct mutex mutex = {acquire, release, lock};

	result = result < 0 ? bench_refused(side, "lock", result) : contention(side, &mutex);
	(void)duoshm_lock_close(lock);
	if (side->index == 0)
		(void)duoshm_remove(side->ctx, side->name);
	return result;
}

static int bare_acquire(void *semaphores)
{
	bare_wait(semaphores, 0);
	return 0;
}

static int bare_release(void *semaphores)
{
	bare_post(semaphores, 0);
	return 0;
}

/* A semaphore of one unit. */
static int floor_contention(struct bench_side *side)
{
	struct bare_semaphores *semaphores = bare_semaphores_open(side);
	const struct mutex mutex = {bare_acquire, bare_release, semaphores};

	if (semaphores == NULL)
		return TOOL_FAILED;
	if (side->index == 0)
		bare_post(semaphores, 0);
	int result = contention(side, &mutex);
	bare_semaphores_close(semaphores);
	return result;
}

static const uint64_t adaptive[] = {BENCH_ADAPTIVE, BENCH_END};
static const uint64_t others[] = {1, 3, 7, 15, BENCH_END};

const struct bench_test bench_contention = {.name = "contention",
	.title = "acquire and release, contended, of one side",
	.unit = "acquisition",
	.flags = BENCH_OWN_FLOORS | BENCH_SPREAD,
	.waits = adaptive,
	.clients = others,
	.sides = 1,
	.run = run_contention,
	.floor = floor_contention,
	.prepare = bare_semaphores_make,
	.sweep = bare_semaphores_sweep};
