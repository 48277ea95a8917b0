/* SPDX-License-Identifier: MIT */
/*
 * Descriptions of devices. The reader of the file's form is libinih; what the words mean is here, in two tables that
 * a value finds its way through by key. Nothing unknown is passed over: a misspelt key is an error with its line.
 */
#include "config.h"

#include "device/describe.h"

#include "core/failure.h"
#include "device/quantity.h"
#include "device/registers.h"
#include "device/signal.h"
#include "device/text.h"

#include <ctype.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#ifdef HAVE_INIH
#include <ini.h>
#endif

void duoshm__setup_init(struct duoshm__setup *setup)
{
	memset(setup, 0, sizeof *setup);
	duoshm__copy(setup->name, sizeof setup->name, "device0");
	duoshm__copy(setup->wave, sizeof setup->wave, "sine");
	setup->mode = 0600;
}

void duoshm__setup_free(struct duoshm__setup *setup)
{
	free(setup->reg);
	setup->reg = NULL;
	setup->registers = 0;
}

static int take_text(char *to, size_t size, const char *value)
{
	if (strlen(value) >= size)
		return duoshm__fail(DUOSHM_ERR_INVALID,
			"\"%.40s...\" is longer than %zu characters", value, size - 1);
	duoshm__copy(to, size, value);
	return 0;
}

/* ---- [device] ---- */

static int set_name(struct duoshm__setup *setup, const char *value)
{
	return take_text(setup->name, sizeof setup->name, value);
}

static int set_backend(struct duoshm__setup *setup, const char *value)
{
	return take_text(setup->backend, sizeof setup->backend, value);
}

static int set_wave(struct duoshm__setup *setup, const char *value)
{
	return take_text(setup->wave, sizeof setup->wave, value);
}

static int set_replay(struct duoshm__setup *setup, const char *value)
{
	return take_text(setup->replay, sizeof setup->replay, value);
}

static int set_period(struct duoshm__setup *setup, const char *value)
{
	int err = duoshm__quantity(value, "s", &setup->period_s);

	return err ? err : duoshm__signal_check_period(setup->period_s);
}

static int set_bits(struct duoshm__setup *setup, const char *value)
{
	int64_t bits;
	int err = duoshm__whole(value, 1, DUOSHM__BITS_MAX, &bits);

	if (!err)
		setup->bits = (unsigned)bits;
	return err;
}

static int set_rate(struct duoshm__setup *setup, const char *value)
{
	double rate;
	int err = duoshm__quantity(value, "Hz", &rate);

	if (!err && !(rate > 0 && rate <= DUOSHM__RATE_MAX))
		err = duoshm__fail(DUOSHM_ERR_INVALID,
			"a rate of %g Hz is not more than 0 and at most %g", rate,
			DUOSHM__RATE_MAX);
	if (!err)
		setup->rate_hz = rate;
	return err;
}

static int set_seed(struct duoshm__setup *setup, const char *value)
{
	int64_t seed;
	int err = duoshm__whole(value, 0, INT64_MAX, &seed);

	if (!err)
		setup->seed = (uint64_t)seed;
	return err;
}

static int set_mode(struct duoshm__setup *setup, const char *value)
{
	char *rest;
	unsigned long mode = strtoul(value, &rest, 8);

	if (!*value || *rest || mode > 0666 || (mode & 0600) != 0600 || (mode & 0111))
		return duoshm__fail(DUOSHM_ERR_INVALID,
			"\"%s\" is not an octal mode of 0600 and more, without execution", value);
	setup->mode = (unsigned)mode;
	return 0;
}

/* One of two words. */
static int take_choice(int *to, const char *value, const char *no, const char *yes)
{
	if (strcmp(value, no) != 0 && strcmp(value, yes) != 0)
		return duoshm__fail(
			DUOSHM_ERR_INVALID, "\"%s\" is neither %s nor %s", value, no, yes);
	*to = strcmp(value, yes) == 0;
	return 0;
}

static int set_start(struct duoshm__setup *setup, const char *value)
{
	return take_choice(&setup->start_now, value, "capture", "now");
}

static int set_pace(struct duoshm__setup *setup, const char *value)
{
	return take_choice(&setup->fast, value, "real", "fast");
}

static int set_once(struct duoshm__setup *setup, const char *value)
{
	int64_t on;
	int err = duoshm__truth(value, &on);

	if (!err)
		setup->once = (int)on;
	return err;
}

static const struct {
	const char *key;
	int (*set)(struct duoshm__setup *setup, const char *value);
} device_keys[] = {
	{"name", set_name},
	{"backend", set_backend},
	{"wave", set_wave},
	{"period", set_period},
	{"bits", set_bits},
	{"rate", set_rate},
	{"seed", set_seed},
	{"replay", set_replay},
	{"start", set_start},
	{"pace", set_pace},
	{"once", set_once},
	{"mode", set_mode},
};

int duoshm__setup_set(struct duoshm__setup *setup, const char *key, const char *value)
{
	for (size_t i = 0; i < sizeof device_keys / sizeof *device_keys; i++)
		if (strcmp(key, device_keys[i].key) == 0)
			return device_keys[i].set(setup, value);
	return duoshm__fail(DUOSHM_ERR_INVALID, "unknown key \"%s\" of [device]", key);
}

/* ---- [register NAME] ---- */

#ifdef HAVE_INIH
#define ABOUT(member) offsetof(struct duoshm_register, member)
static const struct {
	const char *key;
	size_t at; /* of a double */
} level_keys[] = {
	{"low", ABOUT(low)},
	{"high", ABOUT(high)},
	{"lolo", ABOUT(lolo)},
	{"low_alarm", ABOUT(low_alarm)},
	{"high_alarm", ABOUT(high_alarm)},
	{"hihi", ABOUT(hihi)},
};

static int set_type(struct duoshm_register *about, const char *value)
{
	for (int type = DUOSHM_TYPE_REAL; type <= DUOSHM_TYPE_TEXT; type++) {
		if (strcmp(value, duoshm_type_name(type)) == 0) {
			about->type = type;
			return 0;
		}
	}
	return duoshm__fail(DUOSHM_ERR_INVALID,
		"unknown type \"%s\"; there are real, integer, boolean and text", value);
}

static int set_precision(struct duoshm_register *about, const char *value)
{
	int64_t digits;
	int err = duoshm__whole(value, 0, 17, &digits);

	if (!err)
		about->precision = (int)digits;
	return err;
}

static int set_of_register(struct duoshm__register_setup *reg, const char *key, const char *value)
{
	struct duoshm_register *about = &reg->about;

	if (strcmp(key, "type") == 0)
		return set_type(about, value);
	if (strcmp(key, "unit") == 0)
		return take_text(about->unit, sizeof about->unit, value);
	if (strcmp(key, "description") == 0)
		return take_text(about->description, sizeof about->description, value);
	if (strcmp(key, "access") == 0)
		return take_choice(&about->writable, value, "ro", "rw");
	if (strcmp(key, "precision") == 0)
		return set_precision(about, value);
	if (strcmp(key, "wave") == 0)
		return take_text(reg->wave, sizeof reg->wave, value);
	if (strcmp(key, "value") == 0)
		return take_text(reg->value, sizeof reg->value, value);
	for (size_t i = 0; i < sizeof level_keys / sizeof *level_keys; i++)
		if (strcmp(key, level_keys[i].key) == 0)
			return duoshm__quantity(value, about->unit,
				(double *)(void *)((char *)about + level_keys[i].at));
	return duoshm__fail(
		DUOSHM_ERR_INVALID, "unknown key \"%s\" of [register %s]", key, about->name);
}

static int check_name(const char *name)
{
	size_t length = strlen(name);

	if (length == 0 || length >= sizeof((struct duoshm_register *)0)->name)
		return duoshm__fail(DUOSHM_ERR_INVALID, "a register's name has 1 to 31 characters");
	for (size_t i = 0; i < length; i++)
		if (!(name[i] >= 'A' && name[i] <= 'Z') &&
			!(i && (name[i] == '_' || (name[i] >= '0' && name[i] <= '9'))))
			return duoshm__fail(DUOSHM_ERR_INVALID,
				"\"%s\" is not a register's name: capitals, digits and _, a "
				"capital first",
				name);
	return 0;
}

/* The register of that name, made if it is new. */
static int find_register(
	struct duoshm__setup *setup, const char *name, struct duoshm__register_setup **out)
{
	struct duoshm__register_setup *grown, *reg;
	int err = check_name(name);

	if (err)
		return err;
	for (unsigned i = 0; i < setup->registers; i++) {
		if (strcmp(setup->reg[i].about.name, name) == 0) {
			*out = &setup->reg[i];
			return 0;
		}
	}
	if (setup->registers == DUOSHM_REGISTERS_MAX / 2)
		return duoshm__fail(
			DUOSHM_ERR_INVALID, "more than %d registers", DUOSHM_REGISTERS_MAX / 2);
	grown = realloc(setup->reg, (setup->registers + 1) * sizeof *grown);
	if (!grown)
		return duoshm__fail(DUOSHM_ERR_NO_SPACE, "no memory for registers");
	setup->reg = grown;
	reg = &grown[setup->registers++];
	memset(reg, 0, sizeof *reg);
	duoshm__copy(reg->about.name, sizeof reg->about.name, name);
	reg->about.type = DUOSHM_TYPE_REAL;
	reg->about.precision = 3;
	reg->about.low = reg->about.high = NAN; /* not given */
	reg->about.lolo = reg->about.low_alarm = reg->about.high_alarm = reg->about.hihi = NAN;
	*out = reg;
	return 0;
}

/* ---- the file ---- */

struct reading {
	struct duoshm__setup *setup;
	const char *path;
	FILE *file;
	int line; /* of what is being looked at */
	int code, fault_line;
};

/* libinih tells no line to its handler in every build, so that the reader counts them itself. */
static char *next_line(char *line, int size, void *arg)
{
	struct reading *r = arg;
	char *got = fgets(line, size, r->file);

	if (got)
		r->line++;
	if (got && !strchr(got, '\n') && !feof(r->file) && !r->code)
		r->code = duoshm__fail(DUOSHM_ERR_INVALID, "%s:%d: is longer than %d characters",
			r->path, r->line, size - 2);
	return got;
}

static int take_key(struct reading *r, const char *section, const char *key, const char *value)
{
	struct duoshm__register_setup *reg = NULL;
	int err;

	if (strcmp(section, "device") == 0)
		return duoshm__setup_set(r->setup, key, value);
	if (strncmp(section, "register ", 9) != 0)
		return duoshm__fail(DUOSHM_ERR_INVALID,
			"unknown section [%s]; there are [device] and [register NAME]", section);
	err = find_register(r->setup, section + 9 + strspn(section + 9, " "), &reg);
	if (err)
		return err;
	reg->line = r->line;
	return set_of_register(reg, key, value);
}

static int handle(void *arg, const char *section, const char *key, const char *value)
{
	struct reading *r = arg;
	char cause[256];

	if (r->code)
		return 0;
	r->code = take_key(r, section, key, value);
	if (!r->code)
		return 1;
	r->fault_line = r->line;
	duoshm__copy(cause, sizeof cause, duoshm_failure()->cause);
	duoshm__fail(r->code, "%s:%d: %s", r->path, r->line, cause);
	return 0;
}

int duoshm__setup_read(struct duoshm__setup *setup, const char *path)
{
	struct reading r = {.setup = setup, .path = path, .file = fopen(path, "r")};
	int line, failed;

	if (!r.file)
		return duoshm__fail_file(path);
	line = ini_parse_stream(next_line, &r, handle, &r);
	failed = ferror(r.file);
	fclose(r.file);
	/* a broken line makes faults of lines behind it */
	if (r.code && (line <= 0 || line >= r.fault_line))
		return r.code;
	if (failed)
		return duoshm__fail(DUOSHM_ERR_INVALID, "%s: cannot be read", path);
	if (line > 0)
		return duoshm__fail(DUOSHM_ERR_INVALID,
			"%s:%d: is neither a [section] nor key = value", path, line);
	return line < 0 ? duoshm__fail(DUOSHM_ERR_NO_SPACE, "%s: cannot be read", path) : 0;
}
#else
int duoshm__setup_read(struct duoshm__setup *setup, const char *path)
{
	(void)setup;
	return duoshm__fail(DUOSHM_ERR_UNSUPPORTED,
		"%s: this program was built without libinih, which reads descriptions", path);
}
#endif

/* ---- does it make sense together? ---- */

static int check_register(const struct duoshm__register_setup *reg)
{
	const struct duoshm_register *about = &reg->about;
	struct duoshm__signal signal;
	struct duoshm_value value;

	if (isnan(about->low) != isnan(about->high) || about->low > about->high)
		return duoshm__fail(
			DUOSHM_ERR_INVALID, "low and high are given together, low first");
	if (!reg->wave[0])
		return reg->value[0] ? duoshm__value_parse(about, reg->value, &value) : 0;
	if (about->type != DUOSHM_TYPE_REAL)
		return duoshm__fail(DUOSHM_ERR_INVALID, "a wave needs a register of type real");
	if (about->writable || reg->value[0])
		return duoshm__fail(DUOSHM_ERR_INVALID, "a register with a wave is read-only");
	if (about->low == about->high)
		return duoshm__fail(DUOSHM_ERR_INVALID, "a wave needs low less than high");
	duoshm__signal_init(&signal, DUOSHM__BITS_MAX, 0);
	return duoshm__signal_parse(&signal, reg->wave, about->unit);
}

int duoshm__setup_check(const struct duoshm__setup *setup, const char *path)
{
	struct duoshm__signal signal;
	char cause[256];
	int err;

	duoshm__signal_init(&signal, DUOSHM__BITS_MAX, 0);
	err = duoshm__signal_parse(&signal, setup->wave, "V");
	if (err)
		return err;
	for (unsigned i = 0; i < setup->registers; i++) {
		err = check_register(&setup->reg[i]);
		if (!err)
			continue;
		duoshm__copy(cause, sizeof cause, duoshm_failure()->cause);
		return duoshm__fail(err, "%s:%d: register %s: %s", path, setup->reg[i].line,
			setup->reg[i].about.name, cause);
	}
	return 0;
}
