/* SPDX-License-Identifier: MIT */
/*
 * POSIX bells: one named semaphore each, opened once by each process that uses the object.
 *
 * Traps. A sem_t * is nobody's to look at: on macOS it is a descriptor, 0 among them, so only
 * SEM_FAILED is compared with. Opening one name twice gives the same pointer on some systems and
 * illumos closes it for all at the first sem_close: here one handle opens a bell once, and a second
 * handle of the same object in one process is what illumos cannot have. An opener can meet a
 * semaphore that is half made (EINVAL on OpenBSD); glibc and musl do not check the file's size, and
 * using one of length 0 is SIGBUS. The kernel does not wake sleepers when the name is removed: the
 * object's header tells them.
 */
#include "config.h"

#include "backends/posix/posix.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct duoshm__bells {
	unsigned n;
	sem_t *semaphore[DUOSHM_BELLS_MAX];
};

static const struct duoshm__posix_space semaphores = {
	.open_name = "sem_open",
	.one = "semaphore",
	.all = "semaphores",
	.size = sizeof(sem_t),
	.blame = duoshm__posix_blame_bell,
};

/* Its file, where the C library keeps it in one that we know: 0, ENOENT, or ENOSYS. */
static int look_at(const char *name, struct stat *out)
{
#if defined __linux__
	char path[DUOSHM__NATIVE_SIZE + 16];

#if defined __GLIBC__
	snprintf(path, sizeof path, DUOSHM__POSIX_DIRECTORY "/sem.%s", name + 1);
#else
	snprintf(path, sizeof path, DUOSHM__POSIX_DIRECTORY "/%s", name + 1);
#endif
	return stat(path, out) == 0 ? 0 : errno;
#else
	(void)name;
	(void)out;
	return ENOSYS;
#endif
}

/*
 * 0, or why it must not be opened, as far as that can be seen. EINVAL: it is empty, not built yet,
 * and would be SIGBUS to touch. ENOTSUP: the C library of another word size made it, and keeps
 * other words in it; glibc would take what it finds there for a futex command, and abort.
 */
static int unfit(const char *name)
{
	struct stat status;

	if (look_at(name, &status) != 0 || status.st_size == (off_t)sizeof(sem_t))
		return 0;
	return status.st_size == 0 ? EINVAL : ENOTSUP;
}

static sem_t *open_one(const char *name, int flags, unsigned mode)
{
	sem_t *semaphore;

	errno = flags == 0 ? unfit(name) : 0;
	if (errno != 0)
		return SEM_FAILED;
	do
		semaphore = sem_open(name, flags, (mode_t)mode, 0u);
	while (semaphore == SEM_FAILED && errno == EINTR);
	return semaphore;
}

static void fail_foreign(const char *name, struct duoshm_failure *why)
{
	duoshm__native_failure(why, DUOSHM_ERR_UNSUPPORTED, ENOTSUP, "sem_open(\"%s\", 0)", name);
	duoshm__native_cause(
		why, "a program of another word size made the semaphore %s in its own form", name);
}

/* Opens `n` of them, or with O_CREAT makes them; all or none. */
static int open_all(const struct duoshm__native *native, unsigned n, int flags, unsigned mode,
	struct duoshm__bells **out, struct duoshm_failure *why)
{
	struct duoshm__bells *bells = malloc(sizeof *bells);
	char name[DUOSHM__NATIVE_SIZE];

	if (bells == NULL)
		return duoshm__native_failure(why, DUOSHM_ERR_NO_SPACE, ENOMEM, "malloc");
	for (bells->n = 0; bells->n < n; bells->n++) {
		duoshm__posix_bell_name(native, bells->n, name);
		bells->semaphore[bells->n] = open_one(name, flags, mode);
		if (bells->semaphore[bells->n] == SEM_FAILED)
			break;
	}
	if (bells->n == n) {
		*out = bells;
		return 0;
	}
	if (flags != 0)
		duoshm__posix_fail_create(&semaphores, errno, name, mode, why);
	else if (errno == EINVAL)
		duoshm__posix_gone(&semaphores, errno, name, why);
	else if (errno == ENOTSUP)
		fail_foreign(name, why);
	else
		duoshm__posix_fail_call(&semaphores, errno, name, "sem_open", ", 0", why);
	/* Where the C library is out of memory, it has made the one that it could not open. */
	if (flags != 0)
		duoshm__posix_remove_bells(native, bells->n + (why->system_error != EEXIST),
			&(struct duoshm_failure){0});
	duoshm__posix_bells_close(bells);
	return why->code;
}

int duoshm__posix_bells_create(struct duoshm__native *native, unsigned n, unsigned mode,
	struct duoshm__bells **out, struct duoshm_failure *why)
{
	return open_all(native, n, O_CREAT | O_EXCL, duoshm__bell_mode(mode), out, why);
}

int duoshm__posix_bells_open(const struct duoshm__native *native, unsigned n,
	struct duoshm__bells **out, struct duoshm_failure *why)
{
	return open_all(native, n, 0, 0, out, why);
}

int64_t duoshm__posix_bells_uid(const struct duoshm__native *native, unsigned n)
{
	char name[DUOSHM__NATIVE_SIZE];
	int64_t uid = DUOSHM__UID_NONE;

	for (unsigned i = 0; i < n; i++) {
		struct stat status;
		int system_error;

		duoshm__posix_bell_name(native, i, name);
		system_error = look_at(name, &status);
		if (system_error == ENOENT)
			continue;
		if (system_error != 0 || (uid >= 0 && uid != (int64_t)status.st_uid))
			return DUOSHM__UID_UNTOLD;
		uid = (int64_t)status.st_uid;
	}
	return uid;
}

void duoshm__posix_bells_close(struct duoshm__bells *bells)
{
	for (unsigned i = 0; bells != NULL && i < bells->n; i++)
		sem_close(bells->semaphore[i]);
	free(bells);
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

#ifdef HAVE_SEM_CLOCKWAIT_NP

#define WAIT_CALL "sem_clockwait_np"

/* FreeBSD: the one that takes what is left, not a time of day. */
static int take(sem_t *semaphore, int64_t timeout_ns)
{
	struct timespec left = duoshm__timespec(timeout_ns);

	return sem_clockwait_np(semaphore, CLOCK_MONOTONIC, 0, &left, NULL) == 0 ? 0 : errno;
}

#elif defined HAVE_SEM_CLOCKWAIT || defined HAVE_SEM_TIMEDWAIT

#ifdef HAVE_SEM_CLOCKWAIT
#define WAIT_CALL                 "sem_clockwait"
#define WAIT_CLOCK                CLOCK_MONOTONIC
#define wait_until(semaphore, at) sem_clockwait(semaphore, WAIT_CLOCK, at)
#else
/* A clock that is set back lengthens the wait on a system that keeps the absolute time. */
#define WAIT_CALL                 "sem_timedwait"
#define WAIT_CLOCK                CLOCK_REALTIME
#define wait_until(semaphore, at) sem_timedwait(semaphore, at)
#endif

static int take(sem_t *semaphore, int64_t timeout_ns)
{
	struct timespec at;

	clock_gettime(WAIT_CLOCK, &at);
	/* In range: a tv_nsec out of it is not refused everywhere. */
	at = duoshm__timespec((int64_t)at.tv_sec * 1000000000 + at.tv_nsec + timeout_ns);
	return wait_until(semaphore, &at) == 0 ? 0 : errno;
}

#else

#define WAIT_CALL "sem_trywait"

static int attempt(void *semaphore)
{
	return sem_trywait(semaphore) == 0 ? 0 : errno;
}

static int take(sem_t *semaphore, int64_t timeout_ns)
{
	return duoshm__native_poll(attempt, semaphore, timeout_ns);
}

#endif

int duoshm__posix_wait(
	struct duoshm__bells *bells, unsigned bell, int64_t timeout_ns, struct duoshm_failure *why)
{
	int system_error;

	if (bell >= bells->n)
		return duoshm__no_such_bell(why, WAIT_CALL, bell, bells->n);
	system_error = take(bells->semaphore[bell], timeout_ns);
	return system_error == 0 ? 0 : fail_operation(system_error, WAIT_CALL, bell, why);
}

int duoshm__posix_remove_bells(
	const struct duoshm__native *native, unsigned n, struct duoshm_failure *why)
{
	struct duoshm_failure ignored;
	char name[DUOSHM__NATIVE_SIZE];
	int result = 0;

	for (unsigned i = 0; i < n; i++) {
		duoshm__posix_bell_name(native, i, name);
		if (sem_unlink(name) == 0 || errno == ENOENT)
			continue;
		duoshm__posix_fail_call(
			&semaphores, errno, name, "sem_unlink", "", result == 0 ? why : &ignored);
		result = why->code;
	}
	return result;
}
