/* SPDX-License-Identifier: MIT */
/*
 * The limits of System V objects, their use now, and which of them a failed call ran into.
 *
 * Trap: one limit has many faces. A full shmall is ENOSPC on Linux, ENOMEM on the BSDs and macOS,
 * EINVAL on illumos; EINVAL is also a segment above shmmax; too many attachments are EMFILE. So the
 * errno is not asked: what was wanted is compared with what there is. 8 attachments, 32 segments
 * and 4 MiB is all that macOS gives, 10 sets all that NetBSD does.
 */
#include "config.h"

#include "backends/sysv/sysv.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#if !defined __linux__ && defined HAVE_SYS_SYSCTL_H
#include <sys/sysctl.h>
#endif

enum limit { SHMMAX, SHMALL, SHMMNI, SHMSEG, SEMMSL, SEMMNS, SEMOPM, SEMMNI, N_LIMITS };

#if defined __linux__
#define SHM_SOURCE(name) "kernel." name
#define SEM_SOURCE(name) "kernel.sem (" name ")" /* all four in one */
#define SEG_SOURCE       "no such limit"
#else
#if defined __APPLE__
#define SHM_SOURCE(name) "kern.sysv." name
#define CURE             "set %s=%lld in /etc/sysctl.conf and restart the machine"
#elif defined __OpenBSD__
#define SHM_SOURCE(name) "kern.shminfo." name /* has no sysctl by name: the values stay unknown */
#define CURE             "raise it: sysctl %s=%lld"
#else
#define SHM_SOURCE(name) "kern.ipc." name
#define CURE             "set %s=%lld in /boot/loader.conf and restart the machine, or raise it by sysctl"
#endif
#define SEM_SOURCE SHM_SOURCE
#define SEG_SOURCE SHM_SOURCE("shmseg")
#endif

static const struct duoshm_limit limits[N_LIMITS] = {
	[SHMMAX] = {"shmmax", "bytes", SHM_SOURCE("shmmax"), -1, -1},
	[SHMALL] = {"shmall", "pages", SHM_SOURCE("shmall"), -1, -1},
	[SHMMNI] = {"shmmni", "segments", SHM_SOURCE("shmmni"), -1, -1},
	[SHMSEG] = {"shmseg", "attachments", SEG_SOURCE, -1, -1},
	[SEMMSL] = {"semmsl", "semaphores", SEM_SOURCE("semmsl"), -1, -1},
	[SEMMNS] = {"semmns", "semaphores", SEM_SOURCE("semmns"), -1, -1},
	[SEMOPM] = {"semopm", "operations", SEM_SOURCE("semopm"), -1, -1},
	[SEMMNI] = {"semmni", "sets", SEM_SOURCE("semmni"), -1, -1},
};

/* ---- asking the system: a limit's value (-1: not known, INT64_MAX: none), the cure ----------- */

#if defined __linux__

static int64_t limit_value(enum limit which)
{
	unsigned long long value[4];
	int n, field = which < SEMMSL ? 0 : (int)(which - SEMMSL);
	char path[64];
	FILE *file;

	if (which == SHMSEG)
		return INT64_MAX;
	snprintf(path, sizeof path, "/proc/sys/kernel/%s",
		which < SEMMSL ? limits[which].name : "sem");
	file = fopen(path, "re");
	if (file == NULL)
		return -1;
	n = fscanf(file, "%llu %llu %llu %llu", &value[0], &value[1], &value[2], &value[3]);
	fclose(file);
	if (n <= field)
		return -1;
	return value[field] > INT64_MAX ? INT64_MAX : (int64_t)value[field];
}

static void limit_cure(struct duoshm_failure *why, enum limit which, int64_t value)
{
	long long set[4];

	if (which < SEMMSL) {
		duoshm__native_cure(
			why, "raise it: sysctl -w %s=%lld", limits[which].source, (long long)value);
		return;
	}
	for (int i = 0; i < 4; i++)
		set[i] = limit_value((enum limit)(SEMMSL + i));
	set[which - SEMMSL] = value;
	duoshm__native_cure(why, "raise it: sysctl -w kernel.sem=\"%lld %lld %lld %lld\"", set[0],
		set[1], set[2], set[3]);
}

#else

static int64_t limit_value(enum limit which)
{
#if defined HAVE_SYSCTLBYNAME
	union {
		int32_t narrow;
		int64_t wide;
	} value;
	size_t size = sizeof value;

	if (sysctlbyname(limits[which].source, &value, &size, NULL, 0) != 0)
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
	duoshm__native_cure(why, CURE, limits[which].source, (long long)value);
}

#endif

/* ---- their use ------------------------------------------------------------------------------- */

static int64_t pages(int64_t bytes)
{
	int64_t page = (int64_t)sysconf(_SC_PAGESIZE);

	return bytes / page + (bytes % page != 0);
}

static int add_item(const struct duoshm__native_item *item, void *arg)
{
	int64_t *used = arg, size = (int64_t)item->stat.size;

	used[item->semaphore ? SEMMNI : SHMMNI]++;
	used[item->semaphore ? SEMMNS : SHMALL] += item->semaphore ? size : pages(size);
	return 0;
}

/* -1: not known */
static void get_usage(int64_t used[N_LIMITS])
{
	used[SEMMNI] = used[SEMMNS] = used[SHMMNI] = used[SHMALL] = 0;
	used[SHMMAX] = used[SHMSEG] = used[SEMMSL] = used[SEMOPM] = -1;
	if (duoshm__sysv_list(add_item, used, &(struct duoshm_failure){0}) < 0)
		for (int which = 0; which < N_LIMITS; which++)
			used[which] = -1;
}

void duoshm__sysv_limits(struct duoshm_facts *facts)
{
	int64_t used[N_LIMITS];
	struct duoshm_limit limit;

	get_usage(used);
	for (int which = 0; which < N_LIMITS; which++) {
		limit = limits[which];
		limit.value = limit_value((enum limit)which);
		limit.used = used[which];
		duoshm__limit(facts, &limit);
	}
}

/* ---- who is to blame ------------------------------------------------------------------------- */

/* True and the story told, if `more` on top of what is used is above the limit. */
static bool exceeds(struct duoshm_failure *why, enum limit which, int64_t more)
{
	const char *source = limits[which].source, *unit = limits[which].unit;
	int64_t all_used[N_LIMITS], used, value = limit_value(which);

	get_usage(all_used);
	used = all_used[which];
	if (value < 0 || value == INT64_MAX || (used < 0 ? more <= value : more <= value - used))
		return false;
	why->code = DUOSHM_ERR_LIMIT;
	if (used < 0)
		duoshm__native_cause(why, "%s is %lld %s and %lld are asked for", source,
			(long long)value, unit, (long long)more);
	else if (more > 1)
		duoshm__native_cause(why,
			"%s is %lld %s, %lld are in use and %lld more are asked for", source,
			(long long)value, unit, (long long)used, (long long)more);
	else
		duoshm__native_cause(why, "%s is %lld and %lld %s are in use", source,
			(long long)value, (long long)used, unit);
	limit_cure(why, which, value > (INT64_MAX >> 1) - more ? INT64_MAX : 2 * value + more);
	return true;
}

static bool may_be_limit(const struct duoshm_failure *why)
{
	return why->code == DUOSHM_ERR_LIMIT || why->code == DUOSHM_ERR_NO_SPACE;
}

static int no_limit_found(struct duoshm_failure *why)
{
	if (why->system_error == ENOMEM) {
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
	int64_t bytes = (uint64_t)size > INT64_MAX ? INT64_MAX : (int64_t)size;

	if (!may_be_limit(why) || exceeds(why, SHMMAX, bytes) || exceeds(why, SHMMNI, 1) ||
		exceeds(why, SHMALL, pages(bytes)))
		return why->code;
	return no_limit_found(why);
}

int duoshm__sysv_blame_set(struct duoshm_failure *why, size_t n)
{
	/* Two operations at once make a set whole. */
	if (why->system_error == E2BIG && exceeds(why, SEMOPM, 2))
		return why->code;
	if (!may_be_limit(why) || exceeds(why, SEMMSL, (int64_t)n) || exceeds(why, SEMMNI, 1) ||
		exceeds(why, SEMMNS, (int64_t)n))
		return why->code;
	return no_limit_found(why);
}

int duoshm__sysv_blame_attach(struct duoshm_failure *why, size_t size)
{
	int64_t value = limit_value(SHMSEG);

	if (!may_be_limit(why) || duoshm__native_blame_address_space(why, size))
		return why->code;
	if (why->system_error != EMFILE || value < 0 || value == INT64_MAX)
		return no_limit_found(why);
	limit_cure(why, SHMSEG, 2 * value);
	return duoshm__native_cause(why,
		"a process may attach %lld segments, and this one has that many", (long long)value);
}
