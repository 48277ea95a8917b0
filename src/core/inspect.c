/* SPDX-License-Identifier: MIT */
/*
 * What is known of an object from outside, and its state: stat, list and reclaim. The entry has the
 * fixed facts, the kernel its own, the header the times, the lifelines who has it attached; to look
 * changes nothing and waits for no lock.
 *
 * Two traps. An orphan is what is proven to be one: where the proof is lacking the state is
 * UNKNOWN, even where everybody would bet. And between the cleaner's look and its removal the name
 * may have come to life again: so an orphan is judged once more under its creation lock, which
 * whoever makes it anew would hold.
 */
#include "config.h"

#include "core/array.h"
#include "core/failure.h"
#include "core/lock_layout.h"
#include "core/object.h"
#include "core/semaphore_layout.h"
#include "core/sized.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *duoshm_kind_name(int kind)
{
	static const char *const names[] = {
		"any", "segment", "semaphore", "lock", "queue", "broadcast", "device", "lane"};

	return kind < 0 || kind > DUOSHM_KIND_LANE ? "?" : names[kind];
}

const char *duoshm_state_name(int state)
{
	static const char *const names[] = {"?", "live", "orphan", "unknown", "foreign"};

	return state < DUOSHM_LIVE || state > DUOSHM_FOREIGN ? "?" : names[state];
}

/* ---- who has what attached ---- */

/* Who has what attached, counted once: the generations in the lifelines of the living, sorted. */
struct census {
	uint64_t *generations;
	size_t n;
	bool incomplete; /* no memory for all of them */
};

static void count_one(uint64_t generation, int64_t pid, void *arg)
{
	struct census *census = arg;

	(void)pid;
	uint64_t *grown =
		duoshm__array_grow(census->generations, census->n, sizeof *census->generations);
	if (!grown) {
		census->incomplete = true;
		return;
	}
	census->generations = grown;
	grown[census->n++] = generation;
}

static void census_free(struct census *census)
{
	free(census->generations);
	memset(census, 0, sizeof *census);
}

static int census_take(struct duoshm *ctx, struct census *out)
{
	memset(out, 0, sizeof *out);
	int result = duoshm__lifeline_scan(ctx->registry.directory, count_one, out, NULL);
	if (result == 0 && out->incomplete)
		result = duoshm__fail(DUOSHM_ERR_NO_SPACE, "no memory to count the attachments");
	if (result < 0) {
		census_free(out);
		return result;
	}
	if (out->n > 0)
		qsort(out->generations, out->n, sizeof *out->generations, duoshm__array_by_number);
	return 0;
}

static unsigned attached(const struct census *census, uint64_t generation)
{
	size_t low = 0, high = census->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (census->generations[middle] < generation)
			low = middle + 1;
		else
			high = middle;
	}
	while (high < census->n && census->generations[high] == generation)
		high++;
	return (unsigned)(high - low);
}

/* ---- facts ---- */

static void fill_fixed(const struct duoshm_segment *outside, struct duoshm_stat *out)
{
	const struct duoshm__entry *entry = &outside->entry;

	*out = (struct duoshm_stat)DUOSHM_STAT_INIT;
	out->kernel_attached = -1;
	out->value = -1;
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

static void stat_lock(const struct duoshm__lock *lock, struct duoshm_stat *out)
{
	struct duoshm__lock_label label;
	uint64_t word = duoshm__load64_acquire(&lock->word);

	if ((word & DUOSHM__LOCK_OWNER) == 0)
		return;
	out->holder_pid = -1; /* held, but by whom is not written yet */
	if (!duoshm__lock_label(lock, word, &label))
		return;
	out->holder_pid = label.process.pid;
	out->held_since_ns = label.since_ns;
}

/* The fields that only this kind has. The payload may be hostile. */
static void stat_payload(const struct duoshm_segment *seen, struct duoshm_stat *out)
{
	const struct duoshm__semaphore *semaphore = seen->payload;
	int kind = seen->entry.kind;

	if (kind == DUOSHM_KIND_SEMAPHORE && seen->entry.size >= sizeof *semaphore) {
		uint32_t value = duoshm__load32(&semaphore->word) & DUOSHM__SEMAPHORE_VALUE;

		out->value = value <= DUOSHM_VALUE_MAX ? (int64_t)value : -1;
	}
	if (kind == DUOSHM_KIND_LOCK && seen->entry.size >= sizeof(struct duoshm__lock))
		stat_lock(seen->payload, out);
}

/* What the memory itself tells: 0, or why it tells nothing. */
static int read_memory(const struct duoshm_segment *outside, struct duoshm_stat *out)
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
	stat_payload(&seen, out);
	duoshm__object_unmap(&seen);
	return 0;
}

/* ---- state ---- */

DUOSHM__PRINTF(3, 4)
static void judge(struct duoshm_stat *out, int state, const char *why, ...)
{
	va_list arguments;

	out->state = state;
	va_start(arguments, why);
	vsnprintf(out->why, sizeof out->why, why, arguments);
	va_end(arguments);
}

static void judge_half_built(
	const struct duoshm_segment *outside, enum duoshm__life life, struct duoshm_stat *out)
{
	long long pid = (long long)out->creator_pid;
	bool is_abandoned = duoshm__object_is_abandoned(outside);

	if (is_abandoned && life == DUOSHM__DEAD && out->generation != 0)
		judge(out, DUOSHM_ORPHAN, "half-built, and its creator %lld is dead", pid);
	else if (is_abandoned)
		judge(out, DUOSHM_ORPHAN, "never finished, and nobody is building it");
	else if (out->generation == 0)
		judge(out, DUOSHM_UNKNOWN, "just being begun, or its creator died at once");
	else if (life == DUOSHM__ALIVE)
		judge(out, DUOSHM_LIVE, "being built by pid %lld", pid);
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

static void judge_present(struct duoshm_stat *out, enum duoshm__life life, int memory)
{
	const char *damage = memory == DUOSHM_ERR_CORRUPT || memory == DUOSHM_ERR_INCOMPATIBLE
				     ? "; its memory does not agree with the registry"
				     : "";
	long long pid = (long long)out->creator_pid;

	if (out->persistent)
		judge(out, DUOSHM_LIVE, "persistent%s", damage);
	else if (life == DUOSHM__ALIVE)
		judge(out, DUOSHM_LIVE, "creator %lld is alive%s", pid, damage);
	else if (life == DUOSHM__DEAD)
		judge(out, DUOSHM_ORPHAN, "creator %lld is dead", pid);
	else
		judge(out, DUOSHM_UNKNOWN, "whether creator %lld lives cannot be proven%s", pid,
			damage);
}

/*
 * Everything about an object; fails at nothing: what cannot be learned stays 0, or -1 where the
 * field says so. Where the creation lock is held, half-built is the work of a dead one. `census`
 * NULL: who has it attached is not asked. False: the kernel has it no more.
 */
static bool inspect(
	const struct duoshm_segment *outside, const struct census *census, struct duoshm_stat *out)
{
	const struct duoshm__entry *entry = &outside->entry;
	enum duoshm__life life = duoshm__object_life(outside, entry->owner, &entry->creator);
	struct duoshm__native_stat kernel;
	struct duoshm_failure why = {0};

	fill_fixed(outside, out);
	if (census) {
		out->attached = attached(census, entry->generation);
		out->readers =
			duoshm__presence_test(&outside->ctx->registry, entry->name, entry->backend);
	}
	if (!entry->ready) {
		judge_half_built(outside, life, out);
		return true;
	}
	int result = outside->backend->stat(&entry->native, &kernel, &why);
	bool exists = result != DUOSHM_ERR_NOT_FOUND;
	if (exists) {
		out->footprint = result == 0 ? kernel.size : entry->footprint;
		out->kernel_attached = result == 0 ? kernel.attached : -1;
		result = read_memory(outside, out);
	}
	if (entry->removing)
		judge(out, DUOSHM_ORPHAN, "a removal of it was stopped half-way");
	else if (exists)
		judge_present(out, life, result);
	else
		judge_absent(out, life);
	return exists;
}

bool duoshm__object_is_remains(const struct duoshm_segment *outside)
{
	struct duoshm_stat found;

	return !inspect(outside, NULL, &found) || found.state == DUOSHM_ORPHAN;
}

/* For an entry that could not be read: UNKNOWN, with the reason. */
static void inspect_unreadable(
	const struct duoshm_segment *outside, int result, struct duoshm_stat *out)
{
	fill_fixed(outside, out);
	out->readers = -1;
	judge(out, DUOSHM_UNKNOWN, "its registry entry %s",
		result == DUOSHM_ERR_PERMISSION ? "may not be read by this user" : "is damaged");
}

/* ---- stat ---- */

int duoshm_stat(struct duoshm *ctx, const char *text, struct duoshm_stat *out)
{
	size_t room = duoshm__sized_room(out, offsetof(struct duoshm_stat, id));
	bool counts = room > offsetof(struct duoshm_stat, attached);
	struct duoshm_segment outside = DUOSHM__OUTSIDE(ctx, NULL);
	struct census census = {0};
	struct duoshm__name name;
	struct duoshm_stat found;
	int result = duoshm__context_check(ctx);

	if (result == 0 && room == 0)
		result = duoshm__fail(
			DUOSHM_ERR_INVALID, "stat: the struct was not made with DUOSHM_STAT_INIT");
	if (result == 0)
		result = duoshm__name_parse(text, &name);
	if (result == 0)
		result = duoshm__context_find(ctx, &name, &outside.backend, &outside.entry);
	if (result == 0 && counts)
		result = census_take(ctx, &census);
	if (result < 0)
		return result;
	bool exists = inspect(&outside, counts ? &census : NULL, &found);
	census_free(&census);
	if (!exists) {
		duoshm__fail(DUOSHM_ERR_NOT_FOUND, "\"%s\" is %s (%s)", found.name, found.why,
			found.native);
		return duoshm__set_cure("create it anew, or clean up with: " DUOSHM_DETACH
					" -n %s:%s",
			found.backend, found.name);
	}
	duoshm__sized_give(out, room, &found, sizeof found);
	return 0;
}

/* ---- list ---- */

struct walk {
	struct duoshm *ctx;
	struct census census;
	duoshm_list_fn *fn;
	void *arg;
	int stopped;                  /* what fn said, if it ended the walk */
	struct duoshm__native *known; /* the kernel's names in the registry; sorted by text */
	size_t n_known;
	const struct duoshm__backend *backend; /* whose kernel objects are being listed */
	bool dry;
	int count; /* of orphans */
};

static bool in_scope(const struct duoshm *ctx, const struct duoshm__backend *backend)
{
	return backend && (!ctx->backend || strcmp(ctx->backend->name, backend->name) == 0);
}

static int remember(struct walk *walk, const struct duoshm__native *native)
{
	struct duoshm__native *grown =
		duoshm__array_grow(walk->known, walk->n_known, sizeof *walk->known);

	if (!grown)
		return DUOSHM_ERR_NO_SPACE;
	walk->known = grown;
	grown[walk->n_known++] = *native;
	return 0;
}

static int show(struct walk *walk, const struct duoshm_stat *found)
{
	walk->stopped = walk->fn(found, walk->arg);
	return walk->stopped;
}

static int list_entry(const struct duoshm__entry *entry, int result, void *arg)
{
	struct walk *walk = arg;
	struct duoshm_segment outside =
		DUOSHM__OUTSIDE(walk->ctx, duoshm__backend_find(entry->backend));
	struct duoshm_stat found;

	if (!in_scope(walk->ctx, outside.backend))
		return 0;
	outside.entry = *entry;
	if (result < 0) {
		inspect_unreadable(&outside, result, &found);
		return show(walk, &found);
	}
	inspect(&outside, &walk->census, &found);
	result = remember(walk, &entry->native);
	return result < 0 ? result : show(walk, &found);
}

static int by_text(const void *a, const void *b)
{
	const struct duoshm__native *x = a, *y = b;

	return strcmp(x->text, y->text);
}

static const struct duoshm__native *find_known(
	const struct walk *walk, const struct duoshm__native *wanted)
{
	return walk->n_known == 0
		       ? NULL
		       : bsearch(wanted, walk->known, walk->n_known, sizeof *walk->known, by_text);
}

/* Bells that have names of their own are called like their segment, with ".0" to ".3" behind. */
static bool is_known(const struct walk *walk, const struct duoshm__native_item *item)
{
	struct duoshm__native segment = item->native;
	const struct duoshm__native *found = find_known(walk, &segment);
	size_t length = strlen(segment.text);

	if (found && item->semaphore)
		return found->bells_id < 0 || found->bells_id == item->native.bells_id;
	if (found)
		return found->segment_id < 0 || found->segment_id == item->native.segment_id;
	if (!item->semaphore || length < 3 || segment.text[length - 2] != '.')
		return false;
	segment.text[length - 2] = '\0';
	return find_known(walk, &segment);
}

static unsigned known_or_0(int64_t value)
{
	return value < 0 ? 0 : (unsigned)value;
}

static int list_foreign(const struct duoshm__native_item *item, void *arg)
{
	struct walk *walk = arg;
	struct duoshm_stat found = DUOSHM_STAT_INIT;

	if (is_known(walk, item))
		return 0;
	snprintf(found.backend, sizeof found.backend, "%s", walk->backend->name);
	snprintf(found.native, sizeof found.native, "%s", item->native.text);
	snprintf(found.why, sizeof found.why, "not in the registry %.60s",
		walk->ctx->registry.directory);
	found.id = item->native.segment_id;
	found.bells_id = item->native.bells_id;
	found.kind = item->semaphore ? DUOSHM_KIND_SEMAPHORE : DUOSHM_KIND_SEGMENT;
	found.state = DUOSHM_FOREIGN;
	if (item->semaphore) {
		found.bells = (unsigned)item->stat.size;
		snprintf(found.bell, sizeof found.bell, "%s", walk->backend->bell_call);
	} else {
		found.size = found.footprint = item->stat.size;
	}
	found.mode = known_or_0(item->stat.mode);
	found.uid = known_or_0(item->stat.uid);
	found.gid = known_or_0(item->stat.gid);
	found.creator_pid = item->stat.creator_pid < 0 ? 0 : item->stat.creator_pid;
	found.last_pid = item->stat.last_pid < 0 ? 0 : item->stat.last_pid;
	found.kernel_attached = item->stat.attached;
	found.readers = -1;
	found.value = -1;
	return show(walk, &found);
}

/* What a kernel cannot list does not hide the rest. */
static int list_system(struct walk *walk)
{
	if (walk->n_known > 0)
		qsort(walk->known, walk->n_known, sizeof *walk->known, by_text);
	for (unsigned i = 0; (walk->backend = duoshm__backend_at(i)); i++) {
		struct duoshm_failure why = {0};

		if (!in_scope(walk->ctx, walk->backend))
			continue;
		if (walk->backend->list(list_foreign, walk, &why) < 0 && walk->stopped == 0)
			duoshm__log(walk->ctx, DUOSHM_LOG_NOTICE, "%s: %s", walk->backend->name,
				why.cause);
		if (walk->stopped != 0)
			return walk->stopped;
	}
	return 0;
}

int duoshm_list(struct duoshm *ctx, unsigned flags, duoshm_list_fn *fn, void *arg)
{
	struct walk walk = {.ctx = ctx, .fn = fn, .arg = arg};
	int result = duoshm__context_check(ctx);

	if (result < 0)
		return result;
	if (!fn || (flags & ~DUOSHM_SYSTEM))
		return duoshm__fail(DUOSHM_ERR_INVALID,
			"list: flags 0x%x, of which SYSTEM is known; "
			"and a function is needed",
			flags);
	result = census_take(ctx, &walk.census);
	if (result < 0)
		return result;
	result = duoshm__registry_scan(&ctx->registry, list_entry, &walk);
	if (result == 0 && (flags & DUOSHM_SYSTEM))
		result = list_system(&walk);
	free(walk.known);
	census_free(&walk.census);
	return result;
}

/* ---- reclaim ---- */

/* The judgement that counts: nobody can bring it to life while we hold its lock. */
static bool remove_orphan(
	struct walk *walk, struct duoshm_segment *outside, struct duoshm_stat *found)
{
	bool done = false;

	if (duoshm__object_lock(outside) == 0) {
		inspect(outside, &walk->census, found);
		done = found->state == DUOSHM_ORPHAN;
	}
	if (done && !walk->dry && duoshm__object_destroy(outside) < 0) {
		duoshm__log(walk->ctx, DUOSHM_LOG_WARNING, "%s:%s: could not remove it: %s",
			found->backend, found->name, duoshm_failure()->cause);
		done = false;
	}
	duoshm__entry_unlock(&outside->creation);
	return done;
}

static int reclaim_entry(const struct duoshm__entry *entry, int result, void *arg)
{
	struct walk *walk = arg;
	struct duoshm_segment outside =
		DUOSHM__OUTSIDE(walk->ctx, duoshm__backend_find(entry->backend));
	struct duoshm_stat found;

	if (result < 0 || !in_scope(walk->ctx, outside.backend))
		return 0;
	outside.entry = *entry;
	inspect(&outside, &walk->census, &found);
	if (found.state != DUOSHM_ORPHAN || !remove_orphan(walk, &outside, &found))
		return 0;
	walk->count++;
	return walk->fn ? show(walk, &found) : 0;
}

int duoshm_reclaim(struct duoshm *ctx, unsigned flags, duoshm_list_fn *fn, void *arg)
{
	struct walk walk = {.ctx = ctx, .fn = fn, .arg = arg, .dry = (flags & DUOSHM_DRY_RUN) != 0};
	int result = duoshm__context_check(ctx);

	if (result < 0)
		return result;
	if (flags & ~DUOSHM_DRY_RUN)
		return duoshm__fail(DUOSHM_ERR_INVALID,
			"reclaim: flags 0x%x, of which DRY_RUN is known", flags);
	if (!ctx->lifeline && !walk.dry)
		return duoshm__fail(DUOSHM_ERR_PERMISSION,
			"%s is not writable: nothing can be removed there",
			ctx->registry.directory);
	result = census_take(ctx, &walk.census);
	if (result < 0)
		return result;
	result = duoshm__registry_scan(&ctx->registry, reclaim_entry, &walk);
	census_free(&walk.census);
	if (!walk.dry) {
		duoshm__life_sweep(ctx->registry.directory);
		duoshm__registry_sweep(&ctx->registry);
	}
	return result != 0 ? result : walk.count;
}

/* ---- for the cure of a limit ---- */

static int count_orphan(const struct duoshm__entry *entry, int result, void *arg)
{
	struct walk *walk = arg;

	if (result == 0 && strcmp(entry->backend, walk->backend->name) == 0)
		walk->count += duoshm__context_orphaned(walk->ctx, entry);
	return 0;
}

unsigned duoshm__count_orphans(struct duoshm *ctx, const struct duoshm__backend *backend)
{
	struct walk walk = {.ctx = ctx, .backend = backend};

	duoshm__registry_scan(&ctx->registry, count_orphan, &walk);
	return (unsigned)walk.count;
}
