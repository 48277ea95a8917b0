/* SPDX-License-Identifier: MIT */
/*
 * A client's lane: commands and their replies, lossless captures. The lane is made at the first of
 * them, named after the device, published once its queues are laid out, and found by the device;
 * its client removes it.
 *
 * The trap: a device that ends commits its last reply and its last blocks first. Whether it is
 * still there is asked only when the queue has nothing more.
 */
#include "config.h"

#include "device/connection.h"

#include "core/clock.h"
#include "core/failure.h"
#include "device/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- making, announcing, leaving ---- */

static int lay_out(struct duoshm_device *device)
{
	struct duoshm__lane_header *header = duoshm_segment_data(device->lane);
	int err;

	header->magic = DUOSHM__LANE_MAGIC;
	header->layout = DUOSHM__LANE_LAYOUT;
	header->device_id = device->head.id;
	err = duoshm__lane_format(device->lane);
	if (!err)
		err = duoshm__lane_attach(device->lane, DUOSHM_PRODUCER, device->queue);
	return err ? err : duoshm_segment_publish(device->lane);
}

/*
 * A device of another user must reach the lane: who may write to the one may then write to the
 * other.
 */
static unsigned lane_mode(const struct duoshm_stat *device)
{
	return device->uid == geteuid() ? 0600 : 0600 | (device->mode & 0066);
}

static void close_lane(struct duoshm_device *device)
{
	duoshm__lane_detach(device->queue);
	duoshm_segment_close(device->lane);
	device->lane = NULL;
	device->captured.serial = 0;
	device->unanswered = 0;
}

/* The device leaves alone the lane of a user who may not write to it: so that is told here. */
static int check_users(struct duoshm_device *device, const struct duoshm_stat *theirs)
{
	struct duoshm_stat ours = DUOSHM__STAT_BRIEF;
	const char *trouble;
	int err = duoshm_stat(device->ctx, device->lane_name, &ours);

	if (err)
		return err;
	if (!duoshm__may_write(device->ctx, theirs, &ours))
		trouble = "takes commands and captures only from who may write to it";
	else if (!duoshm__may_write(device->ctx, &ours, theirs))
		trouble = "may not write to this client's lane (the umask, or the group)";
	else
		return 0;
	close_lane(device); /* unpublished: so it is gone */
	return duoshm__fail(DUOSHM_ERR_PERMISSION,
		"the device %s (user %u, group %u, mode %04o) %s; this is user %u, group %u, mode "
		"%04o",
		theirs->name, theirs->uid, theirs->gid, theirs->mode, trouble, ours.uid, ours.gid,
		ours.mode);
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
	struct duoshm_create options = DUOSHM_CREATE_INIT;
	struct duoshm_stat theirs = DUOSHM__STAT_BRIEF;
	int err;

	if (device->lane)
		return 0;
	err = duoshm_stat(device->ctx, device->full_name, &theirs);
	if (err)
		return err;
	options.flags = DUOSHM_UNPUBLISHED;
	options.kind = DUOSHM_KIND_LANE;
	options.bells = DUOSHM__LANE_BELLS;
	options.mode = lane_mode(&theirs);
	for (int tries = 0; tries < 8; tries++) {
		snprintf(device->lane_name, sizeof device->lane_name, "%s.%08" PRIx32,
			device->full_name, make_tag(device));
		err = duoshm_segment_create(device->ctx, device->lane_name, duoshm__lane_bytes(),
			&options, &device->lane);
		if (err != DUOSHM_ERR_EXISTS)
			break;
	}
	if (err < 0)
		return err;
	err = check_users(device, &theirs);
	if (!err)
		err = lay_out(device);
	if (err) {
		struct duoshm_failure why = *duoshm_failure();

		duoshm__lane_leave(device);
		duoshm__fail_native(&why);
	}
	return err;
}

int duoshm__lane_leave(struct duoshm_device *device)
{
	if (!device->lane)
		return 0;
	/* Removed first: a device that waits for room in it then knows that nobody will read. */
	int err = duoshm_remove(device->ctx, device->lane_name);

	close_lane(device);
	return err == DUOSHM_ERR_NOT_FOUND ? 0 : err;
}

/*
 * The device's bell cannot be rung through the read-only mapping; one that is writable lives for
 * the ring only. Where that is not permitted, the device looks by itself, a little later.
 */
static void ring(struct duoshm_device *device)
{
	struct duoshm_segment *segment;

	if (duoshm_segment_open(device->ctx, device->full_name, 0, 0, &segment) < 0)
		return;
	duoshm_segment_ring(segment, 0);
	duoshm_segment_close(segment);
}

/* ---- commands ---- */

/* What an error of a queue of the lane means for the connection. */
static int queue_error(struct duoshm_device *device, int err)
{
	if (err == DUOSHM_ERR_PEER_DEAD || err == DUOSHM_ERR_END || err == DUOSHM_ERR_REMOVED) {
		int gone = duoshm__device_look(device);

		return gone ? gone
			    : duoshm__fail(DUOSHM_ERR_REMOVED, "the device has left the lane");
	}
	return err;
}

/*
 * A wait of `left` for a queue of the lane has failed. 0: look again. A device that is gone (*gone)
 * may have committed something before: there is one more look, without waiting.
 */
static int look_again(struct duoshm_device *device, int err, int64_t left,
	struct duoshm_failure *gone, const char *awaited)
{
	if (err != DUOSHM_ERR_TIMEOUT)
		return queue_error(device, err);
	if (gone->code)
		return duoshm__fail_native(gone);
	if (duoshm__device_look(device) < 0)
		*gone = *duoshm_failure();
	if (gone->code || left > 0)
		return 0;
	return duoshm__fail(DUOSHM_ERR_TIMEOUT, "the device %s has %s in time",
		duoshm_segment_name(device->segment), awaited);
}

/* The reply's text is terminated. */
static int await_reply(struct duoshm_device *device, int64_t deadline, struct duoshm__reply *out)
{
	const ssize_t head = (ssize_t)offsetof(struct duoshm__reply, text);
	struct duoshm_failure gone = {0};
	unsigned stale = 0;

	for (;;) {
		int64_t left = duoshm__remaining(deadline, DUOSHM__SLICE_NS);
		ssize_t n = duoshm_queue_receive(
			device->queue[DUOSHM__REPLIES], out, sizeof *out, gone.code ? 0 : left);
		int err;

		device->unanswered -= n >= 0 && device->unanswered > 0;
		if (n >= head && out->serial == device->serial) {
			out->text[n < (ssize_t)sizeof *out ? n - head : DUOSHM_REPLY_SIZE - 1] =
				'\0';
			return 0;
		}
		/* The late answer to a command that was given up; of all of them there is an end. */
		if (n >= 0 && (left > 0 || stale++ < DUOSHM__UNANSWERED_MAX))
			continue;
		err = look_again(
			device, n < 0 ? (int)n : DUOSHM_ERR_TIMEOUT, left, &gone, "not answered");
		if (err)
			return err;
	}
}

/*
 * Until this command's reply has room for sure: late ones are taken out. The last place is a stop's,
 * so that a capture can be called off whenever it could be asked for.
 */
static int await_room(struct duoshm_device *device, uint32_t op, int64_t deadline)
{
	const unsigned most = DUOSHM__UNANSWERED_MAX - (op == DUOSHM__OP_STOP ? 1 : 2);
	struct duoshm_failure gone = {0};
	struct duoshm__reply late;

	while (device->unanswered > 0) {
		bool full = device->unanswered > most;
		int64_t left = full ? duoshm__remaining(deadline, DUOSHM__SLICE_NS) : 0;
		ssize_t n = duoshm_queue_receive(
			device->queue[DUOSHM__REPLIES], &late, sizeof late, gone.code ? 0 : left);

		if (n >= 0) {
			device->unanswered--;
			continue;
		}
		int err = full ? look_again(device, (int)n, left, &gone, "not answered") : 0;
		if (err || !full)
			return err;
	}
	return 0;
}

/* Sends a command; its serial is the connection's then. */
static int post(struct duoshm_device *device, struct duoshm__command *command, size_t line_length,
	int64_t deadline)
{
	int err = await_room(device, command->op, deadline);

	if (err)
		return err;
	if (++device->serial == 0) /* 0 means none */
		device->serial = 1;
	command->serial = device->serial;
	err = duoshm_queue_send(device->queue[DUOSHM__COMMANDS], command,
		offsetof(struct duoshm__command, line) + line_length, 0);
	if (err == DUOSHM_ERR_TIMEOUT)
		return duoshm__fail(err, "the device takes no commands");
	if (err < 0)
		return queue_error(device, err);
	device->unanswered++;
	ring(device);
	return 0;
}

/* What went wrong with a device that is gone meanwhile went wrong because it is gone. */
static int unless_gone(struct duoshm_device *device)
{
	struct duoshm_failure why = *duoshm_failure();
	int gone = duoshm__device_look(device);

	return gone ? gone : duoshm__fail_native(&why);
}

/* Posts it and waits for the reply. */
static int call(struct duoshm_device *device, struct duoshm__command *command, size_t line_length,
	int64_t timeout_ns, struct duoshm__reply *reply)
{
	int64_t deadline = duoshm__deadline(timeout_ns);
	int err;

	if (timeout_ns < 0)
		return duoshm__invalid("the timeout is negative");
	err = duoshm__device_look(device);
	if (!err) {
		err = make_lane(device);
		if (err)
			err = unless_gone(device);
	}
	if (!err)
		err = post(device, command, line_length, deadline);
	if (!err)
		err = await_reply(device, deadline, reply);
	if (err || reply->code >= 0)
		return err;
	err = reply->code == DUOSHM_ERR_NOT_FOUND ? DUOSHM_ERR_NOT_FOUND : DUOSHM_ERR_REFUSED;
	return duoshm__fail(err, "%s", reply->text);
}

int duoshm_device_command(struct duoshm_device *device, const char *command, char *reply,
	size_t reply_size, int64_t timeout_ns)
{
	struct duoshm__command message = {.op = DUOSHM__OP_LINE};
	struct duoshm__reply answer;
	size_t length = command ? strlen(command) : 0;
	int err;

	if (!command || (!reply && reply_size))
		return duoshm__invalid("command: no command, or no room for its reply");
	if (length >= sizeof message.line)
		return duoshm__fail(DUOSHM_ERR_TOO_LONG, "a command has at most %zu characters",
			sizeof message.line - 1);
	memcpy(message.line, command, length);
	err = call(device, &message, length, timeout_ns, &answer);
	if (!err && reply_size)
		snprintf(reply, reply_size, "%s", answer.text);
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
	struct duoshm__reply reply;
	int err;

	if (device->captured.serial)
		return duoshm__fail(DUOSHM_ERR_BUSY, "this connection captures already");
	err = call(device, &message, 0, timeout_ns, &reply);
	if (err == DUOSHM_ERR_TIMEOUT && device->lane) {
		struct duoshm_failure why = *duoshm_failure();
		struct duoshm__command stop = {.op = DUOSHM__OP_STOP};

		/* It may begin yet, and would be in the way of the next. */
		post(device, &stop, 0, 0);
		return duoshm__fail_native(&why);
	}
	if (err)
		return err;
	device->captured = (struct duoshm__cursor){.serial = device->serial};
	return 0;
}

/* Gives back the block that the last call handed out. */
static void release_block(struct duoshm_device *device)
{
	if (device->peeked)
		duoshm_queue_release(device->queue[DUOSHM__CAPTURE]);
	device->peeked = 0;
}

int duoshm_device_capture_next(
	struct duoshm_device *device, int64_t timeout_ns, struct duoshm_block *out)
{
	int64_t deadline = duoshm__deadline(timeout_ns);
	struct duoshm_block block;
	struct duoshm_failure gone = {0};

	if (!device->captured.serial)
		return duoshm__invalid("capture_next: this connection does not capture");
	for (;;) {
		int64_t left = duoshm__remaining(deadline, DUOSHM__SLICE_NS);
		const void *message;
		ssize_t n;
		int result;

		release_block(device);
		n = duoshm_queue_peek(
			device->queue[DUOSHM__CAPTURE], &message, gone.code ? 0 : left);
		if (n < 0) {
			result = look_again(device, (int)n, left, &gone, "sent no sample");
		} else {
			device->peeked = 1;
			result = duoshm__block_take(
				device, message, (size_t)n, &device->captured, &block);
			/* What is left of an earlier capture is passed over, but not for ever. */
			if (result == 0 && left == 0)
				result = look_again(
					device, DUOSHM_ERR_TIMEOUT, left, &gone, "sent no sample");
		}
		if (result < 0)
			return result;
		if (result > 0)
			break;
	}
	if (block.frames == 0) {
		device->captured.serial = 0;
		return duoshm__fail(DUOSHM_ERR_END, "the capture is complete");
	}
	*out = block;
	return 0;
}

int duoshm_device_capture_stop(struct duoshm_device *device)
{
	struct duoshm__command message = {.op = DUOSHM__OP_STOP};
	struct duoshm__reply reply;

	if (!device->captured.serial)
		return 0;
	release_block(device);
	device->captured.serial = 0;
	return call(device, &message, 0, 1000000000, &reply);
}
