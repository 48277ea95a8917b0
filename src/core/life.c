/* SPDX-License-Identifier: MIT */
/*
 * Judging lifelines: who is dead, and what do the living have attached.
 *
 * A file's lock is the kernel's word, its content is its owner's. A lock that is held proves life.
 * A lock that is free proves death only together with the kernel's word that the process is gone,
 * since a process may close all its descriptors; unless a mapping held the lock. Ids are never used
 * again, so a file of the proven dead can be removed at any time. All tests take shared locks: they
 * do not see each other.
 */
#include "config.h"

#include "core/lifeline.h"

#include "core/array.h"
#include "core/failure.h"
#include "core/file.h"
#include "core/lifeline_layout.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define PREFIX    ".l."
#define ID_DIGITS 13 /* of 51 bits */

void duoshm__life_path(const char *directory, uint64_t id, char path[DUOSHM__PATH_SIZE])
{
	snprintf(path, DUOSHM__PATH_SIZE, "%s/" PREFIX "%013" PRIx64, directory, id);
}

/* The id in a file's name; false: no lifeline's. */
static bool id_of_name(const char *file, uint64_t *out)
{
	if (strncmp(file, PREFIX, strlen(PREFIX)) != 0)
		return false;
	const char *digits = file + strlen(PREFIX);
	size_t length = strspn(digits, "0123456789abcdef");
	if (length != ID_DIGITS || digits[length] != '\0')
		return false;
	*out = strtoull(digits, NULL, 16);
	return *out != 0;
}

/* Its head, checked; false: it is damaged, or no lifeline of this version. */
static bool read_head(int fd, struct duoshm__life_head *out)
{
	return duoshm__file_read(fd, out, sizeof *out, 0) == (ssize_t)sizeof *out &&
	       out->magic == DUOSHM__LIFE_MAGIC && out->layout == DUOSHM__LIFE_LAYOUT &&
	       out->pid > 0;
}

static enum duoshm__life judge_process(const struct duoshm__process *process)
{
	return duoshm__process_running(process) == DUOSHM__GONE ? DUOSHM__DEAD : DUOSHM__UNPROVEN;
}

static struct duoshm__process process_of(const struct duoshm__life_head *head)
{
	return (struct duoshm__process){.pid = head->pid, .start = head->start, .boot = head->boot};
}

/* The lock is free, and what the head says decides. */
static enum duoshm__life judge_head(int fd)
{
	struct duoshm__life_head head;
	if (!read_head(fd, &head))
		return DUOSHM__UNPROVEN;
	if ((head.flags & DUOSHM__LIFE_MAPPED) != 0)
		return DUOSHM__DEAD;
	struct duoshm__process process = process_of(&head);
	return judge_process(&process);
}

static enum duoshm__life judge_file(int fd, uint64_t id)
{
	if (duoshm__lifeline_is_own(id))
		return DUOSHM__ALIVE;
	if (duoshm__file_lock(fd, LOCK_SH | LOCK_NB) != 0)
		return errno == EWOULDBLOCK ? DUOSHM__ALIVE : DUOSHM__UNPROVEN;
	enum duoshm__life life = judge_head(fd);
	duoshm__file_lock(fd, LOCK_UN);
	return life;
}

enum duoshm__life duoshm__life_of(
	const char *directory, uint64_t id, const struct duoshm__process *label)
{
	if (duoshm__lifeline_is_own(id))
		return DUOSHM__ALIVE;
	char path[DUOSHM__PATH_SIZE];
	duoshm__life_path(directory, id, path);
	int fd = duoshm__file_open(path, O_RDONLY, 0);
	if (fd < 0 && errno != ENOENT)
		return DUOSHM__UNPROVEN;
	/*
	 * The file went when its process closed its last context, or when somebody had proven its
	 * death.
	 */
	if (fd < 0)
		return label ? judge_process(label) : DUOSHM__DEAD;
	enum duoshm__life life = judge_file(fd, id);
	close(fd);
	return life;
}

/* ---- all files of a directory ---------------------------------------------------------------- */

typedef int life_file_fn(const char *path, int fd, uint64_t id, void *arg);

struct walk {
	const char *directory;
	life_file_fn *fn; /* fd is -1 where the file cannot be opened */
	void *arg;
};

static int visit(const char *file, void *arg)
{
	const struct walk *walk = arg;
	uint64_t id;
	if (!id_of_name(file, &id))
		return 0;
	char path[DUOSHM__PATH_SIZE];
	duoshm__life_path(walk->directory, id, path);
	int fd = duoshm__file_open(path, O_RDONLY, 0);
	if (fd < 0 && errno == ENOENT)
		return 0;
	int result = walk->fn(path, fd, id, walk->arg);
	if (fd >= 0)
		close(fd);
	return result;
}

/*
 * A file is the proof of a death as long as its process runs on in another program (exec): without
 * it the label, whose pid and start are still right, would veto.
 */
static int sweep_file(const char *path, int fd, uint64_t id, void *arg)
{
	struct duoshm__life_head head;
	(void)arg;
	if (fd < 0 || judge_file(fd, id) != DUOSHM__DEAD || !read_head(fd, &head))
		return 0;
	struct duoshm__process process = process_of(&head);
	if (judge_process(&process) == DUOSHM__DEAD)
		unlink(path);
	return 0;
}

void duoshm__life_sweep(const char *directory)
{
	struct walk walk = {.directory = directory, .fn = sweep_file};
	duoshm__registry_walk(directory, visit, &walk);
}

struct scan {
	duoshm__attachment_fn *fn;
	void *arg;
	unsigned unreadable;
};

/* How many slots can be read: what the head says, bounded by what the kernel says. */
static size_t readable_slots(int fd, const struct duoshm__life_head *head)
{
	struct stat file;
	if (fstat(fd, &file) != 0 || !S_ISREG(file.st_mode) || file.st_size < (off_t)sizeof *head)
		return 0;
	uint64_t room = ((uint64_t)file.st_size - sizeof *head) / 8;
	uint64_t used = duoshm__load32(&head->used);
	if (room > DUOSHM__LIFE_SLOTS)
		room = DUOSHM__LIFE_SLOTS;
	return (size_t)(used < room ? used : room);
}

/* Each generation once, whatever the number of its handles. */
static int tell_slots(const char *path, int fd, const struct duoshm__life_head *head, size_t count,
	const struct scan *scan)
{
	size_t size = count * sizeof(uint64_t);
	uint64_t *generations = malloc(size);
	if (!generations)
		return duoshm__fail_call(DUOSHM_ERR_NO_SPACE, ENOMEM, "malloc(%zu)", size);
	int result = 0;
	ssize_t length = duoshm__file_read(fd, generations, size, sizeof *head);
	if (length < 0)
		result = duoshm__fail_call(0, errno, "pread(\"%s\")", path);
	count = length < 0 ? 0 : (size_t)length / sizeof *generations;
	qsort(generations, count, sizeof *generations, duoshm__array_by_number);
	uint64_t last = 0;
	for (size_t i = 0; i < count; i++) {
		if (generations[i] != last)
			scan->fn(generations[i], head->pid, scan->arg);
		last = generations[i];
	}
	free(generations);
	return result;
}

static int scan_file(const char *path, int fd, uint64_t id, void *arg)
{
	struct scan *scan = arg;
	struct duoshm__life_head head;
	if (fd < 0 || !read_head(fd, &head)) {
		scan->unreadable++;
		return 0;
	}
	if (judge_file(fd, id) == DUOSHM__DEAD)
		return 0;
	size_t count = readable_slots(fd, &head);
	return count > 0 ? tell_slots(path, fd, &head, count, scan) : 0;
}

int duoshm__lifeline_scan(
	const char *directory, duoshm__attachment_fn *fn, void *arg, unsigned *unreadable)
{
	struct scan scan = {.fn = fn, .arg = arg};
	struct walk walk = {.directory = directory, .fn = scan_file, .arg = &scan};
	int result = duoshm__registry_walk(directory, visit, &walk);
	if (result == 0 && unreadable)
		*unreadable = scan.unreadable;
	return result;
}
