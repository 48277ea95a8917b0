/* SPDX-License-Identifier: MIT */
/* The registry: its directory, its entries and their locks, presence of readers. */
#include "config.h"

#include "core/entry_text.h"
#include "core/failure.h"
#include "core/file.h"
#include "core/registry.h"
#include "harness/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

static struct duoshm__registry registry;

/* A registry of the case's own. */
static void begin(const char *stem)
{
	OK(duoshm__registry_open(harness_path(stem), &registry));
}

static void end(void)
{
	duoshm__registry_close(&registry);
}

static bool cause_has(const char *words)
{
	return strstr(duoshm_failure()->cause, words) != NULL;
}

/* ---- the directory ------------------------------------------------------------------------------- */

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
	struct duoshm__registry second;
	mode_t before = umask(0);
	begin("new");
	umask(before);
	EXPECT_TEXT(registry.directory, path);
	EXPECT(lstat(path, &made), 0);
	EXPECT(made.st_mode & 07777, 0700);
	CHECK(!lock_is_free(path)); /* a cleaner sees that it is in use */
	EXPECT(duoshm__registry_open(path, &second), 0);
	end();
	CHECK(!lock_is_free(path));
	duoshm__registry_close(&second);
	CHECK(lock_is_free(path));
}

static void finds_the_directory(void)
{
	char path[512], here[512];
	const char *wanted = harness_path("found");
	CHECK_FATAL(getcwd(here, sizeof here) != NULL);
	snprintf(path, sizeof path, "%s///", wanted);
	EXPECT(duoshm__registry_open(path, &registry), 0);
	EXPECT_TEXT(registry.directory, wanted);
	end();
	EXPECT(chdir(harness_scratch_dir()), 0);
	const char *environment = getenv("DUOSHM_DIR");
	snprintf(path, sizeof path, "%s", environment != NULL ? environment : "");
	EXPECT(setenv("DUOSHM_DIR", strrchr(wanted, '/') + 1, 1), 0);
	EXPECT(duoshm__registry_open(NULL, &registry), 0);
	EXPECT_TEXT(registry.directory, wanted);
	end();
	setenv("DUOSHM_DIR", path, 1);
	EXPECT(chdir(here), 0);
}

static void expect_refusal(const char *path, const char *words)
{
	struct duoshm__registry before, opened;
	memset(&opened, 'x', sizeof opened);
	memcpy(&before, &opened, sizeof before);
	EXPECT(duoshm__registry_open(path, &opened), DUOSHM_ERR_REGISTRY);
	CHECK(cause_has("registry directory "));
	CHECK(cause_has(words));
	CHECK(duoshm_failure()->cure[0] != '\0');
	EXPECT(memcmp(&before, &opened, sizeof opened), 0);
}

static void refuses_directories(void)
{
	char path[600];
	begin("good");
	end();
	EXPECT(symlink(harness_path("good"), harness_path("link")), 0);
	expect_refusal(harness_path("link"), "/link: is a symbolic link");
	EXPECT_TEXT(duoshm_failure()->cure, "remove it or choose another with --dir");
	snprintf(path, sizeof path, "%s/", harness_path("link"));
	expect_refusal(path, "is a symbolic link");
	close(open(harness_path("file"), O_WRONLY | O_CREAT, 0600));
	expect_refusal(harness_path("file"), "is not a directory");
	snprintf(path, sizeof path, "%s/in/it", harness_path("nowhere"));
	expect_refusal(path, "the directory above it does not exist");
	memset(path, 'a', sizeof path);
	path[0] = '/';
	path[sizeof path - 1] = '\0';
	expect_refusal(path, "too long");
	expect_refusal("", "no name");
	EXPECT(chmod(harness_path("good"), 0777), 0);
	expect_refusal(harness_path("good"), "sticky");
	EXPECT(chmod(harness_path("good"), 0720), 0);
	expect_refusal(harness_path("good"), "sticky");
	EXPECT(chmod(harness_path("good"), 01777), 0);
	begin("good");
	end();
}

static void refuses_directories_of_others(void)
{
	if (geteuid() != 0)
		HARNESS_SKIP("only root can give a directory away");
	begin("theirs");
	end();
	EXPECT(chown(harness_path("theirs"), 65534, 65534), 0);
	expect_refusal(harness_path("theirs"), "belongs to user 65534");
}

/* ---- entries ---------------------------------------------------------------------------------------- */

static struct duoshm__entry sample(const char *name)
{
	struct duoshm__entry entry = {.backend = "one",
		.kind = DUOSHM_KIND_QUEUE,
		.ready = true,
		.persistent = true,
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

static void expect_same(const struct duoshm__entry *got, const struct duoshm__entry *want)
{
	EXPECT_TEXT(got->name, want->name);
	EXPECT_TEXT(got->backend, want->backend);
	EXPECT(got->kind, want->kind);
	EXPECT(got->ready, want->ready);
	EXPECT(got->persistent, want->persistent);
	EXPECT(got->reserved, want->reserved);
	EXPECT(got->bells, want->bells);
	EXPECT(got->size, want->size);
	EXPECT(got->footprint, want->footprint);
	EXPECT(got->generation, want->generation);
	EXPECT(got->owner, want->owner);
	EXPECT(got->creator.pid, want->creator.pid);
	EXPECT(got->creator.start, want->creator.start);
	EXPECT(got->creator.boot, want->creator.boot);
	EXPECT(got->created_ns, want->created_ns);
	EXPECT_TEXT(got->native.text, want->native.text);
	EXPECT(got->native.segment_id, want->native.segment_id);
	EXPECT(got->native.bells_id, want->native.bells_id);
}

static int read_entry(const char *name, struct duoshm__entry *out)
{
	return duoshm__entry_read(&registry, name, "one", out);
}

static void entries_live(void)
{
	begin("entries");
	struct duoshm__entry_lock lock, second;
	struct duoshm__entry entry = sample("x"), got;
	mode_t before = umask(027);
	EXPECT(read_entry("x", &got), DUOSHM_ERR_NOT_FOUND);
	EXPECT(duoshm__entry_lock(&registry, "x", "one", &lock), DUOSHM_ERR_NOT_FOUND);
	OK(duoshm__entry_create(&registry, "x", "one", 0666, &lock));
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
	EXPECT(duoshm__entry_create(&registry, "x", "one", 0600, &second), DUOSHM_ERR_EXISTS);
	EXPECT(duoshm__entry_lock(&registry, "x", "one", &second), DUOSHM_ERR_BUSY);
	CHECK(cause_has("4711"));
	duoshm__entry_unlock(&lock);
	EXPECT(lock.fd, -1);
	EXPECT(duoshm__entry_lock(&registry, "x", "one", &second), 0);
	EXPECT(second.mode, 0640);
	EXPECT(duoshm__entry_unlink(&second), 0);
	duoshm__entry_unlock(&second);
	EXPECT(read_entry("x", &got), DUOSHM_ERR_NOT_FOUND);
	umask(before);
	end();
	EXPECT(rmdir(harness_path("entries")), 0); /* no unfinished file is left */
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
	int fd = duoshm__file_open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	EXPECT(duoshm__file_write(fd, bytes, size, 0), (ssize_t)size);
	close(fd);
}

static void damaged_entries(void)
{
	begin("damaged");
	struct duoshm__entry entry = sample("x"), got;
	char text[DUOSHM__ENTRY_TEXT_SIZE], path[DUOSHM__PATH_SIZE];
	EXPECT(duoshm__entry_format(&entry, text), 0);
	put_file("x@one", text, sizeof text);
	EXPECT(read_entry("x", &got), 0);
	put_file("y@one", text, sizeof text);
	EXPECT(read_entry("y", &got), DUOSHM_ERR_CORRUPT);
	CHECK(cause_has("another object"));
	CHECK(duoshm_failure()->cure[0] != '\0');
	put_file("x@one", text, sizeof text - 1);
	EXPECT(read_entry("x", &got), DUOSHM_ERR_CORRUPT);
	put_file("x@one", "junk", 4);
	EXPECT(read_entry("x", &got), DUOSHM_ERR_CORRUPT);
	CHECK(cause_has("x@one"));
	duoshm__entry_path(&registry, "link", "one", path);
	EXPECT(symlink("x@one", path), 0);
	EXPECT(read_entry("link", &got), DUOSHM_ERR_CORRUPT);
	struct duoshm__entry_lock lock;
	EXPECT(duoshm__entry_lock(&registry, "link", "one", &lock), DUOSHM_ERR_CORRUPT);
	duoshm__entry_path(&registry, "pipe", "one", path);
	EXPECT(mkfifo(path, 0600), 0);
	EXPECT(read_entry("pipe", &got), DUOSHM_ERR_CORRUPT);
	EXPECT(duoshm__entry_lock(&registry, "pipe", "one", &lock), DUOSHM_ERR_CORRUPT);
	end();
}

struct walk {
	char seen[400];
	int stop_after;
};
static int note_entry(const struct duoshm__entry *entry, int result, void *arg)
{
	struct walk *walk = arg;
	size_t used = strlen(walk->seen);
	snprintf(walk->seen + used, sizeof walk->seen - used, "%s@%s%s ", entry->name,
		entry->backend,
		result == 0                    ? ""
		: result == DUOSHM_ERR_CORRUPT ? "!"
					       : "?");
	return --walk->stop_after == 0 ? 5 : 0;
}

static void scans_entries(void)
{
	begin("scan");
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
	end();
}

/* ---- locks and processes --------------------------------------------------------------------------- */

static struct harness_gate ready;

static int create_and_stay(void *arg)
{
	struct duoshm__entry_lock lock;
	struct duoshm__entry entry = sample("x");
	entry.ready = false;
	OK(duoshm__entry_create(&registry, "x", "one", 0600, &lock));
	if (arg != NULL)
		OK(duoshm__entry_write(&lock, &entry));
	harness_gate_open(&ready);
	for (;;)
		pause();
	return 0;
}

static void the_dead_give_back_their_locks(void)
{
	begin("killed");
	harness_gate(&ready);
	struct duoshm__entry_lock lock;
	char pid_text[24];
	for (int written = 0; written < 2; written++) {
		pid_t pid = harness_fork(create_and_stay, written ? &ready : NULL);
		CHECK_FATAL(harness_gate_pass(&ready));
		harness_stop(pid);
		EXPECT(duoshm__entry_lock(&registry, "x", "one", &lock), DUOSHM_ERR_BUSY);
		snprintf(pid_text, sizeof pid_text, "process %ld", (long)pid);
		EXPECT(cause_has(pid_text), written);
		harness_kill(pid);
		OK(duoshm__entry_lock(&registry, "x", "one", &lock));
		EXPECT(duoshm__entry_unlink(&lock), 0);
		duoshm__entry_unlock(&lock);
	}
	harness_gate_close(&ready);
	end();
}

static int lose_descriptors(void *arg)
{
	(void)arg;
	struct duoshm__entry_lock lock;
	struct duoshm__entry entry = sample("x"), got;
	OK(duoshm__entry_create(&registry, "x", "one", 0600, &lock));
	OK(duoshm__entry_write(&lock, &entry));
	int held = lock.fd;
	for (int fd = 3; fd < 256; fd++)
		close(fd);
	/* the program's own file gets the number */
	int own = open(harness_path("own"), O_RDWR | O_CREAT, 0600);
	CHECK(own >= 0 && dup2(own, held) == held);
	EXPECT(duoshm__entry_write(&lock, &entry), DUOSHM_ERR_REMOVED);
	EXPECT(duoshm__entry_unlink(&lock), DUOSHM_ERR_REMOVED);
	duoshm__entry_unlock(&lock);
	CHECK(fcntl(held, F_GETFD) >= 0);
	OK(lseek(held, 0, SEEK_END));
	/* the registry still works: all goes by path */
	OK(read_entry("x", &got));
	OK(duoshm__entry_lock(&registry, "x", "one", &lock));
	OK(duoshm__entry_unlink(&lock));
	duoshm__entry_unlock(&lock);
	return 0;
}

static void survives_closed_descriptors(void)
{
	begin("closed");
	EXPECT(harness_wait(harness_fork(lose_descriptors, NULL)), 0);
	end();
}

static int compete(void *arg)
{
	char inside[DUOSHM__PATH_SIZE];
	snprintf(inside, sizeof inside, "%s/.inside", registry.directory);
	long rounds = *(long *)arg, won = 0;
	/* On a busy machine all rounds may go to the others: then go on until one is won. */
	for (long i = 0; i < rounds || won == 0; i++) {
		struct duoshm__entry_lock lock;
		int result = i % 2 == 0 ? duoshm__entry_create(&registry, "x", "one", 0600, &lock)
					: duoshm__entry_lock(&registry, "x", "one", &lock);
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
			OK(duoshm__entry_unlink(&lock));
		duoshm__entry_unlock(&lock);
		duoshm__registry_sweep(&registry);
	}
	return 0;
}

static void locks_exclude(void)
{
	begin("compete");
	enum { PROCESSES = 4 };
	pid_t pids[PROCESSES];
	long rounds = harness_scale(100, 600, 5000);
	for (int i = 0; i < PROCESSES; i++)
		pids[i] = harness_fork(compete, &rounds);
	for (int i = 0; i < PROCESSES; i++)
		EXPECT(harness_wait(pids[i]), 0);
	char path[DUOSHM__PATH_SIZE];
	duoshm__entry_path(&registry, "x", "one", path);
	unlink(path);
	end();
	EXPECT(rmdir(harness_path("compete")), 0); /* nothing unfinished is left */
}

static int make_and_stay(void *arg)
{
	struct duoshm__new_file *file = arg;
	struct duoshm__new_file made;
	(void)file;
	OK(duoshm__file_make(registry.directory, 0600, &made));
	harness_gate_open(&ready);
	for (;;)
		pause();
	return 0;
}

static unsigned unfinished(void)
{
	char command[DUOSHM__PATH_SIZE + 40];
	snprintf(command, sizeof command, "ls -A '%s'", registry.directory);
	FILE *list = popen(command, "r");
	unsigned n = 0;
	char line[300];
	while (list != NULL && fgets(line, sizeof line, list) != NULL)
		n += strncmp(line, ".t.", 3) == 0;
	if (list != NULL)
		pclose(list);
	return n;
}

static void sweeps_what_the_dead_left(void)
{
	begin("sweep");
	harness_gate(&ready);
	pid_t pid = harness_fork(make_and_stay, NULL);
	CHECK_FATAL(harness_gate_pass(&ready));
	duoshm__registry_sweep(&registry);
	EXPECT(unfinished(), 1);
	harness_kill(pid);
	duoshm__registry_sweep(&registry);
	EXPECT(unfinished(), 0);
	harness_gate_close(&ready);
	end();
}

/* A maker whose file is swept between making and publishing is told to begin again. */
static void tells_of_sweepers(void)
{
	begin("swept");
	struct duoshm__new_file file;
	OK(duoshm__file_make(registry.directory, 0600, &file));
	EXPECT(unlink(file.path), 0);
	EXPECT(duoshm__file_publish(&file, harness_path("name")), DUOSHM_ERR_BUSY);
	duoshm__file_discard(&file);
	end();
}

/* ---- presence ------------------------------------------------------------------------------------- */

static int hold_and_stay(void *arg)
{
	(void)arg;
	CHECK(duoshm__presence_hold(&registry, "x", "one") >= 0);
	harness_gate_open(&ready);
	for (;;)
		pause();
	return 0;
}

static void readers_are_present(void)
{
	begin("presence");
	harness_gate(&ready);
	struct duoshm__entry_lock lock;
	EXPECT(duoshm__presence_test(&registry, "x", "one"), -1);
	EXPECT(duoshm__presence_hold(&registry, "x", "one"), -1);
	OK(duoshm__entry_create(&registry, "x", "one", 0644, &lock));
	duoshm__presence_create(&lock);
	EXPECT(duoshm__presence_test(&registry, "x", "one"), 0);
	int fd = duoshm__presence_hold(&registry, "x", "one");
	CHECK(fd >= 0);
	EXPECT(duoshm__presence_test(&registry, "x", "one"), 1);
	duoshm__fd_drop(fd);
	EXPECT(duoshm__presence_test(&registry, "x", "one"), 0);
	pid_t pid = harness_fork(hold_and_stay, NULL);
	CHECK_FATAL(harness_gate_pass(&ready));
	EXPECT(duoshm__presence_test(&registry, "x", "one"), 1);
	/* the next object of the name is not that one */
	duoshm__presence_create(&lock);
	EXPECT(duoshm__presence_test(&registry, "x", "one"), 0);
	harness_kill(pid);
	duoshm__presence_unlink(&lock);
	EXPECT(duoshm__presence_test(&registry, "x", "one"), -1);
	EXPECT(duoshm__entry_unlink(&lock), 0);
	duoshm__entry_unlock(&lock);
	harness_gate_close(&ready);
	end();
	EXPECT(rmdir(harness_path("presence")), 0);
}

static const struct harness_case cases[] = {
	{"directory: made", makes_the_directory},
	{"directory: found", finds_the_directory},
	{"directory: refused, with cause and cure", refuses_directories},
	{"directory: of others", refuses_directories_of_others},
	{"entries: made, written, read, removed", entries_live},
	{"entries: every bit of the text is checked", text_is_checked},
	{"entries: damaged, foreign, no files", damaged_entries},
	{"entries: listed in order", scans_entries},
	{"locks: given back by the dead, kept by the stopped", the_dead_give_back_their_locks},
	{"locks: lost with all descriptors", survives_closed_descriptors},
	{"locks: exclude", locks_exclude},
	{"sweep: what the dead left, and nothing else", sweeps_what_the_dead_left},
	{"sweep: makers are told", tells_of_sweepers},
	{"presence of readers", readers_are_present},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return harness_run(argc, argv, "registry", cases);
}
