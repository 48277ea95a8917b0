/* SPDX-License-Identifier: MIT */
/*
 * Every System V segment and set that the kernel knows, ours or not.
 *
 * Trap: each system has a way of its own, and that a constant is declared does not mean that it is
 * served (FreeBSD declares SHM_STAT and refuses it). Linux and Cygwin print tables below
 * /proc/sysvipc, whoever may read the objects or not; FreeBSD hands out the kernel's arrays.
 */
#include "config.h"

#if defined __FreeBSD__
#define _WANT_SYSVSHM_INTERNALS
#define _WANT_SYSVSEM_INTERNALS
#endif

#include "backends/sysv/sysv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined __FreeBSD__
#include <sys/sem.h>
#include <sys/sysctl.h>
#endif

#if defined __linux__ || defined __CYGWIN__ || defined __FreeBSD__

/* One line of a table, or element of an array. `stat.size` of a set: how many semaphores. */
static int tell(key_t key, int64_t id, bool semaphore, struct duoshm__native_stat stat,
	duoshm__native_fn *fn, void *arg)
{
	struct duoshm__native_item item = {.stat = stat, .semaphore = semaphore};

	duoshm__sysv_key_text(key, item.native.text);
	item.native.segment_id = semaphore ? -1 : id;
	item.native.bells_id = semaphore ? id : -1;
	item.stat.mode &= 0777;
	return fn(&item, arg);
}

#endif

#if defined __linux__ || defined __CYGWIN__

static int tell_segment(const char *line, duoshm__native_fn *fn, void *arg)
{
	long long key, id, creator, last, attached, uid, gid;
	unsigned long long size;
	unsigned mode;

	if (sscanf(line, "%lld %lld %o %llu %lld %lld %lld %lld %lld", &key, &id, &mode, &size,
		    &creator, &last, &attached, &uid, &gid) != 9)
		return 0;
	return tell((key_t)key, id, false,
		(struct duoshm__native_stat){size, uid, gid, mode, creator, last, attached}, fn,
		arg);
}

static int tell_set(const char *line, duoshm__native_fn *fn, void *arg)
{
	long long key, id, uid, gid;
	unsigned long long count;
	unsigned mode;

	if (sscanf(line, "%lld %lld %o %llu %lld %lld", &key, &id, &mode, &count, &uid, &gid) != 6)
		return 0;
	return tell((key_t)key, id, true,
		(struct duoshm__native_stat){count, uid, gid, mode, -1, -1, -1}, fn, arg);
}

static int walk(const char *path, int (*tell_line)(const char *, duoshm__native_fn *, void *),
	duoshm__native_fn *fn, void *arg, struct duoshm_failure *why)
{
	char line[512];
	int result = 0;
	FILE *table = fopen(path, "re");

	if (table == NULL) {
		duoshm__native_failure(why, DUOSHM_ERR_UNSUPPORTED, errno, "open(\"%s\")", path);
		return duoshm__native_cause(why, "the kernel's table %s cannot be read: %s", path,
			strerror(why->system_error));
	}
	/* The first line is the heading. */
	while (result == 0 && fgets(line, sizeof line, table) != NULL)
		result = tell_line(line, fn, arg);
	fclose(table);
	return result;
}

int duoshm__sysv_list(duoshm__native_fn *fn, void *arg, struct duoshm_failure *why)
{
	int result = walk("/proc/sysvipc/shm", tell_segment, fn, arg, why);

	return result != 0 ? result : walk("/proc/sysvipc/sem", tell_set, fn, arg, why);
}

#elif defined __FreeBSD__

#define SEGMENT_ALLOCATED 0x0800 /* in the kernel's mode word; its own header hides the name */
#define SET_ALLOCATED     SEM_ALLOC

static int64_t make_id(size_t index, const struct ipc_perm *permission)
{
	return (int64_t)((unsigned)permission->seq << 16 | ((unsigned)index & 0xffff));
}

static int tell_segment(const void *element, size_t index, duoshm__native_fn *fn, void *arg)
{
	const struct shmid_ds *status = &((const struct shmid_kernel *)element)->u;
	struct duoshm__native_stat stat;

	if ((status->shm_perm.mode & SEGMENT_ALLOCATED) == 0)
		return 0;
	duoshm__sysv_fill_stat(status, &stat);
	return tell(status->shm_perm.key, make_id(index, &status->shm_perm), false, stat, fn, arg);
}

static int tell_set(const void *element, size_t index, duoshm__native_fn *fn, void *arg)
{
	const struct semid_ds *status = &((const struct semid_kernel *)element)->u;
	const struct ipc_perm *permission = &status->sem_perm;

	if ((permission->mode & SET_ALLOCATED) == 0)
		return 0;
	return tell(permission->key, make_id(index, permission), true,
		(struct duoshm__native_stat){status->sem_nsems, permission->uid, permission->gid,
			permission->mode, -1, -1, -1},
		fn, arg);
}

/* A copy of a kernel array, to be freed. */
static void *fetch(const char *name, size_t *size, struct duoshm_failure *why)
{
	void *array = NULL;
	size_t room = 0;

	if (sysctlbyname(name, NULL, &room, NULL, 0) == 0 && (array = malloc(room)) != NULL) {
		*size = room;
		if (sysctlbyname(name, array, size, NULL, 0) == 0)
			return array;
	}
	duoshm__native_failure(why, DUOSHM_ERR_UNSUPPORTED, errno, "sysctlbyname(\"%s\")", name);
	free(array);
	return NULL;
}

static int walk(const char *name, size_t element,
	int (*tell_element)(const void *, size_t, duoshm__native_fn *, void *),
	duoshm__native_fn *fn, void *arg, struct duoshm_failure *why)
{
	size_t size;
	int result = 0;
	char *array = fetch(name, &size, why);

	if (array == NULL)
		return why->code;
	for (size_t i = 0; result == 0 && i < size / element; i++)
		result = tell_element(array + i * element, i, fn, arg);
	free(array);
	return result;
}

int duoshm__sysv_list(duoshm__native_fn *fn, void *arg, struct duoshm_failure *why)
{
	int result =
		walk("kern.ipc.shmsegs", sizeof(struct shmid_kernel), tell_segment, fn, arg, why);

	if (result == 0)
		result = walk("kern.ipc.sema", sizeof(struct semid_kernel), tell_set, fn, arg, why);
	return result;
}

#else

int duoshm__sysv_list(duoshm__native_fn *fn, void *arg, struct duoshm_failure *why)
{
	(void)fn;
	(void)arg;
	duoshm__native_failure(why, DUOSHM_ERR_UNSUPPORTED, 0, "list");
	duoshm__native_cause(why, "how this system's kernel lists its objects is not known here");
	return duoshm__native_cure(
		why, "ipcs -m -s shows them; objects of this library stand in the registry");
}

#endif
