/* SPDX-License-Identifier: MIT */
/*
 * What an open and close of an existing object costs in system calls: a fixed number per family and bell, that the
 * manual states. Linux alone, where the libc's own calls are known; a different number is a change to be explained there.
 */
#include "config.h"

#include "duoshm.h"
#include "harness/harness.h"

#include <string.h>

struct job {
	struct duoshm *ctx;
	const char *stem;
	unsigned flags;
	int times;
};

static int prepare(void *argument)
{
	struct job *job = argument;
	struct duoshm_segment *segment;
	struct duoshm_options options = DUOSHM_OPTIONS_INIT;

	options.backend = harness_backend();
	if (duoshm_new(&options, &job->ctx) != 0)
		return 1;
	/* The allocator and the process's own records come to rest. */
	for (int i = 0; i < 3; i++) {
		if (duoshm_segment_open(job->ctx, harness_name(job->stem), 0, 0, &segment) != 0 ||
			duoshm_segment_close(segment) != 0)
			return 1;
	}
	return 0;
}

static int open_and_close(void *argument)
{
	struct job *job = argument;
	struct duoshm_segment *segment;

	for (int i = 0; i < job->times; i++) {
		if (duoshm_segment_open(
			    job->ctx, harness_name(job->stem), job->flags, 0, &segment) != 0 ||
			duoshm_segment_close(segment) != 0)
			return 1;
	}
	return 0;
}

static int calls_with(unsigned bells, unsigned flags, int times)
{
	struct duoshm_options options = DUOSHM_OPTIONS_INIT;
	struct duoshm_create create = DUOSHM_CREATE_INIT;
	struct duoshm_segment *segment;
	struct job job = {.stem = "counted", .flags = flags, .times = times};
	struct duoshm *ctx;

	options.backend = harness_backend();
	create.bells = bells;
	CU_ASSERT_EQUAL_FATAL(duoshm_new(&options, &ctx), 0);
	CU_ASSERT_EQUAL_FATAL(
		duoshm_segment_create(ctx, harness_name(job.stem), 64, &create, &segment), 0);
	/* Not to be inherited: sem_open finds an open semaphore again without a call. */
	CU_ASSERT_EQUAL(duoshm_segment_close(segment), 0);
	int calls = harness_count_calls(prepare, open_and_close, &job);
	CU_ASSERT_EQUAL(duoshm_remove(ctx, harness_name(job.stem)), 0);
	CU_ASSERT_EQUAL(duoshm_free(ctx), 0);
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
	int one = harness_instrumented() ? HARNESS_NO_TRACE : calls_with(0, 0, 1);

	if (one == HARNESS_NO_TRACE)
		HARNESS_SKIP("system calls cannot be counted here");
	printf("[%d: %s] ", one, harness_calls_seen());
	CU_ASSERT_EQUAL(calls_with(0, 0, 10), 10 * one);
	for (size_t i = 0; i < sizeof(stated) / sizeof(stated[0]); i++) {
#ifndef __GLIBC__
		break; /* what is stated is glibc's */
#endif
		if (strcmp(stated[i].backend, harness_backend()) != 0)
			continue;
		CU_ASSERT_EQUAL(one, stated[i].plain);
		for (int bells = 1; bells <= DUOSHM_BELLS_MAX; bells++) {
			int with = calls_with((unsigned)bells, 0, 1);
			printf("[%d: %s] ", with, harness_calls_seen());
			CU_ASSERT_EQUAL(
				with, one + stated[i].per_bells + bells * stated[i].per_bell);
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
