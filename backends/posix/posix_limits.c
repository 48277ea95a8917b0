/* SPDX-License-Identifier: MIT */
/*
 * The limits of POSIX objects, their use now, and which of them a failed call ran into.
 *
 * Trap: there are few limits of their own. What bounds them is the file system that they are on
 * (half of the memory by default, 64 MiB in many containers), the descriptors of the process, its
 * longest file, and on some systems a count of semaphores that only the C library knows (musl: 256
 * to a process).
 */
#include "config.h"

#include "backends/posix/posix.h"

#include <sys/resource.h>
#ifdef HAVE_SYS_STATVFS_H
#include <sys/statvfs.h>
#endif

#include <errno.h>
#include <limits.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#ifndef SEM_VALUE_MAX
#define SEM_VALUE_MAX 32767 /* the least that the standard allows */
#endif

struct room {
	int64_t bytes, bytes_used;
	int64_t files, files_used;
};

/* Of the file system that segments are on. False: there is none, or it has no limit. */
static bool get_room(struct room *out)
{
#if defined DUOSHM__POSIX_DIRECTORY && defined HAVE_SYS_STATVFS_H
	struct statvfs status;
	int64_t block;

	if (statvfs(DUOSHM__POSIX_DIRECTORY, &status) < 0 || status.f_blocks == 0)
		return false;
	block = (int64_t)status.f_frsize;
	out->bytes = (int64_t)status.f_blocks * block;
	out->bytes_used = (int64_t)(status.f_blocks - status.f_bfree) * block;
	out->files = status.f_files == 0 ? -1 : (int64_t)status.f_files;
	out->files_used = status.f_files == 0 ? -1 : (int64_t)(status.f_files - status.f_ffree);
	return true;
#else
	(void)out;
	return false;
#endif
}

#ifdef DUOSHM__POSIX_DIRECTORY
#define PLACE DUOSHM__POSIX_DIRECTORY
#else
#define PLACE "the kernel"
#endif

/* Bytes that can be had without taking them from programs; INT64_MAX: not known. */
static int64_t memory_available(void)
{
	long long kib, total = 0;
	char line[128];
	FILE *table = fopen("/proc/meminfo", "re");

	if (table == NULL)
		return INT64_MAX;
	while (fgets(line, sizeof line, table) != NULL)
		if (sscanf(line, "MemAvailable: %lld", &kib) == 1 ||
			sscanf(line, "SwapFree: %lld", &kib) == 1)
			total += kib;
	fclose(table);
	return total == 0 ? INT64_MAX : (int64_t)total * 1024;
}

bool duoshm__posix_has_room(size_t size)
{
	struct room room;

	if (get_room(&room) && size > (uint64_t)(room.bytes - room.bytes_used))
		return false;
	return size <= (uint64_t)memory_available();
}

int64_t duoshm__posix_resource(int which)
{
	struct rlimit limit;
	/* Constants alone fit everywhere: the parameter is an int, or an enum of glibc's own. */
	int result = which == RLIMIT_FSIZE ? getrlimit(RLIMIT_FSIZE, &limit)
					   : getrlimit(RLIMIT_NOFILE, &limit);

	if (result != 0)
		return -1;
	return limit.rlim_cur == RLIM_INFINITY || (uintmax_t)limit.rlim_cur > INT64_MAX
		       ? INT64_MAX
		       : (int64_t)limit.rlim_cur;
}

void duoshm__posix_limits(struct duoshm_facts *facts)
{
	int64_t semaphores = sysconf(_SC_SEM_NSEMS_MAX);
	struct room room = {-1, -1, -1, -1};
	bool bounded = get_room(&room);
	const struct duoshm_limit limits[] = {
		{"memory", "bytes", "statvfs(" PLACE ")", room.bytes, room.bytes_used},
		{"files", "files", "statvfs(" PLACE ")", room.files, room.files_used},
		{"file size", "bytes", "RLIMIT_FSIZE", duoshm__posix_resource(RLIMIT_FSIZE), -1},
		{"descriptors", "files", "RLIMIT_NOFILE", duoshm__posix_resource(RLIMIT_NOFILE),
			-1},
		{"semaphores", "semaphores", "_SC_SEM_NSEMS_MAX",
			semaphores < 0 ? INT64_MAX : semaphores, -1},
		{"semaphore value", "units", "SEM_VALUE_MAX", SEM_VALUE_MAX, -1},
		{"segment name", "characters", "by the system's name", DUOSHM_SHM_NAME_MAX, -1},
		{"semaphore name", "characters", "by the system's name", DUOSHM_SEM_NAME_MAX, -1},
	};

	for (size_t i = bounded ? 0 : 2; i < sizeof limits / sizeof *limits; i++)
		duoshm__limit(facts, &limits[i]);
}

static int no_descriptor(struct duoshm_failure *why)
{
	if (why->system_error == ENFILE) {
		duoshm__native_cause(why, "the system has no file descriptor left");
		return duoshm__native_cure(why, "end programs that hold many open files");
	}
	duoshm__native_cause(why,
		"RLIMIT_NOFILE is %lld and all descriptors of the process are in use",
		(long long)duoshm__posix_resource(RLIMIT_NOFILE));
	return duoshm__native_cure(why, "raise it: ulimit -n, or close what is not needed");
}

static int no_room(struct duoshm_failure *why, const struct room *room, int64_t size)
{
	int64_t memory = memory_available();

	if (size <= room->bytes - room->bytes_used && size > memory) {
		duoshm__native_cause(why,
			"the machine has %lld bytes of memory available and %lld are asked for",
			(long long)memory, (long long)size);
		return duoshm__native_cure(why, "free memory, or ask for less");
	}
	duoshm__native_cause(why,
		PLACE " holds %lld bytes, %lld are in use and %lld more are asked for",
		(long long)room->bytes, (long long)room->bytes_used, (long long)size);
	return duoshm__native_cure(why, "make it larger (mount -o remount,size=... " PLACE
					"), or remove what is not needed");
}

int duoshm__posix_blame_segment(struct duoshm_failure *why, size_t size)
{
	int64_t bytes = (uint64_t)size > INT64_MAX ? INT64_MAX : (int64_t)size;
	struct room room;

	if (why->system_error == EROFS) {
		duoshm__native_cause(
			why, "the file system of shared memory, " PLACE ", is read-only");
		return duoshm__native_cure(why, "mount it writable, or use another family");
	}
	if (why->code != DUOSHM_ERR_LIMIT && why->code != DUOSHM_ERR_NO_SPACE)
		return why->code;
	if (why->system_error == EMFILE || why->system_error == ENFILE)
		return no_descriptor(why);
	if (why->system_error == EFBIG) {
		duoshm__native_cause(why, "RLIMIT_FSIZE is %lld bytes and %zu are asked for",
			(long long)duoshm__posix_resource(RLIMIT_FSIZE), size);
		return duoshm__native_cure(why, "raise it: ulimit -f");
	}
	if (duoshm__native_blame_address_space(why, size))
		return why->code;
	if (why->system_error == ENOSPC && get_room(&room))
		return no_room(why, &room, bytes);
	duoshm__native_cause(why, "the system has no memory for %zu bytes more: %s", size,
		strerror(why->system_error));
	return duoshm__native_cure(why, "free memory, or ask for less");
}

int duoshm__posix_blame_bell(struct duoshm_failure *why, size_t size)
{
	long semaphores = sysconf(_SC_SEM_NSEMS_MAX);
	struct room room;

	if (why->system_error == EMFILE && semaphores > 0) {
		duoshm__native_cause(why,
			"a process can have %ld named semaphores open, or its %lld file "
			"descriptors are in use",
			semaphores, (long long)duoshm__posix_resource(RLIMIT_NOFILE));
		return duoshm__native_cure(
			why, "close objects that are not needed, or raise ulimit -n");
	}
	if (why->system_error == ENOSPC && !get_room(&room)) {
		why->code = DUOSHM_ERR_LIMIT;
		duoshm__native_cause(why, "the system's count of named semaphores is reached");
		return duoshm__native_cure(why,
			"raise it: sysctl kern.posix.sem.max (macOS), kern.posix.semmax (NetBSD)");
	}
	return duoshm__posix_blame_segment(why, size);
}
