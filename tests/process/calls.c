/* SPDX-License-Identifier: MIT */
/*
 * What an open and close of an existing object costs in system calls: a fixed number per family and
 * bell, that the manual states. Linux alone, where the libc's own calls are known; a different
 * number is a change to be explained there.
 */
#include "config.h"

#include "harness/fixture.h"

static struct duoshm *ctx;

static int open_and_close(void *times)
{
	for (int i = 0; i < *(int *)times; i++)
		end_segment(open_segment(ctx, "counted", 0));
	return 0;
}

static int prepare(void *argument)
{
	int thrice = 3; /* the allocator and the process's own records come to rest */

	(void)argument;
	ctx = new_context();
	return open_and_close(&thrice);
}

static int calls_with(unsigned bells, int times)
{
	struct duoshm_create options = create_with(0, bells);
	struct duoshm_segment *segment;

	ctx = new_context();
	OK(duoshm_segment_create(ctx, harness_name("counted"), 64, &options, &segment));
	/* Not to be inherited: sem_open finds an open semaphore again without a call. */
	end_segment(segment);
	int calls = harness_count_calls(prepare, open_and_close, &times);
	discard(ctx, "counted");
	end_context(ctx);
	return calls;
}

static void open_and_close_is_fixed(void)
{
	static const struct {
		const char *backend;
		int plain, per_bells, per_bell;
	} stated[] = {{"sysv", 8, 1, 0}, {"posix", 10, 0, 6}};
	if (harness_profile("macos-arm64"))
		HARNESS_SKIP("another system's rules cost calls of their own");
	int one = harness_instrumented() ? HARNESS_NO_TRACE : calls_with(0, 1);

	if (one == HARNESS_NO_TRACE)
		HARNESS_SKIP("system calls cannot be counted here");
	printf("[%d: %s] ", one, harness_calls_seen());
	EXPECT(calls_with(0, 10), 10 * one);
	for (size_t i = 0; i < sizeof(stated) / sizeof(stated[0]); i++) {
#ifndef __GLIBC__
		break; /* what is stated is glibc's */
#endif
		if (strcmp(stated[i].backend, harness_backend()) != 0)
			continue;
		EXPECT(one, stated[i].plain);
		for (int bells = 1; bells <= DUOSHM_BELLS_MAX; bells++) {
			int with = calls_with((unsigned)bells, 1);
			printf("[%d: %s] ", with, harness_calls_seen());
			EXPECT(with, one + stated[i].per_bells + bells * stated[i].per_bell);
		}
	}
}

static const struct harness_case cases[] = {
	{"open and close make a fixed number of system calls", open_and_close_is_fixed},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return harness_run_each(argc, argv, "calls", cases);
}
