/* SPDX-License-Identifier: MIT */
/*
 * Which reader a file is for, and what --bits and --rate change. The readers are replay_sound.c and
 * replay_csv.c. The trap: "same samples" must stay true when nothing is asked to change, so nothing
 * is touched then.
 */
#include "config.h"

#include "device/replay.h"

#include "core/failure.h"
#include "device/quantity.h"
#include "device/signal.h"
#include "device/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct duoshm__replay {
	const struct duoshm__source *source;
	void *state;
	struct duoshm__recording recording;
	unsigned bits; /* to reduce the samples to; 0: they stay as they are */
};

/* Refuses what no reader can read, and picks the reader by the first bytes, else by the name. */
static int choose_source(const char *path, FILE *file, const struct duoshm__source **out)
{
	static const char *const magics[] = {
		"RIFF", "RIFX", "RF64", "FORM", "fLaC", "OggS", ".snd"};
	char head[512] = "";
	size_t length = fread(head, 1, sizeof head, file);
	const char *suffix = strrchr(path, '.');
	int sound = suffix && strcasecmp(suffix, ".wav") == 0;

	rewind(file);
	if (length == 0)
		return duoshm__invalid("%s: is empty", path);
	for (size_t i = 0; i < DUOSHM__COUNT(magics); i++)
		sound |= length >= 4 && memcmp(head, magics[i], 4) == 0;
	if (!sound && memchr(head, '\0', length))
		return duoshm__invalid("%s: is neither a sound file nor CSV", path);
	*out = sound ? &duoshm__source_sound : &duoshm__source_csv;
	return 0;
}

int duoshm__replay_open(
	const char *path, unsigned bits, double rate_hz, struct duoshm__replay **out)
{
	struct duoshm__replay *replay = calloc(1, sizeof *replay);
	struct duoshm_format *format;
	FILE *file = NULL;
	int err;

	if (!replay)
		return duoshm__no_memory("a replay");
	format = &replay->recording.format;
	format->rate_hz = rate_hz;
	err = duoshm__open_file(path, &file);
	if (!err)
		err = choose_source(path, file, &replay->source);
	if (!err)
		err = replay->source->open(path, file, &replay->recording, &replay->state);
	if (file)
		fclose(file);
	if (!err && duoshm__between("rate", format->rate_hz, DUOSHM__RATES, "Hz"))
		err = duoshm__blame("%s", path);
	if (err) {
		duoshm__replay_close(replay);
		return err;
	}
	if (bits && (format->sample_type == DUOSHM_SAMPLE_REAL64 || bits < format->bits))
		format->bits = replay->bits = bits;
	*out = replay;
	return 0;
}

const struct duoshm_format *duoshm__replay_format(const struct duoshm__replay *replay)
{
	return &replay->recording.format;
}

const char *duoshm__replay_unit(const struct duoshm__replay *replay, unsigned channel)
{
	return replay->recording.unit[channel];
}

/* To the nearest of 2^bits steps, left-justified still; the topmost step saturates. */
static int32_t reduce(int32_t sample, unsigned bits)
{
	int64_t step = INT64_C(1) << (32 - bits);
	int64_t rounded = ((int64_t)sample + step / 2) & ~(step - 1);

	return (int32_t)(rounded > INT32_MAX ? rounded - step : rounded);
}

int duoshm__replay_read(struct duoshm__replay *replay, void *samples, unsigned frames)
{
	const struct duoshm_format *format = &replay->recording.format;
	double reach = replay->recording.reach; /* beyond which there is nothing */
	int got = replay->source->read(replay->state, format->sample_type, samples, frames);
	size_t count = got > 0 ? (size_t)got * format->channels : 0;
	int32_t *integers = samples;
	double *reals = samples;

	for (size_t i = 0; replay->bits && i < count; i++) {
		if (format->sample_type == DUOSHM_SAMPLE_INT32)
			integers[i] = reduce(integers[i], replay->bits);
		else if (!isnan(reals[i]))
			reals[i] = reach * duoshm__dequantise(duoshm__quantise(reals[i] / reach, -1,
								      1, replay->bits),
						   -1, 1, replay->bits);
	}
	return got;
}

int duoshm__replay_rewind(struct duoshm__replay *replay)
{
	return replay->source->rewind(replay->state);
}

void duoshm__replay_close(struct duoshm__replay *replay)
{
	if (!replay)
		return;
	if (replay->state)
		replay->source->close(replay->state);
	free(replay);
}
