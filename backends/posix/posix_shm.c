/* SPDX-License-Identifier: MIT */
/*
 * POSIX segments: shm_open, ftruncate, posix_fallocate, mmap, shm_unlink. Bells are posix_sem.c's;
 * what stands in the way of a failed call is posix_limits.c's to find out.
 *
 * Traps. macOS lets an object be sized once in its life, rounds the size up to a page of the
 * process, and maps only within it. On Linux a segment longer than what /dev/shm has left is made
 * and mapped without a word, and the first touch is SIGBUS: posix_fallocate tells it at once, and
 * returns its error instead of setting errno. A descriptor of a segment is no file everywhere: no
 * read, lock, chmod or seek here, and it is closed as soon as the memory is mapped. Beyond
 * RLIMIT_FSIZE ftruncate raises SIGXFSZ.
 */
#include "config.h"

#include "backends/posix/posix.h"

#include <sys/mman.h>
#include <sys/resource.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/*
 * A signal makes the kernel begin a reservation anew: in pieces of this size it gets on
 * nevertheless.
 */
#define RESERVE_STEP (16 << 20)

static const struct duoshm__posix_space segments = {
	.open_name = "shm_open",
	.one = "segment",
	.all = "shared memory",
	.blame = duoshm__posix_blame_segment,
};

/* close-on-exec is what most systems do by themselves, and DragonFly and illumos do late. */
static int open_segment(const struct duoshm__native *native, int flags, unsigned mode)
{
	int fd;

	do
		fd = shm_open(native->text, flags, (mode_t)mode);
	while (fd < 0 && errno == EINTR);
	if (fd >= 0)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	return fd;
}

/*
 * 0, an errno, or -1: the system cannot reserve. What cannot fit is refused before the first piece:
 * where /dev/shm may be as large as the memory, filling it up would call the kernel's out-of-memory
 * killer on everybody.
 */
static int reserve(int fd, size_t size)
{
#ifdef HAVE_POSIX_FALLOCATE
	off_t left, offset = 0;
	int result;

	if (size > RESERVE_STEP && !duoshm__posix_has_room(size))
		return ENOSPC;
	while (offset < (off_t)size) {
		left = (off_t)size - offset;
		result = posix_fallocate(fd, offset, left < RESERVE_STEP ? left : RESERVE_STEP);
		if (result == EINVAL || result == EOPNOTSUPP || result == ENODEV ||
			result == ENOSYS || result == ENOTSUP)
			return -1;
		if (result == 0)
			offset += RESERVE_STEP;
		else if (result != EINTR)
			return result;
	}
	return 0;
#else
	(void)fd;
	(void)size;
	return -1;
#endif
}

/* Sizes and reserves a new segment; 0, or *call and an errno. */
static int build(int fd, size_t size, bool *reserved, const char **call)
{
	int64_t limit = duoshm__posix_resource(RLIMIT_FSIZE);
	int result;

	*call = "ftruncate";
	if ((uint64_t)size > INT64_MAX || (off_t)size < 0 || (limit >= 0 && (int64_t)size > limit))
		return EFBIG;
	while (ftruncate(fd, (off_t)size) < 0)
		if (errno != EINTR)
			return errno;
	result = reserve(fd, size);
	*reserved = result == 0;
	/* Not reserved: what is too large already now need not wait for its SIGBUS. */
	if (result < 0)
		return duoshm__posix_has_room(size) ? 0 : ENOSPC;
	*call = "posix_fallocate";
	return result;
}

static int fail_size(int system_error, const struct duoshm__native *native, size_t size,
	const char *call, struct duoshm_failure *why)
{
	duoshm__native_failure(why, duoshm__posix_code(system_error), system_error,
		"%s(\"%s\", %zu)", call, native->text, size);
	return duoshm__posix_blame_segment(why, size);
}

/* Attaches all of a segment. */
static int map_segment(int fd, const struct duoshm__native *native, size_t size, bool read_only,
	struct duoshm__map *out, struct duoshm_failure *why)
{
	int protection = read_only ? PROT_READ : PROT_READ | PROT_WRITE;
	void *address = mmap(NULL, size, protection, MAP_SHARED, fd, 0);

	if (address == MAP_FAILED)
		return fail_size(errno, native, size, "mmap", why);
	out->address = address;
	out->length = size;
	out->reserved = false; /* create knows better */
	return 0;
}

int duoshm__posix_create(struct duoshm__native *native, size_t size, unsigned mode,
	struct duoshm__map *out, struct duoshm_failure *why)
{
	const char *call;
	bool reserved = false;
	int result, fd = open_segment(native, O_RDWR | O_CREAT | O_EXCL, mode);

	if (fd < 0)
		return duoshm__posix_fail_create(&segments, errno, native->text, mode, why);
	result = build(fd, size, &reserved, &call);
	if (result != 0)
		result = fail_size(result, native, size, call, why);
	else
		result = map_segment(fd, native, size, false, out, why);
	if (result == 0)
		out->reserved = reserved;
	else
		shm_unlink(native->text);
	close(fd);
	return result;
}

int duoshm__posix_attach(const struct duoshm__native *native, bool read_only,
	struct duoshm__map *out, struct duoshm_failure *why)
{
	struct stat status;
	int result, fd = open_segment(native, read_only ? O_RDONLY : O_RDWR, 0);

	if (fd < 0)
		return duoshm__posix_fail_call(&segments, errno, native->text, "shm_open",
			read_only ? ", O_RDONLY" : ", O_RDWR", why);
	if (fstat(fd, &status) < 0)
		result = duoshm__posix_fail_call(&segments, errno, native->text, "fstat", "", why);
	else if (status.st_size <= 0)
		result = duoshm__posix_gone(&segments, 0, native->text, why);
	else if ((uint64_t)status.st_size > SIZE_MAX)
		result = fail_size(ENOMEM, native, (size_t)status.st_size, "mmap", why);
	else
		result = map_segment(fd, native, (size_t)status.st_size, read_only, out, why);
	close(fd);
	return result;
}

int duoshm__posix_detach(const struct duoshm__map *map, struct duoshm_failure *why)
{
	if (munmap(map->address, map->length) == 0)
		return 0;
	return duoshm__native_failure(
		why, DUOSHM_ERR_SYSTEM, errno, "munmap(%p, %zu)", map->address, map->length);
}

/* Mode, owner and size are all that macOS fills in. */
void duoshm__posix_fill_stat(const struct stat *status, struct duoshm__native_stat *out)
{
	out->size = (uint64_t)status->st_size;
	out->uid = (int64_t)status->st_uid;
	out->gid = (int64_t)status->st_gid;
	out->mode = (int64_t)(status->st_mode & 0777);
	out->creator_pid = -1;
	out->last_pid = -1;
	out->attached = -1;
}

int duoshm__posix_stat(const struct duoshm__native *native, struct duoshm__native_stat *out,
	struct duoshm_failure *why)
{
	struct stat status;
	int result, fd = open_segment(native, O_RDONLY, 0);

	if (fd < 0)
		return duoshm__posix_fail_call(
			&segments, errno, native->text, "shm_open", ", O_RDONLY", why);
	result = fstat(fd, &status);
	if (result < 0)
		result = duoshm__posix_fail_call(&segments, errno, native->text, "fstat", "", why);
	else
		duoshm__posix_fill_stat(&status, out);
	close(fd);
	return result;
}

int duoshm__posix_remove_segment(const struct duoshm__native *native, struct duoshm_failure *why)
{
	if (shm_unlink(native->text) == 0 || errno == ENOENT)
		return 0;
	return duoshm__posix_fail_call(&segments, errno, native->text, "shm_unlink", "", why);
}

int duoshm__posix_judge_segment(const struct duoshm__native *native,
	const struct duoshm__claim *claim, struct duoshm_failure *why)
{
	struct duoshm__map map;
	int result = duoshm__posix_attach(native, true, &map, why);

	/* Not built yet: killed before ftruncate; the name alone is 60 random bits. */
	if (result == DUOSHM_ERR_NOT_FOUND)
		return why->system_error == ENOENT ? DUOSHM__ABSENT : DUOSHM__OURS;
	if (result < 0)
		return result == DUOSHM_ERR_PERMISSION ? DUOSHM__OTHERS : result;
	result = (int)duoshm__whose_memory(&map, claim, map.length >= claim->size);
	munmap(map.address, map.length);
	return result;
}
