/* SPDX-License-Identifier: MIT */
/*
 * Roles: which living process is the producer, the consumer. A role is claimed by lifeline id,
 * taken over from the proven dead only, and given back at a clean close.
 */
#ifndef DUOSHM_QUEUE_ROLE_H
#define DUOSHM_QUEUE_ROLE_H

#include "core/object.h"
#include "queue/endpoint_layout.h"

/*
 * Writes us, lifeline `id`, into a role: into memory that nobody else sees yet, or one just
 * claimed. A few microseconds, it registers for fences.
 */
void duoshm__role_hold(struct duoshm__role *role, uint64_t id);
/*
 * BUSY (the cause names the holder), PERMISSION (no lifeline), CORRUPT. `what` is for the cause:
 * "producer".
 */
int duoshm__role_claim(struct duoshm_segment *segment, struct duoshm__role *role, const char *what);
/* Gives it back, if we hold it. */
void duoshm__role_yield(struct duoshm_segment *segment, struct duoshm__role *role);

/* 0: it lives, or nobody holds it; PEER_DEAD; CORRUPT. Makes system calls. */
int duoshm__role_check(const struct duoshm_segment *segment, const struct duoshm__role *role);
/*
 * Fences the holder from outside, where it has registered for that; false: it did not, or the
 * kernel does not.
 */
bool duoshm__role_fence(const struct duoshm__role *role);

#endif
