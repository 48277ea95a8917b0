/* SPDX-License-Identifier: MIT */
/*
 * Descriptions of devices. The reader of the file's form is libinih; what the words mean is here, in two tables that
 * a value finds its way through by key. Nothing unknown is passed over: a misspelt key is an error with its line.
 */
#include "config.h"

#include "device/describe.h"

#include "device/quantity.h"
#include "device/registers.h"
#include "device/signal.h"
#include "device/text.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef HAVE_INIH
#include <ini.h>
#endif

void duoshm__setup_init(struct duoshm__setup *setup)
{
	memset(setup, 0, sizeof *setup);
	DUOSHM__SET(setup->name, "device0");
	DUOSHM__SET(setup->wave, "sine");
	setup->mode = 0600;
}

void duoshm__setup_free(struct duoshm__setup *setup)
{
	free(setup->reg);
	setup->reg = NULL;
	setup->registers = 0;
}

/* A key of a section. */
struct key {
	const char *name;
	int (*take)(const struct key *key, void *base, const char *value);
	size_t at, size;      /* of the member that it sets */
	int64_t low, high;    /* limits of a whole number */
	const char *no, *yes; /* the words of a choice */
};
#define MEMBER(type, name)                                                                         \
	.at = offsetof(struct type, name), .size = sizeof(((struct type *)0)->name)

static void *member(const struct key *key, void *base)
{
	return (char *)base + key->at;
}

static int take_text(const struct key *key, void *base, const char *value)
{
	if (strlen(value) >= key->size)
		return duoshm__invalid(
			"\"%.40s...\" is longer than %zu characters", value, key->size - 1);
	duoshm__copy(member(key, base), key->size, value);
	return 0;
}

static int take_whole(const struct key *key, void *base, const char *value)
{
	int64_t number;
	int err = duoshm__whole(value, key->low, key->high, &number);

	if (!err && key->size == sizeof(int))
		*(int *)member(key, base) = (int)number;
	else if (!err)
		*(int64_t *)member(key, base) = number;
	return err;
}

static int take_truth(const struct key *key, void *base, const char *value)
{
	int64_t on;
	int err = duoshm__truth(value, &on);

	if (!err)
		*(int *)member(key, base) = (int)on;
	return err;
}

static int take_choice(const struct key *key, void *base, const char *value)
{
	if (strcmp(value, key->no) != 0 && strcmp(value, key->yes) != 0)
		return duoshm__invalid("\"%s\" is neither %s nor %s", value, key->no, key->yes);
	*(int *)member(key, base) = strcmp(value, key->yes) == 0;
	return 0;
}

static const struct key *find_key(const struct key *keys, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(name, keys[i].name) == 0)
			return &keys[i];
	return NULL;
}

/* ---- [device] ---- */

static int take_period(const struct key *key, void *base, const char *value)
{
	double *period = member(key, base);
	int err = duoshm__quantity(value, "s", period);

	return err ? err : duoshm__signal_check_period(*period);
}

static int take_rate(const struct key *key, void *base, const char *value)
{
	double rate;
	int err = duoshm__quantity(value, "Hz", &rate);

	if (!err && !(rate > 0 && rate <= DUOSHM__RATE_MAX))
		err = duoshm__invalid("a rate of %g Hz is not more than 0 and at most %g", rate,
			DUOSHM__RATE_MAX);
	if (!err)
		*(double *)member(key, base) = rate;
	return err;
}

static int take_mode(const struct key *key, void *base, const char *value)
{
	char *rest;
	unsigned long mode = strtoul(value, &rest, 8);

	if (!*value || *rest || mode > 0666 || (mode & 0600) != 0600 || (mode & 0111))
		return duoshm__invalid(
			"\"%s\" is not an octal mode of 0600 and more, without execution", value);
	*(unsigned *)member(key, base) = (unsigned)mode;
	return 0;
}

#define SETUP(member) MEMBER(duoshm__setup, member)
static const struct key device_keys[] = {
	{"name", take_text, SETUP(name)},
	{"backend", take_text, SETUP(backend)},
	{"wave", take_text, SETUP(wave)},
	{"replay", take_text, SETUP(replay)},
	{"period", take_period, SETUP(period_s)},
	{"rate", take_rate, SETUP(rate_hz)},
	{"mode", take_mode, SETUP(mode)},
	{"once", take_truth, SETUP(once)},
	{"bits", take_whole, SETUP(bits), .low = 1, .high = DUOSHM__BITS_MAX},
	{"seed", take_whole, SETUP(seed), .low = 0, .high = INT64_MAX},
	{"start", take_choice, SETUP(start_now), .no = "capture", .yes = "now"},
	{"pace", take_choice, SETUP(fast), .no = "real", .yes = "fast"},
};

int duoshm__setup_set(struct duoshm__setup *setup, const char *key, const char *value)
{
	const struct key *known = find_key(device_keys, DUOSHM__COUNT(device_keys), key);

	if (!known)
		return duoshm__invalid("unknown key \"%s\" of [device]", key);
	return known->take(known, setup, value);
}

/* ---- [register NAME] ---- */

#ifdef HAVE_INIH
static int take_type(const struct key *key, void *base, const char *value)
{
	for (int type = DUOSHM_TYPE_REAL; type <= DUOSHM_TYPE_TEXT; type++) {
		if (strcmp(value, duoshm_type_name(type)) == 0) {
			*(int *)member(key, base) = type;
			return 0;
		}
	}
	return duoshm__invalid(
		"unknown type \"%s\"; there are real, integer, boolean and text", value);
}

static int take_level(const struct key *key, void *base, const char *value)
{
	const struct duoshm__register_setup *reg = base;

	return duoshm__quantity(value, reg->about.unit, member(key, base));
}

#define REGISTER(member) MEMBER(duoshm__register_setup, member)
static const struct key register_keys[] = {
	{"type", take_type, REGISTER(about.type)},
	{"unit", take_text, REGISTER(about.unit)},
	{"description", take_text, REGISTER(about.description)},
	{"access", take_choice, REGISTER(about.writable), .no = "ro", .yes = "rw"},
	{"precision", take_whole, REGISTER(about.precision), .low = 0, .high = 17},
	{"wave", take_text, REGISTER(wave)},
	{"value", take_text, REGISTER(value)},
	{"low", take_level, REGISTER(about.low)},
	{"high", take_level, REGISTER(about.high)},
	{"lolo", take_level, REGISTER(about.lolo)},
	{"low_alarm", take_level, REGISTER(about.low_alarm)},
	{"high_alarm", take_level, REGISTER(about.high_alarm)},
	{"hihi", take_level, REGISTER(about.hihi)},
};

static int check_name(const char *name)
{
	size_t length = strlen(name);

	if (length == 0 || length >= sizeof((struct duoshm_register *)0)->name)
		return duoshm__invalid("a register's name has 1 to 31 characters");
	for (size_t i = 0; i < length; i++)
		if (!(name[i] >= 'A' && name[i] <= 'Z') &&
			!(i && (name[i] == '_' || (name[i] >= '0' && name[i] <= '9'))))
			return duoshm__invalid(
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
		return duoshm__invalid("more than %d registers", DUOSHM_REGISTERS_MAX / 2);
	grown = realloc(setup->reg, (setup->registers + 1) * sizeof *grown);
	if (!grown)
		return duoshm__no_memory("registers");
	setup->reg = grown;
	reg = &grown[setup->registers++];
	memset(reg, 0, sizeof *reg);
	reg->about = duoshm__register_plain;
	DUOSHM__SET(reg->about.name, name);
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
		r->code = duoshm__invalid(
			"%s:%d: is longer than %d characters", r->path, r->line, size - 2);
	return got;
}

static int take_key(struct reading *r, const char *section, const char *key, const char *value)
{
	struct duoshm__register_setup *reg = NULL;
	const struct key *known;
	int err;

	if (strcmp(section, "device") == 0)
		return duoshm__setup_set(r->setup, key, value);
	if (strncmp(section, "register ", 9) != 0)
		return duoshm__invalid(
			"unknown section [%s]; there are [device] and [register NAME]", section);
	err = find_register(r->setup, section + 9 + strspn(section + 9, " "), &reg);
	if (err)
		return err;
	reg->line = r->line;
	known = find_key(register_keys, DUOSHM__COUNT(register_keys), key);
	if (!known)
		return duoshm__invalid("unknown key \"%s\" of [register %s]", key, reg->about.name);
	return known->take(known, reg, value);
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
	DUOSHM__SET(cause, duoshm_failure()->cause);
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
		return duoshm__invalid("%s: cannot be read", path);
	if (line > 0)
		return duoshm__invalid("%s:%d: is neither a [section] nor key = value", path, line);
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
		return duoshm__invalid("low and high are given together, low first");
	if (!reg->wave[0])
		return reg->value[0] ? duoshm__value_parse(about, reg->value, &value) : 0;
	if (about->type != DUOSHM_TYPE_REAL)
		return duoshm__invalid("a wave needs a register of type real");
	if (about->writable || reg->value[0])
		return duoshm__invalid("a register with a wave is read-only");
	if (about->low == about->high)
		return duoshm__invalid("a wave needs low less than high");
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
		DUOSHM__SET(cause, duoshm_failure()->cause);
		return duoshm__fail(err, "%s:%d: register %s: %s", path, setup->reg[i].line,
			setup->reg[i].about.name, cause);
	}
	return 0;
}
