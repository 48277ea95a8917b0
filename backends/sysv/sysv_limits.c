/* SPDX-License-Identifier: MIT */
/*
 * The limits of System V objects, their use now, and which of them a failed call ran into.
 *
 * Trap: one limit has many faces. A full shmall is ENOSPC on Linux, ENOMEM on the BSDs and macOS,
 * EINVAL on illumos; EINVAL is also a segment above shmmax; too many attachments are EMFILE. So the errno is
 * not asked: what was wanted is compared with what there is. 8 attachments, 32 segments and 4 MiB is all
 * that macOS gives, 10 sets all that NetBSD does.
 */
#include "config.h"

#include "backends/sysv/sysv.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if !defined __linux__ && defined HAVE_SYS_SYSCTL_H
#include <sys/sysctl.h>
#endif

enum limit { SHMMAX, SHMALL, SHMMNI, SHMSEG, SEMMSL, SEMMNS, SEMOPM, SEMMNI, N_LIMITS };

static const struct {
	const char *name, *unit;
	const char *file; /* Linux: below /proc/sys/kernel, */
	unsigned field;   /* and the number's place in it */
} limits[N_LIMITS] = {
	[SHMMAX] = {"shmmax", "bytes", "shmmax", 0},
	[SHMALL] = {"shmall", "pages", "shmall", 0},
	[SHMMNI] = {"shmmni", "segments", "shmmni", 0},
	[SHMSEG] = {"shmseg", "attachments", NULL, 0},
	[SEMMSL] = {"semmsl", "semaphores", "sem", 0},
	[SEMMNS] = {"semmns", "semaphores", "sem", 1},
	[SEMOPM] = {"semopm", "operations", "sem", 2},
	[SEMMNI] = {"semmni", "sets", "sem", 3},
};

/* ---- asking the system: the name it gives a limit, its value (-1: not known, INT64_MAX: none), the cure ---- */

#if defined __linux__

static void limit_source(enum limit which, char out[48])
{
	if (limits[which].file == NULL)
		snprintf(out, 48, "no such limit");
	else
		snprintf(out, 48, "kernel.%s", limits[which].file);
}

static int64_t limit_value(enum limit which)
{
	unsigned long long value[4];
	char path[64];
	int n;
	FILE *file;

	if (limits[which].file == NULL)
		return INT64_MAX;
	snprintf(path, sizeof path, "/proc/sys/kernel/%s", limits[which].file);
	file = fopen(path, "re");
	if (file == NULL)
		return -1;
	n = fscanf(file, "%llu %llu %llu %llu", &value[0], &value[1], &value[2], &value[3]);
	fclose(file);
	if (n <= (int)limits[which].field)
		return -1;
	return value[limits[which].field] > INT64_MAX ? INT64_MAX
						      : (int64_t)value[limits[which].field];
}

static void limit_cure(struct duoshm_failure *why, enum limit which, int64_t value)
{
	int64_t set[4];
	enum limit i;

	if (limits[which].file == NULL)
		return;
	if (which < SEMMSL) {
		duoshm__native_cure(why, "raise it: sysctl -w kernel.%s=%lld", limits[which].file,
			(long long)value);
		return;
	}
	for (i = SEMMSL; i <= SEMMNI; i++)
		set[i - SEMMSL] = i == which ? value : limit_value(i);
	duoshm__native_cure(why, "raise it: sysctl -w kernel.sem=\"%lld %lld %lld %lld\"",
		(long long)set[0], (long long)set[1], (long long)set[2], (long long)set[3]);
}

#else

#if defined __APPLE__
#define SYSCTL "kern.sysv."
#define CURE   "set %s=%lld in /etc/sysctl.conf and start the machine again"
#elif defined __OpenBSD__
#define SYSCTL "kern.shminfo." /* has no sysctl by name: the values stay unknown */
#define CURE   "raise it: sysctl %s=%lld"
#else
#define SYSCTL "kern.ipc."
#define CURE   "set %s=%lld in /boot/loader.conf and start the machine again, or raise it by sysctl"
#endif

static void limit_source(enum limit which, char out[48])
{
	snprintf(out, 48, SYSCTL "%s", limits[which].name);
}

static int64_t limit_value(enum limit which)
{
#if defined HAVE_SYSCTLBYNAME
	union {
		int32_t narrow;
		int64_t wide;
	} value;
	size_t size = sizeof value;
	char name[48];

	limit_source(which, name);
	if (sysctlbyname(name, &value, &size, NULL, 0) != 0)
		return -1;
	if (size == sizeof value.narrow)
		return value.narrow;
	return size != sizeof value.wide ? -1 : value.wide < 0 ? INT64_MAX : value.wide;
#else
	(void)which;
	return -1;
#endif
}

static void limit_cure(struct duoshm_failure *why, enum limit which, int64_t value)
{
	char name[48];

	limit_source(which, name);
	duoshm__native_cure(why, CURE, name, (long long)value);
}

#endif

/* ---- their use ------------------------------------------------------------------------------------- */

struct usage {
	int64_t page;
	int64_t used[N_LIMITS]; /* -1: not known */
};

static int add_item(const struct duoshm__native_item *item, void *arg)
{
	struct usage *usage = arg;
	int64_t size = (int64_t)item->stat.size;

	if (item->semaphore) {
		usage->used[SEMMNI]++;
		usage->used[SEMMNS] += size;
	} else {
		usage->used[SHMMNI]++;
		usage->used[SHMALL] += size / usage->page + (size % usage->page != 0);
	}
	return 0;
}

static struct usage get_usage(void)
{
	struct usage usage = {.page = (int64_t)sysconf(_SC_PAGESIZE)};
	int which;

	usage.used[SHMMAX] = usage.used[SHMSEG] = usage.used[SEMMSL] = usage.used[SEMOPM] = -1;
	if (duoshm__sysv_list(add_item, &usage, &(struct duoshm_failure){0}) < 0)
		for (which = 0; which < N_LIMITS; which++)
			usage.used[which] = -1;
	return usage;
}

void duoshm__sysv_limits(struct duoshm_facts *facts)
{
	struct usage usage = get_usage();
	char source[48];
	int which;

	for (which = 0; which < N_LIMITS; which++) {
		limit_source((enum limit)which, source);
		duoshm__limit(facts, limits[which].name, limits[which].unit, source,
			limit_value((enum limit)which), usage.used[which]);
	}
}

/* ---- who is to blame --------------------------------------------------------------------------------- */

/* "kernel.shmmni", but "kernel.sem (semmni)", where one name stands for several limits. */
static void limit_label(enum limit which, char *out, size_t size)
{
	char source[48];

	limit_source(which, source);
	if (strstr(source, limits[which].name) != NULL)
		snprintf(out, size, "%s", source);
	else
		snprintf(out, size, "%s (%s)", source, limits[which].name);
}

/* True and the story told, if `more` on top of what is used is above the limit. */
static bool exceeds(
	struct duoshm_failure *why, const struct usage *usage, enum limit which, int64_t more)
{
	int64_t value = limit_value(which), used = usage->used[which];
	const char *unit = limits[which].unit;
	char label[64];

	if (value < 0 || value == INT64_MAX || (used < 0 ? more <= value : more <= value - used))
		return false;
	limit_label(which, label, sizeof label);
	if (used < 0)
		duoshm__native_cause(why, "%s is %lld %s and %lld are asked for", label,
			(long long)value, unit, (long long)more);
	else if (more > 1)
		duoshm__native_cause(why,
			"%s is %lld %s, %lld are in use and %lld more are asked for", label,
			(long long)value, unit, (long long)used, (long long)more);
	else
		duoshm__native_cause(why, "%s is %lld and %lld %s are in use", label,
			(long long)value, (long long)used, unit);
	limit_cure(why, which, value > (INT64_MAX >> 1) - more ? INT64_MAX : 2 * value + more);
	return true;
}

static int no_limit_found(struct duoshm_failure *why)
{
	if (why->system_error == ENOMEM) {
		why->code = DUOSHM_ERR_NO_SPACE;
		duoshm__native_cause(why, "the kernel has no memory for it");
		return duoshm__native_cure(why, "free memory, or ask for less");
	}
	duoshm__native_cause(why,
		"a limit of the system on System V objects, which of them it does not say: %s",
		strerror(why->system_error));
	return duoshm__native_cure(
		why, "compare with what ipcs -l or sysctl shows, and remove what is not needed");
}

int duoshm__sysv_blame_segment(struct duoshm_failure *why, size_t size)
{
	struct usage usage = get_usage();
	int64_t bytes = (uint64_t)size > INT64_MAX ? INT64_MAX : (int64_t)size;
	int64_t pages = bytes / usage.page + (bytes % usage.page != 0);

	if (exceeds(why, &usage, SHMMAX, bytes) || exceeds(why, &usage, SHMMNI, 1) ||
		exceeds(why, &usage, SHMALL, pages))
		return why->code;
	return no_limit_found(why);
}

int duoshm__sysv_blame_set(struct duoshm_failure *why, size_t n)
{
	struct usage usage = get_usage();

	if (exceeds(why, &usage, SEMMSL, (int64_t)n) || exceeds(why, &usage, SEMMNI, 1) ||
		exceeds(why, &usage, SEMMNS, (int64_t)n))
		return why->code;
	return no_limit_found(why);
}

int duoshm__sysv_blame_attach(struct duoshm_failure *why)
{
	int64_t value = limit_value(SHMSEG);

	if (why->code != DUOSHM_ERR_LIMIT)
		return why->code;
	if (why->system_error != EMFILE || value < 0 || value == INT64_MAX)
		return no_limit_found(why);
	duoshm__native_cause(why, "a process may attach %lld segments, and this one has that many",
		(long long)value);
	limit_cure(why, SHMSEG, 2 * value);
	return why->code;
}
