/* SPDX-License-Identifier: MIT */
/*
 * Names and files of a test program's own. Kernel names are machine-wide and tests run in parallel:
 * everything bears DUOSHM_TEST_PREFIX, by which the last test of all knows what is ours, and the
 * program's pid.
 */
#include "config.h"

#include "duoshm.h"
#include "harness/harness.h"
#include "harness/internal.h"

#include <dirent.h>
#include <ftw.h>

enum { TEXTS_MAX = 256, TEXT_SIZE = 320 };

static char scratch[200];
static char prefix[24];

static const char *test_prefix(void)
{
	const char *given = getenv("DUOSHM_TEST_PREFIX");

	return given != NULL && given[0] != '\0' ? given : "t0";
}

int harness_scratch_make(void)
{
	const char *parent = getenv("TMPDIR");

	snprintf(prefix, sizeof(prefix), "%.8s.%ld", test_prefix(), (long)getpid());
	snprintf(scratch, sizeof(scratch), "%.150s/%s.XXXXXX",
		parent != NULL && parent[0] == '/' ? parent : "/tmp", prefix);
	if (mkdtemp(scratch) == NULL) {
		perror(scratch);
		return -1;
	}
	if (mkdir(harness_path("registry"), 0700) != 0)
		return -1;
	return setenv("DUOSHM_DIR", harness_path("registry"), 1);
}

const char *harness_scratch_dir(void)
{
	return scratch;
}

/* One copy of each text, for as long as the program runs. */
static const char *keep(const char *text)
{
	static char texts[TEXTS_MAX][TEXT_SIZE];
	static unsigned n;

	for (unsigned i = 0; i < n; i++) {
		if (strcmp(texts[i], text) == 0)
			return texts[i];
	}
	if (n == TEXTS_MAX) {
		fprintf(stderr, "harness: more than %d names\n", TEXTS_MAX);
		exit(99);
	}
	snprintf(texts[n], TEXT_SIZE, "%s", text);
	return texts[n++];
}

const char *harness_path(const char *stem)
{
	char path[TEXT_SIZE];

	snprintf(path, sizeof(path), "%s/%.100s", scratch, stem);
	return keep(path);
}

const char *harness_name(const char *stem)
{
	char name[TEXT_SIZE];

	snprintf(name, sizeof(name), "%s.%.100s", prefix, stem);
	return keep(name);
}

const char *harness_full_name(const char *backend, const char *stem)
{
	char name[TEXT_SIZE];

	snprintf(name, sizeof(name), "%s:%s", backend, harness_name(stem));
	return keep(name);
}

unsigned harness_entries(const char *directory)
{
	DIR *open_directory = opendir(directory);
	unsigned n = 0;

	if (open_directory == NULL)
		return 0;
	for (struct dirent *entry; (entry = readdir(open_directory)) != NULL;) {
		if (entry->d_name[0] == '.')
			continue;
		printf("[%s] ", entry->d_name);
		n++;
	}
	closedir(open_directory);
	return n;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *where)
{
	(void)info, (void)type, (void)where;
	return remove(path);
}

void harness_remove_tree(const char *path)
{
	(void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static int remove_object(const struct duoshm_stat *object, void *ctx)
{
	char name[sizeof(object->backend) + DUOSHM_NAME_SIZE + 1];

	snprintf(name, sizeof(name), "%s:%s", object->backend, object->name);
	printf("harness: removing %s\n", name);
	(void)duoshm_remove(ctx, name);
	return 0;
}

void harness_remove_objects(void)
{
	struct duoshm_options options = DUOSHM_OPTIONS_INIT;
	struct duoshm *ctx;

	options.backend = "auto";
	if (harness_entries(getenv("DUOSHM_DIR")) == 0 || duoshm_new(&options, &ctx) != 0)
		return;
	(void)duoshm_list(ctx, 0, remove_object, ctx);
	(void)duoshm_free(ctx);
}

void harness_write(const char *path, const void *bytes, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	CHECK_FATAL(fd >= 0);
	EXPECT(write(fd, bytes, size), (ssize_t)size);
	EXPECT(close(fd), 0);
}

void harness_write_text(const char *path, const char *text)
{
	harness_write(path, text, strlen(text));
}
