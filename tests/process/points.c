/* SPDX-License-Identifier: MIT */
/*
 * The loops over points; see the header. With a stride they begin at a point that depends on the
 * process, so that each run of the tests takes others.
 */
#include "config.h"

#include "process/points.h"

#include <dirent.h>

#define TURNS_MAX 5000 /* more than any role has */

struct duoshm *ctx;
static bool private_ipc;

void points_begin(void)
{
	/*
	 * glibc's sem_open, when it is killed, leaves a file that nobody can attribute: it shall
	 * end with us.
	 */
	private_ipc = private_ipc || harness_enter("/dev/shm", "mode=1777");
	instrument_begin();
}

void points_end(void)
{
	instrument_end();
}

/* ---- nothing is left ---- */

static int count_ours(const struct duoshm_stat *object, void *arg)
{
	/* In an IPC namespace of our own every System V object is ours. */
	if (object->name[0] != '\0' || strstr(object->native, harness_name("")) != NULL ||
		strncmp(object->native, "0x", 2) == 0)
		++*(int *)arg;
	return 0;
}

static int files_in(const char *directory)
{
	DIR *dir = opendir(directory);
	int files = 0;

	CHECK_FATAL(dir != NULL);
	for (const struct dirent *entry; (entry = readdir(dir)) != NULL;)
		files += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	closedir(dir);
	return files;
}

static void nothing_is_left(unsigned nth)
{
	int objects = 0;
	bool counted = private_ipc || strcmp(harness_backend(), "posix") == 0;

	EXPECT(duoshm_reclaim(ctx, 0, NULL, NULL), 0); /* sweeps */
	OK(duoshm_list(ctx, counted ? DUOSHM_SYSTEM : 0, count_ours, &objects));
	int files = files_in(getenv("DUOSHM_DIR"));
	if (objects != 0 || files != 1)
		fprintf(stderr, "point %u, %s: %d objects and %d files left\n", nth,
			instrument_point(), objects, files);
	EXPECT(objects, 0);
	EXPECT(files, 1);
}

/* ---- one turn ---- */

static int work(void *argument)
{
	const struct role *role = argument;
	struct duoshm *own = new_context();

	if (role->prepare != NULL)
		role->prepare(own);
	instrument_here();
	role->work(own);
	return 0;
}

static int recover(void *argument)
{
	const struct role *role = argument;
	struct duoshm *own = new_context();

	instrument_here();
	role->recover(own);
	return 0;
}

/* False: it came to its end. */
static bool dies(struct role *role, unsigned nth)
{
	if (role->during == NULL)
		return instrument_kills(work, role, nth);
	pid_t pid = instrument_start(work, role, INSTRUMENT_DIE, nth);
	role->during(pid);
	return instrument_died(pid);
}

static bool stops(struct role *role, unsigned nth)
{
	pid_t pid = instrument_stops(work, role, nth);

	if (pid == 0)
		return false;
	role->stopped(pid);
	instrument_continue(pid);
	if (role->resumed != NULL)
		role->resumed(pid);
	EXPECT(harness_wait(pid), 0);
	return true;
}

/* Killed where it stands, while others wait for it. */
static bool dies_awaited(struct role *role, unsigned nth)
{
	pid_t pid = instrument_stops(work, role, nth);

	if (pid == 0)
		return false;
	role->stopped(pid);
	harness_kill(pid);
	return true;
}

static void begin_turn(const struct role *role)
{
	ctx = new_context();
	if (role->before != NULL)
		role->before();
}

static void end_turn(const struct role *role, unsigned nth)
{
	if (role->recover != NULL)
		role->recover(ctx);
	if (role->after != NULL)
		role->after();
	end_context(ctx);
	ctx = new_context(); /* sweeps what the dead had */
	nothing_is_left(nth);
	end_context(ctx);
}

/* ---- loops ---- */

static bool can(enum instrument_way way)
{
	if (instrument_by(way))
		return true;
	harness_skip("no ptrace");
	return false;
}

static unsigned first_of(long stride)
{
	return 1 + (unsigned)(getpid() % stride);
}

static void prove(const struct role *role, long figure, const char *what)
{
	for (int i = 0; i < 4 && role->proves[i] != 0; i++)
		harness_proves(role->proves[i], figure, what);
}

/* The number of turns that did not come to their end. */
static long each(const struct role *role, long stride, bool (*turn)(struct role *role, unsigned n))
{
	struct role own = *role;
	unsigned nth = first_of(stride);
	bool more = true;
	long turns = 0;

	for (; more && nth < TURNS_MAX; nth += (unsigned)stride) {
		begin_turn(role);
		more = turn(&own, nth);
		end_turn(role, nth);
		turns += more;
	}
	CHECK(!more);
	return turns;
}

/* Writes are few. */
static long stride_of(enum instrument_way way, long normal)
{
	return way == INSTRUMENT_WRITES ? 1 : harness_scale(5, normal, 1);
}

void points_die(const struct role *role, enum instrument_way way)
{
	if (can(way))
		prove(role, each(role, stride_of(way, 1), dies), "crash points");
}

void points_die_awaited(const struct role *role, enum instrument_way way)
{
	if (can(way))
		prove(role, each(role, stride_of(way, 2), dies_awaited), "crash points");
}

void points_stop(const struct role *role, enum instrument_way way)
{
	if (can(way))
		prove(role, each(role, stride_of(way, 2), stops), "stops");
}

/* The second at each of its points, or one of `stride`, where the first died at its nth. */
static bool dies_after(struct role *role, unsigned nth, long stride, long *deaths)
{
	unsigned second = 1 + (nth + (unsigned)getpid()) % (unsigned)stride;
	bool first = true, more = true;

	for (; first && more && second < TURNS_MAX; second += (unsigned)stride) {
		begin_turn(role);
		first = dies(role, nth);
		more = instrument_kills(recover, role, second);
		end_turn(role, nth);
		*deaths += first && more;
	}
	return first;
}

void points_die_twice(const struct role *role, enum instrument_way way)
{
	const bool calls = way == INSTRUMENT_CALLS;
	const long first = calls ? harness_scale(7, 3, 1) : 1;
	const long stride = calls ? harness_scale(199, 101, 13) : harness_scale(17, 5, 1);
	struct role own = *role;
	unsigned nth = first_of(first);
	long deaths = 0;

	if (!can(way))
		return;
	while (dies_after(&own, nth, stride, &deaths) && nth < TURNS_MAX)
		nth += (unsigned)first;
	CHECK(nth < TURNS_MAX);
	printf("[one pair of %ld] ", first * stride);
	harness_proves(5, deaths, "second deaths");
}
