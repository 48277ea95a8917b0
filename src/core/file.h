/* SPDX-License-Identifier: MIT */
/*
 * Files of the registry: opened without surprises, locked, and given their name only once they are
 * locked.
 */
#ifndef DUOSHM_CORE_FILE_H
#define DUOSHM_CORE_FILE_H

#include "core/registry.h"

#include <stdbool.h>
#include <sys/stat.h>

/*
 * open(2) that closes on exec, follows no link, blocks on no FIFO, and never answers with
 * descriptor 0, 1 or 2 (a program that began without them would print into the file). -1 with
 * errno.
 */
int duoshm__file_open(const char *path, int flags, unsigned mode);
/* flock(2), interrupted or not. -1 with errno: EWOULDBLOCK. */
int duoshm__file_lock(int fd, int operation);
/* Without waiting in the kernel: a lock that another only tries is free again soon. */
int duoshm__file_lock_patiently(int fd, int operation, int tries, int64_t pause_ns);
/* Is `path` the very file that is open as fd? */
bool duoshm__file_is(int fd, const char *path);
/*
 * read(2) and write(2) at an offset, all of it; the length, shorter only at the file's end, or -1
 * with errno.
 */
ssize_t duoshm__file_read(int fd, void *bytes, size_t size, off_t at);
ssize_t duoshm__file_write(int fd, const void *bytes, size_t size, off_t at);

/*
 * A file that is being made: DIR/.t.<random>, locked exclusively and kept (duoshm__fd_open). A
 * sweeper that comes between opening and locking may take it away: then publish tells so, and the
 * maker begins again.
 */
struct duoshm__new_file {
	int fd;
	char path[DUOSHM__PATH_SIZE];
};
/* PERMISSION, NO_SPACE, LIMIT, REGISTRY. */
int duoshm__file_make(const char *directory, unsigned mode, struct duoshm__new_file *out);
/*
 * Gives it its lasting name, exclusively. EXISTS; BUSY: swept away, begin again. On failure it is
 * the caller's to discard.
 */
int duoshm__file_publish(struct duoshm__new_file *file, const char *path);
void duoshm__file_discard(struct duoshm__new_file *file);
/*
 * How often something that a sweeper or remover may take away is tried again before it is an error.
 */
#define DUOSHM__FILE_TRIES 100

#endif
