/* SPDX-License-Identifier: MIT */
/*
 * The device at work: making frames in time, giving them to the stream and to the captures, taking
 * commands.
 *
 * A block of frames is made, published to whoever follows, and then put into the lane of every
 * capture; the next one is made only when all have it. So a slow capture holds up the signal and
 * loses nothing, while commands and the heartbeat go on. The frames' times stay those of the
 * schedule: what was held up is made up for, and counted in LATE.
 */
#include "config.h"

#include "device/server_state.h"

#include "core/clock.h"
#include "device/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEP_NS          20000000 /* after that long making frames, commands have their turn */
#define TICK_NS          5000000  /* at the shortest between two looks at the time */
#define HELD_NS          1000000  /* and at a capture's queue that is full */
#define COMMANDS_AT_ONCE 16

/* ---- the schedule ---- */

static int64_t wall(const struct duoshm__server *s)
{
	return s->now + s->wall_offset;
}

static int64_t due_time(const struct duoshm__server *s, uint64_t frame)
{
	return s->anchor_ns +
	       (int64_t)((double)(frame - s->anchor_frame) / s->format.rate_hz * 1e9);
}

/* From now on frames are due at the rate, the next one at once. */
static void anchor(struct duoshm__server *s)
{
	s->anchor_ns = s->now;
	s->anchor_frame = s->frame;
	s->wall_offset = duoshm__wall_time() - duoshm__now();
}

static unsigned frames_due(const struct duoshm__server *s)
{
	double due;

	if (s->setup.fast)
		return s->block_frames;
	if (s->now < due_time(s, s->frame))
		return 0;
	due = floor((double)(s->now - s->anchor_ns) * s->format.rate_hz / 1e9) + 1 -
	      (double)(s->frame - s->anchor_frame);
	if (due < 1) /* the two sums round differently */
		return 1;
	return due < s->block_frames ? (unsigned)due : s->block_frames;
}

void duoshm__server_pin(struct duoshm__server *s)
{
	for (unsigned i = 0; !s->replay && i < s->format.channels; i++)
		duoshm__signal_pin(&s->channel[i].signal, s->frame, s->format.rate_hz);
}

void duoshm__server_rate(struct duoshm__server *s, double rate_hz)
{
	duoshm__server_pin(s);
	s->format.rate_hz = rate_hz;
	anchor(s);
}

void duoshm__server_start(struct duoshm__server *s)
{
	if (s->running)
		return;
	if (s->ended && duoshm__replay_rewind(s->replay) == 0) {
		s->ended = 0;
		s->frame = 0;
	}
	s->waiting = 0;
	s->running = !s->ended;
	anchor(s);
}

/* ---- making frames ---- */

static void make_sample(struct duoshm__server *s, size_t at, struct duoshm__channel *channel,
	uint64_t frame, double *value, int64_t *raw)
{
	double analog = duoshm__signal_value(&channel->signal, frame, s->format.rate_hz);
	uint64_t count = duoshm__quantise(analog, channel->low, channel->high, s->format.bits);

	*value = duoshm__dequantise(count, channel->low, channel->high, s->format.bits);
	*raw = (int64_t)count;
	if (s->format.sample_type == DUOSHM_SAMPLE_INT32)
		((int32_t *)s->samples)[at] = (int32_t)count;
	else
		((double *)s->samples)[at] = *value;
}

/* Fills the block with `frames` frames of the signals; the last one is shown in the registers. */
static void make_signals(struct duoshm__server *s, unsigned frames)
{
	int64_t raw = 0;
	double value = 0;

	for (unsigned c = 0; c < s->format.channels; c++) {
		struct duoshm__channel *channel = &s->channel[c];

		for (unsigned i = 0; i < frames; i++)
			make_sample(s, (size_t)i * s->format.channels + c, channel, s->frame + i,
				&value, &raw);
		duoshm__registers_number(&s->registers, channel->reg, value, raw,
			due_time(s, s->frame + frames - 1) + s->wall_offset, wall(s));
	}
}

/* The same from the file; how many frames there were, 0: it is over. */
static unsigned make_replayed(struct duoshm__server *s, unsigned frames)
{
	int got = duoshm__replay_read(s->replay, s->samples, frames);
	size_t last;

	if (got < 0)
		s->over = got;
	if (got <= 0)
		return 0;
	last = (size_t)(got - 1) * s->format.channels;
	for (unsigned c = 0; c < s->format.channels; c++) {
		int integer = s->format.sample_type == DUOSHM_SAMPLE_INT32;
		int64_t sample = integer ? ((int32_t *)s->samples)[last + c] : 0;
		double value = integer ? (double)sample : ((double *)s->samples)[last + c];

		duoshm__registers_number(&s->registers, s->channel[c].reg,
			value * s->format.scale + s->format.offset,
			sample / (INT64_C(1) << (32 - (integer ? s->format.bits : 32))),
			due_time(s, s->frame + (uint64_t)got - 1) + s->wall_offset, wall(s));
	}
	return (unsigned)got;
}

/* A block of no frames tells followers that the replay is over. */
static void make_block(struct duoshm__server *s, unsigned frames)
{
	struct duoshm__block_header *block = s->block;

	memset(block, 0, sizeof *block);
	block->first = s->frame;
	block->t_first_ns = due_time(s, s->frame) + s->wall_offset;
	if (s->replay)
		frames = make_replayed(s, frames);
	else
		make_signals(s, frames);
	block->frames = frames;
	if (frames == 0) {
		block->flags = DUOSHM__BLOCK_END;
		s->ended = 1;
		s->running = 0;
	}
	s->frame += frames;
	for (unsigned i = 0; i < s->lanes.count; i++) {
		struct duoshm__lane *lane = &s->lanes.lane[i];

		lane->owed = lane->capture_serial && frames;
		lane->ending = lane->capture_serial && !frames;
	}
	duoshm_broadcast_publish(s->stream, block, sizeof *block + frames * s->frame_bytes);
	duoshm__registers_show(&s->registers, s->table);
}

/* 1: every capture has all that is owed to it. */
static int deliver(struct duoshm__server *s)
{
	int done = 1;

	for (unsigned i = 0; i < s->lanes.count; i++)
		done &= duoshm__lane_deliver(
			&s->lanes.lane[i], s->block, s->samples, s->frame_bytes);
	return done;
}

static void produce(struct duoshm__server *s)
{
	int64_t until = duoshm__now() + STEP_NS;

	do {
		unsigned frames = s->running ? frames_due(s) : 0;
		int done = deliver(s);

		if (!done || frames == 0) {
			s->held = !done;
			return;
		}
		if (s->held)
			s->late += frames;
		make_block(s, frames);
	} while (duoshm__now() < until);
	s->held = !deliver(s);
}

/* ---- what it shows ---- */

static void show_number(struct duoshm__server *s, unsigned index, double real, int64_t integer)
{
	const struct duoshm_value *now = &s->registers.value[index];

	if (now->sequence == 0 || now->real != real || now->integer != integer)
		duoshm__registers_number(&s->registers, index, real, integer, wall(s), wall(s));
}

/* A register that stands for something of the device's. */
static void show_register(struct duoshm__server *s, unsigned index)
{
	const double *real = s->binding[index].shown;
	const uint64_t *integer = s->binding[index].shown;

	if (real && s->registers.about[index].type == DUOSHM_TYPE_REAL)
		show_number(s, index, *real, 0);
	else if (integer)
		show_number(s, index, 0, (int64_t)*integer);
}

/* The signal, as a text. */
static void show_signal(struct duoshm__server *s)
{
	char *text = (char *)duoshm__registers_extra(&s->registers, DUOSHM__EXTRA_SIGNAL);
	size_t size = sizeof(struct duoshm__plain_row);
	const char *file = strrchr(s->setup.replay, '/');

	if (s->replay)
		snprintf(text, size, "replay:%.100s", file ? file + 1 : s->setup.replay);
	else
		duoshm__signal_text(&s->channel[0].signal,
			s->registers.about[s->channel[0].reg].unit, text, size);
}

static void show(struct duoshm__server *s)
{
	struct duoshm__status status = {
		.heartbeat_ns = duoshm__now(),
		.running = s->running,
		.ended = (uint64_t)s->ended,
		.frames = s->frame,
		.clients = s->clients = duoshm__lanes_served(&s->lanes),
		.rate_hz = s->format.rate_hz,
		.closed = (uint64_t)s->closed,
	};

	for (unsigned i = 0; i < s->registers.count; i++)
		show_register(s, i);
	show_signal(s);
	memcpy(duoshm__registers_extra(&s->registers, DUOSHM__EXTRA_STATUS), &status,
		sizeof status);
	duoshm__registers_show(&s->registers, s->table);
}

/* ---- clients ---- */

static void start_capture(
	struct duoshm__server *s, struct duoshm__lane *lane, const struct duoshm__command *command)
{
	duoshm__lane_capture(lane, command->serial, command->frames);
	/* a replay begins for its first capture, and once more for one that comes after its end */
	if (s->waiting || (s->ended && !s->setup.once))
		duoshm__server_start(s);
	else if (s->ended)
		lane->ending = 1;
}

static void serve(
	struct duoshm__server *s, struct duoshm__lane *lane, const struct duoshm__command *command)
{
	char reply[DUOSHM_REPLY_SIZE] = "unknown operation";
	int code = DUOSHM_ERR_INVALID;

	s->commands++;
	switch (command->op) {
	case DUOSHM__OP_LINE:
		code = duoshm__server_command(s, command->line, reply);
		show(s); /* who has the answer and then reads a register sees what was set */
		break;
	case DUOSHM__OP_CAPTURE:
		code = lane->capture_serial ? DUOSHM_ERR_BUSY : 0;
		DUOSHM__SET(reply, code ? "this lane captures already" : "capture begins");
		if (!code)
			start_capture(s, lane, command);
		break;
	case DUOSHM__OP_STOP:
		code = 0;
		DUOSHM__SET(reply, "capture ends");
		duoshm__lane_capture(lane, 0, 0);
	}
	duoshm__lane_reply(lane, command->serial, code, reply);
}

static void serve_clients(struct duoshm__server *s)
{
	struct duoshm__command command;

	if (s->now >= s->lanes.next_scan) {
		duoshm__lanes_scan(&s->lanes, s->now);
		if (duoshm_segment_removed(s->segment) && !s->over)
			s->over = DUOSHM_ERR_REMOVED;
	}
	for (unsigned i = 0; i < s->lanes.count; i++)
		for (int n = 0; n < COMMANDS_AT_ONCE; n++)
			if (duoshm__lane_command(&s->lanes.lane[i], &command))
				serve(s, &s->lanes.lane[i], &command);
			else
				break;
}

/* ---- life ---- */

int duoshm__server_new(struct duoshm *ctx, const struct duoshm__setup *setup, int64_t now,
	struct duoshm__server **out)
{
	struct duoshm__server *s = calloc(1, sizeof *s);
	int result;

	if (!s)
		return duoshm__no_memory("a device");
	s->ctx = ctx;
	s->setup = *setup;
	s->now = now;
	anchor(s);
	result = duoshm__server_build(s);
	if (result >= 0) {
		int err;

		s->running = !s->replay || setup->start_now;
		s->waiting = !s->running;
		show(s);
		err = duoshm_segment_publish(s->segment);
		result = err < 0 ? err : result;
	}
	if (result < 0)
		duoshm__server_free(s);
	else
		*out = s;
	return result;
}

int duoshm__server_free(struct duoshm__server *s)
{
	int err = 0;

	if (!s)
		return 0;
	/* In this order: a client that finds the process gone must not take its end for a death. */
	s->closed = 1;
	if (s->table)
		show(s);
	if (s->segment)
		err = duoshm_segment_remove(s->segment);
	duoshm__lanes_close(&s->lanes);
	if (s->stream)
		duoshm_broadcast_close(s->stream);
	duoshm_segment_close(s->segment);
	duoshm__replay_close(s->replay);
	free(s->block);
	free(s);
	return err;
}

int64_t duoshm__server_step(struct duoshm__server *s, int64_t now)
{
	int64_t wait = DUOSHM__HEARTBEAT_NS;

	s->now = now;
	serve_clients(s);
	produce(s);
	show(s);
	if (s->ended && s->setup.once && !s->held && !s->over)
		s->over = 1;
	if (s->over)
		return 0;
	if (s->held)
		return HELD_NS;
	if (s->running && s->setup.fast)
		return 0;
	if (s->running && due_time(s, s->frame) - now < wait)
		wait = due_time(s, s->frame) - now;
	/* frames that are due more often than that come several at a time */
	return wait < TICK_NS && s->format.rate_hz > 1e9 / TICK_NS ? TICK_NS : wait < 0 ? 0 : wait;
}

void duoshm__server_wait(struct duoshm__server *s, int64_t ns)
{
	/* rung: a new client may be there */
	if (duoshm_segment_sleep(s->segment, 0, ns) == 0)
		s->lanes.next_scan = 0;
}

int duoshm__server_over(const struct duoshm__server *s)
{
	return s->over;
}

const char *duoshm__server_name(const struct duoshm__server *s)
{
	return s->full_name;
}
