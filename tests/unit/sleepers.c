/* SPDX-License-Identifier: MIT */
/* What the tests of the words that processes sleep on share; see the header. */
#include "config.h"

#include "core/context.h"
#include "unit/sleepers.h"

#define PATIENCE (15 * SECOND)

static struct duoshm__backend patient;
static const struct duoshm__backend *real;

static int wait_patiently(
	struct duoshm__bells *bells, unsigned bell, int64_t timeout_ns, struct duoshm_failure *why)
{
	int result = real->wait(bells, bell, timeout_ns > 0 ? PATIENCE : 0, why);

	/* It would go on, and find by itself what nobody rang for. */
	CHECK(timeout_ns == 0 || result != DUOSHM_ERR_TIMEOUT);
	return result;
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
