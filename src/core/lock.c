/* SPDX-License-Identifier: MIT */
/*
 * Locks that survive their holder: the word says which process (lifeline id) and which handle holds
 * it, and the kernel says whether that process lives. Without contention, acquire and release are
 * one compare-and-swap each.
 *
 * The trap is to mistake the slow for the dead, or a new process for an old one: only a proof by
 * lifeline counts, ids are never used again, and the label (pid and start) can veto a proof but not
 * make one.
 */
#include "config.h"

#include "core/clock.h"
#include "core/failure.h"
#include "core/lock_layout.h"
#include "core/object.h"
#include "core/spin.h"

#include <stdlib.h>
#include <time.h>

#define BELL        0
#define LATE_TURNS  100 /* after the deadline, while the word changes all the time */
#define HANDLES_MAX (1u << DUOSHM__LOCK_HANDLE_BITS)
#define SLEEPERS    DUOSHM__LOCK_SLEEPERS
#define DEAD        DUOSHM__LOCK_DEAD
#define REMOVED     DUOSHM__LOCK_REMOVED
#define OWNER       DUOSHM__LOCK_OWNER

struct duoshm_lock {
	struct duoshm_segment *object;
	struct duoshm__lock *shared;
	uint64_t self; /* what the word holds when this handle holds the lock */
	struct duoshm__process process;
	unsigned handle;
	struct duoshm__spin spin;
};

/* ---- handle numbers: of this process, used again only when closed ---- */

static _Atomic uint64_t taken[HANDLES_MAX / 64];

/* Relaxed: a number orders nothing, it only must not be given out twice. */
static int take_handle(unsigned *out)
{
	for (unsigned i = 0; i < HANDLES_MAX; i++) {
		uint64_t bit = UINT64_C(1) << i % 64;

		if (atomic_load_explicit(&taken[i / 64], memory_order_relaxed) & bit)
			continue;
		if (atomic_fetch_or_explicit(&taken[i / 64], bit, memory_order_relaxed) & bit)
			continue;
		*out = i;
		return 0;
	}
	duoshm__fail(
		DUOSHM_ERR_LIMIT, "this process has %u locks open, which is the most", HANDLES_MAX);
	return duoshm__set_cure("close locks that are not used");
}

static void give_handle(unsigned handle)
{
	atomic_fetch_and_explicit(
		&taken[handle / 64], ~(UINT64_C(1) << handle % 64), memory_order_relaxed);
}

/* ---- life ---- */

static int allocate(struct duoshm_lock **out)
{
	struct duoshm_lock *lock = calloc(1, sizeof *lock);

	if (!lock)
		return duoshm__fail(DUOSHM_ERR_NO_SPACE, "no memory for a handle");
	int result = take_handle(&lock->handle);
	if (result < 0)
		free(lock);
	*out = lock;
	return result;
}

static void discard(struct duoshm_lock *lock)
{
	give_handle(lock->handle);
	free(lock);
}

/* With what became of its object. */
static int finish(struct duoshm_lock *lock, int result, struct duoshm_lock **out)
{
	if (result < 0) {
		discard(lock);
		return result;
	}
	lock->shared = lock->object->payload;
	lock->self = duoshm__object_self(lock->object) << DUOSHM__LOCK_ID_SHIFT |
		     (uint64_t)lock->handle << 3;
	duoshm__process_self(&lock->process);
	duoshm__spin_init(&lock->spin);
	*out = lock;
	return result;
}

int duoshm_lock_create(struct duoshm *ctx, const char *name, const struct duoshm_create *options,
	struct duoshm_lock **out)
{
	const struct duoshm__recipe recipe = {
		.kind = DUOSHM_KIND_LOCK, .size = sizeof(struct duoshm__lock), .bells = 1};
	struct duoshm_lock *made;

	if (!out || (options && (options->flags & DUOSHM_UNPUBLISHED)))
		return duoshm__fail(DUOSHM_ERR_INVALID, "lock_create: no place for the result, or "
							"UNPUBLISHED, which is for segments");
	int result = allocate(&made);
	if (result < 0)
		return result;
	result = duoshm__object_create(ctx, name, &recipe, options, &made->object);
	return finish(made, result, out);
}

int duoshm_lock_open(struct duoshm *ctx, const char *name, unsigned flags, int64_t timeout_ns,
	struct duoshm_lock **out)
{
	struct duoshm_lock *made;

	if (!out || (flags & (DUOSHM_ANY_KIND | DUOSHM_READ_ONLY)))
		return duoshm__fail(DUOSHM_ERR_INVALID,
			"lock_open: flags 0x%x; a lock cannot be held by who may not write it",
			flags);
	int result = allocate(&made);
	if (result < 0)
		return result;
	result = duoshm__object_open(ctx, name, DUOSHM_KIND_LOCK, sizeof(struct duoshm__lock),
		flags, timeout_ns, &made->object);
	return finish(made, result, out);
}

static int check(const struct duoshm_lock *lock)
{
	return lock ? duoshm__object_check(lock->object)
		    : duoshm__fail(DUOSHM_ERR_INVALID, "the lock is NULL");
}

static int fail_removed(const struct duoshm_lock *lock)
{
	return duoshm__fail(
		DUOSHM_ERR_REMOVED, "the lock \"%s\" was removed", lock->object->entry.name);
}

/* ---- the label ---- */

/* For people, who do not mind a few milliseconds: a clock that costs a third. */
static int64_t stamp(void)
{
#ifdef CLOCK_REALTIME_COARSE
	struct timespec now;

	if (clock_gettime(CLOCK_REALTIME_COARSE, &now) == 0)
		return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
#endif
	return duoshm__wall_time();
}

/*
 * By the holder. Release at each field: none is seen before label_of is 0; and label_of last: who
 * reads it (acquire) sees the fields that belong to it. A holder that comes again finds its own
 * label.
 */
static void write_name(struct duoshm_lock *lock)
{
	struct duoshm__lock *shared = lock->shared;

	duoshm__store64(&shared->label_of, 0);
	duoshm__store64_release(&shared->pid, (uint64_t)lock->process.pid);
	duoshm__store64_release(&shared->start, lock->process.start);
	duoshm__store64_release(&shared->boot, lock->process.boot);
	duoshm__store64_release(&shared->label_of, lock->self);
}

static inline void write_label(struct duoshm_lock *lock)
{
	duoshm__store64_release(&lock->shared->since_ns, (uint64_t)stamp());
	if (duoshm__load64(&lock->shared->label_of) != lock->self)
		write_name(lock);
}

bool duoshm__lock_label(
	const struct duoshm__lock *lock, uint64_t word, struct duoshm__lock_label *out)
{
	uint64_t owner = word & OWNER;
	struct duoshm__lock_label found;

	/* Acquire each: label_of is read again only after the fields. */
	if (duoshm__load64_acquire(&lock->label_of) != owner)
		return false;
	found.process.pid = (int64_t)duoshm__load64_acquire(&lock->pid);
	found.process.start = duoshm__load64_acquire(&lock->start);
	found.process.boot = duoshm__load64_acquire(&lock->boot);
	found.since_ns = (int64_t)duoshm__load64_acquire(&lock->since_ns);
	if (duoshm__load64(&lock->label_of) != owner)
		return false;
	*out = found;
	return true;
}

static bool holder_is_dead(const struct duoshm_lock *lock, uint64_t word)
{
	struct duoshm__lock_label label;
	bool labelled = duoshm__lock_label(lock->shared, word, &label);

	return duoshm__object_life(lock->object, (word & OWNER) >> DUOSHM__LOCK_ID_SHIFT,
		       labelled ? &label.process : NULL) == DUOSHM__DEAD;
}

/* ---- acquire ---- */

static int fail_timeout(const struct duoshm_lock *lock, uint64_t word)
{
	struct duoshm__lock_label label;

	if (!duoshm__lock_label(lock->shared, word, &label))
		return duoshm__fail(DUOSHM_ERR_TIMEOUT, "the lock \"%s\" is held by another",
			lock->object->entry.name);
	return duoshm__fail(DUOSHM_ERR_TIMEOUT, "the lock \"%s\" is held by process %lld",
		lock->object->entry.name, (long long)label.process.pid);
}

/* Somebody who lives holds it. 1: sleep; 0: look anew; TIMEOUT. */
static int give_up_or_mark(struct duoshm_lock *lock, uint64_t word, int64_t deadline, bool slept)
{
	bool over = duoshm__remaining(deadline, DUOSHM__SLICE_NS) == 0;

	/* Who gives up after a sleep may have eaten a ring that was meant for another sleeper. */
	if ((!over || slept) && !(word & SLEEPERS) &&
		!duoshm__cas64(&lock->shared->word, &word, word | SLEEPERS))
		return 0;
	return over ? fail_timeout(lock, word) : 1;
}

/* 2: held; 3: held, the last holder died; 1: sleep; 0: look anew; or the error. */
enum { AGAIN = 0, SLEEP = 1, HELD = 2, HELD_AFTER_DEATH = 3 };

static int look(struct duoshm_lock *lock, int64_t deadline, bool slept)
{
	uint64_t word = duoshm__load64_acquire(&lock->shared->word);

	if (word & REMOVED) {
		if (slept) /* chain: the others sleep on the same bell */
			duoshm__object_ring(lock->object, BELL);
		return fail_removed(lock);
	}
	if ((word & OWNER) == lock->self)
		return duoshm__fail(DUOSHM_ERR_DEADLOCK,
			"this handle holds the lock \"%s\" already", lock->object->entry.name);
	bool dead = (word & OWNER) != 0 && holder_is_dead(lock, word);
	if ((word & OWNER) != 0 && !dead)
		return give_up_or_mark(lock, word, deadline, slept);
	uint64_t next = lock->self | (word & (SLEEPERS | DEAD));
	if (slept)
		next |= SLEEPERS;
	if (dead)
		next |= DEAD;
	/* Acquires what the last holder wrote before its release, or before its death. */
	if (!duoshm__cas64(&lock->shared->word, &word, next))
		return AGAIN;
	return next & DEAD ? HELD_AFTER_DEATH : HELD;
}

static bool took(const void *handle)
{
	const struct duoshm_lock *lock = handle;
	uint64_t word = duoshm__load64(&lock->shared->word);

	return word == 0 && duoshm__cas64(&lock->shared->word, &word, lock->self);
}

/* After a sleep: others may sleep on, so it is taken with the mark. */
static bool took_marked(const void *handle)
{
	const struct duoshm_lock *lock = handle;
	uint64_t word = duoshm__load64(&lock->shared->word);

	return word == 0 && duoshm__cas64(&lock->shared->word, &word, lock->self | SLEEPERS);
}

static int acquire_slowly(struct duoshm_lock *lock, int64_t timeout_ns)
{
	int64_t deadline = duoshm__deadline(timeout_ns);
	unsigned late = 0;
	bool slept = false;

	if (timeout_ns > 0 && (duoshm__load64(&lock->shared->word) & OWNER) != lock->self &&
		duoshm__spin(&lock->spin, took, lock, deadline))
		return HELD;
	for (;;) {
		int result = look(lock, deadline, slept);

		/* A hostile process could see to it that the word is never the one looked at. */
		if (result == AGAIN && duoshm__remaining(deadline, 1) == 0 && ++late > LATE_TURNS)
			return fail_timeout(lock, duoshm__load64(&lock->shared->word));
		if (result == AGAIN)
			continue;
		if (result != SLEEP)
			return result;
		result =
			duoshm__object_sleep(lock->object, BELL, deadline, DUOSHM__SLICE_NS, false);
		slept = true;
		if (result == DUOSHM_ERR_REMOVED)
			duoshm__object_ring(lock->object, BELL);
		if (result < 0 && result != DUOSHM_ERR_TIMEOUT)
			return result;
		/* One that is let go and taken all the time is hardly ever free at a single look. */
		if (result == 0 && duoshm__spin(&lock->spin, took_marked, lock, deadline))
			return HELD;
	}
}

int duoshm_lock_acquire(struct duoshm_lock *lock, int64_t timeout_ns)
{
	int result = check(lock);
	uint64_t free_word = 0;

	if (result < 0)
		return result;
	if (timeout_ns < 0)
		return duoshm__fail(
			DUOSHM_ERR_INVALID, "acquire: timeout %lld ns", (long long)timeout_ns);
	/* Acquires what the last holder wrote before its release. */
	if (!duoshm__cas64(&lock->shared->word, &free_word, lock->self))
		result = acquire_slowly(lock, timeout_ns);
	if (result < 0)
		return result;
	write_label(lock);
	return result == HELD_AFTER_DEATH ? DUOSHM_OWNER_DEAD : 0;
}

/* ---- release ---- */

/* R stays; S and D go. */
static int let_go(struct duoshm_lock *lock)
{
	uint64_t word = lock->self; /* as it mostly is */

	do {
		if ((word & OWNER) != lock->self && (word & REMOVED))
			return fail_removed(lock);
		if ((word & OWNER) != lock->self)
			return duoshm__fail(DUOSHM_ERR_NOT_OWNER,
				"this handle does not hold the lock \"%s\"",
				lock->object->entry.name);
		/* Releases what was written under the lock to who acquires it. */
	} while (!duoshm__cas64(&lock->shared->word, &word, word & REMOVED));
	if (word & SLEEPERS)
		duoshm__object_ring(lock->object, BELL);
	return word & REMOVED ? fail_removed(lock) : 0;
}

int duoshm_lock_release(struct duoshm_lock *lock)
{
	int result = check(lock);

	return result < 0 ? result : let_go(lock);
}

int duoshm_lock_set_spin(struct duoshm_lock *lock, int64_t ns)
{
	int result = check(lock);

	return result < 0 ? result : duoshm__spin_set(&lock->spin, ns);
}

int duoshm_lock_close(struct duoshm_lock *lock)
{
	if (!lock)
		return 0;
	if (duoshm__object_check(lock->object) == 0 &&
		(duoshm__load64(&lock->shared->word) & OWNER) == lock->self)
		let_go(lock);
	int result = duoshm__object_close(lock->object);
	discard(lock);
	return result;
}
