/* SPDX-License-Identifier: MIT */
/*
 * A backend that is a table; see the header. It has one process: who waits for a bell that has not
 * been rung waits in vain, and is told at once. Nobody probes or lists it.
 */
#include "config.h"

#include "fuzz/fake_backend.h"

#include "core/context.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { OBJECTS = 512, LONGEST = 320 << 10, LINE = 64 };

/*
 * An object and its bells. A place is never used twice, and its memory is kept: who is still
 * attached to what was removed goes on.
 */
struct duoshm__bells {
	char name[DUOSHM__NATIVE_SIZE];
	bool is_there;
	struct duoshm__map map;
	unsigned mode, n, rung[DUOSHM_BELLS_MAX];
};
static struct duoshm__bells objects[OBJECTS];
static unsigned used;

static int fail(struct duoshm_failure *why, int code, const char *call)
{
	return duoshm__native_failure(
		why, code, code == DUOSHM_ERR_NOT_FOUND ? ENOENT : 0, "fake_%s()", call);
}

static struct duoshm__bells *find(const struct duoshm__native *native)
{
	for (unsigned i = 0; i < used; i++)
		if (objects[i].is_there && strcmp(objects[i].name, native->text) == 0)
			return &objects[i];
	return NULL;
}

static char *memory_of(size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (size + page - 1) / page * page;
	char *all = mmap(NULL, room + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (all == MAP_FAILED || mprotect(all + page, room, PROT_READ | PROT_WRITE) != 0)
		abort();
	return all + page + room - (size + LINE - 1) / LINE * LINE;
}

/* ---- segments -------------------------------------------------------------------------------- */

static int fake_derive(const struct duoshm__naming *naming, unsigned attempt,
	struct duoshm__native *out, struct duoshm_failure *why)
{
	if (attempt > 2)
		return fail(why, DUOSHM_ERR_COLLISION, "derive");
	snprintf(out->text, sizeof out->text, "%s.%u", naming->name, attempt);
	out->segment_id = out->bells_id = -1;
	return 0;
}

static int fake_create(struct duoshm__native *native, size_t size, unsigned mode,
	struct duoshm__map *out, struct duoshm_failure *why)
{
	struct duoshm__bells *object = &objects[used];

	if (find(native) != NULL)
		return fail(why, DUOSHM_ERR_EXISTS, "create");
	if (used == OBJECTS || size > LONGEST)
		return fail(why, DUOSHM_ERR_LIMIT, "create");
	snprintf(object->name, sizeof object->name, "%s", native->text);
	object->is_there = true;
	object->map = (struct duoshm__map){memory_of(size), size, true};
	object->mode = mode;
	native->segment_id = used++;
	*out = object->map;
	return 0;
}

static int fake_attach(const struct duoshm__native *native, bool read_only, struct duoshm__map *out,
	struct duoshm_failure *why)
{
	const struct duoshm__bells *object = find(native);

	(void)read_only;
	if (object == NULL)
		return fail(why, DUOSHM_ERR_NOT_FOUND, "attach");
	*out = object->map;
	return 0;
}

static int fake_detach(const struct duoshm__map *map, struct duoshm_failure *why)
{
	(void)map, (void)why;
	return 0;
}

static int fake_stat(const struct duoshm__native *native, struct duoshm__native_stat *out,
	struct duoshm_failure *why)
{
	const struct duoshm__bells *object = find(native);

	if (object == NULL)
		return fail(why, DUOSHM_ERR_NOT_FOUND, "stat");
	*out = (struct duoshm__native_stat){.size = object->map.length,
		.uid = (int64_t)geteuid(),
		.gid = (int64_t)getegid(),
		.mode = (int64_t)object->mode,
		.creator_pid = (int64_t)getpid(),
		.last_pid = -1,
		.attached = -1};
	return 0;
}

static int fake_remove(
	const struct duoshm__native *native, unsigned n_bells, struct duoshm_failure *why)
{
	struct duoshm__bells *object = find(native);

	(void)n_bells, (void)why;
	if (object != NULL)
		object->is_there = false;
	return 0;
}

/* Nobody else is there whose it might be. */
static int fake_reap(const struct duoshm__native *native, const struct duoshm__claim *claim,
	struct duoshm_failure *why)
{
	return fake_remove(native, claim->n_bells, why);
}

/* ---- bells ----------------------------------------------------------------------------------- */

static int fake_bells_open(const struct duoshm__native *native, unsigned n,
	struct duoshm__bells **out, struct duoshm_failure *why)
{
	struct duoshm__bells *object = find(native);

	if (object == NULL || object->n < n)
		return fail(why, DUOSHM_ERR_NOT_FOUND, "bells_open");
	*out = object;
	return 0;
}

static int fake_bells_create(struct duoshm__native *native, unsigned n, unsigned mode,
	struct duoshm__bells **out, struct duoshm_failure *why)
{
	struct duoshm__bells *object = find(native);

	(void)mode;
	if (object != NULL)
		object->n = n;
	return fake_bells_open(native, n, out, why);
}

static int64_t fake_bells_uid(const struct duoshm__native *native, unsigned n)
{
	(void)n;
	return find(native) ? (int64_t)geteuid() : DUOSHM__UID_NONE;
}

static void fake_bells_close(struct duoshm__bells *bells)
{
	(void)bells;
}

static int fake_ring(struct duoshm__bells *bells, unsigned bell, struct duoshm_failure *why)
{
	if (bell >= bells->n || !bells->is_there)
		return fail(why, DUOSHM_ERR_REMOVED, "ring");
	bells->rung[bell]++;
	return 0;
}

static int fake_wait(
	struct duoshm__bells *bells, unsigned bell, int64_t timeout_ns, struct duoshm_failure *why)
{
	(void)timeout_ns;
	if (bell >= bells->n || !bells->is_there)
		return fail(why, DUOSHM_ERR_REMOVED, "wait");
	if (bells->rung[bell] == 0)
		return fail(why, DUOSHM_ERR_TIMEOUT, "wait");
	bells->rung[bell]--;
	return 0;
}

static const struct duoshm__backend fake_backend = {
	.name = FAKE_NAME,
	.bell_call = "fake_wait",
	.abilities = DUOSHM_CAN_RESERVE | DUOSHM_CAN_TIMED_WAIT,
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
};

void fake_begin(void)
{
	duoshm__backend_replace(&fake_backend);
}
