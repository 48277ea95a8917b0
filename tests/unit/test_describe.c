/* SPDX-License-Identifier: MIT */
/* Descriptions of devices: what is understood, and that every error names its line. */
#include "config.h"

#include "device/describe.h"
#include "harness/harness.h"

#include <math.h>

static struct duoshm__setup setup;

static int read_text(const char *text)
{
	harness_write_text(harness_path("device.ini"), text);
	duoshm__setup_init(&setup);
	return duoshm__setup_read(&setup, harness_path("device.ini"));
}

static const struct {
	const char *key, *right, *wrong;
} known[] = {
	{"name", "posix:scope0", "A B"},
	{"name", "scope0", ".dot"},
	{"backend", "auto", "a-very-long-name"},
	{"wave", "square", "sinus"},
	{"period", "20ms", "0"},
	{"period", "1e-9", "1e-10"},
	{"period", "3", "nan"},
	{"bits", "64", "65"},
	{"bits", "1", "0"},
	{"rate", "44.1kHz", "-1"},
	{"rate", "1", "0"},
	{"rate", "1", "1e-7"},
	{"seed", "42", "x"},
	{"replay", "a.wav", NULL},
	{"start", "now", "later"},
	{"pace", "fast", "slow"},
	{"once", "on", "2"},
	{"mode", "0640", "0777"},
	{"mode", "666", "0444"},
};

static void keys(void)
{
	duoshm__setup_init(&setup);
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		EXPECT(duoshm__setup_set(&setup, known[i].key, known[i].right), 0);
		if (known[i].wrong)
			EXPECT(duoshm__setup_set(&setup, known[i].key, known[i].wrong),
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
	EXPECT(duoshm__setup_set(&setup, "rate", "0"), DUOSHM_ERR_INVALID);
	EXPECT_TEXT(duoshm_failure()->cause, "0 Hz is no rate between 1e-06 and 1e+08 Hz");
	EXPECT(duoshm__setup_set(&setup, "mode", "777"), DUOSHM_ERR_INVALID);
	EXPECT_PART(duoshm_failure()->cause, "06 and two digits, each 0, 2, 4 or 6");
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
	EXPECT(duoshm__setup_check(&setup), 0);
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
}

static void errors_name_their_line(void)
{
	static const struct {
		const char *text, *where;
	} wrong[] = {
		{"[device]\nname = a\ncolour = red\n", "device.ini:3: unknown key \"colour\""},
		{"\n[devices]\nname = a\n", "device.ini:2: unknown section [devices]"},
		{"[device]\nname = a\n[foo]\n", "device.ini:3: unknown section [foo]"},
		{"name = a\n", "device.ini:1: \"name\" stands before the first section"},
		{"[device]\nname = A B\n", "device.ini:2: \"A B\" is no device's name"},
		{"[device]\nbackend = foo\n", "device.ini:2: no backend \"foo\""},
		{"[device]\nwave = foo\n", "device.ini:2: foo: unknown wave"},
		{"[device]\nbits = 8\nbits = 9\n", "device.ini:3: \"bits\" is given twice"},
		{"[device]\n[device]\n", "device.ini:2: [device] is there twice"},
		{"[register A]\n\n[register A]\n", "device.ini:3: two registers are named A"},
		{"[device]\nbroken\n[foo]\n", "device.ini:2: is neither"},
		{"[device]\nbits = 65\n", "device.ini:2: 65 is not between 1 and 64"},
		{"[device]\n\n\nthis is nothing\n", "device.ini:4: is neither"},
		{"[device\nname = a\n", "device.ini:1: is neither"},
		{"[register volt]\nunit = V\n", "device.ini:1: \"volt\" is not a register's name"},
		{"[register A]\ntype = float\n", "device.ini:2: unknown type \"float\""},
		{"[register A]\naccess = w\n", "device.ini:2: \"w\" is neither ro nor rw"},
		{"[register A]\nlow = 1V\n", "device.ini:2: \"1V\" is not a number"},
	};

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		EXPECT(read_text(wrong[i].text), DUOSHM_ERR_INVALID);
		EXPECT_PART(duoshm_failure()->cause, wrong[i].where);
	}
}

static void senseless_together(void)
{
	static const struct {
		const char *text, *why;
	} wrong[] = {
		{"[register A]\nwave = sinus\n", ":2: register A: unknown wave"},
		{"[register A]\nlow = 1\n", "low and high are given together"},
		{"[register A]\nlow = 1\nhigh = 0\n", "low and high"},
		{"[register A]\nwave = dc\naccess = rw\n", "read-only"},
		{"[register A]\nwave = dc\ntype = text\n", "needs a register of type real"},
		{"[register A]\nlow = 0\nhigh = 1\nvalue = 2\n",
			"device.ini:4: register A: 2 is beyond its limits, 0 to 1"},
		{"[register A]\nlolo = 5\nhihi = 1\n", ":3: register A: lolo, low_alarm"},
		{"[register A]\nhigh_alarm = 5\nlow_alarm = 6\n", "must rise"},
		{"[register A]\ntype = integer\nvalue = 1.5\n", "not a whole number"},
	};

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		EXPECT(read_text(wrong[i].text), 0);
		EXPECT(duoshm__setup_check(&setup), DUOSHM_ERR_INVALID);
		EXPECT_PART(duoshm_failure()->cause, wrong[i].why);
	}
}

static void long_lines_and_missing_files(void)
{
	char text[400] = "[device]\nreplay = ";

	memset(text + strlen(text), 'x', 300);
	EXPECT(read_text(text), DUOSHM_ERR_INVALID);
	EXPECT_PART(duoshm_failure()->cause, "device.ini:2: is longer");
	EXPECT(duoshm__setup_read(&setup, harness_path("missing.ini")), DUOSHM_ERR_NOT_FOUND);
	EXPECT(duoshm__setup_read(&setup, "/dev/zero"), DUOSHM_ERR_INVALID);
	EXPECT_TEXT(duoshm_failure()->cause, "/dev/zero: is not a regular file");
}

static void sections_without_keys_and_indented_lines(void)
{
	OK(read_text("\357\273\277[device]\n  bits = 8\n\tseed = 7\n"
		     "[register EMPTY] ; nothing else\n  [register A]\n  unit = V\n"));
	EXPECT(duoshm__setup_check(&setup), 0);
	EXPECT(setup.bits, 8);
	EXPECT(setup.seed, 7);
	EXPECT_FATAL(setup.registers, 2);
	EXPECT_TEXT(setup.reg[0].about.name, "EMPTY");
	EXPECT_TEXT(setup.reg[1].about.unit, "V");
}

static void a_recording_lies_beside_the_description(void)
{
	harness_write_text(harness_path("beside.csv"), "");
	OK(read_text("[device]\nreplay = beside.csv\n"));
	EXPECT_TEXT(setup.replay, harness_path("beside.csv"));
	OK(read_text("[device]\nreplay = /dev/null\n"));
	EXPECT_TEXT(setup.replay, "/dev/null");
	EXPECT(read_text("[device]\nreplay = none.wav\n"), DUOSHM_ERR_NOT_FOUND);
	EXPECT_PART(duoshm_failure()->cause, "device.ini:2: ");
	EXPECT_PART(duoshm_failure()->cause, "/none.wav: No such file");
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
	{"sections without keys, indented lines", sections_without_keys_and_indented_lines},
	{"a recording lies beside the description", a_recording_lies_beside_the_description},
#else
	{"without libinih", without_inih},
#endif
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return harness_run(argc, argv, "describe", cases);
}
