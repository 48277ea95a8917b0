/* SPDX-License-Identifier: MIT */
/*
 * The bare POSIX calls as a subject of `compare semantics`. Nothing of the library's care is taken here, on purpose: this
 * shows what the calls do by themselves. Reads side by side with compare_sysv.c.
 */
#include "config.h"

#include "tools/compare_subject.h"

#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifdef DUOSHM_WITH_POSIX

static int begin(struct trial *t)
{
	t->file = t->set = -1;
	t->semaphore = SEM_FAILED;
	return 0;
}

static void path_of(const struct trial *t, char path[64], const char *suffix)
{
	snprintf(path, 64, "/%.24s%s", t->name, suffix);
}

static int attach(struct trial *t, bool read_only)
{
	struct stat status;
	int protection = read_only ? PROT_READ : PROT_READ | PROT_WRITE;
	if (evidence_call(t, fstat(t->file, &status), "fstat(fd)") < 0)
		return -1;
	t->size = (size_t)status.st_size;
	void *memory = mmap(NULL, t->size, protection, MAP_SHARED, t->file, 0);
	evidence_call(t, memory == MAP_FAILED ? -1 : 0, "mmap(%zu, %s, MAP_SHARED, fd)", t->size,
		read_only ? "PROT_READ" : "PROT_READ|PROT_WRITE");
	if (memory == MAP_FAILED) {
		evidence_outcome(t, "%s", evidence_errno(errno));
		return -1;
	}
	t->memory = memory;
	return 0;
}

static int create(struct trial *t, size_t size, unsigned mode)
{
	char path[64];
	path_of(t, path, "");
	int fd = shm_open(path, O_CREAT | O_EXCL | O_RDWR, (mode_t)mode);
	evidence_call(t, fd < 0 ? -1 : 0, "shm_open(name, O_CREAT|O_EXCL|O_RDWR, 0%o)", mode);
	if (fd < 0) {
		evidence_outcome(t, "%s", evidence_errno(errno));
		return -1;
	}
	t->file = fd;
	if (evidence_call(t, ftruncate(fd, (off_t)size), "ftruncate(fd, %zu)", size) < 0) {
		evidence_outcome(t, "%s", evidence_errno(errno));
		return -1;
	}
	return attach(t, false);
}

static int open_it(struct trial *t, bool read_only)
{
	char path[64];
	path_of(t, path, "");
	int fd = shm_open(path, read_only ? O_RDONLY : O_RDWR, 0);
	evidence_call(t, fd < 0 ? -1 : 0, "shm_open(name, %s)", read_only ? "O_RDONLY" : "O_RDWR");
	if (fd < 0) {
		evidence_outcome(t, "%s", evidence_errno(errno));
		return -1;
	}
	t->file = fd;
	return attach(t, read_only);
}

static int detach(struct trial *t)
{
	int result = munmap(t->memory, t->size);
	t->memory = NULL;
	close(t->file);
	t->file = -1;
	return evidence_call(t, result, "munmap(memory, %zu), close(fd)", t->size);
}

static int remove_it(struct trial *t)
{
	char path[64];
	path_of(t, path, "");
	return evidence_call(t, shm_unlink(path), "shm_unlink(name)");
}

static int late_attach(struct trial *t)
{
	char path[64];
	path_of(t, path, "");
	int fd = shm_open(path, O_RDWR, 0);
	evidence_call(t, fd < 0 ? -1 : 0, "shm_open(name, O_RDWR)");
	if (fd < 0) {
		evidence_outcome(t, "by name: %s", evidence_errno(errno));
		return -1;
	}
	close(fd);
	evidence_outcome(t, "by name: works");
	return 0;
}

static int mode_of(struct trial *t)
{
	struct stat status;
	if (evidence_call(t, fstat(t->file, &status), "fstat(fd)") < 0)
		return -1;
	return (int)(status.st_mode & 0777);
}

static int long_name(struct trial *t, unsigned length)
{
	char *path = malloc(length + 1);
	if (!path)
		return -1;
	memset(path, 'n', length);
	path[0] = '/';
	path[length] = 0;
	int fd = shm_open(path, O_CREAT | O_EXCL | O_RDWR, 0600);
	evidence_call(t, fd < 0 ? -1 : 0, "shm_open(%u characters, O_CREAT|O_EXCL|O_RDWR)", length);
	evidence_outcome(t, "%s", fd < 0 ? evidence_errno(errno) : "accepted");
	if (fd >= 0) {
		shm_unlink(path);
		close(fd);
	}
	free(path);
	return 0;
}

static int collide(struct trial *t)
{
	evidence_note(t, "a name is its own key");
	evidence_outcome(t, "no keys");
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
	char path[64];
	path_of(t, path, ".s");
	t->semaphore = sem_open(path, O_CREAT | O_EXCL, 0600, value);
	evidence_call(t, t->semaphore == SEM_FAILED ? -1 : 0,
		"sem_open(name, O_CREAT|O_EXCL, 0600, %u)", value);
	if (t->semaphore == SEM_FAILED) {
		evidence_outcome(t, "%s", evidence_errno(errno));
		return -1;
	}
	return 0;
}

static int semaphore_open(struct trial *t)
{
	char path[64];
	path_of(t, path, ".s");
	t->semaphore = sem_open(path, 0);
	return evidence_call(t, t->semaphore == SEM_FAILED ? -1 : 0, "sem_open(name, 0)");
}

/* Times out by asking again, for the sake of the systems that lack sem_timedwait. */
static int wait_it(struct trial *t, int64_t timeout_ns)
{
	const struct timespec nap = {0, 1000000};
	int result = sem_trywait(t->semaphore);
	for (int64_t left = timeout_ns; result < 0 && errno == EAGAIN && left > 0;
		left -= nap.tv_nsec) {
		nanosleep(&nap, NULL);
		result = sem_trywait(t->semaphore);
	}
	evidence_call(t, result, "sem_trywait(semaphore) for %d ms", (int)(timeout_ns / 1000000));
	if (result < 0)
		evidence_outcome(t, "%s", errno == EAGAIN ? "still taken" : evidence_errno(errno));
	return result;
}

static int block(struct trial *t)
{
	int result = evidence_call(t, sem_wait(t->semaphore), "sem_wait(semaphore)");
	evidence_outcome(t, "%s",
		result == 0      ? "taken"
		: errno == EINTR ? "sleeps on"
				 : evidence_errno(errno));
	return result;
}

static int post(struct trial *t)
{
	return evidence_call(t, sem_post(t->semaphore), "sem_post(semaphore)");
}

/* POSIX semaphores have nothing for the death of a holder. */
static int hold(struct trial *t)
{
	return wait_it(t, 0);
}

static int take_over(struct trial *t)
{
	return wait_it(t, 200000000);
}

static int semaphore_remove(struct trial *t)
{
	char path[64];
	path_of(t, path, ".s");
	return evidence_call(t, sem_unlink(path), "sem_unlink(name)");
}

static void end(struct trial *t)
{
	char path[64];
	if (t->memory)
		munmap(t->memory, t->size);
	t->memory = NULL;
	if (t->file >= 0)
		close(t->file);
	t->file = -1;
	if (t->semaphore != SEM_FAILED)
		sem_close(t->semaphore);
	t->semaphore = SEM_FAILED;
	path_of(t, path, "");
	shm_unlink(path);
	path_of(t, path, ".s");
	sem_unlink(path);
}

const struct subject compare_bare_posix = {
	.title = "posix",
	.backend = "posix",
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

#endif
