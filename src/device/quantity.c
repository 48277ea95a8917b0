/* SPDX-License-Identifier: MIT */
/*
 * Numbers with units. The trap: strtod takes "nan", "inf" and leaves the rest unread; nothing of
 * that may pass.
 */
#include "config.h"

#include "device/quantity.h"

#include "device/text.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BLANKS " \t"

static const struct {
	const char *prefix;
	/* a division by a power of ten is rounded once, 1e-3 is inexact already */
	double divide, multiply;
} prefixes[] = {
	{"p", 1e12, 1},
	{"n", 1e9, 1},
	{"u", 1e6, 1},
	{"\302\265", 1e6, 1}, /* the micro sign in UTF-8 */
	{"m", 1e3, 1},
	{"k", 1, 1e3},
	{"M", 1, 1e6},
	{"G", 1, 1e9},
};

/* Is `rest` the prefix and then the unit, or for k, M and G nothing more? */
static int scales(const char *rest, size_t i, const char *unit)
{
	size_t length = strlen(prefixes[i].prefix);

	if (strncmp(rest, prefixes[i].prefix, length) != 0)
		return 0;
	rest += length;
	return (*unit && strcmp(rest, unit) == 0) || (!*rest && prefixes[i].multiply > 1);
}

int duoshm__quantity(const char *text, const char *unit, double *out)
{
	char *rest;
	double value;
	size_t i;

	errno = 0;
	value = strtod(text, &rest);
	if (rest == text)
		return duoshm__invalid("\"%s\" is not a number", text);
	rest += strspn(rest, BLANKS);
	if (*rest && strcmp(rest, unit) != 0) {
		for (i = 0; i < DUOSHM__COUNT(prefixes); i++)
			if (scales(rest, i, unit))
				break;
		if (i == DUOSHM__COUNT(prefixes))
			return duoshm__invalid(
				"\"%s\" is not a number%s%s", text, *unit ? " in " : "", unit);
		value = value / prefixes[i].divide * prefixes[i].multiply;
	}
	if (!isfinite(value))
		return duoshm__invalid("\"%s\" is not a number", text);
	*out = value;
	return 0;
}

int duoshm__between(const char *what, double value, double low, double high, const char *unit)
{
	const char *blank = *unit ? " " : "";

	if (value >= low && value <= high)
		return 0;
	return duoshm__invalid("%g%s%s is no %s between %g and %g%s%s", value, blank, unit, what,
		low, high, blank, unit);
}

int duoshm__whole(const char *text, int64_t low, int64_t high, int64_t *out)
{
	char *rest;
	long long value;

	errno = 0;
	value = strtoll(text, &rest, strncmp(text, "0x", 2) == 0 ? 16 : 10);
	if (rest == text || rest[strspn(rest, BLANKS)])
		return duoshm__invalid("\"%s\" is not a whole number", text);
	if (errno == ERANGE || value < low || value > high)
		return duoshm__invalid(
			"%s is not between %lld and %lld", text, (long long)low, (long long)high);
	*out = value;
	return 0;
}

int duoshm__truth(const char *text, int64_t *out)
{
	static const char *const words[] = {"off", "on", "false", "true", "no", "yes", "0", "1"};

	for (size_t i = 0; i < DUOSHM__COUNT(words); i++) {
		if (strcasecmp(text, words[i]) == 0) {
			*out = i & 1;
			return 0;
		}
	}
	return duoshm__invalid("\"%s\" is neither on nor off", text);
}
