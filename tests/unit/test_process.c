/* SPDX-License-Identifier: MIT */
/* Who still runs, and what fork does to descriptors that hold an flock. */
#include "config.h"

#include "core/file.h"
#include "core/process.h"
#include "harness/fixture.h"

#include <pthread.h>
#include <sys/file.h>

#ifdef HAVE_SYS_PRCTL_H
#include <sys/prctl.h>
#endif

static enum duoshm__running running(int64_t pid, uint64_t start, uint64_t boot)
{
	struct duoshm__process process = {pid, start, boot};
	return duoshm__process_running(&process);
}

static void knows_itself(void)
{
	struct duoshm__process self;
	duoshm__process_self(&self);
	EXPECT(self.pid, getpid());
	EXPECT(duoshm__process_running(&self), DUOSHM__RUNNING);
	CHECK(self.start != 0);
	EXPECT(running(self.pid, self.start + 1, self.boot), DUOSHM__GONE);
	EXPECT(running(self.pid, 0, self.boot), DUOSHM__CANNOT_TELL);
	EXPECT(running(self.pid, self.start, 0), DUOSHM__RUNNING);
	if (self.boot == 0)
		HARNESS_SKIP("this system does not tell its boot");
	EXPECT(running(self.pid, self.start, self.boot + 1), DUOSHM__GONE);
}

static void knows_no_process(void)
{
	static const int64_t none[] = {0, -1, -2, INT64_MIN, INT64_MAX, INT64_C(1) << 32};
	for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
		EXPECT(running(none[i], 0, 0), DUOSHM__GONE);
}

static int stay(void *arg)
{
	(void)arg;
	for (;;)
		pause();
	return 0;
}

static void tells_the_dead(void)
{
	pid_t child = harness_fork(stay, NULL);
	struct duoshm__process_look look;
	CHECK_FATAL(duoshm__process_look(child, &look));
	EXPECT(running(child, look.start, 0), DUOSHM__RUNNING);
	harness_stop(child);
	EXPECT(running(child, look.start, 0), DUOSHM__RUNNING);
	kill(child, SIGKILL);
	siginfo_t info;
	waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT);
	EXPECT(running(child, look.start, 0), DUOSHM__GONE); /* a zombie */
	harness_kill(child);
	EXPECT(running(child, look.start, 0), DUOSHM__GONE);
}

#ifdef HAVE_SYS_PRCTL_H
static int stay_with_a_name(void *helper)
{
	prctl(PR_SET_NAME, ") Z 1 (");
	return helper_stays(helper);
}

static void reads_odd_names(void)
{
	struct helper child;
	struct duoshm__process_look look = {0};
	start_helper(&child, stay_with_a_name, "", 0);
	CHECK(duoshm__process_look(child.pid, &look));
	CHECK(!look.finished);
	EXPECT(running(child.pid, look.start, 0), DUOSHM__RUNNING);
	kill_helper(&child);
}
#endif

#ifdef __linux__
static void *stay_in_thread(void *arg)
{
	stay(arg);
	return NULL;
}

static int leave_main_thread(void *arg)
{
	(void)arg;
	pthread_t thread;
	if (pthread_create(&thread, NULL, stay_in_thread, NULL) != 0)
		return 1;
	pthread_exit(NULL);
}

static bool shows_as_zombie(void *pid)
{
	return harness_process_state(*(pid_t *)pid) == 'Z';
}

/* The first thread has ended, the process has not: /proc says Z, and it is no zombie. */
static void tells_a_process_without_its_first_thread(void)
{
	pid_t child = harness_fork(leave_main_thread, NULL);
	CHECK(harness_until(shows_as_zombie, &child));
	struct duoshm__process_look look = {0};
	CHECK(duoshm__process_look(child, &look));
	EXPECT(running(child, look.start, 0), DUOSHM__RUNNING);
	harness_kill(child);
}
#endif

static int open_locked(const char *path)
{
	int fd = duoshm__fd_open(path, O_RDWR | O_CREAT, 0600);
	EXPECT(duoshm__file_lock(fd, LOCK_EX | LOCK_NB), 0);
	return fd;
}

static bool lock_is_free(const char *path)
{
	int fd = duoshm__file_open(path, O_RDONLY, 0);
	bool is_free = duoshm__file_lock(fd, LOCK_SH | LOCK_NB) == 0;
	close(fd);
	return is_free;
}

static struct {
	int fd;
	unsigned forks;
	const char *path;
} parent;

static void look_from_child(void)
{
	struct duoshm__process self;
	duoshm__process_self(&self);
	EXPECT(self.pid, getpid());
	EXPECT(duoshm__process_running(&self), DUOSHM__RUNNING);
	EXPECT(duoshm__forks(), parent.forks + 1);
	CHECK(fcntl(parent.fd, F_GETFD) < 0);
	/* the number is free: what it names now is none of the library's business */
	CHECK(open("/dev/null", O_RDONLY) >= 0);
	CHECK(dup2(STDERR_FILENO, parent.fd) == parent.fd);
	duoshm__fd_drop(parent.fd);
	CHECK(fcntl(parent.fd, F_GETFD) >= 0);
	CHECK(!lock_is_free(parent.path));
}

static void closes_in_children(void)
{
	parent.path = harness_path("lock");
	parent.fd = open_locked(parent.path);
	parent.forks = duoshm__forks();
	harness_in_child(look_from_child);
	EXPECT(duoshm__forks(), parent.forks);
	CHECK(!lock_is_free(parent.path));
	/* a child that lives on does not keep the lock */
	pid_t child = harness_fork(stay, NULL);
	duoshm__fd_drop(parent.fd);
	CHECK(lock_is_free(parent.path));
	harness_kill(child);
}

static void leaves_reused_numbers_alone(void)
{
	int fd = open_locked(harness_path("first"));
	close(fd);
	int other = open(harness_path("second"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	EXPECT(other, fd);
	duoshm__fd_drop(fd);
	CHECK(fcntl(other, F_GETFD) >= 0);
	close(other);
	/* nor does the stale note keep the next one from being dropped */
	fd = open_locked(harness_path("first"));
	close(fd);
	int again = open_locked(harness_path("third"));
	EXPECT(again, fd);
	duoshm__fd_drop(again);
	CHECK(fcntl(again, F_GETFD) < 0);
}

static void open_without_standard_files(void)
{
	close(STDIN_FILENO);
	close(STDOUT_FILENO);
	int fd = duoshm__file_open("/dev/null", O_RDONLY, 0);
	CHECK(fd > STDERR_FILENO);
	CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
	CHECK(fcntl(STDIN_FILENO, F_GETFD) < 0);
}

static void keeps_off_standard_files(void)
{
	harness_in_child(open_without_standard_files);
}

/*
 * The child tells by a signal: a leak checker that watches it would complain of its parent's
 * threads at an exit.
 */
static void *fork_often(void *arg)
{
	for (int i = 0; i < 50; i++) {
		pid_t child = fork();
		if (child == 0)
			kill(getpid(), lock_is_free(arg) ? SIGTERM : SIGKILL);
		int status = -1;
		waitpid(child, &status, 0);
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
			return arg;
	}
	return NULL;
}

/* Keeping and dropping in one thread while another forks. */
static void survives_forks_by_threads(void)
{
	char path[256];
	snprintf(path, sizeof path, "%s", harness_path("held"));
	int held = open_locked(path);
	pthread_t thread;
	OK(pthread_create(&thread, NULL, fork_often, path));
	for (int i = 0; i < 2000; i++)
		duoshm__fd_drop(open_locked(harness_path("changing")));
	void *failed = path;
	pthread_join(thread, &failed);
	CHECK(failed == NULL);
	duoshm__fd_drop(held);
}

static const struct harness_case cases[] = {
	{"processes: itself", knows_itself},
	{"processes: numbers that name none", knows_no_process},
	{"processes: stopped, zombie, gone", tells_the_dead},
#ifdef HAVE_SYS_PRCTL_H
	{"processes: with parentheses in the name", reads_odd_names},
#endif
#ifdef __linux__
	{"processes: without the first thread", tells_a_process_without_its_first_thread},
#endif
	{"descriptors: closed in a forked child", closes_in_children},
	{"descriptors: numbers that were given out again", leaves_reused_numbers_alone},
	{"descriptors: never 0, 1 or 2", keeps_off_standard_files},
	{"descriptors: kept while others fork", survives_forks_by_threads},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return harness_run(argc, argv, "processes", cases);
}
