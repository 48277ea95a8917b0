/* SPDX-License-Identifier: MIT */
/*
 * The backend contract: what a family of kernel objects has to offer. Everything that is the same
 * for all families (names, who may create, time-outs, clean-up, fast paths, what a header says) is
 * core's and stands above this line; a backend makes native calls, translates their errno and
 * reports what its kernel really does. A backend exports one symbol, its const record.
 *
 * Rules for every operation
 * - Called with no lock of the library held but, where it says so, the object's creation lock; may
 *   be called by several threads at once for different objects.
 * - 0 or a negative DUOSHM_ERR_*. On failure nothing of what it was to make is left, outputs are
 *   untouched, and *why is filled by duoshm__native_failure(): errno, the call with its arguments,
 *   cause and cure. EINTR is retried inside, except in wait.
 * - No operation allocates shared state of its own, forks, prints, or reads the environment.
 */
#ifndef DUOSHM_BACKEND_H
#define DUOSHM_BACKEND_H

#include "duoshm.h"

#include <stdbool.h>
#include <time.h>

#define DUOSHM__NATIVE_SIZE 96

/*
 * How a family names one object. Written as text into the object's registry entry, and read from
 * there.
 */
struct duoshm__native {
	char text[DUOSHM__NATIVE_SIZE]; /* posix: the segment's name; sysv: the key, "0x5d03a1f2" */
	int64_t segment_id;             /* sysv: shmid once created, -1 before; posix: always -1 */
	int64_t bells_id;               /* sysv: semid once created, -1 before; posix: always -1 */
};

/* What a name is made from. */
struct duoshm__naming {
	const char *name;       /* the public name */
	const char *entry_path; /* the registry entry, an existing file of ours */
	uint64_t generation;    /* random, identifies the object */
};

/* An attachment of a segment to this process. */
struct duoshm__map {
	void *address;
	size_t length; /* the kernel's size: at least what was asked for */
	bool reserved; /* create: the memory is reserved, touching it cannot fail */
};

/* What the kernel says of a segment. -1 where it does not say. */
struct duoshm__native_stat {
	uint64_t size;
	int64_t uid, gid;
	int64_t mode;
	int64_t creator_pid, last_pid;
	int64_t attached;
};

/* What is known of the creator that died half-way (for reap). */
struct duoshm__claim {
	size_t size; /* of the segment it was making, header included */
	unsigned n_bells;
	int64_t creator_pid;
	int64_t since_ns;    /* it began then, real time */
	uint64_t generation; /* stands, if anything does, at this byte offset of the segment: */
	size_t generation_offset;
};

/* Whose is what stands under a name that a dead creator claimed? */
enum duoshm__whose {
	DUOSHM__ABSENT,
	DUOSHM__OURS,  /* it agrees with the claim */
	DUOSHM__OTHERS /* it does not, or we may not look */
};

/* One object that the kernel knows, for list. */
struct duoshm__native_item {
	struct duoshm__native native;
	struct duoshm__native_stat stat;
	bool semaphore; /* a set or a named semaphore, not a segment; stat.size: how many */
};
typedef int duoshm__native_fn(const struct duoshm__native_item *item, void *arg);

struct duoshm__bells; /* the family's own: open bells of one object in this process */

/* ---- the operations, each once for all families ---------------------------------------------- */

/*
 * Really creates, attaches, touches, waits on, and removes a segment and a bell, and asks the
 * system for its limits and their use. Fills works, reason, abilities, limits. Always 0.
 */
typedef int duoshm__probe_fn(struct duoshm_facts *facts);
/*
 * The attempt-th (from 0) native name for an object; *out has both ids -1. COLLISION when there are
 * no more. Makes no kernel object. The result is recorded in the registry before create is called
 * with it.
 */
typedef int duoshm__derive_fn(const struct duoshm__naming *naming, unsigned attempt,
	struct duoshm__native *out, struct duoshm_failure *why);

/* Segments; create, remove and reap with the creation lock held. */

/*
 * Makes the segment exclusively, zeroed, of at least `size` bytes (> 0), with exactly `mode`
 * (already reduced by the umask), reserves its memory where the system can, and attaches it
 * read-write. Sets native->segment_id where there is one. EXISTS (try the next name), LIMIT,
 * NO_SPACE, PERMISSION, UNAVAILABLE, SYSTEM.
 */
typedef int duoshm__create_fn(struct duoshm__native *native, size_t size, unsigned mode,
	struct duoshm__map *out, struct duoshm_failure *why);
/*
 * Attaches an existing segment; refuses one whose size is 0 yet (NOT_FOUND, "not built yet").
 * By the key or name; by segment_id where there is none. NOT_FOUND, PERMISSION, LIMIT.
 */
typedef int duoshm__attach_fn(const struct duoshm__native *native, bool read_only,
	struct duoshm__map *out, struct duoshm_failure *why);
typedef int duoshm__detach_fn(const struct duoshm__map *map, struct duoshm_failure *why);
/* NOT_FOUND when the name (or key with that id) is gone. */
typedef int duoshm__stat_fn(const struct duoshm__native *native, struct duoshm__native_stat *out,
	struct duoshm_failure *why);
/* Removes segment and bells; what is gone already is success. PERMISSION. */
typedef int duoshm__remove_fn(
	const struct duoshm__native *native, unsigned n_bells, struct duoshm_failure *why);
/*
 * The same for what a creator that is proven dead may have left under this name, ids perhaps
 * unknown. Removes only what agrees with the claim: an object of somebody else under the same key
 * stays.
 */
typedef int duoshm__reap_fn(const struct duoshm__native *native, const struct duoshm__claim *claim,
	struct duoshm_failure *why);

/* Bells: 1 to 4 semaphores that begin at 0. */

/*
 * Exclusively, all or none; sets native->bells_id where there is one. mode is the segment's: who
 * may write may ring. EXISTS, LIMIT, NO_SPACE, PERMISSION.
 */
typedef int duoshm__bells_create_fn(struct duoshm__native *native, unsigned n, unsigned mode,
	struct duoshm__bells **out, struct duoshm_failure *why);
/*
 * NOT_FOUND, PERMISSION; UNSUPPORTED: there, but made by a program whose words are of another size.
 */
typedef int duoshm__bells_open_fn(const struct duoshm__native *native, unsigned n,
	struct duoshm__bells **out, struct duoshm_failure *why);
/* The user whom all of the bells that are there belong to; NONE, or UNTOLD (they differ, too). */
typedef int64_t duoshm__bells_uid_fn(const struct duoshm__native *native, unsigned n);
enum { DUOSHM__UID_NONE = -1, DUOSHM__UID_UNTOLD = -2 };
/* In a forked child too: gives back memory and descriptors, changes nothing that others see. */
typedef void duoshm__bells_close_fn(struct duoshm__bells *bells);
/* One unit. A full bell is success. REMOVED where the kernel tells. */
typedef int duoshm__ring_fn(struct duoshm__bells *bells, unsigned bell, struct duoshm_failure *why);
/*
 * 0: took a unit; TIMEOUT, INTERRUPTED (EINTR), REMOVED. timeout_ns >= 0, relative, at most 1 s.
 */
typedef int duoshm__wait_fn(
	struct duoshm__bells *bells, unsigned bell, int64_t timeout_ns, struct duoshm_failure *why);

/*
 * Everything of the family that the kernel can list, ours or not. UNSUPPORTED. A non-zero result of
 * fn ends it.
 */
typedef int duoshm__list_fn(duoshm__native_fn *fn, void *arg, struct duoshm_failure *why);

struct duoshm__backend {
	const char *name;      /* "sysv", "posix" */
	const char *bell_call; /* what a sleeper sleeps in: "semtimedop", "sem_trywait, polled" */
	unsigned abilities;    /* DUOSHM_CAN_*: what was compiled in; probe tells what works */
	duoshm__probe_fn *probe;
	duoshm__derive_fn *derive;
	duoshm__create_fn *create;
	duoshm__attach_fn *attach;
	duoshm__detach_fn *detach;
	duoshm__stat_fn *stat;
	duoshm__remove_fn *remove;
	duoshm__reap_fn *reap;
	duoshm__bells_create_fn *bells_create;
	duoshm__bells_open_fn *bells_open;
	duoshm__bells_uid_fn *bells_uid;
	duoshm__bells_close_fn *bells_close;
	duoshm__ring_fn *ring;
	duoshm__wait_fn *wait;
	duoshm__list_fn *list;
};

/* ---- what helps every family (failure.c, common.c) ------------------------------------------- */

#if defined __GNUC__
#define DUOSHM__FORMAT(a, b) __attribute__((format(printf, a, b)))
#else
#define DUOSHM__FORMAT(a, b)
#endif

/*
 * Fills *why and returns `code`. `call` is a printf format for the native call with its arguments.
 */
int duoshm__native_failure(struct duoshm_failure *why, int code, int system_error, const char *call,
	...) DUOSHM__FORMAT(4, 5);
/*
 * Adds the cause or cure in words, printf formats; to be called after duoshm__native_failure.
 * Returns its code.
 */
int duoshm__native_cause(struct duoshm_failure *why, const char *format, ...) DUOSHM__FORMAT(2, 3);
int duoshm__native_cure(struct duoshm_failure *why, const char *format, ...) DUOSHM__FORMAT(2, 3);
/* Call and cause as one text of at most `size` bytes. */
void duoshm__native_reason(const struct duoshm_failure *why, char *text, size_t size);
/* INVALID: an object has but `n` bells. */
int duoshm__no_such_bell(struct duoshm_failure *why, const char *call, unsigned bell, unsigned n);
/*
 * The mode of bells from that of their segment: who may read and write the segment may use them,
 * both bits.
 */
unsigned duoshm__bell_mode(unsigned segment_mode);
/*
 * Where memory could not be attached: is it the address space that the process may have? Then cause
 * and cure say so.
 */
bool duoshm__native_blame_address_space(struct duoshm_failure *why, size_t size);
/* Adds a limit to the facts; what does not fit is dropped. */
void duoshm__limit(struct duoshm_facts *facts, const struct duoshm_limit *limit);
/*
 * For reap: does the memory bear the generation that is claimed? Where it bears none yet,
 * `in_the_making` decides. Its maker is dead, so nobody writes it meanwhile.
 */
enum duoshm__whose duoshm__whose_memory(
	const struct duoshm__map *map, const struct duoshm__claim *claim, bool in_the_making);

/*
 * Waits where the kernel cannot time out: calls `attempt` with growing pauses (20 us doubling to 1
 * ms) until it returns something other than EAGAIN, an errno or 0, which then is the result, or the
 * time is up (EAGAIN), or a signal came (EINTR).
 */
int duoshm__native_poll(int (*attempt)(void *arg), void *arg, int64_t timeout_ns);
struct timespec duoshm__timespec(int64_t ns);

/*
 * Does what was just made serve: does a second attachment show its last byte, is its first bell
 * heard when it is rung?
 */
int duoshm__native_check(const struct duoshm__backend *backend, const struct duoshm__native *native,
	const struct duoshm__map *map, struct duoshm__bells *bells, struct duoshm_failure *why);
/*
 * The part of a probe that is the same for all: does it with `native`, a name that nobody uses.
 * Fills works, reason, abilities.
 */
void duoshm__native_trial(const struct duoshm__backend *backend, struct duoshm__native *native,
	struct duoshm_facts *facts);

#endif
