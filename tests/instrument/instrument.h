/* SPDX-License-Identifier: MIT */
/*
 * Points: the moments at which a process may die or be stopped. A test that is linked with
 * $(instrument_libs) uses the library compiled with hooks.h: a point lies before each write to a
 * shared word, and before and after each operation of the backend. So each state that a death can
 * leave in shared memory or among the kernel's objects is left by a death at some point; what lies
 * between two of them is private or a file, whose states the system calls make.
 *
 *	static int work(void *arg) { ...; instrument_here(); ...what is tried...; return 0; }
 *
 *	instrument_begin();
 *	for (unsigned n = 1; instrument_kills(work, NULL, n); n++)
 *		...what the living must find...
 *	instrument_end();
 *
 * Loads are no points: a death before a load is one after the write before it. They can be made to
 * lie (instrument_scramble).
 */
#ifndef DUOSHM_TESTS_INSTRUMENT_H
#define DUOSHM_TESTS_INSTRUMENT_H

#include "harness/harness.h"

/*
 * From now on, also in children, the backend under test is counted; until the end, which restores
 * it.
 */
void instrument_begin(void);
void instrument_end(void);

enum instrument_deed { INSTRUMENT_COUNT, INSTRUMENT_DIE, INSTRUMENT_STOP };
/*
 * The points of this process count from 1 from now on. At the nth it kills itself (SIGKILL), or
 * stops (SIGSTOP), and after SIGCONT goes on.
 */
void instrument_arm(enum instrument_deed deed, unsigned nth);
/* How many it came to. */
unsigned instrument_points(void);
/*
 * The point at which a process died or was stopped last, for messages: "duoshm__cas64 at +0x100",
 * "after create".
 */
const char *instrument_point(void);

/*
 * Of the values that this process reads from shared words, `percent` in 100 are random numbers from
 * now on; 0 ends it.
 */
void instrument_scramble(unsigned percent, uint64_t seed);
/* How many were. */
unsigned long instrument_scrambled(void);

/* For a point of the test's own, as amid the data that a lock guards. */
void instrument_write(const volatile void *word, const char *access);

/* ---- children -------------------------------------------------------------------------------- */

/*
 * What is a point in children: the above, or each system call, before and after (by ptrace, Linux
 * alone). False: it cannot be here.
 */
enum instrument_way { INSTRUMENT_WRITES, INSTRUMENT_CALLS };
bool instrument_by(enum instrument_way way);

/*
 * A child runs fn(arg), whose points count from instrument_here() on, and dies at the nth. False:
 * fn came to its end before that, with 0, as is asserted.
 */
bool instrument_kills(int (*fn)(void *arg), void *arg, unsigned nth);
/* The same, but it stands still there; 0 instead of false. */
pid_t instrument_stops(int (*fn)(void *arg), void *arg, unsigned nth);
/* It goes on. */
void instrument_continue(pid_t pid);
/* In the case's own process this does nothing. */
void instrument_here(void);
/*
 * The halves of both, for what is to happen meanwhile: harness_wait_stopped, or instrument_died. Not
 * by system calls.
 */
pid_t instrument_start(int (*fn)(void *arg), void *arg, enum instrument_deed deed, unsigned nth);
bool instrument_died(pid_t pid);

#endif
