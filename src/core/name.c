/* SPDX-License-Identifier: MIT */
/*
 * Names. What a name may be is decided here alone; whether the family before the colon exists is
 * the table's to say. A name that is refused may be anything, so it is never put into a message as
 * it came.
 */
#include "config.h"

#include "core/name.h"

#include "core/failure.h"

#include <stdio.h>
#include <string.h>

#define OF_BACKENDS "abcdefghijklmnopqrstuvwxyz0123456789"
#define OF_NAMES    OF_BACKENDS "._-"

/* The name as it can be shown: what does not print is escaped, what is too long is cut. */
static void show(const char *name, char *shown, size_t size)
{
	size_t used = 0;
	for (; *name != '\0'; name++) {
		unsigned char c = (unsigned char)*name;
		if (used + sizeof "\\xff..." > size) {
			memcpy(shown + used, "...", 3);
			used += 3;
			break;
		}
		if (c >= ' ' && c < 0x7f)
			shown[used++] = (char)c;
		else
			used += (size_t)snprintf(shown + used, size - used, "\\x%02x", c);
	}
	shown[used] = '\0';
}

static int refuse(const char *name, const char *what)
{
	char shown[100];
	show(name, shown, sizeof shown);
	duoshm__fail(DUOSHM_ERR_NAME, "\"%s\" is no name: %s", shown, what);
	return duoshm__set_cure(
		"use 1 to %d of a-z 0-9 . _ - and no dot at the beginning", DUOSHM_NAME_MAX);
}

/* What is wrong with the part behind the colon; NULL: nothing. */
static const char *fault_of(const char *text)
{
	size_t length = strspn(text, OF_NAMES);
	if (text[0] == '\0')
		return "it is empty";
	if (text[0] == '.')
		return "it begins with a dot";
	if (text[length] >= 'A' && text[length] <= 'Z')
		return "it has a capital letter";
	if (text[length] != '\0')
		return "it has a character that is not allowed";
	return length > DUOSHM_NAME_MAX ? "it is too long" : NULL;
}

int duoshm__name_parse(const char *name, struct duoshm__name *out)
{
	if (!name)
		return duoshm__fail(DUOSHM_ERR_NAME, "no name is given");
	struct duoshm__name made = {0};
	const char *text = name;
	const char *colon = strchr(name, ':');
	if (colon) {
		size_t length = (size_t)(colon - name);
		if (length == 0 || length >= sizeof made.backend ||
			strspn(name, OF_BACKENDS) != length)
			return refuse(name, "what stands before the colon is no family");
		memcpy(made.backend, name, length);
		text = colon + 1;
	}
	const char *fault = fault_of(text);
	if (fault)
		return refuse(name, fault);
	memcpy(made.text, text, strlen(text));
	*out = made;
	return 0;
}
