/* SPDX-License-Identifier: MIT */
/*
 * Broadcasts on each family, beyond what tests/conformance proves of them: producers that follow
 * each other, broadcasts in a segment, and many sleepers.
 */
#include "config.h"

#include "unit/sleepers.h"
#include "queue/broadcast_layout.h"

#define READERS 6

static struct duoshm *ctx;
static struct duoshm_broadcast *out, *reader;

static struct duoshm_broadcast *open_as(enum duoshm_role role, unsigned flags)
{
	struct duoshm_broadcast *opened = NULL;

	OK(duoshm_broadcast_open(ctx, harness_name("cast"), role, flags, 0, &opened));
	return opened;
}

static void begin(void)
{
	ctx = new_context();
	OK(duoshm_broadcast_create(ctx, harness_name("cast"), 256, NULL, &out));
	reader = open_as(DUOSHM_READER, 0);
}

static void end(void)
{
	EXPECT(duoshm_broadcast_close(reader), 0);
	EXPECT(duoshm_broadcast_close(out), 0);
	(void)duoshm_remove(ctx, harness_name("cast")); /* a case may have done it */
	end_context(ctx);
}

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

static void wrong_calls_are_refused(void)
{
	struct duoshm_broadcast *q = NULL;
	const char *name = harness_name("cast");
	char buffer[64] = "";

	EXPECT(duoshm_broadcast_publish(reader, "x", 1), DUOSHM_ERR_NOT_OWNER);
	EXPECT(duoshm_broadcast_next(out, buffer, 1, NULL, 0), DUOSHM_ERR_NOT_OWNER);
	EXPECT(duoshm_broadcast_publish(out, buffer, 33), DUOSHM_ERR_TOO_LONG);
	EXPECT(duoshm_broadcast_publish(out, NULL, 1), DUOSHM_ERR_INVALID);
	EXPECT(duoshm_broadcast_next(reader, buffer, 1, NULL, -1), DUOSHM_ERR_INVALID);
	EXPECT(duoshm_broadcast_open(ctx, name, DUOSHM_PRODUCER, 0, 0, &q), DUOSHM_ERR_BUSY);
	EXPECT(duoshm_broadcast_open(ctx, name, DUOSHM_CONSUMER, 0, 0, &q), DUOSHM_ERR_INVALID);
	CHECK(q == NULL);
	EXPECT(duoshm_broadcast_publish(out, NULL, 0), 0);
	EXPECT(duoshm_broadcast_next(reader, NULL, 0, NULL, 0), 0);
	EXPECT(duoshm_broadcast_publish(out, "0123456789", 10), 0);
	EXPECT(duoshm_broadcast_publish(out, "abc", 3), 0);
	EXPECT(duoshm_broadcast_next(reader, buffer, 9, NULL, 0), DUOSHM_ERR_TOO_LONG);
	next_is(reader, 0, 3, "abc");
	EXPECT(duoshm_broadcast_close(NULL), 0);
}

static void the_next_producer_goes_on(void)
{
	EXPECT(duoshm_broadcast_publish(out, "last", 4), 0);
	EXPECT(duoshm_broadcast_close(out), 0);
	next_is(reader, DUOSHM_FOREVER, 4, "last");
	next_is(reader, DUOSHM_FOREVER, DUOSHM_ERR_END, "");
	out = open_as(DUOSHM_PRODUCER, 0);
	next_is(reader, 0, DUOSHM_ERR_TIMEOUT, "");
	EXPECT(duoshm_broadcast_publish(out, "more", 4), 0);
	next_is(reader, 0, 4, "more");
}

static void removal_is_told(void)
{
	struct duoshm_broadcast *looker = open_as(DUOSHM_READER, DUOSHM_READ_ONLY);

	discard(ctx, "cast");
	EXPECT(duoshm_broadcast_publish(out, "x", 1), DUOSHM_ERR_REMOVED);
	next_is(reader, DUOSHM_FOREVER, DUOSHM_ERR_REMOVED, "");
	next_is(looker, DUOSHM_FOREVER, DUOSHM_ERR_REMOVED, "");
	EXPECT(duoshm_broadcast_close(looker), 0);
}

static void a_broadcast_lives_in_a_segment(void)
{
	struct duoshm_create options = create_with(0, 3);
	size_t bytes = duoshm_broadcast_bytes(4096);
	struct duoshm_segment *segment, *view;
	struct duoshm_broadcast *in, *from, *bad;

	EXPECT(bytes, DUOSHM__BROADCAST_HEADER + 4096);
	OK(duoshm_segment_create(ctx, harness_name("stream"), 128 + bytes, &options, &segment));
	EXPECT(duoshm_broadcast_format(segment, 128, bytes), 0);
	OK(duoshm_broadcast_attach(segment, 128, bytes, 1, DUOSHM_PRODUCER, &in));
	view = open_segment(ctx, "stream", DUOSHM_READ_ONLY);
	EXPECT(duoshm_broadcast_attach(view, 128, bytes, 1, DUOSHM_PRODUCER, &bad),
		DUOSHM_ERR_READ_ONLY);
	EXPECT(duoshm_broadcast_format(view, 128, bytes), DUOSHM_ERR_READ_ONLY);
	OK(duoshm_broadcast_attach(view, 128, bytes, 1, DUOSHM_READER, &from));
	EXPECT(duoshm_broadcast_publish(in, "hello", 5), 0);
	next_is(from, DUOSHM_FOREVER, 5, "hello");
	EXPECT(duoshm_broadcast_close(from), 0);
	EXPECT(duoshm_broadcast_close(in), 0);
	end_segment(view);
	end_segment(segment);
	discard(ctx, "stream");
}

/* ---- waiting --------------------------------------------------------------------------------- */

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

	/* instead of its copies of the parent's */
	(void)duoshm_broadcast_close(reader);
	(void)duoshm_broadcast_close(out);
	(void)duoshm_free(ctx);
	ctx = new_context();
	reader = open_as(DUOSHM_READER, helper->flags);
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
		EXPECT(duoshm_broadcast_publish(out, &number, sizeof(number)), 0);
		/* Before that, the rings of two messages could be taken for each other. */
		CHECK_FATAL(harness_until(all_heard, helpers));
	}
	EXPECT(duoshm_broadcast_close(out), 0);
	out = NULL;
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
	{"wrong calls are refused", wrong_calls_are_refused},
	{"the next producer goes on", the_next_producer_goes_on},
	{"removal is told", removal_is_told},
	{"a broadcast lives in a segment", a_broadcast_lives_in_a_segment},
	{"all sleeping readers are woken", all_sleeping_readers_are_woken},
	{"read-only readers find it themselves", read_only_readers_find_it_themselves},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	harness_around(begin, end);
	return harness_run_each(argc, argv, "broadcast", cases);
}
