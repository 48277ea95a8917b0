/* SPDX-License-Identifier: MIT */
/*
 * Storms of kills, one after the other on each family; or, where `make stress` says how many kills
 * and hours, all of them on all families in turn, with a summary at the end. SEED repeats the random
 * numbers of a run, though not what the scheduler makes of them.
 */
#include "config.h"

#include "stress/storm.h"

static bool private_ipc;

/*
 * glibc's sem_open, when it is killed, leaves a file that nobody can attribute: it shall end with
 * us, where that is allowed.
 */
static void begin(void)
{
	const char *text = getenv("SEED");
	uint64_t seed = text != NULL && *text != '\0' ? strtoull(text, NULL, 0)
						      : (uint64_t)storm_now() % 1000000007;

	private_ipc = private_ipc || harness_enter("/dev/shm", "mode=1777");
	printf("SEED=%llu ", (unsigned long long)seed);
	storm_seed(seed);
}

/* ---- in `make check` ------------------------------------------------------------------------- */

static void prove(const struct total *total)
{
	harness_proves(1, (long)total->tally[TOLD], "deaths told");
	harness_proves(2, (long)total->kills, "kills");
	harness_proves(3, (long)total->tally[CHECKED], "messages");
	harness_proves(4, (long)total->kills, "killed cycles");
	harness_proves(6, (long)total->stops, "stops");
	harness_proves(8, (long)total->reclaimed, "reclaims");
}

static void storm_once(const struct storm *storm, long kills)
{
	struct total total = {0};

	storm_family = harness_backend();
	storm_run(storm, kills, &total);
	prove(&total);
}

static long kills(void)
{
	return harness_scale(20, 125, 1000);
}

static void on_queues(void)
{
	storm_once(&queue_storm, kills());
}

static void on_broadcasts(void)
{
	storm_once(&broadcast_storm, kills());
}

static void on_locks(void)
{
	storm_once(&lock_storm, kills());
}

static void on_semaphores(void)
{
	storm_once(&semaphore_storm, kills());
}

/* Fewer than a device with its eight clients needs, or the steps. */
static bool has_few_attachments(void)
{
	return harness_profile("macos-arm64") && strcmp(harness_backend(), "sysv") == 0;
}

static void on_device(void)
{
#ifndef HAVE_INIH
	HARNESS_SKIP("the device cannot read its description");
#endif
	if (harness_profile("tiny-shm"))
		HARNESS_SKIP("no room for a device");
	if (has_few_attachments())
		HARNESS_SKIP("a process attaches eight segments at most");
	storm_once(&device_storm, kills() / 2);
}

static void at_instructions(void)
{
	if (!steps_possible())
		HARNESS_SKIP("no tracer that steps");
	if (harness_profile("tiny-shm"))
		HARNESS_SKIP("no room for a device");
	if (has_few_attachments())
		HARNESS_SKIP("a process attaches eight segments at most");
	storm_family = harness_backend();
	long done = steps_run(harness_scale(130, 260, 3000));
	EXPECT(storm_left(), 0);
	harness_proves(1, done, "single-stepped deaths");
}

static const struct harness_case cases[] = {
	{"queues go on, whoever is killed", on_queues},
	{"broadcasts go on", on_broadcasts},
	{"locks go on", on_locks},
	{"semaphores go on", on_semaphores},
	{"a device and its clients go on", on_device},
	{"whoever is killed at an instruction is no harm", at_instructions},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	harness_around(begin, NULL);
	if (getenv("KILLS") != NULL)
		return harness_run(argc, argv, "storms", stress_case);
	return harness_run_each(argc, argv, "storms", cases);
}
