/* SPDX-License-Identifier: MIT */
/*
 * The life cycle killed at every system call. A child does one operation and is killed at the nth of its stops (each
 * system call has two, before and after), for all n; each time the next process must find a clean world: no half-built
 * object is ever opened, the name can be made anew, and nothing is left in the kernel or the registry.
 */
#include "config.h"

#include "duoshm.h"
#include "harness/harness.h"

#if defined __linux__

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#define SIZE  5000
#define BELLS 2
#define STOPS 2000 /* more than any operation has */

static struct duoshm *ctx;
static const char *name;

/* ---- the child ---- */

static struct duoshm *context(void)
{
	struct duoshm_options options = DUOSHM_OPTIONS_INIT;
	struct duoshm *made = NULL;

	options.backend = harness_backend();
	HARNESS_CHILD(duoshm_new(&options, &made) == 0);
	return made;
}

static int create_with(struct duoshm *in, unsigned flags, struct duoshm_segment **out)
{
	struct duoshm_create options = DUOSHM_CREATE_INIT;

	options.bells = BELLS;
	options.flags = flags;
	return duoshm_segment_create(in, name, SIZE, &options, out);
}

static void create(struct duoshm *own)
{
	struct duoshm_segment *made = NULL;

	HARNESS_CHILD(create_with(own, DUOSHM_UNPUBLISHED, &made) >= 0);
	memset(duoshm_segment_data(made), 0x5a, SIZE);
	HARNESS_CHILD(duoshm_segment_publish(made) == 0);
}

static void open_and_close(struct duoshm *own)
{
	struct duoshm_segment *opened = NULL;

	HARNESS_CHILD(duoshm_segment_open(own, name, 0, 0, &opened) == 0);
	HARNESS_CHILD(duoshm_segment_close(opened) == 0);
}

static void remove_it(struct duoshm *own)
{
	HARNESS_CHILD(duoshm_remove(own, name) == 0);
}

static void reclaim(struct duoshm *own)
{
	HARNESS_CHILD(duoshm_reclaim(own, 0, NULL, NULL) == 1);
}

static void withdraw(struct duoshm *own)
{
	struct duoshm_segment *made = NULL;

	HARNESS_CHILD(create_with(own, DUOSHM_UNPUBLISHED, &made) == 0);
	HARNESS_CHILD(duoshm_segment_close(made) == 0);
}

static _Noreturn void child(void (*work)(struct duoshm *))
{
	struct duoshm *own = context();

	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
		_exit(77);
	raise(SIGSTOP);
	work(own);
	_exit(0);
}

/* True: killed at the stop; false: the work was done before it came to that many. */
static bool kill_at(void (*work)(struct duoshm *), int stop)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0)
		child(work);
	CU_ASSERT_EQUAL_FATAL(waitpid(pid, &status, 0), pid);
	for (int i = 0; WIFSTOPPED(status) && i < stop; i++) {
		ptrace(PTRACE_SYSCALL, pid, NULL, NULL);
		CU_ASSERT_EQUAL_FATAL(waitpid(pid, &status, 0), pid);
	}
	if (WIFEXITED(status)) {
		CU_ASSERT_EQUAL(WEXITSTATUS(status), 0);
		return false;
	}
	kill(pid, SIGKILL);
	CU_ASSERT_EQUAL_FATAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT_TRUE(WIFSIGNALED(status));
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

	CU_ASSERT_EQUAL(duoshm_list(ctx, DUOSHM_SYSTEM, count_left, &count), 0);
	return count;
}

/* Whatever can be opened is whole. */
static void opened_is_whole(void)
{
	struct duoshm_segment *opened = NULL;
	int result = duoshm_segment_open(ctx, name, DUOSHM_READ_ONLY, 0, &opened);
	const unsigned char *data;

	if (result < 0) {
		CU_ASSERT_EQUAL(result, DUOSHM_ERR_NOT_FOUND);
		return;
	}
	data = duoshm_segment_data(opened);
	CU_ASSERT_EQUAL(duoshm_segment_size(opened), SIZE);
	CU_ASSERT_TRUE(data[0] == 0x5a && data[SIZE - 1] == 0x5a);
	duoshm_segment_close(opened);
}

static void can_be_made_anew(void)
{
	struct duoshm_segment *made = NULL;
	int result = create_with(ctx, 0, &made);

	CU_ASSERT_TRUE_FATAL(result == DUOSHM_CREATED || result == DUOSHM_REPLACED);
	CU_ASSERT_EQUAL(((const char *)duoshm_segment_data(made))[SIZE - 1], 0);
	CU_ASSERT_EQUAL(duoshm_segment_ring(made, 1), 0);
	CU_ASSERT_EQUAL(duoshm_segment_sleep(made, 1, 0), 0);
	CU_ASSERT_EQUAL(duoshm_segment_close(made), 0);
	CU_ASSERT_EQUAL(duoshm_remove(ctx, name), 0);
}

/* ---- cases ---- */

static bool private_ipc;

static void begin(void)
{
	/* glibc's sem_open, when it is killed, leaves a file that nobody can attribute: it shall end with us. */
	private_ipc = private_ipc || harness_enter("/dev/shm", "mode=1777");
	name = harness_name("killed");
	ctx = context();
}

static void end(void)
{
	CU_ASSERT_EQUAL(duoshm_free(ctx), 0);
}

static bool untraceable(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 ? 0 : 77);
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status) != 0;
}

/* Makes an orphan: a child creates the object and ends. */
static void leave_orphan(void)
{
	CU_ASSERT_FALSE(kill_at(create, STOPS));
}

static void nothing_is_left(int stop)
{
	int now = private_ipc || strcmp(harness_backend(), "posix") == 0 ? left() : 0;

	if (now != 0)
		fprintf(stderr, "stop %d: %d objects left\n", stop, now);
	CU_ASSERT_EQUAL(now, 0);
}

static void each_stop(void (*work)(struct duoshm *), void (*before)(void), void (*after)(void))
{
	int stop = 0;

	if (untraceable())
		HARNESS_SKIP("no ptrace");
	begin();
	for (bool killed = true; killed; stop++) {
		if (before != NULL)
			before();
		killed = kill_at(work, stop);
		after();
		nothing_is_left(stop);
	}
	CU_ASSERT_TRUE(stop > 20 && stop < STOPS);
	end();
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
	CU_ASSERT_TRUE(duoshm_reclaim(ctx, 0, NULL, NULL) <= 1);
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
	CU_ASSERT_EQUAL_FATAL(create_with(ctx, DUOSHM_UNPUBLISHED, &living), 0);
	memset(duoshm_segment_data(living), 0x5a, SIZE);
	CU_ASSERT_EQUAL(duoshm_segment_publish(living), 0);
}

/* A removal is done, or can be done again, or a create finishes it; never a refusal. */
static void after_remove(void)
{
	int result = duoshm_remove(ctx, name);

	CU_ASSERT_TRUE(result == 0 || result == DUOSHM_ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(((const char *)duoshm_segment_data(living))[SIZE - 1], 0x5a);
	CU_ASSERT_EQUAL(duoshm_segment_removed(living), 1);
	CU_ASSERT_EQUAL(duoshm_segment_close(living), 0);
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
	int result = create_with(ctx, 0, &made);

	if (result == DUOSHM_ERR_EXISTS) {
		CU_ASSERT_EQUAL(duoshm_remove(ctx, name), 0);
	} else {
		CU_ASSERT_TRUE(result == DUOSHM_CREATED || result == DUOSHM_REPLACED);
		CU_ASSERT_EQUAL(duoshm_segment_close(made), 0);
		CU_ASSERT_EQUAL(duoshm_remove(ctx, name), 0);
	}
	CU_ASSERT_EQUAL(duoshm_segment_close(living), 0);
}

static void remover_then_create(void)
{
	each_stop(remove_it, make_living, after_remove_create);
}

static void after_open(void)
{
	struct duoshm_stat stat = DUOSHM_STAT_INIT;

	CU_ASSERT_EQUAL(duoshm_stat(ctx, name, &stat), 0);
	CU_ASSERT_EQUAL(stat.attached, 1);
	CU_ASSERT_EQUAL(stat.state, DUOSHM_LIVE);
	opened_is_whole();
	CU_ASSERT_EQUAL(duoshm_segment_close(living), 0);
	CU_ASSERT_EQUAL(duoshm_remove(ctx, name), 0);
}

static void opener(void)
{
	each_stop(open_and_close, make_living, after_open);
}

static void after_reclaim(void)
{
	CU_ASSERT_TRUE(duoshm_reclaim(ctx, 0, NULL, NULL) <= 1);
	CU_ASSERT_EQUAL(duoshm_stat(ctx, name, &(struct duoshm_stat)DUOSHM_STAT_INIT),
		DUOSHM_ERR_NOT_FOUND);
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
