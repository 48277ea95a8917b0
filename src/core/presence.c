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

static void path_of(const char *entry_path, char path[DUOSHM__PATH_SIZE])
{
	const char *file = strrchr(entry_path, '/') + 1;
	int length = (int)(file - entry_path);
	if (snprintf(path, DUOSHM__PATH_SIZE, "%.*s.r.%s", length, entry_path, file) >=
		DUOSHM__PATH_SIZE)
		path[0] = '\0'; /* which no file has */
}

static int open_named(
	const struct duoshm__registry *registry, const char *name, const char *backend)
{
	char entry[DUOSHM__PATH_SIZE], path[DUOSHM__PATH_SIZE];
	duoshm__entry_path(registry, name, backend, entry);
	path_of(entry, path);
	return duoshm__fd_open(path, O_RDONLY, 0);
}

/* A file of an earlier object may still be held by its readers: the new object gets a new one. */
void duoshm__presence_create(const struct duoshm__entry_lock *lock)
{
	char path[DUOSHM__PATH_SIZE];
	path_of(lock->path, path);
	unlink(path);
	int fd = duoshm__file_open(path, O_RDONLY | O_CREAT | O_EXCL, lock->mode);
	if (fd >= 0)
		close(fd);
}

int duoshm__presence_hold(
	const struct duoshm__registry *registry, const char *name, const char *backend)
{
	int fd = open_named(registry, name, backend);
	if (fd < 0 || duoshm__file_lock_patiently(fd, LOCK_SH, HOLD_TRIES, PAUSE_NS) == 0)
		return fd;
	duoshm__fd_drop(fd);
	return -1;
}

int duoshm__presence_test(
	const struct duoshm__registry *registry, const char *name, const char *backend)
{
	int fd = open_named(registry, name, backend);
	if (fd < 0)
		return -1;
	bool is_free = duoshm__file_lock_patiently(fd, LOCK_EX, TEST_TRIES, PAUSE_NS) == 0;
	bool is_held = !is_free && errno == EWOULDBLOCK;
	duoshm__fd_drop(fd);
	return is_free ? 0 : is_held ? 1 : -1;
}

void duoshm__presence_unlink(const struct duoshm__entry_lock *lock)
{
	char path[DUOSHM__PATH_SIZE];
	path_of(lock->path, path);
	unlink(path);
}
