/* SPDX-License-Identifier: MIT */
/*
 * limit COMMAND [ARGUMENT...]: runs a test, with its status; one that does not come to its end is
 * ended, after its processes have been shown, so that a run says what hangs instead of hanging
 * itself. The seconds come from DUOSHM_TEST_LIMIT, else from DUOSHM_TEST_TIER. Needs no CUnit: it
 * runs the scripts, too.
 *
 * The test is a process group, which a terminal's signals do not reach by themselves: they are
 * passed on. All signals come while they are waited for, so that none is missed.
 */
#include "config.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SMALL = 600, NORMAL = 900, FULL = 7200, GRACE = 10, BROKEN = 99 };

static const int passed_on[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
enum { PASSED_ON = sizeof(passed_on) / sizeof(passed_on[0]) };

static volatile sig_atomic_t group, rings;

static void pass_on(int signal_number)
{
	(void)kill((pid_t)-group, signal_number);
}

static void ring(int signal_number)
{
	rings += signal_number == SIGALRM;
}

static unsigned seconds(void)
{
	const char *own = getenv("DUOSHM_TEST_LIMIT"), *tier = getenv("DUOSHM_TEST_TIER");

	if (own != NULL && atoi(own) > 0)
		return (unsigned)atoi(own);
	if (tier != NULL && strcmp(tier, "small") == 0)
		return SMALL;
	return tier != NULL && strcmp(tier, "full") == 0 ? FULL : NORMAL;
}

/* Its group and all that descend from it; what they wait for, where the system tells. */
static void show(pid_t pid)
{
	char command[512];

	snprintf(command, sizeof(command),
		"{ ps -A -ww -o pid,ppid,pgid,stat,wchan,time,args 2> /dev/null || "
		"ps -A -o pid,ppid,pgid,args; } | awk -v of=%ld '"
		"NR > 1 { up[$1] = $2; line[$1] = $0; if ($3 == of) its[$1] } "
		"END { its[of]; do { n = 0; for (i in up) if (!(i in its) && up[i] in its) "
		"{ its[i]; n++ } } while (n); for (i in its) if (i in line) { print line[i]; n++ } "
		"exit !n }'",
		(long)pid);
	if (system(command) != 0)
		puts("limit: its processes cannot be shown");
}

/* First it is asked to end, for then it cleans up. */
static void end_by_force(pid_t pid, const char *name, bool asked)
{
	if (asked) {
		kill(-pid, SIGKILL);
		return;
	}
	printf("limit: %s: no end after %u s; its processes:\n", name, seconds());
	fflush(stdout);
	show(pid);
	kill(-pid, SIGTERM);
	kill(-pid, SIGCONT);
	alarm(seconds() < GRACE ? seconds() : GRACE);
}

static int wait_for(pid_t pid, const char *name, const sigset_t *awake)
{
	sig_atomic_t seen = 0;
	int status;
	pid_t got;

	alarm(seconds());
	while ((got = waitpid(pid, &status, WNOHANG)) == 0) {
		if (rings == seen)
			sigsuspend(awake);
		else
			end_by_force(pid, name, seen++ > 0);
	}
	if (got < 0)
		return BROKEN;
	if (seen > 0) {
		kill(-pid, SIGKILL);
		return 1;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* What the starter ignores stays ignored. */
static void on(int signal_number, void (*handler)(int))
{
	struct sigaction action = {.sa_handler = handler}, before;

	sigfillset(&action.sa_mask);
	if (handler != pass_on ||
		(sigaction(signal_number, NULL, &before) == 0 && before.sa_handler != SIG_IGN))
		sigaction(signal_number, &action, NULL);
}

/* Blocks what we wait for: in *before how it was, in *awake how it is while we wait. */
static void hold_signals(sigset_t *before, sigset_t *awake)
{
	sigset_t held;

	sigemptyset(&held);
	for (size_t i = 0; i < PASSED_ON; i++)
		sigaddset(&held, passed_on[i]);
	sigaddset(&held, SIGALRM);
	sigaddset(&held, SIGCHLD);
	sigprocmask(SIG_BLOCK, &held, before);
	*awake = *before;
	sigdelset(awake, SIGALRM);
	sigdelset(awake, SIGCHLD);
}

int main(int argc, char **argv)
{
	sigset_t before, awake;

	if (argc < 2) {
		fputs("usage: limit COMMAND [ARGUMENT...]\n", stderr);
		return BROKEN;
	}
	hold_signals(&before, &awake);
	pid_t pid = fork();
	if (pid < 0)
		return BROKEN;
	if (pid == 0) {
		setpgid(0, 0);
		sigprocmask(SIG_SETMASK, &before, NULL);
		execvp(argv[1], argv + 1);
		perror(argv[1]);
		_exit(BROKEN);
	}
	/* Both set the group: whoever comes first. */
	setpgid(pid, pid);
	group = pid;
	for (size_t i = 0; i < PASSED_ON; i++)
		on(passed_on[i], pass_on);
	on(SIGALRM, ring);
	on(SIGCHLD, ring);
	return wait_for(pid, argv[argc - 1], &awake);
}
