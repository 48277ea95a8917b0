/* SPDX-License-Identifier: MIT */
/*
 * The life cycle that queues and broadcasts share: an object of its own or a part of a segment is
 * laid out once, joined in a role, and left. What differs between the two is in a const record,
 * struct duoshm__endpoint_type.
 */
#ifndef DUOSHM_QUEUE_ENDPOINT_H
#define DUOSHM_QUEUE_ENDPOINT_H

#include "core/fast.h"
#include "queue/role.h"
#include "queue/wait.h"

/* How each handle begins. */
struct duoshm__endpoint {
	enum duoshm_role role;
	unsigned forks;                       /* the segment's */
	const struct duoshm__word32 *removed; /* the segment's, for the straight path */
	struct duoshm_segment *segment;
	const struct duoshm__endpoint_type *type;
	bool owned;                   /* the segment is ours to close */
	void *shared;                 /* the header; the ring follows it */
	uint64_t capacity;            /* of the ring */
	struct duoshm__role *holds;   /* our role there; NULL: readers hold none */
	unsigned bells;               /* the first of two; NO_BELLS: none for us */
	struct duoshm__waiter waiter; /* of those who wait */
};

struct duoshm__endpoint_type {
	const char *name; /* "queue" */
	int kind;
	uint64_t magic;
	uint32_t layout;
	enum duoshm_role others; /* the role that is not the producer's */
	size_t header;           /* bytes in front of the ring */
	size_t handle;         /* bytes of a handle, which begins with a struct duoshm__endpoint */
	size_t role_offset[4]; /* by enum duoshm_role, in the header; 0: a role that nobody holds */
	/*
	 * Our side of the ring as our predecessor left it; the role is ours. Fills in what the
	 * waiter is to wait for, and on what. CORRUPT.
	 */
	int (*take_up)(void *handle, void *ring);
};

/* Header and ring, the capacity rounded up; 0: more than an address can tell. */
size_t duoshm__endpoint_bytes(const struct duoshm__endpoint_type *type, size_t capacity);
/*
 * Lays out a part of a segment. INVALID: misaligned, outside of the segment, too small; READ_ONLY,
 * FORKED.
 */
int duoshm__endpoint_format(const struct duoshm__endpoint_type *type,
	struct duoshm_segment *segment, size_t offset, size_t bytes);

/*
 * The public calls of the same names. `out` is the address of a pointer to the handle; NULL is
 * INVALID. PEER_DEAD is no failure here: the role of the proven dead is taken over.
 */
int duoshm__endpoint_create(const struct duoshm__endpoint_type *type, struct duoshm *ctx,
	const char *name, size_t capacity, enum duoshm_role role,
	const struct duoshm_create *options, void *out);
int duoshm__endpoint_open(const struct duoshm__endpoint_type *type, struct duoshm *ctx,
	const char *name, enum duoshm_role role, unsigned flags, int64_t timeout_ns, void *out);
int duoshm__endpoint_attach(const struct duoshm__endpoint_type *type,
	struct duoshm_segment *segment, size_t offset, size_t bytes, unsigned bells,
	enum duoshm_role role, void *out);
int duoshm__endpoint_close(struct duoshm__endpoint *endpoint);

/* The same as enter below, without a word on what is wrong. */
static DUOSHM__INLINE bool duoshm__endpoint_is(const void *handle, enum duoshm_role role)
{
	const struct duoshm__endpoint *e = handle;

	return e != NULL && e->role == role && e->forks == duoshm__forks();
}
/*
 * Is this a handle for calls of `role`, in this process, and a timeout (0 where there is none)?
 * FORKED, NOT_OWNER, INVALID (NULL, negative).
 */
int duoshm__endpoint_enter(const void *handle, enum duoshm_role role, int64_t timeout_ns);
/*
 * Waits until `next`(handle, arg) has something: for what it returns but TIMEOUT. END: the producer
 * finished, and there is nothing more; also what duoshm__wait returns.
 */
typedef int duoshm__next_fn(void *handle, void *arg);
int duoshm__endpoint_await(
	struct duoshm__endpoint *endpoint, duoshm__next_fn *next, void *arg, int64_t timeout_ns);
int duoshm__endpoint_set_spin(void *handle, int64_t ns);
/* The producer: no more messages. */
static inline void duoshm__finish(struct duoshm__endpoint *endpoint)
{
	/* Pairs with the load in await: who sees it sees all messages. */
	duoshm__store32_release(&endpoint->holds->finished, 1);
}
/* The others, who wait for the producer: has it? */
static inline bool duoshm__finished(const struct duoshm__endpoint *endpoint)
{
	return duoshm__load32(&endpoint->waiter.peer->finished) != 0;
}
/* Records what `code` means to the caller, and returns it. `timeout`: the words for TIMEOUT. */
int duoshm__endpoint_failed(const struct duoshm__endpoint *endpoint, int code, const char *timeout);

#endif
