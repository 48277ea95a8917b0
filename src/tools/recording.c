/* SPDX-License-Identifier: MIT */
/*
 * recording: makes WAV files and tells whether two hold the same samples; for the demo and the
 * tests, not installed. It compares the bytes of the samples as they stand in the files, and so
 * shares no conversion with what it judges.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/common.h"

static const struct tool_program program = {
	"Usage: %s make FILE u8|16|24|32|float|double CHANNELS FRAMES RATE\n"
	"       %s same FILE FILE\n"
	"Make a WAV file, or compare two, sample for sample.\n",
	NULL, NULL};

#ifdef HAVE_SNDFILE

#include <math.h>
#include <sndfile.h>

static const struct {
	const char *name;
	int format, bytes;
} formats[] = {{"u8", SF_FORMAT_PCM_U8, 1}, {"16", SF_FORMAT_PCM_16, 2},
	{"24", SF_FORMAT_PCM_24, 3}, {"32", SF_FORMAT_PCM_32, 4}, {"float", SF_FORMAT_FLOAT, 4},
	{"double", SF_FORMAT_DOUBLE, 8}};
#define FORMATS (sizeof formats / sizeof *formats)

_Noreturn static void die(const char *path, SNDFILE *sound)
{
	tool_error("%s: %s", path, sf_strerror(sound));
	exit(TOOL_FAILED);
}

static int bytes_of(int format)
{
	for (size_t i = 0; i < FORMATS; i++) {
		if (formats[i].format == (format & SF_FORMAT_SUBMASK))
			return formats[i].bytes;
	}
	return 0;
}

static int format_named(const char *name)
{
	for (size_t i = 0; i < FORMATS; i++) {
		if (strcmp(formats[i].name, name) == 0)
			return SF_FORMAT_WAV | formats[i].format;
	}
	tool_usage("unknown format: %s", name);
}

/* A chirp, higher with each channel, with some noise; the first frames are the extremes. */
static double sample_at(sf_count_t frame, int channel)
{
	static uint32_t noise = 1;
	double t = (double)frame / 8000;

	noise = noise * 1664525u + 1013904223u;
	if (frame < 2)
		return frame ? -1.0 : 1.0;
	return 0.7 * sin(2 * 3.14159265358979 * (200 + 50 * channel + 100 * t) * t) +
	       0.2 * ((double)(noise >> 8) / 16777216.0 - 0.5);
}

static int make(char **argument)
{
	SF_INFO info = {.format = format_named(argument[1]),
		.channels = atoi(argument[2]),
		.samplerate = atoi(argument[4])};
	SNDFILE *sound = sf_open(argument[0], SFM_WRITE, &info);
	double frame[64];

	if (!sound || info.channels > 64)
		die(argument[0], sound);
	sf_command(sound, SFC_SET_CLIPPING, NULL, SF_TRUE);
	for (sf_count_t i = 0; i < atol(argument[3]); i++) {
		for (int channel = 0; channel < info.channels; channel++)
			frame[channel] = sample_at(i, channel);
		if (sf_writef_double(sound, frame, 1) != 1)
			die(argument[0], sound);
	}
	return sf_close(sound) ? TOOL_FAILED : TOOL_DONE;
}

/* NULL, or what differs. */
static const char *other_samples(SNDFILE *a, SNDFILE *b, const SF_INFO *info)
{
	static unsigned char left[65536], right[65536];
	int frame = bytes_of(info->format) * info->channels;
	/* Whole frames only; what follows the last one is padding. */
	sf_count_t room = (sf_count_t)sizeof left / frame * frame;
	sf_count_t rest = info->frames * frame;

	for (sf_count_t n; rest > 0; rest -= n) {
		n = room < rest ? room : rest;
		if (sf_read_raw(a, left, n) != n || sf_read_raw(b, right, n) != n ||
			memcmp(left, right, (size_t)n) != 0)
			return "the samples";
	}
	return NULL;
}

static const char *difference(SNDFILE *const sound[2], const SF_INFO info[2])
{
	if (!bytes_of(info[0].format) ||
		(info[0].format & SF_FORMAT_SUBMASK) != (info[1].format & SF_FORMAT_SUBMASK))
		return "the format of samples";
	if (info[0].channels != info[1].channels || info[0].frames != info[1].frames)
		return "channels or length";
	if (info[0].samplerate != info[1].samplerate)
		return "the rate";
	return other_samples(sound[0], sound[1], &info[0]);
}

static int same(char **path)
{
	SF_INFO info[2] = {{.format = 0}, {.format = 0}};
	SNDFILE *sound[2];
	const char *what;

	for (int i = 0; i < 2; i++) {
		sound[i] = sf_open(path[i], SFM_READ, &info[i]);
		if (!sound[i])
			die(path[i], NULL);
	}
	what = difference(sound, info);
	if (what)
		tool_error("%s and %s differ: %s", path[0], path[1], what);
	else
		printf("%lld samples identical (%d channel%s, %lld frames)\n",
			(long long)info->frames * info->channels, info->channels,
			tool_plural((uint64_t)info->channels), (long long)info->frames);
	sf_close(sound[0]);
	sf_close(sound[1]);
	return what ? TOOL_FAILED : TOOL_DONE;
}

int main(int argc, char **argv)
{
	char **words = tool_begin(argc, argv, &program);
	int count = 0;

	while (words[count])
		count++;
	if (count == 6 && strcmp(words[0], "make") == 0)
		return tool_end(make(words + 1));
	if (count == 3 && strcmp(words[0], "same") == 0)
		return tool_end(same(words + 1));
	tool_usage("wants make or same, and their arguments");
}

#else

int main(int argc, char **argv)
{
	tool_begin(argc, argv, &program);
	tool_error("not available: built without libsndfile");
	return TOOL_FAILED;
}

#endif
