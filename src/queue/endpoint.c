/* SPDX-License-Identifier: MIT */
/*
 * What queues and broadcasts share: their place in a segment, coming and going, and the wait for the next message.
 *
 * Traps. The capacity that stands in shared memory is only compared with the one that follows from the caller's
 * and the kernel's figures, and never used. Between "no message" and "the producer ended, or died" messages may
 * have come: so whatever ends a wait, the ring is looked at once more before its bad news is believed.
 */
#include "config.h"

#include "queue/endpoint.h"

#include "core/clock.h"
#include "core/failure.h"

#include <stdlib.h>
#include <string.h>

#define BELLS        2
#define CAPACITY_MIN 256u

static const char *role_name(enum duoshm_role role)
{
	return role == DUOSHM_PRODUCER   ? "producer"
	       : role == DUOSHM_CONSUMER ? "consumer"
					 : "reader";
}

/* ---- the place in a segment --------------------------------------------------------------------- */

size_t duoshm__endpoint_bytes(const struct duoshm__endpoint_type *type, size_t capacity)
{
	size_t rounded = CAPACITY_MIN;

	while (rounded < capacity) {
		if (rounded > SIZE_MAX / 2)
			return 0;
		rounded *= 2;
	}
	return rounded <= SIZE_MAX - type->header ? type->header + rounded : 0;
}

/* The largest power of two that fits; 0: not even the least. */
static uint64_t capacity_of(size_t room)
{
	size_t capacity = CAPACITY_MIN;

	if (room < capacity)
		return 0;
	while (capacity <= room / 2)
		capacity *= 2;
	return capacity;
}

static int find(const struct duoshm__endpoint_type *type, const struct duoshm_segment *segment,
	size_t offset, size_t bytes, bool writes, uint64_t *capacity)
{
	int result = duoshm__object_check(segment);

	if (result != 0)
		return result;
	if (writes && segment->read_only)
		return duoshm__fail(DUOSHM_ERR_READ_ONLY, "the segment is attached read-only");
	size_t size = duoshm_segment_size(segment);
	if (offset % DUOSHM__LINE != 0 || offset > size || bytes > size - offset)
		return duoshm__fail(DUOSHM_ERR_INVALID,
			"%zu bytes at offset %zu of a segment of %zu bytes", bytes, offset, size);
	*capacity = bytes < type->header ? 0 : capacity_of(bytes - type->header);
	if (*capacity == 0)
		return duoshm__fail(DUOSHM_ERR_INVALID, "%zu bytes are too few, it takes %zu",
			bytes, type->header + CAPACITY_MIN);
	return 0;
}

static void *address_of(const struct duoshm_segment *segment, size_t offset)
{
	return (unsigned char *)segment->payload + offset;
}

/* Zeroes the header and the ring's first two words, and marks it. */
static void format(const struct duoshm__endpoint_type *type, void *at, uint64_t capacity)
{
	struct duoshm__mark mark = {type->magic, type->layout, 0, capacity};

	memset(at, 0, type->header + 2 * sizeof(uint64_t));
	memcpy(at, &mark, sizeof(mark));
}

int duoshm__endpoint_format(const struct duoshm__endpoint_type *type,
	struct duoshm_segment *segment, size_t offset, size_t bytes)
{
	uint64_t capacity;
	int result = find(type, segment, offset, bytes, true, &capacity);

	if (result == 0)
		format(type, address_of(segment, offset), capacity);
	return result;
}

/* CORRUPT: nothing of the kind is there; INCOMPATIBLE: another layout. */
static int verify(const struct duoshm__endpoint_type *type, const void *at, uint64_t capacity)
{
	struct duoshm__mark mark;

	memcpy(&mark, at, sizeof(mark));
	if (mark.magic != type->magic)
		return duoshm__fail(DUOSHM_ERR_CORRUPT, "there is no %s at this place", type->name);
	if (mark.layout != type->layout)
		return duoshm__fail(DUOSHM_ERR_INCOMPATIBLE,
			"the %s has layout %u, this library %u", type->name, (unsigned)mark.layout,
			(unsigned)type->layout);
	if (mark.capacity != capacity)
		return duoshm__fail(DUOSHM_ERR_CORRUPT,
			"the %s says %llu bytes, there is room for %llu", type->name,
			(unsigned long long)mark.capacity, (unsigned long long)capacity);
	return 0;
}

/* INVALID unless `bells` is NO_BELLS or the first of two that the segment has, or it is read-only (and has none for us). */
static int check_bells(const struct duoshm_segment *segment, unsigned bells)
{
	if (bells == DUOSHM_NO_BELLS || segment->read_only)
		return 0;
	if (bells >= segment->entry.bells || segment->entry.bells - bells < BELLS)
		return duoshm__fail(DUOSHM_ERR_INVALID, "bells %u and %u of a segment that has %u",
			bells, bells + 1, segment->entry.bells);
	return 0;
}

/* ---- coming and going ---------------------------------------------------------------------------- */

static void init_waiter(struct duoshm__endpoint *e)
{
	e->waiter.segment = e->segment;
	e->waiter.arg = e;
	if (e->bells == DUOSHM_NO_BELLS)
		e->waiter.sleeps = NULL;
	duoshm__waiter_init(&e->waiter);
}

/* A role that is held: claims it, unless it is `claimed` (ours since the object was made), and takes up the ring. */
static int take_up(struct duoshm__endpoint *e, uint64_t capacity, bool claimed)
{
	void *ring = (unsigned char *)e->shared + e->type->header;
	int result = 0;

	e->holds = e->type->role_of(e->shared, e->role);
	if (e->holds != NULL && !claimed)
		result = duoshm__role_claim(e->segment, e->holds, role_name(e->role));
	if (result != 0)
		return result;
	result = e->type->take_up(e, ring, capacity);
	if (result == 0) {
		init_waiter(e);
		return 0;
	}
	if (e->holds == NULL)
		return duoshm__fail(result, "the ring does not make sense");
	duoshm__role_yield(e->segment, e->holds);
	return duoshm__fail(result, "the %s before us left no sensible ring", role_name(e->role));
}

static int join(struct duoshm__endpoint *e, size_t offset, size_t bytes, bool claimed)
{
	uint64_t capacity;
	bool writes = e->role != DUOSHM_READER;
	int result = find(e->type, e->segment, offset, bytes, writes, &capacity);

	if (result == 0)
		result = check_bells(e->segment, e->bells);
	if (result != 0)
		return result;
	e->shared = address_of(e->segment, offset);
	if (e->segment->bells == NULL)
		e->bells = DUOSHM_NO_BELLS;
	result = verify(e->type, e->shared, capacity);
	if (result == 0)
		result = take_up(e, capacity, claimed);
	return result;
}

static int new_handle(const struct duoshm__endpoint_type *type, enum duoshm_role role,
	const void *out, struct duoshm__endpoint **made)
{
	if (out == NULL)
		return duoshm__fail(DUOSHM_ERR_INVALID, "no place for the handle");
	if (role != DUOSHM_PRODUCER && role != type->others)
		return duoshm__fail(
			DUOSHM_ERR_INVALID, "%d is no role in a %s", (int)role, type->name);
	struct duoshm__endpoint *e = calloc(1, type->handle);
	if (e == NULL)
		return duoshm__fail(DUOSHM_ERR_NO_SPACE, "no memory for a handle");
	e->type = type;
	e->role = role;
	*made = e;
	return 0;
}

/* Joins and gives `e` to the caller, or everything back. */
static int hand_over(
	struct duoshm__endpoint *e, size_t offset, size_t bytes, bool claimed, void *out)
{
	int result = join(e, offset, bytes, claimed);

	if (result == 0) {
		/* All pointers to structures have one representation. */
		memcpy(out, &e, sizeof(e));
		return 0;
	}
	if (e->owned)
		(void)duoshm__object_close(e->segment);
	free(e);
	return result;
}

/* The same with an object of its own. `made` says how it came, and is the result on success, or why it did not come. */
static int hand_over_object(struct duoshm__endpoint *e, int made, bool claimed, void *out)
{
	if (made < 0) {
		free(e);
		return made;
	}
	e->owned = true;
	int result = hand_over(e, 0, duoshm_segment_size(e->segment), claimed, out);
	return result != 0 ? result : made;
}

/* What a new object is filled with: its creator is in it from the first moment on. */
struct birth {
	const struct duoshm__endpoint_type *type;
	enum duoshm_role role;
	struct duoshm__claimant claimant;
};

static void fill(void *payload, size_t size, const void *arg)
{
	const struct birth *birth = arg;

	format(birth->type, payload, size - birth->type->header);
	duoshm__role_write(birth->type->role_of(payload, birth->role), &birth->claimant);
}

int duoshm__endpoint_create(const struct duoshm__endpoint_type *type, struct duoshm *ctx,
	const char *name, size_t capacity, enum duoshm_role role,
	const struct duoshm_create *options, void *out)
{
	struct birth birth = {.type = type, .role = role};
	struct duoshm__recipe recipe = {
		.kind = type->kind,
		.size = duoshm__endpoint_bytes(type, capacity),
		.bells = BELLS,
		.fill = fill,
		.arg = &birth,
	};
	struct duoshm__endpoint *e = NULL;
	int result = duoshm__context_check(ctx);

	if (result != 0)
		return result;
	if (recipe.size == 0)
		return duoshm__fail(DUOSHM_ERR_INVALID, "a %s of %zu bytes", type->name, capacity);
	if (options != NULL && (options->flags & DUOSHM_UNPUBLISHED))
		return duoshm__fail(
			DUOSHM_ERR_INVALID, "%s: UNPUBLISHED is for segments", type->name);
	if (ctx->lifeline == NULL)
		return duoshm__fail(
			DUOSHM_ERR_PERMISSION, "the registry directory is not writable");
	result = new_handle(type, role, out, &e);
	if (result != 0)
		return result;
	duoshm__claimant_self(duoshm__lifeline_id(ctx->lifeline), &birth.claimant);
	result = duoshm__object_create(ctx, name, &recipe, options, &e->segment);
	return hand_over_object(e, result, result != DUOSHM_OPENED, out);
}

int duoshm__endpoint_open(const struct duoshm__endpoint_type *type, struct duoshm *ctx,
	const char *name, enum duoshm_role role, unsigned flags, int64_t timeout_ns, void *out)
{
	struct duoshm__endpoint *e = NULL;
	int result = new_handle(type, role, out, &e);

	if (result != 0)
		return result;
	result = duoshm__object_open(ctx, name, type->kind, duoshm__endpoint_bytes(type, 0), flags,
		timeout_ns, &e->segment);
	return hand_over_object(e, result, false, out);
}

int duoshm__endpoint_attach(const struct duoshm__endpoint_type *type,
	struct duoshm_segment *segment, size_t offset, size_t bytes, unsigned bells,
	enum duoshm_role role, void *out)
{
	struct duoshm__endpoint *e = NULL;
	int result = new_handle(type, role, out, &e);

	if (result != 0)
		return result;
	e->segment = segment;
	e->bells = bells;
	return hand_over(e, offset, bytes, false, out);
}

int duoshm__endpoint_close(struct duoshm__endpoint *e)
{
	int result = duoshm__object_check(e->segment);

	if (result == 0 && e->holds != NULL)
		duoshm__role_yield(e->segment, e->holds);
	if (e->owned)
		result = duoshm__object_close(e->segment);
	free(e);
	return result;
}

/* ---- traffic ------------------------------------------------------------------------------------- */

int duoshm__endpoint_check(const struct duoshm__endpoint *e, enum duoshm_role role)
{
	int result = duoshm__object_check(e->segment);

	if (result != 0)
		return result;
	if (e->role != role)
		return duoshm__fail(
			DUOSHM_ERR_NOT_OWNER, "this handle is a %s's", role_name(e->role));
	return 0;
}

int duoshm__endpoint_await(
	struct duoshm__endpoint *e, duoshm__next_fn *next, void *arg, int64_t timeout_ns)
{
	int64_t deadline = duoshm__wait_deadline(timeout_ns);
	int result;

	do {
		result = duoshm__wait(&e->waiter, deadline);
		if (result != 0)
			return result;
		/* Before the look into the ring: pairs with the store in finish. */
		bool finished = duoshm__load32_acquire(&e->waiter.peer->finished) != 0;
		result = next(e, arg);
		if (result == DUOSHM_ERR_TIMEOUT && finished)
			return DUOSHM_ERR_END;
		/*
		 * TIMEOUT: a reader is lapped again and again, or the producer finished and a new one came at once. Then there is
		 * something to wait for again.
		 */
	} while (result == DUOSHM_ERR_TIMEOUT && duoshm__remaining(deadline, 1) != 0);
	return result;
}

int duoshm__endpoint_failed(const struct duoshm__endpoint *e, int code, const char *timeout)
{
	enum duoshm_role peer = e->role == DUOSHM_PRODUCER ? e->type->others : DUOSHM_PRODUCER;

	switch (code) {
	case DUOSHM_ERR_TIMEOUT: return duoshm__fail(code, "%s", timeout);
	case DUOSHM_ERR_PEER_DEAD: return duoshm__fail(code, "the %s died", role_name(peer));
	case DUOSHM_ERR_REMOVED: return duoshm__fail(code, "the %s was removed", e->type->name);
	case DUOSHM_ERR_CORRUPT: return duoshm__fail(code, "the ring does not make sense");
	case DUOSHM_ERR_END: return duoshm__fail(code, "the producer finished");
	default: return code; /* recorded where it arose */
	}
}
