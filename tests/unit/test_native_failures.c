/* SPDX-License-Identifier: MIT */
/*
 * What the library does when a native call fails, or is the last thing that a process does. Each
 * life of an object is lived again and again, with the nth native call failing, for every n: the
 * error is the documented one and told in full, nothing is left, and the next call works. Then the
 * same with the creator killed at each native call, before and after its effect.
 */
#include "config.h"

#include "harness/fake_backend.h"
#include "harness/fixture.h"

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
	if (!stands((int)(call), #call) && !stands((int)(call), "again: " #call))                  \
	return

/* ---- lives ----------------------------------------------------------------------------------- */

static void live_segment(void)
{
	struct duoshm_create options = create_with(0, 2);
	struct duoshm_stat status = DUOSHM_STAT_INIT;
	struct duoshm_segment *made = NULL, *opened = NULL;

	STEP(duoshm_segment_create(ctx, OBJECT "seg", 1000, &options, &made));
	STEP(duoshm_segment_open(ctx, OBJECT "seg", 0, 0, &opened));
	((char *)duoshm_segment_data(made))[999] = 5;
	EXPECT(((char *)duoshm_segment_data(opened))[999], 5);
	STEP(duoshm_segment_ring(made, 1));
	STEP(duoshm_segment_sleep(opened, 1, 1000000000));
	STEP(duoshm_stat(ctx, OBJECT "seg", &status));
	STEP(duoshm_segment_close(opened));
	STEP(duoshm_remove(ctx, OBJECT "seg"));
	STEP(duoshm_segment_close(made));
}

static void live_unpublished(void)
{
	struct duoshm_create options = create_with(DUOSHM_UNPUBLISHED, 0);
	struct duoshm_segment *made = NULL;

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
	EXPECT(duoshm_semaphore_wait(opened, 0, 0), DUOSHM_ERR_TIMEOUT);
	STEP(duoshm_semaphore_post(made, 3));
	EXPECT(duoshm_semaphore_value(opened), 3);
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
	EXPECT(duoshm_lock_acquire(made, 0), DUOSHM_ERR_TIMEOUT);
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
	EXPECT_TEXT(text, "hello");
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
	CHECK(object->state == DUOSHM_LIVE || object->state == DUOSHM_UNKNOWN);
	++*(unsigned *)arg;
	return 0;
}

static void live_listed(void)
{
	struct duoshm_segment *made = NULL;
	unsigned n = 0;

	STEP(duoshm_segment_create(ctx, OBJECT "list", 10, NULL, &made));
	STEP(duoshm_list(ctx, 0, count_object, &n));
	EXPECT(n, 1);
	STEP(duoshm_reclaim(ctx, 0, NULL, NULL));
	EXPECT(fake_names(), 1);
	STEP(duoshm_segment_close(made));
	STEP(duoshm_remove(ctx, OBJECT "list"));
}

/* ---- the nth call fails ---------------------------------------------------------------------- */

static void begin(void)
{
	fake_begin();
	ctx = context_of(FAKE_NAME, NULL);
}

static void end(void)
{
	end_context(ctx);
	fake_end();
}

static void nothing_is_left(const char *when, unsigned nth)
{
	unsigned names = fake_names(), entries = harness_entries(duoshm_directory(ctx));
	int maps = fake_attachments(), bells = fake_open_bells();

	if (names == 0 && entries == 0 && maps == 0 && bells == 0)
		return;
	fprintf(stderr, "\n%s %u (\"%s\", %d), after %s:\n", when, nth, fake_failed(), code,
		step_text);
	fprintf(stderr, "%u names, %d attachments, %d bells, %u entries\n", names, maps, bells,
		entries);
	CU_FAIL("something is left");
}

/* Calls whose failure nobody can live with in silence; others only look, or give back. */
static bool must_be_told(const char *call)
{
	return strcmp(call, "derive") == 0 || strcmp(call, "create") == 0 ||
	       strcmp(call, "bells_create") == 0 || strcmp(call, "remove") == 0;
}

/* How many native calls a life has. */
static unsigned live_undisturbed(void (*live)(void))
{
	fake_fail(0, 0);
	told = 0;
	live();
	EXPECT(told, 0);
	nothing_is_left("undisturbed", 0);
	CHECK(fake_calls() >= 5);
	return fake_calls();
}

static void live_with_a_failure(void (*live)(void), unsigned nth)
{
	told = 0;
	fake_fail(nth, code);
	live();
	fake_fail(0, 0);
	if (must_be_told(fake_failed()) && told == 0)
		complain("was not told", 0);
	nothing_is_left("call", nth);
}

static void each_kind_survives_each_failure(void)
{
	static const int codes[] = {
		DUOSHM_ERR_LIMIT, DUOSHM_ERR_NO_SPACE, DUOSHM_ERR_PERMISSION, DUOSHM_ERR_SYSTEM};
	static void (*const lives[])(void) = {live_segment, live_unpublished, live_semaphore,
		live_lock, live_queue, live_broadcast, live_listed};

	for (size_t life = 0; life < sizeof lives / sizeof *lives; life++) {
		begin();
		unsigned calls = live_undisturbed(lives[life]);
		for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
			code = codes[i];
			for (unsigned nth = 1; nth <= calls; nth++)
				live_with_a_failure(lives[life], nth);
		}
		end();
	}
}

static void a_bell_that_fails_is_told(void)
{
	struct duoshm_create options = create_with(0, 1);
	struct duoshm_segment *segment = NULL, *again = NULL;

	begin();
	OK(duoshm_segment_create(ctx, OBJECT "bell", 10, &options, &segment));
	fake_fail(2, DUOSHM_ERR_LIMIT); /* after the attachment */
	EXPECT(duoshm_segment_open(ctx, OBJECT "bell", 0, 0, &again), DUOSHM_ERR_LIMIT);
	EXPECT_TEXT(duoshm_failure()->call, "fake_bells_open()");
	CHECK(again == NULL);
	fake_fail(1, DUOSHM_ERR_PERMISSION);
	EXPECT(duoshm_segment_ring(segment, 0), DUOSHM_ERR_PERMISSION);
	EXPECT_TEXT(duoshm_failure()->call, "fake_ring()");
	fake_fail(1, DUOSHM_ERR_SYSTEM);
	EXPECT(duoshm_segment_sleep(segment, 0, 1000000000), DUOSHM_ERR_SYSTEM);
	EXPECT_TEXT(duoshm_failure()->call, "fake_wait()");
	fake_fail(1, DUOSHM_ERR_REMOVED);
	EXPECT(duoshm_segment_sleep(segment, 0, 1000000000), DUOSHM_ERR_REMOVED);
	fake_fail(0, 0);
	EXPECT(duoshm_remove(ctx, OBJECT "bell"), 0);
	EXPECT(duoshm_segment_close(segment), 0);
	nothing_is_left("bell", 0);
	end();
}

/* ---- names that are taken -------------------------------------------------------------------- */

static void a_taken_kernel_name_is_passed_over(void)
{
	struct duoshm_create options = create_with(0, 1);
	struct duoshm_segment *segment = NULL;
	struct duoshm__native taken[3];
	struct duoshm__map maps[2];
	struct duoshm__bells *bells;
	struct duoshm_failure why;

	begin();
	for (int i = 0; i < 3; i++)
		snprintf(taken[i].text, sizeof taken[i].text, "other.%d", i);
	/* The first name is taken by a segment, the second by a set. */
	EXPECT(fake_backend.create(&taken[0], 100, 0600, &maps[0], &why), 0);
	EXPECT(fake_backend.bells_create(&taken[1], 1, 0600, &bells, &why), 0);
	EXPECT(duoshm_segment_create(ctx, OBJECT "other", 10, &options, &segment), 0);
	EXPECT(fake_names(), 4);
	EXPECT(duoshm_remove(ctx, OBJECT "other"), 0);
	end_segment(segment);
	EXPECT(fake_names(), 2);
	/* All of them taken. */
	EXPECT(fake_backend.create(&taken[2], 100, 0600, &maps[1], &why), 0);
	EXPECT(duoshm_segment_create(ctx, OBJECT "other", 10, &options, &segment),
		DUOSHM_ERR_COLLISION);
	EXPECT(fake_names(), 3);
	EXPECT(harness_entries(duoshm_directory(ctx)), 0);
	fake_backend.bells_close(bells);
	for (int i = 0; i < 2; i++)
		fake_backend.detach(&maps[i], &why);
	end();
}

/* ---- the process dies at the nth call -------------------------------------------------------- */

struct death {
	unsigned nth;
	enum fake_moment moment;
	bool remove; /* it dies in the removal, not in the creation */
};

static int create_and_die(void *arg)
{
	const struct death *death = arg;
	struct duoshm_create options = create_with(0, 2);
	struct duoshm_segment *segment;
	struct duoshm *own = context_of(FAKE_NAME, NULL); /* the parent's context is the parent's */

	if (!death->remove)
		fake_kill(death->nth, death->moment);
	OK(duoshm_segment_create(own, OBJECT "dying", 64, &options, &segment));
	if (death->remove)
		fake_kill(death->nth, death->moment);
	OK(duoshm_remove(own, OBJECT "dying"));
	OK(duoshm_segment_close(segment));
	OK(duoshm_free(own));
	return 0;
}

static int create_and_exit(void *arg)
{
	static struct duoshm_segment *segment; /* it dies with it: reachable, for valgrind */

	(void)arg;
	OK(duoshm_segment_create(context_of(FAKE_NAME, NULL), OBJECT "orphan", 64, NULL, &segment));
	return 0;
}

/* False: it lived through. */
static bool after_a_death(struct death *death)
{
	struct duoshm_create options = create_with(0, 2);
	struct duoshm_segment *segment = NULL;
	int status = harness_wait(harness_fork(create_and_die, death)), result;

	fake_kill(0, FAKE_BEFORE);
	snprintf(step_text, sizeof step_text, "a death %s call %u of the %s",
		death->moment == FAKE_BEFORE ? "before" : "after", death->nth,
		death->remove ? "removal" : "creation");
	CHECK(status == 0 || status == -SIGKILL);
	result = duoshm_segment_create(ctx, OBJECT "dying", 64, &options, &segment);
	if (result < 0) {
		complain("cannot be created anew", result);
		return false;
	}
	if (fake_names() != 2)
		complain("the remains of the dead are still there", (int)fake_names());
	EXPECT(duoshm_remove(ctx, OBJECT "dying"), 0);
	EXPECT(duoshm_segment_close(segment), 0);
	nothing_is_left("death", death->nth);
	return status != 0;
}

static void die_at_each_call(bool remove)
{
	struct death death = {.remove = remove};
	unsigned deaths = 0;

	begin();
	code = 0;
	for (bool died = true; died && death.nth < 100; deaths += died) {
		death.nth++;
		death.moment = FAKE_BEFORE;
		died = after_a_death(&death);
		death.moment = FAKE_AFTER;
		died = died && after_a_death(&death);
	}
	CHECK(deaths >= (remove ? 1 : 3));
	end();
}

static void a_creator_may_die_at_each_call(void)
{
	die_at_each_call(false);
}

static void a_remover_may_die_at_each_call(void)
{
	die_at_each_call(true);
}

/* ---- what a message adds --------------------------------------------------------------------- */

/* A limit's cure counts the orphans that would make room. */
static void a_limit_tells_the_orphans(void)
{
	struct duoshm_segment *segment = NULL;

	begin();
	EXPECT(harness_wait(harness_fork(create_and_exit, NULL)), 0);
	fake_fail(2, DUOSHM_ERR_LIMIT);
	EXPECT(duoshm_segment_create(ctx, OBJECT "more", 64, NULL, &segment), DUOSHM_ERR_LIMIT);
	EXPECT_PART(duoshm_failure()->cure, "would free 1");
	EXPECT(duoshm_reclaim(ctx, 0, NULL, NULL), 1);
	end();
}

static const struct harness_case cases[] = {
	{"each kind survives each failure", each_kind_survives_each_failure},
	{"a bell that fails is told", a_bell_that_fails_is_told},
	{"a taken kernel name is passed over", a_taken_kernel_name_is_passed_over},
	{"a creator may die at each call", a_creator_may_die_at_each_call},
	{"a remover may die at each call", a_remover_may_die_at_each_call},
	{"a limit tells how many orphans there are", a_limit_tells_the_orphans},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return harness_run(argc, argv, "native failures", cases);
}
