/* SPDX-License-Identifier: MIT */
/* C4: who may do what. */
#include "config.h"

#include "conformance/conformance.h"

#include <dirent.h>

enum { NOBODY = 65534 };

static struct duoshm_segment *make_with_mode(const char *stem, unsigned mode)
{
	struct duoshm_create options = DUOSHM_CREATE_INIT;
	struct duoshm_segment *segment = NULL;

	options.mode = mode;
	options.bells = 1;
	EXPECT_FATAL(duoshm_segment_create(ctx, harness_name(stem), 64, &options, &segment),
		DUOSHM_CREATED);
	return segment;
}

/* Mode of the one entry in the registry. */
static unsigned entry_mode(const char *directory)
{
	DIR *open_directory = opendir(directory);
	unsigned mode = 0;

	CHECK_FATAL(open_directory != NULL);
	for (struct dirent *entry; (entry = readdir(open_directory)) != NULL;) {
		char path[600];
		struct stat info;
		snprintf(path, sizeof(path), "%s/%.250s", directory, entry->d_name);
		if (entry->d_name[0] != '.' && stat(path, &info) == 0)
			mode = info.st_mode & 0777;
	}
	closedir(open_directory);
	return mode;
}

static void c4_modes(void)
{
	static const struct {
		mode_t asked, mask, given;
	} table[] = {{0600, 022, 0600}, {0666, 022, 0644}, {0666, 027, 0640}, {0660, 077, 0600},
		{0666, 0, 0666}, {0640, 0, 0640}};
	struct duoshm_segment *segment = make_segment(ctx, "mode", 64, 0);

	EXPECT(stat_of(ctx, "mode").mode, 0600);
	end_segment(segment);
	discard(ctx, "mode");
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		mode_t old = umask(table[i].mask);
		segment = make_with_mode("mode", table[i].asked);
		umask(old);
		EXPECT(stat_of(ctx, "mode").mode, table[i].given);
		/* who may write the object may not write what tells whether it is remains */
		EXPECT(entry_mode(duoshm_directory(ctx)), table[i].given & ~022u);
		end_segment(segment);
		discard(ctx, "mode");
	}
}

static int write_read_only(void *argument)
{
	struct duoshm_segment *segment;

	(void)argument;
	EXPECT(duoshm_segment_open(
		       new_context(), harness_name("read"), DUOSHM_READ_ONLY, 0, &segment),
		0);
	EXPECT(*(const char *)duoshm_segment_data(segment), 'r');
	signal(SIGSEGV, SIG_DFL);
	signal(SIGBUS, SIG_DFL);
	*(volatile char *)duoshm_segment_data(segment) = 'w';
	return 0;
}

static void c4_read_only_is_protected(void)
{
	struct duoshm_segment *segment = make_with_mode("read", 0600), *reader;

	*(char *)duoshm_segment_data(segment) = 'r';
	int end = harness_wait(harness_fork(write_read_only, NULL));
	CHECK(end == -SIGSEGV || end == -SIGBUS);
	EXPECT(*(char *)duoshm_segment_data(segment), 'r');
	reader = open_segment(ctx, "read", DUOSHM_READ_ONLY);
	EXPECT(duoshm_segment_ring(reader, 0), DUOSHM_ERR_READ_ONLY);
	EXPECT(duoshm_segment_sleep(reader, 0, 0), DUOSHM_ERR_READ_ONLY);
	end_segment(reader);
	end_segment(segment);
}

/* A reader of another user, who can write nothing of ours. Opens "open" and hangs. */
static int read_as_nobody(void *argument)
{
	struct helper *helper = argument;
	struct duoshm_segment *segment;

	CHECK(setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
	ctx = new_context();
	EXPECT(duoshm_segment_open(ctx, harness_name("closed"), DUOSHM_READ_ONLY, 0, &segment),
		DUOSHM_ERR_PERMISSION);
	EXPECT(duoshm_segment_open(ctx, harness_name("open"), 0, 0, &segment),
		DUOSHM_ERR_PERMISSION);
	EXPECT(duoshm_remove(ctx, harness_name("open")), DUOSHM_ERR_PERMISSION);
	EXPECT(duoshm_segment_create(ctx, harness_name("mine"), 64, NULL, &segment),
		DUOSHM_ERR_PERMISSION);
	EXPECT(duoshm_segment_open(ctx, harness_name("open"), DUOSHM_READ_ONLY, 0, &segment), 0);
	EXPECT(*(const char *)duoshm_segment_data(segment), 'o');
	harness_gate_open(&helper->ready);
	EXPECT(harness_gate_pass(&helper->go), true);
	EXPECT(duoshm_segment_close(segment), 0);
	return duoshm_free(ctx);
}

static void c4_other_users(void)
{
	if (geteuid() != 0)
		HARNESS_SKIP("only root can become another user");
	mode_t old = umask(022);
	struct duoshm_segment *open = make_with_mode("open", 0644);
	struct duoshm_segment *closed = make_with_mode("closed", 0600);
	struct helper helper;

	umask(old);
	*(char *)duoshm_segment_data(open) = 'o';
	EXPECT(chmod(harness_scratch_dir(), 0755), 0);
	EXPECT(chmod(duoshm_directory(ctx), 0755), 0);
	EXPECT(stat_of(ctx, "open").readers, 0);
	start_helper(&helper, read_as_nobody, "open", 0);
	EXPECT(stat_of(ctx, "open").readers, 1);
	finish_helper(&helper);
	EXPECT(stat_of(ctx, "open").readers, 0);
	EXPECT(chmod(duoshm_directory(ctx), 0700), 0);
	end_segment(open);
	end_segment(closed);
}

static int create_as_nobody(void *argument)
{
	struct helper *helper = argument;
	struct duoshm_create create = create_with(DUOSHM_OPEN_OR_CREATE, 0);
	struct duoshm_segment *segment;

	CHECK(setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
	create.timeout_ns = LONG_TIME;
	ctx = new_context();
	harness_gate_open(&helper->ready);
	EXPECT_FATAL(duoshm_segment_create(ctx, harness_name("ours"), 64, &create, &segment),
		DUOSHM_OPENED);
	EXPECT(duoshm_segment_close(segment), 0);
	return duoshm_free(ctx);
}

static void c2_other_users(void)
{
	if (geteuid() != 0)
		HARNESS_SKIP("only root can become another user");
	struct duoshm_create create = create_with(DUOSHM_UNPUBLISHED, 0);
	struct duoshm_segment *segment;
	struct helper helper;
	mode_t old = umask(0);

	create.mode = 0666;
	EXPECT(chmod(harness_scratch_dir(), 0755), 0);
	EXPECT(chmod(duoshm_directory(ctx), 01777), 0);
	OK(duoshm_segment_create(ctx, harness_name("ours"), 64, &create, &segment));
	umask(old);
	start_helper(&helper, create_as_nobody, "ours", 0);
	harness_until_asleep(helper.pid);
	EXPECT(duoshm_segment_publish(segment), 0);
	finish_helper(&helper);
	EXPECT(chmod(duoshm_directory(ctx), 0700), 0);
	end_segment(segment);
}

static int read_without_rights(void *argument)
{
	struct duoshm_segment *segment;
	ctx = new_context();

	(void)argument;
	EXPECT(duoshm_segment_open(ctx, harness_name("bare"), DUOSHM_READ_ONLY, 0, &segment), 0);
	EXPECT(duoshm_segment_close(segment), 0);
	return duoshm_free(ctx);
}

/* A program that starts when the registry cannot be written any more; as root it can. */
static void c4_read_only_registry(void)
{
	struct duoshm_segment *segment = make_with_mode("bare", 0600);

	EXPECT(chmod(duoshm_directory(ctx), 0500), 0);
	EXPECT(harness_wait(harness_fork(read_without_rights, NULL)), 0);
	EXPECT(chmod(duoshm_directory(ctx), 0700), 0);
	end_segment(segment);
}

static int bad_directory(const char *directory)
{
	struct duoshm_options options = DUOSHM_OPTIONS_INIT;
	struct duoshm *bad = NULL;

	options.backend = harness_backend();
	options.directory = directory;
	int result = duoshm_new(&options, &bad);
	if (result == 0)
		duoshm_free(bad);
	return result;
}

static void c4_registry_is_checked(void)
{
	const char *link = harness_path("link"), *file = harness_path("file"),
		   *shared = harness_path("shared");

	EXPECT(symlink(getenv("DUOSHM_DIR"), link), 0);
	EXPECT(bad_directory(link), DUOSHM_ERR_REGISTRY);
	EXPECT_PART(duoshm_failure()->cause, "symbolic link");
	fclose(fopen(file, "w"));
	EXPECT(bad_directory(file), DUOSHM_ERR_REGISTRY);
	EXPECT(mkdir(shared, 0700), 0);
	EXPECT(chmod(shared, 0777), 0);
	EXPECT(bad_directory(shared), DUOSHM_ERR_REGISTRY);
	if (geteuid() == 0) {
		EXPECT(chmod(shared, 0700), 0);
		EXPECT(chown(shared, NOBODY, NOBODY), 0);
		EXPECT(bad_directory(shared), DUOSHM_ERR_REGISTRY);
	}
	unlink(link);
	unlink(file);
	rmdir(shared);
}

const struct harness_case right_cases[] = {
	{"C4 the mode is 0600, or the one asked for less the umask; the entry is the owner's to "
	 "write",
		c4_modes},
	{"C4 the kernel protects read-only memory", c4_read_only_is_protected},
	{"C4 another user reads what he may, and no more; he is counted as present",
		c4_other_users},
	{"C2 who opens or creates waits for another user's creation", c2_other_users},
	{"C4 reading needs no write permission to anything", c4_read_only_registry},
	{"C4 a registry that others could change is refused", c4_registry_is_checked},
	{NULL, NULL},
};
