/* SPDX-License-Identifier: MIT */
/*
 * System V segments: shmget, shmat, shmdt, shmctl. Bells are sysv_sem.c's; which limit stands in the way is
 * sysv_limits.c's to find out.
 *
 * Traps. The mode is not reduced by the umask: it arrives here reduced. After IPC_RMID only some kernels still attach by the id, while the key is free
 * at once and may be another's: hence the key leads and the id is only compared. An id
 * alone may be used again, the next boot uses them all again.
 */
#include "config.h"

#include "backends/sysv/sysv.h"

#include <sys/shm.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NOWHERE ((void *)-1)

static int get(key_t key)
{
	return shmget(key, 0, 0);
}

/* An adopted segment without a key has its id for a name, "id:N". */
static int64_t id_of(const struct duoshm__native *native)
{
	const char *digits = native->text + 3;
	char *end;
	long id;

	if (strncmp(native->text, "id:", 3) != 0)
		return native->segment_id;
	errno = 0;
	id = strtol(digits, &end, 10);
	return end != digits && *end == '\0' && errno == 0 ? id : -1;
}

static const struct duoshm__sysv_space segments = {
	.get_name = "shmget",
	.one = "segment",
	.all = "shared memory",
	.them = "it",
	.get = get,
	.id = id_of,
	.blame = duoshm__sysv_blame_segment,
};

int duoshm__sysv_create(struct duoshm__native *native, size_t size, unsigned mode,
	struct duoshm__map *out, struct duoshm_failure *why)
{
	void *address;
	key_t key;
	int id, saved;

	duoshm__sysv_key(native, &key);
	id = shmget(key, size, IPC_CREAT | IPC_EXCL | (int)mode);
	if (id < 0)
		return duoshm__sysv_fail_create(&segments, errno, native, size, mode, why);
	address = shmat(id, NULL, 0);
	if (address == NOWHERE) {
		saved = errno;
		shmctl(id, IPC_RMID, NULL);
		duoshm__native_failure(
			why, duoshm__sysv_code(saved), saved, "shmat(%d, NULL, 0)", id);
		return duoshm__sysv_blame_attach(why);
	}
	native->segment_id = id;
	out->address = address;
	out->length = size;
	out->reserved = false; /* the kernel counts the pages, but does not set them aside */
	return 0;
}

int duoshm__sysv_attach(const struct duoshm__native *native, bool read_only,
	struct duoshm__map *out, struct duoshm_failure *why)
{
	struct shmid_ds status;
	void *address;
	int id = duoshm__sysv_find(&segments, native);

	if (id < 0)
		return duoshm__sysv_fail_id(&segments, errno, native, "shmget", -1, why);
	if (shmctl(id, IPC_STAT, &status) < 0)
		return duoshm__sysv_fail_id(&segments, errno, native, "shmctl IPC_STAT", id, why);
	address = shmat(id, NULL, read_only ? SHM_RDONLY : 0);
	if (address == NOWHERE && (errno == EMFILE || errno == ENOMEM)) {
		duoshm__native_failure(why, DUOSHM_ERR_LIMIT, errno, "shmat(%d)", id);
		return duoshm__sysv_blame_attach(why);
	}
	if (address == NOWHERE)
		return duoshm__sysv_fail_id(&segments, errno, native,
			read_only ? "shmat SHM_RDONLY" : "shmat", id, why);
	out->address = address;
	out->length = (size_t)status.shm_segsz;
	out->reserved = false;
	return 0;
}

int duoshm__sysv_detach(const struct duoshm__map *map, struct duoshm_failure *why)
{
	if (shmdt(map->address) == 0)
		return 0;
	return duoshm__native_failure(why, DUOSHM_ERR_SYSTEM, errno, "shmdt(%p)", map->address);
}

static void fill(const struct shmid_ds *status, struct duoshm__native_stat *out)
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
		return duoshm__sysv_fail_id(&segments, errno, native, "shmget", -1, why);
	if (native->segment_id >= 0 && native->segment_id != id)
		return duoshm__sysv_gone(&segments, 0, native, why);
	if (shmctl(id, IPC_STAT, &status) < 0)
		return duoshm__sysv_fail_id(&segments, errno, native, "shmctl IPC_STAT", id, why);
	fill(&status, out);
	return 0;
}

int duoshm__sysv_remove_segment(const struct duoshm__native *native, struct duoshm_failure *why)
{
	int id = native->segment_id < 0 ? -1 : duoshm__sysv_find(&segments, native);

	/* No id was recorded, or the key is another's by now: there is nothing of ours. */
	if (id < 0 || id != native->segment_id)
		return 0;
	if (shmctl(id, IPC_RMID, NULL) == 0 || errno == EINVAL || errno == EIDRM)
		return 0;
	return duoshm__sysv_fail_id(&segments, errno, native, "shmctl IPC_RMID", id, why);
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

/* Its maker is dead, so nobody writes the generation while it is read. */
static int compare_generation(int id, const struct shmid_ds *status,
	const struct duoshm__claim *claim, struct duoshm_failure *why)
{
	uint64_t generation;
	char *address;
	size_t size = (size_t)status->shm_segsz;

	if (size < sizeof generation || claim->generation_offset > size - sizeof generation)
		return DUOSHM__OTHERS;
	address = shmat(id, NULL, SHM_RDONLY);
	if (address == NOWHERE && (errno == EACCES || errno == EINVAL || errno == EIDRM))
		return DUOSHM__OTHERS;
	if (address == NOWHERE)
		return duoshm__native_failure(
			why, duoshm__sysv_code(errno), errno, "shmat(%d, NULL, SHM_RDONLY)", id);
	memcpy(&generation, address + claim->generation_offset, sizeof generation);
	shmdt(address);
	if (generation == claim->generation || (generation == 0 && made_by(status, claim)))
		return DUOSHM__OURS;
	return DUOSHM__OTHERS;
}

int duoshm__sysv_judge_segment(struct duoshm__native *native, const struct duoshm__claim *claim,
	struct duoshm__native_stat *out, struct duoshm_failure *why)
{
	struct shmid_ds status;
	int id = duoshm__sysv_find(&segments, native);

	if (id < 0)
		return errno == EACCES ? DUOSHM__OTHERS : DUOSHM__ABSENT;
	if (shmctl(id, IPC_STAT, &status) < 0)
		return errno == EACCES ? DUOSHM__OTHERS : DUOSHM__ABSENT;
	native->segment_id = id;
	fill(&status, out);
	return compare_generation(id, &status, claim, why);
}
