/* SPDX-License-Identifier: MIT */
/*
 * Storms of locks and semaphores. Who is inside the lock says so in the ledger, outside of the
 * memory under test; units are counted before and after each post and each wait, so that at the end
 * the semaphore's value follows from the account, but for one unit a death.
 */
#include "config.h"

#include "stress/storm.h"

/* ---- locks ----------------------------------------------------------------------------------- */

/* The last one inside, whose life is dead and who died inside. */
static void mend(struct life *life, int64_t began)
{
	uint64_t inside = get(&ledger->inside);
	const struct slot *dead = &ledger->slot[inside == 0 ? 0 : (inside & 0xff) - 1];
	int64_t killed = (int64_t)get(&dead->killed_ns);
	int64_t waited = storm_now() - (killed > began ? killed : began);

	/* Nobody: it died right after it came in, or before it went out. */
	if (inside != 0 && inside >> 8 > get(&dead->dead))
		tell(life, FALSE_NEWS, 1);
	tell(life, TOLD, 1);
	if (inside != 0 && (uint64_t)waited > get(&life->slot->tally[SLOWEST]))
		put(&life->slot->tally[SLOWEST], (uint64_t)waited);
	put(&ledger->inside, 0);
}

static int cross(struct life *life)
{
	struct duoshm_lock *lock = NULL;

	OK(duoshm_lock_open(life->ctx, harness_name("lock"), 0, LONG_TIME, &lock));
	while (!is_over(life)) {
		int64_t began = storm_now();
		int result = duoshm_lock_acquire(lock, LONG_TIME);
		CHECK_FATAL(result == 0 || result == DUOSHM_OWNER_DEAD);
		if (result == DUOSHM_OWNER_DEAD)
			mend(life, began);
		if (get(&ledger->inside) != 0)
			tell(life, FALSE_NEWS, 1);
		put(&ledger->inside, life->number << 8 | (life->index + 1));
		uint64_t sections = get(&ledger->sections);
		for (int i = 0; i < 20; i++)
			duoshm__relax();
		if (get(&ledger->sections) != sections)
			tell(life, TORN, 1);
		put(&ledger->sections, sections + 1);
		put(&ledger->inside, 0);
		OK(duoshm_lock_release(lock));
		tell(life, CHECKED, 1);
		add(&life->slot->progress, 1);
	}
	OK(duoshm_lock_close(lock));
	return 0;
}

static void make_lock(struct duoshm *ctx)
{
	struct duoshm_create options = create_with(DUOSHM_PERSISTENT, 0);
	struct duoshm_lock *lock = NULL;

	OK(duoshm_lock_create(ctx, harness_name("lock"), &options, &lock));
	OK(duoshm_lock_close(lock));
}

static void discard_lock(struct duoshm *ctx)
{
	discard(ctx, "lock");
}

static const struct role lock_roles[] = {
	{"holder", cross, -1, 0, NULL, true},
	{"holder", cross, -1, 0, NULL, true},
	{"holder", cross, -1, 0, NULL, true},
	{NULL, NULL, -1, 0, NULL, false},
};
const struct storm lock_storm = {"locks", lock_roles, make_lock, NULL, discard_lock};

/* ---- semaphores ------------------------------------------------------------------------------ */

/* A channel of the ledger for each slot: units begun (before the call) and sent (after it). */
#define UNITS_MOST 50

static struct duoshm_semaphore *open_semaphore(struct duoshm *ctx)
{
	struct duoshm_semaphore *semaphore = NULL;

	OK(duoshm_semaphore_open(ctx, harness_name("units"), 0, LONG_TIME, &semaphore));
	return semaphore;
}

static int post(struct life *life)
{
	struct channel *account = &ledger->channel[life->index];
	struct duoshm_semaphore *semaphore = open_semaphore(life->ctx);

	while (!is_over(life)) {
		uint64_t units = 1 + get(&account->sent) % 3;
		if (duoshm_semaphore_value(semaphore) < UNITS_MOST) {
			put(&account->begun, get(&account->begun) + units);
			OK(duoshm_semaphore_post(semaphore, (unsigned)units));
			put(&account->sent, get(&account->sent) + units);
		}
		add(&life->slot->progress, 1);
	}
	OK(duoshm_semaphore_close(semaphore));
	return 0;
}

static int wait_for_units(struct life *life)
{
	struct channel *account = &ledger->channel[life->index];
	struct duoshm_semaphore *semaphore = open_semaphore(life->ctx);

	while (!is_over(life)) {
		put(&account->begun, get(&account->begun) + 1);
		int result = duoshm_semaphore_wait(semaphore, 50 * MS, 0);
		if (result == DUOSHM_ERR_TIMEOUT) {
			put(&account->begun, get(&account->begun) - 1);
			continue;
		}
		OK(result);
		put(&account->sent, get(&account->sent) + 1);
		tell(life, CHECKED, 1);
		add(&life->slot->progress, 1);
	}
	OK(duoshm_semaphore_close(semaphore));
	return 0;
}

static void make_semaphore(struct duoshm *ctx)
{
	struct duoshm_create options = create_with(DUOSHM_PERSISTENT, 0);
	struct duoshm_semaphore *semaphore = NULL;

	OK(duoshm_semaphore_create(ctx, harness_name("units"), 0, &options, &semaphore));
	OK(duoshm_semaphore_close(semaphore));
}

/* Slot 0 posts, the others wait. */
static void verify_semaphore(struct duoshm *ctx)
{
	struct duoshm_semaphore *semaphore = open_semaphore(ctx);
	uint64_t value = (uint64_t)duoshm_semaphore_value(semaphore), least = value, most = value;

	for (unsigned i = 1; i < CHANNELS_MAX; i++) {
		least += get(&ledger->channel[i].sent);
		most += get(&ledger->channel[i].begun);
	}
	CHECK(least <= get(&ledger->channel[0].begun));
	CHECK(most >= get(&ledger->channel[0].sent));
	OK(duoshm_semaphore_close(semaphore));
}

static void discard_semaphore(struct duoshm *ctx)
{
	discard(ctx, "units");
}

static const struct role semaphore_roles[] = {
	{"poster", post, -1, 0, NULL, true},
	{"waiter", wait_for_units, -1, 0, NULL, true},
	{"waiter", wait_for_units, -1, 0, NULL, true},
	{"waiter", wait_for_units, -1, 0, NULL, true},
	{NULL, NULL, -1, 0, NULL, false},
};
const struct storm semaphore_storm = {
	"semaphores", semaphore_roles, make_semaphore, verify_semaphore, discard_semaphore};
