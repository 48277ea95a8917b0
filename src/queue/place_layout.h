/* SPDX-License-Identifier: MIT */
/* How a queue and a broadcast begin: written by format, never again. */
#ifndef DUOSHM_QUEUE_PLACE_LAYOUT_H
#define DUOSHM_QUEUE_PLACE_LAYOUT_H

#include <stdint.h>

struct duoshm__place_mark {
	uint64_t magic;
	uint32_t layout;
	uint32_t spare;
	uint64_t capacity;
};

_Static_assert(sizeof(struct duoshm__place_mark) == 24, "part of the layout");

#endif
