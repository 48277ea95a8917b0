/* SPDX-License-Identifier: MIT */
/*
 * The last failure of each thread, and the log hook. Records are private memory of bounded strings;
 * nothing here allocates, so that running out of memory can be told too. The arguments of a new
 * record may point into the old one (a cause that quotes the last cause): a record is made aside
 * and then copied. errno stays what it was.
 */
#include "config.h"

#include "core/failure.h"

#include "core/context.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

static _Thread_local struct duoshm_failure last;

const struct duoshm_failure *duoshm_failure(void)
{
	return &last;
}

const char *duoshm_strerror(int code)
{
	switch (code) {
	case 0: return "no error";
#define DUOSHM_X(name, number, text)                                                               \
	case -(number): return text;
		DUOSHM_ERRORS(DUOSHM_X)
#undef DUOSHM_X
	default: return "unknown error";
	}
}

static const char *words_of_errno(int system_error)
{
#ifdef HAVE_STRERRORDESC_NP
	const char *words = strerrordesc_np(system_error);
	return words ? words : "unknown error";
#else
	return strerror(system_error);
#endif
}

DUOSHM__PRINTF(3, 0)
static void format_into(char *words, size_t size, const char *format, va_list arguments)
{
	char made[sizeof last.cause];
	_Static_assert(
		sizeof last.cause >= sizeof last.call && sizeof last.cause >= sizeof last.cure,
		"room for the longest of them");
	int saved = errno;
	vsnprintf(made, size, format, arguments);
	memcpy(words, made, strlen(made) + 1);
	errno = saved;
}

int duoshm__fail(int code, const char *cause, ...)
{
	struct duoshm_failure made = {.code = code};
	va_list arguments;
	va_start(arguments, cause);
	format_into(made.cause, sizeof made.cause, cause, arguments);
	va_end(arguments);
	last = made;
	return code;
}

/* What the process itself may have, of which some calls say that it is used up. */
static void name_limit(struct duoshm_failure *made)
{
	bool descriptors = made->system_error == EMFILE;
	struct rlimit limit;
	int result =
		descriptors ? getrlimit(RLIMIT_NOFILE, &limit) : getrlimit(RLIMIT_FSIZE, &limit);

	if (result != 0 || (!descriptors && made->system_error != EFBIG))
		return;
	snprintf(made->cause, sizeof made->cause,
		descriptors ? "%.*s: RLIMIT_NOFILE is %llu and all descriptors are in use"
			    : "%.*s: RLIMIT_FSIZE is %llu bytes and more are asked for",
		(int)strlen(made->call), made->call, (unsigned long long)limit.rlim_cur);
	snprintf(made->cure, sizeof made->cure, "raise it: %s",
		descriptors ? "ulimit -n, or close what is not needed" : "ulimit -f");
}

int duoshm__fail_call(int code, int system_error, const char *call, ...)
{
	int saved = errno;
	struct duoshm_failure made = {.system_error = system_error};
	made.code = code != 0 ? code : duoshm__code_of_errno(system_error);
	va_list arguments;
	va_start(arguments, call);
	format_into(made.call, sizeof made.call, call, arguments);
	va_end(arguments);
	/* Until the caller knows better: the call says on what. */
	snprintf(made.cause, sizeof made.cause, "%s: %.90s", made.call,
		words_of_errno(system_error));
	name_limit(&made);
	last = made;
	errno = saved;
	return made.code;
}

int duoshm__fail_native(const struct duoshm_failure *why)
{
	struct duoshm_failure made = *why;
	made.call[sizeof made.call - 1] = '\0';
	made.cause[sizeof made.cause - 1] = '\0';
	made.cure[sizeof made.cure - 1] = '\0';
	last = made;
	return made.code;
}

int duoshm__set_cause(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	format_into(last.cause, sizeof last.cause, format, arguments);
	va_end(arguments);
	return last.code;
}

int duoshm__set_cure(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	format_into(last.cure, sizeof last.cure, format, arguments);
	va_end(arguments);
	return last.code;
}

int duoshm__code_of_errno(int system_error)
{
	switch (system_error) {
	case EACCES:
	case EPERM:
	case EROFS: return DUOSHM_ERR_PERMISSION;
	case ENOSPC:
	case ENOMEM:
#ifdef EDQUOT
	case EDQUOT:
#endif
		return DUOSHM_ERR_NO_SPACE;
	case EMFILE:
	case ENFILE:
	case EFBIG: return DUOSHM_ERR_LIMIT;
	case ENOENT: return DUOSHM_ERR_NOT_FOUND;
	default: return DUOSHM_ERR_SYSTEM;
	}
}

void duoshm__log(const struct duoshm *ctx, int level, const char *format, ...)
{
	if (!ctx || !ctx->log)
		return;
	int saved = errno;
	char message[512];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(message, sizeof message, format, arguments);
	va_end(arguments);
	ctx->log(ctx->log_arg, level, message);
	errno = saved;
}
