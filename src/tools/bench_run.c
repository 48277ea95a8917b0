/* SPDX-License-Identifier: MIT */
/*
 * One run of `compare bench`: forks the sides of a case, pins them to CPUs, starts them together,
 * times it, and takes home what side 0 found. Whatever a side does to its process (memory, limits,
 * a crash) ends with it.
 *
 * The trap: a run must end in any case. Each side has an alarm that ends it, and when one side goes
 * wrong the others are killed, which leaves their objects to be reclaimed.
 */
#include "config.h"

#include "tools/bench.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef HAVE_SCHED_H
#include <sched.h>
#endif

#ifndef MAP_ANONYMOUS
#define MAP_ANONYMOUS MAP_ANON
#endif
#ifndef MAP_NORESERVE
#define MAP_NORESERVE 0
#endif

#define GRACE_SECONDS 60 /* set-up, and what a run may take longer than it was told */

#define WRITING (-1)

struct bench_shared {
	_Atomic unsigned ready;
	_Atomic int
		failed; /* WRITING; 1: `why` is written, and it is a failure; 2: a run not to be had */
	_Atomic bool over;
	_Atomic unsigned pinned;
	int64_t begin, first, last; /* side 0's: when time ran, and the first and last record */
	int64_t warm, end;
	double clock_cost;
	struct bench_found found;
};

/* ---- what the sides call ---- */

double bench_clock_cost(void)
{
	double costs[15];

	for (int t = 0; t < 15; t++) {
		int64_t begin = tool_now();
		for (int i = 1; i < 200; i++)
			(void)tool_now();
		costs[t] = (double)(tool_now() - begin) / 200;
	}
	return bench_median(costs, 15);
}

void bench_go(struct bench_side *side)
{
	struct bench_shared *shared = side->shared;

	/* Before the others wait for it: what it costs is known, and it is in the caches. */
	if (side->index == 0)
		shared->clock_cost = bench_clock_cost();
	atomic_fetch_add(&shared->ready, 1);
	while (atomic_load(&shared->ready) < side->sides && atomic_load(&shared->failed) <= 0)
		tool_pause(10000);
	if (side->index == 0) {
		shared->begin = tool_now();
		shared->warm += shared->begin;
		shared->end += shared->warm;
	}
}

bool bench_record(struct bench_side *side, int64_t begin, int64_t end, uint64_t operations)
{
	struct bench_shared *shared = side->shared;

	if (begin >= shared->warm && operations != 0) {
		double ns = (double)(end - begin) - shared->clock_cost;
		double each = ns > 0 ? 1000 * ns / (double)operations : 0;

		bench_count(&shared->found.times, (uint64_t)(each + 0.5));
		shared->found.operations += operations;
		shared->found.batch = operations;
		if (shared->first == 0)
			shared->first = begin;
		shared->last = end;
	}
	/* A slow case has at least one record. */
	return end < shared->end || shared->found.operations == 0;
}

void bench_add_time(struct bench_side *side, int64_t ns)
{
	bench_count(&side->shared->found.times, 1000 * (uint64_t)ns);
}

bool bench_is_warm(const struct bench_side *side, int64_t now)
{
	/* Side 0 makes it a time when all are ready; before that it is a length. */
	return now >= side->shared->warm;
}

bool bench_over(const struct bench_side *side)
{
	return atomic_load_explicit(&side->shared->over, memory_order_relaxed);
}

void bench_finish(struct bench_side *side)
{
	atomic_store(&side->shared->over, true);
}

TOOL_PRINTF(3, 0)
static int end_by(struct bench_side *side, int how, const char *format, va_list arguments)
{
	int nothing = 0;

	/* The first one's words; what the others find wrong follows from it. */
	if (atomic_compare_exchange_strong(&side->shared->failed, &nothing, WRITING)) {
		char *why = side->shared->found.why;

		vsnprintf(why, sizeof side->shared->found.why, format, arguments);
		atomic_store(&side->shared->failed, how);
	}
	return TOOL_FAILED;
}

int bench_failed(struct bench_side *side, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	int result = end_by(side, 1, format, arguments);
	va_end(arguments);
	return result;
}

int bench_skipped(struct bench_side *side, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	int result = end_by(side, 2, format, arguments);
	va_end(arguments);
	return result;
}

int bench_refused(struct bench_side *side, const char *call, int64_t code)
{
	if (code == DUOSHM_ERR_NO_SPACE || code == DUOSHM_ERR_LIMIT)
		return bench_skipped(side, "%s: %s", call, tool_cause((int)code));
	return bench_failed(side, "%s: %s", call, tool_cause((int)code));
}

/* Where the middle word of message `sequence` is. */
static uint64_t middle(uint64_t size, uint64_t sequence)
{
	uint64_t words = size / 8 - 2;

	return 8 + 8 * ((sequence * 61 & 0xffff) * words >> 16);
}

void bench_fill_rest(void *message, uint64_t size, uint64_t sequence)
{
	unsigned char *bytes = message;
	uint64_t at = middle(size, sequence), word = bench_word(sequence, at);

	memcpy(bytes + at, &word, sizeof word);
	word = bench_word(sequence, size);
	memcpy(bytes + size - sizeof word, &word, sizeof word);
}

bool bench_verify_rest(const void *message, uint64_t size, uint64_t sequence)
{
	const unsigned char *bytes = message;
	uint64_t at = middle(size, sequence), between, last;

	memcpy(&between, bytes + at, sizeof between);
	memcpy(&last, bytes + size - sizeof last, sizeof last);
	return between == bench_word(sequence, at) && last == bench_word(sequence, size);
}

/* ---- a side's process ---- */

/* Side 0 has the first CPU for itself, unless the test is spread or there is but one. */
static int cpu_of(const struct bench_plan *plan, const struct bench_side *side)
{
	bool spread = (side->of->test->flags & BENCH_SPREAD) != 0 || plan->n_cpus == 1;

	if (spread || side->index == 0)
		return plan->cpus[side->index % plan->n_cpus];
	return plan->cpus[1 + (side->index - 1) % (plan->n_cpus - 1)];
}

static bool pin(const struct bench_plan *plan, const struct bench_side *side)
{
#if defined HAVE_SCHED_SETAFFINITY && defined CPU_SET
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu_of(plan, side), &set);
	return sched_setaffinity(0, sizeof set, &set) == 0;
#else
	(void)cpu_of(plan, side);
	return false;
#endif
}

static void set_wait(enum bench_wait wait)
{
	if (wait == BENCH_SPIN)
		setenv("DUOSHM_SPIN_NS", "1000000000", 1);
	else if (wait == BENCH_SLEEP)
		setenv("DUOSHM_SPIN_NS", "0", 1);
	else
		unsetenv("DUOSHM_SPIN_NS");
}

/* The library's context of a side. */
static int open_context(struct bench_side *side)
{
	struct duoshm_options options = DUOSHM_OPTIONS_INIT;

	options.backend = side->backend;
	options.directory = side->scratch;
	int result = duoshm_new(&options, &side->ctx);
	return result < 0 ? bench_refused(side, "duoshm_new", result) : 0;
}

static const int ending[] = {SIGINT, SIGTERM, SIGHUP};
enum { ENDING = sizeof ending / sizeof ending[0] };

/* As signals end a process; what the starter ignores stays ignored. */
static void end_by_signals(void)
{
	struct sigaction before;

	for (int i = 0; i < ENDING; i++)
		if (sigaction(ending[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
			signal(ending[i], SIG_DFL);
}

static void wake(int number)
{
	(void)number;
}

/*
 * From here on the signals that end us, and the end of a side, come only while they are waited for:
 * one that came just before a wait would be missed.
 */
static void hold_signals(sigset_t *before)
{
	struct sigaction action = {.sa_handler = wake};
	sigset_t held;

	sigemptyset(&action.sa_mask);
	sigaction(SIGCHLD, &action, NULL);
	sigemptyset(&held);
	sigaddset(&held, SIGCHLD);
	for (int i = 0; i < ENDING; i++)
		sigaddset(&held, ending[i]);
	sigprocmask(SIG_BLOCK, &held, before);
}

_Noreturn static void side_process(
	const struct bench_plan *plan, struct bench_side *side, bool floor, const sigset_t *signals)
{
	const struct bench_test *test = side->of->test;
	int64_t seconds = (plan->duration_ns + plan->warmup_ns) / TOOL_SECOND;
	int result = 0;

	end_by_signals();
	sigprocmask(SIG_SETMASK, signals, NULL);
	alarm((unsigned)seconds + GRACE_SECONDS);
	set_wait(side->of->wait);
	if (pin(plan, side))
		atomic_fetch_add(&side->shared->pinned, 1);
	if (!floor)
		result = open_context(side);
	if (result == 0)
		result = floor ? test->floor(side) : test->run(side);
	if (side->ctx != NULL)
		(void)duoshm_free(side->ctx);
	_exit(result == 0 ? TOOL_DONE : TOOL_FAILED);
}

/* ---- the run ---- */

static unsigned sides_of(const struct bench_case *of)
{
	return of->test->sides + (unsigned)of->clients;
}

/* Ends those that still run, and waits for all. */
static void end_all(pid_t *pids, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (pids[i] > 0)
			kill(pids[i], SIGKILL);
	for (unsigned i = 0; i < count; i++)
		while (pids[i] > 0 && waitpid(pids[i], NULL, 0) < 0 && errno == EINTR)
			;
}

/* The objects of processes that were killed. */
static void reclaim(const struct bench_plan *plan)
{
	struct duoshm_options options = DUOSHM_OPTIONS_INIT;
	struct duoshm *ctx;

	options.backend = "auto";
	options.directory = plan->scratch;
	if (duoshm_new(&options, &ctx) < 0)
		return;
	(void)duoshm_reclaim(ctx, 0, NULL, NULL);
	(void)duoshm_free(ctx);
}

static unsigned index_of(const pid_t *pids, unsigned count, pid_t pid)
{
	unsigned i = 0;

	while (i < count && pids[i] != pid)
		i++;
	return i;
}

static pid_t await_one(int *status, const sigset_t *signals)
{
	sigset_t awake = *signals;
	pid_t pid;

	sigdelset(&awake, SIGCHLD); /* our starter may have blocked it */
	while ((pid = waitpid(-1, status, WNOHANG)) == 0 && !tool_stop)
		sigsuspend(&awake);
	return pid;
}

/* Waits for all sides. 0, TOOL_STOPPED, or TOOL_FAILED with a reason in `why` at least. */
static int await(pid_t *pids, unsigned count, struct bench_shared *shared, const sigset_t *signals)
{
	int result = 0;

	for (unsigned left = count; left > 0 && result == 0;) {
		int status = 0;
		pid_t pid = await_one(&status, signals);
		unsigned i = index_of(pids, count, pid);

		if (tool_stop)
			result = TOOL_STOPPED;
		if (pid <= 0 || i == count)
			continue;
		pids[i] = 0;
		left--;
		if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
			continue;
		result = tool_stop ? TOOL_STOPPED : TOOL_FAILED;
		if (!WIFEXITED(status) && atomic_load(&shared->failed) == 0)
			snprintf(shared->found.why, sizeof shared->found.why,
				WTERMSIG(status) == SIGALRM ? "side %u hung" : "side %u crashed",
				i);
	}
	/* Another side may just be saying why. */
	for (int i = 0; i < 1000 && atomic_load(&shared->failed) == WRITING; i++)
		tool_pause(10000);
	return result;
}

static int fork_sides(const struct bench_plan *plan, struct bench_side *side, bool floor,
	const sigset_t *signals, pid_t *pids, unsigned *started)
{
	for (*started = 0; *started < side->sides; ++*started) {
		side->index = *started;
		fflush(NULL);
		pids[*started] = fork();
		if (pids[*started] == 0)
			side_process(plan, side, floor, signals);
		if (pids[*started] < 0)
			return bench_failed(side, "fork: %s", strerror(errno));
	}
	return 0;
}

static void *map(size_t bytes, int flags)
{
	void *memory = mmap(
		NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | flags, -1, 0);

	if (memory == MAP_FAILED) {
		tool_error("mmap(%zu): %s", bytes, strerror(errno));
		exit(TOOL_FAILED);
	}
	return memory;
}

/* What the sides found, in plain memory. */
static struct bench_found *take_home(
	const struct bench_plan *plan, const struct bench_side *side, bool skipped)
{
	struct bench_found *found = tool_allocate(1, sizeof *found);

	*found = side->shared->found;
	found->elapsed_ns = side->shared->last - side->shared->first;
	if (found->elapsed_ns < 1)
		found->elapsed_ns = 1;
	found->placed = plan->n_cpus >= 2 && atomic_load(&side->shared->pinned) == side->sides;
	found->skipped = skipped;
	return found;
}

/* What is left to tell after a run that ended with `result`. */
static int conclude(const struct bench_plan *plan, const struct bench_side *side, int result,
	struct bench_found **found)
{
	bool skipped = atomic_load(&side->shared->failed) == 2;
	char title[96];

	if (result == 0 || (skipped && result != TOOL_STOPPED)) {
		*found = take_home(plan, side, skipped);
		return TOOL_DONE;
	}
	if (result == TOOL_FAILED)
		tool_error("%s, %s: %s", bench_title(side->of, title),
			side->backend ? side->backend : "floor", side->shared->found.why);
	return result;
}

int bench_run(const struct bench_plan *plan, const struct bench_case *of, const char *backend,
	bool floor, struct bench_found **found)
{
	static unsigned runs;
	char name[48];
	unsigned started = 0;
	struct bench_side side = {.of = of,
		.backend = backend,
		.name = name,
		.scratch = plan->scratch,
		.sides = sides_of(of),
		.memory = map(BENCH_MEMORY, MAP_NORESERVE),
		.shared = map(sizeof(struct bench_shared), 0)};
	pid_t *pids = tool_allocate(side.sides, sizeof *pids);
	sigset_t signals;

	hold_signals(&signals);
	snprintf(name, sizeof name, "bench%ld-%u", (long)getpid(), runs++);
	side.shared->warm = plan->warmup_ns;
	side.shared->end = plan->duration_ns > 20 * of->test->pause_ns ? plan->duration_ns
								       : 20 * of->test->pause_ns;
	int result = floor && of->test->prepare != NULL ? of->test->prepare(&side) : 0;
	if (result == 0)
		result = fork_sides(plan, &side, floor, &signals, pids, &started);
	if (result == 0)
		result = await(pids, started, side.shared, &signals);
	end_all(pids, started);
	if (result != 0)
		reclaim(plan);
	if (floor && of->test->sweep != NULL && (result != 0 || of->test->prepare != NULL))
		of->test->sweep(&side);
	result = conclude(plan, &side, result, found);
	free(pids);
	munmap(side.memory, BENCH_MEMORY);
	munmap(side.shared, sizeof *side.shared);
	sigprocmask(SIG_SETMASK, &signals, NULL);
	return result;
}
