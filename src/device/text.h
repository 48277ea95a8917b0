/* SPDX-License-Identifier: MIT */
/* Copying text into fixed fields, where cutting it off is meant; the usual failures. */
#ifndef DUOSHM_DEVICE_TEXT_H
#define DUOSHM_DEVICE_TEXT_H

#include "core/failure.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Records that what was asked for makes no sense. */
#define duoshm__invalid(...) duoshm__fail(DUOSHM_ERR_INVALID, __VA_ARGS__)

static inline int duoshm__no_memory(const char *what)
{
	return duoshm__fail(DUOSHM_ERR_NO_SPACE, "no memory for %s", what);
}

/* Puts what the last failure is about in front of its cause: "FILE:LINE: ..."; its code. */
static inline int duoshm__blame(const char *format, ...) DUOSHM__PRINTF(1, 2);
static inline int duoshm__blame(const char *format, ...)
{
	struct duoshm_failure why = *duoshm_failure();
	char what[sizeof why.cause];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(what, sizeof what, format, arguments);
	va_end(arguments);
	return duoshm__set_cause("%s: %s", what, why.cause);
}

static inline void duoshm__copy(char *to, size_t size, const char *from)
{
	size_t length = strlen(from);

	if (length >= size)
		length = size - 1;
	memcpy(to, from, length);
	to[length] = '\0';
}

/* Members of an array. */
#define DUOSHM__COUNT(array) (sizeof(array) / sizeof *(array))

/* Into a field that is an array. */
#define DUOSHM__SET(field, from) duoshm__copy(field, sizeof(field), from)

/* Without the blanks at either end; cuts the text. */
static inline char *duoshm__trim(char *text, const char *blanks)
{
	size_t length;

	text += strspn(text, blanks);
	length = strlen(text);
	while (length && strchr(blanks, text[length - 1]))
		text[--length] = '\0';
	return text;
}

/* Of opening or reading it, by errno: "PATH: No such file or directory". */
static inline int duoshm__fail_file(const char *path)
{
	int code = duoshm__fail_call(duoshm__code_of_errno(errno), errno, "open(\"%s\")", path);

	duoshm__set_cause("%s: %s", path, strerror(duoshm_failure()->system_error));
	return code;
}

/* To read it. What is no regular file may block, or never end. */
static inline int duoshm__open_file(const char *path, FILE **out)
{
	struct stat st;

	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return duoshm__invalid("%s: is not a regular file", path);
	*out = fopen(path, "rb");
	return *out ? 0 : duoshm__fail_file(path);
}

#endif
