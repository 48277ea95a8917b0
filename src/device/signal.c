/* SPDX-License-Identifier: MIT */
/*
 * Wave forms, noise, quantising. Pure arithmetic: no clock, no state but the signal's own
 * parameters.
 *
 * Random numbers: SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators",
 * OOPSLA 2014), which is a mixing function over a counter; the counter here is the frame's number.
 * Gaussian by Box and Muller (1958).
 */
#include "config.h"

#include "device/signal.h"

#include "device/quantity.h"
#include "device/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define PI 3.14159265358979323846

/* In the order of enum duoshm__wave. The first three letters are enough. */
static const struct {
	const char *name;
	double duty; /* where none is given */
	double low, high;
} waves[] = {
	{"sine", 0.5, -1, 1},
	{"quadratic", 0.5, -1, 1},
	{"triangle", 0.5, -1, 1},
	{"square", 0.5, -1, 1},
	{"saw", 0.5, -1, 1},
	{"pulse", 0.1, 0, 1},
	{"ramp", 0.5, -1, 1},
	{"dc", 0.5, -1, 1},
	{"counter", 0.5, 0, 1},
	{"noise", 0.5, -1, 1},
};
#define N_WAVES (DUOSHM__COUNT(waves))

void duoshm__signal_init(struct duoshm__signal *signal, unsigned bits, uint64_t seed)
{
	memset(signal, 0, sizeof *signal);
	signal->wave = DUOSHM__SINE;
	signal->period_s = 2;
	signal->amplitude = 1;
	signal->duty = waves[DUOSHM__SINE].duty;
	/* beyond 53 bits a double no longer counts by ones */
	signal->modulus = ldexp(1, bits < 53 ? (int)bits : 53);
	signal->seed = seed;
}

static int find_wave(const char *name, size_t length)
{
	for (size_t i = 0; i < N_WAVES; i++)
		if (strncasecmp(name, waves[i].name, length) == 0 &&
			(length >= 3 || !waves[i].name[length]))
			return (int)i;
	return duoshm__invalid("unknown wave \"%.*s\"; there are sine, quadratic, triangle, "
			       "square, saw, pulse, ramp, dc, counter and noise",
		(int)length, name);
}

/* A share of one: "0.25", "25%", of a phase also "90deg". */
static int parse_share(const char *text, double *out)
{
	const char *unit = strstr(text, "deg") ? "deg" : strchr(text, '%') ? "%" : "";
	int err = duoshm__quantity(text, unit, out);

	if (err)
		return err;
	*out /= *unit == 'd' ? 360 : *unit == '%' ? 100 : 1;
	if (*out >= 0 && *out <= 1)
		return 0;
	return duoshm__invalid("%s is not between 0 and one whole period", text);
}

/* The parameters, all of them doubles. */
#define AT(member) offsetof(struct duoshm__signal, member)
static const struct {
	const char *key;
	size_t at;
	const char *unit; /* NULL: the register's */
	int optional;     /* a text names it only where it is not the usual */
	double low, high; /* both 0: a share of one period */
} options[] = {
	{"period", AT(period_s), "s", 0, DUOSHM__PERIODS},
	{"amp", AT(amplitude), NULL, 0, DUOSHM__LEVELS},
	{"amplitude", AT(amplitude), NULL, 0, DUOSHM__LEVELS},
	{"offset", AT(offset), NULL, 1, DUOSHM__LEVELS},
	{"phase", AT(phase), "", 1, 0, 0},
	{"duty", AT(duty), "", 1, 0, 0},
	{"noise", AT(noise), NULL, 1, 0, 1e15},
};
#define N_OPTIONS (DUOSHM__COUNT(options))

static int parse_option(
	struct duoshm__signal *signal, const char *key, const char *value, const char *unit)
{
	size_t i = 0;
	double *to;
	int err;

	while (i < N_OPTIONS && strcmp(key, options[i].key) != 0)
		i++;
	if (i == N_OPTIONS)
		return duoshm__invalid("unknown option \"%s\" of a wave; there are "
				       "period, amp, offset, phase, duty and noise",
			key);
	to = (void *)((char *)signal + options[i].at);
	if (options[i].low >= options[i].high)
		return parse_share(value, to);
	if (options[i].unit)
		unit = options[i].unit;
	err = duoshm__quantity(value, unit, to);
	return err ? err : duoshm__between(key, *to, options[i].low, options[i].high, unit);
}

int duoshm__signal_parse(struct duoshm__signal *signal, const char *text, const char *unit)
{
	struct duoshm__signal made = *signal;
	size_t length = strcspn(text, ":");
	char option[64];
	char *value;
	int wave = find_wave(text, length);
	int err;

	if (wave < 0)
		return wave;
	made.wave = (enum duoshm__wave)wave;
	made.duty = waves[wave].duty;
	for (text += length; *text == ':'; text += length) {
		length = strcspn(++text, ":");
		snprintf(option, sizeof option, "%.*s", (int)length, text);
		value = strchr(option, '=');
		if (!value || length >= sizeof option)
			return duoshm__invalid("\"%s\" is not an option=value of a wave", option);
		*value++ = '\0';
		err = parse_option(&made, option, value, unit);
		if (err)
			return err;
	}
	*signal = made;
	return 0;
}

void duoshm__signal_text(
	const struct duoshm__signal *signal, const char *unit, char *text, size_t size)
{
	int n = snprintf(text, size, "%s:period=%.10gs:amp=%.10g%s", waves[signal->wave].name,
		signal->period_s, signal->amplitude, unit);

	for (size_t i = 0; i < N_OPTIONS && n >= 0 && (size_t)n < size; i++) {
		const double *value = (const void *)((const char *)signal + options[i].at);
		double usual = value == &signal->duty ? waves[signal->wave].duty : 0;

		if (options[i].optional && *value != usual)
			n += snprintf(
				text + n, size - (size_t)n, ":%s=%.10g", options[i].key, *value);
	}
}

/* In periods, whole ones included. */
static double phase_at(const struct duoshm__signal *s, uint64_t frame, double rate_hz)
{
	return (double)(frame - s->pinned_at) / (rate_hz * s->period_s) + s->pinned_phase;
}

void duoshm__signal_pin(struct duoshm__signal *signal, uint64_t frame, double rate_hz)
{
	double turns = phase_at(signal, frame, rate_hz);

	/* a ramp runs once: it keeps its turns */
	signal->pinned_phase = signal->wave == DUOSHM__RAMP ? turns : turns - floor(turns);
	signal->pinned_at = frame;
}

static uint64_t random_bits(uint64_t seed, uint64_t n)
{
	uint64_t z = seed + (n + 1) * UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* More than 0, at most 1. */
static double uniform(uint64_t seed, uint64_t n)
{
	return ldexp((double)((random_bits(seed, n) >> 11) + 1), -53);
}

static double gaussian(uint64_t seed, uint64_t frame)
{
	return sqrt(-2 * log(uniform(~seed, 2 * frame))) *
	       cos(2 * PI * uniform(~seed, 2 * frame + 1));
}

/* Of amplitude 1, after so many turns of the phase. */
static double shape(const struct duoshm__signal *s, uint64_t frame, double turns)
{
	double x = turns - floor(turns);

	switch (s->wave) {
	case DUOSHM__SINE: return sin(2 * PI * x);
	case DUOSHM__QUADRATIC: /* two arcs of parabolas, one up, one down */
		return x < 0.5 ? 16 * x * (0.5 - x) : -16 * (x - 0.5) * (1 - x);
	case DUOSHM__TRIANGLE: return x < 0.25 ? 4 * x : x < 0.75 ? 2 - 4 * x : 4 * x - 4;
	case DUOSHM__SQUARE: return x < s->duty ? 1 : -1;
	case DUOSHM__SAW: return 2 * x - 1;
	case DUOSHM__PULSE: return x < s->duty ? 1 : 0;
	case DUOSHM__RAMP: return turns < 1 ? 2 * turns - 1 : 1;
	case DUOSHM__DC: return 0;
	case DUOSHM__COUNTER: return fmod((double)frame, s->modulus);
	case DUOSHM__NOISE: return 2 * uniform(s->seed, frame) - 1;
	}
	return 0;
}

double duoshm__signal_value(const struct duoshm__signal *s, uint64_t frame, double rate_hz)
{
	double turns = phase_at(s, frame, rate_hz) + s->phase;
	double value = s->offset + s->amplitude * shape(s, frame, turns);

	return s->noise > 0 ? value + s->noise * gaussian(s->seed, frame) : value;
}

void duoshm__signal_range(const struct duoshm__signal *signal, double *low, double *high)
{
	double reach = fabs(signal->amplitude);

	*low = signal->offset + reach * waves[signal->wave].low;
	*high = signal->offset + reach * waves[signal->wave].high;
	if (signal->wave == DUOSHM__COUNTER)
		*high = signal->offset + reach * (signal->modulus - 1);
	if (*low == *high)
		*high = *low + 1;
}

double duoshm__full_scale(unsigned bits)
{
	return ldexp(1, (int)bits) - 1;
}

uint64_t duoshm__quantise(double value, double low, double high, unsigned bits)
{
	double top = duoshm__full_scale(bits);
	double raw = (value - low) / (high - low) * top;

	if (!(raw > 0)) /* also where it is not a number */
		return 0;
	if (raw >= top)
		return UINT64_MAX >> (64 - bits);
	return (uint64_t)(bits < 53 ? raw + 0.5 : raw);
}

double duoshm__dequantise(uint64_t raw, double low, double high, unsigned bits)
{
	return low + (double)raw * ((high - low) / duoshm__full_scale(bits));
}
