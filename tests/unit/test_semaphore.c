/* SPDX-License-Identifier: MIT */
/* Counting semaphores: what each call answers, what sleeps and who wakes, what a kill leaves, what it costs. */
#include "config.h"

#include "core/context.h"
#include "core/semaphore_layout.h"
#include "duoshm.h"
#include "harness/harness.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define MS INT64_C(1000000)

static struct duoshm *ctx;
static struct duoshm_semaphore *semaphore;

static struct duoshm *context(void)
{
	struct duoshm_options options = DUOSHM_OPTIONS_INIT;
	struct duoshm *made = NULL;

	options.backend = harness_backend();
	HARNESS_CHILD(duoshm_new(&options, &made) == 0);
	return made;
}

static const char *name(void)
{
	return harness_name("semaphore");
}

static void begin(unsigned value)
{
	ctx = context();
	CU_ASSERT_EQUAL_FATAL(
		duoshm_semaphore_create(ctx, name(), value, NULL, &semaphore), DUOSHM_CREATED);
}

static void end(void)
{
	int result = duoshm_remove(ctx, name());

	CU_ASSERT_TRUE(result == 0 || result == DUOSHM_ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(duoshm_semaphore_close(semaphore), 0);
	CU_ASSERT_EQUAL(duoshm_free(ctx), 0);
}

static struct duoshm_semaphore *open_own(struct duoshm *own)
{
	struct duoshm_semaphore *opened = NULL;

	HARNESS_CHILD(duoshm_semaphore_open(own, name(), 0, 0, &opened) == 0);
	return opened;
}

/* ---- answers ---- */

static void counts(void)
{
	begin(2);
	CU_ASSERT_EQUAL(duoshm_semaphore_wait(semaphore, 0, 0), 0);
	CU_ASSERT_EQUAL(duoshm_semaphore_wait(semaphore, 0, 0), 0);
	CU_ASSERT_EQUAL(duoshm_semaphore_wait(semaphore, 0, 0), DUOSHM_ERR_TIMEOUT);
	CU_ASSERT_EQUAL(duoshm_semaphore_wait(semaphore, 5 * MS, 0), DUOSHM_ERR_TIMEOUT);
	CU_ASSERT_EQUAL(duoshm_semaphore_post(semaphore, 5), 0);
	CU_ASSERT_EQUAL(duoshm_semaphore_value(semaphore), 5);
	end();
}

static void overflow_posts_nothing(void)
{
	begin(32766);
	CU_ASSERT_EQUAL(duoshm_semaphore_post(semaphore, 2), DUOSHM_ERR_OVERFLOW);
	CU_ASSERT_EQUAL(duoshm_semaphore_value(semaphore), 32766);
	CU_ASSERT_EQUAL(duoshm_semaphore_post(semaphore, 1), 0);
	CU_ASSERT_EQUAL(duoshm_semaphore_post(semaphore, 32767), DUOSHM_ERR_OVERFLOW);
	CU_ASSERT_EQUAL(duoshm_semaphore_value(semaphore), 32767);
	end();
}

static void refuses_nonsense(void)
{
	struct duoshm_semaphore *other = NULL;

	begin(0);
	CU_ASSERT_EQUAL(duoshm_semaphore_post(semaphore, 0), DUOSHM_ERR_INVALID);
	CU_ASSERT_EQUAL(duoshm_semaphore_post(semaphore, 32768), DUOSHM_ERR_INVALID);
	CU_ASSERT_EQUAL(duoshm_semaphore_wait(semaphore, -1, 0), DUOSHM_ERR_INVALID);
	CU_ASSERT_EQUAL(duoshm_semaphore_wait(semaphore, 0, DUOSHM_READ_ONLY), DUOSHM_ERR_INVALID);
	CU_ASSERT_EQUAL(duoshm_semaphore_post(NULL, 1), DUOSHM_ERR_INVALID);
	CU_ASSERT_EQUAL(
		duoshm_semaphore_create(ctx, name(), 32768, NULL, &other), DUOSHM_ERR_INVALID);
	CU_ASSERT_PTR_NULL(other);
	end();
}

static void read_only_reads_the_value(void)
{
	struct duoshm_semaphore *reader = NULL;

	begin(3);
	CU_ASSERT_EQUAL_FATAL(duoshm_semaphore_open(ctx, name(), DUOSHM_READ_ONLY, 0, &reader), 0);
	CU_ASSERT_EQUAL(duoshm_semaphore_value(reader), 3);
	CU_ASSERT_EQUAL(duoshm_semaphore_post(reader, 1), DUOSHM_ERR_READ_ONLY);
	CU_ASSERT_EQUAL(duoshm_semaphore_wait(reader, 0, 0), DUOSHM_ERR_READ_ONLY);
	CU_ASSERT_EQUAL(duoshm_semaphore_close(reader), 0);
	end();
}

/* What a hostile peer may have written is CORRUPT or a value, never a loop. */
static void scribbled_word(void)
{
	static const uint32_t words[] = {0xffffffff, 0x8000, 0xffff, 0x40000, 0x80000001, 0x1ffff};
	struct duoshm_segment *raw = NULL;
	struct duoshm__semaphore *shared;

	begin(0);
	CU_ASSERT_EQUAL_FATAL(duoshm_segment_open(ctx, name(), DUOSHM_ANY_KIND, 0, &raw), 0);
	shared = duoshm_segment_data(raw);
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		duoshm__store32(&shared->word, words[i]);
		CU_ASSERT_EQUAL(duoshm_semaphore_post(semaphore, 1), DUOSHM_ERR_CORRUPT);
		CU_ASSERT_EQUAL(duoshm_semaphore_wait(semaphore, MS, 0), DUOSHM_ERR_CORRUPT);
		CU_ASSERT_EQUAL(duoshm_semaphore_value(semaphore), DUOSHM_ERR_CORRUPT);
	}
	duoshm__store32(&shared->word, 0);
	CU_ASSERT_EQUAL(duoshm_segment_close(raw), 0);
	end();
}

static void removed_is_for_ever(void)
{
	begin(7);
	CU_ASSERT_EQUAL(duoshm_remove(ctx, name()), 0);
	CU_ASSERT_EQUAL(duoshm_semaphore_post(semaphore, 1), DUOSHM_ERR_REMOVED);
	CU_ASSERT_EQUAL(duoshm_semaphore_wait(semaphore, 0, 0), DUOSHM_ERR_REMOVED);
	CU_ASSERT_EQUAL(duoshm_semaphore_value(semaphore), DUOSHM_ERR_REMOVED);
	end();
}

/* ---- sleeping ---- */

/*
 * Slices of a hundred seconds: who is not woken by a ring now hangs until the harness ends it, instead of finding
 * out by itself a little later.
 */
static struct duoshm__backend patient;
static const struct duoshm__backend *real;

static int wait_patiently(
	struct duoshm__bells *bells, unsigned bell, int64_t timeout_ns, struct duoshm_failure *why)
{
	return real->wait(bells, bell, timeout_ns * 1000, why);
}

static void begin_patient(void)
{
	real = duoshm__backend_find(harness_backend());
	patient = *real;
	patient.wait = wait_patiently;
	duoshm__backend_replace(&patient);
	begin(0);
}

static void end_patient(void)
{
	end();
	duoshm__backend_replace(NULL);
}

static int wait_for_units(void *count)
{
	struct duoshm *own = context();
	struct duoshm_semaphore *opened = open_own(own);

	for (int i = 0; i < *(int *)count; i++)
		HARNESS_CHILD(duoshm_semaphore_wait(opened, 20000 * MS, 0) == 0);
	HARNESS_CHILD(duoshm_semaphore_close(opened) == 0);
	HARNESS_CHILD(duoshm_free(own) == 0);
	return 0;
}

static void post_wakes(void)
{
	int one = 1;
	pid_t pid;

	begin_patient();
	pid = harness_fork(wait_for_units, &one);
	harness_until_asleep(pid);
	CU_ASSERT_EQUAL(duoshm_semaphore_post(semaphore, 1), 0);
	CU_ASSERT_EQUAL(harness_wait(pid), 0);
	CU_ASSERT_EQUAL(duoshm_semaphore_value(semaphore), 0);
	end_patient();
}

/* One post rings once; the sleepers pass it on. */
static void one_post_wakes_many(void)
{
	enum { SLEEPERS = 8 };
	pid_t pids[SLEEPERS];
	int one = 1;

	begin_patient();
	for (int i = 0; i < SLEEPERS; i++)
		pids[i] = harness_fork(wait_for_units, &one);
	for (int i = 0; i < SLEEPERS; i++)
		harness_until_asleep(pids[i]);
	CU_ASSERT_EQUAL(duoshm_semaphore_post(semaphore, SLEEPERS), 0);
	for (int i = 0; i < SLEEPERS; i++)
		CU_ASSERT_EQUAL(harness_wait(pids[i]), 0);
	CU_ASSERT_EQUAL(duoshm_semaphore_value(semaphore), 0);
	end_patient();
}

static int wait_until_removed(void *arg)
{
	struct duoshm *own = context();
	struct duoshm_semaphore *opened = open_own(own);

	(void)arg;
	HARNESS_CHILD(duoshm_semaphore_wait(opened, DUOSHM_FOREVER, 0) == DUOSHM_ERR_REMOVED);
	HARNESS_CHILD(duoshm_semaphore_post(opened, 1) == DUOSHM_ERR_REMOVED);
	HARNESS_CHILD(duoshm_semaphore_close(opened) == 0);
	HARNESS_CHILD(duoshm_free(own) == 0);
	return 0;
}

static void removal_wakes_all(void)
{
	enum { SLEEPERS = 8 };
	pid_t pids[SLEEPERS];

	begin_patient();
	for (int i = 0; i < SLEEPERS; i++)
		pids[i] = harness_fork(wait_until_removed, NULL);
	for (int i = 0; i < SLEEPERS; i++)
		harness_until_asleep(pids[i]);
	CU_ASSERT_EQUAL(duoshm_remove(ctx, name()), 0);
	for (int i = 0; i < SLEEPERS; i++)
		CU_ASSERT_EQUAL(harness_wait(pids[i]), 0);
	end_patient();
}

static void nothing(int signal)
{
	(void)signal;
}

static int wait_for_signal(void *flags)
{
	struct duoshm *own = context();
	struct duoshm_semaphore *opened = open_own(own);
	struct sigaction action = {.sa_handler = nothing};
	bool interruptible = *(unsigned *)flags != 0;

	sigaction(SIGUSR1, &action, NULL);
	HARNESS_CHILD(duoshm_semaphore_post(opened, 2) == 0); /* "I am ready" */
	HARNESS_CHILD(duoshm_semaphore_wait(opened, 0, 0) == 0);
	HARNESS_CHILD(duoshm_semaphore_wait(opened, 0, 0) == 0);
	HARNESS_CHILD(duoshm_semaphore_wait(
			      opened, interruptible ? 20000 * MS : 300 * MS, *(unsigned *)flags) ==
		      (interruptible ? DUOSHM_ERR_INTERRUPTED : DUOSHM_ERR_TIMEOUT));
	HARNESS_CHILD(duoshm_semaphore_close(opened) == 0);
	HARNESS_CHILD(duoshm_free(own) == 0);
	return 0;
}

static void signal_at(unsigned flags)
{
	pid_t pid;

	begin(0);
	pid = harness_fork(wait_for_signal, &flags);
	harness_until_asleep(pid);
	kill(pid, SIGUSR1);
	CU_ASSERT_EQUAL(harness_wait(pid), 0);
	end();
}

static void signal_ends_an_interruptible_wait(void)
{
	signal_at(DUOSHM_INTERRUPTIBLE);
}

static void signal_does_not_end_another_wait(void)
{
	signal_at(0);
}

static int64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The slices in which a sleeper looks again must not shorten its time. */
static void timeout_lasts(void)
{
	int64_t before = clock_ms();

	begin(0);
	CU_ASSERT_EQUAL(duoshm_semaphore_wait(semaphore, 250 * MS, 0), DUOSHM_ERR_TIMEOUT);
	CU_ASSERT_TRUE(clock_ms() - before >= 250);
	end();
}

/* ---- kills ---- */

/*
 * A ledger in memory of its own: units are posted and taken by children that are killed in between. A unit is lost
 * at most with the child that had just taken it; never are more taken than posted, and a living waiter is served.
 */
struct ledger {
	_Atomic long taken, posted;
};
static struct ledger *ledger;

static int churn(void *arg)
{
	struct duoshm *own = context();
	struct duoshm_semaphore *opened = open_own(own);

	(void)arg;
	for (;;) {
		ledger->posted++; /* before: a kill in between can only make the sum too high */
		if (duoshm_semaphore_post(opened, 1) != 0)
			return 1;
		if (duoshm_semaphore_wait(opened, 20000 * MS, 0) != 0)
			return 2;
		ledger->taken++;
	}
}

static void kill_storm(void)
{
	enum { CHILDREN = 4 };
	long kills = harness_scale(40, 200, 3000);
	pid_t pids[CHILDREN];
	unsigned random = 1;
	int one = 1;
	pid_t last;

	begin(0);
	ledger = mmap(
		NULL, sizeof *ledger, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CU_ASSERT_TRUE_FATAL(ledger != MAP_FAILED);
	for (int i = 0; i < CHILDREN; i++)
		pids[i] = harness_fork(churn, NULL);
	for (long i = 0; i < kills; i++) {
		long before = ledger->taken;

		random = random * 1103515245 + 12345;
		for (unsigned n = 0; n < random % 1000 && ledger->taken == before; n++)
			sched_yield();
		harness_kill(pids[i % CHILDREN]);
		pids[i % CHILDREN] = harness_fork(churn, NULL);
	}
	for (int i = 0; i < CHILDREN; i++)
		harness_kill(pids[i]);
	/* taken was counted after the taking, so each killed child may have taken one more. */
	CU_ASSERT_TRUE(duoshm_semaphore_value(semaphore) + ledger->taken <= ledger->posted);
	CU_ASSERT_TRUE(duoshm_semaphore_value(semaphore) + ledger->taken >=
		       ledger->posted - 2 * (kills + CHILDREN));
	CU_ASSERT_TRUE(ledger->taken > kills);
	/* And it works as on the first day. */
	while (duoshm_semaphore_wait(semaphore, 0, 0) == 0)
		;
	last = harness_fork(wait_for_units, &one);
	harness_until_asleep(last);
	CU_ASSERT_EQUAL(duoshm_semaphore_post(semaphore, 1), 0);
	CU_ASSERT_EQUAL(harness_wait(last), 0);
	munmap(ledger, sizeof *ledger);
	end();
}

/* A sleeper is killed, then others wait: none is forgotten for the dead one. */
static void killed_sleeper_is_no_burden(void)
{
	int one = 1;
	pid_t dead, living;

	begin(0);
	dead = harness_fork(wait_for_units, &one);
	living = harness_fork(wait_for_units, &one);
	harness_until_asleep(dead);
	harness_until_asleep(living);
	harness_kill(dead);
	CU_ASSERT_EQUAL(duoshm_semaphore_post(semaphore, 1), 0);
	CU_ASSERT_EQUAL(harness_wait(living), 0);
	end();
}

/* ---- threads ---- */

enum { THREADS = 4, ROUNDS = 3000 };
static _Atomic long inside, most, crossings;

static void *cross(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		if (duoshm_semaphore_wait(semaphore, 20000 * MS, 0) != 0)
			return arg;
		long now = ++inside;
		if (now > most)
			most = now;
		crossings++;
		inside--;
		if (duoshm_semaphore_post(semaphore, 1) != 0)
			return arg;
	}
	return NULL;
}

static void threads_share_a_handle(void)
{
	pthread_t threads[THREADS];
	void *failed;

	begin(2);
	inside = most = crossings = 0;
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, cross, ctx);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &failed);
		CU_ASSERT_PTR_NULL(failed);
	}
	CU_ASSERT_EQUAL(crossings, THREADS * ROUNDS);
	CU_ASSERT_TRUE(most <= 2);
	CU_ASSERT_EQUAL(duoshm_semaphore_value(semaphore), 2);
	end();
}

/* ---- cost ---- */

static struct duoshm_semaphore *own; /* of the child that is counted */

static int prepare(void *arg)
{
	(void)arg;
	own = open_own(context());
	return duoshm_semaphore_post(own, 1) || duoshm_semaphore_wait(own, 0, 0);
}

static int uncontended(void *arg)
{
	(void)arg;
	for (int i = 0; i < 100; i++)
		if (duoshm_semaphore_post(own, 1) || duoshm_semaphore_wait(own, DUOSHM_FOREVER, 0))
			return 1;
	return duoshm_semaphore_value(own) != 0;
}

static void uncontended_makes_no_system_call(void)
{
	int calls;

	if (harness_instrumented())
		HARNESS_SKIP("instruments make calls of their own");
	begin(0);
	calls = harness_count_calls(prepare, uncontended, NULL);
	if (calls == HARNESS_NO_TRACE)
		harness_skip("no ptrace");
	else
		CU_ASSERT_EQUAL(calls, 0);
	end();
}

static int use_the_parents(void *arg)
{
	(void)arg;
	HARNESS_CHILD(duoshm_semaphore_post(semaphore, 1) == DUOSHM_ERR_FORKED);
	HARNESS_CHILD(duoshm_semaphore_wait(semaphore, 0, 0) == DUOSHM_ERR_FORKED);
	HARNESS_CHILD(duoshm_semaphore_value(semaphore) == DUOSHM_ERR_FORKED);
	HARNESS_CHILD(duoshm_semaphore_close(semaphore) == DUOSHM_ERR_FORKED);
	HARNESS_CHILD(duoshm_free(ctx) == DUOSHM_ERR_FORKED);
	return 0;
}

static void fork_child_has_no_handle(void)
{
	begin(1);
	CU_ASSERT_EQUAL(harness_wait(harness_fork(use_the_parents, NULL)), 0);
	CU_ASSERT_EQUAL(duoshm_semaphore_wait(semaphore, 0, 0), 0);
	end();
}

static const struct harness_case cases[] = {
	{"counts", counts},
	{"an overflow posts nothing", overflow_posts_nothing},
	{"refuses nonsense", refuses_nonsense},
	{"read-only reads the value alone", read_only_reads_the_value},
	{"a scribbled word is CORRUPT", scribbled_word},
	{"removed is for ever", removed_is_for_ever},
	{"a post wakes a sleeper", post_wakes},
	{"one post wakes many sleepers", one_post_wakes_many},
	{"removal wakes all sleepers", removal_wakes_all},
	{"a signal ends an interruptible wait", signal_ends_an_interruptible_wait},
	{"a signal does not end another wait", signal_does_not_end_another_wait},
	{"a timeout lasts as long as it says", timeout_lasts},
	{"a killed sleeper is no burden", killed_sleeper_is_no_burden},
	{"no unit is lost in a storm of kills", kill_storm},
	{"threads share a handle", threads_share_a_handle},
	{"uncontended, no system call", uncontended_makes_no_system_call},
	{"a forked child has no handle", fork_child_has_no_handle},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return harness_run_each(argc, argv, "semaphore", cases);
}
