/* SPDX-License-Identifier: MIT */
/*
 * The ring of a broadcast, one producer, any number of readers: pure memory, no system call, no
 * waiting. broadcast_layout.h has the layout. Each side's struct is private to it.
 *
 * Where it comes from: intent, commit and last are the three counters of Aeron's broadcast buffer
 * (tail intent, tail, latest); here records may wrap, are numbered so that a reader can count what
 * it missed, and a dead producer's role is taken over. Copying first and looking afterwards is a
 * seqlock's reading, with the fences of Boehm, "Can seqlocks get along with programming language
 * memory models?", MSPC 2012.
 *
 * Progress: publish is wait-free, and so is next: it gives up after a few laps by the producer.
 */
#ifndef DUOSHM_QUEUE_BROADCAST_RING_H
#define DUOSHM_QUEUE_BROADCAST_RING_H

#include "queue/broadcast_layout.h"

struct duoshm__cast_producer {
	struct duoshm__broadcast_indices *indices;
	unsigned char *data;
	uint64_t capacity;
	uint64_t commit, intent;
	uint64_t sequence; /* of the next message */
};

struct duoshm__cast_reader {
	const struct duoshm__broadcast_indices *indices;
	const unsigned char *data;
	uint64_t capacity;
	uint64_t position;
	uint64_t expected; /* sequence number of the next message */
	bool counting;     /* `expected` is known */
	uint64_t missed;   /* and not told yet */
};

static inline uint64_t duoshm__cast_longest(uint64_t capacity)
{
	return capacity / 8;
}

/*
 * Take up a ring as its producer, new or after another one (which ended, or is proven dead).
 * CORRUPT.
 */
int duoshm__cast_produce(struct duoshm__cast_producer *producer,
	struct duoshm__broadcast_indices *indices, void *data, uint64_t capacity);
/* TOO_LONG. */
int duoshm__cast_publish(
	struct duoshm__cast_producer *producer, const void *message, uint64_t length);

/* Begins with the next message published. CORRUPT. */
int duoshm__cast_read(struct duoshm__cast_reader *reader,
	const struct duoshm__broadcast_indices *indices, const void *data, uint64_t capacity);
/*
 * 0: copied, its length and how many were missed before it. TIMEOUT: none now, or lapped too often
 * in a row. TOO_LONG: skipped. CORRUPT: the memory makes no sense; nothing has moved.
 */
int duoshm__cast_next(struct duoshm__cast_reader *reader, void *buffer, uint64_t room,
	uint64_t *length, uint64_t *missed);
static inline bool duoshm__cast_waiting(const struct duoshm__cast_reader *reader)
{
	return duoshm__load64(&reader->indices->commit) != reader->position;
}

#endif
