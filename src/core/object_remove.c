/* SPDX-License-Identifier: MIT */
/*
 * Removal of objects: by name, of the remains of the dead, of what is half-built; and who notices
 * it.
 *
 * The order (say so in the entry, tell the attached, kernel objects, entry) makes each step of a
 * removal that was killed half-way repeatable: as long as anything is left, the entry is there to
 * find it by, and says that it is remains. The trap is to wake only who sleeps now: the words that
 * users look at are marked first, so that who falls asleep later learns it within a slice.
 */
#include "config.h"

#include "core/clock.h"
#include "core/failure.h"
#include "core/lock_layout.h"
#include "core/object.h"
#include "core/semaphore_layout.h"

#include <unistd.h>

/* How long a removal waits for another one that is at it. */
#define REMOVE_PATIENCE 1000000000
/* How long for one that looks at an entry without text, to tell whether it is abandoned. */
#define LOOK_PATIENCE 20000000

/*
 * The words of the payload that its users look at are marked too, so that no call on it succeeds
 * again. Queues and broadcasts look at the header's word themselves.
 */
void duoshm__object_mark_removed(struct duoshm_segment *object)
{
	const struct duoshm__entry *entry = &object->entry;
	struct duoshm__semaphore *semaphore = object->payload;
	struct duoshm__lock *lock = object->payload;

	if (!object->header || object->read_only)
		return;
	duoshm__store64(&object->header->changed_ns, (uint64_t)duoshm__wall_time());
	/* Release: who sees the mark (acquire) knows that no ring for it comes from before. */
	duoshm__store32_release(&object->header->removed, 1);
	if (entry->kind == DUOSHM_KIND_SEMAPHORE && entry->size >= sizeof *semaphore)
		duoshm__or32(&semaphore->word, DUOSHM__SEMAPHORE_REMOVED);
	if (entry->kind == DUOSHM_KIND_LOCK && entry->size >= sizeof *lock)
		duoshm__or64(&lock->word, DUOSHM__LOCK_REMOVED);
}

int duoshm__object_gone(const struct duoshm_segment *object)
{
	struct duoshm__native_stat ignored;
	struct duoshm_failure why = {0};

	return object->backend->stat(&object->entry.native, &ignored, &why) == DUOSHM_ERR_NOT_FOUND;
}

static void wake(struct duoshm_segment *object)
{
	struct duoshm_failure ignored;

	duoshm__object_mark_removed(object);
	for (unsigned bell = 0; object->bells && bell < object->entry.bells; bell++)
		object->backend->ring(object->bells, bell, &ignored);
}

/* Whoever cannot be told by its memory or its bells finds out by asking the kernel. */
static void tell_attached(struct duoshm_segment *object)
{
	const struct duoshm__backend *backend = object->backend;
	struct duoshm_segment seen = DUOSHM__OUTSIDE(object->ctx, backend);
	struct duoshm_failure ignored;

	/* A handle reaches them even where the kernel's name is gone. */
	if (object->header) {
		wake(object);
		return;
	}
	seen.entry = object->entry;
	duoshm__object_map(&seen);
	if (seen.entry.bells > 0)
		backend->bells_open(&seen.entry.native, seen.entry.bells, &seen.bells, &ignored);
	wake(&seen);
	if (seen.bells)
		backend->bells_close(seen.bells);
	duoshm__object_unmap(&seen);
}

/*
 * An entry is text that its owner wrote: it may name anybody's object. Who removes with more rights
 * than the entry's owner (root) must not lend them to it: what that user does not own stays.
 */
static bool is_the_entrys(const struct duoshm_segment *object)
{
	const struct duoshm__backend *backend = object->backend;
	const struct duoshm__entry *entry = &object->entry;
	const int64_t owner = (int64_t)entry->uid;
	struct duoshm__native_stat status = {.uid = DUOSHM__UID_NONE};
	struct duoshm_failure ignored;
	int result = backend->stat(&entry->native, &status, &ignored);
	int64_t bells = entry->bells > 0 && entry->uid != (unsigned)geteuid()
				? backend->bells_uid(&entry->native, entry->bells)
				: DUOSHM__UID_NONE;

	if ((result < 0 || status.uid < 0 || status.uid == owner) &&
		(bells == DUOSHM__UID_NONE || bells == owner))
		return true;
	duoshm__log(object->ctx, DUOSHM_LOG_WARNING,
		"%s:%s: %s is not proven to belong to its entry's user; removed the entry alone",
		entry->backend, entry->name, entry->native.text);
	return false;
}

static int remove_native(struct duoshm_segment *object)
{
	const struct duoshm__backend *backend = object->backend;
	const struct duoshm__entry *entry = &object->entry;
	const struct duoshm__claim claim = {
		.size = (size_t)entry->size + DUOSHM__HEADER_SIZE,
		.n_bells = entry->bells,
		.creator_pid = entry->creator.pid,
		.since_ns = entry->created_ns,
		.generation = entry->generation,
		.generation_offset = offsetof(struct duoshm__header, generation),
	};
	struct duoshm_failure why = {0};

	/* Empty: its builder died before it had a name to ask the kernel for. */
	if (entry->generation == 0)
		return 0;
	bool lawful = is_the_entrys(object);
	if (object->header || (entry->ready && lawful))
		tell_attached(object);
	if (!lawful)
		return 0;
	int result = entry->ready ? backend->remove(&entry->native, entry->bells, &why)
				  : backend->reap(&entry->native, &claim, &why);
	return result < 0 ? duoshm__fail_native(&why) : 0;
}

int duoshm__object_destroy(struct duoshm_segment *object)
{
	const struct duoshm__entry *entry = &object->entry;

	if (entry->uid != (unsigned)geteuid() && geteuid() != 0) {
		duoshm__fail(DUOSHM_ERR_PERMISSION, "\"%s\" belongs to user %u", entry->name,
			entry->uid);
		return duoshm__set_cure("remove it as that user, or as root");
	}
	/*
	 * Who finds it killed half-way must know what it was at, from a word that only the owner
	 * can write. Where there is no room to write it, it goes nevertheless.
	 */
	if (entry->ready && !entry->removing && object->creation.fd >= 0) {
		object->entry.removing = true;
		duoshm__entry_write(&object->creation, entry);
	}
	int result = remove_native(object);
	if (result == 0 && object->creation.fd >= 0)
		result = duoshm__entry_remove(&object->creation);
	if (result == 0)
		duoshm__log(object->ctx, DUOSHM_LOG_DEBUG, "%s:%s: removed (%s)",
			object->backend->name, entry->name, entry->native.text);
	return result;
}

int duoshm__object_lock(struct duoshm_segment *outside)
{
	const struct duoshm__registry *registry = &outside->ctx->registry;
	const char *backend = outside->backend->name;
	struct duoshm__entry entry;
	int result = duoshm__entry_lock(registry, outside->entry.name, backend, &outside->creation);

	if (result < 0)
		return result;
	result = duoshm__entry_read(registry, outside->entry.name, backend, &entry);
	if (result == 0)
		outside->entry = entry;
	return result;
}

/* Waits for who is removing it already; a builder, perhaps stopped, is not waited for. */
static int lock_to_remove(struct duoshm_segment *outside)
{
	int64_t deadline = duoshm__deadline(outside->entry.ready        ? REMOVE_PATIENCE
					    : outside->entry.generation ? 0
									: LOOK_PATIENCE);
	int64_t pause = 0;
	int result;

	do
		result = duoshm__object_lock(outside);
	while (result == DUOSHM_ERR_BUSY && duoshm__pause_before(deadline, &pause));
	return result;
}

int duoshm_remove(struct duoshm *ctx, const char *text)
{
	struct duoshm_segment outside = DUOSHM__OUTSIDE(ctx, NULL);
	struct duoshm__name name;
	int result = duoshm__context_check(ctx);

	if (result == 0)
		result = duoshm__name_parse(text, &name);
	if (result == 0)
		result = duoshm__context_find(ctx, &name, &outside.backend, &outside.entry);
	if (result < 0 && result != DUOSHM_ERR_CORRUPT)
		return result;
	result = lock_to_remove(&outside);
	if (result == 0) {
		result = duoshm__object_destroy(&outside);
	} else if (result == DUOSHM_ERR_CORRUPT && outside.creation.fd >= 0) {
		/* what it stood for, nobody can tell any more */
		duoshm__log(ctx, DUOSHM_LOG_WARNING,
			"%s:%s: the registry entry is damaged; removed it alone",
			outside.backend->name, name.text);
		result = duoshm__entry_remove(&outside.creation);
	}
	duoshm__entry_unlock(&outside.creation);
	return result;
}

/*
 * Takes the lock of the entry that the object's name has, if it is the object's, or nobody's. Or
 * why that could not be tried: then the entry is left behind.
 */
static int lock_own_entry(struct duoshm_segment *object)
{
	struct duoshm_segment named = DUOSHM__OUTSIDE(object->ctx, object->backend);

	named.entry = object->entry;
	/* Of what is empty or damaged, whose lock is free, nobody can tell what it stood for. */
	int result = lock_to_remove(&named);
	if (result == DUOSHM_ERR_CORRUPT ||
		(result == 0 && (named.entry.generation == 0 ||
					named.entry.generation == object->entry.generation)))
		object->creation = named.creation;
	else
		duoshm__entry_unlock(&named.creation);
	return object->creation.fd >= 0 || result == 0 || result == DUOSHM_ERR_NOT_FOUND ||
			       result == DUOSHM_ERR_BUSY
		       ? 0
		       : result;
}

int duoshm_segment_remove(struct duoshm_segment *segment)
{
	int result = duoshm__object_check(segment);

	if (result < 0)
		return result;
	if (!segment->header)
		return duoshm__fail(DUOSHM_ERR_UNSUPPORTED,
			"%s was not made by this library, which therefore does not remove it",
			segment->entry.native.text);
	if (segment->read_only)
		return duoshm__fail(DUOSHM_ERR_READ_ONLY,
			"\"%s\" was opened read-only: this handle cannot tell the others of a "
			"removal",
			segment->entry.name);
	/* The lock of what is not published yet is held already; it is complete for the kernel. */
	segment->entry.ready = true;
	if (segment->creation.fd < 0)
		result = lock_own_entry(segment);
	struct duoshm_failure kept = *duoshm_failure();
	int destroyed = duoshm__object_destroy(segment);
	duoshm__entry_unlock(&segment->creation);
	if (destroyed < 0)
		return destroyed;
	return result < 0 ? duoshm__fail_native(&kept) : 0;
}
