/* SPDX-License-Identifier: MIT */
/* Queues by their public calls, on each family: messages, waiting, roles, ends and deaths. */
#include "config.h"

#include "harness/harness.h"

#include "duoshm.h"
#include "queue/queue_layout.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define WATCHDOG 10000000000 /* of a wait that should end by itself, in ns */

static struct duoshm *new_context(void)
{
	struct duoshm_options options = DUOSHM_OPTIONS_INIT;
	struct duoshm *ctx = NULL;

	options.backend = harness_backend();
	if (duoshm_new(&options, &ctx) != 0)
		fprintf(stderr, "duoshm_new: %s\n", duoshm_failure()->cause);
	return ctx;
}

/* A queue with both ends in this process. */
struct pipe_ends {
	struct duoshm *ctx;
	struct duoshm_queue *in, *out;
};

static struct pipe_ends new_pipe(const char *stem, size_t capacity)
{
	struct pipe_ends p = {.ctx = new_context()};

	CU_ASSERT_PTR_NOT_NULL_FATAL(p.ctx);
	CU_ASSERT_EQUAL_FATAL(duoshm_queue_create(p.ctx, harness_name(stem), capacity,
				      DUOSHM_PRODUCER, NULL, &p.in),
		DUOSHM_CREATED);
	CU_ASSERT_EQUAL_FATAL(
		duoshm_queue_open(p.ctx, harness_name(stem), DUOSHM_CONSUMER, 0, &p.out), 0);
	return p;
}

static void end_pipe(struct pipe_ends *p, const char *stem)
{
	CU_ASSERT_EQUAL(duoshm_queue_close(p->in), 0);
	CU_ASSERT_EQUAL(duoshm_queue_close(p->out), 0);
	(void)duoshm_remove(p->ctx, harness_name(stem));
	CU_ASSERT_EQUAL(duoshm_free(p->ctx), 0);
}

/* ---- messages ------------------------------------------------------------------------------------- */

static void copies_come_through(void)
{
	struct pipe_ends p = new_pipe("copies", 256);
	char buffer[200];

	CU_ASSERT_EQUAL(duoshm_queue_longest(p.in), 256 / 2 - 16);
	CU_ASSERT_EQUAL(duoshm_queue_longest(p.out), 256 / 2 - 16);
	CU_ASSERT_EQUAL(duoshm_queue_send(p.in, "hello", 5, 0), 0);
	CU_ASSERT_EQUAL(duoshm_queue_send(p.in, NULL, 0, 0), 0);
	CU_ASSERT_EQUAL(duoshm_queue_pending(p.out), 5);
	CU_ASSERT_EQUAL(duoshm_queue_receive(p.out, buffer, sizeof(buffer), 0), 5);
	CU_ASSERT_EQUAL(memcmp(buffer, "hello", 5), 0);
	CU_ASSERT_EQUAL(duoshm_queue_receive(p.out, NULL, 0, 0), 0);
	CU_ASSERT_EQUAL(duoshm_queue_receive(p.out, buffer, sizeof(buffer), 0), DUOSHM_ERR_TIMEOUT);
	CU_ASSERT_EQUAL(duoshm_queue_pending(p.out), DUOSHM_ERR_TIMEOUT);
	end_pipe(&p, "copies");
}

static void too_long_keeps_the_message(void)
{
	struct pipe_ends p = new_pipe("long", 256);
	char buffer[200] = "";

	CU_ASSERT_EQUAL(
		duoshm_queue_send(p.in, buffer, duoshm_queue_longest(p.in) + 1, DUOSHM_FOREVER),
		DUOSHM_ERR_TOO_LONG);
	CU_ASSERT_EQUAL(duoshm_queue_send(p.in, "0123456789", 10, 0), 0);
	CU_ASSERT_EQUAL(duoshm_queue_receive(p.out, buffer, 9, 0), DUOSHM_ERR_TOO_LONG);
	CU_ASSERT_EQUAL(duoshm_queue_pending(p.out), 10);
	CU_ASSERT_EQUAL(duoshm_queue_receive(p.out, buffer, 10, 0), 10);
	CU_ASSERT_EQUAL(memcmp(buffer, "0123456789", 10), 0);
	end_pipe(&p, "long");
}

static void messages_are_built_and_read_in_place(void)
{
	struct pipe_ends p = new_pipe("place", 1024);
	const void *message;
	void *room;

	CU_ASSERT_EQUAL(duoshm_queue_commit(p.in, 0), DUOSHM_ERR_INVALID);
	CU_ASSERT_EQUAL(duoshm_queue_release(p.out), DUOSHM_ERR_INVALID);
	for (int i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL_FATAL(duoshm_queue_reserve(p.in, 100, &room, 0), 0);
		CU_ASSERT_EQUAL((uintptr_t)room % 8, 0);
		CU_ASSERT_EQUAL(duoshm_queue_reserve(p.in, 1, &room, 0), DUOSHM_ERR_INVALID);
		memcpy(room, &i, sizeof(i));
		CU_ASSERT_EQUAL(duoshm_queue_peek(p.out, &message, 0), DUOSHM_ERR_TIMEOUT);
		if (i < 2)
			CU_ASSERT_EQUAL(duoshm_queue_stage(p.in, sizeof(i)), 0);
	}
	CU_ASSERT_EQUAL(duoshm_queue_commit(p.in, 101), DUOSHM_ERR_INVALID);
	CU_ASSERT_EQUAL(duoshm_queue_commit(p.in, sizeof(int)), 0);
	for (int i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL_FATAL(duoshm_queue_peek(p.out, &message, 0), sizeof(int));
		CU_ASSERT_EQUAL(duoshm_queue_peek(p.out, &message, 0), sizeof(int));
		CU_ASSERT_EQUAL(memcmp(message, &i, sizeof(i)), 0);
		CU_ASSERT_EQUAL(duoshm_queue_release(p.out), 0);
	}
	CU_ASSERT_EQUAL(duoshm_queue_release(p.out), DUOSHM_ERR_INVALID);
	end_pipe(&p, "place");
}

/* What is staged goes out when there is no room left, or both sides would wait for ever. */
static void staged_messages_do_not_block_themselves(void)
{
	struct pipe_ends p = new_pipe("staged", 256);
	char buffer[100];
	void *room;
	int staged = 0;

	while (duoshm_queue_reserve(p.in, 50, &room, 0) == 0) {
		CU_ASSERT_EQUAL(duoshm_queue_stage(p.in, 50), 0);
		staged++;
	}
	CU_ASSERT(staged >= 2);
	for (int i = 0; i < staged; i++)
		CU_ASSERT_EQUAL(duoshm_queue_receive(p.out, buffer, sizeof(buffer), 0), 50);
	end_pipe(&p, "staged");
}

static void calls_of_the_other_side_are_refused(void)
{
	struct pipe_ends p = new_pipe("wrong", 256);
	const void *message;
	struct duoshm_queue *q;
	void *room;
	char c;

	CU_ASSERT_EQUAL(duoshm_queue_send(p.out, "x", 1, 0), DUOSHM_ERR_NOT_OWNER);
	CU_ASSERT_EQUAL(duoshm_queue_reserve(p.out, 1, &room, 0), DUOSHM_ERR_NOT_OWNER);
	CU_ASSERT_EQUAL(duoshm_queue_finish(p.out), DUOSHM_ERR_NOT_OWNER);
	CU_ASSERT_EQUAL(duoshm_queue_receive(p.in, &c, 1, 0), DUOSHM_ERR_NOT_OWNER);
	CU_ASSERT_EQUAL(duoshm_queue_peek(p.in, &message, 0), DUOSHM_ERR_NOT_OWNER);
	CU_ASSERT_EQUAL(duoshm_queue_send(p.in, "x", 1, -1), DUOSHM_ERR_INVALID);
	CU_ASSERT_EQUAL(duoshm_queue_receive(p.out, &c, 1, -1), DUOSHM_ERR_INVALID);
	CU_ASSERT_EQUAL(duoshm_queue_send(NULL, "x", 1, 0), DUOSHM_ERR_INVALID);
	CU_ASSERT_EQUAL(duoshm_queue_open(p.ctx, harness_name("wrong"), DUOSHM_READER, 0, &q),
		DUOSHM_ERR_INVALID);
	CU_ASSERT_EQUAL(duoshm_queue_close(NULL), 0);
	end_pipe(&p, "wrong");
}

/* ---- roles, ends ------------------------------------------------------------------------------------ */

static void a_role_has_one_holder(void)
{
	struct pipe_ends p = new_pipe("roles", 256);
	const char *name = harness_name("roles");
	struct duoshm_queue *q = NULL;
	char buffer[8];

	CU_ASSERT_EQUAL(duoshm_queue_open(p.ctx, name, DUOSHM_PRODUCER, 0, &q), DUOSHM_ERR_BUSY);
	CU_ASSERT_EQUAL(duoshm_queue_open(p.ctx, name, DUOSHM_CONSUMER, 0, &q), DUOSHM_ERR_BUSY);
	CU_ASSERT_PTR_NULL(q);
	/* given back and taken again, with what was in between */
	CU_ASSERT_EQUAL(duoshm_queue_send(p.in, "one", 3, 0), 0);
	CU_ASSERT_EQUAL(duoshm_queue_close(p.out), 0);
	CU_ASSERT_EQUAL(duoshm_queue_close(p.in), 0);
	CU_ASSERT_EQUAL_FATAL(duoshm_queue_open(p.ctx, name, DUOSHM_PRODUCER, 0, &p.in), 0);
	CU_ASSERT_EQUAL(duoshm_queue_send(p.in, "two", 3, 0), 0);
	CU_ASSERT_EQUAL_FATAL(duoshm_queue_open(p.ctx, name, DUOSHM_CONSUMER, 0, &p.out), 0);
	CU_ASSERT_EQUAL(duoshm_queue_receive(p.out, buffer, 8, 0), 3);
	CU_ASSERT_EQUAL(memcmp(buffer, "one", 3), 0);
	CU_ASSERT_EQUAL(duoshm_queue_receive(p.out, buffer, 8, 0), 3);
	CU_ASSERT_EQUAL(memcmp(buffer, "two", 3), 0);
	CU_ASSERT_EQUAL(duoshm_queue_receive(p.out, buffer, 8, 0), DUOSHM_ERR_TIMEOUT);
	end_pipe(&p, "roles");
}

static void the_end_comes_after_all_messages(void)
{
	struct pipe_ends p = new_pipe("end", 256);
	char buffer[8];
	void *room;

	CU_ASSERT_EQUAL(duoshm_queue_send(p.in, "last", 4, 0), 0);
	CU_ASSERT_EQUAL(duoshm_queue_reserve(p.in, 4, &room, 0), 0);
	CU_ASSERT_EQUAL(duoshm_queue_finish(p.in), 0);
	CU_ASSERT_EQUAL(duoshm_queue_send(p.in, "more", 4, 0), DUOSHM_ERR_INVALID);
	CU_ASSERT_EQUAL(duoshm_queue_receive(p.out, buffer, 8, DUOSHM_FOREVER), 4);
	CU_ASSERT_EQUAL(duoshm_queue_receive(p.out, buffer, 8, DUOSHM_FOREVER), DUOSHM_ERR_END);
	CU_ASSERT_EQUAL(duoshm_queue_receive(p.out, buffer, 8, 0), DUOSHM_ERR_END);
	CU_ASSERT_EQUAL(duoshm_queue_pending(p.out), DUOSHM_ERR_END);
	end_pipe(&p, "end");
}

static void closing_the_producer_is_an_end(void)
{
	struct pipe_ends p = new_pipe("closing", 256);
	char c;

	CU_ASSERT_EQUAL(duoshm_queue_close(p.in), 0);
	p.in = NULL;
	CU_ASSERT_EQUAL(duoshm_queue_receive(p.out, &c, 1, DUOSHM_FOREVER), DUOSHM_ERR_END);
	end_pipe(&p, "closing");
}

static void a_full_queue_times_out(void)
{
	struct pipe_ends p = new_pipe("full", 256);
	char buffer[100];
	int sent = 0, got = 0;

	while (duoshm_queue_send(p.in, buffer, 24, 1000000) == 0)
		sent++;
	CU_ASSERT_EQUAL(duoshm_failure()->code, DUOSHM_ERR_TIMEOUT);
	CU_ASSERT_EQUAL(sent, 7);
	while (duoshm_queue_receive(p.out, buffer, sizeof(buffer), 1000000) == 24)
		got++;
	CU_ASSERT_EQUAL(got, sent);
	CU_ASSERT_EQUAL(duoshm_failure()->code, DUOSHM_ERR_TIMEOUT);
	end_pipe(&p, "full");
}

static void a_removed_queue_is_told(void)
{
	struct pipe_ends p = new_pipe("removed", 256);
	char buffer[8];

	CU_ASSERT_EQUAL(duoshm_queue_send(p.in, "left", 4, 0), 0);
	CU_ASSERT_EQUAL(duoshm_remove(p.ctx, harness_name("removed")), 0);
	CU_ASSERT_EQUAL(duoshm_queue_send(p.in, "x", 1, 0), DUOSHM_ERR_REMOVED);
	CU_ASSERT_EQUAL(duoshm_queue_receive(p.out, buffer, 8, DUOSHM_FOREVER), 4);
	CU_ASSERT_EQUAL(duoshm_queue_receive(p.out, buffer, 8, DUOSHM_FOREVER), DUOSHM_ERR_REMOVED);
	end_pipe(&p, "removed");
}

static void open_or_create_takes_the_role(void)
{
	struct duoshm_create options = DUOSHM_CREATE_INIT;
	struct duoshm *ctx = new_context();
	const char *name = harness_name("either");
	struct duoshm_queue *in, *out, *third;

	options.flags = DUOSHM_OPEN_OR_CREATE;
	CU_ASSERT_EQUAL_FATAL(duoshm_queue_create(ctx, name, 300, DUOSHM_CONSUMER, &options, &out),
		DUOSHM_CREATED);
	CU_ASSERT_EQUAL(duoshm_queue_longest(out), 512 / 2 - 16);
	CU_ASSERT_EQUAL(duoshm_queue_create(ctx, name, 300, DUOSHM_CONSUMER, &options, &third),
		DUOSHM_ERR_BUSY);
	CU_ASSERT_EQUAL_FATAL(
		duoshm_queue_create(ctx, name, 300, DUOSHM_PRODUCER, &options, &in), DUOSHM_OPENED);
	CU_ASSERT_EQUAL(duoshm_queue_close(in), 0);
	CU_ASSERT_EQUAL(duoshm_queue_close(out), 0);
	CU_ASSERT_EQUAL(duoshm_remove(ctx, name), 0);
	CU_ASSERT_EQUAL(duoshm_free(ctx), 0);
}

/* ---- in a segment -------------------------------------------------------------------------------------- */

static void queues_live_in_a_segment(void)
{
	struct duoshm_create options = DUOSHM_CREATE_INIT;
	struct duoshm *ctx = new_context();
	const char *name = harness_name("lane");
	size_t bytes = duoshm_queue_bytes(1000);
	struct duoshm_segment *segment;
	struct duoshm_queue *in, *out, *bad = NULL;
	char buffer[8];

	options.bells = 2;
	CU_ASSERT_EQUAL(bytes, DUOSHM__QUEUE_HEADER + 1024);
	CU_ASSERT_EQUAL_FATAL(
		duoshm_segment_create(ctx, name, 64 + 2 * bytes, &options, &segment), 0);
	CU_ASSERT_EQUAL(duoshm_queue_attach(segment, 64, bytes, 0, DUOSHM_PRODUCER, &bad),
		DUOSHM_ERR_CORRUPT);
	CU_ASSERT_EQUAL(duoshm_queue_format(segment, 64, bytes), 0);
	CU_ASSERT_EQUAL(duoshm_queue_format(segment, 64 + bytes, bytes), 0);
	CU_ASSERT_EQUAL(duoshm_queue_format(segment, 65, bytes), DUOSHM_ERR_INVALID);
	CU_ASSERT_EQUAL(duoshm_queue_format(segment, 128 + bytes, bytes), DUOSHM_ERR_INVALID);
	CU_ASSERT_EQUAL(duoshm_queue_format(segment, 64, 1000), DUOSHM_ERR_INVALID);
	CU_ASSERT_EQUAL(duoshm_queue_format(segment, SIZE_MAX - 63, 128), DUOSHM_ERR_INVALID);
	CU_ASSERT_EQUAL(duoshm_queue_attach(segment, 64, bytes, 1, DUOSHM_PRODUCER, &bad),
		DUOSHM_ERR_INVALID);
	CU_ASSERT_EQUAL(duoshm_queue_attach(segment, 64, bytes - 512, 0, DUOSHM_PRODUCER, &bad),
		DUOSHM_ERR_CORRUPT);
	CU_ASSERT_PTR_NULL(bad);
	for (unsigned i = 0; i < 2; i++) {
		unsigned bells = i == 0 ? 0 : DUOSHM_NO_BELLS;
		size_t at = 64 + i * bytes;
		CU_ASSERT_EQUAL_FATAL(
			duoshm_queue_attach(segment, at, bytes, bells, DUOSHM_PRODUCER, &in), 0);
		CU_ASSERT_EQUAL_FATAL(
			duoshm_queue_attach(segment, at, bytes, bells, DUOSHM_CONSUMER, &out), 0);
		CU_ASSERT_EQUAL(duoshm_queue_send(in, "hello", 5, 0), 0);
		CU_ASSERT_EQUAL(duoshm_queue_receive(out, buffer, 8, 0), 5);
		CU_ASSERT_EQUAL(duoshm_queue_receive(out, buffer, 8, 3000000), DUOSHM_ERR_TIMEOUT);
		CU_ASSERT_EQUAL(duoshm_queue_close(in), 0);
		CU_ASSERT_EQUAL(duoshm_queue_close(out), 0);
	}
	CU_ASSERT_EQUAL(duoshm_segment_close(segment), 0);
	CU_ASSERT_EQUAL(duoshm_remove(ctx, name), 0);
	CU_ASSERT_EQUAL(duoshm_free(ctx), 0);
}

/* ---- waiting --------------------------------------------------------------------------------------------- */

/* Which end a child holds, and what it is to do when it is there. */
struct child {
	const char *stem;
	struct harness_gate ready;
};

static int sends_when_the_parent_sleeps(void *arg)
{
	struct child *child = arg;
	struct duoshm *ctx = new_context();
	struct duoshm_queue *q;

	HARNESS_CHILD(
		duoshm_queue_open(ctx, harness_name(child->stem), DUOSHM_PRODUCER, 0, &q) == 0);
	for (int i = 0; i < 20; i++) {
		(void)harness_until_asleep(getppid());
		HARNESS_CHILD(duoshm_queue_send(q, &i, sizeof(i), WATCHDOG) == 0);
	}
	HARNESS_CHILD(duoshm_queue_close(q) == 0);
	HARNESS_CHILD(duoshm_free(ctx) == 0);
	return 0;
}

static void ignore(int number)
{
	(void)number;
}

static void a_sleeping_consumer_is_woken(void)
{
	struct child child = {.stem = "sleeper"};
	struct duoshm *ctx = new_context();
	struct sigaction action = {.sa_handler = ignore};
	struct duoshm_queue *q;
	int number;

	sigaction(SIGCHLD, &action, NULL); /* a signal does not end a wait */
	CU_ASSERT_EQUAL_FATAL(
		duoshm_queue_create(ctx, harness_name(child.stem), 256, DUOSHM_CONSUMER, NULL, &q),
		0);
	pid_t pid = harness_fork(sends_when_the_parent_sleeps, &child);
	for (int i = 0; i < 20; i++) {
		CU_ASSERT_EQUAL(
			duoshm_queue_receive(q, &number, sizeof(number), WATCHDOG), sizeof(number));
		CU_ASSERT_EQUAL(number, i);
	}
	CU_ASSERT_EQUAL(duoshm_queue_receive(q, &number, sizeof(number), WATCHDOG), DUOSHM_ERR_END);
	CU_ASSERT_EQUAL(harness_wait(pid), 0);
	CU_ASSERT_EQUAL(duoshm_queue_close(q), 0);
	CU_ASSERT_EQUAL(duoshm_remove(ctx, harness_name(child.stem)), 0);
	CU_ASSERT_EQUAL(duoshm_free(ctx), 0);
}

static int receives_when_the_parent_sleeps(void *arg)
{
	struct child *child = arg;
	struct duoshm *ctx = new_context();
	struct duoshm_queue *q;
	char buffer[112];

	HARNESS_CHILD(
		duoshm_queue_open(ctx, harness_name(child->stem), DUOSHM_CONSUMER, 0, &q) == 0);
	for (int i = 0; i < 20; i++) {
		(void)harness_until_asleep(getppid());
		HARNESS_CHILD(duoshm_queue_receive(q, buffer, sizeof(buffer), WATCHDOG) == 100);
		HARNESS_CHILD(buffer[99] == i);
	}
	HARNESS_CHILD(duoshm_queue_receive(q, buffer, sizeof(buffer), WATCHDOG) == DUOSHM_ERR_END);
	HARNESS_CHILD(duoshm_queue_close(q) == 0);
	HARNESS_CHILD(duoshm_free(ctx) == 0);
	return 0;
}

static void a_sleeping_producer_is_woken(void)
{
	struct child child = {.stem = "pusher"};
	struct duoshm *ctx = new_context();
	struct duoshm_queue *q;
	char buffer[100];

	CU_ASSERT_EQUAL_FATAL(
		duoshm_queue_create(ctx, harness_name(child.stem), 256, DUOSHM_PRODUCER, NULL, &q),
		0);
	pid_t pid = harness_fork(receives_when_the_parent_sleeps, &child);
	for (int i = 0; i < 20; i++) {
		memset(buffer, i, sizeof(buffer));
		CU_ASSERT_EQUAL(duoshm_queue_send(q, buffer, sizeof(buffer), WATCHDOG), 0);
	}
	CU_ASSERT_EQUAL(duoshm_queue_finish(q), 0);
	CU_ASSERT_EQUAL(harness_wait(pid), 0);
	CU_ASSERT_EQUAL(duoshm_queue_close(q), 0);
	CU_ASSERT_EQUAL(duoshm_remove(ctx, harness_name(child.stem)), 0);
	CU_ASSERT_EQUAL(duoshm_free(ctx), 0);
}

/* ---- deaths ------------------------------------------------------------------------------------------------ */

static int holds_the_producer(void *arg)
{
	struct child *child = arg;
	struct duoshm *ctx = new_context();
	struct duoshm_queue *q;
	void *room;

	HARNESS_CHILD(
		duoshm_queue_open(ctx, harness_name(child->stem), DUOSHM_PRODUCER, 0, &q) == 0);
	HARNESS_CHILD(duoshm_queue_send(q, "kept", 4, 0) == 0);
	HARNESS_CHILD(duoshm_queue_reserve(q, 4, &room, 0) == 0);
	HARNESS_CHILD(duoshm_queue_stage(q, 4) == 0);
	harness_gate_open(&child->ready);
	for (;;)
		pause();
}

static void a_dead_producer_leaves_what_it_committed(void)
{
	struct child child = {.stem = "mortal"};
	struct duoshm *ctx = new_context();
	const char *name = harness_name(child.stem);
	struct duoshm_queue *q, *heir;
	char buffer[8];

	CU_ASSERT_EQUAL_FATAL(duoshm_queue_create(ctx, name, 256, DUOSHM_CONSUMER, NULL, &q), 0);
	/* nobody has come yet: that is no death */
	CU_ASSERT_EQUAL(duoshm_queue_receive(q, buffer, 8, 2000000), DUOSHM_ERR_TIMEOUT);
	harness_gate(&child.ready);
	pid_t pid = harness_fork(holds_the_producer, &child);
	CU_ASSERT_FATAL(harness_gate_pass(&child.ready));
	CU_ASSERT_EQUAL(duoshm_queue_open(ctx, name, DUOSHM_PRODUCER, 0, &heir), DUOSHM_ERR_BUSY);
	/* stopped is not dead */
	harness_stop(pid);
	CU_ASSERT_EQUAL(duoshm_queue_open(ctx, name, DUOSHM_PRODUCER, 0, &heir), DUOSHM_ERR_BUSY);
	CU_ASSERT_EQUAL(duoshm_queue_receive(q, buffer, 8, 0), 4);
	CU_ASSERT_EQUAL(duoshm_queue_receive(q, buffer, 8, 2000000), DUOSHM_ERR_TIMEOUT);
	harness_kill(pid);
	CU_ASSERT_EQUAL(duoshm_queue_receive(q, buffer, 8, DUOSHM_FOREVER), DUOSHM_ERR_PEER_DEAD);
	CU_ASSERT_EQUAL(duoshm_queue_receive(q, buffer, 8, 1000), DUOSHM_ERR_PEER_DEAD);
	CU_ASSERT_EQUAL(duoshm_queue_pending(q), DUOSHM_ERR_PEER_DEAD);
	CU_ASSERT_EQUAL_FATAL(duoshm_queue_open(ctx, name, DUOSHM_PRODUCER, 0, &heir), 0);
	CU_ASSERT_EQUAL(duoshm_queue_receive(q, buffer, 8, 2000000), DUOSHM_ERR_TIMEOUT);
	CU_ASSERT_EQUAL(duoshm_queue_send(heir, "next", 4, 0), 0);
	CU_ASSERT_EQUAL(duoshm_queue_receive(q, buffer, 8, 0), 4);
	CU_ASSERT_EQUAL(memcmp(buffer, "next", 4), 0);
	harness_gate_close(&child.ready);
	CU_ASSERT_EQUAL(duoshm_queue_close(heir), 0);
	CU_ASSERT_EQUAL(duoshm_queue_close(q), 0);
	CU_ASSERT_EQUAL(duoshm_remove(ctx, name), 0);
	CU_ASSERT_EQUAL(duoshm_free(ctx), 0);
}

static int holds_the_consumer(void *arg)
{
	struct child *child = arg;
	struct duoshm *ctx = new_context();
	struct duoshm_queue *q;
	const void *message;

	HARNESS_CHILD(
		duoshm_queue_open(ctx, harness_name(child->stem), DUOSHM_CONSUMER, 0, &q) == 0);
	HARNESS_CHILD(duoshm_queue_peek(q, &message, WATCHDOG) == 3);
	HARNESS_CHILD(duoshm_queue_release(q) == 0);
	HARNESS_CHILD(duoshm_queue_peek(q, &message, WATCHDOG) == 3);
	harness_gate_open(&child->ready);
	for (;;)
		pause();
}

static void a_dead_consumer_is_told_when_the_queue_is_full(void)
{
	struct child child = {.stem = "reader"};
	struct duoshm *ctx = new_context();
	const char *name = harness_name(child.stem);
	struct duoshm_queue *q, *heir;
	char buffer[112];

	CU_ASSERT_EQUAL_FATAL(duoshm_queue_create(ctx, name, 256, DUOSHM_PRODUCER, NULL, &q), 0);
	CU_ASSERT_EQUAL(duoshm_queue_send(q, "one", 3, 0), 0);
	CU_ASSERT_EQUAL(duoshm_queue_send(q, "two", 3, 0), 0);
	harness_gate(&child.ready);
	pid_t pid = harness_fork(holds_the_consumer, &child);
	CU_ASSERT_FATAL(harness_gate_pass(&child.ready));
	while (duoshm_queue_send(q, buffer, 50, 0) == 0)
		continue;
	CU_ASSERT_EQUAL(duoshm_failure()->code, DUOSHM_ERR_TIMEOUT);
	harness_kill(pid);
	CU_ASSERT_EQUAL(duoshm_queue_send(q, buffer, 50, DUOSHM_FOREVER), DUOSHM_ERR_PEER_DEAD);
	CU_ASSERT_EQUAL_FATAL(duoshm_queue_open(ctx, name, DUOSHM_CONSUMER, 0, &heir), 0);
	/* what it had only peeked at comes again */
	CU_ASSERT_EQUAL(duoshm_queue_receive(heir, buffer, 8, 0), 3);
	CU_ASSERT_EQUAL(memcmp(buffer, "two", 3), 0);
	CU_ASSERT_EQUAL(duoshm_queue_receive(heir, buffer, sizeof(buffer), 0), 50);
	CU_ASSERT_EQUAL(duoshm_queue_send(q, buffer, 50, 0), 0);
	harness_gate_close(&child.ready);
	CU_ASSERT_EQUAL(duoshm_queue_close(heir), 0);
	CU_ASSERT_EQUAL(duoshm_queue_close(q), 0);
	CU_ASSERT_EQUAL(duoshm_remove(ctx, name), 0);
	CU_ASSERT_EQUAL(duoshm_free(ctx), 0);
}

static int uses_the_handle_of_its_parent(void *arg)
{
	struct pipe_ends *p = arg;
	char c;

	HARNESS_CHILD(duoshm_queue_send(p->in, "x", 1, 0) == DUOSHM_ERR_FORKED);
	HARNESS_CHILD(duoshm_queue_receive(p->out, &c, 1, 0) == DUOSHM_ERR_FORKED);
	HARNESS_CHILD(duoshm_queue_close(p->in) == DUOSHM_ERR_FORKED);
	return 0;
}

static void a_fork_child_has_no_part_in_it(void)
{
	struct pipe_ends p = new_pipe("forked", 256);
	char c;

	CU_ASSERT_EQUAL(harness_wait(harness_fork(uses_the_handle_of_its_parent, &p)), 0);
	CU_ASSERT_EQUAL(duoshm_queue_receive(p.out, &c, 1, 0), DUOSHM_ERR_TIMEOUT);
	CU_ASSERT_EQUAL(duoshm_queue_send(p.in, "x", 1, 0), 0);
	CU_ASSERT_EQUAL(duoshm_queue_receive(p.out, &c, 1, 0), 1);
	end_pipe(&p, "forked");
}

/* ---- hostile bytes, counts ------------------------------------------------------------------------------------- */

static void a_holder_that_is_no_process_is_corrupt(void)
{
	struct duoshm_create options = DUOSHM_CREATE_INIT;
	struct duoshm *ctx = new_context();
	const char *name = harness_name("forged");
	size_t bytes = duoshm_queue_bytes(256);
	struct duoshm_segment *segment;
	struct duoshm_queue *out, *in;
	char c;

	CU_ASSERT_EQUAL_FATAL(duoshm_segment_create(ctx, name, bytes, &options, &segment), 0);
	CU_ASSERT_EQUAL(duoshm_queue_format(segment, 0, bytes), 0);
	struct duoshm__queue *shared = duoshm_segment_data(segment);
	CU_ASSERT_EQUAL_FATAL(
		duoshm_queue_attach(segment, 0, bytes, DUOSHM_NO_BELLS, DUOSHM_CONSUMER, &out), 0);
	duoshm__store64(&shared->producer.holder, UINT64_MAX);
	CU_ASSERT_EQUAL(duoshm_queue_receive(out, &c, 1, DUOSHM_FOREVER), DUOSHM_ERR_CORRUPT);
	CU_ASSERT_EQUAL(
		duoshm_queue_attach(segment, 0, bytes, DUOSHM_NO_BELLS, DUOSHM_PRODUCER, &in),
		DUOSHM_ERR_CORRUPT);
	/* an id that no living process has: dead */
	duoshm__store64(&shared->producer.holder, 12345);
	CU_ASSERT_EQUAL(duoshm_queue_receive(out, &c, 1, DUOSHM_FOREVER), DUOSHM_ERR_PEER_DEAD);
	CU_ASSERT_EQUAL(duoshm_queue_close(out), 0);
	CU_ASSERT_EQUAL(duoshm_segment_close(segment), 0);
	CU_ASSERT_EQUAL(duoshm_remove(ctx, name), 0);
	CU_ASSERT_EQUAL(duoshm_free(ctx), 0);
}

static int send_and_receive(void *arg)
{
	struct pipe_ends *p = arg;
	char buffer[100] = "";
	const void *message;
	void *room;

	for (int i = 0; i < 100; i++) {
		if (duoshm_queue_send(p->in, buffer, (size_t)i, DUOSHM_FOREVER) != 0)
			return 1;
		if (duoshm_queue_receive(p->out, buffer, 100, DUOSHM_FOREVER) != i)
			return 2;
		if (duoshm_queue_reserve(p->in, 100, &room, DUOSHM_FOREVER) != 0)
			return 3;
		if (duoshm_queue_commit(p->in, 50) != 0)
			return 4;
		if (duoshm_queue_peek(p->out, &message, DUOSHM_FOREVER) != 50)
			return 5;
		if (duoshm_queue_release(p->out) != 0)
			return 6;
	}
	return 0;
}

/* In the child that is counted: contexts do not survive a fork. */
static int open_both(void *arg)
{
	struct pipe_ends *p = arg;

	p->ctx = new_context();
	if (duoshm_queue_create(
		    p->ctx, harness_name("counted"), 1024, DUOSHM_PRODUCER, NULL, &p->in) < 0)
		return 1;
	return duoshm_queue_open(p->ctx, harness_name("counted"), DUOSHM_CONSUMER, 0, &p->out);
}

static void awake_both_make_no_system_call(void)
{
	struct pipe_ends p = {0};

	if (harness_instrumented())
		HARNESS_SKIP("instrumented");
	struct duoshm *ctx = new_context();
	int calls = harness_count_calls(open_both, send_and_receive, &p);

	/* what the child left behind */
	CU_ASSERT(duoshm_reclaim(ctx, 0, NULL, NULL) >= 0);
	CU_ASSERT_EQUAL(duoshm_free(ctx), 0);
	if (calls == HARNESS_NO_TRACE)
		HARNESS_SKIP("no ptrace here");
	CU_ASSERT_EQUAL(calls, 0);
	if (calls != 0)
		fprintf(stderr, "calls: %s\n", harness_calls_seen());
}

int main(int argc, char **argv)
{
	static const struct harness_case cases[] = {
		{"copies come through", copies_come_through},
		{"too long keeps the message", too_long_keeps_the_message},
		{"messages are built and read in place", messages_are_built_and_read_in_place},
		{"staged messages do not block themselves",
			staged_messages_do_not_block_themselves},
		{"calls of the other side are refused", calls_of_the_other_side_are_refused},
		{"a role has one holder", a_role_has_one_holder},
		{"the end comes after all messages", the_end_comes_after_all_messages},
		{"closing the producer is an end", closing_the_producer_is_an_end},
		{"a full queue times out", a_full_queue_times_out},
		{"a removed queue is told", a_removed_queue_is_told},
		{"open-or-create takes the role", open_or_create_takes_the_role},
		{"queues live in a segment", queues_live_in_a_segment},
		{"a sleeping consumer is woken", a_sleeping_consumer_is_woken},
		{"a sleeping producer is woken", a_sleeping_producer_is_woken},
		{"a dead producer leaves what it committed",
			a_dead_producer_leaves_what_it_committed},
		{"a dead consumer is told when the queue is full",
			a_dead_consumer_is_told_when_the_queue_is_full},
		{"a fork child has no part in it", a_fork_child_has_no_part_in_it},
		{"a holder that is no process is corrupt", a_holder_that_is_no_process_is_corrupt},
		{"awake, both make no system call", awake_both_make_no_system_call},
		{NULL, NULL},
	};

	return harness_run_each(argc, argv, "queue", cases);
}
