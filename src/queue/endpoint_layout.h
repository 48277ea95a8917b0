/* SPDX-License-Identifier: MIT */
/*
 * What queues and broadcasts have in common in shared memory: the mark that they begin with, and a
 * side as its peers see it, one cache line.
 *
 * Who writes what: the mark is written by format, and never again. `holder` is changed by
 * compare-and-swap only, from 0 or a proven dead id to the claimer's lifeline id, and back to 0 by
 * the holder. All else of a role is written by the holder alone, after its claim; `finished` is
 * cleared by the next one. A label of a dead holder stays: it can only veto a death, and its
 * process is gone.
 */
#ifndef DUOSHM_QUEUE_ENDPOINT_LAYOUT_H
#define DUOSHM_QUEUE_ENDPOINT_LAYOUT_H

#include "core/word.h"

#include <stddef.h>
#include <stdint.h>

#define DUOSHM__LINE 64u

struct duoshm__mark {
	uint64_t magic;
	uint32_t layout;
	uint32_t spare;
	uint64_t capacity;
};

struct duoshm__role {
	struct duoshm__word64 holder; /* lifeline id; 0: nobody */
	struct duoshm__word64 pid;    /* the label: which process the holder is */
	struct duoshm__word64 start;
	struct duoshm__word64 boot;
	struct duoshm__word32 registered; /* 1: a sleeper may fence the holder (membarrier) */
	struct duoshm__word32 finished;   /* producers: 1: no more messages */
	struct duoshm__word32 pinned;     /* 1 + the processor that the holder is pinned to, or 0 */
	uint8_t spare[20];
};

_Static_assert(sizeof(struct duoshm__mark) == 24, "part of the layout");
_Static_assert(sizeof(struct duoshm__role) == DUOSHM__LINE, "a role is one line");
_Static_assert(offsetof(struct duoshm__role, registered) == 32, "part of the layout");

#endif
