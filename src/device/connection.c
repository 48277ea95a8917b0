/* SPDX-License-Identifier: MIT */
/*
 * A client's connection: connecting, registers, the live stream. Commands and captures are
 * connection_lane.c.
 *
 * The trap: the device's object is another process's memory. Its geometry is copied once, checked
 * against the size of the segment, and only the copy is used; every length in the stream is checked
 * before it is believed.
 */
#include "config.h"

#include "device/connection.h"

#include "core/clock.h"
#include "core/failure.h"
#include "device/table.h"
#include "device/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- names ---- */

static const char *name_of(const char *const *names, size_t count, int number)
{
	return number >= 0 && (size_t)number < count ? names[number] : "?";
}

const char *duoshm_severity_name(int severity)
{
	static const char *const names[] = {"NO_ALARM", "MINOR", "MAJOR", "INVALID"};

	return name_of(names, DUOSHM__COUNT(names), severity);
}

const char *duoshm_alarm_name(int alarm)
{
	static const char *const names[] = {
		"NO_ALARM", "HIHI", "HIGH", "LOW", "LOLO", "READ", "COMM", "UDF"};

	return name_of(names, DUOSHM__COUNT(names), alarm);
}

const char *duoshm_type_name(int type)
{
	static const char *const names[] = {"?", "real", "integer", "boolean", "text"};

	return name_of(names, DUOSHM__COUNT(names), type);
}

/* ---- connecting ---- */

/* Do `bytes` bytes from the start of a cache line lie in the payload? */
static int fits(uint64_t at, uint64_t bytes, size_t size)
{
	return at % 64 == 0 && at <= size && bytes <= size - at;
}

static int check_header(const struct duoshm__device_header *head, size_t size)
{
	const struct duoshm_format *format = &head->format;

	if (head->magic != DUOSHM__DEVICE_MAGIC)
		return duoshm__fail(
			DUOSHM_ERR_CORRUPT, "the object does not begin as a device does");
	if (head->layout != DUOSHM__DEVICE_LAYOUT)
		return duoshm__fail(DUOSHM_ERR_INCOMPATIBLE,
			"the device has layout %lu, this program %u", (unsigned long)head->layout,
			DUOSHM__DEVICE_LAYOUT);
	if (head->registers < 1 || head->registers > DUOSHM_REGISTERS_MAX ||
		!fits(head->descriptions_at, head->registers * sizeof(struct duoshm_register),
			size) ||
		!fits(head->table_at, duoshm__table_bytes(head->registers), size) ||
		!fits(head->stream_at, head->stream_bytes, size) || format->channels < 1 ||
		format->channels > DUOSHM_CHANNELS_MAX || format->bits < 1 || format->bits > 64 ||
		(format->sample_type != DUOSHM_SAMPLE_INT32 &&
			format->sample_type != DUOSHM_SAMPLE_REAL64))
		return duoshm__fail(DUOSHM_ERR_CORRUPT, "the device's header does not make sense");
	return 0;
}

#define TERMINATE(text) ((text)[sizeof(text) - 1] = '\0')

static int check_description(struct duoshm_register *about)
{
	TERMINATE(about->name);
	TERMINATE(about->unit);
	TERMINATE(about->description);
	about->writable = about->writable != 0;
	if (about->name[0] && about->type >= DUOSHM_TYPE_REAL && about->type <= DUOSHM_TYPE_TEXT &&
		about->precision >= 0 && about->precision <= 17 && about->bits <= 64)
		return 0;
	return duoshm__fail(DUOSHM_ERR_CORRUPT, "a register's description does not make sense");
}

/* Copies and checks all that stays as it is while the device runs. */
static int read_object(struct duoshm_device *device)
{
	const char *payload = duoshm_segment_data(device->segment);
	size_t size = duoshm_segment_size(device->segment);
	int err;

	if (duoshm_segment_kind(device->segment) != DUOSHM_KIND_DEVICE)
		return duoshm__fail(DUOSHM_ERR_WRONG_KIND, "%s is a %s, no device",
			duoshm_segment_name(device->segment),
			duoshm_kind_name(duoshm_segment_kind(device->segment)));
	snprintf(device->full_name, sizeof device->full_name, "%s:%s",
		duoshm_segment_backend(device->segment), duoshm_segment_name(device->segment));
	if (size < sizeof device->head)
		return duoshm__fail(DUOSHM_ERR_CORRUPT, "the object is too small for a device");
	memcpy(&device->head, payload, sizeof device->head);
	TERMINATE(device->head.format.unit);
	TERMINATE(device->head.format.source);
	for (unsigned i = 0; i < DUOSHM_CHANNELS_MAX; i++)
		TERMINATE(device->head.format.names[i]);
	err = check_header(&device->head, size);
	if (err)
		return err;
	device->table = (const void *)(payload + device->head.table_at);
	device->about = calloc(device->head.registers, sizeof *device->about);
	device->types = calloc(device->head.registers, sizeof *device->types);
	if (!device->about || !device->types)
		return duoshm__no_memory("a connection");
	memcpy(device->about, payload + device->head.descriptions_at,
		device->head.registers * sizeof *device->about);
	for (unsigned i = 0; !err && i < device->head.registers; i++) {
		err = check_description(&device->about[i]);
		device->types[i] = (unsigned char)device->about[i].type;
	}
	return err;
}

/* A device whose process is dead may yet be replaced by a new one: that is waited for, too. */
static int open_living(
	struct duoshm *ctx, const char *name, int64_t timeout_ns, struct duoshm_segment **out)
{
	int64_t deadline = duoshm__deadline(timeout_ns);

	for (;;) {
		int64_t left = duoshm__remaining(deadline, DUOSHM_FOREVER);
		struct duoshm_segment *segment;
		int result = duoshm_segment_open(ctx, name, DUOSHM_READ_ONLY, left, &segment);

		if (result < 0)
			return result;
		if (duoshm_segment_owner_alive(segment) != 0) {
			*out = segment;
			return 0;
		}
		duoshm_segment_close(segment);
		left = duoshm__remaining(deadline, 20000000);
		if (left <= 0)
			return duoshm__fail(DUOSHM_ERR_PEER_DEAD,
				"the device %s is dead and has left its remains", name);
		duoshm__pause(left);
	}
}

int duoshm_device_connect(
	struct duoshm *ctx, const char *name, int64_t timeout_ns, struct duoshm_device **out)
{
	struct duoshm_device *device;
	int err;

	if (!ctx || !name || !out || timeout_ns < 0)
		return duoshm__invalid("connect: context, name or timeout is wrong");
	device = calloc(1, sizeof *device);
	if (!device)
		return duoshm__no_memory("a connection");
	device->ctx = ctx;
	DUOSHM__SET(device->asked, name);
	err = open_living(ctx, name, timeout_ns, &device->segment);
	if (!err)
		err = read_object(device);
	if (err) {
		duoshm_device_disconnect(device);
		return err;
	}
	*out = device;
	return 0;
}

int duoshm_device_disconnect(struct duoshm_device *device)
{
	int err;

	if (!device)
		return 0;
	err = duoshm__lane_leave(device);
	if (device->stream)
		duoshm_broadcast_close(device->stream);
	duoshm_segment_close(device->segment);
	free(device->block);
	free(device->about);
	free(device->types);
	free(device);
	return err;
}

static size_t row_count(const struct duoshm_device *device)
{
	return device->head.registers + DUOSHM__EXTRA_ROWS;
}

static int read_status(const struct duoshm_device *device, struct duoshm__status *out)
{
	struct duoshm__plain_row row;
	int err = duoshm__table_read(
		device->table, row_count(device), device->head.registers, 1, &row);

	if (err)
		return err;
	memcpy(out, row.word, sizeof *out);
	/* What is made of it are lengths and times. */
	if (!isfinite(out->rate_hz) || out->rate_hz <= 0)
		return duoshm__fail(
			DUOSHM_ERR_CORRUPT, "the device tells a rate of %g Hz", out->rate_hz);
	return 0;
}

int duoshm__device_look(struct duoshm_device *device)
{
	const char *name = duoshm_segment_name(device->segment);
	int alive = duoshm_segment_owner_alive(device->segment);
	struct duoshm__status status;

	if (alive < 0 && alive != DUOSHM_ERR_UNSUPPORTED)
		return alive;
	if (alive == 0 && (read_status(device, &status) < 0 || !status.closed))
		return duoshm__fail(DUOSHM_ERR_PEER_DEAD, "the device %s died", name);
	if (alive == 0 || duoshm_segment_removed(device->segment))
		return duoshm__fail(DUOSHM_ERR_REMOVED, "the device %s has ended", name);
	return 0;
}

/* The new connection takes the old one's place, and the old one is given up. */
static int go_over(struct duoshm_device *device)
{
	struct duoshm_device *fresh, old = *device;
	int err = duoshm_device_connect(device->ctx, device->asked, 0, &fresh);

	if (!err && device->stream) {
		err = duoshm_device_follow(fresh);
		if (err)
			duoshm_device_disconnect(fresh);
	}
	if (err)
		return err;
	*device = *fresh;
	*fresh = old;
	return duoshm_device_disconnect(fresh);
}

int duoshm_device_check(struct duoshm_device *device)
{
	int gone = duoshm__device_look(device);
	struct duoshm_failure why = *duoshm_failure();
	int err;

	if (gone != DUOSHM_ERR_PEER_DEAD && gone != DUOSHM_ERR_REMOVED)
		return gone;
	err = go_over(device);
	if (!err)
		return DUOSHM_REPLACED;
	/* None is there yet; what is there and will not do is told as it is. */
	if (err == DUOSHM_ERR_NOT_FOUND || err == DUOSHM_ERR_TIMEOUT || err == DUOSHM_ERR_PEER_DEAD)
		return duoshm__fail_native(&why);
	return err;
}

/* ---- what it says of itself ---- */

int duoshm_device_info(struct duoshm_device *device, struct duoshm_device_info *out)
{
	struct duoshm_device_info info = DUOSHM_DEVICE_INFO_INIT;
	struct duoshm_stat st = DUOSHM__STAT_BRIEF;
	struct duoshm__plain_row row[DUOSHM__EXTRA_ROWS];
	struct duoshm__status status;
	int err, alive;

	if (!out || out->size < sizeof info)
		return duoshm__invalid("info: begin with DUOSHM_DEVICE_INFO_INIT");
	err = duoshm__table_read(
		device->table, row_count(device), device->head.registers, DUOSHM__EXTRA_ROWS, row);
	if (err)
		return err;
	memcpy(&status, row[DUOSHM__EXTRA_STATUS].word, sizeof status);
	DUOSHM__SET(info.name, duoshm_segment_name(device->segment));
	DUOSHM__SET(info.backend, duoshm_segment_backend(device->segment));
	if (duoshm_stat(device->ctx, device->full_name, &st) >= 0)
		DUOSHM__SET(info.native, st.native);
	memcpy(info.signal, row[DUOSHM__EXTRA_SIGNAL].word, sizeof info.signal);
	TERMINATE(info.signal);
	alive = duoshm_segment_owner_alive(device->segment);
	info.alive = alive < 0 ? -1 : alive;
	info.pid = device->head.pid;
	info.running = status.running != 0;
	info.started_ns = device->head.started_ns;
	/* By unsigned numbers: what the device says may be no time at all. */
	info.heartbeat_age_ns = (int64_t)((uint64_t)duoshm__now() - (uint64_t)status.heartbeat_ns);
	info.heartbeat_period_ns = device->head.heartbeat_period_ns;
	info.rate_hz = status.rate_hz;
	info.channels = device->head.format.channels;
	info.bits = device->head.format.bits;
	info.sample_type = device->head.format.sample_type;
	info.registers = device->head.registers;
	info.clients = (unsigned)status.clients;
	info.frames = status.frames;
	info.total_frames = device->head.format.total_frames;
	*out = info;
	return 0;
}

int duoshm_device_format(struct duoshm_device *device, struct duoshm_format *out)
{
	struct duoshm__status status;
	int err = read_status(device, &status);

	if (err)
		return err;
	*out = device->head.format;
	out->rate_hz = status.rate_hz;
	return 0;
}

/* ---- registers ---- */

int duoshm_device_registers(struct duoshm_device *device)
{
	return (int)device->head.registers;
}

int duoshm_device_find(struct duoshm_device *device, const char *name)
{
	for (unsigned i = 0; i < device->head.registers; i++)
		if (strcasecmp(device->about[i].name, name) == 0)
			return (int)i;
	return duoshm__fail(DUOSHM_ERR_NOT_FOUND, "no such register: %s", name);
}

static int check_index(const struct duoshm_device *device, unsigned first, unsigned count)
{
	if (first < device->head.registers && count <= device->head.registers - first)
		return 0;
	return duoshm__invalid("register %u and %u more: there are %lu", first, count,
		(unsigned long)device->head.registers);
}

int duoshm_device_describe(
	struct duoshm_device *device, unsigned index, struct duoshm_register *out)
{
	int err = check_index(device, index, 1);

	if (!err)
		*out = device->about[index];
	return err;
}

int duoshm_device_snapshot(
	struct duoshm_device *device, unsigned first, unsigned count, struct duoshm_value *out)
{
	int err = check_index(device, first, count);

	if (!err)
		err = duoshm__table_values(
			device->table, row_count(device), first, count, device->types + first, out);
	return err;
}

int duoshm_device_read(struct duoshm_device *device, unsigned index, struct duoshm_value *out)
{
	return duoshm_device_snapshot(device, index, 1, out);
}

/* ---- the live stream ---- */

int duoshm__block_take(const struct duoshm_device *device, const void *message, size_t length,
	struct duoshm__cursor *cursor, struct duoshm_block *out)
{
	size_t frame = device->head.format.channels *
		       duoshm__sample_bytes(device->head.format.sample_type);
	struct duoshm__block_header head;

	if (length < sizeof head)
		return duoshm__fail(
			DUOSHM_ERR_CORRUPT, "a block of %zu bytes is too short", length);
	memcpy(&head, message, sizeof head);
	if (head.serial != cursor->serial)
		return 0;
	if (head.frames > length / frame || length - sizeof head != head.frames * frame)
		return duoshm__fail(DUOSHM_ERR_CORRUPT,
			"a block of %zu bytes says that it has %lu frames", length,
			(unsigned long)head.frames);
	out->first = head.first;
	out->t_first_ns = head.t_first_ns;
	out->frames = head.frames;
	/* a smaller number than expected is a new start, not a loss */
	out->missed = cursor->begun && head.first > cursor->next ? head.first - cursor->next : 0;
	out->samples = (const char *)message + sizeof head;
	cursor->next = head.first + head.frames;
	cursor->begun = 1;
	return 1;
}

int duoshm_device_follow(struct duoshm_device *device)
{
	struct duoshm__status status;
	int err;

	if (device->stream)
		return duoshm__fail(DUOSHM_ERR_BUSY, "this connection follows already");
	err = duoshm_broadcast_attach(device->segment, (size_t)device->head.stream_at,
		(size_t)device->head.stream_bytes, DUOSHM_NO_BELLS, DUOSHM_READER, &device->stream);
	if (err)
		return err;
	/* where it begins, for a reader that loses what comes before its first block */
	if (read_status(device, &status) == 0)
		device->live.next = status.frames;
	device->block_size = duoshm_broadcast_longest(device->stream);
	device->block = malloc(device->block_size);
	if (device->block)
		return 0;
	duoshm_broadcast_close(device->stream);
	device->stream = NULL;
	return duoshm__fail(DUOSHM_ERR_NO_SPACE, "no memory to follow with");
}

/* Nothing has come for a while: is the device gone, or its replay over? */
static int why_silent(struct duoshm_device *device)
{
	struct duoshm__status status;
	int err = duoshm__device_look(device);

	if (!err)
		err = read_status(device, &status);
	if (!err && status.ended)
		err = duoshm__fail(DUOSHM_ERR_END, "the replay is over");
	return err;
}

int duoshm_device_next(struct duoshm_device *device, int64_t timeout_ns, struct duoshm_block *out)
{
	int64_t deadline = duoshm__deadline(timeout_ns);
	struct duoshm_block block;
	uint64_t lost = 0; /* in messages; what is told is in frames */
	struct duoshm_failure silent = {0};

	if (!device->stream)
		return duoshm__invalid("next: this connection does not follow");
	for (;;) {
		ssize_t n = duoshm_broadcast_next(device->stream, device->block, device->block_size,
			&lost, silent.code ? 0 : duoshm__remaining(deadline, DUOSHM__SLICE_NS));

		if (n >= 0) {
			int result;

			device->live.begun |= lost > 0;
			result = duoshm__block_take(
				device, device->block, (size_t)n, &device->live, &block);
			if (result == 0) /* the stream has no serials */
				return duoshm__fail(
					DUOSHM_ERR_CORRUPT, "a block of a capture in the stream");
			if (result < 0)
				return result;
			/*
			 * who missed the last frames is told before the end is: the next call says
			 * END
			 */
			if (block.frames == 0 && !block.missed)
				return duoshm__fail(DUOSHM_ERR_END, "the replay is over");
			*out = block;
			return 0;
		}
		if (n != DUOSHM_ERR_TIMEOUT)
			return duoshm__device_look(device) < 0 ? duoshm_failure()->code : (int)n;
		if (silent.code) /* and after the second look still nothing */
			return duoshm__fail_native(&silent);
		if (why_silent(device) < 0)
			silent = *duoshm_failure();
		if (!silent.code && duoshm__remaining(deadline, DUOSHM__SLICE_NS) == 0)
			return duoshm__fail(DUOSHM_ERR_TIMEOUT, "no sample came in time");
	}
}
