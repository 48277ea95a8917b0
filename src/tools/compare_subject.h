/* SPDX-License-Identifier: MIT */
/*
 * Subjects of `compare semantics`: the same few verbs over the bare calls of System V, the bare
 * calls of POSIX, and this library over each. An experiment is written once in these verbs and run
 * on each subject; every native call a verb makes is noted with its result and errno, which is the
 * evidence that is shown.
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
	/*
	 * A line a call, "shmget(...) = -1 EEXIST", or a note, without " = "; each ends with 0, all
	 * with another.
	 */
	char text[2000];
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
	int file;              /* posix: the descriptor; sysv: the segment id */
	void *semaphore;       /* sem_t *, duoshm_semaphore * */
	int set;               /* sysv: the set's id */
	bool undo;             /* sysv: operate with SEM_UNDO */
	struct duoshm *ctx;    /* duoshm */
	struct duoshm_segment *segment;
	struct duoshm_lock *lock;
};

/* They return 0, or -1 with the outcome in words noted (errno's or error's name). */
struct verbs {
	int (*begin)(struct trial *t); /* in each process that takes part; NULL: nothing to do */
	int (*create)(struct trial *t, size_t size, unsigned mode);
	int (*open)(struct trial *t, bool read_only);
	int (*detach)(struct trial *t);
	int (*remove)(struct trial *t);
	int (*late_attach)(struct trial *t); /* by what is left after a removal: an id, the name */
	int (*mode)(struct trial *t);        /* permission bits, or -1 */
	int (*long_name)(struct trial *t, unsigned length);
	int (*collide)(struct trial *t); /* two names, one key: notes what happens */
	/* In a forked child: uses its parent's attachment; NULL: the memory is all there is. */
	int (*inherit)(struct trial *t);
	/*
	 * Takes what outlives its holder best, and has it after the holder died; NULL: a semaphore,
	 * with `undo`.
	 */
	int (*hold)(struct trial *t);
	int (*take_over)(struct trial *t);
	int (*semaphore_create)(struct trial *t, unsigned value);
	int (*semaphore_open)(struct trial *t);
	int (*wait)(struct trial *t, int64_t timeout_ns);
	int (*block)(struct trial *t); /* waits, asleep, until something ends it; SIGALRM does */
	int (*semaphore_remove)(struct trial *t);
	void (*end)(struct trial *t); /* removes whatever is left of the trial */
	/*
	 * A stranger's bare segment on a key in text, its id or -1; and its end. NULL: there are no
	 * keys.
	 */
	int (*occupy)(struct trial *t, const char *key);
	void (*vacate)(int id);
};
extern const struct verbs compare_bare_sysv, compare_bare_posix, compare_library;

struct subject {
	const char *title;
	const struct verbs *verbs;
	const struct verbs *bare; /* its family's */
	const char *backend;
};

/*
 * Notes a call and its result; below 0 errno's name is added, and is the outcome. 0 or -1; errno is
 * kept.
 */
int evidence_call(struct trial *t, int result, const char *call, ...) TOOL_PRINTF(3, 4);
/* A call that sleeps, the same way. */
int evidence_sleep(struct trial *t, int result, const char *call);
/* Times out by asking again, for the sake of the systems that lack sem_timedwait or semtimedop. */
int evidence_poll(
	struct trial *t, int64_t timeout_ns, int (*attempt)(struct trial *t), const char *call);
/* Notes a line of any other kind. */
void evidence_note(struct trial *t, const char *format, ...) TOOL_PRINTF(2, 3);
/* Sets the outcome, the few words in the table. */
void evidence_outcome(struct trial *t, const char *format, ...) TOOL_PRINTF(2, 3);
const char *evidence_errno(int error); /* "EEXIST"; a number for a rare one */

#endif
