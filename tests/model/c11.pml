/* SPDX-License-Identifier: MIT */
/*
 * Words in shared memory as C11 orders them, and no more: a word keeps all that was ever stored in
 * it, and a process may load anything not older than what it has seen. It has seen what it loaded
 * or stored itself, and what an acquire brought along: all that the storer had seen at its release.
 * So stores to different words become visible in any order, and loads give old values, unless an
 * order forbids it. Plain words must not be raced for; that is asserted, also of a store to a word
 * that another process has loaded.
 *
 * The file that includes this defines PROCS, WORDS, and DEPTH: how many values a word has at most.
 */
#define SEES (WORDS + PROCS)

typedef View {
	byte at[SEES] /* which value of a word; behind them: how many plain loads of a process */
}
typedef Word {
	byte newest;
	byte value[DEPTH];
	View with[DEPTH]; /* what an acquire of that value brings along */
	byte loaded[PROCS] /* plain words: by which plain load of a process last */
}
Word word[WORDS];
View seen[PROCS];
View due[PROCS];    /* what an acquire fence would add to it */
View fenced[PROCS]; /* seen at the last release fence: goes with every later store */
View common;        /* of the full fences */
bool registered[PROCS]; /* for membarrier, as the kernel knows it */
byte mutant;        /* what is wrong in this run: see WRONG, BUT and the models */
byte t_;            /* 0 but inside of an access */
hidden byte i_, j_; /* no part of the state */

/* One program tries all mutants: by their numbers, in the environment. */
c_decl { \#include <stdlib.h> }
#define TAKE_MUTANT c_code { if (getenv("MUTANT")) now.mutant = atoi(getenv("MUTANT")); }
#define RIGHT(m) (mutant != m)
#define BUT(m, statement) if :: mutant != m -> statement :: else fi /* left out by m */
#define ONLY(m, statement) if :: mutant == m -> statement :: else fi
#define ACQUIRE true
#define RELEASE true
#define RELAXED false

#define JOIN(a, b) for (i_ : 0 .. SEES - 1) { a.at[i_] = (a.at[i_] > b.at[i_] -> a.at[i_] : b.at[i_]) }
#define NEWS(me, w) (word[w].newest > seen[me].at[w])
#define NEWEST(w) word[w].value[word[w].newest]

/* ---- loads ---- */

#define OLDER(me, w, n) word[w].newest >= seen[me].at[w] + n -> t_ = word[w].newest - n

/* `to`: the newest value, or one of the seven before it. */
inline load(me, w, acquires, to) {
	atomic {
		if
		:: t_ = word[w].newest
		:: OLDER(me, w, 1)
		:: OLDER(me, w, 2)
		:: OLDER(me, w, 3)
		:: OLDER(me, w, 4)
		:: OLDER(me, w, 5)
		:: OLDER(me, w, 6)
		:: OLDER(me, w, 7)
		fi;
		d_step {
			to = word[w].value[t_];
			seen[me].at[w] = t_;
			JOIN(due[me], word[w].with[t_]);
			if
			:: acquires -> JOIN(seen[me], word[w].with[t_])
			:: else
			fi;
			t_ = 0
		}
	}
}
inline plain_load(me, w, to) {
	d_step {
		assert(!NEWS(me, w)); /* else a race with the store */
		to = NEWEST(w);
		seen[me].at[WORDS + me]++;
		word[w].loaded[me] = seen[me].at[WORDS + me]
	}
}

/* ---- stores ---- */

inline append(me, w, released, v) {
	word[w].newest++;
	assert(word[w].newest < DEPTH);
	seen[me].at[w] = word[w].newest;
	word[w].value[word[w].newest] = v;
	JOIN(word[w].with[word[w].newest], released);
	word[w].with[word[w].newest].at[w] = word[w].newest
}
inline store(me, w, releases, v) {
	d_step {
		if
		:: releases -> append(me, w, seen[me], v)
		:: else -> append(me, w, fenced[me], v)
		fi
	}
}
inline plain_store(me, w, v) {
	d_step {
		assert(!NEWS(me, w)); /* else a race with another store, or with a load: */
		for (j_ : 0 .. PROCS - 1) {
			assert(j_ == me || word[w].loaded[j_] <= seen[me].at[WORDS + j_])
		}
		append(me, w, fenced[me], v)
	}
}

/* ---- both in one: of the newest value; what came with it stays with the new one ---- */

/* It acquires and releases. */
inline exchange(me, w, v, to) {
	d_step {
		t_ = word[w].newest;
		to = NEWEST(w);
		seen[me].at[w] = t_;
		JOIN(due[me], word[w].with[t_]);
		JOIN(seen[me], word[w].with[t_]);
		append(me, w, seen[me], v);
		JOIN(word[w].with[t_ + 1], word[w].with[t_]);
		t_ = 0
	}
}

/* ---- fences ---- */

inline fence_acquire(me) {
	d_step { JOIN(seen[me], due[me]) }
}
inline fence_release(me) {
	d_step { JOIN(fenced[me], seen[me]) }
}
inline fence_full(me) {
	d_step { JOIN(seen[me], due[me]); JOIN(seen[me], common); JOIN(common, seen[me]); JOIN(fenced[me], seen[me]) }
}
/* membarrier: a full fence in each process that registered for it, and in the caller */
inline membarrier(me) {
	d_step {
		for (j_ : 0 .. PROCS - 1) {
			if
			:: j_ == me || registered[j_] -> JOIN(common, seen[j_]); JOIN(common, due[j_])
			:: else
			fi
		}
		for (j_ : 0 .. PROCS - 1) {
			if
			:: j_ == me || registered[j_] -> JOIN(seen[j_], common); JOIN(fenced[j_], common)
			:: else
			fi
		}
	}
}

/* ---- time and death ---- */

/* The kernel's proof of death: all that the dead one stored has come before it. */
inline proof_of_death(me, dead) {
	d_step { JOIN(seen[me], seen[dead]) }
}
/* A store is seen in the end: some time has gone by. */
inline time_goes_by(me) {
	d_step {
		for (i_ : 0 .. WORDS - 1) { seen[me].at[i_] = word[i_].newest }
	}
}
