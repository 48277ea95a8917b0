/* SPDX-License-Identifier: MIT */
/*
 * The ring of a queue, on plain memory: what goes in comes out, in order and whole, and no byte of
 * the other side is believed.
 */
#include "config.h"

#include "harness/harness.h"

#include "duoshm.h"

/* Of what is inline in ring.h. */
static void note_write(const void *word);
#define DUOSHM__WRITES(word)            note_write(word)
#define DUOSHM__READ(bits, word, value) (value)
#include "queue/ring.h"

#define CAPACITY             1024u
#define HEADER(length, kind) ((uint64_t)(length) << 8 | (kind))

struct pair {
	_Alignas(64) unsigned char data[CAPACITY];
	unsigned char guard[64]; /* behind the ring: nobody's */
	struct duoshm__word64 tail;
	struct duoshm__ring_producer producer;
	struct duoshm__ring_consumer consumer;
};

static struct pair pair;
static uint64_t touched; /* words of the ring that the consumer wrote */
static bool in_hand;     /* all of them in what was not yet given back */
static bool slowly;      /* never by the straight path */

static void note_write(const void *word)
{
	uint64_t place = (uint64_t)((const unsigned char *)word - pair.data);
	uint64_t tail = duoshm__load64(&pair.tail);

	if (place >= CAPACITY)
		return;
	touched++;
	in_hand = in_hand && ((place - tail) & (CAPACITY - 1)) < pair.consumer.next - tail;
}

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
	struct duoshm__ring_producer *p = &pair.producer;
	int result = 0;
	void *room;

	if (!slowly && duoshm__ring_fits(p, length, duoshm__ring_extent(length)))
		room = duoshm__ring_open(p, length);
	else
		result = duoshm__ring_reserve(p, length, &room);
	if (result != 0)
		return result;
	for (uint64_t i = 0; i < length; i++)
		((unsigned char *)room)[i] = pattern(number, i);
	return duoshm__ring_stage(p, length);
}

static int send(uint64_t number, uint64_t length)
{
	struct duoshm__ring_producer *p = &pair.producer;
	uint64_t extent = duoshm__ring_extent(length);

	if (!slowly && p->first == 0 && duoshm__is_short((size_t)length) &&
		duoshm__ring_fits(p, length, extent)) {
		unsigned char message[64];
		for (uint64_t i = 0; i < length; i++)
			message[i] = pattern(number, i);
		duoshm__ring_send(p, message, length, extent, 1);
		return 0;
	}
	int result = stage(number, length);
	duoshm__ring_publish(p);
	return result;
}

/* As duoshm_queue_peek. */
static int peek(const void **message, uint64_t *length)
{
	uint64_t extent = slowly ? 0 : duoshm__ring_look(&pair.consumer, message, length);

	if (extent == 0)
		return duoshm__ring_peek(&pair.consumer, message, length);
	pair.consumer.next = pair.consumer.position + extent;
	return 0;
}

/* Is the next message `number`, whole? Releases it. */
static bool receives(uint64_t number, uint64_t length)
{
	const void *message;
	uint64_t got;

	if (peek(&message, &got) != 0 || got != length)
		return false;
	for (uint64_t i = 0; i < length; i++) {
		if (((const unsigned char *)message)[i] != pattern(number, i))
			return false;
	}
	duoshm__ring_release(&pair.consumer, pair.consumer.next);
	return true;
}

static bool empty(void)
{
	const void *message;
	uint64_t length;

	return !duoshm__ring_filled(&pair.consumer) &&
	       peek(&message, &length) == DUOSHM_ERR_TIMEOUT;
}

static void every_length_fits_at_every_place(void)
{
	bool all = true;

	for (uint64_t start = 0; start < 2 * CAPACITY; start += 8) {
		slowly = start >= CAPACITY;
		ring_at(start);
		for (uint64_t length = 0; length <= duoshm__ring_longest(CAPACITY); length++) {
			all = all && send(length, length) == 0;
			all = all && receives(length, length) && empty();
		}
		all = all && guarded();
	}
	slowly = false;
	CHECK(all);
}

/* Where the next message's header is in its line; then it is received. */
static bool is_in_one_line(uint64_t number, uint64_t length)
{
	const void *message = NULL;
	uint64_t got, first;

	if (peek(&message, &got) != 0)
		return false;
	first = (uint64_t)((const unsigned char *)message - pair.data) - 8;
	if (got <= 56 && first / 64 != (first + 8 + (got > 0 ? got - 1 : 0)) / 64)
		return false;
	return receives(number, length);
}

/* Of each length alone, at each place; and of all lengths among each other. */
static void a_short_record_lies_in_one_line(void)
{
	bool all = true;

	for (uint64_t length = 0; length <= 130; length++) {
		for (uint64_t start = 0; start < CAPACITY; start += 8) {
			ring_at(start);
			for (uint64_t number = 0; number < 20; number++)
				all = all && send(number, length) == 0 &&
				      is_in_one_line(number, length);
		}
	}
	CHECK(all);
	ring_at(8);
	for (uint64_t number = 0; number < 20000; number++) {
		uint64_t length = number * 47 % 131;
		all = all && send(number, length) == 0 && is_in_one_line(number, length);
	}
	CHECK(all && guarded());
}

/* A gap at the end of a line: written, skipped, and found by a successor. */
static void a_pad_ends_at_the_end_of_a_line(void)
{
	uint64_t word;

	for (uint64_t start = 8; start < CAPACITY; start += 8) {
		if (start % 64 == 0)
			continue;
		ring_at(start);
		EXPECT(send(0, 56), 0);
		memcpy(&word, pair.data + start, 8);
		EXPECT(word, HEADER(64 - start % 64 - 8, DUOSHM__RING_PAD));
		EXPECT(send(1, 0), 0);
		EXPECT(send(2, 56), 0);
		EXPECT(duoshm__ring_produce(&pair.producer, pair.data, CAPACITY, &pair.tail), 0);
		EXPECT(send(3, 56), 0);
		CHECK(receives(0, 56));
		CHECK(receives(1, 0));
		CHECK(receives(2, 56));
		CHECK(receives(3, 56));
		CHECK(empty());
	}
}

/* Many at once: all records there, and 0 behind, and nothing beyond. */
static void sends_many_at_once(uint64_t start, uint64_t length)
{
	unsigned char messages[CAPACITY / 16 * 64];
	uint64_t extent = duoshm__ring_extent(length), word, fit;

	ring_at(start);
	/* Some alone, up to a place that the others can follow. */
	while (!duoshm__ring_fits(&pair.producer, length, extent) ||
		(extent <= 64 && pair.producer.head % extent != 0))
		CHECK_FATAL(send(0, length) == 0 && receives(0, length));
	fit = (pair.producer.end - pair.producer.head) / extent;
	for (uint64_t i = 0; i < fit * length; i++)
		messages[i] = pattern(i / length, i % length);
	duoshm__ring_send(&pair.producer, messages, length, extent, (size_t)fit);
	memcpy(&word, pair.data + pair.producer.head % CAPACITY, 8);
	EXPECT(word, 0);
	CHECK(guarded());
	for (uint64_t number = 0; number < fit; number++)
		CHECK(is_in_one_line(number, length));
	CHECK(empty());
}

static void many_are_sent_from_every_place(void)
{
	for (uint64_t start = 0; start < CAPACITY; start += 8) {
		for (uint64_t length = 8; length <= 64; length++)
			sends_many_at_once(start, length);
	}
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
	/* Nor straight, where there would be room. */
	for (uint64_t start = 0; start < CAPACITY; start += 8) {
		ring_at(start);
		CHECK(send(0, 0) == 0 && receives(0, 0));
		EXPECT(send(1, duoshm__ring_longest(CAPACITY) + 1), DUOSHM_ERR_TOO_LONG);
		EXPECT(send(1, UINT64_MAX - 8), DUOSHM_ERR_TOO_LONG);
	}
	/* all but the word that is to be 0, and the rest of a record */
	fill(24, (CAPACITY - 8) / 32);
	fill(0, CAPACITY / 16 - 1);
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

/* Messages of all kinds from each place: each line that was done with is written to, once. */
static void touch_lines(unsigned taken)
{
	static const uint64_t lengths[] = {8, 8, 0, 64, 20, 130, 48, 7, 200};
	static unsigned char before[CAPACITY];
	const size_t n = sizeof(lengths) / sizeof(*lengths);
	bool all = true;

	/* Half of them pass the end of 64 bits. */
	for (uint64_t start = UINT64_C(0) - CAPACITY; start != CAPACITY; start += 8) {
		ring_at(start);
		for (size_t i = 0; i < n; i++)
			all = all && send(i, lengths[i]) == 0;
		memcpy(before, pair.data, CAPACITY);
		touched = 0;
		in_hand = true;
		pair.consumer.taken = taken;
		for (size_t i = 0; i < n; i++)
			all = all && receives(i, lengths[i]);
		uint64_t lines =
			(pair.consumer.position - start + start % DUOSHM__LINE) / DUOSHM__LINE;
		all = all && in_hand && touched == (taken >= DUOSHM__FLOW ? lines : 0);
		all = all && empty() && guarded() && memcmp(before, pair.data, CAPACITY) == 0;
	}
	CHECK(all);
}

static void a_flow_touches_lines_and_leaves_them_as_they_were(void)
{
	touch_lines(DUOSHM__FLOW);
	touch_lines(0);
}

/* Looked at when what was known of is used up, and not before. */
static void a_ring_is_tight_when_three_quarters_are_full(void)
{
	uint64_t sent = 0;

	ring_at(0);
	while (!duoshm__ring_tight(&pair.producer, 8) && sent < CAPACITY) {
		OK(send(sent++, 8));
		EXPECT(duoshm__ring_roomy(&pair.producer), sent * 16 <= CAPACITY / 4 * 3);
	}
	EXPECT(sent, (CAPACITY - 8) / 16);
	CHECK(!duoshm__ring_tight(&pair.producer, CAPACITY));
	for (uint64_t got = 0; got < (CAPACITY / 4 - 16) / 16; got++) {
		CHECK(duoshm__ring_tight(&pair.producer, 8));
		CHECK(receives(got, 8));
	}
	CHECK(!duoshm__ring_tight(&pair.producer, 8));
	duoshm__store64(&pair.tail, UINT64_MAX / 2);
	CHECK(!duoshm__ring_roomy(&pair.producer));
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
		all = all && peek(&message, &length) == 0;
		all = all && length == sizeof(forged);
		duoshm__ring_release(&pair.consumer, pair.consumer.next);
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
	/* 912 is 16 bytes behind the beginning of a line, and 112 before the end of the ring. */
	static const struct {
		uint64_t start, word;
	} hostile[] = {
		{912, 2}, {912, 5}, {912, 0x81}, {912, UINT64_MAX}, {912, 0xff00000000000001u},
		{912, HEADER(497, DUOSHM__RING_MESSAGE)}, /* longer than the longest */
		{912, HEADER(105, DUOSHM__RING_MESSAGE)}, /* beyond the end of the ring */
		{1000, HEADER(17, DUOSHM__RING_MESSAGE)}, /* the same, a short one */
		{912, HEADER(96, DUOSHM__RING_PAD)},      /* ends before it */
		{912, HEADER(112, DUOSHM__RING_PAD)},     /* ends behind it */
		{912, HEADER(32, DUOSHM__RING_PAD)},      /* ends before the line does */
		{912, HEADER(48, DUOSHM__RING_PAD)},      /* ends behind it */
		{912, HEADER(41, DUOSHM__RING_PAD)},      /* ends between two words */
		{832, HEADER(56, DUOSHM__RING_PAD)},      /* skips a whole line */
		{0, HEADER(56, DUOSHM__RING_PAD)},
		{0, HEADER(CAPACITY - 8, DUOSHM__RING_PAD)}, /* or the whole ring */
	};

	for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		const void *message;
		uint64_t length;

		ring_at(hostile[i].start);
		/* A wrong pad would lead to a record that makes sense, and on to an end. */
		for (size_t at = 0; at < CAPACITY; at += 8)
			memcpy(pair.data + at, &(uint64_t){DUOSHM__RING_MESSAGE}, 8);
		memset(pair.data + 512, 0, 16);
		memcpy(pair.data + hostile[i].start, &hostile[i].word, 8);
		EXPECT(peek(&message, &length), DUOSHM_ERR_CORRUPT);
		EXPECT(duoshm__ring_produce(&pair.producer, pair.data, CAPACITY, &pair.tail),
			DUOSHM_ERR_CORRUPT);
	}
}

/* A right pad, but no message behind it. */
static void a_pad_alone_is_corrupt(void)
{
	static const uint64_t pads[] = {
		HEADER(104, DUOSHM__RING_PAD), HEADER(40, DUOSHM__RING_PAD)};

	for (size_t i = 0; i < sizeof(pads) / sizeof(pads[0]); i++) {
		const void *message;
		uint64_t length;

		for (uint64_t behind = 0; behind <= pads[i]; behind += pads[i]) {
			ring_at(912);
			for (size_t at = 0; at < CAPACITY; at += 8)
				memcpy(pair.data + at, &behind, 8);
			memcpy(pair.data + 912, &pads[i], 8);
			EXPECT(peek(&message, &length), DUOSHM_ERR_CORRUPT);
		}
	}
}

/* The header of the message before makes no sense where it would reach beyond the end. */
static void a_header_like_the_last_is_checked_too(void)
{
	const void *message;
	uint64_t length;

	ring_at(CAPACITY - 208);
	EXPECT(send(0, 100), 0);
	CHECK(receives(0, 100));
	memcpy(pair.data + CAPACITY - 96, &(uint64_t){HEADER(100, DUOSHM__RING_MESSAGE)}, 8);
	EXPECT(peek(&message, &length), DUOSHM_ERR_CORRUPT);
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
		{"a short record lies in one line", a_short_record_lies_in_one_line},
		{"a pad ends at the end of a line", a_pad_ends_at_the_end_of_a_line},
		{"many are sent from every place", many_are_sent_from_every_place},
		{"indices pass the end of 64 bits", indices_pass_the_end_of_64_bits},
		{"what does not fit is told", what_does_not_fit_is_told},
		{"a random walk agrees with a ledger", a_random_walk_agrees_with_a_ledger},
		{"a flow touches lines and leaves them as they were",
			a_flow_touches_lines_and_leaves_them_as_they_were},
		{"a ring is tight when three quarters are full",
			a_ring_is_tight_when_three_quarters_are_full},
		{"a batch is published by one commit", a_batch_is_published_by_one_commit},
		{"less than reserved may be staged", less_than_reserved_may_be_staged},
		{"old payload is never taken for a header",
			old_payload_is_never_taken_for_a_header},
		{"a producer takes over what was committed",
			a_producer_takes_over_what_was_committed},
		{"hostile headers are corrupt", hostile_headers_are_corrupt},
		{"a pad alone is corrupt", a_pad_alone_is_corrupt},
		{"a header like the last is checked too", a_header_like_the_last_is_checked_too},
		{"a hostile index is corrupt", a_hostile_index_is_corrupt},
		{NULL, NULL},
	};

	return harness_run(argc, argv, "ring", cases);
}
