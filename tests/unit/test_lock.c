/* SPDX-License-Identifier: MIT */
/*
 * Locks beyond what tests/conformance proves of them: numbers of handles, who wakes whom by rings
 * alone, that neither kills nor threads tear what a lock guards, and words that no call of the
 * library writes.
 */
#include "config.h"

#include "core/lock_layout.h"
#include "unit/sleepers.h"

#include <pthread.h>
#include <sys/mman.h>

#define HANDLES 1024

static struct duoshm *ctx;
static struct duoshm_lock *lock;

static void begin(void)
{
	ctx = new_context();
	OK(duoshm_lock_create(ctx, harness_name("lock"), NULL, &lock));
}

static void close_own(void)
{
	EXPECT(duoshm_lock_close(lock), 0);
	end_context(ctx);
}

static void end(void)
{
	discard(ctx, "lock");
	close_own();
}

static struct duoshm_lock *open_another(void)
{
	struct duoshm_lock *opened = NULL;

	OK(duoshm_lock_open(ctx, harness_name("lock"), 0, 0, &opened));
	return opened;
}

/* In a child: with a context of its own, instead of its copy of the parent's. */
static void open_own(void)
{
	(void)duoshm_lock_close(lock);
	(void)duoshm_free(ctx);
	ctx = new_context();
	lock = open_another();
}

/*
 * The handle's number is part of the word: no more than there are numbers, and each is given out
 * again.
 */
static void handles_are_numbered(void)
{
	static struct duoshm_lock *many[HANDLES];
	int n = 0;

	begin();
	while (n < HANDLES && duoshm_lock_open(ctx, harness_name("lock"), 0, 0, &many[n]) == 0)
		n++;
	EXPECT(duoshm_failure()->code, DUOSHM_ERR_LIMIT);
	if (duoshm_failure()->system_error != 0) {
		harness_skip("the system does not let a process attach that often");
	} else {
		EXPECT(n, HANDLES - 1);
		EXPECT(duoshm_lock_close(many[500]), 0);
		many[500] = open_another();
		EXPECT(duoshm_lock_acquire(many[500], 0), 0);
		EXPECT(duoshm_lock_acquire(many[499], 0), DUOSHM_ERR_TIMEOUT);
		EXPECT(duoshm_lock_acquire(many[1012], 0), DUOSHM_ERR_TIMEOUT);
	}
	while (n-- > 0)
		EXPECT(duoshm_lock_close(many[n]), 0);
	end();
}

/* ---- sleeping ---- */

static int pass_through(void *wanted)
{
	open_own();
	EXPECT(duoshm_lock_acquire(lock, LONG_TIME), *(int *)wanted);
	if (*(int *)wanted == 0)
		EXPECT(duoshm_lock_release(lock), 0);
	close_own();
	return 0;
}

/* What the shared word holds. */
static uint64_t word(void)
{
	struct duoshm_segment *raw = open_segment(ctx, "lock", DUOSHM_ANY_KIND);
	struct duoshm__lock *shared = duoshm_segment_data(raw);
	uint64_t found = duoshm__load64(&shared->word);

	end_segment(raw);
	return found;
}

/* A release rings once, and a removal, too; the sleepers pass it on. */
static void wake_all(int wanted)
{
	enum { SLEEPERS = 6 };
	pid_t pids[SLEEPERS];

	patient_begin();
	begin();
	EXPECT(duoshm_lock_acquire(lock, 0), 0);
	for (int i = 0; i < SLEEPERS; i++)
		pids[i] = harness_fork(pass_through, &wanted);
	for (int i = 0; i < SLEEPERS; i++)
		harness_until_asleep(pids[i]);
	if (wanted == 0)
		EXPECT(duoshm_lock_release(lock), 0);
	else
		discard(ctx, "lock");
	for (int i = 0; i < SLEEPERS; i++)
		EXPECT(harness_wait(pids[i]), 0);
	if (wanted == 0) {
		EXPECT(word(), 0); /* no mark is left: the next release has nobody to ring for */
		discard(ctx, "lock");
	}
	close_own();
	patient_end();
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
 * Under the lock `first` and `second` are made equal again after a step in between: a second
 * holder, or a death that nobody was told of, shows. The page is outside of the object.
 */
struct account {
	_Atomic long first, second, torn, crossings;
};
static struct account *account;

static int cross_once(struct duoshm_lock *own)
{
	int result = duoshm_lock_acquire(own, LONG_TIME);

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
	account = shared_page();
	for (int i = 0; i < THREADS; i++) {
		handles[i] = open_another();
		pthread_create(&threads[i], NULL, cross_often, handles[i]);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &failed);
		CHECK(failed == NULL);
		EXPECT(duoshm_lock_close(handles[i]), 0);
	}
	EXPECT(account->torn, 0);
	EXPECT(account->first, THREADS * ROUNDS);
	munmap(account, sizeof *account);
	end();
}

/* ---- hostile words ---- */

/* A word that nobody of ours wrote names somebody who does not exist: taken over, never a loop. */
static void scribbled_word(void)
{
	static const uint64_t words[] = {UINT64_MAX & ~DUOSHM__LOCK_REMOVED, 0x123456789abcdef8,
		DUOSHM__LOCK_DEAD, 8, DUOSHM__LOCK_SLEEPERS};

	begin();
	struct duoshm_segment *raw = open_segment(ctx, "lock", DUOSHM_ANY_KIND);
	struct duoshm__lock *shared = duoshm_segment_data(raw);
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		duoshm__store64(&shared->word, words[i]);
		CHECK(duoshm_lock_acquire(lock, LONG_TIME) >= 0);
		EXPECT(duoshm_lock_release(lock), 0);
	}
	end_segment(raw);
	end();
}

/* The label of who runs vetoes a death that its lifeline seems to prove. */
static void label_vetoes(void)
{
	uint64_t stranger = UINT64_C(0x123456789abcd) << DUOSHM__LOCK_ID_SHIFT;

	begin();
	EXPECT(duoshm_lock_acquire(lock, 0), 0); /* writes a label of this process */
	struct duoshm_segment *raw = open_segment(ctx, "lock", DUOSHM_ANY_KIND);
	struct duoshm__lock *shared = duoshm_segment_data(raw);
	duoshm__store64(&shared->word, stranger);
	duoshm__store64(&shared->label_of, stranger);
	EXPECT(duoshm_lock_acquire(lock, 0), DUOSHM_ERR_TIMEOUT);
	duoshm__store64(&shared->label_of, 0);
	EXPECT(duoshm_lock_acquire(lock, 0), DUOSHM_OWNER_DEAD);
	end_segment(raw);
	end();
}

static const struct harness_case cases[] = {
	{"handles are numbered", handles_are_numbered},
	{"a release wakes one after the other", release_wakes},
	{"a removal wakes all", removal_wakes},
	{"threads exclude each other", threads_exclude_each_other},
	{"a scribbled word is taken over", scribbled_word},
	{"the label can veto", label_vetoes},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return harness_run_each(argc, argv, "lock", cases);
}
