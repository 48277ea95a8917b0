/* SPDX-License-Identifier: MIT */
/*
 * The registry: a directory with one small text file per object, DIR/NAME@FAMILY. The file is the
 * ftok path, the creation lock (flock), the list, and where `auto` learns the family. Internal
 * files begin with a dot (".l." lifelines, ".t." unfinished, ".r." presence of readers). A creation
 * lock is a proof: who dies holding it is known to be dead.
 *
 * The directory: owner self or root, not writable by others unless sticky, no symbolic link, not on
 * NFS.
 */
#ifndef DUOSHM_CORE_REGISTRY_H
#define DUOSHM_CORE_REGISTRY_H

#include "backends/backend.h"
#include "core/process.h"

#include <stdbool.h>

#define DUOSHM__PATH_SIZE 512

struct duoshm__registry {
	char directory[DUOSHM__PATH_SIZE - 96]; /* absolute */
	int fd; /* holds a shared flock, so that tmpfiles cleaners leave it alone */
};

/*
 * `directory` NULL: DUOSHM_DIR, else /tmp/duoshm-UID. Makes it where it does not exist (0700).
 * REGISTRY with the cause.
 */
int duoshm__registry_open(const char *directory, struct duoshm__registry *out);
/*
 * The failure just recorded is the directory's: says so. Returns its code, REGISTRY where it
 * had no better one.
 */
int duoshm__registry_fail(const char *directory);
void duoshm__registry_close(struct duoshm__registry *registry);

/* What an entry says: all that is fixed about an object. */
struct duoshm__entry {
	char name[DUOSHM_NAME_SIZE];
	char backend[8];
	int kind;
	bool ready;    /* false: being built (or its builder died) */
	bool removing; /* a removal was begun: what is still there is remains */
	bool persistent, reserved;
	unsigned bells;
	uint64_t size;      /* of the payload */
	uint64_t footprint; /* of the segment, header included */
	uint64_t generation;
	uint64_t owner; /* lifeline id */
	struct duoshm__process creator;
	int64_t created_ns;
	unsigned mode; /* as reduced by the umask */
	struct duoshm__native native;
	unsigned uid, gid; /* from the file itself, not from its text */
};

/* An entry of which only the name is known yet. */
void duoshm__entry_init(struct duoshm__entry *out, const char *name, const char *backend);
void duoshm__entry_path(const struct duoshm__registry *registry, const char *name,
	const char *backend, char path[DUOSHM__PATH_SIZE]);
/*
 * Lock-free. NOT_FOUND; CORRUPT (torn, foreign or damaged text); INCOMPATIBLE (of another version);
 * PERMISSION. An empty file is !ready with generation 0: its maker holds the lock, or died before
 * it wrote. *out has the name on failure, too.
 */
int duoshm__entry_read(const struct duoshm__registry *registry, const char *name,
	const char *backend, struct duoshm__entry *out);

/* ---- core/entry_text.c: "key value" lines, padded to a fixed length, a check sum at the end -- */

#define DUOSHM__ENTRY_TEXT_SIZE 1024

/* INVALID: it does not fit, or something of it cannot stand in a line. */
int duoshm__entry_format(const struct duoshm__entry *entry, char text[DUOSHM__ENTRY_TEXT_SIZE]);
/*
 * CORRUPT with what is wrong; INCOMPATIBLE: of another version. Leaves uid and gid of *out alone.
 */
int duoshm__entry_parse(const char text[DUOSHM__ENTRY_TEXT_SIZE], struct duoshm__entry *out);

/* A held creation lock: an open, locked descriptor of the entry whose name is still that file. */
struct duoshm__entry_lock {
	int fd; /* -1: not held */
	char path[DUOSHM__PATH_SIZE];
	unsigned mode, uid, gid; /* of the file; create: mode as it came out of the umask */
};
/*
 * Makes the entry and locks it before its name appears. EXISTS. Who may read with `mode` less the
 * umask may read it, too; only its owner may write it, whatever the mode: it is what removals are
 * decided by.
 */
int duoshm__entry_create(const struct duoshm__registry *registry, const char *name,
	const char *backend, unsigned mode, struct duoshm__entry_lock *out);
/*
 * Takes the lock of an existing entry. BUSY (cause names the pid that the text tells), NOT_FOUND,
 * PERMISSION. Never waits.
 */
int duoshm__entry_lock(const struct duoshm__registry *registry, const char *name,
	const char *backend, struct duoshm__entry_lock *out);
/*
 * Writes the text (one pwrite of a fixed length, with a check sum). Lock held. REMOVED, here and
 * from remove: the lock is lost, for the file was removed from outside or the program closed the
 * descriptor.
 */
int duoshm__entry_write(const struct duoshm__entry_lock *lock, const struct duoshm__entry *entry);
/* Takes the name away, and its presence file. Lock held. */
int duoshm__entry_remove(const struct duoshm__entry_lock *lock);
void duoshm__entry_unlock(struct duoshm__entry_lock *lock);

/*
 * Calls fn with the name of each file, the dots too, until a result is not 0. REGISTRY and the like
 * with the cause.
 */
typedef int duoshm__file_fn(const char *file, void *arg);
int duoshm__registry_walk(const char *directory, duoshm__file_fn *fn, void *arg);
/* Calls fn for each entry file, sorted by name, with what entry_read said. */
typedef int duoshm__entry_fn(const struct duoshm__entry *entry, int result, void *arg);
int duoshm__registry_scan(const struct duoshm__registry *registry, duoshm__entry_fn *fn, void *arg);
/* Removes unfinished files (".t."), and presence files without entry, whose lock is free. */
void duoshm__registry_sweep(struct duoshm__registry *registry);

/*
 * Presence of attachers that cannot write the registry: a shared flock on DIR/.r.NAME@FAMILY, made
 * with the object's mode by the creator. hold returns a descriptor to be given to duoshm__fd_drop,
 * or -1. test: 1 present, 0 none, -1 cannot be told.
 */
void duoshm__presence_create(const struct duoshm__entry_lock *lock);
int duoshm__presence_hold(
	const struct duoshm__registry *registry, const char *name, const char *backend);
int duoshm__presence_test(
	const struct duoshm__registry *registry, const char *name, const char *backend);

#endif
