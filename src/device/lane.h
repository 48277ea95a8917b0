/* SPDX-License-Identifier: MIT */
/*
 * The device's side of its clients' lanes: finding them, taking commands, sending replies and
 * captured blocks, and cutting off a lane that does not make sense. Nothing here waits for a
 * client.
 */
#ifndef DUOSHM_DEVICE_LANE_H
#define DUOSHM_DEVICE_LANE_H

#include "device/lane_layout.h"

struct duoshm__lane {
	char name[DUOSHM_NAME_SIZE + 8]; /* with its family */
	uint64_t generation;
	struct duoshm_segment
		*segment; /* NULL: cut off; the slot stays, so that it is not taken up again */
	struct duoshm_queue *queue[DUOSHM__LANE_QUEUES];
	uint32_t capture_serial; /* 0: captures nothing */
	uint64_t capture_left;   /* frames; UINT64_MAX: until the end */
	int owed;                /* the block at hand is not in its queue yet */
	int ending;              /* nor is the end of its capture */
	int seen;                /* by the scan that is going on */
	int fresh;               /* found by it, and not taken up yet */
};

struct duoshm__lanes {
	struct duoshm *ctx;
	const struct duoshm_segment *device;
	struct duoshm_stat device_stat; /* who may write to it has its lanes served */
	uint64_t device_id;
	struct duoshm__lane *lane;
	unsigned count;
	int64_t next_scan;
};

/*
 * Gives up lanes that are gone, takes up new ones, removes those of the dead. A crowd of new ones
 * takes several scans: the samples do not wait for it.
 */
void duoshm__lanes_scan(struct duoshm__lanes *lanes, int64_t now);
/* How many are served. */
unsigned duoshm__lanes_served(const struct duoshm__lanes *lanes);
void duoshm__lanes_close(struct duoshm__lanes *lanes);

/* 1: the next command is in `out`, its line terminated; 0: none. */
int duoshm__lane_command(struct duoshm__lane *lane, struct duoshm__command *out);
/* A client that does not read its replies loses them. */
void duoshm__lane_reply(struct duoshm__lane *lane, uint32_t serial, int code, const char *text);
/* Begins a capture of `frames`, 0: until the end. */
void duoshm__lane_capture(struct duoshm__lane *lane, uint32_t serial, uint64_t frames);
/* Sends what is owed, as far as there is room. 1: nothing is owed any more. */
int duoshm__lane_deliver(struct duoshm__lane *lane, const struct duoshm__block_header *block,
	const void *samples, size_t frame_bytes);

#endif
