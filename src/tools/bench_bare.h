/* SPDX-License-Identifier: MIT */
/*
 * What floors are made of: the least that moves data between two processes, and each family's bare
 * semaphores. No checks, no death, no names: what a contract costs is what comes on top of this.
 */
#ifndef DUOSHM_TOOLS_BENCH_BARE_H
#define DUOSHM_TOOLS_BENCH_BARE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "tools/bench.h"

/*
 * A ring of equal slots in one direction. Each slot is a word that says which message is in it, and
 * the message behind it; the reader says how far it is at every quarter of the ring.
 */
struct bare_ring {
	unsigned char *slots;
	_Atomic uint64_t *read; /* messages, the reader's */
	uint64_t size, stride, count;
	uint64_t next; /* message, of our side */
	uint64_t seen; /* of *read */
};

/*
 * The number `which` of those in the memory of the sides, of `bytes` at most, but of four slots at
 * least. `lines`: each slot begins a line.
 */
void bare_ring_open(struct bare_ring *ring, void *memory, unsigned which, uint64_t bytes,
	uint64_t size, bool lines);
/* Both spin; false: side 0 has said that it is over. */
bool bare_ring_write(struct bare_ring *ring, const struct bench_side *side, const void *message);
bool bare_ring_read(struct bare_ring *ring, const struct bench_side *side, void *message);

/*
 * Bare semaphores of a family, at 0: made before and swept after the sides by their parent, so that
 * none is left by a side that is killed.
 */
struct bare_semaphores;
#define BARE_SEMAPHORES 2
int bare_semaphores_make(struct bench_side *side);
void bare_semaphores_sweep(struct bench_side *side);
/* NULL: the failure is told. */
struct bare_semaphores *bare_semaphores_open(struct bench_side *side);
void bare_post(struct bare_semaphores *semaphores, unsigned which);
void bare_wait(struct bare_semaphores *semaphores, unsigned which);
void bare_semaphores_close(struct bare_semaphores *semaphores);

#endif
