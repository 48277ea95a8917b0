/* SPDX-License-Identifier: MIT */
/*
 * What a program is told where there is no more to be had: the limit by its name, its value and its
 * use, the cure, and the cleaner where he could help, and there alone. Nothing half-built is left,
 * and when there is room again the next call works. Limits of the system are those of namespaces of
 * one's own, limits of the process those of a child.
 */
#include "config.h"

#include "harness/fixture.h"

#include <sys/resource.h>

static struct duoshm *ctx;
static long *held; /* of guarantee 20; shared with the children */

/* "more%u", and enough of them before it to use the limit up. */
static const char *the(unsigned number)
{
	static char stem[16];

	snprintf(stem, sizeof stem, "more%u", number);
	return harness_name(stem);
}

static int make_one(unsigned number, size_t size, unsigned bells)
{
	struct duoshm_create options = create_with(0, bells);
	struct duoshm_segment *segment = NULL;
	int result = duoshm_segment_create(ctx, the(number), size, &options, &segment);

	if (result >= 0)
		OK(duoshm_segment_close(segment));
	return result;
}

static int count(const struct duoshm_stat *object, void *n)
{
	(void)object;
	++*(unsigned *)n;
	return 0;
}

static unsigned objects(unsigned flags)
{
	unsigned n = 0;

	OK(duoshm_list(ctx, flags, count, &n));
	return n;
}

/* ---- limits of the system -------------------------------------------------------------------- */

static const struct row {
	const char *backend, *file, *tight, *wide; /* of /proc/sys/kernel */
	unsigned before;                           /* so many objects are made first */
	size_t size;
	unsigned bells;
	int code;
	const char *name, *use, *cure;
	bool helps; /* does the removal of orphans? */
} rows[] =
	{
		{"sysv", "shmmni", "2", "16", 2, 64, 0, DUOSHM_ERR_LIMIT, "kernel.shmmni is 2",
			"2 segments are in use", "sysctl -w kernel.shmmni=5", true},
		{"sysv", "shmmni", "16", "32", 16, 64, 0, DUOSHM_ERR_LIMIT, "kernel.shmmni is 16",
			"16 segments are in use", "sysctl -w kernel.shmmni=33", true},
		{"sysv", "shmall", "4", "100", 1, 8000, 0, DUOSHM_ERR_LIMIT,
			"kernel.shmall is 4 pages", "3 are in use and 3 more",
			"sysctl -w kernel.shmall=11", true},
		{"sysv", "shmmax", "65536", "1000000", 1, 65536, 0, DUOSHM_ERR_LIMIT,
			"kernel.shmmax is 65536 bytes", "are asked for",
			"sysctl -w kernel.shmmax=", false},
		{"sysv", "sem", "3 60 10 9", "60 60 10 9", 1, 64, 4, DUOSHM_ERR_LIMIT,
			"kernel.sem (semmsl) is 3", "4 are asked for",
			"sysctl -w kernel.sem=\"10 60 10 9\"", false},
		{"sysv", "sem", "60 5 10 9", "60 60 10 9", 1, 64, 4, DUOSHM_ERR_LIMIT,
			"kernel.sem (semmns) is 5", "4 are in use and 4 more",
			"sysctl -w kernel.sem=\"60 14 10 9\"", true},
		{"sysv", "sem", "60 60 1 9", "60 60 10 9", 1, 64, 4, DUOSHM_ERR_LIMIT,
			"kernel.sem (semopm) is 1", "2 are asked for",
			"sysctl -w kernel.sem=\"60 60 4 9\"", false},
		{"sysv", "sem", "60 60 10 2", "60 60 10 9", 2, 64, 4, DUOSHM_ERR_LIMIT,
			"kernel.sem (semmni) is 2", "2 sets are in use",
			"sysctl -w kernel.sem=\"60 60 10 5\"", true},
		{"posix", NULL, "size=64k", "", 4, 16000, 0, DUOSHM_ERR_NO_SPACE,
			"/dev/shm holds 65536 bytes", "are in use", "remount,size=", true},
		{"posix", NULL, "size=64k", "", 1, 20000, 4, DUOSHM_ERR_NO_SPACE,
			"/dev/shm holds 65536 bytes", "are in use", "remount,size=", true},
},
  *row;

static bool is_of_it(const struct row *one)
{
	return strcmp(one->backend, harness_backend()) == 0;
}

/* Those that the limit does not refuse by itself. */
static int fill(void *arg)
{
	unsigned bells = row->helps ? row->bells : 0;
	size_t size = strcmp(row->backend, "sysv") == 0 && !row->helps ? 64 : row->size;

	(void)arg;
	ctx = new_context();
	for (unsigned i = 0; i < row->before; i++)
		EXPECT(make_one(i, size, bells), DUOSHM_CREATED);
	return 0;
}

static void put(const char *value)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/sys/kernel/%s", row->file);
	CHECK(harness_put(path, value));
}

static void is_told(bool dead)
{
	const struct duoshm_failure *told = duoshm_failure();
	char orphans[40];

	EXPECT(told->code, row->code);
	EXPECT_PART(told->cause, row->name);
	EXPECT_PART(told->cause, row->use);
	EXPECT_PART(told->cure, row->cure);
	snprintf(orphans, sizeof orphans, "would free %u; or: ", row->before);
	if (dead && row->helps)
		EXPECT_PART(told->cure, orphans);
	else
		CHECK(strstr(told->cure, DUOSHM_DETACH) == NULL);
}

static void remove_all(void)
{
	for (unsigned i = 0; i < row->before; i++)
		OK(duoshm_remove(ctx, the(i)));
}

static void fill_up(bool dead)
{
	if (!harness_enter("/dev/shm", row->file == NULL ? row->tight : "size=8m"))
		HARNESS_SKIP("no namespaces");
	if (row->file != NULL)
		put(row->tight);
	if (dead)
		EXPECT(harness_wait(harness_fork(fill, NULL)), 0);
	else
		EXPECT(fill(NULL), 0);
	if (dead)
		ctx = new_context();
	unsigned known = objects(0), there = objects(DUOSHM_SYSTEM);
	EXPECT(make_one(99, row->size + (row->size == 65536), row->bells), row->code);
	is_told(dead);
	EXPECT(objects(0), known);
	EXPECT(objects(DUOSHM_SYSTEM), there);
	/* There is room again: by the cure that was told. */
	if (dead && row->helps)
		EXPECT(duoshm_reclaim(ctx, 0, NULL, NULL), row->before);
	else if (row->file != NULL)
		put(row->wide);
	else
		remove_all();
	EXPECT(make_one(99, row->size + (row->size == 65536), row->bells), DUOSHM_CREATED);
	OK(duoshm_remove(ctx, the(99)));
	if (dead)
		CHECK(duoshm_reclaim(ctx, 0, NULL, NULL) >= 0);
	else if (row->file != NULL)
		remove_all();
	EXPECT(objects(0), 0);
	end_context(ctx);
}

static void fill_with_the_living(void)
{
	fill_up(false);
}

static void fill_with_the_dead(void)
{
	fill_up(true);
}

static void limits_of_the_system(void)
{
	if (harness_profile("macos-arm64") && strcmp(harness_backend(), "posix") == 0)
		HARNESS_SKIP("no such limit there: memory is not reserved");
	held = harness_shared(sizeof *held);
	for (row = rows; row < rows + sizeof rows / sizeof *rows; row++)
		if (is_of_it(row)) {
			if (!harness_in_child(fill_with_the_living))
				return;
			harness_in_child(fill_with_the_dead);
			*held += 2;
		}
	harness_proves(20, *held, "limits");
}

/* ---- limits of the process ------------------------------------------------------------------- */

static rlim_t used_descriptors(void)
{
	int next = open("/dev/null", O_RDONLY);

	CHECK(next >= 0 && close(next) == 0);
	return (rlim_t)next;
}

static rlim_t used_addresses(void)
{
	unsigned long pages = 0;
	FILE *table = fopen("/proc/self/statm", "r");

	CHECK(table != NULL && fscanf(table, "%lu", &pages) == 1 && fclose(table) == 0);
	return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

static void set(int which, rlim_t value)
{
	struct rlimit limit;

	/* Constants alone fit everywhere: the parameter is an int, or an enum. */
	OK(which == RLIMIT_NOFILE    ? getrlimit(RLIMIT_NOFILE, &limit)
		: which == RLIMIT_AS ? getrlimit(RLIMIT_AS, &limit)
				     : getrlimit(RLIMIT_FSIZE, &limit));
	limit.rlim_cur = value < limit.rlim_max ? value : limit.rlim_max;
	OK(which == RLIMIT_NOFILE    ? setrlimit(RLIMIT_NOFILE, &limit)
		: which == RLIMIT_AS ? setrlimit(RLIMIT_AS, &limit)
				     : setrlimit(RLIMIT_FSIZE, &limit));
}

static void refused(int result, int code, const char *name, const char *cure)
{
	EXPECT(result, code);
	EXPECT(duoshm_failure()->code, code);
	EXPECT_PART(duoshm_failure()->cause, name);
	EXPECT_PART(duoshm_failure()->cure, cure);
	CHECK(strstr(duoshm_failure()->cure, DUOSHM_DETACH) == NULL);
	++*held;
}

/* Each call that needs a descriptor. An orphan lies there, whose removal would not help. */
static void without_descriptors(void)
{
	struct duoshm_stat status = DUOSHM_STAT_INIT;
	struct duoshm_segment *segment = make_segment(ctx, "open", 64, 0), *more = NULL;
	struct duoshm *own = NULL;
	rlim_t used = used_descriptors();
	char name[40];

	snprintf(name, sizeof name, "RLIMIT_NOFILE is %lu ", (unsigned long)used);
	set(RLIMIT_NOFILE, used);
	refused(make_one(1, 64, 1), DUOSHM_ERR_LIMIT, name, "ulimit -n");
	refused(duoshm_segment_open(ctx, harness_name("open"), 0, 0, &more), DUOSHM_ERR_LIMIT, name,
		"ulimit -n");
	refused(duoshm_stat(ctx, harness_name("open"), &status), DUOSHM_ERR_LIMIT, name,
		"ulimit -n");
	refused(duoshm_remove(ctx, harness_name("open")), DUOSHM_ERR_LIMIT, name, "ulimit -n");
	refused(duoshm_new(NULL, &own), DUOSHM_ERR_LIMIT, name, "ulimit -n");
	set(RLIMIT_NOFILE, 256);
	OK(duoshm_new(NULL, &own));
	end_context(own);
	end_segment(segment);
	discard(ctx, "open");
}

static void without_long_files(void)
{
	struct duoshm *own = NULL;

	set(RLIMIT_FSIZE, 512 << 10); /* SIGXFSZ would end this child */
	refused(duoshm_new(&(struct duoshm_options){.size = sizeof(struct duoshm_options),
				   .directory = harness_path("short")},
			&own),
		DUOSHM_ERR_LIMIT, "RLIMIT_FSIZE is 524288 bytes", "ulimit -f");
	OK(rmdir(harness_path("short")));
	if (strcmp(harness_backend(), "posix") == 0)
		refused(make_one(1, 1 << 20, 1), DUOSHM_ERR_LIMIT, "RLIMIT_FSIZE is 524288 bytes",
			"ulimit -f");
	OK(make_one(1, 100 << 10, 1));
	OK(duoshm_remove(ctx, the(1)));
}

static void without_addresses(void)
{
	if (harness_instrumented() || access("/proc/self/statm", R_OK) != 0)
		HARNESS_SKIP("how much is used cannot be told");
	set(RLIMIT_AS, used_addresses() + (4 << 20));
	refused(make_one(1, 6 << 20, 1), DUOSHM_ERR_NO_SPACE, "RLIMIT_AS is ", "ulimit -v");
	OK(make_one(1, 100 << 10, 1));
	OK(duoshm_remove(ctx, the(1)));
}

static void (*under)(void);

static void live_under(void)
{
	ctx = new_context();
	unsigned before = objects(0);
	under();
	EXPECT(objects(0), before);
	end_context(ctx);
}

static void limits_of_the_process(void)
{
	static void (*const limits[])(void) = {
		without_descriptors, without_long_files, without_addresses};
	struct helper creator;

	if (harness_profile("tiny-shm") || harness_profile("macos-arm64"))
		HARNESS_SKIP("other limits come first");
	start_helper(&creator, create_and_hang, "orphan", 0);
	kill_helper(&creator);
	held = harness_shared(sizeof *held);
	for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
		under = limits[i];
		harness_in_child(live_under);
	}
	ctx = new_context();
	EXPECT(duoshm_reclaim(ctx, 0, NULL, NULL), 1);
	end_context(ctx);
	harness_proves(20, *held, "refusals");
}

static const struct harness_case cases[] = {
	{"limits of the system are named", limits_of_the_system},
	{"limits of the process are named", limits_of_the_process},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return harness_run_each(argc, argv, "limits", cases);
}
