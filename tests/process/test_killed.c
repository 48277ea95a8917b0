/* SPDX-License-Identifier: MIT */
/*
 * The life cycle killed at every system call. A child does one operation and is killed at the nth
 * of its stops (each system call has two, before and after), for all n; each time the next process
 * must find a clean world: no half-built object is ever opened, the name can be made anew, and
 * nothing is left in the kernel or the registry.
 */
#include "config.h"

#include "harness/fixture.h"

#if defined __linux__

#include <sys/ptrace.h>

#define SIZE  5000
#define BELLS 2
#define STOPS 2000 /* more than any operation has */

static struct duoshm *ctx;
static const char *name;
typedef void (*work_fn)(struct duoshm *own);

/* ---- the child ---- */

static int create_flagged(struct duoshm *in, unsigned flags, struct duoshm_segment **out)
{
	struct duoshm_create options = create_with(flags, BELLS);

	return duoshm_segment_create(in, name, SIZE, &options, out);
}

/* Whole from the first moment that it can be seen. */
static struct duoshm_segment *create_filled(struct duoshm *in)
{
	struct duoshm_segment *made = NULL;

	CHECK_FATAL(create_flagged(in, DUOSHM_UNPUBLISHED, &made) >= 0);
	memset(duoshm_segment_data(made), 0x5a, SIZE);
	OK(duoshm_segment_publish(made));
	return made;
}

static void create(struct duoshm *own)
{
	create_filled(own);
}

static void open_and_close(struct duoshm *own)
{
	struct duoshm_segment *opened = NULL;

	OK(duoshm_segment_open(own, name, 0, 0, &opened));
	OK(duoshm_segment_close(opened));
}

static void remove_it(struct duoshm *own)
{
	OK(duoshm_remove(own, name));
}

static void reclaim(struct duoshm *own)
{
	EXPECT(duoshm_reclaim(own, 0, NULL, NULL), 1);
}

static void withdraw(struct duoshm *own)
{
	struct duoshm_segment *made = NULL;

	OK(create_flagged(own, DUOSHM_UNPUBLISHED, &made));
	OK(duoshm_segment_close(made));
}

static int child(void *work)
{
	struct duoshm *own = new_context();

	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
		return 77;
	raise(SIGSTOP);
	(*(work_fn *)work)(own);
	return 0;
}

static int wait_for(pid_t pid)
{
	int status = 0;

	EXPECT_FATAL(waitpid(pid, &status, 0), pid);
	return status;
}

/* True: killed at the stop; false: the work was done before it came to that many. */
static bool kill_at(work_fn work, int stop)
{
	pid_t pid = harness_fork(child, &work);
	int status = wait_for(pid);

	for (int i = 0; WIFSTOPPED(status) && i < stop; i++) {
		ptrace(PTRACE_SYSCALL, pid, NULL, NULL);
		status = wait_for(pid);
	}
	if (!WIFSTOPPED(status)) {
		EXPECT(status, 0);
		return false;
	}
	harness_kill(pid);
	return true;
}

/* ---- what the next process finds ---- */

static int count_left(const struct duoshm_stat *object, void *arg)
{
	/* In an IPC namespace of our own every System V object is ours. */
	if (object->name[0] != '\0' || strstr(object->native, name) != NULL ||
		strncmp(object->native, "0x", 2) == 0)
		++*(int *)arg;
	return 0;
}

static int left(void)
{
	int count = 0;

	EXPECT(duoshm_list(ctx, DUOSHM_SYSTEM, count_left, &count), 0);
	return count;
}

/* Whatever can be opened is whole. */
static void opened_is_whole(void)
{
	struct duoshm_segment *opened = NULL;
	int result = duoshm_segment_open(ctx, name, DUOSHM_READ_ONLY, 0, &opened);
	const unsigned char *data;

	if (result < 0) {
		EXPECT(result, DUOSHM_ERR_NOT_FOUND);
		return;
	}
	data = duoshm_segment_data(opened);
	EXPECT(duoshm_segment_size(opened), SIZE);
	CHECK(data[0] == 0x5a && data[SIZE - 1] == 0x5a);
	duoshm_segment_close(opened);
}

static void can_be_made_anew(void)
{
	struct duoshm_segment *made = NULL;
	int result = create_flagged(ctx, 0, &made);

	CHECK_FATAL(result == DUOSHM_CREATED || result == DUOSHM_REPLACED);
	EXPECT(((const char *)duoshm_segment_data(made))[SIZE - 1], 0);
	EXPECT(duoshm_segment_ring(made, 1), 0);
	EXPECT(duoshm_segment_sleep(made, 1, 0), 0);
	end_segment(made);
	discard(ctx, "killed");
}

/* ---- cases ---- */

static bool private_ipc;

static void begin(void)
{
	/*
	 * glibc's sem_open, when it is killed, leaves a file that nobody can attribute: it shall
	 * end with us.
	 */
	private_ipc = private_ipc || harness_enter("/dev/shm", "mode=1777");
	name = harness_name("killed");
	ctx = new_context();
}

static int be_traced(void *arg)
{
	(void)arg;
	return ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 ? 0 : 77;
}

/* Makes an orphan: a child creates the object and ends. */
static void leave_orphan(void)
{
	CHECK(!kill_at(create, STOPS));
}

static void nothing_is_left(int stop)
{
	int now = private_ipc || strcmp(harness_backend(), "posix") == 0 ? left() : 0;

	if (now != 0)
		fprintf(stderr, "stop %d: %d objects left\n", stop, now);
	EXPECT(now, 0);
}

static void each_stop(work_fn work, void (*before)(void), void (*after)(void))
{
	int stop = 0;

	if (harness_wait(harness_fork(be_traced, NULL)) != 0)
		HARNESS_SKIP("no ptrace");
	begin();
	for (bool killed = true; killed; stop++) {
		if (before != NULL)
			before();
		killed = kill_at(work, stop);
		after();
		nothing_is_left(stop);
	}
	CHECK(stop > 20 && stop < STOPS);
	end_context(ctx);
}

static void after_create(void)
{
	opened_is_whole();
	can_be_made_anew();
}

static void creator(void)
{
	each_stop(create, NULL, after_create);
}

static void after_create_reclaim(void)
{
	opened_is_whole();
	CHECK(duoshm_reclaim(ctx, 0, NULL, NULL) <= 1);
}

static void reclaimed_creator(void)
{
	each_stop(create, NULL, after_create_reclaim);
}

static void replacer(void)
{
	each_stop(create, leave_orphan, after_create);
}

static void unpublished_closer(void)
{
	each_stop(withdraw, NULL, can_be_made_anew);
}

static struct duoshm_segment *living;

static void make_living(void)
{
	living = create_filled(ctx);
}

/* A removal is done, or can be done again, or a create finishes it; never a refusal. */
static void after_remove(void)
{
	int result = duoshm_remove(ctx, name);

	CHECK(result == 0 || result == DUOSHM_ERR_NOT_FOUND);
	EXPECT(((const char *)duoshm_segment_data(living))[SIZE - 1], 0x5a);
	EXPECT(duoshm_segment_removed(living), 1);
	end_segment(living);
	can_be_made_anew();
}

static void remover(void)
{
	each_stop(remove_it, make_living, after_remove);
}

/* The same, the name taken by a create: nobody removes what lives and was not touched. */
static void after_remove_create(void)
{
	struct duoshm_segment *made = NULL;
	int result = create_flagged(ctx, 0, &made);

	CHECK(result == DUOSHM_ERR_EXISTS || result == DUOSHM_CREATED || result == DUOSHM_REPLACED);
	end_segment(made);
	discard(ctx, "killed");
	end_segment(living);
}

static void remover_then_create(void)
{
	each_stop(remove_it, make_living, after_remove_create);
}

static void after_open(void)
{
	struct duoshm_stat stat = stat_of(ctx, "killed");

	EXPECT(stat.attached, 1);
	EXPECT(stat.state, DUOSHM_LIVE);
	opened_is_whole();
	end_segment(living);
	discard(ctx, "killed");
}

static void opener(void)
{
	each_stop(open_and_close, make_living, after_open);
}

static void after_reclaim(void)
{
	CHECK(duoshm_reclaim(ctx, 0, NULL, NULL) <= 1);
	EXPECT(duoshm_stat(ctx, name, &(struct duoshm_stat)DUOSHM_STAT_INIT), DUOSHM_ERR_NOT_FOUND);
}

static void reclaimer(void)
{
	each_stop(reclaim, leave_orphan, after_reclaim);
}

static const struct harness_case cases[] = {
	{"a creator killed anywhere leaves nothing in the way", creator},
	{"what a killed creator left is reclaimed", reclaimed_creator},
	{"who replaces the remains of the dead may be killed too", replacer},
	{"who withdraws what it never published may be killed", unpublished_closer},
	{"a killed removal is done again", remover},
	{"a killed removal is finished by who makes the name anew", remover_then_create},
	{"a killed opener leaves the object as it was", opener},
	{"a killed reclaim is done again", reclaimer},
	{NULL, NULL},
};

#else

static void skipped(void)
{
	HARNESS_SKIP("stops at system calls are known for Linux alone");
}
static const struct harness_case cases[] = {{"killed", skipped}, {NULL, NULL}};

#endif

int main(int argc, char **argv)
{
	return harness_run_each(argc, argv, "killed", cases);
}
