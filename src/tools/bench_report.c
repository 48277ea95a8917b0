/* SPDX-License-Identifier: MIT */
/* What `compare bench` shows and writes: text for people, CSV, JSON. */
#include "config.h"

#include "tools/bench.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "tools/json.h"

/* ---- words ---- */

TOOL_PRINTF(2, 3)
static void append(char text[96], const char *format, ...)
{
	size_t length = strlen(text);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text + length, 96 - length, format, arguments);
	va_end(arguments);
}

const char *bench_title(const struct bench_case *of, char text[96])
{
	char number[TOOL_TEXT_SIZE];

	snprintf(text, 96, "%s", of->test->title);
	if (of->test->sizes != NULL)
		append(text, of->size < 1024 ? ", %s" : ", %siB",
			tool_bytes_text(of->size, number));
	if (of->test->waits != NULL)
		append(text, ", %s", bench_wait_names[of->wait]);
	if (of->test->clients != NULL)
		append(text, ", %llu client%s", (unsigned long long)of->clients,
			tool_plural(of->clients));
	if (of->test->counts != NULL)
		append(text, ", %llu", (unsigned long long)of->count);
	return text;
}

/* Three digits, in that unit of four, each 1000 of the one before. */
static const char *scaled(double value, const char *const units[4], char text[TOOL_TEXT_SIZE])
{
	unsigned unit = 0;

	for (; value >= 999.5 && unit < 3; unit++)
		value /= 1000;
	snprintf(text, TOOL_TEXT_SIZE, "%.*f%s",
		value < 9.995   ? 2
		: value < 99.95 ? 1
				: 0,
		value, units[unit]);
	return text;
}

static const char *time_text(double ns, char text[TOOL_TEXT_SIZE])
{
	static const char *const units[] = {" ns", " us", " ms", " s"};

	return scaled(ns, units, text);
}

static const char *rate_text(double rate, char text[TOOL_TEXT_SIZE])
{
	static const char *const units[] = {"", " k", " M", " G"};

	return scaled(rate, units, text);
}

/* ---- figures ---- */

/* Of the median round. */
static double rate_of(const struct bench_result *result)
{
	return result->n_rounds == 0 ? NAN : bench_median(result->rates, result->n_rounds);
}

static double percentile(const struct bench_result *result, double part)
{
	return result->times.total == 0 ? NAN : bench_percentile(&result->times, part) / 1000;
}

/* Of one subject to another; NAN where one of them is not there. */
static struct bench_ratio ratio_of(
	const struct bench_result *above, const struct bench_result *below)
{
	if (below == NULL || above->n_rounds == 0 || above->n_rounds != below->n_rounds)
		return (struct bench_ratio){NAN, NAN, NAN, NAN};
	return bench_ratio(above->rounds, below->rounds, above->n_rounds);
}

static const struct bench_result *result_of(const struct bench_report *report, const char *backend)
{
	for (unsigned i = 0; i < report->n_results; i++)
		if (strcmp(report->results[i].backend, backend) == 0)
			return &report->results[i];
	return NULL;
}

/* System V to POSIX. */
static struct bench_ratio families(const struct bench_report *report)
{
	const struct bench_result *sysv = result_of(report, "sysv");

	if (sysv == NULL)
		return (struct bench_ratio){NAN, NAN, NAN, NAN};
	return ratio_of(sysv, result_of(report, "posix"));
}

/* One round alone shows no difference. */
static bool differs(struct bench_ratio ratio)
{
	return ratio.confidence > 0 && (ratio.low > 1 || ratio.high < 1);
}

/* ---- text ---- */

static void show_result(const struct bench_result *result)
{
	static const double parts[] = {0.5, 0.9, 0.99, 0.999};
	char text[TOOL_TEXT_SIZE];
	struct bench_ratio ratio = ratio_of(result, result->floor);

	if (result->why[0] != '\0') {
		printf("  %-12s not measured: %s\n", result->backend, result->why);
		return;
	}
	printf("  %-12s", result->backend);
	for (unsigned i = 0; i < sizeof parts / sizeof parts[0]; i++)
		printf(" %9s", time_text(percentile(result, parts[i]), text));
	printf(" %9s", time_text((double)result->times.max / 1000, text));
	printf(" %9s", rate_text(rate_of(result), text));
	if (!isnan(ratio.median))
		printf("  %.2f (%.2f..%.2f)", ratio.median, ratio.low, ratio.high);
	printf("%s\n", result->good ? "" : "  no good result");
}

void bench_show(const struct bench_report *report)
{
	struct bench_ratio ratio = families(report);
	char title[96];

	printf("\n%s", bench_title(report->of, title));
	if (report->results[0].batch > 1)
		printf(" (times: means of %llu)", (unsigned long long)report->results[0].batch);
	printf("\n  %-12s %9s %9s %9s %9s %9s %9s  %s\n", "", "p50", "p90", "p99", "p99.9", "max",
		"per s", "x floor");
	for (unsigned i = 0; i < report->n_results; i++)
		show_result(&report->results[i]);
	if (!isnan(ratio.median))
		printf("  sysv/posix %.2f (%.0f %% CI %.2f..%.2f)%s\n", ratio.median,
			100 * ratio.confidence, ratio.low, ratio.high,
			differs(ratio) ? "" : ": no difference shown");
	fflush(stdout);
}

/* ---- what is the same in CSV and JSON ---- */

struct field {
	const char *key;
	double value; /* NAN: none */
};
#define FIELDS 16

static void fields_of(const struct bench_report *report, const struct bench_result *result,
	struct field fields[FIELDS])
{
	const struct bench_case *of = report->of;
	const struct bench_result *floor = result->floor;
	struct bench_ratio ratio = ratio_of(result, floor);
	double rate = rate_of(result);
	const struct field all[FIELDS] = {
		{"size", of->test->sizes != NULL ? (double)of->size : NAN},
		{"clients", of->test->clients != NULL ? (double)of->clients : NAN},
		{"count", of->test->counts != NULL ? (double)of->count : NAN},
		{"operations", (double)result->operations},
		{"p50_ns", percentile(result, 0.5)},
		{"p90_ns", percentile(result, 0.9)},
		{"p99_ns", percentile(result, 0.99)},
		{"p999_ns", percentile(result, 0.999)},
		{"max_ns", result->times.total == 0 ? NAN : (double)result->times.max / 1000},
		{"rate_per_s", rate},
		{"floor_p50_ns", floor != NULL ? percentile(floor, 0.5) : NAN},
		{"floor_rate_per_s", floor != NULL ? rate_of(floor) : NAN},
		{"ratio_to_floor", ratio.median},
		{"ratio_low", ratio.low},
		{"ratio_high", ratio.high},
		{"batch", (double)result->batch},
	};
	memcpy(fields, all, sizeof all);
}

static const char *wait_of(const struct bench_case *of)
{
	return of->test->waits != NULL ? bench_wait_names[of->wait] : NULL;
}

/* ---- CSV ---- */

static void csv_line(
	const struct bench_report *report, const struct bench_result *result, FILE *file)
{
	struct field fields[FIELDS];
	const char *wait = wait_of(report->of);

	fields_of(report, result, fields);
	fprintf(file, "%s,%s,%s", report->of->test->name, wait != NULL ? wait : "",
		result->backend);
	for (unsigned i = 0; i < FIELDS; i++) {
		if (isnan(fields[i].value))
			fputc(',', file);
		else
			fprintf(file, ",%.9g", fields[i].value);
	}
	fprintf(file, ",%d\n", result->good && result->why[0] == '\0');
}

void bench_write_csv(const struct bench_report *reports, unsigned count, FILE *file)
{
	struct field fields[FIELDS];

	fputs("test,wait,backend", file);
	fields_of(&reports[0], &reports[0].results[0], fields);
	for (unsigned i = 0; i < FIELDS; i++)
		fprintf(file, ",%s", fields[i].key);
	fputs(",good\n", file);
	for (unsigned i = 0; i < count; i++)
		for (unsigned r = 0; r < reports[i].n_results; r++)
			csv_line(&reports[i], &reports[i].results[r], file);
}

/* ---- JSON ---- */

static struct tool_json *json_result(
	const struct bench_report *report, const struct bench_result *result)
{
	struct tool_json *one = tool_json_object(), *rounds = tool_json_array();
	struct field fields[FIELDS];

	fields_of(report, result, fields);
	tool_json_text(one, "test", report->of->test->name);
	tool_json_text(one, "wait", wait_of(report->of));
	tool_json_text(one, "backend", result->backend);
	for (unsigned i = 0; i < FIELDS; i++) {
		/* Parameters and counts are whole numbers. */
		if (i < 4 && !isnan(fields[i].value))
			tool_json_integer(one, fields[i].key, (int64_t)fields[i].value);
		else
			tool_json_real(one, fields[i].key, fields[i].value);
	}
	for (unsigned i = 0; i < result->n_rounds; i++)
		tool_json_real(rounds, NULL, result->rounds[i]);
	tool_json_put(one, "rounds_ns", rounds);
	tool_json_text(one, "unit", report->of->test->unit);
	tool_json_bool(one, "good", result->good && result->why[0] == '\0');
	tool_json_text(one, "not_measured", result->why[0] != '\0' ? result->why : NULL);
	return one;
}

static struct tool_json *json_families(const struct bench_report *report, struct bench_ratio ratio)
{
	struct tool_json *one = tool_json_object();
	char title[96];

	tool_json_text(one, "case", bench_title(report->of, title));
	tool_json_real(one, "sysv_to_posix", ratio.median);
	tool_json_real(one, "low", ratio.low);
	tool_json_real(one, "high", ratio.high);
	tool_json_real(one, "confidence", ratio.confidence);
	tool_json_bool(one, "difference_shown", differs(ratio));
	return one;
}

/* The processor as the system calls it. */
static void read_model(char model[128])
{
	char line[256];
	FILE *file = fopen("/proc/cpuinfo", "r");

	model[0] = '\0';
	while (file != NULL && model[0] == '\0' && fgets(line, sizeof line, file) != NULL)
		if (strncmp(line, "model name", 10) == 0 && strchr(line, ':') != NULL)
			snprintf(model, 128, "%.*s", (int)strcspn(strchr(line, ':') + 2, "\n"),
				strchr(line, ':') + 2);
	if (file != NULL)
		(void)fclose(file);
}

static struct tool_json *json_machine(void)
{
	struct tool_json *machine = tool_json_object();
	struct utsname system = {.sysname = ""};
	char model[128];

	(void)uname(&system);
	read_model(model);
	tool_json_text(machine, "processor", model[0] != '\0' ? model : NULL);
	tool_json_text(machine, "architecture", system.machine);
	tool_json_integer(machine, "cpus_online", sysconf(_SC_NPROCESSORS_ONLN));
	tool_json_text(machine, "system", system.sysname);
	tool_json_text(machine, "release", system.release);
	tool_json_integer(machine, "page_bytes", sysconf(_SC_PAGESIZE));
	tool_json_real(machine, "clock_ns", bench_clock_cost());
	tool_json_text(machine, "duoshm", DUOSHM_VERSION);
	return machine;
}

struct tool_json *bench_json(const struct bench_report *reports, unsigned count)
{
	struct tool_json *document = tool_json_document("duoshm.bench/1");
	struct tool_json *results = tool_json_array(), *ratios = tool_json_array();

	for (unsigned i = 0; i < count; i++) {
		struct bench_ratio ratio = families(&reports[i]);

		for (unsigned r = 0; r < reports[i].n_results; r++)
			tool_json_put(
				results, NULL, json_result(&reports[i], &reports[i].results[r]));
		if (!isnan(ratio.median))
			tool_json_put(ratios, NULL, json_families(&reports[i], ratio));
	}
	tool_json_put(document, "machine", json_machine());
	tool_json_put(document, "results", results);
	tool_json_put(document, "families", ratios);
	return document;
}

const char *bench_machine(const struct bench_plan *plan, char text[256])
{
	struct utsname system = {.sysname = ""};
	char model[128];
	int length;

	(void)uname(&system);
	read_model(model);
	length = snprintf(text, 256, "%s%s%s, %s %s; CPU", system.machine,
		model[0] != '\0' ? ", " : "", model, system.sysname, system.release);
	for (unsigned i = 0; i < plan->n_cpus && length > 0 && length < 256; i++)
		length += snprintf(text + length, 256 - (size_t)length, "%s %d", i > 0 ? "," : "",
			plan->cpus[i]);
	return text;
}
