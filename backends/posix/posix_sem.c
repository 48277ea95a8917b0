/* SPDX-License-Identifier: MIT */
/*
 * POSIX bells: one named semaphore each, opened once by each process that uses the object.
 *
 * Traps. A sem_t * is nobody's to look at: on macOS it is a descriptor, 0 among them, so only SEM_FAILED is
 * compared with. Opening one name twice gives the same pointer on some systems and illumos closes it for all at the first
 * sem_close: here one handle opens a bell once, and a second handle of the same object in one
 * process is what illumos cannot have. An opener can meet a semaphore that is half made (EINVAL on
 * OpenBSD); glibc and musl do not check the file's size, and using one of length 0 is SIGBUS. The kernel
 * does not wake sleepers when the name is removed: the object's header tells them.
 */
#include "config.h"

#include "backends/posix/posix.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct duoshm__bells {
	unsigned n;
	sem_t *semaphore[DUOSHM_BELLS_MAX];
};

static int gone(const char *name, int system_error, struct duoshm_failure *why)
{
	duoshm__native_failure(
		why, DUOSHM_ERR_NOT_FOUND, system_error, "sem_open(\"%s\", 0)", name);
	return duoshm__native_cause(why,
		system_error == ENOENT ? "there is no semaphore with name %s"
				       : "the semaphore %s is not built yet",
		name);
}

static int fail_open(
	int system_error, const char *name, const char *flags, struct duoshm_failure *why)
{
	int code = duoshm__posix_code(system_error);

	duoshm__native_failure(why, code, system_error, "sem_open(\"%s\", %s)", name, flags);
	if (code == DUOSHM_ERR_LIMIT || code == DUOSHM_ERR_NO_SPACE)
		return duoshm__posix_blame_bell(why);
	return code;
}

static void close_first(struct duoshm__bells *bells, unsigned n)
{
	while (n-- > 0)
		sem_close(bells->semaphore[n]);
	free(bells);
}

/* False for one that would be SIGBUS to touch, as far as it can be seen. */
static bool whole(const char *name)
{
#if defined __linux__
	struct stat status;
	char path[DUOSHM__NATIVE_SIZE + 16];

#if defined __GLIBC__
	snprintf(path, sizeof path, DUOSHM__POSIX_DIRECTORY "/sem.%s", name + 1);
#else
	snprintf(path, sizeof path, DUOSHM__POSIX_DIRECTORY "/%s", name + 1);
#endif
	return stat(path, &status) < 0 || status.st_size >= (off_t)sizeof(sem_t);
#else
	(void)name;
	return true;
#endif
}

static sem_t *open_one(const char *name, int flags, unsigned mode)
{
	sem_t *semaphore;

	if (flags == 0 && !whole(name)) {
		errno = EINVAL;
		return SEM_FAILED;
	}
	do
		semaphore = sem_open(name, flags, (mode_t)mode, 0u);
	while (semaphore == SEM_FAILED && errno == EINTR);
	return semaphore;
}

/* How many of `n` could be opened: where it is fewer, `name` is the first that could not, and errno says why. */
static unsigned open_all(struct duoshm__bells *bells, const struct duoshm__native *native,
	unsigned n, int flags, unsigned mode, char name[DUOSHM__NATIVE_SIZE])
{
	unsigned i;

	bells->n = n;
	for (i = 0; i < n; i++) {
		duoshm__posix_bell_name(native, i, name);
		bells->semaphore[i] = open_one(name, flags, mode);
		if (bells->semaphore[i] == SEM_FAILED)
			break;
	}
	return i;
}

int duoshm__posix_bells_create(struct duoshm__native *native, unsigned n, unsigned mode,
	struct duoshm__bells **out, struct duoshm_failure *why)
{
	struct duoshm__bells *bells = malloc(sizeof *bells);
	char name[DUOSHM__NATIVE_SIZE];
	unsigned made;

	if (bells == NULL)
		return duoshm__native_failure(why, DUOSHM_ERR_NO_SPACE, ENOMEM, "malloc");
	made = open_all(bells, native, n, O_CREAT | O_EXCL, duoshm__bell_mode(mode), name);
	if (made < n) {
		fail_open(errno, name, "O_CREAT | O_EXCL", why);
		close_first(bells, made);
		duoshm__posix_remove_bells(native, made, &(struct duoshm_failure){0});
		return why->code;
	}
	native->bells_id = -1;
	*out = bells;
	return 0;
}

int duoshm__posix_bells_open(const struct duoshm__native *native, unsigned n,
	struct duoshm__bells **out, struct duoshm_failure *why)
{
	struct duoshm__bells *bells = malloc(sizeof *bells);
	char name[DUOSHM__NATIVE_SIZE];
	unsigned opened;
	int saved;

	if (bells == NULL)
		return duoshm__native_failure(why, DUOSHM_ERR_NO_SPACE, ENOMEM, "malloc");
	opened = open_all(bells, native, n, 0, 0, name);
	if (opened < n) {
		saved = errno;
		close_first(bells, opened);
		if (saved == ENOENT || saved == EINVAL)
			return gone(name, saved, why);
		return fail_open(saved, name, "0", why);
	}
	*out = bells;
	return 0;
}

void duoshm__posix_bells_close(struct duoshm__bells *bells)
{
	if (bells != NULL)
		close_first(bells, bells->n);
}

static int fail_operation(
	int system_error, const char *call, unsigned bell, struct duoshm_failure *why)
{
	int code = system_error == EAGAIN || system_error == ETIMEDOUT ? DUOSHM_ERR_TIMEOUT
		   : system_error == EINTR                             ? DUOSHM_ERR_INTERRUPTED
								       : DUOSHM_ERR_SYSTEM;

	return duoshm__native_failure(why, code, system_error, "%s(bell %u)", call, bell);
}

int duoshm__posix_ring(struct duoshm__bells *bells, unsigned bell, struct duoshm_failure *why)
{
	if (bell >= bells->n)
		return duoshm__no_such_bell(why, "sem_post", bell, bells->n);
	while (sem_post(bells->semaphore[bell]) < 0) {
		/* Full of rings that nobody took: one more would tell nothing new. */
		if (errno == EOVERFLOW)
			return 0;
		if (errno != EINTR)
			return fail_operation(errno, "sem_post", bell, why);
	}
	return 0;
}

static int take(sem_t *semaphore)
{
	return sem_trywait(semaphore) == 0 ? 0 : errno;
}

#ifdef HAVE_SEM_CLOCKWAIT_NP

/* FreeBSD: the one that takes what is left, not a time of day. */
static int take_within(sem_t *semaphore, int64_t timeout_ns)
{
	struct timespec left = duoshm__timespec(timeout_ns);

	return sem_clockwait_np(semaphore, CLOCK_MONOTONIC, 0, &left, NULL) == 0 ? 0 : errno;
}

#elif defined HAVE_SEM_CLOCKWAIT || defined HAVE_SEM_TIMEDWAIT

#ifdef HAVE_SEM_CLOCKWAIT
#define WAIT_CLOCK                CLOCK_MONOTONIC
#define wait_until(semaphore, at) sem_clockwait(semaphore, WAIT_CLOCK, at)
#else
/* A clock that is set back lengthens the wait on a system that keeps the absolute time. */
#define WAIT_CLOCK                CLOCK_REALTIME
#define wait_until(semaphore, at) sem_timedwait(semaphore, at)
#endif

static int take_within(sem_t *semaphore, int64_t timeout_ns)
{
	struct timespec at;

	clock_gettime(WAIT_CLOCK, &at);
	/* In range: a tv_nsec out of it is not refused everywhere. */
	at = duoshm__timespec((int64_t)at.tv_sec * 1000000000 + at.tv_nsec + timeout_ns);
	return wait_until(semaphore, &at) == 0 ? 0 : errno;
}

#else

static int attempt(void *semaphore)
{
	return take(semaphore);
}

static int take_within(sem_t *semaphore, int64_t timeout_ns)
{
	return duoshm__native_poll(attempt, semaphore, timeout_ns);
}

#endif

int duoshm__posix_wait(
	struct duoshm__bells *bells, unsigned bell, int64_t timeout_ns, struct duoshm_failure *why)
{
	int system_error;

	if (bell >= bells->n)
		return duoshm__no_such_bell(why, "sem_wait", bell, bells->n);
	system_error = timeout_ns <= 0 ? take(bells->semaphore[bell])
				       : take_within(bells->semaphore[bell], timeout_ns);
	return system_error == 0 ? 0 : fail_operation(system_error, "sem_wait", bell, why);
}

int duoshm__posix_remove_bells(
	const struct duoshm__native *native, unsigned n, struct duoshm_failure *why)
{
	char name[DUOSHM__NATIVE_SIZE];
	unsigned i;

	for (i = 0; i < n; i++) {
		duoshm__posix_bell_name(native, i, name);
		if (sem_unlink(name) < 0 && errno != ENOENT)
			return duoshm__native_failure(
				why, duoshm__posix_code(errno), errno, "sem_unlink(\"%s\")", name);
	}
	return 0;
}
