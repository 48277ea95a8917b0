/* SPDX-License-Identifier: MIT */
/*
 * What needs a machine of its own: ftok collisions, exhausted keys, full memory, low limits, a reboot. Each case runs
 * in a child with private IPC and mount namespaces (as root, or through a user namespace), so nothing of it is seen
 * outside. Trap: a tmpfs of one's own numbers its inodes one by one, the shared ones do not.
 */
#include "config.h"

#include "duoshm.h"
#include "harness/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/stat.h>

enum { SKIPPED = 77 };

#define CHILD_EXPECT(call, want) HARNESS_CHILD(check((call), want))
static bool check(int got, int want)
{
	if (got != want)
		fprintf(stderr, "%d (%s), not %d: %s; %s\n", got, duoshm_strerror(got), want,
			duoshm_failure()->cause, duoshm_failure()->call);
	return got == want;
}

static void in_namespace(int (*fn)(void *))
{
	int status = harness_wait(harness_fork(fn, NULL));

	if (status == SKIPPED)
		HARNESS_SKIP("no namespaces here");
	CU_ASSERT_EQUAL(status, 0);
}

static struct duoshm *context(const char *directory)
{
	struct duoshm_options options = DUOSHM_OPTIONS_INIT;
	struct duoshm *ctx;

	options.backend = harness_backend();
	options.directory = directory;
	CHILD_EXPECT(duoshm_new(&options, &ctx), 0);
	return ctx;
}

/* ---- collisions -------------------------------------------------------------------------------- */

static const char *entry_of(const char *name)
{
	static char path[600];

	snprintf(path, sizeof(path), "%s/%s@%s", harness_path("machine"), name, harness_backend());
	return path;
}

static ino_t inode_of(const char *path)
{
	struct stat info;

	HARNESS_CHILD(stat(path, &info) == 0);
	return info.st_ino;
}

/* The number that the tmpfs gave to a new file just now. */
static ino_t next_inode(void)
{
	const char *path = harness_path("machine/count");
	int fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);
	struct stat info;

	HARNESS_CHILD(fd >= 0 && fstat(fd, &info) == 0 && close(fd) == 0 && unlink(path) == 0);
	return info.st_ino;
}

/* Makes and removes an object: how many numbers further is its entry? */
static ino_t distance(struct duoshm *ctx)
{
	struct duoshm_segment *segment;
	ino_t now = next_inode();

	CHILD_EXPECT(duoshm_segment_create(ctx, "trial", 64, NULL, &segment), 0);
	ino_t entry = inode_of(entry_of("trial"));
	CHILD_EXPECT(duoshm_segment_close(segment), 0);
	CHILD_EXPECT(duoshm_remove(ctx, "trial"), 0);
	return entry - now;
}

static int collide(void *argument)
{
	struct duoshm_segment *first, *second;
	struct duoshm_stat stats[2] = {DUOSHM_STAT_INIT, DUOSHM_STAT_INIT};
	struct duoshm_create options = DUOSHM_CREATE_INIT;

	(void)argument;
	if (!harness_enter(harness_path("machine"), "mode=0700"))
		return SKIPPED;
	struct duoshm *ctx = context(harness_path("machine"));
	ino_t ahead = distance(ctx);
	options.bells = 2;
	CHILD_EXPECT(duoshm_segment_create(ctx, "first", 64, &options, &first), 0);
	ino_t target = inode_of(entry_of("first"));
	while (((next_inode() + ahead) & 0xffff) != (target & 0xffff))
		;
	CHILD_EXPECT(duoshm_segment_create(ctx, "second", 64, &options, &second), 0);
	HARNESS_CHILD(inode_of(entry_of("second")) != target);
	HARNESS_CHILD(ftok(entry_of("first"), 1) == ftok(entry_of("second"), 1));
	CHILD_EXPECT(duoshm_stat(ctx, "first", &stats[0]), 0);
	CHILD_EXPECT(duoshm_stat(ctx, "second", &stats[1]), 0);
	HARNESS_CHILD(strcmp(stats[0].native, stats[1].native) != 0);
	strcpy(duoshm_segment_data(first), "first");
	strcpy(duoshm_segment_data(second), "second");
	CHILD_EXPECT(duoshm_segment_close(first), 0);
	CHILD_EXPECT(duoshm_segment_close(second), 0);
	CHILD_EXPECT(duoshm_segment_open(ctx, "first", 0, 0, &first), 0);
	CHILD_EXPECT(duoshm_segment_open(ctx, "second", 0, 0, &second), 0);
	HARNESS_CHILD(strcmp(duoshm_segment_data(first), "first") == 0);
	HARNESS_CHILD(strcmp(duoshm_segment_data(second), "second") == 0);
	CHILD_EXPECT(duoshm_segment_ring(first, 1), 0);
	CHILD_EXPECT(duoshm_segment_sleep(second, 1, 0), DUOSHM_ERR_TIMEOUT);
	CHILD_EXPECT(duoshm_segment_sleep(first, 1, 0), 0);
	CHILD_EXPECT(duoshm_remove(ctx, "first"), 0);
	CHILD_EXPECT(duoshm_segment_close(first), 0);
	HARNESS_CHILD(strcmp(duoshm_segment_data(second), "second") == 0);
	CHILD_EXPECT(duoshm_segment_close(second), 0);
	CHILD_EXPECT(duoshm_segment_open(ctx, "second", 0, 0, &second), 0);
	CHILD_EXPECT(duoshm_segment_close(second), 0);
	CHILD_EXPECT(duoshm_remove(ctx, "second"), 0);
	return duoshm_free(ctx);
}

static void keys_collide(void)
{
	in_namespace(collide);
}

/* Takes all keys that the next entry can have. */
static int exhaust(void *argument)
{
	struct duoshm_segment *segment;

	(void)argument;
	if (!harness_enter(harness_path("machine"), "mode=0700"))
		return SKIPPED;
	struct duoshm *ctx = context(harness_path("machine"));
	ino_t ahead = distance(ctx), now = next_inode();
	key_t pattern = ftok(harness_path("machine"), 1);
	for (unsigned id = 1; id <= 255; id++) {
		key_t key = (key_t)(id << 24 | ((unsigned)pattern & 0xff0000) |
				    (unsigned)((now + ahead) & 0xffff));
		HARNESS_CHILD(shmget(key, 1, IPC_CREAT | IPC_EXCL | 0600) >= 0);
	}
	CHILD_EXPECT(duoshm_segment_create(ctx, "late", 64, NULL, &segment), DUOSHM_ERR_COLLISION);
	CHILD_EXPECT((int)harness_entries(harness_path("machine")), 0);
	/* The next entry has another number, and other keys. */
	CHILD_EXPECT(duoshm_segment_create(ctx, "late", 64, NULL, &segment), 0);
	CHILD_EXPECT(duoshm_segment_close(segment), 0);
	CHILD_EXPECT(duoshm_remove(ctx, "late"), 0);
	return duoshm_free(ctx);
}

static void keys_are_exhausted(void)
{
	if (strcmp(harness_backend(), "sysv") != 0)
		HARNESS_SKIP("only System V has keys");
	in_namespace(exhaust);
}

/* ---- limits ---------------------------------------------------------------------------------------- */

static int few_segments(struct duoshm *ctx)
{
	struct duoshm_segment *segments[2], *third;

	if (!harness_put("/proc/sys/kernel/shmmni", "2"))
		return SKIPPED;
	CHILD_EXPECT(duoshm_segment_create(ctx, "one", 64, NULL, &segments[0]), 0);
	CHILD_EXPECT(duoshm_segment_create(ctx, "two", 64, NULL, &segments[1]), 0);
	CHILD_EXPECT(duoshm_segment_create(ctx, "three", 64, NULL, &third), DUOSHM_ERR_LIMIT);
	HARNESS_CHILD(duoshm_failure()->system_error == ENOSPC);
	HARNESS_CHILD(strstr(duoshm_failure()->cause, "shmmni") != NULL);
	HARNESS_CHILD(strstr(duoshm_failure()->cause, "2") != NULL);
	HARNESS_CHILD(duoshm_failure()->cure[0] != '\0');
	return 0;
}

static int little_memory(struct duoshm *ctx)
{
	struct duoshm_segment *one, *two;

	CHILD_EXPECT(duoshm_segment_create(ctx, "big", 1 << 20, NULL, &two), DUOSHM_ERR_NO_SPACE);
	HARNESS_CHILD(duoshm_failure()->system_error == ENOSPC);
	HARNESS_CHILD(strstr(duoshm_failure()->cause, "/dev/shm") != NULL);
	CHILD_EXPECT(duoshm_segment_create(ctx, "small", 20000, NULL, &one), 0);
	memset(duoshm_segment_data(one), 1, 20000);
	CHILD_EXPECT(duoshm_segment_create(ctx, "next", 60000, NULL, &two), DUOSHM_ERR_NO_SPACE);
	return 0;
}

static int low_limits(void *argument)
{
	(void)argument;
	if (!harness_enter("/dev/shm", "size=64k,mode=1777"))
		return SKIPPED;
	struct duoshm *ctx = context(harness_path("machine"));
	int result =
		strcmp(harness_backend(), "sysv") == 0 ? few_segments(ctx) : little_memory(ctx);
	if (result == 0)
		CHILD_EXPECT(duoshm_stat(ctx, "big", &(struct duoshm_stat)DUOSHM_STAT_INIT),
			DUOSHM_ERR_NOT_FOUND);
	return result;
}

static void limits_are_named(void)
{
	in_namespace(low_limits);
	harness_remove_tree(harness_path("machine"));
	mkdir(harness_path("machine"), 0700);
}

/* ---- a reboot: the registry stays, all kernel objects are gone --------------------------------------- */

static int leave_behind(void *argument)
{
	struct duoshm_create options = DUOSHM_CREATE_INIT;
	struct duoshm_segment *segment;

	(void)argument;
	if (!harness_enter("/dev/shm", "mode=1777"))
		return SKIPPED;
	options.flags = DUOSHM_PERSISTENT;
	options.bells = 1;
	CHILD_EXPECT(duoshm_segment_create(
			     context(NULL), harness_name("before"), 64, &options, &segment),
		0);
	return 0;
}

static int note_state(const struct duoshm_stat *object, void *argument)
{
	*(int *)argument = object->state;
	return 0;
}

static void earlier_boot(void)
{
	struct duoshm_segment *segment;
	int state = 0, status = harness_wait(harness_fork(leave_behind, NULL));

	if (status == SKIPPED)
		HARNESS_SKIP("no namespaces here");
	CU_ASSERT_EQUAL(status, 0);
	struct duoshm *ctx = context(NULL);
	CU_ASSERT_EQUAL(duoshm_list(ctx, 0, note_state, &state), 0);
	CU_ASSERT_EQUAL(state, DUOSHM_ORPHAN);
	CU_ASSERT_EQUAL(duoshm_segment_open(ctx, harness_name("before"), 0, 0, &segment),
		DUOSHM_ERR_NOT_FOUND);
	int made = duoshm_segment_create(ctx, harness_name("before"), 64, NULL, &segment);
	CU_ASSERT_EQUAL(made, DUOSHM_REPLACED);
	if (made >= 0)
		CU_ASSERT_EQUAL(duoshm_segment_close(segment), 0);
	CU_ASSERT_EQUAL(duoshm_remove(ctx, harness_name("before")), 0);
	CU_ASSERT_EQUAL(duoshm_free(ctx), 0);
}

static void before_all(void)
{
	CU_ASSERT(mkdir(harness_path("machine"), 0700) == 0 || errno == EEXIST);
	(void)harness_path("machine/count");
}

static const struct harness_case cases[] = {
	{"a place for the machine", before_all},
	{"C1 colliding keys are survived", keys_collide},
	{"C1 COLLISION means that all ids are taken", keys_are_exhausted},
	{"C3, C10 a full memory or table is an error that names the limit", limits_are_named},
	{"C12 remains of an earlier boot are orphans", earlier_boot},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return harness_run_each(argc, argv, "namespaces", cases);
}
