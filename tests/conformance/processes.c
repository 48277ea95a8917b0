/* SPDX-License-Identifier: MIT */
/* C2 what becomes of a creator, C11 fork, C12 other machines and versions. */
#include "config.h"

#include "conformance/conformance.h"

static void c2_dead_creator(void)
{
	struct duoshm_segment *segment = NULL;
	struct helper helper;

	for (int i = 0; i < 2; i++) {
		struct duoshm_create options = create_with(i == 0 ? 0 : DUOSHM_OPEN_OR_CREATE, 0);
		start_helper(&helper, create_and_hang, "died", DUOSHM_UNPUBLISHED);
		kill_helper(&helper);
		EXPECT(duoshm_segment_open(ctx, harness_name("died"), 0, 0, &segment),
			DUOSHM_ERR_NOT_FOUND);
		EXPECT_FATAL(
			duoshm_segment_create(ctx, harness_name("died"), 64, &options, &segment),
			DUOSHM_REPLACED);
		end_segment(segment);
		discard(ctx, "died");
	}
}

static int create_and_publish(void *argument)
{
	struct helper *helper = argument;
	ctx = new_context();
	struct duoshm_segment *segment = make_segment(ctx, "slow", 64, DUOSHM_UNPUBLISHED);

	EXPECT(helper_stays(helper), 0);
	strcpy(duoshm_segment_data(segment), "mine after all");
	EXPECT(duoshm_segment_publish(segment), 0);
	EXPECT(helper_stays(helper), 0);
	end_segment(segment);
	return duoshm_free(ctx);
}

static void c2_stopped_creator(void)
{
	const char *name = harness_name("slow");
	struct duoshm_create options = create_with(0, 0);
	struct duoshm_segment *segment = NULL;
	struct helper helper;
	char pid[24];

	start_helper(&helper, create_and_publish, "slow", 0);
	snprintf(pid, sizeof(pid), "%ld", (long)helper.pid);
	harness_stop(helper.pid);
	EXPECT(duoshm_segment_open(ctx, name, 0, SECOND / 10, &segment), DUOSHM_ERR_TIMEOUT);
	options.timeout_ns = SECOND / 10;
	EXPECT(duoshm_segment_create(ctx, name, 64, &options, &segment), DUOSHM_ERR_BUSY);
	EXPECT_PART(duoshm_failure()->cause, pid);
	EXPECT(duoshm_remove(ctx, name), DUOSHM_ERR_BUSY);
	options.flags = DUOSHM_OPEN_OR_CREATE;
	EXPECT(duoshm_segment_create(ctx, name, 64, &options, &segment), DUOSHM_ERR_BUSY);
	EXPECT(duoshm_reclaim(ctx, 0, NULL, NULL), 0);
	harness_continue(helper.pid);
	harness_gate_open(&helper.go);
	CHECK(harness_gate_pass(&helper.ready));
	segment = open_segment(ctx, "slow", 0);
	EXPECT_TEXT(duoshm_segment_data(segment), "mine after all");
	finish_helper(&helper);
	end_segment(segment);
}

enum { RACERS = 6, CREATED = 100 };

/* Everybody at once: one creates, the others open, and all see the same object. */
static int join_in(void *argument)
{
	struct helper *helper = argument;
	ctx = new_context();
	struct duoshm_create options = create_with(DUOSHM_OPEN_OR_CREATE | DUOSHM_PERSISTENT, 0);
	struct duoshm_segment *segment;

	options.timeout_ns = LONG_TIME;
	CHECK(harness_gate_pass(&helper->go));
	int result = duoshm_segment_create(ctx, harness_name("race"), 64, &options, &segment);
	EXPECT(result, result == DUOSHM_CREATED ? result : DUOSHM_OPENED);
	__atomic_fetch_add((int *)duoshm_segment_data(segment), 1, __ATOMIC_RELAXED);
	end_segment(segment);
	end_context(ctx);
	return result == DUOSHM_CREATED ? CREATED : 0;
}

static void c2_race(void)
{
	struct helper helper = {.number = 0};

	for (long round = harness_scale(3, 20, 500); round > 0; round--) {
		EXPECT(run_together(join_in, &helper, RACERS), CREATED);
		struct duoshm_segment *segment = open_segment(ctx, "race", 0);
		EXPECT(*(int *)duoshm_segment_data(segment), RACERS);
		end_segment(segment);
		discard(ctx, "race");
	}
}

/* ---- C11 ------------------------------------------------------------------------------------ */

/* What a case has made when it forks. */
static struct duoshm_segment *segment, *half;
static struct duoshm_semaphore *semaphore;
static struct duoshm_lock *lock;
static struct duoshm_queue *queue;
static struct duoshm_broadcast *broadcast;

static int use_inherited(void *argument)
{
	struct duoshm_stat stat = DUOSHM_STAT_INIT;
	const char *name = harness_name("segment");
	struct duoshm_segment *seen;
	char byte = 0;

	(void)argument;
	EXPECT(duoshm_segment_publish(segment), DUOSHM_ERR_FORKED);
	EXPECT(duoshm_segment_remove(segment), DUOSHM_ERR_FORKED);
	EXPECT(duoshm_segment_ring(segment, 0), DUOSHM_ERR_FORKED);
	EXPECT(duoshm_segment_sleep(segment, 0, 0), DUOSHM_ERR_FORKED);
	EXPECT(duoshm_segment_owner_alive(segment), DUOSHM_ERR_FORKED);
	CHECK(duoshm_segment_data(segment) == NULL);
	EXPECT(duoshm_semaphore_wait(semaphore, 0, 0), DUOSHM_ERR_FORKED);
	EXPECT(duoshm_semaphore_post(semaphore, 1), DUOSHM_ERR_FORKED);
	EXPECT(duoshm_semaphore_value(semaphore), DUOSHM_ERR_FORKED);
	EXPECT(duoshm_lock_acquire(lock, 0), DUOSHM_ERR_FORKED);
	EXPECT(duoshm_lock_release(lock), DUOSHM_ERR_FORKED);
	EXPECT(duoshm_queue_send(queue, &byte, 1, 0), DUOSHM_ERR_FORKED);
	EXPECT(duoshm_queue_finish(queue), DUOSHM_ERR_FORKED);
	EXPECT(duoshm_queue_receive(queue, &byte, 1, 0), DUOSHM_ERR_FORKED);
	EXPECT(duoshm_broadcast_next(broadcast, &byte, 1, NULL, 0), DUOSHM_ERR_FORKED);
	EXPECT(duoshm_broadcast_publish(broadcast, &byte, 1), DUOSHM_ERR_FORKED);
	EXPECT(duoshm_segment_create(ctx, harness_name("child"), 64, NULL, &seen),
		DUOSHM_ERR_FORKED);
	EXPECT(duoshm_segment_open(ctx, name, 0, 0, &seen), DUOSHM_ERR_FORKED);
	EXPECT(duoshm_stat(ctx, name, &stat), DUOSHM_ERR_FORKED);
	EXPECT(duoshm_remove(ctx, name), DUOSHM_ERR_FORKED);
	EXPECT(duoshm_reclaim(ctx, 0, NULL, NULL), DUOSHM_ERR_FORKED);
	/* With a context of its own it is a process like any other. */
	ctx = new_context();
	seen = open_segment(ctx, "segment", 0);
	EXPECT(stat_of(ctx, "segment").attached, 2);
	EXPECT(stat_of(ctx, "segment").state, DUOSHM_LIVE);
	end_segment(seen);
	end_context(ctx);
	return 0;
}

/* Frees the child's memory. */
static int close_inherited(void *argument)
{
	(void)argument;
	EXPECT(duoshm_lock_close(lock), DUOSHM_ERR_FORKED);
	EXPECT(duoshm_semaphore_close(semaphore), DUOSHM_ERR_FORKED);
	EXPECT(duoshm_queue_close(queue), DUOSHM_ERR_FORKED);
	EXPECT(duoshm_broadcast_close(broadcast), DUOSHM_ERR_FORKED);
	EXPECT(duoshm_segment_close(segment), DUOSHM_ERR_FORKED);
	EXPECT(duoshm_segment_close(half), DUOSHM_ERR_FORKED);
	EXPECT(duoshm_free(ctx), DUOSHM_ERR_FORKED);
	return 0;
}

static void make_all(void)
{
	struct duoshm_create options = create_with(0, 1);

	half = make_segment(ctx, "half", 64, DUOSHM_UNPUBLISHED);
	OK(duoshm_segment_create(ctx, harness_name("segment"), 64, &options, &segment));
	OK(duoshm_semaphore_create(ctx, harness_name("semaphore"), 1, NULL, &semaphore));
	OK(duoshm_lock_create(ctx, harness_name("lock"), NULL, &lock));
	OK(duoshm_queue_create(ctx, harness_name("queue"), 256, DUOSHM_PRODUCER, NULL, &queue));
	OK(duoshm_broadcast_create(ctx, harness_name("broadcast"), 256, NULL, &broadcast));
	EXPECT(duoshm_lock_acquire(lock, 0), 0);
}

static void close_all(void)
{
	EXPECT(duoshm_lock_close(lock), 0);
	EXPECT(duoshm_semaphore_close(semaphore), 0);
	EXPECT(duoshm_queue_close(queue), 0);
	EXPECT(duoshm_broadcast_close(broadcast), 0);
	end_segment(segment);
	end_segment(half);
}

static void c11_fork(void)
{
	struct duoshm_segment *early;
	struct duoshm_queue *consumer;
	struct duoshm_lock *other;
	char byte;

	make_all();
	EXPECT(harness_wait(harness_fork(use_inherited, NULL)), 0);
	EXPECT(harness_wait(harness_fork(close_inherited, NULL)), 0);
	OK(duoshm_lock_open(ctx, harness_name("lock"), 0, 0, &other));
	EXPECT(duoshm_lock_acquire(other, 0), DUOSHM_ERR_TIMEOUT);
	EXPECT(duoshm_lock_close(other), 0);
	EXPECT(stat_of(ctx, "lock").holder_pid, getpid());
	EXPECT(stat_of(ctx, "segment").state, DUOSHM_LIVE);
	EXPECT(stat_of(ctx, "segment").attached, 1);
	EXPECT(duoshm_segment_open(ctx, harness_name("half"), 0, 0, &early), DUOSHM_ERR_TIMEOUT);
	EXPECT(duoshm_remove(ctx, harness_name("half")), DUOSHM_ERR_BUSY);
	EXPECT(duoshm_segment_publish(half), 0);
	end_segment(open_segment(ctx, "half", 0));
	EXPECT(duoshm_semaphore_value(semaphore), 1);
	EXPECT(duoshm_queue_open(ctx, harness_name("queue"), DUOSHM_PRODUCER, 0, &consumer),
		DUOSHM_ERR_BUSY);
	OK(duoshm_queue_open(ctx, harness_name("queue"), DUOSHM_CONSUMER, 0, &consumer));
	EXPECT(duoshm_queue_receive(consumer, &byte, 1, 0), DUOSHM_ERR_TIMEOUT);
	EXPECT(duoshm_queue_close(consumer), 0);
	EXPECT(duoshm_queue_send(queue, "x", 1, 0), 0);
	close_all();
}

/* ---- C12 ------------------------------------------------------------------------------------ */

/* A word of the object's first 16 bytes, reached as a stranger would: layout and byte order. */
static void exchange_word(const char *stem, size_t at, uint32_t mask)
{
	struct duoshm_stat stat = stat_of(ctx, stem);
	struct duoshm_segment *raw = NULL;
	char native[128];
	uint32_t word;

	snprintf(native, sizeof(native), "%s:%s", stat.backend, stat.native);
	OK(duoshm_segment_adopt(ctx, native, 0, &raw));
	CHECK_FATAL(duoshm_segment_size(raw) >= stat.size);
	memcpy(&word, (char *)duoshm_segment_data(raw) + at, sizeof(word));
	word ^= mask;
	memcpy((char *)duoshm_segment_data(raw) + at, &word, sizeof(word));
	end_segment(raw);
}

static void c12_incompatible(void)
{
	static const struct {
		size_t at;
		uint32_t mask;
	} table[] = {{8, 0x100}, {12, 0x01020304 ^ 0x04030201}};
	struct duoshm_segment *seen;

	end_segment(make_segment(ctx, "version", 64, 0));
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		exchange_word("version", table[i].at, table[i].mask);
		EXPECT(duoshm_segment_open(ctx, harness_name("version"), 0, 0, &seen),
			DUOSHM_ERR_INCOMPATIBLE);
		exchange_word("version", table[i].at, table[i].mask);
	}
	end_segment(open_segment(ctx, "version", 0));
}

const struct harness_case process_cases[] = {
	{"C2 the remains of a creator that died before publishing are replaced", c2_dead_creator},
	{"C2 a stopped creator is never taken over", c2_stopped_creator},
	{"C2 of many that open or create, one creates", c2_race},
	{"C11 a parent's handle in a child is an error, and the parent's objects stay", c11_fork},
	{"C12 another byte order or layout is INCOMPATIBLE", c12_incompatible},
	{NULL, NULL},
};
