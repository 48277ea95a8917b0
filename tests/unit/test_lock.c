/* SPDX-License-Identifier: MIT */
/* Locks that survive their holder: who gets it, who learns of a death, what stat says, what it costs. */
#include "config.h"

#include "core/context.h"
#include "core/lock_layout.h"
#include "duoshm.h"
#include "harness/harness.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define MS       INT64_C(1000000)
#define PATIENCE (20000 * MS)
#define HANDLES  1024

static struct duoshm *ctx;
static struct duoshm_lock *lock;
static struct duoshm_lock *of_child; /* of a child that does not live to close it */

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
	return harness_name("lock");
}

static void begin(void)
{
	ctx = context();
	CU_ASSERT_EQUAL_FATAL(duoshm_lock_create(ctx, name(), NULL, &lock), DUOSHM_CREATED);
}

static void end(void)
{
	int result = duoshm_remove(ctx, name());

	CU_ASSERT_TRUE(result == 0 || result == DUOSHM_ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(duoshm_lock_close(lock), 0);
	CU_ASSERT_EQUAL(duoshm_free(ctx), 0);
}

static struct duoshm_lock *open_own(struct duoshm *own)
{
	struct duoshm_lock *opened = NULL;

	HARNESS_CHILD(duoshm_lock_open(own, name(), 0, 0, &opened) == 0);
	return opened;
}

/* ---- answers ---- */

static void each_handle_is_a_holder(void)
{
	struct duoshm_lock *other;

	begin();
	other = open_own(ctx);
	CU_ASSERT_EQUAL(duoshm_lock_release(lock), DUOSHM_ERR_NOT_OWNER);
	CU_ASSERT_EQUAL(duoshm_lock_acquire(lock, 0), 0);
	CU_ASSERT_EQUAL(duoshm_lock_acquire(lock, 0), DUOSHM_ERR_DEADLOCK);
	CU_ASSERT_EQUAL(duoshm_lock_acquire(lock, DUOSHM_FOREVER), DUOSHM_ERR_DEADLOCK);
	CU_ASSERT_EQUAL(duoshm_lock_acquire(other, 0), DUOSHM_ERR_TIMEOUT);
	CU_ASSERT_EQUAL(duoshm_lock_acquire(other, 5 * MS), DUOSHM_ERR_TIMEOUT);
	CU_ASSERT_EQUAL(duoshm_lock_release(other), DUOSHM_ERR_NOT_OWNER);
	CU_ASSERT_EQUAL(duoshm_lock_release(lock), 0);
	CU_ASSERT_EQUAL(duoshm_lock_acquire(other, 0), 0);
	CU_ASSERT_EQUAL(duoshm_lock_release(other), 0);
	CU_ASSERT_EQUAL(duoshm_lock_release(other), DUOSHM_ERR_NOT_OWNER);
	CU_ASSERT_EQUAL(duoshm_lock_close(other), 0);
	end();
}

static void refuses_nonsense(void)
{
	struct duoshm_lock *other = NULL;

	begin();
	CU_ASSERT_EQUAL(duoshm_lock_acquire(lock, -1), DUOSHM_ERR_INVALID);
	CU_ASSERT_EQUAL(duoshm_lock_acquire(NULL, 0), DUOSHM_ERR_INVALID);
	CU_ASSERT_EQUAL(
		duoshm_lock_open(ctx, name(), DUOSHM_READ_ONLY, 0, &other), DUOSHM_ERR_INVALID);
	CU_ASSERT_PTR_NULL(other);
	CU_ASSERT_EQUAL(duoshm_lock_close(NULL), 0);
	end();
}

static void close_releases(void)
{
	struct duoshm_lock *other;

	begin();
	other = open_own(ctx);
	CU_ASSERT_EQUAL(duoshm_lock_acquire(other, 0), 0);
	CU_ASSERT_EQUAL(duoshm_lock_close(other), 0);
	CU_ASSERT_EQUAL(duoshm_lock_acquire(lock, 0), 0);
	end();
}

static void stat_tells_the_holder(void)
{
	struct duoshm_stat stat = DUOSHM_STAT_INIT;

	begin();
	CU_ASSERT_EQUAL(duoshm_stat(ctx, name(), &stat), 0);
	CU_ASSERT_EQUAL(stat.holder_pid, 0);
	CU_ASSERT_EQUAL(duoshm_lock_acquire(lock, 0), 0);
	CU_ASSERT_EQUAL(duoshm_stat(ctx, name(), &stat), 0);
	CU_ASSERT_EQUAL(stat.holder_pid, getpid());
	CU_ASSERT_TRUE(stat.held_since_ns >= stat.created_ns - 20 * MS);
	CU_ASSERT_EQUAL(duoshm_lock_release(lock), 0);
	CU_ASSERT_EQUAL(duoshm_stat(ctx, name(), &stat), 0);
	CU_ASSERT_EQUAL(stat.holder_pid, 0);
	CU_ASSERT_EQUAL(stat.held_since_ns, 0);
	end();
}

static void removed_is_for_ever(void)
{
	begin();
	CU_ASSERT_EQUAL(duoshm_lock_acquire(lock, 0), 0);
	CU_ASSERT_EQUAL(duoshm_remove(ctx, name()), 0);
	CU_ASSERT_EQUAL(duoshm_lock_release(lock), DUOSHM_ERR_REMOVED);
	CU_ASSERT_EQUAL(duoshm_lock_acquire(lock, 0), DUOSHM_ERR_REMOVED);
	end();
}

/* The handle's number is part of the word: no more than there are numbers, and each is given out again. */
static void handles_are_numbered(void)
{
	static struct duoshm_lock *many[HANDLES];
	struct duoshm_lock *more = NULL;
	int n = 0;

	begin();
	while (n < HANDLES && duoshm_lock_open(ctx, name(), 0, 0, &many[n]) == 0)
		n++;
	if (n < HANDLES - 1 && duoshm_failure()->code == DUOSHM_ERR_LIMIT &&
		duoshm_failure()->system_error != 0) {
		while (n-- > 0)
			CU_ASSERT_EQUAL(duoshm_lock_close(many[n]), 0);
		end();
		HARNESS_SKIP("the system does not let a process attach that often");
	}
	CU_ASSERT_EQUAL(n, HANDLES - 1);
	CU_ASSERT_EQUAL(duoshm_lock_open(ctx, name(), 0, 0, &more), DUOSHM_ERR_LIMIT);
	CU_ASSERT_EQUAL(duoshm_lock_close(many[500]), 0);
	CU_ASSERT_EQUAL(duoshm_lock_open(ctx, name(), 0, 0, &many[500]), 0);
	CU_ASSERT_EQUAL(duoshm_lock_acquire(many[500], 0), 0);
	CU_ASSERT_EQUAL(duoshm_lock_acquire(many[499], 0), DUOSHM_ERR_TIMEOUT);
	while (n-- > 0)
		CU_ASSERT_EQUAL(duoshm_lock_close(many[n]), 0);
	end();
}

/* ---- death ---- */

static int hold_and_die(void *arg)
{
	(void)arg;
	of_child = open_own(context());
	HARNESS_CHILD(duoshm_lock_acquire(of_child, PATIENCE) >= 0);
	kill(getpid(), SIGKILL);
	return 0;
}

static void death_is_told_until_mended(void)
{
	begin();
	CU_ASSERT_EQUAL(harness_wait(harness_fork(hold_and_die, NULL)), -SIGKILL);
	CU_ASSERT_EQUAL(duoshm_lock_acquire(lock, 0), DUOSHM_OWNER_DEAD);
	CU_ASSERT_EQUAL(duoshm_lock_release(lock), 0);
	CU_ASSERT_EQUAL(duoshm_lock_acquire(lock, 0), 0);
	CU_ASSERT_EQUAL(duoshm_lock_release(lock), 0);
	/* Who learns of it and dies too, mended nothing. */
	CU_ASSERT_EQUAL(harness_wait(harness_fork(hold_and_die, NULL)), -SIGKILL);
	CU_ASSERT_EQUAL(harness_wait(harness_fork(hold_and_die, NULL)), -SIGKILL);
	CU_ASSERT_EQUAL(duoshm_lock_acquire(lock, 0), DUOSHM_OWNER_DEAD);
	CU_ASSERT_EQUAL(duoshm_lock_release(lock), 0);
	end();
}

struct held {
	struct harness_gate holds, go;
};

static int hold(void *arg)
{
	struct held *held = arg;
	struct duoshm *own = context();
	struct duoshm_lock *opened = open_own(own);

	HARNESS_CHILD(duoshm_lock_acquire(opened, 0) == 0);
	harness_gate_open(&held->holds);
	HARNESS_CHILD(harness_gate_pass(&held->go));
	HARNESS_CHILD(duoshm_lock_release(opened) == 0);
	HARNESS_CHILD(duoshm_lock_close(opened) == 0);
	HARNESS_CHILD(duoshm_free(own) == 0);
	return 0;
}

static pid_t begin_held(struct held *held)
{
	pid_t pid;

	begin();
	harness_gate(&held->holds);
	harness_gate(&held->go);
	pid = harness_fork(hold, held);
	CU_ASSERT_TRUE(harness_gate_pass(&held->holds));
	return pid;
}

static void end_held(struct held *held)
{
	harness_gate_close(&held->holds);
	harness_gate_close(&held->go);
	end();
}

static void stopped_is_not_dead(void)
{
	struct held held;
	pid_t pid = begin_held(&held);

	harness_stop(pid);
	CU_ASSERT_EQUAL(duoshm_lock_acquire(lock, 250 * MS), DUOSHM_ERR_TIMEOUT);
	harness_continue(pid);
	harness_gate_open(&held.go);
	CU_ASSERT_EQUAL(duoshm_lock_acquire(lock, PATIENCE), 0);
	CU_ASSERT_EQUAL(harness_wait(pid), 0);
	end_held(&held);
}

static void *kill_later(void *pid)
{
	harness_until_asleep(getpid());
	kill(*(pid_t *)pid, SIGKILL);
	return NULL;
}

/* The waiter sleeps already when the holder dies: nobody rings. */
static void sleeper_learns_of_death(void)
{
	struct held held;
	pthread_t killer;
	pid_t pid = begin_held(&held);

	pthread_create(&killer, NULL, kill_later, &pid);
	CU_ASSERT_EQUAL(duoshm_lock_acquire(lock, PATIENCE), DUOSHM_OWNER_DEAD);
	pthread_join(killer, NULL);
	CU_ASSERT_EQUAL(harness_wait(pid), -SIGKILL);
	end_held(&held);
}

/* ---- sleeping: slices of a hundred seconds, so that only a ring wakes ---- */

static struct duoshm__backend patient;
static const struct duoshm__backend *real;

static int wait_patiently(
	struct duoshm__bells *bells, unsigned bell, int64_t timeout_ns, struct duoshm_failure *why)
{
	return real->wait(bells, bell, timeout_ns * 1000, why);
}

static int pass_through(void *arg)
{
	struct duoshm *own = context();
	struct duoshm_lock *opened = open_own(own);
	int wanted = *(int *)arg;

	HARNESS_CHILD(duoshm_lock_acquire(opened, PATIENCE) == wanted);
	HARNESS_CHILD(wanted < 0 || duoshm_lock_release(opened) == 0);
	HARNESS_CHILD(duoshm_lock_close(opened) == 0);
	HARNESS_CHILD(duoshm_free(own) == 0);
	return 0;
}

static void wake_all(int wanted)
{
	enum { SLEEPERS = 6 };
	pid_t pids[SLEEPERS];

	real = duoshm__backend_find(harness_backend());
	patient = *real;
	patient.wait = wait_patiently;
	duoshm__backend_replace(&patient);
	begin();
	CU_ASSERT_EQUAL(duoshm_lock_acquire(lock, 0), 0);
	for (int i = 0; i < SLEEPERS; i++)
		pids[i] = harness_fork(pass_through, &wanted);
	for (int i = 0; i < SLEEPERS; i++)
		harness_until_asleep(pids[i]);
	CU_ASSERT_EQUAL(wanted == 0 ? duoshm_lock_release(lock) : duoshm_remove(ctx, name()), 0);
	for (int i = 0; i < SLEEPERS; i++)
		CU_ASSERT_EQUAL(harness_wait(pids[i]), 0);
	end();
	duoshm__backend_replace(NULL);
}

static void release_wakes(void)
{
	wake_all(0);
}

static void removal_wakes(void)
{
	wake_all(DUOSHM_ERR_REMOVED);
}

/* ---- exclusion ---- */

/*
 * Under the lock `first` and `second` are made equal again after a step in between: a second holder, or a death that
 * nobody was told of, shows. The page is outside of the object.
 */
struct account {
	_Atomic long first, second, torn, crossings;
};
static struct account *account;

static int cross_once(struct duoshm_lock *own)
{
	int result = duoshm_lock_acquire(own, PATIENCE);

	if (result < 0)
		return result;
	if (account->first != account->second && result != DUOSHM_OWNER_DEAD)
		account->torn++;
	long next = account->second + 1;
	account->first = next;
	account->second = next;
	account->crossings++;
	return duoshm_lock_release(own);
}

static int cross_for_ever(void *arg)
{
	struct duoshm_lock *own = open_own(context());

	(void)arg;
	while (cross_once(own) == 0)
		;
	return 1;
}

static void open_account(void)
{
	account = mmap(
		NULL, sizeof *account, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CU_ASSERT_TRUE_FATAL(account != MAP_FAILED);
}

static void kill_storm(void)
{
	enum { CHILDREN = 4 };
	long kills = harness_scale(20, 100, 3000);
	pid_t pids[CHILDREN];
	unsigned random = 7;

	begin();
	open_account();
	for (int i = 0; i < CHILDREN; i++)
		pids[i] = harness_fork(cross_for_ever, NULL);
	for (long i = 0; i < kills; i++) {
		long before = account->crossings;

		random = random * 1103515245 + 12345;
		for (unsigned n = 0;
			n < random % 1000 || (n < 1000000 && account->crossings == before); n++)
			sched_yield();
		harness_kill(pids[i % CHILDREN]);
		pids[i % CHILDREN] = harness_fork(cross_for_ever, NULL);
	}
	for (int i = 0; i < CHILDREN; i++)
		harness_kill(pids[i]);
	CU_ASSERT_EQUAL(cross_once(lock), 0);
	CU_ASSERT_EQUAL(account->torn, 0);
	CU_ASSERT_TRUE(account->crossings > kills);
	munmap(account, sizeof *account);
	end();
}

enum { THREADS = 4, ROUNDS = 3000 };

static void *cross_often(void *handle)
{
	for (int i = 0; i < ROUNDS; i++)
		if (cross_once(handle) != 0)
			return handle;
	return NULL;
}

static void threads_exclude_each_other(void)
{
	struct duoshm_lock *handles[THREADS];
	pthread_t threads[THREADS];
	void *failed;

	begin();
	open_account();
	for (int i = 0; i < THREADS; i++) {
		handles[i] = open_own(ctx);
		pthread_create(&threads[i], NULL, cross_often, handles[i]);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &failed);
		CU_ASSERT_PTR_NULL(failed);
		CU_ASSERT_EQUAL(duoshm_lock_close(handles[i]), 0);
	}
	CU_ASSERT_EQUAL(account->torn, 0);
	CU_ASSERT_EQUAL(account->first, THREADS * ROUNDS);
	munmap(account, sizeof *account);
	end();
}

/* A word that nobody of ours wrote names somebody who does not exist: taken over, never a loop. */
static void scribbled_word(void)
{
	static const uint64_t words[] = {UINT64_MAX & ~DUOSHM__LOCK_REMOVED, 0x123456789abcdef8,
		DUOSHM__LOCK_DEAD, 8, DUOSHM__LOCK_SLEEPERS};
	struct duoshm_segment *raw = NULL;
	struct duoshm__lock *shared;

	begin();
	CU_ASSERT_EQUAL_FATAL(duoshm_segment_open(ctx, name(), DUOSHM_ANY_KIND, 0, &raw), 0);
	shared = duoshm_segment_data(raw);
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		duoshm__store64(&shared->word, words[i]);
		CU_ASSERT_TRUE(duoshm_lock_acquire(lock, PATIENCE) >= 0);
		CU_ASSERT_EQUAL(duoshm_lock_release(lock), 0);
	}
	CU_ASSERT_EQUAL(duoshm_segment_close(raw), 0);
	end();
}

/* The label of who runs vetoes a death that its lifeline seems to prove. */
static void label_vetoes(void)
{
	struct duoshm_segment *raw = NULL;
	struct duoshm__lock *shared;
	uint64_t stranger = UINT64_C(0x123456789abcd) << DUOSHM__LOCK_ID_SHIFT;

	begin();
	CU_ASSERT_EQUAL(duoshm_lock_acquire(lock, 0), 0); /* writes a label of this process */
	CU_ASSERT_EQUAL_FATAL(duoshm_segment_open(ctx, name(), DUOSHM_ANY_KIND, 0, &raw), 0);
	shared = duoshm_segment_data(raw);
	duoshm__store64(&shared->word, stranger);
	duoshm__store64(&shared->label_of, stranger);
	CU_ASSERT_EQUAL(duoshm_lock_acquire(lock, 0), DUOSHM_ERR_TIMEOUT);
	duoshm__store64(&shared->label_of, 0);
	CU_ASSERT_EQUAL(duoshm_lock_acquire(lock, 0), DUOSHM_OWNER_DEAD);
	CU_ASSERT_EQUAL(duoshm_segment_close(raw), 0);
	end();
}

/* ---- cost, fork ---- */

static int prepare(void *arg)
{
	(void)arg;
	of_child = open_own(context());
	return duoshm_lock_acquire(of_child, 0) || duoshm_lock_release(of_child);
}

static int uncontended(void *arg)
{
	(void)arg;
	for (int i = 0; i < 100; i++)
		if (duoshm_lock_acquire(of_child, DUOSHM_FOREVER) || duoshm_lock_release(of_child))
			return 1;
	return 0;
}

static void uncontended_makes_no_system_call(void)
{
	int calls;

	if (harness_instrumented())
		HARNESS_SKIP("instruments make calls of their own");
	begin();
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
	HARNESS_CHILD(duoshm_lock_acquire(lock, 0) == DUOSHM_ERR_FORKED);
	HARNESS_CHILD(duoshm_lock_release(lock) == DUOSHM_ERR_FORKED);
	HARNESS_CHILD(duoshm_lock_close(lock) == DUOSHM_ERR_FORKED);
	return 0;
}

static void fork_child_does_not_hold(void)
{
	begin();
	CU_ASSERT_EQUAL(duoshm_lock_acquire(lock, 0), 0);
	CU_ASSERT_EQUAL(harness_wait(harness_fork(use_the_parents, NULL)), 0);
	CU_ASSERT_EQUAL(duoshm_lock_acquire(lock, 0), DUOSHM_ERR_DEADLOCK);
	CU_ASSERT_EQUAL(duoshm_lock_release(lock), 0);
	end();
}

static const struct harness_case cases[] = {
	{"each handle is a holder", each_handle_is_a_holder},
	{"refuses nonsense", refuses_nonsense},
	{"close releases", close_releases},
	{"stat tells the holder", stat_tells_the_holder},
	{"removed is for ever", removed_is_for_ever},
	{"handles are numbered", handles_are_numbered},
	{"a death is told until somebody mended", death_is_told_until_mended},
	{"stopped is not dead", stopped_is_not_dead},
	{"a sleeper learns of a death", sleeper_learns_of_death},
	{"a release wakes one after the other", release_wakes},
	{"a removal wakes all", removal_wakes},
	{"a storm of kills tears nothing untold", kill_storm},
	{"threads exclude each other", threads_exclude_each_other},
	{"a scribbled word is taken over", scribbled_word},
	{"the label can veto", label_vetoes},
	{"uncontended, no system call", uncontended_makes_no_system_call},
	{"a forked child does not hold", fork_child_does_not_hold},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return harness_run_each(argc, argv, "lock", cases);
}
