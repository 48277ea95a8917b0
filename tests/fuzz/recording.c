/* SPDX-License-Identifier: MIT */
/* Recorded files, sound and CSV: whichever the first bytes say. Opened, played, played again. */
#include "config.h"

#include "device/replay.h"
#include "fuzz/fuzz.h"

enum { FRAMES = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static double samples[FRAMES * DUOSHM_CHANNELS_MAX];
	struct duoshm__replay *replay;
	unsigned bits = size > 0 ? data[size - 1] % 40u : 0;

	if (duoshm__replay_open(fuzz_file(data, size), bits, bits % 3 * 100, &replay) != 0)
		return 0;
	const struct duoshm_format *format = duoshm__replay_format(replay);
	FUZZ_CHECK(format->channels >= 1 && format->channels <= DUOSHM_CHANNELS_MAX);
	FUZZ_CHECK(format->rate_hz > 0 && format->bits >= 1 && format->bits <= 64);
	for (int turn = 0; turn < 2; turn++) {
		for (int i = 0; i < 8; i++)
			FUZZ_CHECK(duoshm__replay_read(replay, samples, FRAMES) <= FRAMES);
		(void)duoshm__replay_rewind(replay);
	}
	duoshm__replay_close(replay);
	return 0;
}

/* PCM or floating point, by the book; the numbers are little-endian. */
static size_t wave(uint8_t *to, uint8_t format, uint8_t channels, uint8_t bytes)
{
	const uint8_t frame = (uint8_t)(channels * bytes), length = (uint8_t)(8 * frame);
	const uint8_t head[] = {'R', 'I', 'F', 'F', (uint8_t)(36 + length), 0, 0, 0, 'W', 'A', 'V',
		'E', 'f', 'm', 't', ' ', 16, 0, 0, 0, format, 0, channels, 0, 0x40, 0x1f, 0, 0,
		(uint8_t)(0x40 * frame), 0x1f, 0, 0, frame, 0, (uint8_t)(8 * bytes), 0, 'd', 'a',
		't', 'a', length, 0, 0, 0};

	memcpy(to, head, sizeof head);
	for (unsigned i = 0; i < length; i++)
		to[sizeof head + i] = (uint8_t)(i * 37);
	return sizeof head + length;
}

size_t fuzz_seed(unsigned nth, uint8_t *to)
{
	static const char *const texts[] = {
		"# text\ntime,VOLT (V),\"A, B\" [mA],frame\n0,1,-2,0\n0.5,1e3,nan,1\n1.0,.5,0,2\n",
		"1;2;3\n4;5;6\n\n-1;+2;1e-300\n", "t_ns\tx\n1000\t5\n2000\t6\n3001\t7\n"};

	if (nth < 3) {
		memcpy(to, texts[nth], strlen(texts[nth]));
		return strlen(texts[nth]);
	}
	/* As many columns as can be, and two more. */
	for (size_t i = 0; nth == 3 && i < DUOSHM_CHANNELS_MAX + 2; i++)
		memcpy(to + 2 * i, "7,", 2);
	if (nth == 3)
		return 2 * (DUOSHM_CHANNELS_MAX + 2) - 1;
	if (nth == 4)
		return wave(to, 1, 2, 2);
	return nth == 5 ? wave(to, 1, 1, 3) : nth == 6 ? wave(to, 3, 1, 4) : 0;
}
