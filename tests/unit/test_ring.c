/* SPDX-License-Identifier: MIT */
/*
 * The ring of a queue, on plain memory: what goes in comes out, in order and whole, and no byte of
 * the other side is believed.
 */
#include "config.h"

#include "harness/harness.h"

#include "duoshm.h"
#include "queue/ring.h"

#define CAPACITY  1024u
#define RIGHT_PAD ((uint64_t)104 << 8 | 3) /* of a record 112 bytes before the end */

struct pair {
	_Alignas(64) unsigned char data[CAPACITY];
	unsigned char guard[64]; /* behind the ring: nobody's */
	struct duoshm__word64 tail;
	struct duoshm__ring_producer producer;
	struct duoshm__ring_consumer consumer;
};

static struct pair pair;

/* A ring whose indices begin at `start`, as after a long life; all else is old rubbish. */
static void ring_at(uint64_t start)
{
	memset(&pair, 0x5a, sizeof(pair));
	memset(pair.data + start % CAPACITY, 0, 8);
	duoshm__store64(&pair.tail, start);
	OK(duoshm__ring_produce(&pair.producer, pair.data, CAPACITY, &pair.tail));
	OK(duoshm__ring_consume(&pair.consumer, pair.data, CAPACITY, &pair.tail));
}

static bool guarded(void)
{
	for (size_t i = 0; i < sizeof(pair.guard); i++) {
		if (pair.guard[i] != 0x5a)
			return false;
	}
	return true;
}

/* The byte at `i` of message `number`. */
static unsigned char pattern(uint64_t number, uint64_t i)
{
	return (unsigned char)(number * 31 + i * 7 + 1);
}

static int stage(uint64_t number, uint64_t length)
{
	void *room;
	int result = duoshm__ring_reserve(&pair.producer, length, &room);

	if (result != 0)
		return result;
	for (uint64_t i = 0; i < length; i++)
		((unsigned char *)room)[i] = pattern(number, i);
	return duoshm__ring_stage(&pair.producer, length);
}

static int send(uint64_t number, uint64_t length)
{
	int result = stage(number, length);

	duoshm__ring_publish(&pair.producer);
	return result;
}

/* Is the next message `number`, whole? Releases it. */
static bool receives(uint64_t number, uint64_t length)
{
	const void *message;
	uint64_t got;

	if (duoshm__ring_peek(&pair.consumer, &message, &got) != 0 || got != length)
		return false;
	for (uint64_t i = 0; i < length; i++) {
		if (((const unsigned char *)message)[i] != pattern(number, i))
			return false;
	}
	duoshm__ring_release(&pair.consumer);
	return true;
}

static bool empty(void)
{
	const void *message;
	uint64_t length;

	return !duoshm__ring_filled(&pair.consumer) &&
	       duoshm__ring_peek(&pair.consumer, &message, &length) == DUOSHM_ERR_TIMEOUT;
}

static void every_length_fits_at_every_place(void)
{
	bool all = true;

	for (uint64_t start = 0; start < CAPACITY; start += 8) {
		ring_at(start);
		for (uint64_t length = 0; length <= duoshm__ring_longest(CAPACITY); length++) {
			all = all && send(length, length) == 0;
			all = all && receives(length, length) && empty();
		}
		all = all && guarded();
	}
	CHECK(all);
}

static void indices_pass_the_end_of_64_bits(void)
{
	bool all = true;

	ring_at(UINT64_MAX - 2047);
	for (uint64_t number = 0; number < 100; number++)
		all = all && send(number, number) == 0 && receives(number, number);
	CHECK(all);
	CHECK(duoshm__load64(&pair.tail) < 16384);
}

/* Full to the last word, also for a producer that takes over; and each release makes room. */
static void fill(uint64_t length, uint64_t fit)
{
	uint64_t sent = 0, got = 0;

	ring_at(0);
	while (send(sent, length) == 0)
		sent++;
	EXPECT(sent, fit);
	EXPECT(duoshm__ring_produce(&pair.producer, pair.data, CAPACITY, &pair.tail), 0);
	EXPECT(send(sent, length), DUOSHM_ERR_TIMEOUT);
	CHECK(!duoshm__ring_moved(&pair.producer));
	CHECK(receives(got++, length));
	CHECK(duoshm__ring_moved(&pair.producer));
	EXPECT(send(sent++, length), 0);
	while (got < sent && receives(got, length))
		got++;
	EXPECT(got, sent);
	CHECK(empty());
}

static void what_does_not_fit_is_told(void)
{
	void *room;

	ring_at(0);
	EXPECT(duoshm__ring_reserve(&pair.producer, duoshm__ring_longest(CAPACITY) + 1, &room),
		DUOSHM_ERR_TOO_LONG);
	/* all but the word that is to be 0, and the rest of a record */
	fill(24, (CAPACITY - 8) / 32);
	fill(0, CAPACITY / 8 - 1);
}

/* A long random walk of both sides against a plain ledger. */
static void a_random_walk_agrees_with_a_ledger(void)
{
	static uint64_t lengths[64];
	unsigned seed = 4711;
	uint64_t sent = 0, got = 0;
	bool all = true;

	ring_at(720);
	for (long step = 0; step < harness_scale(20000, 200000, 2000000); step++) {
		seed = seed * 1103515245u + 12345u;
		unsigned dice = seed >> 16;
		if (dice % 2 == 0 && sent - got < 64) {
			uint64_t length = dice / 2 % (dice % 3 == 0 ? 497 : 40);
			if (send(sent, length) == 0)
				lengths[sent++ % 64] = length;
		} else if (got < sent) {
			all = all && receives(got, lengths[got % 64]);
			got++;
		} else {
			all = all && empty();
		}
	}
	CHECK(all);
	CHECK(sent > 1000);
	CHECK(guarded());
}

static void a_batch_is_published_by_one_commit(void)
{
	/* one where the batch begins with the pad record */
	for (uint64_t start = 0; start < CAPACITY; start += 8) {
		ring_at(start);
		bool hidden = true;
		for (uint64_t number = 0; number < 5; number++) {
			EXPECT(stage(number, 20 + number), 0);
			hidden = hidden && empty();
		}
		CHECK(hidden);
		duoshm__ring_publish(&pair.producer);
		for (uint64_t number = 0; number < 5; number++)
			CHECK(receives(number, 20 + number));
		CHECK(empty());
	}
}

static void less_than_reserved_may_be_staged(void)
{
	void *room, *again;

	ring_at(64);
	EXPECT(duoshm__ring_stage(&pair.producer, 0), DUOSHM_ERR_INVALID);
	EXPECT(duoshm__ring_reserve(&pair.producer, 100, &room), 0);
	EXPECT((uintptr_t)room % 8, 0);
	EXPECT(duoshm__ring_reserve(&pair.producer, 1, &again), DUOSHM_ERR_INVALID);
	EXPECT(duoshm__ring_stage(&pair.producer, 101), DUOSHM_ERR_INVALID);
	memset(room, 0xff, 100);
	((unsigned char *)room)[0] = pattern(9, 0);
	EXPECT(duoshm__ring_stage(&pair.producer, 1), 0);
	duoshm__ring_publish(&pair.producer);
	EXPECT(send(10, 3), 0);
	CHECK(receives(9, 1));
	CHECK(receives(10, 3));
	CHECK(empty());
}

static void old_payload_is_never_taken_for_a_header(void)
{
	uint64_t forged[15];
	void *room;
	bool all = true;

	ring_at(0);
	/* 8-byte records, so that every later header falls on a forged one */
	for (int i = 0; i < 15; i++)
		forged[i] = 8u << 8 | 1u;
	for (int round = 0; round < 200; round++) {
		all = all && duoshm__ring_reserve(&pair.producer, sizeof(forged), &room) == 0;
		memcpy(room, forged, sizeof(forged));
		(void)duoshm__ring_stage(&pair.producer, sizeof(forged));
		duoshm__ring_publish(&pair.producer);
		const void *message;
		uint64_t length;
		all = all && duoshm__ring_peek(&pair.consumer, &message, &length) == 0;
		all = all && length == sizeof(forged);
		duoshm__ring_release(&pair.consumer);
		all = all && empty();
		all = all && send(1, 0) == 0 && receives(1, 0) && empty();
	}
	CHECK(all);
}

/* A new producer finds all that was committed, and nothing of what was only staged or reserved. */
static void a_producer_takes_over_what_was_committed(void)
{
	for (uint64_t start = 0; start < CAPACITY; start += 8) {
		ring_at(start);
		void *room;
		EXPECT(send(0, 100), 0);
		EXPECT(send(1, 0), 0);
		EXPECT(stage(77, 60), 0);
		EXPECT(stage(78, 60), 0);
		EXPECT(duoshm__ring_reserve(&pair.producer, 50, &room), 0);
		memset(room, 0xee, 50);
		EXPECT(duoshm__ring_produce(&pair.producer, pair.data, CAPACITY, &pair.tail), 0);
		EXPECT(send(2, 200), 0);
		CHECK(receives(0, 100));
		CHECK(receives(1, 0));
		CHECK(receives(2, 200));
		CHECK(empty());
	}
}

static void hostile_headers_are_corrupt(void)
{
	static const uint64_t words[] = {
		2, 5, 0x81, UINT64_MAX, 0xff00000000000001u, /* no such kind, lengths beyond all */
		(uint64_t)497 << 8 | 1,                      /* longer than the longest */
		(uint64_t)105 << 8 | 1,                      /* beyond the end of the ring */
		(uint64_t)96 << 8 | 3,                       /* a pad that ends before it */
		(uint64_t)112 << 8 | 3,                      /* a pad that ends behind it */
		RIGHT_PAD, /* a right pad, with no record behind */
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		ring_at(CAPACITY - 112);
		const void *message;
		uint64_t length;
		/* a wrong pad would lead to a record that makes sense */
		for (size_t at = 0; at < CAPACITY && words[i] != RIGHT_PAD; at += 8)
			memcpy(pair.data + at, &(uint64_t){1}, 8);
		memcpy(pair.data + CAPACITY - 112, &words[i], 8);
		EXPECT(duoshm__ring_peek(&pair.consumer, &message, &length), DUOSHM_ERR_CORRUPT);
		EXPECT(duoshm__ring_produce(&pair.producer, pair.data, CAPACITY, &pair.tail),
			DUOSHM_ERR_CORRUPT);
	}
}

static void a_hostile_index_is_corrupt(void)
{
	static const uint64_t tails[] = {8192 + 4, 8192 - 8, 8192 + 500 * 8, UINT64_MAX - 7, 0};
	void *room;

	for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
		ring_at(8192);
		while (send(0, 40) == 0)
			continue;
		duoshm__store64(&pair.tail, tails[i]);
		EXPECT(duoshm__ring_reserve(&pair.producer, 40, &room), DUOSHM_ERR_CORRUPT);
	}
	ring_at(0);
	duoshm__store64(&pair.tail, 3);
	EXPECT(duoshm__ring_consume(&pair.consumer, pair.data, CAPACITY, &pair.tail),
		DUOSHM_ERR_CORRUPT);
	EXPECT(duoshm__ring_produce(&pair.producer, pair.data, CAPACITY, &pair.tail),
		DUOSHM_ERR_CORRUPT);
}

int main(int argc, char **argv)
{
	static const struct harness_case cases[] = {
		{"every length fits at every place", every_length_fits_at_every_place},
		{"indices pass the end of 64 bits", indices_pass_the_end_of_64_bits},
		{"what does not fit is told", what_does_not_fit_is_told},
		{"a random walk agrees with a ledger", a_random_walk_agrees_with_a_ledger},
		{"a batch is published by one commit", a_batch_is_published_by_one_commit},
		{"less than reserved may be staged", less_than_reserved_may_be_staged},
		{"old payload is never taken for a header",
			old_payload_is_never_taken_for_a_header},
		{"a producer takes over what was committed",
			a_producer_takes_over_what_was_committed},
		{"hostile headers are corrupt", hostile_headers_are_corrupt},
		{"a hostile index is corrupt", a_hostile_index_is_corrupt},
		{NULL, NULL},
	};

	return harness_run(argc, argv, "ring", cases);
}
