/* SPDX-License-Identifier: MIT */
/*
 * What queues and broadcasts share: their place in a segment, coming and going, and the wait for
 * the next message.
 *
 * Traps. The capacity that stands in shared memory is only compared with the one that follows from
 * the caller's and the kernel's figures, and never used. Between "no message" and "the producer
 * ended, or died" messages may have come: so whatever ends a wait, the ring is looked at once more
 * before its bad news is believed.
 */
#include "config.h"

#include "queue/endpoint.h"

#include "core/clock.h"
#include "core/failure.h"

#include <stdlib.h>
#include <string.h>

#define BELLS        2
#define CAPACITY_MIN 256u

static const char *const role_names[] = {
	[DUOSHM_PRODUCER] = "producer", [DUOSHM_CONSUMER] = "consumer", [DUOSHM_READER] = "reader"};

/* ---- the place in a segment ------------------------------------------------------------------ */

size_t duoshm__endpoint_bytes(const struct duoshm__endpoint_type *type, size_t capacity)
{
	size_t rounded = CAPACITY_MIN;

	/* 0: past the last power of two. */
	while (rounded < capacity && rounded != 0)
		rounded *= 2;
	return rounded == 0 || rounded > SIZE_MAX - type->header ? 0 : type->header + rounded;
}

/* The largest power of two that fits; 0: not even the least. */
static uint64_t capacity_of(size_t room)
{
	size_t capacity = CAPACITY_MIN;

	while (capacity <= room / 2)
		capacity *= 2;
	return room < capacity ? 0 : capacity;
}

/* Where it is: *at, and the ring's capacity. */
static int find(const struct duoshm__endpoint_type *type, const struct duoshm_segment *segment,
	size_t offset, size_t bytes, bool writes, void **at, uint64_t *capacity)
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
	*at = (unsigned char *)segment->payload + offset;
	return 0;
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
	void *at;
	int result = find(type, segment, offset, bytes, true, &at, &capacity);

	if (result == 0)
		format(type, at, capacity);
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

/*
 * INVALID unless `bells` is NO_BELLS or the first of two that the segment has, or it is read-only
 * (and has none for us).
 */
static int check_bells(const struct duoshm_segment *segment, unsigned bells)
{
	if (bells == DUOSHM_NO_BELLS || segment->read_only)
		return 0;
	if (bells >= segment->entry.bells || segment->entry.bells - bells < BELLS)
		return duoshm__fail(DUOSHM_ERR_INVALID, "bells %u and %u of a segment that has %u",
			bells, bells + 1, segment->entry.bells);
	return 0;
}

/* NULL: a role that nobody holds. */
static struct duoshm__role *role_of(
	const struct duoshm__endpoint_type *type, void *shared, enum duoshm_role role)
{
	size_t offset = type->role_offset[role];

	return offset == 0 ? NULL : (void *)((unsigned char *)shared + offset);
}

/* ---- coming and going ------------------------------------------------------------------------ */

/*
 * A role that is held: claims it, unless it is `claimed` (ours since the object was made). Takes up
 * the ring.
 */
static int take_up(struct duoshm__endpoint *e, bool claimed)
{
	int result = 0;

	e->holds = role_of(e->type, e->shared, e->role);
	if (e->holds != NULL && !claimed)
		result = duoshm__role_claim(e->segment, e->holds, role_names[e->role]);
	if (result != 0)
		return result;
	result = e->type->take_up(e, (unsigned char *)e->shared + e->type->header);
	if (result == 0)
		return 0;
	if (e->holds == NULL)
		return duoshm__fail(result, "the ring does not make sense");
	duoshm__role_yield(e->segment, e->holds);
	return duoshm__fail(result, "the %s before us left no sensible ring", role_names[e->role]);
}

static const struct duoshm__word32 never;

static int join(struct duoshm__endpoint *e, size_t offset, size_t bytes, bool claimed)
{
	int result = find(e->type, e->segment, offset, bytes, e->role != DUOSHM_READER, &e->shared,
		&e->capacity);

	if (result == 0)
		result = check_bells(e->segment, e->bells);
	if (result == 0)
		result = verify(e->type, e->shared, e->capacity);
	if (result != 0)
		return result;
	if (e->segment->bells == NULL)
		e->bells = DUOSHM_NO_BELLS;
	e->forks = e->segment->forks;
	/* Adopted memory has no header to say so. */
	e->removed = e->segment->header != NULL ? &e->segment->header->removed : &never;
	result = take_up(e, claimed);
	if (result == 0)
		duoshm__waiter_init(&e->waiter, e->segment, e, e->bells != DUOSHM_NO_BELLS);
	return result;
}

/* `owned`: for an object of its own. NULL: the failure is set. */
static struct duoshm__endpoint *new_handle(const struct duoshm__endpoint_type *type,
	enum duoshm_role role, bool owned, const void *out)
{
	struct duoshm__endpoint *e = NULL;

	if (out == NULL)
		duoshm__fail(DUOSHM_ERR_INVALID, "no place for the handle");
	else if (role != DUOSHM_PRODUCER && role != type->others)
		duoshm__fail(DUOSHM_ERR_INVALID, "%d is no role in a %s", (int)role, type->name);
	else if ((e = calloc(1, type->handle)) == NULL)
		duoshm__fail(DUOSHM_ERR_NO_SPACE, "no memory for a handle");
	else
		*e = (struct duoshm__endpoint){.type = type, .role = role, .owned = owned};
	return e;
}

/*
 * Joins and gives `e` to the caller, or everything back. `made` says how the object came, and is
 * the result on success, or why it did not come. An object of its own is taken whole.
 */
static int hand_over(
	struct duoshm__endpoint *e, int made, size_t offset, size_t bytes, bool claimed, void *out)
{
	int result = made;

	if (made >= 0)
		result = join(
			e, offset, e->owned ? duoshm_segment_size(e->segment) : bytes, claimed);
	if (result == 0) {
		/* All pointers to structures have one representation. */
		memcpy(out, &e, sizeof(e));
		return made;
	}
	if (made >= 0 && e->owned)
		(void)duoshm__object_close(e->segment);
	free(e);
	return result;
}

/* What a new object is filled with: its creator is in it from the first moment on. */
struct birth {
	const struct duoshm__endpoint_type *type;
	const struct duoshm *ctx;
	enum duoshm_role role;
};

static void fill(void *payload, size_t size, const void *arg)
{
	const struct birth *birth = arg;

	format(birth->type, payload, size - birth->type->header);
	duoshm__role_hold(role_of(birth->type, payload, birth->role),
		duoshm__lifeline_id(birth->ctx->lifeline));
}

int duoshm__endpoint_create(const struct duoshm__endpoint_type *type, struct duoshm *ctx,
	const char *name, size_t capacity, enum duoshm_role role,
	const struct duoshm_create *options, void *out)
{
	struct birth birth = {type, ctx, role};
	struct duoshm__recipe recipe = {
		.kind = type->kind,
		.size = duoshm__endpoint_bytes(type, capacity),
		.bells = BELLS,
		.fill = fill,
		.arg = &birth,
	};

	if (recipe.size == 0)
		return duoshm__fail(DUOSHM_ERR_INVALID, "a %s of %zu bytes", type->name, capacity);
	if (options != NULL && (options->flags & DUOSHM_UNPUBLISHED))
		return duoshm__fail(
			DUOSHM_ERR_INVALID, "%s: UNPUBLISHED is for segments", type->name);
	struct duoshm__endpoint *e = new_handle(type, role, true, out);
	if (e == NULL)
		return duoshm_failure()->code;
	int result = duoshm__object_create(ctx, name, &recipe, options, &e->segment);
	return hand_over(e, result, 0, 0, result != DUOSHM_OPENED, out);
}

int duoshm__endpoint_open(const struct duoshm__endpoint_type *type, struct duoshm *ctx,
	const char *name, enum duoshm_role role, unsigned flags, int64_t timeout_ns, void *out)
{
	struct duoshm__endpoint *e = new_handle(type, role, true, out);

	if (e == NULL)
		return duoshm_failure()->code;
	int result = duoshm__object_open(ctx, name, type->kind, duoshm__endpoint_bytes(type, 0),
		flags, timeout_ns, &e->segment);
	return hand_over(e, result, 0, 0, false, out);
}

int duoshm__endpoint_attach(const struct duoshm__endpoint_type *type,
	struct duoshm_segment *segment, size_t offset, size_t bytes, unsigned bells,
	enum duoshm_role role, void *out)
{
	struct duoshm__endpoint *e = new_handle(type, role, false, out);

	if (e == NULL)
		return duoshm_failure()->code;
	e->segment = segment;
	e->bells = bells;
	return hand_over(e, 0, offset, bytes, false, out);
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

/* ---- traffic --------------------------------------------------------------------------------- */

int duoshm__endpoint_enter(const void *handle, enum duoshm_role role, int64_t timeout_ns)
{
	const struct duoshm__endpoint *e = handle;

	if (e == NULL)
		return duoshm__fail(DUOSHM_ERR_INVALID, "the handle is NULL");
	bool fits = e->role == role && timeout_ns >= 0;
	int result = duoshm__object_check(e->segment);
	if (result != 0 || fits)
		return result;
	if (timeout_ns < 0)
		return duoshm__fail(DUOSHM_ERR_INVALID, "a negative timeout");
	return duoshm__fail(DUOSHM_ERR_NOT_OWNER, "this handle is a %s's", role_names[e->role]);
}

int duoshm__endpoint_set_spin(void *handle, int64_t ns)
{
	struct duoshm__endpoint *e = handle;
	int result = e == NULL ? duoshm__fail(DUOSHM_ERR_INVALID, "the handle is NULL")
			       : duoshm__object_check(e->segment);

	return result < 0 ? result : duoshm__spin_set(&e->waiter.spin, ns);
}

int duoshm__endpoint_await(
	struct duoshm__endpoint *e, duoshm__next_fn *next, void *arg, int64_t timeout_ns)
{
	int result;

	if (timeout_ns != 0 && duoshm__glance(&e->waiter) &&
		(result = next(e, arg)) != DUOSHM_ERR_TIMEOUT)
		return result;
	int64_t deadline = duoshm__wait_deadline(timeout_ns);
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
		 * TIMEOUT: a reader is lapped again and again, or the producer finished and a new
		 * one came at once. Then there is something to wait for again.
		 */
	} while (result == DUOSHM_ERR_TIMEOUT && duoshm__remaining(deadline, 1) != 0);
	return result;
}

int duoshm__endpoint_failed(const struct duoshm__endpoint *e, int code, const char *timeout)
{
	enum duoshm_role peer = e->role == DUOSHM_PRODUCER ? e->type->others : DUOSHM_PRODUCER;

	switch (code) {
	case DUOSHM_ERR_TIMEOUT: return duoshm__fail(code, "%s", timeout);
	case DUOSHM_ERR_PEER_DEAD: return duoshm__fail(code, "the %s died", role_names[peer]);
	case DUOSHM_ERR_REMOVED:
		return duoshm__fail(code, "the %s \"%s\" was removed",
			duoshm_kind_name(e->segment->entry.kind), e->segment->entry.name);
	case DUOSHM_ERR_CORRUPT: return duoshm__fail(code, "the ring does not make sense");
	case DUOSHM_ERR_END: return duoshm__fail(code, "the producer finished");
	default: return code; /* recorded where it arose */
	}
}
