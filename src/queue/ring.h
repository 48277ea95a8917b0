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
 * Progress: every call is wait-free; produce walks the ring once.
 */
#ifndef DUOSHM_QUEUE_RING_H
#define DUOSHM_QUEUE_RING_H

#include "core/word.h"

struct duoshm__ring_producer {
	unsigned char *data;
	uint64_t capacity;
	const struct duoshm__word64 *tail; /* shared, the consumer's */
	uint64_t seen;                     /* tail when last looked at */
	uint64_t head;                     /* behind all that is staged */
	uint64_t batch; /* behind all that is published: where the staged records begin */
	uint64_t first; /* the header that publishes the batch, to be stored; 0: nothing staged */
	uint64_t pad;   /* bytes to the end of the ring that the open reservation skips */
	uint64_t room;  /* payload bytes reserved */
	bool reserved;
};

struct duoshm__ring_consumer {
	const unsigned char *data;
	uint64_t capacity;
	struct duoshm__word64 *tail; /* shared, ours */
	uint64_t position;           /* of the next record */
	uint64_t next;               /* behind the record peeked at; == position: none */
};

/* What a ring of `capacity` bytes takes at most, wherever it stands: half of it less two words. */
static inline uint64_t duoshm__ring_longest(uint64_t capacity)
{
	return capacity / 2 - 16;
}

/*
 * Take up a ring, new or used. `capacity` is a power of two, at least 256; `data` is
 * aligned to 8 bytes. The producer finds where the committed records end: CORRUPT when they make no
 * sense. CORRUPT for a misaligned tail.
 */
int duoshm__ring_produce(struct duoshm__ring_producer *producer, void *data, uint64_t capacity,
	const struct duoshm__word64 *tail);
int duoshm__ring_consume(struct duoshm__ring_consumer *consumer, const void *data,
	uint64_t capacity, struct duoshm__word64 *tail);

/*
 * Room for `length` bytes. TIMEOUT: none now; TOO_LONG: never; INVALID: a reservation is open;
 * CORRUPT.
 */
int duoshm__ring_reserve(struct duoshm__ring_producer *producer, uint64_t length, void **room);
/* Ends the reservation with `length` bytes of it. INVALID: none open, or it is smaller. */
int duoshm__ring_stage(struct duoshm__ring_producer *producer, uint64_t length);
/* Publishes all that is staged, with one store. */
void duoshm__ring_publish(struct duoshm__ring_producer *producer);
/* Has the consumer moved since reserve said TIMEOUT? */
static inline bool duoshm__ring_moved(const struct duoshm__ring_producer *producer)
{
	return duoshm__load64(producer->tail) != producer->seen;
}

/*
 * 0: the next record is at *message, *length bytes; TIMEOUT: none now; CORRUPT. Again the same
 * until release.
 */
int duoshm__ring_peek(
	struct duoshm__ring_consumer *consumer, const void **message, uint64_t *length);
/* Frees the record peeked at. */
void duoshm__ring_release(struct duoshm__ring_consumer *consumer);
/* Would peek find anything? */
bool duoshm__ring_filled(const struct duoshm__ring_consumer *consumer);

#endif
