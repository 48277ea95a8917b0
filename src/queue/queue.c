/* SPDX-License-Identifier: MIT */
/*
 * Queues: the public calls. The ring (ring.c) moves the bytes, roles (role.c) say whose turn it is, waiting (wait.c)
 * bridges the time; here they are put together, over an object of their own or a part of a segment.
 *
 * The trap: between "no message" and "the producer ended, or died" messages may have come. So whatever ends
 * a wait, the ring is looked at once more before its bad news is believed.
 */
#include "config.h"

#include "duoshm.h"

#include "core/clock.h"
#include "core/failure.h"
#include "core/object.h"
#include "queue/place.h"
#include "queue/queue_layout.h"
#include "queue/ring.h"
#include "queue/role.h"
#include "queue/wait.h"

#include <stdlib.h>
#include <string.h>

/* Which of the two bells a side sleeps on. */
enum { CONSUMER_BELL = 0, PRODUCER_BELL = 1, BELLS = 2 };

struct duoshm_queue {
	struct duoshm_segment *segment;
	bool owned; /* the segment is ours to close */
	bool finished;
	enum duoshm_role role;
	struct duoshm__queue *shared;
	struct duoshm__word32 *peer_sleeps; /* NULL: no bells */
	unsigned peer_bell;
	struct duoshm__waiter waiter;
	struct duoshm__ring_producer producer;
	struct duoshm__ring_consumer consumer;
};

/* ---- coming and going ------------------------------------------------------------------------ */

static struct duoshm__role *role_of(struct duoshm__queue *shared, enum duoshm_role role)
{
	return role == DUOSHM_PRODUCER ? &shared->producer : &shared->consumer;
}

static const char *name_of(enum duoshm_role role)
{
	return role == DUOSHM_PRODUCER ? "producer" : "consumer";
}

static enum duoshm_role other(enum duoshm_role role)
{
	return role == DUOSHM_PRODUCER ? DUOSHM_CONSUMER : DUOSHM_PRODUCER;
}

static void set_waiter(struct duoshm_queue *q, unsigned bells)
{
	bool produces = q->role == DUOSHM_PRODUCER;
	struct duoshm__queue *shared = q->shared;
	unsigned mine = produces ? PRODUCER_BELL : CONSUMER_BELL;
	unsigned theirs = produces ? CONSUMER_BELL : PRODUCER_BELL;

	duoshm__waiter_init(&q->waiter, q->segment, role_of(shared, other(q->role)),
		produces ? &shared->producer_sleeps : &shared->consumer_sleeps,
		bells == DUOSHM_NO_BELLS ? bells : bells + mine);
	if (q->waiter.sleeps != NULL) {
		q->peer_sleeps = produces ? &shared->consumer_sleeps : &shared->producer_sleeps;
		q->peer_bell = bells + theirs;
	}
}

/* Our side of the ring as our predecessor left it; the role is ours. */
static int take_up(struct duoshm_queue *q, uint64_t capacity)
{
	unsigned char *data = (unsigned char *)q->shared + DUOSHM__QUEUE_HEADER;
	int result;

	if (q->role == DUOSHM_PRODUCER)
		result = duoshm__ring_produce(&q->producer, data, capacity, &q->shared->tail);
	else
		result = duoshm__ring_consume(&q->consumer, data, capacity, &q->shared->tail);
	if (result != 0)
		return duoshm__fail(
			result, "the %s before us left no sensible ring", name_of(q->role));
	return 0;
}

/* `claimed`: the role has been ours since the queue was made. */
static int join(struct duoshm_queue *q, size_t offset, size_t bytes, unsigned bells, bool claimed)
{
	struct duoshm__place place;
	int result =
		duoshm__place_find(q->segment, offset, bytes, DUOSHM__QUEUE_HEADER, true, &place);

	if (result == 0)
		result = duoshm__place_bells(q->segment, bells);
	if (result == 0)
		result = duoshm__place_verify(
			&place, DUOSHM__QUEUE_MAGIC, DUOSHM__QUEUE_LAYOUT, "queue");
	if (result != 0)
		return result;
	q->shared = place.address;
	struct duoshm__role *role = role_of(q->shared, q->role);
	if (!claimed)
		result = duoshm__role_claim(q->segment, role, name_of(q->role));
	if (result != 0)
		return result;
	result = take_up(q, place.capacity);
	if (result != 0) {
		duoshm__role_yield(q->segment, role);
		return result;
	}
	set_waiter(q, bells);
	return 0;
}

static int new_handle(
	enum duoshm_role role, struct duoshm_queue *const *out, struct duoshm_queue **made)
{
	if (out == NULL)
		return duoshm__fail(DUOSHM_ERR_INVALID, "no place for the handle");
	if (role != DUOSHM_PRODUCER && role != DUOSHM_CONSUMER)
		return duoshm__fail(DUOSHM_ERR_INVALID, "%d is no role in a queue", (int)role);
	struct duoshm_queue *q = calloc(1, sizeof(*q));
	if (q == NULL)
		return duoshm__fail(DUOSHM_ERR_NO_SPACE, "no memory for a handle");
	q->role = role;
	*made = q;
	return 0;
}

/* What a new queue is filled with: its creator is in it from the first moment on. */
struct birth {
	enum duoshm_role role;
	struct duoshm__claimant claimant;
};

static void fill(void *payload, size_t size, const void *arg)
{
	const struct birth *birth = arg;
	struct duoshm__queue *shared = payload;
	struct duoshm__place place = {payload, size - DUOSHM__QUEUE_HEADER};

	duoshm__place_format(
		&place, DUOSHM__QUEUE_HEADER, DUOSHM__QUEUE_MAGIC, DUOSHM__QUEUE_LAYOUT);
	duoshm__role_write(role_of(shared, birth->role), &birth->claimant);
}

/* Gives `q` to the caller, or everything back. `made` is the result on success. */
static int hand_over(struct duoshm_queue *q, int made, struct duoshm_queue **out)
{
	q->owned = true;
	int result = join(q, 0, q->segment->size, 0, made != DUOSHM_OPENED);
	if (result != 0) {
		(void)duoshm__object_close(q->segment);
		free(q);
		return result;
	}
	*out = q;
	return made;
}

int duoshm_queue_create(struct duoshm *ctx, const char *name, size_t capacity,
	enum duoshm_role role, const struct duoshm_create *options, struct duoshm_queue **out)
{
	struct birth birth = {.role = role};
	struct duoshm__recipe recipe = {
		.kind = DUOSHM_KIND_QUEUE,
		.size = duoshm_queue_bytes(capacity),
		.bells = BELLS,
		.fill = fill,
		.arg = &birth,
	};
	struct duoshm_queue *q = NULL;
	int result = duoshm__context_check(ctx);

	if (result != 0)
		return result;
	if (recipe.size == 0)
		return duoshm__fail(DUOSHM_ERR_INVALID, "a queue of %zu bytes", capacity);
	if (options != NULL && (options->flags & DUOSHM_UNPUBLISHED))
		return duoshm__fail(DUOSHM_ERR_INVALID, "queue: UNPUBLISHED is for segments");
	if (ctx->lifeline == NULL)
		return duoshm__fail(
			DUOSHM_ERR_PERMISSION, "the registry directory is not writable");
	result = new_handle(role, out, &q);
	if (result != 0)
		return result;
	duoshm__claimant_self(duoshm__lifeline_id(ctx->lifeline), &birth.claimant);
	result = duoshm__object_create(ctx, name, &recipe, options, &q->segment);
	if (result < 0) {
		free(q);
		return result;
	}
	return hand_over(q, result, out);
}

int duoshm_queue_open(struct duoshm *ctx, const char *name, enum duoshm_role role,
	int64_t timeout_ns, struct duoshm_queue **out)
{
	struct duoshm_queue *q = NULL;
	int result = new_handle(role, out, &q);

	if (result != 0)
		return result;
	result = duoshm__object_open(
		ctx, name, DUOSHM_KIND_QUEUE, duoshm_queue_bytes(0), 0, timeout_ns, &q->segment);
	if (result != 0) {
		free(q);
		return result;
	}
	result = hand_over(q, DUOSHM_OPENED, out);
	return result < 0 ? result : 0;
}

size_t duoshm_queue_bytes(size_t capacity)
{
	return duoshm__place_bytes(DUOSHM__QUEUE_HEADER, capacity);
}

int duoshm_queue_format(struct duoshm_segment *segment, size_t offset, size_t bytes)
{
	struct duoshm__place place;
	int result = duoshm__place_find(segment, offset, bytes, DUOSHM__QUEUE_HEADER, true, &place);

	if (result != 0)
		return result;
	duoshm__place_format(
		&place, DUOSHM__QUEUE_HEADER, DUOSHM__QUEUE_MAGIC, DUOSHM__QUEUE_LAYOUT);
	return 0;
}

int duoshm_queue_attach(struct duoshm_segment *segment, size_t offset, size_t bytes, unsigned bells,
	enum duoshm_role role, struct duoshm_queue **out)
{
	struct duoshm_queue *q = NULL;
	int result = new_handle(role, out, &q);

	if (result != 0)
		return result;
	q->segment = segment;
	result = join(q, offset, bytes, bells, false);
	if (result != 0) {
		free(q);
		return result;
	}
	*out = q;
	return 0;
}

int duoshm_queue_close(struct duoshm_queue *q)
{
	if (q == NULL)
		return 0;
	int result = duoshm__object_check(q->segment);
	if (result == 0) {
		if (q->role == DUOSHM_PRODUCER && !q->finished)
			(void)duoshm_queue_finish(q);
		duoshm__role_yield(q->segment, role_of(q->shared, q->role));
	}
	if (q->owned)
		result = duoshm__object_close(q->segment);
	free(q);
	return result;
}

/* ---- what all calls share ---------------------------------------------------------------------- */

/* Is this a handle for calls of `role`, in this process? */
static int enter(const struct duoshm_queue *q, enum duoshm_role role)
{
	if (q == NULL)
		return duoshm__fail(DUOSHM_ERR_INVALID, "no queue");
	int result = duoshm__object_check(q->segment);
	if (result != 0)
		return result;
	if (q->role != role)
		return duoshm__fail(
			DUOSHM_ERR_NOT_OWNER, "this handle is the %s's", name_of(q->role));
	return 0;
}

static int failed(const struct duoshm_queue *q, int code)
{
	bool produces = q->role == DUOSHM_PRODUCER;

	switch (code) {
	case DUOSHM_ERR_TIMEOUT:
		return duoshm__fail(code, produces ? "the queue is full" : "the queue is empty");
	case DUOSHM_ERR_PEER_DEAD:
		return duoshm__fail(code, "the %s died", name_of(other(q->role)));
	case DUOSHM_ERR_REMOVED: return duoshm__fail(code, "the queue was removed");
	case DUOSHM_ERR_CORRUPT: return duoshm__fail(code, "the ring does not make sense");
	case DUOSHM_ERR_END: return duoshm__fail(code, "the producer finished");
	default: return code; /* recorded where it arose */
	}
}

/* Right after the store that the peer may be waiting for. A lost ring is made good by its slices. */
static void wake_peer(struct duoshm_queue *q)
{
	if (q->peer_sleeps != NULL && duoshm__sleeper(q->peer_sleeps))
		(void)duoshm__object_ring(q->segment, q->peer_bell);
}

size_t duoshm_queue_longest(const struct duoshm_queue *q)
{
	if (q == NULL)
		return 0;
	return (size_t)duoshm__ring_longest(
		q->role == DUOSHM_PRODUCER ? q->producer.capacity : q->consumer.capacity);
}

/* ---- producer ------------------------------------------------------------------------------------ */

static void publish(struct duoshm_queue *q)
{
	duoshm__ring_publish(&q->producer);
	wake_peer(q);
}

static bool has_moved(const void *arg)
{
	return duoshm__ring_moved(arg);
}

/* No room. What is staged has to go out first, or room might never come. */
static int reserve_later(struct duoshm_queue *q, size_t length, void **room, int64_t timeout_ns)
{
	int64_t deadline;
	int result = duoshm__wait_deadline(timeout_ns, &deadline);

	if (result != 0)
		return result;
	publish(q);
	do {
		result = duoshm__wait(&q->waiter, has_moved, &q->producer, deadline);
		/* Each turn finds some more room, and there is only so much to find. */
		if (result == 0)
			result = duoshm__ring_reserve(&q->producer, length, room);
		else
			break;
	} while (result == DUOSHM_ERR_TIMEOUT);
	return result;
}

/* Why a reservation cannot even be tried, or NULL. */
static const char *objection(const struct duoshm_queue *q, void *const *room, int64_t timeout_ns)
{
	if (q->finished)
		return "the queue is finished";
	if (q->producer.reserved)
		return "a reservation is open";
	if (room == NULL)
		return "no place for the room's address";
	return timeout_ns < 0 ? "a negative timeout" : NULL;
}

int duoshm_queue_reserve(struct duoshm_queue *q, size_t length, void **room, int64_t timeout_ns)
{
	int result = enter(q, DUOSHM_PRODUCER);

	if (result != 0)
		return result;
	const char *why = objection(q, room, timeout_ns);
	if (why != NULL)
		return duoshm__fail(DUOSHM_ERR_INVALID, "%s", why);
	if (duoshm__object_removed(q->segment))
		return failed(q, DUOSHM_ERR_REMOVED);
	result = duoshm__ring_reserve(&q->producer, length, room);
	if (result == 0)
		return 0;
	if (result == DUOSHM_ERR_TOO_LONG)
		return duoshm__fail(
			result, "%zu bytes, and at most %zu fit", length, duoshm_queue_longest(q));
	if (result == DUOSHM_ERR_TIMEOUT)
		result = reserve_later(q, length, room, timeout_ns);
	return result == 0 ? 0 : failed(q, result);
}

static int stage(struct duoshm_queue *q, size_t length)
{
	if (duoshm__ring_stage(&q->producer, length) == 0)
		return 0;
	if (!q->producer.reserved)
		return duoshm__fail(DUOSHM_ERR_INVALID, "nothing is reserved");
	return duoshm__fail(DUOSHM_ERR_INVALID, "%zu bytes, and %llu are reserved", length,
		(unsigned long long)q->producer.room);
}

int duoshm_queue_stage(struct duoshm_queue *q, size_t length)
{
	int result = enter(q, DUOSHM_PRODUCER);

	return result != 0 ? result : stage(q, length);
}

int duoshm_queue_commit(struct duoshm_queue *q, size_t length)
{
	int result = enter(q, DUOSHM_PRODUCER);

	if (result == 0)
		result = stage(q, length);
	if (result == 0)
		publish(q);
	return result;
}

int duoshm_queue_send(
	struct duoshm_queue *q, const void *message, size_t length, int64_t timeout_ns)
{
	void *room;

	if (message == NULL && length != 0)
		return duoshm__fail(DUOSHM_ERR_INVALID, "no message");
	int result = duoshm_queue_reserve(q, length, &room, timeout_ns);
	if (result != 0)
		return result;
	if (length != 0)
		memcpy(room, message, length);
	(void)duoshm__ring_stage(&q->producer, length);
	publish(q);
	return 0;
}

int duoshm_queue_finish(struct duoshm_queue *q)
{
	int result = enter(q, DUOSHM_PRODUCER);

	if (result != 0)
		return result;
	duoshm__ring_publish(&q->producer);
	q->producer.reserved = false;
	q->finished = true;
	/* Pairs with the load in next_or_end: who sees it sees all messages. */
	duoshm__store32_release(&q->shared->producer.finished, 1);
	wake_peer(q);
	return 0;
}

/* ---- consumer ------------------------------------------------------------------------------------ */

static bool has_news(const void *arg)
{
	const struct duoshm_queue *q = arg;

	return duoshm__ring_filled(&q->consumer) ||
	       duoshm__load32(&q->shared->producer.finished) != 0;
}

/* The next message, or END; TIMEOUT for neither. */
static int next_or_end(struct duoshm_queue *q, const void **message, uint64_t *length)
{
	/* Before the look into the ring: pairs with the store in finish. */
	bool finished = duoshm__load32_acquire(&q->shared->producer.finished) != 0;
	int result = duoshm__ring_peek(&q->consumer, message, length);

	return result == DUOSHM_ERR_TIMEOUT && finished ? DUOSHM_ERR_END : result;
}

static int peek_later(
	struct duoshm_queue *q, const void **message, uint64_t *length, int64_t timeout_ns)
{
	int64_t deadline;
	int result = duoshm__wait_deadline(timeout_ns, &deadline);

	if (result != 0)
		return result;
	do {
		result = duoshm__wait(&q->waiter, has_news, q, deadline);
		if (result != 0)
			return result;
		result = next_or_end(q, message, length);
		/* TIMEOUT: finished, and a new producer came at once. Then there is something to wait for again. */
	} while (result == DUOSHM_ERR_TIMEOUT && duoshm__remaining(deadline, 1) != 0);
	return result;
}

static int peek(struct duoshm_queue *q, const void **message, uint64_t *length, int64_t timeout_ns)
{
	int result = enter(q, DUOSHM_CONSUMER);

	if (result != 0)
		return result;
	if (timeout_ns < 0)
		return duoshm__fail(DUOSHM_ERR_INVALID, "a negative timeout");
	result = duoshm__ring_peek(&q->consumer, message, length);
	if (result == DUOSHM_ERR_TIMEOUT)
		result = peek_later(q, message, length, timeout_ns);
	return result == 0 ? 0 : failed(q, result);
}

ssize_t duoshm_queue_peek(struct duoshm_queue *q, const void **message, int64_t timeout_ns)
{
	uint64_t length;

	if (message == NULL)
		return duoshm__fail(DUOSHM_ERR_INVALID, "no place for the message's address");
	int result = peek(q, message, &length, timeout_ns);
	return result == 0 ? (ssize_t)length : result;
}

ssize_t duoshm_queue_pending(struct duoshm_queue *q)
{
	const void *message;

	return duoshm_queue_peek(q, &message, 0);
}

static void release(struct duoshm_queue *q)
{
	duoshm__ring_release(&q->consumer);
	wake_peer(q);
}

int duoshm_queue_release(struct duoshm_queue *q)
{
	int result = enter(q, DUOSHM_CONSUMER);

	if (result != 0)
		return result;
	if (q->consumer.next == q->consumer.position)
		return duoshm__fail(DUOSHM_ERR_INVALID, "no message was peeked at");
	release(q);
	return 0;
}

ssize_t duoshm_queue_receive(
	struct duoshm_queue *q, void *buffer, size_t capacity, int64_t timeout_ns)
{
	const void *message;
	uint64_t length;

	if (buffer == NULL && capacity != 0)
		return duoshm__fail(DUOSHM_ERR_INVALID, "no buffer");
	int result = peek(q, &message, &length, timeout_ns);
	if (result != 0)
		return result;
	if (length > capacity)
		return duoshm__fail(DUOSHM_ERR_TOO_LONG,
			"the message has %llu bytes, the buffer %zu", (unsigned long long)length,
			capacity);
	if (length != 0)
		memcpy(buffer, message, (size_t)length);
	release(q);
	return (ssize_t)length;
}
