/* SPDX-License-Identifier: MIT */
/*
 * The bare System V calls as a subject of `compare semantics`. Nothing of the library's care is taken here, on purpose: this
 * shows what the calls do by themselves. Reads side by side with compare_posix.c.
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
#include <time.h>
#include <unistd.h>

#ifdef DUOSHM_WITH_SYSV

/* POSIX leaves it to the caller to declare it, some systems do it all the same: so under a name of our own. */
union semaphore_argument {
	int value;
	struct semid_ds *status;
	unsigned short *all;
};

static int begin(struct trial *t)
{
	t->file = t->set = -1;
	return 0;
}

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
	if (memory == (void *)-1) {
		evidence_call(t, -1, "shmat(id, NULL, %s)", read_only ? "SHM_RDONLY" : "0");
		evidence_outcome(t, "%s", evidence_errno(errno));
		return -1;
	}
	evidence_call(t, 0, "shmat(id, NULL, %s)", read_only ? "SHM_RDONLY" : "0");
	t->memory = memory;
	if (evidence_call(t, shmctl(t->file, IPC_STAT, &status), "shmctl(id, IPC_STAT)") == 0)
		t->size = status.shm_segsz;
	return 0;
}

static int create(struct trial *t, size_t size, unsigned mode)
{
	key_t key = key_of(t, 1);
	int id = shmget(key, size, IPC_CREAT | IPC_EXCL | (int)mode);
	evidence_call(t, id < 0 ? -1 : 0, "shmget(ftok(file, 1), %zu, IPC_CREAT|IPC_EXCL|0%o)",
		size, mode);
	if (id < 0) {
		evidence_outcome(t, "%s", evidence_errno(errno));
		return -1;
	}
	t->file = id;
	return attach(t, false);
}

static int open_it(struct trial *t, bool read_only)
{
	int id = shmget(key_of(t, 1), 0, 0);
	evidence_call(t, id < 0 ? -1 : 0, "shmget(ftok(file, 1), 0, 0)");
	if (id < 0) {
		evidence_outcome(t, "%s", evidence_errno(errno));
		return -1;
	}
	t->file = id;
	return attach(t, read_only);
}

static int detach(struct trial *t)
{
	int result = shmdt(t->memory);
	t->memory = NULL;
	return evidence_call(t, result, "shmdt(memory)");
}

static int remove_it(struct trial *t)
{
	return evidence_call(t, shmctl(t->file, IPC_RMID, NULL), "shmctl(id, IPC_RMID)");
}

static int late_attach(struct trial *t)
{
	void *memory = shmat(t->file, NULL, 0);
	evidence_call(t, memory == (void *)-1 ? -1 : 0, "shmat(id, NULL, 0)");
	if (memory != (void *)-1) {
		shmdt(memory);
		evidence_outcome(t, "by id: works");
		return 0;
	}
	evidence_outcome(t, "by id: %s", evidence_errno(errno));
	return -1;
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

/* ftok keeps 8 bits of the id: 1 and 257 are one key, as are two files whose inodes agree in 16 bits. */
static int collide(struct trial *t)
{
	key_t one = key_of(t, 1), two = key_of(t, 257);
	evidence_note(t, "ftok(file, 1) = 0x%lx, ftok(file, 257) = 0x%lx", (unsigned long)one,
		(unsigned long)two);
	if (one != two) {
		evidence_outcome(t, "keys differ");
		return 0;
	}
	if (create(t, 64, 0600) < 0)
		return -1;
	memcpy(t->memory, "first", 6);
	int id = shmget(two, 64, IPC_CREAT | 0600);
	evidence_call(t, id < 0 ? -1 : 0, "shmget(ftok(file, 257), 64, IPC_CREAT|0600)");
	evidence_outcome(t, id == t->file ? "meet in one segment" : "kept apart");
	return 0;
}

/* In a forked child: the mapping is there, and writes reach the parent. */
static int inherit(struct trial *t)
{
	memcpy(t->memory, "child", 6);
	evidence_note(t, "child: memcpy(memory, \"child\") through the inherited mapping");
	return 0;
}

static int semaphore_create(struct trial *t, unsigned value)
{
	union semaphore_argument argument = {.value = (int)value};
	int id = semget(key_of(t, 2), 1, IPC_CREAT | IPC_EXCL | 0600);
	evidence_call(t, id < 0 ? -1 : 0, "semget(ftok(file, 2), 1, IPC_CREAT|IPC_EXCL|0600)");
	if (id < 0) {
		evidence_outcome(t, "%s", evidence_errno(errno));
		return -1;
	}
	t->set = id;
	return evidence_call(
		t, semctl(id, 0, SETVAL, argument), "semctl(id, 0, SETVAL, %u)", value);
}

static int semaphore_open(struct trial *t)
{
	t->set = semget(key_of(t, 2), 0, 0);
	return evidence_call(t, t->set < 0 ? -1 : 0, "semget(ftok(file, 2), 0, 0)");
}

static int operate(struct trial *t, short change, short flags)
{
	struct sembuf operation = {.sem_num = 0, .sem_op = change, .sem_flg = flags};
	if (t->undo)
		operation.sem_flg = (short)(operation.sem_flg | SEM_UNDO);
	return semop(t->set, &operation, 1);
}

/* Times out by asking again, for the sake of the systems that lack semtimedop. */
static int wait_it(struct trial *t, int64_t timeout_ns)
{
	const struct timespec nap = {0, 1000000};
	int result = operate(t, -1, IPC_NOWAIT);
	for (int64_t left = timeout_ns; result < 0 && errno == EAGAIN && left > 0;
		left -= nap.tv_nsec) {
		nanosleep(&nap, NULL);
		result = operate(t, -1, IPC_NOWAIT);
	}
	evidence_call(t, result, "semop(id, {0, -1, %s}) for %d ms", t->undo ? "SEM_UNDO" : "0",
		(int)(timeout_ns / 1000000));
	if (result < 0)
		evidence_outcome(t, "%s", errno == EAGAIN ? "still taken" : evidence_errno(errno));
	return result;
}

static int block(struct trial *t)
{
	int result = evidence_call(t, operate(t, -1, 0), "semop(id, {0, -1, 0})");
	evidence_outcome(t, "%s",
		result == 0      ? "taken"
		: errno == EINTR ? "sleeps on"
				 : evidence_errno(errno));
	return result;
}

static int post(struct trial *t)
{
	return evidence_call(
		t, operate(t, 1, 0), "semop(id, {0, +1, %s})", t->undo ? "SEM_UNDO" : "0");
}

/* SEM_UNDO is what System V has for the death of a holder. */
static int hold(struct trial *t)
{
	t->undo = true;
	return wait_it(t, 0);
}

static int take_over(struct trial *t)
{
	if (wait_it(t, 200000000) < 0)
		return -1;
	evidence_outcome(t, "given back silently");
	return 0;
}

static int semaphore_remove(struct trial *t)
{
	return evidence_call(t, semctl(t->set, 0, IPC_RMID), "semctl(id, 0, IPC_RMID)");
}

static void end(struct trial *t)
{
	int id = shmget(key_of(t, 1), 0, 0), set = semget(key_of(t, 2), 0, 0);
	if (t->memory)
		shmdt(t->memory);
	t->memory = NULL;
	if (id >= 0)
		shmctl(id, IPC_RMID, NULL);
	if (set >= 0)
		semctl(set, 0, IPC_RMID);
}

const struct subject compare_bare_sysv = {
	.title = "sysv",
	.backend = "sysv",
	.bare = true,
	.begin = begin,
	.create = create,
	.open = open_it,
	.detach = detach,
	.remove = remove_it,
	.late_attach = late_attach,
	.mode = mode_of,
	.long_name = long_name,
	.collide = collide,
	.inherit = inherit,
	.hold = hold,
	.take_over = take_over,
	.semaphore_create = semaphore_create,
	.semaphore_open = semaphore_open,
	.wait = wait_it,
	.block = block,
	.post = post,
	.semaphore_remove = semaphore_remove,
	.end = end,
};

int compare_occupy(struct trial *t, const char *key)
{
	if (strncmp(key, "0x", 2) != 0)
		return -1;
	int id = shmget((key_t)strtoull(key, NULL, 16), 64, IPC_CREAT | IPC_EXCL | 0600);
	evidence_call(
		t, id < 0 ? -1 : 0, "shmget(%s, 64, IPC_CREAT|IPC_EXCL|0600) by a stranger", key);
	return id;
}

void compare_vacate(int id)
{
	shmctl(id, IPC_RMID, NULL);
}

#else

/* Without the family there are no keys to occupy. */
int compare_occupy(struct trial *t, const char *key)
{
	(void)t;
	(void)key;
	return -1;
}

void compare_vacate(int id)
{
	(void)id;
}

#endif
