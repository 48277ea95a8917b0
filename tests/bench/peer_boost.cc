/* SPDX-License-Identifier: MIT */
/* Driver of peers.sh: Boost's interprocess message_queue, polled without sleeping. */
#include "peer.h"

#include <boost/interprocess/ipc/message_queue.hpp>

#include <string>

namespace bip = boost::interprocess;

/* What this process mapped is inherited, so the names go at once. */
static bip::message_queue *queues[2];
static int own;

static int boost_open(size_t size)
{
	std::string name = "bench-peer." + std::to_string(getpid());
	size_t depth = size <= 4096 ? 1024 : 16;

	for (int side = 0; side < 2; side++) {
		queues[side] = new bip::message_queue(bip::create_only, name.c_str(), depth, size);
		bip::message_queue::remove(name.c_str());
	}
	return 0;
}

static int boost_join(int side, size_t)
{
	own = side;
	return 0;
}

static void boost_send(uint64_t number, size_t size)
{
	peer_stamp(peer_out, size, number);
	while (!queues[own]->try_send(peer_out, size, 0)) {
	}
}

static uint64_t boost_receive(size_t size)
{
	size_t got;
	unsigned priority;

	while (!queues[!own]->try_receive(peer_in, size, got, priority)) {
	}
	if (got != size)
		peer_wrong("try_receive: another length");
	return peer_number(peer_in, size);
}

int main(int argc, char **argv)
{
	static const struct peer_transport boost = {
		"boost", boost_open, boost_join, boost_send, boost_receive, NULL, NULL, NULL};

	return peer_main(argc, argv, &boost, 1);
}
