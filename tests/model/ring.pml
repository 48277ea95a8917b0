/* SPDX-License-Identifier: MIT */
/*
 * The ring of a queue, src/queue/ring.c and ring.h, for messages of one and two words, of which none
 * lies across two lines of four, with pads and batches.
 * Producer and consumer may each be killed between any two accesses, and have a successor. Every
 * message must arrive whole and in order, none twice but for the one that a killed consumer had in
 * its hands, and END only after the last.
 */
#define CAPACITY 8
#define LINE 4
#define MESSAGES 4
#define PROCS 4 /* producer, its successor, consumer, its successor */
#define TAIL CAPACITY
#define FINISHED (CAPACITY + 1)
#define WORDS (CAPACITY + 2)
#define DEPTH 8
#include "c11.pml"

/* A header; the payload of a message is its number + 1 in each word. */
#define MESSAGE 16
#define PAD 32
#define LENGTH(header) ((header) % 16)
#define LONG(m) (m == 1 -> 2 : 1)
#define AT(position) ((position) % CAPACITY)

/* mutants */
#define PUBLISH_RELAXED  1 /* the header without release */
#define PEEK_RELAXED     2 /* its load without acquire */
#define RELEASE_RELAXED  3 /* the store of tail */
#define LOOK_RELAXED     4 /* its load */
#define FINISH_RELAXED   5 /* the store of finished */
#define FINISHED_RELAXED 6 /* its load */
#define FINISHED_LATE    7 /* loaded after the look into the ring */
#define NO_ZERO          8 /* behind the last record */
#define ZERO_LATE        9 /* after its header */
#define NO_ROOM_BEHIND  10 /* for the 0 */
#define TAIL_EARLY      11 /* stored before the payload is read */
#define TOUCH_LATE      12 /* after the record was given back */

byte published;     /* messages, in fact */
byte arrived;       /* taken by a consumer */
byte killed[2];     /* 1: told to die, 2: dead; of producer, consumer */

/* ---- producer ---- */

/* @ src/queue/ring.c duoshm__ring_produce */
inline produce(me) {
	load(me, TAIL, RIGHT(LOOK_RELAXED), free); /* = duoshm__load64_acquire(tail), head = start */
	head = free;
	do
	:: load(me, AT(head), RELAXED, header); /* = duoshm__load64(duoshm__ring_header(data, capacity - 1, head)) */
		if
		:: header == 0 -> break
		:: else
		fi;
		assert(header >= MESSAGE && LENGTH(header) < CAPACITY - AT(head));
		head = head + 1 + LENGTH(header);
		assert(head - free <= CAPACITY - 1)
	od;
	batch = head
}

/* @ src/queue/ring.c look */
inline look(me) {
	load(me, TAIL, RIGHT(LOOK_RELAXED), header); /* = duoshm__load64_acquire(p->tail) */
	assert(header >= free && header <= batch);
	free = header
}

/* @ src/queue/ring.h duoshm__ring_put */
inline put(me, what) {
	if
	:: first == 0 -> first = what
	:: else -> store(me, AT(head), RELAXED, what) /* = duoshm__store64(duoshm__ring_word(p->data, p->mask, head), word) */
	fi;
	head = head + 1 + LENGTH(what)
}

/* Messages that are sent without a reservation: the same accesses, in the same order. */
/* @ src/queue/ring.h duoshm__ring_send */
/* = duoshm__copy_short(first + 1, from, (size_t)length) */
/* = duoshm__copy_short(at + 1, from, (size_t)length) */
/* = duoshm__store64(at, word) */
/* = duoshm__store64(duoshm__ring_word(data, mask, head), 0) */
/* = duoshm__store64_release(first, word) */
/* @ src/queue/ring.h duoshm__ring_publish */
inline publish(me) {
	if
	:: first != 0 ->
		if
		:: RIGHT(NO_ZERO) && RIGHT(ZERO_LATE) -> store(me, AT(head), RELAXED, 0)
		:: else
		fi; /* = duoshm__store64(duoshm__ring_word(p->data, p->mask, p->head), 0) */
		/* = duoshm__store64_release(duoshm__ring_word(p->data, p->mask, p->batch), p->first) */
		atomic { store(me, AT(batch), RIGHT(PUBLISH_RELAXED), first); published = next }
		ONLY(ZERO_LATE, store(me, AT(head), RELAXED, 0));
		batch = head;
		first = 0
	:: else
	fi
}

/* @ src/queue/ring.c free_at */
inline reserve(me) {
	/* the end of the ring is that of a line, too */
	pad = (LINE - head % LINE < 1 + LONG(next) -> LINE - head % LINE : 0);
	do
	:: CAPACITY - (head - free) >= pad + 1 + LONG(next) + RIGHT(NO_ROOM_BEHIND) -> break /* = p->mask + 1 - (p->head - p->seen) - WORD */
	:: else ->
		publish(me); /* reserve_later */
		NEWS(me, TAIL);
		look(me)
	od
}

inline send_all(me) {
	produce(me);
	next = published;
	do
	:: next == MESSAGES -> break
	:: else ->
		reserve(me);
		plain_store(me, AT(head + pad + 1), next + 1);
		if
		:: LONG(next) == 2 -> plain_store(me, AT(head + pad + 2), next + 1)
		:: else
		fi;
		if
		:: pad > 0 -> put(me, PAD + pad - 1)
		:: else
		fi;
		put(me, MESSAGE + LONG(next));
		next++;
		if
		:: publish(me)
		:: next < MESSAGES /* stays staged */
		fi
	od;
	/* @ src/queue/endpoint.h duoshm__finish */
	store(me, FINISHED, RIGHT(FINISH_RELAXED), 1) /* = duoshm__store32_release(&endpoint->holds->finished, 1) */
}

proctype producer(byte me) {
	byte head, free, batch, first, header, pad, next;

	if
	:: me == 1 ->
end:		killed[0] == 2; proof_of_death(1, 0)
	:: else
	fi;
	{ send_all(me); head = 0; free = 0; batch = 0; header = 0; next = 0 }
	unless { me == 0 && killed[0] == 1; killed[0] = 2 }
}

/* ---- consumer ---- */

/* Without a pad also: */
/* @ src/queue/ring.h duoshm__ring_look */
/* = duoshm__load64_acquire(at) */
/* @ src/queue/ring.c duoshm__ring_peek */
inline peek(me) {
	at = position;
	load(me, AT(at), RIGHT(PEEK_RELAXED), header); /* = duoshm__load64_acquire(at) */
	if
	:: header >= PAD ->
		at = at + 1 + LENGTH(header);
		load(me, AT(at), RELAXED, header); /* = duoshm__load64(at) */
		assert(header >= MESSAGE)
	:: else
	fi;
	assert(header == 0 || (header < PAD && LENGTH(header) < CAPACITY - AT(at)))
}

inline check_payload(me, offset) {
	atomic { plain_load(me, AT(at + offset), payload); assert(payload == arrived + 1); payload = 0 }
}

/* What is there, to take the line over; in the source each load comes right before its store. */
inline touch(me, message) {
	if
	:: at != before -> store(me, AT(before), RELAXED, PAD + at - before - 1)
	:: else
	fi;
	store(me, AT(at), RELAXED, header);
	store(me, AT(at + LENGTH(header)), RELAXED, message + 1);
	before = at + 1 + LENGTH(header)
}

/* @ src/queue/ring.c duoshm__ring_consume */
inline receive_all(me) {
	load(me, TAIL, RELAXED, position); /* = duoshm__load64(tail) */
	before = position;
	do
	:: arrived < published || NEWS(me, AT(position)) || NEWEST(FINISHED) ->
		/* @ src/queue/endpoint.c duoshm__endpoint_await */
		/* = duoshm__load32_acquire(&e->waiter.peer->finished) */
		BUT(FINISHED_LATE, load(me, FINISHED, RIGHT(FINISHED_RELAXED), done));
		peek(me); /* = next(e, arg) */
		ONLY(FINISHED_LATE, load(me, FINISHED, ACQUIRE, done));
		if
		:: header == 0 && done -> break
		:: header == 0 && !done
		:: header != 0 ->
			position = at + 1 + LENGTH(header);
			assert(LENGTH(header) == LONG(arrived));
			ONLY(TAIL_EARLY, store(me, TAIL, RELEASE, position));
			check_payload(me, 1);
			if
			:: LENGTH(header) == 2 -> check_payload(me, 2)
			:: else
			fi;
			/* @ src/queue/ring.h duoshm__ring_release */
			/* = duoshm__ring_touch(c, at) */
			BUT(TOUCH_LATE, touch(me, arrived));
			/* = duoshm__store64_release(c->tail, next) */
			atomic { BUT(TAIL_EARLY, store(me, TAIL, RIGHT(RELEASE_RELAXED), position)); arrived++ };
			ONLY(TOUCH_LATE, touch(me, arrived - 1))
		fi
	od;
	assert(arrived == MESSAGES)
}

proctype consumer(byte me) {
	byte position, before, at, header, payload;
	bool done;

	if
	:: me == 3 ->
end:		killed[1] == 2; proof_of_death(3, 2)
	:: else
	fi;
	{ receive_all(me) } unless { me == 2 && killed[1] == 1; killed[1] = 2 }
}

proctype killer() {
	if
	:: killed[0] = 1
	:: killed[1] = 1
	:: skip
	fi
}

init {
	atomic { TAKE_MUTANT; run killer(); run producer(0); run producer(1); run consumer(2); run consumer(3) }
}
