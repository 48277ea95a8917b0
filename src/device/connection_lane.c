/* SPDX-License-Identifier: MIT */
/*
 * A client's lane: commands and their replies, lossless captures. The lane is made at the first of them, named after the
 * device, published once its queues are laid out, and found by the device; its client removes it.
 *
 * The trap: a device that ends commits its last reply and its last blocks first. Whether it is still there is asked only
 * when the queue has nothing more.
 */
#include "config.h"

#include "device/connection.h"

#include "core/clock.h"
#include "core/failure.h"
#include "device/text.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- making, announcing, leaving ---- */

static int attach_queues(struct duoshm_device *device, const struct duoshm__lane_map *map)
{
	struct duoshm_segment *lane = device->lane;
	int err = duoshm_queue_attach(lane, map->commands_at, map->commands_bytes, DUOSHM_NO_BELLS,
		DUOSHM_PRODUCER, &device->commands);

	if (!err)
		err = duoshm_queue_attach(lane, map->replies_at, map->replies_bytes,
			DUOSHM__REPLY_BELLS, DUOSHM_CONSUMER, &device->replies);
	if (!err)
		err = duoshm_queue_attach(lane, map->capture_at, map->capture_bytes,
			DUOSHM__CAPTURE_BELLS, DUOSHM_CONSUMER, &device->capture);
	return err;
}

static int lay_out(struct duoshm_device *device, const struct duoshm__lane_map *map)
{
	struct duoshm__lane_header *header = duoshm_segment_data(device->lane);
	int err;

	header->magic = DUOSHM__LANE_MAGIC;
	header->layout = DUOSHM__LANE_LAYOUT;
	header->device_id = device->head.id;
	err = duoshm_queue_format(device->lane, map->commands_at, map->commands_bytes);
	if (!err)
		err = duoshm_queue_format(device->lane, map->replies_at, map->replies_bytes);
	if (!err)
		err = duoshm_queue_format(device->lane, map->capture_at, map->capture_bytes);
	if (!err)
		err = attach_queues(device, map);
	return err ? err : duoshm_segment_publish(device->lane);
}

/* Who may use the device's object may use the lane: a device of another user must reach it. */
static unsigned lane_mode(struct duoshm_device *device, const char *full_name)
{
	struct duoshm_stat st = DUOSHM_STAT_INIT;

	return duoshm_stat(device->ctx, full_name, &st) < 0 ? 0600 : 0600 | (st.mode & 0066);
}

/* Creation is exclusive, so that a tag need not be unforeseeable, only rarely taken. */
static uint32_t make_tag(const struct duoshm_device *device)
{
	uint64_t x = (uint64_t)duoshm__now() ^ (uint64_t)getpid() << 40 ^ (uintptr_t)device;

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	return (uint32_t)(x >> 32);
}

static int make_lane(struct duoshm_device *device)
{
	const char *family = duoshm_segment_backend(device->segment);
	struct duoshm_create options = DUOSHM_CREATE_INIT;
	struct duoshm__lane_map map = duoshm__lane_map();
	char full_name[DUOSHM_NAME_SIZE + 8];
	int err;

	if (device->lane)
		return 0;
	snprintf(
		full_name, sizeof full_name, "%s:%s", family, duoshm_segment_name(device->segment));
	options.flags = DUOSHM_UNPUBLISHED;
	options.kind = DUOSHM_KIND_LANE;
	options.bells = DUOSHM__LANE_BELLS;
	options.mode = lane_mode(device, full_name);
	for (int tries = 0; tries < 8; tries++) {
		snprintf(device->lane_name, sizeof device->lane_name, "%.*s.%08lx",
			(int)sizeof device->lane_name - 10, full_name,
			(unsigned long)make_tag(device));
		err = duoshm_segment_create(
			device->ctx, device->lane_name, map.bytes, &options, &device->lane);
		if (err != DUOSHM_ERR_EXISTS)
			break;
	}
	if (err < 0)
		return err;
	err = lay_out(device, &map);
	if (err)
		duoshm__lane_leave(device);
	return err;
}

static void close_queue(struct duoshm_queue **queue)
{
	if (*queue)
		duoshm_queue_close(*queue);
	*queue = NULL;
}

void duoshm__lane_leave(struct duoshm_device *device)
{
	if (!device->lane)
		return;
	/* Removed first: a device that waits for room in it then knows that nobody will read. */
	duoshm_remove(device->ctx, device->lane_name);
	close_queue(&device->commands);
	close_queue(&device->replies);
	close_queue(&device->capture);
	duoshm_segment_close(device->lane);
	device->lane = NULL;
	device->capture_serial = 0;
}

/*
 * The device's bell cannot be rung through the read-only mapping; one that is writable lives for the ring only. Where
 * that is not permitted, the device looks by itself, a little later.
 */
static void ring(struct duoshm_device *device)
{
	char name[DUOSHM_NAME_SIZE + 8];
	struct duoshm_segment *segment;

	snprintf(name, sizeof name, "%s:%s", duoshm_segment_backend(device->segment),
		duoshm_segment_name(device->segment));
	if (duoshm_segment_open(device->ctx, name, 0, 0, &segment) < 0)
		return;
	duoshm_segment_ring(segment, 0);
	duoshm_segment_close(segment);
}

/* ---- commands ---- */

/* What an error of a queue of the lane means for the connection. */
static int queue_error(struct duoshm_device *device, int err)
{
	if (err == DUOSHM_ERR_PEER_DEAD || err == DUOSHM_ERR_END || err == DUOSHM_ERR_REMOVED) {
		int gone = duoshm_device_check(device);

		return gone ? gone
			    : duoshm__fail(DUOSHM_ERR_REMOVED, "the device has left the lane");
	}
	return err;
}

static int await_reply(struct duoshm_device *device, uint32_t serial, int64_t deadline,
	struct duoshm__reply *out, size_t *text_length)
{
	int gone = 0;

	for (;;) {
		int64_t left = duoshm__remaining(deadline, DUOSHM__SLICE_NS);
		ssize_t n =
			duoshm_queue_receive(device->replies, out, sizeof *out, gone ? 0 : left);
		size_t head = offsetof(struct duoshm__reply, text);

		if (n >= (ssize_t)head && out->serial == serial) {
			*text_length = (size_t)n - head;
			return 0;
		}
		if (n >= 0) /* the late answer to a command that was given up */
			continue;
		if (n != DUOSHM_ERR_TIMEOUT)
			return queue_error(device, (int)n);
		if (gone)
			return gone;
		gone = duoshm_device_check(device);
		if (!gone && left == 0)
			return duoshm__fail(DUOSHM_ERR_TIMEOUT,
				"the device %s has not answered in time",
				duoshm_segment_name(device->segment));
	}
}

/* Sends a command and waits for its reply; `serial` of it stays in the connection. */
static int call(struct duoshm_device *device, struct duoshm__command *command, size_t line_length,
	int64_t timeout_ns, char text[DUOSHM_REPLY_SIZE])
{
	int64_t deadline = duoshm__deadline(timeout_ns);
	struct duoshm__reply reply;
	size_t length = 0;
	int err;

	if (timeout_ns < 0)
		return duoshm__invalid("the timeout is negative");
	err = duoshm_device_check(device);
	if (!err)
		err = make_lane(device);
	if (err)
		return err;
	if (++device->serial == 0) /* 0 means none */
		device->serial = 1;
	command->serial = device->serial;
	err = duoshm_queue_send(
		device->commands, command, offsetof(struct duoshm__command, line) + line_length, 0);
	if (err == DUOSHM_ERR_TIMEOUT)
		return duoshm__fail(err, "the device takes no commands");
	if (err < 0)
		return queue_error(device, err);
	ring(device);
	err = await_reply(device, device->serial, deadline, &reply, &length);
	if (err)
		return err;
	if (length >= DUOSHM_REPLY_SIZE)
		length = DUOSHM_REPLY_SIZE - 1;
	memcpy(text, reply.text, length);
	text[length] = '\0';
	if (reply.code < 0)
		return duoshm__fail(reply.code == DUOSHM_ERR_NOT_FOUND ? DUOSHM_ERR_NOT_FOUND
								       : DUOSHM_ERR_REFUSED,
			"%s", text);
	return 0;
}

int duoshm_device_command(struct duoshm_device *device, const char *command, char *reply,
	size_t reply_size, int64_t timeout_ns)
{
	struct duoshm__command message = {.op = DUOSHM__OP_LINE};
	char text[DUOSHM_REPLY_SIZE];
	size_t length = command ? strlen(command) : 0;
	int err;

	if (!command || (!reply && reply_size))
		return duoshm__invalid("command: no command, or no room for its reply");
	if (length >= sizeof message.line)
		return duoshm__fail(DUOSHM_ERR_TOO_LONG, "a command has at most %zu characters",
			sizeof message.line - 1);
	memcpy(message.line, command, length);
	err = call(device, &message, length, timeout_ns, text);
	if (!err && reply_size)
		snprintf(reply, reply_size, "%s", text);
	return err;
}

int duoshm_device_write(
	struct duoshm_device *device, unsigned index, const char *text, int64_t timeout_ns)
{
	char line[DUOSHM_REPLY_SIZE];

	if (index >= device->head.registers)
		return duoshm__fail(DUOSHM_ERR_NOT_FOUND, "no such register: number %u", index);
	if ((size_t)snprintf(line, sizeof line, "set %s=%s", device->about[index].name, text) >=
		sizeof line)
		return duoshm__fail(DUOSHM_ERR_TOO_LONG, "the value is too long");
	return duoshm_device_command(device, line, NULL, 0, timeout_ns);
}

/* ---- captures ---- */

int duoshm_device_capture(struct duoshm_device *device, uint64_t frames, int64_t timeout_ns)
{
	struct duoshm__command message = {.op = DUOSHM__OP_CAPTURE, .frames = frames};
	char text[DUOSHM_REPLY_SIZE];
	int err;

	if (device->capture_serial)
		return duoshm__fail(DUOSHM_ERR_BUSY, "this connection captures already");
	err = call(device, &message, 0, timeout_ns, text);
	if (err)
		return err;
	device->capture_serial = device->serial;
	device->capture_begun = 0;
	return 0;
}

/* Gives back the block that the last call handed out. */
static void release_block(struct duoshm_device *device)
{
	if (device->capture_peeked)
		duoshm_queue_release(device->capture);
	device->capture_peeked = 0;
}

/* 1: `out` is filled; 0: it was of an earlier capture; END; CORRUPT. */
static int take_captured(
	struct duoshm_device *device, const void *message, size_t length, struct duoshm_block *out)
{
	struct duoshm__block_header head;
	int err;

	if (length < sizeof head)
		return duoshm__fail(
			DUOSHM_ERR_CORRUPT, "a block of %zu bytes is too short", length);
	memcpy(&head, message, sizeof head);
	if (head.serial != device->capture_serial)
		return 0;
	if (head.flags & DUOSHM__BLOCK_END) {
		device->capture_serial = 0;
		return duoshm__fail(DUOSHM_ERR_END, "the capture is complete");
	}
	err = duoshm__block_take(
		device, message, length, &device->capture_next, &device->capture_begun, out);
	return err ? err : 1;
}

int duoshm_device_capture_next(
	struct duoshm_device *device, int64_t timeout_ns, struct duoshm_block *out)
{
	int64_t deadline = duoshm__deadline(timeout_ns);
	struct duoshm_block block;
	int gone = 0;

	if (!device->capture_serial)
		return duoshm__invalid("capture_next: this connection does not capture");
	for (;;) {
		int64_t left = duoshm__remaining(deadline, DUOSHM__SLICE_NS);
		const void *message;
		ssize_t n;
		int result;

		release_block(device);
		n = duoshm_queue_peek(device->capture, &message, gone ? 0 : left);
		if (n >= 0) {
			device->capture_peeked = 1;
			result = take_captured(device, message, (size_t)n, &block);
			if (result > 0)
				*out = block;
			if (result)
				return result > 0 ? 0 : result;
			continue;
		}
		if (n != DUOSHM_ERR_TIMEOUT)
			return queue_error(device, (int)n);
		if (gone)
			return gone;
		gone = duoshm_device_check(device);
		if (!gone && left == 0)
			return duoshm__fail(DUOSHM_ERR_TIMEOUT, "no sample came in time");
	}
}

int duoshm_device_capture_stop(struct duoshm_device *device)
{
	struct duoshm__command message = {.op = DUOSHM__OP_STOP};
	char text[DUOSHM_REPLY_SIZE];

	if (!device->capture_serial)
		return 0;
	release_block(device);
	device->capture_serial = 0;
	return call(device, &message, 0, 1000000000, text);
}
