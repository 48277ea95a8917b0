/* SPDX-License-Identifier: MIT */
/*
 * Plays in which a process dies, or stands still, at each of its points in turn: what such tests
 * share. A play is one function of the test. It starts the lives that are tried, each the successor
 * of the one before, and asserts what the living must find. Here it is played again for each point;
 * each time it has ten seconds, and leaves nothing: no kernel object, no registry entry, no file but
 * the lifeline of the living.
 *
 * A role is the play of most: one process at work, and what the others do then.
 */
#ifndef DUOSHM_TESTS_POINTS_H
#define DUOSHM_TESTS_POINTS_H

#include "harness/fixture.h"
#include "instrument/instrument.h"

/* Of this process: the case's is new in each play, a life has its own. */
extern struct duoshm *ctx;
/* The life that goes on. */
extern pid_t tried;

/*
 * In namespaces of their own where that is permitted: there the kernel's objects can be counted.
 */
void points_begin(void);
void points_end(void);

/* ---- plays ----------------------------------------------------------------------------------- */

#define POINTS_LIVES 3
struct points_plan {
	enum instrument_deed deed;
	unsigned nth[POINTS_LIVES]; /* of each life; 0: it is a whole one, and the last */
};
/* How many lives came to their points. */
typedef unsigned points_play(const struct points_plan *plan);

/*
 * For each `stride`th point; with `second` for two lives, for each so many points of the successor,
 * too. The first depends on the process, so that each run of the tests takes others. The number of
 * plays in which all lives came to their points. Prints what was tried.
 */
long points_each(
	const char *title, points_play *play, enum instrument_deed deed, long stride, long second);

/* ---- lives ----------------------------------------------------------------------------------- */

/*
 * A child with a context: prepares (NULL: nothing), which has been done when this returns, and
 * works, whose points count.
 */
pid_t points_start(
	void (*prepare)(void), void (*work)(void), enum instrument_deed deed, unsigned nth);
/*
 * Waits for the one that is tried. Where it stands still, `stopped` (NULL: nothing) comes to pass
 * before it goes on. True: it came to its point. It died there, or ended well.
 */
bool points_end_of(enum instrument_deed deed, void (*stopped)(void));
/* The living learnt of a death so long after the last sign of life: the longest one is printed. */
void points_learnt(int64_t ns);

/* ---- roles ----------------------------------------------------------------------------------- */

struct role {
	const char *title;
	void (*before)(void);  /* the world it meets */
	void (*prepare)(void); /* in its process, before the first point */
	void (*work)(void);
	void (*during)(void);  /* in the case, meanwhile; it may be dead already */
	void (*stopped)(void); /* while it stands still, from where it then dies or goes on */
	void (*resumed)(void); /* and once it was let go on */
	/* The next process; it may die, too, so this must stand repetition. */
	void (*recover)(void);
	void (*after)(void);
	/* Guarantees that its deaths count for besides 1 and 4; up to 0. */
	unsigned proves[3];
};

/* Of roles up to one without title. */
void points_die(const struct role *roles, enum instrument_way way);
void points_stop(const struct role *roles, enum instrument_way way);
/* Those that have a `recover`. */
void points_die_twice(const struct role *roles, enum instrument_way way);

#endif
