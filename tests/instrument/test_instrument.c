/* SPDX-License-Identifier: MIT */
/* The instrument itself: that it counts, kills and stops where it says, and lies when told to. */
#include "config.h"

#include "harness/fixture.h"
#include "instrument/instrument.h"

static struct duoshm *ctx;
static struct duoshm_semaphore *semaphore;

static void begin(void)
{
	instrument_begin();
	ctx = new_context();
	OK(duoshm_semaphore_create(ctx, harness_name("counted"), 0, NULL, &semaphore));
}

static void end(void)
{
	EXPECT(duoshm_semaphore_close(semaphore), 0);
	discard(ctx, "counted");
	end_context(ctx);
	instrument_end();
}

/* One word: a post writes once, and a wait that finds a unit, too. */
static void words_are_counted(void)
{
	begin();
	instrument_arm(INSTRUMENT_COUNT, 0);
	EXPECT(duoshm_semaphore_post(semaphore, 1), 0);
	EXPECT(instrument_points(), 1);
	EXPECT(duoshm_semaphore_wait(semaphore, 0, 0), 0);
	EXPECT(instrument_points(), 2);
	EXPECT(duoshm_semaphore_wait(semaphore, 0, 0), DUOSHM_ERR_TIMEOUT);
	EXPECT(instrument_points(), 2);
	end();
}

/* The mark of a sleeper, the sleep, before and after, and the handle's own word of when it was. */
static void native_operations_are_counted(void)
{
	begin();
	instrument_arm(INSTRUMENT_COUNT, 0);
	EXPECT(duoshm_semaphore_wait(semaphore, 50 * MS, 0), DUOSHM_ERR_TIMEOUT);
	EXPECT(instrument_points(), 4);
	end();
}

static int post(void *arg)
{
	struct duoshm_semaphore *opened = NULL;

	(void)arg;
	OK(duoshm_semaphore_open(new_context(), harness_name("counted"), 0, 0, &opened));
	instrument_here();
	OK(duoshm_semaphore_post(opened, 1));
	OK(duoshm_semaphore_post(opened, 2));
	return 0;
}

static void dies_where_told(void)
{
	begin();
	CHECK(instrument_kills(post, NULL, 1));
	EXPECT_TEXT(instrument_point(), "duoshm__cas32 at +0x100");
	EXPECT(duoshm_semaphore_value(semaphore), 0);
	CHECK(instrument_kills(post, NULL, 2));
	EXPECT(duoshm_semaphore_value(semaphore), 1);
	CHECK(!instrument_kills(post, NULL, 3));
	EXPECT(duoshm_semaphore_value(semaphore), 4);
	end();
}

static void stops_where_told(void)
{
	begin();
	pid_t pid = instrument_stops(post, NULL, 2);
	CHECK_FATAL(pid > 0);
	EXPECT(duoshm_semaphore_value(semaphore), 1);
	harness_continue(pid);
	EXPECT(harness_wait(pid), 0);
	EXPECT(duoshm_semaphore_value(semaphore), 3);
	EXPECT(instrument_stops(post, NULL, 3), 0);
	end();
}

static void lies_when_told(void)
{
	int lies = 0;

	begin();
	instrument_scramble(50, 1);
	for (int i = 0; i < 1000; i++)
		lies += duoshm_semaphore_value(semaphore) != 0;
	/* A random word is hardly ever one that a semaphore can hold, and never but rarely 0. */
	CHECK(lies > 300 && lies < 700);
	EXPECT(instrument_scrambled(), lies);
	instrument_scramble(0, 0);
	EXPECT(duoshm_semaphore_value(semaphore), 0);
	end();
}

static const struct harness_case cases[] = {
	{"writes of shared words are points", words_are_counted},
	{"native operations are points", native_operations_are_counted},
	{"a process dies where it is told to", dies_where_told},
	{"a process stops where it is told to", stops_where_told},
	{"what is read can lie", lies_when_told},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return harness_run_each(argc, argv, "instrument", cases);
}
