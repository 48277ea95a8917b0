/* SPDX-License-Identifier: MIT */
/* How long spinning pays; see the header. */
#include "config.h"

#include "core/spin.h"

#include <stdlib.h>
#include <unistd.h>

#ifdef HAVE_SCHED_H
#include <sched.h>
#endif

#define SPIN_NS     50000 /* about a sleeping hand-off: what spinning can save */
#define SPIN_MIN_NS 3000  /* ten bounces of a line: enough to see that the peer is quick again */
#define SPIN_MAX_NS 1000000000

static bool several_processors(void)
{
#if defined HAVE_SCHED_SETAFFINITY && defined CPU_COUNT
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		return CPU_COUNT(&set) > 1;
#endif
	return sysconf(_SC_NPROCESSORS_ONLN) > 1;
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
	return several_processors() ? SPIN_NS : 0;
}

void duoshm__spin_init(struct duoshm__spin *spin)
{
	spin->max_ns = limit();
	atomic_init(&spin->ns, spin->max_ns);
}

void duoshm__spin_learn(struct duoshm__spin *spin, bool helped)
{
	int64_t ns = atomic_load_explicit(&spin->ns, memory_order_relaxed);

	ns = helped ? ns * 2 : ns / 2;
	if (ns < SPIN_MIN_NS)
		ns = SPIN_MIN_NS;
	if (ns > spin->max_ns)
		ns = spin->max_ns;
	atomic_store_explicit(&spin->ns, ns, memory_order_relaxed);
}
