/* SPDX-License-Identifier: MIT */
/*
 * Queues and broadcasts on each family, beyond what tests/conformance proves of them: staging, calls
 * out of place, producers that follow each other, life in a segment, many sleepers, and bytes that
 * no call of the library writes.
 */
#include "config.h"

#include "core/fast.h"
#include "queue/broadcast_layout.h"
#include "queue/flow.h"
#include "queue/queue_layout.h"
#include "unit/sleepers.h"

#define READERS 6

static struct duoshm *ctx;
static struct duoshm_queue *in, *out; /* both ends of one queue */
static struct duoshm_broadcast *cast, *reader;

static struct duoshm_queue *open_queue(enum duoshm_role role)
{
	struct duoshm_queue *queue = NULL;

	OK(duoshm_queue_open(ctx, harness_name("queue"), role, 0, &queue));
	return queue;
}

static struct duoshm_broadcast *tune_in(enum duoshm_role role, unsigned flags)
{
	struct duoshm_broadcast *opened = NULL;

	OK(duoshm_broadcast_open(ctx, harness_name("cast"), role, flags, 0, &opened));
	return opened;
}

static void begin(void)
{
	ctx = new_context();
	OK(duoshm_queue_create(ctx, harness_name("queue"), 256, DUOSHM_PRODUCER, NULL, &in));
	out = open_queue(DUOSHM_CONSUMER);
	OK(duoshm_broadcast_create(ctx, harness_name("cast"), 256, NULL, &cast));
	reader = tune_in(DUOSHM_READER, 0);
}

/* In a child, too: of its copies of the parent's. */
static void close_all(int result)
{
	EXPECT(duoshm_queue_close(out), result);
	EXPECT(duoshm_broadcast_close(reader), result);
	/* A case may have closed these. */
	EXPECT(duoshm_queue_close(in), in != NULL ? result : 0);
	EXPECT(duoshm_broadcast_close(cast), cast != NULL ? result : 0);
}

static void end(void)
{
	close_all(0);
	(void)duoshm_remove(ctx, harness_name("queue")); /* a case may have done it */
	(void)duoshm_remove(ctx, harness_name("cast"));
	end_context(ctx);
}

/* The next message is this one. */
static void comes(struct duoshm_queue *q, const char *message)
{
	char buffer[16] = "";

	EXPECT(duoshm_queue_receive(q, buffer, sizeof(buffer), LONG_TIME), strlen(message));
	EXPECT_TEXT(buffer, message);
}

/* Nothing more comes, for this reason. */
static void ends_with(struct duoshm_queue *q, int64_t timeout_ns, int reason)
{
	char byte;

	EXPECT(duoshm_queue_receive(q, &byte, 1, timeout_ns), reason);
	EXPECT(duoshm_queue_pending(q), reason);
}

/* ---- queues ---------------------------------------------------------------------------------- */

/* What is staged goes out when there is no room left, or both sides would wait for ever. */
static void staged_messages_do_not_block_themselves(void)
{
	char buffer[24];
	void *room;
	int staged = 0;

	while (duoshm_queue_reserve(in, 24, &room, MS) == 0) {
		EXPECT(duoshm_queue_stage(in, 24), 0);
		if (staged++ == 0)
			ends_with(out, 0, DUOSHM_ERR_TIMEOUT); /* not seen yet */
	}
	EXPECT(duoshm_failure()->code, DUOSHM_ERR_TIMEOUT);
	EXPECT(staged, 7);
	for (int i = 0; i < staged; i++)
		EXPECT(duoshm_queue_receive(out, buffer, sizeof(buffer), 0), 24);
	ends_with(out, MS, DUOSHM_ERR_TIMEOUT);
}

static void calls_out_of_place_are_refused(void)
{
	const void *message;
	struct duoshm_queue *q = NULL;
	void *room;
	char c;

	EXPECT(duoshm_queue_send(out, "x", 1, 0), DUOSHM_ERR_NOT_OWNER);
	EXPECT(duoshm_queue_reserve(out, 1, &room, 0), DUOSHM_ERR_NOT_OWNER);
	EXPECT(duoshm_queue_finish(out), DUOSHM_ERR_NOT_OWNER);
	EXPECT(duoshm_queue_receive(in, &c, 1, 0), DUOSHM_ERR_NOT_OWNER);
	EXPECT(duoshm_queue_peek(in, &message, 0), DUOSHM_ERR_NOT_OWNER);
	EXPECT(duoshm_queue_send(in, "x", 1, -1), DUOSHM_ERR_INVALID);
	EXPECT(duoshm_queue_receive(out, &c, 1, -1), DUOSHM_ERR_INVALID);
	EXPECT(duoshm_queue_send(NULL, "x", 1, 0), DUOSHM_ERR_INVALID);
	EXPECT(duoshm_queue_send_many(out, "12345678", 8, 1, 0), DUOSHM_ERR_NOT_OWNER);
	EXPECT(duoshm_queue_send_many(NULL, "12345678", 8, 1, 0), DUOSHM_ERR_INVALID);
	EXPECT(duoshm_queue_send_many(in, "12345678", 8, 0, 0), 0);
	EXPECT(duoshm_queue_send_many(in, NULL, 8, 1, 0), DUOSHM_ERR_INVALID);
	EXPECT(duoshm_queue_send_many(in, "12345678", 8, 1, -1), DUOSHM_ERR_INVALID);
	ends_with(out, 0, DUOSHM_ERR_TIMEOUT);
	EXPECT(duoshm_queue_open(ctx, harness_name("queue"), DUOSHM_READER, 0, &q),
		DUOSHM_ERR_INVALID);
	CHECK(q == NULL);
	EXPECT(duoshm_queue_close(NULL), 0);
	EXPECT(duoshm_queue_commit(in, 0), DUOSHM_ERR_INVALID); /* nothing reserved */
	EXPECT(duoshm_queue_release(out), DUOSHM_ERR_INVALID);  /* nothing peeked at */
	OK(duoshm_queue_reserve(in, 9, &room, 0));
	EXPECT(duoshm_queue_reserve(in, 1, &room, 0), DUOSHM_ERR_INVALID);
	EXPECT(duoshm_queue_commit(in, 10), DUOSHM_ERR_INVALID);
	EXPECT(duoshm_queue_send(in, "12345678", 8, 0), DUOSHM_ERR_INVALID);
	EXPECT(duoshm_queue_send_many(in, "12345678", 8, 1, 0), DUOSHM_ERR_INVALID);
}

/* Also when others have been received since, without a look. */
static void nothing_is_released_twice(void)
{
	const void *message;

	for (int i = 0; i < 3; i++) {
		EXPECT(duoshm_queue_send(in, "12345678", 8, 0), 0);
		EXPECT(duoshm_queue_send(in, "the next", 8, 0), 0);
		comes(out, "12345678");
		EXPECT(duoshm_queue_release(out), DUOSHM_ERR_INVALID);
		EXPECT(duoshm_queue_peek(out, &message, 0), 8);
		comes(out, "the next");
		EXPECT(duoshm_queue_release(out), DUOSHM_ERR_INVALID);
		ends_with(out, 0, DUOSHM_ERR_TIMEOUT);
		EXPECT(duoshm_queue_release(out), DUOSHM_ERR_INVALID);
	}
}

/* What fits goes, in order, whatever its length; the next call tells why no more did. */
static void as_many_are_sent_as_fit(void)
{
	static const size_t lengths[] = {0, 8, 24, 64, 100};
	unsigned char messages[40 * 100], buffer[100];

	for (size_t i = 0; i < sizeof(messages); i++)
		messages[i] = (unsigned char)(i * 31 % 251);
	for (size_t i = 0; i < 5 * sizeof(lengths) / sizeof(lengths[0]); i++) {
		size_t length = lengths[i / 5];
		ssize_t sent = duoshm_queue_send_many(in, messages, length, 40, 0);

		CHECK_FATAL(sent > 0 && sent < 40);
		EXPECT(duoshm_failure()->code, DUOSHM_ERR_TIMEOUT);
		EXPECT(duoshm_queue_send_many(in, messages, length, 1, 0), DUOSHM_ERR_TIMEOUT);
		for (size_t at = 0; at < (size_t)sent; at++) {
			EXPECT(duoshm_queue_receive(out, buffer, sizeof(buffer), 0), length);
			CHECK(memcmp(buffer, messages + at * length, length) == 0);
		}
		ends_with(out, 0, DUOSHM_ERR_TIMEOUT);
		EXPECT(duoshm_queue_send_many(in, messages, length, 1, 0), 1);
		EXPECT(duoshm_queue_receive(out, buffer, sizeof(buffer), 0), length);
	}
}

static void many_come_after_what_was_staged(void)
{
	void *room;

	for (int i = 0; i < 10; i++) {
		EXPECT(duoshm_queue_reserve(in, 5, &room, 0), 0);
		memcpy(room, "first", 5);
		EXPECT(duoshm_queue_stage(in, 5), 0);
		EXPECT(duoshm_queue_send_many(in, "a secondthe last", 8, 2, 0), 2);
		comes(out, "first");
		comes(out, "a second");
		comes(out, "the last");
		ends_with(out, 0, DUOSHM_ERR_TIMEOUT);
	}
}

static void the_end_comes_after_all_messages(void)
{
	void *room;

	EXPECT(duoshm_queue_reserve(in, 6, &room, 0), 0);
	memcpy(room, "staged", 6);
	EXPECT(duoshm_queue_stage(in, 6), 0);
	EXPECT(duoshm_queue_reserve(in, 4, &room, 0), 0);
	EXPECT(duoshm_queue_finish(in), 0);
	EXPECT(duoshm_queue_send(in, "more", 4, 0), DUOSHM_ERR_INVALID);
	EXPECT(duoshm_queue_send(in, "12345678", 8, 0), DUOSHM_ERR_INVALID);
	EXPECT(duoshm_queue_send_many(in, "12345678", 8, 1, 0), DUOSHM_ERR_INVALID);
	comes(out, "staged");
	ends_with(out, DUOSHM_FOREVER, DUOSHM_ERR_END);
	EXPECT(duoshm_queue_close(in), 0);
	/* The next producer goes on, and the next consumer finds what was left. */
	in = open_queue(DUOSHM_PRODUCER);
	ends_with(out, 0, DUOSHM_ERR_TIMEOUT);
	EXPECT(duoshm_queue_close(out), 0);
	EXPECT(duoshm_queue_send(in, "last", 4, 0), 0);
	out = open_queue(DUOSHM_CONSUMER);
	EXPECT(duoshm_queue_close(in), 0); /* finishes, too */
	in = NULL;
	comes(out, "last");
	ends_with(out, DUOSHM_FOREVER, DUOSHM_ERR_END);
}

static void removal_is_told_after_what_was_left(void)
{
	EXPECT(duoshm_queue_send(in, "left", 4, 0), 0);
	discard(ctx, "queue");
	EXPECT(duoshm_queue_send(in, "x", 1, 0), DUOSHM_ERR_REMOVED);
	EXPECT(duoshm_queue_send_many(in, "12345678", 8, 1, 0), DUOSHM_ERR_REMOVED);
	comes(out, "left");
	ends_with(out, DUOSHM_FOREVER, DUOSHM_ERR_REMOVED);
}

/* ---- broadcasts ------------------------------------------------------------------------------ */

/* What the next call of a reader gives, and `message` where that is one. */
static void next_is(
	struct duoshm_broadcast *from, int64_t timeout_ns, ssize_t result, const char *message)
{
	uint64_t missed = 0;
	char buffer[32] = "";

	EXPECT(duoshm_broadcast_next(from, buffer, sizeof(buffer), &missed, timeout_ns), result);
	EXPECT_TEXT(buffer, message);
	EXPECT(missed, 0);
}

/* A consumer that takes messages of 16 bytes, header included, in a ring of 150. */
struct taker {
	struct duoshm__flow flow;
	uint64_t position;
};

static struct taker new_taker(void)
{
	struct taker taker = {.position = UINT64_MAX - 1000};

	duoshm__flow_init(&taker.flow, UINT64_C(150) * 16, taker.position);
	return taker;
}

/* Messages, which took `ns` and more, then a wait; is it one that keeps away? */
static bool keeps_away(struct taker *taker, unsigned messages, int64_t ns)
{
	unsigned taken = messages + (taker->flow.away ? DUOSHM__FLOW : 0);

	taker->position += UINT64_C(16) * messages;
	taker->flow.since -= ns;
	duoshm__flow_wait(&taker->flow, taker->position, &taken, LONG_TIME);
	EXPECT(taken, taker->flow.away ? DUOSHM__FLOW : 0);
	return taker->flow.away;
}

/* One message at a time, a second each, until it keeps away: how many waits. */
static unsigned waits_in_step(struct taker *taker)
{
	unsigned waits = 1;

	while (!keeps_away(taker, 1, SECOND) && waits < 100000)
		waits++;
	return waits;
}

static void keeping_away_is_for_who_gains_by_it(void)
{
	struct taker taker = new_taker();
	unsigned waits = waits_in_step(&taker), before, polled = DUOSHM__FLOW + 3;

	/* Answers: each try is put off twice as far. */
	EXPECT(waits, 64);
	for (int i = 0; i < 4; i++) {
		CHECK(keeps_away(&taker, 1, 0));
		CHECK(!keeps_away(&taker, 1, 0));
		before = waits;
		waits = waits_in_step(&taker);
		EXPECT(waits, 2 * before);
	}
	/* A look changes nothing. */
	duoshm__flow_wait(&taker.flow, taker.position, &polled, 0);
	EXPECT(polled, DUOSHM__FLOW);
	CHECK(taker.flow.away);
	/* For three laps it is not judged how long a message takes; then half a second is good. */
	for (int i = 0; i < 4; i++)
		CHECK(keeps_away(&taker, 100, 1000 * SECOND));
	CHECK(keeps_away(&taker, 100, 60 * SECOND));
	CHECK(keeps_away(&taker, 100, 45 * SECOND));
	CHECK(keeps_away(&taker, 100, 60 * SECOND));
	CHECK(!keeps_away(&taker, 100, 60 * SECOND));
	/* It was good for a while, so it is sooner tried again; few messages are no flow. */
	EXPECT(waits_in_step(&taker), waits);
	CHECK(keeps_away(&taker, 7, 0));
	CHECK(keeps_away(&taker, 8, 0));
	CHECK(keeps_away(&taker, 7, 0));
	CHECK(!keeps_away(&taker, 7, 0));
}

/* Of so many waits, how many keep away where that takes `away` for a batch, and else `in_step`. */
static unsigned kept_away(unsigned waits, unsigned batch, int64_t in_step, int64_t away)
{
	struct taker taker = new_taker();
	unsigned kept = 0;

	for (unsigned i = 0; i < waits; i++)
		kept += keeps_away(&taker, batch, taker.flow.away ? away : in_step);
	return kept;
}

static void batches_are_left_alone_unless_they_gain(void)
{
	CHECK(kept_away(20000, 32, SECOND, 3 * SECOND) < 500);
	CHECK(kept_away(20000, 12, SECOND, 3 * SECOND) < 2000);
	CHECK(kept_away(20000, 32, SECOND, SECOND * 2 / 3) < 500);
	CHECK(kept_away(20000, 32, 3 * SECOND, SECOND) > 18000);
	CHECK(kept_away(20000, 12, 3 * SECOND, SECOND) > 18000);
}

static void the_pace_is_the_best_of_four(void)
{
	struct taker taker = new_taker();

	taker.flow.gap = 1;
	for (int i = 1; i <= 127; i++) {
		bool quick = i > 32 && i <= 48;
		CHECK(!keeps_away(&taker, 1, quick ? 0 : SECOND));
		if (i >= 16)
			CHECK((taker.flow.pace > SECOND) == (i < 48 || i >= 80));
	}
}

static void wrong_calls_are_refused(void)
{
	struct duoshm_broadcast *q = NULL;
	const char *name = harness_name("cast");
	char buffer[64] = "";

	EXPECT(duoshm_broadcast_publish(reader, "x", 1), DUOSHM_ERR_NOT_OWNER);
	EXPECT(duoshm_broadcast_next(cast, buffer, 1, NULL, 0), DUOSHM_ERR_NOT_OWNER);
	EXPECT(duoshm_broadcast_publish(cast, buffer, 33), DUOSHM_ERR_TOO_LONG);
	EXPECT(duoshm_broadcast_publish(cast, NULL, 1), DUOSHM_ERR_INVALID);
	EXPECT(duoshm_broadcast_next(reader, buffer, 1, NULL, -1), DUOSHM_ERR_INVALID);
	EXPECT(duoshm_broadcast_open(ctx, name, DUOSHM_PRODUCER, 0, 0, &q), DUOSHM_ERR_BUSY);
	EXPECT(duoshm_broadcast_open(ctx, name, DUOSHM_CONSUMER, 0, 0, &q), DUOSHM_ERR_INVALID);
	CHECK(q == NULL);
	EXPECT(duoshm_broadcast_publish(cast, NULL, 0), 0);
	EXPECT(duoshm_broadcast_next(reader, NULL, 0, NULL, 0), 0);
	EXPECT(duoshm_broadcast_publish(cast, "0123456789", 10), 0);
	EXPECT(duoshm_broadcast_publish(cast, "abc", 3), 0);
	EXPECT(duoshm_broadcast_next(reader, buffer, 9, NULL, 0), DUOSHM_ERR_TOO_LONG);
	next_is(reader, 0, 3, "abc");
	EXPECT(duoshm_broadcast_close(NULL), 0);
}

static void the_next_producer_goes_on(void)
{
	EXPECT(duoshm_broadcast_publish(cast, "last", 4), 0);
	EXPECT(duoshm_broadcast_close(cast), 0);
	next_is(reader, DUOSHM_FOREVER, 4, "last");
	next_is(reader, DUOSHM_FOREVER, DUOSHM_ERR_END, "");
	cast = tune_in(DUOSHM_PRODUCER, 0);
	next_is(reader, 0, DUOSHM_ERR_TIMEOUT, "");
	EXPECT(duoshm_broadcast_publish(cast, "more", 4), 0);
	next_is(reader, 0, 4, "more");
}

static void removal_is_told(void)
{
	struct duoshm_broadcast *looker = tune_in(DUOSHM_READER, DUOSHM_READ_ONLY);

	discard(ctx, "cast");
	EXPECT(duoshm_broadcast_publish(cast, "x", 1), DUOSHM_ERR_REMOVED);
	next_is(reader, DUOSHM_FOREVER, DUOSHM_ERR_REMOVED, "");
	next_is(looker, DUOSHM_FOREVER, DUOSHM_ERR_REMOVED, "");
	EXPECT(duoshm_broadcast_close(looker), 0);
}

/* ---- in a segment ---------------------------------------------------------------------------- */

static void queues_live_in_a_segment(void)
{
	struct duoshm_create options = create_with(0, 2);
	size_t bytes = duoshm_queue_bytes(1000);
	const struct {
		size_t offset, bytes;
	} wrong[] = {{65, bytes}, {128 + bytes, bytes}, {64, 1000}, {SIZE_MAX - 63, 128}};
	struct duoshm_segment *segment;
	struct duoshm_queue *producer, *consumer, *bad = NULL;

	EXPECT(bytes, DUOSHM__QUEUE_HEADER + 1024);
	OK(duoshm_segment_create(ctx, harness_name("lane"), 64 + 2 * bytes, &options, &segment));
	EXPECT(duoshm_queue_attach(segment, 64, bytes, 0, DUOSHM_PRODUCER, &bad),
		DUOSHM_ERR_CORRUPT);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		EXPECT(duoshm_queue_format(segment, wrong[i].offset, wrong[i].bytes),
			DUOSHM_ERR_INVALID);
	EXPECT(duoshm_queue_format(segment, 64, bytes), 0);
	EXPECT(duoshm_queue_format(segment, 64 + bytes, bytes), 0);
	EXPECT(duoshm_queue_attach(segment, 64, bytes, 1, DUOSHM_PRODUCER, &bad),
		DUOSHM_ERR_INVALID); /* bells 1 and 2, of two */
	EXPECT(duoshm_queue_attach(segment, 64, bytes - 512, 0, DUOSHM_PRODUCER, &bad),
		DUOSHM_ERR_CORRUPT);
	CHECK(bad == NULL);
	for (unsigned i = 0; i < 2; i++) {
		unsigned bells = i == 0 ? 0 : DUOSHM_NO_BELLS;
		size_t at = 64 + i * bytes;
		OK(duoshm_queue_attach(segment, at, bytes, bells, DUOSHM_PRODUCER, &producer));
		OK(duoshm_queue_attach(segment, at, bytes, bells, DUOSHM_CONSUMER, &consumer));
		EXPECT(duoshm_queue_send(producer, "hello", 5, 0), 0);
		comes(consumer, "hello");
		ends_with(consumer, 3 * MS, DUOSHM_ERR_TIMEOUT);
		EXPECT(duoshm_queue_close(producer), 0);
		EXPECT(duoshm_queue_close(consumer), 0);
	}
	end_segment(segment);
	discard(ctx, "lane");
}

static void a_holder_that_is_no_process_is_corrupt(void)
{
	size_t bytes = duoshm_queue_bytes(256);
	struct duoshm_segment *segment = make_segment(ctx, "forged", bytes, 0);
	struct duoshm__queue *shared = duoshm_segment_data(segment);
	struct duoshm_queue *consumer, *producer;

	EXPECT(duoshm_queue_format(segment, 0, bytes), 0);
	OK(duoshm_queue_attach(segment, 0, bytes, DUOSHM_NO_BELLS, DUOSHM_CONSUMER, &consumer));
	duoshm__store64(&shared->producer.holder, UINT64_MAX);
	ends_with(consumer, DUOSHM_FOREVER, DUOSHM_ERR_CORRUPT);
	EXPECT(duoshm_queue_attach(segment, 0, bytes, DUOSHM_NO_BELLS, DUOSHM_PRODUCER, &producer),
		DUOSHM_ERR_CORRUPT);
	/* an id that no living process has: dead */
	duoshm__store64(&shared->producer.holder, 12345);
	ends_with(consumer, DUOSHM_FOREVER, DUOSHM_ERR_PEER_DEAD);
	EXPECT(duoshm_queue_close(consumer), 0);
	end_segment(segment);
	discard(ctx, "forged");
}

static void a_broadcast_lives_in_a_segment(void)
{
	struct duoshm_create options = create_with(0, 3);
	size_t bytes = duoshm_broadcast_bytes(4096);
	struct duoshm_segment *segment, *view;
	struct duoshm_broadcast *to, *from, *bad;

	EXPECT(bytes, DUOSHM__BROADCAST_HEADER + 4096);
	OK(duoshm_segment_create(ctx, harness_name("stream"), 128 + bytes, &options, &segment));
	EXPECT(duoshm_broadcast_format(segment, 128, bytes), 0);
	OK(duoshm_broadcast_attach(segment, 128, bytes, 1, DUOSHM_PRODUCER, &to));
	view = open_segment(ctx, "stream", DUOSHM_READ_ONLY);
	EXPECT(duoshm_broadcast_attach(view, 128, bytes, 1, DUOSHM_PRODUCER, &bad),
		DUOSHM_ERR_READ_ONLY);
	EXPECT(duoshm_broadcast_format(view, 128, bytes), DUOSHM_ERR_READ_ONLY);
	OK(duoshm_broadcast_attach(view, 128, bytes, 1, DUOSHM_READER, &from));
	EXPECT(duoshm_broadcast_publish(to, "hello", 5), 0);
	next_is(from, DUOSHM_FOREVER, 5, "hello");
	EXPECT(duoshm_broadcast_close(from), 0);
	EXPECT(duoshm_broadcast_close(to), 0);
	end_segment(view);
	end_segment(segment);
	discard(ctx, "stream");
}

/* ---- sleeping readers ------------------------------------------------------------------------ */

enum { MESSAGES = 20 };

static _Atomic uint64_t *heard; /* by each of them, in shared memory */

/* Or have failed. */
static bool all_heard(void *readers)
{
	const struct helper *one = readers;

	for (int i = 0; i < READERS; i++) {
		if (heard[i] <= *(uint64_t *)one[i].more &&
			harness_process_state(one[i].pid) != 'Z')
			return false;
	}
	return true;
}

/* Hears every message, up to the end. */
static int listens(void *arg)
{
	struct helper *helper = arg;
	uint64_t missed, expected = 0, number;
	ssize_t length;

	close_all(DUOSHM_ERR_FORKED);
	(void)duoshm_free(ctx);
	ctx = new_context();
	reader = tune_in(DUOSHM_READER, helper->flags);
	harness_gate_open(&helper->ready);
	while ((length = duoshm_broadcast_next(reader, &number, 8, &missed, LONG_TIME)) == 8) {
		EXPECT(number, expected + missed);
		expected = number + 1;
		heard[helper->number] = expected;
	}
	EXPECT(length, DUOSHM_ERR_END);
	EXPECT(expected, MESSAGES);
	EXPECT(duoshm_broadcast_close(reader), 0);
	return duoshm_free(ctx);
}

static void listen_asleep(unsigned flags)
{
	struct helper helpers[READERS];
	uint64_t number = 0;

	heard = harness_shared(READERS * sizeof *heard);
	for (int i = 0; i < READERS; i++) {
		helpers[i].number = i;
		helpers[i].more = &number;
		start_helper(&helpers[i], listens, "cast", flags);
	}
	for (number = 0; number < MESSAGES; number++) {
		for (int i = 0; i < READERS; i++)
			(void)harness_until_asleep(helpers[i].pid);
		EXPECT(duoshm_broadcast_publish(cast, &number, sizeof(number)), 0);
		/* Before that, the rings of two messages could be taken for each other. */
		CHECK_FATAL(harness_until(all_heard, helpers));
	}
	EXPECT(duoshm_broadcast_close(cast), 0);
	cast = NULL;
	for (int i = 0; i < READERS; i++)
		finish_helper(&helpers[i]);
}

static void all_sleeping_readers_are_woken(void)
{
	patient_begin();
	listen_asleep(0);
	patient_end();
}

static void read_only_readers_find_it_themselves(void)
{
	listen_asleep(DUOSHM_READ_ONLY);
}

static const struct harness_case cases[] = {
	{"queue: staged messages do not block themselves", staged_messages_do_not_block_themselves},
	{"queue: calls out of place are refused", calls_out_of_place_are_refused},
	{"queue: nothing is released twice", nothing_is_released_twice},
	{"queue: as many are sent as fit", as_many_are_sent_as_fit},
	{"queue: many come after what was staged", many_come_after_what_was_staged},
	{"queue: the end comes after all messages", the_end_comes_after_all_messages},
	{"queue: removal is told after what was left", removal_is_told_after_what_was_left},
	{"queue: lives in a segment", queues_live_in_a_segment},
	{"queue: a holder that is no process is corrupt", a_holder_that_is_no_process_is_corrupt},
	{"queue: keeping away is for who gains by it", keeping_away_is_for_who_gains_by_it},
	{"queue: batches are left alone unless they gain", batches_are_left_alone_unless_they_gain},
	{"queue: the pace is the best of four", the_pace_is_the_best_of_four},
	{"broadcast: wrong calls are refused", wrong_calls_are_refused},
	{"broadcast: the next producer goes on", the_next_producer_goes_on},
	{"broadcast: removal is told", removal_is_told},
	{"broadcast: lives in a segment", a_broadcast_lives_in_a_segment},
	{"broadcast: all sleeping readers are woken", all_sleeping_readers_are_woken},
	{"broadcast: read-only readers find it themselves", read_only_readers_find_it_themselves},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	harness_around(begin, end);
	return harness_run_each(argc, argv, "messages", cases);
}
