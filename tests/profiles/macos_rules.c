/* SPDX-License-Identifier: MIT */
/* Run before the suite in the profile macos-arm64: are its rules really in force? Status 0: yes. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <unistd.h>

static int broken;

static void rule(bool holds, const char *text)
{
	if (!holds) {
		printf("macos rules: not in force: %s (errno %d)\n", text, errno);
		broken++;
	}
}

static void posix_segment(void)
{
	char name[40];
	struct stat info;

	snprintf(name, sizeof(name), "/rules.%ld", (long)getpid());
	umask(077);
	int fd = shm_open(name, O_CREAT | O_EXCL | O_RDWR, 0644);
	rule(fd >= 0, "shm_open creates");
	rule(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED && errno == EINVAL,
		"mmap before ftruncate is EINVAL");
	rule(ftruncate(fd, 5000) == 0, "the first ftruncate succeeds");
	rule(ftruncate(fd, 6000) == -1 && errno == EINVAL, "the second ftruncate is EINVAL");
	rule(fstat(fd, &info) == 0 && info.st_size == 16384, "sizes are rounded to 16384");
	rule(info.st_mode == 0644, "no umask, no file type");
	rule(info.st_ino == 0, "no inode number");
	rule(flock(fd, LOCK_EX) == -1 && errno == ENOTSUP, "flock is ENOTSUP");
	rule(lseek(fd, 0, SEEK_SET) == -1 && errno == ESPIPE, "lseek is ESPIPE");
	close(fd);
	fd = shm_open(name, O_RDONLY, 0);
	rule(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED &&
			errno == EPERM,
		"writing through a read-only descriptor is EPERM");
	close(fd);
	rule(shm_unlink(name) == 0, "shm_unlink");
	fd = shm_open("/a.name.of.32.characters.is.too1", O_CREAT | O_RDWR, 0600);
	rule(fd == -1 && errno == ENAMETOOLONG, "32 characters are too many");
}

static void posix_semaphore(void)
{
	char name[40];
	int value;

	snprintf(name, sizeof(name), "/rules.%ld", (long)getpid());
	rule(sem_open(name, O_CREAT, 0600, 32768u) == SEM_FAILED && errno == EINVAL,
		"32768 is too much for a semaphore");
	sem_unlink(name);
	sem_t *first = sem_open(name, O_CREAT | O_EXCL, 0600, 1u);
	sem_t *second = sem_open(name, 0);
	rule(first != SEM_FAILED && second != SEM_FAILED && first != second,
		"each sem_open gives a handle of its own");
	if (first == second) {
		sem_unlink(name);
		return;
	}
	rule(sem_getvalue(first, &value) == -1 && errno == ENOSYS, "sem_getvalue is ENOSYS");
	rule(sem_wait(first) == 0 && sem_trywait(second) == -1 && errno == EAGAIN,
		"both handles are one semaphore");
	close((int)(intptr_t)second);
	rule(sem_post(second) == -1 && errno == EBADF, "the handle is its descriptor");
	rule(sem_close(first) == 0 && sem_unlink(name) == 0, "sem_close, sem_unlink");
}

static void mapped_file(void)
{
	char path[] = "/tmp/rules.XXXXXX";
	int fd = mkstemp(path);

	rule(fd >= 0 && ftruncate(fd, 4096) == 0 && flock(fd, LOCK_EX) == 0, "flock of a file");
	void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	rule(memory != MAP_FAILED, "mmap of a file");
	close(fd);
	fd = open(path, O_RDWR);
	rule(flock(fd, LOCK_EX | LOCK_NB) == 0, "a mapping does not keep the flock");
	close(fd);
	munmap(memory, 4096);
	unlink(path);
}

static void system_v(void)
{
	void *at[9];
	struct shmid_ds info;
	key_t key = (key_t)getpid() | 0x40000000;
	int id = shmget(key, 4096, IPC_CREAT | IPC_EXCL | 0600);

	rule(id >= 0, "shmget creates");
	rule(shmget(key, 8192, IPC_CREAT | IPC_EXCL | 0600) == -1 && errno == EINVAL,
		"the size is checked before EEXIST");
	rule(shmget(key, 4096, IPC_CREAT | IPC_EXCL | 0660) == -1 && errno == EACCES,
		"permission is checked before EEXIST");
	rule(shmget(key, 4096, IPC_CREAT | IPC_EXCL | 0600) == -1 && errno == EEXIST, "EEXIST");
	for (int i = 0; i < 9; i++)
		at[i] = shmat(id, NULL, 0);
	rule(at[7] != (void *)-1 && at[8] == (void *)-1 && errno == EMFILE,
		"the ninth shmat is EMFILE");
	shmctl(id, IPC_RMID, NULL);
	rule(shmctl(id, IPC_STAT, &info) == -1 && errno == EINVAL,
		"IPC_STAT after IPC_RMID is EINVAL");
	for (int i = 0; i < 8; i++)
		shmdt(at[i]);
	rule(shmget(IPC_PRIVATE, 4194305, 0600) == -1 && errno == EINVAL, "shmmax is 4 MiB");
	rule(shmctl(0, SHM_INFO, &info) == -1 && errno == EINVAL, "SHM_INFO is EINVAL");
}

int main(void)
{
	posix_segment();
	posix_semaphore();
	mapped_file();
	system_v();
	printf("macos rules: %d not in force\n", broken);
	return broken != 0;
}
