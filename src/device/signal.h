/* SPDX-License-Identifier: MIT */
/*
 * The signals that a device can make. A sample is a function of the frame's number, the rate and
 * the seed, so a run repeats itself, nothing needs to be kept for a slow reader, and a change of
 * period keeps the phase.
 */
#ifndef DUOSHM_DEVICE_SIGNAL_H
#define DUOSHM_DEVICE_SIGNAL_H

#include <stddef.h>
#include <stdint.h>

/*
 * Least and most, the same in descriptions, options and registers; levels leave room to compute
 * with them.
 */
#define DUOSHM__PERIODS 1e-9, 1e9 /* s */
#define DUOSHM__RATES   1e-6, 1e8 /* Hz */
#define DUOSHM__LEVELS  -1e15, 1e15

enum duoshm__wave {
	DUOSHM__SINE,
	DUOSHM__QUADRATIC,
	DUOSHM__TRIANGLE,
	DUOSHM__SQUARE,
	DUOSHM__SAW,
	DUOSHM__PULSE,
	DUOSHM__RAMP,
	DUOSHM__DC,
	DUOSHM__COUNTER,
	DUOSHM__NOISE
};

struct duoshm__signal {
	enum duoshm__wave wave;
	double period_s;
	double amplitude, offset; /* in the register's unit; a counter: one step, its start */
	double phase;             /* 0 to 1, of the period */
	double duty;              /* 0 to 1: square, pulse */
	double noise;             /* standard deviation of Gaussian noise that is added */
	double modulus;           /* of a counter: where it begins again */
	uint64_t seed;
	/* the frame at which the phase was last pinned down, and what it was there */
	uint64_t pinned_at;
	double pinned_phase;
};

/* A sine of 2 s, 1 (unit), no noise. */
void duoshm__signal_init(struct duoshm__signal *signal, unsigned bits, uint64_t seed);
/*
 * Applies "sine:period=2s:amp=1V:offset=0:phase=90deg:duty=25%:noise=5mV" to `signal`. 0, or
 * INVALID.
 */
int duoshm__signal_parse(struct duoshm__signal *signal, const char *text, const char *unit);
/* The shortest text that parses to it. */
void duoshm__signal_text(
	const struct duoshm__signal *signal, const char *unit, char *text, size_t size);

double duoshm__signal_value(const struct duoshm__signal *signal, uint64_t frame, double rate_hz);
/* Before a change of period or rate: keeps the phase that the signal has at `frame`. */
void duoshm__signal_pin(struct duoshm__signal *signal, uint64_t frame, double rate_hz);
/* The values that it can take, noise apart. */
void duoshm__signal_range(const struct duoshm__signal *signal, double *low, double *high);

/*
 * N bits (1 to 64) over low..high, both ends included; beyond them it saturates; not a number gives
 * 0.
 */
uint64_t duoshm__quantise(double value, double low, double high, unsigned bits);
double duoshm__dequantise(uint64_t raw, double low, double high, unsigned bits);
double duoshm__full_scale(unsigned bits); /* 2^bits - 1 */

#endif
