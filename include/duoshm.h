/* SPDX-License-Identifier: MIT */
/*
 * duoshm: one interface over the two shared-memory families of Unix, System V and POSIX.
 *
 * An object is one shared segment plus 0 to 4 bells (kernel semaphores that sleepers sleep on).
 * Segment, semaphore, lock, queue and broadcast are layouts of the segment's payload: one life
 * cycle serves all. What is written here holds on both families alike.
 *
 * Results. An int result is 0 or more on success, or a negative DUOSHM_ERR_* code. On an error
 * nothing has been made and outputs are untouched; duoshm_failure() tells the calling thread the
 * whole story.
 *
 * Time. A timeout is in nanoseconds on the monotonic clock: 0 tries once, DUOSHM_FOREVER has no
 * limit, a negative value is DUOSHM_ERR_INVALID. Time stamps are nanoseconds since the Epoch
 * (real-time clock).
 *
 * Waiting. A call that has to wait looks at the memory for a while before it sleeps in the kernel:
 * for at most 50 us (about what a sleeping hand-off costs), half as long after each time that it
 * looked in vain (but for 3 us), longer again after each that it did not, and not at all where the
 * machine has one processor, or where both sides of a queue were pinned to the same one when they
 * opened it. DUOSHM_SPIN_NS of the environment, read when a handle is made, is another bound in
 * nanoseconds (0: sleep at once; at most a second); the _set_spin calls give a handle its own.
 * Before that, where it may spin at all and the timeout is not 0, some waits have a moment without
 * a look, since who looks at the memory slows who writes to it: of a taker that has had many
 * messages one after the other, 2 us (of a queue's now and then, to see whether more come that way,
 * and as long as they do); of a sender to a queue that has less than a quarter free, 8 us at most.
 *
 * Threads.  Semaphore and lock handles may be shared by threads; any other handle is used by one
 * thread at a time. Different handles are independent. A context may be shared by threads.
 *
 * fork. A child neither owns nor removes what its parent made: in it each call with a handle of the
 * parent returns DUOSHM_ERR_FORKED (pointer results: NULL). A child that wants objects makes a
 * context of its own. Daemonise first, then open.
 *
 * Ownership. A handle belongs to who created or opened it, and is given back with its _close.
 * Strings and structures that are passed in are copied; pointers that are handed out live as long
 * as their handle.
 */
#ifndef DUOSHM_H
#define DUOSHM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DUOSHM_VERSION "0.1.0"

/* Longest name of an object in characters, and room for one with its terminating zero. */
#define DUOSHM_NAME_MAX  63
#define DUOSHM_NAME_SIZE 64
#define DUOSHM_BELLS_MAX 4
#define DUOSHM_VALUE_MAX 32767 /* of a semaphore */

#define DUOSHM_FOREVER INT64_MAX

/*
 * An output struct that tells its own size, all else zero: so that it may grow in later versions.
 */
#ifdef __cplusplus
#define DUOSHM_SIZED(type, field)                                                                  \
	{                                                                                          \
		sizeof(type)                                                                       \
	}
#else
#define DUOSHM_SIZED(type, field)                                                                  \
	{                                                                                          \
		.field = sizeof(type)                                                              \
	}
#endif

/* ---- errors ---------------------------------------------------------------------------------- */

/* Values are never reused and never change their meaning. */
#define DUOSHM_ERRORS(X)                                                                           \
	X(INVALID, 1, "invalid argument")                                                          \
	X(NAME, 2, "invalid name")                                                                 \
	X(NOT_FOUND, 3, "no such object")                                                          \
	X(EXISTS, 4, "the name is taken")                                                          \
	X(WRONG_KIND, 5, "the object is of another kind")                                          \
	X(OTHER_BACKEND, 6, "the object lives in the other family")                                \
	X(NO_BACKEND, 7, "unknown backend, or one that is not built in")                           \
	X(UNAVAILABLE, 8, "the system does not offer this backend")                                \
	X(COLLISION, 9, "every key that the name can have is taken by other objects")              \
	X(PERMISSION, 10, "permission denied")                                                     \
	X(LIMIT, 11, "a limit of the system is reached")                                           \
	X(NO_SPACE, 12, "no memory or no space left")                                              \
	X(TIMEOUT, 13, "the time is up")                                                           \
	X(BUSY, 14, "in use")                                                                      \
	X(REMOVED, 15, "the object was removed")                                                   \
	X(OVERFLOW, 16, "the value would exceed its maximum")                                      \
	X(DEADLOCK, 17, "the caller itself holds the lock")                                        \
	X(NOT_OWNER, 18, "the caller does not hold it")                                            \
	X(PEER_DEAD, 19, "the peer process died")                                                  \
	X(END, 20, "the producer finished and everything is read")                                 \
	X(TOO_LONG, 21, "the message is longer than the room for it")                              \
	X(CORRUPT, 22, "the shared memory does not make sense")                                    \
	X(INCOMPATIBLE, 23, "made by an incompatible version or machine")                          \
	X(FORKED, 24, "the handle belongs to the parent process")                                  \
	X(INTERRUPTED, 25, "interrupted by a signal")                                              \
	X(REGISTRY, 26, "the registry directory cannot be used")                                   \
	X(UNSUPPORTED, 27, "not supported here")                                                   \
	X(SYSTEM, 28, "the system call failed")                                                    \
	X(READ_ONLY, 29, "opened read-only")                                                       \
	X(REFUSED, 30, "refused by the peer")

enum duoshm_error {
#define DUOSHM_X(name, number, text) DUOSHM_ERR_##name = -(number),
	DUOSHM_ERRORS(DUOSHM_X)
#undef DUOSHM_X
};

/* Results that are not errors. */
enum duoshm_result {
	DUOSHM_CREATED = 0,
	DUOSHM_OPENED = 1,    /* open-or-create found it */
	DUOSHM_REPLACED = 2,  /* created, in place of the remains of a dead process */
	DUOSHM_OWNER_DEAD = 3 /* the lock IS held; its last holder died holding it */
};

/* The last failure of the calling thread in full. The strings are empty where they do not apply. */
struct duoshm_failure {
	int code;         /* DUOSHM_ERR_*, 0: none so far */
	int system_error; /* errno of the native call, or 0 */
	char call[160];   /* the native call with its arguments: "shmget(0x5d03a1f2, 8192, 0600)" */
	char cause[256];  /* what is the matter, with names and numbers */
	char cure[192];   /* what the user can do */
};

/* Static text of a code; never NULL. */
const char *duoshm_strerror(int code);
/* The calling thread's record; valid until its next failing call; never NULL. */
const struct duoshm_failure *duoshm_failure(void);

/* ---- contexts -------------------------------------------------------------------------------- */

/* A context is a choice of family, a registry directory and a log hook. */
struct duoshm;

enum duoshm_log_level { DUOSHM_LOG_WARNING = 1, DUOSHM_LOG_NOTICE = 2, DUOSHM_LOG_DEBUG = 3 };
/* Called by the thread that does the work; must not call the library. `message` has no newline. */
typedef void duoshm_log_fn(void *arg, int level, const char *message);

struct duoshm_options {
	size_t size; /* of this struct; set by the initialiser */
	/*
	 * "sysv", "posix" or "auto"; NULL: DUOSHM_BACKEND of the environment, else what configure
	 * was told. auto makes a new object in the preferred family of those that work here; one
	 * that is full is an error.
	 */
	const char *backend;
	/*
	 * The registry; NULL: DUOSHM_DIR of the environment, else /tmp/duoshm-UID, which is made
	 * (0700).
	 */
	const char *directory;
	duoshm_log_fn *log; /* NULL: silent */
	void *log_arg;
};
#define DUOSHM_OPTIONS_INIT                                                                        \
	{                                                                                          \
		sizeof(struct duoshm_options), NULL, NULL, NULL, NULL                              \
	}

/* NO_BACKEND (the cause lists those built in), UNAVAILABLE, REGISTRY, PERMISSION. */
int duoshm_new(const struct duoshm_options *options, struct duoshm **out);
/* BUSY while handles are open. NULL is fine. */
int duoshm_free(struct duoshm *ctx);
/* "sysv", "posix" or "auto". */
const char *duoshm_backend(const struct duoshm *ctx);
const char *duoshm_directory(const struct duoshm *ctx);
/* The families built in, NULL-terminated, the preferred one first. */
const char *const *duoshm_backends(void);

/* One limit or figure of a family, as the running system tells it. */
struct duoshm_limit {
	char name[24];   /* "shmmax" */
	char unit[12];   /* "bytes", "pages", "segments", ... */
	char source[48]; /* where it was read: "kernel.shmmax", "statvfs(/dev/shm)" */
	int64_t value;   /* -1: not known here; INT64_MAX: none */
	int64_t used;    /* -1: not known */
};

/* Abilities of a family on this system. */
#define DUOSHM_CAN_TIMED_WAIT   0x01u /* its semaphore waits with a timeout */
#define DUOSHM_CAN_RESERVE      0x02u /* memory is reserved at creation */
#define DUOSHM_CAN_KERNEL_LIST  0x04u /* the kernel can list its objects */
#define DUOSHM_CAN_ATTACH_LATER 0x08u /* the kernel attaches after removal */
#define DUOSHM_CAN_COUNT        0x10u /* the kernel counts attachments */
#define DUOSHM_CAN_UNDO         0x20u /* the kernel undoes a dead process's semaphore operations */

#define DUOSHM_LIMITS_MAX 16
struct duoshm_facts {
	size_t size;
	char backend[8];
	int built; /* built in */
	int works; /* a segment and a bell were really created, attached, touched and removed */
	int full;  /* it does not work now, for want of room or because a limit is reached */
	char reason[256]; /* why it does not work */
	char bell[32];    /* the call that a sleeper sleeps in: "semtimedop" */
	unsigned abilities;
	unsigned n_limits;
	struct duoshm_limit limits[DUOSHM_LIMITS_MAX];
};
#define DUOSHM_FACTS_INIT DUOSHM_SIZED(struct duoshm_facts, size)
/*
 * Tries the family for real, in this process. 0 also when it does not work (see `works`);
 * NO_BACKEND. Needs no registry; so of who is killed meanwhile, the segment and the bell stay.
 * (The family auto is chosen by an object in the registry, which goes as any other does.)
 */
int duoshm_probe(const char *backend, struct duoshm_facts *out);

/* ---- kinds, creation ------------------------------------------------------------------------- */

/* One name space for all kinds. DEVICE and LANE are segments of the device layer. */
enum duoshm_kind {
	DUOSHM_KIND_ANY = 0,
	DUOSHM_KIND_SEGMENT = 1,
	DUOSHM_KIND_SEMAPHORE = 2,
	DUOSHM_KIND_LOCK = 3,
	DUOSHM_KIND_QUEUE = 4,
	DUOSHM_KIND_BROADCAST = 5,
	DUOSHM_KIND_DEVICE = 6,
	DUOSHM_KIND_LANE = 7
};
/* "segment", "semaphore", ...; "?" for an unknown number. */
const char *duoshm_kind_name(int kind);

/* Flags of creation and opening. */
#define DUOSHM_OPEN_OR_CREATE 0x01u  /* open what is there; the result says which */
#define DUOSHM_UNPUBLISHED    0x02u  /* segments: openers wait until duoshm_segment_publish */
#define DUOSHM_PERSISTENT     0x04u  /* no orphan when its creator dies: only removed explicitly */
#define DUOSHM_POPULATE       0x08u  /* touch every page now */
#define DUOSHM_READ_ONLY      0x10u  /* memory that the kernel protects against writing */
#define DUOSHM_ANY_KIND       0x20u  /* segment_open: whatever kind the object is of */
#define DUOSHM_INTERRUPTIBLE  0x40u  /* waits: a signal ends it with INTERRUPTED */
#define DUOSHM_DRY_RUN        0x80u  /* reclaim: only tell */
#define DUOSHM_SYSTEM         0x100u /* list: also what other programs made */

struct duoshm_create {
	size_t size;        /* of this struct; set by the initialiser */
	unsigned flags;     /* OPEN_OR_CREATE, UNPUBLISHED, PERSISTENT, POPULATE */
	unsigned mode;      /* read and write bits, reduced by the umask; default 0600 */
	unsigned bells;     /* segments only: 0 to 4 */
	int kind;           /* segments only: SEGMENT (default), DEVICE or LANE */
	int64_t timeout_ns; /* OPEN_OR_CREATE: how long to wait for another creator; default 1 s */
};
#define DUOSHM_CREATE_INIT                                                                         \
	{                                                                                          \
		sizeof(struct duoshm_create), 0, 0600, 0, DUOSHM_KIND_SEGMENT, 1000000000          \
	}

/*
 * Names: 1 to 63 characters of [a-z0-9._-], not beginning with a dot; "sysv:NAME" and "posix:NAME"
 * name the family, a bare name means the context's, and in a context of family auto the one where
 * the object lives. Every create and open below may return NAME, NO_BACKEND, UNAVAILABLE,
 * PERMISSION, LIMIT, NO_SPACE, REGISTRY and SYSTEM; create also EXISTS (unless OPEN_OR_CREATE),
 * COLLISION, BUSY (a stopped process holds the creation lock; the cause has its pid) and TIMEOUT;
 * open also NOT_FOUND, OTHER_BACKEND (the cause says where it is), TIMEOUT (half-built for that
 * long), WRONG_KIND, CORRUPT and INCOMPATIBLE. An open waits up to its timeout for the object to
 * come into being; at the deadline an absent object is NOT_FOUND. A create that finds the remains
 * of a dead process removes them and returns DUOSHM_REPLACED.
 */

/* ---- segments -------------------------------------------------------------------------------- */

struct duoshm_segment;

/* `size` is 1 to what the system allows, in bytes. Result: CREATED, OPENED or REPLACED. */
int duoshm_segment_create(struct duoshm *ctx, const char *name, size_t size,
	const struct duoshm_create *options, struct duoshm_segment **out);
/* Ends UNPUBLISHED. INVALID when it is published already. */
int duoshm_segment_publish(struct duoshm_segment *segment);
/*
 * flags: READ_ONLY, POPULATE, ANY_KIND. Kinds SEGMENT, DEVICE and LANE are opened by it. On Linux,
 * opening and closing an existing segment takes 8 system calls on System V (9 with bells), and 10
 * on POSIX (6 more for each bell, glibc's).
 */
int duoshm_segment_open(struct duoshm *ctx, const char *name, unsigned flags, int64_t timeout_ns,
	struct duoshm_segment **out);
/*
 * Attaches memory that this library did not make: "posix:/name", "sysv:0x5d03a1f2" (a key),
 * "sysv:id:7". Raw: no header, no bells, never listed as ours; the size is the kernel's. flags:
 * READ_ONLY.
 */
int duoshm_segment_adopt(
	struct duoshm *ctx, const char *native, unsigned flags, struct duoshm_segment **out);
/* At least 64-byte aligned (adopted: as the kernel gives it). */
void *duoshm_segment_data(const struct duoshm_segment *segment);
/* Exactly what the creator asked for. */
size_t duoshm_segment_size(const struct duoshm_segment *segment);
const char *duoshm_segment_name(const struct duoshm_segment *segment);
const char *duoshm_segment_backend(const struct duoshm_segment *segment); /* "sysv" or "posix" */
int duoshm_segment_kind(const struct duoshm_segment *segment);
/* 1: removed (also from outside, as far as the kernel tells), 0: not. */
int duoshm_segment_removed(const struct duoshm_segment *segment);
/* 1: its creator is alive; 0: proven dead; UNSUPPORTED: cannot be told. A few microseconds. */
int duoshm_segment_owner_alive(const struct duoshm_segment *segment);
/*
 * Removes the very object that the handle stands for, as duoshm_remove does, and whatever became of
 * its registry entry: also when that is damaged or gone, or when a part of the object was removed
 * from outside. A newer object of the same name is left alone. The handle stays open until it is
 * closed; removing once more is no error. PERMISSION (it belongs to another user), READ_ONLY,
 * UNSUPPORTED (adopted).
 */
int duoshm_segment_remove(struct duoshm_segment *segment);
/* Detaches; never removes. NULL is fine. */
int duoshm_segment_close(struct duoshm_segment *segment);

/*
 * Bells: kernel semaphores used as door bells. A ring wakes one sleeper, or is kept for the next;
 * rings may be lost or doubled by a crash, so a waiter looks at the shared memory after each
 * return, and at least every 100 ms. Not with READ_ONLY (READ_ONLY error), nor on POSIX where a
 * program of another word size made the bells (UNSUPPORTED; queue, lock and semaphore poll then).
 */
int duoshm_segment_ring(struct duoshm_segment *segment, unsigned bell);
/* 0: rung. TIMEOUT, INTERRUPTED (a signal came), REMOVED. */
int duoshm_segment_sleep(struct duoshm_segment *segment, unsigned bell, int64_t timeout_ns);

/* ---- counting semaphores --------------------------------------------------------------------- */

struct duoshm_semaphore;

/* Progress: post, value and a wait that finds a unit are lock-free; any other wait blocks. */

/* `value`: 0 to 32767. */
int duoshm_semaphore_create(struct duoshm *ctx, const char *name, unsigned value,
	const struct duoshm_create *options, struct duoshm_semaphore **out);
/* flags: READ_ONLY (then only _value works), INTERRUPTIBLE is given at the wait. */
int duoshm_semaphore_open(struct duoshm *ctx, const char *name, unsigned flags, int64_t timeout_ns,
	struct duoshm_semaphore **out);
/* TIMEOUT, REMOVED, INTERRUPTED (only with flag INTERRUPTIBLE). Acquires. Barging is allowed. */
int duoshm_semaphore_wait(struct duoshm_semaphore *semaphore, int64_t timeout_ns, unsigned flags);
/* Adds `count` (1 to 32767), or nothing and OVERFLOW. REMOVED. Releases. */
int duoshm_semaphore_post(struct duoshm_semaphore *semaphore, unsigned count);
/* The value now, 0 to 32767, or REMOVED. */
int duoshm_semaphore_value(const struct duoshm_semaphore *semaphore);
/* How long, at most, a wait of this handle spins before it sleeps: see Waiting. INVALID: negative. */
int duoshm_semaphore_set_spin(struct duoshm_semaphore *semaphore, int64_t ns);
int duoshm_semaphore_close(struct duoshm_semaphore *semaphore);

/* ---- locks that survive their holder --------------------------------------------------------- */

struct duoshm_lock;

/* Progress: acquire blocks while a living process holds it; release is lock-free. */

int duoshm_lock_create(struct duoshm *ctx, const char *name, const struct duoshm_create *options,
	struct duoshm_lock **out);
int duoshm_lock_open(struct duoshm *ctx, const char *name, unsigned flags, int64_t timeout_ns,
	struct duoshm_lock **out);
/*
 * 0: held. DUOSHM_OWNER_DEAD: held, and its last holder died holding it: mend the data, then
 * release. TIMEOUT, REMOVED, DEADLOCK (this handle holds it). Each handle is a holder of its own.
 * Not fair.
 */
int duoshm_lock_acquire(struct duoshm_lock *lock, int64_t timeout_ns);
/* NOT_OWNER, REMOVED. Says that the data are in order. */
int duoshm_lock_release(struct duoshm_lock *lock);
/* How long, at most, a wait of this handle spins before it sleeps: see Waiting. INVALID: negative. */
int duoshm_lock_set_spin(struct duoshm_lock *lock, int64_t ns);
/* Releases a held lock first. */
int duoshm_lock_close(struct duoshm_lock *lock);

/* ---- queues: one producer process, one consumer process -------------------------------------- */

struct duoshm_queue;

enum duoshm_role { DUOSHM_PRODUCER = 1, DUOSHM_CONSUMER = 2, DUOSHM_READER = 3 };

/*
 * `capacity` in bytes is rounded up to a power of two of at least 256; a message of up to
 * duoshm_queue_longest() bytes fits. The creator takes `role`; another process opens the other one.
 * A role that a living process holds is BUSY; that of a dead one is taken over: everything that was
 * committed is still there, and a message that the dead consumer had peeked at but not released is
 * seen again.
 */
int duoshm_queue_create(struct duoshm *ctx, const char *name, size_t capacity,
	enum duoshm_role role, const struct duoshm_create *options, struct duoshm_queue **out);
int duoshm_queue_open(struct duoshm *ctx, const char *name, enum duoshm_role role,
	int64_t timeout_ns, struct duoshm_queue **out);
/*
 * A queue in the memory of a segment (which stays the caller's and must outlive the queue): format
 * lays it out, once, before the segment is published; attach takes a role. `bells` is the first of
 * two bells of the segment that the queue uses, or DUOSHM_NO_BELLS: then sleepers poll. `bytes` is
 * all the room from `offset` (a multiple of 64), header included: duoshm_queue_bytes(capacity)
 * tells what a capacity needs.
 */
#define DUOSHM_NO_BELLS 0xffffu
size_t duoshm_queue_bytes(size_t capacity);
int duoshm_queue_format(struct duoshm_segment *segment, size_t offset, size_t bytes);
int duoshm_queue_attach(struct duoshm_segment *segment, size_t offset, size_t bytes, unsigned bells,
	enum duoshm_role role, struct duoshm_queue **out);

/* Length in bytes of the longest message that fits: half the capacity less 16. */
size_t duoshm_queue_longest(const struct duoshm_queue *queue);
/*
 * All calls below: PEER_DEAD when the other side died (a consumer first gets all that was
 * committed), REMOVED, TIMEOUT, CORRUPT, NOT_OWNER (wrong role). With no other side yet they wait
 * for one to come. Wait-free where there is room or a message (and a ring where the other side
 * sleeps; and see Waiting for a queue that is nearly full); else they block.
 */
int duoshm_queue_send(
	struct duoshm_queue *queue, const void *message, size_t length, int64_t timeout_ns);
/*
 * `count` messages of `length` bytes each, one behind the other at `messages`. Those of 8 to 64
 * bytes are published together, as far as there is room up to the ring's end: the fastest way for
 * such. How many were sent: less than `count` (at least 1) where the others did not go: the next
 * call tells why. 0 of 0 messages.
 */
ssize_t duoshm_queue_send_many(struct duoshm_queue *queue, const void *messages, size_t length,
	size_t count, int64_t timeout_ns);
/*
 * The message's length; TOO_LONG: it is longer than `capacity`, stays, and duoshm_queue_pending()
 * tells its length. END.
 */
ssize_t duoshm_queue_receive(
	struct duoshm_queue *queue, void *buffer, size_t capacity, int64_t timeout_ns);
ssize_t duoshm_queue_pending(
	struct duoshm_queue *queue); /* length of the next message, or TIMEOUT: none now */
/*
 * Zero copy: room for `length` contiguous bytes (8-byte aligned), TOO_LONG when it can never fit.
 */
int duoshm_queue_reserve(
	struct duoshm_queue *queue, size_t length, void **room, int64_t timeout_ns);
/*
 * Ends the reservation with `length` bytes (not more than reserved); published by a later commit,
 * or before that when a reserve finds little room or none.
 */
int duoshm_queue_stage(struct duoshm_queue *queue, size_t length);
/* Ends the reservation; publishes it and all that was staged before. */
int duoshm_queue_commit(struct duoshm_queue *queue, size_t length);
/*
 * The next message in place: its length, `*message` valid until release. END. Not released by a
 * consumer that dies, it is the first of its successor's: so may be seen twice.
 */
ssize_t duoshm_queue_peek(struct duoshm_queue *queue, const void **message, int64_t timeout_ns);
int duoshm_queue_release(struct duoshm_queue *queue);
/*
 * Producer: publishes what is staged, and no more messages; the consumer drains what is there, then
 * gets END.
 */
int duoshm_queue_finish(struct duoshm_queue *queue);
/* How long, at most, a wait of this handle spins before it sleeps: see Waiting. INVALID: negative. */
int duoshm_queue_set_spin(struct duoshm_queue *queue, int64_t ns);
/* Gives the role back and detaches. A producer that closes without finish counts as finished. */
int duoshm_queue_close(struct duoshm_queue *queue);

/* ---- broadcast: one producer, any number of readers ------------------------------------------ */

struct duoshm_broadcast;

/* `capacity` as for queues; messages of 0 to capacity / 8 bytes. The creator is the producer. */
int duoshm_broadcast_create(struct duoshm *ctx, const char *name, size_t capacity,
	const struct duoshm_create *options, struct duoshm_broadcast **out);
/*
 * role: DUOSHM_READER (flags READ_ONLY allowed), or DUOSHM_PRODUCER to take over from a dead one.
 */
int duoshm_broadcast_open(struct duoshm *ctx, const char *name, enum duoshm_role role,
	unsigned flags, int64_t timeout_ns, struct duoshm_broadcast **out);
/* In a segment, as for queues; `bells` two bells, or DUOSHM_NO_BELLS. */
size_t duoshm_broadcast_bytes(size_t capacity);
int duoshm_broadcast_format(struct duoshm_segment *segment, size_t offset, size_t bytes);
int duoshm_broadcast_attach(struct duoshm_segment *segment, size_t offset, size_t bytes,
	unsigned bells, enum duoshm_role role, struct duoshm_broadcast **out);
size_t duoshm_broadcast_longest(const struct duoshm_broadcast *broadcast);
/* Wait-free, but for a ring where readers sleep. TOO_LONG, REMOVED. */
int duoshm_broadcast_publish(
	struct duoshm_broadcast *broadcast, const void *message, size_t length);
/*
 * Copies the next message; its length. `*missed` (may be NULL) is the number of messages that were
 * overwritten before this reader got to them. A new reader starts with the next message published.
 * TIMEOUT, TOO_LONG (skipped by the next call), END (the producer finished), PEER_DEAD, REMOVED,
 * CORRUPT. Wait-free where there is a message; else it blocks.
 */
ssize_t duoshm_broadcast_next(struct duoshm_broadcast *broadcast, void *buffer, size_t capacity,
	uint64_t *missed, int64_t timeout_ns);
/* How long, at most, a wait of this handle spins before it sleeps: see Waiting. INVALID: negative. */
int duoshm_broadcast_set_spin(struct duoshm_broadcast *broadcast, int64_t ns);
int duoshm_broadcast_close(struct duoshm_broadcast *broadcast);

/* ---- stat, list, remove, reclaim ------------------------------------------------------------- */

enum duoshm_state {
	DUOSHM_LIVE = 1, /* its owner lives, or it is persistent */
	/* owned, and its owner is proven dead; or an entry or half-built remains of the dead */
	DUOSHM_ORPHAN = 2,
	DUOSHM_UNKNOWN = 3, /* it cannot be proven */
	DUOSHM_FOREIGN = 4  /* not made by this library, or of another registry */
};
const char *duoshm_state_name(int state);

struct duoshm_stat {
	size_t struct_size;
	char name[DUOSHM_NAME_SIZE]; /* empty: foreign */
	char backend[8];
	char native[100];   /* "/duoshm.scope0.k3..." or "0x5d03a1f2" */
	int64_t id;         /* System V id of the segment, -1: none */
	int64_t bells_id;   /* System V id of the set, -1: none */
	int kind;           /* enum duoshm_kind */
	int state;          /* enum duoshm_state */
	char why[96];       /* the state's reason: "creator 3999 is dead" */
	uint64_t size;      /* bytes asked for */
	uint64_t footprint; /* bytes the kernel holds, header and rounding included; 0: no object */
	uint64_t generation;
	unsigned mode, uid, gid; /* mode as reduced by the umask */
	unsigned bells;
	char bell[32];  /* which call serves the bells */
	int persistent; /* 0 or 1 */
	int reserved;   /* 1: memory is reserved, 0: "not reserved" */
	int64_t creator_pid, last_pid;
	int64_t created_ns, attached_ns, detached_ns, changed_ns; /* 0: never */
	unsigned attached; /* living processes that have it attached */
	int readers; /* attachers that may not write the registry: 1 present, 0 none, -1 unknown */
	int64_t kernel_attached; /* the kernel's own count, a hint; -1: it has none */
	int64_t holder_pid;      /* locks: who holds it, 0: nobody */
	int64_t held_since_ns;
	int64_t value; /* semaphores: the value; else -1 */
};
#define DUOSHM_STAT_INIT DUOSHM_SIZED(struct duoshm_stat, struct_size)

/*
 * Any kind. The same fields on both families. NOT_FOUND, OTHER_BACKEND, ... as open. A struct_size
 * that ends before `attached` saves the look at every process that counts them.
 */
int duoshm_stat(struct duoshm *ctx, const char *name, struct duoshm_stat *out);
/*
 * Takes the name away at once; who has it attached keeps the memory until detach, sleepers get
 * REMOVED. NOT_FOUND, OTHER_BACKEND, PERMISSION, BUSY (being created). A damaged registry entry goes
 * alone, with a warning in the log: what it stood for nobody can tell any more, so that its object, if
 * it still exists, is a foreign one from then on, beside which the name can be made anew.
 */
int duoshm_remove(struct duoshm *ctx, const char *name);
/* A result other than 0 ends the walk and is the walk's result. */
typedef int duoshm_list_fn(const struct duoshm_stat *object, void *arg);
/*
 * Every object of the registry, of the context's family or (auto) of both, by name; flags:
 * DUOSHM_SYSTEM.
 */
int duoshm_list(struct duoshm *ctx, unsigned flags, duoshm_list_fn *fn, void *arg);
/*
 * Removes the proven orphans and calls `fn` (may be NULL) for each; flags: DUOSHM_DRY_RUN. Result:
 * how many.
 */
int duoshm_reclaim(struct duoshm *ctx, unsigned flags, duoshm_list_fn *fn, void *arg);

#ifdef __cplusplus
}
#endif
#endif
