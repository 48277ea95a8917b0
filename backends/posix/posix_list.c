/* SPDX-License-Identifier: MIT */
/*
 * Every POSIX segment and named semaphore that can be seen, ours or not: where they are files, by
 * reading the directory.
 *
 * Trap: not every kernel tells. macOS shows no names at all, OpenBSD files named by a hash, NetBSD
 * no semaphores. On musl semaphores and segments look alike: the size tells them apart.
 */
#include "config.h"

#include "backends/posix/posix.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>

/* Where the system keeps what: the files of `directory` that begin with `prefix`. */
static const struct place {
	const char *directory, *prefix;
	bool semaphores;
	bool mixed; /* a file of a semaphore's size is one */
} places[] = {
#if (defined __linux__ && defined __GLIBC__) || defined __CYGWIN__
	{"/dev/shm", "sem.", true, false},
	{"/dev/shm", "", false, false},
#elif defined __linux__
	{"/dev/shm", "", false, true},
#elif defined __NetBSD__
	{"/var/shm", ".shmobj_", false, false},
#elif defined __DragonFly__
	{"/var/run/sem", "", true, false},
	{"/var/run/shm", "", false, false},
#elif defined __sun
	{"/tmp", ".SEMD", true, false},
	{"/tmp", ".SHMD", false, false},
#endif
	{NULL, NULL, false, false},
};

static bool begins(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* The places are searched in order: what an earlier, narrower prefix took is not listed again. */
static bool belongs(const char *file, const struct place *place)
{
	for (const struct place *earlier = places; earlier < place; earlier++)
		if (strcmp(earlier->directory, place->directory) == 0 &&
			begins(file, earlier->prefix))
			return false;
	return begins(file, place->prefix);
}

static bool describe(int directory, const char *file, const struct place *place,
	struct duoshm__native_item *item)
{
	const char *name = file + strlen(place->prefix);
	struct stat status;

	if (fstatat(directory, file, &status, AT_SYMLINK_NOFOLLOW) < 0 ||
		!S_ISREG(status.st_mode) || strlen(name) + 2 > sizeof item->native.text)
		return false;
	snprintf(item->native.text, sizeof item->native.text, "/%s", name);
	item->native.segment_id = -1;
	item->native.bells_id = -1;
	item->semaphore =
		place->semaphores || (place->mixed && (size_t)status.st_size == sizeof(sem_t));
	duoshm__posix_fill_stat(&status, &item->stat);
	if (item->semaphore)
		item->stat.size = 1;
	return true;
}

static int unreadable(const struct place *place, const char *call, struct duoshm_failure *why)
{
	duoshm__native_failure(
		why, DUOSHM_ERR_UNSUPPORTED, errno, "%s(\"%s\")", call, place->directory);
	return duoshm__native_cause(why, "%s, where shared memory is kept, cannot be read: %s",
		place->directory, strerror(why->system_error));
}

static int walk(
	const struct place *place, duoshm__native_fn *fn, void *arg, struct duoshm_failure *why)
{
	struct duoshm__native_item item;
	int result = 0;
	DIR *directory = opendir(place->directory);

	if (directory == NULL)
		return unreadable(place, "opendir", why);
	while (result == 0) {
		errno = 0;
		const struct dirent *entry = readdir(directory);
		if (entry == NULL && errno != 0)
			result = unreadable(place, "readdir", why);
		if (entry == NULL)
			break;
		if (belongs(entry->d_name, place) &&
			describe(dirfd(directory), entry->d_name, place, &item))
			result = fn(&item, arg);
	}
	closedir(directory);
	return result;
}

int duoshm__posix_list(duoshm__native_fn *fn, void *arg, struct duoshm_failure *why)
{
	int result = 0;

	if (places[0].directory == NULL) {
		duoshm__native_failure(why, DUOSHM_ERR_UNSUPPORTED, 0, "list");
		duoshm__native_cause(why, "this system does not show the names of POSIX objects");
		return duoshm__native_cure(why, "objects of this library stand in the registry");
	}
	for (const struct place *place = places; result == 0 && place->directory != NULL; place++)
		result = walk(place, fn, arg, why);
	return result;
}
