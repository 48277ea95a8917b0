/* SPDX-License-Identifier: MIT */
/*
 * Should who takes messages keep away from who sends them for a moment, before a wait? Who looks at
 * a line takes it from who writes to it; where both go in step, each message taken as it comes,
 * that is what makes the sender slow, and more come when the taker falls behind by a stretch. But
 * where messages come at a pace of their own, or are answers, it only makes them late.
 *
 * So it is measured, on each handle: how long a message takes in step, and how long when keeping
 * away. That is tried after a backlog, and now and then, for as long as all lines of the ring need
 * to have been handed back as whole ones (ring.h): only then it shows. It goes on while it is twice
 * as fast, is given up where hardly any messages come meanwhile, and is put off twice as far each
 * time that it was in vain.
 */
#ifndef DUOSHM_QUEUE_FLOW_H
#define DUOSHM_QUEUE_FLOW_H

#include <stdbool.h>
#include <stdint.h>

/* All 0 to begin with, but for `lap`. */
struct duoshm__flow {
	uint64_t lap;      /* messages that go through the ring once, at most */
	bool away;         /* keep away before the wait that comes */
	unsigned waits;    /* since that was decided the other way */
	unsigned gap;      /* in step for 64 + 64 * gap waits, before keeping away is tried */
	uint64_t messages; /* in step: since `since`; keeping away: to come before it is judged */
	int64_t since;     /* when the clock was read last */
	int64_t pace;      /* ns a message in step, at last; 0: not known */
};

/*
 * Before each wait for a message. `*taken`, since the last one, counts from DUOSHM__FLOW on when
 * keeping away, else from 0.
 */
void duoshm__flow_wait(struct duoshm__flow *flow, unsigned *taken, int64_t timeout_ns);

#endif
