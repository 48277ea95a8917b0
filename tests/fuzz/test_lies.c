/* SPDX-License-Identifier: MIT */
/*
 * Loads that lie: each load of a shared word may give a random number, another one each time. What
 * is checked and then loaded once more, or used as a bound, is found out: by a fault (the fake
 * backend's segments end at a page that nobody may touch), by AddressSanitizer, or by a watchdog.
 */
#include "config.h"

#include "fuzz/fake_backend.h"
#include "fuzz/subjects.h"
#include "harness/fixture.h"
#include "instrument/instrument.h"

enum { WATCHDOG_SECONDS = 10 };

static struct {
	long lies, calls;
} * figures; /* shared with the children */

struct part {
	const char *subject, *backend;
};

static long round_now, calls_now;

/* After each call. The first ones are told the truth, or hardly anything would ever be opened. */
static void lie(void)
{
	static const unsigned percents[] = {1, 4, 20, 100};

	if (++calls_now == 1 + round_now / 4 % 4)
		instrument_scramble(percents[round_now % 4], (uint64_t)round_now + 1);
}

static int use_it(void *arg)
{
	const struct part *part = arg;
	struct duoshm *ctx;

	if (strcmp(part->backend, FAKE_NAME) == 0)
		fake_begin();
	ctx = context_of(part->backend, NULL);
	const struct subject *subject = subject_make(part->subject, ctx);
	subject_between = lie;
	for (round_now = 0; round_now < harness_scale(48, 96, 300); round_now++) {
		alarm(WATCHDOG_SECONDS * (harness_instrumented() ? 5 : 1));
		calls_now = 0;
		subject->use();
		figures->lies += (long)instrument_scrambled();
		instrument_scramble(0, 0);
		subject_reset();
	}
	figures->calls += subject_calls;
	subject_between = NULL;
	subject_end();
	return duoshm_free(ctx);
}

static void use_all(void)
{
	figures = harness_shared(sizeof *figures);
	for (const struct subject *subject = subjects; subject->name != NULL; subject++) {
		struct part part = {subject->name, FAKE_NAME};

		EXPECT(harness_wait(harness_fork(use_it, &part)), 0);
		if (harness_profile("tiny-shm") && strcmp(subject->name, "lane") == 0)
			continue;
		part.backend = harness_backend();
		EXPECT(harness_wait(harness_fork(use_it, &part)), 0);
	}
	harness_proves(10, figures->lies, "loads that lied");
	harness_proves(11, figures->calls, "calls that came to an end");
}

static const struct harness_case cases[] = {
	{"no load is believed twice", use_all},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return harness_run_each(argc, argv, "lies", cases);
}
