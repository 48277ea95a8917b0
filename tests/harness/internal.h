/* SPDX-License-Identifier: MIT */
/* What the files of the harness share among themselves. */
#ifndef DUOSHM_TESTS_HARNESS_INTERNAL_H
#define DUOSHM_TESTS_HARNESS_INTERNAL_H

#include <stdbool.h>

/* The exit status of a child that skips. */
#define HARNESS_SKIPPED 77
/* Is this a child of harness_fork? */
extern bool harness_is_child;
_Noreturn void harness_child_failed(const char *file, int line, const char *condition);
/* Makes the scratch directory and the registry in it, and points DUOSHM_DIR there. */
int harness_scratch_make(void);
/* Removes all objects of the registry: what a case that was ended by force has left. */
void harness_remove_objects(void);
/* Kills and reaps the children that cases left. */
void harness_end_children(void);

#endif
