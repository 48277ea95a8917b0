/* SPDX-License-Identifier: MIT */
/*
 * Inside the System V family: who offers what to the other files of this folder. Nothing outside
 * the folder includes it; the family is reached by duoshm__sysv_backend alone.
 */
#ifndef DUOSHM_SYSV_H
#define DUOSHM_SYSV_H

#include "backends/backend.h"

#include <sys/types.h>

#include <sys/ipc.h>
#include <sys/shm.h>

extern const struct duoshm__backend duoshm__sysv_backend;

/* sysv_name.c */
duoshm__derive_fn duoshm__sysv_derive;
void duoshm__sysv_key_text(key_t key, char text[DUOSHM__NATIVE_SIZE]);
/* False: the text is not a number, or not one alone. */
bool duoshm__sysv_number(const char *digits, int base, unsigned long long *out);
/* The key of a native name. False, and IPC_PRIVATE: the text is "id:N" or no key at all. */
bool duoshm__sysv_key(const struct duoshm__native *native, key_t *key);
/* PERMISSION, UNAVAILABLE, LIMIT, EXISTS, NOT_FOUND or SYSTEM. */
int duoshm__sysv_code(int system_error);
/* An error that says so: of what was there, or of what never was. */
bool duoshm__sysv_is_gone(int system_error);
/* Segments and sets have name spaces of their own: which of the two, for the calls below. */
struct duoshm__sysv_space {
	const char *get_name, *one, *all; /* "shmget", "segment", "shared memory" */
	int (*get)(key_t key);            /* the id under a key; -1 and errno */
	int64_t (*id)(const struct duoshm__native *native); /* without a key; -1: not known */
	int (*blame)(struct duoshm_failure *why, size_t amount);
};
/* The object's id now, by the key where it has one. -1 and errno: ENOENT when there is none. */
int duoshm__sysv_find(const struct duoshm__sysv_space *space, const struct duoshm__native *native);
int duoshm__sysv_gone(const struct duoshm__sysv_space *space, int system_error,
	const struct duoshm__native *native, struct duoshm_failure *why);
/* For calls with an id: that it is no longer valid is told by EINVAL or EIDRM. */
int duoshm__sysv_fail_call(const struct duoshm__sysv_space *space, int system_error,
	const struct duoshm__native *native, const char *call, int id, struct duoshm_failure *why);
/* `amount`: bytes of a segment, or semaphores of a set. */
int duoshm__sysv_fail_create(const struct duoshm__sysv_space *space, int system_error,
	const struct duoshm__native *native, size_t amount, unsigned mode,
	struct duoshm_failure *why);

/* sysv_shm.c */
duoshm__create_fn duoshm__sysv_create;
duoshm__attach_fn duoshm__sysv_attach;
duoshm__detach_fn duoshm__sysv_detach;
void duoshm__sysv_fill_stat(const struct shmid_ds *status, struct duoshm__native_stat *out);
duoshm__stat_fn duoshm__sysv_stat;
int duoshm__sysv_remove_segment(const struct duoshm__native *native, struct duoshm_failure *why);
/*
 * Whose is the segment under this key? Sets native->segment_id and *out unless it is absent.
 * One of enum duoshm__whose, or a failure.
 */
int duoshm__sysv_judge_segment(struct duoshm__native *native, const struct duoshm__claim *claim,
	struct duoshm__native_stat *out, struct duoshm_failure *why);

/* sysv_sem.c */
duoshm__bells_create_fn duoshm__sysv_bells_create;
duoshm__bells_open_fn duoshm__sysv_bells_open;
duoshm__bells_uid_fn duoshm__sysv_bells_uid;
duoshm__bells_close_fn duoshm__sysv_bells_close;
duoshm__ring_fn duoshm__sysv_ring;
duoshm__wait_fn duoshm__sysv_wait;
int duoshm__sysv_remove_bells(const struct duoshm__native *native, struct duoshm_failure *why);
/* The same for the set that a dead creator left, if it is its: `whose` and `segment` as judged. */
int duoshm__sysv_reap_bells(const struct duoshm__native *native, unsigned n, int whose,
	const struct duoshm__native_stat *segment, struct duoshm_failure *why);

/* sysv_limits.c */
void duoshm__sysv_limits(struct duoshm_facts *facts);
/*
 * After a failure with LIMIT: find the limit that a segment of `size` bytes, a set of `n`
 * semaphores, or an attachment ran into, and add cause and cure. The result is the code, which they
 * may mend; any other stays.
 */
int duoshm__sysv_blame_segment(struct duoshm_failure *why, size_t size);
int duoshm__sysv_blame_set(struct duoshm_failure *why, size_t n);
int duoshm__sysv_blame_attach(struct duoshm_failure *why, size_t size);

/* sysv_list.c */
duoshm__list_fn duoshm__sysv_list;

#endif
