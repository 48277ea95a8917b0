/* SPDX-License-Identifier: MIT */
/*
 * The ring of a queue, single producer, single consumer: pure memory, no system call, no waiting.
 * queue_layout.h has the layout. Each side's struct is private to it; what it reads of the other
 * side is checked before it is used.
 *
 * Where it comes from: the word at a position itself tells whether a record is there, so a consumer
 * that finds one looks at no index of the producer's, as in FastForward (Giacomoni, Moseley and
 * Vachharajani, PPoPP 2008); here for records of any length, and the consumer still tells by an
 * index what is free. That index is looked at through a private copy, renewed when there seems to
 * be no room, as single-producer rings commonly do.
 *
 * The straight path (room without a look at the consumer's index, a message and no pad) is here, to
 * be compiled into its callers; what is rarer is in ring.c.
 *
 * Progress: every call is wait-free; produce walks the ring once.
 */
#ifndef DUOSHM_QUEUE_RING_H
#define DUOSHM_QUEUE_RING_H

#include "core/fast.h"
#include "core/word.h"
#include "queue/endpoint_layout.h"

#include "duoshm.h"

/* A header word: what the record is, and its payload bytes from bit 8 on. */
#define DUOSHM__RING_KIND    0xffu
#define DUOSHM__RING_MESSAGE 0x01u
#define DUOSHM__RING_PAD     0x03u
#define DUOSHM__RING_WORD    8u

struct duoshm__ring_producer {
	unsigned char *data;
	uint64_t mask;  /* capacity - 1: offsets are positions & mask */
	uint64_t head;  /* behind all that is staged */
	uint64_t end;   /* up to here all is ours without a look, and does not wrap */
	uint64_t room;  /* payload bytes reserved + 1; 0: no reservation is open */
	uint64_t pad;   /* bytes that the open reservation skips */
	uint64_t first; /* the header that publishes the batch, to be stored; 0: nothing staged */
	uint64_t batch; /* where it goes */
	const struct duoshm__word64 *tail; /* shared, the consumer's */
	uint64_t seen;                     /* tail when last looked at */
};

struct duoshm__ring_consumer {
	unsigned char *data;
	uint64_t mask, longest;
	uint64_t position;           /* of the next record */
	uint64_t next;               /* behind the record peeked at; not behind position: none */
	struct duoshm__word64 *tail; /* shared, ours */
	uint64_t word, extent;       /* the last message's header, and its record's bytes */
	unsigned taken;              /* messages, from what the caller sets when it waits */
};

/* What a ring of `capacity` bytes takes at most, wherever it stands: half of it less two words. */
static inline uint64_t duoshm__ring_longest(uint64_t capacity)
{
	return capacity / 2 - 2 * DUOSHM__RING_WORD;
}

/*
 * Bytes of a message's record, header included. A short one takes a whole power of two, so that
 * records of one length never lie across two lines.
 */
static DUOSHM__INLINE uint64_t duoshm__ring_extent(uint64_t length)
{
	uint64_t bytes = (length + 2 * DUOSHM__RING_WORD - 1) & ~(uint64_t)(DUOSHM__RING_WORD - 1);

	if (bytes > DUOSHM__LINE)
		return bytes;
	return bytes > 32 ? DUOSHM__LINE : bytes > 16 ? 32 : 16;
}

/* Would a short record at `position` lie across two lines? */
static DUOSHM__INLINE bool duoshm__ring_straddles(uint64_t position, uint64_t extent)
{
	return extent <= DUOSHM__LINE && (position & (DUOSHM__LINE - 1)) + extent > DUOSHM__LINE;
}

static DUOSHM__INLINE struct duoshm__word64 *duoshm__ring_word(
	unsigned char *data, uint64_t mask, uint64_t position)
{
	return (struct duoshm__word64 *)(void *)(data + (position & mask));
}

static DUOSHM__INLINE const struct duoshm__word64 *duoshm__ring_header(
	const unsigned char *data, uint64_t mask, uint64_t position)
{
	return (const struct duoshm__word64 *)(const void *)(data + (position & mask));
}

/*
 * Take up a ring, new or used. `capacity` is a power of two, at least 256; `data` is
 * aligned to 64 bytes. The producer finds where the committed records end: CORRUPT when they make
 * no sense. CORRUPT for a misaligned tail.
 */
int duoshm__ring_produce(struct duoshm__ring_producer *producer, void *data, uint64_t capacity,
	const struct duoshm__word64 *tail);
int duoshm__ring_consume(struct duoshm__ring_consumer *consumer, void *data, uint64_t capacity,
	struct duoshm__word64 *tail);

/* ---- producer -------------------------------------------------------------------------------- */

/* Is there room for `length` bytes, which are `extent`, at once, and no reservation open? */
static DUOSHM__INLINE bool duoshm__ring_fits(
	const struct duoshm__ring_producer *p, uint64_t length, uint64_t extent)
{
	uint64_t run = p->end - p->head;

	/* The length alone, too: the extent of an absurd one would overflow. */
	return length <= run && extent <= run && p->room == 0 &&
	       !duoshm__ring_straddles(p->head, extent);
}

/*
 * Room for `length` bytes. TIMEOUT: none now; TOO_LONG: never; INVALID: a reservation is open;
 * CORRUPT.
 */
int duoshm__ring_reserve(struct duoshm__ring_producer *producer, uint64_t length, void **room);
/* The same where it fits. */
static DUOSHM__INLINE void *duoshm__ring_open(struct duoshm__ring_producer *p, uint64_t length)
{
	p->room = length + 1;
	return duoshm__ring_word(p->data, p->mask, p->head) + 1;
}

/* The first header of a batch waits for publish; the others go where nobody looks before that. */
static DUOSHM__INLINE void duoshm__ring_put(
	struct duoshm__ring_producer *p, uint64_t kind, uint64_t length, uint64_t extent)
{
	uint64_t word = length << 8 | kind, head = p->head;

	if (p->first == 0) {
		p->first = word;
		p->batch = head;
	} else {
		duoshm__store64(duoshm__ring_word(p->data, p->mask, head), word);
	}
	p->head = head + extent;
}

/* Ends the reservation with `length` bytes of it. INVALID: none open, or it is smaller. */
static DUOSHM__INLINE int duoshm__ring_stage(struct duoshm__ring_producer *p, uint64_t length)
{
	if (length >= p->room)
		return DUOSHM_ERR_INVALID;
	if (p->pad != 0) {
		duoshm__ring_put(p, DUOSHM__RING_PAD, p->pad - DUOSHM__RING_WORD, p->pad);
		p->pad = 0;
	}
	duoshm__ring_put(p, DUOSHM__RING_MESSAGE, length, duoshm__ring_extent(length));
	p->room = 0;
	return 0;
}

/* Publishes all that is staged, with one store. */
static DUOSHM__INLINE void duoshm__ring_publish(struct duoshm__ring_producer *p)
{
	if (p->first == 0)
		return;
	duoshm__store64(duoshm__ring_word(p->data, p->mask, p->head), 0);
	/*
	 * Pairs with the load in peek: whoever sees this header sees the payloads, the headers of
	 * the batch and the 0 behind.
	 */
	duoshm__store64_release(duoshm__ring_word(p->data, p->mask, p->batch), p->first);
	p->first = 0;
}

/*
 * Short messages that fit, `count` of one length at `messages`, published with one store, where
 * nothing else is staged. Nothing private is stored in between: stores to one line that follow each
 * other are merged, and it is lines that cost.
 */
static DUOSHM__INLINE void duoshm__ring_send(struct duoshm__ring_producer *p, const void *messages,
	uint64_t length, uint64_t extent, size_t count)
{
	unsigned char *data = p->data;
	uint64_t mask = p->mask, head = p->head, word = length << 8 | DUOSHM__RING_MESSAGE;
	struct duoshm__word64 *first = duoshm__ring_word(data, mask, head);
	const unsigned char *from = messages;

	p->head = head + extent * count;
	duoshm__copy_short(first + 1, from, (size_t)length);
	for (head += extent; --count > 0; head += extent) {
		struct duoshm__word64 *at = duoshm__ring_word(data, mask, head);

		from += length;
		duoshm__copy_short(at + 1, from, (size_t)length);
		duoshm__store64(at, word);
	}
	/* As in publish. */
	duoshm__store64(duoshm__ring_word(data, mask, head), 0);
	duoshm__store64_release(first, word);
}

/* Has the consumer moved since reserve said TIMEOUT? */
static inline bool duoshm__ring_moved(const struct duoshm__ring_producer *producer)
{
	return duoshm__load64(producer->tail) != producer->seen;
}

/* Bytes that are worth to wait for: a quarter of the ring. */
static inline uint64_t duoshm__ring_stretch(const struct duoshm__ring_producer *producer)
{
	return (producer->mask + 1) / 4;
}
/* Is that much free? Looks at the consumer's index. */
bool duoshm__ring_roomy(const struct duoshm__ring_producer *producer);
/* Would reserve have to look there, and is it not roomy? */
bool duoshm__ring_tight(const struct duoshm__ring_producer *producer, uint64_t length);

/* ---- consumer -------------------------------------------------------------------------------- */

/* Can this be a message's header? Then its extent is noted. */
static inline bool duoshm__ring_note(struct duoshm__ring_consumer *c, uint64_t word)
{
	if ((word & DUOSHM__RING_KIND) != DUOSHM__RING_MESSAGE || word >> 8 > c->longest)
		return false;
	c->word = word;
	c->extent = duoshm__ring_extent(word >> 8);
	return true;
}

/*
 * Bytes of the next record if that is a message, which is at *message, *length bytes; 0: see peek.
 *
 * Messages of one length have one header. It is compared with the last one, and the extent is
 * taken from there: so where the next record is does not depend on what was loaded here, and the
 * processor need not wait for this line before it asks for the next.
 */
static DUOSHM__INLINE uint64_t duoshm__ring_look(
	struct duoshm__ring_consumer *c, const void **message, uint64_t *length)
{
	const struct duoshm__word64 *at = duoshm__ring_header(c->data, c->mask, c->position);
	/* Pairs with the store in publish. */
	uint64_t word = duoshm__load64_acquire(at);

	if (word != c->word && !duoshm__ring_note(c, word))
		return 0;
	*message = at + 1;
	*length = c->word >> 8;
	/* It ends at the ring's end at the latest. */
	return (c->position & c->mask) + c->extent <= c->mask + 1 ? c->extent : 0;
}
/*
 * 0: the next record is at *message, *length bytes; TIMEOUT: none now; CORRUPT. Again the same
 * until release.
 */
int duoshm__ring_peek(
	struct duoshm__ring_consumer *consumer, const void **message, uint64_t *length);

/* Is there a message that was peeked at, and not released? */
static DUOSHM__INLINE bool duoshm__ring_peeked(const struct duoshm__ring_consumer *c)
{
	/* Who receives without a peek leaves `next` behind. */
	return c->next - c->position - 1 <= c->mask;
}

/*
 * Lines that were only read are shared by both processors' caches, and before the producer writes
 * to them again it has to take each back, which the processors do not do ahead of the store: one
 * line at a time (measured, AMD Zen: 9 ns a message where it is 4 otherwise). What a line was
 * written to is handed over as a whole. So in a flow the consumer writes to each line that it is
 * done with; what is there already, so that nothing changes if it dies in between.
 */
static DUOSHM__INLINE void duoshm__ring_touch(struct duoshm__ring_consumer *c, uint64_t position)
{
	struct duoshm__word32 *word =
		(struct duoshm__word32 *)(void *)(c->data + (position & c->mask));

	duoshm__store32(word, duoshm__load32(word));
}

/* Frees what is before `next`. */
static DUOSHM__INLINE void duoshm__ring_release(struct duoshm__ring_consumer *c, uint64_t next)
{
	uint64_t at = c->position;

	/* Each line that ends there; what takes many is copied at the memory's speed as it is. */
	if (c->taken >= DUOSHM__FLOW && next - at <= 64 * DUOSHM__LINE) {
		for (; next - (at & ~(uint64_t)(DUOSHM__LINE - 1)) >= DUOSHM__LINE;
			at += DUOSHM__LINE)
			duoshm__ring_touch(c, at);
	}
	c->position = next;
	c->taken++;
	/*
	 * Pairs with the load in look: what we read of the payload was read before it is written
	 * over.
	 */
	duoshm__store64_release(c->tail, next);
}

/* Would peek find anything? */
static inline bool duoshm__ring_filled(const struct duoshm__ring_consumer *c)
{
	return duoshm__load64(duoshm__ring_header(c->data, c->mask, c->position)) != 0;
}

#endif
