/* SPDX-License-Identifier: MIT */
/* What the drivers of peers.sh share: the two measurements, made of a transport's send and receive.
 * Compiled by peers.sh at run time, as C and as C++, into programs of one source file each:
 *     DRIVER TRANSPORT pingpong|oneway SIZE SECONDS CPU CPU
 * prints the nanoseconds of a round trip or of a message. Each side is a process on a CPU of its own.
 * Status 3: the transport does not carry messages of this size.
 *
 * The trap is a measurement that slows a fast peer down: a transport whose messages take a few
 * nanoseconds calls peer_run itself, inlined, with send, receive and small sizes as constants. */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PEER_INLINE static inline __attribute__((always_inline))

struct peer_request {
	int pingpong;
	size_t size;
	double seconds;
	int cpus[2];
};

/* Side 0 is the parent: it begins the round trips, or receives. Side 1 is the child. What may be NULL
 * is at the end. */
struct peer_transport {
	const char *name;
	/* Before the fork: what both sides inherit. -1 and errno on failure. */
	int (*open)(size_t size);
	/* After it, on each side. -1 and errno on failure. */
	int (*join)(int side, size_t size);
	/* Message `number` of the other side; peer_stamp and peer_number put it in and out. */
	void (*send)(uint64_t number, size_t size);
	uint64_t (*receive)(size_t size);
	/* On each side at the end, unless by a failure or a signal. */
	void (*leave)(void);
	/* On the parent's side at any end: what would outlive it. */
	void (*discard)(void);
	/* Calls peer_run. NULL: by pointers is fast enough. */
	void (*run)(const struct peer_request *request);
};

enum { PEER_UNABLE = 3, PEER_SAMPLES = 1 << 20 };

static const uint64_t peer_last = (uint64_t)1 << 63;
static unsigned char *peer_out;
static unsigned char *peer_in;
static int *peer_stop;
static pid_t peer_child;
static void (*peer_discard)(void);
static float peer_samples[PEER_SAMPLES];

static void peer_quit(int status)
{
	if (peer_child > 0)
		kill(peer_child, SIGKILL);
	if (peer_child != 0 && peer_discard)
		peer_discard();
	_exit(status);
}

static inline void peer_fail(const char *what)
{
	fprintf(stderr, "%s%s%s\n", what, errno ? ": " : "", errno ? strerror(errno) : "");
	peer_quit(1);
}

static inline void peer_wrong(const char *what)
{
	errno = 0;
	peer_fail(what);
}

/* Calls that set errno: -1 ends the program, as unable if the size is to blame. */
static inline void peer_try(const char *what, int result)
{
	if (result == -1 && (errno == EMSGSIZE || errno == EINVAL))
		peer_quit(PEER_UNABLE);
	if (result == -1)
		peer_fail(what);
}

static void peer_on_signal(int number)
{
	int status;

	if (number != SIGCHLD)
		peer_quit(128 + number);
	/* Any child, for it may have ended before fork returned. */
	if (waitpid(-1, &status, WNOHANG) > 0 && status != 0) {
		peer_child = -1;
		peer_quit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
	}
}

static double peer_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* The number stands at both ends of a message, and in a large one also at a place that moves. */
PEER_INLINE void peer_stamp(void *message, size_t size, uint64_t number)
{
	unsigned char *bytes = (unsigned char *)message;

	memcpy(bytes, &number, 8);
	if (size > 8)
		memcpy(bytes + size - 8, &number, 8);
	if (size > 64)
		memcpy(bytes + (number * 4168 & (size - 1) & ~(size_t)7), &number, 8);
}

PEER_INLINE uint64_t peer_number(const void *message, size_t size)
{
	const unsigned char *bytes = (const unsigned char *)message;
	uint64_t number;

	memcpy(&number, bytes, 8);
	if (size > 8 && memcmp(bytes + size - 8, &number, 8) != 0)
		peer_wrong("a message's end differs");
	if (size > 64 && memcmp(bytes + (number * 4168 & (size - 1) & ~(size_t)7), &number, 8) != 0)
		peer_wrong("a message's middle differs");
	return number;
}

PEER_INLINE void peer_echo(const struct peer_transport *transport, size_t size)
{
	uint64_t number;

	do {
		number = transport->receive(size);
		transport->send(number, size);
	} while (!(number & peer_last));
}

static int peer_compare(const void *left, const void *right)
{
	float a = *(const float *)left;
	float b = *(const float *)right;

	return (a > b) - (a < b);
}

static double peer_median(size_t count)
{
	qsort(peer_samples, count, sizeof(peer_samples[0]), peer_compare);
	return count ? peer_samples[count / 2] : 0;
}

/* What a look at the clock takes, in nanoseconds; taken off each round trip. */
static double peer_clock_cost(void)
{
	enum { LOOKS = 200, TIMES = 15 };

	for (int i = 0; i < TIMES; i++) {
		double begin = peer_now();
		for (int look = 1; look < LOOKS; look++)
			(void)peer_now();
		peer_samples[i] = (float)((peer_now() - begin) / LOOKS * 1e9);
	}
	return peer_median(TIMES);
}

/* Nanoseconds a round trip: the median. */
PEER_INLINE double peer_pingpong(
	const struct peer_transport *transport, size_t size, double seconds)
{
	double cost = peer_clock_cost();
	uint64_t number = 0;
	size_t count = 0;
	double before = peer_now();
	double warm = before + seconds / 4;
	double end = before + seconds;

	while (before < end && count < PEER_SAMPLES) {
		transport->send(++number, size);
		if (transport->receive(size) != number)
			peer_wrong("another message came back");
		double after = peer_now();
		if (after > warm)
			peer_samples[count++] = (float)((after - before) * 1e9 - cost);
		before = after;
	}
	transport->send(++number | peer_last, size);
	transport->receive(size);
	return peer_median(count);
}

PEER_INLINE void peer_stream_out(const struct peer_transport *transport, size_t size)
{
	uint64_t number = 1;

	while (number % 64 != 0 || !__atomic_load_n(peer_stop, __ATOMIC_RELAXED))
		transport->send(number++, size);
	transport->send(number | peer_last, size);
}

/* Nanoseconds a message: the median of slices of 2 ms, so that a stolen CPU does not count. */
PEER_INLINE double peer_stream_in(
	const struct peer_transport *transport, size_t size, double seconds)
{
	uint64_t stride = size <= 64 ? 1024 : 16;
	uint64_t number = 0;
	uint64_t first = 0;
	size_t count = 0;
	double begin = peer_now();
	double warm = begin + seconds / 4;

	for (;;) {
		uint64_t got = transport->receive(size);
		if (got == (++number | peer_last))
			return peer_median(count);
		if (got != number)
			peer_wrong("another message was expected");
		double now = number % stride == 0 ? peer_now() : 0;
		if (now < begin + 2e-3)
			continue;
		if (now > warm && count < PEER_SAMPLES)
			peer_samples[count++] =
				(float)((now - begin) / (double)(number - first) * 1e9);
		if (now > warm + seconds)
			__atomic_store_n(peer_stop, 1, __ATOMIC_RELAXED);
		begin = now;
		first = number;
	}
}

PEER_INLINE void peer_side(
	const struct peer_transport *transport, const struct peer_request *request, size_t size)
{
	double result;

	if (peer_child == 0) {
		if (request->pingpong)
			peer_echo(transport, size);
		else
			peer_stream_out(transport, size);
		return;
	}
	if (request->pingpong)
		result = peer_pingpong(transport, size, request->seconds);
	else
		result = peer_stream_in(transport, size, request->seconds);
	printf("%.1f\n", result);
}

static void peer_pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) == -1)
		peer_fail("sched_setaffinity");
}

static void peer_prepare(const struct peer_request *request)
{
	void *page = mmap(NULL, sizeof(*peer_stop), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	static const int signals[] = {SIGCHLD, SIGINT, SIGTERM, SIGHUP, SIGALRM};
	size_t space = request->size < 4096 ? 4096 : request->size;

	peer_out = (unsigned char *)aligned_alloc(4096, space);
	peer_in = (unsigned char *)aligned_alloc(4096, space);
	if (page == MAP_FAILED || !peer_out || !peer_in)
		peer_fail("memory");
	memset(peer_out, 1, space);
	memset(peer_in, 1, space);
	peer_stop = (int *)page;
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		signal(signals[i], peer_on_signal);
	alarm((unsigned)request->seconds * 3 + 10);
}

static void peer_fork(const struct peer_request *request)
{
	pid_t parent = getpid();

	fflush(NULL);
	peer_child = fork();
	if (peer_child == -1)
		peer_fail("fork");
	if (peer_child == 0) {
		signal(SIGCHLD, SIG_DFL);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
	}
	peer_pin(request->cpus[peer_child == 0]);
}

/* Both sides; the child does not return. */
PEER_INLINE void peer_run(
	const struct peer_transport *transport, const struct peer_request *request)
{
	peer_prepare(request);
	peer_child = -1;
	peer_discard = transport->discard;
	peer_try("open", transport->open(request->size));
	peer_fork(request);
	peer_try("join", transport->join(peer_child == 0, request->size));
	switch (request->size) {
	case 8: peer_side(transport, request, 8); break;
	case 64: peer_side(transport, request, 64); break;
	default: peer_side(transport, request, request->size); break;
	}
	/* Who sent last leaves last: some transports drop what is under way when they are closed. */
	if (peer_child != 0)
		__atomic_store_n(peer_stop, 2, __ATOMIC_RELAXED);
	while (peer_child == 0 && __atomic_load_n(peer_stop, __ATOMIC_RELAXED) != 2)
		usleep(1000);
	if (transport->leave)
		transport->leave();
	if (peer_child == 0)
		exit(0);
	waitpid(peer_child, NULL, 0);
	if (transport->discard)
		transport->discard();
}

static int peer_main(int argc, char **argv, const struct peer_transport *transports, size_t count)
{
	struct peer_request request;

	if (argc != 7)
		return 2;
	request.pingpong = strcmp(argv[2], "pingpong") == 0;
	request.size = (size_t)strtoul(argv[3], NULL, 10);
	request.seconds = strtod(argv[4], NULL);
	request.cpus[0] = atoi(argv[5]);
	request.cpus[1] = atoi(argv[6]);
	for (size_t i = 0; i < count; i++) {
		if (strcmp(transports[i].name, argv[1]) != 0)
			continue;
		if (transports[i].run)
			transports[i].run(&request);
		else
			peer_run(&transports[i], &request);
		return 0;
	}
	return 2;
}

#endif
