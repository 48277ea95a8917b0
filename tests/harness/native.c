/* SPDX-License-Identifier: MIT */
/*
 * Stands before the system's calls; see the header. Traps: a call that gives something back has
 * done so even where it fails (close, munmap), posix_fallocate leaves errno alone, and what a
 * program calls is not always what its header calls it (a 32-bit one's open is open64).
 */
#include "config.h"

#include "harness/native.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int64_t native_wall_shift_ns;

enum { NAMES_MAX = 64 };

static struct {
	bool on, failed;
	const char *target;
	unsigned nth;
	int error;
	struct {
		const char *name;
		unsigned count;
	} seen[NAMES_MAX];
} calls;

void native_begin(const char *name, unsigned nth, int error)
{
	for (unsigned i = 0; i < NAMES_MAX; i++)
		calls.seen[i].count = 0;
	calls.failed = false;
	calls.target = name;
	calls.nth = nth;
	calls.error = error;
}

void native_on(void)
{
	calls.on = true;
}

void native_off(void)
{
	calls.on = false;
}

static unsigned *count_of(const char *name)
{
	unsigned i = 0;

	while (calls.seen[i].name != NULL && strcmp(calls.seen[i].name, name) != 0)
		if (++i == NAMES_MAX)
			abort();
	calls.seen[i].name = name;
	return &calls.seen[i].count;
}

unsigned native_count(const char *name)
{
	return *count_of(name);
}

bool native_failed(void)
{
	return calls.failed;
}

#if defined __linux__ && defined __GLIBC__ && UINTPTR_MAX > UINT32_MAX

#include <sys/random.h>

enum { OBJECTS_MAX = 64, DESCRIPTORS = 256 };

static int mappings, semaphores, inheritable;
enum kind { NOTHING, SEGMENT, SET, SHARED, SEMAPHORE };
static struct object {
	enum kind kind;
	int id;
	char name[96];
} objects[OBJECTS_MAX];

bool native_works(void)
{
	return true;
}

/* True: this call is to fail, and errno says how. */
static bool fails(const char *name)
{
	if (!calls.on || ++*count_of(name) != calls.nth || calls.target == NULL ||
		strcmp(name, calls.target) != 0)
		return false;
	calls.failed = true;
	errno = calls.error;
	return true;
}

static void *find(const char *name)
{
	void *function = dlsym(RTLD_NEXT, name);

	if (function == NULL)
		abort();
	return function;
}

#define REAL(name)                                                                                 \
	static __typeof__(&name) real;                                                             \
	if (real == NULL)                                                                          \
	real = (__typeof__(&name))find(#name)

/* A call that fails before it did anything. */
#define BEFORE(type, none, name, parameters, arguments)                                            \
	type name parameters                                                                       \
	{                                                                                          \
		REAL(name);                                                                        \
		return fails(#name) ? none : real arguments;                                       \
	}
/* A call that has done its work whatever it says. `held`: what there is less of then. */
#define AFTER(name, parameters, arguments, held)                                                   \
	int name parameters                                                                        \
	{                                                                                          \
		REAL(name);                                                                        \
		int result = real arguments;                                                       \
		if (result == 0 && (held) != NULL)                                                 \
			--*(int *)(held);                                                          \
		return fails(#name) ? -1 : result;                                                 \
	}

/* ---- files ----------------------------------------------------------------------------------- */

int open(const char *path, int flags, ...)
{
	REAL(open);
	va_list more;
	va_start(more, flags);
	mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
	va_end(more);
	return fails("open") ? -1 : real(path, flags, mode);
}

int fcntl(int fd, int command, ...)
{
	REAL(fcntl);
	va_list more;
	va_start(more, command);
	long argument = va_arg(more, long);
	va_end(more);
	return real(fd, command, argument);
}

BEFORE(int, -1, fstat, (int fd, struct stat *out), (fd, out))
BEFORE(int, -1, lstat, (const char *path, struct stat *out), (path, out))
BEFORE(int, -1, stat, (const char *path, struct stat *out), (path, out))
BEFORE(int, -1, fchmod, (int fd, mode_t mode), (fd, mode))
BEFORE(int, -1, flock, (int fd, int operation), (fd, operation))
BEFORE(int, -1, link, (const char *from, const char *to), (from, to))
BEFORE(int, -1, unlink, (const char *path), (path))
BEFORE(int, -1, mkdir, (const char *path, mode_t mode), (path, mode))
BEFORE(ssize_t, -1, read, (int fd, void *to, size_t size), (fd, to, size))
BEFORE(ssize_t, -1, pread, (int fd, void *to, size_t size, off_t at), (fd, to, size, at))
BEFORE(ssize_t, -1, pwrite, (int fd, const void *from, size_t size, off_t at), (fd, from, size, at))
BEFORE(int, -1, ftruncate, (int fd, off_t size), (fd, size))
BEFORE(DIR *, NULL, opendir, (const char *path), (path))
BEFORE(struct dirent *, NULL, readdir, (DIR * directory), (directory))
BEFORE(FILE *, NULL, fopen, (const char *path, const char *mode), (path, mode))
BEFORE(ssize_t, -1, getrandom, (void *to, size_t size, unsigned flags), (to, size, flags))
AFTER(closedir, (DIR * directory), (directory), NULL)

int close(int fd)
{
	REAL(close);
	if (calls.on && (fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0)
		inheritable++;
	int result = real(fd);

	return fails("close") ? -1 : result;
}

int posix_fallocate(int fd, off_t offset, off_t size)
{
	REAL(posix_fallocate);
	int result = fails("posix_fallocate") ? errno : real(fd, offset, size);

	errno = 0;
	return result;
}

/* ---- memory ---------------------------------------------------------------------------------- */

void *mmap(void *at, size_t length, int protection, int flags, int fd, off_t offset)
{
	REAL(mmap);
	void *memory = fails("mmap") ? MAP_FAILED : real(at, length, protection, flags, fd, offset);

	mappings += memory != MAP_FAILED;
	return memory;
}

AFTER(munmap, (void *memory, size_t length), (memory, length), &mappings)
BEFORE(int, -1, madvise, (void *memory, size_t length, int advice), (memory, length, advice))

#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
/* dlsym allocates; these are what it would find. */
#define ALLOCATES(name, parameters, arguments)                                                     \
	void *__libc_##name parameters;                                                            \
	void *name parameters                                                                      \
	{                                                                                          \
		return fails(#name) ? NULL : __libc_##name arguments;                              \
	}
ALLOCATES(malloc, (size_t size), (size))
ALLOCATES(calloc, (size_t count, size_t size), (count, size))
ALLOCATES(realloc, (void *memory, size_t size), (memory, size))
#endif

/* ---- kernel objects -------------------------------------------------------------------------- */

static void note(enum kind kind, int id, const char *name)
{
	unsigned i = 0;

	if (!calls.on)
		return;
	while (objects[i].kind != NOTHING)
		if (++i == OBJECTS_MAX)
			abort();
	objects[i].kind = kind;
	objects[i].id = id;
	snprintf(objects[i].name, sizeof objects[i].name, "%s", name);
}

int shmget(key_t key, size_t size, int flags)
{
	REAL(shmget);
	bool makes = (flags & IPC_CREAT) != 0;
	int id = fails(makes ? "shmget IPC_CREAT" : "shmget") ? -1 : real(key, size, flags);

	if (id >= 0 && makes)
		note(SEGMENT, id, "");
	return id;
}

int semget(key_t key, int n, int flags)
{
	REAL(semget);
	bool makes = (flags & IPC_CREAT) != 0;
	int id = fails(makes ? "semget IPC_CREAT" : "semget") ? -1 : real(key, n, flags);

	if (id >= 0 && makes)
		note(SET, id, "");
	return id;
}

int shm_open(const char *name, int flags, mode_t mode)
{
	REAL(shm_open);
	bool makes = (flags & O_CREAT) != 0;
	int fd = fails(makes ? "shm_open O_CREAT" : "shm_open") ? -1 : real(name, flags, mode);

	/* As where the system does not do it by itself. */
	if (fd >= 0)
		fcntl(fd, F_SETFD, 0);
	if (fd >= 0 && makes)
		note(SHARED, -1, name);
	return fd;
}

sem_t *sem_open(const char *name, int flags, ...)
{
	REAL(sem_open);
	bool makes = (flags & O_CREAT) != 0;
	va_list more;
	va_start(more, flags);
	mode_t mode = makes ? va_arg(more, mode_t) : 0;
	unsigned value = makes ? va_arg(more, unsigned) : 0;
	va_end(more);
	sem_t *semaphore = fails(makes ? "sem_open O_CREAT" : "sem_open")
				   ? SEM_FAILED
				   : real(name, flags, mode, value);

	semaphores += semaphore != SEM_FAILED;
	if (makes && (semaphore != SEM_FAILED || errno != EEXIST))
		note(SEMAPHORE, -1, name);
	return semaphore;
}

void *shmat(int id, const void *at, int flags)
{
	REAL(shmat);
	void *memory = fails("shmat") ? (void *)-1 : real(id, at, flags);

	mappings += memory != (void *)-1;
	return memory;
}

int semctl(int id, int number, int command, ...)
{
	REAL(semctl);
	va_list more;
	va_start(more, command);
	void *argument = va_arg(more, void *);
	va_end(more);
	return fails(command == IPC_RMID ? "semctl IPC_RMID" : "semctl")
		       ? -1
		       : real(id, number, command, argument);
}

int shmctl(int id, int command, struct shmid_ds *out)
{
	REAL(shmctl);
	return fails(command == IPC_RMID ? "shmctl IPC_RMID" : "shmctl") ? -1
									 : real(id, command, out);
}

int semop(int id, struct sembuf *operations, size_t n)
{
	REAL(semop);
	return fails(n > 1 ? "semop of several" : "semop") ? -1 : real(id, operations, n);
}

AFTER(shmdt, (const void *memory), (memory), &mappings)
AFTER(sem_close, (sem_t * semaphore), (semaphore), &semaphores)
BEFORE(int, -1, semtimedop,
	(int id, struct sembuf *operations, size_t n, const struct timespec *timeout),
	(id, operations, n, timeout))
BEFORE(key_t, -1, ftok, (const char *path, int id), (path, id))
BEFORE(int, -1, shm_unlink, (const char *name), (name))
BEFORE(int, -1, sem_unlink, (const char *name), (name))
BEFORE(int, -1, sem_post, (sem_t * semaphore), (semaphore))
BEFORE(int, -1, sem_trywait, (sem_t * semaphore), (semaphore))
BEFORE(int, -1, sem_timedwait, (sem_t * semaphore, const struct timespec *at), (semaphore, at))
#ifdef HAVE_SEM_CLOCKWAIT
BEFORE(int, -1, sem_clockwait, (sem_t * semaphore, clockid_t clock, const struct timespec *at),
	(semaphore, clock, at))
#endif

/* ---- the clock ------------------------------------------------------------------------------- */

BEFORE(int, -1, nanosleep, (const struct timespec *length, struct timespec *left), (length, left))

int clock_gettime(clockid_t clock, struct timespec *out)
{
	REAL(clock_gettime);
	int result = real(clock, out);

	if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)
		out->tv_sec += native_wall_shift_ns / 1000000000;
	return result;
}

/* ---- what is held ---------------------------------------------------------------------------- */

static bool is_there(const struct object *object)
{
	struct shmid_ds segment;
	struct semid_ds set;
	char path[128];

	switch (object->kind) {
	case SEGMENT: return shmctl(object->id, IPC_STAT, &segment) == 0;
	case SET: return semctl(object->id, 0, IPC_STAT, &set) == 0;
	case SHARED: snprintf(path, sizeof path, "/dev/shm%s", object->name); break;
	case SEMAPHORE: snprintf(path, sizeof path, "/dev/shm/sem.%s", object->name + 1); break;
	default: return false;
	}
	return access(path, F_OK) == 0;
}

struct native_held native_held(void)
{
	struct native_held held = {
		.mappings = mappings, .semaphores = semaphores, .inheritable = inheritable};

	for (int fd = 0; fd < DESCRIPTORS; fd++)
		held.descriptors += fcntl(fd, F_GETFD) >= 0;
	for (unsigned i = 0; i < OBJECTS_MAX; i++) {
		if (is_there(&objects[i]))
			held.objects++;
		else
			objects[i].kind = NOTHING;
	}
	return held;
}

#else

bool native_works(void)
{
	return false;
}

struct native_held native_held(void)
{
	return (struct native_held){0};
}

#endif
