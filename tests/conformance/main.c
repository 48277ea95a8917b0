/* SPDX-License-Identifier: MIT */
/* The suite's table, and what its files share. */
#include "config.h"

#include "conformance/conformance.h"

#include <errno.h>
#include <string.h>

bool expect(long long got, long long want, const char *call, const char *file, int line)
{
	if (got == want)
		return true;
	const struct duoshm_failure *failure = duoshm_failure();
	printf("\n%s:%d: %s gave %lld (%s), not %lld (%s)", file, line, call, got,
		got < 0 ? duoshm_strerror((int)got) : "-", want,
		want < 0 ? duoshm_strerror((int)want) : "-");
	if (got < 0)
		printf(": %s; %s", failure->cause, failure->call);
	printf("\n");
	fflush(stdout);
	return false;
}

static int try_context(struct duoshm **ctx)
{
	struct duoshm_options options = DUOSHM_OPTIONS_INIT;

	options.backend = harness_backend();
	return duoshm_new(&options, ctx);
}

struct duoshm *new_context(void)
{
	struct duoshm *ctx = NULL;

	EXPECT_FATAL(try_context(&ctx), 0);
	return ctx;
}

void end_context(struct duoshm *ctx)
{
	EXPECT(duoshm_free(ctx), 0);
}

struct duoshm *child_context(void)
{
	struct duoshm *ctx = NULL;

	CHILD_EXPECT(try_context(&ctx), 0);
	return ctx;
}

struct duoshm_segment *make_segment(
	struct duoshm *ctx, const char *stem, size_t size, unsigned flags)
{
	struct duoshm_create options = DUOSHM_CREATE_INIT;
	struct duoshm_segment *segment = NULL;

	options.flags = flags;
	EXPECT_FATAL(duoshm_segment_create(ctx, harness_name(stem), size, &options, &segment),
		DUOSHM_CREATED);
	return segment;
}

struct duoshm_segment *open_segment(struct duoshm *ctx, const char *stem, unsigned flags)
{
	struct duoshm_segment *segment = NULL;

	EXPECT_FATAL(duoshm_segment_open(ctx, harness_name(stem), flags, 0, &segment), 0);
	return segment;
}

void end_segment(struct duoshm_segment *segment)
{
	EXPECT(duoshm_segment_close(segment), 0);
}

void discard(struct duoshm *ctx, const char *stem)
{
	EXPECT(duoshm_remove(ctx, harness_name(stem)), 0);
}

struct duoshm_stat stat_of(struct duoshm *ctx, const char *stem)
{
	struct duoshm_stat stat = DUOSHM_STAT_INIT;

	EXPECT(duoshm_stat(ctx, harness_name(stem), &stat), 0);
	return stat;
}

void start_helper(struct helper *helper, int (*fn)(void *helper), const char *stem, unsigned flags)
{
	harness_gate(&helper->ready);
	harness_gate(&helper->go);
	helper->stem = stem;
	helper->flags = flags;
	helper->pid = harness_fork(fn, helper);
	CU_ASSERT(harness_gate_pass(&helper->ready));
}

void kill_helper(struct helper *helper)
{
	harness_kill(helper->pid);
	harness_gate_close(&helper->ready);
	harness_gate_close(&helper->go);
}

void finish_helper(struct helper *helper)
{
	harness_gate_open(&helper->go);
	CU_ASSERT_EQUAL(harness_wait(helper->pid), 0);
	harness_gate_close(&helper->ready);
	harness_gate_close(&helper->go);
}

static int hang(struct helper *helper)
{
	harness_gate_open(&helper->ready);
	return harness_gate_pass(&helper->go) ? 0 : 1;
}

int create_and_hang(void *argument)
{
	struct helper *helper = argument;
	struct duoshm_create options = DUOSHM_CREATE_INIT;
	struct duoshm_segment *segment;

	options.flags = helper->flags;
	CHILD_EXPECT(duoshm_segment_create(
			     child_context(), harness_name(helper->stem), 4096, &options, &segment),
		DUOSHM_CREATED);
	return hang(helper);
}

int open_and_hang(void *argument)
{
	struct helper *helper = argument;
	struct duoshm_segment *segment;

	CHILD_EXPECT(duoshm_segment_open(child_context(), harness_name(helper->stem), helper->flags,
			     0, &segment),
		0);
	return hang(helper);
}

int main(int argc, char **argv)
{
	const struct harness_case *const tables[] = {object_cases, right_cases, inspect_cases,
		semaphore_cases, lock_cases, process_cases, queue_cases};
	static struct harness_case all[300];
	size_t n = 0;

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		for (const struct harness_case *one = tables[i]; one->name != NULL; one++) {
			if (n + 1 == sizeof(all) / sizeof(all[0]))
				return 99;
			all[n++] = *one;
		}
	}
	return harness_run(argc, argv, "conformance", all);
}
