/* SPDX-License-Identifier: MIT */
/*
 * Opening and closing of objects, and the check that what was attached is what the registry tells
 * of.
 *
 * The path of a ready object takes no lock and a fixed number of system calls. Open and close of a
 * segment without bells on Linux: POSIX 10 (the entry's open, fstat, pread, close; shm_open with 2,
 * fstat, mmap, close; munmap), System V 8 (the entry's 4; shmget, shmctl, shmat; shmdt). The bells
 * add 1 for a System V set, and 6 of glibc's for each POSIX semaphore. What an opener attaches may
 * have been written to by anybody who was let in: every field of the header is loaded once, and
 * trusted only where it agrees with the registry.
 */
#include "config.h"

#include "core/clock.h"
#include "core/failure.h"
#include "core/object.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OPEN_FLAGS (DUOSHM_READ_ONLY | DUOSHM_POPULATE | DUOSHM_ANY_KIND)

/* ---- handles ---- */

struct duoshm_segment *duoshm__object_new(struct duoshm *ctx, const struct duoshm__backend *backend)
{
	struct duoshm_segment *object = calloc(1, sizeof *object);

	if (!object) {
		duoshm__fail(DUOSHM_ERR_NO_SPACE, "no memory for a handle");
		return NULL;
	}
	object->ctx = ctx;
	object->backend = backend;
	object->creation.fd = -1;
	object->slot = UINT_MAX;
	object->presence_fd = -1;
	object->forks = duoshm__forks();
	/* Pairs with the load of duoshm_free, which then frees the context. */
	atomic_fetch_add_explicit(&ctx->handles, 1, memory_order_acq_rel);
	return object;
}

void duoshm__object_discard(struct duoshm_segment *object)
{
	bool ours = object->forks == duoshm__forks();

	if (ours)
		duoshm__fd_drop(object->presence_fd);
	if (ours && object->slot != UINT_MAX)
		duoshm__lifeline_detach(object->ctx->lifeline, object->slot);
	if (object->bells)
		object->backend->bells_close(object->bells);
	duoshm__object_unmap(object);
	if (ours)
		duoshm__entry_unlock(&object->creation);
	atomic_fetch_sub_explicit(&object->ctx->handles, 1, memory_order_acq_rel);
	free(object);
}

int duoshm__object_refuse(const struct duoshm_segment *object)
{
	if (!object)
		return duoshm__fail(DUOSHM_ERR_INVALID, "the handle is NULL");
	return duoshm__fail(DUOSHM_ERR_FORKED,
		"the handle of \"%s\" belongs to the parent process; open it again here",
		object->entry.name);
}

uint64_t duoshm__object_self(const struct duoshm_segment *object)
{
	return object->ctx->lifeline ? duoshm__lifeline_id(object->ctx->lifeline) : 0;
}

enum duoshm__life duoshm__object_life(
	const struct duoshm_segment *object, uint64_t id, const struct duoshm__process *label)
{
	return duoshm__life_of(object->ctx->registry.directory, id, label);
}

int duoshm__object_join(struct duoshm_segment *object)
{
	struct duoshm *ctx = object->ctx;

	if (ctx->lifeline)
		return duoshm__lifeline_attach(
			ctx->lifeline, object->entry.generation, &object->slot);
	object->presence_fd =
		duoshm__presence_hold(&ctx->registry, object->entry.name, object->backend->name);
	return 0;
}

void duoshm__object_populate(struct duoshm_segment *object)
{
	long page = sysconf(_SC_PAGESIZE);
	size_t step = page > 0 ? (size_t)page : 4096;
	unsigned char *bytes = object->map.address;

	for (size_t at = 0; at < object->map.length; at += step) {
		struct duoshm__word32 *word = (struct duoshm__word32 *)(void *)(bytes + at);
		uint32_t value = duoshm__load32(word);

		/* A write that changes nothing; a compiler may make a plain load of an "or 0". */
		if (!object->read_only)
			duoshm__cas32(word, &value, value);
	}
}

/* ---- the check of what was attached ---- */

static uint64_t swapped(uint64_t value)
{
	uint64_t out = 0;

	for (int i = 0; i < 8; i++)
		out |= (value >> (8 * i) & 0xff) << (56 - 8 * i);
	return out;
}

static int check_version(const struct duoshm__header *header, const struct duoshm__entry *entry)
{
	/* Acquire: the header and the payload are read after the word that ended their making. */
	uint64_t ready = duoshm__load64_acquire(&header->ready);

	if (ready == swapped(DUOSHM__MAGIC))
		return duoshm__fail(DUOSHM_ERR_INCOMPATIBLE,
			"\"%s\" was made by a machine of the other byte order", entry->name);
	if (ready != DUOSHM__MAGIC)
		return duoshm__fail(DUOSHM_ERR_CORRUPT,
			"\"%s\" does not begin with the mark of a finished object: 0x%llx",
			entry->name, (unsigned long long)ready);
	uint32_t byte_order = header->byte_order;
	if (byte_order != DUOSHM__BYTE_ORDER)
		return duoshm__fail(DUOSHM_ERR_INCOMPATIBLE,
			"\"%s\" was made by a machine of another byte order (0x%08x)", entry->name,
			byte_order);
	uint32_t layout = header->layout;
	if (layout != DUOSHM__LAYOUT)
		return duoshm__fail(DUOSHM_ERR_INCOMPATIBLE,
			"\"%s\" has layout %u, this version of the library knows layout %u",
			entry->name, layout, DUOSHM__LAYOUT);
	return 0;
}

static int check_header(const struct duoshm__map *map, const struct duoshm__entry *entry)
{
	const struct duoshm__header *header = map->address;

	if (map->length < DUOSHM__HEADER_SIZE || map->length - DUOSHM__HEADER_SIZE < entry->size)
		return duoshm__fail(DUOSHM_ERR_CORRUPT,
			"\"%s\" has %zu bytes, too few for its header and its %llu bytes",
			entry->name, map->length, (unsigned long long)entry->size);
	int result = check_version(header, entry);
	if (result < 0)
		return result;
	const struct {
		const char *what;
		uint64_t memory, registry;
	} facts[] = {
		{"generation", header->generation, entry->generation},
		{"size", header->size, entry->size},
		{"kind", header->kind, (uint64_t)entry->kind},
		{"bells", header->bells, entry->bells},
	};
	for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++)
		if (facts[i].memory != facts[i].registry)
			return duoshm__fail(DUOSHM_ERR_CORRUPT,
				"\"%s\": the memory says %s %llu, the registry says %llu",
				entry->name, facts[i].what, (unsigned long long)facts[i].memory,
				(unsigned long long)facts[i].registry);
	if (strncmp(header->name, entry->name, sizeof header->name) != 0)
		return duoshm__fail(
			DUOSHM_ERR_CORRUPT, "the memory of \"%s\" bears another name", entry->name);
	return 0;
}

static int gone(const struct duoshm__entry *entry)
{
	duoshm__fail(DUOSHM_ERR_NOT_FOUND,
		"the registry knows \"%s\", but its %s object %s was removed from outside",
		entry->name, entry->backend, entry->native.text);
	return duoshm__set_cure(
		"create it anew, or clean up with: " DUOSHM_DETACH " -n %s", entry->name);
}

void duoshm__object_place(struct duoshm_segment *object)
{
	object->header = object->map.address;
	object->payload = (unsigned char *)object->map.address + DUOSHM__HEADER_SIZE;
}

int duoshm__object_map(struct duoshm_segment *object)
{
	struct duoshm_failure why = {0};
	int result = object->backend->attach(
		&object->entry.native, object->read_only, &object->map, &why);

	if (result == DUOSHM_ERR_NOT_FOUND)
		return gone(&object->entry);
	if (result < 0)
		return duoshm__fail_native(&why);
	result = check_header(&object->map, &object->entry);
	if (result == 0) {
		duoshm__object_place(object);
		return 0;
	}
	duoshm__object_unmap(object);
	/*
	 * Not ours: was ours removed, and its native name given to another, since the entry was
	 * read?
	 */
	return duoshm__object_gone(object) ? gone(&object->entry) : result;
}

void duoshm__object_unmap(struct duoshm_segment *object)
{
	struct duoshm_failure why = {0};

	if (object->map.address && object->backend->detach(&object->map, &why) < 0)
		duoshm__log(object->ctx, DUOSHM_LOG_WARNING, "%s: could not detach: %s",
			object->entry.name, why.cause);
	object->map = (struct duoshm__map){0};
	object->header = NULL;
	object->payload = NULL;
}

/* ---- open ---- */

/* Whether an object of kind `actual` may be opened by who wants `wanted`. */
static bool fits(int wanted, int actual)
{
	if (wanted == DUOSHM_KIND_ANY || wanted == actual)
		return true;
	return wanted == DUOSHM_KIND_SEGMENT &&
	       (actual == DUOSHM_KIND_DEVICE || actual == DUOSHM_KIND_LANE);
}

static int check_entry(const struct duoshm__entry *entry, int kind, size_t min_size)
{
	if (entry->removing)
		return duoshm__fail(DUOSHM_ERR_NOT_FOUND, "\"%s\" is being removed", entry->name);
	if (!fits(kind, entry->kind))
		return duoshm__fail(DUOSHM_ERR_WRONG_KIND, "\"%s\" is a %s, not a %s", entry->name,
			duoshm_kind_name(entry->kind), duoshm_kind_name(kind));
	if (entry->size > SIZE_MAX / 2 - DUOSHM__HEADER_SIZE)
		return duoshm__fail(DUOSHM_ERR_LIMIT,
			"\"%s\" has %llu bytes, more than this process can address", entry->name,
			(unsigned long long)entry->size);
	if (entry->size < min_size || entry->bells > DUOSHM_BELLS_MAX)
		return duoshm__fail(DUOSHM_ERR_CORRUPT,
			"\"%s\": %llu bytes and %u bells do not make a %s", entry->name,
			(unsigned long long)entry->size, entry->bells,
			duoshm_kind_name(entry->kind));
	return 0;
}

/* Whose bells cannot be used polls instead, and those who sleep look again after a slice. */
static int open_bells(struct duoshm_segment *object)
{
	const struct duoshm__entry *entry = &object->entry;
	struct duoshm_failure why = {0};

	if (entry->bells == 0 || object->read_only)
		return 0;
	int result =
		object->backend->bells_open(&entry->native, entry->bells, &object->bells, &why);
	if (result == DUOSHM_ERR_NOT_FOUND)
		return gone(entry);
	if (result == DUOSHM_ERR_UNSUPPORTED) {
		duoshm__log(object->ctx, DUOSHM_LOG_NOTICE, "%s: %s", entry->name, why.cause);
		return 0;
	}
	return result < 0 ? duoshm__fail_native(&why) : 0;
}

/* The statistics are for people: relaxed, and by those alone who may write. */
static void note(struct duoshm_segment *object, struct duoshm__word64 *stamp)
{
	struct duoshm__process self;

	duoshm__process_self(&self);
	duoshm__store64(stamp, (uint64_t)duoshm__wall_time());
	duoshm__store64(&object->header->last_pid, (uint64_t)self.pid);
}

int duoshm__object_attach(const struct duoshm_segment *outside, int kind, size_t min_size,
	unsigned flags, struct duoshm_segment **out)
{
	int result = check_entry(&outside->entry, kind, min_size);

	if (result < 0)
		return result;
	struct duoshm_segment *object = duoshm__object_new(outside->ctx, outside->backend);
	if (!object)
		return DUOSHM_ERR_NO_SPACE;
	object->entry = outside->entry;
	object->read_only = (flags & DUOSHM_READ_ONLY) != 0;
	result = duoshm__object_map(object);
	if (result == 0 && duoshm__object_removed(object))
		result = duoshm__fail(
			DUOSHM_ERR_NOT_FOUND, "\"%s\" is being removed", object->entry.name);
	if (result == 0)
		result = open_bells(object);
	if (result == 0)
		result = duoshm__object_join(object);
	if (result < 0) {
		duoshm__object_discard(object);
		return result;
	}
	if (!object->read_only)
		note(object, &object->header->attached_ns);
	if (flags & DUOSHM_POPULATE)
		duoshm__object_populate(object);
	*out = object;
	return 0;
}

bool duoshm__object_is_abandoned(const struct duoshm_segment *outside)
{
	const struct duoshm__entry *entry = &outside->entry;
	struct duoshm_segment again = *outside;

	if (outside->creation.fd >= 0)
		return true;
	if (entry->generation != 0)
		return duoshm__object_life(outside, entry->owner, &entry->creator) == DUOSHM__DEAD;
	/* It says of nobody that he builds it, but its lock does. */
	bool is_abandoned = duoshm__object_lock(&again) == 0 && again.entry.generation == 0;
	duoshm__entry_unlock(&again.creation);
	return is_abandoned;
}

/* NOT_FOUND: its builder is dead; TIMEOUT: it may still come. */
static int half_built(const struct duoshm_segment *outside)
{
	const struct duoshm__entry *entry = &outside->entry;
	long long pid = (long long)entry->creator.pid;
	bool is_abandoned = duoshm__object_is_abandoned(outside);

	if (is_abandoned && entry->generation == 0)
		return duoshm__fail(DUOSHM_ERR_NOT_FOUND,
			"\"%s\" was never finished, and nobody is building it", entry->name);
	if (is_abandoned)
		return duoshm__fail(DUOSHM_ERR_NOT_FOUND,
			"\"%s\" was never finished: its creator, process %lld, died building it",
			entry->name, pid);
	if (entry->generation == 0)
		return duoshm__fail(DUOSHM_ERR_TIMEOUT, "\"%s\" is still being built", entry->name);
	duoshm__fail(DUOSHM_ERR_TIMEOUT, "\"%s\" is still being built by process %lld", entry->name,
		pid);
	return duoshm__set_cure("see whether process %lld is stopped", pid);
}

static int try_open(struct duoshm *ctx, const struct duoshm__name *name, int kind, size_t min_size,
	unsigned flags, struct duoshm_segment **out)
{
	struct duoshm_segment outside = DUOSHM__OUTSIDE(ctx, NULL);
	int result = duoshm__context_find(ctx, name, &outside.backend, &outside.entry);

	if (result < 0)
		return result;
	if (!outside.entry.ready)
		return half_built(&outside);
	return duoshm__object_attach(&outside, kind, min_size, flags, out);
}

int duoshm__object_open(struct duoshm *ctx, const char *text, int kind, size_t min_size,
	unsigned flags, int64_t timeout_ns, struct duoshm_segment **out)
{
	struct duoshm__name name;
	int result = duoshm__context_check(ctx);

	if (result < 0)
		return result;
	if (!out || timeout_ns < 0 || (flags & ~OPEN_FLAGS))
		return duoshm__fail(DUOSHM_ERR_INVALID,
			"open: flags 0x%x, timeout %lld ns: one of them, or the result's place, "
			"cannot be",
			flags, (long long)timeout_ns);
	result = duoshm__name_parse(text, &name);
	if (result < 0)
		return result;
	if (!ctx->lifeline && !(flags & DUOSHM_READ_ONLY)) {
		duoshm__fail(DUOSHM_ERR_PERMISSION,
			"%s is not writable: objects can be opened read-only alone",
			ctx->registry.directory);
		return duoshm__set_cure("open it with DUOSHM_READ_ONLY");
	}
	int64_t deadline = duoshm__deadline(timeout_ns), pause = 0;
	do
		result = try_open(ctx, &name, kind, min_size, flags, out);
	while ((result == DUOSHM_ERR_NOT_FOUND || result == DUOSHM_ERR_OTHER_BACKEND ||
		       result == DUOSHM_ERR_TIMEOUT) &&
		duoshm__pause_before(deadline, &pause));
	return result;
}

/* ---- close ---- */

int duoshm__object_close(struct duoshm_segment *object)
{
	int result = 0;

	if (!object)
		return 0;
	if (object->forks != duoshm__forks()) {
		result = duoshm__fail(DUOSHM_ERR_FORKED,
			"the handle of \"%s\" belongs to the parent process; the memory of its "
			"copy is freed",
			object->entry.name);
	} else if (object->creation.fd >= 0) {
		/* Unpublished: nobody but us has seen it, and nobody ever will. */
		result = duoshm_segment_remove(object);
	} else if (object->header && !object->read_only) {
		note(object, &object->header->detached_ns);
	}
	duoshm__object_discard(object);
	return result;
}
