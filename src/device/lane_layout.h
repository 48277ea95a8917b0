/* SPDX-License-Identifier: MIT */
/*
 * What lies in the payload of a lane, the object that a client adds to a device: a header and three
 * queues at fixed places. The client makes it, and gives it its name: the device's, a dot, 8
 * hexadecimal digits.
 *
 *   header     the client, before it publishes the lane
 *   commands   client to device; no bells of its own: the device sleeps on its own object's bell
 *   replies    device to client; bells 0 and 1
 *   capture    device to client; bells 2 and 3
 *
 * All of it is hostile to the device: it uses the constants below, never a number from the lane,
 * and copies a message before it looks at it.
 */
#ifndef DUOSHM_LANE_LAYOUT_H
#define DUOSHM_LANE_LAYOUT_H

#include "duoshm/device.h"

#define DUOSHM__LANE_MAGIC  0x31656e616c647564u /* "dudlane1", little-endian */
#define DUOSHM__LANE_LAYOUT 1u
#define DUOSHM__LANE_TAG    8 /* digits */
#define DUOSHM__LANE_BELLS  4

struct duoshm__lane_header {
	uint64_t magic;
	uint32_t layout;
	uint32_t spare;
	uint64_t device_id; /* the run of the device that the lane is for */
	uint64_t spare_2[5];
};
_Static_assert(sizeof(struct duoshm__lane_header) == 64, "the lane's header is part of the layout");

/* The queues; lane_queues.c knows where they lie. */
enum { DUOSHM__COMMANDS, DUOSHM__REPLIES, DUOSHM__CAPTURE, DUOSHM__LANE_QUEUES };

/* Of a whole lane. */
size_t duoshm__lane_bytes(void);
int duoshm__lane_format(struct duoshm_segment *lane);
/* `role` is the caller's in the queue of commands; in the other two it has the other one. */
int duoshm__lane_attach(struct duoshm_segment *lane, enum duoshm_role role,
	struct duoshm_queue *queue[DUOSHM__LANE_QUEUES]);
/* Those that are attached. */
void duoshm__lane_detach(struct duoshm_queue *queue[DUOSHM__LANE_QUEUES]);
/* What is asked of a lane does not take the count of those who have it attached. */
#define DUOSHM__STAT_BRIEF                                                                         \
	(struct duoshm_stat)                                                                       \
	{                                                                                          \
		.struct_size = offsetof(struct duoshm_stat, attached)                              \
	}
/*
 * May the user that made `by` write to `object`? Told by owner, group and mode of the registry's
 * entries, which the kernel keeps: nothing that a user can write down counts.
 */
int duoshm__may_write(
	const struct duoshm *ctx, const struct duoshm_stat *object, const struct duoshm_stat *by);

/*
 * A client leaves so many commands unanswered at most: all of them have room in their queue, and all
 * replies in theirs.
 */
#define DUOSHM__UNANSWERED_MAX 14u

/* Messages of the command queue. */
enum { DUOSHM__OP_LINE = 1, DUOSHM__OP_CAPTURE = 2, DUOSHM__OP_STOP = 3 };
struct duoshm__command {
	uint32_t serial; /* of the client; a reply bears it, and so do a capture's blocks */
	uint32_t op;
	uint64_t frames;              /* OP_CAPTURE: how many, 0: until the end */
	char line[DUOSHM_REPLY_SIZE]; /* OP_LINE; shorter on the way, not terminated */
};

/* Messages of the reply queue. */
struct duoshm__reply {
	uint32_t serial;
	int32_t code;                 /* 0 or a DUOSHM_ERR_* */
	char text[DUOSHM_REPLY_SIZE]; /* shorter on the way, not terminated */
};

/* Messages of the capture queue and of the stream; the samples follow. */
#define DUOSHM__BLOCK_END 1u /* no more of this capture, of this replay */
struct duoshm__block_header {
	uint64_t first;
	int64_t t_first_ns;
	uint32_t frames;
	uint32_t flags;
	uint32_t serial; /* of the capture; 0 in the stream */
	uint32_t spare;
};
_Static_assert(
	sizeof(struct duoshm__block_header) == 32, "the block's header is part of the layout");
_Static_assert(offsetof(struct duoshm__command, line) == 16, "no hidden padding");
_Static_assert(offsetof(struct duoshm__reply, text) == 8, "no hidden padding");

static inline size_t duoshm__sample_bytes(int sample_type)
{
	return sample_type == DUOSHM_SAMPLE_INT32 ? sizeof(int32_t) : sizeof(double);
}

#endif
