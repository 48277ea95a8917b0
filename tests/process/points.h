/* SPDX-License-Identifier: MIT */
/*
 * A role is what a process does that dies, or is stopped, at each of its points, and what the living
 * do then. The loops end when the process comes to its end; each turn begins and ends with nothing:
 * no kernel object, no registry entry, no file but the lifeline of the living.
 */
#ifndef DUOSHM_TESTS_POINTS_H
#define DUOSHM_TESTS_POINTS_H

#include "harness/fixture.h"
#include "instrument/instrument.h"

struct role {
	void (*before)(void);                /* the world it meets */
	void (*prepare)(struct duoshm *own); /* in its process, before the first point */
	void (*work)(struct duoshm *own);
	void (*during)(pid_t pid);  /* in the case, meanwhile; it may be dead already */
	void (*stopped)(pid_t pid); /* while it stands still; in points_die_awaited it then dies */
	void (*resumed)(pid_t pid); /* and once it was let go on */
	/* The next process; in points_die_twice it dies, too, so this must stand repetition. */
	void (*recover)(struct duoshm *own);
	void (*after)(void);
	/* Guarantees that the deaths, or the stops, count for; up to 0. */
	unsigned proves[4];
};

/* Of the case; new in each turn. */
extern struct duoshm *ctx;

void points_die(const struct role *role, enum instrument_way way);
void points_die_awaited(const struct role *role, enum instrument_way way);
void points_die_twice(const struct role *role, enum instrument_way way);
void points_stop(const struct role *role, enum instrument_way way);

/*
 * Names of kernel objects are counted where nobody else makes any: in an IPC namespace of our own,
 * or where they bear our prefix.
 */
void points_begin(void);
void points_end(void);

#endif
