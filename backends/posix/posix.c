/* SPDX-License-Identifier: MIT */
/*
 * POSIX: one segment (shm_open, mmap) and up to four named semaphores (sem_open) whose names belong
 * together. This file has the probe, what concerns segment and semaphores together, and the record.
 *
 * Trap: the calls link where they do not work: sem_open returns ENOSYS on Android, ENOTSUP comes
 * from a NetBSD without a tmpfs on /var/shm, ENOENT from a container without /dev/shm.
 */
#include "config.h"

#include "backends/posix/posix.h"

#include <time.h>
#include <unistd.h>

/* Need not be secret, only different at every call: it is made exclusively. */
static uint64_t random_bits(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return ((uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec) ^
	       (uint64_t)getpid() << 40 ^ (uint64_t)(uintptr_t)&now << 20;
}

static int probe(struct duoshm_facts *facts)
{
	struct duoshm__naming naming = {.name = "probe", .generation = random_bits()};
	struct duoshm__native native;

	duoshm__posix_derive(&naming, 0, &native, &(struct duoshm_failure){0});
	duoshm__native_trial(&duoshm__posix_backend, &native, facts);
	duoshm__posix_limits(facts);
	return 0;
}

/* The semaphores go first: as long as the segment is there, it proves whose they are. */
static int remove_both(
	const struct duoshm__native *native, unsigned n_bells, struct duoshm_failure *why)
{
	int result = duoshm__posix_remove_bells(native, n_bells, why);

	return result < 0 ? result : duoshm__posix_remove_segment(native, why);
}

static int reap(const struct duoshm__native *native, const struct duoshm__claim *claim,
	struct duoshm_failure *why)
{
	int whose = duoshm__posix_judge_segment(native, claim, why);
	int result = whose < 0 ? whose : 0;

	/* Without a segment their name, 60 random bits, still says whose the semaphores are. */
	if (whose == DUOSHM__OURS || whose == DUOSHM__ABSENT)
		result = duoshm__posix_remove_bells(native, claim->n_bells, why);
	if (result == 0 && whose == DUOSHM__OURS)
		result = duoshm__posix_remove_segment(native, why);
	return result;
}

const struct duoshm__backend duoshm__posix_backend = {
	.name = "posix",
#if defined HAVE_SEM_CLOCKWAIT_NP
	.bell_call = "sem_clockwait_np",
	.abilities = DUOSHM_CAN_TIMED_WAIT,
#elif defined HAVE_SEM_CLOCKWAIT
	.bell_call = "sem_clockwait",
	.abilities = DUOSHM_CAN_TIMED_WAIT,
#elif defined HAVE_SEM_TIMEDWAIT
	.bell_call = "sem_timedwait",
	.abilities = DUOSHM_CAN_TIMED_WAIT,
#else
	.bell_call = "sem_trywait, polled",
	.abilities = 0,
#endif
	.probe = probe,
	.derive = duoshm__posix_derive,
	.create = duoshm__posix_create,
	.attach = duoshm__posix_attach,
	.detach = duoshm__posix_detach,
	.stat = duoshm__posix_stat,
	.remove = remove_both,
	.reap = reap,
	.bells_create = duoshm__posix_bells_create,
	.bells_open = duoshm__posix_bells_open,
	.bells_uid = duoshm__posix_bells_uid,
	.bells_close = duoshm__posix_bells_close,
	.ring = duoshm__posix_ring,
	.wait = duoshm__posix_wait,
	.list = duoshm__posix_list,
};
