/* SPDX-License-Identifier: MIT */
/*
 * Two programs, started apart, and what other programs do to their objects. The peer may be a 32-bit one: it is looked for
 * where tests/cross/run builds it (cross/i686 in the build directory).
 */
#include "config.h"

#include "duoshm.h"
#include "harness/harness.h"

#include <stdlib.h>
#include <semaphore.h>
#include <string.h>
#include <sys/mman.h>

#define LONG_TIME INT64_C(20000000000)

static struct duoshm *ctx;
static struct duoshm_segment *segment;
static struct duoshm_semaphore *semaphore;
static struct duoshm_lock *lock;
static struct duoshm_queue *queue;

static const char *build_path(const char *path)
{
	static char text[400];
	const char *build = getenv("top_builddir");

	snprintf(text, sizeof(text), "%s/%s", build != NULL ? build : ".", path);
	return text;
}

static void new_context(void)
{
	struct duoshm_options options = DUOSHM_OPTIONS_INIT;

	options.backend = harness_backend();
	CU_ASSERT_EQUAL_FATAL(duoshm_new(&options, &ctx), 0);
}

static void make_all(void)
{
	struct duoshm_create create = DUOSHM_CREATE_INIT;

	new_context();
	create.bells = 2;
	CU_ASSERT_EQUAL_FATAL(
		duoshm_segment_create(ctx, harness_name("segment"), 5000, &create, &segment), 0);
	CU_ASSERT_EQUAL_FATAL(
		duoshm_semaphore_create(ctx, harness_name("semaphore"), 1, NULL, &semaphore), 0);
	CU_ASSERT_EQUAL_FATAL(duoshm_lock_create(ctx, harness_name("lock"), NULL, &lock), 0);
	CU_ASSERT_EQUAL_FATAL(
		duoshm_queue_create(ctx, harness_name("queue"), 512, DUOSHM_PRODUCER, NULL, &queue),
		0);
}

static void end_all(void)
{
	CU_ASSERT_EQUAL(duoshm_segment_close(segment), 0);
	CU_ASSERT_EQUAL(duoshm_semaphore_close(semaphore), 0);
	CU_ASSERT_EQUAL(duoshm_lock_close(lock), 0);
	CU_ASSERT_EQUAL(duoshm_queue_close(queue), 0);
	CU_ASSERT_EQUAL(duoshm_remove(ctx, harness_name("segment")), 0);
	CU_ASSERT_EQUAL(duoshm_remove(ctx, harness_name("semaphore")), 0);
	CU_ASSERT_EQUAL(duoshm_remove(ctx, harness_name("lock")), 0);
	CU_ASSERT_EQUAL(duoshm_remove(ctx, harness_name("queue")), 0);
	CU_ASSERT_EQUAL(duoshm_free(ctx), 0);
}

static void with_peer(const char *program)
{
	make_all();
	strcpy((char *)duoshm_segment_data(segment) + 4000, "from the maker");
	pid_t pid = harness_spawn(-1, program, harness_backend(), harness_name("segment"),
		harness_name("semaphore"), harness_name("lock"), harness_name("queue"),
		(char *)NULL);
	for (int64_t i = 0; i < 1000; i++)
		CU_ASSERT_EQUAL_FATAL(duoshm_queue_send(queue, &i, sizeof(i), LONG_TIME), 0);
	CU_ASSERT_EQUAL(duoshm_queue_finish(queue), 0);
	CU_ASSERT_EQUAL(harness_wait(pid), 0);
	CU_ASSERT_STRING_EQUAL((char *)duoshm_segment_data(segment) + 4000, "from the peer");
	CU_ASSERT_EQUAL(duoshm_segment_sleep(segment, 1, 0), 0);
	CU_ASSERT_EQUAL(duoshm_semaphore_value(semaphore), 3);
	CU_ASSERT_EQUAL(duoshm_lock_acquire(lock, LONG_TIME), DUOSHM_OWNER_DEAD);
	end_all();
}

static void same_word_size(void)
{
	with_peer(build_path("tests/process/peer"));
}

static void other_word_size(void)
{
	const char *program = build_path("cross/i686/tests/process/peer");

	if (access(program, X_OK) != 0)
		HARNESS_SKIP("no 32-bit peer: tests/cross/run i686 makes it");
	with_peer(program);
}

/* ---- removal from outside ---------------------------------------------------------------------- */

static int wait_for_end(void *argument)
{
	struct duoshm_semaphore *waited;

	new_context();
	HARNESS_CHILD(duoshm_semaphore_open(ctx, harness_name("outside"), 0, 0, &waited) == 0);
	harness_gate_open(argument);
	HARNESS_CHILD(duoshm_semaphore_wait(waited, DUOSHM_FOREVER, 0) == DUOSHM_ERR_REMOVED);
	return 0;
}

static void remove_natively(const struct duoshm_stat *stat)
{
	char text[120];

	if (strcmp(stat->backend, "sysv") == 0) {
		snprintf(text, sizeof(text), "-m%ld", (long)stat->id);
		CU_ASSERT_EQUAL(harness_wait(harness_spawn(-1, "ipcrm", text, (char *)NULL)), 0);
		snprintf(text, sizeof(text), "-s%ld", (long)stat->bells_id);
		CU_ASSERT_EQUAL(harness_wait(harness_spawn(-1, "ipcrm", text, (char *)NULL)), 0);
		return;
	}
	snprintf(text, sizeof(text), "%s.0", stat->native);
	CU_ASSERT_EQUAL(shm_unlink(stat->native), 0);
	CU_ASSERT_EQUAL(sem_unlink(text), 0);
}

static void removed_from_outside(void)
{
	struct duoshm_stat stat = DUOSHM_STAT_INIT;
	struct harness_gate ready;

	if (access("/dev/shm", F_OK) != 0)
		HARNESS_SKIP("native names are known on Linux alone");
	new_context();
	CU_ASSERT_EQUAL_FATAL(
		duoshm_semaphore_create(ctx, harness_name("outside"), 0, NULL, &semaphore), 0);
	CU_ASSERT_EQUAL(duoshm_stat(ctx, harness_name("outside"), &stat), 0);
	harness_gate(&ready);
	pid_t pid = harness_fork(wait_for_end, &ready);
	CU_ASSERT(harness_gate_pass(&ready));
	harness_gate_close(&ready);
	harness_until_asleep(pid);
	remove_natively(&stat);
	CU_ASSERT_EQUAL(harness_wait(pid), 0);
	CU_ASSERT_EQUAL(duoshm_stat(ctx, harness_name("outside"), &stat), DUOSHM_ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(duoshm_semaphore_close(semaphore), 0);
	int made = duoshm_semaphore_create(ctx, harness_name("outside"), 0, NULL, &semaphore);
	CU_ASSERT_EQUAL(made, DUOSHM_REPLACED);
	if (made >= 0)
		CU_ASSERT_EQUAL(duoshm_semaphore_close(semaphore), 0);
	CU_ASSERT_EQUAL(duoshm_remove(ctx, harness_name("outside")), 0);
	CU_ASSERT_EQUAL(duoshm_free(ctx), 0);
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
