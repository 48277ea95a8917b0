/* SPDX-License-Identifier: MIT */
/*
 * System V segments: shmget, shmat, shmdt, shmctl. Bells are sysv_sem.c's; which limit stands in
 * the way is sysv_limits.c's to find out.
 *
 * Traps. The mode is not reduced by the umask: it arrives here reduced. After IPC_RMID only some
 * kernels still attach by the id, while the key is free at once and may be another's: hence the key
 * leads and the id is only compared. An id alone may be used again, the next boot uses them all
 * again.
 */
#include "config.h"

#include "backends/sysv/sysv.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

static int get(key_t key)
{
	return shmget(key, 0, 0);
}

/* An adopted segment without a key has its id for a name. */
static int64_t id_of(const struct duoshm__native *native)
{
	unsigned long long id;

	if (strncmp(native->text, "id:", 3) != 0)
		return native->segment_id;
	return duoshm__sysv_number(native->text + 3, 10, &id) && id <= INT_MAX ? (int64_t)id : -1;
}

static const struct duoshm__sysv_space segments = {
	.get_name = "shmget",
	.one = "segment",
	.all = "shared memory",
	.get = get,
	.id = id_of,
	.blame = duoshm__sysv_blame_segment,
};

/* Attaches all of a segment. */
static int map_segment(int id, const struct duoshm__native *native, size_t size, bool read_only,
	struct duoshm__map *out, struct duoshm_failure *why)
{
	void *address = shmat(id, NULL, read_only ? SHM_RDONLY : 0);

	if (address == (void *)-1) {
		duoshm__sysv_fail_call(&segments, errno, native,
			read_only ? "shmat SHM_RDONLY" : "shmat", id, why);
		return duoshm__sysv_blame_attach(why, size);
	}
	out->address = address;
	out->length = size;
	out->reserved = false; /* the kernel counts the pages, but does not set them aside */
	return 0;
}

int duoshm__sysv_create(struct duoshm__native *native, size_t size, unsigned mode,
	struct duoshm__map *out, struct duoshm_failure *why)
{
	key_t key;
	int result, id;

	duoshm__sysv_key(native, &key);
	id = shmget(key, size, IPC_CREAT | IPC_EXCL | (int)mode);
	if (id < 0)
		return duoshm__sysv_fail_create(&segments, errno, native, size, mode, why);
	result = map_segment(id, native, size, false, out, why);
	if (result == 0)
		native->segment_id = id;
	else
		shmctl(id, IPC_RMID, NULL);
	return result;
}

int duoshm__sysv_attach(const struct duoshm__native *native, bool read_only,
	struct duoshm__map *out, struct duoshm_failure *why)
{
	struct shmid_ds status;
	int id = duoshm__sysv_find(&segments, native);

	if (id < 0)
		return duoshm__sysv_fail_call(&segments, errno, native, "shmget", -1, why);
	if (shmctl(id, IPC_STAT, &status) < 0)
		return duoshm__sysv_fail_call(&segments, errno, native, "shmctl IPC_STAT", id, why);
	return map_segment(id, native, (size_t)status.shm_segsz, read_only, out, why);
}

int duoshm__sysv_detach(const struct duoshm__map *map, struct duoshm_failure *why)
{
	if (shmdt(map->address) == 0)
		return 0;
	return duoshm__native_failure(why, DUOSHM_ERR_SYSTEM, errno, "shmdt(%p)", map->address);
}

void duoshm__sysv_fill_stat(const struct shmid_ds *status, struct duoshm__native_stat *out)
{
	out->size = (uint64_t)status->shm_segsz;
	out->uid = (int64_t)status->shm_perm.uid;
	out->gid = (int64_t)status->shm_perm.gid;
	out->mode = (int64_t)(status->shm_perm.mode & 0777);
	out->creator_pid = (int64_t)status->shm_cpid;
	out->last_pid = (int64_t)status->shm_lpid;
	out->attached = (int64_t)status->shm_nattch;
}

int duoshm__sysv_stat(const struct duoshm__native *native, struct duoshm__native_stat *out,
	struct duoshm_failure *why)
{
	struct shmid_ds status;
	int id = duoshm__sysv_find(&segments, native);

	if (id < 0)
		return duoshm__sysv_fail_call(&segments, errno, native, "shmget", -1, why);
	if (native->segment_id >= 0 && native->segment_id != id)
		return duoshm__sysv_gone(&segments, 0, native, why);
	if (shmctl(id, IPC_STAT, &status) < 0)
		return duoshm__sysv_fail_call(&segments, errno, native, "shmctl IPC_STAT", id, why);
	duoshm__sysv_fill_stat(&status, out);
	return 0;
}

int duoshm__sysv_remove_segment(const struct duoshm__native *native, struct duoshm_failure *why)
{
	int id = native->segment_id < 0 ? -1 : duoshm__sysv_find(&segments, native);

	/* No id was recorded, or the key is another's by now: there is nothing of ours. */
	if (native->segment_id < 0 || (id >= 0 && id != native->segment_id))
		return 0;
	if (id < 0 && !duoshm__sysv_is_gone(errno))
		return duoshm__sysv_fail_call(&segments, errno, native, "shmget", -1, why);
	if (id < 0 || shmctl(id, IPC_RMID, NULL) == 0 || duoshm__sysv_is_gone(errno))
		return 0;
	return duoshm__sysv_fail_call(&segments, errno, native, "shmctl IPC_RMID", id, why);
}

/*
 * Killed between shmget and the header: the memory is still zero, and maker, size and time are what
 * tells. A second of slack, since the kernel counts in seconds.
 */
static bool made_by(const struct shmid_ds *status, const struct duoshm__claim *claim)
{
	return (int64_t)status->shm_cpid == claim->creator_pid &&
	       (size_t)status->shm_segsz == claim->size &&
	       (int64_t)status->shm_ctime >= claim->since_ns / 1000000000 - 1;
}

int duoshm__sysv_judge_segment(struct duoshm__native *native, const struct duoshm__claim *claim,
	struct duoshm__native_stat *out, struct duoshm_failure *why)
{
	struct duoshm__map map;
	struct shmid_ds status;
	int result, id = duoshm__sysv_find(&segments, native);

	if (id < 0 || shmctl(id, IPC_STAT, &status) < 0) {
		if (errno == EACCES)
			return DUOSHM__OTHERS;
		return duoshm__sysv_is_gone(errno) ? (int)DUOSHM__ABSENT
						   : duoshm__sysv_fail_call(&segments, errno,
							     native, "shmctl IPC_STAT", id, why);
	}
	native->segment_id = id;
	duoshm__sysv_fill_stat(&status, out);
	result = map_segment(id, native, (size_t)status.shm_segsz, true, &map, why);
	if (result == DUOSHM_ERR_PERMISSION || result == DUOSHM_ERR_NOT_FOUND)
		return DUOSHM__OTHERS;
	if (result < 0)
		return result;
	result = (int)duoshm__whose_memory(&map, claim, made_by(&status, claim));
	shmdt(map.address);
	return result;
}
