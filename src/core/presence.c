/* SPDX-License-Identifier: MIT */
/*
 * Presence of attachers that cannot write the registry, and so have no lifeline: each holds a shared flock on the file
 * DIR/.r.NAME@FAMILY. It tells that somebody is there, not how many; nothing is reclaimed or kept because of it.
 *
 * The trap: a test takes the lock for a moment, and two at a time, or a test and a holder, meet.
 * Both therefore try again before they believe the other.
 */
#include "config.h"

#include "core/registry.h"

#include "core/clock.h"
#include "core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define HOLD_TRIES 20
#define TEST_TRIES 4
#define PAUSE_NS   100000

static void path_of_name(const struct duoshm__registry *registry, const char *name,
	const char *backend, char path[DUOSHM__PATH_SIZE])
{
	snprintf(path, DUOSHM__PATH_SIZE, "%s/.r.%s@%s", registry->directory, name, backend);
}

static void path_of_entry(const struct duoshm__entry_lock *lock, char path[DUOSHM__PATH_SIZE])
{
	const char *slash = strrchr(lock->path, '/');
	const char *file = slash != NULL ? slash + 1 : lock->path;
	int length = snprintf(
		path, DUOSHM__PATH_SIZE, "%.*s.r.%s", (int)(file - lock->path), lock->path, file);
	if (length >= DUOSHM__PATH_SIZE)
		path[0] = '\0'; /* which no file has */
}

/* 0, or the errno of the last try. */
static int lock_patiently(int fd, int operation, int tries)
{
	for (int i = 0; i < tries; i++) {
		if (duoshm__file_lock(fd, operation | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK)
			return errno;
		duoshm__pause(PAUSE_NS);
	}
	return EWOULDBLOCK;
}

/* A file of an earlier object may still be held by its readers: the new object gets a new one. */
void duoshm__presence_create(const struct duoshm__entry_lock *lock)
{
	char path[DUOSHM__PATH_SIZE];
	path_of_entry(lock, path);
	unlink(path);
	int fd = duoshm__file_open(path, O_RDONLY | O_CREAT | O_EXCL, lock->mode);
	if (fd >= 0)
		close(fd);
}

int duoshm__presence_hold(
	const struct duoshm__registry *registry, const char *name, const char *backend)
{
	char path[DUOSHM__PATH_SIZE];
	path_of_name(registry, name, backend, path);
	int fd = duoshm__file_open(path, O_RDONLY, 0);
	if (fd < 0)
		return -1;
	if (duoshm__fd_keep(fd) != 0) {
		close(fd);
		return -1;
	}
	if (lock_patiently(fd, LOCK_SH, HOLD_TRIES) == 0)
		return fd;
	duoshm__fd_drop(fd);
	return -1;
}

int duoshm__presence_test(
	const struct duoshm__registry *registry, const char *name, const char *backend)
{
	char path[DUOSHM__PATH_SIZE];
	path_of_name(registry, name, backend, path);
	int fd = duoshm__file_open(path, O_RDONLY, 0);
	if (fd < 0)
		return -1;
	int error = lock_patiently(fd, LOCK_EX, TEST_TRIES);
	close(fd);
	if (error == 0)
		return 0;
	return error == EWOULDBLOCK ? 1 : -1;
}

void duoshm__presence_unlink(const struct duoshm__entry_lock *lock)
{
	char path[DUOSHM__PATH_SIZE];
	path_of_entry(lock, path);
	unlink(path);
}
