/* SPDX-License-Identifier: MIT */
/*
 * The ring of a queue, off the straight path: taking it up, room that must be looked for, pads and
 * damage. ring.h has the rest; waiting, roles and liveness are queue.c's.
 *
 * The trap: old payload must never be taken for a header. Nothing is recognised by its looks; the
 * word behind the last published record is 0 at every moment, and records are followed from one to
 * the next.
 */
#include "config.h"

#include "queue/ring.h"

#define WORD DUOSHM__RING_WORD

/* Bytes from a position to the end of the ring. */
static uint64_t left_at(uint64_t capacity, uint64_t position)
{
	return capacity - (position & (capacity - 1));
}

/* And to the end of its line. */
static uint64_t left_in_line(uint64_t position)
{
	return DUOSHM__LINE - position % DUOSHM__LINE;
}

/* Bytes of the record at `position`; 0: no producer can have written that header there. */
static uint64_t record_at(uint64_t position, uint64_t capacity, uint64_t word)
{
	uint64_t length = word >> 8, left = left_at(capacity, position);
	uint64_t extent = duoshm__ring_extent(length);

	switch (word & DUOSHM__RING_KIND) {
	case DUOSHM__RING_MESSAGE:
		return length <= duoshm__ring_longest(capacity) && extent <= left ? extent : 0;
	case DUOSHM__RING_PAD:
		/* To the end of the ring, or of a line; never a whole one. */
		if (length == left - WORD && left < capacity)
			return left;
		if (length == left_in_line(position) - WORD && position % DUOSHM__LINE != 0)
			return length + WORD;
		return 0;
	default: return 0;
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
	while ((word = duoshm__load64(duoshm__ring_header(data, capacity - 1, head))) != 0) {
		uint64_t extent = record_at(head, capacity, word);

		if (extent == 0)
			return DUOSHM_ERR_CORRUPT;
		head += extent;
		if (head - start > capacity - WORD)
			return DUOSHM_ERR_CORRUPT;
	}
	*producer = (struct duoshm__ring_producer){
		.data = data,
		.mask = capacity - 1,
		.tail = tail,
		.seen = start,
		.head = head,
		.end = head,
	};
	return 0;
}

int duoshm__ring_consume(struct duoshm__ring_consumer *consumer, void *data, uint64_t capacity,
	struct duoshm__word64 *tail)
{
	uint64_t position = duoshm__load64(tail);

	if (position % WORD != 0)
		return DUOSHM_ERR_CORRUPT;
	*consumer = (struct duoshm__ring_consumer){
		.data = data,
		.mask = capacity - 1,
		.longest = duoshm__ring_longest(capacity),
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
	uint64_t published = p->first != 0 ? p->batch : p->head;

	if (tail % WORD != 0 || tail - p->seen > published - p->seen)
		return DUOSHM_ERR_CORRUPT;
	p->seen = tail;
	return 0;
}

/* Bytes to skip before a record of `extent` bytes: it does not wrap, and a short one is in one line. */
static uint64_t pad_for(const struct duoshm__ring_producer *p, uint64_t extent)
{
	uint64_t left = left_at(p->mask + 1, p->head);

	if (left < extent)
		return left;
	return duoshm__ring_straddles(p->head, extent) ? left_in_line(p->head) : 0;
}

/* Bytes from head that are free, without the word that is to be 0. */
static uint64_t free_at(const struct duoshm__ring_producer *p)
{
	return p->mask + 1 - (p->head - p->seen) - WORD;
}

bool duoshm__ring_roomy(const struct duoshm__ring_producer *p)
{
	return p->head - duoshm__load64(p->tail) <= 3 * duoshm__ring_stretch(p);
}

bool duoshm__ring_tight(const struct duoshm__ring_producer *p, uint64_t length)
{
	uint64_t extent = duoshm__ring_extent(length);

	return p->room == 0 && length <= duoshm__ring_longest(p->mask + 1) &&
	       free_at(p) < pad_for(p, extent) + extent && !duoshm__ring_roomy(p);
}

int duoshm__ring_reserve(struct duoshm__ring_producer *p, uint64_t length, void **room)
{
	if (p->room != 0)
		return DUOSHM_ERR_INVALID;
	if (length > duoshm__ring_longest(p->mask + 1))
		return DUOSHM_ERR_TOO_LONG;

	uint64_t need = duoshm__ring_extent(length), pad = pad_for(p, need);
	if (free_at(p) < pad + need) {
		if (look(p) != 0)
			return DUOSHM_ERR_CORRUPT;
		if (free_at(p) < pad + need)
			return DUOSHM_ERR_TIMEOUT;
	}
	/* The longest record is as long as a run, so what fits into one is not too long. */
	uint64_t run = duoshm__ring_extent(duoshm__ring_longest(p->mask + 1));
	uint64_t left = left_at(p->mask + 1, p->head), free = free_at(p);
	run = run < left ? run : left;
	p->end = p->head + (pad != 0 ? pad + need : free < run ? free : run);
	p->pad = pad;
	p->room = length + 1;
	*room = duoshm__ring_word(p->data, p->mask, p->head + pad) + 1;
	return 0;
}

int duoshm__ring_peek(struct duoshm__ring_consumer *c, const void **message, uint64_t *length)
{
	uint64_t position = c->position;
	const struct duoshm__word64 *at = duoshm__ring_header(c->data, c->mask, position);
	/* Pairs with the store in publish. */
	uint64_t word = duoshm__load64_acquire(at);

	if (word == 0)
		return DUOSHM_ERR_TIMEOUT;
	if ((word & DUOSHM__RING_KIND) == DUOSHM__RING_PAD) {
		uint64_t pad = record_at(position, c->mask + 1, word);
		if (pad == 0)
			return DUOSHM_ERR_CORRUPT;
		/* It is published together with the record that follows it. */
		position += pad;
		at = duoshm__ring_header(c->data, c->mask, position);
		word = duoshm__load64(at);
	}
	if (!duoshm__ring_note(c, word) || c->extent > left_at(c->mask + 1, position))
		return DUOSHM_ERR_CORRUPT;
	c->next = position + c->extent;
	*message = at + 1;
	*length = word >> 8;
	return 0;
}
