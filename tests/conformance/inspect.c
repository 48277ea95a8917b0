/* SPDX-License-Identifier: MIT */
/* C6 stat, C7 list and reclaim, C10 errors. */
#include "config.h"

#include "conformance/conformance.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void c6_fields(void)
{
	struct duoshm *ctx = new_context();
	struct duoshm_facts facts = DUOSHM_FACTS_INIT;
	struct duoshm_create options = DUOSHM_CREATE_INIT;
	struct duoshm_segment *segment, *second;

	options.bells = 2;
	EXPECT(duoshm_probe(harness_backend(), &facts), 0);
	EXPECT_FATAL(
		duoshm_segment_create(ctx, harness_name("fields"), 5000, &options, &segment), 0);
	struct duoshm_stat stat = stat_of(ctx, "fields");
	CU_ASSERT_STRING_EQUAL(stat.name, harness_name("fields"));
	CU_ASSERT_STRING_EQUAL(stat.backend, harness_backend());
	CU_ASSERT_EQUAL(stat.kind, DUOSHM_KIND_SEGMENT);
	CU_ASSERT_EQUAL(stat.state, DUOSHM_LIVE);
	CU_ASSERT_EQUAL(stat.size, 5000);
	CU_ASSERT(stat.footprint >= 5000);
	CU_ASSERT_EQUAL(stat.uid, geteuid());
	CU_ASSERT_EQUAL(stat.gid, getegid());
	CU_ASSERT_EQUAL(stat.bells, 2);
	CU_ASSERT_STRING_EQUAL(stat.bell, facts.bell);
	CU_ASSERT_EQUAL(stat.persistent, 0);
	CU_ASSERT_EQUAL(stat.creator_pid, getpid());
	CU_ASSERT_EQUAL(stat.last_pid, getpid());
	CU_ASSERT(stat.native[0] != '\0');
	CU_ASSERT(stat.created_ns > INT64_C(1600000000) * SECOND);
	CU_ASSERT(stat.attached_ns >= stat.created_ns);
	CU_ASSERT(stat.changed_ns >= stat.created_ns);
	CU_ASSERT_EQUAL(stat.attached, 1);
	CU_ASSERT_EQUAL(stat.detached_ns, 0);
	CU_ASSERT_EQUAL(stat.value, -1);
	if ((facts.abilities & DUOSHM_CAN_COUNT) != 0)
		CU_ASSERT_EQUAL(stat.kernel_attached, 1);
	if ((facts.abilities & DUOSHM_CAN_COUNT) == 0)
		CU_ASSERT_EQUAL(stat.kernel_attached, -1);
	second = open_segment(ctx, "fields", 0);
	end_segment(second);
	CU_ASSERT(stat_of(ctx, "fields").detached_ns >= stat.attached_ns);
	end_segment(segment);
	discard(ctx, "fields");
	end_context(ctx);
}

static void c6_attach_count(void)
{
	struct duoshm *ctx = new_context();
	struct duoshm_segment *one = make_segment(ctx, "count", 64, 0), *two;
	struct helper helpers[2];

	two = open_segment(ctx, "count", 0);
	CU_ASSERT_EQUAL(stat_of(ctx, "count").attached, 1);
	start_helper(&helpers[0], open_and_hang, "count", 0);
	start_helper(&helpers[1], open_and_hang, "count", DUOSHM_READ_ONLY);
	CU_ASSERT_EQUAL(stat_of(ctx, "count").attached, 3);
	CU_ASSERT_EQUAL(stat_of(ctx, "count").creator_pid, getpid());
	CU_ASSERT_EQUAL(stat_of(ctx, "count").last_pid, helpers[0].pid);
	kill_helper(&helpers[0]);
	CU_ASSERT_EQUAL(stat_of(ctx, "count").attached, 2);
	kill_helper(&helpers[1]);
	end_segment(one);
	CU_ASSERT_EQUAL(stat_of(ctx, "count").attached, 1);
	end_segment(two);
	CU_ASSERT_EQUAL(stat_of(ctx, "count").attached, 0);
	discard(ctx, "count");
	end_context(ctx);
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

static struct found listed(struct duoshm *ctx, unsigned flags, const char *stem)
{
	struct found found = {.name = harness_name(stem)};

	EXPECT(duoshm_list(ctx, flags, look_for, &found), 0);
	return found;
}

static void c7_states(void)
{
	struct duoshm *ctx = new_context();
	struct duoshm_segment *segment = make_segment(ctx, "live", 64, 0);
	struct duoshm_lock *lock;
	struct helper orphan, half;

	EXPECT(duoshm_lock_create(ctx, harness_name("lock"), NULL, &lock), 0);
	start_helper(&orphan, create_and_hang, "orphan", 0);
	start_helper(&half, create_and_hang, "half", DUOSHM_UNPUBLISHED);
	kill_helper(&orphan);
	kill_helper(&half);
	struct found found = listed(ctx, 0, "live");
	CU_ASSERT(found.times == 1 && found.state == DUOSHM_LIVE && found.all == 4);
	found = listed(ctx, 0, "lock");
	CU_ASSERT(found.times == 1 && found.kind == DUOSHM_KIND_LOCK);
	CU_ASSERT_EQUAL(listed(ctx, 0, "orphan").state, DUOSHM_ORPHAN);
	CU_ASSERT_EQUAL(listed(ctx, 0, "half").state, DUOSHM_ORPHAN);
	found = (struct found){.name = harness_name("live")};
	EXPECT(duoshm_reclaim(ctx, DUOSHM_DRY_RUN, look_for, &found), 2);
	CU_ASSERT_EQUAL(listed(ctx, 0, "orphan").times, 1);
	EXPECT(duoshm_reclaim(ctx, 0, look_for, &found), 2);
	CU_ASSERT(found.times == 0 && found.all == 4);
	CU_ASSERT_EQUAL(listed(ctx, 0, "orphan").times, 0);
	CU_ASSERT_EQUAL(listed(ctx, 0, "half").times, 0);
	EXPECT(duoshm_reclaim(ctx, 0, NULL, NULL), 0);
	EXPECT(duoshm_lock_close(lock), 0);
	end_segment(segment);
	discard(ctx, "lock");
	discard(ctx, "live");
	end_context(ctx);
}

static int stop_at_once(const struct duoshm_stat *object, void *argument)
{
	(void)object;
	return ++*(int *)argument * 7;
}

static void c7_walk_can_be_ended(void)
{
	struct duoshm *ctx = new_context();
	struct duoshm_segment *one = make_segment(ctx, "a", 64, 0),
			      *two = make_segment(ctx, "b", 64, 0);
	int times = 0;

	EXPECT(duoshm_list(ctx, 0, stop_at_once, &times), 7);
	CU_ASSERT_EQUAL(times, 1);
	end_segment(one);
	end_segment(two);
	discard(ctx, "a");
	discard(ctx, "b");
	end_context(ctx);
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
	struct duoshm *ctx = new_context();
	struct duoshm_semaphore *semaphore;

	EXPECT_FATAL(duoshm_semaphore_create(ctx, harness_name("ours"), 0, NULL, &semaphore), 0);
	struct duoshm_stat stat = stat_of(ctx, "ours");
	EXPECT(duoshm_list(ctx, DUOSHM_SYSTEM, look_for_any_part, &stat), 0);
	CU_ASSERT_EQUAL(listed(ctx, DUOSHM_SYSTEM, "ours").times, 1);
	EXPECT(duoshm_semaphore_close(semaphore), 0);
	discard(ctx, "ours");
	end_context(ctx);
}

static void c7_foreign(void)
{
	struct duoshm_options options = DUOSHM_OPTIONS_INIT;
	struct duoshm_facts facts = DUOSHM_FACTS_INIT;
	struct duoshm *ours = new_context(), *theirs;

	EXPECT(duoshm_probe(harness_backend(), &facts), 0);
	options.backend = harness_backend();
	options.directory = harness_path("other-registry");
	EXPECT_FATAL(duoshm_new(&options, &theirs), 0);
	struct duoshm_segment *segment = make_segment(theirs, "theirs", 64, 0);
	struct duoshm_stat stat = stat_of(theirs, "theirs");
	CU_ASSERT_EQUAL(listed(ours, 0, "theirs").times, 0);
	struct found found = {.name = stat.native};
	EXPECT(duoshm_list(ours, DUOSHM_SYSTEM, look_for_native, &found), 0);
	CU_ASSERT_EQUAL(found.times, (facts.abilities & DUOSHM_CAN_KERNEL_LIST) != 0);
	end_segment(segment);
	EXPECT(duoshm_reclaim(ours, 0, NULL, NULL), 0);
	segment = open_segment(theirs, "theirs", 0);
	end_segment(segment);
	discard(theirs, "theirs");
	end_context(theirs);
	end_context(ours);
}

/* ---- C10 ------------------------------------------------------------------------------------ */

static void c10_failure_in_full(void)
{
	struct duoshm *ctx = new_context();
	struct duoshm_segment *segment = NULL;

	EXPECT(duoshm_segment_open(ctx, harness_name("none"), 0, 0, &segment),
		DUOSHM_ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(duoshm_failure()->code, DUOSHM_ERR_NOT_FOUND);
	CU_ASSERT(strstr(duoshm_failure()->cause, harness_name("none")) != NULL);
	end_context(ctx);
}

static void c10_native_call(void)
{
	if (sizeof(size_t) < 8)
		HARNESS_SKIP("a size that no machine has needs 64 bits");
	struct duoshm *ctx = new_context();
	struct duoshm_segment *segment = NULL;
	int result = duoshm_segment_create(ctx, harness_name("vast"), SIZE_MAX / 4, NULL, &segment);
	CU_ASSERT(result == DUOSHM_ERR_NO_SPACE || result == DUOSHM_ERR_LIMIT);
	const struct duoshm_failure *failure = duoshm_failure();
	CU_ASSERT_EQUAL(failure->code, result);
	CU_ASSERT(failure->system_error != 0 && failure->call[0] != '\0');
	CU_ASSERT(strchr(failure->call, '(') != NULL);
	CU_ASSERT(failure->cause[0] != '\0' && failure->cure[0] != '\0');
	CU_ASSERT_EQUAL(harness_entries(duoshm_directory(ctx)), 0);
	end_context(ctx);
}

static void *code_here(void *argument)
{
	*(int *)argument = duoshm_failure()->code;
	return NULL;
}

static void c10_of_the_calling_thread(void)
{
	struct duoshm *ctx = new_context();
	pthread_t thread;
	int code = -1;

	EXPECT(duoshm_remove(ctx, harness_name("none")), DUOSHM_ERR_NOT_FOUND);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, code_here, &code), 0);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(code, 0);
	CU_ASSERT_EQUAL(duoshm_failure()->code, DUOSHM_ERR_NOT_FOUND);
	end_context(ctx);
}

static void c10_texts(void)
{
#define HAS_TEXT(name, number, text)                                                               \
	CU_ASSERT_EQUAL(DUOSHM_ERR_##name, -(number));                                             \
	CU_ASSERT_STRING_EQUAL(duoshm_strerror(DUOSHM_ERR_##name), text);
	DUOSHM_ERRORS(HAS_TEXT)
	CU_ASSERT_PTR_NOT_NULL(duoshm_strerror(-9999));
	CU_ASSERT_PTR_NOT_NULL(duoshm_strerror(0));
	CU_ASSERT_STRING_EQUAL(duoshm_kind_name(DUOSHM_KIND_SEMAPHORE), "semaphore");
	CU_ASSERT_STRING_EQUAL(duoshm_kind_name(99), "?");
	CU_ASSERT_STRING_EQUAL(duoshm_state_name(DUOSHM_ORPHAN), "orphan");
}

static void c10_unknown_backend(void)
{
	struct duoshm_options options = DUOSHM_OPTIONS_INIT;
	struct duoshm_facts facts = DUOSHM_FACTS_INIT;
	struct duoshm *ctx = NULL;

	options.backend = "windows";
	EXPECT(duoshm_new(&options, &ctx), DUOSHM_ERR_NO_BACKEND);
	CU_ASSERT_PTR_NULL(ctx);
	CU_ASSERT(strstr(duoshm_failure()->cause, harness_backend()) != NULL);
	EXPECT(duoshm_probe("windows", &facts), DUOSHM_ERR_NO_BACKEND);
}

static void c10_null_is_invalid(void)
{
	struct duoshm *ctx = new_context();
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
	end_context(ctx);
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
