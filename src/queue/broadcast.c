/* SPDX-License-Identifier: MIT */
/*
 * Broadcasts: the public calls. The ring (broadcast_ring.c) moves the bytes, the endpoint
 * (endpoint.c) comes, waits and goes. Readers hold no role: the producer does not know of them.
 *
 * Waking many readers with one ring. Readers sleep on the bell of the epoch's parity; the producer
 * counts the epoch up and rings the old bell once, and each reader that it wakes rings it for the
 * next one. The last ring stays behind and ends with the first sleeper of an epoch to come.
 */
#include "config.h"

#include "duoshm.h"

#include "core/failure.h"
#include "queue/broadcast_ring.h"
#include "queue/endpoint.h"

struct duoshm_broadcast {
	struct duoshm__endpoint end;
	struct duoshm__cast_producer producer;
	struct duoshm__cast_reader reader;
	unsigned taken; /* messages since the last wait */
};

/* ---- coming and going ------------------------------------------------------------------------ */

static bool has_news(const void *handle)
{
	const struct duoshm_broadcast *b = handle;

	return duoshm__cast_waiting(&b->reader) || duoshm__finished(&b->end);
}

static int take_up(void *handle, void *ring)
{
	struct duoshm_broadcast *b = handle;
	struct duoshm__broadcast *shared = b->end.shared;

	if (b->end.role == DUOSHM_PRODUCER)
		return duoshm__cast_produce(&b->producer, &shared->indices, ring, b->end.capacity);
	b->end.waiter.peer = &shared->producer;
	b->end.waiter.sleeps = &shared->sleeps;
	b->end.waiter.epoch = &shared->epoch;
	b->end.waiter.bell = b->end.bells;
	b->end.waiter.ready = has_news;
	return duoshm__cast_read(&b->reader, &shared->indices, ring, b->end.capacity);
}

static const struct duoshm__endpoint_type broadcast_type = {
	.name = "broadcast",
	.kind = DUOSHM_KIND_BROADCAST,
	.magic = DUOSHM__BROADCAST_MAGIC,
	.layout = DUOSHM__BROADCAST_LAYOUT,
	.others = DUOSHM_READER,
	.header = DUOSHM__BROADCAST_HEADER,
	.handle = sizeof(struct duoshm_broadcast),
	.role_offset = {[DUOSHM_PRODUCER] = offsetof(struct duoshm__broadcast, producer)},
	.take_up = take_up,
};

int duoshm_broadcast_create(struct duoshm *ctx, const char *name, size_t capacity,
	const struct duoshm_create *options, struct duoshm_broadcast **out)
{
	return duoshm__endpoint_create(
		&broadcast_type, ctx, name, capacity, DUOSHM_PRODUCER, options, out);
}

int duoshm_broadcast_open(struct duoshm *ctx, const char *name, enum duoshm_role role,
	unsigned flags, int64_t timeout_ns, struct duoshm_broadcast **out)
{
	return duoshm__endpoint_open(&broadcast_type, ctx, name, role, flags, timeout_ns, out);
}

size_t duoshm_broadcast_bytes(size_t capacity)
{
	return duoshm__endpoint_bytes(&broadcast_type, capacity);
}

int duoshm_broadcast_format(struct duoshm_segment *segment, size_t offset, size_t bytes)
{
	return duoshm__endpoint_format(&broadcast_type, segment, offset, bytes);
}

int duoshm_broadcast_attach(struct duoshm_segment *segment, size_t offset, size_t bytes,
	unsigned bells, enum duoshm_role role, struct duoshm_broadcast **out)
{
	return duoshm__endpoint_attach(&broadcast_type, segment, offset, bytes, bells, role, out);
}

/* Right after the store that readers may be waiting for. */
static void wake_readers(struct duoshm_broadcast *b)
{
	struct duoshm__broadcast *shared = b->end.shared;

	if (b->end.bells == DUOSHM_NO_BELLS || !duoshm__sleepy(&shared->sleeps) ||
		!duoshm__sleeper(&shared->sleeps))
		return;
	uint32_t epoch = duoshm__load32(&shared->epoch);
	/*
	 * Orders the message before the new epoch: who sleeps in the new one has seen the message.
	 */
	duoshm__store32_release(&shared->epoch, epoch + 1);
	(void)duoshm__object_ring(b->end.segment, b->end.bells + (epoch & 1));
}

int duoshm_broadcast_set_spin(struct duoshm_broadcast *b, int64_t ns)
{
	return duoshm__endpoint_set_spin(b, ns);
}

int duoshm_broadcast_close(struct duoshm_broadcast *b)
{
	if (b == NULL)
		return 0;
	if (b->end.role == DUOSHM_PRODUCER && duoshm__object_check(b->end.segment) == 0) {
		duoshm__finish(&b->end);
		wake_readers(b);
	}
	return duoshm__endpoint_close(&b->end);
}

/* ---- traffic --------------------------------------------------------------------------------- */

size_t duoshm_broadcast_longest(const struct duoshm_broadcast *b)
{
	return b == NULL ? 0 : (size_t)duoshm__cast_longest(b->end.capacity);
}

DUOSHM__RARE static int fail_publish(
	const struct duoshm_broadcast *b, const void *message, size_t length)
{
	int result = duoshm__endpoint_enter(b, DUOSHM_PRODUCER, 0);

	if (result != 0)
		return result;
	if (message == NULL && length != 0)
		return duoshm__fail(DUOSHM_ERR_INVALID, "no message");
	if (duoshm__object_removed(b->end.segment))
		return duoshm__endpoint_failed(&b->end, DUOSHM_ERR_REMOVED, NULL);
	return duoshm__fail(DUOSHM_ERR_TOO_LONG, "%zu bytes, and at most %zu fit", length,
		duoshm_broadcast_longest(b));
}

int duoshm_broadcast_publish(struct duoshm_broadcast *b, const void *message, size_t length)
{
	if (!duoshm__endpoint_is(b, DUOSHM_PRODUCER) || (message == NULL && length != 0) ||
		duoshm__load32_acquire(b->end.removed) != 0 ||
		duoshm__cast_publish(&b->producer, message, length) != 0)
		return fail_publish(b, message, length);
	wake_readers(b);
	return 0;
}

/* Where the next message goes. */
struct delivery {
	void *buffer;
	size_t capacity;
	uint64_t length, missed;
};

static int next(void *handle, void *delivery)
{
	struct duoshm_broadcast *b = handle;
	struct delivery *to = delivery;

	return duoshm__cast_next(&b->reader, to->buffer, to->capacity, &to->length, &to->missed);
}

ssize_t duoshm_broadcast_next(struct duoshm_broadcast *b, void *buffer, size_t capacity,
	uint64_t *missed, int64_t timeout_ns)
{
	struct delivery to = {.buffer = buffer, .capacity = capacity};
	int result = duoshm__endpoint_enter(b, DUOSHM_READER, timeout_ns);

	if (result != 0)
		return result;
	if (buffer == NULL && capacity != 0)
		return duoshm__fail(DUOSHM_ERR_INVALID, "no buffer");
	result = next(b, &to);
	if (result == DUOSHM_ERR_TIMEOUT) {
		b->end.waiter.away = b->taken >= DUOSHM__FLOW;
		if (timeout_ns != 0)
			b->taken = 0;
		result = duoshm__endpoint_await(&b->end, next, &to, timeout_ns);
	}
	if (result == DUOSHM_ERR_TOO_LONG)
		return duoshm__fail(result, "the message is longer than the buffer");
	if (result != 0)
		return duoshm__endpoint_failed(&b->end, result, "no message came");
	if (missed != NULL)
		*missed = to.missed;
	b->taken++;
	return (ssize_t)to.length;
}
