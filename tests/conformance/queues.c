/* SPDX-License-Identifier: MIT */
/* What duoshm.h says of queues and broadcasts. */
#include "config.h"

#include "conformance/conformance.h"

static struct duoshm_queue *make(const char *stem, enum duoshm_role role)
{
	struct duoshm_queue *queue = NULL;

	EXPECT_FATAL(duoshm_queue_create(ctx, harness_name(stem), 1000, role, NULL, &queue),
		DUOSHM_CREATED);
	return queue;
}

static struct duoshm_queue *open_it(const char *stem, enum duoshm_role role)
{
	struct duoshm_queue *queue = NULL;

	OK(duoshm_queue_open(ctx, harness_name(stem), role, LONG_TIME, &queue));
	return queue;
}

static void end(struct duoshm_queue *queue)
{
	EXPECT(duoshm_queue_close(queue), 0);
}

static unsigned char pattern(int64_t message, size_t at)
{
	return (unsigned char)(message * 31 + (int64_t)at);
}

/* Consumes `number` messages of length (i * 7) % longest, checks all, then expects END. */
static int consume(void *argument)
{
	struct helper *helper = argument;
	ctx = new_context();
	struct duoshm_queue *queue = open_it(helper->stem, DUOSHM_CONSUMER);
	unsigned char buffer[1024];
	size_t longest = duoshm_queue_longest(queue);

	harness_gate_open(&helper->ready);
	for (int64_t i = 0; i < helper->number; i++) {
		size_t want = (size_t)i * 7 % (longest + 1);
		EXPECT(duoshm_queue_receive(queue, buffer, sizeof(buffer), LONG_TIME), want);
		for (size_t at = 0; at < want; at++)
			CHECK(buffer[at] == pattern(i, at));
	}
	EXPECT(duoshm_queue_receive(queue, buffer, sizeof(buffer), LONG_TIME), DUOSHM_ERR_END);
	end(queue);
	end_context(ctx);
	return 0;
}

static void q_order_and_end(void)
{
	struct duoshm_queue *queue = make("order", DUOSHM_PRODUCER);
	struct helper helper = {.number = harness_scale(2000, 20000, 1000000)};
	unsigned char buffer[1024];
	size_t longest = duoshm_queue_longest(queue);

	CHECK_FATAL(longest >= 64 && longest <= sizeof(buffer));
	start_helper(&helper, consume, "order", 0);
	for (int64_t i = 0; i < helper.number; i++) {
		size_t length = (size_t)i * 7 % (longest + 1);
		for (size_t at = 0; at < length; at++)
			buffer[at] = pattern(i, at);
		EXPECT_FATAL(duoshm_queue_send(queue, buffer, length, LONG_TIME), 0);
	}
	EXPECT(duoshm_queue_finish(queue), 0);
	finish_helper(&helper);
	end(queue);
}

static const size_t many_lengths[] = {0, 8, 24, 64, 100};

static int consume_many(void *argument)
{
	struct helper *helper = argument;
	ctx = new_context();
	struct duoshm_queue *queue = open_it(helper->stem, DUOSHM_CONSUMER);
	unsigned char buffer[100];

	harness_gate_open(&helper->ready);
	for (int64_t i = 0; i < 5 * helper->number; i++) {
		size_t want = many_lengths[i / helper->number];
		EXPECT(duoshm_queue_receive(queue, buffer, sizeof(buffer), LONG_TIME), want);
		for (size_t at = 0; at < want; at++)
			CHECK(buffer[at] == pattern(i % helper->number, at));
	}
	EXPECT(duoshm_queue_receive(queue, buffer, sizeof(buffer), LONG_TIME), DUOSHM_ERR_END);
	end(queue);
	end_context(ctx);
	return 0;
}

/* More in one call than there is ever room for. */
static void q_many(void)
{
	struct duoshm_queue *queue = make("many", DUOSHM_PRODUCER);
	struct helper helper = {.number = 1000};
	unsigned char messages[100 * 1000];

	EXPECT(duoshm_queue_send_many(queue, messages, 8, 0, 0), 0);
	start_helper(&helper, consume_many, "many", 0);
	for (int i = 0; i < 5; i++) {
		size_t length = many_lengths[i];
		for (size_t at = 0; at < length * 1000; at++)
			messages[at] = pattern((int64_t)(at / length), at % length);
		EXPECT(duoshm_queue_send_many(queue, messages, length, 1000, LONG_TIME), 1000);
	}
	EXPECT(duoshm_queue_finish(queue), 0);
	finish_helper(&helper);
	end(queue);
}

static int reader_in_steps(void *argument)
{
	struct helper *helper = argument;
	ctx = new_context();
	struct duoshm_queue *queue = open_it(helper->stem, DUOSHM_CONSUMER);
	const void *message;
	char buffer[8];

	EXPECT(helper_stays(helper), 0);
	EXPECT(duoshm_queue_pending(queue), 0);
	EXPECT(duoshm_queue_receive(queue, NULL, 0, 0), 0);
	EXPECT(duoshm_queue_receive(queue, buffer, sizeof(buffer), 0), DUOSHM_ERR_TOO_LONG);
	EXPECT(duoshm_queue_pending(queue), 20);
	EXPECT(duoshm_queue_peek(queue, &message, 0), 20);
	EXPECT(duoshm_queue_peek(queue, &message, 0), 20);
	EXPECT_TEXT(message, "twenty characters..");
	EXPECT((uintptr_t)message % 8, 0);
	EXPECT(duoshm_queue_release(queue), 0);
	EXPECT(duoshm_queue_receive(queue, buffer, 3, 0), 3);
	CHECK(memcmp(buffer, "abc", 3) == 0);
	EXPECT(duoshm_queue_receive(queue, buffer, sizeof(buffer), 0), DUOSHM_ERR_TIMEOUT);
	EXPECT(duoshm_queue_pending(queue), DUOSHM_ERR_TIMEOUT);
	EXPECT(duoshm_queue_send(queue, buffer, 1, 0), DUOSHM_ERR_NOT_OWNER);
	end(queue);
	end_context(ctx);
	return 0;
}

static void q_in_place(void)
{
	struct duoshm_queue *queue = make("place", DUOSHM_PRODUCER), *second = NULL;
	size_t longest = duoshm_queue_longest(queue);
	const char *name = harness_name("place");
	struct helper helper;
	void *room;
	char byte;

	start_helper(&helper, reader_in_steps, "place", 0);
	EXPECT(duoshm_queue_open(ctx, name, DUOSHM_PRODUCER, 0, &second), DUOSHM_ERR_BUSY);
	EXPECT(duoshm_queue_open(ctx, name, DUOSHM_CONSUMER, 0, &second), DUOSHM_ERR_BUSY);
	CHECK(second == NULL);
	EXPECT(duoshm_queue_send(queue, NULL, 0, 0), 0);
	OK(duoshm_queue_reserve(queue, 64, &room, 0));
	EXPECT((uintptr_t)room % 8, 0);
	strcpy(room, "twenty characters..");
	EXPECT(duoshm_queue_stage(queue, 20), 0);
	OK(duoshm_queue_reserve(queue, 3, &room, 0));
	memcpy(room, "abc", 3);
	EXPECT(duoshm_queue_commit(queue, 3), 0);
	EXPECT(duoshm_queue_reserve(queue, longest + 1, &room, DUOSHM_FOREVER),
		DUOSHM_ERR_TOO_LONG);
	EXPECT(duoshm_queue_receive(queue, &byte, 1, 0), DUOSHM_ERR_NOT_OWNER);
	finish_helper(&helper);
	end(queue);
}

static int take_role_and_stay(void *argument)
{
	struct helper *helper = argument;
	ctx = new_context();
	struct duoshm_queue *queue = open_it(helper->stem, (enum duoshm_role)helper->flags);

	for (int i = 0; helper->flags == DUOSHM_PRODUCER && i < 3; i++)
		EXPECT(duoshm_queue_send(queue, "last words", 10, 0), 0);
	return helper_stays(helper);
}

static void q_producer_dies(void)
{
	struct duoshm_queue *queue = make("dies", DUOSHM_CONSUMER);
	struct helper helper;
	char buffer[16];

	/* Nobody has come yet: that is no death. */
	EXPECT(duoshm_queue_receive(queue, buffer, sizeof(buffer), 2 * MS), DUOSHM_ERR_TIMEOUT);
	start_helper(&helper, take_role_and_stay, "dies", DUOSHM_PRODUCER);
	kill_helper(&helper);
	for (int i = 0; i < 3; i++)
		EXPECT(duoshm_queue_receive(queue, buffer, sizeof(buffer), LONG_TIME), 10);
	EXPECT(duoshm_queue_receive(queue, buffer, sizeof(buffer), DUOSHM_FOREVER),
		DUOSHM_ERR_PEER_DEAD);
	EXPECT(duoshm_queue_receive(queue, buffer, sizeof(buffer), 0), DUOSHM_ERR_PEER_DEAD);
	start_helper(&helper, take_role_and_stay, "dies", DUOSHM_PRODUCER);
	EXPECT(duoshm_queue_receive(queue, buffer, sizeof(buffer), LONG_TIME), 10);
	kill_helper(&helper);
	end(queue);
}

static void q_consumer_dies(void)
{
	struct duoshm_queue *queue = make("dies", DUOSHM_PRODUCER);
	struct helper helper;
	int result = 0;

	start_helper(&helper, take_role_and_stay, "dies", DUOSHM_CONSUMER);
	kill_helper(&helper);
	for (int i = 0; i < 1000 && result == 0; i++)
		result = duoshm_queue_send(queue, "nobody reads it", 16, DUOSHM_FOREVER);
	EXPECT(result, DUOSHM_ERR_PEER_DEAD);
	end(queue);
}

static int wait_for_removal(void *argument)
{
	struct helper *helper = argument;
	ctx = new_context();
	struct duoshm_queue *queue = open_it(helper->stem, DUOSHM_CONSUMER);
	char buffer[16];

	harness_gate_open(&helper->ready);
	EXPECT(duoshm_queue_receive(queue, buffer, sizeof(buffer), DUOSHM_FOREVER),
		DUOSHM_ERR_REMOVED);
	return 0;
}

static void q_removal(void)
{
	struct duoshm_queue *queue = make("removed", DUOSHM_PRODUCER);
	struct helper helper;

	start_helper(&helper, wait_for_removal, "removed", 0);
	harness_until_asleep(helper.pid);
	discard(ctx, "removed");
	finish_helper(&helper);
	EXPECT(duoshm_queue_send(queue, "x", 1, 0), DUOSHM_ERR_REMOVED);
	end(queue);
}

/*
 * Both roles in one child, so that both sides are awake: the queue's two handles, own memory each.
 */
static struct duoshm_queue *producer, *consumer;

static int open_pair(void *argument)
{
	ctx = new_context();
	char byte;

	(void)argument;
	producer = open_it("pair", DUOSHM_PRODUCER);
	consumer = open_it("pair", DUOSHM_CONSUMER);
	/* The first message finds out who the other side is. */
	EXPECT(duoshm_queue_send(producer, "x", 1, 0), 0);
	return duoshm_queue_receive(consumer, &byte, 1, 0) != 1;
}

static int send_and_receive(void *argument)
{
	const void *message;
	char buffer[64];
	void *room;

	(void)argument;
	for (int i = 0; i < 1000; i++) {
		EXPECT(duoshm_queue_send(producer, buffer, (size_t)i % 64, DUOSHM_FOREVER), 0);
		EXPECT(duoshm_queue_receive(consumer, buffer, 64, DUOSHM_FOREVER), i % 64);
		EXPECT(duoshm_queue_reserve(producer, 100, &room, DUOSHM_FOREVER), 0);
		EXPECT(duoshm_queue_commit(producer, 50), 0);
		EXPECT(duoshm_queue_peek(consumer, &message, DUOSHM_FOREVER), 50);
		EXPECT(duoshm_queue_release(consumer), 0);
	}
	return 0;
}

static void q_no_system_call(void)
{
	EXPECT(duoshm_queue_close(make("pair", DUOSHM_PRODUCER)), 0);
	makes_no_system_call(open_pair, send_and_receive, NULL);
}

/* ---- broadcast ------------------------------------------------------------------------------- */

static struct duoshm_broadcast *tune_in(const char *stem, unsigned flags)
{
	struct duoshm_broadcast *broadcast = NULL;

	OK(duoshm_broadcast_open(ctx, harness_name(stem), DUOSHM_READER, flags, 0, &broadcast));
	return broadcast;
}

/* Reads to the end, and knows of each of `number` messages whether it got or missed it. */
static void follow(struct helper *helper, struct duoshm_broadcast *broadcast)
{
	int64_t number, expected = 0;
	uint64_t missed;
	ssize_t length;

	while ((length = duoshm_broadcast_next(broadcast, &number, 8, &missed, LONG_TIME)) == 8) {
		EXPECT(number, expected + (int64_t)missed);
		expected = number + 1;
	}
	EXPECT(length, DUOSHM_ERR_END);
	EXPECT(expected, helper->number);
}

static int reader(void *argument)
{
	struct helper *helper = argument;
	ctx = new_context();
	struct duoshm_broadcast *broadcast = tune_in(helper->stem, helper->flags);
	int64_t number;

	EXPECT(duoshm_broadcast_next(broadcast, &number, 8, NULL, 0), DUOSHM_ERR_TIMEOUT);
	harness_gate_open(&helper->ready);
	follow(helper, broadcast);
	EXPECT(duoshm_broadcast_close(broadcast), 0);
	return duoshm_free(ctx);
}

static void b_readers_account_for_all(void)
{
	struct duoshm_broadcast *broadcast = NULL, *late;
	struct helper helpers[3];
	int64_t messages = harness_scale(5000, 100000, 1000000), number;
	uint64_t missed;
	char long_message[4096] = "";

	OK(duoshm_broadcast_create(ctx, harness_name("cast"), 4096, NULL, &broadcast));
	EXPECT(duoshm_broadcast_publish(broadcast, long_message, sizeof(long_message)),
		DUOSHM_ERR_TOO_LONG);
	late = tune_in("cast", 0);
	for (int i = 0; i < 3; i++) {
		helpers[i].number = messages;
		start_helper(&helpers[i], reader, "cast", i == 0 ? DUOSHM_READ_ONLY : 0);
	}
	for (int64_t i = 0; i < messages; i++)
		EXPECT_FATAL(duoshm_broadcast_publish(broadcast, &i, sizeof(i)), 0);
	/* Who reads nothing until then has missed all but the last. */
	EXPECT(duoshm_broadcast_next(late, &number, sizeof(number), &missed, 0), sizeof(number));
	EXPECT(number, messages - 1);
	EXPECT(missed, messages - 1);
	EXPECT(duoshm_broadcast_close(late), 0);
	EXPECT(duoshm_broadcast_close(broadcast), 0);
	for (int i = 0; i < 3; i++)
		finish_helper(&helpers[i]);
}

static int publish_and_stay(void *argument)
{
	struct helper *helper = argument;
	struct duoshm_broadcast *broadcast;

	OK(duoshm_broadcast_create(
		new_context(), harness_name(helper->stem), 4096, NULL, &broadcast));
	EXPECT(helper_stays(helper), 0);
	EXPECT(duoshm_broadcast_publish(broadcast, "once", 4), 0);
	return helper_stays(helper);
}

static void b_producer_dies(void)
{
	struct duoshm_broadcast *broadcast;
	struct helper helper;
	char buffer[16];

	start_helper(&helper, publish_and_stay, "dying", 0);
	broadcast = tune_in("dying", 0);
	harness_gate_open(&helper.go);
	CHECK(harness_gate_pass(&helper.ready));
	kill_helper(&helper);
	EXPECT(duoshm_broadcast_next(broadcast, buffer, sizeof(buffer), NULL, LONG_TIME), 4);
	EXPECT(duoshm_broadcast_next(broadcast, buffer, sizeof(buffer), NULL, DUOSHM_FOREVER),
		DUOSHM_ERR_PEER_DEAD);
	EXPECT(duoshm_broadcast_close(broadcast), 0);
}

static struct duoshm_broadcast *counted; /* of the child whose calls are counted */

static int open_counted(void *argument)
{
	(void)argument;
	ctx = new_context();
	OK(duoshm_broadcast_open(ctx, harness_name("counted"), DUOSHM_PRODUCER, 0, 0, &counted));
	return 0;
}

static int publish_often(void *argument)
{
	char message[32] = "";

	(void)argument;
	for (int i = 0; i < 100; i++)
		EXPECT(duoshm_broadcast_publish(counted, message, sizeof(message)), 0);
	return 0;
}

static void b_no_system_call(void)
{
	OK(duoshm_broadcast_create(ctx, harness_name("counted"), 1024, NULL, &counted));
	EXPECT(duoshm_broadcast_close(counted), 0);
	makes_no_system_call(open_counted, publish_often, NULL);
}

const struct harness_case queue_cases[] = {
	{"queue: all lengths arrive in order, then END", q_order_and_end},
	{"queue: many sent at once arrive in order", q_many},
	{"queue: in place, TOO_LONG keeps the message, roles are single", q_in_place},
	{"queue: the producer's death is told after its last words, its role taken over",
		q_producer_dies},
	{"queue: the consumer's death is told when the queue is full", q_consumer_dies},
	{"queue: removal wakes who sleeps", q_removal},
	{"queue: with both sides awake no system call", q_no_system_call},
	{"broadcast: each reader sees all, or how many it missed; END", b_readers_account_for_all},
	{"broadcast: the producer's death is told after its last words", b_producer_dies},
	{"broadcast: publishing makes no system call", b_no_system_call},
	{NULL, NULL},
};
