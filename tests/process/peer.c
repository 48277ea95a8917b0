/* SPDX-License-Identifier: MIT */
/*
 * peer BACKEND SEGMENT SEMAPHORE LOCK QUEUE: the other side of peers.c, a program of its own that
 * may be of another word size. Uses each object once and ends with 0, or with the line that failed.
 */
#include "config.h"

#include "duoshm.h"

#include <stdio.h>
#include <string.h>

#define LONG_TIME INT64_C(20000000000)
#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "peer.c:%d: %s: %s\n", __LINE__, #condition,               \
				duoshm_failure()->cause);                                          \
			return 1;                                                                  \
		}                                                                                  \
	} while (0)

static int segment(struct duoshm *ctx, const char *name)
{
	struct duoshm_segment *segment;

	MUST(duoshm_segment_open(ctx, name, 0, 0, &segment) == 0);
	MUST(duoshm_segment_size(segment) == 5000);
	char *data = duoshm_segment_data(segment);
	MUST(strcmp(data + 4000, "from the maker") == 0);
	strcpy(data + 4000, "from the peer");
	int rung = duoshm_segment_ring(segment, 1);
	MUST(rung == 0 || rung == DUOSHM_ERR_UNSUPPORTED);
	return duoshm_segment_close(segment);
}

static int semaphore(struct duoshm *ctx, const char *name)
{
	struct duoshm_semaphore *semaphore;

	MUST(duoshm_semaphore_open(ctx, name, 0, 0, &semaphore) == 0);
	MUST(duoshm_semaphore_wait(semaphore, LONG_TIME, 0) == 0);
	MUST(duoshm_semaphore_post(semaphore, 3) == 0);
	return duoshm_semaphore_close(semaphore);
}

/* Ends with the lock held: the maker is to be told. */
static int lock(struct duoshm *ctx, const char *name)
{
	struct duoshm_lock *lock;

	MUST(duoshm_lock_open(ctx, name, 0, 0, &lock) == 0);
	MUST(duoshm_lock_acquire(lock, LONG_TIME) == 0);
	return 0;
}

static int queue(struct duoshm *ctx, const char *name)
{
	struct duoshm_queue *queue;
	int64_t number, sum = 0;
	ssize_t length;

	MUST(duoshm_queue_open(ctx, name, DUOSHM_CONSUMER, LONG_TIME, &queue) == 0);
	while ((length = duoshm_queue_receive(queue, &number, sizeof(number), LONG_TIME)) == 8)
		sum += number;
	MUST(length == DUOSHM_ERR_END);
	MUST(sum == INT64_C(1000) * 999 / 2);
	return duoshm_queue_close(queue);
}

int main(int argc, char **argv)
{
	struct duoshm_options options = DUOSHM_OPTIONS_INIT;
	struct duoshm *ctx;

	MUST(argc == 6);
	options.backend = argv[1];
	MUST(duoshm_new(&options, &ctx) == 0);
	MUST(segment(ctx, argv[2]) == 0);
	MUST(semaphore(ctx, argv[3]) == 0);
	MUST(queue(ctx, argv[5]) == 0);
	return lock(ctx, argv[4]);
}
