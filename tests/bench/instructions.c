/* SPDX-License-Identifier: MIT */
/*
 * One operation, many times, for callgrind to count: instructions FAMILY OPERATION TIMES. What is
 * counted runs inside `measured`, after a warm-up outside of it. Both sides of a queue are this
 * process, and nobody sleeps: so the figure is that of the straight path, and the same every time.
 * Without arguments: the operations, and by how much each figure is to be divided.
 */
#include "config.h"

#include "duoshm.h"
#include "tools/bench_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WARM      64
#define BATCH     32
#define REGISTERS 1000
#define CAPACITY  (1u << 23)

/* ---- what the operations work on ------------------------------------------------------------- */

static struct duoshm *ctx;
static unsigned times; /* in all */
static size_t length;
static unsigned char message[4096];

static struct duoshm_queue *producer, *consumer;
static struct duoshm_broadcast *caster, *reader;
static struct duoshm_semaphore *semaphore;
static struct duoshm_lock *lock;
static struct duoshm_segment *segment;
static struct duoshm_device *device;
static struct duoshm_value values[REGISTERS];

static void must(long result, const char *what)
{
	if (result >= 0)
		return;
	fprintf(stderr, "instructions: %s: %s\n", what, duoshm_failure()->cause);
	exit(1);
}

#define MUST(call) must((long)(call), #call)

/* ---- queues ---------------------------------------------------------------------------------- */

static void send(void)
{
	MUST(duoshm_queue_send(producer, message, length, 0));
}

static void receive(void)
{
	MUST(duoshm_queue_receive(consumer, message, sizeof message, 0));
}

static void stage_batch(void)
{
	void *room;

	for (int i = 1; i < BATCH; i++) {
		MUST(duoshm_queue_reserve(producer, length, &room, 0));
		MUST(duoshm_queue_stage(producer, length));
	}
	MUST(duoshm_queue_reserve(producer, length, &room, 0));
	MUST(duoshm_queue_commit(producer, length));
}

static void peek_and_release(void)
{
	const void *found;

	MUST(duoshm_queue_peek(consumer, &found, 0));
	MUST(duoshm_queue_release(consumer));
}

static void begin_queue(void)
{
	MUST(duoshm_queue_create(ctx, "queue", CAPACITY, DUOSHM_PRODUCER, NULL, &producer));
	MUST(duoshm_queue_open(ctx, "queue", DUOSHM_CONSUMER, 0, &consumer));
}

static void begin_full_queue(void)
{
	begin_queue();
	for (unsigned i = 0; i < times; i++)
		send();
}

/* ---- broadcasts ------------------------------------------------------------------------------ */

static void publish(void)
{
	MUST(duoshm_broadcast_publish(caster, message, length));
}

static void next(void)
{
	uint64_t missed = 0;

	MUST(duoshm_broadcast_next(reader, message, sizeof message, &missed, 0));
}

static void begin_broadcast(void)
{
	MUST(duoshm_broadcast_create(ctx, "broadcast", CAPACITY, NULL, &caster));
	MUST(duoshm_broadcast_open(ctx, "broadcast", DUOSHM_READER, 0, 0, &reader));
}

static void begin_full_broadcast(void)
{
	begin_broadcast();
	for (unsigned i = 0; i < times; i++)
		publish();
}

/* ---- semaphores and locks -------------------------------------------------------------------- */

static void post_and_wait(void)
{
	MUST(duoshm_semaphore_post(semaphore, 1));
	MUST(duoshm_semaphore_wait(semaphore, 0, 0));
}

static void acquire_and_release(void)
{
	MUST(duoshm_lock_acquire(lock, 0));
	MUST(duoshm_lock_release(lock));
}

static void begin_words(void)
{
	MUST(duoshm_semaphore_create(ctx, "semaphore", 0, NULL, &semaphore));
	MUST(duoshm_lock_create(ctx, "lock", NULL, &lock));
}

/* ---- registers ------------------------------------------------------------------------------- */

static void begin_device(void)
{
	MUST(bench_table_make(ctx, "device", REGISTERS, &segment));
	MUST(duoshm_device_connect(ctx, "device", 0, &device));
}

static void read_register(void)
{
	MUST(duoshm_device_read(device, REGISTERS / 2, values));
}

static void snapshot(void)
{
	MUST(duoshm_device_snapshot(device, 0, REGISTERS, values));
}

/* ---- segments -------------------------------------------------------------------------------- */

static void begin_segment(void)
{
	MUST(duoshm_segment_create(ctx, "segment", sizeof message, NULL, &segment));
}

static void open_and_close(void)
{
	struct duoshm_segment *opened;

	MUST(duoshm_segment_open(ctx, "segment", 0, 0, &opened));
	MUST(duoshm_segment_close(opened));
}

/* ---- counting -------------------------------------------------------------------------------- */

static void nothing(void)
{
}

static const struct operation {
	const char *name;
	void (*begin)(void);
	void (*once)(void);
	size_t length;
	unsigned divisor; /* what `once` does so many times */
} operations[] = {
	{"nothing", nothing, nothing, 0, 1}, /* what the loop itself takes */
	{"send-8", begin_queue, send, 8, 1},
	{"send-64", begin_queue, send, 64, 1},
	{"send-4096", begin_queue, send, 4096, 1},
	{"receive-8", begin_full_queue, receive, 8, 1},
	{"receive-64", begin_full_queue, receive, 64, 1},
	{"receive-4096", begin_full_queue, receive, 4096, 1},
	{"reserve+stage-8", begin_queue, stage_batch, 8, BATCH},
	{"peek+release-8", begin_full_queue, peek_and_release, 8, 1},
	{"publish-64", begin_broadcast, publish, 64, 1},
	{"next-64", begin_full_broadcast, next, 64, 1},
	{"post+wait", begin_words, post_and_wait, 0, 1},
	{"acquire+release", begin_words, acquire_and_release, 0, 1},
	{"read-register", begin_device, read_register, 0, 1},
	{"snapshot-1000", begin_device, snapshot, 0, REGISTERS},
	{"open+close", begin_segment, open_and_close, 0, 1},
	{NULL, NULL, NULL, 0, 0},
};

/* callgrind counts between its call and its return. */
__attribute__((noinline)) static void measured(const struct operation *operation, unsigned turns)
{
	for (unsigned i = 0; i < turns; i++)
		operation->once();
}

static const struct operation *find(const char *name)
{
	const struct operation *operation = operations;

	while (operation->name && strcmp(operation->name, name) != 0)
		operation++;
	return operation;
}

static void clean_up(void)
{
	static const char *const names[] = {
		"queue", "broadcast", "semaphore", "lock", "device", "segment"};

	duoshm_device_disconnect(device);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		(void)duoshm_remove(ctx, names[i]);
}

int main(int argc, char **argv)
{
	struct duoshm_options options = DUOSHM_OPTIONS_INIT;

	if (argc != 4) {
		for (const struct operation *o = operations; o->name; o++)
			printf("%s %u\n", o->name, o->divisor);
		return 0;
	}
	const struct operation *operation = find(argv[2]);
	unsigned turns = (unsigned)strtoul(argv[3], NULL, 10);
	if (!operation->name)
		return 1;
	options.backend = argv[1];
	MUST(duoshm_new(&options, &ctx));
	length = operation->length;
	times = turns + WARM;
	operation->begin();
	for (unsigned i = 0; i < WARM; i++)
		operation->once();
	measured(operation, turns);
	clean_up();
	return 0;
}
