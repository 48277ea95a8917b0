/* SPDX-License-Identifier: MIT */
/*
 * Semaphores and locks, their processes killed and stopped at each write to shared memory and each
 * native operation, while others sleep. Who lives is served or told; a ledger outside of the shared
 * memory accounts for each unit, and for data that a dead holder left torn.
 */
#include "config.h"

#include "core/clock.h"
#include "core/lock_layout.h"
#include "process/points.h"
#include "unit/sleepers.h"

#define SLEEPERS 2
#define PATIENCE (100 * MS)

/* Shared by all processes, outside of the objects. */
static struct {
	long first, second; /* a holder makes them equal again before it lets go */
	_Atomic long torn, told;
	_Atomic long begun, posted; /* units that may have been posted, that were */
	_Atomic long taking, taken; /* calls that are on their way, that took one */
} * ledger;

static const char *name;
static struct harness_gate go;
static pid_t asleep[SLEEPERS];
/* Of this process. */
static struct duoshm_lock *lock;
static struct duoshm_semaphore *semaphore;

static void begin(void)
{
	points_begin();
	harness_gate(&go);
	name = harness_name("word");
	ledger = ledger != NULL ? ledger : harness_shared(sizeof *ledger);
}

static void end(void)
{
	harness_gate_close(&go);
	points_end();
}

/* ---- what both have -------------------------------------------------------------------------- */

static void start_sleepers(int n, void (*prepare)(void), void (*work)(void))
{
	for (int i = 0; i < n; i++) {
		asleep[i] = points_start(prepare, work, INSTRUMENT_COUNT, 0);
		harness_until_asleep(asleep[i]);
	}
}

/* Each of them was served or told, as its function asserts. */
static void join_sleepers(void)
{
	for (int i = 0; i < SLEEPERS; i++)
		if (asleep[i] > 0)
			EXPECT(harness_wait(asleep[i]), 0);
	memset(asleep, 0, sizeof asleep);
}

static void remove_it(void)
{
	int result = duoshm_remove(ctx, name);

	CHECK(result == 0 || result == DUOSHM_ERR_NOT_FOUND);
}

/* ---- locks ----------------------------------------------------------------------------------- */

static void make_lock(void)
{
	memset(ledger, 0, sizeof *ledger);
	OK(duoshm_lock_create(ctx, name, NULL, &lock));
}

static void open_lock(void)
{
	OK(duoshm_lock_open(ctx, name, 0, 0, &lock));
}

/* Torn data are told of; what is told of need not be torn. */
static void touch(int told)
{
	ledger->told += told == DUOSHM_OWNER_DEAD;
	ledger->torn += ledger->first != ledger->second && told != DUOSHM_OWNER_DEAD;
	long next = ledger->second + 1;
	instrument_write(&ledger->first, "data");
	ledger->first = next;
	instrument_write(&ledger->second, "data");
	ledger->second = next;
}

static int try_to_cross(void)
{
	int result = duoshm_lock_acquire(lock, LONG_TIME);

	if (result < 0)
		return result;
	touch(result);
	return duoshm_lock_release(lock);
}

static void cross(void)
{
	OK(try_to_cross());
}

static void cross_till_removed(void)
{
	EXPECT(try_to_cross(), DUOSHM_ERR_REMOVED);
}

static void cross_unless_removed(void)
{
	int result = try_to_cross();

	CHECK(result == 0 || result == DUOSHM_ERR_REMOVED);
}

/* What the word says is what the next holder is told. */
static void cross_next(void)
{
	struct duoshm_segment *raw = open_segment(ctx, "word", DUOSHM_ANY_KIND);
	const struct duoshm__lock *shared = duoshm_segment_data(raw);
	uint64_t found = duoshm__load64(&shared->word);
	struct duoshm_lock *handle = NULL;
	bool died = (found & (DUOSHM__LOCK_OWNER | DUOSHM__LOCK_DEAD)) != 0;

	OK(duoshm_lock_open(ctx, name, 0, 0, &handle));
	int result = duoshm_lock_acquire(handle, LONG_TIME);
	EXPECT_FATAL(result, died ? DUOSHM_OWNER_DEAD : 0);
	touch(result);
	OK(duoshm_lock_release(handle));
	OK(duoshm_lock_close(handle));
	end_segment(raw);
}

static void end_lock(void)
{
	EXPECT(ledger->torn, 0);
	EXPECT(ledger->first, ledger->second);
	EXPECT(duoshm_lock_acquire(lock, 0), 0);
	EXPECT(duoshm_lock_close(lock), 0);
	discard(ctx, "word");
}

static void make_held(void)
{
	make_lock();
	OK(duoshm_lock_acquire(lock, 0));
}

static void hold(void)
{
	open_lock();
	OK(duoshm_lock_acquire(lock, 0));
}

/* Amid its work: who is not told of its death finds the data torn. */
static void hold_halfway(void)
{
	hold();
	ledger->first++;
}

static void stay(void)
{
	pause();
}

static void make_held_by_the_dead(void)
{
	make_lock();
	harness_kill(points_start(hold_halfway, stay, INSTRUMENT_COUNT, 0));
}

static void let_go(void)
{
	CHECK(harness_gate_pass(&go));
	touch(0);
	OK(duoshm_lock_release(lock));
}

static void others_fall_asleep(void)
{
	start_sleepers(SLEEPERS, open_lock, cross);
	harness_gate_open(&go);
}

static void all_were_served(void)
{
	join_sleepers();
	CHECK(ledger->told <= 1);
	end_lock();
}

/* The first to sleep is the first to be woken: it may die with the ring. */
static void release_to_sleepers(void)
{
	harness_until_asleep(tried);
	start_sleepers(1, open_lock, cross);
	EXPECT(duoshm_lock_release(lock), 0);
}

/* Where waiting is looking again, the other one may have had the lock before the dead. */
static void other_was_served(void)
{
	join_sleepers();
	int result = duoshm_lock_acquire(lock, 0);
	CHECK(result == 0 || (result == DUOSHM_OWNER_DEAD && ledger->told == 0));
	touch(result);
	CHECK(ledger->told <= 1);
	EXPECT(duoshm_lock_release(lock), 0);
	end_lock();
}

static void make_slept_on(void)
{
	make_held();
	start_sleepers(SLEEPERS, open_lock, cross_till_removed);
}

static void lock_is_removed(void)
{
	remove_it();
	join_sleepers();
	EXPECT(duoshm_lock_release(lock), DUOSHM_ERR_REMOVED);
	EXPECT(duoshm_lock_close(lock), 0);
}

static void lock_stays_removed(void)
{
	remove_it();
	EXPECT(duoshm_lock_acquire(lock, 0), DUOSHM_ERR_REMOVED);
	lock_is_removed();
}

/* ---- locks, and who stands still ------------------------------------------------------------- */

/* Its place is not taken; who then falls asleep is woken by its release alone. */
static void wait_for_the_slow(void)
{
	int result = duoshm_lock_acquire(lock, 0);

	CHECK(result == 0 || result == DUOSHM_ERR_TIMEOUT);
	if (result == 0)
		EXPECT(duoshm_lock_release(lock), 0);
	patient_begin();
	start_sleepers(1, open_lock, cross);
	patient_end();
	instrument_begin();
}

static void slow_was_spared(void)
{
	join_sleepers();
	EXPECT(ledger->told, 0);
	end_lock();
}

/* What the dead one held is taken over by us, unless the other one has it. */
static int held;

static void take_over(void)
{
	held = duoshm_lock_acquire(lock, 0);
	CHECK(held == 0 || held == DUOSHM_OWNER_DEAD || held == DUOSHM_ERR_TIMEOUT);
	if (held >= 0)
		touch(held);
}

static void is_ours(void)
{
	harness_until_asleep(tried);
	if (held >= 0)
		EXPECT(duoshm_lock_release(lock), 0);
}

/* ---- what only a ring tells ------------------------------------------------------------------ */

/* Who takes over from the dead keeps the mark of those who sleep, and rings for them. */
static void takeover_wakes(void)
{
	patient_begin();
	make_lock();
	pid_t holder = points_start(hold_halfway, stay, INSTRUMENT_COUNT, 0);
	start_sleepers(1, open_lock, cross);
	harness_kill(holder);
	EXPECT(duoshm_lock_acquire(lock, 0), DUOSHM_OWNER_DEAD);
	touch(DUOSHM_OWNER_DEAD);
	EXPECT(duoshm_lock_release(lock), 0);
	join_sleepers();
	end_lock();
	patient_end();
}

static void acquire_in_vain(void)
{
	EXPECT(duoshm_lock_acquire(lock, PATIENCE), DUOSHM_ERR_TIMEOUT);
}

/*
 * The first to sleep gets the ring, and is stopped with it until its time is over: it gives up, and
 * leaves the mark for the other one.
 */
static void giving_up_leaves_the_mark(void)
{
	enum { AFTER_SLEEP = 4 }; /* two writes, and the sleep */

	patient_begin();
	make_held();
	pid_t pid = points_start(open_lock, acquire_in_vain, INSTRUMENT_STOP, AFTER_SLEEP);
	harness_until_asleep(pid);
	start_sleepers(1, open_lock, cross);
	EXPECT(duoshm_lock_release(lock), 0);
	EXPECT_FATAL(harness_wait_stopped(pid), HARNESS_STOPPED);
	EXPECT_TEXT(instrument_point(), "after wait");
	EXPECT(duoshm_lock_acquire(lock, 0), 0);
	duoshm__pause(PATIENCE);
	instrument_continue(pid);
	EXPECT(harness_wait(pid), 0);
	EXPECT(duoshm_lock_release(lock), 0);
	join_sleepers();
	end_lock();
	patient_end();
}

/* ---- semaphores ------------------------------------------------------------------------------ */

static void make_empty(void)
{
	memset(ledger, 0, sizeof *ledger);
	OK(duoshm_semaphore_create(ctx, name, 0, NULL, &semaphore));
}

static void open_semaphore(void)
{
	OK(duoshm_semaphore_open(ctx, name, 0, 0, &semaphore));
}

static void post(unsigned units)
{
	ledger->begun += units;
	OK(duoshm_semaphore_post(semaphore, units));
	ledger->posted += units;
}

static void post_one(void)
{
	post(1);
}

static void post_two_and_one(void)
{
	post(2);
	post(1);
}

static void make_three_units(void)
{
	make_empty();
	post(3);
}

static void take_one(void)
{
	ledger->taking++;
	OK(duoshm_semaphore_wait(semaphore, LONG_TIME, 0));
	ledger->taken++;
	ledger->taking--;
}

static void take_two(void)
{
	take_one();
	take_one();
}

static void take_in_vain(void)
{
	EXPECT(duoshm_semaphore_wait(semaphore, MS, 0), DUOSHM_ERR_TIMEOUT);
}

static void take_till_removed(void)
{
	EXPECT(duoshm_semaphore_wait(semaphore, LONG_TIME, 0), DUOSHM_ERR_REMOVED);
}

static void two_sleep(void)
{
	make_empty();
	start_sleepers(SLEEPERS, open_semaphore, take_one);
}

static void post_to_sleepers(void)
{
	harness_until_asleep(tried);
	start_sleepers(1, open_semaphore, take_one);
	post(2);
}

/*
 * What a dead one was posting is there or not, and what it was taking it has or not; all else adds
 * up. What is there can be taken, and no more.
 */
static void units_add_up(void)
{
	join_sleepers();
	int value = duoshm_semaphore_value(semaphore);
	long found = value + ledger->taken;

	CHECK(value >= 0);
	CHECK(found == ledger->posted || found == ledger->begun ||
		found == ledger->posted - ledger->taking);
	for (int i = 0; i < value; i++)
		EXPECT(duoshm_semaphore_wait(semaphore, 0, 0), 0);
	EXPECT(duoshm_semaphore_wait(semaphore, 0, 0), DUOSHM_ERR_TIMEOUT);
	EXPECT(duoshm_semaphore_close(semaphore), 0);
	discard(ctx, "word");
}

static void sleepers_are_served(void)
{
	post(2);
	units_add_up();
}

static void two_sleep_till_removed(void)
{
	make_empty();
	start_sleepers(SLEEPERS, open_semaphore, take_till_removed);
}

static void semaphore_is_removed(void)
{
	join_sleepers();
	EXPECT(duoshm_semaphore_post(semaphore, 1), DUOSHM_ERR_REMOVED);
	EXPECT(duoshm_semaphore_close(semaphore), 0);
}

/* ---- cases ----------------------------------------------------------------------------------- */

static const struct role mortal[] = {
	{"holder of a lock", .before = make_lock, .prepare = open_lock, .work = cross,
		.recover = cross_next, .after = end_lock, .proves = {2}},
	{"holder for which others sleep", .before = make_lock, .prepare = hold, .work = let_go,
		.during = others_fall_asleep, .after = all_were_served, .proves = {2}},
	{"sleeper for a lock, with the ring", .before = make_held, .prepare = open_lock,
		.work = cross, .during = release_to_sleepers, .after = other_was_served,
		.proves = {2}},
	{"heir of a dead holder", .before = make_held_by_the_dead, .prepare = open_lock,
		.work = cross, .recover = cross_next, .after = end_lock, .proves = {2, 5}},
	{"remover of a lock", .before = make_slept_on, .work = remove_it, .recover = remove_it,
		.after = lock_is_removed},
	{"poster", .before = two_sleep, .prepare = open_semaphore, .work = post_two_and_one,
		.after = sleepers_are_served},
	{"taker, which loses one unit at most", .before = make_three_units,
		.prepare = open_semaphore, .work = take_two, .after = units_add_up},
	{"sleeper for a unit, with the ring", .before = make_empty, .prepare = open_semaphore,
		.work = take_one, .during = post_to_sleepers, .after = units_add_up},
	{"sleeper that gives up", .before = two_sleep, .prepare = open_semaphore,
		.work = take_in_vain, .after = sleepers_are_served},
	{"remover of a semaphore", .before = two_sleep_till_removed, .work = remove_it,
		.recover = remove_it, .after = semaphore_is_removed},
	{.title = NULL},
};
static const struct role slow[] = {
	{"holder that rings when it goes on", .before = make_lock, .prepare = open_lock,
		.work = cross, .stopped = wait_for_the_slow, .after = slow_was_spared},
	{"holder of what is removed", .before = make_lock, .prepare = open_lock,
		.work = cross_unless_removed, .stopped = remove_it, .after = lock_stays_removed},
	{"heir that is overtaken", .before = make_held_by_the_dead, .prepare = open_lock,
		.work = cross, .stopped = take_over, .resumed = is_ours, .after = end_lock},
	{"poster", .before = two_sleep, .prepare = open_semaphore, .work = post_two_and_one,
		.stopped = post_one, .after = units_add_up},
	{"taker", .before = make_three_units, .prepare = open_semaphore, .work = take_two,
		.stopped = take_one, .after = units_add_up},
	{.title = NULL},
};

static void die(void)
{
	points_die(mortal, INSTRUMENT_WRITES);
}

static void two_die(void)
{
	points_die_twice(mortal, INSTRUMENT_WRITES);
}

static void stand_still(void)
{
	points_stop(slow, INSTRUMENT_WRITES);
}

static const struct harness_case cases[] = {
	{"wherever one dies, who lives is served or told", die},
	{"wherever it dies, the next one may die, too", two_die},
	{"wherever one stands still, it keeps what it has, and all adds up", stand_still},
	{"who takes over from the dead wakes who sleeps", takeover_wakes},
	{"who gives up with a ring passes it on", giving_up_leaves_the_mark},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	harness_around(begin, end);
	return harness_run_each(argc, argv, "points_words", cases);
}
