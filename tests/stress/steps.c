/* SPDX-License-Identifier: MIT */
/*
 * Kills at single instructions: a child does one operation under trace, is let run to one of its
 * system calls, goes on instruction by instruction, and is killed; then the next process must find
 * everything in order. The points of an operation are gone through in strides, so that a few of
 * them are spread over it. Of an operation without system calls many are all of them; of another
 * one they are denser right behind its system calls. Peers that live are this process itself.
 */
#include "config.h"

#include "stress/storm.h"

#if defined __linux__

#include <duoshm/device.h>

#include <sys/ptrace.h>

#define STEPS       1000 /* more than lie between most system calls */
#define STRIDE      619  /* a prime: goes through all of less */
#define SHORT_TIMES 6    /* as many points of those that make no system call */
#define SIZE        5000
#define CAST_SIZE   4096

/* What the operations work on; the handles are the parent's. */
static struct {
	struct duoshm *ctx, *own; /* the parent's, the child's */
	struct duoshm_segment *segment;
	struct duoshm_semaphore *semaphore;
	struct duoshm_lock *lock;
	struct duoshm_queue *in, *out; /* what a child sends, what it receives */
	struct duoshm_broadcast *from, *to;
	struct duoshm_device *device;
	pid_t device_pid;
	uint64_t sent, received; /* numbers of the next message */
	pid_t speaker;
	struct harness_gate ready, go;
} with;

/* Objects of both families are there at once, and names are one space. */
static const char *name_of(const char *what)
{
	char stem[32];

	snprintf(stem, sizeof(stem), "%s.%s", what, storm_family);
	return harness_name(stem);
}

/* ---- segments -------------------------------------------------------------------------------- */

static struct duoshm_segment *create_filled(struct duoshm *ctx)
{
	struct duoshm_create options = create_with(DUOSHM_UNPUBLISHED, 2);
	struct duoshm_segment *made = NULL;

	CHECK_FATAL(duoshm_segment_create(ctx, name_of("segment"), SIZE, &options, &made) >= 0);
	memset(duoshm_segment_data(made), 0x5a, SIZE);
	OK(duoshm_segment_publish(made));
	return made;
}

static void open_whole(struct duoshm *ctx)
{
	struct duoshm_segment *opened = NULL;
	int result = duoshm_segment_open(ctx, name_of("segment"), 0, 0, &opened);

	if (result == DUOSHM_ERR_NOT_FOUND)
		return;
	EXPECT_FATAL(result, 0);
	const unsigned char *data = duoshm_segment_data(opened);
	CHECK(data[0] == 0x5a && data[SIZE - 1] == 0x5a);
	OK(duoshm_segment_close(opened));
}

static void make_anew(void)
{
	struct duoshm_segment *made = create_filled(with.ctx);

	OK(duoshm_segment_ring(made, 1));
	OK(duoshm_segment_sleep(made, 1, 0));
	OK(duoshm_segment_remove(made));
	OK(duoshm_segment_close(made));
}

static void create(void)
{
	create_filled(with.own);
}

static void after_create(bool done)
{
	(void)done;
	open_whole(with.ctx);
	make_anew();
}

static void make_living(void)
{
	with.segment = create_filled(with.ctx);
}

static void open_it(void)
{
	open_whole(with.own);
}

static void after_open(bool done)
{
	struct duoshm_stat stat = DUOSHM_STAT_INIT;

	(void)done;
	OK(duoshm_stat(with.ctx, name_of("segment"), &stat));
	EXPECT(stat.attached, 1);
	EXPECT(stat.state, DUOSHM_LIVE);
	OK(duoshm_segment_remove(with.segment));
	OK(duoshm_segment_close(with.segment));
}

static void remove_it(void)
{
	OK(duoshm_remove(with.own, name_of("segment")));
}

static void after_remove(bool done)
{
	int result = duoshm_remove(with.ctx, name_of("segment"));

	CHECK(result == DUOSHM_ERR_NOT_FOUND || (result == 0 && !done));
	EXPECT(duoshm_segment_removed(with.segment), 1);
	EXPECT(((const char *)duoshm_segment_data(with.segment))[SIZE - 1], 0x5a);
	OK(duoshm_segment_close(with.segment));
	make_anew();
}

/* ---- semaphores and locks -------------------------------------------------------------------- */

static struct duoshm_semaphore *theirs_semaphore;
static struct duoshm_lock *theirs_lock;

static void make_semaphore(void)
{
	if (with.semaphore == NULL)
		OK(duoshm_semaphore_create(with.ctx, name_of("units"), 1, NULL, &with.semaphore));
}

static void open_semaphore(void)
{
	OK(duoshm_semaphore_open(with.own, name_of("units"), 0, 0, &theirs_semaphore));
}

static void post_one(void)
{
	OK(duoshm_semaphore_post(theirs_semaphore, 1));
}

static void wait_one(void)
{
	OK(duoshm_semaphore_wait(theirs_semaphore, LONG_TIME, 0));
}

/* All of the unit or nothing; back to one. */
static void check_units(bool done, int before, int after)
{
	int value = duoshm_semaphore_value(with.semaphore);

	CHECK_FATAL(value == after || (value == before && !done));
	for (; value > 1; value--)
		OK(duoshm_semaphore_wait(with.semaphore, 0, 0));
	if (value == 0)
		OK(duoshm_semaphore_post(with.semaphore, 1));
}

static void after_post(bool done)
{
	check_units(done, 1, 2);
}

static void after_wait(bool done)
{
	check_units(done, 1, 0);
}

static void make_lock(void)
{
	if (with.lock == NULL)
		OK(duoshm_lock_create(with.ctx, name_of("lock"), NULL, &with.lock));
}

static void open_lock(void)
{
	OK(duoshm_lock_open(with.own, name_of("lock"), 0, 0, &theirs_lock));
}

static void cross(void)
{
	OK(duoshm_lock_acquire(theirs_lock, LONG_TIME));
	OK(duoshm_lock_release(theirs_lock));
}

static void after_cross(bool done)
{
	int result = duoshm_lock_acquire(with.lock, LONG_TIME);

	CHECK(result == 0 || (result == DUOSHM_OWNER_DEAD && !done));
	OK(duoshm_lock_release(with.lock));
}

/* ---- queues ---------------------------------------------------------------------------------- */

static struct duoshm_queue *theirs_queue;

static void make_in(void)
{
	if (with.in == NULL)
		OK(duoshm_queue_create(
			with.ctx, name_of("in"), 1024, DUOSHM_CONSUMER, NULL, &with.in));
}

static void send(void)
{
	struct message m;
	size_t length = message_make(&m, with.sent, 1, 400);

	OK(duoshm_queue_open(with.own, name_of("in"), DUOSHM_PRODUCER, 0, &theirs_queue));
	OK(duoshm_queue_send(theirs_queue, &m, length, LONG_TIME));
}

/* It came or not, and then the news: its death, or that it gave up its role before that. */
static void after_send(bool done)
{
	struct message m;
	ssize_t length = duoshm_queue_receive(with.in, &m, sizeof(m), 0);

	CHECK(length == DUOSHM_ERR_TIMEOUT || length == DUOSHM_ERR_PEER_DEAD ||
		message_whole(&m, length));
	CHECK(length >= 0 || !done);
	if (length >= 0)
		EXPECT(m.number, with.sent++);
	EXPECT(duoshm_queue_pending(with.in) > 0, 0);
}

static void make_out(void)
{
	struct message m;

	if (with.out == NULL)
		OK(duoshm_queue_create(
			with.ctx, name_of("out"), 1024, DUOSHM_PRODUCER, NULL, &with.out));
	size_t length = message_make(&m, with.received, 1, 400);
	OK(duoshm_queue_send(with.out, &m, length, 0));
}

static void receive_from(struct duoshm *ctx, ssize_t *length, struct message *m)
{
	OK(duoshm_queue_open(ctx, name_of("out"), DUOSHM_CONSUMER, LONG_TIME, &theirs_queue));
	*length = duoshm_queue_receive(theirs_queue, m, sizeof(*m), 0);
}

static void receive(void)
{
	struct message m;
	ssize_t length;

	receive_from(with.own, &length, &m);
	CHECK(message_whole(&m, length) && m.number == with.received);
}

/* The next consumer finds it, or nothing. */
static void after_receive(bool done)
{
	struct message m;
	ssize_t length;

	receive_from(with.ctx, &length, &m);
	CHECK(length == DUOSHM_ERR_TIMEOUT || (message_whole(&m, length) && !done));
	if (length >= 0)
		EXPECT(m.number, with.received);
	OK(duoshm_queue_close(theirs_queue));
	with.received++;
}

/* ---- last words: the traced one is the peer, and lives --------------------------------------- */

static int speak(void *arg)
{
	struct duoshm *ctx = storm_context();
	struct duoshm_queue *q = NULL;
	struct message m;

	(void)arg;
	size_t length = message_make(&m, 1, 1, 100);
	OK(duoshm_queue_open(ctx, name_of("words"), DUOSHM_PRODUCER, 0, &q));
	harness_gate_open(&with.ready);
	CHECK(harness_gate_pass(&with.go));
	OK(duoshm_queue_send(q, &m, length, 0));
	harness_gate_open(&with.ready);
	pause();
	return 0;
}

static void make_speaker(void)
{
	struct duoshm_queue *q = NULL;
	struct duoshm_create options = create_with(DUOSHM_OPEN_OR_CREATE | DUOSHM_PERSISTENT, 0);

	CHECK_FATAL(duoshm_queue_create(
			    with.ctx, name_of("words"), 1024, DUOSHM_CONSUMER, &options, &q) >= 0);
	OK(duoshm_queue_close(q));
	harness_gate(&with.ready);
	harness_gate(&with.go);
	with.speaker = harness_fork(speak, NULL);
	CHECK_FATAL(harness_gate_pass(&with.ready));
}

static void open_ear(void)
{
	OK(duoshm_queue_open(
		with.own, name_of("words"), DUOSHM_CONSUMER, LONG_TIME, &theirs_queue));
}

static void listen_first(void)
{
	struct message m;
	ssize_t length = duoshm_queue_receive(theirs_queue, &m, sizeof(m), LONG_TIME);

	CHECK_FATAL(message_whole(&m, length));
	EXPECT(duoshm_queue_receive(theirs_queue, &m, sizeof(m), LONG_TIME), DUOSHM_ERR_PEER_DEAD);
	OK(duoshm_queue_close(theirs_queue));
}

static void speak_and_die(void)
{
	harness_gate_open(&with.go);
	CHECK_FATAL(harness_gate_pass(&with.ready));
	EXPECT(harness_kill(with.speaker), -SIGKILL);
}

static void after_words(bool done)
{
	CHECK(done);
	harness_gate_close(&with.ready);
	harness_gate_close(&with.go);
	OK(duoshm_remove(with.ctx, name_of("words")));
}

/* ---- broadcasts ------------------------------------------------------------------------------ */

static struct duoshm_broadcast *theirs_cast;

static void make_from(void)
{
	struct duoshm_create options = create_with(DUOSHM_PERSISTENT, 0);
	struct duoshm_broadcast *maker = NULL;

	if (with.from != NULL)
		return;
	OK(duoshm_broadcast_create(with.ctx, name_of("from"), CAST_SIZE, &options, &maker));
	OK(duoshm_broadcast_close(maker));
	OK(duoshm_broadcast_open(
		with.ctx, name_of("from"), DUOSHM_READER, DUOSHM_READ_ONLY, 0, &with.from));
}

static void publish(void)
{
	struct message m;
	size_t length = message_make(&m, with.sent, 1, CAST_SIZE / 8);

	OK(duoshm_broadcast_open(
		with.own, name_of("from"), DUOSHM_PRODUCER, 0, LONG_TIME, &theirs_cast));
	OK(duoshm_broadcast_publish(theirs_cast, &m, length));
}

static void after_publish(bool done)
{
	struct message m;
	uint64_t missed = 1;
	ssize_t length = duoshm_broadcast_next(with.from, &m, sizeof(m), &missed, 0);

	CHECK(length >= 0 || !done);
	if (length >= 0) {
		CHECK(message_whole(&m, length));
		EXPECT(m.number, with.sent++);
		EXPECT(missed, 0);
	}
	CHECK(duoshm_broadcast_next(with.from, &m, sizeof(m), &missed, 0) < 0);
}

static void make_to(void)
{
	if (with.to == NULL)
		OK(duoshm_broadcast_create(with.ctx, name_of("to"), CAST_SIZE, NULL, &with.to));
}

static void read_some(void)
{
	struct message m;

	OK(duoshm_broadcast_open(with.own, name_of("to"), DUOSHM_READER, 0, 0, &theirs_cast));
	EXPECT(duoshm_broadcast_next(theirs_cast, &m, sizeof(m), NULL, MS), DUOSHM_ERR_TIMEOUT);
}

/* Another reader is woken all the same. */
static void after_read(bool done)
{
	struct duoshm_broadcast *reader = NULL;
	struct message m;
	size_t length = message_make(&m, 5, 1, 100);

	(void)done;
	OK(duoshm_broadcast_open(with.ctx, name_of("to"), DUOSHM_READER, 0, 0, &reader));
	OK(duoshm_broadcast_publish(with.to, &m, length));
	EXPECT(duoshm_broadcast_next(reader, &m, sizeof(m), NULL, LONG_TIME), length);
	OK(duoshm_broadcast_close(reader));
}

/* ---- a broadcast full of messages that nobody has read yet ----------------------------------- */

/*
 * In words: 8 bytes, then as many blocks as fit behind; the longest message then reaches into the
 * first block, and what its successor writes does not.
 */
enum { SHORT = 1, BLOCK = 30, LONGEST = CAST_SIZE / 8 / 8, BLOCKS = 15, LAST = 99 };

static struct duoshm_broadcast *late;

static uint64_t words[LONGEST];

static void fill_words(uint64_t number)
{
	for (size_t i = 0; i < LONGEST; i++)
		words[i] = number;
}

static void publish_words(struct duoshm_broadcast *b, uint64_t number, size_t length)
{
	fill_words(number);
	OK(duoshm_broadcast_publish(b, words, length * sizeof(*words)));
}

static struct duoshm_broadcast *open_full(struct duoshm *ctx, enum duoshm_role role)
{
	struct duoshm_broadcast *b = NULL;

	OK(duoshm_broadcast_open(ctx, name_of("full"), role, 0, LONG_TIME, &b));
	return b;
}

static void make_full(void)
{
	struct duoshm_create options = create_with(DUOSHM_PERSISTENT, 0);
	struct duoshm_broadcast *maker = NULL;

	OK(duoshm_broadcast_create(with.ctx, name_of("full"), CAST_SIZE, &options, &maker));
	publish_words(maker, 0, SHORT);
	late = open_full(with.ctx, DUOSHM_READER);
	for (uint64_t i = 1; i <= BLOCKS; i++)
		publish_words(maker, i, BLOCK);
	OK(duoshm_broadcast_close(maker));
}

static void open_caster(void)
{
	theirs_cast = open_full(with.own, DUOSHM_PRODUCER);
	fill_words(BLOCKS + 1);
}

static void publish_over(void)
{
	OK(duoshm_broadcast_publish(theirs_cast, words, sizeof(words)));
}

/* What a dead one has half written lies over an old message, whatever his successor writes. */
static void after_over(bool done)
{
	struct duoshm_broadcast *successor = open_full(with.ctx, DUOSHM_PRODUCER);
	uint64_t message[LONGEST], missed, next = 1;
	ssize_t length;

	publish_words(successor, LAST, SHORT);
	while ((length = duoshm_broadcast_next(late, message, sizeof(message), &missed, 0)) > 0) {
		for (size_t i = 1; i < (size_t)length / sizeof(*message); i++)
			EXPECT(message[i], message[0]);
		CHECK(message[0] == LAST || message[0] == next + missed);
		next += missed + 1;
	}
	EXPECT(message[0], LAST);
	CHECK(next == BLOCKS + 3 || (next == BLOCKS + 2 && !done));
	OK(duoshm_broadcast_close(successor));
	OK(duoshm_broadcast_close(late));
	OK(duoshm_remove(with.ctx, name_of("full")));
}

/* ---- a device -------------------------------------------------------------------------------- */

static void make_device(void)
{
	if (with.device != NULL)
		return;
	with.device_pid = harness_spawn(-1, harness_program("device"), "--quiet", "-b",
		storm_family, "-n", name_of("device"), "--rate=1kHz", NULL);
	OK(duoshm_device_connect(with.ctx, name_of("device"), LONG_TIME, &with.device));
}

static void talk(void)
{
	struct duoshm_device *device = NULL;
	struct duoshm_value value;
	struct duoshm_block block;

	OK(duoshm_device_connect(with.own, name_of("device"), LONG_TIME, &device));
	OK(duoshm_device_read(device, 0, &value));
	OK(duoshm_device_command(device, "set PERIOD=3s", NULL, 0, LONG_TIME));
	OK(duoshm_device_capture(device, 1, LONG_TIME));
	OK(duoshm_device_capture_next(device, LONG_TIME, &block));
	OK(duoshm_device_disconnect(device));
}

static void after_talk(bool done)
{
	struct duoshm_value value;
	int index = duoshm_device_find(with.device, "PERIOD");

	OK(duoshm_device_command(with.device, "set PERIOD=2s", NULL, 0, LONG_TIME));
	OK(duoshm_device_read(with.device, (unsigned)index, &value));
	CHECK(value.real == 2);
	CHECK(index > 0 || !done);
}

/* ---- tracing --------------------------------------------------------------------------------- */

struct operation {
	const char *name;
	void (*before)(void); /* the parent, each time; NULL: nothing */
	void (*open)(void);   /* the child, before it is traced */
	void (*work)(void);   /* the child, traced */
	void (*event)(void);  /* the parent, at the point, instead of the kill */
	/* The parent: is all in order? `done`: the work was done before the point came. */
	void (*after)(bool done);
	/* What it has at most, as far as is known: */
	unsigned stops;      /* at system calls, two each; 0: it makes none */
	unsigned steps;      /* if it makes no system call */
	unsigned long point; /* the next */
};

/* How many instructions behind the stop. */
static unsigned steps_at(const struct operation *operation)
{
	unsigned turn = (unsigned)(operation->point / (operation->stops + 1));

	if (operation->stops == 0)
		return turn * STRIDE % operation->steps;
	turn = turn * STRIDE % STEPS;
	return turn * turn / STEPS;
}

static int child(void *arg)
{
	const struct operation *operation = arg;

	with.own = storm_context();
	if (operation->open != NULL)
		operation->open();
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
		return 77;
	raise(SIGSTOP);
	operation->work();
	return 0;
}

/* Lets it go on, once; false: it has ended. */
static bool go_on(pid_t pid, int request, int *status)
{
	if (request == PTRACE_SINGLESTEP)
		ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL);
	else
		ptrace(PTRACE_SYSCALL, pid, NULL, NULL);
	EXPECT_FATAL(waitpid(pid, status, 0), pid);
	return WIFSTOPPED(*status);
}

static int finish_at_point(const struct operation *operation, pid_t pid)
{
	if (operation->event == NULL)
		return harness_kill(pid);
	operation->event();
	ptrace(PTRACE_DETACH, pid, NULL, NULL);
	return harness_wait(pid);
}

/* One more than were seen, until it ends before that. */
static void learn_stops(struct operation *operation, bool runs, unsigned wanted, unsigned seen)
{
	if (!runs)
		operation->stops = seen;
	else if (wanted != 0 && wanted == operation->stops && operation->event == NULL)
		operation->stops++;
}

/* True: the point came. */
static bool one_point(struct operation *operation)
{
	unsigned stops = (unsigned)(operation->point % (operation->stops + 1));
	unsigned steps = steps_at(operation), stepped = 0, done = 0;
	int status = 0;

	operation->point++;
	if (operation->before != NULL)
		operation->before();
	pid_t pid = harness_fork(child, operation);
	EXPECT_FATAL(waitpid(pid, &status, 0), pid);
	CHECK_FATAL(WIFSTOPPED(status));
	bool runs = true;
	while (runs && done < stops && (runs = go_on(pid, PTRACE_SYSCALL, &status)))
		done++;
	learn_stops(operation, runs, stops, done);
	while (runs && stepped < steps && (runs = go_on(pid, PTRACE_SINGLESTEP, &status)))
		stepped++;
	if (!runs && operation->stops == 0)
		operation->steps = stepped + 1;
	if (runs)
		EXPECT(finish_at_point(operation, pid), operation->event == NULL ? -SIGKILL : 0);
	else
		EXPECT(status, 0);
	operation->after(!runs || operation->event != NULL);
	return runs;
}

/* ---- all operations -------------------------------------------------------------------------- */

static struct operation operations[] = {
	{"create", NULL, NULL, create, NULL, after_create, 40, 0, 0},
	{"open", make_living, NULL, open_it, NULL, after_open, 16, 0, 0},
	{"remove", make_living, NULL, remove_it, NULL, after_remove, 16, 0, 0},
	{"post", make_semaphore, open_semaphore, post_one, NULL, after_post, 0, STEPS, 0},
	{"wait", make_semaphore, open_semaphore, wait_one, NULL, after_wait, 0, STEPS, 0},
	{"acquire", make_lock, open_lock, cross, NULL, after_cross, 0, STEPS, 0},
	{"send", make_in, NULL, send, NULL, after_send, 16, 0, 0},
	{"receive", make_out, NULL, receive, NULL, after_receive, 16, 0, 0},
	{"last words", make_speaker, open_ear, listen_first, speak_and_die, after_words, 10, 0, 0},
	{"publish", make_from, NULL, publish, NULL, after_publish, 16, 0, 0},
	{"next", make_to, NULL, read_some, NULL, after_read, 16, 0, 0},
	{"publish over", make_full, open_caster, publish_over, NULL, after_over, 0, STEPS, 0},
	{"talk", make_device, NULL, talk, NULL, after_talk, 60, 0, 0},
};
enum { OPERATIONS = sizeof(operations) / sizeof(operations[0]) };

static void end_all(void)
{
	OK(duoshm_semaphore_close(with.semaphore));
	OK(duoshm_lock_close(with.lock));
	OK(duoshm_queue_close(with.in));
	OK(duoshm_queue_close(with.out));
	OK(duoshm_broadcast_close(with.from));
	OK(duoshm_broadcast_close(with.to));
	OK(duoshm_device_disconnect(with.device));
	kill(with.device_pid, SIGTERM);
	EXPECT(harness_wait(with.device_pid), 0);
	const char *const made[] = {"units", "lock", "in", "out", "from", "to"};
	for (size_t i = 0; i < sizeof(made) / sizeof(made[0]); i++)
		OK(duoshm_remove(with.ctx, name_of(made[i])));
	CHECK(duoshm_reclaim(with.ctx, 0, NULL, NULL) >= 0);
	end_context(with.ctx);
	memset(&with, 0, sizeof(with));
}

long steps_run(long points)
{
	long done = 0;

	with.ctx = storm_context();
	for (int i = 0; i < OPERATIONS; i++)
		operations[i].point = (unsigned long)storm_random(1000000);
	for (long i = 0; i < points && CU_get_number_of_failures() == 0; i++) {
		struct operation *operation = &operations[i % OPERATIONS];
		harness_goes_on();
		for (int times = operation->stops == 0 ? SHORT_TIMES : 1; times > 0; times--)
			done += one_point(operation);
	}
	end_all();
	return done;
}

static int be_traced(void *arg)
{
	(void)arg;
	return ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 ? 0 : 1;
}

bool steps_possible(void)
{
	return harness_wait(harness_fork(be_traced, NULL)) == 0;
}

#else

long steps_run(long points)
{
	(void)points;
	return 0;
}

bool steps_possible(void)
{
	return false;
}

#endif
