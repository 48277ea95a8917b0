/* SPDX-License-Identifier: MIT */
/*
 * A counting semaphore in shared memory: the payload of an object of kind SEMAPHORE, with one bell.
 *
 * The word: value in bits 0-15 (0 to 32767), S: somebody may sleep on the bell, R: removed. Every
 * attacher changes it, by compare-and-swap; the remover sets R. There is no count of waiters: a
 * killed sleeper would leave it too high for ever.
 */
#ifndef DUOSHM_CORE_SEMAPHORE_LAYOUT_H
#define DUOSHM_CORE_SEMAPHORE_LAYOUT_H

#include "core/word.h"

#define DUOSHM__SEMAPHORE_VALUE    0xffffu
#define DUOSHM__SEMAPHORE_SLEEPERS 0x10000u
#define DUOSHM__SEMAPHORE_REMOVED  0x20000u

struct duoshm__semaphore {
	struct duoshm__word32 word;
	uint8_t spare[60];
};

_Static_assert(sizeof(struct duoshm__semaphore) == 64, "one cache line");

#endif
