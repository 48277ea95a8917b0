/* SPDX-License-Identifier: MIT */
/*
 * Removal of objects: by name, of the remains of the dead, of what is half-built; and who notices it.
 *
 * The order (tell the attached, kernel objects, entry) makes each step of a removal that was killed half-way repeatable:
 * as long as anything is left, the entry is there to find it by. The trap is to wake only who sleeps now: the words that
 * users look at are marked first, so that who falls asleep later learns it within a slice.
 */
#include "config.h"

#include "core/clock.h"
#include "core/failure.h"
#include "core/kind.h"
#include "core/object.h"

#include <string.h>
#include <unistd.h>

/* How long a removal waits for another one that is at it. */
#define REMOVE_PATIENCE 1000000000

bool duoshm__object_removed(const struct duoshm_segment *object)
{
	return object->header && duoshm__load32_acquire(&object->header->removed) != 0;
}

void duoshm__object_mark_removed(struct duoshm_segment *object)
{
	if (!object->header || object->read_only)
		return;
	duoshm__store64(&object->header->changed_ns, (uint64_t)duoshm__wall_time());
	/* Release: who sees the mark (acquire) knows that no ring for it comes from before. */
	duoshm__store32_release(&object->header->removed, 1);
	duoshm__kind_mark_removed(object->kind, object->payload, object->size);
}

int duoshm__object_gone(const struct duoshm_segment *object)
{
	struct duoshm__native_stat ignored;
	struct duoshm_failure why = {0};

	return object->backend->stat(&object->native, &ignored, &why) == DUOSHM_ERR_NOT_FOUND;
}

/* Whoever cannot be told by its memory or its bells finds out by asking the kernel. */
static void tell_attached(const struct duoshm__backend *backend, const struct duoshm__entry *entry)
{
	struct duoshm_segment object = {.backend = backend,
		.native = entry->native,
		.kind = entry->kind,
		.size = (size_t)entry->size};
	struct duoshm_failure ignored;

	if (backend->attach(&entry->native, false, &object.map, &ignored) < 0)
		return;
	if (duoshm__header_check(&object.map, entry) == 0) {
		object.header = object.map.address;
		object.payload = (unsigned char *)object.map.address + DUOSHM__HEADER_SIZE;
		duoshm__object_mark_removed(&object);
	}
	backend->detach(&object.map, &ignored);
	if (entry->bells == 0 ||
		backend->bells_open(&entry->native, entry->bells, &object.bells, &ignored) < 0)
		return;
	for (unsigned bell = 0; bell < entry->bells; bell++)
		backend->ring(object.bells, bell, &ignored);
	backend->bells_close(object.bells);
}

/*
 * An entry is text that its owner wrote: it may name anybody's object. Who removes with more rights than the entry's
 * owner (root) must not lend them to it, so what the entry's owner does not own stays.
 */
static bool is_the_entrys(const struct duoshm__backend *backend, const struct duoshm__entry *entry,
	const struct duoshm__entry_lock *lock)
{
	struct duoshm__native_stat status = {.uid = -1};
	struct duoshm_failure ignored;

	return backend->stat(&entry->native, &status, &ignored) < 0 || status.uid < 0 ||
	       status.uid == (int64_t)lock->uid;
}

static int remove_native(struct duoshm *ctx, const struct duoshm__backend *backend,
	const struct duoshm__entry_lock *lock, const struct duoshm__entry *entry)
{
	const struct duoshm__claim claim = {
		.size = (size_t)entry->size + DUOSHM__HEADER_SIZE,
		.n_bells = entry->bells,
		.creator_pid = entry->creator.pid,
		.since_ns = entry->created_ns,
		.generation = entry->generation,
		.generation_offset = offsetof(struct duoshm__header, generation),
	};
	struct duoshm_failure why = {0};
	int result;

	if (entry->generation ==
		0) /* its builder died before it had a name to ask the kernel for */
		return 0;
	if (entry->ready && !is_the_entrys(backend, entry, lock)) {
		duoshm__log(ctx, DUOSHM_LOG_WARNING,
			"%s:%s: %s belongs to another user than its entry; removed the entry alone",
			backend->name, entry->name, entry->native.text);
		return 0;
	}
	if (entry->ready)
		tell_attached(backend, entry);
	result = entry->ready ? backend->remove(&entry->native, entry->bells, &why)
			      : backend->reap(&entry->native, &claim, &why);
	return result < 0 ? duoshm__fail_native(&why) : 0;
}

int duoshm__object_destroy(struct duoshm *ctx, const struct duoshm__backend *backend,
	const struct duoshm__entry_lock *lock, const struct duoshm__entry *entry)
{
	int result;

	if (lock->uid != (unsigned)geteuid() && geteuid() != 0) {
		duoshm__fail(
			DUOSHM_ERR_PERMISSION, "\"%s\" belongs to user %u", entry->name, lock->uid);
		duoshm__set_cure("remove it as that user, or as root");
		return DUOSHM_ERR_PERMISSION;
	}
	result = remove_native(ctx, backend, lock, entry);
	if (result < 0)
		return result;
	duoshm__presence_unlink(lock);
	result = duoshm__entry_unlink(lock);
	if (result == 0)
		duoshm__log(ctx, DUOSHM_LOG_DEBUG, "%s:%s: removed (%s)", backend->name,
			entry->name, entry->native.text);
	return result;
}

/* ---- remains ---- */

/* A removal that was killed after it had told the attached. */
static bool marked_removed(const struct duoshm__backend *backend, const struct duoshm__entry *entry)
{
	struct duoshm__map map = {0};
	struct duoshm_failure ignored;
	bool marked = false;

	if (backend->attach(&entry->native, true, &map, &ignored) < 0)
		return false;
	if (duoshm__header_check(&map, entry) == 0) {
		const struct duoshm__header *header = map.address;

		marked = duoshm__load32_acquire(&header->removed) != 0;
	}
	backend->detach(&map, &ignored);
	return marked;
}

bool duoshm__object_is_remains(struct duoshm *ctx, const struct duoshm__backend *backend,
	const struct duoshm__entry *entry, bool locked)
{
	struct duoshm__native_stat ignored;
	struct duoshm_failure why = {0};

	if (!entry->ready)
		return locked;
	if (!entry->persistent && duoshm__life_of(ctx->registry.directory, entry->owner,
					  &entry->creator) == DUOSHM__DEAD)
		return true;
	if (backend->stat(&entry->native, &ignored, &why) == DUOSHM_ERR_NOT_FOUND)
		return true;
	return marked_removed(backend, entry);
}

/* ---- remove by name ---- */

/* Waits for who is removing it already; a builder, perhaps stopped, is not waited for. */
static int lock_to_remove(struct duoshm *ctx, const char *name,
	const struct duoshm__backend *backend, bool ready, struct duoshm__entry_lock *out)
{
	int64_t deadline = duoshm__deadline(ready ? REMOVE_PATIENCE : 0);

	for (;;) {
		int result = duoshm__entry_lock(&ctx->registry, name, backend->name, out);
		int64_t left = duoshm__remaining(deadline, 1000000);

		if (result != DUOSHM_ERR_BUSY || !ready || left == 0)
			return result;
		duoshm__pause(left);
	}
}

static int remove_locked(struct duoshm *ctx, const char *name,
	const struct duoshm__backend *backend, const struct duoshm__entry_lock *lock)
{
	struct duoshm__entry entry;
	int result = duoshm__entry_read(&ctx->registry, name, backend->name, &entry);

	if (result == DUOSHM_ERR_CORRUPT) { /* what it stood for, nobody can tell any more */
		duoshm__log(ctx, DUOSHM_LOG_WARNING,
			"%s:%s: the registry entry is damaged; removed it alone", backend->name,
			name);
		return duoshm__entry_unlink(lock);
	}
	if (result < 0)
		return result;
	return duoshm__object_destroy(ctx, backend, lock, &entry);
}

int duoshm_remove(struct duoshm *ctx, const char *text)
{
	const struct duoshm__backend *backend = NULL;
	struct duoshm__entry_lock lock = {.fd = -1};
	struct duoshm__entry entry = {0};
	struct duoshm__name name;
	int result = duoshm__context_check(ctx);

	if (result == 0)
		result = duoshm__name_parse(text, &name);
	if (result == 0)
		result = duoshm__context_find(ctx, &name, &backend, &entry);
	if (result < 0 && result != DUOSHM_ERR_CORRUPT)
		return result;
	result = lock_to_remove(ctx, name.text, backend, result == 0 ? entry.ready : false, &lock);
	if (result < 0)
		return result;
	result = remove_locked(ctx, name.text, backend, &lock);
	duoshm__entry_unlock(&lock);
	return result;
}
