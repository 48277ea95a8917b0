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

#if defined __linux__ && defined __GLIBC__ && UINTPTR_MAX > UINT32_MAX

#include <sys/random.h>

enum { NAMES_MAX = 64, OBJECTS_MAX = 64, DESCRIPTORS = 256 };

static struct {
	const char *name;
	unsigned count;
} seen[NAMES_MAX];
static bool on, failed;
static const char *target;
static unsigned target_nth;
static int target_error;

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

void native_begin(const char *name, unsigned nth, int error)
{
	for (unsigned i = 0; i < NAMES_MAX; i++)
		seen[i].count = 0;
	failed = false;
	target = name;
	target_nth = nth;
	target_error = error;
}

void native_on(void)
{
	on = true;
}

void native_off(void)
{
	on = false;
}

static unsigned *count_of(const char *name)
{
	unsigned i = 0;

	while (seen[i].name != NULL && strcmp(seen[i].name, name) != 0)
		if (++i == NAMES_MAX)
			abort();
	seen[i].name = name;
	return &seen[i].count;
}

unsigned native_count(const char *name)
{
	return *count_of(name);
}

bool native_failed(void)
{
	return failed;
}

/* 0, or how this call is to fail. */
static int enter(const char *name)
{
	if (!on || ++*count_of(name) != target_nth || target == NULL || strcmp(name, target) != 0)
		return 0;
	failed = true;
	return target_error;
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
		int error = enter(#name);                                                          \
		if (error == 0)                                                                    \
			return real arguments;                                                     \
		errno = error;                                                                     \
		return none;                                                                       \
	}
/* A call that has done its work whatever it says. `held`: what there is less of then. */
#define AFTER(name, parameters, arguments, held)                                                   \
	int name parameters                                                                        \
	{                                                                                          \
		REAL(name);                                                                        \
		int result = real arguments, error = enter(#name);                                 \
		if (result == 0 && (held) != NULL)                                                 \
			--*(int *)(held);                                                          \
		if (error == 0)                                                                    \
			return result;                                                             \
		errno = error;                                                                     \
		return -1;                                                                         \
	}

/* ---- files ----------------------------------------------------------------------------------- */

int open(const char *path, int flags, ...)
{
	REAL(open);
	va_list more;
	va_start(more, flags);
	mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
	va_end(more);
	errno = enter("open");
	return errno != 0 ? -1 : real(path, flags, mode);
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
	if (on && (fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0)
		inheritable++;
	int error = enter("close"), result = real(fd);

	if (error == 0)
		return result;
	errno = error;
	return -1;
}

int posix_fallocate(int fd, off_t offset, off_t size)
{
	REAL(posix_fallocate);
	int error = enter("posix_fallocate");

	errno = 0;
	return error != 0 ? error : real(fd, offset, size);
}

/* ---- memory ---------------------------------------------------------------------------------- */

void *mmap(void *at, size_t length, int protection, int flags, int fd, off_t offset)
{
	REAL(mmap);
	int error = enter("mmap");
	void *memory = error == 0 ? real(at, length, protection, flags, fd, offset) : MAP_FAILED;

	if (error != 0)
		errno = error;
	mappings += memory != MAP_FAILED;
	return memory;
}

AFTER(munmap, (void *memory, size_t length), (memory, length), &mappings)
BEFORE(int, -1, madvise, (void *memory, size_t length, int advice), (memory, length, advice))

#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
/* dlsym allocates; these are what it would find. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);

void *malloc(size_t size)
{
	int error = enter("malloc");

	if (error == 0)
		return __libc_malloc(size);
	errno = error;
	return NULL;
}

void *calloc(size_t count, size_t size)
{
	int error = enter("calloc");

	if (error == 0)
		return __libc_calloc(count, size);
	errno = error;
	return NULL;
}

void *realloc(void *memory, size_t size)
{
	int error = enter("realloc");

	if (error == 0)
		return __libc_realloc(memory, size);
	errno = error;
	return NULL;
}
#endif

/* ---- kernel objects -------------------------------------------------------------------------- */

static void note(enum kind kind, int id, const char *name)
{
	unsigned i = 0;

	if (!on)
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
	int error = enter((flags & IPC_CREAT) != 0 ? "shmget IPC_CREAT" : "shmget"),
	    id = error == 0 ? real(key, size, flags) : -1;

	if (error != 0)
		errno = error;
	if (id >= 0 && (flags & IPC_CREAT) != 0)
		note(SEGMENT, id, "");
	return id;
}

int semget(key_t key, int n, int flags)
{
	REAL(semget);
	int error = enter((flags & IPC_CREAT) != 0 ? "semget IPC_CREAT" : "semget"),
	    id = error == 0 ? real(key, n, flags) : -1;

	if (error != 0)
		errno = error;
	if (id >= 0 && (flags & IPC_CREAT) != 0)
		note(SET, id, "");
	return id;
}

int shm_open(const char *name, int flags, mode_t mode)
{
	REAL(shm_open);
	int error = enter((flags & O_CREAT) != 0 ? "shm_open O_CREAT" : "shm_open"),
	    fd = error == 0 ? real(name, flags, mode) : -1;

	if (error != 0)
		errno = error;
	/* As where the system does not do it by itself. */
	if (fd >= 0)
		fcntl(fd, F_SETFD, 0);
	if (fd >= 0 && (flags & O_CREAT) != 0)
		note(SHARED, -1, name);
	return fd;
}

sem_t *sem_open(const char *name, int flags, ...)
{
	REAL(sem_open);
	va_list more;
	va_start(more, flags);
	mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
	unsigned value = (flags & O_CREAT) != 0 ? va_arg(more, unsigned) : 0;
	va_end(more);
	int error = enter((flags & O_CREAT) != 0 ? "sem_open O_CREAT" : "sem_open");
	sem_t *semaphore = error == 0 ? real(name, flags, mode, value) : SEM_FAILED;

	if (error != 0)
		errno = error;
	semaphores += semaphore != SEM_FAILED;
	if ((flags & O_CREAT) != 0 && (semaphore != SEM_FAILED || errno != EEXIST))
		note(SEMAPHORE, -1, name);
	return semaphore;
}

void *shmat(int id, const void *at, int flags)
{
	REAL(shmat);
	int error = enter("shmat");
	void *memory = error == 0 ? real(id, at, flags) : (void *)-1;

	if (error != 0)
		errno = error;
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
	errno = enter(command == IPC_RMID ? "semctl IPC_RMID" : "semctl");
	return errno != 0 ? -1 : real(id, number, command, argument);
}

int shmctl(int id, int command, struct shmid_ds *out)
{
	REAL(shmctl);
	errno = enter(command == IPC_RMID ? "shmctl IPC_RMID" : "shmctl");
	return errno != 0 ? -1 : real(id, command, out);
}

int semop(int id, struct sembuf *operations, size_t n)
{
	REAL(semop);
	errno = enter(n > 1 ? "semop of several" : "semop");
	return errno != 0 ? -1 : real(id, operations, n);
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

void native_begin(const char *name, unsigned nth, int error)
{
	(void)name, (void)nth, (void)error;
}

void native_on(void)
{
}

void native_off(void)
{
}

unsigned native_count(const char *name)
{
	(void)name;
	return 0;
}

bool native_failed(void)
{
	return false;
}

struct native_held native_held(void)
{
	return (struct native_held){0};
}

#endif
