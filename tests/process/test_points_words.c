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
#define WATCHDOG 10 /* seconds; who is not served in time is ended */

/* Shared by all processes, outside of the objects. */
static struct {
	long first, second; /* a holder makes them equal again before it lets go */
	_Atomic long torn, told, taken;
} * ledger;

static const char *name;
static struct harness_gate ready, go;
static pid_t asleep[SLEEPERS];

static void begin(void)
{
	points_begin();
	name = harness_name("word");
	ledger = ledger != NULL ? ledger : harness_shared(sizeof *ledger);
}

/* ---- processes that sleep ---- */

static void start_sleepers(int n, int (*fn)(void *arg))
{
	for (int i = 0; i < n; i++) {
		asleep[i] = harness_fork(fn, NULL);
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

static void make_gates(void)
{
	harness_gate(&ready);
	harness_gate(&go);
}

static void close_gates(void)
{
	harness_gate_close(&ready);
	harness_gate_close(&go);
}

/* ---- locks ---- */

static struct duoshm_lock *lock, *theirs;

static struct duoshm_lock *open_lock(struct duoshm *own)
{
	struct duoshm_lock *opened = NULL;

	OK(duoshm_lock_open(own, name, 0, 0, &opened));
	return opened;
}

static void make_lock(void)
{
	memset(ledger, 0, sizeof *ledger);
	OK(duoshm_lock_create(ctx, name, NULL, &lock));
	make_gates();
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

static int cross(struct duoshm_lock *handle)
{
	int result = duoshm_lock_acquire(handle, LONG_TIME);

	if (result < 0)
		return result;
	touch(result);
	return duoshm_lock_release(handle);
}

static void prepare_lock(struct duoshm *own)
{
	theirs = open_lock(own);
}

static void cross_prepared(struct duoshm *own)
{
	(void)own;
	OK(cross(theirs));
}

/* What the word says is what the next holder is told. */
static void cross_next(struct duoshm *own)
{
	struct duoshm_segment *raw = open_segment(own, "word", DUOSHM_ANY_KIND);
	const struct duoshm__lock *shared = duoshm_segment_data(raw);
	uint64_t found = duoshm__load64(&shared->word);
	struct duoshm_lock *handle = open_lock(own);
	int result = duoshm_lock_acquire(handle, LONG_TIME);
	bool died = (found & (DUOSHM__LOCK_OWNER | DUOSHM__LOCK_DEAD)) != 0;

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
	close_gates();
}

static int hold(void *arg)
{
	(void)arg;
	OK(duoshm_lock_acquire(open_lock(new_context()), 0));
	ledger->first++;
	harness_gate_open(&ready);
	return harness_gate_pass(&go) ? 0 : 1;
}

static pid_t start_holder(void)
{
	make_lock();
	pid_t pid = harness_fork(hold, NULL);
	CHECK(harness_gate_pass(&ready));
	return pid;
}

static void make_held_by_the_dead(void)
{
	harness_kill(start_holder());
}

static int sleep_for_lock(void *arg)
{
	(void)arg;
	alarm(WATCHDOG);
	EXPECT(cross(open_lock(new_context())), 0);
	return 0;
}

static int sleep_till_removed(void *arg)
{
	(void)arg;
	EXPECT(cross(open_lock(new_context())), DUOSHM_ERR_REMOVED);
	return 0;
}

/* Holds it, and lets others fall asleep. */
static void prepare_holder(struct duoshm *own)
{
	prepare_lock(own);
	OK(duoshm_lock_acquire(theirs, 0));
	harness_gate_open(&ready);
	CHECK(harness_gate_pass(&go));
}

static void let_go(struct duoshm *own)
{
	(void)own;
	touch(0);
	OK(duoshm_lock_release(theirs));
}

static void others_fall_asleep(pid_t pid)
{
	(void)pid;
	CHECK(harness_gate_pass(&ready));
	start_sleepers(SLEEPERS, sleep_for_lock);
	harness_gate_open(&go);
}

static void all_were_served(void)
{
	join_sleepers();
	CHECK(ledger->told <= 1);
	end_lock();
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

/* The first to sleep is the first to be woken: it may die with the ring. */
static void make_held(void)
{
	make_lock();
	EXPECT(duoshm_lock_acquire(lock, 0), 0);
}

static void prepare_to_sleep(struct duoshm *own)
{
	prepare_lock(own);
	harness_gate_open(&ready);
}

static void release_to_sleepers(pid_t pid)
{
	CHECK(harness_gate_pass(&ready));
	harness_until_asleep(pid);
	start_sleepers(1, sleep_for_lock);
	EXPECT(duoshm_lock_release(lock), 0);
}

static void make_slept_on(void)
{
	make_held();
	start_sleepers(SLEEPERS, sleep_till_removed);
}

static void remove_it(struct duoshm *own)
{
	int result = duoshm_remove(own, name);

	CHECK(result == 0 || result == DUOSHM_ERR_NOT_FOUND);
}

static void all_learnt_of_removal(void)
{
	join_sleepers();
	EXPECT(duoshm_lock_release(lock), DUOSHM_ERR_REMOVED);
	EXPECT(duoshm_lock_close(lock), 0);
	close_gates();
}

/* ---- locks, and who stands still ---- */

/* Its place is not taken; who then falls asleep is woken by its release alone. */
static void wait_for_the_slow(pid_t pid)
{
	int result = duoshm_lock_acquire(lock, 0);

	(void)pid;
	CHECK(result == 0 || result == DUOSHM_ERR_TIMEOUT);
	if (result == 0)
		EXPECT(duoshm_lock_release(lock), 0);
	patient_begin();
	start_sleepers(1, sleep_for_lock);
	patient_end();
	instrument_begin();
}

static void slow_was_spared(void)
{
	join_sleepers();
	EXPECT(ledger->told, 0);
	end_lock();
}

static void was_told(struct duoshm *own)
{
	(void)own;
	int result = cross(theirs);

	CHECK(result == 0 || result == DUOSHM_ERR_REMOVED);
}

static void remove_meanwhile(pid_t pid)
{
	(void)pid;
	discard(ctx, "word");
}

static void stays_removed(void)
{
	remove_it(ctx);
	EXPECT(duoshm_lock_acquire(lock, 0), DUOSHM_ERR_REMOVED);
	EXPECT(duoshm_lock_close(lock), 0);
	close_gates();
}

/* What the dead one held is taken over by us, unless the other one has it. */
static int held;

static void take_over(pid_t pid)
{
	(void)pid;
	held = duoshm_lock_acquire(lock, 0);
	CHECK(held == 0 || held == DUOSHM_OWNER_DEAD || held == DUOSHM_ERR_TIMEOUT);
	if (held >= 0)
		touch(held);
}

static void is_ours(pid_t pid)
{
	harness_until_asleep(pid);
	if (held >= 0)
		EXPECT(duoshm_lock_release(lock), 0);
}

/* ---- what only a ring tells ---- */

/* Who takes over from the dead keeps the mark of those who sleep, and rings for them. */
static void takeover_wakes(void)
{
	patient_begin();
	ctx = new_context();
	pid_t holder = start_holder();
	start_sleepers(1, sleep_for_lock);
	harness_kill(holder);
	EXPECT(duoshm_lock_acquire(lock, 0), DUOSHM_OWNER_DEAD);
	touch(DUOSHM_OWNER_DEAD);
	EXPECT(duoshm_lock_release(lock), 0);
	join_sleepers();
	end_lock();
	end_context(ctx);
	patient_end();
}

#define PATIENCE (100 * MS)

static int give_up_lock(void *arg)
{
	prepare_to_sleep(new_context());
	instrument_here();
	EXPECT(duoshm_lock_acquire(theirs, PATIENCE), DUOSHM_ERR_TIMEOUT);
	return arg != NULL;
}

static bool is_over(void *deadline)
{
	return duoshm__now() > *(int64_t *)deadline;
}

/*
 * The first to sleep gets the ring, and is stopped with it until its time is over: it gives up, and
 * leaves the mark for the other one.
 */
static void giving_up_leaves_the_mark(void)
{
	enum { AFTER_SLEEP = 4 }; /* two writes, and the sleep */

	patient_begin();
	ctx = new_context();
	make_held();
	pid_t pid = instrument_start(give_up_lock, NULL, INSTRUMENT_STOP, AFTER_SLEEP);
	CHECK(harness_gate_pass(&ready));
	harness_until_asleep(pid);
	start_sleepers(1, sleep_for_lock);
	EXPECT(duoshm_lock_release(lock), 0);
	EXPECT_FATAL(harness_wait_stopped(pid), HARNESS_STOPPED);
	EXPECT_TEXT(instrument_point(), "after wait");
	EXPECT(duoshm_lock_acquire(lock, 0), 0);
	int64_t deadline = duoshm__now() + PATIENCE;
	harness_until(is_over, &deadline);
	instrument_continue(pid);
	EXPECT(harness_wait(pid), 0);
	EXPECT(duoshm_lock_release(lock), 0);
	join_sleepers();
	end_lock();
	end_context(ctx);
	patient_end();
}

/* ---- semaphores ---- */

static struct duoshm_semaphore *semaphore, *other;

static struct duoshm_semaphore *open_semaphore(struct duoshm *own)
{
	struct duoshm_semaphore *opened = NULL;

	OK(duoshm_semaphore_open(own, name, 0, 0, &opened));
	return opened;
}

static void make_semaphore(unsigned value)
{
	memset(ledger, 0, sizeof *ledger);
	OK(duoshm_semaphore_create(ctx, name, value, NULL, &semaphore));
	make_gates();
}

static int sleep_for_unit(void *arg)
{
	(void)arg;
	alarm(WATCHDOG);
	EXPECT(duoshm_semaphore_wait(open_semaphore(new_context()), LONG_TIME, 0), 0);
	ledger->taken++;
	return 0;
}

static int sleep_till_no_more(void *arg)
{
	(void)arg;
	EXPECT(duoshm_semaphore_wait(open_semaphore(new_context()), LONG_TIME, 0),
		DUOSHM_ERR_REMOVED);
	return 0;
}

static void prepare_semaphore(struct duoshm *own)
{
	other = open_semaphore(own);
	harness_gate_open(&ready);
}

/* What is there can be taken, and no more. */
static void end_semaphore(void)
{
	int value = duoshm_semaphore_value(semaphore);

	CHECK(value >= 0);
	for (int i = 0; i < value; i++)
		EXPECT(duoshm_semaphore_wait(semaphore, 0, 0), 0);
	EXPECT(duoshm_semaphore_wait(semaphore, 0, 0), DUOSHM_ERR_TIMEOUT);
	EXPECT(duoshm_semaphore_close(semaphore), 0);
	discard(ctx, "word");
	close_gates();
}

static void two_sleep(void)
{
	make_semaphore(0);
	start_sleepers(SLEEPERS, sleep_for_unit);
}

static void post_two_and_one(struct duoshm *own)
{
	(void)own;
	OK(duoshm_semaphore_post(other, 2));
	OK(duoshm_semaphore_post(other, 1));
}

/* It had posted 0, 2 or 3. */
static void sleepers_were_served(void)
{
	EXPECT(duoshm_semaphore_post(semaphore, 2), 0);
	join_sleepers();
	EXPECT(ledger->taken, 2);
	int posted = duoshm_semaphore_value(semaphore);
	CHECK(posted == 0 || posted == 2 || posted == 3);
	end_semaphore();
}

static void make_two_units(void)
{
	make_semaphore(2);
}

static void take_two(struct duoshm *own)
{
	(void)own;
	OK(duoshm_semaphore_wait(other, 0, 0));
	ledger->taken++;
	OK(duoshm_semaphore_wait(other, 0, 0));
	ledger->taken++;
}

/* All but the unit that was in the hands of the dead. */
static void units_add_up(void)
{
	long found = duoshm_semaphore_value(semaphore) + ledger->taken;

	CHECK(found == 2 || found == 1);
	end_semaphore();
}

static void make_empty(void)
{
	make_semaphore(0);
}

static void sleep_for_one(struct duoshm *own)
{
	(void)own;
	OK(duoshm_semaphore_wait(other, LONG_TIME, 0));
	ledger->taken++;
}

static void give_up(struct duoshm *own)
{
	(void)own;
	EXPECT(duoshm_semaphore_wait(other, MS, 0), DUOSHM_ERR_TIMEOUT);
}

static void post_to_sleepers(pid_t pid)
{
	CHECK(harness_gate_pass(&ready));
	harness_until_asleep(pid);
	start_sleepers(1, sleep_for_unit);
	EXPECT(duoshm_semaphore_post(semaphore, 2), 0);
}

static void living_was_served(void)
{
	join_sleepers();
	units_add_up();
}

static void two_were_served(void)
{
	EXPECT(duoshm_semaphore_post(semaphore, 2), 0);
	living_was_served();
}

static void two_sleep_till_removed(void)
{
	make_semaphore(0);
	start_sleepers(SLEEPERS, sleep_till_no_more);
}

static void all_learnt(void)
{
	join_sleepers();
	EXPECT(duoshm_semaphore_post(semaphore, 1), DUOSHM_ERR_REMOVED);
	EXPECT(duoshm_semaphore_close(semaphore), 0);
	close_gates();
}

/* ---- semaphores, and who stands still ---- */

static int meanwhile; /* units that the case posted or took */

static void post_meanwhile(pid_t pid)
{
	(void)pid;
	EXPECT(duoshm_semaphore_post(semaphore, 1), 0);
	meanwhile = 1;
}

static void posts_add_up(void)
{
	join_sleepers();
	EXPECT(duoshm_semaphore_value(semaphore), 3 + meanwhile - SLEEPERS);
	meanwhile = 0;
	end_semaphore();
}

static void make_three_units(void)
{
	make_semaphore(3);
}

static void take_meanwhile(pid_t pid)
{
	(void)pid;
	EXPECT(duoshm_semaphore_wait(semaphore, 0, 0), 0);
	meanwhile = 1;
}

static void takes_add_up(void)
{
	EXPECT(duoshm_semaphore_value(semaphore), 3 - 2 - meanwhile);
	meanwhile = 0;
	end_semaphore();
}

/* ---- cases ---- */

static const struct role roles[] = {
	{.before = make_lock,
		.prepare = prepare_lock,
		.work = cross_prepared,
		.recover = cross_next,
		.after = end_lock,
		.proves = {1, 2, 4}},
	{.before = make_lock,
		.prepare = prepare_holder,
		.work = let_go,
		.during = others_fall_asleep,
		.after = all_were_served,
		.proves = {1, 2}},
	{.before = make_held,
		.prepare = prepare_to_sleep,
		.work = cross_prepared,
		.during = release_to_sleepers,
		.after = other_was_served,
		.proves = {1, 2}},
	{.before = make_held_by_the_dead,
		.prepare = prepare_lock,
		.work = cross_prepared,
		.recover = cross_next,
		.after = end_lock,
		.proves = {1, 2, 5}},
	{.before = make_slept_on,
		.work = remove_it,
		.recover = remove_it,
		.after = all_learnt_of_removal,
		.proves = {1, 4}},
	{.before = two_sleep,
		.prepare = prepare_semaphore,
		.work = post_two_and_one,
		.after = sleepers_were_served,
		.proves = {1, 4}},
	{.before = make_two_units,
		.prepare = prepare_semaphore,
		.work = take_two,
		.after = units_add_up,
		.proves = {1, 4}},
	{.before = make_empty,
		.prepare = prepare_semaphore,
		.work = sleep_for_one,
		.during = post_to_sleepers,
		.after = living_was_served,
		.proves = {1}},
	{.before = two_sleep,
		.prepare = prepare_semaphore,
		.work = give_up,
		.after = two_were_served,
		.proves = {1}},
	{.before = two_sleep_till_removed,
		.work = remove_it,
		.recover = remove_it,
		.after = all_learnt,
		.proves = {1, 4}},
};
static const struct role slow[] = {
	{.before = make_lock,
		.prepare = prepare_lock,
		.work = cross_prepared,
		.stopped = wait_for_the_slow,
		.after = slow_was_spared,
		.proves = {6}},
	{.before = make_lock,
		.prepare = prepare_lock,
		.work = was_told,
		.stopped = remove_meanwhile,
		.after = stays_removed,
		.proves = {6}},
	{.before = make_held_by_the_dead,
		.prepare = prepare_lock,
		.work = cross_prepared,
		.stopped = take_over,
		.resumed = is_ours,
		.after = end_lock,
		.proves = {6}},
	{.before = two_sleep,
		.prepare = prepare_semaphore,
		.work = post_two_and_one,
		.stopped = post_meanwhile,
		.after = posts_add_up,
		.proves = {6}},
	{.before = make_three_units,
		.prepare = prepare_semaphore,
		.work = take_two,
		.stopped = take_meanwhile,
		.after = takes_add_up,
		.proves = {6}},
};

#define CASE(fn, loop, role)                                                                       \
	static void fn(void)                                                                       \
	{                                                                                          \
		loop(&(role), INSTRUMENT_WRITES);                                                  \
	}
CASE(holder_dies, points_die, roles[0])
CASE(holder_dies_before_sleepers, points_die, roles[1])
CASE(lock_sleeper_dies, points_die, roles[2])
CASE(heir_dies, points_die, roles[3])
CASE(lock_remover_dies, points_die, roles[4])
CASE(poster_dies, points_die, roles[5])
CASE(taker_dies, points_die, roles[6])
CASE(sleeper_dies, points_die, roles[7])
CASE(loser_dies, points_die, roles[8])
CASE(remover_dies, points_die, roles[9])
CASE(next_holder_dies, points_die_twice, roles[0])
CASE(next_heir_dies, points_die_twice, roles[3])
CASE(lock_remover_twice, points_die_twice, roles[4])
CASE(remover_twice, points_die_twice, roles[9])
CASE(holder_stops, points_stop, slow[0])
CASE(removed_holder_stops, points_stop, slow[1])
CASE(heir_stops, points_stop, slow[2])
CASE(poster_stops, points_stop, slow[3])
CASE(taker_stops, points_stop, slow[4])

static const struct harness_case cases[] = {
	{"a lock whose holder dies tells the next holder", holder_dies},
	{"a lock whose holder dies serves all who sleep", holder_dies_before_sleepers},
	{"a sleeper that dies with the ring leaves the lock to the other", lock_sleeper_dies},
	{"who takes a lock over from the dead may die", heir_dies},
	{"all who sleep for a lock learn of its removal by one who dies", lock_remover_dies},
	{"units of a poster that dies are posted or not", poster_dies},
	{"a taker that dies loses one unit at most", taker_dies},
	{"a sleeper that dies with the ring leaves units to the other", sleeper_dies},
	{"who dies giving up wakes nobody too few", loser_dies},
	{"all who sleep learn of a removal by one who dies", remover_dies},
	{"the next holder may die, too", next_holder_dies},
	{"the next heir may die, too", next_heir_dies},
	{"the next remover of a lock may die, too", lock_remover_twice},
	{"the next remover of a semaphore may die, too", remover_twice},
	{"a holder that is stopped is waited for, and rings when it goes on", holder_stops},
	{"a holder that goes on after the removal leaves the lock removed", removed_holder_stops},
	{"an heir that was overtaken takes nothing away", heir_stops},
	{"what is posted while a poster is stopped adds up", poster_stops},
	{"what is taken while a taker is stopped adds up", taker_stops},
	{"who takes over from the dead wakes who sleeps", takeover_wakes},
	{"who gives up with a ring passes it on", giving_up_leaves_the_mark},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	harness_around(begin, points_end);
	return harness_run_each(argc, argv, "points_words", cases);
}
