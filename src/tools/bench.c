/* SPDX-License-Identifier: MIT */
/*
 * compare bench: which cases are measured, in which order, and what becomes of the results. Rounds
 * go over a case's subjects, forwards and backwards in turn, so that a drift of the machine hits
 * the floor and both families alike.
 */
#include "config.h"

#include "tools/bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef HAVE_SCHED_H
#include <sched.h>
#endif

#include "tools/compare.h"
#include "tools/json.h"

const char *const bench_wait_names[BENCH_WAITS] = {"spin", "adaptive", "sleep"};

static const struct bench_test *const tests[] = {&bench_pingpong, &bench_inplace, &bench_oneway,
	&bench_staged, &bench_handoff, &bench_broadcast, &bench_semaphore, &bench_lock,
	&bench_contention, &bench_register, &bench_snapshot, &bench_attach, &bench_bells,
	&bench_objects, &bench_list, &bench_memcpy};
#define TESTS (sizeof tests / sizeof tests[0])

#define SIZE_MIN    8u
#define SIZE_LARGE  (16u << 20)
#define CLIENTS_MAX 64u
#define CASES_MAX   256u
#define VALUES_MAX  32u
#define ROUNDS_MAX  1000u

/* What the user chose. */
static struct {
	const char *tests, *sizes, *waits, *clients, *cpus, *csv, *json;
	int64_t duration_ns, warmup_ns;
	uint64_t repeat;
} chosen = {.duration_ns = 20000000, .warmup_ns = 2000000, .repeat = 9};

static void take_json(const char *path);

const struct tool_option compare_options[] = {
	{0, "test", "TEST,...", "bench", "which tests; floor: only the floors",
		.word = &chosen.tests},
	{0, "size", "BYTES,...", "bench", "of a message, 8 to 16Mi", .word = &chosen.sizes},
	{0, "wait", "HOW,...", "bench", "spin, adaptive or sleep", .word = &chosen.waits},
	{0, "clients", "N,...", "bench", "readers or contenders, 0 to 64", .word = &chosen.clients},
	{0, "cpus", "A,B,...", "bench", "the CPUs to run on", .word = &chosen.cpus},
	{0, "repeat", "N", "bench", "rounds (default 9)", .count = &chosen.repeat},
	{0, "duration", "TIME", "bench", "of each run (default 20ms)",
		.time_ns = &chosen.duration_ns},
	{0, "warmup", "TIME", "bench", "before each run (default 2ms)",
		.time_ns = &chosen.warmup_ns},
	{0, "csv", "FILE", "bench", "the results, a line each", .word = &chosen.csv},
	{'J', "json", "[FILE]", NULL, "JSON output; bench: into a file", .act = take_json},
	{.name = NULL},
};

static void take_json(const char *path)
{
	tool_want_json();
	chosen.json = path;
}

/* ---- lists of the command line ---- */

/* Calls `take` for each part of "A,B,C". */
static void each_part(const char *list, void (*take)(const char *part, void *to), void *to)
{
	char *copy = tool_copy(list), *rest = copy;

	while (rest != NULL) {
		char *part = rest;
		rest = strchr(part, ',');
		if (rest != NULL)
			*rest++ = '\0';
		take(part, to);
	}
	free(copy);
}

struct values {
	uint64_t values[VALUES_MAX + 1];
	unsigned count;
};

static void add_value(struct values *to, uint64_t value)
{
	if (to->count == VALUES_MAX)
		tool_usage("a list of more than %u", VALUES_MAX);
	to->values[to->count++] = value;
	to->values[to->count] = BENCH_END;
}

static void take_size(const char *part, void *to)
{
	uint64_t size;

	if (tool_count(part, &size) < 0 || size < SIZE_MIN || size > SIZE_LARGE)
		tool_usage("--size: not 8 to 16Mi bytes: \"%s\"", part);
	add_value(to, size);
}

static void take_clients(const char *part, void *to)
{
	uint64_t clients;

	if (tool_count(part, &clients) < 0 || clients > CLIENTS_MAX)
		tool_usage("--clients: not a number of 0 to %u: \"%s\"", CLIENTS_MAX, part);
	add_value(to, clients);
}

static void take_wait(const char *part, void *to)
{
	for (unsigned wait = 0; wait < BENCH_WAITS; wait++) {
		if (strcmp(part, bench_wait_names[wait]) == 0) {
			add_value(to, wait);
			return;
		}
	}
	tool_usage("--wait: spin, adaptive or sleep, not \"%s\"", part);
}

static void take_test(const char *part, void *to)
{
	char known[512] = "floor";

	for (unsigned t = 0; t < TESTS; t++) {
		tool_append(known, sizeof known, ", ", tests[t]->name);
		if (strcmp(part, tests[t]->name) == 0) {
			add_value(to, t);
			return;
		}
	}
	if (strcmp(part, "floor") != 0)
		tool_usage("--test: no test \"%s\"; there are %s", part, known);
	add_value(to, TESTS);
}

/* ---- CPUs ---- */

#if defined HAVE_SCHED_SETAFFINITY && defined CPU_SET
static void take_cpu(const char *part, void *to)
{
	struct bench_plan *plan = to;
	uint64_t cpu;

	if (tool_count(part, &cpu) < 0 || cpu > 100000)
		tool_usage("--cpus: not the number of a CPU: \"%s\"", part);
	if (plan->n_cpus == sizeof plan->cpus / sizeof plan->cpus[0])
		tool_usage("--cpus: more than %u", plan->n_cpus);
	for (unsigned i = 0; i < plan->n_cpus; i++)
		if (plan->cpus[i] == (int)cpu)
			tool_usage("--cpus: %d twice", (int)cpu);
	plan->cpus[plan->n_cpus++] = (int)cpu;
}
#endif

/* The first two that this process may run on, unless the user names some. */
static void choose_cpus(struct bench_plan *plan)
{
#if defined HAVE_SCHED_SETAFFINITY && defined CPU_SET
	cpu_set_t allowed;

	if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
		CPU_ZERO(&allowed);
	if (chosen.cpus != NULL)
		each_part(chosen.cpus, take_cpu, plan);
	for (int cpu = 0; chosen.cpus == NULL && cpu < CPU_SETSIZE && plan->n_cpus < 2; cpu++)
		if (CPU_ISSET((size_t)cpu, &allowed))
			plan->cpus[plan->n_cpus++] = cpu;
	for (unsigned i = 0; i < plan->n_cpus; i++)
		if (plan->cpus[i] >= CPU_SETSIZE || !CPU_ISSET((size_t)plan->cpus[i], &allowed))
			tool_usage("--cpus: this process may not run on CPU %d", plan->cpus[i]);
#else
	if (chosen.cpus != NULL)
		tool_usage("--cpus: not on this system, which lets no process choose");
#endif
	if (plan->n_cpus == 0)
		plan->n_cpus = 1;
}

/* ---- cases ---- */

struct agenda {
	struct bench_case cases[CASES_MAX];
	struct bench_report *reports;
	unsigned count;
	bool floors_only;
	const char *families[3]; /* that are built and work, NULL-terminated */
};

static const uint64_t nothing[] = {0, BENCH_END};

/* What to vary in: what the user named, if the test can be varied in it at all. */
static const uint64_t *range(const uint64_t *of_test, const struct values *named)
{
	if (of_test == NULL)
		return nothing;
	return named->count != 0 ? named->values : of_test;
}

static void add_case(struct agenda *agenda, const struct bench_case *one)
{
	if (agenda->count == CASES_MAX)
		tool_usage("more than %u cases", CASES_MAX);
	agenda->cases[agenda->count++] = *one;
}

static void add_test(struct agenda *agenda, const struct bench_test *test,
	const struct values *waits, const struct values *sizes, const struct values *clients)
{
	const uint64_t *w = range(test->waits, waits), *s, *c, *n;

	for (; *w != BENCH_END; w++)
		for (s = range(test->sizes, sizes); *s != BENCH_END; s++)
			for (c = range(test->clients, clients); *c != BENCH_END; c++)
				for (n = test->counts ? test->counts : nothing; *n != BENCH_END;
					n++)
					add_case(
						agenda, &(struct bench_case){test,
								(enum bench_wait) * w, *s, *c, *n});
}

static void choose_cases(struct agenda *agenda)
{
	struct values which = {.count = 0}, sizes = {.count = 0}, waits = {.count = 0},
		      clients = {.count = 0};

	if (chosen.tests != NULL)
		each_part(chosen.tests, take_test, &which);
	if (chosen.sizes != NULL)
		each_part(chosen.sizes, take_size, &sizes);
	if (chosen.waits != NULL)
		each_part(chosen.waits, take_wait, &waits);
	if (chosen.clients != NULL)
		each_part(chosen.clients, take_clients, &clients);
	agenda->floors_only = which.count == 1 && which.values[0] == TESTS;
	for (unsigned t = 0; t < TESTS; t++) {
		bool wanted = which.count == 0 || agenda->floors_only;
		for (unsigned i = 0; i < which.count; i++)
			wanted = wanted || which.values[i] == t;
		if (wanted && (!agenda->floors_only || tests[t]->floor != NULL))
			add_test(agenda, tests[t], &waits, &sizes, &clients);
	}
	if (agenda->count == 0)
		tool_usage("--test: nothing to measure");
}

/* Both families, or -b's. */
static void choose_families(struct agenda *agenda)
{
	unsigned n = 0;

	for (const char *const *family = duoshm_backends(); *family != NULL; family++) {
		struct duoshm_facts facts = DUOSHM_FACTS_INIT;

		if (tool.backend != NULL && strcmp(tool.backend, "auto") != 0 &&
			strcmp(tool.backend, *family) != 0)
			continue;
		if (duoshm_probe(*family, &facts) < 0 || !facts.works)
			tool_note("%s does not work here: %s", *family, facts.reason);
		else
			agenda->families[n++] = *family;
	}
	if (n == 0 && !agenda->floors_only) {
		tool_error("bench: no family that works here");
		exit(tool_end(TOOL_FAILED));
	}
	/* The order in which they are shown. */
	if (n == 2 && strcmp(agenda->families[0], "posix") == 0) {
		agenda->families[0] = agenda->families[1];
		agenda->families[1] = "posix";
	}
}

/* ---- subjects ---- */

static bool has_own_floors(const struct bench_case *of)
{
	unsigned flags = of->test->flags;

	return (flags & BENCH_OWN_FLOORS) != 0 ||
	       ((flags & BENCH_OWN_FLOORS_ASLEEP) != 0 && of->wait == BENCH_SLEEP);
}

static struct bench_result *add_result(
	struct bench_report *report, const char *prefix, const char *name)
{
	struct bench_result *result = &report->results[report->n_results++];

	snprintf(result->backend, sizeof result->backend, "%s%s", prefix, name);
	result->rounds = tool_allocate((size_t)chosen.repeat, sizeof *result->rounds);
	result->rates = tool_allocate((size_t)chosen.repeat, sizeof *result->rates);
	result->good = true;
	return result;
}

/* Floors first: each is in place before what it is the floor of. */
static void add_subjects(const struct agenda *agenda, struct bench_report *report)
{
	const struct bench_test *test = report->of->test;
	struct bench_result *floor = NULL;

	if (test->floor != NULL && !has_own_floors(report->of))
		floor = add_result(report, "", "floor");
	for (const char *const *family = agenda->families; *family != NULL; family++) {
		if (test->floor != NULL && has_own_floors(report->of))
			floor = add_result(report, "floor-", *family);
		if (test->run == NULL || agenda->floors_only)
			continue;
		add_result(report, "", *family)->floor = floor;
	}
}

static bool is_floor(const struct bench_result *result)
{
	return strncmp(result->backend, "floor", 5) == 0;
}

/* NULL: of both. */
static const char *family_of(const struct bench_result *result)
{
	const char *family = result->backend;

	if (is_floor(result))
		family += family[5] == '-' ? 6 : 5;
	return *family != '\0' ? family : NULL;
}

/* ---- running them ---- */

static void progress(const struct bench_report *report, const struct bench_result *result,
	uint64_t done, uint64_t all)
{
	char title[96];

	if (!tool.quiet && isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K%3llu %% %s, %s", (unsigned long long)(100 * done / all),
			bench_title(report->of, title), result->backend);
}

static void progress_ends(void)
{
	if (!tool.quiet && isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
}

static int run_once(const struct bench_plan *plan, const struct bench_report *report,
	struct bench_result *result)
{
	const struct bench_test *test = report->of->test;
	struct bench_found *found;

	if (result->why[0] != '\0')
		return TOOL_DONE; /* it could not be had in an earlier round */
	int status = bench_run(plan, report->of, family_of(result), is_floor(result), &found);
	if (status != TOOL_DONE)
		return status;
	if (found->skipped) {
		snprintf(result->why, sizeof result->why, "%s", found->why);
		result->n_rounds = 0;
	} else {
		bench_merge(&result->times, &found->times);
		result->rounds[result->n_rounds] = bench_percentile(&found->times, 0.5) / 1000;
		result->rates[result->n_rounds++] =
			(double)found->operations * 1e9 / (double)found->elapsed_ns;
		result->operations += found->operations;
		result->batch = found->batch;
		result->good = result->good && (found->placed || (test->flags & BENCH_ALONE));
	}
	free(found);
	return TOOL_DONE;
}

/* As text; JSON takes its place unless that goes to a file. */
static bool is_shown(void)
{
	return !tool.json || chosen.json != NULL;
}

/* A case as a whole, so that the subjects of one round are as close in time as can be. */
static int run_case(const struct bench_plan *plan, struct agenda *agenda, unsigned which)
{
	struct bench_report *report = &agenda->reports[which];
	unsigned n = report->n_results, most = report->of->test->rounds;
	uint64_t rounds = most != 0 && most < chosen.repeat ? most : chosen.repeat;
	int status = TOOL_DONE;

	for (uint64_t round = 0; status == TOOL_DONE && round < rounds; round++) {
		for (unsigned i = 0; status == TOOL_DONE && i < n; i++) {
			struct bench_result *result =
				&report->results[round % 2 == 0 ? i : n - 1 - i];
			progress(report, result, which * chosen.repeat + round,
				agenda->count * chosen.repeat);
			status = run_once(plan, report, result);
			if (tool_stop)
				status = TOOL_STOPPED;
		}
	}
	progress_ends();
	if (status != TOOL_STOPPED && is_shown())
		bench_show(report);
	return status;
}

/* ---- files ---- */

static struct tool_json *parameters(const struct bench_plan *plan)
{
	struct tool_json *all = tool_json_object(), *cpus = tool_json_array();

	tool_json_text(all, "test", chosen.tests);
	tool_json_text(all, "size", chosen.sizes);
	tool_json_text(all, "wait", chosen.waits);
	tool_json_text(all, "clients", chosen.clients);
	tool_json_text(all, "backend", tool.backend);
	for (unsigned i = 0; i < plan->n_cpus; i++)
		tool_json_integer(cpus, NULL, plan->cpus[i]);
	tool_json_put(all, "cpus", cpus);
	tool_json_integer(all, "repeat", (int64_t)chosen.repeat);
	tool_json_integer(all, "duration_ns", plan->duration_ns);
	tool_json_integer(all, "warmup_ns", plan->warmup_ns);
	return all;
}

/* Reports what went wrong with the writing of a file, and closes it. */
static int end_file(FILE *file, const char *path)
{
	int failed = ferror(file);

	if (fclose(file) != 0 || failed) {
		tool_error("%s: %s", path, strerror(errno));
		return TOOL_FAILED;
	}
	return TOOL_DONE;
}

static FILE *begin_file(const char *path)
{
	FILE *file = fopen(path, "a"); /* what is in it stays until there is something new */

	if (file == NULL) {
		tool_error("%s: %s", path, strerror(errno));
		exit(tool_end(errno == EACCES ? TOOL_PERMISSION : TOOL_FAILED));
	}
	return file;
}

static int empty_file(FILE *file, const char *path)
{
	struct stat what;

	if (fstat(fileno(file), &what) != 0 || !S_ISREG(what.st_mode) ||
		ftruncate(fileno(file), 0) == 0)
		return 0;
	tool_error("%s: %s", path, strerror(errno));
	return -1;
}

static int write_results(
	const struct bench_plan *plan, const struct agenda *agenda, FILE *csv, FILE *json)
{
	int status = TOOL_DONE;

	if (csv != NULL && empty_file(csv, chosen.csv) == 0) {
		bench_write_csv(agenda->reports, agenda->count, csv);
		status = end_file(csv, chosen.csv);
	}
	if (!tool.json)
		return status;
	struct tool_json *document = bench_json(agenda->reports, agenda->count);
	tool_json_put(document, "parameters", parameters(plan));
	if (json == NULL) {
		tool_json_print(document, 0);
		return status;
	}
	(void)empty_file(json, chosen.json);
	tool_json_write(document, 0, json);
	int written = end_file(json, chosen.json);
	return status != TOOL_DONE ? status : written;
}

/* ---- the whole ---- */

static void begin_reports(struct agenda *agenda)
{
	agenda->reports = tool_allocate(agenda->count, sizeof *agenda->reports);
	for (unsigned i = 0; i < agenda->count; i++) {
		agenda->reports[i].of = &agenda->cases[i];
		add_subjects(agenda, &agenda->reports[i]);
	}
}

static void free_reports(struct agenda *agenda)
{
	for (unsigned i = 0; i < agenda->count; i++) {
		for (unsigned r = 0; r < agenda->reports[i].n_results; r++) {
			free(agenda->reports[i].results[r].rounds);
			free(agenda->reports[i].results[r].rates);
		}
	}
	free(agenda->reports);
}

/* Results of processes that shared a CPU are shown, but nobody is to take them for good ones. */
static int judge(const struct agenda *agenda)
{
	for (unsigned i = 0; i < agenda->count; i++) {
		for (unsigned r = 0; r < agenda->reports[i].n_results; r++) {
			if (agenda->reports[i].results[r].good)
				continue;
			tool_error("these are no good results: the processes could not be put on "
				   "two CPUs");
			return TOOL_FAILED;
		}
	}
	return TOOL_DONE;
}

static int measure(struct bench_plan *plan, struct agenda *agenda, FILE *csv, FILE *json)
{
	char machine[256];
	int status = TOOL_DONE;

	begin_reports(agenda);
	if (is_shown())
		printf("%s\n", bench_machine(plan, machine));
	for (unsigned i = 0; status != TOOL_STOPPED && i < agenda->count; i++) {
		int result = run_case(plan, agenda, i);
		status = result == TOOL_DONE ? status : result;
	}
	/* What was measured is not lost because something else failed. */
	int written = write_results(plan, agenda, csv, json);
	int judged = status == TOOL_STOPPED ? TOOL_DONE : judge(agenda);
	free_reports(agenda);
	return status != TOOL_DONE ? status : written != TOOL_DONE ? written : judged;
}

int compare_bench(const char *json)
{
	char directory[COMPARE_SCRATCH_SIZE];
	static struct agenda agenda;
	struct bench_plan plan = {.duration_ns = chosen.duration_ns,
		.warmup_ns = chosen.warmup_ns,
		.scratch = directory};

	/* "--json FILE": the argument may stand apart. */
	if (json != NULL && tool.json && chosen.json == NULL)
		chosen.json = json;
	else if (json != NULL)
		tool_usage("unexpected argument: %s", json);
	if (chosen.repeat > ROUNDS_MAX)
		tool_usage("--repeat: more than %u rounds", ROUNDS_MAX);
	choose_cases(&agenda);
	choose_cpus(&plan);
	choose_families(&agenda);
	FILE *csv = chosen.csv != NULL ? begin_file(chosen.csv) : NULL;
	FILE *json_file = chosen.json != NULL ? begin_file(chosen.json) : NULL;
	tool_catch_signals();
	int status = compare_scratch_make(directory);
	if (status != TOOL_DONE)
		return status;
	status = measure(&plan, &agenda, csv, json_file);
	compare_scratch_remove(directory);
	return status;
}
