/* SPDX-License-Identifier: MIT */
/*
 * What is known of an object from outside, and its state. The entry has the fixed facts, the kernel its own, the header
 * the times, the lifelines who has it attached; nothing of it is changed, and no lock is taken.
 *
 * The trap: an orphan is what is proven to be one. Where the proof is lacking the state is UNKNOWN, even where
 * everybody would bet.
 */
#include "config.h"

#include "core/inspect.h"

#include "core/array.h"
#include "core/failure.h"
#include "core/kind.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- who has what attached ---- */

static void count_one(uint64_t generation, int64_t pid, void *arg)
{
	struct duoshm__census *census = arg;

	(void)pid;
	uint64_t *grown =
		duoshm__array_grow(census->generations, census->n, sizeof *census->generations);
	if (grown == NULL) {
		census->incomplete = true;
		return;
	}
	census->generations = grown;
	grown[census->n++] = generation;
}

int duoshm__census_take(struct duoshm *ctx, struct duoshm__census *out)
{
	memset(out, 0, sizeof *out);
	int result = duoshm__lifeline_scan(ctx->registry.directory, count_one, out, NULL);
	if (result == 0 && out->incomplete)
		result = duoshm__fail(DUOSHM_ERR_NO_SPACE, "no memory to count the attachments");
	if (result < 0) {
		duoshm__census_free(out);
		return result;
	}
	if (out->n > 0)
		qsort(out->generations, out->n, sizeof *out->generations, duoshm__array_by_number);
	return 0;
}

void duoshm__census_free(struct duoshm__census *census)
{
	free(census->generations);
	memset(census, 0, sizeof *census);
}

/* The number of entries that are less than `generation`. */
static size_t rank(const struct duoshm__census *census, uint64_t generation)
{
	size_t low = 0, high = census->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (census->generations[middle] < generation)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static unsigned attached(const struct duoshm__census *census, uint64_t generation)
{
	if (generation == UINT64_MAX)
		return (unsigned)(census->n - rank(census, generation));
	return (unsigned)(rank(census, generation + 1) - rank(census, generation));
}

/* ---- facts ---- */

static void clear(struct duoshm_stat *out)
{
	memset(out, 0, sizeof *out);
	out->struct_size = sizeof *out;
	out->id = out->bells_id = -1;
	out->kernel_attached = -1;
	out->value = -1;
}

static void fill_fixed(const struct duoshm_segment *outside, struct duoshm_stat *out)
{
	const struct duoshm__entry *entry = &outside->entry;

	snprintf(out->name, sizeof out->name, "%s", entry->name);
	snprintf(out->backend, sizeof out->backend, "%s", entry->backend);
	snprintf(out->native, sizeof out->native, "%s", entry->native.text);
	if (entry->bells > 0)
		snprintf(out->bell, sizeof out->bell, "%s", outside->backend->bell_call);
	out->id = entry->native.segment_id;
	out->bells_id = entry->native.bells_id;
	out->kind = entry->kind;
	out->size = entry->size;
	out->generation = entry->generation;
	out->mode = entry->mode;
	out->uid = entry->uid;
	out->gid = entry->gid;
	out->bells = entry->bells;
	out->persistent = entry->persistent;
	out->reserved = entry->reserved;
	out->creator_pid = entry->creator.pid;
	out->created_ns = entry->created_ns;
}

/* What the memory itself tells: 0, or why it tells nothing. `*removed`: a removal was begun. */
static int read_memory(const struct duoshm_segment *outside, struct duoshm_stat *out, bool *removed)
{
	struct duoshm_segment seen = DUOSHM__OUTSIDE(outside->ctx, outside->backend);

	seen.entry = outside->entry;
	seen.read_only = true;
	int result = duoshm__object_map(&seen);
	if (result < 0)
		return result;
	out->attached_ns = (int64_t)duoshm__load64(&seen.header->attached_ns);
	out->detached_ns = (int64_t)duoshm__load64(&seen.header->detached_ns);
	out->changed_ns = (int64_t)duoshm__load64(&seen.header->changed_ns);
	out->last_pid = (int64_t)duoshm__load64(&seen.header->last_pid);
	*removed = duoshm__object_removed(&seen);
	duoshm__kind_stat(seen.entry.kind, seen.payload, (size_t)seen.entry.size, out);
	duoshm__object_unmap(&seen);
	return 0;
}

/* ---- state ---- */

#if defined __GNUC__
__attribute__((format(printf, 3, 4)))
#endif
static void
judge(struct duoshm_stat *out, int state, const char *why, ...)
{
	va_list arguments;

	out->state = state;
	va_start(arguments, why);
	vsnprintf(out->why, sizeof out->why, why, arguments);
	va_end(arguments);
}

static void judge_half_built(
	struct duoshm_stat *out, enum duoshm__life life, uint64_t generation, bool locked)
{
	long long pid = (long long)out->creator_pid;

	if (locked)
		judge(out, DUOSHM_ORPHAN, "half-built, and nobody holds its creation lock");
	else if (generation == 0)
		judge(out, DUOSHM_UNKNOWN, "just being begun, or its creator died at once");
	else if (life == DUOSHM__ALIVE)
		judge(out, DUOSHM_LIVE, "being built by pid %lld", pid);
	else if (life == DUOSHM__DEAD)
		judge(out, DUOSHM_ORPHAN, "half-built, and its creator %lld is dead", pid);
	else
		judge(out, DUOSHM_UNKNOWN, "half-built; whether pid %lld lives cannot be proven",
			pid);
}

static void judge_absent(struct duoshm_stat *out, enum duoshm__life life)
{
	long long pid = (long long)out->creator_pid;

	if (life == DUOSHM__DEAD)
		judge(out, DUOSHM_ORPHAN, "an entry without object; creator %lld is dead", pid);
	else
		judge(out, DUOSHM_UNKNOWN,
			"an entry without object: removed from outside; creator %lld %s", pid,
			life == DUOSHM__ALIVE ? "is alive" : "cannot be judged");
}

static void judge_present(struct duoshm_stat *out, enum duoshm__life life, int memory, bool removed)
{
	const char *damage = memory == DUOSHM_ERR_CORRUPT || memory == DUOSHM_ERR_INCOMPATIBLE
				     ? "; its memory does not agree with the registry"
				     : "";
	long long pid = (long long)out->creator_pid;

	if (removed)
		judge(out, DUOSHM_ORPHAN, "a removal of it was stopped half-way");
	else if (out->persistent)
		judge(out, DUOSHM_LIVE, "persistent%s", damage);
	else if (life == DUOSHM__ALIVE)
		judge(out, DUOSHM_LIVE, "creator %lld is alive%s", pid, damage);
	else if (life == DUOSHM__DEAD)
		judge(out, DUOSHM_ORPHAN, "creator %lld is dead", pid);
	else
		judge(out, DUOSHM_UNKNOWN, "whether creator %lld lives cannot be proven%s", pid,
			damage);
}

bool duoshm__inspect(const struct duoshm_segment *outside, const struct duoshm__census *census,
	struct duoshm_stat *out)
{
	const struct duoshm__entry *entry = &outside->entry;
	enum duoshm__life life = duoshm__object_life(outside, entry->owner, &entry->creator);
	struct duoshm__native_stat kernel;
	struct duoshm_failure why = {0};
	bool removed = false;

	clear(out);
	fill_fixed(outside, out);
	if (census != NULL) {
		out->attached = attached(census, entry->generation);
		out->readers =
			duoshm__presence_test(&outside->ctx->registry, entry->name, entry->backend);
	}
	if (!entry->ready) {
		judge_half_built(out, life, entry->generation, outside->creation.fd >= 0);
		return true;
	}
	int result = outside->backend->stat(&entry->native, &kernel, &why);
	if (result == DUOSHM_ERR_NOT_FOUND) {
		judge_absent(out, life);
		return false;
	}
	out->footprint = result == 0 ? kernel.size : entry->footprint;
	out->kernel_attached = result == 0 ? kernel.attached : -1;
	result = read_memory(outside, out, &removed);
	judge_present(out, life, result, removed);
	return true;
}

bool duoshm__inspect_remains(const struct duoshm_segment *outside)
{
	struct duoshm_stat found;

	return !duoshm__inspect(outside, NULL, &found) || found.state == DUOSHM_ORPHAN;
}

void duoshm__inspect_unreadable(
	const struct duoshm__entry *entry, int result, struct duoshm_stat *out)
{
	clear(out);
	snprintf(out->name, sizeof out->name, "%s", entry->name);
	snprintf(out->backend, sizeof out->backend, "%s", entry->backend);
	out->readers = -1;
	judge(out, DUOSHM_UNKNOWN, "its registry entry %s",
		result == DUOSHM_ERR_PERMISSION ? "may not be read by this user" : "is damaged");
}
