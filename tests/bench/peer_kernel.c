/* SPDX-License-Identifier: MIT */
/* Driver of peers.sh: what the kernel offers (pipes, Unix sockets, POSIX and System V message
 * queues), each polled without sleeping, and a textbook ring in shared memory. */
#define _GNU_SOURCE
#include "peer.h"

#include <fcntl.h>
#include <mqueue.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/socket.h>

/* What this side writes to and reads from. */
static int to;
static int from;

/* ---- pipes and Unix sockets ---- */

/* pairs[side]: what side writes to ([1]), and what its peer reads from ([0]). */
static int pairs[2][2];

static int pipes_open(size_t size)
{
	(void)size;
	for (int side = 0; side < 2; side++) {
		if (pipe2(pairs[side], O_NONBLOCK) == -1)
			return -1;
		/* The largest for everyone; refused, it stays at 64 KiB. */
		(void)fcntl(pairs[side][1], F_SETPIPE_SZ, 1 << 20);
	}
	return 0;
}

static int pipes_join(int side, size_t size)
{
	(void)size;
	to = pairs[side][1];
	from = pairs[!side][0];
	return 0;
}

static int sockets_open(size_t size)
{
	(void)size;
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pairs[0]);
}

static int sockets_join(int side, size_t size)
{
	(void)size;
	to = pairs[0][side];
	from = pairs[0][side];
	return 0;
}

static void stream_send(uint64_t number, size_t size)
{
	peer_stamp(peer_out, size, number);
	for (size_t done = 0; done < size;) {
		ssize_t part = write(to, peer_out + done, size - done);
		if (part >= 0)
			done += (size_t)part;
		else if (errno != EAGAIN)
			peer_fail("write");
	}
}

static uint64_t stream_receive(size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t part = read(from, peer_in + done, size - done);
		if (part > 0)
			done += (size_t)part;
		else if (part == 0 || errno != EAGAIN)
			peer_fail("read");
	}
	return peer_number(peer_in, size);
}

/* ---- POSIX message queues; open descriptors are inherited, so the names go at once ---- */

static mqd_t queues[2];

static int mqueue_open(size_t size)
{
	struct mq_attr attributes = {.mq_maxmsg = 10, .mq_msgsize = (long)size};
	char name[32];

	for (int side = 0; side < 2; side++) {
		snprintf(name, sizeof(name), "/bench-peer.%ld", (long)getpid());
		queues[side] =
			mq_open(name, O_RDWR | O_CREAT | O_EXCL | O_NONBLOCK, 0600, &attributes);
		if (queues[side] == (mqd_t)-1)
			return -1;
		mq_unlink(name);
	}
	return 0;
}

static int queue_join(int side, size_t size)
{
	(void)size;
	to = queues[side];
	from = queues[!side];
	return 0;
}

static void mqueue_send(uint64_t number, size_t size)
{
	peer_stamp(peer_out, size, number);
	while (mq_send(to, (const char *)peer_out, size, 0) == -1) {
		if (errno != EAGAIN)
			peer_fail("mq_send");
	}
}

static uint64_t mqueue_receive(size_t size)
{
	ssize_t got;

	while ((got = mq_receive(from, (char *)peer_in, size, NULL)) == -1) {
		if (errno != EAGAIN)
			peer_fail("mq_receive");
	}
	if ((size_t)got != size)
		peer_wrong("mq_receive: another length");
	return peer_number(peer_in, size);
}

/* ---- System V message queues ---- */

static void sysv_discard(void)
{
	for (int side = 0; side < 2; side++) {
		if (queues[side] != -1)
			msgctl(queues[side], IPC_RMID, NULL);
	}
}

static struct {
	long type;
	unsigned char bytes[1 << 16];
} letter;

static int sysv_open(size_t size)
{
	queues[0] = queues[1] = -1;
	if (size > sizeof(letter.bytes)) {
		errno = EMSGSIZE;
		return -1;
	}
	for (int side = 0; side < 2; side++) {
		queues[side] = msgget(IPC_PRIVATE, 0600);
		if (queues[side] == -1)
			return -1;
	}
	return 0;
}

static void sysv_send(uint64_t number, size_t size)
{
	peer_stamp(letter.bytes, size, number);
	letter.type = 1;
	while (msgsnd(to, &letter, size, IPC_NOWAIT) == -1) {
		if (errno != EAGAIN)
			peer_try("msgsnd", -1);
	}
}

static uint64_t sysv_receive(size_t size)
{
	ssize_t got;

	while ((got = msgrcv(from, &letter, size, 0, IPC_NOWAIT)) == -1) {
		if (errno != ENOMSG)
			peer_fail("msgrcv");
	}
	if ((size_t)got != size)
		peer_wrong("msgrcv: another length");
	return peer_number(letter.bytes, size);
}

/* ---- the textbook ring ---- */

/* One producer, one consumer, slots of one fixed size. Head and tail lie on cache lines of their own,
 * and each side keeps a copy of the other's index, which it renews only when the ring looks full or
 * empty. Nothing else that could make it slower: no lengths, no checks, no sleeping, nobody who might
 * die; the size of short messages is a constant of the compiled code. */
struct ring {
	_Alignas(128) uint64_t head; /* of the next message to be read; written by the consumer */
	_Alignas(128) uint64_t tail; /* of the next one to be written; written by the producer */
	_Alignas(4096) unsigned char slots[];
};

static struct ring *rings[2];
/* This side's: its own indices, and the copies of the other side's. */
static _Alignas(128) struct {
	struct ring *ring;
	uint64_t mask; /* capacity - 1, a power of two less one */
	uint64_t tail;
	uint64_t head_seen;
} producer;
static _Alignas(128) struct {
	struct ring *ring;
	uint64_t mask;
	uint64_t head;
	uint64_t tail_seen;
} consumer;

/* Short messages: as many bytes as the library's queue has in `compare bench`; and far more than the
 * caches next to a CPU hold, where this ring is fastest, for full and empty are rare. */
static uint64_t ring_bytes;

static int ring_open(size_t size)
{
	/* Of large messages there is room for four. */
	uint64_t capacity = ring_bytes / size < 4 ? 4 : ring_bytes / size;
	size_t length = sizeof(struct ring) + capacity * size;

	producer.mask = consumer.mask = capacity - 1;
	for (int side = 0; side < 2; side++) {
		void *memory = mmap(
			NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		if (memory == MAP_FAILED)
			return -1;
		memset(memory, 0, length);
		rings[side] = memory;
	}
	return 0;
}

static int ring_join(int side, size_t size)
{
	(void)size;
	producer.ring = rings[side];
	consumer.ring = rings[!side];
	return 0;
}

PEER_INLINE void ring_send(uint64_t number, size_t size)
{
	uint64_t tail = producer.tail;

	peer_stamp(peer_out, size, number);
	while (tail - producer.head_seen > producer.mask)
		producer.head_seen = __atomic_load_n(&producer.ring->head, __ATOMIC_ACQUIRE);
	memcpy(producer.ring->slots + (tail & producer.mask) * size, peer_out, size);
	producer.tail = tail + 1;
	__atomic_store_n(&producer.ring->tail, tail + 1, __ATOMIC_RELEASE);
}

PEER_INLINE uint64_t ring_receive(size_t size)
{
	uint64_t head = consumer.head;

	while (head == consumer.tail_seen)
		consumer.tail_seen = __atomic_load_n(&consumer.ring->tail, __ATOMIC_ACQUIRE);
	memcpy(peer_in, consumer.ring->slots + (head & consumer.mask) * size, size);
	consumer.head = head + 1;
	__atomic_store_n(&consumer.ring->head, head + 1, __ATOMIC_RELEASE);
	return peer_number(peer_in, size);
}

PEER_INLINE void ring_run(const struct peer_request *request, uint64_t bytes)
{
	static const struct peer_transport ring = {
		.open = ring_open, .join = ring_join, .send = ring_send, .receive = ring_receive};

	ring_bytes = bytes;
	peer_run(&ring, request);
}

static void run_ring(const struct peer_request *request)
{
	ring_run(request, 64 << 10);
}

static void run_deep_ring(const struct peer_request *request)
{
	ring_run(request, 4 << 20);
}

int main(int argc, char **argv)
{
	static const struct peer_transport all[] = {
		{"pipe", pipes_open, pipes_join, stream_send, stream_receive, NULL, NULL, NULL},
		{"socket", sockets_open, sockets_join, stream_send, stream_receive, NULL, NULL,
			NULL},
		{"mqueue", mqueue_open, queue_join, mqueue_send, mqueue_receive, NULL, NULL, NULL},
		{"sysv-msg", sysv_open, queue_join, sysv_send, sysv_receive, NULL, sysv_discard,
			NULL},
		{.name = "ring", .run = run_ring},
		{.name = "deep-ring", .run = run_deep_ring},
	};

	return peer_main(argc, argv, all, sizeof(all) / sizeof(all[0]));
}
