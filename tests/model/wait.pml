/* SPDX-License-Identifier: MIT */
/*
 * Falling asleep and waking, src/queue/wait.c and wait.h: a waker that pays no fence, a sleeper that
 * fences it by membarrier. The waker gives its role to a successor, or is killed, between any two
 * accesses. As it stands nobody sleeps for ever. Variant CALM: nobody is killed, and then no ring
 * is missing for who was fenced; who was not has a short slice. NO_SLICES and NOT_FENCED show what the slices are for.
 */
#define MESSAGES 2
#define PROCS 3 /* waker, its successor, sleeper */
#define HEAD 0
#define FLAG 1
#define REGISTERED 2
#define WORDS 3
#define DEPTH 16
#include "c11.pml"

/* mutants */
#define NO_SLICES     1 /* a waker dies between its store and its ring */
/* mutants CALM */
#define NO_BARRIER    2 /* a full fence of the sleeper's own instead of membarrier */
#define NOT_FENCED    3 /* the waker has not registered, and the slices are long */
#define FLAG_LATE     4 /* set after the look */
#define FLAG_EARLY    5 /* the waker looks at it before its store */
#define REGISTER_LATE 6 /* after the claim */

#ifdef CALM
#define SLICES false
#define EARLY 1 /* slices that end by themselves */
#else
#define SLICES RIGHT(NO_SLICES)
#define EARLY 0
#endif

byte bell, killed, given;
byte sent;              /* in fact */

/* @ src/queue/wait.h duoshm__sleepy */
inline wake(me) {
	BUT(FLAG_EARLY, load(me, FLAG, ACQUIRE, flag)); /* = duoshm__load32_acquire(sleeps) != 0 */
	if
	:: flag ->
		/* @ src/queue/wait.h duoshm__sleeper */
		exchange(me, FLAG, 0, flag); /* = duoshm__exchange32(sleeps, 0) != 0 */
		if
		:: flag -> bell++
		:: else
		fi
	:: else
	fi;
	flag = 0
}

/* membarrier's registration is a full fence, too. */
inline register(me) {
	d_step { registered[me] = true; JOIN(seen[me], common); JOIN(common, seen[me]) }
}

/* @ src/queue/role.c duoshm__role_claim */
inline claim(me) {
	BUT(REGISTER_LATE, register(me)); /* = membarrier_call(REGISTER) */
	killed == 2 || given;        /* = duoshm__load64_acquire(&role->holder) */
	proof_of_death(me, me - 1);  /* = life(segment, role, holder) != DUOSHM__DEAD */
	/* @ src/queue/role.c duoshm__role_hold */
	store(me, REGISTERED, RELAXED, 1) /* = duoshm__store32(&role->registered, membarrier_call(REGISTER)) */
}

proctype waker(byte me) {
	bool flag;

	{
		if
		:: me == 0 && RIGHT(NOT_FENCED) -> register(me); store(me, REGISTERED, RELAXED, 1)
		:: me == 1 -> claim(me)
		:: else
		fi;
		do
		:: sent < MESSAGES ->
			ONLY(FLAG_EARLY, load(me, FLAG, ACQUIRE, flag));
			atomic { sent++; store(me, HEAD, RELEASE, sent) }
			wake(me)
		:: sent == MESSAGES -> break
		:: me == 0 && sent > 0 -> store(me, REGISTERED, RELAXED, 0); break
		od;
		atomic { given = 1; flag = 0 }
	} unless { me == 0 && killed == 1; killed = 2 }
}

/* @ src/queue/wait.c sleep_announced */
inline sleep(me) {
	BUT(FLAG_LATE, exchange(me, FLAG, 1, x)); /* = duoshm__exchange32(w->sleeps, 1) */
	load(me, REGISTERED, RELAXED, fence); /* = duoshm__role_fence(w->peer) */
	if
	:: fence && RIGHT(NO_BARRIER) -> membarrier(me)
	:: else -> fence_full(me)
	fi;
	load(me, HEAD, RELAXED, head); /* = duoshm__poll(w->ready, w->arg, fenced ? 0 : GRACE_NS) */
	ONLY(FLAG_LATE, exchange(me, FLAG, 1, x));
	if
	:: head > got
	:: head == got ->
		if /* = duoshm__object_sleep(w->segment, bell, deadline, slice, false) */
		:: atomic { bell > 0 -> bell-- }
		:: early > 0 -> early--
		:: timeout -> assert(sent == got || SLICES || (!fence && RIGHT(NOT_FENCED))); time_goes_by(me)
		fi
	fi;
	store(me, FLAG, RELAXED, 0) /* = duoshm__store32(w->sleeps, 0) */
}

proctype sleeper(byte me) {
	byte got, head, early = EARLY;
	bool fence, x;

	do
	:: got == MESSAGES -> break
	:: else ->
		load(me, HEAD, RELAXED, head);
		if
		:: head > got
		:: else -> sleep(me)
		fi;
		d_step { got = (head > got -> head : got); x = 0; fence = 0 }
	od
}

init {
	atomic { TAKE_MUTANT; run waker(0); run waker(1); run sleeper(2) }
#ifndef CALM
	if
	:: killed = 1
	:: skip
	fi
#endif
}
