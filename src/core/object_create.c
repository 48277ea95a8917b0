/* SPDX-License-Identifier: MIT */
/*
 * Creation of objects, and the replacement of what the dead left.
 *
 * The creation lock (an flock on the registry entry, held until the object is ready) is the proof: who gets it while
 * the entry is not ready knows that the builder is dead. A builder that is merely stopped keeps it, and nobody takes over.
 *
 * The trap: a kill between any two steps must leave nothing that nobody can find. So each kernel name is written into the
 * entry before the kernel is asked to make it.
 */
#include "config.h"

#include "core/clock.h"
#include "core/failure.h"
#include "core/kind.h"
#include "core/object.h"
#include "core/random.h"
#include "core/sized.h"

#include <limits.h>
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
	struct duoshm_segment *object = m->object;
	struct duoshm__entry *entry = &object->entry;

	memset(entry, 0, sizeof *entry);
	entry->native.segment_id = entry->native.bells_id = -1;
	snprintf(entry->name, sizeof entry->name, "%s", m->name.text);
	snprintf(entry->backend, sizeof entry->backend, "%s", m->backend->name);
	entry->kind = m->recipe->kind;
	entry->persistent = (m->options.flags & DUOSHM_PERSISTENT) != 0;
	entry->bells = m->recipe->bells;
	entry->size = m->recipe->size;
	entry->footprint = entry->size + DUOSHM__HEADER_SIZE;
	entry->owner = duoshm__lifeline_id(m->ctx->lifeline);
	duoshm__process_self(&entry->creator);
	entry->created_ns = duoshm__wall_time();
	entry->mode = object->creation.mode;
	entry->uid = object->creation.uid;
	entry->gid = object->creation.gid;
	object->kind = entry->kind;
	object->size = m->recipe->size;
	object->n_bells = entry->bells;
	if (duoshm__random(64, &entry->generation) < 0)
		return DUOSHM_ERR_SYSTEM;
	object->generation = entry->generation;
	return 0;
}

/* Everything but `ready`. */
static void write_header(struct duoshm_segment *object)
{
	struct duoshm__header *header = object->map.address;
	const struct duoshm__entry *entry = &object->entry;

	header->generation = entry->generation; /* first: by it a cleaner knows whose this is */
	header->layout = DUOSHM__LAYOUT;
	header->byte_order = DUOSHM__BYTE_ORDER;
	header->size = entry->size;
	header->owner = entry->owner;
	header->creator_pid = entry->creator.pid;
	header->creator_start = entry->creator.start;
	header->creator_boot = entry->creator.boot;
	header->created_ns = entry->created_ns;
	header->kind = (uint32_t)entry->kind;
	header->bells = entry->bells;
	header->persistent = entry->persistent;
	header->reserved = object->map.reserved;
	header->mode = entry->mode;
	header->uid = entry->uid;
	header->gid = entry->gid;
	memcpy(header->name, entry->name, sizeof header->name);
	duoshm__store64(&header->attached_ns, (uint64_t)entry->created_ns);
	duoshm__store64(&header->changed_ns, (uint64_t)entry->created_ns);
	duoshm__store64(&header->last_pid, (uint64_t)entry->creator.pid);
	object->header = header;
	object->payload = (unsigned char *)object->map.address + DUOSHM__HEADER_SIZE;
}

/* One native name: the segment and its bells, or nothing. EXISTS: the name is another's. */
static int make_under(struct duoshm_segment *object, struct duoshm_failure *why)
{
	const struct duoshm__backend *backend = object->backend;
	struct duoshm__native *native = &object->entry.native;
	struct duoshm_failure ignored;
	int result = backend->create(native, object->size + DUOSHM__HEADER_SIZE,
		object->creation.mode, &object->map, why);

	if (result < 0)
		return result;
	object->entry.reserved = object->map.reserved;
	object->entry.footprint = object->map.length;
	write_header(object);
	if (object->n_bells == 0)
		return 0;
	result = backend->bells_create(
		native, object->n_bells, object->creation.mode, &object->bells, why);
	if (result == 0)
		return 0;
	backend->detach(&object->map, &ignored);
	memset(&object->map, 0, sizeof object->map);
	object->header = NULL;
	object->payload = NULL;
	backend->remove(native, 0, &ignored);
	return result;
}

/* The kernel objects, under the first native name that is free, which the entry tells beforehand. */
static int make_native(struct duoshm_segment *object)
{
	const struct duoshm__naming naming = {
		object->entry.name, object->creation.path, object->generation};

	for (unsigned attempt = 0;; attempt++) {
		struct duoshm_failure why = {0};
		int result = object->backend->derive(&naming, attempt, &object->entry.native, &why);

		if (result < 0)
			return duoshm__fail_native(&why);
		result = duoshm__entry_write(&object->creation, &object->entry);
		if (result < 0)
			return result;
		result = make_under(object, &why);
		if (result < 0 && result != DUOSHM_ERR_EXISTS)
			return duoshm__fail_native(&why);
		if (result == 0) {
			object->native = object->entry.native;
			return duoshm__entry_write(&object->creation, &object->entry);
		}
	}
}

/* What a limit's message adds: the objects of the dead that could make room. */
static void add_cure(struct making *m)
{
	char cure[sizeof duoshm_failure()->cure];
	unsigned orphans = duoshm__count_orphans(m->ctx, m->backend);

	if (orphans == 0)
		return;
	snprintf(cure, sizeof cure, "%s", duoshm_failure()->cure);
	duoshm__set_cure("`detach` would free %u%s%s", orphans, cure[0] ? "; or: " : "", cure);
}

/* Takes back what was made under the creation lock, the entry last; the failure record stays. */
static void unmake(struct duoshm_segment *object)
{
	struct duoshm_failure kept = *duoshm_failure(), ignored;

	if (object->map.address)
		object->backend->remove(&object->entry.native, object->n_bells, &ignored);
	duoshm__presence_unlink(&object->creation);
	duoshm__entry_unlink(&object->creation);
	duoshm__fail_native(&kept);
}

/* The lock is held by object->creation. On failure nothing is left, not even the entry. */
static int build(struct making *m)
{
	struct duoshm_segment *object = m->object;
	int result = describe(m);

	if (result == 0)
		result = make_native(object);
	if (result < 0)
		goto unmake;
	if (m->options.flags & DUOSHM_POPULATE)
		duoshm__object_populate(object);
	if (m->recipe->fill)
		m->recipe->fill(object->payload, object->size, m->recipe->arg);
	result = duoshm__object_join(object);
	if (result == 0 && !(m->options.flags & DUOSHM_UNPUBLISHED))
		result = duoshm__object_publish(object);
	if (result == 0)
		return 0;
unmake:
	unmake(object);
	if (result == DUOSHM_ERR_LIMIT || result == DUOSHM_ERR_NO_SPACE)
		add_cure(m);
	return result;
}

int duoshm__object_publish(struct duoshm_segment *object)
{
	int result;

	if (object->creation.fd < 0)
		return duoshm__fail(
			DUOSHM_ERR_INVALID, "\"%s\" is published already", object->entry.name);
	duoshm__presence_create(&object->creation);
	/* Release: an opener that reads the mark (acquire) sees the header and the payload. */
	duoshm__store64_release(&object->header->ready, DUOSHM__MAGIC);
	object->entry.ready = true;
	result = duoshm__entry_write(&object->creation, &object->entry);
	if (result < 0) {
		object->entry.ready = false;
		return result;
	}
	duoshm__entry_unlock(&object->creation);
	return 0;
}

/* ---- the name is taken: by whom? ---- */

/* 0: look again; BUSY at the deadline, with the failure that `result` came with. */
static int wait_turn(struct making *m, int result)
{
	int64_t left = duoshm__remaining(m->deadline, m->pause);

	if (left == 0)
		return result;
	duoshm__pause(left);
	m->pause = m->pause < 1000000 ? m->pause * 2 : 2000000;
	return 0;
}

static int exists(const struct duoshm__entry *entry)
{
	duoshm__fail(DUOSHM_ERR_EXISTS, "the %s %s \"%s\" exists, made by process %lld%s",
		entry->backend, duoshm_kind_name(entry->kind), entry->name,
		(long long)entry->creator.pid, entry->persistent ? ", and is persistent" : "");
	duoshm__set_cure("take another name, open it, or remove it: detach -n %s:%s",
		entry->backend, entry->name);
	return DUOSHM_ERR_EXISTS;
}

/* OPENED, 0: look again, or an error. */
static int open_instead(struct making *m, const struct duoshm__entry *entry)
{
	int result = duoshm__object_attach(m->ctx, m->backend, entry, m->recipe->kind,
		m->recipe->kind == DUOSHM_KIND_SEGMENT ? 1 : m->recipe->size,
		m->options.flags & DUOSHM_POPULATE, &m->object);

	if (result == DUOSHM_ERR_NOT_FOUND)
		return wait_turn(m, result);
	return result < 0 ? result : DUOSHM_OPENED;
}

/* Under the lock: it may have changed since it was seen without. */
static int clear_locked(struct making *m, const struct duoshm__entry_lock *lock)
{
	struct duoshm__entry entry;
	int result = duoshm__entry_read(&m->ctx->registry, m->name.text, m->backend->name, &entry);

	if (result < 0)
		return result;
	if (!duoshm__object_is_remains(m->ctx, m->backend, &entry, true))
		return 0;
	result = duoshm__object_destroy(m->ctx, m->backend, lock, &entry);
	if (result < 0)
		return result;
	m->replaced = true;
	duoshm__log(m->ctx, DUOSHM_LOG_NOTICE,
		"%s:%s: removed what was left of it (creator: process %lld), to make it anew",
		entry.backend, entry.name, (long long)entry.creator.pid);
	return 0;
}

static int clear_remains(struct making *m)
{
	struct duoshm__entry_lock lock = {.fd = -1};
	int result = duoshm__entry_lock(&m->ctx->registry, m->name.text, m->backend->name, &lock);

	if (result == DUOSHM_ERR_NOT_FOUND)
		return 0;
	if (result == DUOSHM_ERR_BUSY)
		return wait_turn(m, result);
	if (result < 0)
		return result;
	result = clear_locked(m, &lock);
	duoshm__entry_unlock(&lock);
	return result == DUOSHM_ERR_NOT_FOUND ? 0 : result;
}

/* 0: try to create again; OPENED; or an error. */
static int settle(struct making *m)
{
	struct duoshm__entry entry;
	int result = duoshm__entry_read(&m->ctx->registry, m->name.text, m->backend->name, &entry);

	if (result == DUOSHM_ERR_NOT_FOUND)
		return 0;
	if (result == DUOSHM_ERR_CORRUPT)
		duoshm__set_cure("remove the damaged entry: detach -n %s:%s", m->backend->name,
			m->name.text);
	if (result < 0)
		return result;
	if (!entry.ready || duoshm__object_is_remains(m->ctx, m->backend, &entry, false))
		return clear_remains(m);
	return m->options.flags & DUOSHM_OPEN_OR_CREATE ? open_instead(m, &entry) : exists(&entry);
}

/* ---- create ---- */

static int create_new(struct making *m)
{
	struct duoshm_segment *object = duoshm__object_new(m->ctx, m->backend);
	int result;

	if (!object)
		return DUOSHM_ERR_NO_SPACE;
	m->object = object;
	result = duoshm__entry_create(&m->ctx->registry, m->name.text, m->backend->name,
		m->options.mode & 0666, &object->creation);
	if (result == 0)
		result = build(m);
	if (result == 0)
		return 0;
	duoshm__object_discard(object);
	m->object = NULL;
	return result;
}

/* Makes it, or opens it, or learns why not. */
static int make(struct making *m)
{
	for (;;) {
		int result = create_new(m);

		if (result == 0)
			return m->replaced ? DUOSHM_REPLACED : DUOSHM_CREATED;
		if (result != DUOSHM_ERR_EXISTS)
			return result;
		result = settle(m);
		if (result != 0)
			return result;
	}
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
	m.pause = 100000;
	result = make(&m);
	if (result >= 0)
		*out = m.object;
	return result;
}
