/* SPDX-License-Identifier: MIT */
/*
 * A client's connection to a device: what connection.c (registers, stream) and connection_lane.c
 * share.
 */
#ifndef DUOSHM_DEVICE_CONNECTION_H
#define DUOSHM_DEVICE_CONNECTION_H

#include "device/device_layout.h"
#include "device/lane_layout.h"

/* Longest sleep without a look at whether the device is still there. */
#define DUOSHM__SLICE_NS 100000000

/* Which blocks count, and which should come. */
struct duoshm__cursor {
	uint32_t serial; /* of a capture; 0: the stream */
	int begun;
	uint64_t next; /* number of a frame */
};

struct duoshm_device {
	struct duoshm *ctx;
	char asked[DUOSHM_NAME_SIZE + 8];     /* the name as it was given */
	struct duoshm_segment *segment;       /* the device's, read-only */
	char full_name[DUOSHM_NAME_SIZE + 8]; /* with its family */
	const struct duoshm__table *table;
	struct duoshm__device_header head; /* a copy, checked */
	struct duoshm_register *about;     /* copies */
	unsigned char *types;              /* of the registers, side by side */

	struct duoshm_broadcast *stream; /* NULL: not following */
	void *block;
	size_t block_size;
	struct duoshm__cursor live;

	struct duoshm_segment *lane; /* NULL: none yet */
	char lane_name[DUOSHM_NAME_SIZE + 24];
	struct duoshm_queue *queue[DUOSHM__LANE_QUEUES];
	uint32_t serial;                /* of the last command */
	struct duoshm__cursor captured; /* serial 0: no capture is going on */
	int peeked;                     /* a block of it is handed out */
	unsigned unanswered;            /* commands */
};

/*
 * Checks a block against its length and the connection's format. 1: `out` is filled, no frames mean
 * the end; 0: it is of another capture; CORRUPT.
 */
int duoshm__block_take(const struct duoshm_device *device, const void *message, size_t length,
	struct duoshm__cursor *cursor, struct duoshm_block *out);
/* 0 while this very device lives; PEER_DEAD, REMOVED. */
int duoshm__device_look(struct duoshm_device *device);
/* Gives the lane up, if there is one. */
int duoshm__lane_leave(struct duoshm_device *device);

#endif
