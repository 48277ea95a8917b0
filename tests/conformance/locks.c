/* SPDX-License-Identifier: MIT */
/* C9: locks. */
#include "config.h"

#include "conformance/conformance.h"

static struct duoshm_lock *make(struct duoshm *ctx, const char *stem)
{
	struct duoshm_lock *lock = NULL;

	EXPECT_FATAL(duoshm_lock_create(ctx, harness_name(stem), NULL, &lock), DUOSHM_CREATED);
	return lock;
}

static void end(struct duoshm *ctx, struct duoshm_lock *lock, const char *stem)
{
	EXPECT(duoshm_lock_close(lock), 0);
	if (stem != NULL)
		discard(ctx, stem);
	end_context(ctx);
}

static struct duoshm_lock *child_lock(const char *stem)
{
	struct duoshm_lock *lock;

	CHILD_EXPECT(duoshm_lock_open(child_context(), harness_name(stem), 0, 0, &lock), 0);
	return lock;
}

/* Acquires, expecting `number`, and hangs. */
static int hold(void *argument)
{
	struct helper *helper = argument;
	struct duoshm_lock *lock = child_lock(helper->stem);

	CHILD_EXPECT(duoshm_lock_acquire(lock, LONG_TIME), helper->number);
	harness_gate_open(&helper->ready);
	CHILD_EXPECT(harness_gate_pass(&helper->go), true);
	return duoshm_lock_release(lock);
}

static void c9_one_holder(void)
{
	struct duoshm *ctx = new_context();
	struct duoshm_lock *lock = make(ctx, "held"), *second;
	struct helper helper = {.number = 0};

	EXPECT(duoshm_lock_acquire(lock, 0), 0);
	EXPECT(duoshm_lock_acquire(lock, 0), DUOSHM_ERR_DEADLOCK);
	EXPECT_FATAL(duoshm_lock_open(ctx, harness_name("held"), 0, 0, &second), 0);
	EXPECT(duoshm_lock_acquire(second, 0), DUOSHM_ERR_TIMEOUT);
	EXPECT(duoshm_lock_release(second), DUOSHM_ERR_NOT_OWNER);
	CU_ASSERT_EQUAL(stat_of(ctx, "held").holder_pid, getpid());
	CU_ASSERT(stat_of(ctx, "held").held_since_ns > 0);
	EXPECT(duoshm_lock_release(lock), 0);
	EXPECT(duoshm_lock_release(lock), DUOSHM_ERR_NOT_OWNER);
	CU_ASSERT_EQUAL(stat_of(ctx, "held").holder_pid, 0);
	start_helper(&helper, hold, "held", 0);
	CU_ASSERT_EQUAL(stat_of(ctx, "held").holder_pid, helper.pid);
	EXPECT(duoshm_lock_acquire(second, SECOND / 50), DUOSHM_ERR_TIMEOUT);
	finish_helper(&helper);
	EXPECT(duoshm_lock_acquire(second, 0), 0);
	EXPECT(duoshm_lock_close(second), 0); /* releases it first */
	EXPECT(duoshm_lock_acquire(lock, 0), 0);
	end(ctx, lock, "held");
}

static void c9_owner_dead(void)
{
	struct duoshm *ctx = new_context();
	struct duoshm_lock *lock = make(ctx, "dead");
	struct helper helper = {.number = 0};

	start_helper(&helper, hold, "dead", 0);
	kill_helper(&helper);
	helper.number = DUOSHM_OWNER_DEAD;
	start_helper(&helper, hold, "dead", 0);
	kill_helper(&helper); /* before it said that the data are in order */
	EXPECT(duoshm_lock_acquire(lock, LONG_TIME), DUOSHM_OWNER_DEAD);
	EXPECT(duoshm_lock_acquire(lock, 0), DUOSHM_ERR_DEADLOCK);
	EXPECT(duoshm_lock_release(lock), 0);
	EXPECT(duoshm_lock_acquire(lock, 0), 0);
	end(ctx, lock, "dead");
}

static int wait_for_dead(void *argument)
{
	struct helper *helper = argument;
	struct duoshm_lock *lock = child_lock(helper->stem);

	harness_gate_open(&helper->ready);
	return duoshm_lock_acquire(lock, DUOSHM_FOREVER) == (int)helper->number ? 0 : 1;
}

static void c9_waiter_learns_of_death(void)
{
	struct duoshm *ctx = new_context();
	struct duoshm_lock *lock = make(ctx, "waited");
	struct helper holder = {.number = 0}, waiter = {.number = DUOSHM_OWNER_DEAD};

	start_helper(&holder, hold, "waited", 0);
	start_helper(&waiter, wait_for_dead, "waited", 0);
	harness_until_asleep(waiter.pid);
	kill_helper(&holder);
	finish_helper(&waiter);
	end(ctx, lock, "waited");
}

static void c9_slow_is_not_dead(void)
{
	struct duoshm *ctx = new_context();
	struct duoshm_lock *lock = make(ctx, "slow");
	struct helper holder = {.number = 0};

	start_helper(&holder, hold, "slow", 0);
	harness_stop(holder.pid);
	EXPECT(duoshm_lock_acquire(lock, SECOND / 2), DUOSHM_ERR_TIMEOUT);
	harness_continue(holder.pid);
	finish_helper(&holder);
	EXPECT(duoshm_lock_acquire(lock, LONG_TIME), 0);
	end(ctx, lock, "slow");
}

static void c9_removal(void)
{
	struct duoshm *ctx = new_context();
	struct duoshm_lock *lock = make(ctx, "removed");
	struct helper waiter = {.number = DUOSHM_ERR_REMOVED};

	EXPECT(duoshm_lock_acquire(lock, 0), 0);
	start_helper(&waiter, wait_for_dead, "removed", 0);
	harness_until_asleep(waiter.pid);
	discard(ctx, "removed");
	finish_helper(&waiter);
	EXPECT(duoshm_lock_release(lock), DUOSHM_ERR_REMOVED);
	EXPECT(duoshm_lock_acquire(lock, 0), DUOSHM_ERR_REMOVED);
	end(ctx, lock, NULL);
}

/* Two plain counters behind the lock, always equal; a process is killed now and then. */
static int increment(void *argument)
{
	struct helper *helper = argument;
	struct duoshm *ctx = child_context();
	struct duoshm_lock *lock;
	struct duoshm_segment *segment;

	CHILD_EXPECT(duoshm_lock_open(ctx, harness_name("mutual"), 0, 0, &lock), 0);
	CHILD_EXPECT(duoshm_segment_open(ctx, harness_name("sums"), 0, 0, &segment), 0);
	volatile int64_t *sums = duoshm_segment_data(segment);
	HARNESS_CHILD(harness_gate_pass(&helper->go));
	for (int64_t i = 0; i < helper->number; i++) {
		CHILD_EXPECT(duoshm_lock_acquire(lock, LONG_TIME), 0);
		sums[0]++;
		CHILD_EXPECT(sums[0], sums[1] + 1);
		sums[1]++;
		CHILD_EXPECT(duoshm_lock_release(lock), 0);
	}
	CHILD_EXPECT(duoshm_lock_close(lock), 0);
	CHILD_EXPECT(duoshm_segment_close(segment), 0);
	return duoshm_free(ctx);
}

static void c9_mutual_exclusion(void)
{
	struct duoshm *ctx = new_context();
	struct duoshm_lock *lock = make(ctx, "mutual");
	struct duoshm_segment *segment = make_segment(ctx, "sums", 64, 0);
	struct helper helper = {.number = harness_scale(200000, 2000000, 20000000)};
	pid_t pids[4];

	harness_gate(&helper.go);
	for (int i = 0; i < 4; i++)
		pids[i] = harness_fork(increment, &helper);
	for (int i = 0; i < 4; i++)
		harness_gate_open(&helper.go);
	for (int i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(harness_wait(pids[i]), 0);
	harness_gate_close(&helper.go);
	CU_ASSERT_EQUAL(*(int64_t *)duoshm_segment_data(segment), 4 * helper.number);
	end_segment(segment);
	discard(ctx, "sums");
	end(ctx, lock, "mutual");
}

static int open_counted(void *argument)
{
	*(struct duoshm_lock **)argument = child_lock("counted");
	return 0;
}

static int acquire_and_release(void *argument)
{
	struct duoshm_lock *lock = *(struct duoshm_lock **)argument;
	int result = 0;

	for (int i = 0; i < 100 && result == 0; i++) {
		result = duoshm_lock_acquire(lock, DUOSHM_FOREVER);
		if (result == 0)
			result = duoshm_lock_release(lock);
	}
	return result;
}

static void c9_no_system_call(void)
{
	struct duoshm *ctx = new_context();
	struct duoshm_lock *lock = make(ctx, "counted"), *in_child;
	int calls = harness_instrumented()
			    ? HARNESS_NO_TRACE
			    : harness_count_calls(open_counted, acquire_and_release, &in_child);

	end(ctx, lock, "counted");
	if (calls == HARNESS_NO_TRACE)
		HARNESS_SKIP("system calls cannot be counted here");
	CU_ASSERT_EQUAL(calls, 0);
}

const struct harness_case lock_cases[] = {
	{"C9 a lock has one holder, and stat names it", c9_one_holder},
	{"C9 the next taker is told that the holder died, until somebody releases", c9_owner_dead},
	{"C9 who waits learns of the death", c9_waiter_learns_of_death},
	{"C9 a stopped holder still holds", c9_slow_is_not_dead},
	{"C9 removal wakes who waits", c9_removal},
	{"C9 never two holders", c9_mutual_exclusion},
	{"C9 uncontended acquire and release make no system call", c9_no_system_call},
	{NULL, NULL},
};
