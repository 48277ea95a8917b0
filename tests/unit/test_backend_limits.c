/* SPDX-License-Identifier: MIT */
/*
 * What a backend says when the system has no more to give: the code, the limit by its name with its
 * value and its use, the cure; and that nothing is left. Small limits are had in namespaces of our
 * own (no root needed on Linux 6); limits of the process by setrlimit, anywhere.
 */
#include "config.h"

#include "harness/harness.h"
#include "unit/backend_object.h"

#include <sys/resource.h>
#include <sys/stat.h>

static struct duoshm_failure why;

/*
 * Kernel objects and a /dev/shm of our own, both empty; with that value of kernel.NAME. Else the
 * case is skipped.
 */
static void own_world(const char *shm_options, const char *name, const char *value)
{
	char path[96];

	snprintf(path, sizeof path, "/proc/sys/kernel/%s", name);
	if (!harness_enter("/dev/shm", shm_options) ||
		(name[0] != '\0' && !harness_put(path, value)))
		HARNESS_SKIP("no namespace, or no such limit, here");
}

static int count(const struct duoshm__native_item *item, void *arg)
{
	(void)item;
	++*(unsigned *)arg;
	return 0;
}

static unsigned objects_in_this_world(void)
{
	unsigned n = 0;

	OK(the_backend()->list(count, &n, &why));
	return n;
}

static struct duoshm__native native_of(const char *name)
{
	struct duoshm__native native = {.segment_id = -1, .bells_id = -1};

	snprintf(native.text, sizeof native.text, "%s", name);
	return native;
}

static bool reserved; /* the last segment's memory */

static int create(const char *name, size_t size)
{
	struct duoshm__native native = native_of(name);
	struct duoshm__map map = {.reserved = false};
	int result = the_backend()->create(&native, size, 0600, &map, &why);

	reserved = map.reserved;
	return result;
}

static int make_bells(const char *name, unsigned n)
{
	struct duoshm__native native = native_of(name);
	struct duoshm__bells *bells;
	int result = the_backend()->bells_create(&native, n, 0600, &bells, &why);

	if (result == 0)
		the_backend()->bells_close(bells);
	return result;
}

/* ---- System V -------------------------------------------------------------------------------- */

static void fill_the_segments(void)
{
	own_world("size=1m", "shmmni", "2");
	OK(create("0x101", 4096));
	OK(create("0x102", 4096));
	EXPECT(create("0x103", 4096), DUOSHM_ERR_LIMIT);
	EXPECT(why.code, DUOSHM_ERR_LIMIT);
	EXPECT(why.system_error, ENOSPC);
	EXPECT_PART(why.call, "shmget(0x103, 4096");
	EXPECT_PART(why.cause, "kernel.shmmni is 2 and 2 segments are in use");
	EXPECT_PART(why.cure, "sysctl -w kernel.shmmni=5");
	/* The key that is taken is still told as taken. */
	EXPECT(create("0x101", 4096), DUOSHM_ERR_EXISTS);
}

static void fill_the_pages(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	own_world("size=1m", "shmall", "8");
	OK(create("0x101", page * 3));
	EXPECT(create("0x102", page * 5 + 1), DUOSHM_ERR_LIMIT);
	EXPECT_PART(why.cause, "kernel.shmall is 8 pages, 3 are in use and 6 more are asked for");
	EXPECT_PART(why.cure, "kernel.shmall=");
	OK(create("0x102", page * 5));
}

static void exceed_the_longest(void)
{
	own_world("size=1m", "shmmax", "65536");
	EXPECT(create("0x101", 65537), DUOSHM_ERR_LIMIT);
	EXPECT(why.system_error, EINVAL);
	EXPECT_PART(why.cause, "kernel.shmmax is 65536 bytes and 65537 are asked for");
	EXPECT_PART(why.cure, "kernel.shmmax=");
	OK(create("0x101", 65536));
	/* As where size is tested before the key: what is there is told, not the limit. */
	EXPECT(create("0x101", 65537), DUOSHM_ERR_EXISTS);
}

static void fill_the_sets(void)
{
	own_world("size=1m", "sem", "3 60 10 1");
	EXPECT(make_bells("0x101", 4), DUOSHM_ERR_LIMIT);
	EXPECT_PART(why.cause, "kernel.sem (semmsl) is 3 semaphores and 4 are asked for");
	OK(make_bells("0x101", 2));
	EXPECT(make_bells("0x102", 2), DUOSHM_ERR_LIMIT);
	EXPECT_PART(why.cause, "kernel.sem (semmni) is 1 and 1 sets are in use");
	EXPECT_PART(why.cure, "kernel.sem=\"3 60 10 3\"");
	EXPECT(objects_in_this_world(), 1);
}

static void fill_the_semaphores(void)
{
	own_world("size=1m", "sem", "60 5 10 10");
	OK(make_bells("0x101", 4));
	EXPECT(make_bells("0x102", 2), DUOSHM_ERR_LIMIT);
	EXPECT_PART(why.cause,
		"kernel.sem (semmns) is 5 semaphores, 4 are in use and 2 more are asked for");
}

static void limits_of_system_v_are_told(void)
{
	static void (*const worlds[])(void) = {fill_the_segments, fill_the_pages,
		exceed_the_longest, fill_the_sets, fill_the_semaphores};

	if (!is_sysv())
		HARNESS_SKIP("limits of System V");
	for (size_t i = 0; i < sizeof worlds / sizeof *worlds; i++)
		harness_in_child(worlds[i]);
}

/* ---- POSIX ----------------------------------------------------------------------------------- */

static void fill_the_file_system(void)
{
#ifndef HAVE_POSIX_FALLOCATE
	HARNESS_SKIP("no such machine here"); /* nothing is reserved, so nothing is refused */
#endif
	own_world("size=64k", "", "");
	/*
	 * Refused before anything is taken: by what is free, and far more than one step of the
	 * reservation.
	 */
	EXPECT(create("/limit.a", 65537), DUOSHM_ERR_NO_SPACE);
	EXPECT(why.system_error, ENOSPC);
	EXPECT_PART(why.call, "(\"/limit.a\", 65537)");
	EXPECT_PART(
		why.cause, "/dev/shm holds 65536 bytes, 0 are in use and 65537 more are asked for");
	EXPECT_PART(why.cure, "remount,size=");
	EXPECT(create("/limit.b", (size_t)1 << 30), DUOSHM_ERR_NO_SPACE);
	EXPECT(objects_in_this_world(), 0);
	OK(create("/limit.c", 32768));
	if (!reserved)
		return; /* then only a touch would tell */
	EXPECT(create("/limit.d", 65536), DUOSHM_ERR_NO_SPACE);
	EXPECT_PART(why.call, "(\"/limit.d\", 65536)");
	EXPECT_PART(why.cause,
		"/dev/shm holds 65536 bytes, 32768 are in use and 65536 more are asked for");
	EXPECT(objects_in_this_world(), 1);
	OK(create("/limit.e", 32768));
	EXPECT(make_bells("/limit.e", 4), DUOSHM_ERR_NO_SPACE);
	EXPECT_PART(why.cause, "/dev/shm holds 65536 bytes, 65536 are in use");
	EXPECT(objects_in_this_world(), 2);
}

static void fill_the_files(void)
{
	struct duoshm__native native = native_of("/limit.a");

	/* One is the directory itself; making a semaphore takes a name more for a moment. */
	own_world("size=1m,nr_inodes=5", "", "");
	OK(create("/limit.a", 4096));
	CHECK(make_bells("/limit.a", 4) < 0);
	EXPECT(objects_in_this_world(), 1); /* those that could be made are gone again */
	OK(the_backend()->remove(&native, 4, &why));
	EXPECT(objects_in_this_world(), 0);
}

static void open_half_built(void)
{
	/* Killed between shm_open and ftruncate; and a semaphore's file of length 0. */
	static const char *const empty[] = {
		"/dev/shm/limit.half", "/dev/shm/sem.limit.half.0", "/dev/shm/limit.half.0"};
	struct duoshm__native native = native_of("/limit.half");
	struct duoshm__claim claim = {.size = 4096, .n_bells = 1, .generation = 5};
	struct duoshm__bells *bells;
	struct duoshm__map map;

	own_world("size=1m", "", "");
	for (int i = 0; i < 3; i++)
		close(open(empty[i], O_CREAT | O_EXCL | O_RDWR, 0600));
	EXPECT(the_backend()->attach(&native, false, &map, &why), DUOSHM_ERR_NOT_FOUND);
	EXPECT_PART(why.cause, "not built yet");
	EXPECT(the_backend()->bells_open(&native, 1, &bells, &why), DUOSHM_ERR_NOT_FOUND);
	EXPECT_PART(why.cause, "not built yet");
	OK(the_backend()->reap(&native, &claim, &why));
	CHECK(access(empty[0], F_OK) < 0);
	EXPECT(the_backend()->attach(&native, false, &map, &why), DUOSHM_ERR_NOT_FOUND);
}

static void a_full_file_system_is_told(void)
{
	if (is_sysv())
		HARNESS_SKIP("a limit of POSIX");
	harness_in_child(fill_the_file_system);
	harness_in_child(fill_the_files);
}

/* A folder in the place of the first of four bells cannot be unlinked as one. */
static void keep_one_bell(void)
{
	static const char *const places[] = {"/dev/shm/sem.limit.kept.0", "/dev/shm/limit.kept.0"};
	struct duoshm__native native = native_of("/limit.kept");
	const char *folder = NULL;

	own_world("size=1m", "", "");
	OK(create("/limit.kept", 4096));
	OK(make_bells("/limit.kept", 4));
	for (size_t i = 0; i < 2; i++)
		if (unlink(places[i]) == 0)
			folder = places[i];
	OK(folder != NULL && mkdir(folder, 0700) == 0 ? 0 : -1);
	EXPECT(the_backend()->remove(&native, 4, &why), DUOSHM_ERR_SYSTEM);
	EXPECT_PART(why.call, "sem_unlink(\"/limit.kept.0\")");
	EXPECT(objects_in_this_world(), 1); /* the segment, which proves whose the bell is */
	OK(rmdir(folder));
	OK(the_backend()->remove(&native, 4, &why));
	EXPECT(objects_in_this_world(), 0);
}

static void a_bell_that_stays_keeps_no_other(void)
{
	if (is_sysv())
		HARNESS_SKIP("bells of System V go together");
	harness_in_child(keep_one_bell);
}

static void half_built_is_not_opened(void)
{
	if (is_sysv())
		HARNESS_SKIP("half-built segments are seen on POSIX only");
	harness_in_child(open_half_built);
}

/* ---- limits of the process ------------------------------------------------------------------- */

static struct object object;

static void use_up_the_descriptors(void)
{
	struct rlimit none = {.rlim_cur = 0, .rlim_max = 0};
	struct duoshm__map map;

	OK(setrlimit(RLIMIT_NOFILE, &none));
	EXPECT(the_backend()->attach(&object.native, false, &map, &why), DUOSHM_ERR_LIMIT);
	EXPECT_PART(why.cause, "RLIMIT_NOFILE is 0");
	EXPECT_PART(why.cure, "ulimit -n");
	EXPECT(create("/none", 4096), DUOSHM_ERR_LIMIT);
}

static void a_lack_of_descriptors_is_told(void)
{
	if (is_sysv())
		HARNESS_SKIP("needs no descriptor");
	if (harness_instrumented())
		HARNESS_SKIP("the instrument has descriptors of its own");
	object = make_object("fds", 4096, 0);
	harness_in_child(use_up_the_descriptors);
	end_object(&object);
}

static void exceed_the_file_size(void)
{
	struct rlimit small = {.rlim_cur = 16384, .rlim_max = 16384};
	char name[96];

	snprintf(name, sizeof name, "/%s", harness_name("fsize"));
	struct duoshm__native native = native_of(name);
	OK(setrlimit(RLIMIT_FSIZE, &small)); /* SIGXFSZ would end this child */
	EXPECT(create(name, 16385), DUOSHM_ERR_LIMIT);
	EXPECT_PART(why.cause, "RLIMIT_FSIZE is 16384 bytes and 16385 are asked for");
	EXPECT(the_backend()->stat(&native, &(struct duoshm__native_stat){0}, &why),
		DUOSHM_ERR_NOT_FOUND);
}

static void the_longest_file_is_told(void)
{
	if (is_sysv())
		HARNESS_SKIP("no file");
	harness_in_child(exceed_the_file_size);
}

/* ---- the probe ------------------------------------------------------------------------------- */

static const struct trial {
	const char *shm_options, *limit, *value; /* the limit is System V's */
	bool works;
	bool full[2];          /* POSIX, System V */
	const char *reason[2]; /* the same */
} trials[] =
	{
		{"size=1m", "", "", true, {false, false}, {"", ""}},
		{"size=1m,ro", "shmmni", "0", false, {false, true},
			{"/dev/shm, is read-only", "shmmni is 0"}},
		{"size=1m,nr_inodes=1", "shmmni", "0", false, {true, true},
			{"shm_open(\"/duoshm.probe.", "shmmni is 0"}},
		{"size=1m,nr_inodes=2", "sem", "60 60 10 0", false, {true, true},
			{"sem_open(", "semget("}},
},
  *trial;

static void probe_in(void)
{
	struct duoshm_facts facts = DUOSHM_FACTS_INIT;

	own_world(trial->shm_options, is_sysv() ? trial->limit : "", trial->value);
	OK(the_backend()->probe(&facts));
	EXPECT(facts.works, trial->works);
	EXPECT(facts.full, trial->full[is_sysv()]);
	CHECK((facts.abilities != 0) == trial->works && facts.n_limits > 0);
	EXPECT_PART(facts.reason, trial->reason[is_sysv()]);
	EXPECT(objects_in_this_world(), 0);
}

static void a_probe_tells_what_does_not_work_and_leaves_nothing(void)
{
	for (trial = trials; trial < trials + sizeof trials / sizeof *trials; trial++)
		harness_in_child(probe_in);
}

static const struct harness_case cases[] = {
	{"limits of System V are told", limits_of_system_v_are_told},
	{"a full file system is told", a_full_file_system_is_told},
	{"a bell that stays keeps no other", a_bell_that_stays_keeps_no_other},
	{"half-built is not opened", half_built_is_not_opened},
	{"a lack of descriptors is told", a_lack_of_descriptors_is_told},
	{"the longest file is told", the_longest_file_is_told},
	{"a probe tells what does not work and leaves nothing",
		a_probe_tells_what_does_not_work_and_leaves_nothing},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return harness_run_each(argc, argv, "backend limits", cases);
}
