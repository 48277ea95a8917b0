/* SPDX-License-Identifier: MIT */
/*
 * Storms of queues and broadcasts. Every message carries its number, the life of its producer and a
 * check sum; a producer notes numbers before it sends them and after, a consumer notes what it got
 * before it gives it back. So of each death only one message, or batch, can come twice.
 */
#include "config.h"

#include "stress/storm.h"

#define BATCH 3

/* ---- channels: a large one, and one that is always full -------------------------------------- */

static const struct {
	const char *queue, *broadcast;
	size_t capacity, longest, cast_longest;
} channels[] = {
	{"queue.0", "cast.0", 4096, sizeof(struct message), 512},
	{"queue.1", "cast.1", 256, 112, 32},
};
enum { CHANNELS = 2 };

static struct channel *channel_of(const struct life *life)
{
	return &ledger->channel[role_of(life)->channel];
}

/* ---- queues ---------------------------------------------------------------------------------- */

static int open_queue(struct duoshm *ctx, const struct role *role, enum duoshm_role as,
	int64_t timeout_ns, struct duoshm_queue **out)
{
	const char *name = harness_name(channels[role->channel].queue);

	return duoshm_queue_open(ctx, name, as, timeout_ns, out);
}

/* One message of a batch; a dead consumer is followed by another one. */
static void send_one(struct life *life, struct duoshm_queue *q, uint64_t number, bool last)
{
	struct message m;
	size_t length =
		message_make(&m, number, life->number, channels[role_of(life)->channel].longest);
	struct before before = before_call(life);
	void *room;
	int result;

	while ((result = duoshm_queue_reserve(q, length, &room, LONG_TIME)) ==
		DUOSHM_ERR_PEER_DEAD) {
		(void)heard_of_death(life, &before);
		before = before_call(life);
	}
	EXPECT_FATAL(result, 0);
	memcpy(room, &m, length);
	OK(last ? duoshm_queue_commit(q, length) : duoshm_queue_stage(q, length));
}

/* Of what a dead producer was about to send nobody knows but the queue: it is sent again. */
static int produce(struct life *life)
{
	struct channel *channel = channel_of(life);
	struct duoshm_queue *q = NULL;

	OK(open_queue(life->ctx, role_of(life), DUOSHM_PRODUCER, LONG_TIME, &q));
	put(&life->slot->holds, life->number);
	uint64_t i = get(&channel->sent);
	/* Not `over`: the numbers up to the limit are promised. */
	while (i < get(&channel->limit) && get(&life->slot->leaving) != life->number) {
		uint64_t batch = 1 + i % BATCH;
		put(&channel->begun, i + batch);
		for (uint64_t k = 0; k < batch; k++)
			send_one(life, q, i + k, k + 1 == batch);
		i += batch;
		put(&channel->sent, i);
		add(&life->slot->progress, 1);
	}
	OK(duoshm_queue_close(q));
	return 0;
}

/* `number` came where `last` came before: what does that mean? */
static void judge(struct life *life, const struct message *m, bool first)
{
	struct channel *channel = channel_of(life);
	uint64_t got = get(&channel->got), last = get(&channel->last);
	bool same = m->life == get(&channel->life);
	/* What may come again: the last one, which nobody gave back; the batch of a dead. */
	uint64_t least = same ? (first ? last : last + 1) : got < BATCH ? 0 : got - BATCH;
	uint64_t next = same ? last + 1 : got;

	if (m->number >= get(&channel->begun))
		tell(life, INVENTED, 1);
	else if (m->number > next)
		tell(life, got == 0 ? INVENTED : LOST, m->number - next);
	else if (m->number < least)
		tell(life, m->life < get(&channel->life) ? REORDERED : DOUBLED, 1);
	else if (m->number < got)
		tell(life, IN_FLIGHT, 1);
}

static void note(struct life *life, const struct message *m, ssize_t length, bool first)
{
	struct channel *channel = channel_of(life);

	if (!message_whole(m, length)) {
		tell(life, TORN, 1);
		return;
	}
	/* Before the first message of all there is no last one. */
	if (get(&channel->life) != 0 || m->number != 0)
		judge(life, m, first);
	put(&channel->last, m->number);
	put(&channel->life, m->life);
	if (m->number >= get(&channel->got))
		put(&channel->got, m->number + 1);
	tell(life, CHECKED, 1);
	add(&life->slot->progress, 1);
}

/* The producer died: all that it had sent must have come before that. */
static void last_words(struct life *life, const struct before *before)
{
	struct channel *channel = channel_of(life);
	uint64_t sent = get(&channel->sent);

	if (heard_of_death(life, before) && get(&channel->got) < sent)
		tell(life, LOST, sent - get(&channel->got));
}

static int consume(struct life *life)
{
	struct channel *channel = channel_of(life);
	struct duoshm_queue *q = NULL;
	const void *message;
	bool first = true;

	OK(open_queue(life->ctx, role_of(life), DUOSHM_CONSUMER, LONG_TIME, &q));
	put(&life->slot->holds, life->number);
	while (get(&life->slot->leaving) != life->number) {
		/* Looked at before: an END from between two lives of the producer is not the last. */
		bool over = get(&channel->sent) >= get(&channel->limit);
		struct before before = before_call(life);
		ssize_t length = duoshm_queue_peek(q, &message, LONG_TIME);
		if (length == DUOSHM_ERR_END && over)
			break;
		if (length == DUOSHM_ERR_END) {
			tell(life, FALSE_NEWS,
				before.holds != 0 && get(&channel->left) == 0 &&
					!get(&ledger->over));
		} else if (length == DUOSHM_ERR_PEER_DEAD) {
			last_words(life, &before);
		} else {
			CHECK_FATAL(length >= 0);
			note(life, message, length, first);
			first = false;
			OK(duoshm_queue_release(q));
		}
	}
	OK(duoshm_queue_close(q));
	return 0;
}

static int usurp_producer(struct duoshm *ctx, const struct role *role)
{
	struct duoshm_queue *q = NULL;

	return open_queue(ctx, role, DUOSHM_PRODUCER, 0, &q);
}

static int usurp_consumer(struct duoshm *ctx, const struct role *role)
{
	struct duoshm_queue *q = NULL;

	return open_queue(ctx, role, DUOSHM_CONSUMER, 0, &q);
}

/* With both roles free. */
static void make_queues(struct duoshm *ctx)
{
	struct duoshm_create options = create_with(DUOSHM_PERSISTENT, 0);

	for (int i = 0; i < CHANNELS; i++) {
		struct duoshm_queue *q = NULL;
		OK(duoshm_queue_create(ctx, harness_name(channels[i].queue), channels[i].capacity,
			DUOSHM_CONSUMER, &options, &q));
		OK(duoshm_queue_close(q));
	}
}

static void verify_queues(struct duoshm *ctx)
{
	(void)ctx;
	for (int i = 0; i < CHANNELS; i++) {
		EXPECT(get(&ledger->channel[i].got), get(&ledger->channel[i].begun));
		EXPECT(get(&ledger->channel[i].sent), get(&ledger->channel[i].begun));
	}
}

static void discard_queues(struct duoshm *ctx)
{
	for (int i = 0; i < CHANNELS; i++)
		discard(ctx, channels[i].queue);
}

static const struct role queue_roles[] = {
	{"producer", produce, 1, 0, usurp_producer, true},
	{"consumer", consume, 0, 0, usurp_consumer, true},
	{"producer", produce, 3, 1, usurp_producer, false},
	{"consumer", consume, 2, 1, usurp_consumer, false},
	{NULL, NULL, -1, 0, NULL, false},
};
const struct storm queue_storm = {
	"queues", queue_roles, make_queues, verify_queues, discard_queues};

/* ---- broadcasts ------------------------------------------------------------------------------ */

static int open_broadcast(struct duoshm *ctx, const struct role *role, enum duoshm_role as,
	int64_t timeout_ns, struct duoshm_broadcast **out)
{
	return duoshm_broadcast_open(ctx, harness_name(channels[role->channel].broadcast), as,
		as == DUOSHM_READER ? DUOSHM_READ_ONLY : 0, timeout_ns, out);
}

/* What a dead one had begun is not sent again: nobody knows whether it came. */
static int publish(struct life *life)
{
	struct channel *channel = channel_of(life);
	struct duoshm_broadcast *b = NULL;
	struct message m;

	OK(open_broadcast(life->ctx, role_of(life), DUOSHM_PRODUCER, LONG_TIME, &b));
	put(&life->slot->holds, life->number);
	for (uint64_t i = get(&channel->begun); i < get(&channel->limit); i++) {
		size_t length = message_make(
			&m, i, life->number, channels[role_of(life)->channel].cast_longest);
		put(&channel->begun, i + 1);
		OK(duoshm_broadcast_publish(b, &m, length));
		put(&channel->sent, i + 1);
		add(&life->slot->progress, 1);
	}
	OK(duoshm_broadcast_close(b));
	return 0;
}

/*
 * Got and missed add up to what was published: a number is skipped only by a death between the
 * ledger and the commit. `last` is what came before.
 */
static void judge_next(
	struct life *life, const struct message *m, uint64_t missed, const struct message *last)
{
	uint64_t skipped = m->number - last->number - 1;

	if (m->number >= get(&channel_of(life)->begun))
		tell(life, INVENTED, 1);
	else if (m->number == last->number)
		tell(life, DOUBLED, 1);
	else if (m->number < last->number || m->life < last->life)
		tell(life, REORDERED, 1);
	else if (missed > skipped)
		tell(life, INVENTED, missed - skipped);
	else if (skipped - missed > m->life - last->life)
		tell(life, LOST, skipped - missed);
}

/* Its maker left it; then nobody leaves it but at the end: any END between is false. */
static int follow(struct life *life)
{
	struct channel *channel = channel_of(life);
	struct duoshm_broadcast *b = NULL;
	struct message m, last = {.life = 0};
	uint64_t missed = 0;

	OK(open_broadcast(life->ctx, role_of(life), DUOSHM_READER, LONG_TIME, &b));
	while (!is_over(life)) {
		struct before before = before_call(life);
		ssize_t length = duoshm_broadcast_next(b, &m, sizeof(m), &missed, LONG_TIME);
		if (length == DUOSHM_ERR_END) {
			tell(life, FALSE_NEWS, before.holds != 0 && !get(&ledger->over));
		} else if (length == DUOSHM_ERR_PEER_DEAD) {
			(void)heard_of_death(life, &before);
		} else if (!message_whole(&m, length)) {
			CHECK_FATAL(length >= 0);
			tell(life, TORN, 1);
		} else {
			if (last.life != 0)
				judge_next(life, &m, missed, &last);
			CHECK(m.number < get(&channel->begun));
			last = m;
			tell(life, CHECKED, 1);
			add(&life->slot->progress, 1);
		}
	}
	OK(duoshm_broadcast_close(b));
	return 0;
}

static int usurp_broadcast(struct duoshm *ctx, const struct role *role)
{
	struct duoshm_broadcast *b = NULL;

	return open_broadcast(ctx, role, DUOSHM_PRODUCER, 0, &b);
}

static void make_broadcasts(struct duoshm *ctx)
{
	struct duoshm_create options = create_with(DUOSHM_PERSISTENT, 0);

	for (int i = 0; i < CHANNELS; i++) {
		struct duoshm_broadcast *b = NULL;
		OK(duoshm_broadcast_create(ctx, harness_name(channels[i].broadcast),
			channels[i].capacity, &options, &b));
		OK(duoshm_broadcast_close(b));
	}
}

static void discard_broadcasts(struct duoshm *ctx)
{
	for (int i = 0; i < CHANNELS; i++)
		discard(ctx, channels[i].broadcast);
}

static const struct role broadcast_roles[] = {
	{"broadcaster", publish, -1, 0, usurp_broadcast, false},
	{"reader", follow, 0, 0, NULL, true},
	{"reader", follow, 0, 0, NULL, true},
	{"broadcaster", publish, -1, 1, usurp_broadcast, false},
	{"reader", follow, 3, 1, NULL, true},
	{"reader", follow, 3, 1, NULL, true},
	{NULL, NULL, -1, 0, NULL, false},
};
const struct storm broadcast_storm = {
	"broadcasts", broadcast_roles, make_broadcasts, NULL, discard_broadcasts};
