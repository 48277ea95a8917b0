/* SPDX-License-Identifier: MIT */
/*
 * Plays for each point; see the header. Each has ten seconds: who hangs is found by that. Of System
 * V the objects of other tests cannot be told from ours, so that they are counted in an IPC
 * namespace of our own only.
 */
#include "config.h"

#include "process/plays.h"

#include "harness/fixture.h"

#include <dirent.h>

#define WATCHDOG 10 /* seconds */

static struct duoshm *watcher;
static bool private_ipc;
static int64_t longest;

/* ---- what is there --------------------------------------------------------------------------- */

static int count_one(const struct duoshm_stat *object, void *arg)
{
	if (private_ipc || object->name[0] != '\0')
		++*(int *)arg;
	return 0;
}

/* Objects of the kernel, entries, lifelines. */
static int there(void)
{
	DIR *directory = opendir(duoshm_directory(watcher));
	int count = 0;

	CHECK_FATAL(directory != NULL);
	while (readdir(directory) != NULL)
		count++;
	(void)closedir(directory);
	EXPECT(duoshm_list(watcher, DUOSHM_SYSTEM, count_one, &count), 0);
	return count;
}

/* What goes on, for who hangs in it. */
static char now_playing[160];

static void hangs(int signal_number)
{
	(void)signal_number;
	if (write(STDERR_FILENO, now_playing, strlen(now_playing)) >= 0)
		_exit(1);
	_exit(1);
}

void plays_begin(void)
{
	private_ipc = private_ipc || harness_enter("/dev/shm", "mode=1777");
	struct sigaction action = {.sa_handler = hangs};

	sigemptyset(&action.sa_mask);
	CHECK(sigaction(SIGALRM, &action, NULL) == 0);
	watcher = new_context();
	instrument_begin();
}

void plays_end(void)
{
	instrument_end();
	end_context(watcher);
}

/* ---- plays ----------------------------------------------------------------------------------- */

static unsigned play_once(
	const char *title, plays_fn *play, const struct plays_plan *plan, int before)
{
	unsigned failures = CU_get_number_of_failures();

	snprintf(now_playing, sizeof(now_playing), "\n%s hangs at points %u, %u\n", title,
		plan->nth[0], plan->nth[1]);
	alarm(WATCHDOG * (harness_instrumented() ? 5 : 1));
	unsigned came = play(plan);
	EXPECT(there(), before);
	if (CU_get_number_of_failures() != failures)
		fprintf(stderr, "%s: points %u, %u, the last: %s\n", title, plan->nth[0],
			plan->nth[1], instrument_point());
	return came;
}

static void tell(const char *title, long plays, unsigned stride)
{
	printf("\n%s: %ld, each %u of the points; ", title, plays, stride);
	printf("learnt after %lld ms at most ", (long long)(longest / MS));
	longest = 0;
}

long plays_each(const char *title, plays_fn *play, enum instrument_deed deed, unsigned first,
	unsigned stride)
{
	struct plays_plan plan = {deed, {1 + first % stride}};
	int before = there();
	long plays = 0;

	while (play_once(title, play, &plan, before) == 1) {
		plan.nth[0] += stride;
		plays++;
	}
	tell(title, plays, stride);
	return plays;
}

long plays_pairs(
	const char *title, plays_fn *play, unsigned first, unsigned stride, unsigned second)
{
	struct plays_plan plan = {INSTRUMENT_DIE, {1 + first % stride}};
	int before = there();
	unsigned came = 1;
	long plays = 0;

	for (; came > 0; plan.nth[0] += stride) {
		plan.nth[1] = 1 + (first + plan.nth[0]) % second;
		while ((came = play_once(title, play, &plan, before)) == 2) {
			plan.nth[1] += second;
			plays++;
		}
	}
	tell(title, plays, stride * second);
	return plays;
}

/* ---- children -------------------------------------------------------------------------------- */

enum plays_state plays_look(pid_t pid)
{
	siginfo_t info = {0};

	if (waitid(P_PID, (id_t)pid, &info, WEXITED | WSTOPPED | WNOHANG | WNOWAIT) != 0)
		return PLAYS_ENDED;
	if (info.si_pid == 0)
		return PLAYS_RUNS;
	return info.si_code == CLD_STOPPED ? PLAYS_STOPPED : PLAYS_ENDED;
}

static bool is_idle(void *pid)
{
	int state = harness_process_state(*(pid_t *)pid);

	return state != 'R' && state != 'D';
}

void plays_until_idle(pid_t pid)
{
	CHECK(harness_until(is_idle, &pid));
}

bool plays_end_of(pid_t pid, enum instrument_deed deed, bool stood)
{
	int status = harness_wait_stopped(pid);

	if (status == HARNESS_STOPPED) {
		stood = true;
		harness_continue(pid);
		status = harness_wait(pid);
	}
	if (status == -SIGKILL && deed == INSTRUMENT_DIE)
		return true;
	EXPECT(status, 0);
	return stood;
}

void plays_learnt(int64_t ns)
{
	longest = ns > longest ? ns : longest;
}
