/* SPDX-License-Identifier: MIT */
/*
 * What needs a machine of its own: ftok collisions, exhausted keys, a reboot. Each case runs in a
 * child with private IPC and mount namespaces (as root, or through a user namespace), so nothing of
 * it is seen outside. Trap: a tmpfs of one's own numbers its inodes one by one, the shared ones do
 * not.
 */
#include "config.h"

#include "harness/fixture.h"

#include <sys/ipc.h>
#include <sys/shm.h>

/*
 * Of the backend under test, in a registry that is a file system of its own. Else the case is
 * skipped.
 */
static struct duoshm *context_of_machine(void)
{
	const char *directory = harness_path("machine");

	(void)mkdir(directory, 0700); /* an earlier case may have made it */
	if (!harness_enter(directory, "mode=0700"))
		harness_skip("no namespaces");
	return context_of(harness_backend(), directory);
}

static struct duoshm_segment *make(struct duoshm *ctx, const char *name, unsigned bells)
{
	struct duoshm_create options = create_with(0, bells);
	struct duoshm_segment *segment = NULL;

	OK(duoshm_segment_create(ctx, name, 64, &options, &segment));
	return segment;
}

static struct duoshm_segment *reopen(
	struct duoshm *ctx, struct duoshm_segment *segment, const char *name)
{
	end_segment(segment);
	OK(duoshm_segment_open(ctx, name, 0, 0, &segment));
	return segment;
}

/* ---- collisions ------------------------------------------------------------------------------ */

static const char *entry_of(const char *name)
{
	static char path[600];

	snprintf(path, sizeof(path), "%s/%s@%s", harness_path("machine"), name, harness_backend());
	return path;
}

static ino_t inode_of(const char *path)
{
	struct stat info;

	OK(stat(path, &info));
	return info.st_ino;
}

/* The number that the tmpfs gave to a new file just now. */
static ino_t next_inode(void)
{
	const char *path = harness_path("machine/count");
	int fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);
	struct stat info;

	CHECK(fd >= 0 && fstat(fd, &info) == 0 && close(fd) == 0 && unlink(path) == 0);
	return info.st_ino;
}

/* Makes and removes an object: how many numbers further is its entry? */
static ino_t distance(struct duoshm *ctx)
{
	ino_t now = next_inode();
	struct duoshm_segment *segment = make(ctx, "trial", 0);
	ino_t entry = inode_of(entry_of("trial"));

	end_segment(segment);
	OK(duoshm_remove(ctx, "trial"));
	return entry - now;
}

static void collide(void)
{
	struct duoshm *ctx = context_of_machine();
	struct duoshm_stat stats[2] = {DUOSHM_STAT_INIT, DUOSHM_STAT_INIT};
	ino_t ahead = distance(ctx);
	struct duoshm_segment *first = make(ctx, "first", 2), *second;
	ino_t target = inode_of(entry_of("first"));

	while (((next_inode() + ahead) & 0xffff) != (target & 0xffff))
		;
	second = make(ctx, "second", 2);
	CHECK(inode_of(entry_of("second")) != target);
	CHECK(ftok(entry_of("first"), 1) == ftok(entry_of("second"), 1));
	OK(duoshm_stat(ctx, "first", &stats[0]));
	OK(duoshm_stat(ctx, "second", &stats[1]));
	CHECK(strcmp(stats[0].native, stats[1].native) != 0);
	strcpy(duoshm_segment_data(first), "first");
	strcpy(duoshm_segment_data(second), "second");
	first = reopen(ctx, first, "first");
	second = reopen(ctx, second, "second");
	EXPECT_TEXT(duoshm_segment_data(first), "first");
	EXPECT_TEXT(duoshm_segment_data(second), "second");
	OK(duoshm_segment_ring(first, 1));
	EXPECT(duoshm_segment_sleep(second, 1, 0), DUOSHM_ERR_TIMEOUT);
	OK(duoshm_segment_sleep(first, 1, 0));
	OK(duoshm_remove(ctx, "first"));
	end_segment(first);
	second = reopen(ctx, second, "second");
	EXPECT_TEXT(duoshm_segment_data(second), "second");
	end_segment(second);
	OK(duoshm_remove(ctx, "second"));
	end_context(ctx);
}

static void keys_collide(void)
{
	harness_in_child(collide);
}

/* Takes all keys that the next entry can have. */
static void exhaust(void)
{
	struct duoshm *ctx = context_of_machine();
	struct duoshm_segment *segment;
	ino_t ahead = distance(ctx), now = next_inode();
	unsigned device = (unsigned)ftok(harness_path("machine"), 1) & 0xff0000;

	for (unsigned id = 1; id <= 255; id++) {
		key_t key = (key_t)(id << 24 | device | (unsigned)((now + ahead) & 0xffff));
		CHECK(shmget(key, 1, IPC_CREAT | IPC_EXCL | 0600) >= 0);
	}
	EXPECT(duoshm_segment_create(ctx, "late", 64, NULL, &segment), DUOSHM_ERR_COLLISION);
	EXPECT(harness_entries(harness_path("machine")), 0);
	/* The next entry has another number, and other keys. */
	end_segment(make(ctx, "late", 0));
	OK(duoshm_remove(ctx, "late"));
	end_context(ctx);
}

static void keys_are_exhausted(void)
{
	if (strcmp(harness_backend(), "sysv") != 0)
		HARNESS_SKIP("only System V has keys");
	harness_in_child(exhaust);
}

/* ---- a reboot: the registry stays, all kernel objects are gone ------------------------------- */

static void leave_behind(void)
{
	if (!harness_enter("/dev/shm", "mode=1777"))
		HARNESS_SKIP("no such machine here");
	struct duoshm_create options = create_with(DUOSHM_PERSISTENT, 1);
	struct duoshm_segment *segment;
	OK(duoshm_segment_create(new_context(), harness_name("before"), 64, &options, &segment));
}

static int note_state(const struct duoshm_stat *object, void *argument)
{
	*(int *)argument = object->state;
	return 0;
}

static void earlier_boot(void)
{
	struct duoshm_segment *segment = NULL;
	int state = 0;

	if (!harness_in_child(leave_behind))
		return;
	struct duoshm *ctx = new_context();
	EXPECT(duoshm_list(ctx, 0, note_state, &state), 0);
	EXPECT(state, DUOSHM_ORPHAN);
	EXPECT(duoshm_segment_open(ctx, harness_name("before"), 0, 0, &segment),
		DUOSHM_ERR_NOT_FOUND);
	EXPECT(duoshm_segment_create(ctx, harness_name("before"), 64, NULL, &segment),
		DUOSHM_REPLACED);
	end_segment(segment);
	discard(ctx, "before");
	end_context(ctx);
}

static const struct harness_case cases[] = {
	{"C1 colliding keys are survived", keys_collide},
	{"C1 COLLISION means that all ids are taken", keys_are_exhausted},
	{"C12 remains of an earlier boot are orphans", earlier_boot},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return harness_run_each(argc, argv, "namespaces", cases);
}
