/* SPDX-License-Identifier: MIT */
/*
 * The lock, src/core/lock.c: three processes acquire it, of which one may give up; two may be killed
 * anywhere. Never two holders; the next one after a death is told, and so are all until one has
 * released it; what the last holder wrote is seen; nobody sleeps on while it is free or its holder
 * dead. Variant CALM: nobody is killed, no slice is needed. As in semaphore.pml, one word.
 */
#define BUT(m, statement) if :: mutant != m -> statement :: else fi
c_decl { \#include <stdlib.h> }
#define TAKE_MUTANT c_code { if (getenv("MUTANT")) now.mutant = atoi(getenv("MUTANT")); }

/* mutants */
#define NO_SLICES       1 /* who dies while holding it does not ring */
#define NOT_TOLD        2 /* it is taken over without D */
#define UNPROVEN        3 /* who does not answer is taken for dead */
#define TAKEN_BLINDLY   4 /* a dead one's lock is stored to, not compared and swapped */
/* mutants CALM */
#define RELEASE_RELAXED 5 /* compare-and-swap without release */
#define ACQUIRE_RELAXED 6 /* without acquire */
#define NO_MARK         7 /* taken after a sleep without S */
#define NO_MARK_LEAVING 8 /* given up without S */
#define MARK_STORED     9 /* by load and store */

#ifdef CALM
#define SLICES false
#else
#define SLICES (mutant != NO_SLICES)
#endif
#define OWNER(word) (word & 3)
#define SLEEPERS 4
#define DEAD 8

byte mutant, shared, bell;
bool killed[4], dead[4];
byte holder;            /* in fact, 0 also when it died */
bool torn;              /* a holder died */
byte written, carried;  /* under the lock, in fact; and as seen by who acquires the word */

inline got_it() {
	assert(holder == 0 && carried == written && mutant != ACQUIRE_RELAXED);
	assert(!torn || (shared & DEAD));
	holder = me;
	written++
}

/* 0: sleep; 1: held; 2: once more; 3: given up */
/* @ src/core/lock.c look */
inline look() {
	word = shared; /* = duoshm__load64_acquire(&lock->shared->word) */
	was_dead = OWNER(word) != 0 && (dead[OWNER(word)] || mutant == UNPROVEN); /* = holder_is_dead(lock, word) */
	atomic {
		result = 2;
		if
		:: OWNER(word) != 0 && !was_dead -> /* = give_up_or_mark(lock, word, deadline, slept) */
			result = (over -> 3 : 0);
			if
			:: (word & SLEEPERS) || (over && (!slept || mutant == NO_MARK_LEAVING))
			:: !(word & SLEEPERS) && !over && mutant == MARK_STORED -> mark = true
			:: else ->
				if
				:: shared == word -> shared = word | SLEEPERS
				:: else -> result = 2
				fi
			fi
		:: else ->
			/* = lock->self | (word & (SLEEPERS | DEAD)) */
			if /* = duoshm__cas64(&lock->shared->word, &word, next) */
			:: shared == word || mutant == TAKEN_BLINDLY ->
				shared = me | (word & (SLEEPERS | DEAD));
				if
				:: slept && mutant != NO_MARK -> shared = shared | SLEEPERS
				:: else
				fi;
				if
				:: was_dead && mutant != NOT_TOLD -> shared = shared | DEAD
				:: else
				fi;
				got_it();
				result = 1
			:: else
			fi
		fi;
		was_dead = false
	}
	if
	:: mark -> shared = word | SLEEPERS; mark = false
	:: else
	fi
}

/* @ src/core/lock.c let_go */
inline let_go() {
	word = me; /* = word = lock->self */
	do
	:: atomic {
			if /* = duoshm__cas64(&lock->shared->word, &word, word & REMOVED) */
			:: shared == word ->
				assert(OWNER(word) == me);
				shared = 0;
				holder = 0;
				torn = false;
				BUT(RELEASE_RELAXED, carried = written);
				break
			:: else -> word = shared
			fi
		}
	od;
	if
	:: word & SLEEPERS -> bell++ /* = duoshm__object_ring(lock->object, BELL) */
	:: else
	fi
}

/* @ src/core/lock.c took */
inline took() {
	atomic {
		if /* = word == 0 && duoshm__cas64(&lock->shared->word, &word, lock->self) */
		:: shared == 0 -> shared = me; got_it(); result = 1
		:: else
		fi
	}
}

/* @ src/core/lock.c took_marked */
inline took_marked() {
	atomic {
		if /* = word == 0 && duoshm__cas64(&lock->shared->word, &word, lock->self | SLEEPERS) */
		:: shared == 0 -> shared = (mutant == NO_MARK -> me : me | SLEEPERS); got_it(); result = 1
		:: else
		fi
	}
}

/* @ src/core/lock.c acquire_slowly */
inline acquire_slowly() {
	took(); /* = duoshm__spin(&lock->spin, took, lock, deadline) */
	do
	:: result == 1 || result == 3 -> break
	:: else ->
		look(); /* = look(lock, deadline, slept) */
		if
		:: result == 0 ->
			if /* = duoshm__object_sleep(lock->object, BELL, deadline, DUOSHM__SLICE_NS, false) */
			:: atomic { bell > 0 -> bell-- }; if
				:: true
				:: gives_up -> over = true
				fi
			:: gives_up -> over = true
			:: timeout -> assert(SLICES)
			fi;
			slept = true;
			if
			:: !over -> took_marked() /* = duoshm__spin(&lock->spin, took_marked, lock, deadline) */
			:: true
			fi
		:: else
		fi
	od
}

proctype user(byte me; byte times; bool gives_up) {
	byte word, result;
	bool slept, over, was_dead, mark;

	{
		do
		:: times == 0 -> break
		:: else ->
			acquire_slowly();
			if
			:: result == 1 -> let_go()
			:: else
			fi;
			d_step { word = 0; result = 0; slept = false; over = false; times-- }
		od
	} unless {
		killed[me];
		atomic {
			dead[me] = true; /* its stores came before */
			carried = (OWNER(shared) == me && holder == me -> written : carried);
			torn = torn || holder == me;
			holder = (holder == me -> 0 : holder)
		}
	}
}

init {
	atomic { TAKE_MUTANT; run user(1, 2, false); run user(2, 1, false); run user(3, 1, true) }
#ifndef CALM
	if
	:: killed[1] = true
	:: skip
	fi;
	if
	:: killed[2] = true
	:: skip
	fi
#endif
}
