/* SPDX-License-Identifier: MIT */
/*
 * Semaphores and locks beyond what tests/conformance proves of them: who wakes whom by rings alone,
 * threads that share a handle, numbers of handles, and words that no call of the library writes.
 */
#include "config.h"

#include "core/lock_layout.h"
#include "core/semaphore_layout.h"
#include "core/spin.h"
#include "unit/sleepers.h"

#include <pthread.h>

#define HANDLES 1024

static struct duoshm *ctx;
static struct duoshm_semaphore *semaphore;
static struct duoshm_lock *lock;
static struct duoshm_segment *raw; /* of one of them; NULL: not opened */

static void begin(void)
{
	ctx = new_context();
	OK(duoshm_semaphore_create(ctx, harness_name("semaphore"), 0, NULL, &semaphore));
	OK(duoshm_lock_create(ctx, harness_name("lock"), NULL, &lock));
}

static void close_own(void)
{
	EXPECT(duoshm_semaphore_close(semaphore), 0);
	EXPECT(duoshm_lock_close(lock), 0);
	end_context(ctx);
}

static void end(void)
{
	end_segment(raw);
	raw = NULL;
	(void)duoshm_remove(ctx, harness_name("semaphore")); /* a case may have done it */
	(void)duoshm_remove(ctx, harness_name("lock"));
	close_own();
}

static struct duoshm_lock *open_lock(void)
{
	struct duoshm_lock *opened = NULL;

	OK(duoshm_lock_open(ctx, harness_name("lock"), 0, 0, &opened));
	return opened;
}

/* In a child: with a context of its own, instead of its copy of the parent's. */
static void open_own(void)
{
	(void)duoshm_semaphore_close(semaphore);
	(void)duoshm_lock_close(lock);
	(void)duoshm_free(ctx);
	ctx = new_context();
	OK(duoshm_semaphore_open(ctx, harness_name("semaphore"), 0, 0, &semaphore));
	lock = open_lock();
}

/* What all processes see of it. */
static void *memory_of(const char *stem)
{
	raw = open_segment(ctx, stem, DUOSHM_ANY_KIND);
	return duoshm_segment_data(raw);
}

/* ---- sleeping ---- */

static int wait_once(void *wanted)
{
	open_own();
	EXPECT(duoshm_semaphore_wait(semaphore, LONG_TIME, 0), *(int *)wanted);
	close_own();
	return 0;
}

static int pass_through(void *wanted)
{
	open_own();
	EXPECT(duoshm_lock_acquire(lock, LONG_TIME), *(int *)wanted);
	if (*(int *)wanted == 0)
		EXPECT(duoshm_lock_release(lock), 0);
	close_own();
	return 0;
}

enum { SLEEPERS = 8 };

static void post_for_all(void)
{
	EXPECT(duoshm_semaphore_post(semaphore, SLEEPERS), 0);
}

static void release(void)
{
	EXPECT(duoshm_lock_release(lock), 0);
}

static void remove_semaphore(void)
{
	discard(ctx, "semaphore");
}

static void remove_lock(void)
{
	discard(ctx, "lock");
}

/* `wake` rings once; the sleepers pass it on. */
static void wake_all(int (*sleeper)(void *wanted), void (*wake)(void), int wanted)
{
	pid_t pids[SLEEPERS];

	patient_begin();
	for (int i = 0; i < SLEEPERS; i++)
		pids[i] = harness_fork(sleeper, &wanted);
	for (int i = 0; i < SLEEPERS; i++)
		harness_until_asleep(pids[i]);
	wake();
	for (int i = 0; i < SLEEPERS; i++)
		EXPECT(harness_wait(pids[i]), 0);
	patient_end();
}

/* A mark that stayed would make the next post ring for nobody. */
static void one_post_wakes_many(void)
{
	wake_all(wait_once, post_for_all, 0);
	EXPECT(duoshm_semaphore_value(semaphore), 0);
	EXPECT(duoshm_semaphore_post(semaphore, 1), 0);
	struct duoshm__semaphore *shared = memory_of("semaphore");
	EXPECT(duoshm__load32(&shared->word), 1);
}

static void removal_wakes_who_waits(void)
{
	wake_all(wait_once, remove_semaphore, DUOSHM_ERR_REMOVED);
	EXPECT(duoshm_semaphore_value(semaphore), DUOSHM_ERR_REMOVED);
}

static void a_release_wakes_one_after_the_other(void)
{
	EXPECT(duoshm_lock_acquire(lock, 0), 0);
	wake_all(pass_through, release, 0);
	struct duoshm__lock *shared = memory_of("lock");
	EXPECT(duoshm__load64(&shared->word), 0); /* and no mark is left */
}

static void removal_wakes_who_acquires(void)
{
	EXPECT(duoshm_lock_acquire(lock, 0), 0);
	wake_all(pass_through, remove_lock, DUOSHM_ERR_REMOVED);
}

/* ---- handles ---- */

enum { THREADS = 4, ROUNDS = 3000 };
static _Atomic long inside, most, crossings;

static void *cross(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		if (duoshm_semaphore_wait(semaphore, LONG_TIME, 0) != 0)
			return arg;
		long now = ++inside;
		if (now > most)
			most = now;
		crossings++;
		inside--;
		if (duoshm_semaphore_post(semaphore, 1) != 0)
			return arg;
	}
	return NULL;
}

static void threads_share_a_handle(void)
{
	pthread_t threads[THREADS];
	void *failed;

	EXPECT(duoshm_semaphore_post(semaphore, 2), 0);
	inside = most = crossings = 0;
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, cross, ctx);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &failed);
		CHECK(failed == NULL);
	}
	EXPECT(crossings, THREADS * ROUNDS);
	CHECK(most <= 2);
	EXPECT(duoshm_semaphore_value(semaphore), 2);
}

/*
 * The handle's number is part of the word: no more than there are numbers, and each is given out
 * again.
 */
static void handles_of_a_lock_are_numbered(void)
{
	static struct duoshm_lock *many[HANDLES];
	int n = 0;

	while (n < HANDLES && duoshm_lock_open(ctx, harness_name("lock"), 0, 0, &many[n]) == 0)
		n++;
	EXPECT(duoshm_failure()->code, DUOSHM_ERR_LIMIT);
	if (duoshm_failure()->system_error != 0) {
		harness_skip("the system does not let a process attach that often");
	} else {
		EXPECT(n, HANDLES - 1);
		EXPECT(duoshm_lock_close(many[500]), 0);
		many[500] = open_lock();
		EXPECT(duoshm_lock_acquire(many[500], 0), 0);
		EXPECT(duoshm_lock_acquire(many[499], 0), DUOSHM_ERR_TIMEOUT);
		EXPECT(duoshm_lock_acquire(many[1012], 0), DUOSHM_ERR_TIMEOUT);
	}
	while (n-- > 0)
		EXPECT(duoshm_lock_close(many[n]), 0);
}

/* ---- hostile words ---- */

/* What a hostile peer may have written is CORRUPT or a value, never a loop. */
static void a_scribbled_semaphore_is_corrupt(void)
{
	static const uint32_t words[] = {0xffffffff, 0x8000, 0xffff, 0x40000, 0x80000001, 0x1ffff};
	struct duoshm__semaphore *shared = memory_of("semaphore");

	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		duoshm__store32(&shared->word, words[i]);
		EXPECT(duoshm_semaphore_post(semaphore, 1), DUOSHM_ERR_CORRUPT);
		EXPECT(duoshm_semaphore_wait(semaphore, MS, 0), DUOSHM_ERR_CORRUPT);
		EXPECT(duoshm_semaphore_value(semaphore), DUOSHM_ERR_CORRUPT);
	}
}

/* A word that nobody of ours wrote names somebody who does not exist: taken over, never a loop. */
static void a_scribbled_lock_is_taken_over(void)
{
	static const uint64_t words[] = {UINT64_MAX & ~DUOSHM__LOCK_REMOVED, 0x123456789abcdef8,
		DUOSHM__LOCK_DEAD, 8, DUOSHM__LOCK_SLEEPERS};
	struct duoshm__lock *shared = memory_of("lock");

	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		duoshm__store64(&shared->word, words[i]);
		CHECK(duoshm_lock_acquire(lock, LONG_TIME) >= 0);
		EXPECT(duoshm_lock_release(lock), 0);
	}
}

/* The label of who runs vetoes a death that its lifeline seems to prove. */
static void a_label_can_veto(void)
{
	uint64_t stranger = UINT64_C(0x123456789abcd) << DUOSHM__LOCK_ID_SHIFT;
	struct duoshm__lock *shared = memory_of("lock");

	EXPECT(duoshm_lock_acquire(lock, 0), 0); /* writes a label of this process */
	duoshm__store64(&shared->word, stranger);
	duoshm__store64(&shared->label_of, stranger);
	EXPECT(duoshm_lock_acquire(lock, 0), DUOSHM_ERR_TIMEOUT);
	duoshm__store64(&shared->label_of, 0);
	EXPECT(duoshm_lock_acquire(lock, 0), DUOSHM_OWNER_DEAD);
}

/* The next spin's, after one that helped or not. */
static int64_t learnt(struct duoshm__spin *spin, bool helped)
{
	duoshm__spin_learn(spin, helped);
	return atomic_load(&spin->ns);
}

static void spinning_is_bounded(void)
{
	struct duoshm__spin spin;

	OK(setenv("DUOSHM_SPIN_NS", "10000", 1));
	duoshm__spin_init(&spin);
	EXPECT(learnt(&spin, true), 10000);
	EXPECT(learnt(&spin, false), 5000);
	EXPECT(learnt(&spin, false), 3000);
	EXPECT(learnt(&spin, false), 3000);
	EXPECT(learnt(&spin, true), 6000);
	EXPECT(learnt(&spin, true), 10000);
	OK(setenv("DUOSHM_SPIN_NS", "0", 1));
	duoshm__spin_init(&spin);
	EXPECT(learnt(&spin, true), 0);
	EXPECT(learnt(&spin, false), 0);
	OK(unsetenv("DUOSHM_SPIN_NS"));
}

static const struct harness_case cases[] = {
	{"semaphores: one post wakes many", one_post_wakes_many},
	{"semaphores: removal wakes all", removal_wakes_who_waits},
	{"locks: a release wakes one after the other", a_release_wakes_one_after_the_other},
	{"locks: removal wakes all", removal_wakes_who_acquires},
	{"semaphores: threads share a handle", threads_share_a_handle},
	{"locks: handles are numbered", handles_of_a_lock_are_numbered},
	{"semaphores: a scribbled word is CORRUPT", a_scribbled_semaphore_is_corrupt},
	{"locks: a scribbled word is taken over", a_scribbled_lock_is_taken_over},
	{"locks: the label can veto", a_label_can_veto},
	{"spinning is bounded", spinning_is_bounded},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	harness_around(begin, end);
	return harness_run_each(argc, argv, "words", cases);
}
