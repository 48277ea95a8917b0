/* SPDX-License-Identifier: MIT */
/*
 * Queues: the public calls. The ring (ring.c) moves the bytes, the endpoint (endpoint.c) comes,
 * waits and goes; here they are put together.
 */
#include "config.h"

#include "duoshm.h"

#include "core/failure.h"
#include "queue/endpoint.h"
#include "queue/queue_layout.h"
#include "queue/ring.h"

#include <string.h>

/* Which of the two bells a side sleeps on. */
enum { CONSUMER_BELL = 0, PRODUCER_BELL = 1 };

struct duoshm_queue {
	struct duoshm__endpoint end;
	struct duoshm__word32 *peer_sleeps;
	unsigned peer_bell;
	bool finished;
	struct duoshm__ring_producer producer;
	struct duoshm__ring_consumer consumer;
};

/* ---- coming and going ------------------------------------------------------------------------ */

static bool has_room(const void *handle)
{
	const struct duoshm_queue *q = handle;

	return duoshm__ring_moved(&q->producer);
}

static bool has_news(const void *handle)
{
	const struct duoshm_queue *q = handle;

	return duoshm__ring_filled(&q->consumer) || duoshm__finished(&q->end);
}

static int take_up(void *handle, void *ring)
{
	struct duoshm_queue *q = handle;
	struct duoshm__queue *shared = q->end.shared;
	struct duoshm__waiter *waiter = &q->end.waiter;

	if (q->end.role == DUOSHM_PRODUCER) {
		waiter->peer = &shared->consumer;
		waiter->sleeps = &shared->producer_sleeps;
		waiter->bell = q->end.bells + PRODUCER_BELL;
		waiter->ready = has_room;
		q->peer_sleeps = &shared->consumer_sleeps;
		q->peer_bell = q->end.bells + CONSUMER_BELL;
		return duoshm__ring_produce(&q->producer, ring, q->end.capacity, &shared->tail);
	}
	waiter->peer = &shared->producer;
	waiter->sleeps = &shared->consumer_sleeps;
	waiter->bell = q->end.bells + CONSUMER_BELL;
	waiter->ready = has_news;
	q->peer_sleeps = &shared->producer_sleeps;
	q->peer_bell = q->end.bells + PRODUCER_BELL;
	return duoshm__ring_consume(&q->consumer, ring, q->end.capacity, &shared->tail);
}

static const struct duoshm__endpoint_type queue_type = {
	.name = "queue",
	.kind = DUOSHM_KIND_QUEUE,
	.magic = DUOSHM__QUEUE_MAGIC,
	.layout = DUOSHM__QUEUE_LAYOUT,
	.others = DUOSHM_CONSUMER,
	.header = DUOSHM__QUEUE_HEADER,
	.handle = sizeof(struct duoshm_queue),
	.role_offset = {[DUOSHM_PRODUCER] = offsetof(struct duoshm__queue, producer),
		[DUOSHM_CONSUMER] = offsetof(struct duoshm__queue, consumer)},
	.take_up = take_up,
};

int duoshm_queue_create(struct duoshm *ctx, const char *name, size_t capacity,
	enum duoshm_role role, const struct duoshm_create *options, struct duoshm_queue **out)
{
	return duoshm__endpoint_create(&queue_type, ctx, name, capacity, role, options, out);
}

int duoshm_queue_open(struct duoshm *ctx, const char *name, enum duoshm_role role,
	int64_t timeout_ns, struct duoshm_queue **out)
{
	return duoshm__endpoint_open(&queue_type, ctx, name, role, 0, timeout_ns, out);
}

size_t duoshm_queue_bytes(size_t capacity)
{
	return duoshm__endpoint_bytes(&queue_type, capacity);
}

int duoshm_queue_format(struct duoshm_segment *segment, size_t offset, size_t bytes)
{
	return duoshm__endpoint_format(&queue_type, segment, offset, bytes);
}

int duoshm_queue_attach(struct duoshm_segment *segment, size_t offset, size_t bytes, unsigned bells,
	enum duoshm_role role, struct duoshm_queue **out)
{
	return duoshm__endpoint_attach(&queue_type, segment, offset, bytes, bells, role, out);
}

int duoshm_queue_close(struct duoshm_queue *q)
{
	if (q == NULL)
		return 0;
	if (q->end.role == DUOSHM_PRODUCER && !q->finished)
		(void)duoshm_queue_finish(q);
	return duoshm__endpoint_close(&q->end);
}

/* ---- what all calls share -------------------------------------------------------------------- */

/*
 * Right after the store that the peer may be waiting for. A lost ring is made good by its slices.
 */
static void wake_peer(struct duoshm_queue *q)
{
	if (q->end.bells != DUOSHM_NO_BELLS && duoshm__sleeper(q->peer_sleeps))
		(void)duoshm__object_ring(q->end.segment, q->peer_bell);
}

size_t duoshm_queue_longest(const struct duoshm_queue *q)
{
	return q == NULL ? 0 : (size_t)duoshm__ring_longest(q->end.capacity);
}

/* ---- producer -------------------------------------------------------------------------------- */

static void publish(struct duoshm_queue *q)
{
	duoshm__ring_publish(&q->producer);
	wake_peer(q);
}

/* No room. What is staged has to go out first, or room might never come. */
static int reserve_later(struct duoshm_queue *q, size_t length, void **room, int64_t timeout_ns)
{
	int64_t deadline = duoshm__wait_deadline(timeout_ns);
	int result;

	publish(q);
	/* Each turn finds some more room, and there is only so much to find. */
	for (;;) {
		result = duoshm__wait(&q->end.waiter, deadline);
		if (result != 0)
			return result;
		result = duoshm__ring_reserve(&q->producer, length, room);
		if (result != DUOSHM_ERR_TIMEOUT)
			return result;
	}
}

int duoshm_queue_reserve(struct duoshm_queue *q, size_t length, void **room, int64_t timeout_ns)
{
	int result = duoshm__endpoint_enter(q, DUOSHM_PRODUCER, timeout_ns);

	if (result != 0)
		return result;
	if (q->finished)
		return duoshm__fail(DUOSHM_ERR_INVALID, "the queue is finished");
	if (room == NULL)
		return duoshm__fail(DUOSHM_ERR_INVALID, "no place for the room's address");
	if (duoshm__object_removed(q->end.segment))
		return duoshm__endpoint_failed(&q->end, DUOSHM_ERR_REMOVED, NULL);
	result = duoshm__ring_reserve(&q->producer, length, room);
	if (result == 0)
		return 0;
	if (result == DUOSHM_ERR_INVALID)
		return duoshm__fail(result, "a reservation is open");
	if (result == DUOSHM_ERR_TOO_LONG)
		return duoshm__fail(
			result, "%zu bytes, and at most %zu fit", length, duoshm_queue_longest(q));
	if (result == DUOSHM_ERR_TIMEOUT)
		result = reserve_later(q, length, room, timeout_ns);
	return result == 0 ? 0 : duoshm__endpoint_failed(&q->end, result, "the queue is full");
}

int duoshm_queue_stage(struct duoshm_queue *q, size_t length)
{
	int result = duoshm__endpoint_enter(q, DUOSHM_PRODUCER, 0);

	if (result != 0 || duoshm__ring_stage(&q->producer, length) == 0)
		return result;
	if (!q->producer.reserved)
		return duoshm__fail(DUOSHM_ERR_INVALID, "nothing is reserved");
	return duoshm__fail(DUOSHM_ERR_INVALID, "%zu bytes, and %llu are reserved", length,
		(unsigned long long)q->producer.room);
}

int duoshm_queue_commit(struct duoshm_queue *q, size_t length)
{
	int result = duoshm_queue_stage(q, length);

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
	int result = duoshm__endpoint_enter(q, DUOSHM_PRODUCER, 0);

	if (result != 0)
		return result;
	duoshm__ring_publish(&q->producer);
	q->producer.reserved = false;
	q->finished = true;
	duoshm__finish(&q->end);
	wake_peer(q);
	return 0;
}

/* ---- consumer -------------------------------------------------------------------------------- */

/* A message in the ring. */
struct found {
	const void *message;
	uint64_t length;
};

static int look(void *handle, void *found)
{
	struct duoshm_queue *q = handle;
	struct found *to = found;

	return duoshm__ring_peek(&q->consumer, &to->message, &to->length);
}

static ssize_t peek(struct duoshm_queue *q, const void **message, int64_t timeout_ns)
{
	struct found found;
	int result = duoshm__endpoint_enter(q, DUOSHM_CONSUMER, timeout_ns);

	if (result != 0)
		return result;
	result = look(q, &found);
	if (result == DUOSHM_ERR_TIMEOUT)
		result = duoshm__endpoint_await(&q->end, look, &found, timeout_ns);
	if (result != 0)
		return duoshm__endpoint_failed(&q->end, result, "the queue is empty");
	*message = found.message;
	return (ssize_t)found.length;
}

ssize_t duoshm_queue_peek(struct duoshm_queue *q, const void **message, int64_t timeout_ns)
{
	if (message == NULL)
		return duoshm__fail(DUOSHM_ERR_INVALID, "no place for the message's address");
	return peek(q, message, timeout_ns);
}

ssize_t duoshm_queue_pending(struct duoshm_queue *q)
{
	const void *message;

	return peek(q, &message, 0);
}

static void release(struct duoshm_queue *q)
{
	duoshm__ring_release(&q->consumer);
	wake_peer(q);
}

int duoshm_queue_release(struct duoshm_queue *q)
{
	int result = duoshm__endpoint_enter(q, DUOSHM_CONSUMER, 0);

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
	const void *message = NULL;

	if (buffer == NULL && capacity != 0)
		return duoshm__fail(DUOSHM_ERR_INVALID, "no buffer");
	ssize_t length = peek(q, &message, timeout_ns);
	if (length < 0)
		return length;
	if ((size_t)length > capacity)
		return duoshm__fail(DUOSHM_ERR_TOO_LONG,
			"the message has %zd bytes, the buffer %zu", length, capacity);
	if (length != 0)
		memcpy(buffer, message, (size_t)length);
	release(q);
	return length;
}
