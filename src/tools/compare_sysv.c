/* SPDX-License-Identifier: MIT */
/*
 * The bare System V calls as a subject of `compare semantics`. Nothing of the library's care is
 * taken here, on purpose: this shows what the calls do by themselves. Reads side by side with
 * compare_posix.c.
 */
#include "config.h"

#include "tools/compare_subject.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <unistd.h>

#ifdef DUOSHM_WITH_SYSV

/*
 * POSIX leaves it to the caller to declare it, some systems do it all the same: so under a name of
 * our own.
 */
union semaphore_argument {
	int value;
	struct semid_ds *status;
	unsigned short *all;
};

static key_t key_of(struct trial *t, int id)
{
	char path[512];
	snprintf(path, sizeof path, "%s/%s", t->directory, t->name);
	int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0)
		close(fd);
	return ftok(path, id);
}

static int attach(struct trial *t, bool read_only)
{
	struct shmid_ds status;
	void *memory = shmat(t->file, NULL, read_only ? SHM_RDONLY : 0);
	t->memory = memory == (void *)-1 ? NULL : memory;
	if (evidence_call(t, t->memory ? 0 : -1, "shmat(id, NULL, %s)",
		    read_only ? "SHM_RDONLY" : "0") < 0)
		return -1;
	if (evidence_call(t, shmctl(t->file, IPC_STAT, &status), "shmctl(id, IPC_STAT)") == 0)
		t->size = status.shm_segsz;
	return 0;
}

static int create(struct trial *t, size_t size, unsigned mode)
{
	t->file = shmget(key_of(t, 1), size, IPC_CREAT | IPC_EXCL | (int)mode);
	if (evidence_call(t, t->file, "shmget(ftok(file, 1), %zu, IPC_CREAT|IPC_EXCL|0%o)", size,
		    mode) < 0)
		return -1;
	return attach(t, false);
}

static int open_it(struct trial *t, bool read_only)
{
	t->file = shmget(key_of(t, 1), 0, 0);
	if (evidence_call(t, t->file, "shmget(ftok(file, 1), 0, 0)") < 0)
		return -1;
	return attach(t, read_only);
}

static int detach(struct trial *t)
{
	return evidence_call(t, shmdt(t->memory), "shmdt(memory)");
}

static int remove_it(struct trial *t)
{
	return evidence_call(t, shmctl(t->file, IPC_RMID, NULL), "shmctl(id, IPC_RMID)");
}

static int late_attach(struct trial *t)
{
	void *memory = shmat(t->file, NULL, 0);
	int result = memory == (void *)-1 ? -1 : 0;
	evidence_call(t, result, "shmat(id, NULL, 0)");
	evidence_outcome(t, "by id: %s", result < 0 ? evidence_errno(errno) : "works");
	return result < 0 ? -1 : shmdt(memory);
}

static int mode_of(struct trial *t)
{
	struct shmid_ds status;
	if (evidence_call(t, shmctl(t->file, IPC_STAT, &status), "shmctl(id, IPC_STAT)") < 0)
		return -1;
	return (int)(status.shm_perm.mode & 0777);
}

static int long_name(struct trial *t, unsigned length)
{
	evidence_note(t, "a key has no name: nothing to be %u characters long", length);
	evidence_outcome(t, "no names");
	return 0;
}

/*
 * ftok keeps 8 bits of the id: 1 and 257 are one key, as are two files whose inodes agree in 16
 * bits.
 */
static int collide(struct trial *t)
{
	key_t one = key_of(t, 1), two = key_of(t, 257);
	evidence_note(t, "ftok(file, 1) = 0x%lx", (unsigned long)one);
	evidence_note(t, "ftok(file, 257) = 0x%lx", (unsigned long)two);
	if (one != two) {
		evidence_outcome(t, "keys differ");
		return 0;
	}
	if (create(t, 64, 0600) < 0)
		return -1;
	memcpy(t->memory, "first", 6);
	int id = shmget(two, 64, IPC_CREAT | 0600);
	evidence_call(t, id, "shmget(ftok(file, 257), 64, IPC_CREAT|0600)");
	evidence_outcome(t, id == t->file ? "meet in one segment" : "kept apart");
	return 0;
}

static int semaphore_create(struct trial *t, unsigned value)
{
	union semaphore_argument argument = {.value = (int)value};
	t->set = semget(key_of(t, 2), 1, IPC_CREAT | IPC_EXCL | 0600);
	if (evidence_call(t, t->set, "semget(ftok(file, 2), 1, IPC_CREAT|IPC_EXCL|0600)") < 0)
		return -1;
	return evidence_call(
		t, semctl(t->set, 0, SETVAL, argument), "semctl(id, 0, SETVAL, %u)", value);
}

static int semaphore_open(struct trial *t)
{
	t->set = semget(key_of(t, 2), 0, 0);
	return evidence_call(t, t->set, "semget(ftok(file, 2), 0, 0)");
}

static int take(struct trial *t, int flags)
{
	struct sembuf operation = {.sem_op = -1, .sem_flg = (short)flags};
	return semop(t->set, &operation, 1);
}

static int try_wait(struct trial *t)
{
	return take(t, IPC_NOWAIT | (t->undo ? SEM_UNDO : 0));
}

static int wait_it(struct trial *t, int64_t timeout_ns)
{
	return evidence_poll(t, timeout_ns, try_wait,
		t->undo ? "semop(id, {0, -1, SEM_UNDO})" : "semop(id, {0, -1, 0})");
}

static int block(struct trial *t)
{
	return evidence_sleep(t, take(t, 0), "semop(id, {0, -1, 0})");
}

static int semaphore_remove(struct trial *t)
{
	return evidence_call(t, semctl(t->set, 0, IPC_RMID), "semctl(id, 0, IPC_RMID)");
}

static void end(struct trial *t)
{
	int id = shmget(key_of(t, 1), 0, 0), set = semget(key_of(t, 2), 0, 0);
	if (id >= 0)
		shmctl(id, IPC_RMID, NULL);
	if (set >= 0)
		semctl(set, 0, IPC_RMID);
}

static int occupy(struct trial *t, const char *key)
{
	int id = shmget((key_t)strtoull(key, NULL, 16), 64, IPC_CREAT | IPC_EXCL | 0600);
	evidence_call(t, id, "shmget(%s, 64, IPC_CREAT|IPC_EXCL|0600) by a stranger", key);
	return id;
}

static void vacate(int id)
{
	shmctl(id, IPC_RMID, NULL);
}

const struct verbs compare_bare_sysv = {
	.create = create,
	.open = open_it,
	.detach = detach,
	.remove = remove_it,
	.late_attach = late_attach,
	.mode = mode_of,
	.long_name = long_name,
	.collide = collide,
	.semaphore_create = semaphore_create,
	.semaphore_open = semaphore_open,
	.wait = wait_it,
	.block = block,
	.semaphore_remove = semaphore_remove,
	.end = end,
	.occupy = occupy,
	.vacate = vacate,
};

#endif
