/* SPDX-License-Identifier: MIT */
/*
 * What the library does when a native call fails, is slow, or is the last thing that a process does. Each
 * life of an object is lived again and again, with the nth native call failing, for every n: the
 * error is the documented one and told in full, nothing is left, and the next call works. Then the same
 * with the creator killed at each native call, before and after its effect.
 */
#include "config.h"

#include "duoshm.h"

#include "harness/fake_backend.h"
#include "harness/harness.h"

#include <signal.h>
#include <string.h>
#include <time.h>

#define OBJECT FAKE_NAME ":" /* the family in front of every name */

static struct duoshm *ctx;
static int code;            /* the error that is injected */
static unsigned told;       /* steps that failed with it */
static char step_text[160]; /* for the message of a failing case */

static void complain(const char *what, int result)
{
	fprintf(stderr, "\n%s: %s: result %d, \"%s\" failed with %d; %s: %s\n", step_text, what,
		result, fake_failed(), code, duoshm_failure()->call, duoshm_failure()->cause);
	CU_FAIL("see above");
}

/* A step of a life. It may fail once, as it was told, and then must work. */
static bool stands(int result, const char *text)
{
	snprintf(step_text, sizeof step_text, "%s", text);
	if (result >= 0)
		return true;
	told++;
	if (result != code)
		complain("not the error of the native call", result);
	if (duoshm_failure()->code != result)
		complain("the record has another code", duoshm_failure()->code);
	if (strncmp(duoshm_failure()->call, "fake_", 5) != 0 || duoshm_failure()->cause[0] == '\0')
		complain("the record does not tell the native call", result);
	fake_fail(0, 0);
	return false;
}

#define STEP(call)                                                                                 \
	do {                                                                                       \
		if (!stands((int)(call), #call) && !stands((int)(call), "again: " #call))          \
			return;                                                                    \
	} while (0)

/* ---- lives --------------------------------------------------------------------------------------- */

static void live_segment(void)
{
	struct duoshm_create options = DUOSHM_CREATE_INIT;
	struct duoshm_stat status = DUOSHM_STAT_INIT;
	struct duoshm_segment *made = NULL, *opened = NULL;

	options.bells = 2;
	STEP(duoshm_segment_create(ctx, OBJECT "seg", 1000, &options, &made));
	STEP(duoshm_segment_open(ctx, OBJECT "seg", 0, 0, &opened));
	((char *)duoshm_segment_data(made))[999] = 5;
	CU_ASSERT_EQUAL(((char *)duoshm_segment_data(opened))[999], 5);
	STEP(duoshm_segment_ring(made, 1));
	STEP(duoshm_segment_sleep(opened, 1, 1000000000));
	STEP(duoshm_stat(ctx, OBJECT "seg", &status));
	STEP(duoshm_segment_close(opened));
	STEP(duoshm_remove(ctx, OBJECT "seg"));
	STEP(duoshm_segment_close(made));
}

static void live_unpublished(void)
{
	struct duoshm_create options = DUOSHM_CREATE_INIT;
	struct duoshm_segment *made = NULL;

	options.flags = DUOSHM_UNPUBLISHED;
	STEP(duoshm_segment_create(ctx, OBJECT "unp", 100, &options, &made));
	STEP(duoshm_segment_publish(made));
	STEP(duoshm_segment_close(made));
	options.flags = DUOSHM_OPEN_OR_CREATE;
	STEP(duoshm_segment_create(ctx, OBJECT "unp", 100, &options, &made));
	STEP(duoshm_segment_close(made));
	STEP(duoshm_remove(ctx, OBJECT "unp"));
}

static void live_semaphore(void)
{
	struct duoshm_semaphore *made = NULL, *opened = NULL;

	STEP(duoshm_semaphore_create(ctx, OBJECT "sem", 1, NULL, &made));
	STEP(duoshm_semaphore_open(ctx, OBJECT "sem", 0, 0, &opened));
	STEP(duoshm_semaphore_wait(opened, 0, 0));
	CU_ASSERT_EQUAL(duoshm_semaphore_wait(opened, 0, 0), DUOSHM_ERR_TIMEOUT);
	STEP(duoshm_semaphore_post(made, 3));
	CU_ASSERT_EQUAL(duoshm_semaphore_value(opened), 3);
	STEP(duoshm_semaphore_close(opened));
	STEP(duoshm_semaphore_close(made));
	STEP(duoshm_remove(ctx, OBJECT "sem"));
}

static void live_lock(void)
{
	struct duoshm_lock *made = NULL, *opened = NULL;

	STEP(duoshm_lock_create(ctx, OBJECT "lock", NULL, &made));
	STEP(duoshm_lock_open(ctx, OBJECT "lock", 0, 0, &opened));
	STEP(duoshm_lock_acquire(opened, 0));
	CU_ASSERT_EQUAL(duoshm_lock_acquire(made, 0), DUOSHM_ERR_TIMEOUT);
	STEP(duoshm_lock_release(opened));
	STEP(duoshm_lock_close(opened));
	STEP(duoshm_lock_close(made));
	STEP(duoshm_remove(ctx, OBJECT "lock"));
}

static void live_queue(void)
{
	struct duoshm_queue *in = NULL, *out = NULL;
	char text[8];

	STEP(duoshm_queue_create(ctx, OBJECT "queue", 512, DUOSHM_PRODUCER, NULL, &in));
	STEP(duoshm_queue_open(ctx, OBJECT "queue", DUOSHM_CONSUMER, 0, &out));
	STEP(duoshm_queue_send(in, "hello", 6, 0));
	STEP(duoshm_queue_receive(out, text, sizeof text, 0));
	CU_ASSERT_STRING_EQUAL(text, "hello");
	STEP(duoshm_queue_close(in));
	STEP(duoshm_queue_close(out));
	STEP(duoshm_remove(ctx, OBJECT "queue"));
}

static void live_broadcast(void)
{
	struct duoshm_broadcast *in = NULL, *out = NULL;
	char text[8];

	STEP(duoshm_broadcast_create(ctx, OBJECT "cast", 512, NULL, &in));
	STEP(duoshm_broadcast_open(ctx, OBJECT "cast", DUOSHM_READER, 0, 0, &out));
	STEP(duoshm_broadcast_publish(in, "hello", 6));
	STEP(duoshm_broadcast_next(out, text, sizeof text, NULL, 0));
	STEP(duoshm_broadcast_close(out));
	STEP(duoshm_broadcast_close(in));
	STEP(duoshm_remove(ctx, OBJECT "cast"));
}

static int count_object(const struct duoshm_stat *object, void *arg)
{
	CU_ASSERT(object->state == DUOSHM_LIVE || object->state == DUOSHM_UNKNOWN);
	++*(unsigned *)arg;
	return 0;
}

static void live_listed(void)
{
	struct duoshm_segment *made = NULL;
	unsigned n = 0;

	STEP(duoshm_segment_create(ctx, OBJECT "list", 10, NULL, &made));
	STEP(duoshm_list(ctx, 0, count_object, &n));
	CU_ASSERT_EQUAL(n, 1);
	STEP(duoshm_reclaim(ctx, 0, NULL, NULL));
	CU_ASSERT_EQUAL(fake_names(), 1);
	STEP(duoshm_segment_close(made));
	STEP(duoshm_remove(ctx, OBJECT "list"));
}

/* ---- the nth call fails --------------------------------------------------------------------------- */

static int new_context(struct duoshm **out)
{
	struct duoshm_options options = DUOSHM_OPTIONS_INIT;

	options.backend = FAKE_NAME;
	return duoshm_new(&options, out);
}

static void open_context(void)
{
	CU_ASSERT_EQUAL_FATAL(new_context(&ctx), 0);
}

static void nothing_is_left(const char *when, unsigned nth)
{
	if (fake_names() != 0 || fake_attachments() != 0 || fake_open_bells() != 0 ||
		harness_entries(duoshm_directory(ctx)) != 0) {
		fprintf(stderr,
			"\n%s %u (\"%s\", %d), after %s: %u names, %d attachments, %d bells, %u "
			"entries\n",
			when, nth, fake_failed(), code, step_text, fake_names(), fake_attachments(),
			fake_open_bells(), harness_entries(duoshm_directory(ctx)));
		CU_FAIL("something is left");
	}
}

/* Calls whose failure nobody can live with in silence; others only look, or give back. */
static bool must_be_told(const char *call)
{
	static const char *const calls[] = {"derive", "create", "bells_create", "remove"};
	unsigned i;

	for (i = 0; i < sizeof calls / sizeof *calls; i++)
		if (strcmp(call, calls[i]) == 0)
			return true;
	return false;
}

static void fail_each_call_of(void (*live)(void))
{
	static const int codes[] = {
		DUOSHM_ERR_LIMIT, DUOSHM_ERR_NO_SPACE, DUOSHM_ERR_PERMISSION, DUOSHM_ERR_SYSTEM};
	unsigned i, n, calls;

	fake_begin();
	open_context();
	fake_fail(0, 0);
	told = 0;
	live();
	calls = fake_calls();
	CU_ASSERT(calls >= 5);
	CU_ASSERT_EQUAL(told, 0);
	nothing_is_left("undisturbed", 0);
	for (i = 0; i < sizeof codes / sizeof *codes; i++) {
		code = codes[i];
		for (n = 1; n <= calls; n++) {
			told = 0;
			fake_fail(n, code);
			live();
			fake_fail(0, 0);
			if (must_be_told(fake_failed()) && told == 0)
				complain("was not told", 0);
			nothing_is_left("call", n);
		}
	}
	CU_ASSERT_EQUAL(duoshm_free(ctx), 0);
	fake_end();
}

static void a_segment_survives_each_failure(void)
{
	fail_each_call_of(live_segment);
}

static void an_unpublished_segment_survives_each_failure(void)
{
	fail_each_call_of(live_unpublished);
}

static void a_semaphore_survives_each_failure(void)
{
	fail_each_call_of(live_semaphore);
}

static void a_lock_survives_each_failure(void)
{
	fail_each_call_of(live_lock);
}

static void a_queue_survives_each_failure(void)
{
	fail_each_call_of(live_queue);
}

static void a_broadcast_survives_each_failure(void)
{
	fail_each_call_of(live_broadcast);
}

static void a_list_survives_each_failure(void)
{
	fail_each_call_of(live_listed);
}

static void a_bell_that_fails_is_told(void)
{
	struct duoshm_create options = DUOSHM_CREATE_INIT;
	struct duoshm_segment *segment = NULL, *again = NULL;

	fake_begin();
	open_context();
	options.bells = 1;
	CU_ASSERT_EQUAL_FATAL(duoshm_segment_create(ctx, OBJECT "bell", 10, &options, &segment), 0);
	fake_fail(2, DUOSHM_ERR_LIMIT); /* after the attachment */
	CU_ASSERT_EQUAL(duoshm_segment_open(ctx, OBJECT "bell", 0, 0, &again), DUOSHM_ERR_LIMIT);
	CU_ASSERT_STRING_EQUAL(duoshm_failure()->call, "fake_bells_open()");
	CU_ASSERT_PTR_NULL(again);
	fake_fail(1, DUOSHM_ERR_PERMISSION);
	CU_ASSERT_EQUAL(duoshm_segment_ring(segment, 0), DUOSHM_ERR_PERMISSION);
	CU_ASSERT_STRING_EQUAL(duoshm_failure()->call, "fake_ring()");
	fake_fail(1, DUOSHM_ERR_SYSTEM);
	CU_ASSERT_EQUAL(duoshm_segment_sleep(segment, 0, 1000000000), DUOSHM_ERR_SYSTEM);
	CU_ASSERT_STRING_EQUAL(duoshm_failure()->call, "fake_wait()");
	fake_fail(1, DUOSHM_ERR_REMOVED);
	CU_ASSERT_EQUAL(duoshm_segment_sleep(segment, 0, 1000000000), DUOSHM_ERR_REMOVED);
	fake_fail(0, 0);
	CU_ASSERT_EQUAL(duoshm_remove(ctx, OBJECT "bell"), 0);
	CU_ASSERT_EQUAL(duoshm_segment_close(segment), 0);
	nothing_is_left("bell", 0);
	CU_ASSERT_EQUAL(duoshm_free(ctx), 0);
	fake_end();
}

/* ---- names that are taken --------------------------------------------------------------------------- */

static void a_taken_kernel_name_is_passed_over(void)
{
	struct duoshm_create options = DUOSHM_CREATE_INIT;
	struct duoshm_segment *segment = NULL;
	struct duoshm__native taken = {.segment_id = -1, .bells_id = -1};
	struct duoshm__map maps[3];
	struct duoshm__bells *bells;
	struct duoshm_failure why;
	unsigned i;

	fake_begin();
	open_context();
	options.bells = 1;
	/* The first name is taken by a segment, the second by a set. */
	snprintf(taken.text, sizeof taken.text, "other.0");
	CU_ASSERT_EQUAL(fake_backend.create(&taken, 100, 0600, &maps[0], &why), 0);
	snprintf(taken.text, sizeof taken.text, "other.1");
	CU_ASSERT_EQUAL(fake_backend.bells_create(&taken, 1, 0600, &bells, &why), 0);
	CU_ASSERT_EQUAL(duoshm_segment_create(ctx, OBJECT "other", 10, &options, &segment), 0);
	CU_ASSERT_EQUAL(fake_names(), 4);
	CU_ASSERT_EQUAL(duoshm_remove(ctx, OBJECT "other"), 0);
	CU_ASSERT_EQUAL(duoshm_segment_close(segment), 0);
	CU_ASSERT_EQUAL(fake_names(), 2);
	/* All of them taken. */
	snprintf(taken.text, sizeof taken.text, "other.2");
	CU_ASSERT_EQUAL(fake_backend.create(&taken, 100, 0600, &maps[1], &why), 0);
	CU_ASSERT_EQUAL(duoshm_segment_create(ctx, OBJECT "other", 10, &options, &segment),
		DUOSHM_ERR_COLLISION);
	CU_ASSERT_EQUAL(fake_names(), 3);
	CU_ASSERT_EQUAL(harness_entries(duoshm_directory(ctx)), 0);
	fake_backend.bells_close(bells);
	for (i = 0; i < 2; i++)
		fake_backend.detach(&maps[i], &why);
	CU_ASSERT_EQUAL(duoshm_free(ctx), 0);
	fake_end();
}

/* ---- the process dies at the nth call ----------------------------------------------------------------- */

struct death {
	unsigned nth;
	enum fake_moment moment;
	bool remove; /* it dies in the removal, not in the creation */
};

static int create_and_die(void *arg)
{
	const struct death *death = arg;
	struct duoshm_create options = DUOSHM_CREATE_INIT;
	struct duoshm_segment *segment;
	struct duoshm *own; /* the parent's context is the parent's */

	HARNESS_CHILD(new_context(&own) == 0);
	options.bells = 2;
	if (!death->remove)
		fake_kill(death->nth, death->moment);
	HARNESS_CHILD(duoshm_segment_create(own, OBJECT "dying", 64, &options, &segment) == 0);
	if (death->remove)
		fake_kill(death->nth, death->moment);
	HARNESS_CHILD(duoshm_remove(own, OBJECT "dying") == 0);
	HARNESS_CHILD(duoshm_segment_close(segment) == 0);
	HARNESS_CHILD(duoshm_free(own) == 0);
	return 0;
}

/* False: it lived through. */
static bool after_a_death(struct death *death)
{
	struct duoshm_create options = DUOSHM_CREATE_INIT;
	struct duoshm_segment *segment = NULL;
	int status = harness_wait(harness_fork(create_and_die, death)), result;

	fake_kill(0, FAKE_BEFORE);
	snprintf(step_text, sizeof step_text, "a death %s call %u of the %s",
		death->moment == FAKE_BEFORE ? "before" : "after", death->nth,
		death->remove ? "removal" : "creation");
	CU_ASSERT(status == 0 || status == -SIGKILL);
	options.bells = 2;
	result = duoshm_segment_create(ctx, OBJECT "dying", 64, &options, &segment);
	if (result < 0) {
		complain("cannot be created anew", result);
		return false;
	}
	if (fake_names() != 2)
		complain("the remains of the dead are still there", (int)fake_names());
	CU_ASSERT_EQUAL(duoshm_remove(ctx, OBJECT "dying"), 0);
	CU_ASSERT_EQUAL(duoshm_segment_close(segment), 0);
	nothing_is_left("death", death->nth);
	return status != 0;
}

static void die_at_each_call(bool remove)
{
	struct death death = {.remove = remove};
	unsigned deaths = 0;

	fake_begin();
	open_context();
	code = 0;
	for (death.nth = 1; death.nth < 100; death.nth++) {
		death.moment = FAKE_BEFORE;
		if (!after_a_death(&death))
			break;
		death.moment = FAKE_AFTER;
		if (!after_a_death(&death))
			break;
		deaths++;
	}
	CU_ASSERT(deaths >= (remove ? 1 : 3));
	CU_ASSERT_EQUAL(duoshm_free(ctx), 0);
	fake_end();
}

static void a_creator_may_die_at_each_call(void)
{
	die_at_each_call(false);
}

static void a_remover_may_die_at_each_call(void)
{
	die_at_each_call(true);
}

/* ---- slow answers ------------------------------------------------------------------------------------ */

static void a_slow_kernel_is_waited_for(void)
{
	fake_begin();
	open_context();
	fake_slow(2000000);
	told = 0;
	live_segment();
	CU_ASSERT_EQUAL(told, 0);
	nothing_is_left("slow", 0);
	CU_ASSERT_EQUAL(duoshm_free(ctx), 0);
	fake_end();
}

static const struct harness_case cases[] = {
	{"a segment survives each failure", a_segment_survives_each_failure},
	{"an unpublished segment survives each failure",
		an_unpublished_segment_survives_each_failure},
	{"a semaphore survives each failure", a_semaphore_survives_each_failure},
	{"a lock survives each failure", a_lock_survives_each_failure},
	{"a queue survives each failure", a_queue_survives_each_failure},
	{"a broadcast survives each failure", a_broadcast_survives_each_failure},
	{"a list survives each failure", a_list_survives_each_failure},
	{"a bell that fails is told", a_bell_that_fails_is_told},
	{"a taken kernel name is passed over", a_taken_kernel_name_is_passed_over},
	{"a creator may die at each call", a_creator_may_die_at_each_call},
	{"a remover may die at each call", a_remover_may_die_at_each_call},
	{"a slow kernel is waited for", a_slow_kernel_is_waited_for},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return harness_run(argc, argv, "native failures", cases);
}
