/* SPDX-License-Identifier: MIT */
/*
 * A broadcast in shared memory: this header, then the ring of `capacity` bytes (a power of two).
 *
 * Who writes what: format fills line 0, and nobody writes it again. The producer writes its role
 * and its line of indices. Readers write `sleeps` only (1, before they sleep; the producer takes it
 * away); a read-only reader writes nothing.
 *
 * The ring. Indices count bytes for ever, offsets are their low bits. A record is its sequence
 * number (from 0), its length, and its payload padded to 8 bytes; any of it may wrap. The producer
 * waits for nobody: before it writes a byte it says in `intent` how far it may write, and a reader
 * that has copied a record looks at `intent` to know whether the copy can be torn. `intent` never
 * falls, not even when a dead producer's role is taken over: the bytes that the dead one wrote
 * beyond `commit` are there.
 */
#ifndef DUOSHM_BROADCAST_LAYOUT_H
#define DUOSHM_BROADCAST_LAYOUT_H

#include "queue/endpoint_layout.h"

#define DUOSHM__BROADCAST_MAGIC  0x3173616362756475u
#define DUOSHM__BROADCAST_LAYOUT 1u

/* Written in the order of the fields, commit last (release). */
struct duoshm__broadcast_indices {
	struct duoshm__word64 intent; /* bytes up to here may be written; at least commit */
	struct duoshm__word64 last;   /* where the record that ends at commit begins */
	struct duoshm__word64 commit; /* records up to here are complete */
	uint8_t spare[40];
};

struct duoshm__broadcast {
	struct duoshm__mark mark; /* format */
	uint8_t spare_2[104];
	struct duoshm__role producer; /* the producer */
	uint8_t spare_3[64];
	struct duoshm__broadcast_indices indices; /* the producer */
	uint8_t spare_4[64];
	struct duoshm__word32 sleeps; /* 1: a reader may sleep */
	uint8_t spare_5[124];
	/* the producer: counts its rings; its parity is the bell to sleep on */
	struct duoshm__word32 epoch;
	uint8_t spare_6[124];
	/* the ring */
};

#define DUOSHM__BROADCAST_HEADER 640u
_Static_assert(
	sizeof(struct duoshm__broadcast) == DUOSHM__BROADCAST_HEADER, "the ring begins a line");
_Static_assert(sizeof(struct duoshm__broadcast_indices) == DUOSHM__LINE, "one line");
_Static_assert(offsetof(struct duoshm__broadcast, producer) == 128, "a line of its own");
_Static_assert(offsetof(struct duoshm__broadcast, indices) == 256, "a line of its own");
_Static_assert(offsetof(struct duoshm__broadcast, sleeps) == 384, "a line of its own");
_Static_assert(offsetof(struct duoshm__broadcast, epoch) == 512, "a line of its own");

#endif
