/* SPDX-License-Identifier: MIT */
/*
 * Who we are, who still runs, and fork. What the system tells of a process is process_look.c's.
 *
 * The trap is fork: flock belongs to the open file that parent and child share, so a child that
 * keeps the descriptor keeps a dead parent alive, and a child that unlocks makes a living parent
 * look dead. The at-fork handler therefore closes every kept descriptor in the child, and unlocks
 * none. A descriptor number may meanwhile be somebody else's (closefrom and reuse): it is closed
 * only if it still is the same file.
 */
#include "config.h"

#include "core/process.h"

#include "core/array.h"
#include "core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct kept {
	int fd;
	dev_t device;
	ino_t inode;
};

/*
 * The process-wide state. `outer` is taken by whoever must not be forked half-way (the lifelines),
 * `inner` guards the fields below; order: outer, then inner. fork holds both, so that the child
 * finds them whole.
 */
static pthread_mutex_t outer = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t inner = PTHREAD_MUTEX_INITIALIZER;
static struct kept *kept;
static size_t n_kept;
static struct duoshm__process self;  /* pid 0: not looked up yet */
_Atomic unsigned duoshm__fork_count; /* written by the at-fork handler, alone in its process */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int once_result;

/* Where the system does not tell: a descriptor that is never closed would keep its lock. */
static bool is_still(const struct kept *entry)
{
	struct stat now;
	if (fstat(entry->fd, &now) != 0)
		return errno != EBADF;
	return now.st_dev == entry->device && now.st_ino == entry->inode;
}

static void before_fork(void)
{
	pthread_mutex_lock(&outer);
	pthread_mutex_lock(&inner);
}

static void in_parent(void)
{
	pthread_mutex_unlock(&inner);
	pthread_mutex_unlock(&outer);
}

static void in_child(void)
{
	for (size_t i = 0; i < n_kept; i++) {
		if (is_still(&kept[i]))
			close(kept[i].fd);
	}
	n_kept = 0;
	self.pid = 0;
	atomic_fetch_add_explicit(&duoshm__fork_count, 1, memory_order_relaxed);
	in_parent();
}

static void install(void)
{
	once_result = pthread_atfork(before_fork, in_parent, in_child);
}

int duoshm__process_init(void)
{
	pthread_once(&once, install);
	if (once_result != 0)
		return duoshm__fail_call(DUOSHM_ERR_NO_SPACE, once_result, "pthread_atfork()");
	return 0;
}

void duoshm__process_lock(void)
{
	pthread_mutex_lock(&outer);
}

void duoshm__process_unlock(void)
{
	pthread_mutex_unlock(&outer);
}

void duoshm__process_self(struct duoshm__process *out)
{
	pthread_mutex_lock(&inner);
	if (self.pid == 0) {
		struct duoshm__process_look look;
		self.pid = getpid();
		self.start = duoshm__process_look(self.pid, &look) ? look.start : 0;
		self.boot = duoshm__boot();
	}
	*out = self;
	pthread_mutex_unlock(&inner);
}

static bool exists(int64_t pid)
{
	return kill((pid_t)pid, 0) == 0 || errno != ESRCH;
}

enum duoshm__running duoshm__process_running(const struct duoshm__process *process)
{
	/* 0 and negative numbers name process groups, and no process */
	if (process->pid <= 0 || process->pid > INT_MAX)
		return DUOSHM__GONE;
	uint64_t boot = process->boot != 0 ? duoshm__boot() : 0;
	if (boot != 0 && boot != process->boot)
		return DUOSHM__GONE;
	if (!exists(process->pid))
		return DUOSHM__GONE;
	struct duoshm__process_look look;
	if (!duoshm__process_look(process->pid, &look))
		return exists(process->pid) ? DUOSHM__CANNOT_TELL : DUOSHM__GONE;
	if (look.finished)
		return DUOSHM__GONE;
	if (look.start == 0 || process->start == 0)
		return DUOSHM__CANNOT_TELL;
	return look.start == process->start ? DUOSHM__RUNNING : DUOSHM__GONE;
}

/* By who holds `inner`: where this number is noted; n_kept: nowhere. */
static size_t find(int fd)
{
	size_t at = 0;
	while (at < n_kept && kept[at].fd != fd)
		at++;
	return at;
}

/* An older note of the same number tells of a file that is no longer open. */
static int keep(int fd)
{
	struct stat now;
	if (fstat(fd, &now) != 0)
		return -1;
	size_t at = find(fd);
	kept[at] = (struct kept){.fd = fd, .device = now.st_dev, .inode = now.st_ino};
	n_kept += at == n_kept;
	return 0;
}

static bool make_room(void)
{
	struct kept *grown = duoshm__array_grow(kept, n_kept, sizeof *kept);
	if (grown)
		kept = grown;
	return grown;
}

int duoshm__fd_keep(int fd)
{
	int result = duoshm__process_init();
	if (result != 0)
		return result;
	pthread_mutex_lock(&inner);
	if (!make_room())
		result = duoshm__fail(DUOSHM_ERR_NO_SPACE, "no memory to note a descriptor");
	else if (keep(fd) != 0)
		result = duoshm__fail_call(0, errno, "fstat(%d)", fd);
	pthread_mutex_unlock(&inner);
	return result;
}

int duoshm__fd_open(const char *path, int flags, unsigned mode)
{
	if (duoshm__process_init() != 0) {
		errno = ENOMEM;
		return -1;
	}
	pthread_mutex_lock(&inner);
	int fd = make_room() ? duoshm__file_open(path, flags, mode) : -1;
	if (fd >= 0 && keep(fd) != 0) {
		if (flags & O_CREAT)
			unlink(path);
		close(fd);
		fd = -1;
	}
	pthread_mutex_unlock(&inner);
	return fd;
}

static void forget(int fd, bool unlock)
{
	int saved = errno;
	pthread_mutex_lock(&inner);
	size_t at = find(fd);
	if (at < n_kept) {
		if (is_still(&kept[at])) {
			if (unlock)
				flock(fd, LOCK_UN);
			close(fd);
		}
		kept[at] = kept[--n_kept];
	}
	pthread_mutex_unlock(&inner);
	errno = saved;
}

/*
 * Unlocks before it closes: a child of a fork that ran no handler (vfork) may still have the open
 * file.
 */
void duoshm__fd_drop(int fd)
{
	forget(fd, true);
}

void duoshm__fd_close(int fd)
{
	forget(fd, false);
}
