/* SPDX-License-Identifier: MIT */
/*
 * Does a family work here? That its calls link says little, so it is tried: by an object like any
 * other, for then a kill leaves nothing that a cleaner does not find.
 */
#include "config.h"

#include "core/failure.h"
#include "core/object.h"
#include "core/random.h"

#include <stdio.h>

#define PATTERN     0x5a
#define PATIENCE_NS 1000000000 /* for a bell that has been rung */

static int fail(const struct duoshm_segment *object, const char *what)
{
	return duoshm__fail(DUOSHM_ERR_SYSTEM, "%s: %s", object->entry.native.text, what);
}

/* `seen` is the same object as `made`, as another process would have it. */
static int try_both(struct duoshm_segment *made, struct duoshm_segment *seen)
{
	int result;

	*(volatile unsigned char *)made->payload = PATTERN;
	if (*(volatile unsigned char *)seen->payload != PATTERN)
		return fail(made, "a second attachment shows other memory");
	result = duoshm_segment_ring(seen, 0);
	while (result == 0 || result == DUOSHM_ERR_INTERRUPTED) {
		result = duoshm_segment_sleep(made, 0, PATIENCE_NS);
		if (result == 0)
			return 0;
	}
	return result == DUOSHM_ERR_TIMEOUT ? fail(made, "a bell that was rung wakes nobody")
					    : result;
}

static int try_made(struct duoshm_segment *made, const char *name)
{
	struct duoshm_segment *seen;
	int result = duoshm_segment_open(made->ctx, name, 0, 0, &seen);

	if (result < 0)
		return result;
	result = try_both(made, seen);
	duoshm__object_discard(seen);
	return result;
}

int duoshm__object_try(struct duoshm *ctx, const struct duoshm__backend *backend)
{
	struct duoshm_create options = DUOSHM_CREATE_INIT;
	struct duoshm_segment *made;
	char name[DUOSHM_NAME_MAX];
	uint64_t number;
	int result = duoshm__random(64, &number);

	if (result < 0)
		return result;
	options.bells = 1;
	snprintf(name, sizeof name, "%s:trial.%llx", backend->name, (unsigned long long)number);
	result = duoshm_segment_create(ctx, name, 1, &options, &made);
	if (result < 0)
		return result;
	result = try_made(made, name);
	/* The first failure is told. */
	struct duoshm_failure kept = *duoshm_failure();
	int removed = duoshm_segment_remove(made);
	if (result < 0)
		duoshm__fail_native(&kept);
	else
		result = removed;
	duoshm__object_discard(made);
	return result;
}
