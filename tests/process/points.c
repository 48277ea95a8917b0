/* SPDX-License-Identifier: MIT */
/*
 * Plays for each point; see the header. Who hangs is found by an alarm. Of System V the objects of
 * other tests cannot be told from ours, so that they are counted in an IPC namespace of our own
 * only.
 */
#include "config.h"

#include "process/points.h"

#include <dirent.h>

#define WATCHDOG 10 /* seconds */

struct duoshm *ctx;
pid_t tried;
static bool private_ipc;
static int64_t longest;
static char now_playing[160];

static void hangs(int signal_number)
{
	(void)signal_number;
	if (write(STDERR_FILENO, now_playing, strlen(now_playing)) >= 0)
		_exit(1);
	_exit(1);
}

void points_begin(void)
{
	/*
	 * glibc's sem_open, when it is killed, leaves a file that nobody can attribute: it shall
	 * end with us.
	 */
	private_ipc = private_ipc || harness_enter("/dev/shm", "mode=1777");
	struct sigaction action = {.sa_handler = hangs};

	sigemptyset(&action.sa_mask);
	CHECK(sigaction(SIGALRM, &action, NULL) == 0);
	snprintf(now_playing, sizeof(now_playing), "\nharness: out of time\n");
	instrument_begin();
	ctx = new_context();
}

void points_end(void)
{
	end_context(ctx);
	instrument_end();
}

/* ---- nothing is left ------------------------------------------------------------------------- */

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
	(void)closedir(dir);
	return files;
}

static void nothing_is_left(void)
{
	int objects = 0;
	bool counted = private_ipc || strcmp(harness_backend(), "posix") == 0;

	OK(duoshm_list(ctx, counted ? DUOSHM_SYSTEM : 0, count_ours, &objects));
	EXPECT(objects, 0);
	EXPECT(files_in(duoshm_directory(ctx)), 1);
}

/* ---- plays ----------------------------------------------------------------------------------- */

static unsigned play_once(const char *title, points_play *play, const struct points_plan *plan)
{
	unsigned failures = CU_get_number_of_failures();

	snprintf(now_playing, sizeof(now_playing), "\n%s hangs at points %u, %u\n", title,
		plan->nth[0], plan->nth[1]);
	alarm(WATCHDOG * (harness_instrumented() ? 5 : 1));
	unsigned came = play(plan);
	end_context(ctx);
	ctx = new_context(); /* sweeps what the dead had */
	nothing_is_left();
	harness_goes_on();
	if (CU_get_number_of_failures() != failures)
		fprintf(stderr, "%s: points %u, %u, the last: %s\n", title, plan->nth[0],
			plan->nth[1], instrument_point());
	return came;
}

/* The first that is tried of each so many. */
static unsigned first_of(long stride, unsigned shift)
{
	return 1 + ((unsigned)getpid() + shift) % (unsigned)stride;
}

/* What `points_each` does, from that point of the first life on. */
static long each_from(unsigned first, const char *title, points_play *play,
	enum instrument_deed deed, long stride, long second)
{
	struct points_plan plan = {deed, {first}};
	const unsigned lives = second > 0 ? 2 : 1;
	unsigned came;
	long plays = 0;

	do {
		plan.nth[1] = second > 0 ? first_of(second, plan.nth[0]) : 0;
		do {
			came = play_once(title, play, &plan);
			plays += came == lives;
			plan.nth[1] += (unsigned)second;
		} while (came == 2);
		plan.nth[0] += (unsigned)stride;
	} while (came > 0);
	return plays;
}

long points_each(
	const char *title, points_play *play, enum instrument_deed deed, long stride, long second)
{
	long plays = each_from(first_of(stride, 0), title, play, deed, stride, second);

	/* A short life may have been over before. */
	if (plays == 0)
		plays = each_from(1, title, play, deed, stride, second > 0 ? 1 : 0);
	CHECK(plays > 0);
	printf("\n%s: %ld, each %ld of the points; ", title, plays,
		second > 0 ? stride * second : stride);
	if (longest > 0)
		printf("learnt after %lld ms at most ", (long long)(longest / MS));
	longest = 0;
	return plays;
}

/* ---- lives ----------------------------------------------------------------------------------- */

struct life {
	void (*prepare)(void), (*work)(void);
	struct harness_gate *prepared;
};

static void call(void (*fn)(void))
{
	if (fn != NULL)
		fn();
}

static int live(void *arg)
{
	const struct life *life = arg;

	ctx = new_context();
	call(life->prepare);
	if (life->prepared != NULL)
		harness_gate_open(life->prepared);
	instrument_here();
	life->work();
	return 0;
}

pid_t points_start(
	void (*prepare)(void), void (*work)(void), enum instrument_deed deed, unsigned nth)
{
	struct harness_gate prepared;
	struct life life = {prepare, work, &prepared};

	harness_gate(&prepared);
	pid_t pid = instrument_start(live, &life, deed, nth);
	CHECK(harness_gate_pass(&prepared));
	harness_gate_close(&prepared);
	return pid;
}

bool points_end_of(enum instrument_deed deed, void (*stopped)(void))
{
	int status = harness_wait_stopped(tried);
	bool stood = status == HARNESS_STOPPED;

	if (stood) {
		call(stopped);
		harness_continue(tried);
		status = harness_wait(tried);
	}
	if (status == -SIGKILL && deed == INSTRUMENT_DIE)
		return true;
	EXPECT(status, 0);
	return stood;
}

void points_learnt(int64_t ns)
{
	longest = ns > longest ? ns : longest;
}

/* ---- roles ----------------------------------------------------------------------------------- */

static const struct role *role;

/* False: it came to its end. */
static bool comes_to_its_point(const struct points_plan *plan)
{
	struct life first = {role->prepare, role->work, NULL};

	if (role->during != NULL) {
		tried = points_start(role->prepare, role->work, plan->deed, plan->nth[0]);
		role->during();
		return instrument_died(tried);
	}
	if (role->stopped == NULL)
		return instrument_kills(live, &first, plan->nth[0]);
	tried = instrument_stops(live, &first, plan->nth[0]);
	if (tried == 0)
		return false;
	role->stopped();
	if (plan->deed == INSTRUMENT_DIE)
		return harness_kill(tried) == -SIGKILL;
	instrument_continue(tried);
	call(role->resumed);
	EXPECT(harness_wait(tried), 0);
	return true;
}

static unsigned play_role(const struct points_plan *plan)
{
	struct life next = {NULL, role->recover, NULL};

	call(role->before);
	unsigned came = comes_to_its_point(plan);
	if (came > 0 && plan->nth[1] > 0)
		came += instrument_kills(live, &next, plan->nth[1]);
	call(role->recover);
	call(role->after);
	EXPECT(duoshm_reclaim(ctx, 0, NULL, NULL), 0); /* sweeps entries that were never one */
	return came;
}

static bool can(enum instrument_way way)
{
	if (instrument_by(way))
		return true;
	harness_skip("no ptrace");
	return false;
}

static long each_point(enum instrument_deed deed, enum instrument_way way)
{
	/* Writes are few, and who stands still takes longer. */
	long stride = harness_scale(5, role->stopped != NULL ? 2 : 1, 1);

	if (way == INSTRUMENT_WRITES)
		stride = 1;
	return points_each(role->title, play_role, deed, stride, 0);
}

void points_die(const struct role *roles, enum instrument_way way)
{
	if (!can(way))
		return;
	for (role = roles; role->title != NULL; role++) {
		long deaths = each_point(INSTRUMENT_DIE, way);

		harness_proves(1, deaths, "crash points");
		harness_proves(4, deaths, "crash points");
		for (const unsigned *other = role->proves; *other != 0; other++)
			harness_proves(*other, deaths, "crash points");
	}
}

void points_stop(const struct role *roles, enum instrument_way way)
{
	if (!can(way))
		return;
	for (role = roles; role->title != NULL; role++)
		harness_proves(6, each_point(INSTRUMENT_STOP, way), "stops");
}

void points_die_twice(const struct role *roles, enum instrument_way way)
{
	const bool calls = way == INSTRUMENT_CALLS;
	const long first = calls ? harness_scale(7, 3, 1) : 1;
	const long second = calls ? harness_scale(199, 101, 29) : harness_scale(17, 5, 1);
	long deaths = 0;

	if (!can(way))
		return;
	for (role = roles; role->title != NULL; role++)
		if (role->recover != NULL)
			deaths +=
				points_each(role->title, play_role, INSTRUMENT_DIE, first, second);
	harness_proves(5, deaths, "second deaths");
}
