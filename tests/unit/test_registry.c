/* SPDX-License-Identifier: MIT */
/* The registry: its directory, its entries and their locks, presence of readers. */
#include "config.h"

#include "core/failure.h"
#include "core/file.h"
#include "core/registry.h"
#include "harness/fixture.h"

#include <sys/file.h>

static struct duoshm__registry registry;

/* A registry of the case's own. */
static void begin(void)
{
	static unsigned cases_begun;
	char stem[16];

	snprintf(stem, sizeof stem, "case%u", cases_begun++);
	OK(duoshm__registry_open(harness_path(stem), &registry));
}

static void end(void)
{
	duoshm__registry_close(&registry);
}

/* Nothing unfinished is left in it. */
static void is_empty(void)
{
	EXPECT(rmdir(registry.directory), 0);
	EXPECT(mkdir(registry.directory, 0700), 0);
}

static int create(const char *name, unsigned mode, struct duoshm__entry_lock *out)
{
	return duoshm__entry_create(&registry, name, "one", mode, out);
}

static int lock_entry(const char *name, struct duoshm__entry_lock *out)
{
	return duoshm__entry_lock(&registry, name, "one", out);
}

/* ---- the directory --------------------------------------------------------------------------- */

static bool lock_is_free(const char *path)
{
	int fd = duoshm__file_open(path, O_RDONLY, 0);
	bool is_free = fd >= 0 && duoshm__file_lock(fd, LOCK_EX | LOCK_NB) == 0;
	close(fd);
	return is_free;
}

static void makes_the_directory(void)
{
	struct stat made = {0};
	const char *path = harness_path("new");
	struct duoshm__registry first, second;
	mode_t before = umask(0);
	OK(duoshm__registry_open(path, &first));
	umask(before);
	EXPECT_TEXT(first.directory, path);
	EXPECT(lstat(path, &made), 0);
	EXPECT(made.st_mode & 07777, 0700);
	CHECK(!lock_is_free(path)); /* a cleaner sees that it is in use */
	EXPECT(duoshm__registry_open(path, &second), 0);
	duoshm__registry_close(&first);
	CHECK(!lock_is_free(path));
	duoshm__registry_close(&second);
	CHECK(lock_is_free(path));
}

/* In a child, whose environment and place are its own. */
static void find_the_directory(void)
{
	const char *wanted = harness_path("found");
	char path[512];
	struct duoshm__registry found;
	snprintf(path, sizeof path, "%s///", wanted);
	OK(duoshm__registry_open(path, &found));
	EXPECT_TEXT(found.directory, wanted);
	duoshm__registry_close(&found);
	OK(chdir(harness_scratch_dir()));
	OK(setenv("DUOSHM_DIR", "found", 1));
	OK(duoshm__registry_open(NULL, &found));
	EXPECT_TEXT(found.directory, wanted);
	duoshm__registry_close(&found);
}

static void finds_the_directory(void)
{
	harness_in_child(find_the_directory);
}

static void expect_refusal(const char *path, const char *words)
{
	struct duoshm__registry before, opened;
	memset(&opened, 'x', sizeof opened);
	memcpy(&before, &opened, sizeof before);
	EXPECT(duoshm__registry_open(path, &opened), DUOSHM_ERR_REGISTRY);
	EXPECT_PART(duoshm_failure()->cause, "registry directory ");
	EXPECT_PART(duoshm_failure()->cause, words);
	CHECK(duoshm_failure()->cure[0] != '\0');
	EXPECT(memcmp(&before, &opened, sizeof opened), 0);
}

static void refuses_directories(void)
{
	char path[600];
	const char *ours = registry.directory, *link = harness_path("link"),
		   *file = harness_path("file");
	EXPECT(symlink(ours, link), 0);
	expect_refusal(link, "/link: is a symbolic link");
	EXPECT_TEXT(duoshm_failure()->cure, "remove it or choose another with --dir");
	snprintf(path, sizeof path, "%s/", link);
	expect_refusal(path, "is a symbolic link");
	harness_write_text(file, "");
	expect_refusal(file, "is not a directory");
	snprintf(path, sizeof path, "%s/in/it", harness_path("nowhere"));
	expect_refusal(path, "does the directory above it exist?");
	memset(path, 'a', sizeof path);
	path[0] = '/';
	path[sizeof path - 1] = '\0';
	expect_refusal(path, "too long");
	expect_refusal("", "no name");
	EXPECT(chmod(ours, 0777), 0);
	expect_refusal(ours, "sticky");
	EXPECT(chmod(ours, 0720), 0);
	expect_refusal(ours, "sticky");
	struct duoshm__registry again;
	EXPECT(chmod(ours, 01777), 0);
	OK(duoshm__registry_open(ours, &again));
	duoshm__registry_close(&again);
}

/* ---- entries --------------------------------------------------------------------------------- */

static struct duoshm__entry sample(const char *name)
{
	struct duoshm__entry entry = {.backend = "one",
		.kind = DUOSHM_KIND_QUEUE,
		.ready = true,
		.removing = true,
		.persistent = true,
		.mode = 0640,
		.bells = 2,
		.size = UINT64_MAX,
		.footprint = 8192,
		.generation = 0xfedcba9876543210u,
		.owner = (UINT64_C(1) << 51) - 1,
		.creator = {.pid = getpid(), .start = 77, .boot = UINT64_MAX},
		.created_ns = INT64_MAX,
		.native = {.text = "/duoshm.x.0123", .segment_id = -1, .bells_id = 2147483647}};
	snprintf(entry.name, sizeof entry.name, "%s", name);
	return entry;
}

/* Their texts are the same, and that tells of every field. */
static void expect_same(const struct duoshm__entry *got, const struct duoshm__entry *want)
{
	char texts[2][DUOSHM__ENTRY_TEXT_SIZE] = {"", ""};

	EXPECT(duoshm__entry_format(got, texts[0]), 0);
	EXPECT(duoshm__entry_format(want, texts[1]), 0);
	EXPECT(memcmp(texts[0], texts[1], sizeof texts[0]), 0);
}

static int read_entry(const char *name, struct duoshm__entry *out)
{
	return duoshm__entry_read(&registry, name, "one", out);
}

static void entries_live(void)
{
	struct duoshm__entry_lock lock, second;
	struct duoshm__entry entry = sample("x"), got;
	mode_t before = umask(027);
	EXPECT(read_entry("x", &got), DUOSHM_ERR_NOT_FOUND);
	EXPECT(lock_entry("x", &lock), DUOSHM_ERR_NOT_FOUND);
	OK(create("x", 0666, &lock));
	EXPECT(lock.mode, 0640);
	EXPECT(lock.uid, geteuid());
	EXPECT(read_entry("x", &got), 0); /* empty: being built */
	CHECK(!got.ready);
	EXPECT(got.generation, 0);
	EXPECT_TEXT(got.name, "x");
	EXPECT(got.native.segment_id, -1);
	EXPECT(duoshm__entry_write(&lock, &entry), 0);
	EXPECT(read_entry("x", &got), 0);
	expect_same(&got, &entry);
	EXPECT(got.mode, 0640);
	entry.native.text[0] = '\0';
	entry.ready = false;
	entry.creator.pid = 4711;
	EXPECT(duoshm__entry_write(&lock, &entry), 0);
	EXPECT(read_entry("x", &got), 0);
	expect_same(&got, &entry);
	EXPECT(create("x", 0600, &second), DUOSHM_ERR_EXISTS);
	EXPECT(lock_entry("x", &second), DUOSHM_ERR_BUSY);
	EXPECT_PART(duoshm_failure()->cause, "4711");
	duoshm__entry_unlock(&lock);
	EXPECT(lock.fd, -1);
	EXPECT(lock_entry("x", &second), 0);
	EXPECT(second.mode, 0640);
	EXPECT(duoshm__entry_remove(&second), 0);
	duoshm__entry_unlock(&second);
	EXPECT(read_entry("x", &got), DUOSHM_ERR_NOT_FOUND);
	umask(before);
	is_empty();
}

/* A text with any bit changed, or cut anywhere, is refused, and what was there stays. */
static void text_is_checked(void)
{
	struct duoshm__entry entry = sample("x"), got, before;
	char text[DUOSHM__ENTRY_TEXT_SIZE];
	memset(&got, 'x', sizeof got);
	memcpy(&before, &got, sizeof before);
	EXPECT(duoshm__entry_format(&entry, text), 0);
	unsigned accepted = 0;
	for (size_t i = 0; i < sizeof text; i++) {
		for (int bit = 0; bit < 8; bit++) {
			text[i] = (char)(text[i] ^ 1 << bit);
			accepted += duoshm__entry_parse(text, &got) == 0;
			text[i] = (char)(text[i] ^ 1 << bit);
		}
	}
	EXPECT(accepted, 0);
	EXPECT(memcmp(&got, &before, sizeof got), 0);
	EXPECT(duoshm__entry_parse(text, &got), 0);
	expect_same(&got, &entry);
	entry.bells = DUOSHM_BELLS_MAX + 1;
	EXPECT(duoshm__entry_format(&entry, text), 0);
	EXPECT(duoshm__entry_parse(text, &got), DUOSHM_ERR_CORRUPT);
	entry = sample("x");
	strcpy(entry.native.text, "a\nready 1");
	EXPECT(duoshm__entry_format(&entry, text), DUOSHM_ERR_INVALID);
	entry = sample("x");
	memset(entry.name, 'n', sizeof entry.name - 1);
	memset(entry.native.text, 'n', sizeof entry.native.text - 1);
	entry.name[sizeof entry.name - 1] = entry.native.text[sizeof entry.native.text - 1] = '\0';
	entry.created_ns = INT64_MIN;
	EXPECT(duoshm__entry_format(&entry, text), 0);
	EXPECT(duoshm__entry_parse(text, &got), 0);
	expect_same(&got, &entry);
}

static void put_file(const char *file, const void *bytes, size_t size)
{
	char path[DUOSHM__PATH_SIZE];
	snprintf(path, sizeof path, "%s/%s", registry.directory, file);
	harness_write(path, bytes, size);
}

static void damaged_entries(void)
{
	struct duoshm__entry entry = sample("x"), got;
	char text[DUOSHM__ENTRY_TEXT_SIZE], path[DUOSHM__PATH_SIZE];
	struct duoshm__entry_lock lock;
	EXPECT(duoshm__entry_format(&entry, text), 0);
	put_file("x@one", text, sizeof text);
	EXPECT(read_entry("x", &got), 0);
	put_file("y@one", text, sizeof text);
	EXPECT(read_entry("y", &got), DUOSHM_ERR_CORRUPT);
	EXPECT_PART(duoshm_failure()->cause, "another object");
	CHECK(duoshm_failure()->cure[0] != '\0');
	put_file("x@one", text, sizeof text - 1);
	EXPECT(read_entry("x", &got), DUOSHM_ERR_CORRUPT);
	put_file("x@one", "junk", 4);
	EXPECT(read_entry("x", &got), DUOSHM_ERR_CORRUPT);
	EXPECT_PART(duoshm_failure()->cause, "x@one");
	duoshm__entry_path(&registry, "link", "one", path);
	EXPECT(symlink("x@one", path), 0);
	duoshm__entry_path(&registry, "pipe", "one", path);
	EXPECT(mkfifo(path, 0600), 0);
	for (int i = 0; i < 2; i++) {
		EXPECT(read_entry(i == 0 ? "link" : "pipe", &got), DUOSHM_ERR_CORRUPT);
		EXPECT(lock_entry(i == 0 ? "link" : "pipe", &lock), DUOSHM_ERR_CORRUPT);
	}
}

struct walk {
	char seen[400];
	int stop_after;
};
static int note_entry(const struct duoshm__entry *entry, int result, void *arg)
{
	struct walk *walk = arg;
	size_t used = strlen(walk->seen);
	const char *mark = result == 0 ? "" : result == DUOSHM_ERR_CORRUPT ? "!" : "?";
	snprintf(walk->seen + used, sizeof walk->seen - used, "%s@%s%s ", entry->name,
		entry->backend, mark);
	return --walk->stop_after == 0 ? 5 : 0;
}

static void scans_entries(void)
{
	static const char *const files[] = {"b@one", "a.b@two", "a@two", "a@one", "a-@one"};
	static const char *const no_entries[] = {".l.x", ".t.x", ".r.a@one", "a", "a@", "@one",
		"A@one", "a@one@two", "a@ONE", "a@eightchr", "README"};
	struct duoshm__entry entry;
	char text[DUOSHM__ENTRY_TEXT_SIZE];
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		const char *at = strchr(files[i], '@');
		entry = sample("");
		memcpy(entry.name, files[i], (size_t)(at - files[i]));
		snprintf(entry.backend, sizeof entry.backend, "%s", at + 1);
		EXPECT(duoshm__entry_format(&entry, text), 0);
		put_file(files[i], text, sizeof text);
	}
	for (size_t i = 0; i < sizeof no_entries / sizeof no_entries[0]; i++)
		put_file(no_entries[i], "x", 1);
	put_file("c@one", "junk", 4);
	struct walk walk = {.stop_after = 0};
	EXPECT(duoshm__registry_scan(&registry, note_entry, &walk), 0);
	EXPECT_TEXT(walk.seen, "a@one a@two a-@one a.b@two b@one c@one! ");
	walk = (struct walk){.stop_after = 2};
	EXPECT(duoshm__registry_scan(&registry, note_entry, &walk), 5);
	EXPECT_TEXT(walk.seen, "a@one a@two ");
}

/* ---- locks and sweepers ---------------------------------------------------------------------- */

static void lose_descriptors(void)
{
	struct duoshm__entry_lock lock;
	struct duoshm__entry entry = sample("x"), got;
	OK(create("x", 0600, &lock));
	OK(duoshm__entry_write(&lock, &entry));
	int held = lock.fd;
	for (int fd = 3; fd < 256; fd++)
		close(fd);
	/* the program's own file gets the number */
	int own = open(harness_path("own"), O_RDWR | O_CREAT, 0600);
	CHECK(own >= 0 && dup2(own, held) == held);
	EXPECT(duoshm__entry_write(&lock, &entry), DUOSHM_ERR_REMOVED);
	EXPECT(duoshm__entry_remove(&lock), DUOSHM_ERR_REMOVED);
	duoshm__entry_unlock(&lock);
	CHECK(fcntl(held, F_GETFD) >= 0);
	OK(lseek(held, 0, SEEK_END));
	/* the registry still works: all goes by path */
	OK(read_entry("x", &got));
	OK(lock_entry("x", &lock));
	OK(duoshm__entry_remove(&lock));
	duoshm__entry_unlock(&lock);
}

static void survives_closed_descriptors(void)
{
	harness_in_child(lose_descriptors);
}

static void compete(void)
{
	char inside[DUOSHM__PATH_SIZE];
	snprintf(inside, sizeof inside, "%s/.inside", registry.directory);
	long rounds = harness_scale(100, 600, 5000), won = 0;
	/* On a busy machine all rounds may go to the others: then go on until one is won. */
	for (long i = 0; i < rounds || won == 0; i++) {
		struct duoshm__entry_lock lock;
		int result = i % 2 == 0 ? create("x", 0600, &lock) : lock_entry("x", &lock);
		if (result != 0) {
			CHECK(result == DUOSHM_ERR_EXISTS || result == DUOSHM_ERR_BUSY ||
				result == DUOSHM_ERR_NOT_FOUND);
			continue;
		}
		won++;
		int fd = open(inside, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
		CHECK(fd >= 0); /* nobody else is inside */
		close(fd);
		CHECK(duoshm__file_is(lock.fd, lock.path));
		OK(unlink(inside));
		if (i % 3 == 0)
			OK(duoshm__entry_remove(&lock));
		duoshm__entry_unlock(&lock);
		duoshm__registry_sweep(&registry);
	}
}

static void locks_exclude(void)
{
	harness_in_children(4, compete);
	char path[DUOSHM__PATH_SIZE];
	duoshm__entry_path(&registry, "x", "one", path);
	unlink(path);
	is_empty();
}

/*
 * What a living maker has is left alone. If it is swept between making and publishing after all, he
 * is told to begin again.
 */
static void tells_of_sweepers(void)
{
	struct duoshm__new_file file;
	OK(duoshm__file_make(registry.directory, 0600, &file));
	duoshm__registry_sweep(&registry);
	EXPECT(unlink(file.path), 0);
	EXPECT(duoshm__file_publish(&file, harness_path("name")), DUOSHM_ERR_BUSY);
	duoshm__file_discard(&file);
}

/* ---- presence -------------------------------------------------------------------------------- */

static int present(void)
{
	return duoshm__presence_test(&registry, "x", "one");
}

static int hold(void)
{
	return duoshm__presence_hold(&registry, "x", "one");
}

static int hold_and_stay(void *helper)
{
	CHECK(hold() >= 0);
	return helper_stays(helper);
}

static void readers_are_present(void)
{
	struct helper holder;
	struct duoshm__entry_lock lock;
	EXPECT(present(), -1);
	EXPECT(hold(), -1);
	OK(create("x", 0644, &lock));
	duoshm__presence_create(&lock);
	EXPECT(present(), 0);
	int fd = hold();
	CHECK(fd >= 0);
	EXPECT(present(), 1);
	duoshm__fd_drop(fd);
	EXPECT(present(), 0);
	start_helper(&holder, hold_and_stay, "", 0);
	EXPECT(present(), 1);
	/* the next object of the name is not that one */
	duoshm__presence_create(&lock);
	EXPECT(present(), 0);
	kill_helper(&holder);
	/* without its entry it goes, but not under a reader */
	EXPECT(unlink(lock.path), 0);
	fd = hold();
	duoshm__registry_sweep(&registry);
	EXPECT(present(), 1);
	duoshm__fd_drop(fd);
	duoshm__registry_sweep(&registry);
	EXPECT(present(), -1);
	duoshm__entry_unlock(&lock);
	is_empty();
}

static const struct harness_case cases[] = {
	{"directory: made", makes_the_directory},
	{"directory: found", finds_the_directory},
	{"directory: refused, with cause and cure", refuses_directories},
	{"entries: made, written, read, removed", entries_live},
	{"entries: every bit of the text is checked", text_is_checked},
	{"entries: damaged, foreign, no files", damaged_entries},
	{"entries: listed in order", scans_entries},
	{"locks: lost with all descriptors", survives_closed_descriptors},
	{"locks: exclude", locks_exclude},
	{"sweep: makers are told", tells_of_sweepers},
	{"presence of readers", readers_are_present},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	harness_around(begin, end);
	return harness_run(argc, argv, "registry", cases);
}
