/* SPDX-License-Identifier: MIT */
/*
 * Processes of a test: started, ordered by gates, waited for with a limit, and ended in any case. A
 * wait here asks every millisecond instead of trusting a time: there is no portable waitpid with a
 * timeout.
 */
#include "config.h"

#include "harness/harness.h"
#include "harness/internal.h"

#include <poll.h>
#include <stdarg.h>
#include <sys/mman.h>

#ifndef MAP_ANONYMOUS
#define MAP_ANONYMOUS MAP_ANON
#endif

enum { CHILDREN_MAX = 512, ARGUMENTS_MAX = 32 };

/* For all that is waited for. */
#define PATIENCE_NS INT64_C(60000000000)

static pid_t children[CHILDREN_MAX];
bool harness_is_child;

static void note(pid_t from, pid_t to)
{
	for (unsigned i = 0; i < CHILDREN_MAX; i++) {
		if (children[i] == from) {
			children[i] = to;
			return;
		}
	}
}

static void nap(void)
{
	const struct timespec millisecond = {0, 1000000};

	nanosleep(&millisecond, NULL);
}

int64_t harness_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static pid_t started(pid_t pid)
{
	if (pid > 0)
		note(0, pid);
	CHECK(pid > 0);
	return pid;
}

pid_t harness_fork(int (*fn)(void *arg), void *arg)
{
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		memset(children, 0, sizeof(children));
		harness_is_child = true;
		alarm(0);
		_exit(fn(arg));
	}
	return started(pid);
}

pid_t harness_spawn(int out, const char *path, ...)
{
	char *argv[ARGUMENTS_MAX] = {(char *)(uintptr_t)path};
	va_list arguments;
	unsigned n = 0;

	va_start(arguments, path);
	while (argv[n] != NULL && n + 2 < ARGUMENTS_MAX)
		argv[++n] = va_arg(arguments, char *);
	va_end(arguments);
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		if (out >= 0 && dup2(out, STDOUT_FILENO) < 0)
			_exit(99);
		execvp(path, argv);
		_exit(127);
	}
	return started(pid);
}

const char *harness_program(const char *path)
{
	static char text[400];
	const char *build = getenv("top_builddir");

	snprintf(text, sizeof(text), "%s/%s", build != NULL ? build : ".", path);
	return text;
}

static int result_of(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

int harness_wait(pid_t pid)
{
	int64_t end = harness_now() + PATIENCE_NS * (harness_instrumented() ? 4 : 1);
	int status;
	pid_t got;

	if (pid <= 0)
		return -1000;
	while ((got = waitpid(pid, &status, WNOHANG)) == 0 && harness_now() < end)
		nap();
	if (got == 0) {
		harness_kill(pid);
		return -1000;
	}
	note(pid, 0);
	return got == pid ? result_of(status) : -1000;
}

int harness_wait_stopped(pid_t pid)
{
	int status;
	pid_t got;

	while ((got = waitpid(pid, &status, WUNTRACED)) < 0 && errno == EINTR)
		;
	if (got == pid && WIFSTOPPED(status))
		return HARNESS_STOPPED;
	note(pid, 0);
	return got == pid ? result_of(status) : -1000;
}

struct part {
	void (*run)(void);
};

static int run_part(void *part)
{
	((struct part *)part)->run();
	return 0;
}

bool harness_in_children(unsigned n, void (*fn)(void))
{
	struct part part = {fn};
	pid_t pids[64];
	bool skips = false;

	CHECK_FATAL(n <= sizeof(pids) / sizeof(pids[0]));
	for (unsigned i = 0; i < n; i++)
		pids[i] = harness_fork(run_part, &part);
	for (unsigned i = 0; i < n; i++) {
		int status = harness_wait(pids[i]);
		skips = skips || status == HARNESS_SKIPPED;
		CHECK(status == 0 || status == HARNESS_SKIPPED);
	}
	if (skips)
		harness_skip("a child cannot try it here");
	return !skips;
}

bool harness_in_child(void (*fn)(void))
{
	return harness_in_children(1, fn);
}

int harness_kill(pid_t pid)
{
	int status = 0;

	if (pid <= 0)
		return -1000;
	kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	note(pid, 0);
	return result_of(status);
}

void harness_end_children(void)
{
	for (unsigned i = 0; i < CHILDREN_MAX; i++) {
		if (children[i] > 0)
			harness_kill(children[i]);
	}
}

void harness_stop(pid_t pid)
{
	int status;

	if (pid <= 0)
		return;
	kill(pid, SIGSTOP);
	while (waitpid(pid, &status, WUNTRACED) < 0 && errno == EINTR)
		;
	CHECK(WIFSTOPPED(status));
}

void harness_continue(pid_t pid)
{
	if (pid > 0)
		kill(pid, SIGCONT);
}

void harness_child_failed(const char *file, int line, const char *condition)
{
	fprintf(stderr, "%s:%d: in child %ld: %s\n", file, line, (long)getpid(), condition);
	_exit(1);
}

void *harness_shared(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK_FATAL(memory != MAP_FAILED);
	return memory;
}

/* ---- gates ----------------------------------------------------------------------------------- */

void harness_gate(struct harness_gate *gate)
{
	if (pipe(gate->fds) != 0) {
		perror("harness: pipe");
		_exit(99);
	}
	fcntl(gate->fds[0], F_SETFD, FD_CLOEXEC);
	fcntl(gate->fds[1], F_SETFD, FD_CLOEXEC);
}

void harness_gate_open(struct harness_gate *gate)
{
	if (write(gate->fds[1], "", 1) != 1) {
		perror("harness: gate");
		_exit(99);
	}
}

bool harness_gate_pass(struct harness_gate *gate)
{
	struct pollfd readable = {gate->fds[0], POLLIN, 0};
	int64_t end = harness_now() + PATIENCE_NS;
	char byte;

	while (harness_now() < end) {
		if (poll(&readable, 1, 100) == 1)
			return read(gate->fds[0], &byte, 1) == 1;
	}
	return false;
}

void harness_gate_close(struct harness_gate *gate)
{
	close(gate->fds[0]);
	close(gate->fds[1]);
}

/* ---- conditions ------------------------------------------------------------------------------ */

bool harness_until(bool (*holds)(void *arg), void *arg)
{
	int64_t end = harness_now() + PATIENCE_NS;

	while (!holds(arg)) {
		if (harness_now() > end)
			return holds(arg);
		nap();
	}
	return true;
}

/* The letter after the command's name, which may itself hold parentheses and blanks. */
int harness_process_state(pid_t pid)
{
	char path[64], text[512];

	snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
	FILE *file = fopen(path, "r");
	if (file == NULL)
		return 0;
	size_t n = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[n] = '\0';
	const char *end = strrchr(text, ')');
	return end != NULL && end[1] == ' ' ? end[2] : 0;
}

struct sleeper {
	pid_t pid;
	int state; /* when it was looked at last; who polls is awake again a moment later */
};

/* Asleep, or not to sleep by itself. */
static bool settled(void *arg)
{
	struct sleeper *sleeper = arg;

	sleeper->state = harness_process_state(sleeper->pid);
	return sleeper->state == 0 || strchr("SZXTt", sleeper->state) != NULL;
}

bool harness_until_asleep(pid_t pid)
{
	struct sleeper sleeper = {pid, 0};

	return harness_until(settled, &sleeper) && sleeper.state == 'S';
}
