/* SPDX-License-Identifier: MIT */
/*
 * What a hostile process may write over: an object of each kind, and the calls that are made with
 * it. The same list serves the fuzz targets (words change between the calls), the live scribbler
 * (they change all the time) and loads that lie. Each call's result is checked here: it is none of
 * the machine's own failures, and an error is told as such.
 */
#ifndef DUOSHM_TESTS_SUBJECTS_H
#define DUOSHM_TESTS_SUBJECTS_H

#include "core/object.h"

#include <stdlib.h>
#include <string.h>

struct subject {
	const char *name;
	void (*make)(void);
	/* Opens, makes a round of calls, closes. What the round before left does not matter. */
	void (*use)(void);
	/* This process writes it from private state: it cannot be reset. */
	bool is_kept;
};
extern const struct subject subjects[]; /* ends with a name of NULL */

/* Makes its object; once a process. */
const struct subject *subject_make(const char *name, struct duoshm *ctx);
/* Removes it, and closes all but the context. */
void subject_end(void);
/* The mapping, the object's header included; and as it was when it was made. */
void *subject_memory(size_t *size);
void subject_reset(void);

/* To be set: what is called between two calls; how long calls wait; a line for the device. */
extern void (*subject_between)(void);
extern int64_t subject_wait_ns;
extern char subject_line[64];
/* Calls made, and how many found the memory corrupt. */
extern long subject_calls, subject_corrupt;

/* What must hold, in any build and process. */
#define SUBJECT_CHECK(condition) ((condition) ? (void)0 : abort())

#endif
