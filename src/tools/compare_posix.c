/* SPDX-License-Identifier: MIT */
/*
 * The bare POSIX calls as a subject of `compare semantics`. Nothing of the library's care is taken
 * here, on purpose: this shows what the calls do by themselves. Reads side by side with
 * compare_sysv.c.
 */
#include "config.h"

#include "tools/compare_subject.h"

#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef DUOSHM_WITH_POSIX

struct path {
	char text[64];
};

static struct path path_of(const struct trial *t, const char *suffix)
{
	struct path path;
	snprintf(path.text, sizeof path.text, "/%.24s%s", t->name, suffix);
	return path;
}

static int attach(struct trial *t, bool read_only)
{
	struct stat status;
	int protection = read_only ? PROT_READ : PROT_READ | PROT_WRITE;
	if (evidence_call(t, fstat(t->file, &status), "fstat(fd)") < 0)
		return -1;
	t->size = (size_t)status.st_size;
	t->memory = mmap(NULL, t->size, protection, MAP_SHARED, t->file, 0);
	if (t->memory == MAP_FAILED)
		t->memory = NULL;
	return evidence_call(t, t->memory ? 0 : -1, "mmap(%zu, %s, MAP_SHARED, fd)", t->size,
		read_only ? "PROT_READ" : "PROT_READ|PROT_WRITE");
}

static int create(struct trial *t, size_t size, unsigned mode)
{
	t->file = shm_open(path_of(t, "").text, O_CREAT | O_EXCL | O_RDWR, (mode_t)mode);
	if (evidence_call(t, t->file, "shm_open(name, O_CREAT|O_EXCL|O_RDWR, 0%o)", mode) < 0)
		return -1;
	if (evidence_call(t, ftruncate(t->file, (off_t)size), "ftruncate(fd, %zu)", size) < 0)
		return -1;
	return attach(t, false);
}

static int open_it(struct trial *t, bool read_only)
{
	t->file = shm_open(path_of(t, "").text, read_only ? O_RDONLY : O_RDWR, 0);
	if (evidence_call(t, t->file, "shm_open(name, %s)", read_only ? "O_RDONLY" : "O_RDWR") < 0)
		return -1;
	return attach(t, read_only);
}

static int detach(struct trial *t)
{
	int result = munmap(t->memory, t->size);
	close(t->file);
	return evidence_call(t, result, "munmap(memory, %zu), close(fd)", t->size);
}

static int remove_it(struct trial *t)
{
	return evidence_call(t, shm_unlink(path_of(t, "").text), "shm_unlink(name)");
}

static int late_attach(struct trial *t)
{
	int fd = shm_open(path_of(t, "").text, O_RDWR, 0);
	evidence_call(t, fd, "shm_open(name, O_RDWR)");
	evidence_outcome(t, "by name: %s", fd < 0 ? evidence_errno(errno) : "works");
	return fd < 0 ? -1 : close(fd);
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
	char path[512];
	snprintf(path, sizeof path, "/%0*d", (int)length - 1, 0);
	int fd = shm_open(path, O_CREAT | O_EXCL | O_RDWR, 0600);
	if (evidence_call(t, fd, "shm_open(%u characters, O_CREAT|O_EXCL|O_RDWR)", length) < 0)
		return -1;
	evidence_outcome(t, "accepted");
	shm_unlink(path);
	return close(fd);
}

static int collide(struct trial *t)
{
	evidence_note(t, "a name is its own key");
	evidence_outcome(t, "no keys");
	return 0;
}

static int semaphore_create(struct trial *t, unsigned value)
{
	t->semaphore = sem_open(path_of(t, ".s").text, O_CREAT | O_EXCL, 0600, value);
	return evidence_call(t, t->semaphore == SEM_FAILED ? -1 : 0,
		"sem_open(name, O_CREAT|O_EXCL, 0600, %u)", value);
}

static int semaphore_open(struct trial *t)
{
	t->semaphore = sem_open(path_of(t, ".s").text, 0);
	return evidence_call(t, t->semaphore == SEM_FAILED ? -1 : 0, "sem_open(name, 0)");
}

static int try_wait(struct trial *t)
{
	return sem_trywait(t->semaphore);
}

static int wait_it(struct trial *t, int64_t timeout_ns)
{
	return evidence_poll(t, timeout_ns, try_wait, "sem_trywait(semaphore)");
}

static int block(struct trial *t)
{
	return evidence_sleep(t, sem_wait(t->semaphore), "sem_wait(semaphore)");
}

static int semaphore_remove(struct trial *t)
{
	return evidence_call(t, sem_unlink(path_of(t, ".s").text), "sem_unlink(name)");
}

static void end(struct trial *t)
{
	shm_unlink(path_of(t, "").text);
	sem_unlink(path_of(t, ".s").text);
}

const struct verbs compare_bare_posix = {
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
};

#endif
