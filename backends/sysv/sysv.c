/* SPDX-License-Identifier: MIT */
/*
 * System V: one segment (shmget) and one set of semaphores (semget) under one key, which ftok makes
 * of the registry entry. This file has the probe, what concerns segment and set together, and the
 * record.
 *
 * Trap: where the kernel lacks these calls they may raise SIGSYS (Android, FreeBSD without the
 * module) instead of returning ENOSYS. The library never forks and leaves signals alone; a program
 * that must survive that probes in a child of its own.
 */
#include "config.h"

#include "backends/sysv/sysv.h"

static int probe(struct duoshm_facts *facts)
{
	/* IPC_PRIVATE: a segment that nobody else can find. */
	struct duoshm__native native = {.segment_id = -1, .bells_id = -1};

	duoshm__sysv_key_text(IPC_PRIVATE, native.text);
	duoshm__native_trial(&duoshm__sysv_backend, &native, facts);
	duoshm__sysv_limits(facts);
	return 0;
}

/* The set goes first: as long as the segment is there, it proves whose the set is. */
static int remove_both(
	const struct duoshm__native *native, unsigned n_bells, struct duoshm_failure *why)
{
	int result = n_bells > 0 ? duoshm__sysv_remove_bells(native, why) : 0;

	return result < 0 ? result : duoshm__sysv_remove_segment(native, why);
}

static int reap(const struct duoshm__native *native, const struct duoshm__claim *claim,
	struct duoshm_failure *why)
{
	struct duoshm__native found = *native;
	struct duoshm__native_stat segment = {0};
	int whose = duoshm__sysv_judge_segment(&found, claim, &segment, why);
	int result = whose;

	if (whose >= 0)
		result = duoshm__sysv_reap_bells(native, claim->n_bells, whose, &segment, why);
	if (result == 0 && whose == DUOSHM__OURS)
		result = duoshm__sysv_remove_segment(&found, why);
	return result;
}

const struct duoshm__backend duoshm__sysv_backend = {
	.name = "sysv",
#ifdef HAVE_SEMTIMEDOP
	.bell_call = "semtimedop",
	.abilities = DUOSHM_CAN_COUNT | DUOSHM_CAN_UNDO | DUOSHM_CAN_TIMED_WAIT,
#else
	.bell_call = "semop, polled",
	.abilities = DUOSHM_CAN_COUNT | DUOSHM_CAN_UNDO,
#endif
	.probe = probe,
	.derive = duoshm__sysv_derive,
	.create = duoshm__sysv_create,
	.attach = duoshm__sysv_attach,
	.detach = duoshm__sysv_detach,
	.stat = duoshm__sysv_stat,
	.remove = remove_both,
	.reap = reap,
	.bells_create = duoshm__sysv_bells_create,
	.bells_open = duoshm__sysv_bells_open,
	.bells_uid = duoshm__sysv_bells_uid,
	.bells_close = duoshm__sysv_bells_close,
	.ring = duoshm__sysv_ring,
	.wait = duoshm__sysv_wait,
	.list = duoshm__sysv_list,
};
