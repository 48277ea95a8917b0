/* SPDX-License-Identifier: MIT */
/*
 * Inside the POSIX family: who offers what to the other files of this folder. Nothing outside
 * the folder includes it; the family is reached by duoshm__posix_backend alone.
 */
#ifndef DUOSHM_POSIX_H
#define DUOSHM_POSIX_H

#include "backends/backend.h"

#include <sys/stat.h>
#include <sys/types.h>

/*
 * A place where shared memory lives as files; undefined: it does not, or not where it could be
 * seen.
 */
#if defined __linux__ || defined __CYGWIN__
#define DUOSHM__POSIX_DIRECTORY "/dev/shm"
#elif defined __NetBSD__
#define DUOSHM__POSIX_DIRECTORY "/var/shm"
#elif defined __DragonFly__
#define DUOSHM__POSIX_DIRECTORY "/var/run/shm"
#elif defined __OpenBSD__ || defined __sun
#define DUOSHM__POSIX_DIRECTORY "/tmp"
#endif

extern const struct duoshm__backend duoshm__posix_backend;

/* posix_name.c */
duoshm__derive_fn duoshm__posix_derive;
/* The name of a bell from that of its segment. */
void duoshm__posix_bell_name(
	const struct duoshm__native *native, unsigned bell, char out[DUOSHM__NATIVE_SIZE]);
/* PERMISSION, UNAVAILABLE, LIMIT, NO_SPACE, EXISTS, NOT_FOUND or SYSTEM. */
int duoshm__posix_code(int system_error);
/* Segments and semaphores have calls of their own: which of the two, for the calls below. */
struct duoshm__posix_space {
	const char *open_name, *one, *all; /* "shm_open", "segment", "shared memory" */
	size_t size;                       /* of one; 0: it varies */
	int (*blame)(struct duoshm_failure *why, size_t size);
};
/* ENOENT: there is none; any other: it is not built yet. */
int duoshm__posix_gone(const struct duoshm__posix_space *space, int system_error, const char *name,
	struct duoshm_failure *why);
/* `rest`: of the call's arguments, behind the name: ", O_RDONLY", or "". */
int duoshm__posix_fail_call(const struct duoshm__posix_space *space, int system_error,
	const char *name, const char *call, const char *rest, struct duoshm_failure *why);
int duoshm__posix_fail_create(const struct duoshm__posix_space *space, int system_error,
	const char *name, unsigned mode, struct duoshm_failure *why);

/* posix_shm.c */
duoshm__create_fn duoshm__posix_create;
duoshm__attach_fn duoshm__posix_attach;
duoshm__detach_fn duoshm__posix_detach;
void duoshm__posix_fill_stat(const struct stat *status, struct duoshm__native_stat *out);
duoshm__stat_fn duoshm__posix_stat;
int duoshm__posix_remove_segment(const struct duoshm__native *native, struct duoshm_failure *why);
/* Whose is the segment under this name? One of enum duoshm__whose, or a failure. */
int duoshm__posix_judge_segment(const struct duoshm__native *native,
	const struct duoshm__claim *claim, struct duoshm_failure *why);

/* posix_sem.c */
duoshm__bells_create_fn duoshm__posix_bells_create;
duoshm__bells_open_fn duoshm__posix_bells_open;
duoshm__bells_uid_fn duoshm__posix_bells_uid;
duoshm__bells_close_fn duoshm__posix_bells_close;
duoshm__ring_fn duoshm__posix_ring;
duoshm__wait_fn duoshm__posix_wait;
/* All of them are tried; the failure is the first one's that was refused. */
int duoshm__posix_remove_bells(
	const struct duoshm__native *native, unsigned n, struct duoshm_failure *why);

/* posix_limits.c */
/* RLIMIT_FSIZE or RLIMIT_NOFILE; -1: not known, INT64_MAX: none. */
int64_t duoshm__posix_resource(int which);
/*
 * False: a segment of `size` bytes is larger than the room on its file system, or than the memory
 * available.
 */
bool duoshm__posix_has_room(size_t size);
void duoshm__posix_limits(struct duoshm_facts *facts);
/*
 * After a failure with LIMIT or NO_SPACE: find what a segment of `size` bytes, or a bell, ran into,
 * and add cause and cure. The result is the code, which they may mend; any other stays.
 */
int duoshm__posix_blame_segment(struct duoshm_failure *why, size_t size);
int duoshm__posix_blame_bell(struct duoshm_failure *why, size_t size);

/* posix_list.c */
duoshm__list_fn duoshm__posix_list;

#endif
