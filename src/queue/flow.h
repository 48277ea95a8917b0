/* SPDX-License-Identifier: MIT */
/*
 * Should who takes messages keep away from who sends them for a moment, before a wait? Who looks at
 * a line takes it from who writes to it; where both go in step, each message taken as it comes,
 * that is what makes the sender slow, and more come when the taker falls behind by a stretch. But
 * where messages come at a pace of their own, or are answers, it only makes them late.
 *
 * So it is measured, on each handle: how long a byte takes in step, and how long when keeping away.
 * That is tried now and then, sooner after backlogs, for some laps of the ring: only then have all
 * its lines been handed back as whole ones (ring.h), and it shows. It goes on while it is twice as
 * fast, is given up where hardly any messages come meanwhile, and is put off twice as far after
 * each try.
 */
#ifndef DUOSHM_QUEUE_FLOW_H
#define DUOSHM_QUEUE_FLOW_H

#include <stdbool.h>
#include <stdint.h>

struct duoshm__flow {
	uint64_t lap;    /* bytes of the ring */
	bool away;       /* keep away before the wait that comes */
	unsigned waits;  /* since `away` last changed */
	unsigned doubts; /* waits in a row that did not pay */
	unsigned gap;    /* in step for 64 + 64 * gap waits before keeping away is tried */
	uint64_t begun;  /* the position then */
	uint64_t from;   /* the position, */
	int64_t since;   /* and the time, when the clock was read last */
	uint64_t pace;   /* ns that a KiB took in step, at last */
};

/* Of a ring of `lap` bytes whose taker stands at `position`. */
void duoshm__flow_init(struct duoshm__flow *flow, uint64_t lap, uint64_t position);
/*
 * Before each wait for a message, at `position`. `*taken`: messages since the last one, from
 * DUOSHM__FLOW on where it then kept away.
 */
void duoshm__flow_wait(
	struct duoshm__flow *flow, uint64_t position, unsigned *taken, int64_t timeout_ns);

#endif
