/* SPDX-License-Identifier: MIT */
/*
 * Two programs, started apart, and what other programs do to their objects. The peer may be a 32-bit one: it is looked for
 * where tests/cross/run builds it (cross/i686 in the build directory).
 */
#include "config.h"

#include "harness/fixture.h"

#include <semaphore.h>
#include <sys/mman.h>

static struct duoshm *ctx;
static struct duoshm_segment *segment;
static struct duoshm_semaphore *semaphore;
static struct duoshm_lock *lock;
static struct duoshm_queue *queue;

static void make_all(void)
{
	struct duoshm_create options = create_with(0, 2);

	ctx = new_context();
	OK(duoshm_segment_create(ctx, harness_name("segment"), 5000, &options, &segment));
	OK(duoshm_semaphore_create(ctx, harness_name("semaphore"), 1, NULL, &semaphore));
	OK(duoshm_lock_create(ctx, harness_name("lock"), NULL, &lock));
	OK(duoshm_queue_create(ctx, harness_name("queue"), 512, DUOSHM_PRODUCER, NULL, &queue));
}

static void end_all(void)
{
	static const char *const stems[] = {"segment", "semaphore", "lock", "queue"};

	end_segment(segment);
	EXPECT(duoshm_semaphore_close(semaphore), 0);
	EXPECT(duoshm_lock_close(lock), 0);
	EXPECT(duoshm_queue_close(queue), 0);
	for (int i = 0; i < 4; i++)
		discard(ctx, stems[i]);
	end_context(ctx);
}

static void with_peer(const char *program)
{
	make_all();
	strcpy((char *)duoshm_segment_data(segment) + 4000, "from the maker");
	pid_t pid = harness_spawn(-1, program, harness_backend(), harness_name("segment"),
		harness_name("semaphore"), harness_name("lock"), harness_name("queue"),
		(char *)NULL);
	for (int64_t i = 0; i < 1000; i++)
		OK(duoshm_queue_send(queue, &i, sizeof(i), LONG_TIME));
	EXPECT(duoshm_queue_finish(queue), 0);
	EXPECT(harness_wait(pid), 0);
	EXPECT_TEXT((char *)duoshm_segment_data(segment) + 4000, "from the peer");
	EXPECT(duoshm_segment_sleep(segment, 1, 0), 0);
	EXPECT(duoshm_semaphore_value(semaphore), 3);
	EXPECT(duoshm_lock_acquire(lock, LONG_TIME), DUOSHM_OWNER_DEAD);
	end_all();
}

static void same_word_size(void)
{
	with_peer(harness_program("tests/process/peer"));
}

static void other_word_size(void)
{
	const char *program = harness_program("cross/i686/tests/process/peer");

	if (access(program, X_OK) != 0)
		HARNESS_SKIP("no 32-bit peer: tests/cross/run i686 makes it");
	with_peer(program);
}

/* ---- removal from outside ---------------------------------------------------------------------- */

static int wait_for_end(void *helper)
{
	struct duoshm_semaphore *waited;

	OK(duoshm_semaphore_open(new_context(), harness_name("outside"), 0, 0, &waited));
	harness_gate_open(&((struct helper *)helper)->ready);
	EXPECT(duoshm_semaphore_wait(waited, DUOSHM_FOREVER, 0), DUOSHM_ERR_REMOVED);
	return 0;
}

static void ipcrm(char kind, int64_t id)
{
	char option[32];

	snprintf(option, sizeof(option), "-%c%ld", kind, (long)id);
	EXPECT(harness_wait(harness_spawn(-1, "ipcrm", option, (char *)NULL)), 0);
}

static void remove_natively(const struct duoshm_stat *stat)
{
	char bell[120];

	if (strcmp(stat->backend, "sysv") == 0) {
		ipcrm('m', stat->id);
		ipcrm('s', stat->bells_id);
		return;
	}
	snprintf(bell, sizeof(bell), "%s.0", stat->native);
	EXPECT(shm_unlink(stat->native), 0);
	EXPECT(sem_unlink(bell), 0);
}

static void removed_from_outside(void)
{
	struct helper waiter;

	if (access("/dev/shm", F_OK) != 0)
		HARNESS_SKIP("native names are known on Linux alone");
	ctx = new_context();
	OK(duoshm_semaphore_create(ctx, harness_name("outside"), 0, NULL, &semaphore));
	struct duoshm_stat stat = stat_of(ctx, "outside");
	start_helper(&waiter, wait_for_end, "outside", 0);
	harness_until_asleep(waiter.pid);
	remove_natively(&stat);
	finish_helper(&waiter);
	EXPECT(duoshm_stat(ctx, harness_name("outside"), &stat), DUOSHM_ERR_NOT_FOUND);
	EXPECT(duoshm_semaphore_close(semaphore), 0);
	EXPECT_FATAL(duoshm_semaphore_create(ctx, harness_name("outside"), 0, NULL, &semaphore),
		DUOSHM_REPLACED);
	EXPECT(duoshm_semaphore_close(semaphore), 0);
	discard(ctx, "outside");
	end_context(ctx);
}

static const struct harness_case cases[] = {
	{"two programs share each kind of object", same_word_size},
	{"C12 word size does not matter", other_word_size},
	{"C8 removal from outside wakes who sleeps; the object can be made anew",
		removed_from_outside},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return harness_run_each(argc, argv, "peers", cases);
}
