/* SPDX-License-Identifier: MIT */
/*
 * Queues on each family, beyond what tests/conformance proves of them: staging, roles that change
 * hands, queues in a segment, sleepers on both sides, and bytes that no call of the library writes.
 */
#include "config.h"

#include "harness/fixture.h"
#include "queue/queue_layout.h"

/* A queue with both ends in this process. */
struct pipe_ends {
	struct duoshm *ctx;
	const char *stem;
	struct duoshm_queue *in, *out;
};

static struct duoshm_queue *open_queue(struct duoshm *ctx, const char *stem, enum duoshm_role role)
{
	struct duoshm_queue *queue = NULL;

	OK(duoshm_queue_open(ctx, harness_name(stem), role, 0, &queue));
	return queue;
}

static struct duoshm_queue *make_queue(struct duoshm *ctx, const char *stem, enum duoshm_role role)
{
	struct duoshm_queue *queue = NULL;

	OK(duoshm_queue_create(ctx, harness_name(stem), 256, role, NULL, &queue));
	return queue;
}

static struct pipe_ends new_pipe(const char *stem)
{
	struct pipe_ends p = {.ctx = new_context(), .stem = stem};

	p.in = make_queue(p.ctx, stem, DUOSHM_PRODUCER);
	p.out = open_queue(p.ctx, stem, DUOSHM_CONSUMER);
	return p;
}

static void end_pipe(struct pipe_ends *p)
{
	EXPECT(duoshm_queue_close(p->in), 0);
	EXPECT(duoshm_queue_close(p->out), 0);
	discard(p->ctx, p->stem);
	end_context(p->ctx);
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

static void what_is_staged_is_not_seen(void)
{
	struct pipe_ends p = new_pipe("staged");
	const void *message;
	void *room;

	for (int i = 0; i < 3; i++) {
		OK(duoshm_queue_reserve(p.in, 20, &room, 0));
		EXPECT((uintptr_t)room % 8, 0);
		memcpy(room, &i, sizeof(i));
		ends_with(p.out, 0, DUOSHM_ERR_TIMEOUT);
		if (i < 2)
			EXPECT(duoshm_queue_stage(p.in, sizeof(i)), 0);
	}
	EXPECT(duoshm_queue_commit(p.in, sizeof(int)), 0);
	for (int i = 0; i < 3; i++) {
		EXPECT(duoshm_queue_peek(p.out, &message, 0), sizeof(int));
		EXPECT(duoshm_queue_peek(p.out, &message, 0), sizeof(int));
		CHECK(memcmp(message, &i, sizeof(i)) == 0);
		EXPECT(duoshm_queue_release(p.out), 0);
	}
	end_pipe(&p);
}

/* What is staged goes out when there is no room left, or both sides would wait for ever. */
static void staged_messages_do_not_block_themselves(void)
{
	struct pipe_ends p = new_pipe("full");
	char buffer[24];
	void *room;
	int staged = 0;

	while (duoshm_queue_reserve(p.in, 24, &room, MS) == 0) {
		EXPECT(duoshm_queue_stage(p.in, 24), 0);
		staged++;
	}
	EXPECT(duoshm_failure()->code, DUOSHM_ERR_TIMEOUT);
	EXPECT(staged, 7);
	for (int i = 0; i < staged; i++)
		EXPECT(duoshm_queue_receive(p.out, buffer, sizeof(buffer), 0), 24);
	ends_with(p.out, MS, DUOSHM_ERR_TIMEOUT);
	end_pipe(&p);
}

static void calls_out_of_place_are_refused(void)
{
	struct pipe_ends p = new_pipe("wrong");
	const void *message;
	struct duoshm_queue *q;
	void *room;
	char c;

	EXPECT(duoshm_queue_send(p.out, "x", 1, 0), DUOSHM_ERR_NOT_OWNER);
	EXPECT(duoshm_queue_reserve(p.out, 1, &room, 0), DUOSHM_ERR_NOT_OWNER);
	EXPECT(duoshm_queue_finish(p.out), DUOSHM_ERR_NOT_OWNER);
	EXPECT(duoshm_queue_receive(p.in, &c, 1, 0), DUOSHM_ERR_NOT_OWNER);
	EXPECT(duoshm_queue_peek(p.in, &message, 0), DUOSHM_ERR_NOT_OWNER);
	EXPECT(duoshm_queue_send(p.in, "x", 1, -1), DUOSHM_ERR_INVALID);
	EXPECT(duoshm_queue_receive(p.out, &c, 1, -1), DUOSHM_ERR_INVALID);
	EXPECT(duoshm_queue_send(NULL, "x", 1, 0), DUOSHM_ERR_INVALID);
	q = NULL;
	EXPECT(duoshm_queue_open(p.ctx, harness_name("wrong"), DUOSHM_READER, 0, &q),
		DUOSHM_ERR_INVALID);
	CHECK(q == NULL);
	EXPECT(duoshm_queue_close(NULL), 0);
	EXPECT(duoshm_queue_commit(p.in, 0), DUOSHM_ERR_INVALID); /* nothing reserved */
	EXPECT(duoshm_queue_release(p.out), DUOSHM_ERR_INVALID);  /* nothing peeked at */
	OK(duoshm_queue_reserve(p.in, 9, &room, 0));
	EXPECT(duoshm_queue_reserve(p.in, 1, &room, 0), DUOSHM_ERR_INVALID);
	EXPECT(duoshm_queue_commit(p.in, 10), DUOSHM_ERR_INVALID);
	end_pipe(&p);
}

/* ---- roles, ends ----------------------------------------------------------------------------- */

static void a_role_is_given_back(void)
{
	struct pipe_ends p = new_pipe("roles");

	EXPECT(duoshm_queue_send(p.in, "one", 3, 0), 0);
	EXPECT(duoshm_queue_close(p.out), 0);
	EXPECT(duoshm_queue_close(p.in), 0);
	p.in = open_queue(p.ctx, p.stem, DUOSHM_PRODUCER);
	EXPECT(duoshm_queue_send(p.in, "two", 3, 0), 0);
	p.out = open_queue(p.ctx, p.stem, DUOSHM_CONSUMER);
	comes(p.out, "one");
	comes(p.out, "two");
	ends_with(p.out, 0, DUOSHM_ERR_TIMEOUT); /* the next producer goes on: no end any more */
	end_pipe(&p);
}

static void the_end_comes_after_all_messages(void)
{
	struct pipe_ends p = new_pipe("end");
	void *room;

	EXPECT(duoshm_queue_reserve(p.in, 6, &room, 0), 0);
	memcpy(room, "staged", 6);
	EXPECT(duoshm_queue_stage(p.in, 6), 0);
	EXPECT(duoshm_queue_reserve(p.in, 4, &room, 0), 0);
	EXPECT(duoshm_queue_finish(p.in), 0);
	EXPECT(duoshm_queue_send(p.in, "more", 4, 0), DUOSHM_ERR_INVALID);
	comes(p.out, "staged");
	ends_with(p.out, DUOSHM_FOREVER, DUOSHM_ERR_END);
	EXPECT(duoshm_queue_close(p.in), 0);
	p.in = open_queue(p.ctx, p.stem, DUOSHM_PRODUCER);
	EXPECT(duoshm_queue_send(p.in, "last", 4, 0), 0);
	EXPECT(duoshm_queue_close(p.in), 0); /* finishes, too */
	p.in = NULL;
	comes(p.out, "last");
	ends_with(p.out, DUOSHM_FOREVER, DUOSHM_ERR_END);
	end_pipe(&p);
}

static void removal_is_told_after_what_was_left(void)
{
	struct pipe_ends p = new_pipe("removed");

	EXPECT(duoshm_queue_send(p.in, "left", 4, 0), 0);
	discard(p.ctx, p.stem);
	EXPECT(duoshm_queue_send(p.in, "x", 1, 0), DUOSHM_ERR_REMOVED);
	comes(p.out, "left");
	ends_with(p.out, DUOSHM_FOREVER, DUOSHM_ERR_REMOVED);
	EXPECT(duoshm_queue_close(p.in), 0);
	EXPECT(duoshm_queue_close(p.out), 0);
	end_context(p.ctx);
}

static void open_or_create_takes_the_role(void)
{
	struct duoshm_create options = create_with(DUOSHM_OPEN_OR_CREATE, 0);
	struct pipe_ends p = {.ctx = new_context(), .stem = "either"};
	const char *name = harness_name(p.stem);
	struct duoshm_queue *third;

	EXPECT_FATAL(duoshm_queue_create(p.ctx, name, 300, DUOSHM_CONSUMER, &options, &p.out),
		DUOSHM_CREATED);
	EXPECT(duoshm_queue_longest(p.out), 512 / 2 - 16);
	EXPECT(duoshm_queue_create(p.ctx, name, 300, DUOSHM_CONSUMER, &options, &third),
		DUOSHM_ERR_BUSY);
	EXPECT_FATAL(duoshm_queue_create(p.ctx, name, 300, DUOSHM_PRODUCER, &options, &p.in),
		DUOSHM_OPENED);
	EXPECT(duoshm_queue_longest(p.in), 512 / 2 - 16);
	end_pipe(&p);
}

/* ---- in a segment ---------------------------------------------------------------------------- */

static void queues_live_in_a_segment(void)
{
	struct duoshm_create options = create_with(0, 2);
	struct duoshm *ctx = new_context();
	size_t bytes = duoshm_queue_bytes(1000);
	const struct {
		size_t offset, bytes;
	} wrong[] = {{65, bytes}, {128 + bytes, bytes}, {64, 1000}, {SIZE_MAX - 63, 128}};
	struct duoshm_segment *segment;
	struct duoshm_queue *in, *out, *bad = NULL;

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
		OK(duoshm_queue_attach(segment, at, bytes, bells, DUOSHM_PRODUCER, &in));
		OK(duoshm_queue_attach(segment, at, bytes, bells, DUOSHM_CONSUMER, &out));
		EXPECT(duoshm_queue_send(in, "hello", 5, 0), 0);
		comes(out, "hello");
		ends_with(out, 3 * MS, DUOSHM_ERR_TIMEOUT);
		EXPECT(duoshm_queue_close(in), 0);
		EXPECT(duoshm_queue_close(out), 0);
	}
	end_segment(segment);
	discard(ctx, "lane");
	end_context(ctx);
}

/* ---- waiting --------------------------------------------------------------------------------- */

enum { ROUNDS = 20 };

static void send_all(struct duoshm_queue *q, pid_t sleeper)
{
	char buffer[100];

	for (int i = 0; i < ROUNDS; i++) {
		if (sleeper > 0)
			(void)harness_until_asleep(sleeper);
		memset(buffer, i, sizeof(buffer));
		EXPECT(duoshm_queue_send(q, buffer, sizeof(buffer), LONG_TIME), 0);
	}
	EXPECT(duoshm_queue_finish(q), 0);
}

static void receive_all(struct duoshm_queue *q, pid_t sleeper)
{
	char buffer[112];

	for (int i = 0; i < ROUNDS; i++) {
		if (sleeper > 0)
			(void)harness_until_asleep(sleeper);
		EXPECT(duoshm_queue_receive(q, buffer, sizeof(buffer), LONG_TIME), 100);
		EXPECT(buffer[99], i);
	}
	EXPECT(duoshm_queue_receive(q, buffer, sizeof(buffer), LONG_TIME), DUOSHM_ERR_END);
}

/* Goes on whenever its parent, on the other side, sleeps. */
static int waker(void *role)
{
	struct duoshm *ctx = new_context();
	struct duoshm_queue *q = open_queue(ctx, "sleeper", *(enum duoshm_role *)role);

	if (*(enum duoshm_role *)role == DUOSHM_PRODUCER)
		send_all(q, getppid());
	else
		receive_all(q, getppid());
	EXPECT(duoshm_queue_close(q), 0);
	return duoshm_free(ctx);
}

static void ignore(int number)
{
	(void)number;
}

static void sleep_as(enum duoshm_role role)
{
	struct sigaction action = {.sa_handler = ignore};
	struct duoshm *ctx = new_context();
	static struct duoshm_queue *q; /* where a leak checker finds it in the child, too */
	enum duoshm_role other = role == DUOSHM_PRODUCER ? DUOSHM_CONSUMER : DUOSHM_PRODUCER;

	q = make_queue(ctx, "sleeper", role);
	sigaction(SIGCHLD, &action, NULL); /* a signal does not end a wait */
	pid_t pid = harness_fork(waker, &other);
	if (role == DUOSHM_PRODUCER)
		send_all(q, 0);
	else
		receive_all(q, 0);
	EXPECT(harness_wait(pid), 0);
	EXPECT(duoshm_queue_close(q), 0);
	discard(ctx, "sleeper");
	end_context(ctx);
}

static void a_sleeping_consumer_is_woken(void)
{
	sleep_as(DUOSHM_CONSUMER);
}

static void a_sleeping_producer_is_woken(void)
{
	sleep_as(DUOSHM_PRODUCER);
}

/* ---- deaths ---------------------------------------------------------------------------------- */

static int produce_and_stay(void *helper)
{
	struct duoshm_queue *q = open_queue(new_context(), "mortal", DUOSHM_PRODUCER);
	void *room;

	EXPECT(duoshm_queue_send(q, "kept", 4, 0), 0);
	OK(duoshm_queue_reserve(q, 4, &room, 0));
	EXPECT(duoshm_queue_stage(q, 4), 0);
	return helper_stays(helper);
}

static void an_heir_finds_what_was_committed(void)
{
	struct pipe_ends p = {.ctx = new_context(), .stem = "mortal"};
	struct helper helper;

	p.out = make_queue(p.ctx, p.stem, DUOSHM_CONSUMER);
	ends_with(p.out, 2 * MS, DUOSHM_ERR_TIMEOUT); /* nobody has come yet: that is no death */
	start_helper(&helper, produce_and_stay, p.stem, 0);
	harness_stop(helper.pid); /* nor is this */
	EXPECT(duoshm_queue_open(p.ctx, harness_name(p.stem), DUOSHM_PRODUCER, 0, &p.in),
		DUOSHM_ERR_BUSY);
	comes(p.out, "kept");
	ends_with(p.out, 2 * MS, DUOSHM_ERR_TIMEOUT);
	kill_helper(&helper);
	ends_with(p.out, DUOSHM_FOREVER, DUOSHM_ERR_PEER_DEAD);
	ends_with(p.out, 1000, DUOSHM_ERR_PEER_DEAD);
	p.in = open_queue(p.ctx, p.stem, DUOSHM_PRODUCER);
	ends_with(p.out, 2 * MS, DUOSHM_ERR_TIMEOUT);
	EXPECT(duoshm_queue_send(p.in, "next", 4, 0), 0);
	comes(p.out, "next");
	end_pipe(&p);
}

static int consume_and_stay(void *helper)
{
	struct duoshm_queue *q = open_queue(new_context(), "reader", DUOSHM_CONSUMER);
	const void *message;

	comes(q, "one");
	EXPECT(duoshm_queue_peek(q, &message, LONG_TIME), 3);
	return helper_stays(helper);
}

static void what_was_only_peeked_at_comes_again(void)
{
	struct pipe_ends p = {.ctx = new_context(), .stem = "reader"};
	struct helper helper;
	char buffer[50] = "";

	p.in = make_queue(p.ctx, p.stem, DUOSHM_PRODUCER);
	EXPECT(duoshm_queue_send(p.in, "one", 3, 0), 0);
	EXPECT(duoshm_queue_send(p.in, "two", 3, 0), 0);
	start_helper(&helper, consume_and_stay, p.stem, 0);
	while (duoshm_queue_send(p.in, buffer, 50, 0) == 0)
		continue;
	EXPECT(duoshm_failure()->code, DUOSHM_ERR_TIMEOUT);
	kill_helper(&helper);
	EXPECT(duoshm_queue_send(p.in, buffer, 50, DUOSHM_FOREVER), DUOSHM_ERR_PEER_DEAD);
	p.out = open_queue(p.ctx, p.stem, DUOSHM_CONSUMER);
	comes(p.out, "two");
	EXPECT(duoshm_queue_receive(p.out, buffer, sizeof(buffer), 0), 50);
	EXPECT(duoshm_queue_send(p.in, buffer, 50, 0), 0);
	end_pipe(&p);
}

static int close_the_parents(void *arg)
{
	EXPECT(duoshm_queue_close(arg), DUOSHM_ERR_FORKED);
	return 0;
}

static void a_fork_child_has_no_part_in_it(void)
{
	struct pipe_ends p = new_pipe("forked");

	EXPECT(harness_wait(harness_fork(close_the_parents, p.in)), 0);
	ends_with(p.out, 0, DUOSHM_ERR_TIMEOUT);
	EXPECT(duoshm_queue_send(p.in, "x", 1, 0), 0);
	comes(p.out, "x");
	end_pipe(&p);
}

/* ---- hostile bytes --------------------------------------------------------------------------- */

static void a_holder_that_is_no_process_is_corrupt(void)
{
	struct duoshm *ctx = new_context();
	size_t bytes = duoshm_queue_bytes(256);
	struct duoshm_segment *segment = make_segment(ctx, "forged", bytes, 0);
	struct duoshm__queue *shared = duoshm_segment_data(segment);
	struct duoshm_queue *out, *in;

	EXPECT(duoshm_queue_format(segment, 0, bytes), 0);
	OK(duoshm_queue_attach(segment, 0, bytes, DUOSHM_NO_BELLS, DUOSHM_CONSUMER, &out));
	duoshm__store64(&shared->producer.holder, UINT64_MAX);
	ends_with(out, DUOSHM_FOREVER, DUOSHM_ERR_CORRUPT);
	EXPECT(duoshm_queue_attach(segment, 0, bytes, DUOSHM_NO_BELLS, DUOSHM_PRODUCER, &in),
		DUOSHM_ERR_CORRUPT);
	/* an id that no living process has: dead */
	duoshm__store64(&shared->producer.holder, 12345);
	ends_with(out, DUOSHM_FOREVER, DUOSHM_ERR_PEER_DEAD);
	EXPECT(duoshm_queue_close(out), 0);
	end_segment(segment);
	discard(ctx, "forged");
	end_context(ctx);
}

static const struct harness_case cases[] = {
	{"what is staged is not seen", what_is_staged_is_not_seen},
	{"staged messages do not block themselves", staged_messages_do_not_block_themselves},
	{"calls out of place are refused", calls_out_of_place_are_refused},
	{"a role is given back", a_role_is_given_back},
	{"the end comes after all messages", the_end_comes_after_all_messages},
	{"removal is told after what was left", removal_is_told_after_what_was_left},
	{"open-or-create takes the role", open_or_create_takes_the_role},
	{"queues live in a segment", queues_live_in_a_segment},
	{"a sleeping consumer is woken", a_sleeping_consumer_is_woken},
	{"a sleeping producer is woken", a_sleeping_producer_is_woken},
	{"an heir finds what was committed", an_heir_finds_what_was_committed},
	{"what was only peeked at comes again", what_was_only_peeked_at_comes_again},
	{"a fork child has no part in it", a_fork_child_has_no_part_in_it},
	{"a holder that is no process is corrupt", a_holder_that_is_no_process_is_corrupt},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return harness_run_each(argc, argv, "queue", cases);
}
