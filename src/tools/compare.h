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
/* Speed. `json`: where the document goes, if not said by --json=FILE; or NULL. */
int compare_bench(const char *json);
extern const struct tool_option compare_options[];

/*
 * A scratch directory, flat, for ftok's paths and a registry: TOOL_DONE, or the failure was
 * reported. Its end takes everything in it away.
 */
#define COMPARE_SCRATCH_SIZE 64
int compare_scratch_make(char directory[COMPARE_SCRATCH_SIZE]);
void compare_scratch_remove(const char *directory);

#endif
