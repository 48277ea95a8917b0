/* SPDX-License-Identifier: MIT */
/*
 * The storm of a device: the program `device` and eight clients, each of which follows its stream,
 * captures without loss, reads registers and snapshots, and sets a register of its own. The signals
 * count frames, so that each sample tells which one it is, and two channels count alike, so that
 * one moment's values are equal.
 */
#include "config.h"

#include "stress/storm.h"

#include <duoshm/device.h>

#define CLIENTS 8
#define BITS    24

/* One connection. */
struct session {
	struct life *life;
	struct duoshm_device *device;
	uint64_t device_life;   /* at the latest */
	uint64_t live, capture; /* frames that are expected next; 0: any */
	int64_t written;
	bool lost; /* the device is gone */
};

/* 0, or an error that the device's death explains, which ends the session; all else is a fault. */
static bool holds(struct session *s, int result, const struct before *before)
{
	const struct slot *device = &ledger->slot[0];

	if (result >= 0)
		return true;
	leave_role(s->life);
	(void)heard_of_death(s->life, before);
	if (get(&device->dead) < s->device_life) {
		fprintf(stderr, "storm: client %u: %s\n", s->life->index, duoshm_failure()->cause);
		tell(s->life, FALSE_NEWS, 1);
	}
	s->lost = true;
	return false;
}

/* Frames come one after the other; each sample is the low bits of its frame's number. */
static void check_block(struct session *s, const struct duoshm_block *block, uint64_t *next)
{
	const int32_t *sample = block->samples;

	if (*next != 0 && block->first < *next)
		tell(s->life, DOUBLED, 1);
	else if (*next != 0 && block->first - *next != block->missed)
		tell(s->life, LOST, 1);
	*next = block->first + block->frames;
	for (unsigned i = 0; i < block->frames; i++) {
		int32_t want = (int32_t)((block->first + i) & ((1u << BITS) - 1));
		if (sample[2 * (size_t)i] != want || sample[2 * (size_t)i + 1] != want) {
			tell(s->life, TORN, 1);
			return;
		}
	}
	tell(s->life, CHECKED, 1);
}

static void take_blocks(struct session *s)
{
	struct before before = before_call(s->life);
	struct duoshm_block block;

	if (holds(s, duoshm_device_next(s->device, LONG_TIME, &block), &before))
		check_block(s, &block, &s->live);
	before = before_call(s->life);
	if (s->lost || !holds(s, duoshm_device_capture_next(s->device, LONG_TIME, &block), &before))
		return;
	if (block.missed != 0)
		tell(s->life, LOST, block.missed);
	check_block(s, &block, &s->capture);
}

/* The two that count alike, and my own, which nobody else sets. */
static void read_registers(struct session *s)
{
	struct before before = before_call(s->life);
	struct duoshm_value two[2], own;

	if (s->lost || !holds(s, duoshm_device_snapshot(s->device, 0, 2, two), &before))
		return;
	if (two[0].integer != two[1].integer || two[0].t_sample_ns != two[1].t_sample_ns ||
		(int64_t)two[0].real != two[0].integer)
		tell(s->life, TORN, 1);
	int index = duoshm_device_find(s->device, role_of(s->life)->name);
	CHECK_FATAL(index > 0);
	if (!holds(s, duoshm_device_read(s->device, (unsigned)index, &own), &before))
		return;
	if (s->written != 0 && own.integer != s->written)
		tell(s->life, own.integer < s->written ? LOST : INVENTED, 1);
	tell(s->life, CHECKED, 2);
}

static void command(struct session *s)
{
	int64_t value = (int64_t)get(&s->life->slot->progress) + 1;
	int index = duoshm_device_find(s->device, role_of(s->life)->name);
	struct before before = before_call(s->life);
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)value);
	if (s->lost || !holds(s, duoshm_device_write(s->device, (unsigned)index, text, LONG_TIME),
			       &before))
		return;
	s->written = value;
	tell(s->life, COMMANDS, 1);
}

/* From connecting to the death of the device, or the end. */
static void session(struct life *life)
{
	struct session s = {.life = life, .device_life = get(&ledger->slot[0].lives)};
	struct before before = before_call(life);

	if (!holds(&s,
		    duoshm_device_connect(life->ctx, harness_name("device"), LONG_TIME, &s.device),
		    &before))
		return;
	put(&life->slot->holds, life->number);
	holds(&s, duoshm_device_follow(s.device), &before);
	if (!s.lost)
		holds(&s, duoshm_device_capture(s.device, 0, LONG_TIME), &before);
	while (!s.lost && !is_over(life)) {
		take_blocks(&s);
		if (get(&life->slot->progress) % 4 == 0)
			command(&s);
		read_registers(&s);
		add(&life->slot->progress, 1);
	}
	OK(duoshm_device_disconnect(s.device));
	tell(life, RECONNECTS, s.lost);
}

static int be_client(struct life *life)
{
	while (!is_over(life))
		session(life);
	return 0;
}

static void make_device(struct duoshm *ctx)
{
	FILE *file = fopen(harness_path("device.ini"), "w");

	(void)ctx;
	CHECK_FATAL(file != NULL);
	fprintf(file, "[device]\nname = %s\nbackend = %s\nrate = 2kHz\nbits = %d\n",
		harness_name("device"), storm_family, BITS);
	fprintf(file, "[register A]\nwave = counter\n[register B]\nwave = counter\n");
	for (int i = 1; i <= CLIENTS; i++)
		fprintf(file, "[register OWN%d]\ntype = integer\naccess = rw\nvalue = 0\n", i);
	CHECK_FATAL(fclose(file) == 0);
}

/* It has removed all by itself. */
static void discard_device(struct duoshm *ctx)
{
	struct duoshm_stat stat = DUOSHM_STAT_INIT;

	EXPECT(duoshm_stat(ctx, harness_name("device"), &stat), DUOSHM_ERR_NOT_FOUND);
}

static const struct role device_roles[] = {
	{"device", NULL, -1, 0, NULL, false},
	{"OWN1", be_client, 0, 0, NULL, true},
	{"OWN2", be_client, 0, 0, NULL, true},
	{"OWN3", be_client, 0, 0, NULL, true},
	{"OWN4", be_client, 0, 0, NULL, true},
	{"OWN5", be_client, 0, 0, NULL, true},
	{"OWN6", be_client, 0, 0, NULL, true},
	{"OWN7", be_client, 0, 0, NULL, true},
	{"OWN8", be_client, 0, 0, NULL, true},
	{NULL, NULL, -1, 0, NULL, false},
};
const struct storm device_storm = {"a device", device_roles, make_device, NULL, discard_device};
