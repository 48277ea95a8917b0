/* SPDX-License-Identifier: MIT */
/* A description of a device (INI): read, judged as a whole, and each wave that it has parsed. */
#include "config.h"

#include "device/describe.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct duoshm__setup setup;

	duoshm__setup_init(&setup);
	if (duoshm__setup_read(&setup, fuzz_file(data, size)) != 0)
		return 0;
	FUZZ_CHECK(setup.registers <= DUOSHM_REGISTERS_MAX / 2 && setup.bits <= DUOSHM__BITS_MAX);
	(void)duoshm__setup_check(&setup);
	return 0;
}

size_t fuzz_seed(unsigned nth, uint8_t *to)
{
	static const char *const texts[] = {
		"[device]\nname = posix:scope0\nwave = sine:period=2s:amp=1V:noise=5mV\nbits = 10\n"
		"rate = 10Hz\nmode = 0640\nseed = 7\nonce = on\nstart = now\npace = fast\n"
		"period = 3ms\nbackend = auto\n",
		"\357\273\277; text\n[register TEMP]\nunit = degC\nwave = triangle:period=60s:"
		"amp=20:offset=20\nlow = -40\nhigh = 120\nlolo=-30\nlow_alarm = -20\n"
		"high_alarm=30\nhihi = 38\nprecision = 2\n",
		"[register A]\ntype = integer\naccess = rw\nvalue = -3\n[register B]\n"
		"type = text\ndescription = what it says\nvalue = x y z\n  more\n"
		"[register C]\ntype=boolean\nvalue=off\n[device]\nreplay = no.wav\n",
	};

	if (nth == sizeof texts / sizeof *texts)
		return 0;
	memcpy(to, texts[nth], strlen(texts[nth]));
	return strlen(texts[nth]);
}
