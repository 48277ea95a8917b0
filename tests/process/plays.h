/* SPDX-License-Identifier: MIT */
/*
 * Plays in which a process ends, or stands still, at each of its points in turn: what such tests
 * share. A play is one function of the test. It starts the lives of the role that is tried, each
 * as the successor of the one before, and asserts what the living must find; here it is played
 * again for each point, and after each time nothing must be left that was not there before.
 */
#ifndef DUOSHM_TESTS_PLAYS_H
#define DUOSHM_TESTS_PLAYS_H

#include "instrument/instrument.h"

#define PLAYS_LIVES 3
struct plays_plan {
	enum instrument_deed deed;
	unsigned nth[PLAYS_LIVES]; /* of each life; 0: it is a whole one, and the last */
};
/* How many lives came to their points. */
typedef unsigned plays_fn(const struct plays_plan *plan);

/*
 * In namespaces of their own where that is permitted: there the kernel's objects can be counted,
 * too.
 */
void plays_begin(void);
void plays_end(void);
/*
 * For each `stride`th point, `first` the first one. The sum of what the plays returned. Prints what
 * was tried.
 */
long plays_each(const char *title, plays_fn *play, enum instrument_deed deed, unsigned first,
	unsigned stride);
/* The same for two lives: at each of those points of the first, at each of those of the second. */
long plays_pairs(
	const char *title, plays_fn *play, unsigned first, unsigned stride, unsigned second);

/* How a child is now; it stays to be waited for. */
enum plays_state { PLAYS_RUNS, PLAYS_STOPPED, PLAYS_ENDED };
enum plays_state plays_look(pid_t pid);
/* Until it sleeps, has ended, or stands still. Where the system does not tell: no time at all. */
void plays_until_idle(pid_t pid);
/*
 * Waits for a child, which goes on where it stands still. True: it came to its point. It died
 * there, or ended well.
 */
bool plays_end_of(pid_t pid, enum instrument_deed deed, bool stood);
/* The living learnt of a death so long after the last sign of life: the longest one is printed. */
void plays_learnt(int64_t ns);

#endif
