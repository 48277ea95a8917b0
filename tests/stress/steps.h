/* SPDX-License-Identifier: MIT */
/* Kills at single instructions; see steps.c. */
#ifndef DUOSHM_TESTS_STEPS_H
#define DUOSHM_TESTS_STEPS_H

#include "stress/storm.h"

/* Is there a tracer that steps? */
bool steps_possible(void);
/* On storm_family; how many processes were killed (or bereaved) amid their work. */
long steps_run(long points);

#endif
