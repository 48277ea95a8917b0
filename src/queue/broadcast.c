/* SPDX-License-Identifier: MIT */
/*
 * Broadcasts: the public calls. The ring (broadcast_ring.c) moves the bytes, the producer's role (role.c) says whether
 * it lives, waiting (wait.c) bridges the time. Readers hold no role: the producer does not know of them.
 *
 * Waking many readers with one ring. Readers sleep on the bell of the epoch's parity; the producer counts the epoch up
 * and rings the old bell once, and each reader that it wakes rings it for the next one. The last ring stays behind and ends with the first sleeper
 * of an epoch to come.
 */
#include "config.h"

#include "duoshm.h"

#include "core/clock.h"
#include "core/failure.h"
#include "core/object.h"
#include "queue/broadcast_ring.h"
#include "queue/place.h"
#include "queue/role.h"
#include "queue/wait.h"

#include <stdlib.h>

#define BELLS 2

struct duoshm_broadcast {
	struct duoshm_segment *segment;
	bool owned; /* the segment is ours to close */
	enum duoshm_role role;
	struct duoshm__broadcast *shared;
	unsigned bells;               /* the first of two; NO_BELLS */
	struct duoshm__waiter waiter; /* readers */
	struct duoshm__cast_producer producer;
	struct duoshm__cast_reader reader;
};

/* ---- coming and going ------------------------------------------------------------------------ */

static int take_up_producer(
	struct duoshm_broadcast *b, const struct duoshm__place *place, bool claimed)
{
	struct duoshm__role *role = &b->shared->producer;
	unsigned char *data = (unsigned char *)b->shared + DUOSHM__BROADCAST_HEADER;
	int result = claimed ? 0 : duoshm__role_claim(b->segment, role, "producer");

	if (result != 0)
		return result;
	result = duoshm__cast_produce(&b->producer, &b->shared->indices, data, place->capacity);
	if (result != 0) {
		duoshm__role_yield(b->segment, role);
		return duoshm__fail(result, "the producer before us left no sensible ring");
	}
	return 0;
}

static int take_up_reader(struct duoshm_broadcast *b, const struct duoshm__place *place)
{
	unsigned char *data = (unsigned char *)b->shared + DUOSHM__BROADCAST_HEADER;
	int result = duoshm__cast_read(&b->reader, &b->shared->indices, data, place->capacity);

	if (result != 0)
		return duoshm__fail(result, "the ring does not make sense");
	duoshm__waiter_init(
		&b->waiter, b->segment, &b->shared->producer, &b->shared->sleeps, b->bells);
	b->waiter.epoch = &b->shared->epoch;
	return 0;
}

/* `claimed`: the producer's role has been ours since the broadcast was made. */
static int join(struct duoshm_broadcast *b, size_t offset, size_t bytes, bool claimed)
{
	struct duoshm__place place;
	bool produces = b->role == DUOSHM_PRODUCER;
	int result = duoshm__place_find(
		b->segment, offset, bytes, DUOSHM__BROADCAST_HEADER, produces, &place);

	if (result == 0)
		result = duoshm__place_bells(b->segment, b->bells);
	if (result == 0)
		result = duoshm__place_verify(
			&place, DUOSHM__BROADCAST_MAGIC, DUOSHM__BROADCAST_LAYOUT, "broadcast");
	if (result != 0)
		return result;
	if (b->segment->bells == NULL)
		b->bells = DUOSHM_NO_BELLS;
	b->shared = place.address;
	return produces ? take_up_producer(b, &place, claimed) : take_up_reader(b, &place);
}

static int new_handle(
	enum duoshm_role role, struct duoshm_broadcast *const *out, struct duoshm_broadcast **made)
{
	if (out == NULL)
		return duoshm__fail(DUOSHM_ERR_INVALID, "no place for the handle");
	if (role != DUOSHM_PRODUCER && role != DUOSHM_READER)
		return duoshm__fail(DUOSHM_ERR_INVALID, "%d is no role in a broadcast", (int)role);
	struct duoshm_broadcast *b = calloc(1, sizeof(*b));
	if (b == NULL)
		return duoshm__fail(DUOSHM_ERR_NO_SPACE, "no memory for a handle");
	b->role = role;
	*made = b;
	return 0;
}

static void fill(void *payload, size_t size, const void *arg)
{
	struct duoshm__broadcast *shared = payload;
	struct duoshm__place place = {payload, size - DUOSHM__BROADCAST_HEADER};

	duoshm__place_format(&place, DUOSHM__BROADCAST_HEADER, DUOSHM__BROADCAST_MAGIC,
		DUOSHM__BROADCAST_LAYOUT);
	duoshm__role_write(&shared->producer, arg);
}

/* Gives `b` to the caller, or everything back. `made` is the result on success. */
static int hand_over(struct duoshm_broadcast *b, int made, struct duoshm_broadcast **out)
{
	b->owned = true;
	int result = join(b, 0, b->segment->size, made != DUOSHM_OPENED);
	if (result != 0) {
		(void)duoshm__object_close(b->segment);
		free(b);
		return result;
	}
	*out = b;
	return made;
}

int duoshm_broadcast_create(struct duoshm *ctx, const char *name, size_t capacity,
	const struct duoshm_create *options, struct duoshm_broadcast **out)
{
	struct duoshm__claimant claimant;
	struct duoshm__recipe recipe = {
		.kind = DUOSHM_KIND_BROADCAST,
		.size = duoshm_broadcast_bytes(capacity),
		.bells = BELLS,
		.fill = fill,
		.arg = &claimant,
	};
	struct duoshm_broadcast *b = NULL;
	int result = duoshm__context_check(ctx);

	if (result != 0)
		return result;
	if (recipe.size == 0)
		return duoshm__fail(DUOSHM_ERR_INVALID, "a broadcast of %zu bytes", capacity);
	if (options != NULL && (options->flags & DUOSHM_UNPUBLISHED))
		return duoshm__fail(DUOSHM_ERR_INVALID, "broadcast: UNPUBLISHED is for segments");
	if (ctx->lifeline == NULL)
		return duoshm__fail(
			DUOSHM_ERR_PERMISSION, "the registry directory is not writable");
	result = new_handle(DUOSHM_PRODUCER, out, &b);
	if (result != 0)
		return result;
	duoshm__claimant_self(duoshm__lifeline_id(ctx->lifeline), &claimant);
	result = duoshm__object_create(ctx, name, &recipe, options, &b->segment);
	if (result < 0) {
		free(b);
		return result;
	}
	return hand_over(b, result, out);
}

int duoshm_broadcast_open(struct duoshm *ctx, const char *name, enum duoshm_role role,
	unsigned flags, int64_t timeout_ns, struct duoshm_broadcast **out)
{
	struct duoshm_broadcast *b = NULL;
	int result = new_handle(role, out, &b);

	if (result != 0)
		return result;
	result = duoshm__object_open(ctx, name, DUOSHM_KIND_BROADCAST, duoshm_broadcast_bytes(0),
		flags, timeout_ns, &b->segment);
	if (result != 0) {
		free(b);
		return result;
	}
	result = hand_over(b, DUOSHM_OPENED, out);
	return result < 0 ? result : 0;
}

size_t duoshm_broadcast_bytes(size_t capacity)
{
	return duoshm__place_bytes(DUOSHM__BROADCAST_HEADER, capacity);
}

int duoshm_broadcast_format(struct duoshm_segment *segment, size_t offset, size_t bytes)
{
	struct duoshm__place place;
	int result =
		duoshm__place_find(segment, offset, bytes, DUOSHM__BROADCAST_HEADER, true, &place);

	if (result != 0)
		return result;
	duoshm__place_format(&place, DUOSHM__BROADCAST_HEADER, DUOSHM__BROADCAST_MAGIC,
		DUOSHM__BROADCAST_LAYOUT);
	return 0;
}

int duoshm_broadcast_attach(struct duoshm_segment *segment, size_t offset, size_t bytes,
	unsigned bells, enum duoshm_role role, struct duoshm_broadcast **out)
{
	struct duoshm_broadcast *b = NULL;
	int result = new_handle(role, out, &b);

	if (result != 0)
		return result;
	b->segment = segment;
	b->bells = bells;
	result = join(b, offset, bytes, false);
	if (result != 0) {
		free(b);
		return result;
	}
	*out = b;
	return 0;
}

size_t duoshm_broadcast_longest(const struct duoshm_broadcast *b)
{
	if (b == NULL)
		return 0;
	return (size_t)duoshm__cast_longest(
		b->role == DUOSHM_PRODUCER ? b->producer.capacity : b->reader.capacity);
}

/* Right after the store that readers may be waiting for. */
static void wake_readers(struct duoshm_broadcast *b)
{
	if (b->bells == DUOSHM_NO_BELLS || !duoshm__sleeper(&b->shared->sleeps))
		return;
	uint32_t epoch = duoshm__load32(&b->shared->epoch);
	/* Orders the message before the new epoch: who sleeps in the new one has seen the message. */
	duoshm__store32_release(&b->shared->epoch, epoch + 1);
	(void)duoshm__object_ring(b->segment, b->bells + (epoch & 1));
}

int duoshm_broadcast_close(struct duoshm_broadcast *b)
{
	if (b == NULL)
		return 0;
	int result = duoshm__object_check(b->segment);
	if (result == 0 && b->role == DUOSHM_PRODUCER) {
		/* Pairs with the load in next_or_end: who sees it sees all messages. */
		duoshm__store32_release(&b->shared->producer.finished, 1);
		wake_readers(b);
		duoshm__role_yield(b->segment, &b->shared->producer);
	}
	if (b->owned)
		result = duoshm__object_close(b->segment);
	free(b);
	return result;
}

/* ---- traffic --------------------------------------------------------------------------------------- */

static int enter(const struct duoshm_broadcast *b, enum duoshm_role role)
{
	if (b == NULL)
		return duoshm__fail(DUOSHM_ERR_INVALID, "no broadcast");
	int result = duoshm__object_check(b->segment);
	if (result != 0)
		return result;
	if (b->role != role)
		return duoshm__fail(DUOSHM_ERR_NOT_OWNER, "this handle is a %s's",
			b->role == DUOSHM_PRODUCER ? "producer" : "reader");
	return 0;
}

int duoshm_broadcast_publish(struct duoshm_broadcast *b, const void *message, size_t length)
{
	int result = enter(b, DUOSHM_PRODUCER);

	if (result != 0)
		return result;
	if (message == NULL && length != 0)
		return duoshm__fail(DUOSHM_ERR_INVALID, "no message");
	if (duoshm__object_removed(b->segment))
		return duoshm__fail(DUOSHM_ERR_REMOVED, "the broadcast was removed");
	if (duoshm__cast_publish(&b->producer, message, length) != 0)
		return duoshm__fail(DUOSHM_ERR_TOO_LONG, "%zu bytes, and at most %zu fit", length,
			duoshm_broadcast_longest(b));
	wake_readers(b);
	return 0;
}

static int failed(int code)
{
	switch (code) {
	case DUOSHM_ERR_TIMEOUT: return duoshm__fail(code, "no message came");
	case DUOSHM_ERR_PEER_DEAD: return duoshm__fail(code, "the producer died");
	case DUOSHM_ERR_REMOVED: return duoshm__fail(code, "the broadcast was removed");
	case DUOSHM_ERR_CORRUPT: return duoshm__fail(code, "the ring does not make sense");
	case DUOSHM_ERR_END: return duoshm__fail(code, "the producer finished");
	case DUOSHM_ERR_TOO_LONG:
		return duoshm__fail(code, "the message is longer than the buffer");
	default: return code; /* recorded where it arose */
	}
}

/* Where the next message goes. */
struct delivery {
	void *buffer;
	size_t capacity;
	uint64_t length, missed;
};

static bool has_news(const void *arg)
{
	const struct duoshm_broadcast *b = arg;

	return duoshm__cast_waiting(&b->reader) ||
	       duoshm__load32(&b->shared->producer.finished) != 0;
}

static int next(struct duoshm_broadcast *b, struct delivery *to)
{
	return duoshm__cast_next(&b->reader, to->buffer, to->capacity, &to->length, &to->missed);
}

static int next_or_end(struct duoshm_broadcast *b, struct delivery *to)
{
	/* Before the look into the ring: pairs with the store in close. */
	bool finished = duoshm__load32_acquire(&b->shared->producer.finished) != 0;
	int result = next(b, to);

	return result == DUOSHM_ERR_TIMEOUT && finished ? DUOSHM_ERR_END : result;
}

static int next_later(struct duoshm_broadcast *b, struct delivery *to, int64_t timeout_ns)
{
	int64_t deadline;
	int result = duoshm__wait_deadline(timeout_ns, &deadline);

	if (result != 0)
		return result;
	do {
		result = duoshm__wait(&b->waiter, has_news, b, deadline);
		if (result != 0)
			return result;
		result = next_or_end(b, to);
		/* TIMEOUT: lapped again and again, or a new producer came as soon as the last one ended. */
	} while (result == DUOSHM_ERR_TIMEOUT && duoshm__remaining(deadline, 1) != 0);
	return result;
}

ssize_t duoshm_broadcast_next(struct duoshm_broadcast *b, void *buffer, size_t capacity,
	uint64_t *missed, int64_t timeout_ns)
{
	struct delivery to = {.buffer = buffer, .capacity = capacity};
	int result = enter(b, DUOSHM_READER);

	if (result != 0)
		return result;
	if ((buffer == NULL && capacity != 0) || timeout_ns < 0)
		return duoshm__fail(
			DUOSHM_ERR_INVALID, timeout_ns < 0 ? "a negative timeout" : "no buffer");
	result = next(b, &to);
	if (result == DUOSHM_ERR_TIMEOUT)
		result = next_later(b, &to, timeout_ns);
	if (result != 0)
		return failed(result);
	if (missed != NULL)
		*missed = to.missed;
	return (ssize_t)to.length;
}
