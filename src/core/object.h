/* SPDX-License-Identifier: MIT */
/*
 * The one life cycle of objects: create, publish, open, close, remove, and their recovery. struct
 * duoshm_segment is the handle of an object of any kind; semaphore, lock, queue and broadcast are
 * layouts of its payload, built with these calls.
 */
#ifndef DUOSHM_CORE_OBJECT_H
#define DUOSHM_CORE_OBJECT_H

#include "core/context.h"
#include "core/header_layout.h"

struct duoshm_segment {
	struct duoshm *ctx;
	const struct duoshm__backend *backend;
	struct duoshm__entry
		entry; /* what the registry tells; of adopted memory, what the kernel tells */
	struct duoshm__entry_lock creation; /* held while unpublished */
	struct duoshm__map map;
	struct duoshm__header *header; /* NULL: adopted */
	void *payload;
	struct duoshm__bells *bells; /* NULL: none, or read-only */
	bool read_only;
	unsigned slot;   /* in the lifeline; UINT_MAX: none */
	int presence_fd; /* -1: none */
	unsigned forks;
	/* when a sleeper last asked the kernel whether it is still there */
	struct duoshm__word64 looked_ns;
};

/*
 * An object seen from outside, before it is opened, judged or removed: a handle on the stack in
 * which ctx, backend, entry and creation alone are set.
 */
#define DUOSHM__OUTSIDE(context, family)                                                           \
	(struct duoshm_segment)                                                                    \
	{                                                                                          \
		.ctx = (context), .backend = (family), .creation = {.fd = -1 }                     \
	}

/* What a kind of object is made of. */
struct duoshm__recipe {
	int kind;
	size_t size;
	unsigned bells;
	/* Fills the new payload (zeroed) before it is published; NULL: nothing to fill. */
	void (*fill)(void *payload, size_t size, const void *arg);
	const void *arg;
};

/*
 * CREATED, OPENED or REPLACED. `options` NULL: the defaults; its kind and bells are ignored, the
 * recipe's count.
 */
int duoshm__object_create(struct duoshm *ctx, const char *name, const struct duoshm__recipe *recipe,
	const struct duoshm_create *options, struct duoshm_segment **out);
/* kind: DUOSHM_KIND_ANY for all. min_size: less is CORRUPT. */
int duoshm__object_open(struct duoshm *ctx, const char *name, int kind, size_t min_size,
	unsigned flags, int64_t timeout_ns, struct duoshm_segment **out);
int duoshm__object_close(struct duoshm_segment *object);
/* Why the check below fails. */
int duoshm__object_refuse(const struct duoshm_segment *object);
/* INVALID for NULL, FORKED in a child. A load and a compare. */
static inline int duoshm__object_check(const struct duoshm_segment *object)
{
	if (object && object->forks == duoshm__forks())
		return 0;
	return duoshm__object_refuse(object);
}
/* Removed by the library (a load). */
static inline bool duoshm__object_removed(const struct duoshm_segment *object)
{
	return object->header && duoshm__load32_acquire(&object->header->removed) != 0;
}
/* The caller's lifeline id, 0 where it has none. */
uint64_t duoshm__object_self(const struct duoshm_segment *object);
/* Of a lifeline id that stood in this object's memory; label may be NULL. */
enum duoshm__life duoshm__object_life(
	const struct duoshm_segment *object, uint64_t id, const struct duoshm__process *label);

/*
 * Sleeps on a bell until `deadline` (duoshm__now time), one slice of at most `slice_ns`. 0: rung or
 * slice over: look again; TIMEOUT: the deadline is over; REMOVED: also when removed from outside
 * (checked twice a second); INTERRUPTED only when `interruptible`.
 */
#define DUOSHM__SLICE_NS 100000000 /* a peer may have died between its store and its ring */
int duoshm__object_sleep(struct duoshm_segment *object, unsigned bell, int64_t deadline,
	int64_t slice_ns, bool interruptible);
int duoshm__object_ring(struct duoshm_segment *object, unsigned bell);

/*
 * Makes an object of that family in the context's registry, uses and removes it: 0, or what failed.
 * Then why->code is 0 where it was not the family (but the registry), else *why is what it says.
 */
int duoshm__object_try(
	struct duoshm *ctx, const struct duoshm__backend *backend, struct duoshm_failure *why);

/* Ends UNPUBLISHED. INVALID when it is published. */
int duoshm__object_publish(struct duoshm_segment *object);
/* 1: gone from the kernel's names, 0: there. A system call. */
int duoshm__object_gone(const struct duoshm_segment *object);

/* ---- between the files that make up the life cycle ---- */

/* A handle that holds nothing yet; NULL: no memory (the failure is set). */
struct duoshm_segment *duoshm__object_new(
	struct duoshm *ctx, const struct duoshm__backend *backend);
/* Gives back all that the handle holds so far, and itself. In a forked child: what is private. */
void duoshm__object_discard(struct duoshm_segment *object);
/* Opens what a ready entry tells of. NOT_FOUND: removed meanwhile, or from outside. */
int duoshm__object_attach(const struct duoshm_segment *outside, int kind, size_t min_size,
	unsigned flags, struct duoshm_segment **out);
/* Notes the attachment where others count it. */
int duoshm__object_join(struct duoshm_segment *object);
/* Touches every page. */
void duoshm__object_populate(struct duoshm_segment *object);
/*
 * Attaches the memory, if it is the object that the entry tells of, ready to be used: 0,
 * INCOMPATIBLE, CORRUPT or NOT_FOUND (from outside). The memory may be hostile: each field of its
 * header is loaded once.
 */
int duoshm__object_map(struct duoshm_segment *object);
void duoshm__object_unmap(struct duoshm_segment *object);
/* The header and the payload of what is attached. */
void duoshm__object_place(struct duoshm_segment *object);

/*
 * Takes the creation lock, and reads the entry again under it. The lock may be held on failure,
 * too, when the entry is damaged: it is the caller's to give back.
 */
int duoshm__object_lock(struct duoshm_segment *outside);
/*
 * Of one that is not ready: is it proven that nobody builds it any more? Takes the creation lock
 * for a moment where the entry is still empty.
 */
bool duoshm__object_is_abandoned(const struct duoshm_segment *outside);
/*
 * The removal of an object whose creation lock is held, also of half-built remains. Who has it
 * attached learns it; then the kernel objects and the entry go. The lock stays to be given back.
 * Without the lock the entry stays, which then is another object's.
 */
int duoshm__object_destroy(struct duoshm_segment *object);
/* Tells all who have the object attached that it is gone. Read-write handles only. */
void duoshm__object_mark_removed(struct duoshm_segment *object);
/* ---- core/inspect.c ---- */

/*
 * True when a create may take the name: its creator is proven dead, or there is nothing left behind
 * the entry, or a removal stopped half-way.
 */
bool duoshm__object_is_remains(const struct duoshm_segment *outside);
/* How many proven orphans of the family there are, for the cure of LIMIT. */
unsigned duoshm__count_orphans(struct duoshm *ctx, const struct duoshm__backend *backend);

#endif
