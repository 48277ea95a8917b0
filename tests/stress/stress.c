/* SPDX-License-Identifier: MIT */
/*
 * `make stress`: the storms for hours, on all families in turn, and between them kills at single
 * instructions, on all families at once; with a line now and then, and a summary.
 */
#include "config.h"

#include "stress/storm.h"

#include <sys/mman.h>

#ifndef MAP_ANONYMOUS
#define MAP_ANONYMOUS MAP_ANON
#endif

#define ROUND    200 /* kills */
#define POINTS   400 /* and points on each family, after a round on one of them */
#define FAMILIES 2

static const struct storm *const storms[] = {
	&queue_storm, &broadcast_storm, &lock_storm, &semaphore_storm,
#ifdef HAVE_INIH
	&device_storm
#endif
};
enum { STORMS = sizeof(storms) / sizeof(storms[0]) };

/* What was done on a family. */
struct family {
	const char *name;
	struct total total[STORMS];
	word points; /* the child that steps */
};
/* In memory that is shared with children. */
static struct family *families;
static unsigned n_families;

static double figure(const char *name, double otherwise)
{
	const char *text = getenv(name);

	return text != NULL && *text != '\0' ? strtod(text, NULL) : otherwise;
}

static uint64_t kills_on(const struct family *family)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < STORMS; i++)
		sum += family->total[i].kills;
	return sum;
}

static uint64_t all_kills(void)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < n_families; i++)
		sum += kills_on(&families[i]);
	return sum;
}

static void choose_families(void)
{
	const char *one = getenv("BACKEND");

	families = mmap(NULL, FAMILIES * sizeof(*families), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK_FATAL(families != MAP_FAILED);
	n_families = 0;
	for (unsigned i = 0; i < FAMILIES && duoshm_backends()[i] != NULL; i++) {
		const char *name = duoshm_backends()[i];
		if (one == NULL || *one == '\0' || strcmp(one, name) == 0)
			families[n_families++].name = name;
	}
	CHECK_FATAL(n_families > 0);
}

/* ---- what is said ---------------------------------------------------------------------------- */

static void say_progress(int64_t began)
{
	static int64_t next;
	int64_t now = storm_now();

	if (now < next)
		return;
	next = now + (isatty(STDOUT_FILENO) ? 5 : 60) * SECOND;
	printf("\n%lld s:", (long long)((now - began) / SECOND));
	for (unsigned f = 0; f < n_families; f++) {
		uint64_t checked = 0;
		for (unsigned i = 0; i < STORMS; i++)
			checked += families[f].total[i].tally[CHECKED];
		printf(" %s %llu kills, %llu messages, %llu points;", families[f].name,
			(unsigned long long)kills_on(&families[f]), (unsigned long long)checked,
			(unsigned long long)get(&families[f].points));
	}
	fflush(stdout);
}

static void say_storm(const char *family, const struct storm *storm, const struct total *total)
{
	printf("\n%s, %s: %llu kills (", family, storm->name, (unsigned long long)total->kills);
	for (unsigned i = 0; storm->roles[i].name != NULL; i++)
		printf("%s%s %llu", i > 0 ? ", " : "", storm->roles[i].name,
			(unsigned long long)total->kills_of[i]);
	printf("), %llu stops, %llu orphans reclaimed", (unsigned long long)total->stops,
		(unsigned long long)total->reclaimed);
	for (int t = 0; t < TALLIES; t++) {
		if (total->tally[t] != 0 || t >= TORN)
			printf(", %llu %s", (unsigned long long)total->tally[t],
				storm_tally_names[t]);
	}
	printf(", %llu left", (unsigned long long)total->left);
}

static void say_all(void)
{
	for (unsigned f = 0; f < n_families; f++) {
		for (unsigned i = 0; i < STORMS; i++)
			say_storm(families[f].name, storms[i], &families[f].total[i]);
		printf("\n%s, single instructions: %llu deaths", families[f].name,
			(unsigned long long)get(&families[f].points));
	}
	printf("\n");
}

/* ---- the run --------------------------------------------------------------------------------- */

static int step_on(void *arg)
{
	struct family *family = arg;

	storm_family = family->name;
	add(&family->points, (uint64_t)steps_run(POINTS));
	return 0;
}

static void step_on_all(void)
{
	pid_t pids[FAMILIES];

	for (unsigned i = 0; i < n_families; i++)
		pids[i] = harness_fork(step_on, &families[i]);
	for (unsigned i = 0; i < n_families; i++)
		EXPECT(harness_wait(pids[i]), 0);
	/* Each of them draws the same numbers from here on. */
	(void)storm_random(1);
}

static void go_on_for_hours(void)
{
	uint64_t kills = (uint64_t)figure("KILLS", 100000);
	int64_t began = storm_now();
	int64_t end = began + (int64_t)(figure("HOURS", 1000) * 3600 * 1e9);
	bool steps = steps_possible();

	choose_families();
	for (unsigned round = 0; all_kills() < kills && storm_now() < end; round++) {
		struct family *family = &families[round % n_families];
		unsigned i = round / n_families % STORMS;
		storm_family = family->name;
		storm_run(storms[i], ROUND, &family->total[i]);
		if (steps)
			step_on_all();
		if (CU_get_number_of_failures() != 0)
			break;
		say_progress(began);
	}
	say_all();
}

const struct harness_case stress_case[] = {{"all go on for hours", go_on_for_hours}, {NULL, NULL}};
