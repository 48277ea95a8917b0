/* SPDX-License-Identifier: MIT */
/* What many tests begin and end with; see the header. */
#include "config.h"

#include "harness/fixture.h"

struct duoshm *context_of(const char *backend, const char *directory)
{
	struct duoshm_options options = DUOSHM_OPTIONS_INIT;
	struct duoshm *ctx = NULL;

	options.backend = backend;
	options.directory = directory;
	OK(duoshm_new(&options, &ctx));
	return ctx;
}

struct duoshm *new_context(void)
{
	return context_of(harness_backend(), NULL);
}

void end_context(struct duoshm *ctx)
{
	EXPECT(duoshm_free(ctx), 0);
}

struct duoshm_create create_with(unsigned flags, unsigned bells)
{
	struct duoshm_create options = DUOSHM_CREATE_INIT;

	options.flags = flags;
	options.bells = bells;
	return options;
}

struct duoshm_segment *make_segment(
	struct duoshm *ctx, const char *stem, size_t size, unsigned flags)
{
	struct duoshm_create options = create_with(flags, 0);
	struct duoshm_segment *segment = NULL;

	EXPECT_FATAL(duoshm_segment_create(ctx, harness_name(stem), size, &options, &segment),
		DUOSHM_CREATED);
	return segment;
}

struct duoshm_segment *open_segment(struct duoshm *ctx, const char *stem, unsigned flags)
{
	struct duoshm_segment *segment = NULL;

	OK(duoshm_segment_open(ctx, harness_name(stem), flags, 0, &segment));
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

struct count {
	int kind;
	unsigned n;
};

static int count_one(const struct duoshm_stat *object, void *argument)
{
	struct count *count = argument;

	count->n += object->kind == count->kind;
	return 0;
}

unsigned count_kind(struct duoshm *ctx, int kind)
{
	struct count count = {.kind = kind};

	EXPECT(duoshm_list(ctx, 0, count_one, &count), 0);
	return count.n;
}

bool has_no_room_for_lanes(void)
{
	bool none = harness_profile("tiny-shm") && strcmp(harness_backend(), "posix") == 0;

	if (none)
		harness_skip("no room for lanes");
	return none;
}

void start_helper(struct helper *helper, int (*fn)(void *helper), const char *stem, unsigned flags)
{
	harness_gate(&helper->ready);
	harness_gate(&helper->go);
	helper->stem = stem;
	helper->flags = flags;
	helper->pid = harness_fork(fn, helper);
	CHECK(harness_gate_pass(&helper->ready));
}

int helper_stays(struct helper *helper)
{
	harness_gate_open(&helper->ready);
	return harness_gate_pass(&helper->go) ? 0 : 1;
}

static void close_gates(struct helper *helper)
{
	harness_gate_close(&helper->ready);
	harness_gate_close(&helper->go);
}

void kill_helper(struct helper *helper)
{
	harness_kill(helper->pid);
	close_gates(helper);
}

void finish_helper(struct helper *helper)
{
	harness_gate_open(&helper->go);
	EXPECT(harness_wait(helper->pid), 0);
	close_gates(helper);
}

int create_and_hang(void *argument)
{
	struct helper *helper = argument;

	make_segment(new_context(), helper->stem, 4096, helper->flags);
	return helper_stays(helper);
}

int open_and_hang(void *argument)
{
	struct helper *helper = argument;

	open_segment(new_context(), helper->stem, helper->flags);
	return helper_stays(helper);
}
