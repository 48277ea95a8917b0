/* SPDX-License-Identifier: MIT */
/*
 * Registry entries as files: made, read, locked, removed; and the presence files beside them. The
 * lock is the proof on which creation rests: it is held from before the name appears until the
 * object is ready, and only the kernel gives it back for the dead.
 *
 * The trap: between opening an entry and locking it, its name may have been given to another file.
 * So after each lock the name is looked up again. Everything goes by path: the registry's
 * descriptor may be gone (closefrom).
 */
#include "config.h"

#include "core/registry.h"

#include "core/clock.h"
#include "core/failure.h"
#include "core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define READ_TRIES  10
#define READ_PAUSE  50000
#define PERMISSIONS 0777u

void duoshm__entry_path(const struct duoshm__registry *registry, const char *name,
	const char *backend, char path[DUOSHM__PATH_SIZE])
{
	snprintf(path, DUOSHM__PATH_SIZE, "%s/%s@%s", registry->directory, name, backend);
}

void duoshm__entry_init(struct duoshm__entry *out, const char *name, const char *backend)
{
	*out = (struct duoshm__entry){.native = {.segment_id = -1, .bells_id = -1}};
	snprintf(out->name, sizeof out->name, "%s", name);
	snprintf(out->backend, sizeof out->backend, "%s", backend);
}

static int fail_open(const char *name, const char *path, int error)
{
	if (error == ENOENT)
		return duoshm__fail(
			DUOSHM_ERR_NOT_FOUND, "no object \"%s\": no entry %s", name, path);
	if (error == ELOOP || error == EMLINK) {
		duoshm__fail(DUOSHM_ERR_CORRUPT, "registry entry %s: is a symbolic link", path);
		return duoshm__set_cure("remove it");
	}
	duoshm__fail_call(0, error, "open(\"%s\")", path);
	struct stat file;
	if (error == EACCES && lstat(path, &file) == 0)
		return duoshm__set_cause("\"%s\" belongs to user %lu; this user may not open it",
			name, (unsigned long)file.st_uid);
	return duoshm_failure()->code;
}

/* 0, or CORRUPT for what is no plain file. */
static int look(int fd, const char *path, struct stat *out)
{
	if (fstat(fd, out) != 0)
		return duoshm__fail_call(DUOSHM_ERR_SYSTEM, errno, "fstat(\"%s\")", path);
	if (!S_ISREG(out->st_mode))
		return duoshm__fail(
			DUOSHM_ERR_CORRUPT, "registry entry %s: is no regular file", path);
	return 0;
}

/*
 * Reads again what may just be in writing. An entry that was not written yet is empty: building,
 * generation 0.
 */
static int read_text(int fd, struct duoshm__entry *out)
{
	int result = 0;
	for (int i = 0; i < READ_TRIES; i++) {
		char text[DUOSHM__ENTRY_TEXT_SIZE];
		ssize_t length = duoshm__file_read(fd, text, sizeof text, 0);
		if (length < 0)
			return duoshm__fail_call(0, errno, "pread(%d)", fd);
		if (length == 0)
			return 0;
		result = (size_t)length == sizeof text
				 ? duoshm__entry_parse(text, out)
				 : duoshm__fail(DUOSHM_ERR_CORRUPT, "it is cut short");
		if (result == 0)
			return 0;
		duoshm__pause(READ_PAUSE);
	}
	return result;
}

/* *out was made by duoshm__entry_init. */
static int read_open(
	int fd, const char *path, const char *name, const char *backend, struct duoshm__entry *out)
{
	struct stat file;
	int result = look(fd, path, &file);
	if (result != 0)
		return result;
	struct duoshm__entry made = *out;
	result = read_text(fd, &made);
	if (result == 0 && (strcmp(made.name, name) != 0 || strcmp(made.backend, backend) != 0))
		result = duoshm__fail(DUOSHM_ERR_CORRUPT, "it tells of another object");
	if (result != 0) {
		duoshm__set_cause("registry entry %s: %s", path, duoshm_failure()->cause);
		return duoshm__set_cure("if no program uses the object, remove that file");
	}
	made.uid = (unsigned)file.st_uid;
	made.gid = (unsigned)file.st_gid;
	*out = made;
	return 0;
}

int duoshm__entry_read(const struct duoshm__registry *registry, const char *name,
	const char *backend, struct duoshm__entry *out)
{
	char path[DUOSHM__PATH_SIZE];
	duoshm__entry_path(registry, name, backend, path);
	duoshm__entry_init(out, name, backend);
	int fd = duoshm__file_open(path, O_RDONLY, 0);
	if (fd < 0)
		return fail_open(name, path, errno);
	int result = read_open(fd, path, name, backend, out);
	close(fd);
	return result;
}

static void fill_lock(
	int fd, const char *path, const struct stat *file, struct duoshm__entry_lock *out)
{
	out->fd = fd;
	snprintf(out->path, sizeof out->path, "%s", path);
	out->mode = (unsigned)file->st_mode & PERMISSIONS;
	out->uid = (unsigned)file->st_uid;
	out->gid = (unsigned)file->st_gid;
}

/* Who may write the object must not be able to say that it is remains. */
static int protect(int fd, const char *path, mode_t mode)
{
	if (fchmod(fd, S_IRUSR | S_IWUSR | (mode & (S_IRGRP | S_IROTH))) == 0)
		return 0;
	return duoshm__fail_call(0, errno, "fchmod(\"%s\")", path);
}

static int create_once(
	const char *directory, const char *path, unsigned mode, struct duoshm__entry_lock *out)
{
	struct duoshm__new_file file;
	int result = duoshm__file_make(directory, mode, &file);
	if (result != 0)
		return result;
	struct stat made;
	result = look(file.fd, file.path, &made);
	if (result == 0)
		result = protect(file.fd, file.path, made.st_mode);
	if (result == 0)
		result = duoshm__file_publish(&file, path);
	if (result == 0)
		fill_lock(file.fd, path, &made, out);
	else
		duoshm__file_discard(&file);
	return result;
}

int duoshm__entry_create(const struct duoshm__registry *registry, const char *name,
	const char *backend, unsigned mode, struct duoshm__entry_lock *out)
{
	char path[DUOSHM__PATH_SIZE];
	duoshm__entry_path(registry, name, backend, path);
	int result = DUOSHM_ERR_BUSY;
	for (int i = 0; result == DUOSHM_ERR_BUSY && i < DUOSHM__FILE_TRIES; i++)
		result = create_once(registry->directory, path, mode, out);
	if (result == DUOSHM_ERR_EXISTS)
		duoshm__set_cause("\"%s\" exists: %s", name, path);
	return result;
}

/* Says who holds the lock, as far as the entry's text tells. */
static int fail_busy(int fd, const char *path, const char *name, const char *backend)
{
	struct duoshm__entry entry;
	duoshm__entry_init(&entry, name, backend);
	if (read_open(fd, path, name, backend, &entry) != 0 || entry.generation == 0)
		return duoshm__fail(DUOSHM_ERR_BUSY, "\"%s\" is just being created", name);
	if (entry.ready)
		return duoshm__fail(
			DUOSHM_ERR_BUSY, "\"%s\" is just being removed or replaced", name);
	return duoshm__fail(DUOSHM_ERR_BUSY, "\"%s\" is being created by process %" PRId64, name,
		entry.creator.pid);
}

/* 1: locked, but the name is another file's by now. */
static int lock_once(
	const char *path, const char *name, const char *backend, struct duoshm__entry_lock *out)
{
	int fd = duoshm__fd_open(path, O_RDWR, 0);
	if (fd < 0)
		return fail_open(name, path, errno);
	struct stat file;
	int result = look(fd, path, &file);
	if (result == 0 && duoshm__file_lock(fd, LOCK_EX | LOCK_NB) != 0)
		result = errno == EWOULDBLOCK ? fail_busy(fd, path, name, backend)
					      : duoshm__fail_call(DUOSHM_ERR_SYSTEM, errno,
							"flock(\"%s\")", path);
	else if (result == 0 && !duoshm__file_is(fd, path))
		result = 1;
	if (result == 0)
		fill_lock(fd, path, &file, out);
	else
		duoshm__fd_drop(fd);
	return result;
}

int duoshm__entry_lock(const struct duoshm__registry *registry, const char *name,
	const char *backend, struct duoshm__entry_lock *out)
{
	char path[DUOSHM__PATH_SIZE];
	duoshm__entry_path(registry, name, backend, path);
	for (int i = 0; i < DUOSHM__FILE_TRIES; i++) {
		int result = lock_once(path, name, backend, out);
		if (result <= 0)
			return result;
	}
	return duoshm__fail(DUOSHM_ERR_BUSY, "\"%s\" is made and removed all the time", name);
}

/* The lock may be lost: closefrom() by the program, or somebody removed the file. */
static int check_held(const struct duoshm__entry_lock *lock)
{
	errno = 0;
	if (lock->fd >= 0 && duoshm__file_is(lock->fd, lock->path))
		return 0;
	if (errno != 0 && errno != ENOENT && errno != EBADF)
		return duoshm__fail_call(0, errno, "stat(\"%s\")", lock->path);
	return duoshm__fail(DUOSHM_ERR_REMOVED,
		"%s was removed from outside, or the program closed the library's descriptor",
		lock->path);
}

int duoshm__entry_write(const struct duoshm__entry_lock *lock, const struct duoshm__entry *entry)
{
	char text[DUOSHM__ENTRY_TEXT_SIZE];
	int result = duoshm__entry_format(entry, text);
	if (result == 0)
		result = check_held(lock);
	if (result == 0 && duoshm__file_write(lock->fd, text, sizeof text, 0) < 0)
		result =
			duoshm__fail_call(0, errno, "pwrite(\"%s\", %zu)", lock->path, sizeof text);
	return result;
}

void duoshm__entry_unlock(struct duoshm__entry_lock *lock)
{
	duoshm__fd_drop(lock->fd);
	lock->fd = -1;
}

/* ---- presence -------------------------------------------------------------------------------- */

/*
 * Attachers that cannot write the registry, and so have no lifeline, each hold a shared flock on
 * the file DIR/.r.NAME@FAMILY. It tells that somebody is there, not how many; nothing is reclaimed
 * or kept because of it.
 *
 * The trap: a test takes the lock for a moment, and two at a time, or a test and a holder, meet.
 * Both therefore try again before they believe the other.
 */
#define HOLD_TRIES 20
#define TEST_TRIES 4
#define PAUSE_NS   100000

static void presence_path(const char *entry_path, char path[DUOSHM__PATH_SIZE])
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
	presence_path(entry, path);
	return duoshm__fd_open(path, O_RDONLY, 0);
}

/* A file of an earlier object may still be held by its readers: the new object gets a new one. */
void duoshm__presence_create(const struct duoshm__entry_lock *lock)
{
	char path[DUOSHM__PATH_SIZE];
	presence_path(lock->path, path);
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

int duoshm__entry_remove(const struct duoshm__entry_lock *lock)
{
	char presence[DUOSHM__PATH_SIZE];
	int result = check_held(lock);

	presence_path(lock->path, presence);
	/* First, since nobody would do it again without the entry. */
	if (result == 0)
		unlink(presence);
	if (result == 0 && unlink(lock->path) != 0)
		result = duoshm__fail_call(0, errno, "unlink(\"%s\")", lock->path);
	return result;
}
