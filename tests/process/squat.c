/* SPDX-License-Identifier: MIT */
/*
 * Squatters: files of others under the names that the library is about to use, planted beforehand,
 * and by an attacker who does nothing else while objects are made. Nothing of an attacker's may be
 * taken for one's own, nothing may be written through a link, and nothing that belongs to others
 * may go.
 *
 * Races take two users in a registry that an administrator made, and so root. One user alone could
 * take away what is his: that is his right, and no race.
 */
#include "config.h"

#include "harness/fixture.h"

#include <sys/ipc.h>
#include <sys/shm.h>

enum { VICTIM = 65533, ATTACKER = 65534, SIZE = 256, KEYS = 3 };

static const char *registry;
static char entry[600], presence[620], sentinel[600];
static struct duoshm *ctx;
static const char secret[] = "not yours to write";

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0666);

	if (fd >= 0) {
		CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
		close(fd);
	}
}

/* ---- what is planted: at any path ---- */

enum plant {
	LINK,
	DANGLING_LINK,
	LINK_TO_EMPTY, /* followed, it would be an entry that was never finished: remains */
	HARD_LINK,
	FIFO,
	FOLDER,
	RUBBISH,
	DEVICE,
	EMPTY, /* remains: for whoever comes next to take away */
	PLANTS
};

/* As far as it is permitted. */
static void plant(enum plant what, const char *path)
{
	switch (what) {
	case LINK: (void)!symlink(sentinel, path); break;
	case DANGLING_LINK: (void)!symlink(harness_path("nothing"), path); break;
	case LINK_TO_EMPTY: (void)!symlink(harness_path("empty"), path); break;
	case HARD_LINK: (void)!link(sentinel, path); break;
	case FIFO: (void)!mkfifo(path, 0666); break;
	case FOLDER: (void)!mkdir(path, 0777); break;
	case RUBBISH: put(path, "rubbish"); break;
	case DEVICE: (void)!mknod(path, S_IFCHR | 0666, 0x0101 /* /dev/mem */); break;
	default: put(path, "");
	}
}

static void take_away(const char *path)
{
	if (unlink(path) != 0)
		rmdir(path);
}

/* ---- the field ---- */

static void begin(void)
{
	mode_t old = umask(0);

	registry = harness_path("field");
	CHECK_FATAL(mkdir(registry, 0700) == 0);
	if (geteuid() == 0) {
		EXPECT(chmod(harness_scratch_dir(), 0711), 0);
		EXPECT(chmod(registry, 01777), 0);
	}
	umask(old);
	snprintf(
		entry, sizeof entry, "%s/%s@%s", registry, harness_name("prey"), harness_backend());
	snprintf(presence, sizeof presence, "%s/.r.%s@%s", registry, harness_name("prey"),
		harness_backend());
	snprintf(sentinel, sizeof sentinel, "%s", harness_path("sentinel"));
	put(sentinel, secret);
	put(harness_path("empty"), "");
}

static void sentinel_is_whole(void)
{
	char text[sizeof secret] = "";
	int fd = open(sentinel, O_RDONLY);

	CHECK(fd >= 0 && read(fd, text, sizeof text) == (ssize_t)strlen(secret));
	EXPECT_TEXT(text, secret);
	close(fd);
	CHECK(access(harness_path("nothing"), F_OK) != 0);
}

static void end(void)
{
	sentinel_is_whole();
	unlink(sentinel);
	EXPECT(unlink(harness_path("empty")), 0);
	harness_remove_tree(registry);
}

static void become(uid_t uid)
{
	if (geteuid() == 0)
		CHECK_FATAL(setgid(uid) == 0 && setuid(uid) == 0);
	ctx = context_of(harness_backend(), registry);
}

/* What was made is the maker's, empty, and what is opened by its name. True: it was made. */
static bool make_and_judge(const char *name)
{
	struct duoshm_create options = create_with(0, 1);
	struct duoshm_segment *made = NULL, *seen = NULL;
	struct duoshm_stat stat = DUOSHM_STAT_INIT;
	struct stat file;
	unsigned char *bytes;

	options.mode = 0666;
	if (duoshm_segment_create(ctx, name, SIZE, &options, &made) < 0)
		return false;
	bytes = duoshm_segment_data(made);
	for (unsigned i = 0; i < SIZE; i++)
		CHECK(bytes[i] == 0);
	memset(bytes, 0x5a, SIZE);
	CHECK(lstat(entry, &file) == 0 && S_ISREG(file.st_mode));
	CHECK(file.st_uid == geteuid() && file.st_nlink == 1);
	EXPECT((int)(file.st_mode & 022), 0);
	OK(duoshm_segment_open(ctx, name, 0, 0, &seen));
	EXPECT(memcmp(duoshm_segment_data(seen), bytes, SIZE), 0);
	OK(duoshm_stat(ctx, name, &stat));
	EXPECT(stat.uid, geteuid());
	EXPECT(stat.creator_pid, getpid());
	end_segment(seen);
	OK(duoshm_segment_remove(made));
	end_segment(made);
	return true;
}

/* ---- planted beforehand ---- */

/* Nothing may hang, follow, or take it for an object; and the name is free once it is gone. */
static void meet_plants(void)
{
	const char *name = harness_name("prey");
	struct duoshm_segment *segment;
	struct stat before, after;
	long met = 0;

	alarm(30); /* who opens a FIFO hangs */
	become(VICTIM);
	for (enum plant i = LINK; i < EMPTY; i++) {
		plant(i, entry);
		if (lstat(entry, &before) != 0)
			continue; /* not permitted to this user, or by this system */
		CHECK(!make_and_judge(name));
		CHECK(duoshm_segment_open(ctx, name, 0, 0, &segment) < 0);
		CHECK(duoshm_segment_open(ctx, name, DUOSHM_READ_ONLY, 0, &segment) < 0);
		EXPECT(duoshm_reclaim(ctx, 0, NULL, NULL), 0);
		CHECK(lstat(entry, &after) == 0 && after.st_ino == before.st_ino);
		take_away(entry);
		met++;
	}
	for (enum plant i = LINK; i < PLANTS; i++) {
		plant(i, presence);
		CHECK(make_and_judge(name));
		take_away(presence);
	}
	CHECK(met >= 5);
	end_context(ctx);
}

static void plants_are_refused(void)
{
	begin();
	if (harness_in_child(meet_plants))
		harness_proves(16, 2 * (long)PLANTS - 2, "plants");
	end();
}

/* ---- races ---- */

struct race {
	_Atomic int over;
	_Atomic long plants, made;
};
static struct race *race;

/* The keys that the victim's entry leads to, if it is there. */
static void squat_keys(void)
{
	int ids[KEYS];

	for (int i = 0; i < KEYS; i++) {
		key_t key = ftok(entry, i + 1);

		ids[i] = key == -1 ? -1 : shmget(key, SIZE + 4096, IPC_CREAT | IPC_EXCL | 0666);
		void *map = ids[i] >= 0 ? shmat(ids[i], NULL, 0) : (void *)-1;
		if (map != (void *)-1) {
			memset(map, 0xee, SIZE + 4096);
			shmdt(map);
		}
	}
	for (int i = 0; i < KEYS; i++)
		if (ids[i] >= 0)
			shmctl(ids[i], IPC_RMID, NULL);
}

static int attack(void *arg)
{
	unsigned long random = (unsigned long)getpid();

	(void)arg;
	become(ATTACKER);
	while (!race->over) {
		random = random * 1103515245u + 12345u;
		const char *path = random >> 16 & 8 ? presence : entry;
		plant((enum plant)((random >> 16) % PLANTS), path);
		race->plants++;
		if (strcmp(harness_backend(), "sysv") == 0 && random >> 20 & 1)
			squat_keys();
		take_away(path);
	}
	end_context(ctx);
	return 0;
}

static int defend(void *arg)
{
	const char *name = harness_name("prey");

	become(VICTIM);
	for (long i = *(long *)arg; i > 0; i--)
		race->made += make_and_judge(name);
	end_context(ctx);
	return 0;
}

static void races_are_not_won(void)
{
	long races = harness_scale(300, 1000, 10000);

	if (geteuid() != 0)
		HARNESS_SKIP("only root can be two users");
	begin();
	race = harness_shared(sizeof *race);
	pid_t attacker = harness_fork(attack, NULL);
	pid_t victim = harness_fork(defend, &races);
	EXPECT(harness_wait(victim), 0);
	race->over = 1;
	EXPECT(harness_wait(attacker), 0);
	CHECK(race->plants > races / 10);
	CHECK(race->made > 0);
	harness_proves(16, races, "races");
	end();
}

static const struct harness_case cases[] = {
	{"C1 what others planted is neither followed, nor used, nor removed", plants_are_refused},
	{"C1 no race for a name is won", races_are_not_won},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return harness_run_each(argc, argv, "squat", cases);
}
