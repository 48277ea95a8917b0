/* SPDX-License-Identifier: MIT */
/*
 * A backend that does what it is told; see the header. Each operation is enter(), the deed,
 * leave().
 */
#include "config.h"

#include "harness/fake_backend.h"

#include "core/context.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* The room of a slot begins with the page that nobody may touch, of whatever size. */
enum { SLOTS = 512, ROOM = 393216, PAGE_MAX = 65536, LINE = 64 };

#ifndef MAP_NORESERVE /* some systems have no such flag */
#define MAP_NORESERVE 0
#endif

/* A place is never used twice: who is still attached to what was removed keeps it. */
struct slot {
	bool segment, set; /* the name is there */
	char text[DUOSHM__NATIVE_SIZE];
	size_t size;
	unsigned mode, n_bells;
	int64_t creator_pid;
	_Atomic unsigned bell[DUOSHM_BELLS_MAX];
	_Atomic bool silenced; /* the set was removed: its sleepers are told */
};

/* Shared by the processes; one at a time changes the slots. */
static struct world {
	_Alignas(
		4096) char memory[SLOTS + 1][ROOM]; /* first: a page, of whatever size, begins it */
	unsigned calls, fail_at, kill_at;
	int fail_code;
	enum fake_moment kill_moment;
	char failed[24];
	unsigned used;
	struct slot slots[SLOTS];
} * world;

struct duoshm__bells {
	struct slot *slot;
	unsigned n;
};

static int attachments, open_bells;

/* ---- the strings ----------------------------------------------------------------------------- */

void fake_begin(void)
{
	/* Large, and hardly touched. */
	world = mmap(NULL, sizeof *world, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (world == MAP_FAILED)
		abort();
	for (unsigned i = 0; i <= SLOTS; i++)
		(void)mprotect(world->memory[i], (size_t)sysconf(_SC_PAGESIZE), PROT_NONE);
	attachments = open_bells = 0;
	duoshm__backend_replace(&fake_backend);
}

void fake_end(void)
{
	duoshm__backend_replace(NULL);
	munmap(world, sizeof *world);
	world = NULL;
}

void fake_fail(unsigned nth, int code)
{
	world->calls = 0;
	world->fail_at = nth;
	world->fail_code = code;
}

void fake_kill(unsigned nth, enum fake_moment moment)
{
	world->calls = 0;
	world->kill_at = nth;
	world->kill_moment = moment;
}

unsigned fake_calls(void)
{
	return world->calls;
}

const char *fake_failed(void)
{
	return world->failed;
}

unsigned fake_names(void)
{
	unsigned names = 0;

	for (unsigned i = 0; i < world->used; i++)
		names += (unsigned)world->slots[i].segment + world->slots[i].set;
	return names;
}

int fake_attachments(void)
{
	return attachments;
}

int fake_open_bells(void)
{
	return open_bells;
}

static int fail(struct duoshm_failure *why, int code, const char *call)
{
	duoshm__native_failure(why, code, code == DUOSHM_ERR_SYSTEM ? EIO : 0, "fake_%s()", call);
	duoshm__native_cause(why, "the fake was told to fail");
	return code;
}

static int enter(const char *call, struct duoshm_failure *why)
{
	world->calls++;
	if (world->kill_at == world->calls && world->kill_moment == FAKE_BEFORE)
		raise(SIGKILL);
	if (world->fail_at != world->calls)
		return 0;
	snprintf(world->failed, sizeof world->failed, "%s", call);
	return fail(why, world->fail_code, call);
}

static int leave(void)
{
	if (world->kill_at == world->calls && world->kill_moment == FAKE_AFTER)
		raise(SIGKILL);
	return 0;
}

/* ---- the deeds ------------------------------------------------------------------------------- */

static struct slot *find(const struct duoshm__native *native, bool set)
{
	for (unsigned i = 0; i < world->used; i++)
		if ((set ? world->slots[i].set : world->slots[i].segment) &&
			strcmp(world->slots[i].text, native->text) == 0)
			return &world->slots[i];
	return NULL;
}

static char *memory_of(const struct slot *slot)
{
	size_t lines = (slot->size + LINE - 1) / LINE * LINE;

	return &world->memory[slot - world->slots][ROOM - lines];
}

static int missing(
	const char *call, const struct duoshm__native *native, struct duoshm_failure *why)
{
	duoshm__native_failure(
		why, DUOSHM_ERR_NOT_FOUND, ENOENT, "fake_%s(%s)", call, native->text);
	return DUOSHM_ERR_NOT_FOUND;
}

/* A new place, or NULL: the name is taken, or there is no more room. */
static struct slot *add(
	const struct duoshm__native *native, bool set, const char *call, struct duoshm_failure *why)
{
	struct slot *slot;

	if (find(native, set) != NULL) {
		fail(why, DUOSHM_ERR_EXISTS, call);
		return NULL;
	}
	if (world->used == SLOTS) {
		fail(why, DUOSHM_ERR_LIMIT, call);
		return NULL;
	}
	slot = &world->slots[world->used++];
	snprintf(slot->text, sizeof slot->text, "%s", native->text);
	return slot;
}

static int fake_probe(struct duoshm_facts *facts)
{
	facts->works = 1;
	facts->abilities = fake_backend.abilities;
	duoshm__limit(
		facts, &(struct duoshm_limit){"slots", "objects", "the fake", SLOTS, world->used});
	return 0;
}

static int fake_derive(const struct duoshm__naming *naming, unsigned attempt,
	struct duoshm__native *out, struct duoshm_failure *why)
{
	if (enter("derive", why) < 0)
		return why->code;
	if (attempt > 2)
		return fail(why, DUOSHM_ERR_COLLISION, "derive");
	snprintf(out->text, sizeof out->text, "%s.%u", naming->name, attempt);
	out->segment_id = out->bells_id = -1;
	return leave();
}

static int fake_create(struct duoshm__native *native, size_t size, unsigned mode,
	struct duoshm__map *out, struct duoshm_failure *why)
{
	if (enter("create", why) < 0)
		return why->code;
	if (size > ROOM - PAGE_MAX)
		return fail(why, DUOSHM_ERR_LIMIT, "create");
	struct slot *slot = add(native, false, "create", why);
	if (slot == NULL)
		return why->code;
	slot->size = size;
	slot->mode = mode;
	slot->creator_pid = (int64_t)getpid();
	slot->segment = true;
	native->segment_id = slot - world->slots;
	*out = (struct duoshm__map){memory_of(slot), size, true};
	attachments++;
	return leave();
}

static int fake_attach(const struct duoshm__native *native, bool read_only, struct duoshm__map *out,
	struct duoshm_failure *why)
{
	struct slot *slot;

	(void)read_only;
	if (enter("attach", why) < 0)
		return why->code;
	slot = find(native, false);
	if (slot == NULL)
		return missing("attach", native, why);
	*out = (struct duoshm__map){memory_of(slot), slot->size, true};
	attachments++;
	return leave();
}

/* Told to fail it has no choice but to have done it: as a kernel whose map is gone already. */
static int fake_detach(const struct duoshm__map *map, struct duoshm_failure *why)
{
	int result = enter("detach", why);

	(void)map;
	attachments--;
	return result < 0 ? result : leave();
}

static int fake_stat(const struct duoshm__native *native, struct duoshm__native_stat *out,
	struct duoshm_failure *why)
{
	if (enter("stat", why) < 0)
		return why->code;
	struct slot *slot = find(native, false);
	if (slot == NULL)
		return missing("stat", native, why);
	*out = (struct duoshm__native_stat){.size = slot->size,
		.uid = (int64_t)geteuid(),
		.gid = (int64_t)getegid(),
		.mode = (int64_t)slot->mode,
		.creator_pid = slot->creator_pid,
		.last_pid = -1,
		.attached = -1};
	return leave();
}

static void forget(const struct duoshm__native *native, unsigned n_bells)
{
	struct slot *set = n_bells > 0 ? find(native, true) : NULL;
	struct slot *segment = find(native, false);

	if (set != NULL) {
		set->set = false;
		set->silenced = true;
	}
	if (segment != NULL)
		segment->segment = false;
}

static int fake_remove(
	const struct duoshm__native *native, unsigned n_bells, struct duoshm_failure *why)
{
	if (enter("remove", why) < 0)
		return why->code;
	forget(native, n_bells);
	return leave();
}

static int fake_reap(const struct duoshm__native *native, const struct duoshm__claim *claim,
	struct duoshm_failure *why)
{
	struct slot *slot;
	uint64_t generation = 0;

	if (enter("reap", why) < 0)
		return why->code;
	slot = find(native, false);
	if (slot != NULL)
		memcpy(&generation, memory_of(slot) + claim->generation_offset, sizeof generation);
	if (slot == NULL || generation == claim->generation ||
		(generation == 0 && slot->creator_pid == claim->creator_pid &&
			slot->size == claim->size))
		forget(native, claim->n_bells);
	return leave();
}

static int open_set(struct slot *slot, unsigned n, struct duoshm__bells **out)
{
	*out = malloc(sizeof **out);
	if (*out == NULL)
		abort();
	**out = (struct duoshm__bells){slot, n};
	open_bells++;
	return leave();
}

static int fake_bells_create(struct duoshm__native *native, unsigned n, unsigned mode,
	struct duoshm__bells **out, struct duoshm_failure *why)
{
	if (enter("bells_create", why) < 0)
		return why->code;
	struct slot *slot = add(native, true, "bells_create", why);
	if (slot == NULL)
		return why->code;
	slot->mode = duoshm__bell_mode(mode);
	slot->n_bells = n;
	slot->set = true;
	native->bells_id = slot - world->slots;
	return open_set(slot, n, out);
}

static int fake_bells_open(const struct duoshm__native *native, unsigned n,
	struct duoshm__bells **out, struct duoshm_failure *why)
{
	if (enter("bells_open", why) < 0)
		return why->code;
	struct slot *slot = find(native, true);
	if (slot == NULL)
		return missing("bells_open", native, why);
	return open_set(slot, n, out);
}

static int64_t fake_bells_uid(const struct duoshm__native *native, unsigned n)
{
	(void)n;
	return find(native, true) ? (int64_t)geteuid() : DUOSHM__UID_NONE;
}

static void fake_bells_close(struct duoshm__bells *bells)
{
	open_bells--;
	free(bells);
}

static int fake_ring(struct duoshm__bells *bells, unsigned bell, struct duoshm_failure *why)
{
	if (enter("ring", why) < 0)
		return why->code;
	if (bell >= bells->n || bells->slot->silenced)
		return fail(why, DUOSHM_ERR_REMOVED, "ring");
	atomic_fetch_add(&bells->slot->bell[bell], 1);
	return leave();
}

struct sleeper {
	struct slot *slot;
	unsigned bell;
};

static int take(void *arg)
{
	struct sleeper *sleeper = arg;
	_Atomic unsigned *bell = &sleeper->slot->bell[sleeper->bell];
	unsigned rung = atomic_load(bell);

	if (sleeper->slot->silenced)
		return EIDRM;
	while (rung > 0)
		if (atomic_compare_exchange_weak(bell, &rung, rung - 1))
			return 0;
	return EAGAIN;
}

static int fake_wait(
	struct duoshm__bells *bells, unsigned bell, int64_t timeout_ns, struct duoshm_failure *why)
{
	struct sleeper sleeper = {bells->slot, bell};

	if (enter("wait", why) < 0)
		return why->code;
	if (bell >= bells->n)
		return fail(why, DUOSHM_ERR_INVALID, "wait");
	switch (duoshm__native_poll(take, &sleeper, timeout_ns)) {
	case 0: return leave();
	case EAGAIN: return fail(why, DUOSHM_ERR_TIMEOUT, "wait");
	case EINTR: return fail(why, DUOSHM_ERR_INTERRUPTED, "wait");
	default: return fail(why, DUOSHM_ERR_REMOVED, "wait");
	}
}

static int fake_list(duoshm__native_fn *fn, void *arg, struct duoshm_failure *why)
{
	struct duoshm__native_item item;
	const struct slot *slot;
	unsigned i;
	int result = enter("list", why);

	for (i = 0; result == 0 && i < world->used; i++) {
		slot = &world->slots[i];
		if (!slot->segment && !slot->set)
			continue;
		memset(&item, 0, sizeof item);
		snprintf(item.native.text, sizeof item.native.text, "%s", slot->text);
		item.native.segment_id = slot->segment ? (int64_t)i : -1;
		item.native.bells_id = slot->set ? (int64_t)i : -1;
		item.semaphore = slot->set;
		item.stat.size = slot->set ? slot->n_bells : slot->size;
		item.stat.uid = (int64_t)geteuid();
		item.stat.mode = (int64_t)slot->mode;
		item.stat.creator_pid = slot->creator_pid;
		item.stat.last_pid = item.stat.attached = -1;
		result = fn(&item, arg);
	}
	return result == 0 ? leave() : result;
}

const struct duoshm__backend fake_backend = {
	.name = FAKE_NAME,
	.bell_call = "fake_wait",
	.abilities = DUOSHM_CAN_KERNEL_LIST | DUOSHM_CAN_RESERVE | DUOSHM_CAN_TIMED_WAIT,
	.probe = fake_probe,
	.derive = fake_derive,
	.create = fake_create,
	.attach = fake_attach,
	.detach = fake_detach,
	.stat = fake_stat,
	.remove = fake_remove,
	.reap = fake_reap,
	.bells_create = fake_bells_create,
	.bells_open = fake_bells_open,
	.bells_uid = fake_bells_uid,
	.bells_close = fake_bells_close,
	.ring = fake_ring,
	.wait = fake_wait,
	.list = fake_list,
};
