/* SPDX-License-Identifier: MIT */
/*
 * Lanes as the device sees them. The trap: a lane is written by its client, who may be broken or
 * bad. Offsets and lengths are this program's own, messages are copied before they are looked at,
 * and whatever a queue says is wrong ends this lane only. Anybody who can write the registry can
 * make a lane: one of a user who may not write to the device is left alone.
 */
#include "config.h"

#include "device/lane.h"

#include "core/clock.h"
#include "device/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Between scans; longer where a scan takes more than a twentieth of it. */
#define SCAN_NS       100000000
#define TAKEN_AT_ONCE 16 /* lanes by a scan */

/* ---- finding ---- */

/* The device's name, a dot, 8 hexadecimal digits. */
static int is_ours(const struct duoshm__lanes *lanes, const struct duoshm_stat *object)
{
	const char *device = duoshm_segment_name(lanes->device);
	size_t length = strlen(device);

	return (object->kind == DUOSHM_KIND_LANE || !object->kind) &&
	       strcmp(object->backend, duoshm_segment_backend(lanes->device)) == 0 &&
	       strncmp(object->name, device, length) == 0 && object->name[length] == '.' &&
	       strlen(object->name + length + 1) == DUOSHM__LANE_TAG &&
	       strspn(object->name + length + 1, "0123456789abcdef") == DUOSHM__LANE_TAG;
}

static void close_lane(struct duoshm__lane *lane)
{
	duoshm__lane_detach(lane->queue);
	duoshm_segment_close(lane->segment);
	lane->segment = NULL;
	lane->capture_serial = 0;
	lane->owed = lane->ending = 0;
}

/*
 * After it was opened, the name must still be that of the lane that was listed, and its user one
 * who may write to the device: the generation alone would prove nothing, for an entry is text of
 * its owner's.
 */
static int open_lane(struct duoshm__lanes *lanes, struct duoshm__lane *lane)
{
	struct duoshm_stat st = DUOSHM__STAT_BRIEF;
	struct duoshm__lane_header head;
	int err = duoshm_segment_open(lanes->ctx, lane->name, 0, 0, &lane->segment);

	if (!err)
		err = duoshm_stat(lanes->ctx, lane->name, &st);
	if (err < 0)
		return err;
	if (st.generation != lane->generation)
		return DUOSHM_ERR_NOT_FOUND;
	if (!duoshm__may_write(lanes->ctx, &lanes->device_stat, &st))
		return DUOSHM_ERR_REFUSED;
	if (duoshm_segment_owner_alive(lane->segment) == 0) {
		duoshm_remove(lanes->ctx, lane->name);
		return DUOSHM_ERR_PEER_DEAD;
	}
	if (duoshm_segment_kind(lane->segment) != DUOSHM_KIND_LANE ||
		duoshm_segment_size(lane->segment) != duoshm__lane_bytes())
		return DUOSHM_ERR_CORRUPT;
	memcpy(&head, duoshm_segment_data(lane->segment), sizeof head);
	if (head.magic != DUOSHM__LANE_MAGIC || head.layout != DUOSHM__LANE_LAYOUT ||
		head.device_id != lanes->device_id)
		return DUOSHM_ERR_INCOMPATIBLE;
	return duoshm__lane_attach(lane->segment, DUOSHM_CONSUMER, lane->queue);
}

/*
 * 1: it has its slot. 0: it cannot be opened now, and is tried again; one that is refused or makes
 * no sense keeps a slot, cut off.
 */
static int take_up(struct duoshm__lanes *lanes, struct duoshm__lane *lane)
{
	int err = open_lane(lanes, lane);

	lane->fresh = 0;
	if (err)
		close_lane(lane);
	return !err || err == DUOSHM_ERR_CORRUPT || err == DUOSHM_ERR_INCOMPATIBLE ||
	       err == DUOSHM_ERR_REFUSED;
}

/* No memory: the next scan finds it again. */
static void note_fresh(struct duoshm__lanes *lanes, const char *name, uint64_t generation)
{
	struct duoshm__lane fresh = {.generation = generation, .seen = 1, .fresh = 1};
	struct duoshm__lane *grown = realloc(lanes->lane, (lanes->count + 1) * sizeof *grown);

	if (!grown)
		return;
	DUOSHM__SET(fresh.name, name);
	lanes->lane = grown;
	grown[lanes->count++] = fresh;
}

/*
 * Remains of dead clients are removed, and are not seen: also what one of them had only begun, and
 * whose entry does not tell yet what it was to be.
 */
static int look_at(const struct duoshm_stat *object, void *arg)
{
	struct duoshm__lanes *lanes = arg;
	char name[sizeof lanes->lane->name];

	if (!is_ours(lanes, object))
		return 0;
	snprintf(name, sizeof name, "%s:%s", object->backend, object->name);
	if (object->state == DUOSHM_ORPHAN) {
		duoshm_remove(lanes->ctx, name);
		return 0;
	}
	for (unsigned i = 0; i < lanes->count; i++) {
		if (lanes->lane[i].generation == object->generation) {
			lanes->lane[i].seen = 1;
			return 0;
		}
	}
	if (object->kind)
		note_fresh(lanes, name, object->generation);
	return 0;
}

static void close_unseen(struct duoshm__lanes *lanes)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < lanes->count; i++)
		if (lanes->lane[i].seen)
			lanes->lane[kept++] = lanes->lane[i];
		else
			close_lane(&lanes->lane[i]);
	lanes->count = kept;
}

/* 1: there are more than are taken up at once. */
static int take_up_fresh(struct duoshm__lanes *lanes)
{
	unsigned kept = 0, taken = 0;
	int more = 0;

	for (unsigned i = 0; i < lanes->count; i++) {
		struct duoshm__lane *lane = &lanes->lane[i];

		if (lane->fresh) {
			more |= taken == TAKEN_AT_ONCE;
			if (more || !take_up(lanes, lane))
				continue;
			taken++;
		}
		lanes->lane[kept++] = *lane;
	}
	lanes->count = kept;
	return more;
}

void duoshm__lanes_scan(struct duoshm__lanes *lanes, int64_t now)
{
	int64_t began = duoshm__now(), took;
	int more;

	for (unsigned i = 0; i < lanes->count; i++)
		lanes->lane[i].seen = 0;
	if (duoshm_list(lanes->ctx, 0, look_at, lanes) < 0) /* the registry cannot be read now */
		for (unsigned i = 0; i < lanes->count; i++)
			lanes->lane[i].seen = 1;
	/* First: where a process may attach but few objects, the new ones wait for their place. */
	close_unseen(lanes);
	more = take_up_fresh(lanes);
	took = duoshm__now() - began;
	lanes->next_scan = now + (20 * took > SCAN_NS ? 20 * took : SCAN_NS);
	if (more)
		lanes->next_scan = now;
}

unsigned duoshm__lanes_served(const struct duoshm__lanes *lanes)
{
	unsigned served = 0;

	for (unsigned i = 0; i < lanes->count; i++)
		served += lanes->lane[i].segment != NULL;
	return served;
}

void duoshm__lanes_close(struct duoshm__lanes *lanes)
{
	for (unsigned i = 0; i < lanes->count; i++)
		close_lane(&lanes->lane[i]);
	free(lanes->lane);
	lanes->lane = NULL;
	lanes->count = 0;
}

/* ---- serving ---- */

int duoshm__lane_command(struct duoshm__lane *lane, struct duoshm__command *out)
{
	const ssize_t head = (ssize_t)offsetof(struct duoshm__command, line);
	ssize_t n;

	if (!lane->segment)
		return 0;
	memset(out, 0, sizeof *out);
	n = duoshm_queue_receive(lane->queue[DUOSHM__COMMANDS], out, sizeof *out - 1, 0);
	if (n >= head)
		return 1;
	if (n != DUOSHM_ERR_TIMEOUT) /* also a message that is too short or too long */
		close_lane(lane);
	return 0;
}

void duoshm__lane_reply(struct duoshm__lane *lane, uint32_t serial, int code, const char *text)
{
	struct duoshm__reply reply = {.serial = serial, .code = code};
	int err;

	if (!lane->segment)
		return;
	DUOSHM__SET(reply.text, text);
	err = duoshm_queue_send(lane->queue[DUOSHM__REPLIES], &reply,
		offsetof(struct duoshm__reply, text) + strlen(reply.text), 0);
	if (err < 0 && err != DUOSHM_ERR_TIMEOUT)
		close_lane(lane);
}

void duoshm__lane_capture(struct duoshm__lane *lane, uint32_t serial, uint64_t frames)
{
	if (!lane->segment) /* cut off since it asked */
		return;
	lane->capture_serial = serial;
	lane->capture_left = frames ? frames : UINT64_MAX;
	lane->owed = lane->ending = 0;
}

/* 1: it is in the queue, or the lane is no more. */
static int send_block(struct duoshm__lane *lane, const struct duoshm__block_header *head,
	const void *samples, size_t bytes)
{
	void *room;
	int err =
		duoshm_queue_reserve(lane->queue[DUOSHM__CAPTURE], sizeof *head + bytes, &room, 0);

	if (err == DUOSHM_ERR_TIMEOUT)
		return 0;
	if (!err) {
		memcpy(room, head, sizeof *head);
		if (bytes)
			memcpy((char *)room + sizeof *head, samples, bytes);
		err = duoshm_queue_commit(lane->queue[DUOSHM__CAPTURE], sizeof *head + bytes);
	}
	if (err < 0)
		close_lane(lane);
	return 1;
}

int duoshm__lane_deliver(struct duoshm__lane *lane, const struct duoshm__block_header *block,
	const void *samples, size_t frame_bytes)
{
	struct duoshm__block_header head = *block;

	head.serial = lane->capture_serial;
	if (lane->owed) {
		if (head.frames > lane->capture_left)
			head.frames = (uint32_t)lane->capture_left;
		if (!send_block(lane, &head, samples, head.frames * frame_bytes))
			return 0;
		lane->owed = 0;
		if (lane->capture_left != UINT64_MAX)
			lane->capture_left -= head.frames;
		lane->ending |= lane->capture_serial && lane->capture_left == 0;
	}
	if (lane->ending) {
		head.frames = 0;
		head.flags = DUOSHM__BLOCK_END;
		if (!send_block(lane, &head, NULL, 0))
			return 0;
		lane->ending = 0;
		lane->capture_serial = 0;
	}
	return 1;
}
