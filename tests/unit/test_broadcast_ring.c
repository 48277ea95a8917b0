/* SPDX-License-Identifier: MIT */
/*
 * The ring of a broadcast, on plain memory: nothing torn, every message got or counted as missed,
 * nothing of the producer's believed.
 */
#include "config.h"

#include "harness/harness.h"

#include "duoshm.h"
#include "queue/broadcast_ring.h"

#include <pthread.h>

#define CAPACITY 1024u
#define LONGEST  (CAPACITY / 8)

struct cast {
	struct duoshm__broadcast_indices indices;
	_Alignas(64) unsigned char data[CAPACITY];
	unsigned char guard[64]; /* behind the ring: nobody's */
	struct duoshm__cast_producer producer;
	struct duoshm__cast_reader reader;
};

static struct cast cast;

static int take_over(void)
{
	return duoshm__cast_produce(&cast.producer, &cast.indices, cast.data, CAPACITY);
}

static int read_from_here(struct duoshm__cast_reader *reader)
{
	return duoshm__cast_read(reader, &cast.indices, cast.data, CAPACITY);
}

/* A ring that is new but for what its memory held before. */
static void new_cast(void)
{
	memset(&cast, 0, sizeof(cast));
	memset(cast.data, 0x5a, sizeof(cast.data));
	memset(cast.data, 0, 16);
	memset(cast.guard, 0x5a, sizeof(cast.guard));
	OK(take_over());
	OK(read_from_here(&cast.reader));
}

static bool guarded(void)
{
	for (size_t i = 0; i < sizeof(cast.guard); i++) {
		if (cast.guard[i] != 0x5a)
			return false;
	}
	return true;
}

/* Message `number`: its bytes and its length follow from the number, as far as 8 bytes hold it. */
static size_t make(uint64_t number, unsigned char message[LONGEST])
{
	size_t length = 8 + (size_t)(number * 7 % (LONGEST - 7));

	memset(message, (int)(number * 37 & 0xff), LONGEST);
	memcpy(message, &number, 8);
	return length;
}

static int publish(uint64_t number)
{
	unsigned char message[LONGEST];
	size_t length = make(number, message);

	return duoshm__cast_publish(&cast.producer, message, length);
}

static bool whole(uint64_t number, const unsigned char *got, uint64_t length)
{
	unsigned char message[LONGEST];

	return length == make(number, message) && memcmp(got, message, (size_t)length) == 0;
}

static int next(uint64_t *number, uint64_t *missed)
{
	unsigned char got[LONGEST];
	uint64_t length;
	int result = duoshm__cast_next(&cast.reader, got, sizeof(got), &length, missed);

	if (result != 0)
		return result;
	memcpy(number, got, 8);
	CHECK(whole(*number, got, length));
	return 0;
}

static void lengths_from_nothing_to_the_longest(void)
{
	unsigned char out[LONGEST + 1], in[LONGEST + 1];
	uint64_t length, missed;
	bool all = true;

	memset(out, 0x77, sizeof(out));
	for (int round = 0; round < 9; round++) {
		for (size_t i = 0; i <= LONGEST; i++) {
			all = all && !duoshm__cast_waiting(&cast.reader);
			all = all && duoshm__cast_publish(&cast.producer, out, i) == 0;
			all = all && duoshm__cast_waiting(&cast.reader);
			all = all && duoshm__cast_next(
					     &cast.reader, in, sizeof(in), &length, &missed) == 0;
			all = all && length == i && memcmp(in, out, i) == 0 && missed == 0;
		}
	}
	CHECK(all);
	CHECK(guarded());
	EXPECT(duoshm__cast_publish(&cast.producer, out, LONGEST + 1), DUOSHM_ERR_TOO_LONG);
}

static void a_new_reader_begins_with_what_comes(void)
{
	struct duoshm__cast_reader late;
	unsigned char got[LONGEST];
	uint64_t length, missed;

	for (uint64_t i = 0; i < 3; i++)
		EXPECT(publish(i), 0);
	EXPECT(read_from_here(&late), 0);
	EXPECT(duoshm__cast_next(&late, got, sizeof(got), &length, &missed), DUOSHM_ERR_TIMEOUT);
	/* and knows from then on what it misses, though it has read nothing yet */
	for (uint64_t i = 3; i < 203; i++)
		EXPECT(publish(i), 0);
	EXPECT(duoshm__cast_next(&late, got, sizeof(got), &length, &missed), 0);
	CHECK(whole(202, got, length));
	EXPECT(missed, 199);
}

static void too_long_for_the_buffer_is_skipped(void)
{
	unsigned char got[LONGEST];
	uint64_t length = 4711, missed = 4711;

	EXPECT(duoshm__cast_publish(&cast.producer, "0123456789", 10), 0);
	EXPECT(duoshm__cast_publish(&cast.producer, "abc", 3), 0);
	EXPECT(duoshm__cast_next(&cast.reader, got, 9, &length, &missed), DUOSHM_ERR_TOO_LONG);
	EXPECT(length, 4711);
	EXPECT(missed, 4711);
	EXPECT(duoshm__cast_next(&cast.reader, got, 9, &length, &missed), 0);
	EXPECT(length, 3);
	EXPECT(missed, 0);
	CHECK(memcmp(got, "abc", 3) == 0);
}

/*
 * The producer dies in the middle of its longest message, of which it wrote the number (one store)
 * and `bytes`: the indices and the ring are as they are at that point. The next one takes over and
 * publishes a short message.
 */
static void die_amid_a_message(size_t bytes)
{
	struct duoshm__cast_producer *p = &cast.producer;
	uint64_t end = p->commit + 16 + LONGEST;

	duoshm__store64(&cast.indices.intent, p->intent > end ? p->intent : end);
	memcpy(cast.data + p->commit % CAPACITY, &p->sequence, 8);
	for (size_t i = 8; i < 8 + bytes; i++)
		cast.data[(p->commit + i) % CAPACITY] = 0xdd;
	OK(take_over());
	OK(duoshm__cast_publish(&cast.producer, "end", 3));
}

/*
 * The intent rule. A reader stands at the oldest record that is still whole by the short message's
 * measure, but the dead producer's bytes lie over it. If the new producer let intent fall to its
 * own message's end, that reader would take the torn record.
 */
static void intent_never_falls_at_a_takeover(void)
{
	unsigned torn = 0, lapped = 0;

	for (uint64_t count = 8; count < 200; count++) {
		for (uint64_t behind = 1; behind <= count && behind < 20; behind++) {
			new_cast();
			struct duoshm__cast_reader stand;
			unsigned char got[LONGEST];
			uint64_t length, missed, number;
			for (uint64_t i = 0; i < count - behind; i++)
				(void)publish(i);
			(void)read_from_here(&stand);
			for (uint64_t i = count - behind; i < count; i++)
				(void)publish(i);
			die_amid_a_message(8 + LONGEST);
			int result = duoshm__cast_next(&stand, got, sizeof(got), &length, &missed);
			memcpy(&number, got, 8);
			if (result == 0 && length == 3 && memcmp(got, "end", 3) == 0)
				lapped++;
			else if (result != 0 || !whole(number, got, length))
				torn++;
		}
	}
	EXPECT(torn, 0);
	CHECK(lapped > 0);
}

static void numbers_go_on_after_a_takeover(void)
{
	unsigned char got[LONGEST];
	uint64_t number, length, missed;

	for (uint64_t i = 0; i < 40; i++) {
		EXPECT(publish(i), 0);
		EXPECT(next(&number, &missed), 0);
	}
	/* killed between `last` and `commit`: that message never was, its number is free */
	struct duoshm__cast_producer before = cast.producer;
	EXPECT(publish(99), 0);
	duoshm__store64(&cast.indices.commit, before.commit);
	EXPECT(next(&number, &missed), DUOSHM_ERR_TIMEOUT);
	EXPECT(take_over(), 0);
	EXPECT(cast.producer.sequence, 40);
	/* a reader that comes at that moment expects it, too */
	struct duoshm__cast_reader late;
	EXPECT(read_from_here(&late), 0);
	CHECK(late.counting);
	EXPECT(late.expected, 40);
	/* killed before `last` */
	die_amid_a_message(5);
	EXPECT(duoshm__cast_next(&cast.reader, got, sizeof(got), &length, &missed), 0);
	EXPECT(missed, 0);
	EXPECT(length, 3);
}

/* ---- two threads ----------------------------------------------------------------------------- */

struct race {
	uint64_t messages;
	struct duoshm__word32 over;
};

static void *publish_all(void *arg)
{
	struct race *race = arg;

	for (uint64_t i = 0; i < race->messages; i++)
		(void)publish(i);
	duoshm__store32_release(&race->over, 1);
	return NULL;
}

static void got_and_missed_is_all(void)
{
	struct race race = {.messages = (uint64_t)harness_scale(20000, 300000, 10000000)};
	pthread_t thread;
	uint64_t got = 0, missed_all = 0, expected = 0, number, missed;
	bool order = true, over;

	OK(pthread_create(&thread, NULL, publish_all, &race));
	do {
		over = duoshm__load32_acquire(&race.over) != 0;
		while (next(&number, &missed) == 0) {
			order = order && number == expected + missed;
			expected = number + 1;
			missed_all += missed;
			got++;
		}
	} while (!over);
	EXPECT(pthread_join(thread, NULL), 0);
	CHECK(order);
	EXPECT(got + missed_all, race.messages);
}

/* ---- hostile bytes --------------------------------------------------------------------------- */

static void indices_without_sense_are_corrupt(void)
{
	uint64_t number, missed;

	for (uint64_t i = 0; i < 100; i++)
		(void)publish(i);
	uint64_t commit = cast.producer.commit;
	EXPECT(read_from_here(&cast.reader), 0);
	duoshm__store64(&cast.indices.commit, commit - 8);
	EXPECT(next(&number, &missed), DUOSHM_ERR_CORRUPT);
	duoshm__store64(&cast.indices.commit, commit + 3);
	EXPECT(next(&number, &missed), DUOSHM_ERR_CORRUPT);
	/* lapped, but where to is not ahead */
	duoshm__store64(&cast.indices.commit, commit + 8 * CAPACITY);
	EXPECT(next(&number, &missed), DUOSHM_ERR_CORRUPT);
	duoshm__store64(&cast.indices.last, commit + 4);
	EXPECT(next(&number, &missed), DUOSHM_ERR_CORRUPT);
	EXPECT(take_over(), DUOSHM_ERR_CORRUPT);
	duoshm__store64(&cast.indices.commit, commit);
	duoshm__store64(&cast.indices.last, commit);
	duoshm__store64(&cast.indices.intent, commit - 8);
	EXPECT(take_over(), DUOSHM_ERR_CORRUPT);
}

static void a_record_without_sense_is_corrupt(void)
{
	static const uint64_t lengths[] = {LONGEST + 1, 200, UINT64_MAX, UINT64_MAX - 15, 40};

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		new_cast();
		unsigned char got[LONGEST];
		uint64_t length, missed;
		(void)duoshm__cast_publish(&cast.producer, got, 32);
		memcpy(cast.data + 8, &lengths[i], 8);
		EXPECT(duoshm__cast_next(&cast.reader, got, sizeof(got), &length, &missed),
			DUOSHM_ERR_CORRUPT);
	}
	/* a number that was there before */
	new_cast();
	uint64_t number, missed;
	(void)publish(0);
	EXPECT(next(&number, &missed), 0);
	cast.producer.sequence = 0;
	(void)publish(1);
	EXPECT(next(&number, &missed), DUOSHM_ERR_CORRUPT);
}

int main(int argc, char **argv)
{
	static const struct harness_case cases[] = {
		{"lengths from nothing to the longest", lengths_from_nothing_to_the_longest},
		{"a new reader begins with what comes", a_new_reader_begins_with_what_comes},
		{"too long for the buffer is skipped", too_long_for_the_buffer_is_skipped},
		{"intent never falls at a takeover", intent_never_falls_at_a_takeover},
		{"numbers go on after a takeover", numbers_go_on_after_a_takeover},
		{"got and missed is all", got_and_missed_is_all},
		{"indices without sense are corrupt", indices_without_sense_are_corrupt},
		{"a record without sense is corrupt", a_record_without_sense_is_corrupt},
		{NULL, NULL},
	};

	harness_around(new_cast, NULL);
	return harness_run(argc, argv, "broadcast ring", cases);
}
