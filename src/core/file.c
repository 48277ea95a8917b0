/* SPDX-License-Identifier: MIT */
/*
 * Files of the registry. The trap: a name that appears before its lock is held looks like the
 * remains of a dead process to everybody else. So a file is made under a random name, locked, and
 * then linked to its own.
 */
#include "config.h"

#include "core/file.h"

#include "core/clock.h"
#include "core/failure.h"
#include "core/random.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

int duoshm__file_open(const char *path, int flags, unsigned mode)
{
	int fd;
	do
		fd = open(
			path, flags | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, (mode_t)mode);
	while (fd < 0 && errno == EINTR);
	if (fd < 0 || fd > STDERR_FILENO)
		return fd;
	int higher = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	int saved = errno;
	close(fd);
	errno = saved;
	return higher;
}

int duoshm__file_lock(int fd, int operation)
{
	int result;
	do
		result = flock(fd, operation);
	while (result != 0 && errno == EINTR);
	return result;
}

int duoshm__file_lock_patiently(int fd, int operation, int tries, int64_t pause_ns)
{
	for (int i = 1; duoshm__file_lock(fd, operation | LOCK_NB) != 0; i++) {
		if (errno != EWOULDBLOCK || i == tries)
			return -1;
		duoshm__pause(pause_ns);
	}
	return 0;
}

bool duoshm__file_is(int fd, const char *path)
{
	struct stat open_one, named_one;
	return fstat(fd, &open_one) == 0 && lstat(path, &named_one) == 0 &&
	       open_one.st_dev == named_one.st_dev && open_one.st_ino == named_one.st_ino;
}

ssize_t duoshm__file_read(int fd, void *bytes, size_t size, off_t at)
{
	size_t done = 0;
	while (done < size) {
		ssize_t got = pread(fd, (char *)bytes + done, size - done, at + (off_t)done);
		if (got == 0)
			break;
		if (got > 0)
			done += (size_t)got;
		else if (errno != EINTR)
			return -1;
	}
	return (ssize_t)done;
}

ssize_t duoshm__file_write(int fd, const void *bytes, size_t size, off_t at)
{
	size_t done = 0;
	while (done < size) {
		ssize_t put = pwrite(fd, (const char *)bytes + done, size - done, at + (off_t)done);
		if (put > 0)
			done += (size_t)put;
		else if (put == 0 || errno != EINTR)
			return -1;
	}
	return (ssize_t)done;
}

/* 0, BUSY (a sweeper was faster), or what the file system said. */
static int lock_new(int fd, const char *path)
{
	if (duoshm__file_lock(fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		return duoshm__fail(DUOSHM_ERR_BUSY, "%s was swept away", path);
	duoshm__fail_call(DUOSHM_ERR_REGISTRY, errno, "flock(\"%s\", LOCK_EX)", path);
	return duoshm__set_cure(
		"choose a directory on a local file system that has flock, with --dir");
}

static int make_once(const char *directory, unsigned mode, struct duoshm__new_file *out)
{
	uint64_t number;
	int result = duoshm__random(64, &number);
	if (result != 0)
		return result;
	snprintf(out->path, sizeof out->path, "%s/.t.%016" PRIx64, directory, number);
	out->fd = duoshm__fd_open(out->path, O_RDWR | O_CREAT | O_EXCL, mode);
	if (out->fd < 0)
		return duoshm__fail_call(0, errno, "open(\"%s\", O_CREAT | O_EXCL)", out->path);
	result = lock_new(out->fd, out->path);
	if (result != 0)
		duoshm__file_discard(out);
	return result;
}

int duoshm__file_make(const char *directory, unsigned mode, struct duoshm__new_file *out)
{
	int result = DUOSHM_ERR_BUSY;
	for (int i = 0; result == DUOSHM_ERR_BUSY && i < DUOSHM__FILE_TRIES; i++)
		result = make_once(directory, mode, out);
	return result;
}

static int fail_link(const char *from, const char *to, int error)
{
	bool cannot = error == EPERM || error == EOPNOTSUPP;
	int code = cannot ? DUOSHM_ERR_REGISTRY : 0;
	int result = duoshm__fail_call(code, error, "link(\"%s\", \"%s\")", from, to);
	if (cannot)
		duoshm__set_cure(
			"choose a directory on a file system that has hard links, with --dir");
	return result;
}

int duoshm__file_publish(struct duoshm__new_file *file, const char *path)
{
	if (link(file->path, path) == 0) {
		unlink(file->path);
		return 0;
	}
	int result;
	if (errno == EEXIST)
		result = duoshm__fail(DUOSHM_ERR_EXISTS, "%s exists", path);
	else if (errno == ENOENT)
		result = duoshm__fail(DUOSHM_ERR_BUSY, "%s was swept away", file->path);
	else
		result = fail_link(file->path, path, errno);
	return result;
}

void duoshm__file_discard(struct duoshm__new_file *file)
{
	unlink(file->path);
	duoshm__fd_drop(file->fd);
	file->fd = -1;
}
