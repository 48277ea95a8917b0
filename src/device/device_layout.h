/* SPDX-License-Identifier: MIT */
/*
 * What lies in the payload of a device's object.
 *
 *   header         facts and the geometry of the rest; the device, before it publishes the object
 *   descriptions   one per register; the device, before it publishes the object
 *   table          two copies of all rows behind a latch; the device, at every step (see table.h)
 *   stream         a broadcast of blocks (lane_layout.h has their shape); the device
 *
 * Clients map all of it read-only. Rows: one per register, then one with the device's status, then
 * one with the text of its signal. Numbers are fixed in width, doubles are IEEE 754 in the
 * machine's byte order (the object's header refuses another one), and every 8-byte field lies on 8
 * bytes by itself, so that 32-bit and 64-bit programs see the same.
 */
#ifndef DUOSHM_DEVICE_LAYOUT_H
#define DUOSHM_DEVICE_LAYOUT_H

#include "core/word.h"
#include "duoshm/device.h"

#include <stddef.h>

#define DUOSHM__DEVICE_MAGIC  0x3165636976656475u /* "udevice1", little-endian */
#define DUOSHM__DEVICE_LAYOUT 1u
#define DUOSHM__HEARTBEAT_NS  100000000

struct duoshm__device_header {
	uint64_t magic;
	uint32_t layout;
	uint32_t registers;
	/* offsets from the payload's start, and lengths, in bytes */
	uint64_t descriptions_at;
	uint64_t table_at;
	uint64_t stream_at;
	uint64_t stream_bytes;
	uint64_t id; /* of this run of the device: a lane names it, for names are used again */
	int64_t pid;
	int64_t started_ns; /* real time */
	int64_t heartbeat_period_ns;
	struct duoshm_format format; /* the rate changes: it is in the status row */
};
_Static_assert(sizeof(struct duoshm__device_header) == 2208, "the header is part of the layout");
_Static_assert(offsetof(struct duoshm__device_header, format) == 80, "no hidden padding");
_Static_assert(offsetof(struct duoshm_format, rate_hz) == 16, "no hidden padding");

/*
 * Descriptions and values lie there as the public structs, every member on its own size, and the
 * same on every machine.
 */
_Static_assert(sizeof(struct duoshm_register) == 176, "a description is part of the layout");
_Static_assert(offsetof(struct duoshm_register, type) == 112, "no hidden padding");
_Static_assert(offsetof(struct duoshm_register, low) == 128, "no hidden padding");

#define DUOSHM__ROW_WORDS 16
struct duoshm__row {
	struct duoshm__word64 word[DUOSHM__ROW_WORDS];
};
_Static_assert(sizeof(struct duoshm__row) == 128, "a row is part of the layout");

/* The latch in a line of its own; 2 * rows rows follow. */
struct duoshm__table {
	struct duoshm__word32 latch;
	uint8_t spare[60];
	struct duoshm__row row[];
};
_Static_assert(sizeof(struct duoshm__table) == 64, "the rows begin on a line");

/* A register's row is its value. */
_Static_assert(sizeof(struct duoshm_value) == 120, "a value is part of the layout");
_Static_assert(offsetof(struct duoshm_value, real) == 8, "no hidden padding");
_Static_assert(offsetof(struct duoshm_value, severity) == 112, "no hidden padding");

/* The status row. */
struct duoshm__status {
	int64_t heartbeat_ns; /* monotonic */
	uint64_t running;
	uint64_t ended; /* the replay is over */
	uint64_t frames;
	uint64_t clients;
	double rate_hz;
	uint64_t closed; /* it has come to its end, and is no victim */
};
_Static_assert(sizeof(struct duoshm__status) == 56, "no hidden padding");

/* The rows after the registers'. */
enum { DUOSHM__EXTRA_STATUS, DUOSHM__EXTRA_SIGNAL, DUOSHM__EXTRA_ROWS };

static inline size_t duoshm__table_bytes(size_t registers)
{
	return sizeof(struct duoshm__table) +
	       2 * (registers + DUOSHM__EXTRA_ROWS) * sizeof(struct duoshm__row);
}

/* Offsets are multiples of a cache line. */
static inline size_t duoshm__line_up(size_t bytes)
{
	return (bytes + 63) & ~(size_t)63;
}

#endif
