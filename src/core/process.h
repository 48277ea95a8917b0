/* SPDX-License-Identifier: MIT */
/*
 * Processes: who we are, whether a pid is still that very process, and what fork does to us.
 * The library's process-wide state is the fork count and the lists that its at-fork handler walks.
 */
#ifndef DUOSHM_CORE_PROCESS_H
#define DUOSHM_CORE_PROCESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Names one process among all that ever ran on this machine. 0 in a field: the system does not
 * tell.
 */
struct duoshm__process {
	int64_t pid;
	uint64_t start; /* opaque: clock ticks, microseconds, a unique id */
	uint64_t boot;  /* of this boot of the machine */
};
void duoshm__process_self(struct duoshm__process *out);

enum duoshm__running { DUOSHM__GONE, DUOSHM__RUNNING, DUOSHM__CANNOT_TELL };
/*
 * GONE: no such pid, a zombie, another start time, another boot. CANNOT_TELL: the pid exists, its
 * start time is hidden.
 */
enum duoshm__running duoshm__process_running(const struct duoshm__process *process);

/* ---- core/process_look.c: what the system tells, one implementation per kind of system ---- */

struct duoshm__process_look {
	uint64_t start; /* 0: the system does not tell */
	bool finished;  /* a zombie: it runs no more, only its exit status remains */
};
/* false: nothing is told of this pid, whether it exists or not. */
bool duoshm__process_look(int64_t pid, struct duoshm__process_look *out);
/*
 * Identifies this boot of the machine; 0: the system does not tell. Never derived from a clock, for
 * a clock that is set would turn the living into remains of an earlier boot.
 */
uint64_t duoshm__boot(void);

/* ---- fork ---- */

/*
 * How often this process image was forked, counted in the child: a handle remembers it and
 * compares.
 */
extern _Atomic unsigned duoshm__fork_count; /* the at-fork handler's alone */
static inline unsigned duoshm__forks(void)
{
	return atomic_load_explicit(&duoshm__fork_count, memory_order_relaxed);
}
/* Installs the at-fork handlers, once. Called by duoshm_new. */
int duoshm__process_init(void);
/*
 * No fork of the library's process happens in between: the child would find its caller's work half
 * done.
 */
void duoshm__process_lock(void);
void duoshm__process_unlock(void);

/*
 * Descriptors that a forked child closes at once, because they hold an flock (never unlock there:
 * it is the parent's lock). A descriptor that is to be locked is opened here, as by
 * duoshm__file_open: no fork comes between opening and keeping it. drop unlocks and closes the
 * descriptor; it does nothing in a child that was forked since, nor to a number that names another
 * file by now, nor to -1. keep is for a file whose opening may take long, and whose lock proves
 * nothing of a process: a fork in between leaves the child its copy.
 */
int duoshm__fd_open(const char *path, int flags, unsigned mode); /* -1 with errno */
int duoshm__fd_keep(int fd);
void duoshm__fd_drop(int fd);
/* Closes it without unlocking: a mapping holds the open file, and the lock with it. */
void duoshm__fd_close(int fd);

#endif
