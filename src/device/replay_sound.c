/* SPDX-License-Identifier: MIT */
/*
 * Sound files. Integer formats are read by sf_readf_int, which left-justifies them without loss;
 * real ones by sf_readf_double, unscaled. The trap: libsndfile shortens a truncated WAV in silence,
 * so its chunks are looked at first.
 */
#include "config.h"

#include "device/replay.h"

#include "core/failure.h"
#include "device/text.h"

#include <stdio.h>
#include <string.h>

#ifdef HAVE_SNDFILE
#include <sndfile.h>

static uint32_t little32(const unsigned char *b)
{
	return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

/* 0 when the data chunk of a RIFF file is all there, or when it is no such file. */
static int check_whole(const char *path, FILE *file)
{
	unsigned char head[12] = "";
	long at = 12, end;

	if (fread(head, 1, sizeof head, file) != sizeof head || memcmp(head, "RIFF", 4) != 0)
		return 0; /* libsndfile will say why, if it is none */
	fseek(file, 0, SEEK_END);
	end = ftell(file);
	while (fseek(file, at, SEEK_SET) == 0 && fread(head, 1, 8, file) == 8) {
		uint32_t length = little32(head + 4);

		at += 8;
		if (memcmp(head, "data", 4) == 0) {
			/* a writer that could not know the length leaves all ones */
			if (length == UINT32_MAX || length <= (uint64_t)(end - at))
				return 0;
			return duoshm__invalid(
				"%s: is truncated: %lu bytes of samples announced, %ld are there",
				path, (unsigned long)length, end - at);
		}
		if (memcmp(head, "fmt ", 4) == 0 && fread(head, 1, 8, file) == 8 &&
			little32(head + 4) == 0)
			return duoshm__invalid("%s: has a rate of 0 Hz", path);
		at += (long)length + (long)(length & 1);
	}
	return 0;
}

/* Significant bits of a format of samples; 0: unknown. */
static unsigned bits_of(int subtype, int *sample_type)
{
	*sample_type = DUOSHM_SAMPLE_INT32;
	switch (subtype) {
	case SF_FORMAT_PCM_S8:
	case SF_FORMAT_PCM_U8: return 8;
	case SF_FORMAT_ULAW:
	case SF_FORMAT_ALAW:
	case SF_FORMAT_PCM_16: return 16;
	case SF_FORMAT_PCM_24: return 24;
	case SF_FORMAT_PCM_32: return 32;
	}
	*sample_type = DUOSHM_SAMPLE_REAL64;
	switch (subtype) {
	case SF_FORMAT_FLOAT: return 32;
	case SF_FORMAT_DOUBLE: return 64;
	}
	return 0;
}

static int describe(const char *path, const SF_INFO *info, struct duoshm__recording *recording)
{
	struct duoshm_format *format = &recording->format;

	format->bits = bits_of(info->format & SF_FORMAT_SUBMASK, &format->sample_type);
	if (!format->bits)
		return duoshm__fail(DUOSHM_ERR_UNSUPPORTED,
			"%s: its samples are compressed (format 0x%x); convert it to PCM", path,
			(unsigned)info->format);
	if (info->channels < 1 || info->channels > DUOSHM_CHANNELS_MAX)
		return duoshm__fail(DUOSHM_ERR_UNSUPPORTED,
			"%s: has %d channels; 1 to %d can be played", path, info->channels,
			DUOSHM_CHANNELS_MAX);
	if (info->frames < 1)
		return duoshm__invalid("%s: holds no samples", path);
	format->channels = (unsigned)info->channels;
	if (format->rate_hz <= 0)
		format->rate_hz = info->samplerate;
	recording->reach = 1;
	format->total_frames = (uint64_t)info->frames;
	format->scale = format->sample_type == DUOSHM_SAMPLE_INT32 ? 1 / 2147483648.0 : 1;
	DUOSHM__SET(format->source, "wav");
	for (unsigned i = 0; i < format->channels; i++) {
		DUOSHM__SET(recording->unit[i], "FS"); /* of full scale */
		snprintf(format->names[i], sizeof format->names[i], "CH%u", i + 1);
	}
	return 0;
}

static int sound_open(
	const char *path, FILE *whole, struct duoshm__recording *recording, void **state)
{
	SF_INFO info = {0};
	SNDFILE *file;
	int err = check_whole(path, whole);

	if (err)
		return err;
	file = sf_open(path, SFM_READ, &info);
	if (!file)
		return duoshm__invalid(
			"%s: is no sound file that can be read: %s", path, sf_strerror(NULL));
	err = describe(path, &info, recording);
	if (err)
		sf_close(file);
	else
		*state = file;
	return err;
}

static int sound_read(void *file, int sample_type, void *samples, unsigned frames)
{
	sf_count_t got = sample_type == DUOSHM_SAMPLE_INT32
				 ? sf_readf_int(file, samples, frames)
				 : sf_readf_double(file, samples, frames);

	if (got == 0 && sf_error(file) != SF_ERR_NO_ERROR)
		return duoshm__fail(DUOSHM_ERR_CORRUPT, "%s", sf_strerror(file));
	return (int)got;
}

static int sound_rewind(void *file)
{
	if (sf_seek(file, 0, SEEK_SET) == 0)
		return 0;
	return duoshm__fail(DUOSHM_ERR_SYSTEM, "cannot go back: %s", sf_strerror(file));
}

static void sound_close(void *file)
{
	sf_close(file);
}

const struct duoshm__source duoshm__source_sound = {
	.open = sound_open,
	.read = sound_read,
	.rewind = sound_rewind,
	.close = sound_close,
};

#else /* without libsndfile the reader says so */

static int sound_open(
	const char *path, FILE *file, struct duoshm__recording *recording, void **state)
{
	(void)file;
	(void)recording;
	(void)state;
	return duoshm__fail(DUOSHM_ERR_UNSUPPORTED,
		"%s: this program was built without libsndfile, which reads sound files", path);
}

/* No sound file is ever open: the rest is never called. */
const struct duoshm__source duoshm__source_sound = {.open = sound_open};
#endif
