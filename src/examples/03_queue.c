/* SPDX-License-Identifier: MIT */
/*
 * A queue from one process to another: the producer builds each message in place, and finishes; the
 * consumer reads in place until END.
 *
 * Argument: the object's name (default: example).
 */
#include <duoshm.h>

#include <inttypes.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define MESSAGES 100000

static int fail(const char *what)
{
	fprintf(stderr, "%s: %s: %s\n", what, duoshm_strerror(duoshm_failure()->code),
		duoshm_failure()->cause);
	return 1;
}

static int produce(const char *name)
{
	struct duoshm *ctx;
	struct duoshm_queue *queue;
	if (duoshm_new(NULL, &ctx) < 0 ||
		duoshm_queue_open(ctx, name, DUOSHM_PRODUCER, 5000000000, &queue) < 0)
		return fail("producer");
	for (uint64_t i = 0; i < MESSAGES; i++) {
		void *room;
		if (duoshm_queue_reserve(queue, sizeof i, &room, DUOSHM_FOREVER) < 0)
			return fail("reserve");
		*(uint64_t *)room = i;
		if (duoshm_queue_commit(queue, sizeof i) < 0)
			return fail("commit");
	}
	duoshm_queue_finish(queue);
	duoshm_queue_close(queue);
	return duoshm_free(ctx) < 0;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "example";
	struct duoshm *ctx;
	struct duoshm_queue *queue;
	const void *message;
	uint64_t sum = 0;
	ssize_t length;
	int status = 1;

	pid_t child = fork();
	if (child == 0)
		return produce(name);
	if (child < 0 || duoshm_new(NULL, &ctx) < 0 ||
		duoshm_queue_create(ctx, name, 4096, DUOSHM_CONSUMER, NULL, &queue) < 0)
		return fail("consumer");
	while ((length = duoshm_queue_peek(queue, &message, DUOSHM_FOREVER)) >= 0) {
		sum += *(const uint64_t *)message;
		duoshm_queue_release(queue);
	}
	if (length != DUOSHM_ERR_END)
		return fail("peek");
	printf("%d messages, sum %" PRIu64 "\n", MESSAGES, sum);
	waitpid(child, &status, 0);
	duoshm_remove(ctx, name);
	duoshm_queue_close(queue);
	return duoshm_free(ctx) < 0 || status != 0 ||
	       sum != (uint64_t)MESSAGES * (MESSAGES - 1) / 2;
}
