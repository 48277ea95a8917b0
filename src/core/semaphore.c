/* SPDX-License-Identifier: MIT */
/*
 * Counting semaphores: one shared word, and a bell for those who must sleep. Without a sleeper,
 * post and wait are one compare-and-swap and no system call.
 *
 * There is no fence: a post and a waiter's "somebody may sleep" are read-modify-writes of the same
 * word, so one of the two sees the other. A ring wakes one sleeper; who was woken and finds that
 * others may sleep passes it on (the chain), and who takes the last unit after having slept leaves
 * the mark for the others. The traps are in what a kill leaves behind: a ring nobody sent, a mark
 * nobody stands for. Hence the slices, and the mark before giving up.
 */
#include "config.h"

#include "core/clock.h"
#include "core/failure.h"
#include "core/object.h"
#include "core/semaphore_layout.h"
#include "core/spin.h"

#include <stdlib.h>

#define BELL     0
#define SLEEPERS DUOSHM__SEMAPHORE_SLEEPERS
#define REMOVED  DUOSHM__SEMAPHORE_REMOVED
#define VALUE    DUOSHM__SEMAPHORE_VALUE

struct duoshm_semaphore {
	struct duoshm_segment *object;
	struct duoshm__word32 *word;
	struct duoshm__spin spin;
};

/* ---- life ---- */

static void fill(void *payload, size_t size, const void *value)
{
	struct duoshm__semaphore *shared = payload;

	(void)size;
	duoshm__store32(&shared->word, *(const unsigned *)value);
}

static struct duoshm_semaphore *allocate(void)
{
	struct duoshm_semaphore *semaphore = calloc(1, sizeof *semaphore);

	if (!semaphore)
		duoshm__fail(DUOSHM_ERR_NO_SPACE, "no memory for a handle");
	return semaphore;
}

/* With what became of its object. */
static int finish(struct duoshm_semaphore *semaphore, int result, struct duoshm_semaphore **out)
{
	if (result < 0) {
		free(semaphore);
		return result;
	}
	semaphore->word = &((struct duoshm__semaphore *)semaphore->object->payload)->word;
	duoshm__spin_init(&semaphore->spin);
	*out = semaphore;
	return result;
}

int duoshm_semaphore_create(struct duoshm *ctx, const char *name, unsigned value,
	const struct duoshm_create *options, struct duoshm_semaphore **out)
{
	const struct duoshm__recipe recipe = {.kind = DUOSHM_KIND_SEMAPHORE,
		.size = sizeof(struct duoshm__semaphore),
		.bells = 1,
		.fill = fill,
		.arg = &value};

	if (!out || value > DUOSHM_VALUE_MAX)
		return duoshm__fail(DUOSHM_ERR_INVALID, "semaphore_create: value %u, of at most %d",
			value, DUOSHM_VALUE_MAX);
	if (options && (options->flags & DUOSHM_UNPUBLISHED))
		return duoshm__fail(
			DUOSHM_ERR_INVALID, "semaphore_create: UNPUBLISHED is for segments");
	struct duoshm_semaphore *made = allocate();
	if (!made)
		return DUOSHM_ERR_NO_SPACE;
	int result = duoshm__object_create(ctx, name, &recipe, options, &made->object);
	return finish(made, result, out);
}

int duoshm_semaphore_open(struct duoshm *ctx, const char *name, unsigned flags, int64_t timeout_ns,
	struct duoshm_semaphore **out)
{
	if (!out || (flags & DUOSHM_ANY_KIND))
		return duoshm__fail(DUOSHM_ERR_INVALID, "semaphore_open: flags 0x%x", flags);
	struct duoshm_semaphore *made = allocate();
	if (!made)
		return DUOSHM_ERR_NO_SPACE;
	int result = duoshm__object_open(ctx, name, DUOSHM_KIND_SEMAPHORE,
		sizeof(struct duoshm__semaphore), flags, timeout_ns, &made->object);
	return finish(made, result, out);
}

int duoshm_semaphore_close(struct duoshm_semaphore *semaphore)
{
	if (!semaphore)
		return 0;
	int result = duoshm__object_close(semaphore->object);
	free(semaphore);
	return result;
}

/* ---- checks and words ---- */

static int check(const struct duoshm_semaphore *semaphore)
{
	return semaphore ? duoshm__object_check(semaphore->object)
			 : duoshm__fail(DUOSHM_ERR_INVALID, "the semaphore is NULL");
}

static int check_writable(const struct duoshm_semaphore *semaphore)
{
	int result = check(semaphore);

	if (result == 0 && semaphore->object->read_only)
		return duoshm__fail(DUOSHM_ERR_READ_ONLY,
			"the semaphore \"%s\" was opened read-only", semaphore->object->entry.name);
	return result;
}

static bool is_sane(uint32_t word)
{
	return (word & VALUE) <= DUOSHM_VALUE_MAX && (word & ~(VALUE | SLEEPERS | REMOVED)) == 0;
}

/* What no unit can be taken from, or added to. */
static int check_word(const struct duoshm_semaphore *semaphore, uint32_t word)
{
	const char *name = semaphore->object->entry.name;

	if (!is_sane(word))
		return duoshm__fail(DUOSHM_ERR_CORRUPT,
			"the semaphore \"%s\" holds 0x%08x, which no call "
			"of this library writes",
			name, word);
	if (word & REMOVED)
		return duoshm__fail(DUOSHM_ERR_REMOVED, "the semaphore \"%s\" was removed", name);
	return 0;
}

/* A reader's pages show what a remover marked; removal from outside only the kernel knows. */
int duoshm_semaphore_value(const struct duoshm_semaphore *semaphore)
{
	int result = check(semaphore);

	if (result < 0)
		return result;
	uint32_t word = duoshm__load32(semaphore->word);
	result = check_word(semaphore, word);
	return result < 0 ? result : (int)(word & VALUE);
}

/* ---- post ---- */

static int fail_post(const struct duoshm_semaphore *semaphore, uint32_t word, unsigned count)
{
	int result = check_word(semaphore, word);

	if (result < 0)
		return result;
	return duoshm__fail(DUOSHM_ERR_OVERFLOW,
		"the semaphore \"%s\" has %u units; %u more would exceed %d",
		semaphore->object->entry.name, word & VALUE, count, DUOSHM_VALUE_MAX);
}

int duoshm_semaphore_post(struct duoshm_semaphore *semaphore, unsigned count)
{
	int result = check_writable(semaphore);

	if (result < 0)
		return result;
	if (count == 0 || count > DUOSHM_VALUE_MAX)
		return duoshm__fail(DUOSHM_ERR_INVALID, "post of %u units; 1 to %d can be posted",
			count, DUOSHM_VALUE_MAX);
	uint32_t word = duoshm__load32(semaphore->word);
	do {
		/* What is removed or makes no sense is more than any count. */
		if ((word & ~SLEEPERS) > DUOSHM_VALUE_MAX - count)
			return fail_post(semaphore, word, count);
		/* Releases what was written before the post to who acquires the unit. */
	} while (!duoshm__cas32(semaphore->word, &word, (word + count) & ~SLEEPERS));
	/*
	 * The units are there whatever the ring says: a sleeper whom it did not wake looks within a
	 * slice.
	 */
	if (word & SLEEPERS)
		duoshm__object_ring(semaphore->object, BELL);
	return 0;
}

/* ---- wait ---- */

/* Takes a unit where there is one. */
static bool take(struct duoshm__word32 *shared)
{
	uint32_t word = duoshm__load32(shared);

	/* Neither 0, nor removed, nor what makes no sense. */
	while ((word & ~SLEEPERS) - 1 < DUOSHM_VALUE_MAX)
		/* Acquires what was written before the post of the unit. */
		if (duoshm__cas32(shared, &word, word - 1))
			return true;
	return false;
}

static bool took(const void *handle)
{
	return take(((const struct duoshm_semaphore *)handle)->word);
}

/*
 * One look of who may have slept. 1: go on to sleep, the mark is set; 0: a unit was taken; or the
 * error. Each compare- and-swap that fails looks anew: somebody else got on.
 */
static int look(struct duoshm_semaphore *semaphore, int64_t deadline, bool slept)
{
	struct duoshm__word32 *shared = semaphore->word;
	uint32_t word = duoshm__load32(shared);

	for (;;) {
		if (slept && (word & REMOVED)) /* chain: the others sleep on the same bell */
			duoshm__object_ring(semaphore->object, BELL);
		int result = check_word(semaphore, word);
		if (result < 0)
			return result;
		if ((word & VALUE) > 0) {
			bool chain = slept && (word & VALUE) > 1;
			uint32_t next = word - 1;

			if (slept)
				next = chain ? next & ~SLEEPERS : next | SLEEPERS;
			if (!duoshm__cas32(shared, &word, next))
				continue;
			if (chain)
				duoshm__object_ring(semaphore->object, BELL);
			return 0;
		}
		if (duoshm__remaining(deadline, DUOSHM__SLICE_NS) == 0) {
			/* This one may have eaten a ring that was meant for another sleeper. */
			if (slept && !(word & SLEEPERS) &&
				!duoshm__cas32(shared, &word, word | SLEEPERS))
				continue;
			return duoshm__fail(DUOSHM_ERR_TIMEOUT,
				"the semaphore \"%s\" stayed at 0 for all of the time given",
				semaphore->object->entry.name);
		}
		if ((word & SLEEPERS) || duoshm__cas32(shared, &word, word | SLEEPERS))
			return 1;
	}
}

static int wait_slowly(struct duoshm_semaphore *semaphore, int64_t timeout_ns, bool interruptible)
{
	int64_t deadline = duoshm__deadline(timeout_ns);
	bool slept = false;

	if (timeout_ns > 0 && duoshm__spin(&semaphore->spin, took, semaphore, deadline))
		return 0;
	for (;;) {
		int result = look(semaphore, deadline, slept);

		if (result <= 0)
			return result;
		result = duoshm__object_sleep(
			semaphore->object, BELL, deadline, DUOSHM__SLICE_NS, interruptible);
		slept = true;
		/* What ends the wait is told by the word, whose marks must be put right first. */
		if (result == 0 || result == DUOSHM_ERR_TIMEOUT)
			continue;
		if (result == DUOSHM_ERR_REMOVED)
			duoshm__object_ring(semaphore->object, BELL);
		if (result != DUOSHM_ERR_INTERRUPTED)
			return result;
		result = look(semaphore, 0, true);
		if (result != DUOSHM_ERR_TIMEOUT)
			return result;
		return duoshm__fail(DUOSHM_ERR_INTERRUPTED,
			"a signal ended the wait for the semaphore \"%s\"",
			semaphore->object->entry.name);
	}
}

int duoshm_semaphore_wait(struct duoshm_semaphore *semaphore, int64_t timeout_ns, unsigned flags)
{
	int result = check_writable(semaphore);

	if (result < 0)
		return result;
	if (timeout_ns < 0 || (flags & ~DUOSHM_INTERRUPTIBLE))
		return duoshm__fail(DUOSHM_ERR_INVALID, "wait: timeout %lld ns, flags 0x%x",
			(long long)timeout_ns, flags);
	if (take(semaphore->word))
		return 0;
	return wait_slowly(semaphore, timeout_ns, (flags & DUOSHM_INTERRUPTIBLE) != 0);
}

int duoshm_semaphore_set_spin(struct duoshm_semaphore *semaphore, int64_t ns)
{
	int result = check(semaphore);

	return result < 0 ? result : duoshm__spin_set(&semaphore->spin, ns);
}
