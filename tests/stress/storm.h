/* SPDX-License-Identifier: MIT */
/*
 * Storms: processes that work together are killed and stopped at any instruction, and replaced by
 * new ones that must be able to go on. What they did is in a ledger outside of the memory under
 * test, an anonymous mapping, so that the conductor (storm.c) can say in the end what became of
 * each message, command and object. Each word of the ledger has one writer; the comment says who.
 */
#ifndef DUOSHM_TESTS_STORM_H
#define DUOSHM_TESTS_STORM_H

#include "core/word.h"
#include "harness/fixture.h"
#include "harness/message.h"

enum { SLOTS_MAX = 24, CHANNELS_MAX = 4 };
#define WITHOUT_END (UINT64_MAX / 2)

typedef struct duoshm__word64 word;
static inline uint64_t get(const word *w)
{
	return duoshm__load64_acquire(w);
}
static inline void put(word *w, uint64_t value)
{
	duoshm__store64_release(w, value);
}
static inline void add(word *w, uint64_t more)
{
	put(w, get(w) + more);
}

/* What a process counts. From TORN to FALSE_NEWS: what must not be. */
enum tally {
	CHECKED,   /* messages, blocks of samples, snapshots, sections under a lock, units */
	IN_FLIGHT, /* came twice: one party died between doing and noting it */
	TOLD,      /* deaths it was told of */
	SLOWEST,   /* how long it waited for that at most, in ns */
	COMMANDS,  /* acknowledged */
	RECONNECTS,
	TORN,
	LOST,
	DOUBLED,
	INVENTED,
	REORDERED,
	FALSE_NEWS, /* an end or a death that was none, or two where one may be */
	TALLIES
};
extern const char *const storm_tally_names[TALLIES];

/* A place for a process, and for those that replace it. */
struct slot {
	/* the conductor */
	word lives;     /* number of its life, from 1 */
	word dead;      /* lives up to this one are dead, or about to be */
	word killed_ns; /* when the last was */
	word leaving;   /* this life is asked to end by itself */
	word gone;      /* what lives up to this one owned was reclaimed */
	pid_t pid;
	/* the process */
	word progress; /* grows as it works */
	word holds;    /* the life that has its role; of a client: that is connected */
	word owns;     /* the life whose segment exists, see own_name */
	word tally[TALLIES];
};

/* Of a queue or broadcast. */
struct channel {
	word limit; /* the conductor: where the producer ends */
	word left;  /* the conductor: producers that were asked to leave */
	word begun; /* producer: numbers below this may have been sent */
	word sent;  /* producer: numbers below this were sent */
	word got;   /* consumer: numbers below this were received */
	word last;  /* consumer: the number that came last */
	word life;  /* consumer: of the producer that sent it */
};

struct ledger {
	word over;   /* the conductor: finish what is begun, and end */
	word sweeps; /* the conductor: times it called for the cleaner */
	struct slot slot[SLOTS_MAX];
	struct channel channel[CHANNELS_MAX];
	/* under the lock: who is inside (life << 8 | slot + 1), and how often somebody was */
	word inside, sections;
};
extern struct ledger *ledger;

/* ---- roles ---- */

/* A process at work. */
struct life {
	const struct storm *storm;
	unsigned index; /* of its slot */
	struct slot *slot;
	uint64_t number, sweeps; /* at its start */
	uint64_t heard;          /* the death of the peer that it was told of last */
	struct duoshm *ctx;      /* its own */
};

struct role {
	const char *name;
	int (*live)(struct life *life); /* NULL: the program `device` */
	int peer;                       /* the slot whose death it must be told; -1: none */
	unsigned channel;
	/* Tries to take the place of a living one: must fail. NULL: nothing to take. */
	int (*usurp)(struct duoshm *ctx, const struct role *role);
	bool leaves; /* may also end by itself amid the storm */
};
struct storm {
	const char *name;
	const struct role *roles; /* one a slot, up to one without name */
	void (*make)(struct duoshm *ctx);
	/* When all have ended: is the account right? */
	void (*verify)(struct duoshm *ctx);
	void (*discard)(struct duoshm *ctx);
};
extern const struct storm queue_storm, broadcast_storm, lock_storm, semaphore_storm, device_storm;

/* Is the life asked to end? */
bool is_over(const struct life *life);
static inline void tell(const struct life *life, enum tally what, uint64_t more)
{
	add(&life->slot->tally[what], more);
}
static inline const struct role *role_of(const struct life *life)
{
	return &life->storm->roles[life->index];
}

/* What is known of the peer before a call that may tell of its death. */
struct before {
	int64_t now;
	uint64_t lives, dead, holds;
};
struct before before_call(const struct life *life);
/* The call said PEER_DEAD: counts, and tells whether it can only be the peer's present life. */
bool heard_of_death(struct life *life, const struct before *before);
/* Before it hears, where it will then wait for another. */
void leave_role(const struct life *life);
int64_t storm_now(void);

/* ---- the conductor ---- */

/* The family that the storms are on. */
extern const char *storm_family;
struct duoshm *storm_context(void);
void storm_seed(uint64_t seed);
uint64_t storm_random(uint64_t below);
/*
 * Raises the storm until `kills` processes were killed, and all is in order. What it did is added
 * to `total`.
 */
struct total {
	uint64_t kills, stops, reclaimed, left;
	uint64_t kills_of[SLOTS_MAX];
	uint64_t tally[TALLIES];
};
void storm_run(const struct storm *storm, long kills, struct total *total);
/* Kernel objects, entries and lifelines that are left of this family; 0 but after a failure. */
unsigned storm_left(void);

/* ---- kills at single instructions (steps.c) ---- */

/* Is there a tracer that steps? */
bool steps_possible(void);
/* On storm_family, at least that many; how many processes were killed (or bereaved) amid work. */
long steps_run(long points);

/* ---- `make stress` (stress.c) ---- */

/* All of it on all families in turn, until KILLS or HOURS of the environment end it. */
extern const struct harness_case stress_case[];

#endif
