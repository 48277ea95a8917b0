/* SPDX-License-Identifier: MIT */
/*
 * Recorded files as a source of samples: sound files by libsndfile, CSV by a reader of our own.
 * Integer samples come out bit for bit, left-justified to 32 bits; real ones as doubles.
 */
#ifndef DUOSHM_DEVICE_REPLAY_H
#define DUOSHM_DEVICE_REPLAY_H

#include "duoshm/device.h"

#include <stdio.h>

struct duoshm__replay;

/*
 * `bits` and `rate_hz` replace those of the file, 0 keeps them; then its times must be even. The
 * whole file is checked as far as it can be without playing it. NOT_FOUND, PERMISSION, INVALID (not
 * such a file, empty, truncated; the cause says), UNSUPPORTED.
 */
int duoshm__replay_open(
	const char *path, unsigned bits, double rate_hz, struct duoshm__replay **out);
/* Its unit is empty: channels have their own. */
const struct duoshm_format *duoshm__replay_format(const struct duoshm__replay *replay);
const char *duoshm__replay_unit(const struct duoshm__replay *replay, unsigned channel);
/*
 * Up to `frames` frames of the format's type, interleaved. How many; 0: the end. CORRUPT: the file
 * changed.
 */
int duoshm__replay_read(struct duoshm__replay *replay, void *samples, unsigned frames);
int duoshm__replay_rewind(struct duoshm__replay *replay);
void duoshm__replay_close(struct duoshm__replay *replay);

/* What a file says of its samples; zero, but for the rate, when `open` is called. */
struct duoshm__recording {
	struct duoshm_format format; /* rate_hz: asked for; 0: the file's */
	char unit[DUOSHM_CHANNELS_MAX][16];
	double reach; /* real samples: fewer bits are spread over -reach to reach */
};

/* A kind of file; all of them as above. `file` is at its beginning, and the caller's. */
struct duoshm__source {
	int (*open)(
		const char *path, FILE *file, struct duoshm__recording *recording, void **state);
	int (*read)(void *state, int sample_type, void *samples, unsigned frames);
	int (*rewind)(void *state);
	void (*close)(void *state);
};
extern const struct duoshm__source duoshm__source_sound;
extern const struct duoshm__source duoshm__source_csv;

#endif
