/* SPDX-License-Identifier: MIT */
/*
 * One side of a queue or broadcast, as its peers see it: one cache line.
 *
 * Who writes what: `holder` is changed by compare-and-swap only, from 0 or a proven dead id to the claimer's lifeline id,
 * and back to 0 by the holder. All else is written by the holder alone, after its claim; `finished` is cleared by the
 * next one. A label of a dead holder stays: it can only veto a death, and its process is gone.
 */
#ifndef DUOSHM_QUEUE_ROLE_LAYOUT_H
#define DUOSHM_QUEUE_ROLE_LAYOUT_H

#include "core/word.h"

#include <stddef.h>

#define DUOSHM__LINE 64u

struct duoshm__role {
	struct duoshm__word64 holder; /* lifeline id; 0: nobody */
	struct duoshm__word64 pid;    /* the label: which process the holder is */
	struct duoshm__word64 start;
	struct duoshm__word64 boot;
	struct duoshm__word32
		registered;             /* 1: who falls asleep may fence the holder (membarrier) */
	struct duoshm__word32 finished; /* producers: 1: no more messages */
	uint8_t spare[24];
};

_Static_assert(sizeof(struct duoshm__role) == DUOSHM__LINE, "a role is one line");
_Static_assert(offsetof(struct duoshm__role, registered) == 32, "part of the layout");

#endif
