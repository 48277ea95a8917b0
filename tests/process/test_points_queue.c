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

#include "core/clock.h"
#include "harness/message.h"
#include "process/points.h"

#include <stdatomic.h>

#define CAPACITY 1024
#define SHORTEST 24  /* of a message */
#define LONGEST  100 /* of a message: a broadcast of that capacity takes 128 bytes */
#define LIMIT    24u /* messages: the ring wraps, and queues are full */
#define PATIENCE (5 * MS)

enum phase { OPENING, OPEN, CLOSING };
enum doing { NOTHING, PEEKING, RECEIVING }; /* an heir does also what he began with */

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
	void (*life)(void);    /* of the role that is tried */
	bool casts;            /* it is a broadcast */
	enum duoshm_role role; /* of the living one */
	bool made;             /* by the living one; else by each life that finds nothing */
};

static const char *name;
static const struct scene *scene;
static struct ledger *ledger;
static struct duoshm_queue *queue; /* this process's */
static struct duoshm_broadcast *cast;
static bool is_beside; /* a third process, which lives and reads, too */
static bool opened;    /* has the living one? */
static bool lazy;      /* he leaves what a dead one left to be taken later */
static uint64_t next;  /* number of the living one's next message */
/* Where successors begin to send again, in their order; which of them have come. */
static uint64_t again[POINTS_LIVES];
static unsigned n_again, came_again;
static long messages;

static void sign(void)
{
	ledger->clock = duoshm__now();
}

/* ---- opening and closing --------------------------------------------------------------------- */

static int open_it(bool make, enum duoshm_role role, unsigned flags, int64_t patience)
{
	struct duoshm_create options = create_with(DUOSHM_OPEN_OR_CREATE | DUOSHM_PERSISTENT, 0);

	if (scene->casts)
		return make ? duoshm_broadcast_create(ctx, name, CAPACITY, &options, &cast)
			    : duoshm_broadcast_open(ctx, name, role, flags, patience, &cast);
	return make ? duoshm_queue_create(ctx, name, CAPACITY, role, &options, &queue)
		    : duoshm_queue_open(ctx, name, role, patience, &queue);
}

static void close_it(void)
{
	OK(duoshm_queue_close(queue));
	OK(duoshm_broadcast_close(cast));
	queue = NULL;
	cast = NULL;
}

/* A broadcast ends with its broadcaster. */
static void finish(void)
{
	if (scene->casts)
		close_it();
	else
		OK(duoshm_queue_finish(queue));
}

/* ---- the role that is tried ------------------------------------------------------------------ */

static void join(enum duoshm_role role)
{
	sign();
	CHECK_FATAL(open_it(!scene->made, role, 0, LONG_TIME) >= 0);
	ledger->phase = OPEN;
}

static void leave(void)
{
	close_it();
	end_context(ctx);
}

/* Of one length, without a reservation. */
static void send_two(uint64_t first)
{
	unsigned char both[2 * SHORTEST];
	struct message m;

	for (unsigned i = 0; i < 2; i++) {
		EXPECT_FATAL(message_make(&m, first + i, 0, SHORTEST), SHORTEST);
		memcpy(both + (size_t)i * SHORTEST, &m, SHORTEST);
	}
	sign();
	EXPECT(duoshm_queue_send_many(queue, both, SHORTEST, 2, LONG_TIME), 2);
}

/* Several at once, by all ways to send. */
static void send_some(uint64_t first, unsigned count)
{
	struct message m;
	void *room;

	ledger->begun = first + count;
	if (!scene->casts && count == 2 && first % 2 == 0) {
		send_two(first);
		count = 0;
	}
	for (unsigned i = 0; i < count; i++) {
		size_t length = message_make(&m, first + i, 0, LONGEST);

		sign();
		if (scene->casts) {
			OK(duoshm_broadcast_publish(cast, &m, length));
		} else if (count == 1 && first % 2 == 0) {
			OK(duoshm_queue_send(queue, &m, length, LONG_TIME));
		} else {
			OK(duoshm_queue_reserve(queue, length, &room, LONG_TIME));
			memcpy(room, &m, length);
			OK(i + 1 < count ? duoshm_queue_stage(queue, length)
					 : duoshm_queue_commit(queue, length));
		}
	}
	ledger->sent = ledger->begun;
}

static bool has_been_heard(void *arg)
{
	return ledger->listening && ledger->heard >= *(uint64_t *)arg;
}

static void produce(void)
{
	uint64_t first = ledger->sent;

	join(DUOSHM_PRODUCER);
	for (uint64_t i; (i = ledger->sent) < LIMIT;) {
		/* Who broadcasts waits for nobody by itself. */
		if (scene->casts && (i % 4 == 0 || i == first))
			CHECK(harness_until(has_been_heard, &i));
		if (i % 4 == 0)
			harness_until_asleep(getppid());
		send_some(i, !scene->casts && i % 3 == 1 && i + 1 < LIMIT ? 2 : 1);
	}
	ledger->phase = CLOSING;
	finish();
	leave();
}

/*
 * The first message of a successor: what was peeked at and not released comes again, what was being
 * received may be lost; another one is neither.
 */
static void note_got(uint64_t number, int doing_before)
{
	uint64_t got = ledger->got;

	if ((doing_before & PEEKING) != 0 && got > 0 && number == got - 1)
		return;
	if ((doing_before & RECEIVING) != 0 && number == got + 1)
		got++;
	EXPECT(number, got);
	ledger->got = number + 1;
}

/* By both ways to receive. False: there are no more. */
static bool take_one(int doing_before)
{
	const void *message = NULL;
	struct message m;
	bool peeks = ledger->got % 2 == 0;

	/* What was peeked at is his to lose or to leave now, too. */
	ledger->doing = (peeks ? PEEKING : RECEIVING) | doing_before;
	sign();
	ssize_t length = peeks ? duoshm_queue_peek(queue, &message, LONG_TIME)
			       : duoshm_queue_receive(queue, &m, sizeof(m), LONG_TIME);
	if (length == DUOSHM_ERR_END)
		return false;
	CHECK_FATAL(length > 0 && length <= (ssize_t)sizeof(m));
	if (peeks)
		memcpy(&m, message, (size_t)length);
	CHECK(message_whole(&m, length));
	note_got(m.number, doing_before);
	if (peeks)
		OK(duoshm_queue_release(queue));
	ledger->doing = NOTHING;
	return true;
}

static void consume(void)
{
	int doing_before = ledger->doing;

	join(DUOSHM_CONSUMER);
	while (take_one(doing_before))
		doing_before = NOTHING;
	ledger->phase = CLOSING;
	leave();
}

/* Reads a broadcast to the end. */
static void follow(void)
{
	uint64_t expected = 0, missed = 0;
	ssize_t length;
	struct message m;

	OK(open_it(false, DUOSHM_READER, 0, LONG_TIME));
	if (is_beside)
		ledger->listening = true;
	while ((length = duoshm_broadcast_next(cast, &m, sizeof(m), &missed, LONG_TIME)) !=
		DUOSHM_ERR_END) {
		CHECK(message_whole(&m, length));
		/* Who stands still is lapped, and told so; it may also have come late. */
		CHECK(m.number == expected + missed || (expected == 0 && !is_beside));
		CHECK(missed == 0 || !is_beside);
		expected = m.number + 1;
		if (is_beside)
			ledger->heard = expected;
	}
	leave();
}

/* ---- who lives ------------------------------------------------------------------------------- */

static int open_living(bool make)
{
	if (scene->role != DUOSHM_READER)
		return open_it(make, scene->role, 0, PATIENCE);
	if (make) {
		OK(open_it(true, DUOSHM_PRODUCER, 0, PATIENCE));
		close_it();
	}
	return open_it(false, DUOSHM_READER, DUOSHM_READ_ONLY, PATIENCE);
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
static ssize_t hear(int64_t patience)
{
	struct message m;
	uint64_t missed = 0;

	if (!scene->casts && next % 8 == 5)
		harness_until_asleep(tried);
	ssize_t length = scene->casts
				 ? duoshm_broadcast_next(cast, &m, sizeof(m), &missed, patience)
				 : duoshm_queue_receive(queue, &m, sizeof(m), patience);
	EXPECT(missed, 0);
	if (length >= 0)
		note_heard(&m, length);
	return length;
}

static ssize_t tell(int64_t patience)
{
	struct message m;

	/* Whatever became of one reader, the other one hears it. */
	if (scene->casts)
		CHECK(harness_until(has_been_heard, &next));
	if (next == LIMIT) {
		finish();
		return DUOSHM_ERR_END;
	}
	if (scene->casts || next % 8 == 5)
		harness_until_asleep(tried);
	size_t length = message_make(&m, next, 0, LONGEST);
	int result = scene->casts ? duoshm_broadcast_publish(cast, &m, length)
				  : duoshm_queue_send(queue, &m, length, patience);
	next += result == 0;
	messages += result == 0;
	return result;
}

/* ---- the play -------------------------------------------------------------------------------- */

enum state { RUNS, STANDS, ENDED };

/* How it is now; it stays to be waited for. */
static enum state look(pid_t pid)
{
	siginfo_t info = {0};

	if (waitid(P_PID, (id_t)pid, &info, WEXITED | WSTOPPED | WNOHANG | WNOWAIT) != 0)
		return ENDED;
	if (info.si_pid == 0)
		return RUNS;
	return info.si_code == CLD_STOPPED ? STANDS : ENDED;
}

/* Nobody takes the role of one who stands still. */
static void stands_still(void)
{
	struct duoshm_queue *other = NULL;

	if (ledger->phase != OPEN || queue == NULL)
		return;
	EXPECT(duoshm_queue_open(ctx, name,
		       scene->life == produce ? DUOSHM_PRODUCER : DUOSHM_CONSUMER, 0, &other),
		DUOSHM_ERR_BUSY);
}

static ssize_t turn(int64_t patience)
{
	if (!opened) {
		int result = open_living(false);

		/* not there yet, or half-built */
		if (result == DUOSHM_ERR_NOT_FOUND || result == DUOSHM_ERR_TIMEOUT)
			return DUOSHM_ERR_TIMEOUT;
		EXPECT(result, 0);
		ledger->listening = opened = true;
	}
	return scene->role == DUOSHM_PRODUCER ? tell(patience) : hear(patience);
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
		enum state state = look(tried);
		if (lazy && state == ENDED)
			return DUOSHM_ERR_TIMEOUT;
		bool was_open = ledger->phase == OPEN;
		/* Where there is somebody, a wait without end must end. */
		bool waits = was_open && deed != INSTRUMENT_STOP && opened && !lazy;
		ssize_t result = turn(waits ? DUOSHM_FOREVER : PATIENCE);

		if (!is_passing(result, was_open) || (result < 0 && state == ENDED))
			return result;
		if (result < 0 && state == STANDS) {
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
	lazy = nth % 2 == 1 && deed == INSTRUMENT_DIE && scene->role == DUOSHM_CONSUMER;

	ledger->phase = OPENING;
	tried = points_start(NULL, scene->life, deed, nth);
	ssize_t result = accompany(deed, &stood);
	int64_t told = duoshm__now();
	bool came = points_end_of(deed, NULL) || stood;

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
		points_learnt(told - ledger->clock);
	return came;
}

/* All that was sent has come, and nothing else. */
static void balance(void)
{
	if (scene->role == DUOSHM_PRODUCER)
		return;
	CHECK((next >= ledger->sent || lazy) && next <= ledger->begun);
	if (n_again < POINTS_LIVES)
		again[n_again++] = ledger->sent;
}

static unsigned play(const struct points_plan *plan)
{
	unsigned came = 0;
	pid_t beside = 0;
	bool comes;

	memset(ledger, 0, sizeof(*ledger));
	next = 0;
	n_again = came_again = 0;
	opened = scene->made;
	if (opened)
		OK(open_living(true));
	is_beside = scene->life == follow;
	if (is_beside)
		beside = points_start(NULL, follow, INSTRUMENT_COUNT, 0);
	else
		ledger->listening = opened;
	is_beside = false;
	do {
		comes = live(plan->deed, plan->nth[came]);
		came += comes;
		balance();
	} while (comes && plan->deed == INSTRUMENT_DIE);
	EXPECT(next, LIMIT);
	if (scene->life == consume)
		CHECK(ledger->got == LIMIT || ledger->got == LIMIT - 1);
	close_it();
	if (beside != 0)
		EXPECT(harness_wait(beside), 0);
	discard(ctx, "points");
	return came;
}

/* ---- cases ----------------------------------------------------------------------------------- */

static const struct scene scenes[] = {
	{"producer", produce, false, DUOSHM_CONSUMER, true},
	{"producer that creates", produce, false, DUOSHM_CONSUMER, false},
	{"consumer", consume, false, DUOSHM_PRODUCER, true},
	{"consumer that creates", consume, false, DUOSHM_PRODUCER, false},
	{"broadcaster", produce, true, DUOSHM_READER, true},
	{"broadcaster that creates", produce, true, DUOSHM_READER, false},
	{"reader", follow, true, DUOSHM_PRODUCER, true},
	{.title = NULL},
};

static void begin(void)
{
	points_begin();
	name = harness_name("points");
	ledger = ledger != NULL ? ledger : harness_shared(sizeof(*ledger));
	messages = 0;
}

static long each_scene(enum instrument_deed deed, long stride)
{
	long plays = 0;

	for (scene = scenes; scene->title != NULL; scene++)
		plays += points_each(scene->title, play, deed, stride, 0);
	return plays;
}

static void death_is_told_and_nothing_is_lost(void)
{
	long deaths = each_scene(INSTRUMENT_DIE, harness_scale(5, 5, 1));

	harness_proves(1, deaths, "deaths");
	harness_proves(2, messages, "messages");
	harness_proves(3, messages, "messages");
	harness_proves(4, deaths, "deaths");
}

static void slow_is_not_dead(void)
{
	harness_proves(6, each_scene(INSTRUMENT_STOP, harness_scale(13, 11, 1)), "stops");
}

static void successors_may_die_too(void)
{
	long stride = harness_scale(37, 31, 11);
	long pairs = 0;

	/* A reader has no successor. */
	for (scene = scenes; scene->life != follow; scene++)
		pairs += points_each(scene->title, play, INSTRUMENT_DIE, stride, stride);
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
	harness_around(begin, points_end);
	return harness_run_each(argc, argv, "points of queues", cases);
}
