/* SPDX-License-Identifier: MIT */
/*
 * Inside the POSIX family: who offers what to the other files of this folder. Nothing outside
 * the folder includes it; the family is reached by duoshm__posix_backend alone.
 */
#ifndef DUOSHM_POSIX_H
#define DUOSHM_POSIX_H

#include "backends/backend.h"

#include <sys/types.h>

/* A place where shared memory lives as files; NULL: it does not, or not where it could be seen. */
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
int duoshm__posix_derive(const struct duoshm__naming *naming, unsigned attempt,
	struct duoshm__native *out, struct duoshm_failure *why);
/* The name of a bell from that of its segment. */
void duoshm__posix_bell_name(
	const struct duoshm__native *native, unsigned bell, char out[DUOSHM__NATIVE_SIZE]);
/* PERMISSION, UNAVAILABLE, LIMIT, NO_SPACE, EXISTS, NOT_FOUND or SYSTEM. */
int duoshm__posix_code(int system_error);

/* posix_shm.c */
int duoshm__posix_create(struct duoshm__native *native, size_t size, unsigned mode,
	struct duoshm__map *out, struct duoshm_failure *why);
int duoshm__posix_attach(const struct duoshm__native *native, bool read_only,
	struct duoshm__map *out, struct duoshm_failure *why);
int duoshm__posix_detach(const struct duoshm__map *map, struct duoshm_failure *why);
int duoshm__posix_stat(const struct duoshm__native *native, struct duoshm__native_stat *out,
	struct duoshm_failure *why);
int duoshm__posix_remove_segment(const struct duoshm__native *native, struct duoshm_failure *why);
/* Whose is the segment under this name? One of enum duoshm__whose, or a failure. */
int duoshm__posix_judge_segment(const struct duoshm__native *native,
	const struct duoshm__claim *claim, struct duoshm_failure *why);

/* posix_sem.c */
int duoshm__posix_bells_create(struct duoshm__native *native, unsigned n, unsigned mode,
	struct duoshm__bells **out, struct duoshm_failure *why);
int duoshm__posix_bells_open(const struct duoshm__native *native, unsigned n,
	struct duoshm__bells **out, struct duoshm_failure *why);
void duoshm__posix_bells_close(struct duoshm__bells *bells);
int duoshm__posix_ring(struct duoshm__bells *bells, unsigned bell, struct duoshm_failure *why);
int duoshm__posix_wait(
	struct duoshm__bells *bells, unsigned bell, int64_t timeout_ns, struct duoshm_failure *why);
int duoshm__posix_remove_bells(
	const struct duoshm__native *native, unsigned n, struct duoshm_failure *why);

/* posix_limits.c */
void duoshm__posix_limits(struct duoshm_facts *facts);
/* A limit of getrlimit; -1: not known, INT64_MAX: none. */
int64_t duoshm__posix_resource(int which);
/* False: a segment of `size` bytes is larger than the room on its file system, or than the memory available. */
bool duoshm__posix_has_room(size_t size);
/*
 * After a failure with LIMIT or NO_SPACE: find what a segment of `size` bytes, or a bell, ran into, and
 * add cause and cure. The result is the code, which they may mend.
 */
int duoshm__posix_blame_segment(struct duoshm_failure *why, size_t size);
int duoshm__posix_blame_bell(struct duoshm_failure *why);

/* posix_list.c */
int duoshm__posix_list(duoshm__native_fn *fn, void *arg, struct duoshm_failure *why);

#endif
