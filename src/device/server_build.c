/* SPDX-License-Identifier: MIT */
/*
 * Makes a device out of its description: first all in private memory (channels, registers), then
 * the object, which is published when everything in it is in place. The trap: whatever can be
 * refused is refused before the object is made.
 */
#include "config.h"

#include "device/server_state.h"

#include "core/failure.h"
#include "device/text.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define USUAL_BITS   10
#define USUAL_RATE   10.0
#define INTEGER_BITS 31 /* a raw count of more does not fit an INT32 sample */
#define STREAM_MIN   16384
#define STREAM_MAX   1048576
#define BLOCK_MAX    16384 /* bytes: a capture queue holds several */

/* That register cannot be: says where the description, or else which recording, tells of it. */
static int blame(const struct duoshm__server *s, const char *name)
{
	for (unsigned i = 0; i < s->setup.registers; i++)
		if (strcasecmp(s->setup.reg[i].about.name, name) == 0)
			return duoshm__blame("%s:%d", s->setup.path, s->setup.reg[i].line);
	return s->replay ? duoshm__blame("%s", s->setup.replay) : duoshm_failure()->code;
}

static int add(struct duoshm__server *s, const struct duoshm_register *about,
	enum duoshm__role role, void *shown)
{
	int index = duoshm__registers_add(&s->registers, about);

	if (index < 0)
		return blame(s, about->name);
	s->binding[index] = (struct duoshm__binding){role, shown};
	return 0;
}

/* ---- channels ---- */

static int add_channel(
	struct duoshm__server *s, struct duoshm_register about, const char *wave, double period_s)
{
	struct duoshm__channel *channel = &s->channel[s->format.channels];
	int err;

	if (s->format.channels == DUOSHM_CHANNELS_MAX) {
		duoshm__invalid("more than %d registers have waves", DUOSHM_CHANNELS_MAX);
		return blame(s, about.name);
	}
	/* channels differ in their noise, a run repeats itself */
	duoshm__signal_init(&channel->signal, s->format.bits,
		s->setup.seed + s->format.channels * UINT64_C(0xd1342543de82ef95));
	err = duoshm__signal_parse(&channel->signal, wave, about.unit);
	if (err)
		return err;
	if (period_s > 0)
		channel->signal.period_s = period_s;
	if (isnan(about.low))
		duoshm__signal_range(&channel->signal, &about.low, &about.high);
	about.bits = s->format.bits;
	channel->low = about.low;
	channel->high = about.high;
	DUOSHM__SET(s->format.names[s->format.channels], about.name);
	channel->reg = s->registers.count;
	s->format.channels++;
	return add(s, &about, DUOSHM__ROLE_PLAIN, NULL);
}

/* The default register; the outermost parts of its range alarm. */
static int add_volt(struct duoshm__server *s)
{
	struct duoshm_register about = duoshm__register_plain, *volt = s->registers.about;
	double middle, reach;
	int err;

	DUOSHM__SET(about.name, "VOLT");
	DUOSHM__SET(about.unit, "V");
	DUOSHM__SET(about.description, "the signal");
	err = add_channel(s, about, s->setup.wave, s->setup.period_s);
	middle = (volt->low + volt->high) / 2;
	reach = (volt->high - volt->low) / 2;
	volt->lolo = middle - 0.99 * reach;
	volt->low_alarm = middle - 0.9 * reach;
	volt->high_alarm = middle + 0.9 * reach;
	volt->hihi = middle + 0.99 * reach;
	return err;
}

/* One scale serves all channels, or samples are real values. */
static void choose_samples(struct duoshm__server *s)
{
	struct duoshm_format *format = &s->format;
	const struct duoshm__channel *first = &s->channel[0];
	int integer = s->format.bits <= INTEGER_BITS;

	for (unsigned i = 1; i < format->channels; i++)
		integer &= s->channel[i].low == first->low && s->channel[i].high == first->high;
	format->sample_type = integer ? DUOSHM_SAMPLE_INT32 : DUOSHM_SAMPLE_REAL64;
	format->scale =
		integer ? (first->high - first->low) / duoshm__full_scale(s->format.bits) : 1;
	format->offset = integer ? first->low : 0;
	format->rate_hz = s->setup.rate_hz > 0 ? s->setup.rate_hz : USUAL_RATE;
	DUOSHM__SET(format->source, "signal");
}

static int build_signals(struct duoshm__server *s)
{
	const struct duoshm__setup *setup = &s->setup;
	int err = 0;

	s->format.bits = setup->bits ? setup->bits : USUAL_BITS;
	for (unsigned i = 0; !err && i < setup->registers; i++)
		if (setup->reg[i].wave[0])
			err = add_channel(s, setup->reg[i].about, setup->reg[i].wave, 0);
	if (!err && s->format.channels == 0)
		err = add_volt(s);
	if (!err)
		choose_samples(s);
	return err;
}

/* A column's name as a register's: capitals, digits and _, a capital first. */
static void register_name(const char *from, unsigned number, char *to, size_t size)
{
	size_t n = 0;

	for (; *from && n + 1 < size; from++)
		if (isalnum((unsigned char)*from) || (n && strchr("_ -.", *from)))
			to[n++] = isalnum((unsigned char)*from)
					  ? (char)toupper((unsigned char)*from)
					  : '_';
	to[n] = '\0';
	if (!isalpha((unsigned char)to[0]))
		snprintf(to, size, "CH%u", number);
}

static int build_replay(struct duoshm__server *s)
{
	int err = duoshm__replay_open(s->setup.replay, s->setup.bits, s->setup.rate_hz, &s->replay);

	if (err)
		return err;
	s->format = *duoshm__replay_format(s->replay);
	for (unsigned i = 0; !err && i < s->format.channels; i++) {
		struct duoshm_register about = duoshm__register_plain;

		about.precision = 6;
		DUOSHM__SET(about.description, "replayed");
		register_name(s->format.names[i], i + 1, about.name, sizeof about.name);
		DUOSHM__SET(about.unit, duoshm__replay_unit(s->replay, i));
		about.bits = s->format.sample_type == DUOSHM_SAMPLE_INT32 ? s->format.bits : 0;
		s->channel[i].reg = s->registers.count;
		err = add(s, &about, DUOSHM__ROLE_PLAIN, NULL);
	}
	return err;
}

/* ---- registers that every device has ---- */

struct usual {
	enum duoshm__role role;
	int type;
	size_t at;                             /* what it shows, of the signal or the device */
	const char *name, *unit, *description; /* unit NULL: the channel's */
	double low, high;                      /* both 0: no limits */
};

#define SIGNAL(member)                                                                             \
	DUOSHM__ROLE_SIGNAL, DUOSHM_TYPE_REAL, offsetof(struct duoshm__signal, member)
static const struct usual of_channels[] = {
	{SIGNAL(period_s), "PERIOD", "s", "of the signal", DUOSHM__PERIODS},
	{SIGNAL(amplitude), "AMPLITUDE", NULL, "of the signal", DUOSHM__LEVELS},
	{SIGNAL(offset), "OFFSET", NULL, "of the signal", DUOSHM__LEVELS},
};

#define SET(role, type, member)                                                                    \
	DUOSHM__ROLE_##role, DUOSHM_TYPE_##type, offsetof(struct duoshm__server, member)
#define SHOWN(member) SET(PLAIN, INTEGER, member)
static const struct usual of_devices[] = {
	{SET(RATE, REAL, format.rate_hz), "RATE", "Hz", "frames per second", DUOSHM__RATES},
	{SET(RUN, BOOLEAN, running), "RUN", "", "does it make samples?", 0, 0},
	{SET(SEED, INTEGER, setup.seed), "SEED", "", "of the random numbers", 0, 0x1p63},
	{SHOWN(frame), "FRAMES", "", "made so far", 0, 0},
	{SHOWN(late), "LATE", "", "frames held up by a slow capture", 0, 0},
	{SHOWN(commands), "COMMANDS", "", "taken so far", 0, 0},
	{SHOWN(clients), "CLIENTS", "", "lanes being served", 0, 0},
};

/* One of a channel has the channel's name before its own where there are several. */
static int add_usual(
	struct duoshm__server *s, const struct usual *usual, struct duoshm__channel *channel)
{
	struct duoshm_register about = duoshm__register_plain;
	const struct duoshm_register *shown = channel ? &s->registers.about[channel->reg] : &about;

	if (channel && s->format.channels > 1)
		snprintf(about.name, sizeof about.name, "%.21s_%s", shown->name, usual->name);
	else
		DUOSHM__SET(about.name, usual->name);
	DUOSHM__SET(about.description, usual->description);
	DUOSHM__SET(about.unit, usual->unit ? usual->unit : shown->unit);
	about.type = usual->type;
	about.writable = usual->role != DUOSHM__ROLE_PLAIN;
	if (usual->low < usual->high) {
		about.low = usual->low;
		about.high = usual->high;
	}
	return add(s, &about, usual->role,
		(char *)(channel ? (void *)&channel->signal : s) + usual->at);
}

static int add_all_usual(struct duoshm__server *s)
{
	int err = 0;

	for (unsigned c = 0; !s->replay && c < s->format.channels; c++)
		for (size_t i = 0; !err && i < DUOSHM__COUNT(of_channels); i++)
			err = add_usual(s, &of_channels[i], &s->channel[c]);
	for (size_t i = 0; !err && i < DUOSHM__COUNT(of_devices); i++)
		if (!(s->replay && of_devices[i].role == DUOSHM__ROLE_SEED))
			err = add_usual(s, &of_devices[i], NULL);
	return err;
}

/* One of the description's that has no wave. */
static int add_plain(struct duoshm__server *s, const struct duoshm__register_setup *reg)
{
	unsigned index = s->registers.count;
	struct duoshm_value value;
	int err = add(s, &reg->about, DUOSHM__ROLE_PLAIN, NULL);

	if (err || !reg->value[0])
		return err;
	err = duoshm__value_parse(&reg->about, reg->value, &value);
	if (!err)
		duoshm__registers_value(&s->registers, index, &value, s->now + s->wall_offset);
	return err;
}

/* The stream has one unit, or none where channels differ. */
static void choose_unit(struct duoshm__server *s)
{
	const char *first = s->registers.about[s->channel[0].reg].unit;

	DUOSHM__SET(s->format.unit, first);
	for (unsigned i = 1; i < s->format.channels; i++)
		if (strcmp(s->registers.about[s->channel[i].reg].unit, first) != 0)
			s->format.unit[0] = '\0';
}

static int build_registers(struct duoshm__server *s)
{
	const struct duoshm__setup *setup = &s->setup;
	int err = setup->replay[0] ? build_replay(s) : build_signals(s);

	choose_unit(s);
	if (!err)
		err = add_all_usual(s);
	for (unsigned i = 0; !err && i < setup->registers; i++)
		if (!setup->reg[i].wave[0])
			err = add_plain(s, &setup->reg[i]);
	return err;
}

/* ---- the object ---- */

/* About two seconds of samples, a power of two. */
static size_t stream_capacity(const struct duoshm__server *s)
{
	double wanted = 2 * s->format.rate_hz * (double)s->frame_bytes;
	size_t capacity = STREAM_MIN;

	while (capacity < STREAM_MAX && (double)capacity < wanted)
		capacity *= 2;
	return capacity;
}

static void fill_header(const struct duoshm__server *s, struct duoshm__device_header *head)
{
	size_t at = duoshm__line_up(sizeof *head);

	head->magic = DUOSHM__DEVICE_MAGIC;
	head->layout = DUOSHM__DEVICE_LAYOUT;
	head->registers = s->registers.count;
	head->descriptions_at = at;
	at = duoshm__line_up(at + head->registers * sizeof(struct duoshm_register));
	head->table_at = at;
	head->stream_at = duoshm__line_up(at + duoshm__table_bytes(head->registers));
	head->stream_bytes = duoshm_broadcast_bytes(stream_capacity(s));
	head->pid = getpid();
	head->started_ns = s->now + s->wall_offset;
	head->id = (uint64_t)head->started_ns ^ (uint64_t)head->pid << 40;
	head->heartbeat_period_ns = DUOSHM__HEARTBEAT_NS;
	head->format = s->format;
}

static int lay_out(struct duoshm__server *s, const struct duoshm__device_header *head)
{
	char *payload = duoshm_segment_data(s->segment);
	size_t block;
	int err;

	memcpy(payload, head, sizeof *head);
	memcpy(payload + (size_t)head->descriptions_at, s->registers.about,
		s->registers.count * sizeof *s->registers.about);
	s->table = (void *)(payload + (size_t)head->table_at);
	err = duoshm_broadcast_format(
		s->segment, (size_t)head->stream_at, (size_t)head->stream_bytes);
	if (!err)
		err = duoshm_broadcast_attach(s->segment, (size_t)head->stream_at,
			(size_t)head->stream_bytes, DUOSHM_NO_BELLS, DUOSHM_PRODUCER, &s->stream);
	if (err)
		return err;
	block = duoshm_broadcast_longest(s->stream);
	if (block > BLOCK_MAX)
		block = BLOCK_MAX;
	s->block_frames = (unsigned)((block - sizeof *s->block) / s->frame_bytes);
	s->block = calloc(1, block);
	if (!s->block)
		return duoshm__no_memory("samples");
	s->samples = s->block + 1;
	return 0;
}

static int make_object(struct duoshm__server *s)
{
	struct duoshm_create options = DUOSHM_CREATE_INIT;
	struct duoshm__device_header head = {0};
	int result, err;

	fill_header(s, &head);
	options.flags = DUOSHM_UNPUBLISHED;
	options.kind = DUOSHM_KIND_DEVICE;
	options.bells = 1;
	options.mode = s->setup.mode;
	result = duoshm_segment_create(s->ctx, s->setup.name,
		(size_t)(head.stream_at + head.stream_bytes), &options, &s->segment);
	if (result < 0)
		return result;
	snprintf(s->full_name, sizeof s->full_name, "%s:%s", duoshm_segment_backend(s->segment),
		duoshm_segment_name(s->segment));
	s->lanes.device = s->segment;
	s->lanes.ctx = s->ctx;
	s->lanes.device_id = head.id;
	s->lanes.device_stat = (struct duoshm_stat)DUOSHM_STAT_INIT;
	err = duoshm_stat(s->ctx, s->full_name, &s->lanes.device_stat);
	if (!err)
		err = lay_out(s, &head);
	return err < 0 ? err : result;
}

int duoshm__server_build(struct duoshm__server *s)
{
	int err = build_registers(s);

	if (err)
		return err;
	s->frame_bytes = s->format.channels * duoshm__sample_bytes(s->format.sample_type);
	return make_object(s);
}
