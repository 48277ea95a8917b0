/* SPDX-License-Identifier: MIT */
/* The state of a running device: what server.c, server_build.c and server_commands.c share. */
#ifndef DUOSHM_DEVICE_SERVER_STATE_H
#define DUOSHM_DEVICE_SERVER_STATE_H

#include "device/lane.h"
#include "device/registers.h"
#include "device/replay.h"
#include "device/server.h"
#include "device/signal.h"

/* What it means to the device when a register is set. */
enum duoshm__role {
	DUOSHM__ROLE_PLAIN,  /* nothing: it keeps what it is given */
	DUOSHM__ROLE_SIGNAL, /* a parameter of a signal */
	DUOSHM__ROLE_RATE,
	DUOSHM__ROLE_RUN,
	DUOSHM__ROLE_SEED,
};

struct duoshm__channel {
	unsigned reg; /* the register that shows it */
	struct duoshm__signal signal;
	double low, high; /* what the bits are spread over */
};

struct duoshm__binding {
	enum duoshm__role role;
	void *shown; /* a double for a real register, else a uint64_t; NULL: set otherwise */
};

struct duoshm__server {
	struct duoshm *ctx;
	struct duoshm__setup setup;
	char full_name[DUOSHM_NAME_SIZE + 8];
	struct duoshm_segment *segment;
	struct duoshm__table *table;
	struct duoshm_broadcast *stream;
	struct duoshm__lanes lanes;
	struct duoshm__registers registers;
	struct duoshm__binding binding[DUOSHM_REGISTERS_MAX];

	/* samples */
	struct duoshm_format format; /* its rate: the present one */
	struct duoshm__channel channel[DUOSHM_CHANNELS_MAX];
	struct duoshm__replay *replay;      /* NULL: signals */
	struct duoshm__block_header *block; /* at hand */
	void *samples;                      /* of it, right behind: the stream wants one piece */
	unsigned block_frames;              /* room for */
	size_t frame_bytes;

	/* time: frame `anchor_frame` is due at `anchor_ns` */
	int64_t now, wall_offset; /* real time minus monotonic */
	int64_t anchor_ns;
	uint64_t anchor_frame, frame; /* the next to make */
	uint64_t running;
	int waiting; /* for the first capture */
	int ended;   /* the replay is over */
	int closed;  /* as it tells its clients */
	int held;    /* the block at hand is still owed to a capture */
	int over;    /* as duoshm__server_over */
	uint64_t late, commands, clients;
};

/* server_build.c: channels, registers, the object. */
int duoshm__server_build(struct duoshm__server *server);

/* server.c */
void duoshm__server_start(struct duoshm__server *server);
void duoshm__server_rate(struct duoshm__server *server, double rate_hz);
void duoshm__server_pin(struct duoshm__server *server);

#endif
