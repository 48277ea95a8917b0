/* SPDX-License-Identifier: MIT */
/* A client's connection to a device: what connection.c (registers, stream) and connection_lane.c share. */
#ifndef DUOSHM_DEVICE_CONNECTION_H
#define DUOSHM_DEVICE_CONNECTION_H

#include "device/device_layout.h"
#include "device/lane_layout.h"

/* Longest sleep without a look at whether the device is still there. */
#define DUOSHM__SLICE_NS 100000000

struct duoshm_device {
	struct duoshm *ctx;
	struct duoshm_segment *segment; /* the device's, read-only */
	const struct duoshm__table *table;
	struct duoshm__device_header head; /* a copy, checked */
	struct duoshm_register *about;     /* copies */
	struct duoshm__plain_row *rows;    /* room for a snapshot */

	struct duoshm_broadcast *stream; /* NULL: not following */
	void *block;
	size_t block_size;
	uint64_t stream_next; /* number of the frame that should come */
	int stream_begun;

	struct duoshm_segment *lane; /* NULL: none yet */
	char lane_name[DUOSHM_NAME_SIZE + 8];
	struct duoshm_queue *commands, *replies, *capture;
	uint32_t serial;         /* of the last command */
	uint32_t capture_serial; /* of the capture that is going on; 0: none */
	uint64_t capture_next;
	int capture_begun, capture_peeked;
};

/* Checks a block against its length and the connection's format, and fills `out`. CORRUPT. */
int duoshm__block_take(struct duoshm_device *device, const void *message, size_t length,
	uint64_t *next, int *begun, struct duoshm_block *out);
/* The status row. */
int duoshm__device_status(struct duoshm_device *device, struct duoshm__plain_row *out);
/* Gives the lane up, if there is one. */
void duoshm__lane_leave(struct duoshm_device *device);

#endif
