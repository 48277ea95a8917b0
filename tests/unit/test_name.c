/* SPDX-License-Identifier: MIT */
/* Public names, failure records and clocks: the parts of core that need no system. */
#include "config.h"

#include "core/clock.h"
#include "core/context.h"
#include "core/failure.h"
#include "core/name.h"
#include "core/random.h"
#include "harness/harness.h"

static int parse(const char *text, struct duoshm__name *out)
{
	memset(out, 'x', sizeof *out);
	return duoshm__name_parse(text, out);
}

static void shows_names_safely(void)
{
	struct duoshm__name name;
	parse("ev\033[2Jil\n\xff", &name);
	EXPECT_PART(duoshm_failure()->cause, "\"ev\\x1b[2Jil\\x0a\\xff\"");
	for (const char *c = duoshm_failure()->cause; *c != '\0'; c++)
		CHECK(*c >= ' ' && *c <= '~');
	size_t size = 1 << 20;
	char *huge = malloc(size);
	CHECK_FATAL(huge != NULL);
	memset(huge, '\n', size);
	huge[size - 1] = '\0';
	EXPECT(parse(huge, &name), DUOSHM_ERR_NAME);
	EXPECT_PART(duoshm_failure()->cause, "\\x0a...\"");
	free(huge);
}

static void records_failures(void)
{
	errno = 77;
	EXPECT(duoshm__fail(DUOSHM_ERR_BUSY, "held by %d", 12), DUOSHM_ERR_BUSY);
	EXPECT(errno, 77);
	const struct duoshm_failure *last = duoshm_failure();
	EXPECT(last->code, DUOSHM_ERR_BUSY);
	EXPECT(last->system_error, 0);
	EXPECT_TEXT(last->cause, "held by 12");
	EXPECT(duoshm__fail_call(DUOSHM_ERR_LIMIT, EIO, "open(\"%s\")", "/x"), DUOSHM_ERR_LIMIT);
	EXPECT(last->system_error, EIO);
	EXPECT_TEXT(last->call, "open(\"/x\")");
	EXPECT_PART(last->cause, "open(\"/x\"): ");
	/* what is formatted may stand in the record itself */
	duoshm__set_cause("again: %s", last->cause);
	EXPECT_PART(last->cause, "again: ");
	EXPECT_PART(last->cause, strerror(EIO));
	duoshm__fail(DUOSHM_ERR_BUSY, "%s!", last->cause);
	EXPECT_PART(last->cause, strerror(EIO));
	EXPECT_TEXT(last->call, "");
	duoshm__set_cure("wait");
	EXPECT_TEXT(last->cure, "wait");
}

static void bounds_failures(void)
{
	char text[2000] = "";
	memset(text, 'w', sizeof text - 1);
	const struct duoshm_failure *last = duoshm_failure();
	duoshm__fail_call(DUOSHM_ERR_SYSTEM, EIO, "%s", text);
	duoshm__set_cause("%s", text);
	duoshm__set_cure("%s", text);
	EXPECT(strlen(last->call), sizeof last->call - 1);
	EXPECT(strlen(last->cause), sizeof last->cause - 1);
	EXPECT(strlen(last->cure), sizeof last->cure - 1);
	struct duoshm_failure unbounded;
	memset(&unbounded, 'u', sizeof unbounded);
	duoshm__fail_native(&unbounded);
	EXPECT(strlen(last->call), sizeof last->call - 1);
	EXPECT(strlen(last->cure), sizeof last->cure - 1);
}

static void maps_errno(void)
{
	static const int codes[][2] = {{EROFS, DUOSHM_ERR_PERMISSION},
		{ENOMEM, DUOSHM_ERR_NO_SPACE}, {EFBIG, DUOSHM_ERR_LIMIT}, {EIO, DUOSHM_ERR_SYSTEM}};
	for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
		EXPECT(duoshm__code_of_errno(codes[i][0]), codes[i][1]);
	EXPECT_TEXT(duoshm_strerror(0), "no error");
	EXPECT_TEXT(duoshm_strerror(-4711), "unknown error");
}

static char logged[600];
static int logged_level;

static void note_log(void *arg, int level, const char *message)
{
	*(int *)arg += 1;
	logged_level = level;
	snprintf(logged, sizeof logged, "%s", message);
}

static void logs(void)
{
	int calls = 0;
	struct duoshm ctx = {.log = note_log, .log_arg = &calls};
	duoshm__log(&ctx, DUOSHM_LOG_NOTICE, "took %d of %s", 3, "x");
	EXPECT(calls, 1);
	EXPECT(logged_level, DUOSHM_LOG_NOTICE);
	EXPECT_TEXT(logged, "took 3 of x");
	duoshm__log(NULL, DUOSHM_LOG_NOTICE, "nobody");
	ctx.log = NULL;
	duoshm__log(&ctx, DUOSHM_LOG_NOTICE, "nobody");
	EXPECT(calls, 1);
}

static void counts_time(void)
{
	int64_t begin = duoshm__now();
	EXPECT(duoshm__deadline(DUOSHM_FOREVER), INT64_MAX);
	EXPECT(duoshm__deadline(DUOSHM_FOREVER - 1), INT64_MAX);
	int64_t soon = duoshm__deadline(3600000000000);
	CHECK(soon >= begin + 3600000000000 && soon <= duoshm__now() + 3600000000000);
	EXPECT(duoshm__remaining(INT64_MAX, 5), 5);
	EXPECT(duoshm__remaining(soon, 5), 5);
	EXPECT(duoshm__remaining(begin, 5), 0);
	EXPECT(duoshm__remaining(duoshm__deadline(0), 5), 0);
	int64_t left = duoshm__remaining(soon, INT64_MAX);
	CHECK(left > 0 && left <= 3600000000000);
	begin = duoshm__now();
	duoshm__pause(2000000);
	CHECK(duoshm__now() - begin >= 2000000);
	duoshm__pause(-1);
	CHECK(duoshm__wall_time() > 1500000000 * INT64_C(1000000000));
}

static void draws_numbers(void)
{
	uint64_t all = 0, number = 0, before;
	for (int i = 0; i < 200; i++) {
		before = number;
		EXPECT(duoshm__random(51, &number), 0);
		CHECK(number != 0 && number != before && number >> 51 == 0);
		all |= number;
	}
	EXPECT(all, (UINT64_C(1) << 51) - 1);
	EXPECT(duoshm__random(1, &number), 0);
	EXPECT(number, 1);
}

static const struct harness_case cases[] = {
	{"names: shows what it refuses without harm", shows_names_safely},
	{"failures: recorded in full", records_failures},
	{"failures: bounded", bounds_failures},
	{"failures: codes of errno", maps_errno},
	{"log: to the hook", logs},
	{"time: deadlines saturate", counts_time},
	{"random: of so many bits, never 0", draws_numbers},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return harness_run(argc, argv, "names and failures", cases);
}
