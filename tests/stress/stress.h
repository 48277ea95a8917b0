/* SPDX-License-Identifier: MIT */
/* `make stress`; see stress.c. */
#ifndef DUOSHM_TESTS_STRESS_H
#define DUOSHM_TESTS_STRESS_H

#include "stress/storm.h"

/* All storms on all families in turn, until KILLS or HOURS of the environment end it. */
extern const struct harness_case stress_case[];

#endif
