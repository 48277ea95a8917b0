/* SPDX-License-Identifier: MIT */
/*
 * The registry directory: found or made, checked, kept from cleaners, walked and swept. Its entries
 * are entry.c's.
 *
 * The trap: /tmp belongs to everybody, so somebody else may have made the directory first, or
 * planted a link. It is opened without following one, and what was opened is checked, not what its
 * name said before.
 */
#include "config.h"

#include "core/registry.h"

#include "core/array.h"
#include "core/failure.h"
#include "core/file.h"
#include "core/name.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#ifdef HAVE_SYS_PARAM_H
#include <sys/param.h>
#endif
#ifdef HAVE_SYS_VFS_H
#include <sys/vfs.h>
#endif
#ifdef HAVE_SYS_MOUNT_H
#include <sys/mount.h>
#endif
#ifdef HAVE_SYS_STATVFS_H
#include <sys/statvfs.h>
#endif
#ifdef HAVE_LINUX_MAGIC_H
#include <linux/magic.h>
#endif

#define HOLD_TRIES 50 /* for a cleaner that is just looking */
#define HOLD_PAUSE 2000000
#define OTHER_CURE "remove it or choose another with --dir"

/* A long path is cut, so that what follows it in the cause is not. */
#define DIRECTORY        "registry directory %.130s%s: "
#define SHOWN(directory) (directory), strlen(directory) > 130 ? "..." : ""

static int refuse(const char *directory, const char *cause, const char *cure)
{
	duoshm__fail(DUOSHM_ERR_REGISTRY, DIRECTORY "%s", SHOWN(directory), cause);
	return duoshm__set_cure("%s", cure);
}

int duoshm__registry_fail(const char *directory)
{
	struct duoshm_failure made = *duoshm_failure();

	if (made.code == DUOSHM_ERR_NOT_FOUND || made.code == DUOSHM_ERR_SYSTEM)
		made.code = DUOSHM_ERR_REGISTRY;
	duoshm__fail_native(&made);
	duoshm__set_cause(DIRECTORY "%s", SHOWN(directory), made.cause);
	/* What the process itself is short of, it is short of everywhere. */
	bool own = made.system_error == EMFILE || made.system_error == ENFILE ||
		   made.system_error == ENOMEM;
	return made.cure[0] || own ? made.code
				   : duoshm__set_cure("choose another with --dir or DUOSHM_DIR");
}

static int fail_errno(const char *call, const char *directory, int error)
{
	duoshm__fail_call(0, error, "%s(\"%s\")", call, directory);
	if (error == ENOENT)
		duoshm__set_cause(
			strcmp(call, "mkdir") == 0
				? "it cannot be made there: does the directory above it exist?"
				: "it was removed");
	if (error == EACCES)
		duoshm__set_cause("this user may not use it");
	return duoshm__registry_fail(directory);
}

/* ---- which directory ------------------------------------------------------------------------- */

/* The environment of a program that runs with more rights than its caller's is the caller's. */
static const char *directory_of_environment(void)
{
#if defined HAVE_SECURE_GETENV
	const char *value = secure_getenv("DUOSHM_DIR");
#elif defined HAVE_ISSETUGID
	const char *value = issetugid() ? NULL : getenv("DUOSHM_DIR");
#else
	const char *value =
		getuid() == geteuid() && getgid() == getegid() ? getenv("DUOSHM_DIR") : NULL;
#endif
	return value && value[0] != '\0' ? value : NULL;
}

/*
 * Without slashes at the end: lstat() and O_NOFOLLOW would follow a link behind which one stands.
 */
static int make_absolute(const char *directory, char *out, size_t size)
{
	char here[PATH_MAX] = "";
	if (directory[0] != '/' && !getcwd(here, sizeof here))
		return fail_errno("getcwd", directory, errno);
	size_t length = strlen(directory);
	while (length > 1 && directory[length - 1] == '/')
		length--;
	const char *slash = directory[0] == '/' || strcmp(here, "/") == 0 ? "" : "/";
	int made = -1;
	if (length < PATH_MAX)
		made = snprintf(out, size, "%s%s%.*s", here, slash, (int)length, directory);
	if (made < 0 || (size_t)made >= size)
		return refuse(directory, "the path is too long", "choose a shorter one with --dir");
	return 0;
}

static int choose(const char *directory, char *out, size_t size)
{
	if (!directory)
		directory = directory_of_environment();
	if (directory && directory[0] == '\0')
		return refuse("\"\"", "no name", "name a directory with --dir");
	if (directory)
		return make_absolute(directory, out, size);
	snprintf(out, size, "/tmp/duoshm-%lu", (unsigned long)geteuid());
	return 0;
}

/* ---- is it fit ------------------------------------------------------------------------------- */

/*
 * flock does not reach other machines, and on some network file systems not even other processes.
 */
static bool is_remote(int fd)
{
#if defined HAVE_LINUX_MAGIC_H && defined HAVE_SYS_VFS_H
	enum { CIFS = 0xff534d42, SMB2 = 0xfe534d42 };
	struct statfs system;
	if (fstatfs(fd, &system) != 0)
		return false;
	uint32_t type = (uint32_t)system.f_type;
	return type == NFS_SUPER_MAGIC || type == SMB_SUPER_MAGIC || type == (uint32_t)CIFS ||
	       type == (uint32_t)SMB2 || type == AFS_SUPER_MAGIC || type == CODA_SUPER_MAGIC;
#elif defined HAVE_STRUCT_STATFS_F_FLAGS && defined MNT_LOCAL
	struct statfs system;
	return fstatfs(fd, &system) == 0 && (system.f_flags & MNT_LOCAL) == 0;
#elif defined ST_LOCAL
	struct statvfs system;
	return fstatvfs(fd, &system) == 0 && (system.f_flag & ST_LOCAL) == 0;
#elif defined HAVE_STRUCT_STATVFS_F_BASETYPE
	struct statvfs system;
	return fstatvfs(fd, &system) == 0 && strncmp(system.f_basetype, "nfs", 3) == 0;
#else
	(void)fd;
	return false;
#endif
}

static int check_directory(int fd, const char *directory)
{
	struct stat found;
	if (fstat(fd, &found) != 0)
		return fail_errno("fstat", directory, errno);
	if (found.st_uid != geteuid() && found.st_uid != 0) {
		duoshm__fail(DUOSHM_ERR_REGISTRY,
			DIRECTORY "belongs to user %lu, not to this user (%lu) or root",
			SHOWN(directory), (unsigned long)found.st_uid, (unsigned long)geteuid());
		return duoshm__set_cure("run as that user, or choose another directory with --dir");
	}
	if ((found.st_mode & (S_IWGRP | S_IWOTH)) != 0 && (found.st_mode & S_ISVTX) == 0)
		return refuse(directory, "others may remove files in it (mode without sticky bit)",
			"chmod go-w it, or chmod +t it if several users shall meet there");
	if (is_remote(fd))
		return refuse(directory, "is on a network file system, where flock proves nothing",
			"choose a directory on a local file system with --dir");
	return 0;
}

/*
 * Says why the directory could not be opened: a link gives different errors on different systems.
 */
static int explain_open(const char *directory, int error)
{
	struct stat found;
	if (lstat(directory, &found) == 0 && S_ISLNK(found.st_mode))
		return refuse(directory, "is a symbolic link", OTHER_CURE);
	if (error == ENOTDIR)
		return refuse(directory, "is not a directory", OTHER_CURE);
	return fail_errno("open", directory, error);
}

/* ---- opening --------------------------------------------------------------------------------- */

/*
 * Keeps cleaners away: systemd-tmpfiles leaves a locked directory alone, and locks what it is about
 * to clean. 0; 1: it was removed meanwhile.
 */
static int hold(int fd, const char *directory)
{
	if (duoshm__file_lock_patiently(fd, LOCK_SH, HOLD_TRIES, HOLD_PAUSE) != 0 &&
		errno != EWOULDBLOCK) {
		duoshm__fail_call(DUOSHM_ERR_REGISTRY, errno, "flock(\"%s\", LOCK_SH)", directory);
		return duoshm__set_cure(
			"choose a directory on a file system that has flock, with --dir");
	}
	return duoshm__file_is(fd, directory) ? 0 : 1;
}

/* 0; 1: it was made, or removed meanwhile: again; or an error. */
static int open_once(const char *directory, int *out)
{
	/* It may lie on a dead network file system: no lock is held meanwhile. */
	int fd = duoshm__file_open(directory, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0 && errno != ENOENT)
		return explain_open(directory, errno);
	if (fd < 0) {
		if (mkdir(directory, 0700) == 0 || errno == EEXIST)
			return 1;
		return fail_errno("mkdir", directory, errno);
	}
	int result = check_directory(fd, directory);
	if (result == 0)
		result = duoshm__fd_keep(fd);
	if (result != 0) {
		close(fd);
		return result;
	}
	result = hold(fd, directory);
	if (result == 0)
		*out = fd;
	else
		duoshm__fd_drop(fd);
	return result;
}

int duoshm__registry_open(const char *directory, struct duoshm__registry *out)
{
	struct duoshm__registry made;
	int result = choose(directory, made.directory, sizeof made.directory);
	if (result != 0)
		return result;
	for (int i = 0; i < DUOSHM__FILE_TRIES; i++) {
		result = open_once(made.directory, &made.fd);
		if (result < 0)
			return result;
		if (result == 0) {
			*out = made;
			return 0;
		}
	}
	return refuse(made.directory, "somebody removes it all the time", OTHER_CURE);
}

void duoshm__registry_close(struct duoshm__registry *registry)
{
	duoshm__fd_drop(registry->fd);
	registry->fd = -1;
}

/* ---- walking and sweeping -------------------------------------------------------------------- */

int duoshm__registry_walk(const char *directory, duoshm__file_fn *fn, void *arg)
{
	DIR *dir = opendir(directory);
	if (!dir)
		return fail_errno("opendir", directory, errno);
	int result = 0;
	while (result == 0) {
		errno = 0;
		const struct dirent *file = readdir(dir);
		if (!file && errno != 0)
			result = fail_errno("readdir", directory, errno);
		if (!file)
			break;
		result = fn(file->d_name, arg);
	}
	closedir(dir);
	return result;
}

struct found {
	struct duoshm__name *items;
	size_t count;
};

/*
 * Takes a file name apart, with the family in front as the public names have it; false: not an
 * entry.
 */
static bool parse_file_name(const char *file, struct duoshm__name *out)
{
	const char *at = strchr(file, '@');
	if (file[0] == '.' || !at)
		return false;
	char name[sizeof *out];
	int length = snprintf(name, sizeof name, "%s:%.*s", at + 1, (int)(at - file), file);
	return (size_t)length < sizeof name && duoshm__name_parse(name, out) == 0;
}

static int collect(const char *file, void *arg)
{
	struct found *found = arg;
	struct duoshm__name name;
	if (!parse_file_name(file, &name))
		return 0;
	struct duoshm__name *items = duoshm__array_grow(found->items, found->count, sizeof *items);
	if (!items)
		return DUOSHM_ERR_NO_SPACE;
	found->items = items;
	items[found->count++] = name;
	return 0;
}

static int by_name(const void *left, const void *right)
{
	const struct duoshm__name *l = left, *r = right;
	int order = strcmp(l->text, r->text);
	return order != 0 ? order : strcmp(l->backend, r->backend);
}

int duoshm__registry_scan(const struct duoshm__registry *registry, duoshm__entry_fn *fn, void *arg)
{
	struct found found = {0};
	int result = duoshm__registry_walk(registry->directory, collect, &found);
	if (found.count > 0)
		qsort(found.items, found.count, sizeof *found.items, by_name);
	for (size_t i = 0; result == 0 && i < found.count; i++) {
		struct duoshm__entry entry;
		const struct duoshm__name *name = &found.items[i];
		int read = duoshm__entry_read(registry, name->text, name->backend, &entry);
		if (read != DUOSHM_ERR_NOT_FOUND) /* else removed since */
			result = fn(&entry, read, arg);
	}
	free(found.items);
	return result;
}

/* A presence file whose entry was deleted from outside: it tells of nothing any more. */
static bool is_stray(const struct duoshm__registry *registry, const char *file)
{
	char path[DUOSHM__PATH_SIZE];
	struct stat ignored;
	if (strncmp(file, ".r.", 3) != 0)
		return false;
	snprintf(path, sizeof path, "%s/%s", registry->directory, file + 3);
	return lstat(path, &ignored) != 0 && errno == ENOENT;
}

/*
 * Its maker holds the lock of an unfinished file as long as it lives; one that is about to take it
 * begins again. A stray presence file goes when its last reader has let go of it.
 */
static int sweep_file(const char *file, void *arg)
{
	const struct duoshm__registry *registry = arg;
	if (strncmp(file, ".t.", 3) != 0 && !is_stray(registry, file))
		return 0;
	char path[DUOSHM__PATH_SIZE];
	snprintf(path, sizeof path, "%s/%s", registry->directory, file);
	int fd = duoshm__file_open(path, O_RDONLY, 0);
	if (fd < 0)
		return 0;
	struct stat found;
	if (fstat(fd, &found) == 0 && S_ISREG(found.st_mode) &&
		duoshm__file_lock(fd, LOCK_EX | LOCK_NB) == 0)
		unlink(path);
	close(fd);
	return 0;
}

void duoshm__registry_sweep(struct duoshm__registry *registry)
{
	duoshm__registry_walk(registry->directory, sweep_file, registry);
}
