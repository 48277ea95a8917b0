/* SPDX-License-Identifier: MIT */
/*
 * Semaphores beyond what tests/conformance proves of them: who wakes whom by rings alone, what a
 * storm of kills leaves, threads that share a handle, and words that no call of the library writes.
 */
#include "config.h"

#include "core/semaphore_layout.h"
#include "unit/sleepers.h"

#include <pthread.h>
#include <sys/mman.h>

static struct duoshm *ctx;
static struct duoshm_semaphore *semaphore;

static void begin(unsigned value)
{
	ctx = new_context();
	OK(duoshm_semaphore_create(ctx, harness_name("semaphore"), value, NULL, &semaphore));
}

static void end(void)
{
	EXPECT(duoshm_semaphore_close(semaphore), 0);
	end_context(ctx);
}

/* In a child: with a context of its own, instead of its copy of the parent's. */
static void open_own(void)
{
	(void)duoshm_semaphore_close(semaphore);
	(void)duoshm_free(ctx);
	ctx = new_context();
	OK(duoshm_semaphore_open(ctx, harness_name("semaphore"), 0, 0, &semaphore));
}

/* What a hostile peer may have written is CORRUPT or a value, never a loop. */
static void scribbled_word(void)
{
	static const uint32_t words[] = {0xffffffff, 0x8000, 0xffff, 0x40000, 0x80000001, 0x1ffff};

	begin(0);
	struct duoshm_segment *raw = open_segment(ctx, "semaphore", DUOSHM_ANY_KIND);
	struct duoshm__semaphore *shared = duoshm_segment_data(raw);
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		duoshm__store32(&shared->word, words[i]);
		EXPECT(duoshm_semaphore_post(semaphore, 1), DUOSHM_ERR_CORRUPT);
		EXPECT(duoshm_semaphore_wait(semaphore, MS, 0), DUOSHM_ERR_CORRUPT);
		EXPECT(duoshm_semaphore_value(semaphore), DUOSHM_ERR_CORRUPT);
	}
	end_segment(raw);
	discard(ctx, "semaphore");
	end();
}

/* ---- sleeping ---- */

static int wait_once(void *wanted)
{
	open_own();
	EXPECT(duoshm_semaphore_wait(semaphore, LONG_TIME, 0), *(int *)wanted);
	end();
	return 0;
}

/* What the shared word holds. */
static uint32_t word(void)
{
	struct duoshm_segment *raw = open_segment(ctx, "semaphore", DUOSHM_ANY_KIND);
	struct duoshm__semaphore *shared = duoshm_segment_data(raw);
	uint32_t found = duoshm__load32(&shared->word);

	end_segment(raw);
	return found;
}

/* A post rings once, whatever its count, and a removal, too; the sleepers pass it on. */
static void wake(int sleepers, int wanted)
{
	pid_t pids[8];

	patient_begin();
	begin(0);
	for (int i = 0; i < sleepers; i++)
		pids[i] = harness_fork(wait_once, &wanted);
	for (int i = 0; i < sleepers; i++)
		harness_until_asleep(pids[i]);
	if (wanted == 0)
		EXPECT(duoshm_semaphore_post(semaphore, (unsigned)sleepers), 0);
	else
		discard(ctx, "semaphore");
	for (int i = 0; i < sleepers; i++)
		EXPECT(harness_wait(pids[i]), 0);
	EXPECT(duoshm_semaphore_value(semaphore), wanted);
	if (wanted == 0) {
		EXPECT(duoshm_semaphore_post(semaphore, 1), 0);
		EXPECT(word(),
			1); /* a post takes the mark away: the next one has nobody to ring for */
		discard(ctx, "semaphore");
	}
	end();
	patient_end();
}

static void a_post_wakes(void)
{
	wake(1, 0);
}

static void one_post_wakes_many(void)
{
	wake(8, 0);
}

static void removal_wakes_all(void)
{
	wake(8, DUOSHM_ERR_REMOVED);
}

/* ---- threads ---- */

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

	begin(2);
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
	discard(ctx, "semaphore");
	end();
}

static const struct harness_case cases[] = {
	{"a scribbled word is CORRUPT", scribbled_word},
	{"a post wakes a sleeper", a_post_wakes},
	{"one post wakes many sleepers", one_post_wakes_many},
	{"removal wakes all sleepers", removal_wakes_all},
	{"threads share a handle", threads_share_a_handle},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return harness_run_each(argc, argv, "semaphore", cases);
}
