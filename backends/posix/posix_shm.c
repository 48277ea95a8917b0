/* SPDX-License-Identifier: MIT */
/*
 * POSIX segments: shm_open, ftruncate, posix_fallocate, mmap, shm_unlink. Bells are posix_sem.c's; what stands in the
 * way of a failed call is posix_limits.c's to find out.
 *
 * Traps. macOS lets an object be sized once in its life, rounds the size up to a page of the process, and
 * maps only within it. On Linux a segment longer than what /dev/shm has left is made and mapped
 * without a word, and the first touch is SIGBUS: posix_fallocate tells it at once, and returns its error
 * instead of setting errno. A descriptor of a segment is no file everywhere: no read, lock, chmod or
 * seek here, and it is closed as soon as the memory is mapped. Beyond RLIMIT_FSIZE ftruncate raises SIGXFSZ.
 */
#include "config.h"

#include "backends/posix/posix.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* A signal makes the kernel begin a reservation anew: in pieces of this size it gets on nevertheless. */
#define RESERVE_STEP (16 << 20)

static int gone(const struct duoshm__native *native, struct duoshm_failure *why)
{
	duoshm__native_failure(why, DUOSHM_ERR_NOT_FOUND, ENOENT, "shm_open(\"%s\")", native->text);
	return duoshm__native_cause(why, "there is no segment with name %s", native->text);
}

static int fail_open(int system_error, const struct duoshm__native *native, const char *flags,
	struct duoshm_failure *why)
{
	int code = duoshm__posix_code(system_error);

	if (code == DUOSHM_ERR_NOT_FOUND)
		return gone(native, why);
	duoshm__native_failure(
		why, code, system_error, "shm_open(\"%s\", %s)", native->text, flags);
	if (code == DUOSHM_ERR_LIMIT || code == DUOSHM_ERR_NO_SPACE)
		return duoshm__posix_blame_segment(why, 0);
	return code;
}

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
 * 0, an errno, or -1: the system cannot reserve. What cannot fit is refused before the first piece: where /dev/shm
 * may be as large as the memory, filling it up would call the kernel's out-of-memory killer on everybody.
 */
static int reserve(int fd, size_t size)
{
#ifdef HAVE_POSIX_FALLOCATE
	off_t offset, left;
	int result;

	if (size > RESERVE_STEP && !duoshm__posix_has_room(size))
		return ENOSPC;
	for (offset = 0; offset < (off_t)size; offset += RESERVE_STEP) {
		left = (off_t)size - offset;
		if (left > RESERVE_STEP)
			left = RESERVE_STEP;
		do
			result = posix_fallocate(fd, offset, left);
		while (result == EINTR);
		if (result == EINVAL || result == EOPNOTSUPP || result == ENODEV ||
			result == ENOSYS || result == ENOTSUP)
			return -1;
		if (result != 0)
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
	if ((uint64_t)size > INT64_MAX || (off_t)size < 0)
		return EFBIG;
	if (limit >= 0 && (int64_t)size > limit)
		return EFBIG;
	do
		result = ftruncate(fd, (off_t)size) == 0 ? 0 : errno;
	while (result == EINTR);
	if (result != 0)
		return result;
	*call = "posix_fallocate";
	result = reserve(fd, size);
	*reserved = result == 0;
	if (result >= 0)
		return result;
	/* Not reserved: what is too large already now need not wait for its SIGBUS. */
	*call = "ftruncate";
	return duoshm__posix_has_room(size) ? 0 : ENOSPC;
}

static int fail_build(int system_error, const struct duoshm__native *native, size_t size,
	const char *call, struct duoshm_failure *why)
{
	int code = duoshm__posix_code(system_error);

	duoshm__native_failure(
		why, code, system_error, "%s(\"%s\", %zu)", call, native->text, size);
	if (code == DUOSHM_ERR_LIMIT || code == DUOSHM_ERR_NO_SPACE)
		return duoshm__posix_blame_segment(why, size);
	return code;
}

int duoshm__posix_create(struct duoshm__native *native, size_t size, unsigned mode,
	struct duoshm__map *out, struct duoshm_failure *why)
{
	const char *call;
	void *address;
	bool reserved;
	int fd, result;

	fd = open_segment(native, O_RDWR | O_CREAT | O_EXCL, mode);
	if (fd < 0 && errno == ENOENT) {
		duoshm__native_failure(why, DUOSHM_ERR_UNAVAILABLE, ENOENT,
			"shm_open(\"%s\", O_RDWR | O_CREAT | O_EXCL, 0%o)", native->text, mode);
		return duoshm__native_cause(
			why, "the place where this system keeps shared memory is missing");
	}
	if (fd < 0)
		return fail_open(errno, native, "O_RDWR | O_CREAT | O_EXCL", why);
	result = build(fd, size, &reserved, &call);
	if (result != 0)
		goto unlink_it;
	call = "mmap";
	address = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	result = errno;
	if (address == MAP_FAILED)
		goto unlink_it;
	close(fd);
	native->segment_id = -1;
	out->address = address;
	out->length = size;
	out->reserved = reserved;
	return 0;

unlink_it:
	shm_unlink(native->text);
	close(fd);
	return fail_build(result, native, size, call, why);
}

/* Maps all of an open segment. */
static int map_segment(int fd, const struct duoshm__native *native, bool read_only,
	struct duoshm__map *out, struct duoshm_failure *why)
{
	struct stat status;
	void *address;
	size_t size;

	if (fstat(fd, &status) < 0)
		return duoshm__native_failure(
			why, DUOSHM_ERR_SYSTEM, errno, "fstat(\"%s\")", native->text);
	if (status.st_size <= 0) {
		gone(native, why);
		return duoshm__native_cause(why, "the segment %s is not built yet", native->text);
	}
	size = (size_t)status.st_size;
	if ((uint64_t)status.st_size > SIZE_MAX)
		return fail_build(ENOMEM, native, size, "mmap", why);
	address =
		mmap(NULL, size, read_only ? PROT_READ : PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (address == MAP_FAILED)
		return fail_build(errno, native, size, "mmap", why);
	out->address = address;
	out->length = size;
	out->reserved = false;
	return 0;
}

int duoshm__posix_attach(const struct duoshm__native *native, bool read_only,
	struct duoshm__map *out, struct duoshm_failure *why)
{
	int result, fd = open_segment(native, read_only ? O_RDONLY : O_RDWR, 0);

	if (fd < 0)
		return fail_open(errno, native, read_only ? "O_RDONLY" : "O_RDWR", why);
	result = map_segment(fd, native, read_only, out, why);
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

int duoshm__posix_stat(const struct duoshm__native *native, struct duoshm__native_stat *out,
	struct duoshm_failure *why)
{
	struct stat status;
	int result, saved, fd = open_segment(native, O_RDONLY, 0);

	if (fd < 0)
		return fail_open(errno, native, "O_RDONLY", why);
	result = fstat(fd, &status);
	saved = errno;
	close(fd);
	if (result < 0)
		return duoshm__native_failure(
			why, DUOSHM_ERR_SYSTEM, saved, "fstat(\"%s\")", native->text);
	/* Mode, owner and size are all that macOS fills in. */
	out->size = (uint64_t)status.st_size;
	out->uid = (int64_t)status.st_uid;
	out->gid = (int64_t)status.st_gid;
	out->mode = (int64_t)(status.st_mode & 0777);
	out->creator_pid = -1;
	out->last_pid = -1;
	out->attached = -1;
	return 0;
}

int duoshm__posix_remove_segment(const struct duoshm__native *native, struct duoshm_failure *why)
{
	if (shm_unlink(native->text) == 0 || errno == ENOENT)
		return 0;
	return duoshm__native_failure(
		why, duoshm__posix_code(errno), errno, "shm_unlink(\"%s\")", native->text);
}

/* Its maker is dead, so nobody writes the generation while it is read. */
static int compare_generation(int fd, const struct duoshm__native *native,
	const struct duoshm__claim *claim, struct duoshm_failure *why)
{
	struct duoshm__map map;
	struct stat status;
	uint64_t generation;
	int result;

	if (fstat(fd, &status) == 0 && status.st_size == 0)
		return DUOSHM__OURS; /* killed before ftruncate; the name alone is 60 random bits */
	result = map_segment(fd, native, true, &map, why);
	if (result < 0)
		return result;
	result = DUOSHM__OTHERS;
	if (map.length >= sizeof generation &&
		claim->generation_offset <= map.length - sizeof generation) {
		memcpy(&generation, (char *)map.address + claim->generation_offset,
			sizeof generation);
		if (generation == claim->generation ||
			(generation == 0 && map.length >= claim->size))
			result = DUOSHM__OURS;
	}
	munmap(map.address, map.length);
	return result;
}

int duoshm__posix_judge_segment(const struct duoshm__native *native,
	const struct duoshm__claim *claim, struct duoshm_failure *why)
{
	int result, fd = open_segment(native, O_RDONLY, 0);

	if (fd < 0 && errno == ENOENT)
		return DUOSHM__ABSENT;
	if (fd < 0 && (errno == EACCES || errno == EPERM))
		return DUOSHM__OTHERS;
	if (fd < 0)
		return fail_open(errno, native, "O_RDONLY", why);
	result = compare_generation(fd, native, claim, why);
	close(fd);
	return result;
}
