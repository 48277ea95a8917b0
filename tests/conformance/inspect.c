/* SPDX-License-Identifier: MIT */
/* C6 stat, C7 list and reclaim, C10 errors. */
#include "config.h"

#include "conformance/conformance.h"

#include <pthread.h>

static void c6_fields(void)
{
	struct duoshm_facts facts = DUOSHM_FACTS_INIT;
	struct duoshm_create options = create_with(0, 2);
	struct duoshm_segment *segment;

	EXPECT(duoshm_probe(harness_backend(), &facts), 0);
	OK(duoshm_segment_create(ctx, harness_name("fields"), 5000, &options, &segment));
	struct duoshm_stat stat = stat_of(ctx, "fields");
	EXPECT_TEXT(stat.name, harness_name("fields"));
	EXPECT_TEXT(stat.backend, harness_backend());
	EXPECT(stat.kind, DUOSHM_KIND_SEGMENT);
	EXPECT(stat.state, DUOSHM_LIVE);
	EXPECT(stat.size, 5000);
	CHECK(stat.footprint >= 5000);
	EXPECT(stat.uid, geteuid());
	EXPECT(stat.gid, getegid());
	EXPECT(stat.bells, 2);
	EXPECT_TEXT(stat.bell, facts.bell);
	EXPECT(stat.persistent, 0);
	EXPECT(stat.creator_pid, getpid());
	EXPECT(stat.last_pid, getpid());
	CHECK(stat.native[0] != '\0');
	/* where the kernel's name is a key, the ids stand beside it */
	EXPECT(stat.id >= 0, strncmp(stat.native, "0x", 2) == 0);
	EXPECT(stat.bells_id >= 0, strncmp(stat.native, "0x", 2) == 0);
	CHECK(stat.created_ns > INT64_C(1600000000) * SECOND);
	CHECK(stat.attached_ns >= stat.created_ns);
	CHECK(stat.changed_ns >= stat.created_ns);
	EXPECT(stat.attached, 1);
	EXPECT(stat.detached_ns, 0);
	EXPECT(stat.value, -1);
	EXPECT(stat.kernel_attached, facts.abilities & DUOSHM_CAN_COUNT ? 1 : -1);
	end_segment(open_segment(ctx, "fields", 0));
	CHECK(stat_of(ctx, "fields").detached_ns >= stat.attached_ns);
	end_segment(segment);
}

static void c6_attach_count(void)
{
	struct duoshm_segment *one = make_segment(ctx, "count", 64, 0), *two;
	struct helper helpers[2];

	two = open_segment(ctx, "count", 0);
	EXPECT(stat_of(ctx, "count").attached, 1);
	start_helper(&helpers[0], open_and_hang, "count", 0);
	start_helper(&helpers[1], open_and_hang, "count", DUOSHM_READ_ONLY);
	EXPECT(stat_of(ctx, "count").attached, 3);
	EXPECT(stat_of(ctx, "count").creator_pid, getpid());
	EXPECT(stat_of(ctx, "count").last_pid, helpers[0].pid);
	kill_helper(&helpers[0]);
	EXPECT(stat_of(ctx, "count").attached, 2);
	kill_helper(&helpers[1]);
	end_segment(one);
	EXPECT(stat_of(ctx, "count").attached, 1);
	end_segment(two);
	EXPECT(stat_of(ctx, "count").attached, 0);
}

/* ---- C7 ------------------------------------------------------------------------------------- */

struct found {
	const char *name;
	int state, kind;
	unsigned times, all;
};

static int look_for(const struct duoshm_stat *object, void *argument)
{
	struct found *found = argument;

	found->all++;
	if (strcmp(object->name, found->name) != 0)
		return 0;
	found->state = object->state;
	found->kind = object->kind;
	found->times++;
	return 0;
}

static struct found listed(unsigned flags, const char *stem)
{
	struct found found = {.name = harness_name(stem)};

	EXPECT(duoshm_list(ctx, flags, look_for, &found), 0);
	return found;
}

static void c7_states(void)
{
	struct duoshm_segment *segment = make_segment(ctx, "live", 64, 0);
	struct duoshm_lock *lock;
	struct helper orphan, half;

	EXPECT(duoshm_lock_create(ctx, harness_name("lock"), NULL, &lock), 0);
	start_helper(&orphan, create_and_hang, "orphan", 0);
	start_helper(&half, create_and_hang, "half", DUOSHM_UNPUBLISHED);
	kill_helper(&orphan);
	kill_helper(&half);
	struct found found = listed(0, "live");
	CHECK(found.times == 1 && found.state == DUOSHM_LIVE && found.all == 4);
	found = listed(0, "lock");
	CHECK(found.times == 1 && found.kind == DUOSHM_KIND_LOCK);
	EXPECT(listed(0, "orphan").state, DUOSHM_ORPHAN);
	EXPECT(listed(0, "half").state, DUOSHM_ORPHAN);
	found = (struct found){.name = harness_name("live")};
	EXPECT(duoshm_reclaim(ctx, DUOSHM_DRY_RUN, look_for, &found), 2);
	EXPECT(listed(0, "orphan").times, 1);
	EXPECT(duoshm_reclaim(ctx, 0, look_for, &found), 2);
	CHECK(found.times == 0 && found.all == 4);
	EXPECT(listed(0, "orphan").times, 0);
	EXPECT(listed(0, "half").times, 0);
	EXPECT(duoshm_reclaim(ctx, 0, NULL, NULL), 0);
	EXPECT(duoshm_lock_close(lock), 0);
	end_segment(segment);
}

static int stop_at_once(const struct duoshm_stat *object, void *argument)
{
	(void)object;
	return ++*(int *)argument * 7;
}

static void c7_walk_can_be_ended(void)
{
	struct duoshm_segment *one = make_segment(ctx, "a", 64, 0),
			      *two = make_segment(ctx, "b", 64, 0);
	int times = 0;

	EXPECT(duoshm_list(ctx, 0, stop_at_once, &times), 7);
	EXPECT(times, 1);
	end_segment(one);
	end_segment(two);
}

static int look_for_native(const struct duoshm_stat *object, void *argument)
{
	struct found *found = argument;

	if (strcmp(object->native, found->name) == 0 && object->state == DUOSHM_FOREIGN)
		found->times++;
	return 0;
}

/* Its bells have a number of their own, or are called like it with more behind. */
static int look_for_any_part(const struct duoshm_stat *object, void *argument)
{
	const struct duoshm_stat *whole = argument;

	return object->state == DUOSHM_FOREIGN &&
	       (strncmp(object->native, whole->native, strlen(whole->native)) == 0 ||
		       (whole->bells_id >= 0 && object->bells_id == whole->bells_id));
}

static void c7_ours_is_never_foreign(void)
{
	struct duoshm_semaphore *semaphore;

	OK(duoshm_semaphore_create(ctx, harness_name("ours"), 0, NULL, &semaphore));
	struct duoshm_stat stat = stat_of(ctx, "ours");
	EXPECT(duoshm_list(ctx, DUOSHM_SYSTEM, look_for_any_part, &stat), 0);
	EXPECT(listed(DUOSHM_SYSTEM, "ours").times, 1);
	EXPECT(duoshm_semaphore_close(semaphore), 0);
}

static void c7_foreign(void)
{
	struct duoshm *theirs = context_of(harness_backend(), harness_path("other-registry"));
	struct duoshm_segment *segment = make_segment(theirs, "theirs", 64, 0);
	struct duoshm_stat stat = stat_of(theirs, "theirs");
	struct found found = {.name = stat.native};
	struct duoshm_facts facts = DUOSHM_FACTS_INIT;

	EXPECT(duoshm_probe(harness_backend(), &facts), 0);
	EXPECT(listed(0, "theirs").times, 0);
	EXPECT(duoshm_list(ctx, DUOSHM_SYSTEM, look_for_native, &found), 0);
	EXPECT(found.times, (facts.abilities & DUOSHM_CAN_KERNEL_LIST) != 0);
	end_segment(segment);
	EXPECT(duoshm_reclaim(ctx, 0, NULL, NULL), 0);
	segment = open_segment(theirs, "theirs", 0);
	end_segment(segment);
	discard(theirs, "theirs");
	end_context(theirs);
}

/* ---- C10 ------------------------------------------------------------------------------------ */

static void c10_failure_in_full(void)
{
	struct duoshm_segment *segment = NULL;

	EXPECT(duoshm_segment_open(ctx, harness_name("none"), 0, 0, &segment),
		DUOSHM_ERR_NOT_FOUND);
	EXPECT(duoshm_failure()->code, DUOSHM_ERR_NOT_FOUND);
	EXPECT_PART(duoshm_failure()->cause, harness_name("none"));
}

static void c10_native_call(void)
{
	if (sizeof(size_t) < 8)
		HARNESS_SKIP("a size that no machine has needs 64 bits");
	struct duoshm_segment *segment = NULL;
	int result = duoshm_segment_create(ctx, harness_name("vast"), SIZE_MAX / 4, NULL, &segment);
	CHECK(result == DUOSHM_ERR_NO_SPACE || result == DUOSHM_ERR_LIMIT);
	const struct duoshm_failure *failure = duoshm_failure();
	EXPECT(failure->code, result);
	CHECK(failure->system_error != 0 && failure->call[0] != '\0');
	CHECK(strchr(failure->call, '(') != NULL);
	CHECK(failure->cause[0] != '\0' && failure->cure[0] != '\0');
	EXPECT(harness_entries(duoshm_directory(ctx)), 0);
}

static void *code_here(void *argument)
{
	*(int *)argument = duoshm_failure()->code;
	return NULL;
}

static void c10_of_the_calling_thread(void)
{
	pthread_t thread;
	int code = -1;

	EXPECT(duoshm_remove(ctx, harness_name("none")), DUOSHM_ERR_NOT_FOUND);
	OK(pthread_create(&thread, NULL, code_here, &code));
	pthread_join(thread, NULL);
	EXPECT(code, 0);
	EXPECT(duoshm_failure()->code, DUOSHM_ERR_NOT_FOUND);
}

static void c10_texts(void)
{
#define HAS_TEXT(name, number, text)                                                               \
	EXPECT(DUOSHM_ERR_##name, -(number));                                                      \
	EXPECT_TEXT(duoshm_strerror(DUOSHM_ERR_##name), text);
	DUOSHM_ERRORS(HAS_TEXT)
	CHECK(duoshm_strerror(-9999) != NULL);
	CHECK(duoshm_strerror(0) != NULL);
	EXPECT_TEXT(duoshm_kind_name(DUOSHM_KIND_SEMAPHORE), "semaphore");
	EXPECT_TEXT(duoshm_kind_name(99), "?");
	EXPECT_TEXT(duoshm_state_name(DUOSHM_ORPHAN), "orphan");
}

static void c10_unknown_backend(void)
{
	struct duoshm_options options = DUOSHM_OPTIONS_INIT;
	struct duoshm_facts facts = DUOSHM_FACTS_INIT;
	struct duoshm *none = NULL;

	options.backend = "windows";
	EXPECT(duoshm_new(&options, &none), DUOSHM_ERR_NO_BACKEND);
	CHECK(none == NULL);
	EXPECT_PART(duoshm_failure()->cause, harness_backend());
	EXPECT(duoshm_probe("windows", &facts), DUOSHM_ERR_NO_BACKEND);
}

static void c10_null_is_invalid(void)
{
	struct duoshm_segment *segment;

	EXPECT(duoshm_segment_create(NULL, harness_name("x"), 64, NULL, &segment),
		DUOSHM_ERR_INVALID);
	EXPECT(duoshm_segment_create(ctx, harness_name("x"), 64, NULL, NULL), DUOSHM_ERR_INVALID);
	EXPECT(duoshm_segment_publish(NULL), DUOSHM_ERR_INVALID);
	EXPECT(duoshm_semaphore_post(NULL, 1), DUOSHM_ERR_INVALID);
	EXPECT(duoshm_lock_acquire(NULL, 0), DUOSHM_ERR_INVALID);
	EXPECT(duoshm_stat(ctx, harness_name("x"), NULL), DUOSHM_ERR_INVALID);
	EXPECT(duoshm_list(ctx, 0, NULL, NULL), DUOSHM_ERR_INVALID);
	EXPECT(duoshm_remove(NULL, "x"), DUOSHM_ERR_INVALID);
	EXPECT(duoshm_free(NULL), 0);
}

const struct harness_case inspect_cases[] = {
	{"C6 stat gives the same fields on both", c6_fields},
	{"C6 the attach count is the number of living processes", c6_attach_count},
	{"C7 every object is listed with its state; reclaim takes the proven orphans", c7_states},
	{"C7 a walk can be ended", c7_walk_can_be_ended},
	{"C7 another registry's object is foreign and never removed", c7_foreign},
	{"C7 no part of our own objects is foreign", c7_ours_is_never_foreign},
	{"C10 the last failure in full", c10_failure_in_full},
	{"C10 the native call, its errno, the cause and the cure", c10_native_call},
	{"C10 the failure is the calling thread's", c10_of_the_calling_thread},
	{"C10 each code has its number and text", c10_texts},
	{"C10 an unknown backend is refused, the built ones are named", c10_unknown_backend},
	{"C10 NULL is an error, not a crash", c10_null_is_invalid},
	{NULL, NULL},
};
