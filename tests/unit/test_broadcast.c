/* SPDX-License-Identifier: MIT */
/*
 * Broadcasts on each family, beyond what tests/conformance proves of them: producers that follow
 * each other, broadcasts in a segment, many sleepers, and what publishing costs.
 */
#include "config.h"

#include "unit/sleepers.h"
#include "queue/broadcast_layout.h"

#define READERS 6

struct station {
	struct duoshm *ctx;
	const char *stem;
	struct duoshm_broadcast *out;
};

static struct duoshm_broadcast *open_as(
	struct duoshm *ctx, const char *stem, enum duoshm_role role, unsigned flags)
{
	struct duoshm_broadcast *opened = NULL;

	OK(duoshm_broadcast_open(ctx, harness_name(stem), role, flags, 0, &opened));
	return opened;
}

static struct station new_station(const char *stem, size_t capacity)
{
	struct station s = {.ctx = new_context(), .stem = stem};

	OK(duoshm_broadcast_create(s.ctx, harness_name(stem), capacity, NULL, &s.out));
	return s;
}

static struct duoshm_broadcast *new_reader(const struct station *s, unsigned flags)
{
	return open_as(s->ctx, s->stem, DUOSHM_READER, flags);
}

static void end_station(struct station *s, struct duoshm_broadcast *reader)
{
	EXPECT(duoshm_broadcast_close(reader), 0);
	EXPECT(duoshm_broadcast_close(s->out), 0);
	discard(s->ctx, s->stem);
	end_context(s->ctx);
}

/* What the next call of a reader gives, and `message` where that is one. */
static void next_is(
	struct duoshm_broadcast *reader, int64_t timeout_ns, ssize_t result, const char *message)
{
	uint64_t missed = 0;
	char buffer[32] = "";

	EXPECT(duoshm_broadcast_next(reader, buffer, sizeof(buffer), &missed, timeout_ns), result);
	EXPECT_TEXT(buffer, message);
	EXPECT(missed, 0);
}

static void a_reader_gets_what_comes_after_it(void)
{
	struct station s = new_station("each", 1000);
	struct duoshm_broadcast *readers[2];

	EXPECT(duoshm_broadcast_longest(s.out), 128);
	EXPECT(duoshm_broadcast_publish(s.out, "before", 6), 0);
	for (int i = 0; i < 2; i++)
		readers[i] = new_reader(&s, i == 0 ? 0 : DUOSHM_READ_ONLY);
	EXPECT(duoshm_broadcast_publish(s.out, "one", 3), 0);
	EXPECT(duoshm_broadcast_publish(s.out, NULL, 0), 0);
	for (int i = 0; i < 2; i++) {
		EXPECT(duoshm_broadcast_longest(readers[i]), 128);
		next_is(readers[i], DUOSHM_FOREVER, 3, "one");
		EXPECT(duoshm_broadcast_next(readers[i], NULL, 0, NULL, 0), 0);
		next_is(readers[i], 0, DUOSHM_ERR_TIMEOUT, "");
		next_is(readers[i], 2 * MS, DUOSHM_ERR_TIMEOUT, "");
	}
	EXPECT(duoshm_broadcast_close(readers[1]), 0);
	end_station(&s, readers[0]);
}

static void wrong_calls_are_refused(void)
{
	struct station s = new_station("wrong", 256);
	struct duoshm_broadcast *reader = new_reader(&s, 0), *q = NULL;
	const char *name = harness_name(s.stem);
	char buffer[64] = "";

	EXPECT(duoshm_broadcast_publish(reader, "x", 1), DUOSHM_ERR_NOT_OWNER);
	EXPECT(duoshm_broadcast_next(s.out, buffer, 1, NULL, 0), DUOSHM_ERR_NOT_OWNER);
	EXPECT(duoshm_broadcast_publish(s.out, buffer, 33), DUOSHM_ERR_TOO_LONG);
	EXPECT(duoshm_broadcast_publish(s.out, NULL, 1), DUOSHM_ERR_INVALID);
	EXPECT(duoshm_broadcast_next(reader, buffer, 1, NULL, -1), DUOSHM_ERR_INVALID);
	EXPECT(duoshm_broadcast_open(s.ctx, name, DUOSHM_PRODUCER, 0, 0, &q), DUOSHM_ERR_BUSY);
	EXPECT(duoshm_broadcast_open(s.ctx, name, DUOSHM_CONSUMER, 0, 0, &q), DUOSHM_ERR_INVALID);
	CHECK(q == NULL);
	EXPECT(duoshm_broadcast_publish(s.out, "0123456789", 10), 0);
	EXPECT(duoshm_broadcast_publish(s.out, "abc", 3), 0);
	EXPECT(duoshm_broadcast_next(reader, buffer, 9, NULL, 0), DUOSHM_ERR_TOO_LONG);
	next_is(reader, 0, 3, "abc");
	EXPECT(duoshm_broadcast_close(NULL), 0);
	end_station(&s, reader);
}

static void the_next_producer_goes_on(void)
{
	struct station s = new_station("end", 256);
	struct duoshm_broadcast *reader = new_reader(&s, 0);

	EXPECT(duoshm_broadcast_publish(s.out, "last", 4), 0);
	EXPECT(duoshm_broadcast_close(s.out), 0);
	next_is(reader, DUOSHM_FOREVER, 4, "last");
	next_is(reader, DUOSHM_FOREVER, DUOSHM_ERR_END, "");
	s.out = open_as(s.ctx, s.stem, DUOSHM_PRODUCER, 0);
	next_is(reader, 0, DUOSHM_ERR_TIMEOUT, "");
	EXPECT(duoshm_broadcast_publish(s.out, "more", 4), 0);
	next_is(reader, 0, 4, "more");
	end_station(&s, reader);
}

static void removal_is_told(void)
{
	struct station s = new_station("removed", 256);
	struct duoshm_broadcast *reader = new_reader(&s, DUOSHM_READ_ONLY);

	discard(s.ctx, s.stem);
	EXPECT(duoshm_broadcast_publish(s.out, "x", 1), DUOSHM_ERR_REMOVED);
	next_is(reader, DUOSHM_FOREVER, DUOSHM_ERR_REMOVED, "");
	EXPECT(duoshm_broadcast_close(reader), 0);
	EXPECT(duoshm_broadcast_close(s.out), 0);
	end_context(s.ctx);
}

static void a_broadcast_lives_in_a_segment(void)
{
	struct duoshm_create options = create_with(0, 3);
	struct station s = {.ctx = new_context(), .stem = "stream"};
	size_t bytes = duoshm_broadcast_bytes(4096);
	struct duoshm_segment *segment, *view;
	struct duoshm_broadcast *in, *bad;

	EXPECT(bytes, DUOSHM__BROADCAST_HEADER + 4096);
	OK(duoshm_segment_create(s.ctx, harness_name(s.stem), 128 + bytes, &options, &segment));
	EXPECT(duoshm_broadcast_format(segment, 128, bytes), 0);
	OK(duoshm_broadcast_attach(segment, 128, bytes, 1, DUOSHM_PRODUCER, &s.out));
	view = open_segment(s.ctx, s.stem, DUOSHM_READ_ONLY);
	EXPECT(duoshm_broadcast_attach(view, 128, bytes, 1, DUOSHM_PRODUCER, &bad),
		DUOSHM_ERR_READ_ONLY);
	EXPECT(duoshm_broadcast_format(view, 128, bytes), DUOSHM_ERR_READ_ONLY);
	OK(duoshm_broadcast_attach(view, 128, bytes, 1, DUOSHM_READER, &in));
	EXPECT(duoshm_broadcast_publish(s.out, "hello", 5), 0);
	next_is(in, DUOSHM_FOREVER, 5, "hello");
	EXPECT(duoshm_broadcast_close(in), 0);
	EXPECT(duoshm_broadcast_close(s.out), 0);
	end_segment(view);
	end_segment(segment);
	discard(s.ctx, s.stem);
	end_context(s.ctx);
}

/* ---- waiting --------------------------------------------------------------------------------- */

enum { MESSAGES = 20 };

static _Atomic uint64_t *heard; /* by each of them, in shared memory */

/* Or have failed. */
static bool all_heard(void *readers)
{
	const struct helper *reader = readers;

	for (int i = 0; i < READERS; i++) {
		if (heard[i] <= *(uint64_t *)reader[i].more &&
			harness_process_state(reader[i].pid) != 'Z')
			return false;
	}
	return true;
}

/* Hears every message, up to the end. */
static int listens(void *arg)
{
	struct helper *helper = arg;
	struct duoshm *ctx = new_context();
	struct duoshm_broadcast *reader = open_as(ctx, helper->stem, DUOSHM_READER, helper->flags);
	uint64_t missed, expected = 0, number;
	ssize_t length;

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
	struct station s = new_station("sleepers", 4096);
	struct helper helpers[READERS];
	uint64_t number = 0;

	heard = shared_page();
	for (int i = 0; i < READERS; i++) {
		helpers[i].number = i;
		helpers[i].more = &number;
		start_helper(&helpers[i], listens, s.stem, flags);
	}
	for (number = 0; number < MESSAGES; number++) {
		for (int i = 0; i < READERS; i++)
			(void)harness_until_asleep(helpers[i].pid);
		EXPECT(duoshm_broadcast_publish(s.out, &number, sizeof(number)), 0);
		/* Before that, the rings of two messages could be taken for each other. */
		CHECK_FATAL(harness_until(all_heard, helpers));
	}
	EXPECT(duoshm_broadcast_close(s.out), 0);
	s.out = NULL;
	for (int i = 0; i < READERS; i++)
		finish_helper(&helpers[i]);
	end_station(&s, NULL);
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

/* ---- deaths, cost ---------------------------------------------------------------------------- */

static int produces(void *helper)
{
	struct duoshm_broadcast *out = open_as(new_context(), "mortal", DUOSHM_PRODUCER, 0);

	EXPECT(duoshm_broadcast_publish(out, "words", 5), 0);
	return helper_stays(helper);
}

static void a_dead_producer_is_told_and_followed(void)
{
	struct station s = new_station("mortal", 256);
	struct duoshm_broadcast *reader = new_reader(&s, 0);
	struct helper helper;

	EXPECT(duoshm_broadcast_close(s.out), 0);
	start_helper(&helper, produces, s.stem, 0);
	next_is(reader, LONG_TIME, 5, "words");
	harness_stop(helper.pid);
	next_is(reader, 2 * MS, DUOSHM_ERR_TIMEOUT, "");
	kill_helper(&helper);
	next_is(reader, DUOSHM_FOREVER, DUOSHM_ERR_PEER_DEAD, "");
	s.out = open_as(s.ctx, s.stem, DUOSHM_PRODUCER, 0);
	EXPECT(duoshm_broadcast_publish(s.out, "again", 5), 0);
	next_is(reader, LONG_TIME, 5, "again");
	end_station(&s, reader);
}

/* In the child that is counted: contexts do not survive a fork. */
static int opens(void *arg)
{
	*(struct station *)arg = new_station("counted", 1024);
	return 0;
}

static int publishes(void *arg)
{
	struct station *s = arg;
	char message[32] = "";

	for (int i = 0; i < 100; i++)
		EXPECT(duoshm_broadcast_publish(s->out, message, sizeof(message)), 0);
	return 0;
}

static void publishing_makes_no_system_call(void)
{
	struct station s = {0};

	if (harness_instrumented())
		HARNESS_SKIP("instrumented");
	struct duoshm *ctx = new_context();
	int calls = harness_count_calls(opens, publishes, &s);
	CHECK(duoshm_reclaim(ctx, 0, NULL, NULL) >= 0); /* what the child left behind */
	end_context(ctx);
	if (calls == HARNESS_NO_TRACE)
		HARNESS_SKIP("no ptrace here");
	EXPECT(calls, 0);
}

static const struct harness_case cases[] = {
	{"a reader gets what comes after it", a_reader_gets_what_comes_after_it},
	{"wrong calls are refused", wrong_calls_are_refused},
	{"the next producer goes on", the_next_producer_goes_on},
	{"removal is told", removal_is_told},
	{"a broadcast lives in a segment", a_broadcast_lives_in_a_segment},
	{"all sleeping readers are woken", all_sleeping_readers_are_woken},
	{"read-only readers find it themselves", read_only_readers_find_it_themselves},
	{"a dead producer is told and followed", a_dead_producer_is_told_and_followed},
	{"publishing makes no system call", publishing_makes_no_system_call},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return harness_run_each(argc, argv, "broadcast", cases);
}
