/* SPDX-License-Identifier: MIT */
/*
 * This library over either family as a subject of `compare semantics`: the same verbs as in
 * compare_sysv.c and compare_posix.c, and nothing here that asks which family it is.
 */
#include "config.h"

#include "tools/compare_subject.h"

#include <stdio.h>
#include <string.h>

static const char *error_name(int code)
{
	switch (code) {
#define DUOSHM_X(name, number, text)                                                               \
	case DUOSHM_ERR_##name: return #name;
		DUOSHM_ERRORS(DUOSHM_X)
#undef DUOSHM_X
	default: return "?";
	}
}

/* Notes a call of the library with its result, and the outcome when it failed. */
TOOL_PRINTF(3, 4) static int noted(struct trial *t, int code, const char *format, ...)
{
	char call[64];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(call, sizeof call, format, arguments);
	va_end(arguments);
	if (code < 0) {
		int native = duoshm_failure()->system_error;
		evidence_note(t, "%s = %s%s%s: %s", call, error_name(code), native ? " " : "",
			native ? evidence_errno(native) : "", tool_cause(code));
		evidence_outcome(t, "%s", error_name(code));
		return -1;
	}
	evidence_note(t, "%s = %s", call,
		code == DUOSHM_OWNER_DEAD ? "OWNER_DEAD"
		: code == DUOSHM_REPLACED ? "REPLACED"
					  : "0");
	return 0;
}

static int begin(struct trial *t)
{
	struct duoshm_options options = DUOSHM_OPTIONS_INIT;
	options.backend = t->subject->backend;
	options.directory = t->directory;
	return noted(t, duoshm_new(&options, &t->ctx), "duoshm_new(backend)");
}

static int note_segment(struct trial *t, struct duoshm_segment *segment)
{
	t->segment = segment;
	t->memory = duoshm_segment_data(segment);
	t->size = duoshm_segment_size(segment);
	return 0;
}

static int create(struct trial *t, size_t size, unsigned mode)
{
	struct duoshm_create options = DUOSHM_CREATE_INIT;
	struct duoshm_segment *segment;
	options.mode = mode;
	int code = duoshm_segment_create(t->ctx, t->name, size, &options, &segment);
	if (noted(t, code, "duoshm_segment_create(name, %zu, 0%o)", size, mode) < 0)
		return -1;
	return note_segment(t, segment);
}

static int open_it(struct trial *t, bool read_only)
{
	struct duoshm_segment *segment;
	unsigned flags = read_only ? DUOSHM_READ_ONLY : 0;
	int code = duoshm_segment_open(t->ctx, t->name, flags, 0, &segment);
	if (noted(t, code, "duoshm_segment_open(name%s)", read_only ? ", READ_ONLY" : "") < 0)
		return -1;
	return note_segment(t, segment);
}

static int detach(struct trial *t)
{
	int code = duoshm_segment_close(t->segment);
	t->segment = NULL;
	return noted(t, code, "duoshm_segment_close(segment)");
}

static int remove_it(struct trial *t)
{
	return noted(t, duoshm_remove(t->ctx, t->name), "duoshm_remove(name)");
}

static int late_attach(struct trial *t)
{
	struct duoshm_segment *segment;
	int code = duoshm_segment_open(t->ctx, t->name, 0, 0, &segment);
	if (noted(t, code, "duoshm_segment_open(name)") < 0)
		return -1;
	duoshm_segment_close(segment);
	evidence_outcome(t, "works");
	return 0;
}

static int mode_of(struct trial *t)
{
	struct duoshm_stat status = DUOSHM_STAT_INIT;
	if (noted(t, duoshm_stat(t->ctx, t->name, &status), "duoshm_stat(name)") < 0)
		return -1;
	return (int)status.mode;
}

static int long_name(struct trial *t, unsigned length)
{
	char name[512];
	struct duoshm_segment *segment;
	snprintf(name, sizeof name, "%0*d", (int)length, 0);
	if (noted(t, duoshm_segment_create(t->ctx, name, 64, NULL, &segment),
		    "duoshm_segment_create(%u characters)", length) < 0)
		return 0;
	evidence_outcome(t, "accepted");
	duoshm_remove(t->ctx, name);
	return duoshm_segment_close(segment);
}

static int native_of(struct trial *t, char native[100])
{
	struct duoshm_stat status = DUOSHM_STAT_INIT;
	int code = duoshm_stat(t->ctx, t->name, &status);
	if (code >= 0)
		memcpy(native, status.native, sizeof status.native);
	return code;
}

/*
 * Leaves a stranger on the very key that the name had before, and creates the name again. The
 * entry's inode often comes back, and the key with it; where it does not, no collision was
 * provoked, and the outcome says so.
 */
static int collide(struct trial *t)
{
	char before[100], after[100];
	if (create(t, 64, 0600) < 0 || native_of(t, before) < 0)
		return -1;
	remove_it(t);
	detach(t);
	const struct verbs *bare = t->subject->bare;
	int stranger = bare->occupy ? bare->occupy(t, before) : -1;
	if (stranger < 0) {
		evidence_note(t, "native name %s: made of the name and a random tag", before);
		evidence_outcome(t, "no keys");
		return 0;
	}
	if (create(t, 64, 0600) == 0 && native_of(t, after) == 0) {
		evidence_note(t, "key before: %s, now: %s", before, after);
		evidence_outcome(
			t, strcmp(before + 4, after + 4) == 0 ? "kept apart" : "not provoked");
	}
	bare->vacate(stranger);
	return 0;
}

/*
 * In a forked child: the parent's handle is refused; the mapping itself is the kernel's to inherit.
 */
static int inherit(struct trial *t)
{
	void *data = duoshm_segment_data(t->segment);
	evidence_note(t, "child: duoshm_segment_data(segment) = %s", data ? "memory" : "NULL");
	return noted(
		t, duoshm_segment_publish(t->segment), "child: duoshm_segment_publish(segment)");
}

/* Locks are what this library has for the death of a holder. */
static int hold(struct trial *t)
{
	int code = duoshm_lock_create(t->ctx, t->name, NULL, &t->lock);
	if (noted(t, code, "duoshm_lock_create(name)") < 0)
		return -1;
	return noted(t, duoshm_lock_acquire(t->lock, 0), "duoshm_lock_acquire(lock, 0)");
}

static int take_over(struct trial *t)
{
	if (noted(t, duoshm_lock_open(t->ctx, t->name, 0, 0, &t->lock), "duoshm_lock_open(name)") <
		0)
		return -1;
	int code = duoshm_lock_acquire(t->lock, 500000000);
	if (noted(t, code, "duoshm_lock_acquire(lock, 500 ms)") < 0)
		return -1;
	evidence_outcome(
		t, "%s", code == DUOSHM_OWNER_DEAD ? "OWNER_DEAD, held" : "held, not told");
	return noted(t, duoshm_lock_release(t->lock), "duoshm_lock_release(lock)");
}

static int semaphore_create(struct trial *t, unsigned value)
{
	struct duoshm_semaphore *semaphore = NULL;
	int code = duoshm_semaphore_create(t->ctx, t->name, value, NULL, &semaphore);
	t->semaphore = semaphore;
	return noted(t, code, "duoshm_semaphore_create(name, %u)", value);
}

static int semaphore_open(struct trial *t)
{
	struct duoshm_semaphore *semaphore = NULL;
	int code = duoshm_semaphore_open(t->ctx, t->name, 0, 0, &semaphore);
	t->semaphore = semaphore;
	return noted(t, code, "duoshm_semaphore_open(name)");
}

static int wait_it(struct trial *t, int64_t timeout_ns)
{
	int code = duoshm_semaphore_wait(t->semaphore, timeout_ns, 0);
	noted(t, code, "duoshm_semaphore_wait(semaphore, %d ms)", (int)(timeout_ns / 1000000));
	if (code == DUOSHM_ERR_TIMEOUT)
		evidence_outcome(t, "still taken");
	return code < 0 ? -1 : 0;
}

static int block(struct trial *t)
{
	return wait_it(t, 600000000);
}

static void end(struct trial *t)
{
	duoshm_segment_close(t->segment);
	duoshm_semaphore_close(t->semaphore);
	duoshm_lock_close(t->lock);
	duoshm_remove(t->ctx, t->name);
	duoshm_free(t->ctx);
}

const struct verbs compare_library = {
	.begin = begin,
	.create = create,
	.open = open_it,
	.detach = detach,
	.remove = remove_it,
	.late_attach = late_attach,
	.mode = mode_of,
	.long_name = long_name,
	.collide = collide,
	.inherit = inherit,
	.hold = hold,
	.take_over = take_over,
	.semaphore_create = semaphore_create,
	.semaphore_open = semaphore_open,
	.wait = wait_it,
	.block = block,
	.semaphore_remove = remove_it,
	.end = end,
};
