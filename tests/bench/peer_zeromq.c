/* SPDX-License-Identifier: MIT */
/* Driver of peers.sh: ZeroMQ over ipc://, a push and a pull socket on each side. It hands over to
 * threads of its own, which share their side's CPU; a caller that polls would only take it from them,
 * so it sleeps. */
#define _GNU_SOURCE
#include "peer.h"

#include <zmq.h>

/* The sockets' files, beside each other in the current folder; one per receiver. */
static char files[2][64];
static void *context;
static void *push;
static void *pull;

static int zeromq_open(size_t size)
{
	(void)size;
	for (int side = 0; side < 2; side++)
		snprintf(files[side], sizeof(files[side]), "ipc://zeromq.%ld.%d", (long)getpid(),
			side);
	return 0;
}

static int zeromq_join(int side, size_t size)
{
	(void)size;
	context = zmq_ctx_new();
	if (!context)
		return -1;
	push = zmq_socket(context, ZMQ_PUSH);
	pull = zmq_socket(context, ZMQ_PULL);
	if (!push || !pull || zmq_bind(pull, files[side]) == -1)
		return -1;
	return zmq_connect(push, files[!side]);
}

static void zeromq_send(uint64_t number, size_t size)
{
	peer_stamp(peer_out, size, number);
	if (zmq_send(push, peer_out, size, 0) == -1)
		peer_fail("zmq_send");
}

static uint64_t zeromq_receive(size_t size)
{
	int got;

	do {
		got = zmq_recv(pull, peer_in, size, 0);
	} while (got == -1 && errno == EINTR);
	if (got != (int)size)
		peer_fail("zmq_recv");
	return peer_number(peer_in, size);
}

static void zeromq_leave(void)
{
	zmq_close(push);
	zmq_close(pull);
	zmq_ctx_term(context);
}

static void zeromq_discard(void)
{
	for (int side = 0; side < 2; side++)
		unlink(files[side] + strlen("ipc://"));
}

int main(int argc, char **argv)
{
	static const struct peer_transport zeromq = {"zeromq", zeromq_open, zeromq_join,
		zeromq_send, zeromq_receive, zeromq_leave, zeromq_discard, NULL};

	return peer_main(argc, argv, &zeromq, 1);
}
