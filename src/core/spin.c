/* SPDX-License-Identifier: MIT */
/* How long spinning pays; see the header. */
#include "config.h"

#include "core/spin.h"

#include "core/failure.h"

#include <stdlib.h>
#include <unistd.h>

#ifdef HAVE_SCHED_H
#include <sched.h>
#endif

#define SPIN_NS     50000 /* about a sleeping hand-off: what spinning can save */
#define SPIN_MIN_NS 3000  /* ten bounces of a line: enough to see that the peer is quick again */
#define SPIN_MAX_NS 1000000000

unsigned duoshm__pinned_to(void)
{
#if defined HAVE_SCHED_SETAFFINITY && defined CPU_COUNT
	cpu_set_t set;
	size_t cpu = 0;

	if (sched_getaffinity(0, sizeof(set), &set) != 0 || CPU_COUNT(&set) != 1)
		return 0;
	while (!CPU_ISSET(cpu, &set))
		cpu++;
	return (unsigned)cpu + 1;
#else
	return 0;
#endif
}

static int64_t limit(void)
{
	const char *text = getenv("DUOSHM_SPIN_NS");
	char *end;

	if (text != NULL && *text != '\0') {
		long long value = strtoll(text, &end, 10);
		if (*end == '\0' && value >= 0)
			return value < SPIN_MAX_NS ? value : SPIN_MAX_NS;
	}
	return sysconf(_SC_NPROCESSORS_ONLN) > 1 ? SPIN_NS : 0;
}

static void set(struct duoshm__spin *spin, int64_t ns)
{
	atomic_store_explicit(&spin->max_ns, ns, memory_order_relaxed);
	atomic_store_explicit(&spin->ns, ns, memory_order_relaxed);
}

void duoshm__spin_init(struct duoshm__spin *spin)
{
	set(spin, limit());
}

int duoshm__spin_set(struct duoshm__spin *spin, int64_t ns)
{
	if (ns < 0)
		return duoshm__fail(DUOSHM_ERR_INVALID, "a spin of %lld ns", (long long)ns);
	set(spin, ns < SPIN_MAX_NS ? ns : SPIN_MAX_NS);
	return 0;
}

void duoshm__spin_learn(struct duoshm__spin *spin, bool helped)
{
	int64_t ns = duoshm__spin_next(spin);
	int64_t most = duoshm__spin_bound(spin);

	ns = helped ? ns * 2 : ns / 2;
	if (ns < SPIN_MIN_NS)
		ns = SPIN_MIN_NS;
	if (ns > most)
		ns = most;
	atomic_store_explicit(&spin->ns, ns, memory_order_relaxed);
}
