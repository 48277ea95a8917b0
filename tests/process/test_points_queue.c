/* SPDX-License-Identifier: MIT */
/*
 * Queues and broadcasts, one side of which dies, or stands still, at each of its points. The other
 * side lives on in this process, through all lives of the role that is tried: each successor takes
 * it over, and the last one is whole.
 *
 * A ledger outside of the queue tells what must come of each message: a producer notes before and
 * after what it sends, a consumer what it is about to do and what it got. At a death all that was
 * sent must arrive and nothing that was not begun; what the successor sends again is what the dead
 * one had not noted as sent, and no more.
 */
#include "config.h"

#include "harness/fixture.h"
#include "harness/message.h"
#include "process/plays.h"

#include "core/clock.h"

#include <stdatomic.h>
#include <sys/mman.h>

#define CAPACITY 1024
#define LONGEST  100 /* of a message: a broadcast of that capacity takes 128 bytes */
#define LIMIT    24u /* messages: the ring wraps, and queues are full */
#define PATIENCE (5 * MS)

enum phase { OPENING, OPEN, CLOSING, CLOSED };
enum doing { NOTHING, PEEKING, RECEIVING };

/* Written by the life that goes on; `listening` and `heard` by those who live. */
struct ledger {
	_Atomic int phase;
	_Atomic int64_t clock;        /* its last sign */
	_Atomic uint64_t begun, sent; /* producers: below may have been, were sent */
	_Atomic uint64_t got;         /* consumers: below were received */
	_Atomic int doing;
	_Atomic bool listening; /* the living one has opened it */
	_Atomic uint64_t heard; /* by the reader that lives */
};

struct scene {
	const char *title;
	int (*life)(void *scene);          /* of the role that is tried */
	int (*open)(bool make);            /* by the living one */
	ssize_t (*turn)(int64_t patience); /* its next call */
	void (*close)(void);
	bool made;                  /* by the living one; else by each life that finds nothing */
	int (*beside)(void *scene); /* a third process, that lives; NULL: none */
};

static const struct scene *scene;
static struct ledger *ledger;
static struct duoshm *ctx;
static struct duoshm_queue *queue; /* the living one's */
static struct duoshm_broadcast *cast;
static bool opened;   /* has he? */
static bool lazy;     /* he leaves what a dead one left to be taken later */
static pid_t tried;   /* the life that goes on */
static uint64_t next; /* number of the living one's next message */
/* Where successors begin to send again, in their order; which of them have come. */
static uint64_t again[PLAYS_LIVES];
static unsigned n_again, came_again;
static long messages;

static const char *name(void)
{
	return harness_name("points");
}

static void sign(void)
{
	ledger->clock = duoshm__now();
}

/* ---- the role that is tried: queues ---------------------------------------------------------- */

static struct duoshm_queue *join_queue(struct duoshm *in, enum duoshm_role role)
{
	struct duoshm_create options = create_with(DUOSHM_OPEN_OR_CREATE | DUOSHM_PERSISTENT, 0);
	struct duoshm_queue *q = NULL;

	ledger->phase = OPENING;
	sign();
	instrument_here();
	if (scene->made)
		OK(duoshm_queue_open(in, name(), role, LONG_TIME, &q));
	else
		CHECK_FATAL(duoshm_queue_create(in, name(), CAPACITY, role, &options, &q) >= 0);
	ledger->phase = OPEN;
	return q;
}

/* Several at once, by all ways to send. */
static void send_some(struct duoshm_queue *q, uint64_t first, unsigned count)
{
	struct message m;
	void *room;

	ledger->begun = first + count;
	for (unsigned i = 0; i < count; i++) {
		size_t length = message_make(&m, first + i, 0, LONGEST);

		sign();
		if (count == 1 && first % 2 == 0) {
			OK(duoshm_queue_send(q, &m, length, LONG_TIME));
			continue;
		}
		OK(duoshm_queue_reserve(q, length, &room, LONG_TIME));
		memcpy(room, &m, length);
		if (i + 1 < count)
			OK(duoshm_queue_stage(q, length));
		else
			OK(duoshm_queue_commit(q, length));
	}
	ledger->sent = first + count;
}

static int produce(void *arg)
{
	struct duoshm *own = new_context();
	struct duoshm_queue *q = join_queue(own, DUOSHM_PRODUCER);

	(void)arg;
	for (uint64_t i; (i = ledger->sent) < LIMIT;) {
		if (i % 4 == 0)
			plays_until_idle(getppid());
		send_some(q, i, i % 3 == 1 && i + 1 < LIMIT ? 2 : 1);
	}
	ledger->phase = CLOSING;
	OK(duoshm_queue_finish(q));
	OK(duoshm_queue_close(q));
	ledger->phase = CLOSED;
	return duoshm_free(own);
}

/*
 * The first message of a successor: what was peeked at and not released comes again, what was being
 * received may be lost; another one is neither.
 */
static void note_got(uint64_t number, int doing_before)
{
	uint64_t got = ledger->got;

	if (doing_before == PEEKING && got > 0 && number == got - 1)
		return;
	if (doing_before == RECEIVING && number == got + 1)
		got++;
	EXPECT(number, got);
	ledger->got = number + 1;
}

/* By both ways to receive. False: there are no more. */
static bool take_one(struct duoshm_queue *q, int doing_before)
{
	const void *message = NULL;
	struct message m;
	bool peeks = ledger->got % 2 == 0;

	ledger->doing = peeks ? PEEKING : RECEIVING;
	sign();
	ssize_t length = peeks ? duoshm_queue_peek(q, &message, LONG_TIME)
			       : duoshm_queue_receive(q, &m, sizeof(m), LONG_TIME);
	if (length == DUOSHM_ERR_END)
		return false;
	CHECK_FATAL(length > 0 && length <= (ssize_t)sizeof(m));
	if (peeks)
		memcpy(&m, message, (size_t)length);
	CHECK(message_whole(&m, length));
	note_got(m.number, doing_before);
	if (peeks)
		OK(duoshm_queue_release(q));
	ledger->doing = NOTHING;
	return true;
}

static int consume(void *arg)
{
	struct duoshm *own = new_context();
	int doing_before = ledger->doing;
	struct duoshm_queue *q = join_queue(own, DUOSHM_CONSUMER);

	(void)arg;
	while (take_one(q, doing_before))
		doing_before = NOTHING;
	ledger->phase = CLOSING;
	OK(duoshm_queue_close(q));
	ledger->phase = CLOSED;
	return duoshm_free(own);
}

/* ---- the role that is tried: broadcasts ------------------------------------------------------ */

static struct duoshm_broadcast *join_broadcast(struct duoshm *in)
{
	struct duoshm_create options = create_with(DUOSHM_OPEN_OR_CREATE | DUOSHM_PERSISTENT, 0);
	struct duoshm_broadcast *b = NULL;

	ledger->phase = OPENING;
	sign();
	instrument_here();
	if (scene->made)
		OK(duoshm_broadcast_open(in, name(), DUOSHM_PRODUCER, 0, LONG_TIME, &b));
	else
		CHECK_FATAL(duoshm_broadcast_create(in, name(), CAPACITY, &options, &b) >= 0);
	ledger->phase = OPEN;
	return b;
}

static bool has_been_heard(void *arg)
{
	return ledger->listening && ledger->heard >= *(uint64_t *)arg;
}

static int publish(void *arg)
{
	struct duoshm *own = new_context();
	struct duoshm_broadcast *b = join_broadcast(own);
	struct message m;

	(void)arg;
	for (uint64_t i = ledger->sent; i < LIMIT; i++) {
		if (i % 4 == 0 || i == ledger->sent)
			CHECK(harness_until(has_been_heard, &i));
		if (i % 4 == 0)
			plays_until_idle(getppid());
		ledger->begun = i + 1;
		sign();
		OK(duoshm_broadcast_publish(b, &m, message_make(&m, i, 0, LONGEST)));
		ledger->sent = i + 1;
	}
	ledger->phase = CLOSING;
	OK(duoshm_broadcast_close(b));
	ledger->phase = CLOSED;
	return duoshm_free(own);
}

/* Reads to the end. */
static void follow(bool lives)
{
	struct duoshm *own = new_context();
	struct duoshm_broadcast *b = NULL;
	uint64_t expected = 0, missed = 0;
	ssize_t length;
	struct message m;

	ledger->phase = OPENING;
	instrument_here();
	OK(duoshm_broadcast_open(own, name(), DUOSHM_READER, 0, LONG_TIME, &b));
	if (lives)
		ledger->listening = true;
	while ((length = duoshm_broadcast_next(b, &m, sizeof(m), &missed, LONG_TIME)) !=
		DUOSHM_ERR_END) {
		CHECK(message_whole(&m, length));
		/* Who stands still is lapped, and told so; it may also have come late. */
		CHECK(m.number == expected + missed || (expected == 0 && !lives));
		CHECK(missed == 0 || !lives);
		expected = m.number + 1;
		if (lives)
			ledger->heard = expected;
	}
	OK(duoshm_broadcast_close(b));
	OK(duoshm_free(own));
}

static int read_beside(void *arg)
{
	(void)arg;
	follow(true);
	return 0;
}

static int read_tried(void *arg)
{
	(void)arg;
	follow(false);
	return 0;
}

/* ---- those who live -------------------------------------------------------------------------- */

static int open_queue(bool make, enum duoshm_role role)
{
	struct duoshm_create options = create_with(DUOSHM_PERSISTENT, 0);

	return make ? duoshm_queue_create(ctx, name(), CAPACITY, role, &options, &queue)
		    : duoshm_queue_open(ctx, name(), role, PATIENCE, &queue);
}

static int open_consumer(bool make)
{
	return open_queue(make, DUOSHM_CONSUMER);
}

static int open_producer(bool make)
{
	return open_queue(make, DUOSHM_PRODUCER);
}

static int open_reader(bool make)
{
	struct duoshm_create options = create_with(DUOSHM_PERSISTENT, 0);

	if (make) {
		OK(duoshm_broadcast_create(ctx, name(), CAPACITY, &options, &cast));
		OK(duoshm_broadcast_close(cast));
	}
	return duoshm_broadcast_open(ctx, name(), DUOSHM_READER, DUOSHM_READ_ONLY, PATIENCE, &cast);
}

static int open_publisher(bool make)
{
	CHECK(make);
	return duoshm_broadcast_create(ctx, name(), CAPACITY, NULL, &cast);
}

static void close_queue(void)
{
	EXPECT(duoshm_queue_close(queue), 0);
	queue = NULL;
}

static void close_cast(void)
{
	EXPECT(duoshm_broadcast_close(cast), 0);
	cast = NULL;
}

/* In order; but a successor may begin again, once, behind what its predecessor had noted. */
static void note_heard(const struct message *m, ssize_t length)
{
	CHECK(message_whole(m, length));
	for (; m->number != next && came_again < n_again; came_again++)
		next = again[came_again] == m->number && m->number < next ? m->number : next;
	EXPECT(m->number, next);
	ledger->heard = next = m->number + 1;
	messages++;
}

/* Slow at times, so that the ring fills. */
static ssize_t take(int64_t patience)
{
	struct message m;

	if (next % 8 == 5)
		plays_until_idle(tried);
	ssize_t length = duoshm_queue_receive(queue, &m, sizeof(m), patience);
	if (length >= 0)
		note_heard(&m, length);
	return length;
}

static ssize_t give(int64_t patience)
{
	struct message m;

	if (next == LIMIT) {
		EXPECT(duoshm_queue_finish(queue), 0);
		return DUOSHM_ERR_END;
	}
	if (next % 8 == 5)
		plays_until_idle(tried);
	size_t length = message_make(&m, next, 0, LONGEST);
	int result = duoshm_queue_send(queue, &m, length, patience);
	next += result == 0;
	messages += result == 0;
	return result;
}

static ssize_t hear(int64_t patience)
{
	struct message m;
	uint64_t missed = 0;
	ssize_t length = duoshm_broadcast_next(cast, &m, sizeof(m), &missed, patience);

	EXPECT(missed, 0);
	if (length >= 0)
		note_heard(&m, length);
	return length;
}

/* Whatever became of one reader, the other one hears it. */
static ssize_t tell(int64_t patience)
{
	struct message m;

	(void)patience;
	CHECK(harness_until(has_been_heard, &next));
	if (next == LIMIT) {
		close_cast();
		return DUOSHM_ERR_END;
	}
	plays_until_idle(tried);
	size_t length = message_make(&m, next, 0, LONGEST);
	EXPECT(duoshm_broadcast_publish(cast, &m, length), 0);
	next++;
	messages++;
	return 0;
}

/* ---- the play -------------------------------------------------------------------------------- */

/* Nobody takes the role of one who stands still. */
static void stands_still(void)
{
	struct duoshm_queue *other = NULL;

	if (ledger->phase != OPEN || queue == NULL)
		return;
	EXPECT(duoshm_queue_open(ctx, name(),
		       scene->life == produce ? DUOSHM_PRODUCER : DUOSHM_CONSUMER, 0, &other),
		DUOSHM_ERR_BUSY);
}

static ssize_t turn(int64_t patience)
{
	if (!opened) {
		int result = scene->open(false);

		/* not there yet, or half-built */
		if (result == DUOSHM_ERR_NOT_FOUND || result == DUOSHM_ERR_TIMEOUT)
			return DUOSHM_ERR_TIMEOUT;
		EXPECT(result, 0);
		ledger->listening = opened = true;
	}
	return scene->turn(patience);
}

/* May the answer be another one while this life goes on? */
static bool is_passing(ssize_t result, bool was_open)
{
	/* Until a successor has the role, its predecessor is dead, or has finished. */
	return result >= 0 || result == DUOSHM_ERR_TIMEOUT ||
	       (!was_open && result == DUOSHM_ERR_PEER_DEAD) ||
	       (!was_open && result == DUOSHM_ERR_END && next < LIMIT);
}

/* What the living one gets from its calls in the end, while one life goes on. */
static ssize_t accompany(enum instrument_deed deed, bool *stood)
{
	for (;;) {
		enum plays_state state = plays_look(tried);
		if (lazy && state == PLAYS_ENDED)
			return DUOSHM_ERR_TIMEOUT;
		bool was_open = ledger->phase == OPEN;
		/* Where there is somebody, a wait without end must end. */
		bool waits = was_open && deed != INSTRUMENT_STOP && opened && !lazy;
		ssize_t result = turn(waits ? DUOSHM_FOREVER : PATIENCE);

		if (!is_passing(result, was_open) || (result < 0 && state == PLAYS_ENDED))
			return result;
		if (result < 0 && state == PLAYS_STOPPED) {
			stands_still();
			*stood = true;
			harness_continue(tried);
		}
		if (result == DUOSHM_ERR_PEER_DEAD || result == DUOSHM_ERR_END)
			duoshm__pause(MS);
	}
}

/* One life. True: it came to its point. */
static bool live(enum instrument_deed deed, unsigned nth)
{
	bool stood = false;

	/* At times a successor comes before all is taken that its predecessor left. */
	lazy = nth % 2 == 1 && deed == INSTRUMENT_DIE && scene->turn == take;

	ledger->phase = OPENING;
	tried = instrument_start(scene->life, NULL, nth == 0 ? INSTRUMENT_COUNT : deed, nth);
	ssize_t result = accompany(deed, &stood);
	int64_t told = duoshm__now();
	bool came = plays_end_of(tried, deed, stood);

	if (lazy && came)
		return came;
	lazy = false;
	if (result == DUOSHM_ERR_TIMEOUT && !came)
		result = accompany(deed, &stood);
	if (result == DUOSHM_ERR_END) {
		CHECK(ledger->phase != OPEN || next == LIMIT);
		return came;
	}
	CHECK(came && deed == INSTRUMENT_DIE);
	/* Told of whoever had the role, and of nobody before that. */
	if (ledger->phase != OPENING)
		EXPECT(result, DUOSHM_ERR_PEER_DEAD);
	else
		CHECK(result == DUOSHM_ERR_PEER_DEAD || result == DUOSHM_ERR_TIMEOUT);
	if (result == DUOSHM_ERR_PEER_DEAD)
		plays_learnt(told - ledger->clock);
	return came;
}

/* All that was sent has come, and nothing else. */
static void balance(void)
{
	if (scene->turn != take && scene->turn != hear)
		return;
	CHECK((next >= ledger->sent || lazy) && next <= ledger->begun);
	if (n_again < PLAYS_LIVES)
		again[n_again++] = ledger->sent;
}

static unsigned play(const struct plays_plan *plan)
{
	unsigned came = 0;
	pid_t beside = 0;

	memset(ledger, 0, sizeof(*ledger));
	next = 0;
	n_again = came_again = 0;
	opened = scene->made;
	if (opened)
		OK(scene->open(true));
	if (scene->beside != NULL)
		beside = instrument_start(scene->beside, NULL, INSTRUMENT_COUNT, 0);
	else
		ledger->listening = opened;
	for (bool dies = true; dies; came += dies) {
		dies = live(plan->deed, plan->nth[came]);
		balance();
		if (plan->deed == INSTRUMENT_STOP) {
			came += dies;
			break;
		}
	}
	EXPECT(next, LIMIT);
	if (scene->life == consume)
		CHECK(ledger->got == LIMIT || ledger->got == LIMIT - 1);
	scene->close();
	if (beside != 0)
		EXPECT(harness_wait(beside), 0);
	discard(ctx, "points");
	return came;
}

/* ---- cases ----------------------------------------------------------------------------------- */

static const struct scene scenes[] = {
	{"producer", produce, open_consumer, take, close_queue, true, NULL},
	{"producer that creates", produce, open_consumer, take, close_queue, false, NULL},
	{"consumer", consume, open_producer, give, close_queue, true, NULL},
	{"consumer that creates", consume, open_producer, give, close_queue, false, NULL},
	{"broadcaster", publish, open_reader, hear, close_cast, true, NULL},
	{"broadcaster that creates", publish, open_reader, hear, close_cast, false, NULL},
	{"reader", read_tried, open_publisher, tell, close_cast, true, read_beside},
};
enum { SCENES = sizeof(scenes) / sizeof(scenes[0]) };

static void begin(void)
{
	plays_begin();
	ctx = new_context();
	ledger = harness_shared(sizeof(*ledger));
	messages = 0;
}

static void end(void)
{
	(void)munmap(ledger, sizeof(*ledger));
	end_context(ctx);
	plays_end();
}

static long each_scene(enum instrument_deed deed, unsigned stride)
{
	long plays = 0;

	for (unsigned i = 0; i < SCENES; i++) {
		scene = &scenes[i];
		plays += plays_each(scene->title, play, deed, 5 * i, stride);
	}
	return plays;
}

static void death_is_told_and_nothing_is_lost(void)
{
	long deaths = each_scene(INSTRUMENT_DIE, (unsigned)harness_scale(5, 5, 1));

	harness_proves(1, deaths, "deaths");
	harness_proves(2, messages, "messages");
	harness_proves(3, messages, "messages");
	harness_proves(4, deaths, "deaths");
}

static void slow_is_not_dead(void)
{
	harness_proves(6, each_scene(INSTRUMENT_STOP, (unsigned)harness_scale(13, 11, 1)), "stops");
}

/* A reader has no successor. */
static void successors_may_die_too(void)
{
	unsigned stride = (unsigned)harness_scale(37, 31, 7);
	long pairs = 0;

	for (unsigned i = 0; i < SCENES - 1; i++) {
		scene = &scenes[i];
		pairs += plays_pairs(scene->title, play, 3 * i, stride, stride);
	}
	harness_proves(5, pairs, "deaths of successors");
}

static const struct harness_case cases[] = {
	{"wherever a side dies it is told, and nothing is lost", death_is_told_and_nothing_is_lost},
	{"wherever a side stands still it is not dead", slow_is_not_dead},
	{"wherever it dies, its successor may die too", successors_may_die_too},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	/* Whoever waits sleeps. */
	(void)setenv("DUOSHM_SPIN_NS", "0", 1);
	harness_around(begin, end);
	return harness_run_each(argc, argv, "points of queues", cases);
}
