/* SPDX-License-Identifier: MIT */
/*
 * The points of a process; see the header. The counter is the process's own, the name of the last
 * point is in memory that it shares with its children, for it dies with the one and not with the
 * other.
 */
#include "config.h"

#include "instrument/instrument.h"

#include "core/context.h"

#include <stdatomic.h>
#include <sys/mman.h>
#if defined __linux__
#include <sys/ptrace.h>
#endif

#ifndef MAP_ANONYMOUS
#define MAP_ANONYMOUS MAP_ANON
#endif

/* What the name of a point tells of a word: its place behind the start of a mapping. */
#define OFFSET_MASK 4095u

static enum instrument_deed armed;
static unsigned armed_nth;
static _Atomic unsigned points;
static char *last_point;
enum { NAME_SIZE = 64 };

/* What the next child does at instrument_here. */
static enum instrument_deed planned;
static unsigned planned_nth;
static enum instrument_way way;

static unsigned scramble_percent;
static _Atomic uint64_t scramble_state;
static _Atomic unsigned long scrambled;

/* ---- points ---------------------------------------------------------------------------------- */

void instrument_arm(enum instrument_deed deed, unsigned nth)
{
	armed = deed;
	armed_nth = nth;
	points = 0;
}

unsigned instrument_points(void)
{
	return points;
}

const char *instrument_point(void)
{
	return last_point != NULL ? last_point : "";
}

/* Is this the one? Relaxed would do: threads must only not take the same number. */
static bool is_reached(void)
{
	return ++points == armed_nth && armed != INSTRUMENT_COUNT;
}

static void do_deed(void)
{
	raise(armed == INSTRUMENT_DIE ? SIGKILL : SIGSTOP);
}

void instrument_write(const volatile void *word, const char *access)
{
	if (!is_reached())
		return;
	if (last_point != NULL)
		snprintf(last_point, NAME_SIZE, "%s at +0x%x", access,
			(unsigned)((uintptr_t)word & OFFSET_MASK));
	do_deed();
}

static void native_point(const char *when, const char *operation)
{
	if (!is_reached())
		return;
	if (last_point != NULL)
		snprintf(last_point, NAME_SIZE, "%s %s", when, operation);
	do_deed();
}

/* ---- values that lie ------------------------------------------------------------------------- */

void instrument_scramble(unsigned percent, uint64_t seed)
{
	scramble_percent = percent;
	scramble_state = seed;
	scrambled = 0;
}

unsigned long instrument_scrambled(void)
{
	return scrambled;
}

/* Steele, Lea, Flood: SplitMix64. */
static uint64_t next_random(void)
{
	const uint64_t step = UINT64_C(0x9e3779b97f4a7c15);
	uint64_t z = atomic_fetch_add(&scramble_state, step) + step;

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static bool shall_lie(void)
{
	if (scramble_percent == 0 || next_random() % 100 >= scramble_percent)
		return false;
	scrambled++;
	return true;
}

unsigned int instrument_read32(const volatile void *word, unsigned int value)
{
	(void)word;
	return shall_lie() ? (unsigned int)next_random() : value;
}

unsigned long long instrument_read64(const volatile void *word, unsigned long long value)
{
	(void)word;
	return shall_lie() ? next_random() : value;
}

/* ---- the backend's record -------------------------------------------------------------------- */

static const struct duoshm__backend *real;
static struct duoshm__backend counted;

/* The result of an operation of the real record, between two points. */
#define BETWEEN(operation, ...)                                                                    \
	native_point("before", #operation);                                                        \
	int result = real->operation(__VA_ARGS__);                                                 \
	native_point("after", #operation);                                                         \
	return result

static int create(struct duoshm__native *native, size_t size, unsigned mode,
	struct duoshm__map *out, struct duoshm_failure *why)
{
	BETWEEN(create, native, size, mode, out, why);
}

static int attach(const struct duoshm__native *native, bool read_only, struct duoshm__map *out,
	struct duoshm_failure *why)
{
	BETWEEN(attach, native, read_only, out, why);
}

static int detach(const struct duoshm__map *map, struct duoshm_failure *why)
{
	BETWEEN(detach, map, why);
}

static int status(const struct duoshm__native *native, struct duoshm__native_stat *out,
	struct duoshm_failure *why)
{
	BETWEEN(stat, native, out, why);
}

static int remove_it(
	const struct duoshm__native *native, unsigned n_bells, struct duoshm_failure *why)
{
	BETWEEN(remove, native, n_bells, why);
}

static int reap(const struct duoshm__native *native, const struct duoshm__claim *claim,
	struct duoshm_failure *why)
{
	BETWEEN(reap, native, claim, why);
}

static int bells_create(struct duoshm__native *native, unsigned n, unsigned mode,
	struct duoshm__bells **out, struct duoshm_failure *why)
{
	BETWEEN(bells_create, native, n, mode, out, why);
}

static int bells_open(const struct duoshm__native *native, unsigned n, struct duoshm__bells **out,
	struct duoshm_failure *why)
{
	BETWEEN(bells_open, native, n, out, why);
}

static int ring(struct duoshm__bells *bells, unsigned bell, struct duoshm_failure *why)
{
	BETWEEN(ring, bells, bell, why);
}

static int wait_for(
	struct duoshm__bells *bells, unsigned bell, int64_t timeout_ns, struct duoshm_failure *why)
{
	BETWEEN(wait, bells, bell, timeout_ns, why);
}

static int list(duoshm__native_fn *fn, void *arg, struct duoshm_failure *why)
{
	BETWEEN(list, fn, arg, why);
}

/* What only looks, or gives back what is private, is left as it is: probe, derive, bells_close. */
void instrument_begin(void)
{
	if (last_point == NULL) {
		last_point = mmap(
			NULL, NAME_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		CHECK_FATAL(last_point != MAP_FAILED);
	}
	real = duoshm__backend_find(harness_backend());
	CHECK_FATAL(real != NULL && real != &counted);
	counted = *real;
	counted.create = create;
	counted.attach = attach;
	counted.detach = detach;
	counted.stat = status;
	counted.remove = remove_it;
	counted.reap = reap;
	counted.bells_create = bells_create;
	counted.bells_open = bells_open;
	counted.ring = ring;
	counted.wait = wait_for;
	counted.list = list;
	duoshm__backend_replace(&counted);
}

void instrument_end(void)
{
	instrument_arm(INSTRUMENT_COUNT, 0);
	way = INSTRUMENT_WRITES;
	duoshm__backend_replace(NULL);
}

/* ---- children that are traced: each system call makes two stops -------------------------------- */

#if defined __linux__

static int be_traced(void *arg)
{
	(void)arg;
	return ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 ? 0 : 77;
}

static void stand_traced(void)
{
	if (be_traced(NULL) != 0)
		_exit(77);
	raise(SIGSTOP);
}

/* From its first stop to its nth; HARNESS_STOPPED, or how it ended. */
static int step(pid_t pid, unsigned nth)
{
	int result = harness_wait_stopped(pid);

	for (unsigned i = 0; result == HARNESS_STOPPED && i < nth; i++) {
		ptrace(PTRACE_SYSCALL, pid, NULL, NULL);
		result = harness_wait_stopped(pid);
	}
	if (last_point != NULL)
		snprintf(last_point, NAME_SIZE, "system call");
	return result;
}

static void let_go(pid_t pid)
{
	ptrace(PTRACE_DETACH, pid, NULL, NULL);
}

bool instrument_by(enum instrument_way wanted)
{
	way = wanted;
	return way == INSTRUMENT_WRITES || harness_wait(harness_fork(be_traced, NULL)) == 0;
}

#else

static void stand_traced(void)
{
}

static int step(pid_t pid, unsigned nth)
{
	(void)nth;
	return harness_wait_stopped(pid);
}

static void let_go(pid_t pid)
{
	(void)pid;
}

bool instrument_by(enum instrument_way wanted)
{
	return wanted == INSTRUMENT_WRITES;
}

#endif

/* ---- children -------------------------------------------------------------------------------- */

void instrument_here(void)
{
	if (planned == INSTRUMENT_COUNT)
		return;
	if (way == INSTRUMENT_CALLS)
		stand_traced();
	else
		instrument_arm(planned, planned_nth);
}

pid_t instrument_start(int (*fn)(void *arg), void *arg, enum instrument_deed deed, unsigned nth)
{
	planned = deed;
	planned_nth = nth;
	pid_t pid = harness_fork(fn, arg);
	planned = INSTRUMENT_COUNT;
	return pid;
}

bool instrument_died(pid_t pid)
{
	int result = harness_wait_stopped(pid);

	if (result == -SIGKILL)
		return true;
	EXPECT(result, 0);
	return false;
}

pid_t instrument_stops(int (*fn)(void *arg), void *arg, unsigned nth)
{
	pid_t pid = instrument_start(fn, arg, INSTRUMENT_STOP, nth);
	int result = way == INSTRUMENT_CALLS ? step(pid, nth) : harness_wait_stopped(pid);

	if (result == HARNESS_STOPPED)
		return pid;
	EXPECT(result, 0);
	return 0;
}

void instrument_continue(pid_t pid)
{
	if (way == INSTRUMENT_CALLS)
		let_go(pid);
	else
		harness_continue(pid);
}

bool instrument_kills(int (*fn)(void *arg), void *arg, unsigned nth)
{
	if (way == INSTRUMENT_WRITES)
		return instrument_died(instrument_start(fn, arg, INSTRUMENT_DIE, nth));
	pid_t pid = instrument_stops(fn, arg, nth);
	harness_kill(pid);
	return pid > 0;
}
