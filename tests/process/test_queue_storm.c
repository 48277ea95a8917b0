/* SPDX-License-Identifier: MIT */
/*
 * Two processes and a queue or broadcast between them, and a ledger outside of it: every message
 * carries its number and a check sum. First undisturbed, then with one side killed again and again
 * at any instruction, and taken over.
 *
 * The ledger is a page that the processes share by other means (an anonymous mapping). A producer
 * notes a number before it sends it and after; a consumer notes what it got before it gives it
 * back.
 */
#include "config.h"

#include "core/word.h"
#include "harness/fixture.h"

#include <sys/mman.h>

#define CAPACITY    4096
#define LONGEST     600
#define WITHOUT_END (UINT64_MAX / 2)

#ifndef MAP_ANONYMOUS
#define MAP_ANONYMOUS MAP_ANON
#endif

struct ledger {
	struct duoshm__word64 begun; /* producer: numbers below this may have been sent */
	struct duoshm__word64 sent;  /* producer: numbers below this were sent */
	struct duoshm__word64 got;   /* consumer: numbers below this were received */
	struct duoshm__word64 limit; /* where the producer ends */
	/* consumer: how many came twice, one after a takeover each at most */
	struct duoshm__word64 again;
	struct duoshm__word64 missed; /* broadcast readers */
};

/* What the processes of a case know, and of its random numbers. */
struct run {
	const char *stem;
	size_t longest;
	struct duoshm *ctx; /* the case's */
	struct ledger *ledger;
	unsigned seed;
	struct harness_gate there; /* the broadcast's reader is there */
};

static struct run new_run(const char *stem, size_t longest, uint64_t limit)
{
	struct run run = {stem, longest, new_context(), NULL, 17, {{-1, -1}}};

	run.ledger = mmap(NULL, sizeof(*run.ledger), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK_FATAL(run.ledger != MAP_FAILED);
	duoshm__store64(&run.ledger->limit, limit);
	return run;
}

static void end_run(struct run *run)
{
	discard(run->ctx, run->stem);
	end_context(run->ctx);
	(void)munmap(run->ledger, sizeof(*run->ledger));
}

static void add(struct duoshm__word64 *word, uint64_t more)
{
	duoshm__store64(word, duoshm__load64(word) + more);
}

/* ---- messages -------------------------------------------------------------------------------- */

struct message {
	uint64_t number;
	uint64_t sum;
	unsigned char body[LONGEST];
};
#define HEAD offsetof(struct message, body)

static uint64_t sum_of(const struct message *m, size_t body)
{
	uint64_t sum = m->number * 0x9e3779b97f4a7c15u + 14695981039346656037u;

	for (size_t i = 0; i < body; i++)
		sum = (sum ^ m->body[i]) * 1099511628211u;
	return sum;
}

/* Its length follows from the number. */
static size_t make(struct message *m, uint64_t number, size_t longest)
{
	size_t body = (size_t)(number * 2654435761u >> 7) % (longest - HEAD + 1);

	m->number = number;
	for (size_t i = 0; i < body; i++)
		m->body[i] = (unsigned char)(number + i * 3);
	m->sum = sum_of(m, body);
	return HEAD + body;
}

static bool whole(const struct message *m, ssize_t length)
{
	return length >= (ssize_t)HEAD && m->sum == sum_of(m, (size_t)length - HEAD);
}

/* ---- queues ---------------------------------------------------------------------------------- */

static struct duoshm_queue *open_queue(
	struct duoshm *ctx, const struct run *run, enum duoshm_role role)
{
	struct duoshm_queue *q = NULL;

	OK(duoshm_queue_open(ctx, harness_name(run->stem), role, LONG_TIME, &q));
	return q;
}

/*
 * Sends from where the ledger stands. Of the message that a dead producer was about to send nobody
 * knows but the queue: it is sent again, and the consumer takes it for the same.
 */
static int produce(void *arg)
{
	struct run *run = arg;
	struct duoshm *ctx = new_context();
	struct duoshm_queue *q = open_queue(ctx, run, DUOSHM_PRODUCER);
	uint64_t limit = duoshm__load64(&run->ledger->limit);
	struct message m;
	void *room;

	for (uint64_t i = duoshm__load64_acquire(&run->ledger->sent); i < limit; i++) {
		size_t length = make(&m, i, run->longest);
		duoshm__store64_release(&run->ledger->begun, i + 1);
		int result = duoshm_queue_reserve(q, length, &room, LONG_TIME);
		/* a dead consumer is followed by another one */
		while (result == DUOSHM_ERR_PEER_DEAD)
			result = duoshm_queue_reserve(q, length, &room, LONG_TIME);
		EXPECT(result, 0);
		memcpy(room, &m, length);
		EXPECT(duoshm_queue_commit(q, length), 0);
		duoshm__store64_release(&run->ledger->sent, i + 1);
	}
	EXPECT(duoshm_queue_close(q), 0);
	return duoshm_free(ctx);
}

/* Nothing lost, torn, reordered; the one that was in flight at a death may come twice. */
static void note(struct run *run, const struct message *m, ssize_t length)
{
	uint64_t got = duoshm__load64(&run->ledger->got);

	CHECK(whole(m, length));
	if (got != 0 && m->number == got - 1)
		add(&run->ledger->again, 1);
	else
		EXPECT(m->number, got);
	duoshm__store64_release(&run->ledger->got, m->number + 1);
}

static int consume(void *arg)
{
	struct run *run = arg;
	struct duoshm *ctx = new_context();
	struct duoshm_queue *q = open_queue(ctx, run, DUOSHM_CONSUMER);
	const void *message;
	ssize_t length;

	while ((length = duoshm_queue_peek(q, &message, LONG_TIME)) != DUOSHM_ERR_END) {
		if (length == DUOSHM_ERR_PEER_DEAD)
			continue;
		CHECK(length >= 0);
		note(run, message, length);
		EXPECT(duoshm_queue_release(q), 0);
	}
	EXPECT(duoshm_queue_close(q), 0);
	return duoshm_free(ctx);
}

/* The queue, with both roles free. */
static void make_queue(const struct run *run)
{
	struct duoshm_create options = create_with(DUOSHM_PERSISTENT, 0);
	const char *name = harness_name(run->stem);
	struct duoshm_queue *q = NULL;

	OK(duoshm_queue_create(run->ctx, name, CAPACITY, DUOSHM_CONSUMER, &options, &q));
	EXPECT(duoshm_queue_close(q), 0);
}

static void all_is_accounted_for(void)
{
	uint64_t limit = (uint64_t)harness_scale(5000, 100000, 2000000);
	struct run run = new_run("ledger", LONGEST, limit);

	make_queue(&run);
	pid_t consumer = harness_fork(consume, &run);
	pid_t producer = harness_fork(produce, &run);
	EXPECT(harness_wait(producer), 0);
	EXPECT(harness_wait(consumer), 0);
	EXPECT(duoshm__load64(&run.ledger->got), limit);
	EXPECT(duoshm__load64(&run.ledger->again), 0);
	end_run(&run);
}

/* ---- storms ---------------------------------------------------------------------------------- */

static long kills(void)
{
	return harness_scale(10, 100, 10000);
}

struct growth {
	const struct duoshm__word64 *word;
	uint64_t from;
};

static bool has_grown(void *arg)
{
	struct growth *growth = arg;

	return duoshm__load64_acquire(growth->word) > growth->from;
}

/*
 * Once the number behind `word` has grown, so that each life does some work, and another 0 to 300
 * us.
 */
static void kill_at_work(struct run *run, pid_t pid, const struct duoshm__word64 *word)
{
	struct growth growth = {word, duoshm__load64(word)};
	struct timespec moment = {0, 0};

	CHECK(harness_until(has_grown, &growth));
	run->seed = run->seed * 1103515245u + 12345u;
	moment.tv_nsec = (long)((run->seed >> 8) % 300000);
	(void)nanosleep(&moment, NULL); /* where the kill falls, not whether it is right */
	harness_kill(pid);
}

/* The last producer sends a hundred more and ends, and so does the other side; where it ended. */
static uint64_t finish(struct run *run, int (*produces)(void *run), pid_t other)
{
	uint64_t end = duoshm__load64(&run->ledger->begun) + 100;

	duoshm__store64(&run->ledger->limit, end);
	EXPECT(harness_wait(harness_fork(produces, run)), 0);
	EXPECT(harness_wait(other), 0);
	return end;
}

static void a_storm_of_dying_producers(void)
{
	struct run run = new_run("producers", LONGEST, WITHOUT_END);

	make_queue(&run);
	pid_t consumer = harness_fork(consume, &run);
	for (long i = 0; i < kills(); i++)
		kill_at_work(&run, harness_fork(produce, &run), &run.ledger->sent);
	uint64_t end = finish(&run, produce, consumer);
	EXPECT(duoshm__load64(&run.ledger->got), end);
	/* what was committed but not yet in the ledger is sent again */
	CHECK(duoshm__load64(&run.ledger->again) <= (uint64_t)kills());
	end_run(&run);
}

static void a_storm_of_dying_consumers(void)
{
	struct run run = new_run("consumers", LONGEST, WITHOUT_END);

	make_queue(&run);
	pid_t consumer = harness_fork(consume, &run);
	pid_t producer = harness_fork(produce, &run);
	for (long i = 0; i < kills(); i++) {
		kill_at_work(&run, consumer, &run.ledger->got);
		consumer = harness_fork(consume, &run);
	}
	/* the producer, too, dies at last: all that it committed is there for the last consumer */
	kill_at_work(&run, producer, &run.ledger->sent);
	uint64_t end = finish(&run, produce, consumer);
	EXPECT(duoshm__load64(&run.ledger->got), end);
	/* what was received but not yet released comes again; one more for the producer */
	CHECK(duoshm__load64(&run.ledger->again) <= (uint64_t)kills() + 1);
	end_run(&run);
}

/* ---- broadcast ------------------------------------------------------------------------------- */

static struct duoshm_broadcast *open_broadcast(
	struct duoshm *ctx, const struct run *run, enum duoshm_role role, unsigned flags)
{
	struct duoshm_broadcast *b = NULL;

	OK(duoshm_broadcast_open(ctx, harness_name(run->stem), role, flags, LONG_TIME, &b));
	return b;
}

static int publish(void *arg)
{
	struct run *run = arg;
	struct duoshm *ctx = new_context();
	struct duoshm_broadcast *b = open_broadcast(ctx, run, DUOSHM_PRODUCER, 0);
	uint64_t limit = duoshm__load64(&run->ledger->limit);
	struct message m;

	for (uint64_t i = duoshm__load64_acquire(&run->ledger->begun); i < limit; i++) {
		size_t length = make(&m, i, run->longest);
		duoshm__store64_release(&run->ledger->begun, i + 1);
		EXPECT(duoshm_broadcast_publish(b, &m, length), 0);
		duoshm__store64_release(&run->ledger->sent, i + 1);
	}
	EXPECT(duoshm_broadcast_close(b), 0);
	return duoshm_free(ctx);
}

static bool is_over(const struct run *run)
{
	return duoshm__load64(&run->ledger->sent) >= duoshm__load64(&run->ledger->limit);
}

/*
 * Got and missed add up to what was published: a number is skipped only by a death between ledger
 * and commit.
 */
static int follow(void *arg)
{
	struct run *run = arg;
	struct duoshm *ctx = new_context();
	struct duoshm_broadcast *b = open_broadcast(ctx, run, DUOSHM_READER, DUOSHM_READ_ONLY);
	struct message m;
	uint64_t missed, next = 0;

	harness_gate_open(&run->there);
	for (;;) {
		/* Looked at before: an END from between two lives of the producer is not the last. */
		bool over = is_over(run);
		ssize_t length = duoshm_broadcast_next(b, &m, sizeof(m), &missed, LONG_TIME);
		if (length == DUOSHM_ERR_END && over)
			break;
		if (length == DUOSHM_ERR_PEER_DEAD || length == DUOSHM_ERR_END)
			continue; /* another one follows */
		CHECK(whole(&m, length));
		CHECK(m.number >= next + missed);
		next = m.number + 1;
		add(&run->ledger->got, 1);
		add(&run->ledger->missed, missed);
	}
	EXPECT(duoshm_broadcast_close(b), 0);
	return duoshm_free(ctx);
}

static void a_storm_of_dying_broadcasters(void)
{
	struct duoshm_create options = create_with(DUOSHM_PERSISTENT, 0);
	struct run run = new_run("casters", CAPACITY / 8, WITHOUT_END);
	struct duoshm_broadcast *b = NULL;

	OK(duoshm_broadcast_create(run.ctx, harness_name(run.stem), CAPACITY, &options, &b));
	EXPECT(duoshm_broadcast_close(b), 0);
	harness_gate(&run.there);
	pid_t reader = harness_fork(follow, &run);
	CHECK(harness_gate_pass(&run.there));
	for (long i = 0; i < kills(); i++)
		kill_at_work(&run, harness_fork(publish, &run), &run.ledger->sent);
	uint64_t end = finish(&run, publish, reader);
	uint64_t all = duoshm__load64(&run.ledger->got) + duoshm__load64(&run.ledger->missed);
	CHECK(duoshm__load64(&run.ledger->got) > 0);
	CHECK(all <= end);
	CHECK(all >= end - (uint64_t)kills());
	harness_gate_close(&run.there);
	end_run(&run);
}

static const struct harness_case cases[] = {
	{"all is accounted for", all_is_accounted_for},
	{"a storm of dying producers", a_storm_of_dying_producers},
	{"a storm of dying consumers", a_storm_of_dying_consumers},
	{"a storm of dying broadcasters", a_storm_of_dying_broadcasters},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return harness_run_each(argc, argv, "queue storm", cases);
}
