/* SPDX-License-Identifier: MIT */
/* Wave forms against their definitions, quantising, units, and that a seed repeats a run. */
#include "config.h"

#include "device/quantity.h"
#include "device/signal.h"
#include "duoshm.h"
#include "harness/harness.h"

#include <math.h>

#define RATE 100.0 /* with a period of 1 s, frame 25 is a quarter of it */

static struct duoshm__signal make(const char *text)
{
	struct duoshm__signal signal;

	duoshm__signal_init(&signal, 10, 42);
	EXPECT(duoshm__signal_parse(&signal, text, "V"), 0);
	return signal;
}

static double at(const char *text, uint64_t frame)
{
	struct duoshm__signal signal = make(text);

	return duoshm__signal_value(&signal, frame, RATE);
}

#define NEAR(a, b) CU_ASSERT_DOUBLE_EQUAL(a, b, 1e-9)

static void shapes(void)
{
	static const struct {
		const char *text;
		double value[5]; /* at 0, 1/8, 1/4, 1/2, 3/4 of the period */
	} waves[] = {
		{"sine:period=1s", {0, 0.70710678118654752, 1, 0, -1}},
		{"quadratic:period=1s", {0, 0.75, 1, 0, -1}},
		{"triangle:period=1s", {0, 0.5, 1, 0, -1}},
		{"square:period=1s", {1, 1, 1, -1, -1}},
		{"saw:period=1s", {-1, -0.75, -0.5, 0, 0.5}},
		{"pulse:period=1s:duty=20%", {1, 1, 0, 0, 0}},
		{"ramp:period=1s", {-1, -0.75, -0.5, 0, 0.5}},
		{"dc:offset=0.5V", {0.5, 0.5, 0.5, 0.5, 0.5}},
	};
	static const uint64_t frames[] = {0, 100, 200, 400, 600}; /* at 800 Hz */

	for (size_t i = 0; i < sizeof waves / sizeof *waves; i++) {
		struct duoshm__signal signal = make(waves[i].text);

		for (size_t k = 0; k < 5; k++)
			NEAR(duoshm__signal_value(&signal, frames[k], 800), waves[i].value[k]);
	}
}

static void periods_repeat_and_ramps_stay(void)
{
	NEAR(at("saw:period=1s", 10), at("saw:period=1s", 1000010));
	NEAR(at("ramp:period=1s", 100), 1);
	NEAR(at("ramp:period=1s", 100000), 1);
}

static void amplitude_offset_phase(void)
{
	NEAR(at("sine:period=1s:amp=2V:offset=500mV", 25), 2.5);
	NEAR(at("sine:period=1s:phase=90deg", 0), 1);
	NEAR(at("sine:period=1s:phase=0.5", 25), -1);
}

static void counter_counts_and_wraps(void)
{
	for (uint64_t frame = 0; frame < 3000; frame++)
		EXPECT((uint64_t)at("counter", frame), frame % 1024);
}

static void a_change_of_period_keeps_the_phase(void)
{
	struct duoshm__signal signal = make("saw:period=1s");
	double before = duoshm__signal_value(&signal, 130, RATE);

	duoshm__signal_pin(&signal, 130, RATE);
	signal.period_s = 7;
	NEAR(duoshm__signal_value(&signal, 130, RATE), before);
	NEAR(duoshm__signal_value(&signal, 131, RATE), before + 2 / (7 * RATE));
}

static void seeds(void)
{
	struct duoshm__signal one = make("noise"), two = make("noise"), other = make("noise");
	int same = 0;
	double sum = 0, squares = 0;

	other.seed = 43;
	for (uint64_t frame = 0; frame < 10000; frame++) {
		double value = duoshm__signal_value(&one, frame, RATE);

		CHECK(value == duoshm__signal_value(&two, frame, RATE));
		same += value == duoshm__signal_value(&other, frame, RATE);
		CHECK(value >= -1 && value <= 1);
		sum += value;
		squares += value * value;
	}
	CHECK(same < 3);
	CHECK(fabs(sum / 10000) < 0.03); /* 5 standard deviations */
	CU_ASSERT_DOUBLE_EQUAL(squares / 10000, 1 / 3.0, 0.02);
}

static void noise_has_the_width_asked_for(void)
{
	struct duoshm__signal signal = make("dc:noise=5mV");
	double squares = 0;

	for (uint64_t frame = 0; frame < 10000; frame++)
		squares += pow(duoshm__signal_value(&signal, frame, RATE), 2);
	CU_ASSERT_DOUBLE_EQUAL(sqrt(squares / 10000), 5e-3, 3e-4);
}

static void refusals(void)
{
	static const struct {
		const char *text, *cause;
	} wrong[] = {
		{"sinus", "unknown wave \"sinus\""},
		{"si", "unknown wave"},
		{"", "unknown wave"},
		{"sine:period=0", "0 s is no period between 1e-09 and 1e+09 s"},
		{"sine:period=-1s", "no period"},
		{"sine:period=1e-300", "no period"},
		{"sine:amp=1e300", "1e+300 V is no amp between -1e+15 and 1e+15 V"},
		{"sine:offset=-1e16V", "no offset"},
		{"sine:period=nan", "not a number"},
		{"sine:period=inf", "not a number"},
		{"sine:period=2V", "not a number in s"},
		{"sine:amp=", "not a number"},
		{"sine:amp", "not an option=value"},
		{"sine:ampl=1", "unknown option \"ampl\""},
		{"sine:duty=2", "not between 0 and one"},
		{"sine:noise=-1", "-1 V is no noise between 0"},
	};
	struct duoshm__signal signal = make("square:period=3s");

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		EXPECT(duoshm__signal_parse(&signal, wrong[i].text, "V"), DUOSHM_ERR_INVALID);
		EXPECT_PART(duoshm_failure()->cause, wrong[i].cause);
	}
	EXPECT(signal.wave, DUOSHM__SQUARE); /* untouched */
	CHECK(signal.period_s == 3);
}

static void names(void)
{
	EXPECT(make("SIN").wave, DUOSHM__SINE);
	EXPECT(make("QUA").wave, DUOSHM__QUADRATIC);
	EXPECT(make("Tri").wave, DUOSHM__TRIANGLE);
	EXPECT(make("SQU").wave, DUOSHM__SQUARE);
	EXPECT(make("SAW").wave, DUOSHM__SAW);
	EXPECT(make("PUL").wave, DUOSHM__PULSE);
	EXPECT(make("PULSE").wave, DUOSHM__PULSE);
	EXPECT(make("DC").wave, DUOSHM__DC);
	EXPECT(make("NOISE").wave, DUOSHM__NOISE);
}

static void text_parses_to_the_same(void)
{
	struct duoshm__signal signal =
		make("pulse:period=20ms:amp=2.5V:offset=-1V:phase=0.25:duty=30%:noise=5mV");
	struct duoshm__signal again;
	char text[128];

	duoshm__signal_text(&signal, "V", text, sizeof text);
	again = make(text);
	EXPECT(again.wave, signal.wave);
	CHECK(again.period_s == 20e-3 && again.amplitude == 2.5 && again.offset == -1);
	CHECK(again.phase == 0.25 && again.duty == 0.3 && again.noise == 5e-3);
}

static void quantising(void)
{
	EXPECT(duoshm__quantise(-1, -1, 1, 10), 0);
	EXPECT(duoshm__quantise(1, -1, 1, 10), 1023);
	EXPECT(duoshm__quantise(0.5875, -1, 1, 10), 812);
	EXPECT(duoshm__quantise(7, -1, 1, 10), 1023); /* saturates */
	EXPECT(duoshm__quantise(-7, -1, 1, 10), 0);
	EXPECT(duoshm__quantise(NAN, -1, 1, 10), 0);
	EXPECT(duoshm__quantise(INFINITY, -1, 1, 10), 1023);
	EXPECT(duoshm__quantise(0.4, 0, 1, 1), 0);
	EXPECT(duoshm__quantise(0.6, 0, 1, 1), 1);
	for (unsigned bits = 1; bits <= 64; bits++) {
		EXPECT(duoshm__quantise(1, -1, 1, bits), UINT64_MAX >> (64 - bits));
		EXPECT(duoshm__quantise(2, -1, 1, bits), UINT64_MAX >> (64 - bits));
		NEAR(duoshm__dequantise(UINT64_MAX >> (64 - bits), -1, 1, bits), 1);
		NEAR(duoshm__dequantise(0, -1, 1, bits), -1);
	}
	for (uint64_t raw = 0; raw < 4096; raw++)
		EXPECT(duoshm__quantise(duoshm__dequantise(raw, -5, 3, 12), -5, 3, 12), raw);
}

static void quantities(void)
{
	static const struct {
		const char *text, *unit;
		double value;
	} right[] = {
		{"0.25", "s", 0.25},
		{"250us", "s", 250e-6},
		{"20 ms", "s", 20e-3},
		{"10Hz", "Hz", 10},
		{"9mV", "V", 9e-3}, /* exactly */
		{"1k", "Hz", 1000},
		{"1kHz", "Hz", 1000},
		{"-3.5M", "", -3.5e6},
		{"5m", "m", 5},
		{"5mm", "m", 5e-3},
	};
	static const char *const wrong[] = {
		"", "V", "1x", "1mX", "1m", "nan", "inf", "1e999", "1e308k", "1 2"};
	double value = 7;
	int64_t whole = 7;

	for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
		EXPECT(duoshm__quantity(right[i].text, right[i].unit, &value), 0);
		CHECK(value == right[i].value);
	}
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		EXPECT(duoshm__quantity(wrong[i], "V", &value), DUOSHM_ERR_INVALID);
	EXPECT(duoshm__whole("64", 1, 64, &whole), 0);
	EXPECT(whole, 64);
	EXPECT(duoshm__whole("65", 1, 64, &whole), DUOSHM_ERR_INVALID);
	EXPECT(duoshm__whole("1.5", 1, 64, &whole), DUOSHM_ERR_INVALID);
	EXPECT(duoshm__whole("99999999999999999999", 0, INT64_MAX, &whole), DUOSHM_ERR_INVALID);
	EXPECT(whole, 64);
}

static const struct harness_case cases[] = {
	{"shapes are as defined", shapes},
	{"periods repeat, a ramp rises once", periods_repeat_and_ramps_stay},
	{"amplitude, offset, phase", amplitude_offset_phase},
	{"a counter counts and wraps", counter_counts_and_wraps},
	{"a change of period keeps the phase", a_change_of_period_keeps_the_phase},
	{"a seed repeats a run", seeds},
	{"noise has the width asked for", noise_has_the_width_asked_for},
	{"wrong waves are refused", refusals},
	{"long and short names", names},
	{"the text of a wave parses to it", text_parses_to_the_same},
	{"quantising saturates and comes back", quantising},
	{"numbers with units", quantities},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return harness_run(argc, argv, "signal", cases);
}
