/* SPDX-License-Identifier: MIT */
/* What the tests of the words that processes sleep on share; see the header. */
#include "config.h"

#include "core/context.h"
#include "unit/sleepers.h"

#include <sched.h>
#include <sys/mman.h>

#ifndef MAP_ANONYMOUS
#define MAP_ANONYMOUS MAP_ANON
#endif

static struct duoshm__backend patient;
static const struct duoshm__backend *real;

static int wait_patiently(
	struct duoshm__bells *bells, unsigned bell, int64_t timeout_ns, struct duoshm_failure *why)
{
	return real->wait(bells, bell, timeout_ns * 1000, why);
}

void patient_begin(void)
{
	real = duoshm__backend_find(harness_backend());
	patient = *real;
	patient.wait = wait_patiently;
	duoshm__backend_replace(&patient);
}

void patient_end(void)
{
	duoshm__backend_replace(NULL);
}

void *shared_page(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK_FATAL(page != MAP_FAILED);
	return page;
}

void kill_storm(int (*fn)(void *arg), long kills, const _Atomic long *progress)
{
	enum { CHILDREN = 4 };
	pid_t pids[CHILDREN];
	unsigned random = 7;

	for (int i = 0; i < CHILDREN; i++)
		pids[i] = harness_fork(fn, NULL);
	for (long i = 0; i < kills; i++) {
		pid_t *victim = &pids[i % CHILDREN];
		long before = *progress;

		random = random * 1103515245 + 12345;
		for (long n = 0; n < 1000000 && *progress - before <= (long)(random >> 16) % 1000;
			n++)
			sched_yield();
		harness_kill(*victim);
		*victim = harness_fork(fn, NULL);
	}
	for (int i = 0; i < CHILDREN; i++)
		harness_kill(pids[i]);
}
