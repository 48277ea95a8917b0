/* SPDX-License-Identifier: MIT */
/*
 * Keeping away from who sends; see the header. In step the clock is seldom read, since there each
 * nanosecond is one more until the answer.
 */
#include "config.h"

#include "queue/flow.h"

#include "core/clock.h"
#include "core/fast.h"

#define GLANCE   16    /* waits from one look at the clock to the next */
#define GAP_UNIT 64    /* waits */
#define GAP_MAX  16384 /* units */
#define SOME     8     /* messages: fewer at once are no flow */
#define AWAY_MAX 1024  /* waits: then it is measured again how it goes in step */

/* The best of the last few: it is the machine, not the messages, that makes one far slower. */
static void note_pace(struct duoshm__flow *flow)
{
	int64_t now = duoshm__now();
	int64_t pace = (now - flow->since) / (int64_t)(flow->messages + 1);

	if (flow->waits % GAP_UNIT == GLANCE || pace < flow->pace)
		flow->pace = pace;
	flow->since = now;
	flow->messages = 0;
}

/* In step, `taken` since the last wait: keep away for once? */
static bool tries(struct duoshm__flow *flow, unsigned taken)
{
	bool backlog = taken >= DUOSHM__FLOW;

	flow->messages += taken;
	if (++flow->waits % GLANCE == 0)
		note_pace(flow);
	if (!backlog && flow->waits < (flow->gap + 1) * GAP_UNIT)
		return false;
	if (!backlog)
		flow->gap = flow->gap < GAP_MAX ? flow->gap * 2 + 1 : GAP_MAX;
	flow->since = duoshm__now();
	flow->messages = flow->lap;
	flow->waits = 0;
	return true;
}

/* Keeping away, `taken` since the last wait: once more? */
static bool goes_on(struct duoshm__flow *flow, unsigned taken)
{
	int64_t now = duoshm__now(), took = now - flow->since;
	bool judged = taken >= flow->messages;

	flow->since = now;
	flow->messages -= judged ? flow->messages : taken;
	if (taken >= SOME && ++flow->waits < AWAY_MAX) {
		if (!judged)
			return true;
		if (flow->pace == 0 || took / taken * 2 <= flow->pace) {
			flow->gap = 0;
			return true;
		}
	}
	flow->messages = 0;
	flow->waits = 0;
	return false;
}

void duoshm__flow_wait(struct duoshm__flow *flow, unsigned *taken, int64_t timeout_ns)
{
	if (timeout_ns != 0)
		flow->away =
			flow->away ? goes_on(flow, *taken - DUOSHM__FLOW) : tries(flow, *taken);
	*taken = flow->away ? DUOSHM__FLOW : 0;
}
