/* SPDX-License-Identifier: MIT */
/*
 * A queue in shared memory: this header, then the ring of `capacity` bytes (a power of two).
 *
 * Who writes what: format fills line 0, and nobody writes it again. Each other line of the header
 * has one writer but for the two sleeping flags: a side sets its own to 1 before it sleeps and to 0
 * after, its peer takes the 1 away and then rings. Lines lie two apart, because processors fetch
 * them in pairs. The ring is the producer's to write; of the records that it has not yet given
 * back, the consumer may write what is there already (ring.h has why).
 *
 * The ring. `tail` and the producer's private head count bytes for ever; offsets are their low
 * bits. A record is one header word and its payload, never wrapped: where it does not fit before
 * the end, a pad record fills the rest. A record of up to 64 bytes is padded to 16, 32 or 64 and
 * lies in one line (where lengths are mixed, a pad record fills the line before it; not where more
 * was reserved than staged); any other is padded to 8. The header word is what publishes: the
 * consumer polls the word at its position, and a short message travels in the line of its header.
 * Invariant: the word at head is 0; it is made 0 before the record in front of it is published. So
 * head needs no place in shared memory: it is found by walking from tail, and what was not
 * published vanishes with its producer.
 */
#ifndef DUOSHM_QUEUE_LAYOUT_H
#define DUOSHM_QUEUE_LAYOUT_H

#include "queue/endpoint_layout.h"

#define DUOSHM__QUEUE_MAGIC  0x3171756575657564u
#define DUOSHM__QUEUE_LAYOUT 2u

struct duoshm__queue {
	struct duoshm__mark mark; /* format */
	uint8_t spare_2[104];
	struct duoshm__role producer; /* the producer */
	uint8_t spare_3[64];
	struct duoshm__role consumer; /* the consumer */
	uint8_t spare_4[64];
	struct duoshm__word64 tail; /* the consumer: everything before it is free */
	uint8_t spare_5[120];
	struct duoshm__word32 consumer_sleeps;
	uint8_t spare_6[124];
	struct duoshm__word32 producer_sleeps;
	uint8_t spare_7[124];
	/* the ring */
};

#define DUOSHM__QUEUE_HEADER 768u
_Static_assert(sizeof(struct duoshm__queue) == DUOSHM__QUEUE_HEADER, "the ring begins a line");
_Static_assert(offsetof(struct duoshm__queue, producer) == 128, "a line of its own");
_Static_assert(offsetof(struct duoshm__queue, consumer) == 256, "a line of its own");
_Static_assert(offsetof(struct duoshm__queue, tail) == 384, "a line of its own");
_Static_assert(offsetof(struct duoshm__queue, consumer_sleeps) == 512, "a line of its own");
_Static_assert(offsetof(struct duoshm__queue, producer_sleeps) == 640, "a line of its own");

#endif
