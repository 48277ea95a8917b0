/* SPDX-License-Identifier: MIT */
/* Descriptions of devices: what is understood, and that every error names its line. */
#include "config.h"

#include "device/describe.h"
#include "harness/harness.h"

#include <math.h>

static struct duoshm__setup setup;

static int read_text(const char *text)
{
	FILE *file = fopen(harness_path("device.ini"), "w");

	CHECK_FATAL(file != NULL);
	fputs(text, file);
	fclose(file);
	duoshm__setup_free(&setup);
	duoshm__setup_init(&setup);
	return duoshm__setup_read(&setup, harness_path("device.ini"));
}

static void keys(void)
{
	static const struct {
		const char *key, *right, *wrong;
	} all[] = {
		{"name", "scope0", NULL},
		{"backend", "sysv", "a-very-long-name"},
		{"wave", "square", NULL},
		{"period", "20ms", "0"},
		{"period", "3", "nan"},
		{"bits", "64", "65"},
		{"bits", "1", "0"},
		{"rate", "44.1kHz", "-1"},
		{"rate", "1", "0"},
		{"seed", "42", "x"},
		{"replay", "a.wav", NULL},
		{"start", "now", "later"},
		{"pace", "fast", "slow"},
		{"once", "on", "2"},
		{"mode", "0640", "0777"},
		{"mode", "666", "0444"},
	};

	duoshm__setup_init(&setup);
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		EXPECT(duoshm__setup_set(&setup, all[i].key, all[i].right), 0);
		if (all[i].wrong)
			EXPECT(duoshm__setup_set(&setup, all[i].key, all[i].wrong),
				DUOSHM_ERR_INVALID);
	}
	EXPECT(duoshm__setup_set(&setup, "colour", "red"), DUOSHM_ERR_INVALID);
	EXPECT_TEXT(setup.name, "scope0");
	CHECK(setup.period_s == 3);
	EXPECT(setup.bits, 1);
	CHECK(setup.rate_hz == 1);
	EXPECT(setup.seed, 42);
	CHECK(setup.start_now && setup.fast && setup.once);
	EXPECT(setup.mode, 0666);
}

#ifdef HAVE_INIH
static void a_whole_file(void)
{
	const struct duoshm__register_setup *reg;

	OK(read_text("; a plant\n[device]\nname = plant\nrate = 20Hz\n\n"
		     "[register TEMP]\nunit = degC\nwave = triangle:period=60s:amp=20degC\n"
		     "low = -40\nhigh = 120degC\nhihi = 38\nprecision = 1\n"
		     "[register SETPOINT]\naccess = rw\nvalue = 21.5\n"
		     "[register DOOR]\ntype = boolean\nvalue = off\n"));
	EXPECT(duoshm__setup_check(&setup, "device.ini"), 0);
	EXPECT_TEXT(setup.name, "plant");
	CHECK(setup.rate_hz == 20);
	EXPECT_FATAL(setup.registers, 3);
	reg = &setup.reg[0];
	EXPECT_TEXT(reg->about.name, "TEMP");
	EXPECT_TEXT(reg->about.unit, "degC");
	CHECK(reg->about.low == -40 && reg->about.high == 120 && reg->about.hihi == 38);
	CHECK(isnan(reg->about.lolo) && isnan(reg->about.high_alarm));
	EXPECT(reg->about.precision, 1);
	CHECK(!reg->about.writable && setup.reg[1].about.writable);
	EXPECT(setup.reg[2].about.type, DUOSHM_TYPE_BOOLEAN);
	duoshm__setup_free(&setup);
}

static void errors_name_their_line(void)
{
	static const struct {
		const char *text, *where;
	} wrong[] = {
		{"[device]\nname = a\ncolour = red\n", "device.ini:3: unknown key \"colour\""},
		{"\n[devices]\nname = a\n", "device.ini:3: unknown section [devices]"},
		{"name = a\n", "device.ini:1: unknown section []"},
		{"[device]\nbits = 65\n", "device.ini:2: 65 is not between 1 and 64"},
		{"[device]\n\n\nthis is nothing\n", "device.ini:4: is neither"},
		{"[device\nname = a\n", "device.ini:1: is neither"},
		{"[register volt]\nunit = V\n", "device.ini:2: \"volt\" is not a register's name"},
		{"[register A]\ntype = float\n", "device.ini:2: unknown type \"float\""},
		{"[register A]\naccess = w\n", "device.ini:2: \"w\" is neither ro nor rw"},
		{"[register A]\nlow = 1V\n", "device.ini:2: \"1V\" is not a number"},
	};

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		EXPECT(read_text(wrong[i].text), DUOSHM_ERR_INVALID);
		EXPECT_PART(duoshm_failure()->cause, wrong[i].where);
	}
	duoshm__setup_free(&setup);
}

static void senseless_together(void)
{
	static const struct {
		const char *text, *why;
	} wrong[] = {
		{"[device]\nwave = sinus\n", "unknown wave"},
		{"[register A]\nwave = sinus\n", ":2: register A: unknown wave"},
		{"[register A]\nlow = 1\n", "low and high are given together"},
		{"[register A]\nlow = 1\nhigh = 0\n", "low and high"},
		{"[register A]\nwave = dc\naccess = rw\n", "read-only"},
		{"[register A]\nwave = dc\ntype = text\n", "needs a register of type real"},
		{"[register A]\nlow = 0\nhigh = 1\nvalue = 2\n", "beyond its limits"},
		{"[register A]\ntype = integer\nvalue = 1.5\n", "not a whole number"},
	};

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		EXPECT(read_text(wrong[i].text), 0);
		EXPECT(duoshm__setup_check(&setup, "device.ini"), DUOSHM_ERR_INVALID);
		EXPECT_PART(duoshm_failure()->cause, wrong[i].why);
	}
	duoshm__setup_free(&setup);
}

static void long_lines_and_missing_files(void)
{
	char text[400] = "[device]\nreplay = ";

	memset(text + strlen(text), 'x', 300);
	EXPECT(read_text(text), DUOSHM_ERR_INVALID);
	EXPECT_PART(duoshm_failure()->cause, "device.ini:2: is longer");
	EXPECT(duoshm__setup_read(&setup, harness_path("missing.ini")), DUOSHM_ERR_NOT_FOUND);
	duoshm__setup_free(&setup);
}
#else
static void without_inih(void)
{
	EXPECT(read_text("[device]\n"), DUOSHM_ERR_UNSUPPORTED);
}
#endif

static const struct harness_case cases[] = {
	{"keys of a device, right and wrong", keys},
#ifdef HAVE_INIH
	{"a whole file", a_whole_file},
	{"errors name file and line", errors_name_their_line},
	{"what makes no sense together", senseless_together},
	{"long lines and missing files", long_lines_and_missing_files},
#else
	{"without libinih", without_inih},
#endif
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return harness_run(argc, argv, "describe", cases);
}
