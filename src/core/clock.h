/* SPDX-License-Identifier: MIT */
/* Time: the monotonic clock for waiting, the real-time clock for stamps, all in nanoseconds. */
#ifndef DUOSHM_CORE_CLOCK_H
#define DUOSHM_CORE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

int64_t duoshm__now(void);       /* monotonic */
int64_t duoshm__wall_time(void); /* since the Epoch */
/* now + timeout, or INT64_MAX for DUOSHM_FOREVER and on overflow. */
int64_t duoshm__deadline(int64_t timeout_ns);
/* What is left until the deadline, at most `slice`; 0 when it is over. */
int64_t duoshm__remaining(int64_t deadline, int64_t slice);
/* Sleeps; a signal may end it early. */
void duoshm__pause(int64_t ns);
/*
 * Before another try: sleeps 100 us at first (*pause 0), then twice as long each time, up to 2 ms.
 * False: the deadline is over.
 */
bool duoshm__pause_before(int64_t deadline, int64_t *pause);

#endif
