/* SPDX-License-Identifier: MIT */
/*
 * Start times and states of processes. BSD and macOS tell them by sysctl, Linux in /proc; where
 * both are missing, nothing is told and the callers say "unknown".
 *
 * Traps: the name in /proc/PID/stat may contain blanks and parentheses, so it is parsed behind the
 * last ")". A Linux process whose first thread has ended shows state Z while its other threads run.
 * FreeBSD tells the start as a wall-clock time that moves when the clock is set, so it is taken
 * relative to the boot.
 */
#include "config.h"

#include "core/process.h"

#include "core/file.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#ifdef HAVE_SYS_PARAM_H
#include <sys/param.h>
#endif
#if defined HAVE_STRUCT_KINFO_PROC_KI_START || defined HAVE_STRUCT_KINFO_PROC2_P_USTART_SEC ||     \
	defined HAVE_STRUCT_KINFO_PROC_P_USTART_SEC ||                                             \
	defined HAVE_STRUCT_KINFO_PROC_KP_PROC_P_STARTTIME ||                                      \
	defined HAVE_STRUCT_KINFO_PROC_KP_START
#define TOLD_BY_SYSCTL 1
#include <sys/sysctl.h>
#include <sys/time.h>
#ifdef HAVE_SYS_USER_H
#include <sys/user.h>
#endif
#ifdef HAVE_SYS_PROC_H
#include <sys/proc.h>
#endif
#endif

#ifdef TOLD_BY_SYSCTL

#define MICROSECONDS(seconds, micro) ((uint64_t)(seconds)*1000000u + (uint64_t)(micro))

#if defined HAVE_STRUCT_KINFO_PROC2_P_USTART_SEC
typedef struct kinfo_proc2 process_record;
#define MIB_HEAD CTL_KERN, KERN_PROC2, KERN_PROC_PID
#else
typedef struct kinfo_proc process_record;
#define MIB_HEAD CTL_KERN, KERN_PROC, KERN_PROC_PID
#endif

static bool read_record(int64_t pid, process_record *out)
{
	size_t size = sizeof *out;
#if defined HAVE_STRUCT_KINFO_PROC2_P_USTART_SEC || defined HAVE_STRUCT_KINFO_PROC_P_USTART_SEC
	int mib[] = {MIB_HEAD, (int)pid, (int)sizeof *out, 1};
#else
	int mib[] = {MIB_HEAD, (int)pid};
#endif
	return sysctl(mib, sizeof mib / sizeof mib[0], out, &size, NULL, 0) == 0 &&
	       size >= sizeof *out;
}

#if defined HAVE_STRUCT_KINFO_PROC_KI_START
static uint64_t start_of(const process_record *record)
{
	struct timeval boot = {0};
	size_t size = sizeof boot;
	int mib[] = {CTL_KERN, KERN_BOOTTIME};
	if (sysctl(mib, 2, &boot, &size, NULL, 0) != 0)
		return 0;
	return MICROSECONDS(record->ki_start.tv_sec, record->ki_start.tv_usec) -
	       MICROSECONDS(boot.tv_sec, boot.tv_usec);
}

static bool is_finished(const process_record *record)
{
	return record->ki_stat == SZOMB;
}
#elif defined HAVE_STRUCT_KINFO_PROC2_P_USTART_SEC || defined HAVE_STRUCT_KINFO_PROC_P_USTART_SEC
static uint64_t start_of(const process_record *record)
{
	return MICROSECONDS(record->p_ustart_sec, record->p_ustart_usec);
}

static bool is_finished(const process_record *record)
{
#ifdef HAVE_STRUCT_KINFO_PROC2_P_REALSTAT
	return record->p_realstat == SZOMB;
#else
	return record->p_stat == SZOMB || record->p_stat == SDEAD;
#endif
}
#elif defined HAVE_STRUCT_KINFO_PROC_KP_START
static uint64_t start_of(const process_record *record)
{
	return MICROSECONDS(record->kp_start.tv_sec, record->kp_start.tv_usec);
}

static bool is_finished(const process_record *record)
{
	return record->kp_stat == SZOMB;
}
#else
static uint64_t start_of(const process_record *record)
{
	return MICROSECONDS(
		record->kp_proc.p_starttime.tv_sec, record->kp_proc.p_starttime.tv_usec);
}

static bool is_finished(const process_record *record)
{
	return record->kp_proc.p_stat == SZOMB;
}
#endif

bool duoshm__process_look(int64_t pid, struct duoshm__process_look *out)
{
	process_record record;
	if (!read_record(pid, &record))
		return false;
	out->start = start_of(&record);
	out->finished = is_finished(&record);
	return true;
}

/* FNV-1a, 64 bits. */
static uint64_t hash(const unsigned char *bytes, size_t size)
{
	uint64_t sum = 0xcbf29ce484222325u;
	for (size_t i = 0; i < size; i++)
		sum = (sum ^ bytes[i]) * 0x100000001b3u;
	return sum;
}

uint64_t duoshm__boot(void)
{
#ifdef HAVE_SYSCTLBYNAME
	static const char *const names[] = {"kern.bootsessionuuid", "kern.boot_id"};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		unsigned char id[64];
		size_t size = sizeof id;
		if (sysctlbyname(names[i], id, &size, NULL, 0) == 0 && size > 0)
			return hash(id, size);
	}
#endif
	(void)hash;
	return 0;
}

#else /* /proc */

/* Reads a small file as text; false where it is not there, or hidden. */
static bool read_text(const char *path, char *text, size_t size)
{
	int fd = duoshm__file_open(path, O_RDONLY, 0);
	if (fd < 0)
		return false;
	ssize_t length = read(fd, text, size - 1);
	close(fd);
	if (length <= 0)
		return false;
	text[length] = '\0';
	return true;
}

/* The fields of proc(5): 3 is the state, 20 the number of threads, 22 the start. */
bool duoshm__process_look(int64_t pid, struct duoshm__process_look *out)
{
	char path[64], text[1024];
	snprintf(path, sizeof path, "/proc/%" PRId64 "/stat", pid);
	if (!read_text(path, text, sizeof text))
		return false;
	const char *rest = strrchr(text, ')');
	char state;
	long threads;
	uint64_t start;
	if (!rest || sscanf(rest,
			     ") %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
			     "%*s %ld %*s %" SCNu64,
			     &state, &threads, &start) != 3)
		return false;
	out->start = start;
	out->finished = (state == 'Z' || state == 'X' || state == 'x') && threads <= 1;
	return true;
}

uint64_t duoshm__boot(void)
{
	char text[64];
	if (!read_text("/proc/sys/kernel/random/boot_id", text, sizeof text))
		return 0;
	/* a UUID: its first 16 digits are random enough */
	uint64_t id = 0;
	unsigned digits = 0;
	for (const char *c = text; *c != '\0' && digits < 16; c++) {
		const char *hex = "0123456789abcdef";
		const char *digit = strchr(hex, *c);
		if (digit) {
			id = id << 4 | (uint64_t)(digit - hex);
			digits++;
		}
	}
	return digits == 16 ? id : 0;
}

#endif
