/* SPDX-License-Identifier: MIT */
/*
 * The frame of `compare bench`, and what its tests are written in.
 *
 * A test is a const record: how it is called, what it can be varied in, and one function that every
 * process of it runs. A case is a test with one choice of size, wait and so on. A case is run in
 * rounds, in each of them once for every subject: the floor (what the machine and the kernel charge
 * for the same thing), and the library over each family; so what drifts hits all alike. Each run
 * has processes of its own, the sides, pinned to CPUs; side 0 measures. bench_run.c runs, bench.c
 * plans, bench_stats.c reckons, bench_report.c shows.
 *
 * To add a test: a record in a bench_*.c, and its name in the list of bench.c.
 */
#ifndef DUOSHM_TOOLS_BENCH_H
#define DUOSHM_TOOLS_BENCH_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "duoshm.h"
#include "tools/bench_stats.h"
#include "tools/common.h"

/* How a side waits for the other: DUOSHM_SPIN_NS without end, as it is, 0. */
enum bench_wait { BENCH_SPIN, BENCH_ADAPTIVE, BENCH_SLEEP, BENCH_WAITS };
extern const char *const bench_wait_names[BENCH_WAITS];

struct bench_test;

/* 0 where a parameter does not apply, but for `clients`, of which there may be 0. */
struct bench_case {
	const struct bench_test *test;
	enum bench_wait wait;
	uint64_t size;    /* bytes of a message, or of an object */
	uint64_t clients; /* readers, contenders */
	uint64_t count;   /* objects, registers */
};

/* One process of a run. */
struct bench_side {
	const struct bench_case *of;
	const char *backend; /* NULL: the floor of both families */
	struct duoshm *ctx;  /* with a registry of the bench's own; NULL in a floor */
	const char *name;    /* no other run's: for objects, made and removed by side 0 */
	const char *scratch; /* a directory, for ftok */
	unsigned index, sides;
	void *memory;                /* BENCH_MEMORY bytes that the sides share, zero */
	struct bench_shared *shared; /* the frame's */
};
#define BENCH_MEMORY (512u << 20)

#define BENCH_OWN_FLOORS        0x1u /* each family has a floor of its own: the bare calls */
#define BENCH_OWN_FLOORS_ASLEEP 0x2u /* the same with --wait=sleep */
#define BENCH_ALONE             0x4u /* one process measures; two CPUs are not needed */
#define BENCH_SPREAD            0x8u /* all sides are spread over the CPUs; else side 0 has one for itself */

#define BENCH_END UINT64_MAX /* ends a list of values */

struct bench_test {
	const char *name;  /* "pingpong": for --test and in files */
	const char *title; /* "round trip" */
	const char *unit;  /* what is done once: "round trip", "message" */
	unsigned flags;
	/* What it is varied in by default, each ended by BENCH_END; NULL: it is not. */
	const uint64_t *waits, *sizes, *clients, *counts;
	unsigned sides;   /* besides the clients */
	int64_t pause_ns; /* before each operation: a run lasts for 20 of these at least */
	unsigned rounds;  /* at most, where setting up takes long; 0: as many as are asked for */
	/*
	 * What a side does, from making or opening its objects to closing them; between the two it
	 * calls bench_go(). `floor` NULL: there is none. 0; or the failure is told.
	 */
	int (*run)(struct bench_side *side);
	int (*floor)(struct bench_side *side);
	/*
	 * Of a floor, by the parent of its sides: `prepare`, before they begin, makes what they share,
	 * and `sweep` takes it away, as `memory` tells, or what a killed side has left. NULL: nothing.
	 */
	int (*prepare)(struct bench_side *side);
	void (*sweep)(struct bench_side *side);
};

extern const struct bench_test bench_pingpong, bench_oneway, bench_staged, bench_inplace,
	bench_handoff, bench_broadcast, bench_memcpy, bench_semaphore, bench_lock, bench_contention,
	bench_register, bench_snapshot, bench_attach, bench_bells, bench_objects, bench_list;

/* Waits until all sides are ready; from then on the time runs. */
void bench_go(struct bench_side *side);
/*
 * Side 0: `operations` took from `begin` to `end` (tool_now()). What comes before the warm-up is
 * over does not count. False: the time is up.
 */
bool bench_record(struct bench_side *side, int64_t begin, int64_t end, uint64_t operations);
/* One more time, which belongs to no operation of this side's. */
void bench_add_time(struct bench_side *side, int64_t ns);
/* Is the warm-up over at that time? */
bool bench_is_warm(const struct bench_side *side, int64_t now);
/* The other sides: has side 0 said that it is over? Side 0 says it. */
bool bench_over(const struct bench_side *side);
void bench_finish(struct bench_side *side);
/* Tells why this side cannot go on; the result of `run`. */
int bench_failed(struct bench_side *side, const char *format, ...) TOOL_PRINTF(2, 3);
/* The same of a call of the library's that returned `code`; where room ran out, it is skipped. */
int bench_refused(struct bench_side *side, const char *call, int64_t code);
/* The run cannot be had here, because of a limit, say: a line in the report, and no failure. */
int bench_skipped(struct bench_side *side, const char *format, ...) TOOL_PRINTF(2, 3);

/* Until a peer has come, or a message: a run that hangs is ended before. */
#define BENCH_PATIENCE (20 * TOOL_SECOND)

/* ---- data that can be verified ---- */

/*
 * Message number `sequence`, of at least 8 bytes. Verified are the first and the last word, and one
 * between them that changes from message to message; of less than 24 bytes the first alone.
 */
static inline uint64_t bench_word(uint64_t sequence, uint64_t at)
{
	return (sequence ^ at) * UINT64_C(0x9e3779b97f4a7c15);
}
void bench_fill_rest(void *message, uint64_t size, uint64_t sequence);
bool bench_verify_rest(const void *message, uint64_t size, uint64_t sequence);

static inline void bench_fill(void *message, uint64_t size, uint64_t sequence)
{
	uint64_t word = bench_word(sequence, 0);

	memcpy(message, &word, sizeof word);
	if (size >= 24)
		bench_fill_rest(message, size, sequence);
}

static inline bool bench_verify(const void *message, uint64_t size, uint64_t sequence)
{
	uint64_t word;

	memcpy(&word, message, sizeof word);
	return word == bench_word(sequence, 0) &&
	       (size < 24 || bench_verify_rest(message, size, sequence));
}

/* ---- the frame: bench_run.c ---- */

struct bench_plan {
	int cpus[64];
	unsigned n_cpus;
	int64_t duration_ns, warmup_ns; /* of a run */
	const char *scratch;            /* the registry's directory */
};

/* What one run found. */
struct bench_found {
	struct bench_histogram times; /* picoseconds an operation */
	uint64_t operations, batch;   /* timed together: times are means of so many */
	int64_t elapsed_ns;
	bool placed;  /* on two CPUs at least */
	bool skipped; /* see `why` */
	char why[160];
};

/* TOOL_DONE, also when it was skipped; TOOL_STOPPED; else the failure was reported. */
int bench_run(const struct bench_plan *plan, const struct bench_case *of, const char *backend,
	bool floor, struct bench_found **found);
/* Nanoseconds that a look at the clock takes, which is taken off each time. */
double bench_clock_cost(void);

/* ---- the report: bench_report.c ---- */

/* A subject of a case, after all rounds. */
struct bench_result {
	char backend[16];                 /* "floor", "floor-sysv", "sysv" */
	const struct bench_result *floor; /* its floor; NULL: it is one, or there is none */
	struct bench_histogram times;
	double *rounds; /* p50 of each round, nanoseconds, by which subjects are compared */
	double *rates;  /* operations a second in each */
	unsigned n_rounds;
	uint64_t operations, batch;
	bool good; /* two CPUs, or one is enough */
	char why[160];
};

struct bench_report {
	const struct bench_case *of;
	struct bench_result results[4];
	unsigned n_results;
};

void bench_show(const struct bench_report *report);
void bench_write_csv(const struct bench_report *reports, unsigned count, FILE *file);
/* A document of schema duoshm.bench/1; the caller adds the parameters. */
struct tool_json *bench_json(const struct bench_report *reports, unsigned count);
/* One line on the machine, for people. */
const char *bench_machine(const struct bench_plan *plan, char text[256]);
/* "round trip, 8 B, spin" */
const char *bench_title(const struct bench_case *of, char text[96]);

#endif
