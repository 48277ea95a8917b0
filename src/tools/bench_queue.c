/* SPDX-License-Identifier: MIT */
/*
 * What `compare bench` measures of queues and broadcasts: round trips, one-way rates, messages in
 * place, hand-offs to a sleeper, publishing; and the copying of memory.
 */
#include "config.h"

#include "tools/bench.h"
#include "tools/bench_bare.h"

#include <stdlib.h>
#include <string.h>

#define LATENCY_RING (4u << 10)
#define RATE_RING    (64u << 10)
#define LARGE_RING   (4u << 20)
#define STAGED       32 /* messages a commit */
#define SHORT        64 /* bytes that duoshm_queue_send_many publishes together */
#define BATCH_RINGS  16 /* between two looks at the clock go many times what a ring holds */
#define STAMPS       256
#define ASLEEP_NS    1500000 /* after which a waiter is asleep */

/* A message of this side's, of the case's size. */
static void *message_of(const struct bench_side *side)
{
	return tool_allocate(1, (size_t)(side->of->size < 64 ? 64 : side->of->size));
}

static int torn(struct bench_side *side, uint64_t sequence)
{
	return bench_failed(side, "message %llu came wrong", (unsigned long long)sequence);
}

/* Messages that are large to a cache flow best where few lines are still in the other's. */
static size_t rate_ring(const struct bench_side *side)
{
	return side->of->size <= 1024 ? RATE_RING : LARGE_RING;
}

/* Messages between two looks at the clock. */
static uint64_t batch_of(const struct bench_side *side)
{
	uint64_t rings = rate_ring(side) == RATE_RING ? BATCH_RINGS : BATCH_RINGS / 4;
	uint64_t batch = rings * rate_ring(side) / (side->of->size + 8);

	return batch < 1 ? 1 : batch;
}

/* ---- queues ---- */

/* Two queues, there and back; or the first of them alone. */
struct pair {
	struct duoshm_queue *out, *in;
};

static int open_queue(struct bench_side *side, char which, enum duoshm_role role, size_t capacity,
	struct duoshm_queue **out)
{
	struct duoshm_create options = DUOSHM_CREATE_INIT;
	char name[64];

	snprintf(name, sizeof name, "%s%c", side->name, which);
	options.flags = DUOSHM_POPULATE;
	int result = side->index == 0
			     ? duoshm_queue_create(side->ctx, name, capacity, role, &options, out)
			     : duoshm_queue_open(side->ctx, name, role, BENCH_PATIENCE, out);
	return result < 0 ? bench_refused(side, name, result) : 0;
}

static size_t capacity_for(const struct bench_side *side, size_t least)
{
	size_t four = (size_t)(4 * side->of->size);

	return four > least ? four : least;
}

static int open_pair(struct bench_side *side, struct pair *pair)
{
	size_t capacity = capacity_for(side, LATENCY_RING);
	bool first = side->index == 0;
	int result = open_queue(side, 'a', first ? DUOSHM_PRODUCER : DUOSHM_CONSUMER, capacity,
		first ? &pair->out : &pair->in);

	if (result == 0)
		result = open_queue(side, 'b', first ? DUOSHM_CONSUMER : DUOSHM_PRODUCER, capacity,
			first ? &pair->in : &pair->out);
	return result;
}

static void close_queue(struct bench_side *side, struct duoshm_queue *queue, char which)
{
	char name[64];

	(void)duoshm_queue_close(queue);
	snprintf(name, sizeof name, "%s%c", side->name, which);
	if (side->index == 0)
		(void)duoshm_remove(side->ctx, name);
}

/* ---- round trips ---- */

/* How a message is sent and how one is received; `message` is this side's own. */
struct transport {
	int (*send)(struct bench_side *side, struct pair *pair, void *message);
	/* 1: the other side is over. */
	int (*receive)(struct bench_side *side, struct pair *pair, void *message);
};

static int send_copy(struct bench_side *side, struct pair *pair, void *message)
{
	int result = duoshm_queue_send(pair->out, message, (size_t)side->of->size, BENCH_PATIENCE);

	return result < 0 ? bench_refused(side, "send", result) : 0;
}

static int receive_copy(struct bench_side *side, struct pair *pair, void *message)
{
	size_t size = (size_t)side->of->size;
	ssize_t length = duoshm_queue_receive(pair->in, message, size, BENCH_PATIENCE);

	if (length == (ssize_t)size)
		return 0;
	return length == DUOSHM_ERR_END ? 1 : bench_refused(side, "receive", length);
}

/* Of a message in place, what is read and written is its first word. */
static int send_in_place(struct bench_side *side, struct pair *pair, void *message)
{
	void *room;
	int result = duoshm_queue_reserve(pair->out, (size_t)side->of->size, &room, BENCH_PATIENCE);

	if (result < 0)
		return bench_refused(side, "reserve", result);
	memcpy(room, message, sizeof(uint64_t));
	result = duoshm_queue_commit(pair->out, (size_t)side->of->size);
	return result < 0 ? bench_refused(side, "commit", result) : 0;
}

static int receive_in_place(struct bench_side *side, struct pair *pair, void *message)
{
	const void *found;
	ssize_t length = duoshm_queue_peek(pair->in, &found, BENCH_PATIENCE);

	if (length == DUOSHM_ERR_END)
		return 1;
	if (length != (ssize_t)side->of->size)
		return bench_refused(side, "peek", length);
	memcpy(message, found, sizeof(uint64_t));
	int result = duoshm_queue_release(pair->in);
	return result < 0 ? bench_refused(side, "release", result) : 0;
}

/* Side 0: asks until the time is up. `verified` bytes of each message are looked at. */
static int ask(struct bench_side *side, struct pair *pair, const struct transport *by,
	uint64_t verified, void *message, void *reply)
{
	for (uint64_t sequence = 0;; sequence++) {
		bench_fill(message, verified, sequence);
		int64_t begin = tool_now();
		int result = by->send(side, pair, message);
		if (result == 0)
			result = by->receive(side, pair, reply);
		int64_t end = tool_now();
		if (result != 0)
			return result == 1 ? bench_failed(side, "the echo ended") : result;
		if (!bench_verify(reply, verified, sequence))
			return torn(side, sequence);
		if (!bench_record(side, begin, end, 1))
			return 0;
	}
}

/* Side 1: answers, and looks at what it got when the answer is on its way. */
static int answer(struct bench_side *side, struct pair *pair, const struct transport *by,
	uint64_t verified, void *message)
{
	for (uint64_t sequence = 0;; sequence++) {
		int result = by->receive(side, pair, message);
		if (result == 0)
			result = by->send(side, pair, message);
		if (result != 0)
			return result == 1 ? 0 : result;
		if (!bench_verify(message, verified, sequence))
			return torn(side, sequence);
	}
}

static int round_trips(struct bench_side *side, const struct transport *by, uint64_t verified)
{
	struct pair pair = {NULL, NULL};
	void *message = message_of(side), *reply = message_of(side);
	int result = open_pair(side, &pair);

	bench_go(side);
	if (result == 0)
		result = side->index == 0 ? ask(side, &pair, by, verified, message, reply)
					  : answer(side, &pair, by, verified, message);
	close_queue(side, side->index == 0 ? pair.out : pair.in, 'a');
	close_queue(side, side->index == 0 ? pair.in : pair.out, 'b');
	free(reply);
	free(message);
	return result;
}

static int run_pingpong(struct bench_side *side)
{
	static const struct transport copies = {send_copy, receive_copy};

	return round_trips(side, &copies, side->of->size);
}

static int run_inplace(struct bench_side *side)
{
	static const struct transport in_place = {send_in_place, receive_in_place};

	return round_trips(side, &in_place, sizeof(uint64_t));
}

/* A cache line there and back, over 64 pairs of lines at least; or a copy there and back. */
static int bounce(struct bench_side *side, uint64_t size)
{
	struct bare_ring there, back;
	void *message = message_of(side), *reply = message_of(side);
	int result = 0;

	bare_ring_open(&there, side->memory, 0, RATE_RING, size, true);
	bare_ring_open(&back, side->memory, 1, RATE_RING, size, true);
	bench_go(side);
	for (uint64_t sequence = 0; result == 0 && side->index == 0; sequence++) {
		bench_fill(message, size, sequence);
		int64_t begin = tool_now();
		bool came = bare_ring_write(&there, side, message) &&
			    bare_ring_read(&back, side, reply);
		int64_t end = tool_now();
		if (!came || !bench_verify(reply, size, sequence))
			result = torn(side, sequence);
		else if (!bench_record(side, begin, end, 1))
			break;
	}
	for (uint64_t sequence = 0;
		result == 0 && side->index != 0 && bare_ring_read(&there, side, message);
		sequence++) {
		(void)bare_ring_write(&back, side, message);
		if (!bench_verify(message, size, sequence))
			result = torn(side, sequence);
	}
	bench_finish(side);
	free(reply);
	free(message);
	return result;
}

/* Two bare semaphores, without any data: a sleeping round trip. */
static int nod(struct bench_side *side)
{
	struct bare_semaphores *semaphores = bare_semaphores_open(side);

	if (semaphores == NULL)
		return TOOL_FAILED;
	bench_go(side);
	for (bool goes_on = true; goes_on && side->index == 0;) {
		int64_t begin = tool_now();
		bare_post(semaphores, 0);
		bare_wait(semaphores, 1);
		goes_on = bench_record(side, begin, tool_now(), 1);
	}
	while (side->index != 0) {
		bare_wait(semaphores, 0);
		if (bench_over(side))
			break;
		bare_post(semaphores, 1);
	}
	if (side->index == 0) {
		bench_finish(side);
		bare_post(semaphores, 0);
	}
	bare_semaphores_close(semaphores);
	return 0;
}

static int floor_pingpong(struct bench_side *side)
{
	return side->of->wait == BENCH_SLEEP ? nod(side) : bounce(side, side->of->size);
}

static int prepare_pingpong(struct bench_side *side)
{
	return side->of->wait == BENCH_SLEEP ? bare_semaphores_make(side) : 0;
}

static void sweep_pingpong(struct bench_side *side)
{
	if (side->of->wait == BENCH_SLEEP)
		bare_semaphores_sweep(side);
}

static int floor_inplace(struct bench_side *side)
{
	return bounce(side, sizeof(uint64_t));
}

static const uint64_t all_waits[] = {BENCH_SPIN, BENCH_ADAPTIVE, BENCH_SLEEP, BENCH_END};
static const uint64_t spinning[] = {BENCH_SPIN, BENCH_END};
static const uint64_t adaptive[] = {BENCH_ADAPTIVE, BENCH_END};
static const uint64_t usual_sizes[] = {8, 48, 4096, 65536, 1048576, BENCH_END};
static const uint64_t rate_sizes[] = {8, 64, 4096, 65536, 1048576, BENCH_END};
static const uint64_t short_sizes[] = {8, 64, BENCH_END};
static const uint64_t place_sizes[] = {8, 1048576, BENCH_END};
static const uint64_t large_sizes[] = {4096, 65536, 1048576, 16777216, BENCH_END};
static const uint64_t one_size[] = {8, BENCH_END};

const struct bench_test bench_pingpong = {.name = "pingpong",
	.title = "round trip",
	.unit = "round trip",
	.flags = BENCH_OWN_FLOORS_ASLEEP,
	.waits = all_waits,
	.sizes = usual_sizes,
	.sides = 2,
	.run = run_pingpong,
	.floor = floor_pingpong,
	.prepare = prepare_pingpong,
	.sweep = sweep_pingpong};

const struct bench_test bench_inplace = {.name = "inplace",
	.title = "round trip, built and read in place",
	.unit = "round trip",
	.waits = spinning,
	.sizes = place_sizes,
	.sides = 2,
	.run = run_inplace,
	.floor = floor_inplace};

/* ---- one way ---- */

/* A batch that is published with one store: by one call, or where that is for short ones only, staged. */
static int send_staged(struct bench_side *side, struct duoshm_queue *queue, uint64_t first,
	unsigned char *messages)
{
	size_t size = (size_t)side->of->size;
	int result = 0;

	for (uint64_t i = 0; size <= SHORT && i < STAGED; i++)
		bench_fill(messages + i * size, size, first + i);
	if (size <= SHORT) {
		ssize_t sent =
			duoshm_queue_send_many(queue, messages, size, STAGED, BENCH_PATIENCE);
		return sent == STAGED ? 0 : sent < 0 ? (int)sent : DUOSHM_ERR_TIMEOUT;
	}
	for (uint64_t i = 0; result == 0 && i < STAGED; i++) {
		void *room;
		result = duoshm_queue_reserve(queue, size, &room, BENCH_PATIENCE);
		if (result != 0)
			return result;
		bench_fill(messages, size, first + i);
		memcpy(room, messages, size);
		result = i + 1 < STAGED ? duoshm_queue_stage(queue, size)
					: duoshm_queue_commit(queue, size);
	}
	return result;
}

/* Sends until the reader has enough. */
static int produce(struct bench_side *side, struct duoshm_queue *queue, bool staged, void *message)
{
	size_t size = (size_t)side->of->size;
	int result = 0;

	for (uint64_t first = 0; result == 0 && !bench_over(side); first += STAGED) {
		if (staged)
			result = send_staged(side, queue, first, message);
		for (uint64_t i = 0; result == 0 && !staged && i < STAGED; i++) {
			bench_fill(message, size, first + i);
			result = duoshm_queue_send(queue, message, size, BENCH_PATIENCE);
		}
	}
	return result == 0 ? 0 : bench_refused(side, "send", result);
}

static int consume(struct bench_side *side, struct duoshm_queue *queue, void *message)
{
	uint64_t sequence = 0, batch = batch_of(side);
	size_t size = (size_t)side->of->size;
	int64_t begin = tool_now();

	for (;;) {
		ssize_t length = duoshm_queue_receive(queue, message, size, BENCH_PATIENCE);
		if (length != (ssize_t)size)
			return length == DUOSHM_ERR_END ? 0
							: bench_refused(side, "receive", length);
		if (!bench_verify(message, size, sequence))
			return torn(side, sequence);
		if (++sequence % batch != 0)
			continue;
		int64_t end = tool_now();
		if (!bench_record(side, begin, end, batch))
			bench_finish(side);
		begin = end;
	}
}

static int one_way(struct bench_side *side, bool staged)
{
	struct duoshm_queue *queue = NULL;
	void *message = tool_allocate(STAGED, (size_t)side->of->size);
	int result = open_queue(side, 'a', side->index == 0 ? DUOSHM_CONSUMER : DUOSHM_PRODUCER,
		capacity_for(side, rate_ring(side)), &queue);

	bench_go(side);
	if (result == 0)
		result = side->index == 0 ? consume(side, queue, message)
					  : produce(side, queue, staged, message);
	close_queue(side, queue, 'a');
	free(message);
	return result;
}

static int run_oneway(struct bench_side *side)
{
	return one_way(side, false);
}

static int run_staged(struct bench_side *side)
{
	return one_way(side, true);
}

static int floor_oneway(struct bench_side *side)
{
	struct bare_ring ring;
	void *message = message_of(side);
	uint64_t size = side->of->size, batch = batch_of(side), sequence = 0;
	int result = 0;

	bare_ring_open(&ring, side->memory, 0, rate_ring(side), size, false);
	bench_go(side);
	for (int64_t begin = tool_now(); side->index == 0 && result == 0;) {
		if (!bare_ring_read(&ring, side, message))
			break;
		if (!bench_verify(message, size, sequence))
			result = torn(side, sequence);
		if (++sequence % batch != 0)
			continue;
		int64_t end = tool_now();
		if (!bench_record(side, begin, end, batch))
			bench_finish(side);
		begin = end;
	}
	for (bool goes_on = true; side->index != 0 && goes_on; sequence++) {
		bench_fill(message, size, sequence);
		goes_on = bare_ring_write(&ring, side, message) &&
			  (sequence % 16 != 0 || !bench_over(side));
	}
	free(message);
	return result;
}

const struct bench_test bench_oneway = {.name = "oneway",
	.title = "one way",
	.unit = "message",
	.waits = spinning,
	.sizes = rate_sizes,
	.sides = 2,
	.run = run_oneway,
	.floor = floor_oneway};

const struct bench_test bench_staged = {.name = "staged",
	.title = "one way, 32 published together",
	.unit = "message",
	.waits = spinning,
	.sizes = short_sizes,
	.sides = 2,
	.run = run_staged,
	.floor = floor_oneway};

/* ---- hand-off to a sleeper ---- */

/* Side 0 sleeps and is woken; the message says when it was sent. */
static int run_handoff(struct bench_side *side)
{
	struct duoshm_queue *queue = NULL;
	int64_t stamp[8] = {0};
	size_t size = sizeof stamp[0];
	int result = open_queue(side, 'a', side->index == 0 ? DUOSHM_CONSUMER : DUOSHM_PRODUCER,
		LATENCY_RING, &queue);

	bench_go(side);
	while (result == 0 && side->index == 0) {
		struct pair pair = {.in = queue};
		result = receive_copy(side, &pair, stamp);
		if (result == 0 && !bench_record(side, stamp[0], tool_now(), 1))
			bench_finish(side);
	}
	while (result == 0 && side->index != 0 && !bench_over(side)) {
		tool_pause(ASLEEP_NS);
		stamp[0] = tool_now();
		result = duoshm_queue_send(queue, stamp, size, BENCH_PATIENCE);
	}
	close_queue(side, queue, 'a');
	return result == 1 ? 0 : result;
}

static int floor_handoff(struct bench_side *side)
{
	/* Of the latest posts: who comes late finds its own. */
	_Atomic int64_t *stamps = (void *)((unsigned char *)side->memory + 1024);
	struct bare_semaphores *semaphores = bare_semaphores_open(side);
	bool goes_on = true;

	if (semaphores == NULL)
		return TOOL_FAILED;
	bench_go(side);
	for (unsigned i = 0; goes_on && side->index == 0; i++) {
		bare_wait(semaphores, 0);
		int64_t end = tool_now();
		goes_on = bench_record(side, atomic_load(&stamps[i % STAMPS]), end, 1);
	}
	if (side->index == 0)
		bench_finish(side);
	for (unsigned i = 0; side->index != 0 && !bench_over(side); i++) {
		tool_pause(ASLEEP_NS);
		atomic_store(&stamps[i % STAMPS], tool_now());
		bare_post(semaphores, 0);
	}
	bare_semaphores_close(semaphores);
	return 0;
}

const struct bench_test bench_handoff = {.name = "handoff",
	.title = "hand-off to a sleeper",
	.unit = "hand-off",
	.flags = BENCH_OWN_FLOORS,
	.waits = adaptive,
	.sizes = one_size,
	.sides = 2,
	.pause_ns = ASLEEP_NS,
	.run = run_handoff,
	.floor = floor_handoff,
	.prepare = bare_semaphores_make,
	.sweep = bare_semaphores_sweep};

/* ---- broadcast ---- */

static int open_broadcast(struct bench_side *side, struct duoshm_broadcast **out)
{
	struct duoshm_create options = DUOSHM_CREATE_INIT;
	size_t capacity = (size_t)(16 * (side->of->size + 16));

	options.flags = DUOSHM_POPULATE;
	if (capacity < RATE_RING)
		capacity = RATE_RING;
	int result = side->index == 0 ? duoshm_broadcast_create(
						side->ctx, side->name, capacity, &options, out)
				      : duoshm_broadcast_open(side->ctx, side->name, DUOSHM_READER,
						0, BENCH_PATIENCE, out);
	return result < 0 ? bench_refused(side, "broadcast", result) : 0;
}

static int publish(struct bench_side *side, struct duoshm_broadcast *broadcast, void *message)
{
	uint64_t sequence = 0, batch = batch_of(side) / 64 + 1;
	size_t size = (size_t)side->of->size;
	bool goes_on = true;
	int result = 0;

	while (goes_on) {
		int64_t begin = tool_now();
		for (uint64_t i = 0; result == 0 && i < batch; i++) {
			bench_fill(message, size, sequence++);
			result = duoshm_broadcast_publish(broadcast, message, size);
		}
		if (result < 0)
			return bench_refused(side, "publish", result);
		goes_on = bench_record(side, begin, tool_now(), batch);
	}
	return 0;
}

/* Whatever it missed, what it gets is whole, and the numbers agree. */
static int follow(struct bench_side *side, struct duoshm_broadcast *broadcast, void *message)
{
	size_t size = (size_t)side->of->size;

	for (uint64_t sequence = 0;; sequence++) {
		uint64_t missed = 0;
		ssize_t length =
			duoshm_broadcast_next(broadcast, message, size, &missed, BENCH_PATIENCE);
		if (length == DUOSHM_ERR_END)
			return 0;
		if (length != (ssize_t)size)
			return bench_refused(side, "next", length);
		sequence += missed;
		if (!bench_verify(message, size, sequence))
			return torn(side, sequence);
	}
}

static int run_broadcast(struct bench_side *side)
{
	struct duoshm_broadcast *broadcast = NULL;
	void *message = message_of(side);
	int result = open_broadcast(side, &broadcast);

	bench_go(side);
	if (result == 0)
		result = side->index == 0 ? publish(side, broadcast, message)
					  : follow(side, broadcast, message);
	(void)duoshm_broadcast_close(broadcast);
	if (side->index == 0)
		(void)duoshm_remove(side->ctx, side->name);
	free(message);
	return result;
}

static const uint64_t readers[] = {0, 1, 8, 64, BENCH_END};
static const uint64_t broadcast_size[] = {64, BENCH_END};

const struct bench_test bench_broadcast = {.name = "broadcast",
	.title = "publish",
	.unit = "message",
	.waits = adaptive,
	.sizes = broadcast_size,
	.clients = readers,
	.sides = 1,
	.run = run_broadcast};

/* ---- memory ---- */

static int floor_memcpy(struct bench_side *side)
{
	size_t size = (size_t)side->of->size;
	void *message = message_of(side), *copy = message_of(side);
	bool goes_on = true;

	memset(side->memory, 0, size);
	bench_go(side);
	for (uint64_t sequence = 0; goes_on; sequence++) {
		bench_fill(message, size, sequence);
		int64_t begin = tool_now();
		memcpy(side->memory, message, size);
		memcpy(copy, side->memory, size);
		int64_t end = tool_now();
		if (!bench_verify(copy, size, sequence))
			return torn(side, sequence);
		goes_on = bench_record(side, begin, end, 1);
	}
	free(copy);
	free(message);
	return 0;
}

const struct bench_test bench_memcpy = {.name = "memcpy",
	.title = "memcpy in and out, one process",
	.unit = "message",
	.flags = BENCH_ALONE,
	.sizes = large_sizes,
	.sides = 1,
	.floor = floor_memcpy};
