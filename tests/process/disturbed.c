/* SPDX-License-Identifier: MIT */
/*
 * A process that is disturbed all the time: by signals whose handler restarts no call, two thousand
 * a second, at each of which the wall clock jumps by hours. Nothing changes for it. And one that
 * opens and closes for long: it holds no more in the end than it did.
 */
#include "config.h"

#include "harness/fixture.h"
#include "harness/native.h"

#include <dirent.h>
#include <sys/time.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#define WAIT_NS        (15 * MS)
#define JUMP_NS        (5 * 3600 * SECOND)
#define WATCHDOG       (10 * SECOND)
#define ALLOCATORS_OWN 2048 /* bytes; a leak of 7 a cycle is seen in the normal tier */

static struct duoshm *ctx;
static volatile sig_atomic_t signals;

static void disturb(int signal_number)
{
	(void)signal_number;
	signals++;
	native_wall_shift_ns = (signals % 3 - 1) * JUMP_NS;
}

static void begin_disturbance(int every_us)
{
	struct sigaction action = {.sa_handler = disturb};
	const struct itimerval timer = {{0, every_us}, {0, every_us}};

	sigemptyset(&action.sa_mask);
	OK(sigaction(SIGALRM, &action, NULL));
	OK(setitimer(ITIMER_REAL, &timer, NULL));
}

/* The one who waits gets all of his time, and not hours more. */
#define TIMES_OUT(call)                                                                            \
	do {                                                                                       \
		int64_t began = harness_now();                                                     \
		EXPECT(call, DUOSHM_ERR_TIMEOUT);                                                  \
		int64_t lasted = harness_now() - began;                                            \
		CHECK(lasted >= WAIT_NS && lasted < WATCHDOG);                                     \
	} while (0)

static const char *the(const char *stem)
{
	return harness_name(stem);
}

static void use_segment(void)
{
	struct duoshm_create options = create_with(0, 1);
	struct duoshm_segment *made, *opened;

	OK(duoshm_segment_create(ctx, the("seg"), 10000, &options, &made));
	OK(duoshm_segment_open(ctx, the("seg"), 0, WAIT_NS, &opened));
	EXPECT(stat_of(ctx, "seg").state, DUOSHM_LIVE);
	EXPECT(duoshm_segment_sleep(opened, 0, WATCHDOG), DUOSHM_ERR_INTERRUPTED);
	OK(duoshm_segment_ring(made, 0));
	int result;
	while ((result = duoshm_segment_sleep(opened, 0, WATCHDOG)) == DUOSHM_ERR_INTERRUPTED)
		;
	EXPECT(result, 0);
	TIMES_OUT(duoshm_segment_open(ctx, the("none"), 0, WAIT_NS, &made) == DUOSHM_ERR_NOT_FOUND
			  ? DUOSHM_ERR_TIMEOUT
			  : 0);
	EXPECT(duoshm_reclaim(ctx, 0, NULL, NULL), 0);
	end_segment(opened);
	end_segment(made);
	discard(ctx, "seg");
}

static void use_semaphore(void)
{
	struct duoshm_semaphore *semaphore;

	OK(duoshm_semaphore_create(ctx, the("sem"), 0, NULL, &semaphore));
	TIMES_OUT(duoshm_semaphore_wait(semaphore, WAIT_NS, 0));
	EXPECT(duoshm_semaphore_wait(semaphore, WATCHDOG, DUOSHM_INTERRUPTIBLE),
		DUOSHM_ERR_INTERRUPTED);
	OK(duoshm_semaphore_post(semaphore, 2));
	OK(duoshm_semaphore_wait(semaphore, WATCHDOG, 0));
	EXPECT(duoshm_semaphore_value(semaphore), 1);
	OK(duoshm_semaphore_close(semaphore));
	discard(ctx, "sem");
}

static void use_lock(void)
{
	struct duoshm_lock *one, *other;

	OK(duoshm_lock_create(ctx, the("lock"), NULL, &one));
	OK(duoshm_lock_open(ctx, the("lock"), 0, 0, &other));
	OK(duoshm_lock_acquire(one, 0));
	TIMES_OUT(duoshm_lock_acquire(other, WAIT_NS));
	OK(duoshm_lock_release(one));
	OK(duoshm_lock_acquire(other, WATCHDOG));
	OK(duoshm_lock_close(other));
	OK(duoshm_lock_close(one));
	discard(ctx, "lock");
}

static void use_queues(void)
{
	struct duoshm_queue *in, *out;
	struct duoshm_broadcast *publisher, *reader;
	char text[8];

	OK(duoshm_queue_create(ctx, the("queue"), 256, DUOSHM_PRODUCER, NULL, &in));
	OK(duoshm_queue_open(ctx, the("queue"), DUOSHM_CONSUMER, 0, &out));
	TIMES_OUT(duoshm_queue_receive(out, text, sizeof text, WAIT_NS));
	OK(duoshm_queue_send(in, "word", 5, WATCHDOG));
	EXPECT(duoshm_queue_receive(out, text, sizeof text, WATCHDOG), 5);
	OK(duoshm_queue_close(in));
	OK(duoshm_queue_close(out));
	discard(ctx, "queue");
	OK(duoshm_broadcast_create(ctx, the("cast"), 256, NULL, &publisher));
	OK(duoshm_broadcast_open(ctx, the("cast"), DUOSHM_READER, 0, 0, &reader));
	TIMES_OUT(duoshm_broadcast_next(reader, text, sizeof text, NULL, WAIT_NS));
	OK(duoshm_broadcast_publish(publisher, "word", 5));
	EXPECT(duoshm_broadcast_next(reader, text, sizeof text, NULL, WATCHDOG), 5);
	OK(duoshm_broadcast_close(reader));
	OK(duoshm_broadcast_close(publisher));
	discard(ctx, "cast");
}

static int live_disturbed(void *count)
{
	long rounds = harness_scale(2, 10, 100);
	struct duoshm_facts facts = DUOSHM_FACTS_INIT;

	begin_disturbance(500);
	for (long i = 0; i < rounds; i++) {
		ctx = new_context();
		use_segment();
		use_semaphore();
		use_lock();
		use_queues();
		OK(duoshm_probe(harness_backend(), &facts));
		EXPECT(facts.works, 1);
		end_context(ctx);
	}
	OK(setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 0}}, NULL));
	CHECK(signals > rounds);
	*(long *)count = signals;
	return 0;
}

static void signals_and_clocks(void)
{
	long *count = harness_shared(sizeof *count);

	if (harness_instrumented())
		HARNESS_SKIP("too slow to come to anything between two signals");
	EXPECT_FATAL(harness_wait(harness_fork(live_disturbed, count)), 0);
	harness_proves(19, *count, "signals");
}

/* ---- nothing grows --------------------------------------------------------------------------- */

static long lines_of(const char *path)
{
	FILE *file = fopen(path, "r");
	long lines = 0;
	int c;

	while (file != NULL && (c = getc(file)) != EOF)
		lines += c == '\n';
	if (file != NULL)
		fclose(file);
	return lines;
}

static long files_in(const char *path)
{
	DIR *directory = opendir(path);
	long files = 0;

	while (directory != NULL && readdir(directory) != NULL)
		files++;
	if (directory != NULL)
		closedir(directory);
	return files;
}

static long allocated(void)
{
#if defined __GLIBC__ && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 33)
	return (long)mallinfo2().uordblks;
#else
	return 0;
#endif
}

static void cycle(long times)
{
	struct duoshm_create options = create_with(0, 2);
	struct duoshm_segment *made, *opened;
	struct duoshm_lock *lock;

	for (long i = 0; i < times; i++) {
		ctx = new_context();
		OK(duoshm_segment_create(ctx, the("cycle"), 10000, &options, &made));
		OK(duoshm_segment_open(ctx, the("cycle"), 0, 0, &opened));
		OK(duoshm_lock_create(ctx, the("lock"), NULL, &lock));
		end_segment(opened);
		end_segment(made);
		OK(duoshm_lock_close(lock));
		discard(ctx, "cycle");
		discard(ctx, "lock");
		end_context(ctx);
	}
}

static void grow_nothing(void)
{
	/* What the first ones bring is kept, by the library and by the allocator. */
	cycle(50);
	long lines = lines_of("/proc/self/maps"), files = files_in("/proc/self/fd"),
	     bytes = allocated();
	cycle(harness_scale(20, 300, 5000));
	EXPECT(lines_of("/proc/self/maps"), lines);
	EXPECT(files_in("/proc/self/fd"), files);
	/* The allocator counts what it keeps for itself, too: a chunk or two come and go. */
	if (!harness_instrumented())
		CHECK(allocated() - bytes < ALLOCATORS_OWN);
}

static void nothing_grows(void)
{
	if (harness_in_child(grow_nothing))
		harness_proves(4, harness_scale(20, 300, 5000), "cycles");
}

static const struct harness_case cases[] = {
	{"signals and jumps of the clock change nothing", signals_and_clocks},
	{"descriptors, mappings and memory do not grow", nothing_grows},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return harness_run_each(argc, argv, "disturbed", cases);
}
