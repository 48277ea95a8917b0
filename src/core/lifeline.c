/* SPDX-License-Identifier: MIT */
/*
 * The process's own lifelines. Judging those of others is life.c's.
 *
 * Traps. closefrom() closes the descriptor and so frees the flock of a living process: on Linux a
 * mapping keeps the open file, and with it the lock, so the descriptor is closed by ourselves; that
 * this holds on the file system at hand is tried, not assumed (on an overlay it does not). A forked
 * child would inherit such a mapping, and keep its dead parent alive: it is not inherited. A page
 * of a sparse file that finds the disk full is SIGBUS: pages are made real by writing before they
 * are used.
 */
#include "config.h"

#include "core/lifeline.h"

#include "core/failure.h"
#include "core/file.h"
#include "core/lifeline_layout.h"
#include "core/random.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define FIRST_REAL 16384u /* bytes: a page of any system that we know */

/*
 * `lock` guards the slots; the list and the counts are under the process's lock. After a fork the
 * child finds its parent's lifelines in the list; `forks` tells them from its own.
 */
struct duoshm__lifeline {
	struct duoshm__lifeline *next;
	unsigned users;
	unsigned forks;
	uint64_t id;
	int fd; /* -1: the mapping holds the lock */
	char directory[DUOSHM__PATH_SIZE];
	char path[DUOSHM__PATH_SIZE];

	pthread_mutex_t lock;
	struct duoshm__life_head *head; /* the mapping, of DUOSHM__LIFE_FILE_SIZE */
	struct duoshm__word64 *slots;   /* in it */
	uint32_t used;                  /* slots handed out at least once */
	uint32_t real;                  /* slots whose pages are real */
	uint32_t *free;                 /* slots given back, a stack with room for `real` */
	uint32_t n_free;
};

static struct duoshm__lifeline *lifelines;

static uint32_t slots_in(uint32_t bytes)
{
	return (bytes - (uint32_t)sizeof(struct duoshm__life_head)) / 8;
}

static bool is_ours(const struct duoshm__lifeline *lifeline)
{
	return lifeline->forks == duoshm__forks();
}

/* ---- making the file ------------------------------------------------------------------------- */

static int fail_write(const char *call, const char *path)
{
	int result = duoshm__fail_call(0, errno, "%s(\"%s\")", call, path);

	return result == DUOSHM_ERR_LIMIT
		       ? result
		       : duoshm__set_cure("make room in the registry directory, or choose another "
					  "with --dir");
}

static int write_zeros(int fd, const char *path, uint32_t from, uint32_t to)
{
	static const char zeros[FIRST_REAL];
	for (; from < to; from += FIRST_REAL) {
		if (duoshm__file_write(fd, zeros, sizeof zeros, (off_t)from) < 0)
			return fail_write("pwrite", path);
	}
	return 0;
}

/*
 * The rights: in a directory that other users may enter they must see who is alive, else nobody
 * must.
 */
static int set_mode(const struct duoshm__new_file *file, const char *directory)
{
	struct stat found;
	if (lstat(directory, &found) != 0)
		return duoshm__fail_call(0, errno, "lstat(\"%s\")", directory);
	if (fchmod(file->fd, (found.st_mode & 077) != 0 ? 0644 : 0600) != 0)
		return duoshm__fail_call(0, errno, "fchmod(\"%s\")", file->path);
	return 0;
}

/* Beyond this limit ftruncate would raise SIGXFSZ. */
static bool is_too_long(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < DUOSHM__LIFE_FILE_SIZE;
}

static int fill_file(const struct duoshm__new_file *file, const char *directory)
{
	struct duoshm__process self;
	duoshm__process_self(&self);
	struct duoshm__life_head head = {.magic = DUOSHM__LIFE_MAGIC,
		.layout = DUOSHM__LIFE_LAYOUT,
		.pid = self.pid,
		.start = self.start,
		.boot = self.boot};
	int result = set_mode(file, directory);
	if (result == 0 && is_too_long()) {
		errno = EFBIG;
		result = fail_write("ftruncate", file->path);
	}
	while (result == 0 && ftruncate(file->fd, DUOSHM__LIFE_FILE_SIZE) != 0)
		if (errno != EINTR)
			result = fail_write("ftruncate", file->path);
	if (result == 0)
		result = write_zeros(file->fd, file->path, 0, FIRST_REAL);
	if (result == 0 && duoshm__file_write(file->fd, &head, sizeof head, 0) < 0)
		result = fail_write("pwrite", file->path);
	return result;
}

static int map_file(struct duoshm__lifeline *made, const struct duoshm__new_file *file)
{
	void *map =
		mmap(NULL, DUOSHM__LIFE_FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, file->fd, 0);
	if (map == MAP_FAILED)
		return duoshm__fail_call(0, errno, "mmap(\"%s\", MAP_SHARED)", file->path);
	made->head = map;
	made->slots = (struct duoshm__word64 *)(made->head + 1);
	made->real = slots_in(FIRST_REAL);
	return 0;
}

#if defined DUOSHM_MAPPING_HOLDS_FLOCK && defined MADV_DONTFORK
/*
 * Lets the mapping hold the lock instead of the descriptor, where it does. Afterwards file->fd is
 * -1, or a descriptor that is locked and kept. BUSY: swept away in between. The trial takes a
 * shared lock, as sweepers do: only the mapping can refuse it.
 */
static int hand_lock_to_mapping(struct duoshm__lifeline *made, struct duoshm__new_file *file)
{
	if (madvise(made->head, DUOSHM__LIFE_FILE_SIZE, MADV_DONTFORK) != 0)
		return 0;
	int second = duoshm__fd_open(file->path, O_RDWR, 0);
	if (second < 0 && errno == ENOENT)
		return duoshm__fail(DUOSHM_ERR_BUSY, "%s was swept away", file->path);
	if (second < 0)
		return duoshm__fail_call(0, errno, "open(\"%s\")", file->path);
	duoshm__fd_close(file->fd);
	file->fd = second;
	if (duoshm__file_lock(second, LOCK_SH | LOCK_NB) == 0) {
		/*
		 * It does not, so this descriptor must. The lock was free for a moment: a sweeper
		 * may look.
		 */
		if (duoshm__file_lock(second, LOCK_EX | LOCK_NB) == 0)
			return 0;
		return duoshm__fail(DUOSHM_ERR_BUSY, "%s is being swept away", file->path);
	}
	made->head->flags |= DUOSHM__LIFE_MAPPED;
	duoshm__fd_drop(second);
	file->fd = -1;
	return 0;
}
#else
static int hand_lock_to_mapping(struct duoshm__lifeline *made, struct duoshm__new_file *file)
{
	(void)made;
	(void)file;
	return 0;
}
#endif

/* BUSY and EXISTS (an id that is taken): again. */
static int make_file(struct duoshm__lifeline *made)
{
	struct duoshm__new_file file;
	int result = duoshm__file_make(made->directory, 0600, &file);
	if (result != 0)
		return result;
	result = fill_file(&file, made->directory);
	if (result == 0)
		result = map_file(made, &file);
	if (result != 0)
		goto discard_file;
	result = hand_lock_to_mapping(made, &file);
	if (result == 0)
		result = duoshm__random(DUOSHM__LIFE_ID_BITS, &made->id);
	if (result == 0) {
		duoshm__life_path(made->directory, made->id, made->path);
		result = duoshm__file_publish(&file, made->path);
	}
	if (result == 0) {
		made->fd = file.fd;
		return 0;
	}
	munmap(made->head, DUOSHM__LIFE_FILE_SIZE);
discard_file:
	duoshm__file_discard(&file);
	return result;
}

/* ---- opening and closing --------------------------------------------------------------------- */

static struct duoshm__lifeline *find(const char *directory)
{
	for (struct duoshm__lifeline *l = lifelines; l; l = l->next) {
		if (is_ours(l) && strcmp(l->directory, directory) == 0)
			return l;
	}
	return NULL;
}

static void release(struct duoshm__lifeline *lifeline)
{
	if (is_ours(lifeline))
		pthread_mutex_destroy(&lifeline->lock);
	free(lifeline->free);
	free(lifeline);
}

static int make(const char *directory, struct duoshm__lifeline **out)
{
	struct duoshm__lifeline *made = calloc(1, sizeof *made);
	if (!made)
		return duoshm__fail_call(0, ENOMEM, "calloc(%zu)", sizeof *made);
	pthread_mutex_init(&made->lock, NULL);
	made->forks = duoshm__forks();
	made->free = calloc(slots_in(FIRST_REAL), sizeof *made->free);
	snprintf(made->directory, sizeof made->directory, "%s", directory);
	int result = !made->free ? duoshm__fail_call(0, ENOMEM, "calloc()") : DUOSHM_ERR_BUSY;
	int tries = DUOSHM__FILE_TRIES;
	while ((result == DUOSHM_ERR_BUSY || result == DUOSHM_ERR_EXISTS) && tries-- > 0)
		result = make_file(made);
	if (result != 0) {
		release(made);
		return result;
	}
	made->next = lifelines;
	lifelines = *out = made;
	return 0;
}

int duoshm__lifeline_open(const char *directory, struct duoshm__lifeline **out)
{
	int result = duoshm__process_init();
	if (result != 0)
		return result;
	duoshm__process_lock();
	struct duoshm__lifeline *found = find(directory);
	bool is_new = !found;
	if (is_new)
		result = make(directory, &found);
	if (result == 0) {
		found->users++;
		*out = found;
	}
	duoshm__process_unlock();
	if (is_new && result == 0)
		duoshm__life_sweep(directory);
	return result;
}

static void unlist(const struct duoshm__lifeline *lifeline)
{
	struct duoshm__lifeline **at = &lifelines;
	while (*at != lifeline)
		at = &(*at)->next;
	*at = lifeline->next;
}

/*
 * The name goes first: a file whose lock is free stands for a dead process. In a child the file is
 * the parent's, its descriptor is closed, and its mapping was perhaps not inherited: something else
 * may lie there now.
 */
void duoshm__lifeline_close(struct duoshm__lifeline *lifeline)
{
	if (!lifeline)
		return;
	duoshm__process_lock();
	bool last = --lifeline->users == 0;
	if (last) {
		unlist(lifeline);
		if (is_ours(lifeline)) {
			unlink(lifeline->path);
			munmap(lifeline->head, DUOSHM__LIFE_FILE_SIZE);
			duoshm__fd_drop(lifeline->fd);
		}
	}
	duoshm__process_unlock();
	if (last)
		release(lifeline);
}

uint64_t duoshm__lifeline_id(const struct duoshm__lifeline *lifeline)
{
	return lifeline->id;
}

bool duoshm__lifeline_is_own(uint64_t id)
{
	bool own = false;
	duoshm__process_lock();
	for (const struct duoshm__lifeline *l = lifelines; l && !own; l = l->next)
		own = l->id == id && is_ours(l);
	duoshm__process_unlock();
	return own;
}

/* ---- attachments ----------------------------------------------------------------------------- */

/*
 * The descriptor may be closed long since, so the file is opened again; it must be the one that is
 * mapped.
 */
static int make_real(struct duoshm__lifeline *lifeline, uint32_t from, uint32_t to)
{
	int fd = duoshm__file_open(lifeline->path, O_RDWR, 0);
	if (fd < 0)
		return duoshm__fail_call(DUOSHM_ERR_SYSTEM, errno, "open(\"%s\")", lifeline->path);
	int result = write_zeros(fd, lifeline->path, from, to);
	close(fd);
	return result;
}

static int grow(struct duoshm__lifeline *lifeline)
{
	if (lifeline->real == DUOSHM__LIFE_SLOTS) {
		duoshm__fail(DUOSHM_ERR_LIMIT,
			"this process has %u attachments, all that its lifeline file can list",
			(unsigned)lifeline->real);
		return duoshm__set_cure("close some");
	}
	uint32_t old = lifeline->real * 8 + (uint32_t)sizeof(struct duoshm__life_head);
	uint32_t real = slots_in(2 * old);
	uint32_t *stack = realloc(lifeline->free, real * sizeof *stack);
	if (!stack)
		return duoshm__fail_call(0, ENOMEM, "realloc(%zu)", real * sizeof *stack);
	lifeline->free = stack;
	int result = make_real(lifeline, old, 2 * old);
	if (result == 0)
		lifeline->real = real;
	return result;
}

/* Where read(2) does not see what is written through a mapping, it is told. */
static void show_page(struct duoshm__lifeline *lifeline)
{
#ifdef DUOSHM_MAPPING_NEEDS_MSYNC
	msync(lifeline->head, DUOSHM__LIFE_FILE_SIZE, MS_SYNC);
#else
	(void)lifeline;
#endif
}

int duoshm__lifeline_attach(struct duoshm__lifeline *lifeline, uint64_t generation, unsigned *slot)
{
	if (!is_ours(lifeline))
		return duoshm__fail(DUOSHM_ERR_FORKED, "the attachment would be the parent's");
	int result = 0;
	uint32_t taken = 0;
	pthread_mutex_lock(&lifeline->lock);
	if (lifeline->n_free > 0) {
		taken = lifeline->free[--lifeline->n_free];
	} else if (lifeline->used < lifeline->real || (result = grow(lifeline)) == 0) {
		taken = lifeline->used++;
		duoshm__store32(&lifeline->head->used, lifeline->used);
	}
	if (result == 0) {
		duoshm__store64(&lifeline->slots[taken], generation);
		show_page(lifeline);
		*slot = taken;
	}
	pthread_mutex_unlock(&lifeline->lock);
	return result;
}

void duoshm__lifeline_detach(struct duoshm__lifeline *lifeline, unsigned slot)
{
	if (!is_ours(lifeline))
		return;
	pthread_mutex_lock(&lifeline->lock);
	duoshm__store64(&lifeline->slots[slot], 0);
	show_page(lifeline);
	lifeline->free[lifeline->n_free++] = slot;
	pthread_mutex_unlock(&lifeline->lock);
}
