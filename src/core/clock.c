/* SPDX-License-Identifier: MIT */
/*
 * Clocks. Sums with a timeout saturate: an overflowing deadline would be one that is over at once.
 */
#include "config.h"

#include "core/clock.h"

#include "duoshm.h"

#include <time.h>

#define SECOND      1000000000
#define FIRST_PAUSE 100000
#define LAST_PAUSE  2000000

static int64_t read_clock(clockid_t id)
{
	struct timespec now = {0};
	clock_gettime(id, &now);
	return (int64_t)now.tv_sec * SECOND + now.tv_nsec;
}

int64_t duoshm__now(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

int64_t duoshm__wall_time(void)
{
	return read_clock(CLOCK_REALTIME);
}

int64_t duoshm__deadline(int64_t timeout_ns)
{
	if (timeout_ns == DUOSHM_FOREVER)
		return INT64_MAX;
	int64_t now = duoshm__now();
	return timeout_ns > INT64_MAX - now ? INT64_MAX : now + timeout_ns;
}

int64_t duoshm__remaining(int64_t deadline, int64_t slice)
{
	if (deadline == INT64_MAX)
		return slice;
	int64_t left = deadline - duoshm__now();
	if (left <= 0)
		return 0;
	return left < slice ? left : slice;
}

void duoshm__pause(int64_t ns)
{
	if (ns <= 0)
		return;
	struct timespec length = {.tv_sec = (time_t)(ns / SECOND), .tv_nsec = (long)(ns % SECOND)};
	nanosleep(&length, NULL);
}

bool duoshm__pause_before(int64_t deadline, int64_t *pause)
{
	*pause = *pause == 0 ? FIRST_PAUSE : *pause < LAST_PAUSE / 2 ? 2 * *pause : LAST_PAUSE;
	int64_t left = duoshm__remaining(deadline, *pause);
	duoshm__pause(left);
	return left > 0;
}
