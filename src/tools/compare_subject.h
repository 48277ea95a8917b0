/* SPDX-License-Identifier: MIT */
/*
 * Subjects of `compare semantics`: the same few verbs over the bare calls of System V, the bare calls of POSIX,
 * and this library over each. An experiment is written once in these verbs and run on each subject; every
 * native call a verb makes is noted with its result and errno, which is the evidence that is shown.
 */
#ifndef DUOSHM_TOOLS_COMPARE_SUBJECT_H
#define DUOSHM_TOOLS_COMPARE_SUBJECT_H

#include <duoshm.h>

#include "tools/common.h"

#include <stdarg.h>
#include <stdbool.h>

/* The evidence of one trial, shared with the child processes of the trial. */
struct evidence {
	unsigned length;
	char text[2000]; /* one line a call: "shmget(...) = -1 EEXIST" */
	char outcome[64];
};

/* What one process holds of a trial. */
struct trial {
	const struct subject *subject;
	struct evidence *evidence;
	const char *directory; /* a scratch directory of the trial: ftok paths, the registry */
	const char *name;      /* unique; also the name of the trial's file in the directory */
	void *memory;          /* attached, or NULL */
	size_t size;           /* as the subject reports it */
	int file;              /* posix: the descriptor; sysv: the segment id; -1 */
	void *semaphore;       /* sem_t *, duoshm_semaphore * */
	int set;               /* sysv: the set's id; -1 */
	bool undo;             /* sysv: operate with SEM_UNDO */
	struct duoshm *ctx;    /* duoshm */
	struct duoshm_segment *segment;
	struct duoshm_lock *lock;
};

/* Verbs return 0, or -1 with the outcome in words noted (errno's or error's name). */
struct subject {
	const char *title; /* "sysv", "posix", "duoshm/sysv", "duoshm/posix" */
	const char *backend;
	bool bare;
	int (*begin)(struct trial *t); /* in each process that takes part */
	int (*create)(struct trial *t, size_t size, unsigned mode);
	int (*open)(struct trial *t, bool read_only);
	int (*detach)(struct trial *t);
	int (*remove)(struct trial *t);
	int (*late_attach)(struct trial *t); /* by what is left after a removal: an id, the name */
	int (*mode)(struct trial *t);        /* permission bits, or -1 */
	int (*long_name)(struct trial *t, unsigned length);
	int (*collide)(struct trial *t); /* two names, one key: notes what happens */
	int (*inherit)(struct trial *t); /* in a forked child: uses its parent's attachment */
	int (*hold)(
		struct trial *t); /* takes a resource in the way that outlives its holder best */
	int (*take_over)(struct trial *t); /* tries to have it after the holder died */
	int (*semaphore_create)(struct trial *t, unsigned value);
	int (*semaphore_open)(struct trial *t);
	int (*wait)(struct trial *t, int64_t timeout_ns);
	int (*block)(struct trial *t); /* waits, asleep, until something ends it; SIGALRM does */
	int (*post)(struct trial *t);
	int (*semaphore_remove)(struct trial *t);
	void (*end)(struct trial *t); /* removes whatever is left of the trial */
};

extern const struct subject compare_bare_sysv, compare_bare_posix, compare_over_sysv,
	compare_over_posix;

/* A stranger's bare segment on a System V key in text, its id or -1; and its end. */
int compare_occupy(struct trial *t, const char *key);
void compare_vacate(int id);

/* Notes a call and its result; for a result of -1 errno's name is added. Returns `result`; errno is kept. */
int evidence_call(struct trial *t, int result, const char *call, ...) TOOL_PRINTF(3, 4);
/* Notes a line of any other kind. */
void evidence_note(struct trial *t, const char *format, ...) TOOL_PRINTF(2, 3);
/* Sets the outcome, the few words in the table. */
void evidence_outcome(struct trial *t, const char *format, ...) TOOL_PRINTF(2, 3);
const char *evidence_errno(int error); /* "EEXIST"; a number for a rare one */

#endif
