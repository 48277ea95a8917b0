/* SPDX-License-Identifier: MIT */
/*
 * One ring for many sleepers, src/queue/broadcast.c and wait.c: two readers sleep on the bell of the
 * epoch's parity, and who is woken passes the ring on. The producer or one reader may be killed.
 * Nobody sleeps for ever, and nobody in an epoch whose message he has not seen.
 */
#ifndef MESSAGES
#define MESSAGES 1
#endif
#define PROCS 3 /* producer, readers */
#define COMMIT 0
#define FLAG 1
#define EPOCH 2
#define WORDS 3
#define DEPTH 14
#include "c11.pml"

/* mutants */
#define NO_SLICES      1 /* a ring goes astray: to who did not need it, to a dead one */
#define EPOCH_RELAXED  2 /* its store without release: asleep in the new epoch, the message unseen */
#define SLEEP_RELAXED  3 /* its load without acquire */

byte bell[2];
byte killed[PROCS], sent;
byte news[DEPTH]; /* how many messages who sleeps in an epoch has seen */

proctype producer(byte me) {
	byte flag, epoch;

	{
		do
		:: sent == MESSAGES -> break
		:: else ->
			atomic { sent++; store(me, COMMIT, RELEASE, sent) }
			load(me, FLAG, ACQUIRE, flag);
			if
			:: flag -> exchange(me, FLAG, 0, flag)
			:: else
			fi;
			/* @ src/queue/broadcast.c wake_readers */
			if
			:: flag ->
				load(me, EPOCH, RELAXED, epoch); /* = duoshm__load32(&shared->epoch) */
				/* = duoshm__store32_release(&shared->epoch, epoch + 1) */
				atomic { news[epoch + 1] = sent; store(me, EPOCH, RIGHT(EPOCH_RELAXED), epoch + 1) }
				bell[epoch & 1]++ /* = duoshm__object_ring(b->end.segment, b->end.bells + (epoch & 1)) */
			:: else
			fi
		od;
	} unless { killed[0] }
}

/* @ src/queue/wait.c sleep_announced */
inline sleep(me) {
	exchange(me, FLAG, 1, x); /* = duoshm__exchange32(w->sleeps, 1) */
	load(me, EPOCH, RIGHT(SLEEP_RELAXED), epoch); /* = duoshm__load32_acquire(w->epoch) */
	if
	:: registered[0] -> membarrier(me)
	:: else
	fi; /* = duoshm__role_fence(w->peer) */
	load(me, COMMIT, RELAXED, commit); /* = duoshm__poll(w->ready, w->arg, fenced ? 0 : GRACE_NS) */
	if
	:: commit > got
	:: commit == got ->
		assert(got >= news[epoch]);
		if /* = duoshm__object_sleep(w->segment, bell, deadline, slice, false) */
		:: atomic { bell[epoch & 1] > 0 -> bell[epoch & 1]-- }
		:: timeout -> assert(sent == got || RIGHT(NO_SLICES)); time_goes_by(me);
			if
			:: sent == got -> break
			:: else
			fi
		fi;
		load(me, EPOCH, ACQUIRE, x); /* = duoshm__load32_acquire(w->epoch) != epoch */
		if
		:: x != epoch -> bell[epoch & 1]++ /* = duoshm__object_ring(w->segment, bell) */
		:: else
		fi
	fi
}

proctype reader(byte me) {
	byte got, commit, epoch, x;

	{
		do
		:: got == MESSAGES -> break
		:: else ->
			load(me, COMMIT, RELAXED, commit);
			if
			:: commit > got
			:: else -> sleep(me)
			fi;
			d_step { got = (commit > got -> commit : got); epoch = 0; x = 0 }
		od
	} unless { killed[me] }
}

init {
	atomic {
		TAKE_MUTANT;
		if
		:: registered[0] = true
		:: skip
		fi;
		run producer(0);
		run reader(1);
		run reader(2)
	}
	if
	:: killed[0] = 1
	:: killed[1] = 1
	:: skip
	fi
}
