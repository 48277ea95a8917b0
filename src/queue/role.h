/* SPDX-License-Identifier: MIT */
/*
 * Roles: which living process is the producer, the consumer. A role is claimed by lifeline id, taken over from the
 * proven dead only, and given back at a clean close.
 */
#ifndef DUOSHM_QUEUE_ROLE_H
#define DUOSHM_QUEUE_ROLE_H

#include "core/object.h"
#include "queue/endpoint_layout.h"

/* Who claims: id, label, and whether it can be fenced. */
struct duoshm__claimant {
	uint64_t id;
	struct duoshm__process label;
	bool registered;
};
/* `id` 0: the process has no lifeline and can hold no role. A few microseconds, it registers for fences. */
void duoshm__claimant_self(uint64_t id, struct duoshm__claimant *out);

/* Into memory that nobody else sees yet. */
void duoshm__role_write(struct duoshm__role *role, const struct duoshm__claimant *claimant);
/* BUSY (the cause names the holder), PERMISSION (no lifeline), CORRUPT. `what` is for the cause: "producer". */
int duoshm__role_claim(struct duoshm_segment *segment, struct duoshm__role *role, const char *what);
/* Gives it back, if we hold it. */
void duoshm__role_yield(struct duoshm_segment *segment, struct duoshm__role *role);

/* 0: it lives, or nobody holds it; PEER_DEAD; CORRUPT. Makes system calls. */
int duoshm__role_check(const struct duoshm_segment *segment, const struct duoshm__role *role);
/* Fences the holder from outside, where it has registered for that; false: it did not, or the kernel does not. */
bool duoshm__role_fence(const struct duoshm__role *role);

#endif
