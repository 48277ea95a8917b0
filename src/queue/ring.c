/* SPDX-License-Identifier: MIT */
/*
 * The ring of a queue: records in a power of two of bytes, published by their header words.
 * Waiting, roles and liveness are queue.c's.
 *
 * The trap: old payload must never be taken for a header. Nothing is recognised by its looks; the
 * word behind the last published record is 0 at every moment, and records are followed from one to
 * the next.
 */
#include "config.h"

#include "queue/ring.h"

#include "duoshm.h"

/* A header word: what the record is, and its payload bytes from bit 8 on. */
#define KIND_MASK 0xffu
#define MESSAGE   0x01u
#define PAD       0x03u
#define WORD      8u

static uint64_t header(uint64_t kind, uint64_t length)
{
	return length << 8 | kind;
}

/* Words from the header to the end of the padded payload. */
static uint64_t extent(uint64_t length)
{
	return WORD + ((length + WORD - 1) & ~(uint64_t)(WORD - 1));
}

static struct duoshm__word64 *word_at(unsigned char *data, uint64_t capacity, uint64_t position)
{
	return (struct duoshm__word64 *)(void *)(data + (position & (capacity - 1)));
}

static const struct duoshm__word64 *header_at(
	const unsigned char *data, uint64_t capacity, uint64_t position)
{
	return (const struct duoshm__word64 *)(const void *)(data + (position & (capacity - 1)));
}

/* Bytes from a position to the end of the ring. */
static uint64_t left_at(uint64_t capacity, uint64_t position)
{
	return capacity - (position & (capacity - 1));
}

/* Is this header of a record at `position` one that a producer can have written? */
static bool sane(uint64_t word, uint64_t capacity, uint64_t position)
{
	uint64_t length = word >> 8, left = left_at(capacity, position);

	switch (word & KIND_MASK) {
	case MESSAGE: return length <= duoshm__ring_longest(capacity) && extent(length) <= left;
	case PAD: return left < capacity && length == left - WORD;
	default: return false;
	}
}

int duoshm__ring_produce(struct duoshm__ring_producer *producer, void *data, uint64_t capacity,
	const struct duoshm__word64 *tail)
{
	/* Pairs with the consumer's store in release: we do not write where it still reads. */
	uint64_t start = duoshm__load64_acquire(tail), head = start, word;

	if (start % WORD != 0)
		return DUOSHM_ERR_CORRUPT;
	/* The last producer's stores came before its yield or the proof of its death (role.c). */
	while ((word = duoshm__load64(header_at(data, capacity, head))) != 0) {
		if (!sane(word, capacity, head))
			return DUOSHM_ERR_CORRUPT;
		head += extent(word >> 8);
		if (head - start > capacity - WORD)
			return DUOSHM_ERR_CORRUPT;
	}
	*producer = (struct duoshm__ring_producer){
		.data = data,
		.capacity = capacity,
		.tail = tail,
		.seen = start,
		.head = head,
		.batch = head,
	};
	return 0;
}

int duoshm__ring_consume(struct duoshm__ring_consumer *consumer, const void *data,
	uint64_t capacity, struct duoshm__word64 *tail)
{
	uint64_t position = duoshm__load64(tail);

	if (position % WORD != 0)
		return DUOSHM_ERR_CORRUPT;
	*consumer = (struct duoshm__ring_consumer){
		.data = data,
		.capacity = capacity,
		.tail = tail,
		.position = position,
		.next = position,
	};
	return 0;
}

/*
 * Looks at the consumer's index again. CORRUPT when it ran backwards, or past what was published.
 */
static int look(struct duoshm__ring_producer *p)
{
	/* Pairs with the store in release: the payload was read before we write over it. */
	uint64_t tail = duoshm__load64_acquire(p->tail);

	if (tail % WORD != 0 || tail - p->seen > p->batch - p->seen)
		return DUOSHM_ERR_CORRUPT;
	p->seen = tail;
	return 0;
}

int duoshm__ring_reserve(struct duoshm__ring_producer *p, uint64_t length, void **room)
{
	if (p->reserved)
		return DUOSHM_ERR_INVALID;
	if (length > duoshm__ring_longest(p->capacity))
		return DUOSHM_ERR_TOO_LONG;

	uint64_t need = extent(length), left = left_at(p->capacity, p->head);
	uint64_t pad = left < need ? left : 0;
	/* and the word behind it, which is to be 0 */
	uint64_t total = pad + need + WORD;
	if (p->capacity - (p->head - p->seen) < total) {
		if (look(p) != 0)
			return DUOSHM_ERR_CORRUPT;
		if (p->capacity - (p->head - p->seen) < total)
			return DUOSHM_ERR_TIMEOUT;
	}
	p->pad = pad;
	p->room = length;
	p->reserved = true;
	/* A record does not wrap: the word in front of its room is in the ring. */
	*room = p->data + (((p->head + pad) & (p->capacity - 1)) + WORD);
	return 0;
}

/* The first header of a batch waits for publish; the others go where nobody looks before that. */
static void put(struct duoshm__ring_producer *p, uint64_t word)
{
	if (p->first == 0)
		p->first = word;
	else
		duoshm__store64(word_at(p->data, p->capacity, p->head), word);
	p->head += extent(word >> 8);
}

int duoshm__ring_stage(struct duoshm__ring_producer *p, uint64_t length)
{
	if (!p->reserved || length > p->room)
		return DUOSHM_ERR_INVALID;
	if (p->pad != 0)
		put(p, header(PAD, p->pad - WORD));
	put(p, header(MESSAGE, length));
	p->reserved = false;
	return 0;
}

void duoshm__ring_publish(struct duoshm__ring_producer *p)
{
	if (p->first == 0)
		return;
	duoshm__store64(word_at(p->data, p->capacity, p->head), 0);
	/*
	 * Pairs with the load in peek: whoever sees this header sees the payloads, the headers of
	 * the batch and the 0 behind.
	 */
	duoshm__store64_release(word_at(p->data, p->capacity, p->batch), p->first);
	p->batch = p->head;
	p->first = 0;
}

int duoshm__ring_peek(struct duoshm__ring_consumer *c, const void **message, uint64_t *length)
{
	uint64_t position = c->position;
	/* Pairs with the store in publish. */
	uint64_t word = duoshm__load64_acquire(header_at(c->data, c->capacity, position));

	if (word == 0)
		return DUOSHM_ERR_TIMEOUT;
	if (!sane(word, c->capacity, position))
		return DUOSHM_ERR_CORRUPT;
	if ((word & KIND_MASK) == PAD) {
		/* It is published together with the record that follows it, at the ring's start. */
		position += extent(word >> 8);
		word = duoshm__load64(header_at(c->data, c->capacity, position));
		if ((word & KIND_MASK) != MESSAGE || !sane(word, c->capacity, position))
			return DUOSHM_ERR_CORRUPT;
	}
	c->next = position + extent(word >> 8);
	*message = c->data + ((position & (c->capacity - 1)) + WORD);
	*length = word >> 8;
	return 0;
}

void duoshm__ring_release(struct duoshm__ring_consumer *c)
{
	c->position = c->next;
	/*
	 * Pairs with the load in look: what we read of the payload was read before it is written
	 * over.
	 */
	duoshm__store64_release(c->tail, c->position);
}

bool duoshm__ring_filled(const struct duoshm__ring_consumer *c)
{
	return duoshm__load64(header_at(c->data, c->capacity, c->position)) != 0;
}
