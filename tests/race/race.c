/* SPDX-License-Identifier: MIT */
/*
 * Two threads on one mapping, at full speed, for ThreadSanitizer (race.sh compiles it so, with the
 * library): handles of different contexts where they can share a mapping, else the same one. It also
 * checks what it moves, and tells how much that was. Not for the harness: it forks, which
 * ThreadSanitizer does not like.
 */
/* With it, since a second handle of a lock has a mapping of its own. */
#include "core/lock.c"

#include "device/table.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/shm.h>

#define WAIT     INT64_C(10000000000)
#define CAPACITY 2048
#define LONGEST  200
#define ROWS     3u

#define NEED(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			fail(__LINE__, #condition);                                                \
	} while (0)

static long turns, operations;
static struct duoshm_queue *producer, *consumer;
static struct duoshm_broadcast *publisher, *reader;
static struct duoshm_semaphore *ping, *pong;
static struct duoshm_lock *locks[2];
static struct duoshm__table *table;
static long guarded; /* by turns, or by the lock; a plain word */

static _Noreturn void fail(int line, const char *condition)
{
	fprintf(stderr, "race.c:%d: %s: %s\n", line, condition, duoshm_failure()->cause);
	exit(1);
}

static void *zeroed(size_t bytes)
{
	void *memory = calloc(1, bytes);

	NEED(memory != NULL);
	return memory;
}

/* ---- addresses that are given again ---- */

/*
 * ThreadSanitizer knows munmap, but not shmdt: what another object had at an address would race with
 * the next one there. The kernel gives an address again only once it was given back; that is told
 * of this address alone. The linker puts these in the place of the two calls.
 */
void __tsan_acquire(void *at);
void __tsan_release(void *at);
void *__real_shmat(int id, const void *wanted, int flags);
int __real_shmdt(const void *at);
void *__wrap_shmat(int id, const void *wanted, int flags);
int __wrap_shmdt(const void *at);

void *__wrap_shmat(int id, const void *wanted, int flags)
{
	void *at = __real_shmat(id, wanted, flags);

	if (at != (void *)-1)
		__tsan_acquire(at);
	return at;
}

int __wrap_shmdt(const void *at)
{
	__tsan_release((void *)at);
	return __real_shmdt(at);
}

/* ---- two threads ---- */

/* Both to their end. Each counts `turns` operations. */
static void pair(void *(*left)(void *), void *(*right)(void *), void *a, void *b)
{
	pthread_t threads[2];

	NEED(pthread_create(&threads[0], NULL, left, a) == 0);
	NEED(pthread_create(&threads[1], NULL, right, b) == 0);
	NEED(pthread_join(threads[0], NULL) == 0 && pthread_join(threads[1], NULL) == 0);
	operations += 2 * turns;
}

/* ---- messages: their number in each byte ---- */

static size_t length_of(long number)
{
	return (size_t)(number * 7 % LONGEST) + 1;
}

static bool is_whole(const unsigned char *message, ssize_t length)
{
	for (ssize_t i = 1; i < length; i++)
		if (message[i] != message[0])
			return false;
	return length > 0;
}

static void *produce(void *unused)
{
	unsigned char message[LONGEST];

	for (long i = 0; i < turns; i++) {
		void *room;
		size_t length = length_of(i);

		memset(message, (int)(i & 0xff), length);
		if (i % 2 == 0) {
			NEED(duoshm_queue_send(producer, message, length, WAIT) == 0);
			continue;
		}
		NEED(duoshm_queue_reserve(producer, length, &room, WAIT) == 0);
		memcpy(room, message, length);
		if (i % 3 == 0)
			NEED(duoshm_queue_stage(producer, length) == 0);
		else
			NEED(duoshm_queue_commit(producer, length) == 0);
	}
	NEED(duoshm_queue_finish(producer) == 0);
	return unused;
}

static void *consume(void *unused)
{
	unsigned char buffer[LONGEST];
	const void *message = buffer;
	ssize_t length;

	for (long i = 0; i < turns; i++) {
		length = i % 2 == 0 ? duoshm_queue_receive(consumer, buffer, LONGEST, WAIT)
				    : duoshm_queue_peek(consumer, &message, WAIT);
		NEED(length == (ssize_t)length_of(i));
		const unsigned char *got = i % 2 == 0 ? buffer : message;
		NEED(is_whole(got, length) && got[0] == (i & 0xff));
		NEED(i % 2 == 0 || duoshm_queue_release(consumer) == 0);
	}
	NEED(duoshm_queue_receive(consumer, buffer, LONGEST, WAIT) == DUOSHM_ERR_END);
	return unused;
}

static void *publish(void *unused)
{
	unsigned char message[LONGEST];

	for (long i = 0; i < turns; i++) {
		memset(message, (int)(i & 0xff), length_of(i));
		NEED(duoshm_broadcast_publish(publisher, message, length_of(i)) == 0);
	}
	NEED(duoshm_broadcast_close(publisher) == 0);
	return unused;
}

static void *follow(void *unused)
{
	unsigned char buffer[LONGEST];
	uint64_t missed;
	long number = 0;
	ssize_t length;

	while ((length = duoshm_broadcast_next(reader, buffer, LONGEST, &missed, WAIT)) > 0) {
		number += (long)missed;
		NEED(length == (ssize_t)length_of(number));
		NEED(is_whole(buffer, length) && buffer[0] == (number & 0xff));
		number++;
	}
	NEED(length == DUOSHM_ERR_END && number == turns);
	return unused;
}

static void exchange_messages(struct duoshm *ctx, const char *name)
{
	size_t bytes = duoshm_queue_bytes(CAPACITY), more = duoshm_broadcast_bytes(CAPACITY);
	struct duoshm_create how = DUOSHM_CREATE_INIT;
	struct duoshm_segment *segment;

	how.bells = 4;
	NEED(duoshm_segment_create(ctx, name, bytes + more, &how, &segment) == DUOSHM_CREATED);
	NEED(duoshm_queue_format(segment, 0, bytes) == 0);
	NEED(duoshm_broadcast_format(segment, bytes, more) == 0);
	NEED(duoshm_queue_attach(segment, 0, bytes, 0, DUOSHM_PRODUCER, &producer) == 0);
	NEED(duoshm_queue_attach(segment, 0, bytes, 0, DUOSHM_CONSUMER, &consumer) == 0);
	NEED(duoshm_broadcast_attach(segment, bytes, more, 2, DUOSHM_PRODUCER, &publisher) == 0);
	NEED(duoshm_broadcast_attach(segment, bytes, more, 2, DUOSHM_READER, &reader) == 0);
	pair(produce, consume, NULL, NULL);
	pair(publish, follow, NULL, NULL);
	NEED(duoshm_queue_close(producer) == 0 && duoshm_queue_close(consumer) == 0);
	NEED(duoshm_broadcast_close(reader) == 0);
	NEED(duoshm_segment_remove(segment) == 0 && duoshm_segment_close(segment) == 0);
}

/* ---- semaphores and locks ---- */

static void *take_turns(void *second)
{
	for (long i = 0; i < turns; i++) {
		NEED(duoshm_semaphore_wait(second ? pong : ping, WAIT, 0) == 0);
		guarded++;
		NEED(duoshm_semaphore_post(second ? ping : pong, 1) == 0);
	}
	return NULL;
}

static void *hold(void *handle)
{
	struct duoshm_lock **lock = handle;

	for (long i = 0; i < turns; i++) {
		NEED(duoshm_lock_acquire(*lock, WAIT) == 0);
		guarded++;
		NEED(duoshm_lock_release(*lock) == 0);
	}
	return NULL;
}

static void take_and_hold(struct duoshm *ctx, const char *name, const char *other)
{
	struct duoshm_lock *twin;

	guarded = 0;
	NEED(duoshm_semaphore_create(ctx, name, 1, NULL, &ping) == DUOSHM_CREATED);
	NEED(duoshm_semaphore_create(ctx, other, 0, NULL, &pong) == DUOSHM_CREATED);
	pair(take_turns, take_turns, NULL, &ping);
	NEED(duoshm_semaphore_close(ping) == 0 && duoshm_semaphore_close(pong) == 0);
	NEED(duoshm_remove(ctx, name) == 0 && duoshm_remove(ctx, other) == 0);

	NEED(duoshm_lock_create(ctx, name, NULL, &locks[0]) == DUOSHM_CREATED);
	NEED(allocate(&twin) == 0);
	twin->object = locks[0]->object;
	NEED(finish(twin, 0, &locks[1]) == 0);
	pair(hold, hold, &locks[0], &locks[1]);
	NEED(guarded == 4 * turns);
	discard(twin);
	NEED(duoshm_lock_close(locks[0]) == 0 && duoshm_remove(ctx, name) == 0);
}

/* ---- registers ---- */

static void *change_registers(void *unused)
{
	struct duoshm__plain_row rows[ROWS];
	unsigned char dirty[ROWS];

	for (long i = 0; i < turns; i++) {
		for (unsigned w = 0; w < ROWS * DUOSHM__ROW_WORDS; w++)
			rows[w / DUOSHM__ROW_WORDS].word[w % DUOSHM__ROW_WORDS] = (uint64_t)i;
		memset(dirty, 1, sizeof dirty);
		duoshm__table_write(table, ROWS, rows, dirty);
	}
	return unused;
}

static void *read_registers(void *unused)
{
	struct duoshm__plain_row rows[ROWS];
	uint64_t before = 0;

	for (long i = 0; i < turns; i++) {
		NEED(duoshm__table_read(table, ROWS, 0, ROWS, rows) == 0);
		NEED(rows[0].word[0] >= before);
		before = rows[0].word[0];
		for (unsigned w = 0; w < ROWS * DUOSHM__ROW_WORDS; w++)
			NEED(rows[w / DUOSHM__ROW_WORDS].word[w % DUOSHM__ROW_WORDS] == before);
	}
	return unused;
}

/* ---- whole contexts ---- */

static int ignore(const struct duoshm_stat *object, void *arg)
{
	(void)object;
	(void)arg;
	return 0;
}

static void *come_and_go(void *name)
{
	struct duoshm *ctx;
	struct duoshm_stat stat = DUOSHM_STAT_INIT;
	struct duoshm_lock *lock;

	for (long i = 0; i < turns / 100 + 1; i++) {
		NEED(duoshm_new(NULL, &ctx) == 0);
		NEED(duoshm_lock_create(ctx, name, NULL, &lock) == DUOSHM_CREATED);
		NEED(duoshm_lock_acquire(lock, 0) == 0 && duoshm_stat(ctx, name, &stat) == 0);
		NEED(duoshm_list(ctx, 0, ignore, NULL) == 0);
		NEED(duoshm_lock_close(lock) == 0 && duoshm_remove(ctx, name) == 0);
		NEED(duoshm_free(ctx) == 0);
	}
	return NULL;
}

/* race TURNS NAME NAME. TURNS 0: removes what a run left that was ended in the middle. */
int main(int argc, char **argv)
{
	struct duoshm *ctx;

	if (argc != 4)
		return 99;
	turns = atol(argv[1]);
	if (turns == 0) {
		NEED(duoshm_new(NULL, &ctx) == 0);
		NEED(duoshm_reclaim(ctx, 0, NULL, NULL) >= 0 && duoshm_free(ctx) == 0);
		return 0;
	}
	table = zeroed(sizeof *table + 2 * ROWS * sizeof(struct duoshm__row));
	pair(change_registers, read_registers, NULL, NULL);
	free(table);
	NEED(duoshm_new(NULL, &ctx) == 0);
	exchange_messages(ctx, argv[2]);
	take_and_hold(ctx, argv[2], argv[3]);
	NEED(duoshm_free(ctx) == 0);
	turns /= 100;
	pair(come_and_go, come_and_go, argv[2], argv[3]);
	printf("%ld\n", operations);
	return 0;
}
