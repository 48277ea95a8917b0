/* SPDX-License-Identifier: MIT */
/*
 * Assertions of a case and of its children alike: CUnit's in the case, the end of the process in a
 * child. What a call gave is told with its cause, so that a log alone says what went wrong.
 */
#include "config.h"

#include "duoshm.h"
#include "harness/harness.h"
#include "harness/internal.h"

bool harness_check(bool holds, const char *text, bool fatal, const char *file, int line)
{
	if (!harness_is_child)
		(void)CU_assertImplementation(holds, (unsigned)line, text, file, "", fatal);
	else if (!holds)
		harness_child_failed(file, line, text);
	return holds;
}

static const char *name_of(long long result)
{
	return result < 0 ? duoshm_strerror((int)result) : "-";
}

bool harness_expect(
	long long got, long long want, const char *call, bool fatal, const char *file, int line)
{
	const struct duoshm_failure *failure = duoshm_failure();
	bool told = got < 0 && got == failure->code;
	char text[1024];

	if (got == want)
		return harness_check(true, call, fatal, file, line);
	snprintf(text, sizeof(text), "%.300s gave %lld (%s), not %lld (%s)%s%s%s%s", call, got,
		name_of(got), want, name_of(want), told ? ": " : "", told ? failure->cause : "",
		told ? "; " : "", told ? failure->call : "");
	return harness_check(false, text, fatal, file, line);
}

bool harness_text(const char *got, const char *want, bool whole, const char *file, int line)
{
	bool holds = whole ? strcmp(got, want) == 0 : strstr(got, want) != NULL;
	char text[1024];

	if (holds)
		return harness_check(true, want, false, file, line);
	snprintf(text, sizeof(text), "\"%.400s\" is %s \"%.400s\"", want,
		whole ? "expected, but it was" : "not in", got);
	return harness_check(false, text, false, file, line);
}
