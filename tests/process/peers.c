/* SPDX-License-Identifier: MIT */
/*
 * Two programs, started apart, and what other programs do to their objects. The peer may be a
 * 32-bit one: it is looked for where tests/cross/run builds it (cross/i686 in the build directory).
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

static const char *build_path(const char *path)
{
	static char text[400];
	const char *build = getenv("top_builddir");

	snprintf(text, sizeof(text), "%s/%s", build != NULL ? build : ".", path);
	return text;
}

static void make_all(void)
{
	struct duoshm_create create = create_with(0, 2);

	ctx = new_context();
	OK(duoshm_segment_create(ctx, harness_name("segment"), 5000, &create, &segment));
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
	for (size_t i = 0; i < sizeof(stems) / sizeof(stems[0]); i++)
		discard(ctx, stems[i]);
	end_context(ctx);
}

/* `rung`: what the peer's ring comes to here. */
static void with_peer(const char *program, int rung)
{
	make_all();
	char *data = duoshm_segment_data(segment);
	strcpy(data + 4000, "from the maker");
	pid_t pid = harness_spawn(-1, program, harness_backend(), harness_name("segment"),
		harness_name("semaphore"), harness_name("lock"), harness_name("queue"),
		(char *)NULL);
	for (int64_t i = 0; i < 1000; i++)
		OK(duoshm_queue_send(queue, &i, sizeof(i), LONG_TIME));
	EXPECT(duoshm_queue_finish(queue), 0);
	EXPECT(harness_wait(pid), 0);
	EXPECT_TEXT(data + 4000, "from the peer");
	EXPECT(duoshm_segment_sleep(segment, 1, 0), rung);
	EXPECT(duoshm_semaphore_value(semaphore), 3);
	EXPECT(duoshm_lock_acquire(lock, LONG_TIME), DUOSHM_OWNER_DEAD);
	end_all();
}

static void same_word_size(void)
{
	with_peer(build_path("tests/process/peer"), 0);
}

static void other_word_size(void)
{
	const char *program = build_path("cross/i686/tests/process/peer");

	if (access(program, X_OK) != 0)
		HARNESS_SKIP("no 32-bit peer: tests/cross/run i686 makes it");
	/* A semaphore of POSIX is its C library's, in words of its own size. */
	with_peer(program, strcmp(harness_backend(), "posix") == 0 ? DUOSHM_ERR_TIMEOUT : 0);
}

static const struct harness_case cases[] = {
	{"two programs share each kind of object", same_word_size},
	{"C12 word size does not matter", other_word_size},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return harness_run_each(argc, argv, "peers", cases);
}
