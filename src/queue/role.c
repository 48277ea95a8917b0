/* SPDX-License-Identifier: MIT */
/*
 * Roles of queues and broadcasts. Proof of death is the lifeline's (core/lifeline.h).
 *
 * Traps. A label that outlives its holder in a living process would veto the death of the next one.
 * So who gives a role back wipes its label first. membarrier is refused by some sandboxes, at any
 * time; it is never relied on without its result.
 */
#include "config.h"

#include "queue/role.h"

#include "core/failure.h"
#include "core/spin.h"

#include <unistd.h>

#if defined HAVE_LINUX_MEMBARRIER_H && defined HAVE_SYS_SYSCALL_H && defined HAVE_SYSCALL
#include <linux/membarrier.h>
#include <sys/syscall.h>
#endif

#define TRIES 8 /* each lost race means that somebody else has claimed or yielded */

/* ---- the fence ------------------------------------------------------------------------------- */

#if defined HAVE_LINUX_MEMBARRIER_H && defined SYS_membarrier
enum {
	REGISTER = MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED,
	FENCE = MEMBARRIER_CMD_GLOBAL_EXPEDITED
};

static bool membarrier_call(int command)
{
	return syscall(SYS_membarrier, command, 0, 0) == 0;
}
#else
enum { REGISTER, FENCE };

static bool membarrier_call(int command)
{
	(void)command;
	return false;
}
#endif

bool duoshm__role_fence(const struct duoshm__role *role)
{
	return duoshm__load32(&role->registered) != 0 && membarrier_call(FENCE);
}

/* ---- holding a role -------------------------------------------------------------------------- */

static void write_label(struct duoshm__role *role, const struct duoshm__process *label)
{
	duoshm__store64(&role->pid, (uint64_t)label->pid);
	duoshm__store64(&role->start, label->start);
	duoshm__store64(&role->boot, label->boot);
}

void duoshm__role_hold(struct duoshm__role *role, uint64_t id)
{
	struct duoshm__process self;

	duoshm__process_self(&self);
	write_label(role, &self);
	duoshm__store32(&role->registered, membarrier_call(REGISTER));
	duoshm__store32(&role->finished, 0);
	duoshm__store32(&role->pinned, duoshm__pinned_to());
	duoshm__store64_release(&role->holder, id);
}

/* DEAD only when `holder` is proven so. */
static enum duoshm__life life(
	const struct duoshm_segment *segment, const struct duoshm__role *role, uint64_t holder)
{
	const struct duoshm__process label = {.pid = (int64_t)duoshm__load64(&role->pid),
		.start = duoshm__load64(&role->start),
		.boot = duoshm__load64(&role->boot)};

	return duoshm__object_life(segment, holder, label.pid > 0 ? &label : NULL);
}

static int check_id(uint64_t holder)
{
	if (holder >> DUOSHM__LIFE_ID_BITS == 0)
		return 0;
	return duoshm__fail(DUOSHM_ERR_CORRUPT, "a role is held by %016llx, which is no process",
		(unsigned long long)holder);
}

int duoshm__role_claim(struct duoshm_segment *segment, struct duoshm__role *role, const char *what)
{
	uint64_t self = duoshm__object_self(segment);

	if (self == 0)
		return duoshm__fail(DUOSHM_ERR_PERMISSION,
			"a %s must be able to write the registry directory", what);
	/* Before the claim: the mark of a dead predecessor may be believed to be ours. */
	(void)membarrier_call(REGISTER);
	for (int i = 0; i < TRIES; i++) {
		/*
		 * Pairs with the release of the last holder's yield: what it wrote into the ring is
		 * seen.
		 */
		uint64_t holder = duoshm__load64_acquire(&role->holder);
		int result = check_id(holder);
		if (result != 0)
			return result;
		if (holder != 0 && life(segment, role, holder) != DUOSHM__DEAD)
			break;
		/* An id dies for good: if it still stands there, it is still dead. */
		if (duoshm__cas64(&role->holder, &holder, self)) {
			duoshm__role_hold(role, self);
			return 0;
		}
	}
	return duoshm__fail(DUOSHM_ERR_BUSY, "the %s is process %lld", what,
		(long long)duoshm__load64(&role->pid));
}

void duoshm__role_yield(struct duoshm_segment *segment, struct duoshm__role *role)
{
	static const struct duoshm__process nobody;
	uint64_t self = duoshm__object_self(segment);

	if (self == 0 || duoshm__load64(&role->holder) != self)
		return;
	duoshm__store32(&role->registered, 0);
	write_label(role, &nobody);
	/* Pairs with the load in claim. */
	(void)duoshm__cas64(&role->holder, &self, 0);
}

int duoshm__role_check(const struct duoshm_segment *segment, const struct duoshm__role *role)
{
	uint64_t holder = duoshm__load64_acquire(&role->holder);
	int result = check_id(holder);

	if (result != 0 || holder == 0)
		return result;
	/* Or taken over meanwhile? */
	if (life(segment, role, holder) != DUOSHM__DEAD || duoshm__load64(&role->holder) != holder)
		return 0;
	return DUOSHM_ERR_PEER_DEAD;
}
