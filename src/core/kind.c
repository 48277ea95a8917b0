/* SPDX-License-Identifier: MIT */
/*
 * What differs between the kinds of objects: their names, which may be opened as which, what removal has to mark
 * in a payload and what stat can read from one. Queues and broadcasts look at the header's removed word themselves.
 */
#include "config.h"

#include "core/kind.h"
#include "core/lock_layout.h"
#include "core/semaphore_layout.h"

#include <string.h>

const char *duoshm_kind_name(int kind)
{
	static const char *const names[] = {
		"any", "segment", "semaphore", "lock", "queue", "broadcast", "device", "lane"};

	return kind < 0 || kind > DUOSHM_KIND_LANE ? "?" : names[kind];
}

const char *duoshm_state_name(int state)
{
	static const char *const names[] = {"?", "live", "orphan", "unknown", "foreign"};

	return state < DUOSHM_LIVE || state > DUOSHM_FOREIGN ? "?" : names[state];
}

bool duoshm__kind_fits(int wanted, int actual)
{
	if (wanted == DUOSHM_KIND_ANY || wanted == actual)
		return true;
	return wanted == DUOSHM_KIND_SEGMENT &&
	       (actual == DUOSHM_KIND_DEVICE || actual == DUOSHM_KIND_LANE);
}

void duoshm__kind_mark_removed(int kind, void *payload, size_t size)
{
	struct duoshm__semaphore *semaphore = payload;
	struct duoshm__lock *lock = payload;

	if (kind == DUOSHM_KIND_SEMAPHORE && size >= sizeof *semaphore)
		duoshm__or32(&semaphore->word, DUOSHM__SEMAPHORE_REMOVED);
	if (kind == DUOSHM_KIND_LOCK && size >= sizeof *lock)
		duoshm__or64(&lock->word, DUOSHM__LOCK_REMOVED);
}

static void stat_lock(const struct duoshm__lock *lock, struct duoshm_stat *out)
{
	struct duoshm__lock_label label;
	uint64_t word = duoshm__load64_acquire(&lock->word);

	if ((word & DUOSHM__LOCK_OWNER) == 0)
		return;
	out->holder_pid = -1; /* held, but by whom is not written yet */
	if (!duoshm__lock_label(lock, word, &label))
		return;
	out->holder_pid = label.process.pid;
	out->held_since_ns = label.since_ns;
}

void duoshm__kind_stat(int kind, const void *payload, size_t size, struct duoshm_stat *out)
{
	const struct duoshm__semaphore *semaphore = payload;

	if (kind == DUOSHM_KIND_SEMAPHORE && size >= sizeof *semaphore) {
		uint32_t value = duoshm__load32(&semaphore->word) & DUOSHM__SEMAPHORE_VALUE;

		out->value = value <= DUOSHM_VALUE_MAX ? (int64_t)value : -1;
	}
	if (kind == DUOSHM_KIND_LOCK && size >= sizeof(struct duoshm__lock))
		stat_lock(payload, out);
}
