/* SPDX-License-Identifier: MIT */
/*
 * Lifelines: proof of death. Each process keeps one file, DIR/.l.<id>, in each registry directory
 * that it uses, locked with flock before its name appears; the kernel lets go of the lock when the
 * process dies. The id is random and never used again: it is what shared memory holds as "owner".
 * The file's content lists what the process has attached (by generation).
 *
 * Lock held: alive. Lock free and the process gone: dead. Lock free but that very process runs (it
 * closed all its descriptors): unknown. Where a mapping holds the lock (Linux, but on an overlay),
 * a free one is proof enough, and a process that went on as another program by exec is dead, too.
 * No file: dead, unless a label (pid and start) says that it still runs.
 */
#ifndef DUOSHM_CORE_LIFELINE_H
#define DUOSHM_CORE_LIFELINE_H

#include "core/registry.h"

#define DUOSHM__LIFE_ID_BITS                                                                       \
	51 /* so that an id, a handle number and flags share one 64-bit lock word */

struct duoshm__lifeline; /* one per directory and process, counted */

/*
 * The process's lifeline in `directory`, made at first use. PERMISSION when the directory is not
 * writable: then the process can read objects, and nothing else. Sweeps away the files of the
 * proven dead.
 */
int duoshm__lifeline_open(const char *directory, struct duoshm__lifeline **out);
/* The last close unlinks the file. In a forked child: only memory. */
void duoshm__lifeline_close(struct duoshm__lifeline *lifeline);
uint64_t duoshm__lifeline_id(const struct duoshm__lifeline *lifeline); /* never 0 */

/* Notes an attachment; *slot is for detach. LIMIT, NO_SPACE. A few nanoseconds. Thread-safe. */
int duoshm__lifeline_attach(struct duoshm__lifeline *lifeline, uint64_t generation, unsigned *slot);
void duoshm__lifeline_detach(struct duoshm__lifeline *lifeline, unsigned slot);

enum duoshm__life { DUOSHM__DEAD, DUOSHM__ALIVE, DUOSHM__UNPROVEN };
/*
 * `label` (may be NULL) is what shared memory says of the owner: it can only veto, never prove, a
 * death.
 */
enum duoshm__life duoshm__life_of(
	const char *directory, uint64_t id, const struct duoshm__process *label);

/*
 * Calls fn for each attachment (generation, process) that a living process's file lists, once per
 * process and generation; `pid` is that of the file. Files that cannot be read are counted in
 * *unreadable (may be NULL).
 */
typedef void duoshm__attachment_fn(uint64_t generation, int64_t pid, void *arg);
int duoshm__lifeline_scan(
	const char *directory, duoshm__attachment_fn *fn, void *arg, unsigned *unreadable);
/* Removes the files of the proven dead. */
void duoshm__life_sweep(const char *directory);

/* ---- between the two halves: the own ones (lifeline.c), and the judgement of all (life.c) ---- */

/* DIR/.l.<id> */
void duoshm__life_path(const char *directory, uint64_t id, char path[DUOSHM__PATH_SIZE]);
/* Is it the id of a lifeline that this very process has open? */
bool duoshm__lifeline_is_own(uint64_t id);

#endif
