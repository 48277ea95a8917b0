/* SPDX-License-Identifier: MIT */
/* What duoshm.h says of queues and broadcasts. */
#include "config.h"

#include "conformance/conformance.h"

#include <string.h>

static struct duoshm_queue *make(struct duoshm *ctx, const char *stem, enum duoshm_role role)
{
	struct duoshm_queue *queue = NULL;

	EXPECT_FATAL(duoshm_queue_create(ctx, harness_name(stem), 1000, role, NULL, &queue),
		DUOSHM_CREATED);
	return queue;
}

static void end(struct duoshm *ctx, struct duoshm_queue *queue, const char *stem)
{
	EXPECT(duoshm_queue_close(queue), 0);
	if (stem != NULL)
		discard(ctx, stem);
	end_context(ctx);
}

static struct duoshm_queue *child_queue(
	struct duoshm *ctx, struct helper *helper, enum duoshm_role role)
{
	struct duoshm_queue *queue;

	CHILD_EXPECT(
		duoshm_queue_open(ctx, harness_name(helper->stem), role, LONG_TIME, &queue), 0);
	return queue;
}

static unsigned char pattern(int64_t message, size_t at)
{
	return (unsigned char)(message * 31 + (int64_t)at);
}

/* Consumes `number` messages of length (i * 7) % longest, checks all, then expects END. */
static int consume(void *argument)
{
	struct helper *helper = argument;
	struct duoshm *ctx = child_context();
	struct duoshm_queue *queue = child_queue(ctx, helper, DUOSHM_CONSUMER);
	unsigned char buffer[1024];
	size_t longest = duoshm_queue_longest(queue);

	harness_gate_open(&helper->ready);
	for (int64_t i = 0; i < helper->number; i++) {
		size_t want = (size_t)i * 7 % (longest + 1);
		CHILD_EXPECT(
			duoshm_queue_receive(queue, buffer, sizeof(buffer), LONG_TIME), (long)want);
		for (size_t at = 0; at < want; at++)
			HARNESS_CHILD(buffer[at] == pattern(i, at));
	}
	CHILD_EXPECT(
		duoshm_queue_receive(queue, buffer, sizeof(buffer), LONG_TIME), DUOSHM_ERR_END);
	CHILD_EXPECT(duoshm_queue_close(queue), 0);
	return duoshm_free(ctx);
}

static void q_order_and_end(void)
{
	struct duoshm *ctx = new_context();
	struct duoshm_queue *queue = make(ctx, "order", DUOSHM_PRODUCER);
	struct helper helper = {.number = harness_scale(2000, 20000, 1000000)};
	unsigned char buffer[1024];
	size_t longest = duoshm_queue_longest(queue);

	CU_ASSERT_FATAL(longest >= 64 && longest <= sizeof(buffer));
	start_helper(&helper, consume, "order", 0);
	for (int64_t i = 0; i < helper.number; i++) {
		size_t length = (size_t)i * 7 % (longest + 1);
		for (size_t at = 0; at < length; at++)
			buffer[at] = pattern(i, at);
		EXPECT_FATAL(duoshm_queue_send(queue, buffer, length, LONG_TIME), 0);
	}
	EXPECT(duoshm_queue_finish(queue), 0);
	finish_helper(&helper);
	end(ctx, queue, "order");
}

static int reader_in_steps(void *argument)
{
	struct helper *helper = argument;
	struct duoshm *ctx = child_context();
	struct duoshm_queue *queue = child_queue(ctx, helper, DUOSHM_CONSUMER);
	const void *message;
	char buffer[8];

	harness_gate_open(&helper->ready);
	HARNESS_CHILD(harness_gate_pass(&helper->go));
	CHILD_EXPECT(duoshm_queue_pending(queue), 0);
	CHILD_EXPECT(duoshm_queue_receive(queue, buffer, 0, 0), 0);
	CHILD_EXPECT(duoshm_queue_receive(queue, buffer, sizeof(buffer), 0), DUOSHM_ERR_TOO_LONG);
	CHILD_EXPECT(duoshm_queue_pending(queue), 20);
	CHILD_EXPECT(duoshm_queue_peek(queue, &message, 0), 20);
	HARNESS_CHILD(memcmp(message, "twenty characters..", 20) == 0);
	CHILD_EXPECT((uintptr_t)message % 8, 0);
	CHILD_EXPECT(duoshm_queue_release(queue), 0);
	CHILD_EXPECT(duoshm_queue_receive(queue, buffer, sizeof(buffer), 0), 3);
	HARNESS_CHILD(memcmp(buffer, "abc", 3) == 0);
	CHILD_EXPECT(duoshm_queue_receive(queue, buffer, sizeof(buffer), 0), DUOSHM_ERR_TIMEOUT);
	CHILD_EXPECT(duoshm_queue_pending(queue), DUOSHM_ERR_TIMEOUT);
	CHILD_EXPECT(duoshm_queue_send(queue, buffer, 1, 0), DUOSHM_ERR_NOT_OWNER);
	CHILD_EXPECT(duoshm_queue_close(queue), 0);
	return duoshm_free(ctx);
}

static void q_in_place(void)
{
	struct duoshm *ctx = new_context();
	struct duoshm_queue *queue = make(ctx, "place", DUOSHM_PRODUCER), *second;
	struct helper helper;
	void *room;
	char byte;

	start_helper(&helper, reader_in_steps, "place", 0);
	EXPECT(duoshm_queue_open(ctx, harness_name("place"), DUOSHM_PRODUCER, 0, &second),
		DUOSHM_ERR_BUSY);
	EXPECT(duoshm_queue_open(ctx, harness_name("place"), DUOSHM_CONSUMER, 0, &second),
		DUOSHM_ERR_BUSY);
	EXPECT(duoshm_queue_send(queue, NULL, 0, 0), 0);
	EXPECT_FATAL(duoshm_queue_reserve(queue, 64, &room, 0), 0);
	CU_ASSERT_EQUAL((uintptr_t)room % 8, 0);
	memcpy(room, "twenty characters..", 20);
	EXPECT(duoshm_queue_stage(queue, 20), 0);
	EXPECT_FATAL(duoshm_queue_reserve(queue, 3, &room, 0), 0);
	memcpy(room, "abc", 3);
	EXPECT(duoshm_queue_commit(queue, 3), 0);
	EXPECT(duoshm_queue_reserve(queue, 1 << 20, &room, 0), DUOSHM_ERR_TOO_LONG);
	EXPECT(duoshm_queue_receive(queue, &byte, 1, 0), DUOSHM_ERR_NOT_OWNER);
	finish_helper(&helper);
	end(ctx, queue, "place");
}

static int take_role_and_hang(void *argument)
{
	struct helper *helper = argument;
	struct duoshm_queue *queue =
		child_queue(child_context(), helper, (enum duoshm_role)helper->flags);

	if (helper->flags == DUOSHM_PRODUCER) {
		for (int i = 0; i < 3; i++)
			CHILD_EXPECT(duoshm_queue_send(queue, "last words", 10, 0), 0);
	}
	harness_gate_open(&helper->ready);
	return !harness_gate_pass(&helper->go);
}

static void q_peer_dies(void)
{
	struct duoshm *ctx = new_context();
	struct duoshm_queue *queue = make(ctx, "dies", DUOSHM_CONSUMER);
	struct helper helper;
	char buffer[16];

	start_helper(&helper, take_role_and_hang, "dies", DUOSHM_PRODUCER);
	kill_helper(&helper);
	for (int i = 0; i < 3; i++)
		EXPECT(duoshm_queue_receive(queue, buffer, sizeof(buffer), LONG_TIME), 10);
	EXPECT(duoshm_queue_receive(queue, buffer, sizeof(buffer), DUOSHM_FOREVER),
		DUOSHM_ERR_PEER_DEAD);
	start_helper(&helper, take_role_and_hang, "dies", DUOSHM_PRODUCER);
	EXPECT(duoshm_queue_receive(queue, buffer, sizeof(buffer), LONG_TIME), 10);
	kill_helper(&helper);
	EXPECT(duoshm_queue_close(queue), 0);
	discard(ctx, "dies");
	queue = make(ctx, "dies", DUOSHM_PRODUCER);
	start_helper(&helper, take_role_and_hang, "dies", DUOSHM_CONSUMER);
	kill_helper(&helper);
	int result = 0;
	for (int i = 0; i < 1000 && result == 0; i++)
		result = duoshm_queue_send(queue, buffer, 16, DUOSHM_FOREVER);
	EXPECT(result, DUOSHM_ERR_PEER_DEAD);
	end(ctx, queue, "dies");
}

static int wait_for_removal(void *argument)
{
	struct helper *helper = argument;
	struct duoshm_queue *queue = child_queue(child_context(), helper, DUOSHM_CONSUMER);
	char buffer[16];

	harness_gate_open(&helper->ready);
	CHILD_EXPECT(duoshm_queue_receive(queue, buffer, sizeof(buffer), DUOSHM_FOREVER),
		DUOSHM_ERR_REMOVED);
	return 0;
}

static void q_removal(void)
{
	struct duoshm *ctx = new_context();
	struct duoshm_queue *queue = make(ctx, "removed", DUOSHM_PRODUCER);
	struct helper helper;

	start_helper(&helper, wait_for_removal, "removed", 0);
	harness_until_asleep(helper.pid);
	discard(ctx, "removed");
	finish_helper(&helper);
	EXPECT(duoshm_queue_send(queue, "x", 1, 0), DUOSHM_ERR_REMOVED);
	end(ctx, queue, NULL);
}

/* Both roles in one child, so that both sides are awake: the queue's two handles, own memory each. */
struct pair {
	struct duoshm_queue *producer, *consumer;
};

static int open_pair(void *argument)
{
	struct pair *pair = argument;
	struct duoshm *ctx = child_context();
	char buffer[8];

	int result = duoshm_queue_create(
		ctx, harness_name("pair"), 4096, DUOSHM_PRODUCER, NULL, &pair->producer);
	if (result == 0)
		result = duoshm_queue_open(
			ctx, harness_name("pair"), DUOSHM_CONSUMER, 0, &pair->consumer);
	/* The first message finds out who the other side is. */
	if (result == 0)
		result = duoshm_queue_send(pair->producer, "x", 1, 0);
	return result == 0 && duoshm_queue_receive(pair->consumer, buffer, 8, 0) == 1 ? 0 : 1;
}

static int send_and_receive(void *argument)
{
	struct pair *pair = argument;
	char buffer[8];

	for (int i = 0; i < 1000; i++) {
		if (duoshm_queue_send(pair->producer, "abc", 3, DUOSHM_FOREVER) != 0 ||
			duoshm_queue_receive(pair->consumer, buffer, 8, DUOSHM_FOREVER) != 3)
			return 1;
	}
	return 0;
}

static void q_no_system_call(void)
{
	struct pair pair;
	int calls = harness_instrumented()
			    ? HARNESS_NO_TRACE
			    : harness_count_calls(open_pair, send_and_receive, &pair);
	struct duoshm *ctx = new_context();

	if (!harness_instrumented())
		discard(ctx, "pair");
	end_context(ctx);
	if (calls == HARNESS_NO_TRACE)
		HARNESS_SKIP("system calls cannot be counted here");
	CU_ASSERT_EQUAL(calls, 0);
}

/* ---- broadcast ------------------------------------------------------------------------------- */

static int follow(void *argument)
{
	struct helper *helper = argument;
	struct duoshm *ctx = child_context();
	struct duoshm_broadcast *broadcast;
	int64_t number, last = -1, seen = 0, lost = 0;

	CHILD_EXPECT(duoshm_broadcast_open(ctx, harness_name(helper->stem), DUOSHM_READER,
			     helper->flags, 0, &broadcast),
		0);
	CHILD_EXPECT(duoshm_broadcast_next(broadcast, &number, sizeof(number), NULL, 0),
		DUOSHM_ERR_TIMEOUT);
	harness_gate_open(&helper->ready);
	for (;;) {
		uint64_t missed = 0;
		ssize_t length = duoshm_broadcast_next(
			broadcast, &number, sizeof(number), &missed, LONG_TIME);
		lost += (int64_t)missed;
		if (length == DUOSHM_ERR_END)
			break;
		CHILD_EXPECT(length, sizeof(number));
		HARNESS_CHILD(number == last + 1 + (int64_t)missed);
		last = number;
		seen++;
	}
	CHILD_EXPECT(seen + lost, helper->number);
	CHILD_EXPECT(duoshm_broadcast_close(broadcast), 0);
	return duoshm_free(ctx);
}

static void b_readers_account_for_all(void)
{
	struct duoshm *ctx = new_context();
	struct duoshm_broadcast *broadcast = NULL;
	struct helper helpers[3];
	int64_t messages = harness_scale(5000, 100000, 1000000);
	char long_message[4096] = "";

	EXPECT_FATAL(duoshm_broadcast_create(ctx, harness_name("cast"), 4096, NULL, &broadcast), 0);
	EXPECT(duoshm_broadcast_publish(broadcast, long_message, sizeof(long_message)),
		DUOSHM_ERR_TOO_LONG);
	for (int i = 0; i < 3; i++) {
		helpers[i].number = messages;
		start_helper(&helpers[i], follow, "cast", i == 0 ? DUOSHM_READ_ONLY : 0);
	}
	for (int64_t i = 0; i < messages; i++)
		EXPECT_FATAL(duoshm_broadcast_publish(broadcast, &i, sizeof(i)), 0);
	EXPECT(duoshm_broadcast_close(broadcast), 0);
	for (int i = 0; i < 3; i++)
		finish_helper(&helpers[i]);
	discard(ctx, "cast");
	end_context(ctx);
}

static int publish_and_hang(void *argument)
{
	struct helper *helper = argument;
	struct duoshm_broadcast *broadcast;

	CHILD_EXPECT(duoshm_broadcast_create(
			     child_context(), harness_name(helper->stem), 4096, NULL, &broadcast),
		0);
	harness_gate_open(&helper->ready);
	HARNESS_CHILD(harness_gate_pass(&helper->go));
	CHILD_EXPECT(duoshm_broadcast_publish(broadcast, "once", 4), 0);
	harness_gate_open(&helper->ready);
	return !harness_gate_pass(&helper->go);
}

static void b_producer_dies(void)
{
	struct duoshm *ctx = new_context();
	struct duoshm_broadcast *broadcast = NULL;
	struct helper helper;
	char buffer[16];

	start_helper(&helper, publish_and_hang, "dying", 0);
	EXPECT_FATAL(
		duoshm_broadcast_open(ctx, harness_name("dying"), DUOSHM_READER, 0, 0, &broadcast),
		0);
	harness_gate_open(&helper.go);
	CU_ASSERT(harness_gate_pass(&helper.ready));
	kill_helper(&helper);
	EXPECT(duoshm_broadcast_next(broadcast, buffer, sizeof(buffer), NULL, LONG_TIME), 4);
	EXPECT(duoshm_broadcast_next(broadcast, buffer, sizeof(buffer), NULL, DUOSHM_FOREVER),
		DUOSHM_ERR_PEER_DEAD);
	EXPECT(duoshm_broadcast_close(broadcast), 0);
	discard(ctx, "dying");
	end_context(ctx);
}

const struct harness_case queue_cases[] = {
	{"queue: all lengths arrive in order, then END", q_order_and_end},
	{"queue: in place, TOO_LONG keeps the message, roles are single", q_in_place},
	{"queue: a dead peer is told after its last words, its role taken over", q_peer_dies},
	{"queue: removal wakes who sleeps", q_removal},
	{"queue: with both sides awake no system call", q_no_system_call},
	{"broadcast: each reader sees all, or how many it missed; END", b_readers_account_for_all},
	{"broadcast: the producer's death is told after its last words", b_producer_dies},
	{NULL, NULL},
};
