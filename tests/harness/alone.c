/* SPDX-License-Identifier: MIT */
/*
 * Namespaces of one's own: small limits, and kernel objects that nobody else sees and that end with
 * the process. As root, or through a user namespace, where the process is root inside.
 */
#include "config.h"

#include "harness/harness.h"

#ifdef __linux__
#include <sched.h>
#include <sys/mount.h>
#endif

bool harness_put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return done;
}

#ifdef __linux__

static bool become_root_inside(void)
{
	char map[64];
	unsigned uid = geteuid(), gid = getegid();

	if (unshare(CLONE_NEWUSER | CLONE_NEWIPC | CLONE_NEWNS) != 0)
		return false;
	snprintf(map, sizeof(map), "0 %u 1", uid);
	if (!harness_put("/proc/self/setgroups", "deny") || !harness_put("/proc/self/uid_map", map))
		return false;
	snprintf(map, sizeof(map), "0 %u 1", gid);
	return harness_put("/proc/self/gid_map", map);
}

bool harness_enter(const char *directory, const char *options)
{
	if (unshare(CLONE_NEWIPC | CLONE_NEWNS) != 0 && !become_root_inside())
		return false;
	return mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("tmpfs", directory, "tmpfs", 0, options) == 0;
}

#else

bool harness_enter(const char *directory, const char *options)
{
	(void)directory, (void)options;
	return false;
}

#endif
