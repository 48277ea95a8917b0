/* SPDX-License-Identifier: MIT */
/*
 * stat, list and reclaim: the public views of the registry, and the cleaner.
 *
 * The trap is the cleaner's: between the look and the removal the name may have come to life again. So an orphan is judged
 * once more under its creation lock, which whoever makes it anew would hold.
 */
#include "config.h"

#include "core/array.h"
#include "core/failure.h"
#include "core/inspect.h"
#include "core/sized.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- stat ---- */

static int gone(const struct duoshm_stat *found)
{
	duoshm__fail(
		DUOSHM_ERR_NOT_FOUND, "\"%s\" is %s (%s)", found->name, found->why, found->native);
	return duoshm__set_cure(
		"create it anew, or clean up with: detach -n %s:%s", found->backend, found->name);
}

int duoshm_stat(struct duoshm *ctx, const char *text, struct duoshm_stat *out)
{
	size_t room = duoshm__sized_room(out, offsetof(struct duoshm_stat, id));
	struct duoshm_segment outside = DUOSHM__OUTSIDE(ctx, NULL);
	struct duoshm__census census;
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
	if (result == 0)
		result = duoshm__census_take(ctx, &census);
	if (result < 0)
		return result;
	bool exists = duoshm__inspect(&outside, &census, &found);
	duoshm__census_free(&census);
	if (!exists)
		return gone(&found);
	duoshm__sized_give(out, room, &found, sizeof found);
	return 0;
}

/* ---- list ---- */

struct walk {
	struct duoshm *ctx;
	struct duoshm__census census;
	duoshm_list_fn *fn;
	void *arg;
	int stopped;                  /* what fn said, if it ended the walk */
	struct duoshm__native *known; /* the kernel's names in the registry; sorted by text */
	size_t n_known;
	const struct duoshm__backend *backend; /* whose kernel objects are being listed */
	bool dry;
	int removed;
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
	if (result < 0) {
		duoshm__inspect_unreadable(entry, result, &found);
		return show(walk, &found);
	}
	outside.entry = *entry;
	duoshm__inspect(&outside, &walk->census, &found);
	result = remember(walk, &entry->native);
	return result < 0 ? result : show(walk, &found);
}

static int by_text(const void *a, const void *b)
{
	const struct duoshm__native *x = a, *y = b;

	return strcmp(x->text, y->text);
}

static const struct duoshm__native *find_known(const struct walk *walk, const char *text)
{
	struct duoshm__native wanted = {.segment_id = -1, .bells_id = -1};

	snprintf(wanted.text, sizeof wanted.text, "%s", text);
	return walk->n_known == 0
		       ? NULL
		       : bsearch(&wanted, walk->known, walk->n_known, sizeof *walk->known, by_text);
}

/* Bells that have names of their own are called like their segment, with ".0" to ".3" behind. */
static bool is_known(const struct walk *walk, const struct duoshm__native_item *item)
{
	const struct duoshm__native *found = find_known(walk, item->native.text);
	char text[DUOSHM__NATIVE_SIZE];
	size_t length = strlen(item->native.text);

	if (found && item->semaphore)
		return found->bells_id < 0 || found->bells_id == item->native.bells_id;
	if (found)
		return found->segment_id < 0 || found->segment_id == item->native.segment_id;
	if (!item->semaphore || length < 3 || item->native.text[length - 2] != '.')
		return false;
	snprintf(text, sizeof text, "%.*s", (int)(length - 2), item->native.text);
	return find_known(walk, text) != NULL;
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
	for (unsigned i = 0; (walk->backend = duoshm__backend_at(i)) != NULL; i++) {
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
	result = duoshm__census_take(ctx, &walk.census);
	if (result < 0)
		return result;
	result = duoshm__registry_scan(&ctx->registry, list_entry, &walk);
	if (result == 0 && (flags & DUOSHM_SYSTEM))
		result = list_system(&walk);
	free(walk.known);
	duoshm__census_free(&walk.census);
	return result;
}

/* ---- reclaim ---- */

/* The judgement that counts: nobody can bring it to life while we hold its lock. */
static bool remove_orphan(
	struct walk *walk, struct duoshm_segment *outside, struct duoshm_stat *found)
{
	bool done = false;

	if (duoshm__object_lock(outside) == 0) {
		duoshm__inspect(outside, &walk->census, found);
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
	duoshm__inspect(&outside, &walk->census, &found);
	/* Half-built and of nobody yet: only the lock can tell. */
	if (found.state != DUOSHM_ORPHAN && (entry->ready || entry->generation != 0))
		return 0;
	if (!remove_orphan(walk, &outside, &found))
		return 0;
	walk->removed++;
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
	result = duoshm__census_take(ctx, &walk.census);
	if (result < 0)
		return result;
	result = duoshm__registry_scan(&ctx->registry, reclaim_entry, &walk);
	duoshm__census_free(&walk.census);
	if (!walk.dry) {
		duoshm__life_sweep(ctx->registry.directory);
		duoshm__registry_sweep(&ctx->registry);
	}
	return result != 0 ? result : walk.removed;
}

/* ---- for the cure of a limit ---- */

struct orphans {
	struct duoshm *ctx;
	const struct duoshm__backend *backend;
	unsigned count;
};

static int count_orphan(const struct duoshm__entry *entry, int result, void *arg)
{
	struct orphans *orphans = arg;

	if (result == 0 && strcmp(entry->backend, orphans->backend->name) == 0 &&
		duoshm__context_orphaned(orphans->ctx, entry))
		orphans->count++;
	return 0;
}

unsigned duoshm__count_orphans(struct duoshm *ctx, const struct duoshm__backend *backend)
{
	struct orphans orphans = {.ctx = ctx, .backend = backend};

	duoshm__registry_scan(&ctx->registry, count_orphan, &orphans);
	return orphans.count;
}
