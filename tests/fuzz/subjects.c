/* SPDX-License-Identifier: MIT */
/* An object of each kind, and calls with it; see the header. */
#include "config.h"

#include "fuzz/subjects.h"

#include "core/clock.h"
#include "device/connection.h"
#include "device/server_state.h"
#include "harness/harness.h"

enum { CAPACITY = 1024 };

void (*subject_between)(void);
int64_t subject_wait_ns = 1;
char subject_line[64] = "status";
long subject_calls, subject_corrupt;

static struct duoshm *ctx;
static struct duoshm_segment *view; /* of the object, whatever its kind */
static void *image;                 /* of it; NULL: it is kept */
static struct duoshm__server *server;
static struct duoshm_device *client;
static int64_t now;

static const char *name(void)
{
	return harness_name("subject");
}

/* Before each call, and after it. */
static void between(void)
{
	if (subject_between != NULL)
		subject_between();
}

static long fine(long result)
{
	subject_calls++;
	subject_corrupt += result == DUOSHM_ERR_CORRUPT;
	if (result < 0 && (result == DUOSHM_ERR_SYSTEM || duoshm_failure()->code != result)) {
		fprintf(stderr, "a call gave %ld: %s; %s\n", result, duoshm_failure()->cause,
			duoshm_failure()->call);
		abort();
	}
	between();
	return result;
}

static void touch(const void *bytes, size_t size)
{
	const volatile unsigned char *byte = bytes;

	while (size-- > 0)
		(void)byte[size];
}

/* ---- segment, semaphore, lock ---------------------------------------------------------------- */

static void make_segment(void)
{
	struct duoshm_create options = DUOSHM_CREATE_INIT;
	struct duoshm_segment *made;

	options.bells = 1;
	SUBJECT_CHECK(duoshm_segment_create(ctx, name(), CAPACITY, &options, &made) >= 0);
	SUBJECT_CHECK(duoshm_segment_close(made) == 0);
}

static void use_segment(void)
{
	struct duoshm_stat stat = DUOSHM_STAT_INIT;
	struct duoshm_segment *segment;

	(void)fine(duoshm_stat(ctx, name(), &stat));
	SUBJECT_CHECK(fine(duoshm_reclaim(ctx, DUOSHM_DRY_RUN, NULL, NULL)) == 0);
	if (fine(duoshm_segment_open(ctx, name(), DUOSHM_POPULATE, 0, &segment)) != 0)
		return;
	SUBJECT_CHECK(duoshm_segment_size(segment) == CAPACITY);
	SUBJECT_CHECK(strcmp(duoshm_segment_name(segment), name()) == 0);
	touch(duoshm_segment_data(segment), CAPACITY);
	(void)fine(duoshm_segment_ring(segment, 0));
	(void)fine(duoshm_segment_sleep(segment, 0, subject_wait_ns));
	(void)fine(duoshm_segment_removed(segment));
	(void)fine(duoshm_segment_close(segment));
}

static void make_semaphore(void)
{
	struct duoshm_semaphore *made;

	SUBJECT_CHECK(duoshm_semaphore_create(ctx, name(), 3, NULL, &made) >= 0);
	SUBJECT_CHECK(duoshm_semaphore_close(made) == 0);
}

static void use_semaphore(void)
{
	struct duoshm_stat stat = DUOSHM_STAT_INIT;
	struct duoshm_semaphore *semaphore;

	if (fine(duoshm_stat(ctx, name(), &stat)) == 0)
		SUBJECT_CHECK(stat.value >= -1 && stat.value <= DUOSHM_VALUE_MAX);
	if (fine(duoshm_semaphore_open(ctx, name(), 0, 0, &semaphore)) != 0)
		return;
	for (int i = 0; i < 5; i++)
		SUBJECT_CHECK(fine(duoshm_semaphore_value(semaphore)) <= DUOSHM_VALUE_MAX);
	for (int i = 0; i < 5; i++)
		(void)fine(duoshm_semaphore_wait(semaphore, i < 2 ? 0 : subject_wait_ns, 0));
	(void)fine(duoshm_semaphore_post(semaphore, 2));
	(void)fine(duoshm_semaphore_wait(semaphore, 0, 0));
	(void)fine(duoshm_semaphore_close(semaphore));
}

static void make_lock(void)
{
	struct duoshm_lock *made;

	SUBJECT_CHECK(duoshm_lock_create(ctx, name(), NULL, &made) >= 0);
	SUBJECT_CHECK(duoshm_lock_close(made) == 0);
}

static void use_lock(void)
{
	struct duoshm_stat stat = DUOSHM_STAT_INIT;
	struct duoshm_lock *lock;

	if (fine(duoshm_lock_open(ctx, name(), 0, 0, &lock)) != 0)
		return;
	for (int i = 0; i < 3; i++) {
		if (fine(duoshm_lock_acquire(lock, i < 2 ? 0 : subject_wait_ns)) >= 0)
			(void)fine(duoshm_stat(ctx, name(), &stat));
		(void)fine(duoshm_lock_release(lock));
	}
	(void)fine(duoshm_lock_close(lock));
}

/* ---- queue, broadcast ------------------------------------------------------------------------ */

static void make_queue(void)
{
	struct duoshm_queue *made;

	SUBJECT_CHECK(
		duoshm_queue_create(ctx, name(), CAPACITY, DUOSHM_PRODUCER, NULL, &made) >= 0);
	for (int i = 0; i < 5; i++)
		SUBJECT_CHECK(duoshm_queue_send(made, "a message", 9, 0) == 0);
	SUBJECT_CHECK(duoshm_queue_close(made) == 0);
}

static void produce(struct duoshm_queue *queue, size_t length)
{
	void *room;

	(void)fine(duoshm_queue_send(queue, "12345678", length % 9, 0));
	(void)fine(duoshm_queue_send_many(queue, "1234567812345678", 8, 2, 0));
	if (fine(duoshm_queue_reserve(queue, length, &room, subject_wait_ns)) == 0)
		memset(room, 0x5a, length);
	(void)fine(duoshm_queue_stage(queue, length / 2));
	if (fine(duoshm_queue_reserve(queue, length, &room, 0)) == 0)
		memset(room, 0x5a, length);
	(void)fine(duoshm_queue_commit(queue, length));
}

static void consume(struct duoshm_queue *queue, size_t capacity)
{
	char buffer[CAPACITY];
	const void *message;
	ssize_t length = fine(duoshm_queue_peek(queue, &message, 0));

	if (length >= 0)
		touch(message, (size_t)length);
	(void)fine(duoshm_queue_release(queue));
	(void)fine(duoshm_queue_receive(queue, buffer, capacity, subject_wait_ns));
}

static void use_queue(void)
{
	struct duoshm_queue *queue;

	if (fine(duoshm_queue_open(ctx, name(), DUOSHM_PRODUCER, 0, &queue)) == 0) {
		for (size_t i = 0; i < 4; i++)
			produce(queue, i * 130);
		(void)fine(duoshm_queue_close(queue));
	}
	if (fine(duoshm_queue_open(ctx, name(), DUOSHM_CONSUMER, 0, &queue)) == 0) {
		for (size_t i = 0; i < 8; i++)
			consume(queue, i == 3 ? 8 : CAPACITY);
		(void)fine(duoshm_queue_close(queue));
	}
}

static void make_broadcast(void)
{
	struct duoshm_broadcast *made;

	SUBJECT_CHECK(duoshm_broadcast_create(ctx, name(), CAPACITY, NULL, &made) >= 0);
	for (int i = 0; i < 30; i++)
		SUBJECT_CHECK(duoshm_broadcast_publish(made, "a message", 9) == 0);
	SUBJECT_CHECK(duoshm_broadcast_close(made) == 0);
}

/* A reader, one that cannot write, and the next producer. */
static void use_broadcast(void)
{
	static const char message[CAPACITY / 8];
	struct duoshm_broadcast *reader[2] = {NULL, NULL}, *producer = NULL;
	char buffer[CAPACITY / 8];
	uint64_t missed;

	(void)fine(duoshm_broadcast_open(ctx, name(), DUOSHM_READER, 0, 0, &reader[0]));
	(void)fine(
		duoshm_broadcast_open(ctx, name(), DUOSHM_READER, DUOSHM_READ_ONLY, 0, &reader[1]));
	(void)fine(duoshm_broadcast_open(ctx, name(), DUOSHM_PRODUCER, 0, 0, &producer));
	for (size_t i = 0; i < 12; i++) {
		struct duoshm_broadcast *from = reader[i % 2];

		if (producer != NULL)
			(void)fine(duoshm_broadcast_publish(producer, message, i * 11));
		if (from != NULL)
			(void)fine(duoshm_broadcast_next(from, buffer, i == 5 ? 8 : sizeof buffer,
				&missed, i % 4 == 0 ? subject_wait_ns : 0));
	}
	(void)fine(duoshm_broadcast_close(producer));
	(void)fine(duoshm_broadcast_close(reader[0]));
	(void)fine(duoshm_broadcast_close(reader[1]));
}

/* ---- device and lane ------------------------------------------------------------------------- */

static void step(int64_t later)
{
	now += later;
	(void)duoshm__server_step(server, now);
}

static void make_device(void)
{
	static struct duoshm__setup setup;

	duoshm__setup_init(&setup);
	snprintf(setup.name, sizeof setup.name, "%s", name());
	now = duoshm__now();
	SUBJECT_CHECK(duoshm__server_new(ctx, &setup, now, &server) >= 0);
}

static void ask(struct duoshm_device *device)
{
	struct duoshm_device_info info = DUOSHM_DEVICE_INFO_INIT;
	struct duoshm_value values[3];
	struct duoshm_register about;
	unsigned last = (unsigned)duoshm_device_registers(device) - 1;

	(void)fine(duoshm_device_info(device, &info));
	(void)fine(duoshm_device_find(device, "nosuch"));
	if (fine(duoshm_device_snapshot(device, 0, 3, values)) == 0)
		SUBJECT_CHECK(memchr(values[1].text, 0, sizeof values[1].text) != NULL);
	SUBJECT_CHECK(fine(duoshm_device_describe(device, last, &about)) == 0);
	SUBJECT_CHECK(memchr(about.description, 0, sizeof about.description) != NULL);
	(void)fine(duoshm_device_read(device, last, values));
	(void)fine(duoshm_device_check(device));
}

/* A block lies where it is said to. */
static void take_block(struct duoshm_device *device, long result, const struct duoshm_block *block)
{
	struct duoshm_format format;

	if (result == 0 && fine(duoshm_device_format(device, &format)) == 0)
		touch(block->samples,
			block->frames * format.channels * duoshm__sample_bytes(format.sample_type));
}

static void use_device(void)
{
	struct duoshm_device *device;
	struct duoshm_block block;

	server->lanes.next_scan = INT64_MAX;
	step(1000000);
	if (fine(duoshm_device_connect(ctx, name(), 0, &device)) != 0)
		return;
	ask(device);
	bool follows = fine(duoshm_device_follow(device)) == 0;
	for (int i = 0; follows && i < 4; i++) {
		step(200000000);
		between();
		take_block(
			device, fine(duoshm_device_next(device, subject_wait_ns, &block)), &block);
	}
	SUBJECT_CHECK(duoshm_device_disconnect(device) == 0);
}

/* Its client's first command makes the lane. */
static void make_lane(void)
{
	make_device();
	SUBJECT_CHECK(duoshm_device_connect(ctx, name(), 0, &client) == 0);
	SUBJECT_CHECK(duoshm_device_command(client, "help", NULL, 0, 0) == DUOSHM_ERR_TIMEOUT);
	SUBJECT_CHECK(duoshm_segment_open(ctx, client->lane_name, 0, 0, &view) == 0);
	step(0);
	duoshm__lane_detach(client->queue);
	duoshm__lanes_close(&server->lanes);
}

static void capture(void)
{
	struct duoshm__command command = {.serial = ++client->serial, .op = DUOSHM__OP_CAPTURE};
	struct duoshm_block block;

	(void)fine(duoshm_queue_send(client->queue[DUOSHM__COMMANDS], &command,
		offsetof(struct duoshm__command, line), 0));
	client->captured = (struct duoshm__cursor){.serial = command.serial};
	for (int i = 0; i < 4; i++) {
		step(200000000);
		between();
		take_block(client,
			fine(duoshm_device_capture_next(client, subject_wait_ns, &block)), &block);
	}
	client->captured.serial = 0;
	client->peeked = 0;
}

/* The device and its client, in turns. */
static void use_lane(void)
{
	static const char *const usual[] = {"set RATE=10", "config sine", "start"};
	char reply[DUOSHM_REPLY_SIZE];

	duoshm__lanes_close(&server->lanes);
	if (fine(duoshm__lane_attach(client->lane, DUOSHM_PRODUCER, client->queue)) == 0) {
		server->lanes.next_scan = 0;
		for (int i = 0; i < 3; i++) {
			(void)fine(duoshm_device_command(client, i == 0 ? "get VOLT" : subject_line,
				reply, sizeof reply, 0));
			step(1000000);
		}
		capture();
	}
	duoshm__lane_detach(client->queue);
	server->over = 0;
	for (int i = 0; i < 3; i++)
		(void)duoshm__server_command(server, usual[i], reply);
}

/* ---- the list -------------------------------------------------------------------------------- */

const struct subject subjects[] = {
	{"segment", make_segment, use_segment, false},
	{"semaphore", make_semaphore, use_semaphore, false},
	{"lock", make_lock, use_lock, false},
	{"queue", make_queue, use_queue, false},
	{"broadcast", make_broadcast, use_broadcast, false},
	{"device", make_device, use_device, true},
	{"lane", make_lane, use_lane, false},
	{NULL, NULL, NULL, false},
};

const struct subject *subject_make(const char *wanted, struct duoshm *context)
{
	const struct subject *subject = subjects;

	while (strcmp(subject->name, wanted) != 0)
		subject++;
	ctx = context;
	subject->make();
	if (view == NULL)
		SUBJECT_CHECK(duoshm_segment_open(ctx, name(), DUOSHM_ANY_KIND, 0, &view) == 0);
	size_t size;
	const void *memory = subject_memory(&size);
	image = subject->is_kept ? NULL : malloc(size);
	if (image != NULL)
		memcpy(image, memory, size);
	return subject;
}

void subject_reset(void)
{
	size_t size;
	void *memory = subject_memory(&size);

	if (image != NULL)
		memcpy(memory, image, size);
}

void subject_end(void)
{
	(void)duoshm_device_disconnect(client);
	(void)duoshm__server_free(server);
	(void)duoshm_segment_remove(view);
	SUBJECT_CHECK(duoshm_segment_close(view) == 0);
	free(image);
	client = NULL;
	server = NULL;
	view = NULL;
	image = NULL;
}

void *subject_memory(size_t *size)
{
	*size = DUOSHM__HEADER_SIZE + duoshm_segment_size(view);
	return view->header;
}
