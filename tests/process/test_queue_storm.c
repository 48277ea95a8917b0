/* SPDX-License-Identifier: MIT */
/*
 * Two processes and a queue or broadcast between them, and a ledger outside of it: every message carries its number
 * and a check sum. First undisturbed, then with one side killed again and again at any instruction, and taken over.
 *
 * The ledger is a page that the processes share by other means (an anonymous mapping). A producer notes a number
 * before it sends it and after; a consumer notes what it got before it gives it back.
 */
#include "config.h"

#include "harness/harness.h"

#include "duoshm.h"
#include "core/word.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define WATCHDOG    10000000000 /* of a wait that should end by itself, in ns */
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
	struct duoshm__word64
		again; /* consumer: how many came twice, one after a takeover each at most */
	struct duoshm__word64 missed; /* broadcast readers */
};

static struct ledger *new_ledger(uint64_t limit)
{
	struct ledger *ledger = mmap(
		NULL, sizeof(*ledger), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CU_ASSERT_FATAL(ledger != MAP_FAILED);
	duoshm__store64(&ledger->limit, limit);
	return ledger;
}

static struct duoshm *new_context(void)
{
	struct duoshm_options options = DUOSHM_OPTIONS_INIT;
	struct duoshm *ctx = NULL;

	options.backend = harness_backend();
	if (duoshm_new(&options, &ctx) != 0)
		fprintf(stderr, "duoshm_new: %s\n", duoshm_failure()->cause);
	return ctx;
}

/* ---- messages ---------------------------------------------------------------------------------------- */

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

/* ---- queues ---------------------------------------------------------------------------------------------- */

struct run {
	const char *stem;
	struct ledger *ledger;
	size_t longest;
	struct harness_gate *there; /* the reader is there */
};

/*
 * Sends from where the ledger stands. Of the message that a dead producer was about to send nobody knows but the queue:
 * it is sent again, and the consumer takes it for the same.
 */
static int produce(void *arg)
{
	struct run *run = arg;
	struct duoshm *ctx = new_context();
	struct duoshm_queue *q;
	struct message m;
	void *room;

	HARNESS_CHILD(duoshm_queue_open(
			      ctx, harness_name(run->stem), DUOSHM_PRODUCER, WATCHDOG, &q) == 0);
	uint64_t limit = duoshm__load64(&run->ledger->limit);
	for (uint64_t i = duoshm__load64_acquire(&run->ledger->sent); i < limit; i++) {
		size_t length = make(&m, i, run->longest);
		duoshm__store64_release(&run->ledger->begun, i + 1);
		int result = duoshm_queue_reserve(q, length, &room, WATCHDOG);
		/* a dead consumer is followed by another one */
		while (result == DUOSHM_ERR_PEER_DEAD)
			result = duoshm_queue_reserve(q, length, &room, WATCHDOG);
		HARNESS_CHILD(result == 0);
		memcpy(room, &m, length);
		HARNESS_CHILD(duoshm_queue_commit(q, length) == 0);
		duoshm__store64_release(&run->ledger->sent, i + 1);
	}
	HARNESS_CHILD(duoshm_queue_close(q) == 0);
	HARNESS_CHILD(duoshm_free(ctx) == 0);
	return 0;
}

/* Nothing lost, torn, reordered; the one that was in flight at a death may come twice. */
static void note(struct run *run, const struct message *m, ssize_t length)
{
	uint64_t got = duoshm__load64(&run->ledger->got);

	HARNESS_CHILD(whole(m, length));
	if (got != 0 && m->number == got - 1)
		duoshm__store64(&run->ledger->again, duoshm__load64(&run->ledger->again) + 1);
	else
		HARNESS_CHILD(m->number == got);
	duoshm__store64_release(&run->ledger->got, m->number + 1);
}

static int consume(void *arg)
{
	struct run *run = arg;
	struct duoshm *ctx = new_context();
	struct duoshm_queue *q;
	const void *message;

	HARNESS_CHILD(duoshm_queue_open(
			      ctx, harness_name(run->stem), DUOSHM_CONSUMER, WATCHDOG, &q) == 0);
	for (;;) {
		ssize_t length = duoshm_queue_peek(q, &message, WATCHDOG);
		if (length == DUOSHM_ERR_END)
			break;
		if (length == DUOSHM_ERR_PEER_DEAD)
			continue;
		HARNESS_CHILD(length >= 0);
		note(run, message, length);
		HARNESS_CHILD(duoshm_queue_release(q) == 0);
	}
	HARNESS_CHILD(duoshm_queue_close(q) == 0);
	HARNESS_CHILD(duoshm_free(ctx) == 0);
	return 0;
}

/* The queue, with both roles free. */
static void make_queue(struct duoshm *ctx, const char *stem)
{
	struct duoshm_create options = DUOSHM_CREATE_INIT;
	struct duoshm_queue *q = NULL;

	options.flags = DUOSHM_PERSISTENT;
	CU_ASSERT_EQUAL_FATAL(duoshm_queue_create(ctx, harness_name(stem), CAPACITY,
				      DUOSHM_CONSUMER, &options, &q),
		0);
	CU_ASSERT_EQUAL(duoshm_queue_close(q), 0);
}

static void all_is_accounted_for(void)
{
	struct run run = {"ledger", new_ledger((uint64_t)harness_scale(5000, 100000, 2000000)),
		LONGEST, NULL};
	struct duoshm *ctx = new_context();

	make_queue(ctx, run.stem);
	pid_t consumer = harness_fork(consume, &run);
	pid_t producer = harness_fork(produce, &run);
	CU_ASSERT_EQUAL(harness_wait(producer), 0);
	CU_ASSERT_EQUAL(harness_wait(consumer), 0);
	CU_ASSERT_EQUAL(duoshm__load64(&run.ledger->got), duoshm__load64(&run.ledger->limit));
	CU_ASSERT_EQUAL(duoshm__load64(&run.ledger->again), 0);
	CU_ASSERT_EQUAL(duoshm_remove(ctx, harness_name(run.stem)), 0);
	CU_ASSERT_EQUAL(duoshm_free(ctx), 0);
	(void)munmap(run.ledger, sizeof(*run.ledger));
}

/* ---- storms ---------------------------------------------------------------------------------------------- */

/* Waits until the number behind `word` has grown, so that each life does some work, and then for 0 to 300 us. */
struct growth {
	const struct duoshm__word64 *word;
	uint64_t from;
};

static bool has_grown(void *arg)
{
	struct growth *growth = arg;

	return duoshm__load64_acquire(growth->word) > growth->from;
}

static void kill_at_work(pid_t pid, const struct duoshm__word64 *word, unsigned *seed)
{
	struct growth growth = {word, duoshm__load64(word)};
	struct timespec moment = {0, 0};

	CU_ASSERT(harness_until(has_grown, &growth));
	*seed = *seed * 1103515245u + 12345u;
	moment.tv_nsec = (long)((*seed >> 8) % 300000);
	(void)nanosleep(&moment, NULL); /* where the kill falls, not whether it is right */
	harness_kill(pid);
}

static void end_storm(struct run *run, struct duoshm *ctx)
{
	CU_ASSERT_EQUAL(duoshm_remove(ctx, harness_name(run->stem)), 0);
	CU_ASSERT_EQUAL(duoshm_free(ctx), 0);
	(void)munmap(run->ledger, sizeof(*run->ledger));
}

static void a_storm_of_dying_producers(void)
{
	struct run run = {"producers", new_ledger(WITHOUT_END), LONGEST, NULL};
	struct duoshm *ctx = new_context();
	long kills = harness_scale(10, 100, 10000);
	unsigned seed = 17;

	make_queue(ctx, run.stem);
	pid_t consumer = harness_fork(consume, &run);
	for (long i = 0; i < kills; i++)
		kill_at_work(harness_fork(produce, &run), &run.ledger->sent, &seed);
	uint64_t end = duoshm__load64(&run.ledger->begun) + 100;
	duoshm__store64(&run.ledger->limit, end);
	CU_ASSERT_EQUAL(harness_wait(harness_fork(produce, &run)), 0);
	CU_ASSERT_EQUAL(harness_wait(consumer), 0);
	CU_ASSERT_EQUAL(duoshm__load64(&run.ledger->got), end);
	/* what was committed but not yet in the ledger is sent again */
	CU_ASSERT(duoshm__load64(&run.ledger->again) <= (uint64_t)kills);
	end_storm(&run, ctx);
}

static void a_storm_of_dying_consumers(void)
{
	struct run run = {"consumers", new_ledger(WITHOUT_END), LONGEST, NULL};
	struct duoshm *ctx = new_context();
	long kills = harness_scale(10, 100, 10000);
	unsigned seed = 23;

	make_queue(ctx, run.stem);
	pid_t consumer = harness_fork(consume, &run);
	pid_t producer = harness_fork(produce, &run);
	for (long i = 0; i < kills; i++) {
		kill_at_work(consumer, &run.ledger->got, &seed);
		consumer = harness_fork(consume, &run);
	}
	/* the producer, too, dies at last: all that it committed is there for the last consumer */
	kill_at_work(producer, &run.ledger->sent, &seed);
	uint64_t end = duoshm__load64(&run.ledger->begun) + 100;
	duoshm__store64(&run.ledger->limit, end);
	CU_ASSERT_EQUAL(harness_wait(harness_fork(produce, &run)), 0);
	CU_ASSERT_EQUAL(harness_wait(consumer), 0);
	CU_ASSERT_EQUAL(duoshm__load64(&run.ledger->got), end);
	/* what was received but not yet released comes again; one more for the producer */
	CU_ASSERT(duoshm__load64(&run.ledger->again) <= (uint64_t)kills + 1);
	end_storm(&run, ctx);
}

/* ---- broadcast ------------------------------------------------------------------------------------------- */

static int publish(void *arg)
{
	struct run *run = arg;
	struct duoshm *ctx = new_context();
	struct duoshm_broadcast *b;
	struct message m;

	HARNESS_CHILD(duoshm_broadcast_open(
			      ctx, harness_name(run->stem), DUOSHM_PRODUCER, 0, WATCHDOG, &b) == 0);
	uint64_t limit = duoshm__load64(&run->ledger->limit);
	for (uint64_t i = duoshm__load64_acquire(&run->ledger->begun); i < limit; i++) {
		size_t length = make(&m, i, run->longest);
		duoshm__store64_release(&run->ledger->begun, i + 1);
		HARNESS_CHILD(duoshm_broadcast_publish(b, &m, length) == 0);
		duoshm__store64_release(&run->ledger->sent, i + 1);
	}
	HARNESS_CHILD(duoshm_broadcast_close(b) == 0);
	HARNESS_CHILD(duoshm_free(ctx) == 0);
	return 0;
}

/* Got and missed add up to what was published: a number is skipped only by a death between ledger and commit. */
static bool is_over(const struct run *run)
{
	return duoshm__load64(&run->ledger->sent) >= duoshm__load64(&run->ledger->limit);
}

static int follow(void *arg)
{
	struct run *run = arg;
	struct duoshm *ctx = new_context();
	struct duoshm_broadcast *b;
	struct message m;
	uint64_t missed, next = 0;

	HARNESS_CHILD(duoshm_broadcast_open(ctx, harness_name(run->stem), DUOSHM_READER,
			      DUOSHM_READ_ONLY, WATCHDOG, &b) == 0);
	harness_gate_open(run->there);
	for (;;) {
		ssize_t length = duoshm_broadcast_next(b, &m, sizeof(m), &missed, WATCHDOG);
		if (length == DUOSHM_ERR_END && is_over(run))
			break;
		if (length == DUOSHM_ERR_PEER_DEAD || length == DUOSHM_ERR_END)
			continue; /* another one follows */
		HARNESS_CHILD(whole(&m, length));
		HARNESS_CHILD(m.number >= next + missed);
		next = m.number + 1;
		duoshm__store64(&run->ledger->got, duoshm__load64(&run->ledger->got) + 1);
		duoshm__store64(
			&run->ledger->missed, duoshm__load64(&run->ledger->missed) + missed);
	}
	HARNESS_CHILD(duoshm_broadcast_close(b) == 0);
	HARNESS_CHILD(duoshm_free(ctx) == 0);
	return 0;
}

static void a_storm_of_dying_broadcasters(void)
{
	struct harness_gate there;
	struct run run = {"casters", new_ledger(WITHOUT_END), CAPACITY / 8, &there};
	struct duoshm_create options = DUOSHM_CREATE_INIT;
	struct duoshm *ctx = new_context();
	struct duoshm_broadcast *b = NULL;
	long kills = harness_scale(10, 100, 10000);
	unsigned seed = 31;

	options.flags = DUOSHM_PERSISTENT;
	CU_ASSERT_EQUAL_FATAL(
		duoshm_broadcast_create(ctx, harness_name(run.stem), CAPACITY, &options, &b), 0);
	CU_ASSERT_EQUAL(duoshm_broadcast_close(b), 0);
	harness_gate(&there);
	pid_t reader = harness_fork(follow, &run);
	CU_ASSERT(harness_gate_pass(&there));
	for (long i = 0; i < kills; i++)
		kill_at_work(harness_fork(publish, &run), &run.ledger->sent, &seed);
	uint64_t end = duoshm__load64(&run.ledger->begun) + 100;
	duoshm__store64(&run.ledger->limit, end);
	CU_ASSERT_EQUAL(harness_wait(harness_fork(publish, &run)), 0);
	CU_ASSERT_EQUAL(harness_wait(reader), 0);
	uint64_t all = duoshm__load64(&run.ledger->got) + duoshm__load64(&run.ledger->missed);
	CU_ASSERT(duoshm__load64(&run.ledger->got) > 0);
	CU_ASSERT(all <= end);
	CU_ASSERT(all >= end - (uint64_t)kills);
	harness_gate_close(&there);
	end_storm(&run, ctx);
}

int main(int argc, char **argv)
{
	static const struct harness_case cases[] = {
		{"all is accounted for", all_is_accounted_for},
		{"a storm of dying producers", a_storm_of_dying_producers},
		{"a storm of dying consumers", a_storm_of_dying_consumers},
		{"a storm of dying broadcasters", a_storm_of_dying_broadcasters},
		{NULL, NULL},
	};

	return harness_run_each(argc, argv, "queue storm", cases);
}
