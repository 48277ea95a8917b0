/* SPDX-License-Identifier: MIT */
/*
 * limit COMMAND [ARGUMENT...]: runs a test, with its status; one that does not come to its end is
 * ended, after its processes have been shown, so that a run says what hangs instead of hanging
 * itself. The seconds come from DUOSHM_TEST_LIMIT, else from DUOSHM_TEST_TIER. Needs no CUnit: it
 * runs the scripts, too.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SMALL = 300, NORMAL = 900, FULL = 7200, GRACE = 10, BROKEN = 99 };

static volatile sig_atomic_t group, rings;

static void pass_on(int signal_number)
{
	if (group > 0)
		kill((pid_t)-group, signal_number);
}

static void ring(int signal_number)
{
	(void)signal_number;
	rings++;
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

/* It and all that descend from it; what they wait for, where the system tells. */
static void show(pid_t pid)
{
	char command[512];

	snprintf(command, sizeof(command),
		"ps -A -o pid,ppid,stat,wchan,time,args | awk -v of=%ld '"
		"NR > 1 { up[$1] = $2; line[$1] = $0 } "
		"END { its[of]; do { n = 0; for (i in up) if (!(i in its) && up[i] in its) "
		"{ its[i]; n++ } } while (n); for (i in its) print line[i] }'",
		(long)pid);
	if (system(command) != 0)
		puts("limit: its processes cannot be shown");
}

/* First it is asked to end, for then it cleans up. */
static void end_by_force(pid_t pid, const char *name)
{
	if (rings > 1) {
		kill(-pid, SIGKILL);
		return;
	}
	printf("limit: %s: no end after %u s; its processes:\n", name, seconds());
	fflush(stdout);
	show(pid);
	kill(-pid, SIGTERM);
	alarm(seconds() < GRACE ? seconds() : GRACE);
}

static int wait_for(pid_t pid, const char *name)
{
	sig_atomic_t seen = 0;
	int status;

	alarm(seconds());
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return BROKEN;
		if (rings != seen) {
			seen = rings;
			end_by_force(pid, name);
		}
	}
	if (rings > 0) {
		kill(-pid, SIGKILL);
		return 1;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void on(int signal_number, void (*handler)(int))
{
	struct sigaction action = {.sa_handler = handler};

	sigemptyset(&action.sa_mask);
	sigaction(signal_number, &action, NULL);
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fputs("usage: limit COMMAND [ARGUMENT...]\n", stderr);
		return BROKEN;
	}
	pid_t pid = fork();
	if (pid < 0)
		return BROKEN;
	if (pid == 0) {
		setpgid(0, 0);
		execvp(argv[1], argv + 1);
		perror(argv[1]);
		_exit(BROKEN);
	}
	/* Both set the group: whoever comes first. */
	setpgid(pid, pid);
	group = pid;
	on(SIGHUP, pass_on);
	on(SIGINT, pass_on);
	on(SIGTERM, pass_on);
	on(SIGALRM, ring);
	return wait_for(pid, argv[argc - 1]);
}
