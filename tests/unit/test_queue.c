/* SPDX-License-Identifier: MIT */
/*
 * Queues on each family, beyond what tests/conformance proves of them: staging, calls out of place,
 * roles that change hands, queues in a segment, and bytes that no call of the library writes.
 */
#include "config.h"

#include "harness/fixture.h"
#include "queue/queue_layout.h"

static struct duoshm *ctx;
static struct duoshm_queue *in, *out; /* both ends of one queue */

static struct duoshm_queue *open_queue(enum duoshm_role role)
{
	struct duoshm_queue *queue = NULL;

	OK(duoshm_queue_open(ctx, harness_name("queue"), role, 0, &queue));
	return queue;
}

static void begin(void)
{
	ctx = new_context();
	EXPECT_FATAL(
		duoshm_queue_create(ctx, harness_name("queue"), 256, DUOSHM_PRODUCER, NULL, &in),
		DUOSHM_CREATED);
	out = open_queue(DUOSHM_CONSUMER);
}

static void end(void)
{
	EXPECT(duoshm_queue_close(in), 0);
	EXPECT(duoshm_queue_close(out), 0);
	(void)duoshm_remove(ctx, harness_name("queue")); /* a case may have done it */
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

/* ---- messages -------------------------------------------------------------------------------- */

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
	EXPECT(duoshm_queue_open(ctx, harness_name("queue"), DUOSHM_READER, 0, &q),
		DUOSHM_ERR_INVALID);
	CHECK(q == NULL);
	EXPECT(duoshm_queue_close(NULL), 0);
	EXPECT(duoshm_queue_commit(in, 0), DUOSHM_ERR_INVALID); /* nothing reserved */
	EXPECT(duoshm_queue_release(out), DUOSHM_ERR_INVALID);  /* nothing peeked at */
	OK(duoshm_queue_reserve(in, 9, &room, 0));
	EXPECT(duoshm_queue_reserve(in, 1, &room, 0), DUOSHM_ERR_INVALID);
	EXPECT(duoshm_queue_commit(in, 10), DUOSHM_ERR_INVALID);
}

/* ---- roles, ends ----------------------------------------------------------------------------- */

static void the_end_comes_after_all_messages(void)
{
	void *room;

	EXPECT(duoshm_queue_reserve(in, 6, &room, 0), 0);
	memcpy(room, "staged", 6);
	EXPECT(duoshm_queue_stage(in, 6), 0);
	EXPECT(duoshm_queue_reserve(in, 4, &room, 0), 0);
	EXPECT(duoshm_queue_finish(in), 0);
	EXPECT(duoshm_queue_send(in, "more", 4, 0), DUOSHM_ERR_INVALID);
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
	comes(out, "left");
	ends_with(out, DUOSHM_FOREVER, DUOSHM_ERR_REMOVED);
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
	struct duoshm_queue *first, *second, *bad = NULL;

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
		OK(duoshm_queue_attach(segment, at, bytes, bells, DUOSHM_PRODUCER, &first));
		OK(duoshm_queue_attach(segment, at, bytes, bells, DUOSHM_CONSUMER, &second));
		EXPECT(duoshm_queue_send(first, "hello", 5, 0), 0);
		comes(second, "hello");
		ends_with(second, 3 * MS, DUOSHM_ERR_TIMEOUT);
		EXPECT(duoshm_queue_close(first), 0);
		EXPECT(duoshm_queue_close(second), 0);
	}
	end_segment(segment);
	discard(ctx, "lane");
}

/* ---- hostile bytes --------------------------------------------------------------------------- */

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

static const struct harness_case cases[] = {
	{"staged messages do not block themselves", staged_messages_do_not_block_themselves},
	{"calls out of place are refused", calls_out_of_place_are_refused},
	{"the end comes after all messages", the_end_comes_after_all_messages},
	{"removal is told after what was left", removal_is_told_after_what_was_left},
	{"queues live in a segment", queues_live_in_a_segment},
	{"a holder that is no process is corrupt", a_holder_that_is_no_process_is_corrupt},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	harness_around(begin, end);
	return harness_run_each(argc, argv, "queue", cases);
}
