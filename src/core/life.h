/* SPDX-License-Identifier: MIT */
/* Between the two halves of the lifelines: the own ones (lifeline.c), and the judgement of all (life.c). */
#ifndef DUOSHM_CORE_LIFE_H
#define DUOSHM_CORE_LIFE_H

#include "core/lifeline.h"
#include "core/registry.h"

#include <stdbool.h>

/* DIR/.l.<id>; an empty path if it is too long. */
void duoshm__life_path(const char *directory, uint64_t id, char path[DUOSHM__PATH_SIZE]);
/* Removes the files of the proven dead. */
void duoshm__life_sweep(const char *directory);
/* Is it the id of a lifeline that this very process has open? */
bool duoshm__lifeline_is_own(uint64_t id);

#endif
