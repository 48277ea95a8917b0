/* SPDX-License-Identifier: MIT */
/*
 * The one life cycle of objects: create, publish, open, close, remove, and their recovery. struct duoshm_segment is the
 * handle of an object of any kind; semaphore, lock, queue and broadcast are layouts of its payload, built with these calls.
 */
#ifndef DUOSHM_CORE_OBJECT_H
#define DUOSHM_CORE_OBJECT_H

#include "core/context.h"
#include "core/header_layout.h"

struct duoshm_segment {
	struct duoshm *ctx;
	const struct duoshm__backend *backend;
	struct duoshm__map map;
	struct duoshm__header *header; /* NULL: adopted */
	void *payload;
	size_t size;
	struct duoshm__bells *bells; /* NULL: none, or read-only */
	unsigned n_bells;
	int kind;
	bool read_only;
	uint64_t generation;
	struct duoshm__native native;
	struct duoshm__entry_lock creation; /* held while unpublished */
	struct duoshm__entry entry;
	unsigned slot;   /* in the lifeline; UINT_MAX: none */
	int presence_fd; /* -1: none */
	unsigned forks;
};

/* What a kind of object is made of. */
struct duoshm__recipe {
	int kind;
	size_t size;
	unsigned bells;
	/* Fills the new payload (zeroed) before it is published; NULL: nothing to fill. */
	void (*fill)(void *payload, size_t size, const void *arg);
	const void *arg;
};

/* CREATED, OPENED or REPLACED. `options` NULL: the defaults; its kind and bells are ignored, the recipe's count. */
int duoshm__object_create(struct duoshm *ctx, const char *name, const struct duoshm__recipe *recipe,
	const struct duoshm_create *options, struct duoshm_segment **out);
/* kind: DUOSHM_KIND_ANY for all. min_size: less is CORRUPT. */
int duoshm__object_open(struct duoshm *ctx, const char *name, int kind, size_t min_size,
	unsigned flags, int64_t timeout_ns, struct duoshm_segment **out);
int duoshm__object_close(struct duoshm_segment *object);
/* INVALID for NULL, FORKED in a child. A load and a compare. */
int duoshm__object_check(const struct duoshm_segment *object);
/* Removed by the library (a load). */
bool duoshm__object_removed(const struct duoshm_segment *object);
/* The caller's lifeline id, 0 where it has none. */
uint64_t duoshm__object_self(const struct duoshm_segment *object);
/* Of a lifeline id that stood in this object's memory; label may be NULL. */
enum duoshm__life duoshm__object_life(
	const struct duoshm_segment *object, uint64_t id, const struct duoshm__process *label);

/*
 * Sleeps on a bell until `deadline` (duoshm__now time), one slice of at most `slice_ns`. 0: rung or slice over: look again;
 * TIMEOUT: the deadline is over; REMOVED: also when removed from outside (checked twice a second); INTERRUPTED only
 * when `interruptible`.
 */
#define DUOSHM__SLICE_NS 100000000 /* a peer may have died between its store and its ring */
int duoshm__object_sleep(struct duoshm_segment *object, unsigned bell, int64_t deadline,
	int64_t slice_ns, bool interruptible);
int duoshm__object_ring(struct duoshm_segment *object, unsigned bell);

/* The removal of an object whose creation lock is held; also of half-built remains. Used by remove, replace, reclaim. */
int duoshm__object_destroy(struct duoshm *ctx, const struct duoshm__backend *backend,
	const struct duoshm__entry_lock *lock, const struct duoshm__entry *entry);

#endif
