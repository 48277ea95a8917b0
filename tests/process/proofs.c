/* SPDX-License-Identifier: MIT */
/*
 * What a death is concluded from, and what a cleaner does with it: a pid that is given out again, a
 * label of another boot, a name that comes to life between the cleaner's look and its removal.
 */
#include "config.h"

#include "core/clock.h"
#include "harness/fixture.h"

#if defined __linux__

#include <dirent.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/ptrace.h>

static struct duoshm *ctx;

static int note_state(const struct duoshm_stat *object, void *state)
{
	*(int *)state = object->state;
	return 0;
}

static int state_of_all(void)
{
	int state = -1;

	EXPECT(duoshm_list(ctx, 0, note_state, &state), 0);
	return state;
}

static void leave_an_orphan(void)
{
	struct helper helper;

	start_helper(&helper, create_and_hang, "left", 0);
	kill_helper(&helper);
}

/* ---- pids that are given out again ---- */

static int stay(void *nothing)
{
	(void)nothing;
	while (pause() != 0)
		continue;
	return 0;
}

/*
 * Starts are told in ticks of the kernel's; where a free lock is no proof, two in the same tick are
 * one.
 */
static bool ticked(void *then)
{
	return duoshm__now() > *(int64_t *)then + 20 * MS;
}

/* Numbers of dead creators are given to others, who live and have nothing to do with it. */
static int reuse_pids(void *rounds)
{
	if (mount("proc", "/proc", "proc", 0, NULL) != 0)
		return 77;
	ctx = new_context();
	for (long i = *(long *)rounds; i > 0; i--) {
		struct helper creator;
		char last[24];

		start_helper(&creator, create_and_hang, "left", 0);
		EXPECT(state_of_all(), DUOSHM_LIVE);
		pid_t pid = creator.pid;
		int64_t now = duoshm__now();
		if (harness_profile("macos-arm64"))
			CHECK(harness_until(ticked, &now));
		kill_helper(&creator);
		snprintf(last, sizeof last, "%ld", (long)pid - 1);
		if (!harness_put("/proc/sys/kernel/ns_last_pid", last))
			return 77;
		pid_t innocent = harness_fork(stay, NULL);
		EXPECT(innocent, pid);
		EXPECT(state_of_all(), DUOSHM_ORPHAN);
		EXPECT(duoshm_reclaim(ctx, 0, NULL, NULL), 1);
		EXPECT(waitpid(innocent, NULL, WNOHANG), 0);
		harness_kill(innocent);
	}
	return duoshm_free(ctx);
}

static void with_own_pids(void)
{
	long rounds = harness_scale(5, 20, 200);

	if (!harness_enter(harness_path("machine"), "mode=0700") || unshare(CLONE_NEWPID) != 0)
		HARNESS_SKIP("no namespaces");
	int status = harness_wait(harness_fork(reuse_pids, &rounds));
	if (status == 77)
		HARNESS_SKIP("pids cannot be chosen here");
	EXPECT(status, 0);
}

static void pids_are_given_out_again(void)
{
	(void)mkdir(harness_path("machine"), 0700);
	if (harness_in_child(with_own_pids))
		harness_proves(7, harness_scale(5, 20, 200), "pids given out again");
}

/* ---- another boot ---- */

static void forget_lifelines(void)
{
	DIR *directory = opendir(duoshm_directory(ctx));

	CHECK_FATAL(directory != NULL);
	for (struct dirent *file; (file = readdir(directory)) != NULL;)
		if (strncmp(file->d_name, ".l.", 3) == 0)
			CHECK(unlinkat(dirfd(directory), file->d_name, 0) == 0);
	closedir(directory);
}

/* All that is left of the creator is its label: pid and start, which are those of the living. */
static void judge_in_another_boot(void)
{
	static const char boot[] = "/proc/sys/kernel/random/boot_id";
	const char *planted = harness_path("machine/boot");

	if (!harness_enter(harness_path("machine"), "mode=0700"))
		HARNESS_SKIP("no namespaces");
	ctx = new_context();
	EXPECT(state_of_all(), DUOSHM_UNKNOWN);
	EXPECT(duoshm_reclaim(ctx, 0, NULL, NULL), 0);
	int fd = open(planted, O_WRONLY | O_CREAT | O_EXCL, 0600);
	CHECK(fd >= 0 && dprintf(fd, "01234567-89ab-cdef-0123-456789abcdef\n") > 0);
	close(fd);
	if (mount(planted, boot, NULL, MS_BIND, NULL) != 0)
		HARNESS_SKIP("the boot cannot be told otherwise here");
	EXPECT(state_of_all(), DUOSHM_ORPHAN);
	EXPECT(duoshm_reclaim(ctx, DUOSHM_DRY_RUN, NULL, NULL), 1);
	end_context(ctx);
}

static void another_boot(void)
{
	struct helper helper;

	(void)mkdir(harness_path("machine"), 0700);
	ctx = new_context();
	start_helper(&helper, create_and_hang, "left", 0);
	forget_lifelines();
	if (harness_in_child(judge_in_another_boot))
		harness_proves(7, 1, "other boots");
	kill_helper(&helper);
	EXPECT(duoshm_reclaim(ctx, 0, NULL, NULL), 1);
	end_context(ctx);
}

/* ---- the cleaner, overtaken ---- */

static int clean(void *nothing)
{
	struct duoshm *own = new_context();

	(void)nothing;
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
		return 77;
	raise(SIGSTOP);
	return duoshm_reclaim(own, 0, NULL, NULL) < 0;
}

/* At its nth stop (each system call has two), or at its end. */
static int run_to(pid_t cleaner, int stops)
{
	int status = 0;

	EXPECT_FATAL(waitpid(cleaner, &status, 0), cleaner);
	for (int i = 0; WIFSTOPPED(status) && i < stops; i++) {
		ptrace(PTRACE_SYSCALL, cleaner, NULL, NULL);
		EXPECT_FATAL(waitpid(cleaner, &status, 0), cleaner);
	}
	return status;
}

/* False: the cleaner had ended before it came to that stop. */
static bool overtake(int stops, long *replaced)
{
	struct duoshm_create options = create_with(0, 1);
	struct duoshm_segment *made = NULL, *seen;

	options.timeout_ns = 0;
	leave_an_orphan();
	pid_t cleaner = harness_fork(clean, NULL);
	int status = run_to(cleaner, stops);
	bool stopped = WIFSTOPPED(status);
	if (!stopped && WEXITSTATUS(status) == 77)
		harness_skip("no ptrace here");
	int result = duoshm_segment_create(ctx, harness_name("left"), 64, &options, &made);
	if (stopped) {
		ptrace(PTRACE_DETACH, cleaner, NULL, NULL);
		EXPECT(harness_wait(cleaner), 0);
	}
	if (result >= 0) {
		*replaced += result == DUOSHM_REPLACED;
		EXPECT(duoshm_segment_removed(made), 0);
		seen = open_segment(ctx, "left", 0);
		end_segment(seen);
		EXPECT(duoshm_segment_remove(made), 0);
		end_segment(made);
	} else {
		EXPECT(result, DUOSHM_ERR_BUSY); /* the cleaner was at it */
	}
	return stopped;
}

static void cleaners_are_overtaken(void)
{
	long replaced = 0;
	int stops = 0;

	if (harness_instrumented())
		HARNESS_SKIP("instruments make calls of their own");
	ctx = new_context();
	while (overtake(stops, &replaced) && stops < 2000)
		stops++;
	CHECK(stops > 20 && stops < 2000);
	CHECK(replaced > 10);
	harness_proves(8, replaced, "replacements");
	end_context(ctx);
}

static const struct harness_case cases[] = {
	{"a pid that is given out again proves no life, and nobody is signalled",
		pids_are_given_out_again},
	{"a label of another boot names a dead process", another_boot},
	{"a name that comes to life while a cleaner is at work stays", cleaners_are_overtaken},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return harness_run_each(argc, argv, "proofs", cases);
}

#else

int main(void)
{
	return 77;
}

#endif
