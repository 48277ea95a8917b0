/* SPDX-License-Identifier: MIT */
/*
 * macOS's rules for shared memory and semaphores, imposed on programs that run on Linux
 * (LD_PRELOAD).
 *
 * It refuses what macOS refuses and forgets what macOS forgets; the work itself is done by the real
 * calls. Sources of the rules: xnu bsd/kern/posix_shm.c, posix_sem.c, sysv_shm.c, sysv_sem.c.
 * Functions that macOS does not have abort, so that a test cannot pass by a call that would not
 * link there. Only descriptors that shm_open gave are ruled; other files are left alone, for the
 * test's shell and compiler run under it too. The table of descriptors is per process and copied by
 * fork, as descriptors are; it is lost by exec, which is right for segments (FD_CLOEXEC) and
 * harmless for semaphores. Where DUOSHM_PROFILE_TREES lists folders (as PATH does), only programs
 * in them are ruled, so that those of the system that tests start are left alone, python's use of
 * sem_init for one.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <unistd.h>

#define SHM_NAME_MAX  31
#define SEM_NAME_MAX  30
#define SEM_LIMIT     32767
#define PAGE          16384
#define SHMSEG        8
#define UNDO_MAX      10
#define FD_MAX        4096
#define ALLOCATED_BIT S_ISVTX /* on the real file: ftruncate was called once */
#define REMOVED_BIT   01000   /* Linux's SHM_DEST */

/* real(NAME): the function that this file stands before. */
#define real(name) ((__typeof__(&name))find(#name))

static void *find(const char *name)
{
	void *function = dlsym(RTLD_NEXT, name);

	if (function == NULL) {
		fprintf(stderr, "macos profile: no real %s\n", name);
		abort();
	}
	return function;
}

static bool ruled = true; /* is this program under the rules? */

static int fail(int error)
{
	errno = error;
	return -1;
}

static void absent(const char *name)
{
	if (!ruled)
		return;
	fprintf(stderr, "macos profile: %s does not exist on macOS\n", name);
	abort();
}

static bool is_below(const char *path, const char *folder, size_t length)
{
	return length > 0 && strncmp(path, folder, length) == 0 && path[length] == '/';
}

__attribute__((constructor)) static void choose(void)
{
	const char *trees = getenv("DUOSHM_PROFILE_TREES");
	char program[4096];
	ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);

	if (trees == NULL || length < 0)
		return;
	program[length] = '\0';
	ruled = false;
	while (!ruled && *trees != '\0') {
		size_t end = strcspn(trees, ":");
		ruled = is_below(program, trees, end);
		trees += end + (trees[end] == ':');
	}
}

/* What a descriptor is. Written under `guard`. */
struct entry {
	bool segment;     /* shm_open gave it ... */
	bool writable;    /* ... with O_RDWR */
	sem_t *semaphore; /* sem_open gave it: the real one behind it */
};
static struct entry table[FD_MAX];
static int attached;
static struct {
	int set, number;
} undo[UNDO_MAX];
static int n_undo;
static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;

static struct entry look_up(int fd)
{
	struct entry found = {false, false, NULL};

	if (fd < 0 || fd >= FD_MAX)
		return found;
	pthread_mutex_lock(&guard);
	found = table[fd];
	pthread_mutex_unlock(&guard);
	return found;
}

static void enter(int fd, struct entry entry)
{
	if (fd < 0 || fd >= FD_MAX)
		abort();
	pthread_mutex_lock(&guard);
	table[fd] = entry;
	pthread_mutex_unlock(&guard);
}

static bool is_segment(int fd)
{
	return look_up(fd).segment;
}

/* ---- POSIX segments -------------------------------------------------------------------------- */

int shm_open(const char *name, int flags, mode_t mode)
{
	int access = flags & O_ACCMODE, fd = -1;
	struct stat info;

	if (!ruled)
		return real(shm_open)(name, flags, mode);
	if (strlen(name) > SHM_NAME_MAX)
		return fail(ENAMETOOLONG);
	if (access == O_WRONLY)
		return fail(EINVAL);
	if (flags & O_CREAT) {
		fd = real(shm_open)(name, access | O_CREAT | O_EXCL, mode);
		if (fd < 0 && (errno != EEXIST || (flags & O_EXCL)))
			return -1;
		/* The umask is not applied. */
		if (fd >= 0 && real(fchmod)(fd, mode & 0777) != 0)
			abort();
	}
	if (fd < 0)
		fd = real(shm_open)(name, access, 0);
	if (fd < 0)
		return -1;
	if ((flags & O_TRUNC) && (real(fstat)(fd, &info) != 0 || (info.st_mode & ALLOCATED_BIT))) {
		real(close)(fd);
		return fail(EINVAL);
	}
	enter(fd, (struct entry){.segment = true, .writable = access == O_RDWR});
	return fd;
}

int shm_unlink(const char *name)
{
	return ruled && strlen(name) > SHM_NAME_MAX ? fail(EINVAL) : real(shm_unlink)(name);
}

static int set_size(int fd, off_t size)
{
	struct stat info;

	if (!look_up(fd).writable || size < 0 || real(fstat)(fd, &info) != 0 ||
		(info.st_mode & ALLOCATED_BIT))
		return fail(EINVAL);
	if (real(fchmod)(fd, (info.st_mode & 0777) | ALLOCATED_BIT) != 0)
		return -1;
	return real(ftruncate)(fd, (size + PAGE - 1) / PAGE * PAGE);
}

int ftruncate(int fd, off_t size)
{
	return is_segment(fd) ? set_size(fd, size) : real(ftruncate)(fd, size);
}

int fstat(int fd, struct stat *out)
{
	struct stat info;

	if (real(fstat)(fd, &info) != 0)
		return -1;
	if (is_segment(fd)) {
		memset(out, 0, sizeof(*out));
		out->st_mode = info.st_mode & 0777;
		out->st_uid = info.st_uid;
		out->st_gid = info.st_gid;
		out->st_size = info.st_size;
	} else {
		*out = info;
	}
	return 0;
}

static int mapping_error(int fd, size_t length, int protection, int flags, off_t offset)
{
	struct stat info;

	if (real(fstat)(fd, &info) != 0)
		return errno;
	if (!(info.st_mode & ALLOCATED_BIT) || !(flags & MAP_SHARED) || length == 0 || offset < 0 ||
		length > (size_t)info.st_size || (size_t)offset > (size_t)info.st_size - length)
		return EINVAL;
	if ((protection & PROT_WRITE) && !look_up(fd).writable)
		return EPERM;
	return 0;
}

/*
 * On Linux a mapping keeps the open file and so its flock; on macOS it does not. Mapping the same
 * file opened anew takes that away. -1: nothing to open.
 */
static int open_anew(int fd)
{
	char path[64];
	struct stat info;
	int mode = real(fcntl)(fd, F_GETFL);

	if (mode < 0 || real(fstat)(fd, &info) != 0 || !S_ISREG(info.st_mode))
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, (mode & O_ACCMODE) | O_CLOEXEC);
}

void *mmap(void *at, size_t length, int protection, int flags, int fd, off_t offset)
{
	int error = 0;

	if (!(flags & MAP_ANONYMOUS) && is_segment(fd))
		error = mapping_error(fd, length, protection, flags, offset);
	if (error != 0) {
		errno = error;
		return MAP_FAILED;
	}
	int saved = errno, anew = -1;
	if (ruled && (flags & MAP_SHARED) && !(flags & MAP_ANONYMOUS) && !is_segment(fd))
		anew = open_anew(fd);
	errno = saved;
	void *memory = real(mmap)(at, length, protection, flags, anew < 0 ? fd : anew, offset);
	saved = errno;
	if (anew >= 0)
		real(close)(anew);
	errno = saved;
	return memory;
}

#if __SIZEOF_POINTER__ == 8
/* The names that programs with _FILE_OFFSET_BITS=64 call. */
int ftruncate64(int fd, off64_t size)
{
	return ftruncate(fd, size);
}

int fstat64(int fd, struct stat64 *out)
{
	return fstat(fd, (struct stat *)out);
}

void *mmap64(void *at, size_t length, int protection, int flags, int fd, off64_t offset)
{
	return mmap(at, length, protection, flags, fd, offset);
}
#endif

/* What cannot be done with a segment's descriptor. */
#define NOT_OF_SEGMENTS(type, name, declared, given, error)                                        \
	type name declared                                                                         \
	{                                                                                          \
		return is_segment(fd) ? fail(error) : real(name) given;                            \
	}
NOT_OF_SEGMENTS(ssize_t, read, (int fd, void *buffer, size_t size), (fd, buffer, size), ENXIO)
NOT_OF_SEGMENTS(
	ssize_t, write, (int fd, const void *buffer, size_t size), (fd, buffer, size), ENXIO)
NOT_OF_SEGMENTS(off_t, lseek, (int fd, off_t offset, int whence), (fd, offset, whence), ESPIPE)
NOT_OF_SEGMENTS(int, flock, (int fd, int operation), (fd, operation), ENOTSUP)
NOT_OF_SEGMENTS(int, fchmod, (int fd, mode_t mode), (fd, mode), EINVAL)
NOT_OF_SEGMENTS(int, fchown, (int fd, uid_t uid, gid_t gid), (fd, uid, gid), EINVAL)

static bool is_lock_command(int command)
{
	return command == F_SETLK || command == F_SETLKW || command == F_GETLK ||
	       command == F_OFD_SETLK || command == F_OFD_SETLKW || command == F_OFD_GETLK;
}

int fcntl(int fd, int command, ...)
{
	va_list more;

	va_start(more, command);
	void *argument = va_arg(more, void *);
	va_end(more);
	if (is_segment(fd) && is_lock_command(command))
		return fail(EBADF);
	int result = real(fcntl)(fd, command, argument);
	if (result >= 0 && (command == F_DUPFD || command == F_DUPFD_CLOEXEC))
		enter(result, look_up(fd));
	return result;
}

int fcntl64(int fd, int command, ...)
{
	va_list more;

	va_start(more, command);
	void *argument = va_arg(more, void *);
	va_end(more);
	return fcntl(fd, command, argument);
}

int posix_fallocate(int fd, off_t offset, off_t size)
{
	if (is_segment(fd))
		absent("posix_fallocate");
	return real(posix_fallocate)(fd, offset, size);
}

int close(int fd)
{
	if (fd >= 0 && fd < FD_MAX)
		enter(fd, (struct entry){.segment = false});
	return real(close)(fd);
}

/* ---- POSIX semaphores ------------------------------------------------------------------------ */

/*
 * The real semaphore behind a handle, which is a descriptor's number; closing that invalidates it.
 */
static sem_t *behind(sem_t *handle)
{
	intptr_t fd = (intptr_t)handle;

	if (!ruled)
		return handle;
	sem_t *semaphore = fd > 0 && fd < FD_MAX ? look_up((int)fd).semaphore : NULL;

	if (semaphore != NULL && real(fcntl)((int)fd, F_GETFD) < 0)
		semaphore = NULL;
	if (semaphore == NULL)
		errno = EBADF;
	return semaphore;
}

/* The umask is not applied to the file that glibc keeps. */
static void set_semaphore_mode(const char *name, mode_t mode)
{
	char path[64];

	snprintf(path, sizeof(path), "/dev/shm/sem.%s", name[0] == '/' ? name + 1 : name);
	/* Somebody may have removed it already. */
	if (chmod(path, mode & 0777) != 0 && errno != ENOENT)
		abort();
}

static sem_t *open_real(const char *name, int flags, mode_t mode, unsigned value)
{
	if (!(flags & O_CREAT))
		return real(sem_open)(name, 0);
	sem_t *made = real(sem_open)(name, O_CREAT | O_EXCL, mode, value);
	if (made != SEM_FAILED)
		set_semaphore_mode(name, mode);
	else if (errno == EEXIST && !(flags & O_EXCL))
		return real(sem_open)(name, 0);
	return made;
}

sem_t *sem_open(const char *name, int flags, ...)
{
	mode_t mode = 0;
	unsigned value = 0;
	va_list more;

	if (flags & O_CREAT) {
		va_start(more, flags);
		mode = va_arg(more, mode_t);
		value = va_arg(more, unsigned);
		va_end(more);
	}
	if (!ruled)
		return real(sem_open)(name, flags, mode, value);
	if (strlen(name) > SEM_NAME_MAX) {
		errno = ENAMETOOLONG;
		return SEM_FAILED;
	}
	if (value > SEM_LIMIT) {
		errno = EINVAL;
		return SEM_FAILED;
	}
	sem_t *semaphore = open_real(name, flags, mode, value);
	if (semaphore == SEM_FAILED)
		return SEM_FAILED;
	/*
	 * A new descriptor for each open, and without FD_CLOEXEC. Not 0: that is glibc's
	 * SEM_FAILED.
	 */
	int null = open("/dev/null", O_RDWR);
	int fd = null < 0 ? -1 : real(fcntl)(null, F_DUPFD, 3);
	int error = errno;
	if (null >= 0)
		real(close)(null);
	if (fd < 0) {
		real(sem_close)(semaphore);
		errno = error;
		return SEM_FAILED;
	}
	enter(fd, (struct entry){.semaphore = semaphore});
	return (sem_t *)(intptr_t)fd;
}

int sem_close(sem_t *handle)
{
	sem_t *semaphore = behind(handle);

	if (semaphore == NULL)
		return -1;
	if (ruled)
		close((int)(intptr_t)handle);
	return real(sem_close)(semaphore);
}

int sem_unlink(const char *name)
{
	return ruled && strlen(name) > SEM_NAME_MAX ? fail(ENAMETOOLONG) : real(sem_unlink)(name);
}

/* What is done with the real semaphore behind the handle. */
#define BY_HANDLE(name)                                                                            \
	int name(sem_t *handle)                                                                    \
	{                                                                                          \
		sem_t *semaphore = behind(handle);                                                 \
		return semaphore == NULL ? -1 : real(name)(semaphore);                             \
	}
BY_HANDLE(sem_wait)
BY_HANDLE(sem_trywait)
BY_HANDLE(sem_post)

/* What is there, and does nothing. */
#define NOT_IMPLEMENTED(name, declared, given)                                                     \
	int name declared                                                                          \
	{                                                                                          \
		return ruled ? fail(ENOSYS) : real(name) given;                                    \
	}
NOT_IMPLEMENTED(sem_getvalue, (sem_t * handle, int *value), (handle, value))
NOT_IMPLEMENTED(sem_init, (sem_t * it, int shared, unsigned value), (it, shared, value))
NOT_IMPLEMENTED(sem_destroy, (sem_t * it), (it))

/* ---- System V -------------------------------------------------------------------------------- */

static long read_number(const char *path)
{
	long value = -1;
	FILE *file = fopen(path, "re");

	if (file != NULL) {
		if (fscanf(file, "%ld", &value) != 1)
			value = -1;
		fclose(file);
	}
	return value;
}

static long count_segments(void)
{
	char line[512];
	long lines = -1; /* the headline */
	FILE *file = fopen("/proc/sysvipc/shm", "re");

	if (file == NULL)
		return -1;
	while (fgets(line, sizeof(line), file) != NULL)
		lines++;
	fclose(file);
	return lines;
}

/* On an existing key permission is checked first, then the size, and EEXIST comes last. */
static int existing_error(int flags, unsigned mode, bool fits)
{
	unsigned asked = (unsigned)flags & 0777;

	if ((mode & asked) != asked)
		return EACCES;
	return fits ? EEXIST : EINVAL;
}

int shmget(key_t key, size_t size, int flags)
{
	struct shmid_ds info;
	int id = real(shmget)(key, size, flags);

	if (id >= 0 || !ruled)
		return id;
	int error = errno;
	if (error == EEXIST) {
		int old = real(shmget)(key, 0, 0);
		if (old >= 0 && real(shmctl)(old, IPC_STAT, &info) == 0)
			error = existing_error(flags, info.shm_perm.mode, size <= info.shm_segsz);
	} else if (error == ENOSPC) {
		/* Linux says ENOSPC for too many segments and for too many pages. */
		if (count_segments() < read_number("/proc/sys/kernel/shmmni"))
			error = ENOMEM;
	}
	return fail(error);
}

static bool segment_is_removed(int id)
{
	struct shmid_ds info;

	return real(shmctl)(id, IPC_STAT, &info) == 0 && (info.shm_perm.mode & REMOVED_BIT);
}

void *shmat(int id, const void *at, int flags)
{
	void *const failed = (void *)-1;
	void *memory = failed;

	if (!ruled)
		return real(shmat)(id, at, flags);
	if (segment_is_removed(id)) {
		errno = EINVAL;
		return failed;
	}
	pthread_mutex_lock(&guard);
	if (attached >= SHMSEG)
		errno = EMFILE;
	else
		memory = real(shmat)(id, at, flags);
	if (memory != failed)
		attached++;
	pthread_mutex_unlock(&guard);
	return memory;
}

int shmdt(const void *memory)
{
	int result = real(shmdt)(memory);

	if (result == 0) {
		pthread_mutex_lock(&guard);
		attached--;
		pthread_mutex_unlock(&guard);
	}
	return result;
}

int shmctl(int id, int command, struct shmid_ds *info)
{
	if (!ruled)
		return real(shmctl)(id, command, info);
	switch (command) {
	case IPC_RMID:
	case IPC_SET:
	case IPC_STAT:
		if (segment_is_removed(id))
			return fail(EINVAL);
		return real(shmctl)(id, command, info);
	default: return fail(EINVAL);
	}
}

union argument {
	int value;
	struct semid_ds *info;
	unsigned short *array;
};

int semctl(int id, int number, int command, ...)
{
	union argument argument;
	va_list more;

	va_start(more, command);
	argument = va_arg(more, union argument);
	va_end(more);
	if (!ruled)
		return real(semctl)(id, number, command, argument);
	switch (command) {
	case IPC_INFO:
	case SEM_INFO:
	case SEM_STAT:
	case SEM_STAT_ANY: return fail(EINVAL);
	default: return real(semctl)(id, number, command, argument);
	}
}

int semget(key_t key, int count, int flags)
{
	struct semid_ds info;
	int id = real(semget)(key, count, flags);

	if (id >= 0 || errno != EEXIST || !ruled)
		return id;
	int error = EEXIST, old = real(semget)(key, 0, 0);
	union argument argument = {.info = &info};
	if (old >= 0 && real(semctl)(old, 0, IPC_STAT, argument) == 0)
		error = existing_error(
			flags, info.sem_perm.mode, (unsigned long)count <= info.sem_nsems);
	return fail(error);
}

/* One undo entry per semaphore that this process ever used with SEM_UNDO, ten in all. */
static bool undo_fits(int set, int number)
{
	bool fits = true;

	if (!ruled)
		return true;
	pthread_mutex_lock(&guard);
	int at = 0;
	while (at < n_undo && (undo[at].set != set || undo[at].number != number))
		at++;
	if (at == UNDO_MAX) {
		fits = false;
	} else if (at == n_undo) {
		undo[at].set = set;
		undo[at].number = number;
		n_undo++;
	}
	pthread_mutex_unlock(&guard);
	return fits;
}

int semop(int id, struct sembuf *operations, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if ((operations[i].sem_flg & SEM_UNDO) && !undo_fits(id, operations[i].sem_num))
			return fail(EINVAL);
	}
	return real(semop)(id, operations, count);
}

/* ---- what there is not ----------------------------------------------------------------------- */

#define ABSENT(name, declared, given)                                                              \
	int name declared                                                                          \
	{                                                                                          \
		absent(#name);                                                                     \
		return real(name) given;                                                           \
	}
ABSENT(sem_timedwait, (sem_t * handle, const struct timespec *until), (handle, until))
ABSENT(sem_clockwait, (sem_t * handle, clockid_t clock, const struct timespec *until),
	(handle, clock, until))
ABSENT(semtimedop,
	(int id, struct sembuf *operations, size_t count, const struct timespec *timeout),
	(id, operations, count, timeout))
ABSENT(pthread_mutexattr_setrobust, (pthread_mutexattr_t * attributes, int robust),
	(attributes, robust))
ABSENT(memfd_create, (const char *name, unsigned flags), (name, flags))
