/* SPDX-License-Identifier: MIT */
/*
 * What every family needs in the same way: waiting without a timed wait of the kernel, and the
 * trial that a probe consists of.
 *
 * Trap: that a function links says nothing. macOS links calls that only return ENOSYS, FreeBSD
 * declares commands that it refuses, a container forbids what the kernel has. So the trial does it.
 */
#include "config.h"

#include "backends/backend.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define PAUSE_FIRST_NS 20000
#define PAUSE_LAST_NS  1000000

static int64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

struct timespec duoshm__timespec(int64_t ns)
{
	return (struct timespec){
		.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000)};
}

int duoshm__native_poll(int (*attempt)(void *arg), void *arg, int64_t timeout_ns)
{
	int64_t pause = PAUSE_FIRST_NS, left;
	int64_t deadline = timeout_ns > 0 ? monotonic_ns() + timeout_ns : 0;
	struct timespec nap;
	int result;

	for (;;) {
		result = attempt(arg);
		if (result != EAGAIN || timeout_ns <= 0)
			return result;
		left = deadline - monotonic_ns();
		if (left <= 0)
			return EAGAIN;
		nap = duoshm__timespec(left < pause ? left : pause);
		if (nanosleep(&nap, NULL) != 0)
			return EINTR;
		pause = pause * 2 < PAUSE_LAST_NS ? pause * 2 : PAUSE_LAST_NS;
	}
}

enum duoshm__whose duoshm__whose_memory(
	const struct duoshm__map *map, const struct duoshm__claim *claim, bool in_the_making)
{
	uint64_t generation;

	if (map->length < sizeof generation ||
		claim->generation_offset > map->length - sizeof generation)
		return DUOSHM__OTHERS;
	memcpy(&generation, (char *)map->address + claim->generation_offset, sizeof generation);
	if (generation == claim->generation || (generation == 0 && in_the_making))
		return DUOSHM__OURS;
	return DUOSHM__OTHERS;
}

/* ---- the trial ------------------------------------------------------------------------------- */

#define TRIAL_SIZE    4096
#define TRIAL_WAIT_NS 1000000000
#define TRIAL_BYTE    0x5a

static bool shows_the_same(const struct duoshm__map *made, const struct duoshm__map *seen)
{
	volatile unsigned char *last = (unsigned char *)made->address + made->length - 1;

	*last = TRIAL_BYTE;
	return seen->length >= made->length &&
	       ((const volatile unsigned char *)seen->address)[made->length - 1] == TRIAL_BYTE;
}

static int check_memory(const struct duoshm__backend *backend, const struct duoshm__native *native,
	const struct duoshm__map *made, struct duoshm_failure *why)
{
	struct duoshm__map seen;
	int result = backend->attach(native, true, &seen, why);

	if (result < 0)
		return result;
	if (!shows_the_same(made, &seen)) {
		duoshm__native_failure(why, DUOSHM_ERR_SYSTEM, 0, "attach(%s)", native->text);
		result = duoshm__native_cause(why, "a second attachment shows other memory");
		backend->detach(&seen, &(struct duoshm_failure){0});
		return result;
	}
	return backend->detach(&seen, why);
}

int duoshm__native_check(const struct duoshm__backend *backend, const struct duoshm__native *native,
	const struct duoshm__map *map, struct duoshm__bells *bells, struct duoshm_failure *why)
{
	int64_t end = monotonic_ns() + TRIAL_WAIT_NS;
	int result = check_memory(backend, native, map, why);

	if (result == 0)
		result = backend->ring(bells, 0, why);
	if (result == 0)
		do
			result = backend->wait(bells, 0, TRIAL_WAIT_NS, why);
		while (result == DUOSHM_ERR_INTERRUPTED && monotonic_ns() < end);
	return result;
}

/* With the map still attached: only now does the name's absence tell anything. */
static bool trial_attaches_later(
	const struct duoshm__backend *backend, const struct duoshm__native *native)
{
	struct duoshm_failure ignored;
	struct duoshm__map again;

	if (backend->attach(native, true, &again, &ignored) < 0)
		return false;
	backend->detach(&again, &ignored);
	return true;
}

static int count_one(const struct duoshm__native_item *item, void *arg)
{
	(void)item;
	(void)arg;
	return 1;
}

void duoshm__native_trial(const struct duoshm__backend *backend, struct duoshm__native *native,
	struct duoshm_facts *facts)
{
	struct duoshm_failure why = {0}, ignored;
	struct duoshm__map map;
	struct duoshm__bells *bells;
	unsigned abilities = backend->abilities;
	int result = backend->create(native, TRIAL_SIZE, 0600, &map, &why);

	abilities &=
		~(unsigned)(DUOSHM_CAN_ATTACH_LATER | DUOSHM_CAN_KERNEL_LIST | DUOSHM_CAN_RESERVE);
	if (result == 0) {
		if (map.reserved)
			abilities |= DUOSHM_CAN_RESERVE;
		if (backend->list(count_one, NULL, &ignored) >= 0)
			abilities |= DUOSHM_CAN_KERNEL_LIST;
		result = backend->bells_create(native, 1, 0600, &bells, &why);
		if (result == 0) {
			result = duoshm__native_check(backend, native, &map, bells, &why);
			backend->bells_close(bells);
		}
		if (backend->remove(native, 1, result == 0 ? &why : &ignored) < 0 && result == 0)
			result = why.code;
		if (result == 0 && trial_attaches_later(backend, native))
			abilities |= DUOSHM_CAN_ATTACH_LATER;
		backend->detach(&map, &ignored);
	}
	facts->works = result == 0;
	facts->full = result == DUOSHM_ERR_LIMIT || result == DUOSHM_ERR_NO_SPACE;
	facts->abilities = result == 0 ? abilities : 0;
	facts->reason[0] = '\0';
	if (result < 0)
		duoshm__native_reason(&why, facts->reason, sizeof facts->reason);
}
