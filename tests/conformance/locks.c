/* SPDX-License-Identifier: MIT */
/* C9: locks. */
#include "config.h"

#include "conformance/conformance.h"

static struct duoshm_lock *make(const char *stem)
{
	struct duoshm_lock *lock = NULL;

	EXPECT_FATAL(duoshm_lock_create(ctx, harness_name(stem), NULL, &lock), DUOSHM_CREATED);
	return lock;
}

static struct duoshm_lock *open_it(const char *stem)
{
	struct duoshm_lock *lock = NULL;

	OK(duoshm_lock_open(ctx, harness_name(stem), 0, 0, &lock));
	return lock;
}

static void end(struct duoshm_lock *lock)
{
	EXPECT(duoshm_lock_close(lock), 0);
}

/* Acquires, expecting `number`, and stays. */
static int hold(void *argument)
{
	struct helper *helper = argument;
	ctx = new_context();
	struct duoshm_lock *lock = open_it(helper->stem);

	EXPECT(duoshm_lock_acquire(lock, LONG_TIME), helper->number);
	EXPECT(helper_stays(helper), 0);
	return duoshm_lock_release(lock);
}

static void c9_one_holder(void)
{
	struct duoshm_lock *lock = make("held"), *second = open_it("held");
	struct helper helper = {.number = 0};

	EXPECT(duoshm_lock_release(lock), DUOSHM_ERR_NOT_OWNER);
	EXPECT(duoshm_lock_acquire(lock, -1), DUOSHM_ERR_INVALID);
	EXPECT(duoshm_lock_acquire(lock, 0), 0);
	EXPECT(duoshm_lock_acquire(lock, 0), DUOSHM_ERR_DEADLOCK);
	EXPECT(duoshm_lock_acquire(lock, DUOSHM_FOREVER), DUOSHM_ERR_DEADLOCK);
	EXPECT(duoshm_lock_acquire(second, 0), DUOSHM_ERR_TIMEOUT);
	EXPECT(duoshm_lock_release(second), DUOSHM_ERR_NOT_OWNER);
	EXPECT(duoshm_lock_release(lock), 0);
	EXPECT(duoshm_lock_release(lock), DUOSHM_ERR_NOT_OWNER);
	start_helper(&helper, hold, "held", 0);
	EXPECT(duoshm_lock_acquire(second, SECOND / 50), DUOSHM_ERR_TIMEOUT);
	finish_helper(&helper);
	EXPECT(duoshm_lock_acquire(second, 0), 0);
	EXPECT(duoshm_lock_close(second), 0); /* releases it first */
	EXPECT(duoshm_lock_acquire(lock, 0), 0);
	EXPECT(duoshm_lock_open(ctx, harness_name("held"), DUOSHM_READ_ONLY, 0, &second),
		DUOSHM_ERR_INVALID);
	EXPECT(duoshm_lock_close(NULL), 0);
	end(lock);
}

static void c9_stat_names_the_holder(void)
{
	struct duoshm_lock *lock = make("stat");
	struct helper helper = {.number = 0};

	EXPECT(duoshm_lock_acquire(lock, 0), 0);
	struct duoshm_stat stat = stat_of(ctx, "stat");
	EXPECT(stat.holder_pid, getpid());
	CHECK(stat.held_since_ns >= stat.created_ns - SECOND / 50); /* by a coarse clock */
	EXPECT(duoshm_lock_release(lock), 0);
	EXPECT(stat_of(ctx, "stat").holder_pid, 0);
	EXPECT(stat_of(ctx, "stat").held_since_ns, 0);
	start_helper(&helper, hold, "stat", 0);
	EXPECT(stat_of(ctx, "stat").holder_pid, helper.pid);
	CHECK(stat_of(ctx, "stat").held_since_ns >= stat.held_since_ns);
	finish_helper(&helper);
	end(lock);
}

static void c9_owner_dead(void)
{
	struct duoshm_lock *lock = make("dead");
	struct helper helper = {.number = 0};

	start_helper(&helper, hold, "dead", 0);
	kill_helper(&helper);
	helper.number = DUOSHM_OWNER_DEAD;
	start_helper(&helper, hold, "dead", 0);
	kill_helper(&helper); /* before it said that the data are in order */
	EXPECT(duoshm_lock_acquire(lock, 0), DUOSHM_OWNER_DEAD);
	EXPECT(duoshm_lock_acquire(lock, 0), DUOSHM_ERR_DEADLOCK);
	EXPECT(duoshm_lock_release(lock), 0);
	EXPECT(duoshm_lock_acquire(lock, 0), 0);
	end(lock);
}

static int wait_for_it(void *argument)
{
	struct helper *helper = argument;
	ctx = new_context();
	struct duoshm_lock *lock = open_it(helper->stem);

	harness_gate_open(&helper->ready);
	EXPECT(duoshm_lock_acquire(lock, DUOSHM_FOREVER), helper->number);
	return 0;
}

static void c9_waiter_learns_of_death(void)
{
	struct duoshm_lock *lock = make("waited");
	struct helper holder = {.number = 0}, waiter = {.number = DUOSHM_OWNER_DEAD};

	start_helper(&holder, hold, "waited", 0);
	start_helper(&waiter, wait_for_it, "waited", 0);
	harness_until_asleep(waiter.pid);
	kill_helper(&holder);
	finish_helper(&waiter);
	end(lock);
}

static void c9_slow_is_not_dead(void)
{
	struct duoshm_lock *lock = make("slow");
	struct helper holder = {.number = 0};

	start_helper(&holder, hold, "slow", 0);
	harness_stop(holder.pid);
	EXPECT(duoshm_lock_acquire(lock, SECOND / 2), DUOSHM_ERR_TIMEOUT);
	harness_continue(holder.pid);
	finish_helper(&holder);
	EXPECT(duoshm_lock_acquire(lock, LONG_TIME), 0);
	end(lock);
}

static void c9_removal(void)
{
	struct duoshm_lock *lock = make("removed");
	struct helper waiter = {.number = DUOSHM_ERR_REMOVED};

	EXPECT(duoshm_lock_acquire(lock, 0), 0);
	start_helper(&waiter, wait_for_it, "removed", 0);
	harness_until_asleep(waiter.pid);
	discard(ctx, "removed");
	finish_helper(&waiter);
	EXPECT(duoshm_lock_release(lock), DUOSHM_ERR_REMOVED);
	EXPECT(duoshm_lock_acquire(lock, 0), DUOSHM_ERR_REMOVED);
	end(lock);
}

/* Two plain counters behind the lock, always equal. */
static int increment(void *argument)
{
	struct helper *helper = argument;
	ctx = new_context();
	struct duoshm_lock *lock = open_it("mutual");
	struct duoshm_segment *segment = open_segment(ctx, "sums", 0);
	volatile int64_t *sums = duoshm_segment_data(segment);

	CHECK(harness_gate_pass(&helper->go));
	for (int64_t i = 0; i < helper->number; i++) {
		EXPECT(duoshm_lock_acquire(lock, LONG_TIME), 0);
		sums[0]++;
		EXPECT(sums[0], sums[1] + 1);
		sums[1]++;
		EXPECT(duoshm_lock_release(lock), 0);
	}
	end_segment(segment);
	end(lock);
	end_context(ctx);
	return 0;
}

static void c9_mutual_exclusion(void)
{
	struct duoshm_lock *lock = make("mutual");
	struct duoshm_segment *segment = make_segment(ctx, "sums", 64, 0);
	struct helper helper = {.number = harness_scale(200000, 2000000, 20000000)};

	EXPECT(run_together(increment, &helper, 4), 0);
	EXPECT(*(int64_t *)duoshm_segment_data(segment), 4 * helper.number);
	end_segment(segment);
	discard(ctx, "sums");
	end(lock);
}

static struct duoshm_lock *counted; /* of the child whose calls are counted */

static int open_counted(void *argument)
{
	(void)argument;
	ctx = new_context();
	counted = open_it("counted");
	return 0;
}

static int acquire_and_release(void *argument)
{
	(void)argument;
	for (int i = 0; i < 100; i++) {
		EXPECT(duoshm_lock_acquire(counted, DUOSHM_FOREVER), 0);
		EXPECT(duoshm_lock_release(counted), 0);
	}
	return 0;
}

static void c9_no_system_call(void)
{
	struct duoshm_lock *lock = make("counted");

	makes_no_system_call(open_counted, acquire_and_release, NULL);
	end(lock);
}

const struct harness_case lock_cases[] = {
	{"C9 a lock has one holder, who alone releases it", c9_one_holder},
	{"C9 stat names the holder, and since when", c9_stat_names_the_holder},
	{"C9 the next taker is told that the holder died, until somebody releases", c9_owner_dead},
	{"C9 who waits learns of the death", c9_waiter_learns_of_death},
	{"C9 a stopped holder still holds", c9_slow_is_not_dead},
	{"C9 removal wakes who waits", c9_removal},
	{"C9 never two holders", c9_mutual_exclusion},
	{"C9 uncontended acquire and release make no system call", c9_no_system_call},
	{NULL, NULL},
};
