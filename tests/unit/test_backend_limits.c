/* SPDX-License-Identifier: MIT */
/*
 * What a backend says when the system has no more to give: the code, the limit by its name with its value and
 * its use, the cure; and that nothing is left. Small limits are had in namespaces of our own (no
 * root needed on Linux 6); limits of the process by setrlimit, anywhere.
 */
#include "config.h"

#include "harness/harness.h"
#include "unit/backend_object.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#if defined __linux__
#include <sched.h>
#include <sys/mount.h>
#endif

#define CANNOT 77 /* the child's status where this system does not give us a namespace */

static struct duoshm_failure why;
static bool reserved; /* the last segment's memory */

static bool is_sysv(void)
{
	return strcmp(harness_backend(), "sysv") == 0;
}

static bool mentions(const char *text, const char *part)
{
	if (strstr(text, part) != NULL)
		return true;
	fprintf(stderr, "\"%s\" is not in \"%s\"\n", part, text);
	return false;
}

/* ---- small worlds ---------------------------------------------------------------------------------- */

#if defined __linux__

static bool put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return done;
}

/* Kernel objects and a /dev/shm of our own, both empty. */
static bool own_world(const char *shm_options)
{
	char map[64];
	unsigned uid = (unsigned)getuid(), gid = (unsigned)getgid();

	if (uid != 0) {
		if (unshare(CLONE_NEWUSER) < 0)
			return false;
		snprintf(map, sizeof map, "0 %u 1", uid);
		if (!put("/proc/self/uid_map", map))
			return false;
		snprintf(map, sizeof map, "0 %u 1", gid);
		if (!put("/proc/self/setgroups", "deny") || !put("/proc/self/gid_map", map))
			return false;
	}
	return unshare(CLONE_NEWIPC | CLONE_NEWNS) == 0 &&
	       mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("tmpfs", "/dev/shm", "tmpfs", 0, shm_options) == 0;
}

static bool set_kernel(const char *name, const char *value)
{
	char path[96];

	snprintf(path, sizeof path, "/proc/sys/kernel/%s", name);
	return put(path, value);
}

#else

static bool own_world(const char *shm_options)
{
	(void)shm_options;
	return false;
}

static bool set_kernel(const char *name, const char *value)
{
	(void)name;
	(void)value;
	return false;
}

#endif

static int count(const struct duoshm__native_item *item, void *arg)
{
	(void)item;
	++*(unsigned *)arg;
	return 0;
}

static unsigned objects_in_this_world(void)
{
	unsigned n = 0;

	HARNESS_CHILD(the_backend()->list(count, &n, &why) == 0);
	return n;
}

static int create(const char *name, size_t size, struct duoshm__native *native)
{
	struct duoshm__map map = {.reserved = false};
	int result;

	snprintf(native->text, sizeof native->text, "%s", name);
	native->segment_id = native->bells_id = -1;
	result = the_backend()->create(native, size, 0600, &map, &why);
	reserved = map.reserved;
	return result;
}

static void in_a_child(int (*work)(void *))
{
	int status = harness_wait(harness_fork(work, NULL));

	if (status == CANNOT)
		HARNESS_SKIP("no namespace of our own here");
	CU_ASSERT_EQUAL(status, 0);
}

/* ---- System V ----------------------------------------------------------------------------------------- */

static int fill_the_segments(void *arg)
{
	struct duoshm__native one, two, three;

	(void)arg;
	if (!own_world("size=1m") || !set_kernel("shmmni", "2"))
		return CANNOT;
	HARNESS_CHILD(create("0x101", 4096, &one) == 0);
	HARNESS_CHILD(create("0x102", 4096, &two) == 0);
	HARNESS_CHILD(create("0x103", 4096, &three) == DUOSHM_ERR_LIMIT);
	HARNESS_CHILD(why.code == DUOSHM_ERR_LIMIT && why.system_error == ENOSPC);
	HARNESS_CHILD(mentions(why.call, "shmget(0x103, 4096"));
	HARNESS_CHILD(mentions(why.cause, "kernel.shmmni is 2 and 2 segments are in use"));
	HARNESS_CHILD(mentions(why.cure, "sysctl -w kernel.shmmni=5"));
	/* The key that is taken is still told as taken, and a free place is used again. */
	HARNESS_CHILD(create("0x101", 4096, &three) == DUOSHM_ERR_EXISTS);
	HARNESS_CHILD(the_backend()->remove(&one, 0, &why) == 0);
	return 0;
}

static int fill_the_pages(void *arg)
{
	struct duoshm__native native;
	char cause[96];
	long page = sysconf(_SC_PAGESIZE);

	(void)arg;
	if (!own_world("size=1m") || !set_kernel("shmall", "8"))
		return CANNOT;
	HARNESS_CHILD(create("0x101", (size_t)page * 3, &native) == 0);
	HARNESS_CHILD(create("0x102", (size_t)page * 5 + 1, &native) == DUOSHM_ERR_LIMIT);
	snprintf(cause, sizeof cause,
		"kernel.shmall is 8 pages, 3 are in use and 6 more are asked for");
	HARNESS_CHILD(mentions(why.cause, cause));
	HARNESS_CHILD(mentions(why.cure, "kernel.shmall="));
	HARNESS_CHILD(create("0x102", (size_t)page * 5, &native) == 0);
	return 0;
}

static int exceed_the_longest(void *arg)
{
	struct duoshm__native native;

	(void)arg;
	if (!own_world("size=1m") || !set_kernel("shmmax", "65536"))
		return CANNOT;
	HARNESS_CHILD(create("0x101", 65537, &native) == DUOSHM_ERR_LIMIT);
	HARNESS_CHILD(why.system_error == EINVAL);
	HARNESS_CHILD(mentions(why.cause, "kernel.shmmax is 65536 bytes and 65537 are asked for"));
	HARNESS_CHILD(mentions(why.cure, "kernel.shmmax="));
	HARNESS_CHILD(create("0x101", 65536, &native) == 0);
	/* As where size is tested before the key: what is there is told, not the limit. */
	HARNESS_CHILD(create("0x101", 65537, &native) == DUOSHM_ERR_EXISTS);
	return 0;
}

static int make_bells(const char *key, unsigned n, struct duoshm__native *native)
{
	struct duoshm__bells *bells;
	int result;

	snprintf(native->text, sizeof native->text, "%s", key);
	native->segment_id = native->bells_id = -1;
	result = the_backend()->bells_create(native, n, 0600, &bells, &why);
	if (result == 0)
		the_backend()->bells_close(bells);
	return result;
}

static int fill_the_sets(void *arg)
{
	struct duoshm__native native;

	(void)arg;
	if (!own_world("size=1m") || !set_kernel("sem", "3 60 10 1"))
		return CANNOT;
	HARNESS_CHILD(make_bells("0x101", 4, &native) == DUOSHM_ERR_LIMIT);
	HARNESS_CHILD(
		mentions(why.cause, "kernel.sem (semmsl) is 3 semaphores and 4 are asked for"));
	HARNESS_CHILD(make_bells("0x101", 2, &native) == 0);
	HARNESS_CHILD(make_bells("0x102", 2, &native) == DUOSHM_ERR_LIMIT);
	HARNESS_CHILD(mentions(why.cause, "kernel.sem (semmni) is 1 and 1 sets are in use"));
	HARNESS_CHILD(mentions(why.cure, "kernel.sem=\"3 60 10 3\""));
	HARNESS_CHILD(objects_in_this_world() == 1);
	return 0;
}

static int fill_the_semaphores(void *arg)
{
	struct duoshm__native native;

	(void)arg;
	if (!own_world("size=1m") || !set_kernel("sem", "60 5 10 10"))
		return CANNOT;
	HARNESS_CHILD(make_bells("0x101", 4, &native) == 0);
	HARNESS_CHILD(make_bells("0x102", 2, &native) == DUOSHM_ERR_LIMIT);
	HARNESS_CHILD(mentions(why.cause,
		"kernel.sem (semmns) is 5 semaphores, 4 are in use and 2 more are asked for"));
	return 0;
}

static void shmmni_is_told(void)
{
	if (!is_sysv())
		HARNESS_SKIP("a limit of System V");
	in_a_child(fill_the_segments);
}

static void shmall_is_told(void)
{
	if (!is_sysv())
		HARNESS_SKIP("a limit of System V");
	in_a_child(fill_the_pages);
}

static void shmmax_is_told(void)
{
	if (!is_sysv())
		HARNESS_SKIP("a limit of System V");
	in_a_child(exceed_the_longest);
}

static void semmsl_and_semmni_are_told(void)
{
	if (!is_sysv())
		HARNESS_SKIP("a limit of System V");
	in_a_child(fill_the_sets);
}

static void semmns_is_told(void)
{
	if (!is_sysv())
		HARNESS_SKIP("a limit of System V");
	in_a_child(fill_the_semaphores);
}

/* ---- POSIX ----------------------------------------------------------------------------------------------- */

static int fill_the_file_system(void *arg)
{
	struct duoshm__native native;
	struct duoshm__bells *bells;

	(void)arg;
#ifndef HAVE_POSIX_FALLOCATE
	return CANNOT; /* nothing is reserved, so nothing is refused */
#endif
	if (!own_world("size=64k"))
		return CANNOT;
	/* Refused before anything is taken: by what is free, and far more than one step of the reservation. */
	HARNESS_CHILD(create("/limit.a", 65537, &native) == DUOSHM_ERR_NO_SPACE);
	HARNESS_CHILD(why.system_error == ENOSPC);
	HARNESS_CHILD(mentions(why.call, "(\"/limit.a\", 65537)"));
	HARNESS_CHILD(mentions(why.cause,
		"/dev/shm holds 65536 bytes, 0 are in use and 65537 more are asked for"));
	HARNESS_CHILD(mentions(why.cure, "remount,size="));
	HARNESS_CHILD(create("/limit.b", (size_t)1 << 30, &native) == DUOSHM_ERR_NO_SPACE);
	HARNESS_CHILD(objects_in_this_world() == 0);
	HARNESS_CHILD(create("/limit.c", 32768, &native) == 0);
	if (!reserved)
		return 0; /* then only a touch would tell */
	HARNESS_CHILD(create("/limit.d", 65536, &native) == DUOSHM_ERR_NO_SPACE);
	HARNESS_CHILD(mentions(why.call, "(\"/limit.d\", 65536)"));
	HARNESS_CHILD(mentions(why.cause,
		"/dev/shm holds 65536 bytes, 32768 are in use and 65536 more are asked for"));
	HARNESS_CHILD(objects_in_this_world() == 1);
	HARNESS_CHILD(create("/limit.e", 32768, &native) == 0);
	HARNESS_CHILD(
		the_backend()->bells_create(&native, 4, 0600, &bells, &why) == DUOSHM_ERR_NO_SPACE);
	HARNESS_CHILD(mentions(why.cause, "/dev/shm holds 65536 bytes, 65536 are in use"));
	HARNESS_CHILD(objects_in_this_world() == 2);
	return 0;
}

static int fill_the_files(void *arg)
{
	struct duoshm__native native;
	struct duoshm__bells *bells;

	(void)arg;
	/* One is the directory itself; making a semaphore takes a name more for a moment. */
	if (!own_world("size=1m,nr_inodes=5"))
		return CANNOT;
	HARNESS_CHILD(create("/limit.a", 4096, &native) == 0);
	HARNESS_CHILD(the_backend()->bells_create(&native, 4, 0600, &bells, &why) < 0);
	HARNESS_CHILD(objects_in_this_world() == 1); /* those that could be made are gone again */
	HARNESS_CHILD(the_backend()->remove(&native, 4, &why) == 0);
	HARNESS_CHILD(objects_in_this_world() == 0);
	return 0;
}

static int open_half_built(void *arg)
{
	struct duoshm__native native = {.text = "/limit.half", .segment_id = -1, .bells_id = -1};
	struct duoshm__claim claim = {.size = 4096, .n_bells = 1, .generation = 5};
	struct duoshm__bells *bells;
	struct duoshm__map map;

	(void)arg;
	if (!own_world("size=1m"))
		return CANNOT;
	/* Killed between shm_open and ftruncate; and a semaphore's file of length 0. */
	close(open("/dev/shm/limit.half", O_CREAT | O_EXCL | O_RDWR, 0600));
	close(open("/dev/shm/sem.limit.half.0", O_CREAT | O_EXCL | O_RDWR, 0600));
	close(open("/dev/shm/limit.half.0", O_CREAT | O_EXCL | O_RDWR, 0600));
	HARNESS_CHILD(the_backend()->attach(&native, false, &map, &why) == DUOSHM_ERR_NOT_FOUND);
	HARNESS_CHILD(mentions(why.cause, "not built yet"));
	HARNESS_CHILD(the_backend()->bells_open(&native, 1, &bells, &why) == DUOSHM_ERR_NOT_FOUND);
	HARNESS_CHILD(mentions(why.cause, "not built yet"));
	HARNESS_CHILD(the_backend()->reap(&native, &claim, &why) == 0);
	HARNESS_CHILD(access("/dev/shm/limit.half", F_OK) < 0);
	HARNESS_CHILD(the_backend()->attach(&native, false, &map, &why) == DUOSHM_ERR_NOT_FOUND);
	return 0;
}

static void a_full_file_system_is_told(void)
{
	if (is_sysv())
		HARNESS_SKIP("a limit of POSIX");
	in_a_child(fill_the_file_system);
}

static void half_of_the_bells_is_taken_back(void)
{
	if (is_sysv())
		HARNESS_SKIP("a limit of POSIX");
	in_a_child(fill_the_files);
}

static void half_built_is_not_opened(void)
{
	if (is_sysv())
		HARNESS_SKIP("half-built segments are seen on POSIX only");
	in_a_child(open_half_built);
}

/* ---- limits of the process --------------------------------------------------------------------------------- */

static int use_up_the_descriptors(void *arg)
{
	struct object *object = arg;
	struct rlimit none = {.rlim_cur = 0, .rlim_max = 0};
	struct duoshm__native native;
	struct duoshm__map map;

	HARNESS_CHILD(setrlimit(RLIMIT_NOFILE, &none) == 0);
	HARNESS_CHILD(
		the_backend()->attach(&object->native, false, &map, &why) == DUOSHM_ERR_LIMIT);
	HARNESS_CHILD(mentions(why.cause, "RLIMIT_NOFILE is 0"));
	HARNESS_CHILD(mentions(why.cure, "ulimit -n"));
	HARNESS_CHILD(create("/none", 4096, &native) == DUOSHM_ERR_LIMIT);
	return 0;
}

static void a_lack_of_descriptors_is_told(void)
{
	struct object object;

	if (is_sysv())
		HARNESS_SKIP("needs no descriptor");
	if (harness_instrumented())
		HARNESS_SKIP("the instrument has descriptors of its own");
	object = make_object("fds", 4096, 0);
	CU_ASSERT_EQUAL(harness_wait(harness_fork(use_up_the_descriptors, &object)), 0);
	end_object(&object);
}

static int exceed_the_file_size(void *arg)
{
	struct rlimit small = {.rlim_cur = 16384, .rlim_max = 16384};
	struct duoshm__native native;
	char name[96];

	(void)arg;
	snprintf(name, sizeof name, "/%s", harness_name("fsize"));
	HARNESS_CHILD(setrlimit(RLIMIT_FSIZE, &small) == 0); /* SIGXFSZ would end this child */
	HARNESS_CHILD(create(name, 16385, &native) == DUOSHM_ERR_LIMIT);
	HARNESS_CHILD(mentions(why.cause, "RLIMIT_FSIZE is 16384 bytes and 16385 are asked for"));
	HARNESS_CHILD(the_backend()->stat(&native, &(struct duoshm__native_stat){0}, &why) ==
		      DUOSHM_ERR_NOT_FOUND);
	return 0;
}

static void the_longest_file_is_told(void)
{
	if (is_sysv())
		HARNESS_SKIP("no file");
	CU_ASSERT_EQUAL(harness_wait(harness_fork(exceed_the_file_size, NULL)), 0);
}

/* ---- the probe ------------------------------------------------------------------------------------------------ */

static int probe_in_an_empty_world(void *arg)
{
	struct duoshm_facts facts = DUOSHM_FACTS_INIT;

	(void)arg;
	if (!own_world("size=1m"))
		return CANNOT;
	HARNESS_CHILD(the_backend()->probe(&facts) == 0 && facts.works);
	HARNESS_CHILD(objects_in_this_world() == 0);
	return 0;
}

static int probe_where_nothing_works(void *arg)
{
	struct duoshm_facts facts = DUOSHM_FACTS_INIT;

	(void)arg;
	if (!own_world("size=1m,nr_inodes=1") || (is_sysv() && !set_kernel("shmmni", "0")))
		return CANNOT;
	HARNESS_CHILD(the_backend()->probe(&facts) == 0);
	HARNESS_CHILD(!facts.works && facts.abilities == 0 && facts.n_limits > 0);
	HARNESS_CHILD(
		mentions(facts.reason, is_sysv() ? "shmmni is 0" : "shm_open(\"/duoshm.probe."));
	HARNESS_CHILD(objects_in_this_world() == 0);
	return 0;
}

static int probe_where_bells_do_not_work(void *arg)
{
	struct duoshm_facts facts = DUOSHM_FACTS_INIT;

	(void)arg;
	if (!own_world("size=1m,nr_inodes=2") || (is_sysv() && !set_kernel("sem", "60 60 10 0")))
		return CANNOT;
	HARNESS_CHILD(the_backend()->probe(&facts) == 0);
	HARNESS_CHILD(!facts.works);
	HARNESS_CHILD(mentions(facts.reason, is_sysv() ? "semget(" : "sem_open("));
	HARNESS_CHILD(objects_in_this_world() == 0);
	return 0;
}

static void a_probe_leaves_nothing(void)
{
	in_a_child(probe_in_an_empty_world);
}

static void a_probe_tells_what_does_not_work(void)
{
	in_a_child(probe_where_nothing_works);
	in_a_child(probe_where_bells_do_not_work);
}

static const struct harness_case cases[] = {
	{"shmmni is told", shmmni_is_told},
	{"shmall is told", shmall_is_told},
	{"shmmax is told", shmmax_is_told},
	{"semmsl and semmni are told", semmsl_and_semmni_are_told},
	{"semmns is told", semmns_is_told},
	{"a full file system is told", a_full_file_system_is_told},
	{"half of the bells is taken back", half_of_the_bells_is_taken_back},
	{"half-built is not opened", half_built_is_not_opened},
	{"a lack of descriptors is told", a_lack_of_descriptors_is_told},
	{"the longest file is told", the_longest_file_is_told},
	{"a probe leaves nothing", a_probe_leaves_nothing},
	{"a probe tells what does not work", a_probe_tells_what_does_not_work},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return harness_run_each(argc, argv, "backend limits", cases);
}
