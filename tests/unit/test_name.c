/* SPDX-License-Identifier: MIT */
/* Public names, failure records and clocks: the parts of core that need no system. */
#include "config.h"

#include "core/clock.h"
#include "core/context.h"
#include "core/failure.h"
#include "core/name.h"
#include "core/random.h"
#include "harness/harness.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static int parse(const char *text, struct duoshm__name *out)
{
	memset(out, 'x', sizeof *out);
	return duoshm__name_parse(text, out);
}

static void takes_names(void)
{
	struct duoshm__name name;
	CU_ASSERT_EQUAL(parse("a", &name), 0);
	CU_ASSERT_STRING_EQUAL(name.text, "a");
	CU_ASSERT_STRING_EQUAL(name.backend, "");
	CU_ASSERT_EQUAL(parse("scope-0.volt_2", &name), 0);
	CU_ASSERT_STRING_EQUAL(name.text, "scope-0.volt_2");
	CU_ASSERT_EQUAL(parse("one:two", &name), 0);
	CU_ASSERT_STRING_EQUAL(name.backend, "one");
	CU_ASSERT_STRING_EQUAL(name.text, "two");
	char longest[DUOSHM_NAME_SIZE];
	memset(longest, 'z', sizeof longest);
	longest[DUOSHM_NAME_MAX] = '\0';
	CU_ASSERT_EQUAL(parse(longest, &name), 0);
	CU_ASSERT_STRING_EQUAL(name.text, longest);
}

static void refuses_names(void)
{
	static const char *const wrong[] = {"", ".", ".a", "A", "a b", "a/b", "../x", "a:", ":a",
		"a:b:c", "aB", "a\n", "\xc3\xa4", "eightchr:x", "P:x", "a@b", "pos ix:x"};
	char long_one[DUOSHM_NAME_SIZE + 1];
	struct duoshm__name name, before;
	memset(&before, 'x', sizeof before);
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		CU_ASSERT_EQUAL(parse(wrong[i], &name), DUOSHM_ERR_NAME);
		CU_ASSERT_EQUAL(memcmp(&name, &before, sizeof name), 0);
		CU_ASSERT_EQUAL(duoshm_failure()->code, DUOSHM_ERR_NAME);
		CU_ASSERT(duoshm_failure()->cause[0] != '\0' && duoshm_failure()->cure[0] != '\0');
	}
	memset(long_one, 'a', DUOSHM_NAME_SIZE);
	long_one[DUOSHM_NAME_SIZE] = '\0';
	CU_ASSERT_EQUAL(parse(long_one, &name), DUOSHM_ERR_NAME);
	CU_ASSERT_EQUAL(parse(NULL, &name), DUOSHM_ERR_NAME);
}

static void shows_names_safely(void)
{
	struct duoshm__name name;
	parse("ev\033[2Jil\n\xff", &name);
	CU_ASSERT_PTR_NOT_NULL(strstr(duoshm_failure()->cause, "\"ev\\x1b[2Jil\\x0a\\xff\""));
	for (const char *c = duoshm_failure()->cause; *c != '\0'; c++)
		CU_ASSERT(*c >= ' ' && *c <= '~');
	size_t size = 1 << 20;
	char *huge = malloc(size);
	CU_ASSERT_PTR_NOT_NULL_FATAL(huge);
	memset(huge, '\n', size);
	huge[size - 1] = '\0';
	CU_ASSERT_EQUAL(parse(huge, &name), DUOSHM_ERR_NAME);
	CU_ASSERT_PTR_NOT_NULL(strstr(duoshm_failure()->cause, "\\x0a...\""));
	free(huge);
}

static void records_failures(void)
{
	errno = 77;
	CU_ASSERT_EQUAL(duoshm__fail(DUOSHM_ERR_BUSY, "held by %d", 12), DUOSHM_ERR_BUSY);
	CU_ASSERT_EQUAL(errno, 77);
	const struct duoshm_failure *last = duoshm_failure();
	CU_ASSERT_EQUAL(last->code, DUOSHM_ERR_BUSY);
	CU_ASSERT_EQUAL(last->system_error, 0);
	CU_ASSERT_STRING_EQUAL(last->cause, "held by 12");
	CU_ASSERT_EQUAL(duoshm__fail_call(DUOSHM_ERR_LIMIT, EMFILE, "open(\"%s\")", "/x"),
		DUOSHM_ERR_LIMIT);
	CU_ASSERT_EQUAL(last->system_error, EMFILE);
	CU_ASSERT_STRING_EQUAL(last->call, "open(\"/x\")");
	CU_ASSERT_STRING_EQUAL(last->cause, strerror(EMFILE));
	/* what is formatted may stand in the record itself */
	duoshm__set_cause("again: %s", last->cause);
	CU_ASSERT_PTR_NOT_NULL(strstr(last->cause, "again: "));
	CU_ASSERT_PTR_NOT_NULL(strstr(last->cause, strerror(EMFILE)));
	duoshm__fail(DUOSHM_ERR_BUSY, "%s!", last->cause);
	CU_ASSERT_PTR_NOT_NULL(strstr(last->cause, strerror(EMFILE)));
	CU_ASSERT_STRING_EQUAL(last->call, "");
	duoshm__set_cure("wait");
	CU_ASSERT_STRING_EQUAL(last->cure, "wait");
}

static void bounds_failures(void)
{
	char text[2000];
	memset(text, 'w', sizeof text);
	text[sizeof text - 1] = '\0';
	const struct duoshm_failure *last = duoshm_failure();
	duoshm__fail_call(DUOSHM_ERR_SYSTEM, EIO, "%s", text);
	duoshm__set_cause("%s", text);
	duoshm__set_cure("%s", text);
	CU_ASSERT_EQUAL(strlen(last->call), sizeof last->call - 1);
	CU_ASSERT_EQUAL(strlen(last->cause), sizeof last->cause - 1);
	CU_ASSERT_EQUAL(strlen(last->cure), sizeof last->cure - 1);
	struct duoshm_failure unbounded;
	memset(&unbounded, 'u', sizeof unbounded);
	duoshm__fail_native(&unbounded);
	CU_ASSERT_EQUAL(strlen(last->call), sizeof last->call - 1);
	CU_ASSERT_EQUAL(strlen(last->cure), sizeof last->cure - 1);
}

static void *other_thread(void *arg)
{
	int *code = arg;
	*code = duoshm_failure()->code;
	duoshm__fail(DUOSHM_ERR_END, "other");
	return NULL;
}

static void keeps_threads_apart(void)
{
	pthread_t thread;
	int seen = -1;
	duoshm__fail(DUOSHM_ERR_BUSY, "mine");
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, other_thread, &seen), 0);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(seen, 0);
	CU_ASSERT_STRING_EQUAL(duoshm_failure()->cause, "mine");
}

static void has_words_for_codes(void)
{
#define DUOSHM_X(name, number, text)                                                               \
	CU_ASSERT_STRING_EQUAL(duoshm_strerror(DUOSHM_ERR_##name), text);
	DUOSHM_ERRORS(DUOSHM_X)
#undef DUOSHM_X
	CU_ASSERT_STRING_EQUAL(duoshm_strerror(0), "no error");
	CU_ASSERT_STRING_EQUAL(duoshm_strerror(-4711), "unknown error");
	CU_ASSERT_EQUAL(duoshm__code_of_errno(EROFS), DUOSHM_ERR_PERMISSION);
	CU_ASSERT_EQUAL(duoshm__code_of_errno(ENOMEM), DUOSHM_ERR_NO_SPACE);
	CU_ASSERT_EQUAL(duoshm__code_of_errno(EFBIG), DUOSHM_ERR_LIMIT);
	CU_ASSERT_EQUAL(duoshm__code_of_errno(EIO), DUOSHM_ERR_SYSTEM);
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
	CU_ASSERT_EQUAL(calls, 1);
	CU_ASSERT_EQUAL(logged_level, DUOSHM_LOG_NOTICE);
	CU_ASSERT_STRING_EQUAL(logged, "took 3 of x");
	duoshm__log(NULL, DUOSHM_LOG_NOTICE, "nobody");
	ctx.log = NULL;
	duoshm__log(&ctx, DUOSHM_LOG_NOTICE, "nobody");
	CU_ASSERT_EQUAL(calls, 1);
}

static void counts_time(void)
{
	int64_t begin = duoshm__now();
	CU_ASSERT_EQUAL(duoshm__deadline(DUOSHM_FOREVER), INT64_MAX);
	CU_ASSERT_EQUAL(duoshm__deadline(DUOSHM_FOREVER - 1), INT64_MAX);
	int64_t soon = duoshm__deadline(3600000000000);
	CU_ASSERT(soon >= begin + 3600000000000 && soon <= duoshm__now() + 3600000000000);
	CU_ASSERT_EQUAL(duoshm__remaining(INT64_MAX, 5), 5);
	CU_ASSERT_EQUAL(duoshm__remaining(soon, 5), 5);
	CU_ASSERT_EQUAL(duoshm__remaining(begin, 5), 0);
	CU_ASSERT_EQUAL(duoshm__remaining(duoshm__deadline(0), 5), 0);
	int64_t left = duoshm__remaining(soon, INT64_MAX);
	CU_ASSERT(left > 0 && left <= 3600000000000);
	begin = duoshm__now();
	duoshm__pause(2000000);
	CU_ASSERT(duoshm__now() - begin >= 2000000);
	duoshm__pause(-1);
	CU_ASSERT(duoshm__wall_time() > 1500000000 * INT64_C(1000000000));
}

static void draws_numbers(void)
{
	uint64_t all = 0, number = 0, before;
	for (int i = 0; i < 200; i++) {
		before = number;
		CU_ASSERT_EQUAL(duoshm__random(51, &number), 0);
		CU_ASSERT(number != 0 && number != before && number >> 51 == 0);
		all |= number;
	}
	CU_ASSERT_EQUAL(all, (UINT64_C(1) << 51) - 1);
	CU_ASSERT_EQUAL(duoshm__random(1, &number), 0);
	CU_ASSERT_EQUAL(number, 1);
}

static const struct harness_case cases[] = {
	{"names: takes what is allowed", takes_names},
	{"names: refuses all else", refuses_names},
	{"names: shows what it refuses without harm", shows_names_safely},
	{"failures: recorded in full", records_failures},
	{"failures: bounded", bounds_failures},
	{"failures: one for each thread", keeps_threads_apart},
	{"failures: words for all codes", has_words_for_codes},
	{"log: to the hook", logs},
	{"time: deadlines saturate", counts_time},
	{"random: of so many bits, never 0", draws_numbers},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return harness_run(argc, argv, "names and failures", cases);
}
