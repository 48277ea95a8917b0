/* SPDX-License-Identifier: MIT */
/* Recordings: what comes out is what is in the file, and what is wrong with a file is said. */
#include "config.h"

#include "device/replay.h"
#include "harness/harness.h"

#include <math.h>

static struct duoshm__replay *replay;

static int open_it(const char *stem, unsigned bits, double rate)
{
	replay = NULL;
	return duoshm__replay_open(harness_path(stem), bits, rate, &replay);
}

/* The file is refused, and the cause holds both its name and `why`. */
static void refused(const char *stem, int code, const char *why)
{
	EXPECT(open_it(stem, 0, 0), code);
	CHECK(replay == NULL);
	EXPECT_PART(duoshm_failure()->cause, why);
}

/* ---- CSV ---- */

static void csv_plain(void)
{
	const struct duoshm_format *format;
	double samples[8];

	harness_write_text(harness_path("plain.csv"), "1,2\n3,4.5\n-1e-3,nan\n");
	OK(open_it("plain.csv", 0, 0));
	format = duoshm__replay_format(replay);
	EXPECT(format->channels, 2);
	EXPECT(format->total_frames, 3);
	EXPECT(format->sample_type, DUOSHM_SAMPLE_REAL64);
	CHECK(format->rate_hz == 10);
	EXPECT_TEXT(format->names[1], "CH2");
	EXPECT_TEXT(format->source, "csv");
	EXPECT(duoshm__replay_read(replay, samples, 2), 2);
	CHECK(samples[0] == 1 && samples[1] == 2 && samples[2] == 3 && samples[3] == 4.5);
	EXPECT(duoshm__replay_read(replay, samples, 2), 1);
	CHECK(samples[0] == -1e-3 && isnan(samples[1]));
	EXPECT(duoshm__replay_read(replay, samples, 2), 0);
	EXPECT(duoshm__replay_rewind(replay), 0);
	EXPECT(duoshm__replay_read(replay, samples, 4), 3);
	duoshm__replay_close(replay);
}

static void csv_named(void)
{
	const struct duoshm_format *format;
	double samples[4];

	harness_write_text(harness_path("named.csv"),
		"\357\273\277# a recording\r\n\r\n"
		"time_ms;frame;VOLT (V);\"TEMP;2 [degC]\"\r\n"
		"0.0;0;1.5; \"20\" \r\n0.5;1;-1.5;21\r\n1.0;2;1.5;22\r\n");
	OK(open_it("named.csv", 0, 0));
	format = duoshm__replay_format(replay);
	EXPECT(format->channels, 2);
	CHECK(format->rate_hz == 2000);
	EXPECT_TEXT(format->names[0], "VOLT");
	EXPECT_TEXT(format->names[1], "TEMP;2");
	EXPECT_TEXT(duoshm__replay_unit(replay, 0), "V");
	EXPECT_TEXT(duoshm__replay_unit(replay, 1), "degC");
	EXPECT(duoshm__replay_read(replay, samples, 2), 2);
	CHECK(samples[0] == 1.5 && samples[1] == 20 && samples[2] == -1.5);
	duoshm__replay_close(replay);
	OK(open_it("named.csv", 0, 44100));
	CHECK(duoshm__replay_format(replay)->rate_hz == 44100);
	duoshm__replay_close(replay);
}

static void csv_refused(void)
{
	static const struct {
		const char *text, *why;
	} wrong[] = {
		{"a,b\n", "holds no samples"},
		{"# nothing\n", "holds no samples"},
		{"1,2\n3\n", "line 2: columns: 1 instead of 2"},
		{"1,2\n3,4\n5,", "line 3: \"\" is not a number"},
		{"1,2\n3,x4\n", "line 2: \"x4\" is not a number"},
		{"time,a\n0,1\n1,2\n1,3\n", "line 4: the time does not go on"},
		{"time\n0\n1\n", "1 to 64 columns"},
		{"time,a\n0,1\n1,2\n5,3\n", "line 4: a step of 4 where the first was 1; --rate"},
		{"t_ms,a\n0,1\n33.3,2\n67.3,3\n", "line 4: a step of 34"},
		{"time,a\n0,1\n1e-300,2\n", "wrong.csv: 1e+300 Hz is no rate"},
		{"1,2\n3,1e400\n", "line 2: \"1e400\" is not a number"},
		{"1e400,2\n3,4\n", "line 1: \"1e400\" is not a number"},
		{"1,2\n3,0x10\n", "line 2: \"0x10\" is not a number"},
		{"1,2\n-inf,4\n", "line 2: \"-inf\" is not a number"},
		{"1,2\n\"3,4\n", "line 2: a quote is not closed"},
		{"1,2\n\"3\"4,5\n", "line 2: \"3 4\" is not a number"},
	};

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		harness_write_text(harness_path("wrong.csv"), wrong[i].text);
		refused("wrong.csv", DUOSHM_ERR_INVALID, wrong[i].why);
	}
}

static void csv_times(void)
{
	harness_write_text(harness_path("uneven.csv"), "time,a\n0,1\n1,2\n5,3\n");
	OK(open_it("uneven.csv", 0, 4));
	CHECK(duoshm__replay_format(replay)->rate_hz == 4);
	duoshm__replay_close(replay);
	/* the last digit of an even time is uneven */
	harness_write_text(
		harness_path("rounded.csv"), "time,a\n0.000,1\n0.033,2\n0.067,3\n0.100,4\n");
	OK(open_it("rounded.csv", 0, 0));
	CHECK(duoshm__replay_format(replay)->rate_hz == 30);
	duoshm__replay_close(replay);
}

/* All there is lies within the range that the bits are spread over. */
static void csv_of_fewer_bits(void)
{
	double samples[4];

	harness_write_text(harness_path("volts.csv"), "1,3\n-2,0\n");
	OK(open_it("volts.csv", 8, 0));
	EXPECT(duoshm__replay_format(replay)->bits, 8);
	EXPECT(duoshm__replay_read(replay, samples, 2), 2);
	CHECK(fabs(samples[0] - 1) < 0.02 && samples[1] == 3 && fabs(samples[2] + 2) < 0.02);
	duoshm__replay_close(replay);
}

static void files_refused(void)
{
	harness_write_text(harness_path("empty.wav"), "");
	refused("empty.wav", DUOSHM_ERR_INVALID, "is empty");
	refused("missing.wav", DUOSHM_ERR_NOT_FOUND, "missing.wav");
	harness_write(harness_path("zeros.csv"), "1,2\n\0\0\0", 7);
	refused("zeros.csv", DUOSHM_ERR_INVALID, "neither a sound file nor CSV");
	EXPECT(duoshm__replay_open(harness_scratch_dir(), 0, 0, &replay), DUOSHM_ERR_INVALID);
	EXPECT_PART(duoshm_failure()->cause, "not a regular file");
}

/* ---- WAV ---- */

static void put(unsigned char **at, uint32_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		*(*at)++ = (unsigned char)(value >> 8 * i);
}

/* A WAV of `bits`-bit PCM (format 1) or IEEE (3); `announced` bytes of data, `there` of them. */
static size_t make_wav(unsigned char *file, unsigned kind, unsigned channels, unsigned bits,
	const void *data, size_t announced, size_t there)
{
	unsigned char *at = file;
	uint32_t frame = channels * bits / 8;

	memcpy(at, "RIFF", 4), at += 4;
	put(&at, (uint32_t)(36 + announced), 4);
	memcpy(at, "WAVEfmt ", 8), at += 8;
	put(&at, 16, 4);
	put(&at, kind, 2);
	put(&at, channels, 2);
	put(&at, 44100, 4);
	put(&at, 44100 * frame, 4);
	put(&at, frame, 2);
	put(&at, bits, 2);
	memcpy(at, "data", 4), at += 4;
	put(&at, (uint32_t)announced, 4);
	memcpy(at, data, there);
	return (size_t)(at - file) + there;
}

static unsigned char wav[4096];

#ifdef HAVE_SNDFILE
static void wav_reals(void)
{
	static const float samples[] = {0.1f, -1.5f, 1e-30f, 3.0f};
	double out[4] = {0};

	harness_write(harness_path("float.wav"), wav, make_wav(wav, 3, 1, 32, samples, 16, 16));
	OK(open_it("float.wav", 0, 0));
	EXPECT(duoshm__replay_format(replay)->bits, 32);
	EXPECT(duoshm__replay_format(replay)->sample_type, DUOSHM_SAMPLE_REAL64);
	EXPECT(duoshm__replay_read(replay, out, 4), 4);
	for (int i = 0; i < 4; i++)
		CHECK(out[i] == (double)samples[i]);
	duoshm__replay_close(replay);
}

static void fewer_bits(void)
{
	static const int16_t samples[] = {0, 100, 127, 128, 255, -128, -129, INT16_MAX, INT16_MIN};
	static const int wanted[] = {
		0, 0, 0, 1, 1, 0, -1, 127, -128}; /* of 8 bits, to the nearest */
	int32_t out[9] = {0};

	harness_write(harness_path("less.wav"), wav, make_wav(wav, 1, 1, 16, samples, 18, 18));
	OK(open_it("less.wav", 8, 0));
	EXPECT(duoshm__replay_format(replay)->bits, 8);
	EXPECT(duoshm__replay_read(replay, out, 9), 9);
	for (int i = 0; i < 9; i++)
		EXPECT(out[i], wanted[i] * (INT32_C(1) << 24));
	duoshm__replay_close(replay);
	/* more bits than there are change nothing: each sample stands in the upper ones */
	OK(open_it("less.wav", 24, 0));
	EXPECT(duoshm__replay_format(replay)->bits, 16);
	EXPECT(duoshm__replay_format(replay)->total_frames, 9);
	CHECK(duoshm__replay_format(replay)->rate_hz == 44100);
	EXPECT(duoshm__replay_read(replay, out, 9), 9);
	for (int i = 0; i < 9; i++)
		EXPECT(out[i], samples[i] * (INT32_C(1) << 16));
	duoshm__replay_close(replay);
}

static void wav_refused(void)
{
	static const unsigned char samples[64] = {0};

	harness_write(harness_path("cut.wav"), wav, make_wav(wav, 1, 1, 16, samples, 64, 20));
	refused("cut.wav", DUOSHM_ERR_INVALID, "truncated: 64 bytes of samples announced, 20");
	harness_write(harness_path("cut.wav"), wav, 20);
	refused("cut.wav", DUOSHM_ERR_INVALID, "no sound file");
	harness_write_text(harness_path("text.wav"), "1,2\n3,4\n");
	refused("text.wav", DUOSHM_ERR_INVALID, "no sound file");
	harness_write(harness_path("none.wav"), wav, make_wav(wav, 1, 1, 16, samples, 0, 0));
	refused("none.wav", DUOSHM_ERR_INVALID, "holds no samples");
	make_wav(wav, 1, 1, 16, samples, 64, 64);
	memset(wav + 24, 0, 4);
	harness_write(harness_path("still.wav"), wav, 108);
	refused("still.wav", DUOSHM_ERR_INVALID, "still.wav: has a rate of 0 Hz");
	harness_write(harness_path("wide.wav"), wav, make_wav(wav, 1, 65, 8, samples, 64, 64));
	refused("wide.wav", DUOSHM_ERR_UNSUPPORTED, "65 channels");
}
#else
static void without_sndfile(void)
{
	harness_write(harness_path("any.wav"), wav, make_wav(wav, 1, 1, 16, "abcd", 4, 4));
	refused("any.wav", DUOSHM_ERR_UNSUPPORTED, "without libsndfile");
}
#endif

static const struct harness_case cases[] = {
	{"CSV of numbers", csv_plain},
	{"CSV with names, units, times", csv_named},
	{"CSV that is wrong, with its line", csv_refused},
	{"CSV with even and uneven times", csv_times},
	{"CSV of fewer bits", csv_of_fewer_bits},
	{"files that are missing, empty, of another kind", files_refused},
#ifdef HAVE_SNDFILE
	{"WAV of reals, unscaled", wav_reals},
	{"fewer bits round and saturate", fewer_bits},
	{"WAV that is wrong", wav_refused},
#else
	{"WAV without libsndfile", without_sndfile},
#endif
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return harness_run(argc, argv, "replay", cases);
}
