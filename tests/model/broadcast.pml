/* SPDX-License-Identifier: MIT */
/*
 * The ring of a broadcast, src/queue/broadcast_ring.c, messages of no and of one word. The producer
 * may be killed between any two accesses; its successor goes on, with shorter messages in the place
 * of longer ones. What the reader accepts must be one message that was published, whole,
 * and what it counts as missed must be what it did not get. Payload words are relaxed
 * ones. The ring holds three records of the longest, which is what the real proportions leave.
 */
#define CAPACITY 9
#ifndef MESSAGES
#define MESSAGES 4
#endif
#define PROCS 3 /* producer, its successor, reader */
#define INTENT CAPACITY
#define LAST (CAPACITY + 1)
#define COMMIT (CAPACITY + 2)
#define WORDS (CAPACITY + 3)
#define DEPTH 8
#include "c11.pml"

/* mutants */
#define COMMIT_RELAXED     1 /* the store of commit without release */
#define COMMIT_EARLY       2 /* before the payload */
#define NEXT_RELAXED       3 /* its load without acquire */
#define NO_INTENT_FENCE    4 /* between intent and the ring */
#define INTENT_LATE        5 /* after the payload */
#define NO_SETTLED_FENCE   6 /* between the ring and intent */
#define NO_SETTLED         7 /* intent is not looked at */
#define LAST_RELAXED       8 /* the store of last without release */
#define LAST_LATE          9 /* after commit */
#define READ_RELAXED      10 /* its load in read without acquire */
#define INTENT_FALLS      11 /* at takeover, to commit */
#define NUMBER_SKIPPED    12 /* at takeover: of the message that was begun, not committed */
#define NUMBER_AGAIN      13 /* at takeover: of the last one */
#define INTENT_RELAXED    14 /* its load: then last may be older than it */
#define INTENT_STORE_RELAXED 15

#define AT(position) ((position) % CAPACITY)
#define EXTENT(length) (2 + length)
#define TEXT(who, number) (who * 16 + number) /* a payload */

byte published, ended, killed;
byte place[MESSAGES + 1], text_of[MESSAGES + 1], length_of[MESSAGES + 1]; /* by number */

/* @ src/queue/broadcast_ring.c duoshm__cast_produce */
inline produce(me) {
	load(me, COMMIT, ACQUIRE, commit); /* = duoshm__load64_acquire(&indices->commit) */
	load(me, LAST, RELAXED, begin);    /* = duoshm__load64(&indices->last) */
	load(me, INTENT, RELAXED, intent); /* = duoshm__load64(&indices->intent) */
	assert(begin <= commit && commit - begin <= 3 && intent >= commit && intent - commit <= 3);
	load(me, AT(begin), RELAXED, number); /* = duoshm__load64((void *) */
	if
	:: begin == commit && RIGHT(NUMBER_SKIPPED) /* = .sequence = last == commit ? */
	:: mutant == NUMBER_AGAIN
	:: else -> number++
	fi;
	ONLY(INTENT_FALLS, intent = commit)
}

/* @ src/queue/broadcast_ring.c duoshm__cast_publish */
inline publish(me) {
	begin = commit;
	stop = begin + EXTENT(length);
	intent = (intent < stop -> stop : intent);
	assert(intent >= NEWEST(INTENT) || mutant == INTENT_FALLS);
	/* = duoshm__store64_release(&p->indices->intent, p->intent) */
	BUT(INTENT_LATE, store(me, INTENT, RIGHT(INTENT_STORE_RELAXED), intent));
	BUT(NO_INTENT_FENCE, fence_release(me)); /* = atomic_thread_fence(memory_order_release) */
	ONLY(COMMIT_EARLY, store(me, COMMIT, RELEASE, stop));
	store(me, AT(begin), RELAXED, number);     /* = put_word(p, begin, p->sequence) */
	store(me, AT(begin + 1), RELAXED, length); /* = put_word(p, begin + WORD, length) */
	if
	:: length == 1 -> store(me, AT(begin + 2), RELAXED, TEXT(me, number)) /* = put(p, begin + HEAD */
	:: else
	fi;
	ONLY(INTENT_LATE, store(me, INTENT, RELAXED, intent));
	/* = duoshm__store64_release(&p->indices->last, begin) */
	BUT(LAST_LATE, store(me, LAST, RIGHT(LAST_RELAXED), begin));
	atomic {
		/* = duoshm__store64_release(&p->indices->commit, end) */
		BUT(COMMIT_EARLY, store(me, COMMIT, RIGHT(COMMIT_RELAXED), stop));
		place[published] = begin;
		length_of[published] = length;
		text_of[published] = TEXT(me, number);
		published++
	}
	ONLY(LAST_LATE, store(me, LAST, RELEASE, begin));
	commit = stop;
	number++
}

proctype producer(byte me) {
	byte commit, intent, begin, stop, length, number;

	if
	:: me == 1 ->
end:		killed == 2; proof_of_death(1, 0)
	:: else
	fi;
	{
		produce(me);
		do
		:: published == MESSAGES -> break
		:: else ->
			length = (me == 0 && number % 3 == 0 -> 1 : 0);
			publish(me)
		od;
		ended = true
	} unless { me == 0 && killed == 1; killed = 2 }
}

/* ---- reader ---- */

/* @ src/queue/broadcast_ring.c settled */
inline settle(me, from) {
	BUT(NO_SETTLED_FENCE, fence_acquire(me)); /* = atomic_thread_fence(memory_order_acquire) */
	load(me, INTENT, RIGHT(INTENT_RELAXED), limit); /* = duoshm__load64_acquire(&r->indices->intent) - position <= r->capacity */
	settled = limit - from <= CAPACITY || mutant == NO_SETTLED
}

/* @ src/queue/broadcast_ring.c duoshm__cast_read */
inline read(me) {
	do
	:: counting -> break
	:: !counting ->
		load(me, COMMIT, ACQUIRE, position); /* = duoshm__load64_acquire(&indices->commit) */
		load(me, LAST, RIGHT(READ_RELAXED), i); /* = duoshm__load64_acquire(&indices->last) */
		if
		:: i > position
		:: else ->
			assert(position - i <= 3);
			load(me, AT(i), RELAXED, expected); /* = get_word(&made, last) + (last == commit ? 0 : 1) */
			expected = (i == position -> expected : expected + 1);
			settle(me, i);               /* = settled(&made, last) */
			counting = settled
		fi
	od;
	settled = false;
	d_step {
		assert(place[expected] == position || expected >= published);
		i = 0;
		limit = 0
	}
}

/* @ src/queue/broadcast_ring.c jump */
inline jump(me) {
	load(me, LAST, ACQUIRE, i); /* = duoshm__load64_acquire(&r->indices->last) */
	assert(i > position);
	position = i
}

/* @ src/queue/broadcast_ring.c duoshm__cast_next */
inline next(me) {
	load(me, COMMIT, RIGHT(NEXT_RELAXED), i); /* = duoshm__load64_acquire(&r->indices->commit) - r->position */
	assert(i >= position);
	filled = i - position;
	if
	:: filled == 0
	:: else ->
		load(me, AT(position), RELAXED, number);     /* = get_word(r, r->position) */
		load(me, AT(position + 1), RELAXED, length); /* = get_word(r, r->position + WORD) */
		sane = length <= 1 && EXTENT(length) <= filled;
		if
		:: sane && filled <= CAPACITY ->
			if
			:: length == 1 -> load(me, AT(position + 2), RELAXED, text) /* = get(r, r->position + HEAD */
			:: else
			fi
		:: else
		fi;
		settled = false;
		if
		:: filled <= CAPACITY -> settle(me, position) /* = !settled(r, r->position) */
		:: else
		fi;
		if
		:: !settled -> jump(me) /* = jump(r) */
		:: else ->
			d_step {
				assert(sane && number >= expected); /* = accept(r, sequence, bytes) */
				assert(number < published && place[number] == position);
				assert(length == length_of[number]);
				assert(length == 0 || text == text_of[number]);
				expected = number + 1;
				position = position + EXTENT(length)
			}
		fi;
		d_step { number = 0; length = 0; text = 0; sane = 0; settled = 0 }
	fi;
	d_step { i = 0; limit = 0; filled = 0 }
}

proctype reader(byte me) {
	byte position, expected, i, limit, filled, number, length, text;
	bool counting, settled, sane;

	read(me);
	do
	:: ended && NEWEST(COMMIT) == position -> break
	:: NEWEST(COMMIT) != position -> next(me)
	od;
	assert(expected == published)
}

init {
	atomic { TAKE_MUTANT; run producer(0); run producer(1); run reader(2) }
	if
	:: killed = 1
	:: skip
	fi
}
