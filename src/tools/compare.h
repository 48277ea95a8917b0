/* SPDX-License-Identifier: MIT */
/* The parts of `compare`; each prints its result and returns the exit status. */
#ifndef DUOSHM_TOOLS_COMPARE_H
#define DUOSHM_TOOLS_COMPARE_H

/* Both families side by side: built, works, abilities, limits and their use. */
int compare_info(void);
/*
 * The experiments named in `only` (NULL-terminated; empty: all), on each family, bare and through
 * the library.
 */
int compare_semantics(char *const *only);

#endif
