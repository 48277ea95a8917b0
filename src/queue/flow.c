/* SPDX-License-Identifier: MIT */
/*
 * Keeping away from who sends; see the header. In step the clock is seldom read, since there each
 * nanosecond is one more until the answer.
 */
#include "config.h"

#include "queue/flow.h"

#include "core/clock.h"
#include "core/fast.h"

#define CLOCK_EVERY 16    /* waits in step */
#define GAP_UNIT    64    /* waits */
#define GAP_MAX     16383 /* units */
#define SOME        8     /* messages: fewer at once are no flow */
#define LAPS        3     /* before it is judged */
#define AWAY_MAX    1024  /* waits: then it is measured again how it goes in step */

void duoshm__flow_init(struct duoshm__flow *flow, uint64_t lap, uint64_t position)
{
	*flow = (struct duoshm__flow){.lap = lap, .from = position, .since = duoshm__now()};
}

/* ns that a KiB took since the clock was read last; reads it. */
static uint64_t pace_since(struct duoshm__flow *flow, uint64_t position)
{
	int64_t now = duoshm__now();
	uint64_t took = (uint64_t)(now - flow->since), bytes = position - flow->from;

	flow->since = now;
	flow->from = position;
	return took * 64 / (bytes / 16 + 1);
}

/* In step: keep away for once? */
static bool tries(struct duoshm__flow *flow, uint64_t position, unsigned taken)
{
	unsigned unit = taken >= DUOSHM__FLOW ? CLOCK_EVERY : GAP_UNIT;

	if (++flow->waits % CLOCK_EVERY == 0) {
		uint64_t pace = pace_since(flow, position);
		/* The best of four: it is the machine, not the messages, that makes one far slower. */
		if (flow->waits % GAP_UNIT == CLOCK_EVERY || pace < flow->pace)
			flow->pace = pace;
	}
	if (flow->waits < (flow->gap + 1) * unit)
		return false;
	(void)pace_since(flow, position);
	flow->gap = flow->gap < GAP_MAX ? flow->gap * 2 + 1 : GAP_MAX;
	flow->begun = position;
	flow->waits = 0;
	return true;
}

/* Keeping away: once more? */
static bool goes_on(struct duoshm__flow *flow, uint64_t position, unsigned taken)
{
	uint64_t pace = pace_since(flow, position);
	bool over = ++flow->waits >= AWAY_MAX;
	bool judged = over || position - flow->begun >= LAPS * flow->lap;
	bool pays = taken >= SOME && (!judged || pace <= flow->pace / 2);

	if (pays && judged)
		flow->gap /= 2;
	/* Once may be the machine. */
	flow->doubts = pays ? 0 : flow->doubts + 1;
	if (flow->doubts < 2 && !over)
		return true;
	flow->doubts = 0;
	flow->waits = 0;
	return false;
}

void duoshm__flow_wait(
	struct duoshm__flow *flow, uint64_t position, unsigned *taken, int64_t timeout_ns)
{
	if (timeout_ns != 0)
		flow->away = flow->away ? goes_on(flow, position, *taken - DUOSHM__FLOW)
					: tries(flow, position, *taken);
	*taken = flow->away ? DUOSHM__FLOW : 0;
}
