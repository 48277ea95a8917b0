/* SPDX-License-Identifier: MIT */
/*
 * How a backend reports: failures with the native call, cause and cure, and the limits of a probe.
 * Which words are right is the family's to say; which thread's record they end up in is core's.
 */
#include "config.h"

#include "backends/backend.h"

#include <sys/resource.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int duoshm__native_failure(
	struct duoshm_failure *why, int code, int system_error, const char *call, ...)
{
	va_list arguments;

	*why = (struct duoshm_failure){.code = code, .system_error = system_error};
	va_start(arguments, call);
	vsnprintf(why->call, sizeof why->call, call, arguments);
	va_end(arguments);
	/* Until the family knows better: the call says on what. */
	if (system_error != 0)
		duoshm__native_cause(why, "%s: %.90s", why->call, strerror(system_error));
	return code;
}

int duoshm__native_cause(struct duoshm_failure *why, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(why->cause, sizeof why->cause, format, arguments);
	va_end(arguments);
	return why->code;
}

int duoshm__native_cure(struct duoshm_failure *why, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(why->cure, sizeof why->cure, format, arguments);
	va_end(arguments);
	return why->code;
}

void duoshm__native_reason(const struct duoshm_failure *why, char *text, size_t size)
{
	/* Without better words the cause begins with the call. */
	if (strncmp(why->cause, why->call, strlen(why->call)) == 0)
		snprintf(text, size, "%s", why->cause);
	else
		snprintf(text, size, "%.120s: %.130s", why->call, why->cause);
}

int duoshm__no_such_bell(struct duoshm_failure *why, const char *call, unsigned bell, unsigned n)
{
	duoshm__native_failure(why, DUOSHM_ERR_INVALID, 0, "%s(bell %u)", call, bell);
	return duoshm__native_cause(why, "there is no bell %u, only %u", bell, n);
}

/*
 * Bells need both bits on every system (a POSIX semaphore is opened read-write, a set is altered),
 * and a class that has only one of the two cannot attach the segment read-write either. Asking for
 * both bits of the segment also keeps the umask harmless: it was applied to the segment's mode, so
 * it takes none of these bits away when a kernel applies it once more.
 */
unsigned duoshm__bell_mode(unsigned segment_mode)
{
	unsigned both = segment_mode & 0222 & (segment_mode >> 1);

	return both | both << 1;
}

/* In use; 0: not known. */
static unsigned long long address_space(void)
{
	unsigned long long pages = 0;
	FILE *table = fopen("/proc/self/statm", "re");

	if (table == NULL)
		return 0;
	if (fscanf(table, "%llu", &pages) != 1)
		pages = 0;
	fclose(table);
	return pages * (unsigned long long)sysconf(_SC_PAGESIZE);
}

bool duoshm__native_blame_address_space(struct duoshm_failure *why, size_t size)
{
	unsigned long long used = address_space();
	struct rlimit limit;

	if (why->system_error != ENOMEM || getrlimit(RLIMIT_AS, &limit) != 0 ||
		limit.rlim_cur == RLIM_INFINITY ||
		used + size <= (unsigned long long)limit.rlim_cur)
		return false;
	duoshm__native_cause(why,
		"RLIMIT_AS is %llu bytes, %llu are in use and %zu more are asked for",
		(unsigned long long)limit.rlim_cur, used, size);
	duoshm__native_cure(why, "raise it: ulimit -v, or ask for less");
	return true;
}

void duoshm__limit(struct duoshm_facts *facts, const struct duoshm_limit *limit)
{
	if (facts->n_limits < DUOSHM_LIMITS_MAX)
		facts->limits[facts->n_limits++] = *limit;
}
