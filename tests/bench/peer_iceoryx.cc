/* SPDX-License-Identifier: MIT */
/* Driver of peers.sh: iceoryx, which never copies: a message is built in memory that is lent, and read
 * where it lies. Polled without sleeping; a publisher whose subscriber is slow waits, as all others
 * here do. iox-roudi must be running. */
#include "peer.h"

#include "iceoryx_posh/popo/untyped_publisher.hpp"
#include "iceoryx_posh/popo/untyped_subscriber.hpp"
#include "iceoryx_hoofs/log/logmanager.hpp"
#include "iceoryx_posh/runtime/posh_runtime.hpp"

#include <string>

static iox::popo::UntypedPublisher *publisher;
static iox::popo::UntypedSubscriber *subscriber;
static pid_t parent;

static int iceoryx_open(size_t)
{
	parent = getpid();
	return 0;
}

/* Both sides have seen the other when this returns. */
static int iceoryx_join(int side, size_t size)
{
	using iox::capro::IdString_t;
	std::string run = "bench-peer-" + std::to_string(parent);
	std::string name = run + (side ? "-b" : "-a");
	IdString_t instance(iox::cxx::TruncateToCapacity, run);
	iox::popo::PublisherOptions sending;
	iox::popo::SubscriberOptions receiving;

	iox::log::LogManager::GetLogManager().SetDefaultLogLevel(
		iox::log::LogLevel::kOff, iox::log::LogLevelOutput::kHideLogLevel);
	iox::runtime::PoshRuntime::initRuntime(
		iox::RuntimeName_t(iox::cxx::TruncateToCapacity, name));
	sending.subscriberTooSlowPolicy = iox::popo::ConsumerTooSlowPolicy::WAIT_FOR_CONSUMER;
	/* So many chunks there are; the loan of one more would fail. */
	receiving.queueCapacity = size <= 4096 ? 256 : 64;
	receiving.queueFullPolicy = iox::popo::QueueFullPolicy::BLOCK_PRODUCER;
	publisher = new iox::popo::UntypedPublisher(
		{"bench", instance, IdString_t(side ? "b" : "a")}, sending);
	subscriber = new iox::popo::UntypedSubscriber(
		{"bench", instance, IdString_t(side ? "a" : "b")}, receiving);
	while (!publisher->hasSubscribers() ||
		subscriber->getSubscriptionState() != iox::SubscribeState::SUBSCRIBED)
		usleep(1000);
	return 0;
}

static void iceoryx_leave()
{
	delete publisher;
	delete subscriber;
}

static void iceoryx_send(uint64_t number, size_t size)
{
	for (;;) {
		auto loan = publisher->loan((uint32_t)size);
		if (!loan.has_error()) {
			peer_stamp(loan.value(), size, number);
			publisher->publish(loan.value());
			return;
		}
		if (loan.get_error() != iox::popo::AllocationError::RUNNING_OUT_OF_CHUNKS)
			peer_wrong("loan");
	}
}

static uint64_t iceoryx_receive(size_t size)
{
	for (;;) {
		auto taken = subscriber->take();
		if (!taken.has_error()) {
			uint64_t number = peer_number(taken.value(), size);
			subscriber->release(taken.value());
			return number;
		}
		if (taken.get_error() != iox::popo::ChunkReceiveResult::NO_CHUNK_AVAILABLE)
			peer_wrong("take");
	}
}

int main(int argc, char **argv)
{
	static const struct peer_transport iceoryx = {"iceoryx", iceoryx_open, iceoryx_join,
		iceoryx_send, iceoryx_receive, iceoryx_leave, NULL, NULL};

	return peer_main(argc, argv, &iceoryx, 1);
}
