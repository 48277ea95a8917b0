/* SPDX-License-Identifier: MIT */
/*
 * The conductor of storms: starts the processes, kills and stops them at random, replaces them, and
 * keeps the account of who is dead. The trap: a process that found a fault has ended by itself, and
 * must not pass for one that was killed; so each kill looks at what ended it.
 */
#include "config.h"

#include "stress/storm.h"

#include <duoshm/device.h>

#include <dirent.h>
#include <sys/mman.h>

#ifndef MAP_ANONYMOUS
#define MAP_ANONYMOUS MAP_ANON
#endif

#define WATCHDOG      (10 * SECOND)
#define LONGEST_DELAY 300000 /* ns, between some work and the kill */

struct ledger *ledger;
const char *const storm_tally_names[TALLIES] = {[CHECKED] = "checked",
	[IN_FLIGHT] = "twice, in flight at a death",
	[TOLD] = "deaths told",
	[SLOWEST] = "ns until a death was told, at most",
	[COMMANDS] = "commands acknowledged",
	[RECONNECTS] = "reconnected",
	[TORN] = "torn",
	[LOST] = "lost",
	[DOUBLED] = "doubled",
	[INVENTED] = "invented",
	[REORDERED] = "reordered",
	[FALSE_NEWS] = "false deaths or ends"};
const char *storm_family;
static uint64_t seed;

/* What the conductor alone knows of a storm. */
struct conductor {
	const struct storm *storm;
	struct duoshm *ctx;
	unsigned slots;
	struct total *total;
	struct life life[SLOTS_MAX];
	bool found[SLOTS_MAX]; /* by reclaim */
};

void storm_seed(uint64_t value)
{
	seed = value;
}

/* Splitmix64 (Steele, Lea and Flood, OOPSLA 2014). */
uint64_t storm_random(uint64_t below)
{
	uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (z ^ z >> 31) % below;
}

int64_t storm_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * SECOND + now.tv_nsec;
}

struct duoshm *storm_context(void)
{
	return context_of(storm_family, NULL);
}

/* ---- in the processes ------------------------------------------------------------------------ */

bool is_over(const struct life *life)
{
	return get(&ledger->over) != 0 || get(&life->slot->leaving) == life->number;
}

void leave_role(const struct life *life)
{
	put(&life->slot->holds, 0);
	atomic_thread_fence(memory_order_seq_cst);
}

struct before before_call(const struct life *life)
{
	const struct slot *peer = &ledger->slot[role_of(life)->peer];

	return (struct before){storm_now(), get(&peer->lives), get(&peer->dead), get(&peer->holds)};
}

bool heard_of_death(struct life *life, const struct before *before)
{
	const struct slot *peer = &ledger->slot[role_of(life)->peer];
	bool held = before->holds == before->lives;
	int64_t killed = (int64_t)get(&peer->killed_ns);
	int64_t waited = storm_now() - (killed > before->now ? killed : before->now);

	/* The living holder of then still lives. */
	if (held && before->dead < before->lives && get(&peer->dead) == before->dead)
		tell(life, FALSE_NEWS, 1);
	/* It is told again and again, until the next one comes. */
	if (get(&peer->dead) == life->heard)
		return false;
	life->heard = get(&peer->dead);
	tell(life, TOLD, 1);
	if ((uint64_t)waited > get(&life->slot->tally[SLOWEST]))
		put(&life->slot->tally[SLOWEST], (uint64_t)waited);
	return held && get(&peer->lives) == before->lives;
}

static const char *own_name(unsigned index)
{
	char stem[16];

	snprintf(stem, sizeof(stem), "own.%u", index);
	return harness_name(stem);
}

/*
 * Each process has a segment, which is an orphan when it is killed, and is never touched before.
 * The next one replaces it, unless it was reclaimed.
 */
static struct duoshm_segment *make_own(struct life *life)
{
	struct duoshm_segment *own = NULL;
	bool remains = get(&life->slot->owns) > get(&life->slot->gone);
	bool swept;
	/* From here on it may be gone, should this life be short. */
	put(&life->slot->owns, 0);
	int result = duoshm_segment_create(life->ctx, own_name(life->index), 64, NULL, &own);

	swept = get(&ledger->sweeps) != life->sweeps;
	EXPECT_FATAL(result, remains && !swept ? DUOSHM_REPLACED : result >= 0 ? result : 0);
	memcpy(duoshm_segment_data(own), &life->number, sizeof(life->number));
	put(&life->slot->owns, life->number);
	return own;
}

static void end_own(struct life *life, struct duoshm_segment *own)
{
	EXPECT(duoshm_segment_removed(own), 0);
	CHECK(memcmp(duoshm_segment_data(own), &life->number, sizeof(life->number)) == 0);
	OK(duoshm_segment_remove(own));
	OK(duoshm_segment_close(own));
	put(&life->slot->owns, 0);
}

static int live(void *arg)
{
	struct life *life = arg;

	life->ctx = storm_context();
	struct duoshm_segment *own = make_own(life);
	int result = role_of(life)->live(life);
	end_own(life, own);
	return result != 0 ? result : duoshm_free(life->ctx);
}

/* ---- starting and ending them ---------------------------------------------------------------- */

static void start(struct conductor *c, unsigned index)
{
	struct slot *slot = &ledger->slot[index];
	const struct role *role = &c->storm->roles[index];

	put(&slot->lives, get(&slot->lives) + 1);
	c->life[index] = (struct life){
		c->storm, index, slot, get(&slot->lives), get(&ledger->sweeps), 0, NULL};
	if (role->live != NULL)
		slot->pid = harness_fork(live, &c->life[index]);
	else
		slot->pid = harness_spawn(-1, harness_program("device"), "--quiet", "-C",
			harness_path("device.ini"), NULL);
}

static void end_by_kill(struct conductor *c, unsigned index)
{
	struct slot *slot = &ledger->slot[index];

	put(&slot->killed_ns, (uint64_t)storm_now());
	put(&slot->dead, get(&slot->lives));
	int result = harness_kill(slot->pid);
	if (result != -SIGKILL)
		fprintf(stderr, "storm: %s %u had ended: %d\n", c->storm->roles[index].name, index,
			result);
	EXPECT(result, -SIGKILL);
	c->total->kills++;
	c->total->kills_of[index]++;
}

static bool is_dead(unsigned index)
{
	return get(&ledger->slot[index].dead) == get(&ledger->slot[index].lives);
}

/* It gives back all it has, and the next one comes. */
static void end_by_itself(struct conductor *c, unsigned index)
{
	struct slot *slot = &ledger->slot[index];

	add(&ledger->channel[c->storm->roles[index].channel].left, 1);
	put(&slot->leaving, get(&slot->lives));
	EXPECT(harness_wait(slot->pid), 0);
	put(&slot->dead, get(&slot->lives));
}

/* ---- the work of a life ---------------------------------------------------------------------- */

/* The device's shows in its clients'. */
static uint64_t progress_of(const struct conductor *c, unsigned index)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < c->slots; i++) {
		bool is_its = c->storm->roles[index].live == NULL
				      ? c->storm->roles[i].peer == (int)index
				      : i == index;
		sum += is_its ? get(&ledger->slot[i].progress) : 0;
	}
	return sum;
}

struct growth {
	const struct conductor *c;
	unsigned index;
	uint64_t from;
};

/* A fault of its own, or of its peers, has ended a process. */
static bool somebody_ended(const struct conductor *c)
{
	for (unsigned i = 0; i < c->slots; i++) {
		siginfo_t info = {.si_pid = 0};
		if (waitid(P_PID, (id_t)ledger->slot[i].pid, &info, WEXITED | WNOHANG | WNOWAIT) ==
				0 &&
			info.si_pid != 0)
			return true;
	}
	return false;
}

static bool has_grown(void *arg)
{
	struct growth *growth = arg;

	return progress_of(growth->c, growth->index) > growth->from || somebody_ended(growth->c);
}

static bool await_work(struct conductor *c, unsigned index)
{
	struct growth growth = {c, index, progress_of(c, index)};
	bool works = harness_until(has_grown, &growth);

	if (!works)
		fprintf(stderr, "storm: %s %u hangs\n", c->storm->roles[index].name, index);
	CHECK(works);
	return works && !somebody_ended(c);
}

/* Where a kill or a stop falls, not whether it is right. */
static void nap(uint64_t longest_ns)
{
	struct timespec moment = {0, (long)storm_random(longest_ns)};

	(void)nanosleep(&moment, NULL);
}

/* ---- slow is not dead ------------------------------------------------------------------------ */

/* A living one that is not `but`, stopped; its index, or -1. */
static int stop_another(struct conductor *c, unsigned but)
{
	unsigned index = (unsigned)storm_random(c->slots);

	if (index == but || is_dead(index))
		return -1;
	harness_stop(ledger->slot[index].pid);
	c->total->stops++;
	return (int)index;
}

/* What it has nobody else gets. */
static void still_has_all(struct conductor *c, unsigned index)
{
	const struct slot *slot = &ledger->slot[index];
	const struct role *role = &c->storm->roles[index];
	struct duoshm_segment *own = NULL;

	if (get(&slot->owns) == get(&slot->lives))
		EXPECT(duoshm_segment_create(c->ctx, own_name(index), 64, NULL, &own),
			DUOSHM_ERR_EXISTS);
	if (role->usurp != NULL && get(&slot->holds) == get(&slot->lives))
		EXPECT(role->usurp(c->ctx, role), DUOSHM_ERR_BUSY);
}

/* ---- the cleaner ----------------------------------------------------------------------------- */

/* An orphan is of nobody who lives. */
static int note_orphan(const struct duoshm_stat *orphan, void *arg)
{
	struct conductor *c = arg;

	for (unsigned i = 0; i < c->slots; i++) {
		bool lives = !is_dead(i) && orphan->creator_pid == ledger->slot[i].pid;
		if (lives)
			fprintf(stderr, "storm: %s of %lld reclaimed: %s\n", orphan->name,
				(long long)orphan->creator_pid, orphan->why);
		CHECK(!lives);
		c->found[i] = c->found[i] || strcmp(orphan->name, own_name(i)) == 0;
	}
	return 0;
}

/* Exactly the segments of the dead; also of those who were about to make or remove theirs. */
static void reclaim(struct conductor *c)
{
	memset(c->found, 0, sizeof(c->found));
	add(&ledger->sweeps, 1);
	int count = duoshm_reclaim(c->ctx, 0, note_orphan, c);
	CHECK(count >= 0);
	c->total->reclaimed += (uint64_t)(count > 0 ? count : 0);
	for (unsigned i = 0; i < c->slots; i++) {
		struct slot *slot = &ledger->slot[i];
		uint64_t owns = get(&slot->owns);
		if (is_dead(i) && owns == get(&slot->lives) && owns > get(&slot->gone))
			CHECK(c->found[i]);
		/* A new one may be about to find it gone. */
		if (c->found[i])
			put(&slot->gone, is_dead(i) ? get(&slot->lives) : get(&slot->lives) - 1);
	}
}

/* ---- the account ----------------------------------------------------------------------------- */

/* What the processes have counted; of the slowest the most. */
static void add_tallies(uint64_t *sum, const struct conductor *c)
{
	for (unsigned i = 0; i < c->slots; i++) {
		for (int t = 0; t < TALLIES; t++) {
			uint64_t value = get(&ledger->slot[i].tally[t]);
			if (t != SLOWEST)
				sum[t] += value;
			else if (value > sum[t])
				sum[t] = value;
		}
	}
}

static void all_is_well(const struct conductor *c)
{
	uint64_t sum[TALLIES] = {0}, faults = 0;

	add_tallies(sum, c);
	for (int t = TORN; t < TALLIES; t++) {
		faults += sum[t];
		if (sum[t] != 0)
			fprintf(stderr, "storm: %s: %llu %s\n", c->storm->name,
				(unsigned long long)sum[t], storm_tally_names[t]);
	}
	EXPECT(faults, 0);
	CHECK(sum[SLOWEST] < WATCHDOG);
}

/* ---- one kill, and what belongs to it -------------------------------------------------------- */

static uint64_t told(const struct conductor *c, unsigned victim)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < c->slots; i++)
		sum += c->storm->roles[i].peer == (int)victim ? get(&ledger->slot[i].tally[TOLD])
							      : 0;
	return sum;
}

struct news {
	const struct conductor *c;
	unsigned victim;
	uint64_t from;
};

static bool is_told(void *arg)
{
	struct news *news = arg;

	return told(news->c, news->victim) > news->from || somebody_ended(news->c);
}

/*
 * Is there somebody who must be told? Not a client that is about to connect: it waits for the next
 * device. Call it after the kill.
 */
static bool is_missed(const struct conductor *c, unsigned victim)
{
	bool any_knows = c->storm->roles[victim].live != NULL;

	/* With the one in leave_role: either it reads that the victim is dead, or we that it left. */
	atomic_thread_fence(memory_order_seq_cst);
	for (unsigned i = 0; i < c->slots; i++) {
		const struct slot *slot = &ledger->slot[i];
		if (c->storm->roles[i].peer == (int)victim &&
			(any_knows || get(&slot->holds) == get(&slot->lives)))
			return true;
	}
	return false;
}

/* Some are killed before they did any work, some are still making or opening things. */
static void strike(struct conductor *c, unsigned victim)
{
	bool worked = storm_random(4) != 0 && await_work(c, victim);

	nap(worked ? LONGEST_DELAY : 10 * LONGEST_DELAY);
	int stopped = storm_random(4) == 0 ? stop_another(c, victim) : -1;
	struct news news = {c, victim, told(c, victim)};
	end_by_kill(c, victim);
	bool missed = worked && is_missed(c, victim);
	if (storm_random(8) == 0)
		reclaim(c);
	if (stopped >= 0) {
		still_has_all(c, (unsigned)stopped);
		nap(LONGEST_DELAY);
		harness_continue(ledger->slot[stopped].pid);
	}
	if (missed && storm_random(8) == 0)
		CHECK(harness_until(is_told, &news));
	start(c, victim);
}

static void strike_any(struct conductor *c)
{
	unsigned victim = (unsigned)storm_random(c->slots);

	if (c->storm->roles[victim].leaves && storm_random(16) == 0 && await_work(c, victim)) {
		end_by_itself(c, victim);
		start(c, victim);
	} else {
		strike(c, victim);
	}
	CHECK(!somebody_ended(c));
	all_is_well(c);
}

/* ---- the end --------------------------------------------------------------------------------- */

/* After a fault nobody is sure to come to an end. */
static void break_off(struct conductor *c)
{
	for (unsigned i = 0; i < c->slots; i++) {
		put(&ledger->slot[i].dead, get(&ledger->slot[i].lives));
		harness_kill(ledger->slot[i].pid);
	}
	(void)duoshm_reclaim(c->ctx, 0, NULL, NULL);
}

/* SIGTERM would kill one that has only just been started. */
static void await_device(struct duoshm *ctx)
{
	struct duoshm_device *device = NULL;

	OK(duoshm_device_connect(ctx, harness_name("device"), LONG_TIME, &device));
	OK(duoshm_device_disconnect(device));
}

static void finish(struct conductor *c)
{
	for (unsigned i = 0; i < c->slots; i++) {
		if (c->storm->roles[i].live == NULL)
			await_device(c->ctx);
	}
	put(&ledger->over, 1);
	for (unsigned i = 0; i < CHANNELS_MAX; i++)
		put(&ledger->channel[i].limit, get(&ledger->channel[i].begun) + 100);
	for (unsigned i = 0; i < c->slots; i++) {
		if (c->storm->roles[i].live != NULL)
			EXPECT(harness_wait(ledger->slot[i].pid), 0);
	}
	for (unsigned i = 0; i < c->slots; i++) {
		if (c->storm->roles[i].live != NULL)
			continue;
		kill(ledger->slot[i].pid, SIGTERM);
		EXPECT(harness_wait(ledger->slot[i].pid), 0);
	}
	for (unsigned i = 0; i < c->slots; i++)
		put(&ledger->slot[i].dead, get(&ledger->slot[i].lives));
}

static int count_left(const struct duoshm_stat *object, void *count)
{
	/* Where others have objects, too, ours are known by their names. */
	if (object->name[0] != '\0' || strstr(object->native, harness_name("")) != NULL)
		++*(unsigned *)count;
	return 0;
}

static unsigned files_in(const char *directory)
{
	DIR *files = opendir(directory);
	unsigned n = 0;

	for (struct dirent *file; files != NULL && (file = readdir(files)) != NULL;)
		n += strcmp(file->d_name, ".") != 0 && strcmp(file->d_name, "..") != 0;
	if (files != NULL)
		closedir(files);
	return n;
}

unsigned storm_left(void)
{
	struct duoshm *ctx = storm_context();
	unsigned left = 0;

	EXPECT(duoshm_list(ctx, DUOSHM_SYSTEM, count_left, &left), 0);
	end_context(ctx);
	return left + files_in(getenv("DUOSHM_DIR"));
}

static struct ledger *new_ledger(void)
{
	struct ledger *made = mmap(
		NULL, sizeof(*made), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK_FATAL(made != MAP_FAILED);
	for (unsigned i = 0; i < CHANNELS_MAX; i++)
		put(&made->channel[i].limit, WITHOUT_END);
	return made;
}

void storm_run(const struct storm *storm, long kills, struct total *total)
{
	struct conductor c = {.storm = storm, .ctx = storm_context(), .total = total};
	unsigned failures = CU_get_number_of_failures();

	ledger = new_ledger();
	storm->make(c.ctx);
	while (storm->roles[c.slots].name != NULL)
		start(&c, c.slots++);
	for (long i = 0; i < kills && CU_get_number_of_failures() == failures; i++) {
		harness_goes_on();
		strike_any(&c);
	}
	if (CU_get_number_of_failures() != failures)
		break_off(&c);
	else
		finish(&c);
	all_is_well(&c);
	add_tallies(total->tally, &c);
	if (storm->verify != NULL)
		storm->verify(c.ctx);
	reclaim(&c);
	storm->discard(c.ctx);
	end_context(c.ctx);
	unsigned left = storm_left();
	EXPECT(left, 0);
	total->left += left;
	(void)munmap(ledger, sizeof(*ledger));
}
