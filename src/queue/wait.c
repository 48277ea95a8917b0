/* SPDX-License-Identifier: MIT */
/*
 * Spin, then sleep. The sleeping protocol:
 *
 *   waker:    store the message (release); sleeps? then take the flag away and ring      no fence
 *   sleeper:  sleeps = 1; barrier; ready? else sleep on the bell for a slice; look again
 *
 * Each side stores, then loads what the other stores. The waker's store may still be on its way
 * when it looks at the flag, and both would miss each other. The barrier is the asymmetric one of
 * membarrier(2) (its manual has the pattern; role.c the call, MEMBARRIER_CMD_GLOBAL_EXPEDITED): it
 * fences the running waker from outside, so the frequent side pays nothing, where the waker has
 * registered for it. Elsewhere the sleeper polls a little longer and makes its first slice short: a
 * lost ring costs a millisecond. Every slice is short anyhow, because a waker may die between its
 * store and its ring.
 */
#include "config.h"

#include "queue/wait.h"

#include "core/clock.h"
#include "queue/role.h"

#define GRACE_NS    2000
#define FIRST_SLICE 1000000
#define POLL_MIN_NS 20000
#define POLL_MAX_NS 1000000
#define GLANCE_NS   1500    /* DUOSHM__LOOKS take about as long at most */
#define AWAY_NS     2000    /* some hundreds of short messages, and the next is not very late */
#define CHECK_NS    1000000 /* between two tests of the peer's life */

static bool ready(const struct duoshm__waiter *w)
{
	return w->ready(w->arg);
}

/* Not where the peer can only go on when we stop. */
static bool may_spin(const struct duoshm__waiter *w)
{
	return duoshm__spin_bound(&w->spin) != 0 &&
	       (w->pinned == 0 || w->pinned != duoshm__load32(&w->peer->pinned));
}

/* It was good not to sleep. */
static void learn_to_spin(struct duoshm__waiter *w)
{
	if (duoshm__spin_next(&w->spin) < duoshm__spin_bound(&w->spin))
		duoshm__spin_learn(&w->spin, true);
}

void duoshm__keep_away(struct duoshm__waiter *w, int64_t deadline, int64_t longest_ns,
	duoshm__ready_fn *enough, int64_t step_ns)
{
	int64_t ns = duoshm__spin_next(&w->spin);

	if (!may_spin(w))
		return;
	int64_t now = duoshm__now(), next = now + step_ns;
	int64_t end = now + duoshm__remaining(deadline, ns < longest_ns ? ns : longest_ns);
	for (; now < end; now = duoshm__now()) {
		if (enough != NULL && now >= next) {
			if (enough(w->arg)) {
				learn_to_spin(w);
				return;
			}
			next = now + step_ns;
		}
		duoshm__relax();
	}
}

bool duoshm__glance(struct duoshm__waiter *w)
{
	if (w->away || !may_spin(w) || duoshm__spin_next(&w->spin) < GLANCE_NS)
		return false;
	for (int i = 0; i < DUOSHM__LOOKS; i++) {
		if (ready(w)) {
			learn_to_spin(w);
			return true;
		}
		duoshm__relax();
	}
	return false;
}

/* ---- sleeping -------------------------------------------------------------------------------- */

/* Sleeps for a slice, with the flag set. 0: look again. */
static int sleep_announced(struct duoshm__waiter *w, int64_t deadline, int64_t slice)
{
	/*
	 * Orders the flag before the look below, against the waker's store and its look at the
	 * flag.
	 */
	(void)duoshm__exchange32(w->sleeps, 1);
	/*
	 * After the flag: the waker takes the flag, then counts the epoch up, then rings the old
	 * parity. If this epoch is the new one, the message is there (acquire) and we do not sleep.
	 */
	uint32_t epoch = w->epoch == NULL ? 0 : duoshm__load32_acquire(w->epoch);
	bool fenced = duoshm__role_fence(w->peer);
	int result = 0;

	if (!duoshm__poll(w->ready, w->arg, fenced ? 0 : GRACE_NS)) {
		/* Not fenced, or one of many sleepers: a ring can go astray. */
		if (fenced && w->epoch == NULL)
			slice = DUOSHM__SLICE_NS;
		unsigned bell = w->bell + (epoch & 1);
		result = duoshm__object_sleep(w->segment, bell, deadline, slice, false);
		/*
		 * Pass it on. In the same epoch it was an old ring, left behind by the last one
		 * woken: it ends here.
		 */
		if (w->epoch != NULL && duoshm__load32_acquire(w->epoch) != epoch)
			(void)duoshm__object_ring(w->segment, bell);
	}
	/* With many sleepers the flag is not ours to take away. */
	if (w->epoch == NULL)
		duoshm__store32(w->sleeps, 0);
	return result == DUOSHM_ERR_TIMEOUT ? 0 : result;
}

/* Without bells: pauses that grow. */
static int sleep_polling(struct duoshm__waiter *w, int64_t deadline, int64_t slice)
{
	int result = 0;

	/* A segment that has bells, but none for us, would sleep on one. */
	if (w->segment->bells == NULL)
		result = duoshm__object_sleep(w->segment, 0, deadline, slice, false);
	else
		duoshm__pause(duoshm__remaining(deadline, slice));
	return result == DUOSHM_ERR_TIMEOUT ? 0 : result;
}

/* ---- waiting --------------------------------------------------------------------------------- */

/* REMOVED, PEER_DEAD or CORRUPT; makes system calls, so not always. */
static int check(struct duoshm__waiter *w, bool always)
{
	if (duoshm__object_removed(w->segment))
		return DUOSHM_ERR_REMOVED;
	int64_t now = duoshm__now();
	if (!always && now < w->next_check_ns)
		return 0;
	int result = duoshm__role_check(w->segment, w->peer);
	if (result == 0)
		w->next_check_ns = now + CHECK_NS;
	return result;
}

/*
 * It slept, and not for long: a longer spin would have done. Else a peer that was slow for a while,
 * and is quick again, would be slept for ever after.
 */
static void learn_from_sleep(struct duoshm__waiter *w, int64_t slept_ns)
{
	if (slept_ns >= duoshm__spin_bound(&w->spin))
		return;
	/* Twice: it was halved because it did not help. */
	duoshm__spin_learn(&w->spin, true);
	duoshm__spin_learn(&w->spin, true);
}

int duoshm__wait(struct duoshm__waiter *w, int64_t deadline)
{
	int64_t slice = w->sleeps != NULL ? FIRST_SLICE : POLL_MIN_NS;
	int64_t longest = w->sleeps != NULL ? DUOSHM__SLICE_NS : POLL_MAX_NS;
	int result = 0;

	if (deadline != DUOSHM__TRY && w->away) {
		duoshm__keep_away(w, deadline, AWAY_NS, NULL, 0);
		if (ready(w))
			learn_to_spin(w);
	}
	if (ready(w))
		return 0;
	if (deadline != DUOSHM__TRY && may_spin(w) &&
		duoshm__spin(&w->spin, w->ready, w->arg, deadline))
		return 0;
	int64_t begin = duoshm__now();
	while (result == 0 && !ready(w)) {
		bool over = duoshm__remaining(deadline, 1) == 0;
		result = check(w, over && deadline != DUOSHM__TRY);
		if (result == 0 && over)
			result = DUOSHM_ERR_TIMEOUT;
		if (result == 0)
			result = w->sleeps != NULL ? sleep_announced(w, deadline, slice)
						   : sleep_polling(w, deadline, slice);
		slice = slice * 2 < longest ? slice * 2 : longest;
	}
	/*
	 * The peer's last words come before the news of its death: orders the test of it before the
	 * look.
	 */
	atomic_signal_fence(memory_order_seq_cst);
	if (result != 0)
		return ready(w) ? 0 : result;
	learn_from_sleep(w, duoshm__now() - begin);
	return 0;
}

int64_t duoshm__wait_deadline(int64_t timeout_ns)
{
	return timeout_ns == 0 ? DUOSHM__TRY : duoshm__deadline(timeout_ns);
}

void duoshm__waiter_init(
	struct duoshm__waiter *w, struct duoshm_segment *segment, const void *arg, bool bells)
{
	w->segment = segment;
	w->arg = arg;
	if (!bells)
		w->sleeps = NULL;
	duoshm__spin_init(&w->spin);
	w->pinned = duoshm__pinned_to();
}
