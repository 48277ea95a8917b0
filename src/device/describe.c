/* SPDX-License-Identifier: MIT */
/*
 * Descriptions of devices. The reader of the file's form is libinih; what the words mean is here,
 * in two tables that a value finds its way through by key. Nothing unknown is passed over: a
 * misspelt key is an error with its line.
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
#include <unistd.h>

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

/* A key of a section. */
struct key {
	const char *name;
	int (*take)(const struct key *key, void *base, const char *value);
	size_t at, size;   /* of the member that it sets */
	int64_t low, high; /* limits of a whole number; both 0: on or off */
	const char *unit;
	double range[2];      /* of a number in `unit` */
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
	int err = key->high ? duoshm__whole(value, key->low, key->high, &number)
			    : duoshm__truth(value, &number);

	if (!err && key->size == sizeof(int))
		*(int *)member(key, base) = (int)number;
	else if (!err)
		*(int64_t *)member(key, base) = number;
	return err;
}

static int take_choice(const struct key *key, void *base, const char *value)
{
	if (strcmp(value, key->no) != 0 && strcmp(value, key->yes) != 0)
		return duoshm__invalid("\"%s\" is neither %s nor %s", value, key->no, key->yes);
	*(int *)member(key, base) = strcmp(value, key->yes) == 0;
	return 0;
}

static const struct key *find_key(const struct key *keys, const char *name)
{
	for (; keys->name; keys++)
		if (strcmp(name, keys->name) == 0)
			return keys;
	duoshm__invalid("unknown key \"%s\"", name);
	return NULL;
}

/* ---- [device] ---- */

static int take_real(const struct key *key, void *base, const char *value)
{
	double number;
	int err = duoshm__quantity(value, key->unit, &number);

	if (!err)
		err = duoshm__between(key->name, number, key->range[0], key->range[1], key->unit);
	if (!err)
		*(double *)member(key, base) = number;
	return err;
}

static int take_wave(const struct key *key, void *base, const char *value)
{
	struct duoshm__signal signal;
	int err = take_text(key, base, value);

	duoshm__signal_init(&signal, DUOSHM__BITS_MAX, 0);
	if (!err && duoshm__signal_parse(&signal, value, "V"))
		err = duoshm__blame("%s", value);
	return err;
}

static int take_backend(const struct key *key, void *base, const char *value)
{
	int known = strcmp(value, "auto") == 0;

	for (const char *const *family = duoshm_backends(); *family; family++)
		known |= strcmp(*family, value) == 0;
	return known ? take_text(key, base, value)
		     : duoshm__invalid("no backend \"%s\" is built in", value);
}

/* With or without its family. */
static int take_name(const struct key *key, void *base, const char *value)
{
	const char *colon = strchr(value, ':');
	const char *plain = colon ? colon + 1 : value;
	size_t length = strspn(plain, "abcdefghijklmnopqrstuvwxyz0123456789._-");

	if (!plain[length] && *plain != '.' && length > 0 && length <= DUOSHM_DEVICE_NAME_MAX)
		return take_text(key, base, value);
	return duoshm__invalid("\"%s\" is no device's name: 1 to %d characters of [a-z0-9._-], no "
			       "dot first",
		plain, DUOSHM_DEVICE_NAME_MAX);
}

static int take_mode(const struct key *key, void *base, const char *value)
{
	char *rest;
	unsigned long mode = strtoul(value, &rest, 8);

	if (!*value || *rest || mode > 0666 || (mode & 0600) != 0600 || (mode & 0111))
		return duoshm__invalid(
			"\"%s\" is not an octal mode: 06 and two digits, each 0, 2, 4 or 6", value);
	*(unsigned *)member(key, base) = (unsigned)mode;
	return 0;
}

#define SETUP(member) MEMBER(duoshm__setup, member)
static const struct key device_keys[] = {
	{"name", take_name, SETUP(name)},
	{"backend", take_backend, SETUP(backend)},
	{"wave", take_wave, SETUP(wave)},
	{"replay", take_text, SETUP(replay)},
	{"period", take_real, SETUP(period_s), .unit = "s", .range = {DUOSHM__PERIODS}},
	{"rate", take_real, SETUP(rate_hz), .unit = "Hz", .range = {DUOSHM__RATES}},
	{"mode", take_mode, SETUP(mode)},
	{"once", take_whole, SETUP(once)},
	{"bits", take_whole, SETUP(bits), .low = 1, .high = DUOSHM__BITS_MAX},
	{"seed", take_whole, SETUP(seed), .low = 0, .high = INT64_MAX},
	{"start", take_choice, SETUP(start_now), .no = "capture", .yes = "now"},
	{"pace", take_choice, SETUP(fast), .no = "real", .yes = "fast"},
	{.name = NULL},
};

int duoshm__setup_set(struct duoshm__setup *setup, const char *key, const char *value)
{
	const struct key *known = find_key(device_keys, key);

	return known ? known->take(known, setup, value) : DUOSHM_ERR_INVALID;
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
	{.name = NULL},
};

static int add_register(struct duoshm__setup *setup, const char *name, int line)
{
	struct duoshm__register_setup *reg = &setup->reg[setup->registers];
	size_t length = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");

	if (name[length] || length >= sizeof reg->about.name || *name < 'A' || *name > 'Z')
		return duoshm__invalid("\"%s\" is not a register's name: 1 to 31 capitals, digits "
				       "and _, a capital first",
			name);
	for (unsigned i = 0; i < setup->registers; i++)
		if (strcmp(setup->reg[i].about.name, name) == 0)
			return duoshm__invalid("two registers are named %s", name);
	if (setup->registers == DUOSHM__COUNT(setup->reg))
		return duoshm__invalid("more than %zu registers", DUOSHM__COUNT(setup->reg));
	setup->registers++;
	reg->about = duoshm__register_plain;
	reg->line = line;
	DUOSHM__SET(reg->about.name, name);
	return 0;
}

/* ---- the file ---- */

struct reading {
	struct duoshm__setup *setup;
	FILE *file;
	int line; /* of what is being looked at */
	int code; /* of the first fault, which ends it */
	/* the section */
	const struct key *keys;             /* NULL: none yet */
	struct duoshm__register_setup *reg; /* NULL: [device] */
	unsigned given;                     /* keys, a bit each */
	int device;                         /* [device] was there */
};

static void note(struct reading *r, int code)
{
	r->code = code ? duoshm__blame("%s:%d", r->setup->path, r->line) : 0;
}

static int begin_section(struct reading *r, const char *name)
{
	r->given = 0;
	if (strcmp(name, "device") == 0) {
		r->keys = device_keys;
		r->reg = NULL;
		return r->device++ ? duoshm__invalid("[device] is there twice") : 0;
	}
	if (strncmp(name, "register ", 9) != 0)
		return duoshm__invalid(
			"unknown section [%s]; there are [device] and [register NAME]", name);
	r->keys = register_keys;
	r->reg = &r->setup->reg[r->setup->registers];
	return add_register(r->setup, name + 9 + strspn(name + 9, " "), r->line);
}

/*
 * libinih tells its handler neither the line, in every build, nor of a section without keys: so the
 * reader looks at both. Blanks at the front would make a line the end of the value before it.
 */
static char *next_line(char *line, int size, void *arg)
{
	struct reading *r = arg;
	char *got = r->code ? NULL : fgets(line, size, r->file), *text, *end;

	if (!got)
		return NULL;
	r->line++;
	text = got + strspn(got, " \t\357\273\277"); /* and a byte order mark */
	end = *text == '[' ? strchr(text, ']') : NULL;
	if (!strchr(got, '\n') && !feof(r->file)) {
		note(r, duoshm__invalid("is longer than %d characters", size - 2));
	} else if (end) {
		*end = '\0';
		note(r, begin_section(r, text + 1));
		*end = ']';
	}
	memmove(got, text, strlen(text) + 1);
	return r->code ? NULL : got;
}

/* A recording lies beside the description, unless its path is absolute. */
static int take_recording(const struct key *key, struct duoshm__setup *setup, const char *value)
{
	const char *slash = strrchr(setup->path, '/');
	int folder = slash && *value != '/' ? (int)(slash + 1 - setup->path) : 0;
	char path[sizeof setup->replay + 1];
	int err;

	snprintf(path, sizeof path, "%.*s%s", folder, setup->path, value);
	err = key->take(key, setup, path);
	return err || access(path, R_OK) == 0 ? err : duoshm__fail_file(path);
}

static int take_key(struct reading *r, const char *name, const char *value)
{
	const struct key *key;

	if (!r->keys)
		return duoshm__invalid("\"%s\" stands before the first section", name);
	key = find_key(r->keys, name);
	if (!key)
		return DUOSHM_ERR_INVALID;
	if (r->given & 1u << (key - r->keys))
		return duoshm__invalid("\"%s\" is given twice", name);
	r->given |= 1u << (key - r->keys);
	if (r->reg)
		r->reg->line = r->line;
	else if (strcmp(name, "replay") == 0)
		return take_recording(key, r->setup, value);
	return key->take(key, r->reg ? (void *)r->reg : r->setup, value);
}

static int handle(void *arg, const char *section, const char *key, const char *value)
{
	struct reading *r = arg;

	(void)section;
	note(r, take_key(r, key, value));
	return !r->code;
}

int duoshm__setup_read(struct duoshm__setup *setup, const char *path)
{
	struct reading r = {.setup = setup};
	int err = duoshm__open_file(path, &r.file);
	int line, failed;

	if (err)
		return err;
	setup->path = path;
	line = ini_parse_stream(next_line, &r, handle, &r);
	failed = ferror(r.file);
	fclose(r.file);
	/* a broken line makes faults of lines behind it */
	if (r.code && (line <= 0 || line >= r.line))
		return r.code;
	if (failed || line < 0)
		return duoshm__invalid("%s: cannot be read", path);
	return line ? duoshm__invalid("%s:%d: is neither a [section] nor key = value", path, line)
		    : 0;
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

/* Those that are given. */
static int check_levels(const struct duoshm_register *about)
{
	const double levels[] = {about->lolo, about->low_alarm, about->high_alarm, about->hihi};
	double last = -INFINITY;

	for (size_t i = 0; i < DUOSHM__COUNT(levels); last = fmax(last, levels[i++]))
		if (levels[i] < last)
			return duoshm__invalid("lolo, low_alarm, high_alarm and hihi must rise");
	return 0;
}

static int check_register(const struct duoshm__register_setup *reg)
{
	const struct duoshm_register *about = &reg->about;
	struct duoshm__signal signal;
	struct duoshm_value value;

	if (isnan(about->low) != isnan(about->high) || about->low > about->high)
		return duoshm__invalid("low and high are given together, low first");
	if (check_levels(about))
		return DUOSHM_ERR_INVALID;
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

int duoshm__setup_check(const struct duoshm__setup *setup)
{
	for (unsigned i = 0; i < setup->registers; i++)
		if (check_register(&setup->reg[i]))
			return duoshm__blame("%s:%d: register %s", setup->path, setup->reg[i].line,
				setup->reg[i].about.name);
	return 0;
}
