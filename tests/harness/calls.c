/* SPDX-License-Identifier: MIT */
/*
 * Exact counts of system calls: a child is traced, and what it calls between two marks is counted.
 * A mark is a close() of a descriptor that cannot be. Needs Linux 5.3 for PTRACE_GET_SYSCALL_INFO,
 * which is the same on each architecture; elsewhere, and where ptrace is refused, nothing is
 * counted and the case skips.
 */
#include "config.h"

#include "harness/harness.h"

#ifdef __linux__
#include <sys/ptrace.h>
#include <sys/syscall.h>
#endif

static char seen[1024];

const char *harness_calls_seen(void)
{
	return seen;
}

#ifdef __linux__

/* Not every libc has these, and where it has, they may be macros or enumerators. */
#define GET_SYSCALL_INFO 0x420e
#define INFO_ENTRY       1
#define SYSGOOD          0x1
#define EXIT_KILL        0x100000
#define MARK             (-4242)

struct call_info {
	uint8_t op, pad[3];
	uint32_t arch;
	uint64_t instruction, stack;
	uint64_t number, arguments[6];
	uint64_t spare[4];
};

struct job {
	int (*prepare)(void *arg);
	int (*work)(void *arg);
	void *arg;
};

static long trace(int request, pid_t pid, uintptr_t address, uintptr_t data)
{
	/* glibc has an enum for the request, musl an int. */
	return syscall(SYS_ptrace, (long)request, (long)pid, address, data);
}

static int traced(void *arg)
{
	const struct job *job = arg;

	if (trace(PTRACE_TRACEME, 0, 0, 0) != 0)
		return 77;
	raise(SIGSTOP);
	if (job->prepare != NULL && job->prepare(job->arg) != 0)
		return 1;
	close(MARK);
	int result = job->work(job->arg);
	close(MARK);
	return result == 0 ? 0 : 1;
}

static void remember(uint64_t number)
{
	size_t length = strlen(seen);

	snprintf(seen + length, sizeof(seen) - length, "%s%llu", length > 0 ? " " : "",
		(unsigned long long)number);
}

/* At a stop of the child: counts, and tells the signal to be given to it. */
static int look(pid_t pid, int stop, unsigned *marks, int *count)
{
	struct call_info info = {0};

	if (stop != (SIGTRAP | 0x80))
		return stop == SIGSTOP || stop == SIGTRAP ? 0 : stop;
	if (trace(GET_SYSCALL_INFO, pid, sizeof(info), (uintptr_t)&info) < 0) {
		*count = HARNESS_NO_TRACE;
		return 0;
	}
	if (info.op != INFO_ENTRY)
		return 0;
	if ((int)info.arguments[0] == MARK && info.number == SYS_close) {
		(*marks)++;
	} else if (*marks == 1 && *count >= 0) {
		(*count)++;
		remember(info.number);
	}
	return 0;
}

int harness_count_calls(int (*prepare)(void *arg), int (*work)(void *arg), void *arg)
{
	struct job job = {prepare, work, arg};
	unsigned marks = 0;
	int count = 0, status;

	seen[0] = '\0';
	pid_t pid = harness_fork(traced, &job);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return HARNESS_BROKEN;
	if (!WIFSTOPPED(status))
		return HARNESS_NO_TRACE;
	trace(PTRACE_SETOPTIONS, pid, 0, SYSGOOD | EXIT_KILL);
	int give = 0;
	while (trace(PTRACE_SYSCALL, pid, 0, (uintptr_t)give) == 0 &&
		waitpid(pid, &status, 0) == pid && WIFSTOPPED(status))
		give = look(pid, WSTOPSIG(status), &marks, &count);
	if (count == HARNESS_NO_TRACE)
		return count;
	return marks == 2 && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? count : HARNESS_BROKEN;
}

#else

int harness_count_calls(int (*prepare)(void *arg), int (*work)(void *arg), void *arg)
{
	(void)prepare, (void)work, (void)arg;
	return HARNESS_NO_TRACE;
}

#endif
