/* SPDX-License-Identifier: MIT */
/*
 * What a device is to be: filled by a description file (INI) and by the program's options, which
 * are stronger.
 *
 *	[device]
 *	name = scope0
 *	wave = sine:period=2s:amp=1V:noise=5mV
 *	bits = 10
 *	rate = 10Hz
 *
 *	[register TEMP]
 *	unit = degC
 *	wave = triangle:period=60s:amp=20:offset=20
 *	low = -40
 *	high = 120
 *	hihi = 38
 */
#ifndef DUOSHM_DEVICE_DESCRIBE_H
#define DUOSHM_DEVICE_DESCRIBE_H

#include "duoshm/device.h"

#define DUOSHM__WAVE_SIZE 128
#define DUOSHM__BITS_MAX  64

/* A register of the user's own. */
struct duoshm__register_setup {
	struct duoshm_register about;
	char wave[DUOSHM__WAVE_SIZE]; /* empty: it keeps what it is given */
	char value[64];               /* at the start; empty: never set */
	int line;                     /* of the file: begins messages about it */
};

/* Large. */
struct duoshm__setup {
	char name[DUOSHM_NAME_SIZE];
	char backend[8];
	char wave[DUOSHM__WAVE_SIZE];
	double period_s; /* 0: the wave's own */
	unsigned bits;   /* 0: not said: 10, or as in the replayed file */
	double rate_hz;  /* 0: not said: 10, or as in the replayed file */
	uint64_t seed;
	char replay[1024]; /* a file; empty: signals */
	int start_now;     /* the replay does not wait for a capture */
	int once;          /* the device ends with the replay */
	int fast;          /* as fast as possible instead of at the rate */
	unsigned mode;
	unsigned registers;
	struct duoshm__register_setup reg[DUOSHM_REGISTERS_MAX / 2];
	const char *path; /* of the file; NULL: none was read */
};

void duoshm__setup_init(struct duoshm__setup *setup);

/*
 * One thing of [device], as the file has it and as options have it: "bits", "10". INVALID, with a
 * cause.
 */
int duoshm__setup_set(struct duoshm__setup *setup, const char *key, const char *value);
/*
 * Reads a file, whose path is kept. A recording is looked for beside it. INVALID with "FILE:LINE:
 * ..."; NOT_FOUND, PERMISSION: the file or the recording; UNSUPPORTED (built without libinih).
 */
int duoshm__setup_read(struct duoshm__setup *setup, const char *path);
/* Does each register make sense as a whole? INVALID; the server need not ask again. */
int duoshm__setup_check(const struct duoshm__setup *setup);

#endif
