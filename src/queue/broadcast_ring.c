/* SPDX-License-Identifier: MIT */
/*
 * The ring of a broadcast: the producer overwrites, readers copy first and look afterwards whether
 * what they copied can have been overwritten meanwhile. (A seqlock whose counter is `intent`;
 * broadcast_ring.h has the sources.)
 *
 * The trap: bytes of a record are read while they may be written. Nothing that was copied is used,
 * but for the checked length, before `intent` was looked at; and `intent` is raised before the
 * first byte is written.
 */
#include "config.h"

#include "queue/broadcast_ring.h"

#include "core/fast.h"
#include "duoshm.h"

#include <string.h>

#define WORD 8u
#define HEAD 16u /* sequence number and length */
#define LAPS 8   /* overruns in a row until a reader gives up for now */

static uint64_t extent(uint64_t length)
{
	return HEAD + ((length + WORD - 1) & ~(uint64_t)(WORD - 1));
}

static size_t shorter(uint64_t a, uint64_t b)
{
	return (size_t)(a < b ? a : b);
}

static void put_word(struct duoshm__cast_producer *p, uint64_t position, uint64_t value)
{
	void *at = p->data + (position & (p->capacity - 1));

	if (DUOSHM__WORDWISE)
		duoshm__store64_release(at, value);
	else
		duoshm__store64(at, value);
}

static uint64_t get_word(const struct duoshm__cast_reader *r, uint64_t position)
{
	const void *at = r->data + (position & (r->capacity - 1));

	return DUOSHM__WORDWISE ? duoshm__load64_acquire(at) : duoshm__load64(at);
}

static void put(
	struct duoshm__cast_producer *p, uint64_t at, const unsigned char *from, uint64_t length)
{
	uint64_t word = 0, offset = at & (p->capacity - 1);
	size_t first = shorter(length, p->capacity - offset);

	for (uint64_t done = 0; DUOSHM__WORDWISE && done < length; done += WORD) {
		memcpy(&word, from + done, shorter(length - done, WORD));
		put_word(p, at + done, word);
	}
	if (DUOSHM__WORDWISE || length == 0)
		return;
	duoshm__copy(p->data + offset, from, first);
	duoshm__copy(p->data, from + first, (size_t)length - first);
}

static void get(
	const struct duoshm__cast_reader *r, uint64_t at, unsigned char *to, uint64_t length)
{
	uint64_t word, offset = at & (r->capacity - 1);
	size_t first = shorter(length, r->capacity - offset);

	for (uint64_t done = 0; DUOSHM__WORDWISE && done < length; done += WORD) {
		word = get_word(r, at + done);
		memcpy(to + done, &word, shorter(length - done, WORD));
	}
	if (DUOSHM__WORDWISE || length == 0)
		return;
	duoshm__copy(to, r->data + offset, first);
	duoshm__copy(to + first, r->data, (size_t)length - first);
}

/* `last` and `commit` as a producer can have left them. */
static bool consistent(uint64_t last, uint64_t commit, uint64_t capacity)
{
	return last % WORD == 0 && commit % WORD == 0 &&
	       commit - last <= extent(duoshm__cast_longest(capacity));
}

int duoshm__cast_produce(struct duoshm__cast_producer *p, struct duoshm__broadcast_indices *indices,
	void *data, uint64_t capacity)
{
	/* Its writer is gone, and its stores came before the proof of that. */
	uint64_t commit = duoshm__load64_acquire(&indices->commit);
	uint64_t last = duoshm__load64(&indices->last);
	uint64_t intent = duoshm__load64(&indices->intent);

	if (!consistent(last, commit, capacity) || intent % WORD != 0 ||
		intent - commit > extent(duoshm__cast_longest(capacity)))
		return DUOSHM_ERR_CORRUPT;
	uint64_t sequence =
		duoshm__load64((void *)((unsigned char *)data + (last & (capacity - 1))));
	*p = (struct duoshm__cast_producer){
		.indices = indices,
		.data = data,
		.capacity = capacity,
		.commit = commit,
		/*
		 * Never less than it was: the bytes up to there may hold half a message over an old
		 * one.
		 */
		.intent = intent,
		/* last == commit: that record was begun but never committed, its number is free. */
		.sequence = last == commit ? sequence : sequence + 1,
	};
	return 0;
}

int duoshm__cast_publish(struct duoshm__cast_producer *p, const void *message, uint64_t length)
{
	uint64_t begin = p->commit, end = begin + extent(length);

	if (length > duoshm__cast_longest(p->capacity))
		return DUOSHM_ERR_TOO_LONG;
	if (p->intent < end)
		p->intent = end;
	/* Release: last and commit of the records before; pairs with the load in settled. */
	duoshm__store64_release(&p->indices->intent, p->intent);
	/*
	 * Orders the store of intent before every store into the ring; pairs with the fence in
	 * settled.
	 */
	if (!DUOSHM__WORDWISE)
		atomic_thread_fence(memory_order_release);
	put_word(p, begin, p->sequence);
	put_word(p, begin + WORD, length);
	put(p, begin + HEAD, message, length);
	/* Orders the sequence number before `last`, for who takes over and looks for it there. */
	duoshm__store64_release(&p->indices->last, begin);
	/* Pairs with the load in cast_next: who sees commit sees the record and `last`. */
	duoshm__store64_release(&p->indices->commit, end);
	p->commit = end;
	p->sequence++;
	return 0;
}

/* Was nothing from `position` on written over before it was read? */
static bool settled(const struct duoshm__cast_reader *r, uint64_t position)
{
	/* Orders the loads of the ring before that of intent; pairs with the fence in publish. */
	if (!DUOSHM__WORDWISE)
		atomic_thread_fence(memory_order_acquire);
	/* Acquire: `last`, to which we then jump, is of about that time. */
	return duoshm__load64_acquire(&r->indices->intent) - position <= r->capacity;
}

int duoshm__cast_read(struct duoshm__cast_reader *r,
	const struct duoshm__broadcast_indices *indices, const void *data, uint64_t capacity)
{
	struct duoshm__cast_reader made = {.indices = indices, .data = data, .capacity = capacity};

	for (int lap = 0; lap < LAPS && !made.counting; lap++) {
		/* Pair with the stores in publish: the record at `last` has its number. */
		uint64_t commit = duoshm__load64_acquire(&indices->commit);
		uint64_t last = duoshm__load64_acquire(&indices->last);
		made.position = commit;
		if ((commit - last) >> 63 != 0)
			continue; /* published meanwhile */
		if (!consistent(last, commit, capacity))
			return DUOSHM_ERR_CORRUPT;
		/* last == commit: it is begun, its number is there. */
		made.expected = get_word(&made, last) + (last == commit ? 0 : 1);
		made.counting = settled(&made, last);
	}
	if (made.position % WORD != 0)
		return DUOSHM_ERR_CORRUPT;
	*r = made;
	return 0;
}

/* Lapped: goes on with the newest record. */
static int jump(struct duoshm__cast_reader *r)
{
	/* At least as new as the commit or the intent that the caller acquired. */
	uint64_t last = duoshm__load64_acquire(&r->indices->last), ahead = last - r->position;

	if (last % WORD != 0 || ahead == 0 || ahead >> 63 != 0)
		return DUOSHM_ERR_CORRUPT;
	r->position = last;
	return 0;
}

/* A record that was read whole: counts it and steps over it. */
static int accept(struct duoshm__cast_reader *r, uint64_t sequence, uint64_t length)
{
	if (!r->counting)
		r->expected = sequence;
	if (sequence < r->expected)
		return DUOSHM_ERR_CORRUPT;
	r->missed += sequence - r->expected;
	r->counting = true;
	r->expected = sequence + 1;
	r->position += extent(length);
	return 0;
}

int duoshm__cast_next(struct duoshm__cast_reader *r, void *buffer, uint64_t room, uint64_t *length,
	uint64_t *missed)
{
	for (int lap = 0; lap < LAPS; lap++) {
		/* Pairs with the store in publish: the record is complete. */
		uint64_t filled = duoshm__load64_acquire(&r->indices->commit) - r->position;
		if (filled == 0)
			return DUOSHM_ERR_TIMEOUT;
		if (filled % WORD != 0 || filled >> 63 != 0)
			return DUOSHM_ERR_CORRUPT;

		uint64_t sequence = get_word(r, r->position);
		uint64_t bytes = get_word(r, r->position + WORD);
		bool sane = bytes <= duoshm__cast_longest(r->capacity) && extent(bytes) <= filled;
		if (sane && filled <= r->capacity && bytes <= room)
			get(r, r->position + HEAD, buffer, bytes);
		if (filled > r->capacity || !settled(r, r->position)) {
			if (jump(r) != 0)
				return DUOSHM_ERR_CORRUPT;
			continue;
		}
		if (!sane || accept(r, sequence, bytes) != 0)
			return DUOSHM_ERR_CORRUPT;
		if (bytes > room)
			return DUOSHM_ERR_TOO_LONG;
		*length = bytes;
		*missed = r->missed;
		r->missed = 0;
		return 0;
	}
	return DUOSHM_ERR_TIMEOUT;
}
