/* SPDX-License-Identifier: MIT */
/*
 * Creation of objects, and the replacement of what the dead left.
 *
 * The creation lock (an flock on the registry entry, held until the object is ready) is the proof:
 * who gets it while the entry is not ready knows that the builder is dead. A builder that is merely
 * stopped keeps it, and nobody takes over.
 *
 * The trap: a kill between any two steps must leave nothing that nobody can find. So each kernel
 * name is written into the entry before the kernel is asked to make it.
 */
#include "config.h"

#include "core/clock.h"
#include "core/failure.h"
#include "core/object.h"
#include "core/random.h"
#include "core/sized.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define CREATE_FLAGS                                                                               \
	(DUOSHM_OPEN_OR_CREATE | DUOSHM_UNPUBLISHED | DUOSHM_PERSISTENT | DUOSHM_POPULATE)

/* One call of create. */
struct making {
	struct duoshm *ctx;
	const struct duoshm__backend *backend;
	struct duoshm__name name;
	const struct duoshm__recipe *recipe;
	struct duoshm_create options;
	int64_t deadline, pause;
	bool replaced;
	struct duoshm_segment *object;
};

/* ---- building, under the creation lock ---- */

static int describe(struct making *m)
{
	const struct duoshm__entry_lock *lock = &m->object->creation;
	struct duoshm__entry *entry = &m->object->entry;

	duoshm__entry_init(entry, m->name.text, m->backend->name);
	entry->kind = m->recipe->kind;
	entry->persistent = (m->options.flags & DUOSHM_PERSISTENT) != 0;
	entry->bells = m->recipe->bells;
	entry->size = m->recipe->size;
	entry->footprint = entry->size + DUOSHM__HEADER_SIZE;
	entry->owner = duoshm__lifeline_id(m->ctx->lifeline);
	duoshm__process_self(&entry->creator);
	entry->created_ns = duoshm__wall_time();
	entry->mode = lock->mode;
	entry->uid = lock->uid;
	entry->gid = lock->gid;
	return duoshm__random(64, &entry->generation);
}

/* Everything but `ready`. */
static void write_header(struct duoshm_segment *object)
{
	const struct duoshm__entry *entry = &object->entry;
	struct duoshm__header *header = object->map.address;

	duoshm__object_place(object);
	header->generation = entry->generation; /* first: by it a cleaner knows whose this is */
	header->layout = DUOSHM__LAYOUT;
	header->byte_order = DUOSHM__BYTE_ORDER;
	header->size = entry->size;
	header->kind = (uint32_t)entry->kind;
	header->bells = entry->bells;
	memcpy(header->name, entry->name, sizeof header->name);
	duoshm__store64(&header->attached_ns, (uint64_t)entry->created_ns);
	duoshm__store64(&header->changed_ns, (uint64_t)entry->created_ns);
	duoshm__store64(&header->last_pid, (uint64_t)entry->creator.pid);
}

/* One native name: the segment and its bells, or nothing. EXISTS: the name is another's. */
static int make_under(struct duoshm_segment *object, struct duoshm_failure *why)
{
	const struct duoshm__backend *backend = object->backend;
	struct duoshm__entry *entry = &object->entry;
	struct duoshm_failure ignored;
	int result = backend->create(
		&entry->native, (size_t)entry->footprint, entry->mode, &object->map, why);

	if (result < 0)
		return result;
	entry->reserved = object->map.reserved;
	write_header(object);
	if (entry->bells > 0)
		result = backend->bells_create(
			&entry->native, entry->bells, entry->mode, &object->bells, why);
	if (result < 0) {
		duoshm__object_unmap(object);
		backend->remove(&entry->native, 0, &ignored);
	}
	return result;
}

/*
 * The kernel objects, under the first native name that is free, which the entry tells beforehand.
 * On failure why->code is 0 where it was not the family's.
 */
static int make_native(struct duoshm_segment *object, struct duoshm_failure *why)
{
	struct duoshm__entry *entry = &object->entry;
	const struct duoshm__naming naming = {
		entry->name, object->creation.path, entry->generation};

	for (unsigned attempt = 0;; attempt++) {
		int result = object->backend->derive(&naming, attempt, &entry->native, why);

		if (result < 0)
			return duoshm__fail_native(why);
		*why = (struct duoshm_failure){0};
		result = duoshm__entry_write(&object->creation, entry);
		if (result < 0)
			return result;
		result = make_under(object, why);
		if (result < 0 && result != DUOSHM_ERR_EXISTS)
			return duoshm__fail_native(why);
		if (result == 0) {
			*why = (struct duoshm_failure){0};
			entry->footprint = object->map.length;
			return duoshm__entry_write(&object->creation, entry);
		}
	}
}

/* What a limit's message adds: the objects of the dead that could make room. */
static void add_cure(struct making *m)
{
	const struct duoshm_failure kept = *duoshm_failure();
	unsigned orphans = duoshm__count_orphans(m->ctx, m->backend);

	/* The count may have met entries that cannot be read. */
	duoshm__fail_native(&kept);
	if (orphans > 0)
		duoshm__set_cure("`" DUOSHM_DETACH "` would free %u%s%s", orphans,
			kept.cure[0] ? "; or: " : "", kept.cure);
}

/* All of an object that was not published; the entry goes last. */
static void unmake(struct duoshm_segment *object)
{
	struct duoshm_failure ignored;

	if (object->map.address)
		object->backend->remove(&object->entry.native, object->entry.bells, &ignored);
	duoshm__entry_remove(&object->creation);
}

/* The lock is held by object->creation. On failure nothing is left, not even the entry. */
static int build(struct making *m)
{
	struct duoshm_segment *object = m->object;
	struct duoshm_failure why;
	int result = describe(m);

	if (result == 0)
		result = make_native(object, &why);
	if (result == 0) {
		if (m->options.flags & DUOSHM_POPULATE)
			duoshm__object_populate(object);
		if (m->recipe->fill)
			m->recipe->fill(object->payload, m->recipe->size, m->recipe->arg);
		result = duoshm__object_join(object);
	}
	if (result == 0 && !(m->options.flags & DUOSHM_UNPUBLISHED))
		result = duoshm__object_publish(object);
	if (result == 0)
		return 0;
	struct duoshm_failure kept = *duoshm_failure();
	unmake(object);
	duoshm__fail_native(&kept);
	/* Of what orphans occupy: not of descriptors, nor of what is too large at all. */
	if (kept.system_error == ENOSPC ||
		(result == DUOSHM_ERR_LIMIT && kept.system_error == ENOMEM))
		add_cure(m);
	return result;
}

int duoshm__object_publish(struct duoshm_segment *object)
{
	if (object->creation.fd < 0)
		return duoshm__fail(
			DUOSHM_ERR_INVALID, "\"%s\" is published already", object->entry.name);
	duoshm__presence_create(&object->creation);
	/* Release: an opener that reads the mark (acquire) sees the header and the payload. */
	duoshm__store64_release(&object->header->ready, DUOSHM__MAGIC);
	object->entry.ready = true;
	int result = duoshm__entry_write(&object->creation, &object->entry);
	if (result == 0)
		duoshm__entry_unlock(&object->creation);
	else
		object->entry.ready = false;
	return result;
}

/* ---- the name is taken: by whom? ---- */

static int exists(const struct duoshm__entry *entry)
{
	duoshm__fail(DUOSHM_ERR_EXISTS, "the %s %s \"%s\" exists, made by process %lld%s",
		entry->backend, duoshm_kind_name(entry->kind), entry->name,
		(long long)entry->creator.pid, entry->persistent ? ", and is persistent" : "");
	return duoshm__set_cure("take another name, open it, or remove it: " DUOSHM_DETACH
				" -n %s:%s",
		entry->backend, entry->name);
}

/* OPENED, 0: look again, or an error. */
static int open_instead(struct making *m, const struct duoshm_segment *outside)
{
	size_t least = m->recipe->kind == DUOSHM_KIND_SEGMENT ? 1 : m->recipe->size;
	int result = duoshm__object_attach(
		outside, m->recipe->kind, least, m->options.flags & DUOSHM_POPULATE, &m->object);

	if (result == DUOSHM_ERR_NOT_FOUND && duoshm__pause_before(m->deadline, &m->pause))
		return 0;
	return result < 0 ? result : DUOSHM_OPENED;
}

/* 0: look again, or an error. */
static int clear_remains(struct making *m, struct duoshm_segment *outside)
{
	int result = duoshm__object_lock(outside);
	/* The lock of another user's entry cannot be tried; he may be building it, or removing it. */
	bool at_work = result == DUOSHM_ERR_PERMISSION &&
		       (!outside->entry.ready || outside->entry.removing);

	if ((result == DUOSHM_ERR_BUSY || at_work) && duoshm__pause_before(m->deadline, &m->pause))
		return 0;
	/* Under the lock: it may have changed since it was seen without. */
	if (result == 0 && duoshm__object_is_remains(outside)) {
		result = duoshm__object_destroy(outside);
		m->replaced |= result == 0;
		if (result == 0)
			duoshm__log(m->ctx, DUOSHM_LOG_NOTICE,
				"%s:%s: removed what was left of it (creator: process %lld), to "
				"make it anew",
				m->backend->name, m->name.text,
				(long long)outside->entry.creator.pid);
	}
	duoshm__entry_unlock(&outside->creation);
	return result == DUOSHM_ERR_NOT_FOUND ? 0 : result;
}

/* 0: try to create again; OPENED; or an error. */
static int settle(struct making *m)
{
	struct duoshm_segment outside = DUOSHM__OUTSIDE(m->ctx, m->backend);
	const struct duoshm__entry *entry = &outside.entry;
	int result = duoshm__entry_read(
		&m->ctx->registry, m->name.text, m->backend->name, &outside.entry);

	if (result == DUOSHM_ERR_NOT_FOUND)
		return 0;
	if (result == DUOSHM_ERR_CORRUPT)
		duoshm__set_cure("remove the damaged entry: " DUOSHM_DETACH " --force %s:%s",
			m->backend->name, m->name.text);
	if (result < 0)
		return result;
	if (!entry->ready || duoshm__object_is_remains(&outside))
		return clear_remains(m, &outside);
	if (m->options.flags & DUOSHM_OPEN_OR_CREATE)
		return open_instead(m, &outside);
	return exists(entry);
}

/* ---- create ---- */

static int create_new(struct making *m)
{
	struct duoshm_segment *object = duoshm__object_new(m->ctx, m->backend);

	if (!object)
		return DUOSHM_ERR_NO_SPACE;
	m->object = object;
	int result = duoshm__entry_create(&m->ctx->registry, m->name.text, m->backend->name,
		m->options.mode & 0666, &object->creation);
	if (result == 0)
		result = build(m);
	if (result < 0)
		duoshm__object_discard(object);
	return result;
}

static int check_request(const struct making *m)
{
	const struct duoshm_create *o = &m->options;

	if (o->flags & ~CREATE_FLAGS || o->mode & ~0777u || o->timeout_ns < 0)
		return duoshm__fail(DUOSHM_ERR_INVALID,
			"create: flags 0x%x, mode 0%o, timeout %lld ns: one of them cannot be",
			o->flags, o->mode, (long long)o->timeout_ns);
	if (m->recipe->size == 0 || m->recipe->bells > DUOSHM_BELLS_MAX)
		return duoshm__fail(DUOSHM_ERR_INVALID,
			"create: %zu bytes with %u bells; it takes 1 byte and 0 to %d bells",
			m->recipe->size, m->recipe->bells, DUOSHM_BELLS_MAX);
	if (m->recipe->size > SIZE_MAX / 2 - DUOSHM__HEADER_SIZE)
		return duoshm__fail(DUOSHM_ERR_LIMIT,
			"create: %zu bytes are more than a process can address", m->recipe->size);
	if (!m->ctx->lifeline)
		return duoshm__fail(DUOSHM_ERR_PERMISSION,
			"%s is not writable: nothing can be created there",
			m->ctx->registry.directory);
	return 0;
}

int duoshm__object_create(struct duoshm *ctx, const char *name, const struct duoshm__recipe *recipe,
	const struct duoshm_create *options, struct duoshm_segment **out)
{
	struct making m = {.ctx = ctx, .recipe = recipe, .options = DUOSHM_CREATE_INIT};
	int result = duoshm__context_check(ctx);

	if (result < 0)
		return result;
	if (!out || (options && !duoshm__sized_take(options, &m.options, sizeof m.options)))
		return duoshm__fail(DUOSHM_ERR_INVALID,
			"create: no place for the result, or options not made with "
			"DUOSHM_CREATE_INIT");
	result = duoshm__name_parse(name, &m.name);
	if (result == 0)
		result = check_request(&m);
	if (result == 0)
		result = duoshm__context_choose(ctx, &m.name, &m.backend);
	if (result < 0)
		return result;
	m.deadline = duoshm__deadline(m.options.timeout_ns);
	/* Makes it, or opens it, or learns why not. */
	while ((result = create_new(&m)) == DUOSHM_ERR_EXISTS) {
		result = settle(&m);
		if (result != 0)
			break;
	}
	if (result == 0 && m.replaced)
		result = DUOSHM_REPLACED;
	if (result >= 0)
		*out = m.object;
	return result;
}

/* ---- does a family work? ---- */

/* What is not published nobody else opens or removes, and what a kill leaves of it is found. */
static int try_unpublished(struct making *m, struct duoshm_failure *why)
{
	struct duoshm_segment *object = m->object;
	int result = duoshm__entry_create(&m->ctx->registry, m->name.text, m->backend->name,
		m->options.mode, &object->creation);

	if (result < 0)
		return result;
	result = describe(m);
	object->entry.mode = m->options.mode; /* whatever the umask: it is tried by us alone */
	if (result == 0)
		result = make_native(object, why);
	if (result == 0) {
		result = duoshm__native_check(
			m->backend, &object->entry.native, &object->map, object->bells, why);
		if (result < 0)
			duoshm__fail_native(why);
	}
	struct duoshm_failure kept = *duoshm_failure();
	unmake(object);
	if (result < 0)
		duoshm__fail_native(&kept);
	return result;
}

int duoshm__object_try(
	struct duoshm *ctx, const struct duoshm__backend *backend, struct duoshm_failure *why)
{
	static const struct duoshm__recipe recipe = {
		.kind = DUOSHM_KIND_SEGMENT, .size = 1, .bells = 1};
	struct making m = {
		.ctx = ctx, .backend = backend, .recipe = &recipe, .options = DUOSHM_CREATE_INIT};
	uint64_t number;
	int result = duoshm__random(64, &number);

	*why = (struct duoshm_failure){0};
	if (result < 0)
		return result;
	snprintf(m.name.text, sizeof m.name.text, "trial.%016llx", (unsigned long long)number);
	m.object = duoshm__object_new(ctx, backend);
	if (!m.object)
		return DUOSHM_ERR_NO_SPACE;
	result = try_unpublished(&m, why);
	duoshm__object_discard(m.object);
	return result;
}
