/* SPDX-License-Identifier: MIT */
/*
 * Numbers with units, read and written. strtod() takes more than people mean ("nan", "inf",
 * "0x1p3"): what is accepted here begins with a digit and ends finite.
 */
#include "config.h"

#include "tools/common.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	double factor;
} prefixes[] = {{"", 1}, {"k", 1e3}, {"K", 1e3}, {"M", 1e6}, {"G", 1e9}, {"T", 1e12},
	{"Ki", 1024.0}, {"Mi", 1048576.0}, {"Gi", 1073741824.0}, {"Ti", 1099511627776.0}};

/* Up to which time each is the best to read: two of the next one. */
static const struct {
	const char *name;
	int64_t ns, below;
} times[] = {
	{"ns", 1, 1000},
	{"us", 1000, 1000000},
	{"ms", 1000000, TOOL_SECOND},
	{"s", TOOL_SECOND, 120 * TOOL_SECOND},
	{"min", 60 * TOOL_SECOND, 7200 * TOOL_SECOND},
	{"h", 3600 * TOOL_SECOND, 172800 * TOOL_SECOND},
	{"d", 86400 * TOOL_SECOND, INT64_MAX},
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* A finite decimal number; `*rest` is what follows it. */
static int number(const char *text, const char **rest, double *out)
{
	const char *digits = text + (*text == '-' || *text == '+');
	char *end;
	double value;

	if (!strchr(".0123456789", *digits) || !*digits ||
		(digits[0] == '0' && (digits[1] | 32) == 'x'))
		return -1;
	value = strtod(text, &end);
	if (end == text || !isfinite(value))
		return -1;
	*rest = end;
	*out = value;
	return 0;
}

int tool_time(const char *text, int64_t *ns)
{
	const char *rest;
	double value;

	if (number(text, &rest, &value) < 0 || value < 0)
		return -1;
	if (!*rest)
		rest = "s";
	for (size_t i = 0; i < COUNT(times); i++) {
		if (strcmp(rest, times[i].name) != 0)
			continue;
		value *= (double)times[i].ns;
		if (value >= 9e18)
			return -1;
		*ns = (int64_t)(value + 0.5);
		return 0;
	}
	return -1;
}

int tool_count(const char *text, uint64_t *out)
{
	const char *rest;
	double value;

	if (number(text, &rest, &value) < 0)
		return -1;
	for (size_t i = 0; i < COUNT(prefixes); i++) {
		if (strcmp(rest, prefixes[i].name) != 0)
			continue;
		value *= prefixes[i].factor;
		/* Above 2^53 a double would round in silence. */
		if (value < 0 || value > 9007199254740992.0 || value != floor(value))
			return -1;
		*out = (uint64_t)value;
		return 0;
	}
	return -1;
}

const char *tool_plural(uint64_t count)
{
	return count == 1 ? "" : "s";
}

void tool_append(char *list, size_t size, const char *separator, const char *word)
{
	size_t used = strlen(list);

	snprintf(list + used, size - used, "%s%s", used ? separator : "", word);
}

const char *tool_bytes_text(uint64_t bytes, char text[TOOL_TEXT_SIZE])
{
	static const char letters[] = "BKMGTPE";
	unsigned power = 0;
	uint64_t unit = 1;

	while (power < 6 && bytes / unit >= 1024) {
		unit *= 1024;
		power++;
	}
	snprintf(text, TOOL_TEXT_SIZE, "%.*f%c", bytes % unit ? 1 : 0, (double)bytes / (double)unit,
		letters[power]);
	return text;
}

const char *tool_time_text(int64_t ns, char text[TOOL_TEXT_SIZE])
{
	size_t i = 0;

	while (i + 1 < COUNT(times) && ns >= times[i].below)
		i++;
	snprintf(text, TOOL_TEXT_SIZE, "%" PRId64 "%s", ns / times[i].ns, times[i].name);
	return text;
}

const char *tool_real_text(double value, char text[TOOL_TEXT_SIZE])
{
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, TOOL_TEXT_SIZE, "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	return text;
}
