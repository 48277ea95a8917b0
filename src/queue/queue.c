/* SPDX-License-Identifier: MIT */
/*
 * Queues: the public calls. The ring (ring.c) moves the bytes, the endpoint (endpoint.c) comes,
 * waits and goes; here they are put together.
 */
#include "config.h"

#include "duoshm.h"

#include "core/failure.h"
#include "core/fast.h"
#include "queue/endpoint.h"
#include "queue/flow.h"
#include "queue/queue_layout.h"
#include "queue/ring.h"

#define ROOM_AWAY_NS 8000 /* who finds the queue nearly full is in no hurry */

/* Which of the two bells a side sleeps on. */
enum { CONSUMER_BELL = 0, PRODUCER_BELL = 1 };

struct duoshm_queue {
	struct duoshm__endpoint end;
	struct duoshm__word32 *peer_sleeps;
	unsigned peer_bell;
	bool finished;
	struct duoshm__ring_producer producer;
	struct duoshm__ring_consumer consumer;
	struct duoshm__flow flow; /* the consumer's */
};

/* ---- coming and going ------------------------------------------------------------------------ */

static bool has_room(const void *handle)
{
	const struct duoshm_queue *q = handle;

	return duoshm__ring_moved(&q->producer);
}

static bool has_stretch(const void *handle)
{
	const struct duoshm_queue *q = handle;

	return duoshm__ring_roomy(&q->producer);
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
	int result = duoshm__ring_consume(&q->consumer, ring, q->end.capacity, &shared->tail);
	if (result == 0)
		duoshm__flow_init(&q->flow, q->end.capacity, q->consumer.position);
	return result;
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

int duoshm_queue_set_spin(struct duoshm_queue *q, int64_t ns)
{
	return duoshm__endpoint_set_spin(q, ns);
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

/* Returns `result`, so that it can be the last call. */
DUOSHM__RARE static ssize_t ring_peer(struct duoshm_queue *q, ssize_t result)
{
	if (q->end.bells != DUOSHM_NO_BELLS && duoshm__sleeper(q->peer_sleeps))
		(void)duoshm__object_ring(q->end.segment, q->peer_bell);
	return result;
}

/*
 * Right after the store that the peer may be waiting for. A lost ring is made good by its slices.
 */
static DUOSHM__INLINE ssize_t wake_peer(struct duoshm_queue *q, ssize_t result)
{
	return duoshm__sleepy(q->peer_sleeps) ? ring_peer(q, result) : result;
}

size_t duoshm_queue_longest(const struct duoshm_queue *q)
{
	return q == NULL ? 0 : (size_t)duoshm__ring_longest(q->end.capacity);
}

/* ---- producer -------------------------------------------------------------------------------- */

static DUOSHM__INLINE int publish(struct duoshm_queue *q)
{
	duoshm__ring_publish(&q->producer);
	return (int)wake_peer(q, 0);
}

/* The straight path: this is a producer's handle, all is well, and there is room at once. */
static DUOSHM__INLINE bool can_send(
	const struct duoshm_queue *q, size_t length, uint64_t extent, int64_t timeout_ns)
{
	return duoshm__endpoint_is(q, DUOSHM_PRODUCER) && timeout_ns >= 0 &&
	       duoshm__load32_acquire(q->end.removed) == 0 &&
	       duoshm__ring_fits(&q->producer, length, extent);
}

/*
 * Where there is little room it pays to wait for a stretch. It takes a quarter of its bytes in ns,
 * or less (records of 16 bytes, 4 ns each): looked at four times meanwhile.
 */
static int reserve_away(struct duoshm_queue *q, size_t length, void **room, int64_t deadline)
{
	int64_t step_ns = (int64_t)duoshm__ring_stretch(&q->producer) / 16;

	if (step_ns > ROOM_AWAY_NS / 4)
		step_ns = ROOM_AWAY_NS / 4;
	if (!has_stretch(q))
		duoshm__keep_away(&q->end.waiter, deadline, ROOM_AWAY_NS, has_stretch, step_ns);
	return duoshm__ring_reserve(&q->producer, length, room);
}

/* Little room, or none. What is staged has to go out first, or more might never come. */
DUOSHM__RARE static int reserve_later(
	struct duoshm_queue *q, size_t length, void **room, int64_t timeout_ns)
{
	int64_t deadline = duoshm__wait_deadline(timeout_ns);
	int result = DUOSHM_ERR_TIMEOUT;

	(void)publish(q);
	if (deadline != DUOSHM__TRY)
		result = reserve_away(q, length, room, deadline);
	/* Each turn finds some more room, and there is only so much to find. */
	while (result == DUOSHM_ERR_TIMEOUT) {
		result = duoshm__wait(&q->end.waiter, deadline);
		if (result != 0)
			return result;
		result = duoshm__ring_reserve(&q->producer, length, room);
		/* Who moves the index to and fro would keep us for ever. */
		if (duoshm__remaining(deadline, 1) == 0)
			break;
	}
	return result;
}

DUOSHM__RARE static int reserve_slowly(
	struct duoshm_queue *q, size_t length, void **room, int64_t timeout_ns)
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
	if (timeout_ns != 0 && duoshm__ring_tight(&q->producer, length))
		result = DUOSHM_ERR_TIMEOUT;
	else
		result = duoshm__ring_reserve(&q->producer, length, room);
	if (result == DUOSHM_ERR_TIMEOUT)
		result = reserve_later(q, length, room, timeout_ns);
	if (result == 0)
		return 0;
	if (result == DUOSHM_ERR_INVALID)
		return duoshm__fail(result, "a reservation is open");
	if (result == DUOSHM_ERR_TOO_LONG)
		return duoshm__fail(
			result, "%zu bytes, and at most %zu fit", length, duoshm_queue_longest(q));
	return duoshm__endpoint_failed(&q->end, result, "the queue is full");
}

int duoshm_queue_reserve(struct duoshm_queue *q, size_t length, void **room, int64_t timeout_ns)
{
	if (!can_send(q, length, duoshm__ring_extent(length), timeout_ns) || room == NULL)
		return reserve_slowly(q, length, room, timeout_ns);
	*room = duoshm__ring_open(&q->producer, length);
	return 0;
}

DUOSHM__RARE static int fail_stage(const struct duoshm_queue *q, size_t length)
{
	int result = duoshm__endpoint_enter(q, DUOSHM_PRODUCER, 0);
	if (result != 0)
		return result;
	if (q->producer.room == 0)
		return duoshm__fail(DUOSHM_ERR_INVALID, "nothing is reserved");
	return duoshm__fail(DUOSHM_ERR_INVALID, "%zu bytes, and %llu are reserved", length,
		(unsigned long long)q->producer.room - 1);
}

static DUOSHM__INLINE bool stage(struct duoshm_queue *q, size_t length)
{
	return duoshm__endpoint_is(q, DUOSHM_PRODUCER) &&
	       duoshm__ring_stage(&q->producer, length) == 0;
}

int duoshm_queue_stage(struct duoshm_queue *q, size_t length)
{
	return stage(q, length) ? 0 : fail_stage(q, length);
}

int duoshm_queue_commit(struct duoshm_queue *q, size_t length)
{
	if (!stage(q, length))
		return fail_stage(q, length);
	return publish(q);
}

DUOSHM__RARE static int send_slowly(
	struct duoshm_queue *q, const void *message, size_t length, int64_t timeout_ns)
{
	void *room;

	if (message == NULL && length != 0)
		return duoshm__fail(DUOSHM_ERR_INVALID, "no message");
	int result = reserve_slowly(q, length, &room, timeout_ns);
	if (result != 0)
		return result;
	duoshm__copy(room, message, length);
	(void)duoshm__ring_stage(&q->producer, length);
	return publish(q);
}

int duoshm_queue_send(
	struct duoshm_queue *q, const void *message, size_t length, int64_t timeout_ns)
{
	uint64_t extent = duoshm__ring_extent(length);

	if (!duoshm__is_short(length) || !can_send(q, length, extent, timeout_ns) ||
		message == NULL || q->producer.first != 0)
		return send_slowly(q, message, length, timeout_ns);
	duoshm__ring_send(&q->producer, message, length, extent, 1);
	return (int)wake_peer(q, 0);
}

/* How many of them go straight: to the end of the run, none across two lines. */
static size_t straight(const struct duoshm_queue *q, size_t length, size_t count, uint64_t extent)
{
	uint64_t run = (q->producer.end - q->producer.head) / extent;

	if (!duoshm__is_short(length) || q->producer.first != 0 || q->producer.room != 0 ||
		(extent <= DUOSHM__LINE && q->producer.head % extent != 0))
		return 0;
	return run < count ? (size_t)run : count;
}

ssize_t duoshm_queue_send_many(struct duoshm_queue *q, const void *messages, size_t length,
	size_t count, int64_t timeout_ns)
{
	const unsigned char *from = messages;
	uint64_t extent = duoshm__ring_extent(length);
	int64_t deadline = duoshm__wait_deadline(timeout_ns);
	size_t sent = 0;

	if (count == 0)
		return duoshm__endpoint_enter(q, DUOSHM_PRODUCER, timeout_ns);
	if (count > SIZE_MAX / 2)
		return duoshm__fail(DUOSHM_ERR_INVALID, "%zu messages", count);
	while (sent < count) {
		size_t many = can_send(q, length, extent, timeout_ns) && messages != NULL
				      ? straight(q, length, count - sent, extent)
				      : 0;
		if (many > 0) {
			duoshm__ring_send(&q->producer, from, length, extent, many);
			(void)wake_peer(q, 0);
		} else {
			int64_t left = deadline == DUOSHM__TRY || timeout_ns < 0
					       ? timeout_ns
					       : duoshm__remaining(deadline, INT64_MAX);
			int result = send_slowly(q, from, length, left);
			if (result != 0)
				return sent > 0 ? (ssize_t)sent : result;
			many = 1;
		}
		sent += many;
		if (length != 0)
			from += many * length;
	}
	return (ssize_t)sent;
}

int duoshm_queue_finish(struct duoshm_queue *q)
{
	int result = duoshm__endpoint_enter(q, DUOSHM_PRODUCER, 0);

	if (result != 0)
		return result;
	duoshm__ring_publish(&q->producer);
	q->producer.room = 0;
	q->producer.end = q->producer.head; /* no straight path from here on */
	q->finished = true;
	duoshm__finish(&q->end);
	return (int)wake_peer(q, 0);
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

DUOSHM__RARE static ssize_t peek_slowly(
	struct duoshm_queue *q, const void **message, int64_t timeout_ns)
{
	struct found found;
	int result = duoshm__endpoint_enter(q, DUOSHM_CONSUMER, timeout_ns);

	if (result != 0)
		return result;
	result = look(q, &found);
	if (result == DUOSHM_ERR_TIMEOUT) {
		duoshm__flow_wait(&q->flow, q->consumer.position, &q->consumer.taken, timeout_ns);
		q->end.waiter.away = q->flow.away;
		result = duoshm__endpoint_await(&q->end, look, &found, timeout_ns);
	}
	if (result != 0)
		return duoshm__endpoint_failed(&q->end, result, "the queue is empty");
	*message = found.message;
	return (ssize_t)found.length;
}

static DUOSHM__INLINE ssize_t peek(struct duoshm_queue *q, const void **message, int64_t timeout_ns)
{
	uint64_t length, extent = 0;

	if (duoshm__endpoint_is(q, DUOSHM_CONSUMER) && timeout_ns >= 0)
		extent = duoshm__ring_look(&q->consumer, message, &length);
	if (extent == 0)
		return peek_slowly(q, message, timeout_ns);
	q->consumer.next = q->consumer.position + extent;
	return (ssize_t)length;
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

static DUOSHM__INLINE ssize_t release(struct duoshm_queue *q, uint64_t next, ssize_t result)
{
	duoshm__ring_release(&q->consumer, next);
	return wake_peer(q, result);
}

DUOSHM__RARE static int fail_release(const struct duoshm_queue *q)
{
	int result = duoshm__endpoint_enter(q, DUOSHM_CONSUMER, 0);

	return result != 0 ? result : duoshm__fail(DUOSHM_ERR_INVALID, "no message was peeked at");
}

int duoshm_queue_release(struct duoshm_queue *q)
{
	if (!duoshm__endpoint_is(q, DUOSHM_CONSUMER) || !duoshm__ring_peeked(&q->consumer))
		return fail_release(q);
	return (int)release(q, q->consumer.next, 0);
}

DUOSHM__RARE static ssize_t receive_slowly(
	struct duoshm_queue *q, void *buffer, size_t capacity, int64_t timeout_ns)
{
	const void *message = NULL;

	if (buffer == NULL && capacity != 0)
		return duoshm__fail(DUOSHM_ERR_INVALID, "no buffer");
	ssize_t length = peek_slowly(q, &message, timeout_ns);
	if (length < 0)
		return length;
	if ((size_t)length > capacity)
		return duoshm__fail(DUOSHM_ERR_TOO_LONG,
			"the message has %zd bytes, the buffer %zu", length, capacity);
	duoshm__copy(buffer, message, (size_t)length);
	return release(q, q->consumer.next, length);
}

ssize_t duoshm_queue_receive(
	struct duoshm_queue *q, void *buffer, size_t capacity, int64_t timeout_ns)
{
	const void *message;
	uint64_t length, extent;

	if (!duoshm__endpoint_is(q, DUOSHM_CONSUMER) || timeout_ns < 0 || buffer == NULL)
		return receive_slowly(q, buffer, capacity, timeout_ns);
	extent = duoshm__ring_look(&q->consumer, &message, &length);
	if (extent == 0 || length > capacity || !duoshm__is_short((size_t)length))
		return receive_slowly(q, buffer, capacity, timeout_ns);
	duoshm__copy_short(buffer, message, (size_t)length);
	return release(q, q->consumer.position + extent, (ssize_t)length);
}
