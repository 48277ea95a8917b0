/* SPDX-License-Identifier: MIT */
/*
 * Spinning before a sleep: bounded in time, longer after it helped, shorter after it did not, and
 * none where the machine has one processor, on which the peer could not go on meanwhile.
 */
#ifndef DUOSHM_CORE_SPIN_H
#define DUOSHM_CORE_SPIN_H

#include "core/clock.h"
#include "core/word.h"

#define DUOSHM__LOOKS 32 /* between two looks at the clock */

/* Can it go on? Called often, makes no system call. */
typedef bool duoshm__ready_fn(const void *arg);

/* What one handle spends; relaxed, since threads may share the handle and it orders nothing. */
struct duoshm__spin {
	_Atomic int64_t ns; /* next time */
	_Atomic int64_t max_ns;
};
static inline int64_t duoshm__spin_bound(const struct duoshm__spin *spin)
{
	return atomic_load_explicit(&spin->max_ns, memory_order_relaxed);
}
static inline int64_t duoshm__spin_next(const struct duoshm__spin *spin)
{
	return atomic_load_explicit(&spin->ns, memory_order_relaxed);
}

/*
 * 1 + the number of the only processor that the caller may run on; 0: several, or nobody knows. Who
 * is pinned where its peer is pinned spins in vain.
 */
unsigned duoshm__pinned_to(void);
/* At most the time that DUOSHM_SPIN_NS tells, else one that pays. */
void duoshm__spin_init(struct duoshm__spin *spin);
/* The user's own bound, from the next wait on. INVALID: negative. */
int duoshm__spin_set(struct duoshm__spin *spin, int64_t ns);
/* After a spin: `helped` says whether what was waited for came. */
void duoshm__spin_learn(struct duoshm__spin *spin, bool helped);

/* Polls for `ns`, and at least once; true: ready. */
static inline bool duoshm__poll(duoshm__ready_fn *ready, const void *arg, int64_t ns)
{
	if (ns <= 0)
		return ready(arg);
	int64_t end = duoshm__now() + ns;
	do {
		for (int i = 0; i < DUOSHM__LOOKS; i++) {
			if (ready(arg))
				return true;
			duoshm__relax();
		}
	} while (duoshm__now() < end);
	return false;
}

/* As long as it pays, and not beyond the deadline: a slow peer is not worth a processor. */
static inline bool duoshm__spin(
	struct duoshm__spin *spin, duoshm__ready_fn *ready, const void *arg, int64_t deadline)
{
	int64_t ns = duoshm__spin_next(spin);
	bool done = duoshm__poll(ready, arg, duoshm__remaining(deadline, ns));

	duoshm__spin_learn(spin, done);
	return done;
}

#endif
