/* SPDX-License-Identifier: MIT */
/* What the tests of the words that processes sleep on share; see the header. */
#include "config.h"

#include "core/context.h"
#include "unit/sleepers.h"

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
