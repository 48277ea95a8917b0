/* SPDX-License-Identifier: MIT */
/*
 * The one life cycle of objects, from the inside: what hostile memory gets, what an absent kernel object gets, what a
 * stopped creator gets, and that a native call that fails leaves nothing. What users see of it is stated by the
 * conformance suite.
 */
#include "config.h"

#include "core/object.h"
#include "core/sized.h"
#include "harness/harness.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define MS   INT64_C(1000000)
#define SIZE 3000

static struct duoshm *ctx;

static struct duoshm *context_of(const char *backend)
{
	struct duoshm_options options = DUOSHM_OPTIONS_INIT;
	struct duoshm *made = NULL;

	options.backend = backend;
	HARNESS_CHILD(duoshm_new(&options, &made) == 0);
	return made;
}

static const char *name(void)
{
	return harness_name("object");
}

static void begin(void)
{
	ctx = context_of(harness_backend());
}

static void end(void)
{
	CU_ASSERT_EQUAL(duoshm_free(ctx), 0);
}

static struct duoshm_segment *create_with(unsigned flags, unsigned bells)
{
	struct duoshm_create options = DUOSHM_CREATE_INIT;
	struct duoshm_segment *made = NULL;

	options.flags = flags;
	options.bells = bells;
	CU_ASSERT_TRUE_FATAL(duoshm_segment_create(ctx, name(), SIZE, &options, &made) >= 0);
	return made;
}

static int try_open(unsigned flags)
{
	struct duoshm_segment *opened = NULL;
	int result = duoshm_segment_open(ctx, name(), flags, 0, &opened);

	if (result == 0)
		duoshm_segment_close(opened);
	return result;
}

static void close_and_remove(struct duoshm_segment *segment)
{
	CU_ASSERT_EQUAL(duoshm_segment_close(segment), 0);
	CU_ASSERT_EQUAL(duoshm_remove(ctx, name()), 0);
}

/* ---- hostile memory ---- */

static void damage_is_found(void)
{
	static const struct {
		size_t offset;
		uint8_t flip;
		int expected;
	} damages[] = {
		{offsetof(struct duoshm__header, ready), 1, DUOSHM_ERR_CORRUPT},
		{offsetof(struct duoshm__header, layout), 2, DUOSHM_ERR_INCOMPATIBLE},
		{offsetof(struct duoshm__header, byte_order), 5, DUOSHM_ERR_INCOMPATIBLE},
		{offsetof(struct duoshm__header, generation), 1, DUOSHM_ERR_CORRUPT},
		{offsetof(struct duoshm__header, size), 1, DUOSHM_ERR_CORRUPT},
		{offsetof(struct duoshm__header, size) + 7, 0x80, DUOSHM_ERR_CORRUPT},
		{offsetof(struct duoshm__header, kind), 3, DUOSHM_ERR_CORRUPT},
		{offsetof(struct duoshm__header, bells), 1, DUOSHM_ERR_CORRUPT},
		{offsetof(struct duoshm__header, name), 1, DUOSHM_ERR_CORRUPT},
		{offsetof(struct duoshm__header, name) + 63, 1, 0},
		{offsetof(struct duoshm__header, removed), 1, DUOSHM_ERR_NOT_FOUND},
	};
	struct duoshm_segment *segment;
	uint8_t *header;

	begin();
	segment = create_with(0, 0);
	header = (uint8_t *)segment->header;
	for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
		header[damages[i].offset] ^= damages[i].flip;
		CU_ASSERT_EQUAL(try_open(0), damages[i].expected);
		CU_ASSERT_EQUAL(try_open(DUOSHM_READ_ONLY), damages[i].expected);
		header[damages[i].offset] ^= damages[i].flip;
	}
	CU_ASSERT_EQUAL(try_open(0), 0);
	close_and_remove(segment);
	end();
}

static void other_byte_order_is_incompatible(void)
{
	struct duoshm_segment *segment;
	uint8_t *magic, reversed[8];

	begin();
	segment = create_with(0, 0);
	magic = (uint8_t *)&segment->header->ready;
	for (int i = 0; i < 8; i++)
		reversed[i] = magic[7 - i];
	memcpy(magic, reversed, sizeof reversed);
	CU_ASSERT_EQUAL(try_open(0), DUOSHM_ERR_INCOMPATIBLE);
	close_and_remove(segment);
	end();
}

/* A private copy decides: what is scribbled later changes neither size nor place. */
static void geometry_is_private(void)
{
	struct duoshm_segment *segment, *opened = NULL;
	void *data;

	begin();
	segment = create_with(0, 0);
	CU_ASSERT_EQUAL_FATAL(duoshm_segment_open(ctx, name(), 0, 0, &opened), 0);
	data = duoshm_segment_data(opened);
	memset(segment->header, 0xff, sizeof *segment->header);
	CU_ASSERT_EQUAL(duoshm_segment_size(opened), SIZE);
	CU_ASSERT_PTR_EQUAL(duoshm_segment_data(opened), data);
	CU_ASSERT_STRING_EQUAL(duoshm_segment_name(opened), name());
	CU_ASSERT_EQUAL(duoshm_segment_close(opened), 0);
	close_and_remove(segment);
	end();
}

/* ---- removal from outside ---- */

static void remove_natively(const struct duoshm_segment *segment)
{
	struct duoshm_failure why;

	CU_ASSERT_EQUAL(segment->backend->remove(&segment->native, segment->n_bells, &why), 0);
}

static void gone_from_outside(void)
{
	struct duoshm_segment *segment, *again = NULL;
	struct duoshm_stat stat = DUOSHM_STAT_INIT;

	begin();
	segment = create_with(0, 1);
	remove_natively(segment);
	CU_ASSERT_EQUAL(try_open(0), DUOSHM_ERR_NOT_FOUND);
	CU_ASSERT_PTR_NOT_NULL(strstr(duoshm_failure()->cause, "removed from outside"));
	CU_ASSERT_EQUAL(duoshm_stat(ctx, name(), &stat), DUOSHM_ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(duoshm_segment_removed(segment), 1);
	CU_ASSERT_EQUAL(duoshm_segment_sleep(segment, 0, 20000 * MS), DUOSHM_ERR_REMOVED);
	CU_ASSERT_EQUAL(duoshm_segment_create(ctx, name(), SIZE, NULL, &again), DUOSHM_REPLACED);
	CU_ASSERT_EQUAL(duoshm_segment_close(again), 0);
	close_and_remove(segment);
	end();
}

static const struct duoshm__backend *real_backend(void)
{
	return duoshm__backend_find(harness_backend());
}

static bool segment_is_there(const struct duoshm__native *native)
{
	struct duoshm__native_stat there;
	struct duoshm_failure why;

	return real_backend()->stat(native, &there, &why) == 0;
}

/* A stranger under our native name is not opened; where the kernel's ids tell it from ours, it does not block the name. */
static void stranger_under_our_native_name(void)
{
	struct duoshm_segment *segment, *again = NULL;
	struct duoshm__native stranger;
	struct duoshm__native_stat there;
	struct duoshm__map map;
	struct duoshm_failure why;
	bool told;

	begin();
	segment = create_with(0, 0);
	told = segment->native.segment_id >= 0;
	remove_natively(segment);
	stranger = segment->native;
	stranger.segment_id = -1;
	CU_ASSERT_EQUAL_FATAL(segment->backend->create(&stranger, 9000, 0600, &map, &why), 0);
	CU_ASSERT_EQUAL(try_open(0), told ? DUOSHM_ERR_NOT_FOUND : DUOSHM_ERR_CORRUPT);
	CU_ASSERT_EQUAL(duoshm_segment_create(ctx, name(), SIZE, NULL, &again),
		told ? (int)DUOSHM_REPLACED : (int)DUOSHM_ERR_EXISTS);
	CU_ASSERT_EQUAL(segment->backend->stat(&stranger, &there, &why), 0);
	CU_ASSERT(there.size >= 9000); /* some systems round it up */
	CU_ASSERT_EQUAL(duoshm_segment_close(again), 0);
	close_and_remove(segment);
	CU_ASSERT_EQUAL(segment_is_there(&stranger), told);
	real_backend()->detach(&map, &why);
	real_backend()->remove(&stranger, 0, &why);
	end();
}

/* ---- stopped and dead creators ---- */

static struct harness_gate half_built;

static int build_half(void *arg)
{
	struct duoshm_create options = DUOSHM_CREATE_INIT;
	struct duoshm_segment *made = NULL;

	(void)arg;
	options.flags = DUOSHM_UNPUBLISHED;
	HARNESS_CHILD(duoshm_segment_create(
			      context_of(harness_backend()), name(), SIZE, &options, &made) == 0);
	harness_gate_open(&half_built);
	for (;;)
		pause();
}

static int list_state(const struct duoshm_stat *object, void *arg)
{
	*(int *)arg = object->state;
	return 0;
}

static int state(void)
{
	int found = 0;

	CU_ASSERT_EQUAL(duoshm_list(ctx, 0, list_state, &found), 0);
	return found;
}

static void stopped_creator_keeps_the_name(void)
{
	struct duoshm_create options = DUOSHM_CREATE_INIT;
	struct duoshm_segment *made = NULL;
	char pid_text[24];
	pid_t pid;

	begin();
	harness_gate(&half_built);
	pid = harness_fork(build_half, NULL);
	CU_ASSERT_TRUE(harness_gate_pass(&half_built));
	harness_stop(pid);
	snprintf(pid_text, sizeof pid_text, "%ld", (long)pid);
	options.timeout_ns = 20 * MS;
	CU_ASSERT_EQUAL(duoshm_segment_create(ctx, name(), SIZE, &options, &made), DUOSHM_ERR_BUSY);
	CU_ASSERT_PTR_NOT_NULL(strstr(duoshm_failure()->cause, pid_text));
	options.flags = DUOSHM_OPEN_OR_CREATE;
	CU_ASSERT_EQUAL(duoshm_segment_create(ctx, name(), SIZE, &options, &made), DUOSHM_ERR_BUSY);
	CU_ASSERT_EQUAL(try_open(0), DUOSHM_ERR_TIMEOUT);
	CU_ASSERT_EQUAL(duoshm_remove(ctx, name()), DUOSHM_ERR_BUSY);
	CU_ASSERT_EQUAL(duoshm_reclaim(ctx, 0, NULL, NULL), 0);
	CU_ASSERT_EQUAL(state(), DUOSHM_LIVE);
	harness_kill(pid);
	CU_ASSERT_EQUAL(try_open(0), DUOSHM_ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(state(), DUOSHM_ORPHAN);
	CU_ASSERT_EQUAL(duoshm_reclaim(ctx, DUOSHM_DRY_RUN, NULL, NULL), 1);
	CU_ASSERT_EQUAL(duoshm_segment_create(ctx, name(), SIZE, &options, &made), DUOSHM_REPLACED);
	close_and_remove(made);
	harness_gate_close(&half_built);
	end();
}

static int leave(void *flags)
{
	struct duoshm_create options = DUOSHM_CREATE_INIT;
	struct duoshm_segment *made = NULL;

	options.flags = *(unsigned *)flags;
	HARNESS_CHILD(duoshm_segment_create(
			      context_of(harness_backend()), name(), SIZE, &options, &made) == 0);
	strcpy(duoshm_segment_data(made), "of the dead");
	kill(getpid(), SIGKILL);
	return 0;
}

static void owned_is_replaced_even_while_attached(void)
{
	struct duoshm_segment *old = NULL, *made = NULL;
	unsigned flags = 0;

	begin();
	CU_ASSERT_EQUAL(harness_wait(harness_fork(leave, &flags)), -SIGKILL);
	CU_ASSERT_EQUAL_FATAL(duoshm_segment_open(ctx, name(), 0, 0, &old), 0);
	CU_ASSERT_EQUAL(duoshm_segment_owner_alive(old), 0);
	CU_ASSERT_EQUAL_FATAL(
		duoshm_segment_create(ctx, name(), SIZE, NULL, &made), DUOSHM_REPLACED);
	CU_ASSERT_STRING_EQUAL(duoshm_segment_data(old), "of the dead");
	CU_ASSERT_STRING_EQUAL(duoshm_segment_data(made), "");
	CU_ASSERT_EQUAL(duoshm_segment_removed(old), 1);
	CU_ASSERT_EQUAL(duoshm_segment_removed(made), 0);
	CU_ASSERT_EQUAL(duoshm_segment_owner_alive(made), 1);
	CU_ASSERT_EQUAL(duoshm_segment_close(old), 0);
	close_and_remove(made);
	end();
}

static void persistent_outlives(void)
{
	struct duoshm_create options = DUOSHM_CREATE_INIT;
	struct duoshm_segment *made = NULL;
	unsigned flags = DUOSHM_PERSISTENT;

	begin();
	CU_ASSERT_EQUAL(harness_wait(harness_fork(leave, &flags)), -SIGKILL);
	CU_ASSERT_EQUAL(state(), DUOSHM_LIVE);
	CU_ASSERT_EQUAL(duoshm_reclaim(ctx, 0, NULL, NULL), 0);
	CU_ASSERT_EQUAL(duoshm_segment_create(ctx, name(), SIZE, NULL, &made), DUOSHM_ERR_EXISTS);
	options.flags = DUOSHM_OPEN_OR_CREATE;
	CU_ASSERT_EQUAL_FATAL(
		duoshm_segment_create(ctx, name(), 7, &options, &made), DUOSHM_OPENED);
	CU_ASSERT_EQUAL(duoshm_segment_size(made), SIZE);
	CU_ASSERT_STRING_EQUAL(duoshm_segment_data(made), "of the dead");
	close_and_remove(made);
	end();
}

/* ---- publishing ---- */

static void unpublished_is_withdrawn_by_close(void)
{
	struct duoshm_segment *segment;

	begin();
	segment = create_with(DUOSHM_UNPUBLISHED, 2);
	CU_ASSERT_EQUAL(try_open(0), DUOSHM_ERR_TIMEOUT);
	CU_ASSERT_EQUAL(duoshm_segment_close(segment), 0);
	CU_ASSERT_EQUAL(try_open(0), DUOSHM_ERR_NOT_FOUND);
	segment = create_with(DUOSHM_UNPUBLISHED, 2);
	CU_ASSERT_EQUAL(duoshm_segment_publish(segment), 0);
	CU_ASSERT_EQUAL(duoshm_segment_publish(segment), DUOSHM_ERR_INVALID);
	CU_ASSERT_EQUAL(try_open(0), 0);
	close_and_remove(segment);
	end();
}

static int close_the_parents(void *segment)
{
	HARNESS_CHILD(duoshm_segment_data(segment) == NULL);
	HARNESS_CHILD(duoshm_segment_publish(segment) == DUOSHM_ERR_FORKED);
	HARNESS_CHILD(duoshm_segment_close(segment) == DUOSHM_ERR_FORKED);
	HARNESS_CHILD(duoshm_remove(ctx, name()) == DUOSHM_ERR_FORKED);
	HARNESS_CHILD(duoshm_free(ctx) == DUOSHM_ERR_FORKED);
	return 0;
}

/* The child gives back its memory; the creation lock stays the parent's. */
static void fork_child_changes_nothing(void)
{
	struct duoshm_create options = DUOSHM_CREATE_INIT;
	struct duoshm_segment *segment, *other = NULL;

	begin();
	segment = create_with(DUOSHM_UNPUBLISHED, 1);
	CU_ASSERT_EQUAL(harness_wait(harness_fork(close_the_parents, segment)), 0);
	options.timeout_ns = 0;
	CU_ASSERT_EQUAL(
		duoshm_segment_create(ctx, name(), SIZE, &options, &other), DUOSHM_ERR_BUSY);
	CU_ASSERT_EQUAL(duoshm_segment_publish(segment), 0);
	CU_ASSERT_EQUAL(duoshm_segment_ring(segment, 0), 0);
	CU_ASSERT_EQUAL(duoshm_segment_sleep(segment, 0, 0), 0);
	close_and_remove(segment);
	end();
}

/* ---- each native call may fail ---- */

static struct duoshm__backend failing;
static const struct duoshm__backend *real;
static int countdown, failures;
static const int code = DUOSHM_ERR_LIMIT;

static bool fails(struct duoshm_failure *why)
{
	if (--countdown != 0)
		return false;
	failures++;
	duoshm__native_failure(why, code, 28, "injected()");
	return true;
}

static int f_derive(const struct duoshm__naming *n, unsigned a, struct duoshm__native *o,
	struct duoshm_failure *w)
{
	return fails(w) ? code : real->derive(n, a, o, w);
}
static int f_create(struct duoshm__native *n, size_t s, unsigned m, struct duoshm__map *o,
	struct duoshm_failure *w)
{
	return fails(w) ? code : real->create(n, s, m, o, w);
}
static int f_attach(
	const struct duoshm__native *n, bool r, struct duoshm__map *o, struct duoshm_failure *w)
{
	return fails(w) ? code : real->attach(n, r, o, w);
}
static int f_bells_create(struct duoshm__native *n, unsigned c, unsigned m,
	struct duoshm__bells **o, struct duoshm_failure *w)
{
	return fails(w) ? code : real->bells_create(n, c, m, o, w);
}
static int f_bells_open(const struct duoshm__native *n, unsigned c, struct duoshm__bells **o,
	struct duoshm_failure *w)
{
	return fails(w) ? code : real->bells_open(n, c, o, w);
}

static void install_failing(void)
{
	real = duoshm__backend_find(harness_backend());
	failing = *real;
	failing.derive = f_derive;
	failing.create = f_create;
	failing.attach = f_attach;
	failing.bells_create = f_bells_create;
	failing.bells_open = f_bells_open;
	duoshm__backend_replace(&failing);
}

static int any(const struct duoshm_stat *object, void *arg)
{
	if (object->name[0] != '\0' || strstr(object->native, name()) != NULL)
		++*(int *)arg;
	return 0;
}

static void nothing_is_there(void)
{
	int count = 0;

	countdown = 0;
	CU_ASSERT_EQUAL(duoshm_list(ctx, DUOSHM_SYSTEM, any, &count), 0);
	CU_ASSERT_EQUAL(count, 0);
}

static void failed_creation_leaves_nothing(void)
{
	struct duoshm_create options = DUOSHM_CREATE_INIT;
	struct duoshm_segment *made = NULL;
	int result = code;

	install_failing();
	begin();
	options.bells = 2;
	failures = 0;
	for (int n = 1; result < 0; n++) {
		countdown = n;
		result = duoshm_segment_create(ctx, name(), SIZE, &options, &made);
		if (result == 0)
			break;
		CU_ASSERT_EQUAL(result, code);
		CU_ASSERT_STRING_EQUAL(duoshm_failure()->call, "injected()");
		CU_ASSERT_EQUAL(duoshm_failure()->system_error, 28);
		nothing_is_there();
	}
	CU_ASSERT_TRUE(failures >= 3); /* more where a native name is taken */
	countdown = 0;
	close_and_remove(made);
	end();
	duoshm__backend_replace(NULL);
}

static void failed_open_changes_nothing(void)
{
	struct duoshm_segment *made, *opened = NULL;
	struct duoshm_stat stat = DUOSHM_STAT_INIT;
	int result = code;

	install_failing();
	begin();
	countdown = 0;
	made = create_with(0, 2);
	failures = 0;
	for (int n = 1; result < 0; n++) {
		countdown = n;
		result = duoshm_segment_open(ctx, name(), 0, 0, &opened);
		countdown = 0;
		CU_ASSERT_TRUE(result == 0 || result == code);
		CU_ASSERT_EQUAL(duoshm_stat(ctx, name(), &stat), 0);
		CU_ASSERT_EQUAL(stat.attached, 1);
	}
	CU_ASSERT_EQUAL(failures, 2);
	CU_ASSERT_EQUAL(duoshm_segment_close(opened), 0);
	close_and_remove(made);
	end();
	duoshm__backend_replace(NULL);
}

/* A limit's cure counts the orphans that would make room. */
static void limit_tells_the_orphans(void)
{
	struct duoshm_segment *made = NULL;
	unsigned flags = 0;

	begin();
	CU_ASSERT_EQUAL(harness_wait(harness_fork(leave, &flags)), -SIGKILL);
	install_failing();
	duoshm_free(ctx);
	begin();
	countdown = 2;
	CU_ASSERT_EQUAL(duoshm_segment_create(ctx, harness_name("other"), SIZE, NULL, &made), code);
	CU_ASSERT_PTR_NOT_NULL(strstr(duoshm_failure()->cure, "would free 1"));
	duoshm__backend_replace(NULL);
	CU_ASSERT_EQUAL(duoshm_reclaim(ctx, 0, NULL, NULL), 1);
	end();
}

/* ---- natives that are taken ---- */

static int taken_times;
static int taken_create(struct duoshm__native *n, size_t s, unsigned m, struct duoshm__map *o,
	struct duoshm_failure *w)
{
	if (taken_times-- > 0)
		return duoshm__native_failure(w, DUOSHM_ERR_EXISTS, 17, "create()");
	return real->create(n, s, m, o, w);
}
static unsigned last_attempt;
static int count_derive(const struct duoshm__naming *n, unsigned a, struct duoshm__native *o,
	struct duoshm_failure *w)
{
	last_attempt = a;
	if (a > 5)
		return duoshm__native_failure(w, DUOSHM_ERR_COLLISION, 0, "derive()");
	return real->derive(n, strcmp(real->name, "sysv") == 0 ? a : 0, o, w);
}

static void taken_native_names_are_passed_over(void)
{
	struct duoshm_segment *made = NULL;

	install_failing();
	failing.create = taken_create;
	failing.derive = count_derive;
	begin();
	countdown = 0;
	taken_times = 3;
	made = create_with(0, 1);
	CU_ASSERT_EQUAL(last_attempt, 3);
	close_and_remove(made);
	taken_times = 100;
	CU_ASSERT_EQUAL(
		duoshm_segment_create(ctx, name(), SIZE, NULL, &made), DUOSHM_ERR_COLLISION);
	nothing_is_there();
	end();
	duoshm__backend_replace(NULL);
}

/* ---- options and contexts ---- */

static void sized_structs_grow(void)
{
	struct {
		struct duoshm_create known;
		long newer;
	} longer = {.known = DUOSHM_CREATE_INIT};
	struct duoshm_create shorter = {.size = offsetof(struct duoshm_create, bells),
		.mode = 0600,
		.bells = 77,
		.kind = 99};
	struct duoshm_segment *made = NULL;
	struct duoshm_stat stat = {.struct_size = 8};

	begin();
	longer.known.size = sizeof longer;
	longer.newer = 1;
	CU_ASSERT_EQUAL(
		duoshm_segment_create(ctx, name(), SIZE, &longer.known, &made), DUOSHM_ERR_INVALID);
	longer.newer = 0;
	CU_ASSERT_EQUAL(duoshm_segment_create(ctx, name(), SIZE, &longer.known, &made), 0);
	close_and_remove(made);
	CU_ASSERT_EQUAL(duoshm_segment_create(ctx, name(), SIZE, &shorter, &made), 0);
	close_and_remove(made);
	shorter.size = 0;
	CU_ASSERT_EQUAL(
		duoshm_segment_create(ctx, name(), SIZE, &shorter, &made), DUOSHM_ERR_INVALID);
	CU_ASSERT_EQUAL(duoshm_stat(ctx, name(), &stat), DUOSHM_ERR_INVALID);
	end();
}

static void sizes_have_ends(void)
{
	struct duoshm_create options = DUOSHM_CREATE_INIT;
	struct duoshm_segment *made = NULL;

	begin();
	CU_ASSERT_EQUAL(duoshm_segment_create(ctx, name(), 0, NULL, &made), DUOSHM_ERR_INVALID);
	CU_ASSERT_EQUAL(
		duoshm_segment_create(ctx, name(), SIZE_MAX, NULL, &made), DUOSHM_ERR_LIMIT);
	CU_ASSERT_EQUAL(
		duoshm_segment_create(ctx, name(), SIZE_MAX - 511, NULL, &made), DUOSHM_ERR_LIMIT);
	options.bells = 5;
	CU_ASSERT_EQUAL(duoshm_segment_create(ctx, name(), 1, &options, &made), DUOSHM_ERR_INVALID);
	options.bells = 0;
	options.kind = DUOSHM_KIND_LOCK;
	CU_ASSERT_EQUAL(duoshm_segment_create(ctx, name(), 1, &options, &made), DUOSHM_ERR_INVALID);
	options.kind = DUOSHM_KIND_SEGMENT;
	options.flags = 0x8000;
	CU_ASSERT_EQUAL(duoshm_segment_create(ctx, name(), 1, &options, &made), DUOSHM_ERR_INVALID);
	CU_ASSERT_EQUAL(duoshm_segment_open(ctx, name(), 0, -1, &made), DUOSHM_ERR_INVALID);
	CU_ASSERT_PTR_NULL(made);
	CU_ASSERT_EQUAL(harness_entries(duoshm_directory(ctx)), 0);
	end();
}

static void context_knows_its_handles(void)
{
	struct duoshm_options options = DUOSHM_OPTIONS_INIT;
	struct duoshm *other = NULL;
	struct duoshm_segment *segment;

	begin();
	CU_ASSERT_STRING_EQUAL(duoshm_backend(ctx), harness_backend());
	segment = create_with(0, 0);
	CU_ASSERT_EQUAL(duoshm_free(ctx), DUOSHM_ERR_BUSY);
	close_and_remove(segment);
	options.backend = "nosuch";
	CU_ASSERT_EQUAL(duoshm_new(&options, &other), DUOSHM_ERR_NO_BACKEND);
	CU_ASSERT_PTR_NOT_NULL(strstr(duoshm_failure()->cause, harness_backend()));
	CU_ASSERT_EQUAL(duoshm_new(NULL, NULL), DUOSHM_ERR_INVALID);
	CU_ASSERT_EQUAL(duoshm_free(NULL), 0);
	CU_ASSERT_EQUAL(duoshm_remove(NULL, "x"), DUOSHM_ERR_INVALID);
	end();
}

/* A name that only an orphan holds in the preferred family is the living one's in the other. */
static void auto_finds_who_lives(void)
{
	const char *const *families = duoshm_backends();
	struct duoshm_segment *living = NULL, *found = NULL;
	struct duoshm *any_family;
	unsigned flags = 0;

	if (families[1] == NULL)
		HARNESS_SKIP("one family is built");
	if (strcmp(families[0], harness_backend()) != 0)
		HARNESS_SKIP("for the preferred family");
	ctx = context_of(families[1]);
	any_family = context_of("auto");
	CU_ASSERT_EQUAL(harness_wait(harness_fork(leave, &flags)), -SIGKILL);
	CU_ASSERT_EQUAL(duoshm_segment_open(ctx, name(), 0, 0, &found), DUOSHM_ERR_OTHER_BACKEND);
	CU_ASSERT_PTR_NOT_NULL(strstr(duoshm_failure()->cause, families[0]));
	CU_ASSERT_EQUAL_FATAL(duoshm_segment_open(any_family, name(), 0, 0, &found), 0);
	CU_ASSERT_STRING_EQUAL(duoshm_segment_backend(found), families[0]);
	CU_ASSERT_EQUAL(duoshm_segment_close(found), 0);
	CU_ASSERT_EQUAL_FATAL(duoshm_segment_create(ctx, name(), SIZE, NULL, &living), 0);
	CU_ASSERT_EQUAL_FATAL(duoshm_segment_open(any_family, name(), 0, 0, &found), 0);
	CU_ASSERT_STRING_EQUAL(duoshm_segment_backend(found), families[1]);
	CU_ASSERT_EQUAL(duoshm_segment_close(found), 0);
	CU_ASSERT_EQUAL(
		duoshm_segment_create(any_family, name(), SIZE, NULL, &found), DUOSHM_ERR_EXISTS);
	close_and_remove(living);
	CU_ASSERT_EQUAL_FATAL(
		duoshm_segment_create(any_family, name(), SIZE, NULL, &found), DUOSHM_REPLACED);
	CU_ASSERT_STRING_EQUAL(duoshm_segment_backend(found), families[0]);
	CU_ASSERT_EQUAL(duoshm_segment_close(found), 0);
	CU_ASSERT_EQUAL(duoshm_remove(any_family, name()), 0);
	CU_ASSERT_EQUAL(duoshm_free(any_family), 0);
	end();
}

/* ---- adopted memory ---- */

static void adopts_by_native_name(void)
{
	struct duoshm_segment *segment, *raw = NULL;
	char text[160];

	begin();
	segment = create_with(0, 0);
	strcpy(duoshm_segment_data(segment), "mine");
	snprintf(text, sizeof text, "%s:%s", harness_backend(), segment->native.text);
	CU_ASSERT_EQUAL_FATAL(duoshm_segment_adopt(ctx, text, DUOSHM_READ_ONLY, &raw), 0);
	CU_ASSERT_TRUE(duoshm_segment_size(raw) >= SIZE + DUOSHM__HEADER_SIZE);
	CU_ASSERT_STRING_EQUAL(
		(const char *)duoshm_segment_data(raw) + DUOSHM__HEADER_SIZE, "mine");
	CU_ASSERT_STRING_EQUAL(duoshm_segment_name(raw), segment->native.text);
	CU_ASSERT_EQUAL(duoshm_segment_removed(raw), 0);
	CU_ASSERT_EQUAL(duoshm_segment_owner_alive(raw), DUOSHM_ERR_UNSUPPORTED);
	CU_ASSERT_EQUAL(duoshm_segment_ring(raw, 0), DUOSHM_ERR_INVALID);
	if (segment->native.segment_id >= 0) {
		struct duoshm_segment *by_id = NULL;

		snprintf(text, sizeof text, "%s:id:%lld", harness_backend(),
			(long long)segment->native.segment_id);
		CU_ASSERT_EQUAL_FATAL(duoshm_segment_adopt(ctx, text, 0, &by_id), 0);
		strcpy((char *)duoshm_segment_data(by_id) + DUOSHM__HEADER_SIZE, "ours");
		CU_ASSERT_STRING_EQUAL(duoshm_segment_data(segment), "ours");
		CU_ASSERT_EQUAL(duoshm_segment_close(by_id), 0);
	}
	close_and_remove(segment);
	CU_ASSERT_EQUAL(duoshm_segment_removed(raw), 1);
	CU_ASSERT_EQUAL(duoshm_segment_close(raw), 0);
	CU_ASSERT_EQUAL(duoshm_segment_adopt(ctx, text, 0, &raw), DUOSHM_ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(duoshm_segment_adopt(ctx, "nosuch:/x", 0, &raw), DUOSHM_ERR_NO_BACKEND);
	CU_ASSERT_EQUAL(duoshm_segment_adopt(ctx, "", 0, &raw), DUOSHM_ERR_NAME);
	CU_ASSERT_EQUAL(duoshm_segment_adopt(ctx, NULL, 0, &raw), DUOSHM_ERR_NAME);
	end();
}

/* ---- cost ---- */

static int prepare(void *arg)
{
	(void)arg;
	begin();
	return try_open(0);
}

static int open_and_close(void *arg)
{
	(void)arg;
	return try_open(0);
}

static void opening_costs_a_fixed_number_of_calls(void)
{
	struct duoshm_segment *segment;
	int calls, again;

	if (harness_instrumented())
		HARNESS_SKIP("instruments make calls of their own");
	begin();
	segment = create_with(0, 0);
	calls = harness_count_calls(prepare, open_and_close, NULL);
	again = harness_count_calls(prepare, open_and_close, NULL);
	if (calls == HARNESS_NO_TRACE)
		harness_skip("no ptrace");
	else
		CU_ASSERT_TRUE(calls == again && calls > 0 && calls <= 12);
	close_and_remove(segment);
	end();
}

static const struct harness_case cases[] = {
	{"each damage of the header is found", damage_is_found},
	{"the other byte order is incompatible", other_byte_order_is_incompatible},
	{"geometry is private once attached", geometry_is_private},
	{"removal from outside is noticed, the name can be made anew", gone_from_outside},
	{"a stranger under our native name is not ours", stranger_under_our_native_name},
	{"a stopped creator keeps the name, a dead one does not", stopped_creator_keeps_the_name},
	{"an owned object of the dead is replaced while attached",
		owned_is_replaced_even_while_attached},
	{"a persistent object outlives its creator", persistent_outlives},
	{"closing what was not published withdraws it", unpublished_is_withdrawn_by_close},
	{"a forked child changes nothing", fork_child_changes_nothing},
	{"a creation that fails anywhere leaves nothing", failed_creation_leaves_nothing},
	{"an open that fails anywhere changes nothing", failed_open_changes_nothing},
	{"a limit tells how many orphans there are", limit_tells_the_orphans},
	{"native names that are taken are passed over", taken_native_names_are_passed_over},
	{"sized structs grow", sized_structs_grow},
	{"sizes have ends", sizes_have_ends},
	{"a context knows its handles", context_knows_its_handles},
	{"auto finds who lives", auto_finds_who_lives},
	{"adopts by native name", adopts_by_native_name},
	{"opening costs a fixed number of system calls", opening_costs_a_fixed_number_of_calls},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return harness_run_each(argc, argv, "object", cases);
}
