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
	return harness_scale(20, 125, 1200);
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

static void on_device(void)
{
#ifndef HAVE_INIH
	HARNESS_SKIP("the device cannot read its description");
#endif
	if (harness_profile("tiny-shm"))
		HARNESS_SKIP("no room for a device");
	storm_once(&device_storm, kills() / 2);
}

static const struct harness_case cases[] = {
	{"queues go on, whoever is killed", on_queues},
	{"broadcasts go on", on_broadcasts},
	{"locks go on", on_locks},
	{"semaphores go on", on_semaphores},
	{"a device and its clients go on", on_device},
	{NULL, NULL},
};

/* ---- `make stress` --------------------------------------------------------------------------- */

#define ROUND  200 /* kills */
#define STORMS 5

static const struct storm *const storms[STORMS] = {
	&queue_storm, &broadcast_storm, &lock_storm, &semaphore_storm, &device_storm};
static struct total totals[2][STORMS]; /* by family */

static double figure(const char *name, double otherwise)
{
	const char *text = getenv(name);

	return text != NULL && *text != '\0' ? strtod(text, NULL) : otherwise;
}

static uint64_t all_kills(unsigned families)
{
	uint64_t sum = 0;

	for (unsigned f = 0; f < families; f++) {
		for (int i = 0; i < STORMS; i++)
			sum += totals[f][i].kills;
	}
	return sum;
}

/* At a terminal often, in a log once a minute. */
static void report(const char *const *family, unsigned families, int64_t began, bool always)
{
	static int64_t next;
	int64_t now = storm_now();

	if (!always && now < next)
		return;
	next = now + (isatty(STDOUT_FILENO) ? 5 : 60) * SECOND;
	printf("\n%lld s:", (long long)((now - began) / SECOND));
	for (unsigned f = 0; f < families; f++) {
		uint64_t kills = 0, checked = 0;
		for (int i = 0; i < STORMS; i++) {
			kills += totals[f][i].kills;
			checked += totals[f][i].tally[CHECKED];
		}
		printf(" %s %llu kills, %llu messages;", family[f], (unsigned long long)kills,
			(unsigned long long)checked);
	}
	fflush(stdout);
}

static void summary(const char *family, const struct total *of)
{
	for (int i = 0; i < STORMS; i++) {
		printf("\n%s, %s: %llu kills, %llu stops, %llu reclaimed, 0 left", family,
			storms[i]->name, (unsigned long long)of[i].kills,
			(unsigned long long)of[i].stops, (unsigned long long)of[i].reclaimed);
		for (int t = 0; t < TALLIES; t++) {
			if (of[i].tally[t] != 0 || t >= TORN)
				printf(", %llu %s", (unsigned long long)of[i].tally[t],
					storm_tally_names[t]);
		}
	}
}

static void for_hours(void)
{
	uint64_t kills = (uint64_t)figure("KILLS", 100000);
	int64_t began = storm_now();
	int64_t end = began + (int64_t)(figure("HOURS", 1000) * 3600 * 1e9);
	const char *const *family = duoshm_backends();
	unsigned families = 1;

	if (getenv("BACKEND") == NULL || *getenv("BACKEND") == '\0')
		families = family[1] != NULL ? 2 : 1;
	for (unsigned round = 0; all_kills(families) < kills && storm_now() < end &&
				 CU_get_number_of_failures() == 0;
		round++) {
		unsigned f = round % families, i = round / families % STORMS;
		storm_family = families == 1 ? harness_backend() : family[f];
		storm_run(storms[i], ROUND, &totals[f][i]);
		report(family, families, began, false);
	}
	report(family, families, began, true);
	for (unsigned f = 0; f < families; f++)
		summary(families == 1 ? harness_backend() : family[f], totals[f]);
	printf("\n");
}

static const struct harness_case long_case[] = {{"all go on for hours", for_hours}, {NULL, NULL}};

int main(int argc, char **argv)
{
	harness_around(begin, NULL);
	if (getenv("KILLS") != NULL)
		return harness_run(argc, argv, "storms", long_case);
	return harness_run_each(argc, argv, "storms", cases);
}
