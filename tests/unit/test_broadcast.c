/* SPDX-License-Identifier: MIT */
/* Broadcasts by their public calls, on each family: messages, many readers, waiting, ends and deaths. */
#include "config.h"

#include "harness/harness.h"

#include "duoshm.h"
#include "queue/broadcast_layout.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define WATCHDOG 10000000000 /* of a wait that should end by itself, in ns */
#define READERS  6

static struct duoshm *new_context(void)
{
	struct duoshm_options options = DUOSHM_OPTIONS_INIT;
	struct duoshm *ctx = NULL;

	options.backend = harness_backend();
	if (duoshm_new(&options, &ctx) != 0)
		fprintf(stderr, "duoshm_new: %s\n", duoshm_failure()->cause);
	return ctx;
}

struct station {
	struct duoshm *ctx;
	const char *name;
	struct duoshm_broadcast *out;
};

static struct station new_station(const char *stem, size_t capacity)
{
	struct station s = {.ctx = new_context(), .name = harness_name(stem)};

	CU_ASSERT_PTR_NOT_NULL_FATAL(s.ctx);
	CU_ASSERT_EQUAL_FATAL(
		duoshm_broadcast_create(s.ctx, s.name, capacity, NULL, &s.out), DUOSHM_CREATED);
	return s;
}

static struct duoshm_broadcast *new_reader(const struct station *s, unsigned flags)
{
	struct duoshm_broadcast *reader = NULL;

	CU_ASSERT_EQUAL_FATAL(
		duoshm_broadcast_open(s->ctx, s->name, DUOSHM_READER, flags, 0, &reader), 0);
	return reader;
}

static void end_station(struct station *s)
{
	CU_ASSERT_EQUAL(duoshm_broadcast_close(s->out), 0);
	(void)duoshm_remove(s->ctx, s->name);
	CU_ASSERT_EQUAL(duoshm_free(s->ctx), 0);
}

static void every_reader_gets_every_message(void)
{
	struct station s = new_station("each", 1000);
	struct duoshm_broadcast *readers[READERS];
	char buffer[128];
	uint64_t missed = 4711;

	CU_ASSERT_EQUAL(duoshm_broadcast_longest(s.out), 128);
	CU_ASSERT_EQUAL(duoshm_broadcast_publish(s.out, "before", 6), 0);
	for (int i = 0; i < READERS; i++)
		readers[i] = new_reader(&s, i % 2 == 0 ? 0 : DUOSHM_READ_ONLY);
	CU_ASSERT_EQUAL(duoshm_broadcast_publish(s.out, "one", 3), 0);
	CU_ASSERT_EQUAL(duoshm_broadcast_publish(s.out, NULL, 0), 0);
	for (int i = 0; i < READERS; i++) {
		CU_ASSERT_EQUAL(duoshm_broadcast_longest(readers[i]), 128);
		CU_ASSERT_EQUAL(duoshm_broadcast_next(readers[i], buffer, sizeof(buffer), &missed,
					DUOSHM_FOREVER),
			3);
		CU_ASSERT_EQUAL(memcmp(buffer, "one", 3), 0);
		CU_ASSERT_EQUAL(missed, 0);
		CU_ASSERT_EQUAL(duoshm_broadcast_next(readers[i], buffer, 0, NULL, 0), 0);
		CU_ASSERT_EQUAL(duoshm_broadcast_next(readers[i], buffer, 1, &missed, 0),
			DUOSHM_ERR_TIMEOUT);
		CU_ASSERT_EQUAL(duoshm_broadcast_next(readers[i], buffer, 1, &missed, 2000000),
			DUOSHM_ERR_TIMEOUT);
		CU_ASSERT_EQUAL(duoshm_broadcast_close(readers[i]), 0);
	}
	end_station(&s);
}

static void a_reader_learns_what_it_missed(void)
{
	struct station s = new_station("missed", 256);
	struct duoshm_broadcast *reader = new_reader(&s, DUOSHM_READ_ONLY);
	uint64_t missed = 0;
	char buffer[32];

	for (int i = 0; i < 1000; i++)
		CU_ASSERT_EQUAL(duoshm_broadcast_publish(s.out, &i, sizeof(i)), 0);
	CU_ASSERT_EQUAL(duoshm_broadcast_next(reader, buffer, 32, &missed, 0), sizeof(int));
	CU_ASSERT_EQUAL(missed, 999);
	CU_ASSERT_EQUAL(duoshm_broadcast_close(reader), 0);
	end_station(&s);
}

static void wrong_calls_are_refused(void)
{
	struct station s = new_station("wrong", 256);
	struct duoshm_broadcast *reader = new_reader(&s, 0), *q = NULL;
	char buffer[64] = "";

	CU_ASSERT_EQUAL(duoshm_broadcast_publish(reader, "x", 1), DUOSHM_ERR_NOT_OWNER);
	CU_ASSERT_EQUAL(duoshm_broadcast_next(s.out, buffer, 1, NULL, 0), DUOSHM_ERR_NOT_OWNER);
	CU_ASSERT_EQUAL(duoshm_broadcast_publish(s.out, buffer, 33), DUOSHM_ERR_TOO_LONG);
	CU_ASSERT_EQUAL(duoshm_broadcast_publish(s.out, NULL, 1), DUOSHM_ERR_INVALID);
	CU_ASSERT_EQUAL(duoshm_broadcast_next(reader, buffer, 1, NULL, -1), DUOSHM_ERR_INVALID);
	CU_ASSERT_EQUAL(
		duoshm_broadcast_open(s.ctx, s.name, DUOSHM_PRODUCER, 0, 0, &q), DUOSHM_ERR_BUSY);
	CU_ASSERT_EQUAL(duoshm_broadcast_open(s.ctx, s.name, DUOSHM_CONSUMER, 0, 0, &q),
		DUOSHM_ERR_INVALID);
	CU_ASSERT_PTR_NULL(q);
	CU_ASSERT_EQUAL(duoshm_broadcast_publish(s.out, "0123456789", 10), 0);
	CU_ASSERT_EQUAL(duoshm_broadcast_publish(s.out, "abc", 3), 0);
	CU_ASSERT_EQUAL(duoshm_broadcast_next(reader, buffer, 9, NULL, 0), DUOSHM_ERR_TOO_LONG);
	CU_ASSERT_EQUAL(duoshm_broadcast_next(reader, buffer, 9, NULL, 0), 3);
	CU_ASSERT_EQUAL(duoshm_broadcast_close(reader), 0);
	CU_ASSERT_EQUAL(duoshm_broadcast_close(NULL), 0);
	end_station(&s);
}

static void the_end_comes_after_all_messages(void)
{
	struct station s = new_station("end", 256);
	struct duoshm_broadcast *reader = new_reader(&s, 0);
	char buffer[32];

	CU_ASSERT_EQUAL(duoshm_broadcast_publish(s.out, "last", 4), 0);
	CU_ASSERT_EQUAL(duoshm_broadcast_close(s.out), 0);
	CU_ASSERT_EQUAL(duoshm_broadcast_next(reader, buffer, 32, NULL, DUOSHM_FOREVER), 4);
	CU_ASSERT_EQUAL(
		duoshm_broadcast_next(reader, buffer, 32, NULL, DUOSHM_FOREVER), DUOSHM_ERR_END);
	/* the next producer goes on */
	CU_ASSERT_EQUAL_FATAL(
		duoshm_broadcast_open(s.ctx, s.name, DUOSHM_PRODUCER, 0, 0, &s.out), 0);
	CU_ASSERT_EQUAL(duoshm_broadcast_next(reader, buffer, 32, NULL, 0), DUOSHM_ERR_TIMEOUT);
	CU_ASSERT_EQUAL(duoshm_broadcast_publish(s.out, "more", 4), 0);
	CU_ASSERT_EQUAL(duoshm_broadcast_next(reader, buffer, 32, NULL, 0), 4);
	CU_ASSERT_EQUAL(duoshm_broadcast_close(reader), 0);
	end_station(&s);
}

static void a_removed_broadcast_is_told(void)
{
	struct station s = new_station("removed", 256);
	struct duoshm_broadcast *reader = new_reader(&s, DUOSHM_READ_ONLY);
	char buffer[32];

	CU_ASSERT_EQUAL(duoshm_remove(s.ctx, s.name), 0);
	CU_ASSERT_EQUAL(duoshm_broadcast_publish(s.out, "x", 1), DUOSHM_ERR_REMOVED);
	CU_ASSERT_EQUAL(duoshm_broadcast_next(reader, buffer, 32, NULL, DUOSHM_FOREVER),
		DUOSHM_ERR_REMOVED);
	CU_ASSERT_EQUAL(duoshm_broadcast_close(reader), 0);
	end_station(&s);
}

static void a_broadcast_lives_in_a_segment(void)
{
	struct duoshm_create options = DUOSHM_CREATE_INIT;
	struct duoshm *ctx = new_context();
	const char *name = harness_name("stream");
	size_t bytes = duoshm_broadcast_bytes(4096);
	struct duoshm_segment *segment, *view;
	struct duoshm_broadcast *out, *in, *bad;
	char buffer[32];

	options.bells = 3;
	CU_ASSERT_EQUAL(bytes, DUOSHM__BROADCAST_HEADER + 4096);
	CU_ASSERT_EQUAL_FATAL(duoshm_segment_create(ctx, name, 128 + bytes, &options, &segment), 0);
	CU_ASSERT_EQUAL(duoshm_broadcast_format(segment, 128, bytes), 0);
	CU_ASSERT_EQUAL_FATAL(
		duoshm_broadcast_attach(segment, 128, bytes, 1, DUOSHM_PRODUCER, &out), 0);
	CU_ASSERT_EQUAL_FATAL(duoshm_segment_open(ctx, name, DUOSHM_READ_ONLY, 0, &view), 0);
	CU_ASSERT_EQUAL(duoshm_broadcast_attach(view, 128, bytes, 1, DUOSHM_PRODUCER, &bad),
		DUOSHM_ERR_READ_ONLY);
	CU_ASSERT_EQUAL(duoshm_broadcast_format(view, 128, bytes), DUOSHM_ERR_READ_ONLY);
	CU_ASSERT_EQUAL_FATAL(duoshm_broadcast_attach(view, 128, bytes, 1, DUOSHM_READER, &in), 0);
	CU_ASSERT_EQUAL(duoshm_broadcast_publish(out, "hello", 5), 0);
	CU_ASSERT_EQUAL(duoshm_broadcast_next(in, buffer, 32, NULL, DUOSHM_FOREVER), 5);
	CU_ASSERT_EQUAL(duoshm_broadcast_close(in), 0);
	CU_ASSERT_EQUAL(duoshm_broadcast_close(out), 0);
	CU_ASSERT_EQUAL(duoshm_segment_close(view), 0);
	CU_ASSERT_EQUAL(duoshm_segment_close(segment), 0);
	CU_ASSERT_EQUAL(duoshm_remove(ctx, name), 0);
	CU_ASSERT_EQUAL(duoshm_free(ctx), 0);
}

/* ---- waiting ---------------------------------------------------------------------------------------- */

struct listeners {
	const char *stem;
	unsigned flags;
	struct harness_gate ready;
};

/* Hears every message, up to the end. */
static int listens(void *arg)
{
	struct listeners *all = arg;
	struct duoshm *ctx = new_context();
	struct duoshm_broadcast *reader;
	uint64_t missed, expected = 0, number;

	HARNESS_CHILD(duoshm_broadcast_open(ctx, harness_name(all->stem), DUOSHM_READER, all->flags,
			      0, &reader) == 0);
	harness_gate_open(&all->ready);
	for (;;) {
		ssize_t length =
			duoshm_broadcast_next(reader, &number, sizeof(number), &missed, WATCHDOG);
		if (length == DUOSHM_ERR_END)
			break;
		HARNESS_CHILD(length == sizeof(number));
		HARNESS_CHILD(number == expected + missed);
		expected = number + 1;
	}
	HARNESS_CHILD(expected == 20);
	HARNESS_CHILD(duoshm_broadcast_close(reader) == 0);
	HARNESS_CHILD(duoshm_free(ctx) == 0);
	return 0;
}

static void listen_asleep(const char *stem, unsigned flags)
{
	struct listeners all = {.stem = stem, .flags = flags};
	struct station s = new_station(stem, 4096);
	pid_t pids[READERS];

	harness_gate(&all.ready);
	for (int i = 0; i < READERS; i++)
		pids[i] = harness_fork(listens, &all);
	for (int i = 0; i < READERS; i++)
		CU_ASSERT_FATAL(harness_gate_pass(&all.ready));
	for (uint64_t number = 0; number < 20; number++) {
		for (int i = 0; i < READERS; i++)
			(void)harness_until_asleep(pids[i]);
		CU_ASSERT_EQUAL(duoshm_broadcast_publish(s.out, &number, sizeof(number)), 0);
	}
	CU_ASSERT_EQUAL(duoshm_broadcast_close(s.out), 0);
	s.out = NULL;
	for (int i = 0; i < READERS; i++)
		CU_ASSERT_EQUAL(harness_wait(pids[i]), 0);
	harness_gate_close(&all.ready);
	end_station(&s);
}

static void all_sleeping_readers_are_woken(void)
{
	listen_asleep("sleepers", 0);
}

static void read_only_readers_find_it_themselves(void)
{
	listen_asleep("pollers", DUOSHM_READ_ONLY);
}

/* ---- deaths -------------------------------------------------------------------------------------------- */

static int produces(void *arg)
{
	struct listeners *child = arg;
	struct duoshm *ctx = new_context();
	struct duoshm_broadcast *out;
	uint64_t number = 0;

	HARNESS_CHILD(duoshm_broadcast_open(
			      ctx, harness_name(child->stem), DUOSHM_PRODUCER, 0, 0, &out) == 0);
	HARNESS_CHILD(duoshm_broadcast_publish(out, &number, sizeof(number)) == 0);
	harness_gate_open(&child->ready);
	for (;;)
		pause();
}

static void a_dead_producer_is_told_and_followed(void)
{
	struct listeners child = {.stem = "mortal"};
	struct station s = new_station(child.stem, 256);
	struct duoshm_broadcast *reader = new_reader(&s, 0);
	uint64_t number, missed;

	CU_ASSERT_EQUAL(duoshm_broadcast_close(s.out), 0);
	harness_gate(&child.ready);
	pid_t pid = harness_fork(produces, &child);
	CU_ASSERT_FATAL(harness_gate_pass(&child.ready));
	CU_ASSERT_EQUAL(duoshm_broadcast_next(reader, &number, 8, &missed, WATCHDOG), 8);
	harness_stop(pid);
	CU_ASSERT_EQUAL(
		duoshm_broadcast_next(reader, &number, 8, &missed, 2000000), DUOSHM_ERR_TIMEOUT);
	harness_kill(pid);
	CU_ASSERT_EQUAL(duoshm_broadcast_next(reader, &number, 8, &missed, DUOSHM_FOREVER),
		DUOSHM_ERR_PEER_DEAD);
	CU_ASSERT_EQUAL_FATAL(
		duoshm_broadcast_open(s.ctx, s.name, DUOSHM_PRODUCER, 0, 0, &s.out), 0);
	CU_ASSERT_EQUAL(duoshm_broadcast_publish(s.out, &missed, 8), 0);
	CU_ASSERT_EQUAL(duoshm_broadcast_next(reader, &number, 8, &missed, WATCHDOG), 8);
	CU_ASSERT_EQUAL(missed, 0);
	harness_gate_close(&child.ready);
	CU_ASSERT_EQUAL(duoshm_broadcast_close(reader), 0);
	end_station(&s);
}

static int publishes(void *arg)
{
	struct station *s = arg;
	char message[32] = "";

	for (int i = 0; i < 100; i++) {
		if (duoshm_broadcast_publish(s->out, message, sizeof(message)) != 0)
			return 1;
	}
	return 0;
}

/* In the child that is counted: contexts do not survive a fork. */
static int opens(void *arg)
{
	struct station *s = arg;

	s->ctx = new_context();
	return duoshm_broadcast_create(s->ctx, harness_name("counted"), 1024, NULL, &s->out);
}

static void publishing_makes_no_system_call(void)
{
	struct station s = {0};

	if (harness_instrumented())
		HARNESS_SKIP("instrumented");
	struct duoshm *ctx = new_context();
	int calls = harness_count_calls(opens, publishes, &s);

	/* what the child left behind */
	CU_ASSERT(duoshm_reclaim(ctx, 0, NULL, NULL) >= 0);
	CU_ASSERT_EQUAL(duoshm_free(ctx), 0);
	if (calls == HARNESS_NO_TRACE)
		HARNESS_SKIP("no ptrace here");
	CU_ASSERT_EQUAL(calls, 0);
}

int main(int argc, char **argv)
{
	static const struct harness_case cases[] = {
		{"every reader gets every message", every_reader_gets_every_message},
		{"a reader learns what it missed", a_reader_learns_what_it_missed},
		{"wrong calls are refused", wrong_calls_are_refused},
		{"the end comes after all messages", the_end_comes_after_all_messages},
		{"a removed broadcast is told", a_removed_broadcast_is_told},
		{"a broadcast lives in a segment", a_broadcast_lives_in_a_segment},
		{"all sleeping readers are woken", all_sleeping_readers_are_woken},
		{"read-only readers find it themselves", read_only_readers_find_it_themselves},
		{"a dead producer is told and followed", a_dead_producer_is_told_and_followed},
		{"publishing makes no system call", publishing_makes_no_system_call},
		{NULL, NULL},
	};

	return harness_run_each(argc, argv, "broadcast", cases);
}
