/* SPDX-License-Identifier: MIT */
/*
 * Sleeping on a bell and ringing it. A bell is a hint: who returns from a sleep looks at the shared
 * memory.
 *
 * The trap: a peer may be killed between its store and its ring, and an object may be removed from
 * outside without a ring. So every sleep is a slice, and about twice a second a sleeper asks the
 * kernel whether the object is still there.
 */
#include "config.h"

#include "core/clock.h"
#include "core/failure.h"
#include "core/object.h"

#define LOOK_EVERY_NS 500000000
#define POLL_NS       1000000 /* who has no bells (read-only, or none made) looks this often */

static int fail_removed(const struct duoshm_segment *object)
{
	return duoshm__fail(DUOSHM_ERR_REMOVED, "\"%s\" was removed", object->entry.name);
}

/* Told to everybody else too, so that one sleeper finds out for all. */
static bool removed_outside(struct duoshm_segment *object)
{
	int64_t now = duoshm__now();
	int64_t looked = (int64_t)duoshm__load64(&object->looked_ns);

	if (now - looked < LOOK_EVERY_NS)
		return false;
	duoshm__store64(&object->looked_ns, (uint64_t)now);
	if (looked == 0 || !duoshm__object_gone(object))
		return false;
	duoshm__object_mark_removed(object);
	return true;
}

/* One slice of at most `ns`. RUNG, 0: it is over; REMOVED, INTERRUPTED or what the kernel said. */
enum { RUNG = 1 };

static int sleep_slice(struct duoshm_segment *object, unsigned bell, int64_t ns)
{
	struct duoshm_failure why = {0};
	int result = DUOSHM_ERR_TIMEOUT;

	if (!object->bells)
		duoshm__pause(ns < POLL_NS ? ns : POLL_NS);
	else
		result = object->backend->wait(object->bells, bell, ns, &why);
	if (result == 0)
		return RUNG;
	if (result == DUOSHM_ERR_REMOVED)
		duoshm__object_mark_removed(object);
	else if (result != DUOSHM_ERR_TIMEOUT)
		return duoshm__fail_native(&why);
	else if (!removed_outside(object))
		return 0;
	return fail_removed(object);
}

int duoshm__object_sleep(struct duoshm_segment *object, unsigned bell, int64_t deadline,
	int64_t slice_ns, bool interruptible)
{
	int64_t slice = slice_ns < DUOSHM__SLICE_NS ? slice_ns : DUOSHM__SLICE_NS;
	int64_t left = duoshm__remaining(deadline, slice);

	if (duoshm__object_removed(object))
		return fail_removed(object);
	if (left <= 0)
		return DUOSHM_ERR_TIMEOUT;
	int result = sleep_slice(object, bell, left);
	return result == RUNG || (result == DUOSHM_ERR_INTERRUPTED && !interruptible) ? 0 : result;
}

int duoshm__object_ring(struct duoshm_segment *object, unsigned bell)
{
	struct duoshm_failure why = {0};

	if (!object->bells)
		return 0;
	int result = object->backend->ring(object->bells, bell, &why);
	/* nobody sleeps on what is no more */
	return result == 0 || result == DUOSHM_ERR_REMOVED ? 0 : duoshm__fail_native(&why);
}

/* ---- public: the bells of a segment ---- */

static int check_bell(const struct duoshm_segment *segment, unsigned bell)
{
	int result = duoshm__object_check(segment);

	if (result < 0)
		return result;
	if (bell >= segment->entry.bells)
		return duoshm__fail(DUOSHM_ERR_INVALID, "\"%s\" has %u bells, there is no bell %u",
			segment->entry.name, segment->entry.bells, bell);
	if (segment->read_only)
		return duoshm__fail(DUOSHM_ERR_READ_ONLY,
			"\"%s\" was opened read-only: its bells are for those who may write",
			segment->entry.name);
	if (!segment->bells)
		return duoshm__fail(DUOSHM_ERR_UNSUPPORTED,
			"the bells of \"%s\" were made by a program of another word size",
			segment->entry.name);
	return 0;
}

int duoshm_segment_ring(struct duoshm_segment *segment, unsigned bell)
{
	int result = check_bell(segment, bell);

	if (result < 0)
		return result;
	if (duoshm__object_removed(segment))
		return fail_removed(segment);
	return duoshm__object_ring(segment, bell);
}

int duoshm_segment_sleep(struct duoshm_segment *segment, unsigned bell, int64_t timeout_ns)
{
	int64_t deadline = duoshm__deadline(timeout_ns);
	int result = check_bell(segment, bell);

	if (result < 0)
		return result;
	if (timeout_ns < 0)
		return duoshm__fail(
			DUOSHM_ERR_INVALID, "a timeout of %lld ns", (long long)timeout_ns);
	do {
		if (duoshm__object_removed(segment))
			return fail_removed(segment);
		result = sleep_slice(segment, bell, duoshm__remaining(deadline, DUOSHM__SLICE_NS));
		if (result != 0)
			return result == RUNG ? 0 : result;
	} while (duoshm__remaining(deadline, DUOSHM__SLICE_NS) > 0);
	return duoshm__fail(
		DUOSHM_ERR_TIMEOUT, "bell %u of \"%s\" did not ring", bell, segment->entry.name);
}
