/* SPDX-License-Identifier: MIT */
/*
 * The semaphore, src/core/semaphore.c: one word, changed by compare-and-swap, and one bell. Two
 * waiters, of which one gives up some time, a third who only tries, and a poster; one of the last
 * three may be killed anywhere. Who takes a unit sees what was written before its post, and nobody
 * sleeps on while there is a unit. Variant CALM: nobody is killed, no slice is needed.
 * One word needs no more than its sequence of values; what its orders bring along is `carried`.
 */
#define BUT(m, statement) if :: mutant != m -> statement :: else fi
#define ONLY(m, statement) if :: mutant == m -> statement :: else fi
c_decl { \#include <stdlib.h> }
#define TAKE_MUTANT c_code { if (getenv("MUTANT")) now.mutant = atoi(getenv("MUTANT")); }

/* mutants */
#define NO_SLICES        1 /* who was woken dies before it passes the ring on */
/* mutants CALM */
#define POST_RELAXED     2 /* compare-and-swap without release */
#define TAKE_RELAXED     3 /* without acquire */
#define NO_CHAIN         4 /* who was woken passes nothing on */
#define NO_MARK          5 /* who takes the last unit after a sleep leaves no mark */
#define NO_MARK_LEAVING  6 /* nor who gives up */
#define NO_REMOVED_CHAIN 7 /* a remover's ring is not passed on */
#define RING_EARLY       8 /* before the units are there */
#define MARK_STORED      9 /* the mark is set by load and store, not at once */

#ifdef CALM
#define SLICES false
#else
#define SLICES (mutant != NO_SLICES)
#endif
#define VALUE(word) (word % 16)
#define SLEEPERS 16
#define REMOVED 32
#define MARKED(word) (word & SLEEPERS)

byte mutant, shared, bell, killed, posted, taken;
byte carried; /* how many posts are seen by who acquires the word */

/* @ src/core/semaphore.c duoshm_semaphore_post */
inline post(me, count) {
	word = shared; /* = duoshm__load32(semaphore->word) */
	ONLY(RING_EARLY, bell = bell + (MARKED(word) -> 1 : 0));
	do
	:: atomic {
			if /* = duoshm__cas32(semaphore->word, &word, (word + count) & ~SLEEPERS) */
			:: word & REMOVED -> word = 0; break
			:: !(word & REMOVED) && shared == word ->
				shared = (word + count) & (255 - SLEEPERS);
				posted = posted + count;
				BUT(POST_RELAXED, carried = posted);
				break
			:: else -> word = shared
			fi
		}
	od;
	if
	:: MARKED(word) && mutant != RING_EARLY -> bell++ /* = duoshm__object_ring(semaphore->object, BELL) */
	:: else
	fi
}

inline remove(me) {
	shared = shared | REMOVED;
	bell++
}

proctype poster(byte me) {
	byte word;

	{
		if
		:: post(me, 2)
		:: post(me, 1); post(me, 1)
		:: post(me, 1); remove(me)
		:: remove(me)
		fi;
		word = 0
	} unless { killed == me }
}

inline took() {
	taken++;
	assert(carried >= taken && mutant != TAKE_RELAXED)
}

/* 0: sleep; 1: go on; 2: once more; 3: ring, then go on */
/* @ src/core/semaphore.c look */
inline look() {
	word = shared; /* = duoshm__load32(shared) */
	do
	:: atomic {
			result = 2;
			if
			:: word & REMOVED -> result = (slept && mutant != NO_REMOVED_CHAIN -> 3 : 1)
			:: !(word & REMOVED) && shared != word -> word = shared
			:: !(word & REMOVED) && shared == word && VALUE(word) > 0 -> /* = slept && (word & VALUE) > 1 */
				result = (slept && VALUE(word) > 1 && mutant != NO_CHAIN -> 3 : 1);
				if /* = chain ? next & ~SLEEPERS : next | SLEEPERS */
				:: slept && VALUE(word) > 1 -> shared = (word - 1) & (255 - SLEEPERS)
				:: slept && VALUE(word) == 1 && mutant != NO_MARK -> shared = (word - 1) | SLEEPERS
				:: else -> shared = word - 1
				fi; /* = duoshm__cas32(shared, &word, next) */
				took()
			:: !(word & REMOVED) && shared == word && VALUE(word) == 0 && over -> /* = slept && !(word & SLEEPERS) */
				result = 1;
				if
				:: slept && mutant != NO_MARK_LEAVING -> shared = word | SLEEPERS
				:: else
				fi
			:: !(word & REMOVED) && shared == word && VALUE(word) == 0 && !over ->
				result = 0; /* = duoshm__cas32(shared, &word, word | SLEEPERS) */
				BUT(MARK_STORED, shared = word | SLEEPERS)
			fi;
			if
			:: result != 2 -> break
			:: else
			fi
		}
	od;
	if
	:: result == 0 && mutant == MARK_STORED -> shared = word | SLEEPERS
	:: result == 3 -> bell++
	:: else
	fi;
	word = 0
}

/* @ src/core/semaphore.c wait_slowly */
inline wait_slowly(me, gives_up) {
	do
	:: look(); /* = look(semaphore, deadline, slept) */
		if
		:: result != 0 -> break
		:: else
		fi;
		if /* = duoshm__object_sleep( */
		:: atomic { bell > 0 -> bell-- }; if
			:: true
			:: gives_up -> over = true
			fi
		:: gives_up -> over = true
		:: timeout ->
			if
			:: VALUE(shared) == 0 && !(shared & REMOVED) -> assert(posted == taken); break
			:: else -> assert(SLICES)
			fi
		fi;
		slept = true
	od
}

proctype waiter(byte me; bool gives_up) {
	byte word, result;
	bool slept, over;

	{ wait_slowly(me, gives_up) } unless { killed == me && gives_up }
}

/* @ src/core/semaphore.c take */
proctype taker(byte me) {
	byte word;

	word = shared; /* = duoshm__load32(shared) */
	atomic {
		if /* = duoshm__cas32(shared, &word, word - 1) */
		:: shared == word && VALUE(word) > 0 && !(word & REMOVED) -> shared--; took()
		:: else
		fi;
		word = 0
	}
}

init {
	atomic {
		TAKE_MUTANT;
		run waiter(1, false);
		run waiter(2, true);
		run taker(3);
		run poster(4)
	}
#ifndef CALM
	if
	:: killed = 2
	:: killed = 4
	:: skip
	fi
#endif
}
