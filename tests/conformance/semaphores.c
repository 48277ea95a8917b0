/* SPDX-License-Identifier: MIT */
/* C8: semaphores. */
#include "config.h"

#include "conformance/conformance.h"

static struct duoshm_semaphore *make(const char *stem, unsigned value)
{
	struct duoshm_semaphore *semaphore = NULL;

	EXPECT_FATAL(duoshm_semaphore_create(ctx, harness_name(stem), value, NULL, &semaphore),
		DUOSHM_CREATED);
	return semaphore;
}

static struct duoshm_semaphore *open_it(const char *stem, unsigned flags)
{
	struct duoshm_semaphore *semaphore = NULL;

	OK(duoshm_semaphore_open(ctx, harness_name(stem), flags, 0, &semaphore));
	return semaphore;
}

static void end(struct duoshm_semaphore *semaphore)
{
	EXPECT(duoshm_semaphore_close(semaphore), 0);
}

static void c8_range(void)
{
	struct duoshm_semaphore *semaphore = NULL;

	EXPECT(duoshm_semaphore_create(
		       ctx, harness_name("range"), DUOSHM_VALUE_MAX + 1, NULL, &semaphore),
		DUOSHM_ERR_INVALID);
	CHECK(semaphore == NULL);
	semaphore = make("range", DUOSHM_VALUE_MAX - 1);
	EXPECT(duoshm_semaphore_post(semaphore, 2), DUOSHM_ERR_OVERFLOW);
	EXPECT(duoshm_semaphore_value(semaphore), DUOSHM_VALUE_MAX - 1);
	EXPECT(duoshm_semaphore_post(semaphore, 1), 0);
	EXPECT(duoshm_semaphore_post(semaphore, DUOSHM_VALUE_MAX), DUOSHM_ERR_OVERFLOW);
	EXPECT(duoshm_semaphore_post(semaphore, 0), DUOSHM_ERR_INVALID);
	EXPECT(duoshm_semaphore_post(semaphore, DUOSHM_VALUE_MAX + 1), DUOSHM_ERR_INVALID);
	EXPECT(duoshm_semaphore_value(semaphore), DUOSHM_VALUE_MAX);
	EXPECT(stat_of(ctx, "range").value, DUOSHM_VALUE_MAX);
	end(semaphore);
}

static void c8_timeouts(void)
{
	struct duoshm_semaphore *semaphore = make("timeouts", 2);

	EXPECT(duoshm_semaphore_wait(semaphore, 0, 0), 0);
	EXPECT(duoshm_semaphore_wait(semaphore, DUOSHM_FOREVER, 0), 0);
	EXPECT(duoshm_semaphore_wait(semaphore, 0, 0), DUOSHM_ERR_TIMEOUT);
	int64_t before = harness_now();
	/* longer than the slices in which a sleeper looks again */
	EXPECT(duoshm_semaphore_wait(semaphore, SECOND / 4, 0), DUOSHM_ERR_TIMEOUT);
	CHECK(harness_now() - before >= SECOND / 4);
	EXPECT(duoshm_semaphore_wait(semaphore, -1, 0), DUOSHM_ERR_INVALID);
	EXPECT(duoshm_semaphore_wait(semaphore, 0, DUOSHM_READ_ONLY), DUOSHM_ERR_INVALID);
	end(semaphore);
}

/* Waits with its flags; exit status: minus the result. */
static int waiter(void *argument)
{
	struct helper *helper = argument;
	ctx = new_context();
	struct duoshm_semaphore *semaphore = open_it(helper->stem, 0);

	harness_gate_open(&helper->ready);
	int result = duoshm_semaphore_wait(semaphore, DUOSHM_FOREVER, helper->flags);
	if (result == DUOSHM_ERR_REMOVED)
		EXPECT(duoshm_semaphore_post(semaphore, 1), DUOSHM_ERR_REMOVED);
	end(semaphore);
	end_context(ctx);
	return -result;
}

static void start_waiter(struct helper *helper, const char *stem, unsigned flags)
{
	start_helper(helper, waiter, stem, flags);
	harness_until_asleep(helper->pid);
}

static void end_waiter(struct helper *helper, int result)
{
	EXPECT(harness_wait(helper->pid), -result);
	helper->pid = 0;
	kill_helper(helper);
}

static void c8_post_wakes(void)
{
	struct duoshm_semaphore *semaphore = make("wakes", 0);
	struct helper helpers[3];

	for (int i = 0; i < 3; i++)
		start_waiter(&helpers[i], "wakes", 0);
	EXPECT(duoshm_semaphore_post(semaphore, 4), 0);
	for (int i = 0; i < 3; i++)
		end_waiter(&helpers[i], 0);
	EXPECT(duoshm_semaphore_value(semaphore), 1);
	end(semaphore);
}

static void ignore(int signal_number)
{
	(void)signal_number;
}

static void c8_signals(void)
{
	struct duoshm_semaphore *semaphore = make("signals", 0);
	struct sigaction action = {.sa_handler = ignore}, old;
	struct helper helper;

	sigemptyset(&action.sa_mask);
	sigaction(SIGUSR1, &action, &old);
	start_waiter(&helper, "signals", DUOSHM_INTERRUPTIBLE);
	/* The signal may fall between two sleeps: again until it hits one. */
	for (int i = 0;
		i < 200 && kill(helper.pid, SIGUSR1) == 0 && harness_until_asleep(helper.pid); i++)
		;
	end_waiter(&helper, DUOSHM_ERR_INTERRUPTED);
	start_waiter(&helper, "signals", 0);
	for (int i = 0; i < 5; i++) {
		kill(helper.pid, SIGUSR1);
		CHECK(harness_until_asleep(helper.pid));
	}
	EXPECT(duoshm_semaphore_post(semaphore, 1), 0);
	end_waiter(&helper, 0);
	sigaction(SIGUSR1, &old, NULL);
	end(semaphore);
}

static void c8_removal(void)
{
	struct duoshm_semaphore *semaphore = make("removed", 0);
	struct helper helpers[2];

	start_waiter(&helpers[0], "removed", 0);
	start_waiter(&helpers[1], "removed", 0);
	discard(ctx, "removed");
	end_waiter(&helpers[0], DUOSHM_ERR_REMOVED);
	end_waiter(&helpers[1], DUOSHM_ERR_REMOVED);
	EXPECT(duoshm_semaphore_wait(semaphore, 0, 0), DUOSHM_ERR_REMOVED);
	EXPECT(duoshm_semaphore_wait(semaphore, DUOSHM_FOREVER, 0), DUOSHM_ERR_REMOVED);
	EXPECT(duoshm_semaphore_post(semaphore, 1), DUOSHM_ERR_REMOVED);
	EXPECT(duoshm_semaphore_value(semaphore), DUOSHM_ERR_REMOVED);
	end(semaphore);
}

static int take_and_stay(void *helper)
{
	ctx = new_context();
	struct duoshm_semaphore *semaphore = open_it("dead", 0);

	EXPECT(duoshm_semaphore_wait(semaphore, 0, 0), 0);
	return helper_stays(helper);
}

static void c8_units_of_the_dead(void)
{
	struct duoshm_semaphore *semaphore = make("dead", 1);
	struct helper taker, sleeper, other;

	start_helper(&taker, take_and_stay, "dead", 0);
	kill_helper(&taker);
	EXPECT(duoshm_semaphore_value(semaphore), 0);
	start_waiter(&sleeper, "dead", 0);
	start_waiter(&other, "dead", 0);
	kill_helper(&sleeper);
	EXPECT(duoshm_semaphore_post(semaphore, 1), 0);
	end_waiter(&other, 0);
	EXPECT(duoshm_semaphore_post(semaphore, 1), 0);
	EXPECT(duoshm_semaphore_wait(semaphore, 0, 0), 0);
	EXPECT(duoshm_semaphore_value(semaphore), 0);
	end(semaphore);
}

static struct duoshm_semaphore *counted; /* of the child whose calls are counted */

static int open_counted(void *argument)
{
	(void)argument;
	ctx = new_context();
	counted = open_it("counted", 0);
	return 0;
}

static int post_and_wait(void *argument)
{
	(void)argument;
	for (int i = 0; i < 100; i++) {
		EXPECT(duoshm_semaphore_post(counted, 1), 0);
		EXPECT(duoshm_semaphore_value(counted), 1);
		EXPECT(duoshm_semaphore_wait(counted, DUOSHM_FOREVER, 0), 0);
	}
	return 0;
}

static void c8_no_system_call(void)
{
	struct duoshm_semaphore *semaphore = make("counted", 0);

	makes_no_system_call(open_counted, post_and_wait, NULL);
	end(semaphore);
}

/* Many processes pass a few units around: none is lost, none invented. */
static int pass_around(void *argument)
{
	struct helper *helper = argument;
	ctx = new_context();
	struct duoshm_semaphore *semaphore = open_it("around", 0);

	CHECK(harness_gate_pass(&helper->go));
	for (int64_t i = 0; i < helper->number; i++) {
		EXPECT(duoshm_semaphore_wait(semaphore, LONG_TIME, 0), 0);
		EXPECT(duoshm_semaphore_post(semaphore, 1), 0);
	}
	end(semaphore);
	end_context(ctx);
	return 0;
}

static void c8_contention(void)
{
	struct duoshm_semaphore *semaphore = make("around", 2);
	struct helper helper = {.number = harness_scale(200000, 2000000, 20000000)};

	EXPECT(run_together(pass_around, &helper, 4), 0);
	EXPECT(duoshm_semaphore_value(semaphore), 2);
	end(semaphore);
}

static void c8_read_only(void)
{
	struct duoshm_semaphore *semaphore = make("look", 5);
	struct duoshm_semaphore *reader = open_it("look", DUOSHM_READ_ONLY);

	EXPECT(duoshm_semaphore_value(reader), 5);
	EXPECT(duoshm_semaphore_wait(reader, 0, 0), DUOSHM_ERR_READ_ONLY);
	EXPECT(duoshm_semaphore_post(reader, 1), DUOSHM_ERR_READ_ONLY);
	EXPECT(duoshm_semaphore_close(reader), 0);
	end(semaphore);
}

const struct harness_case semaphore_cases[] = {
	{"C8 a semaphore counts 0 to 32767; post fails instead of wrapping", c8_range},
	{"C8 wait: 0 tries, a timeout lasts at least that long", c8_timeouts},
	{"C8 wait blocks until it is posted; post takes a count", c8_post_wakes},
	{"C8 a signal ends a wait only with INTERRUPTIBLE", c8_signals},
	{"C8 removal wakes the waiters; old handles say REMOVED", c8_removal},
	{"C8 a dead process's unit is not given back, no other is lost", c8_units_of_the_dead},
	{"C8 uncontended post and wait make no system call", c8_no_system_call},
	{"C8 no unit is lost or invented among many", c8_contention},
	{"C8 a read-only handle can look", c8_read_only},
	{NULL, NULL},
};
