/* SPDX-License-Identifier: MIT */
/*
 * Registers as the device has them: values with alarm, sequence and time stamps, texts to values and back.
 * How clients see them is table.c.
 */
#include "config.h"

#include "device/registers.h"

#include "core/failure.h"
#include "device/quantity.h"
#include "device/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void duoshm__registers_free(struct duoshm__registers *registers)
{
	free(registers->about);
	free(registers->value);
	free(registers->row);
	free(registers->dirty);
	memset(registers, 0, sizeof *registers);
}

static int make_room(struct duoshm__registers *r)
{
	unsigned room = r->room ? 2 * r->room : 32;
	struct duoshm_register *about;
	struct duoshm_value *value;

	if (r->count < r->room)
		return 0;
	about = realloc(r->about, room * sizeof *about);
	if (about)
		r->about = about;
	value = realloc(r->value, room * sizeof *value);
	if (value)
		r->value = value;
	if (!about || !value)
		return duoshm__no_memory("registers");
	r->room = room;
	return 0;
}

int duoshm__registers_add(struct duoshm__registers *r, const struct duoshm_register *about)
{
	struct duoshm_value *value;
	int err;

	if (duoshm__registers_find(r, about->name) >= 0)
		return duoshm__invalid("two registers are named %s", about->name);
	if (r->count == DUOSHM_REGISTERS_MAX)
		return duoshm__invalid("more than %d registers", DUOSHM_REGISTERS_MAX);
	err = make_room(r);
	if (err)
		return err;
	r->about[r->count] = *about;
	value = &r->value[r->count];
	memset(value, 0, sizeof *value);
	value->type = about->type;
	value->severity = DUOSHM_INVALID;
	value->alarm = DUOSHM_ALARM_UDF;
	return (int)r->count++;
}

int duoshm__registers_seal(struct duoshm__registers *r)
{
	size_t rows = r->count + DUOSHM__EXTRA_ROWS;

	r->row = calloc(rows, sizeof *r->row);
	r->dirty = malloc(rows);
	if (!r->row || !r->dirty)
		return duoshm__no_memory("registers");
	memset(r->dirty, 1, rows);
	for (unsigned i = 0; i < r->count; i++)
		duoshm__row_encode(&r->value[i], &r->row[i]);
	return 0;
}

int duoshm__registers_find(const struct duoshm__registers *r, const char *name)
{
	for (unsigned i = 0; i < r->count; i++)
		if (strcasecmp(r->about[i].name, name) == 0)
			return (int)i;
	return duoshm__fail(DUOSHM_ERR_NOT_FOUND, "no such register: %s", name);
}

/* Levels that are not a number compare false, and so are none. */
static void set_alarm(const struct duoshm_register *about, struct duoshm_value *value)
{
	double v = about->type == DUOSHM_TYPE_REAL ? value->real : (double)value->integer;
	int alarm = DUOSHM_ALARM_NONE, severity = DUOSHM_NO_ALARM;

	if (about->type == DUOSHM_TYPE_TEXT)
		v = NAN;
	else if (isnan(v))
		alarm = DUOSHM_ALARM_READ, severity = DUOSHM_INVALID;
	if (v >= about->hihi)
		alarm = DUOSHM_ALARM_HIHI, severity = DUOSHM_MAJOR;
	else if (v <= about->lolo)
		alarm = DUOSHM_ALARM_LOLO, severity = DUOSHM_MAJOR;
	else if (v >= about->high_alarm)
		alarm = DUOSHM_ALARM_HIGH, severity = DUOSHM_MINOR;
	else if (v <= about->low_alarm)
		alarm = DUOSHM_ALARM_LOW, severity = DUOSHM_MINOR;
	value->alarm = alarm;
	value->severity = severity;
}

/* After the value itself was set. */
static void stamp(struct duoshm__registers *r, unsigned index, int64_t t_sample, int64_t t_update)
{
	struct duoshm_value *value = &r->value[index];

	set_alarm(&r->about[index], value);
	value->sequence++;
	value->t_sample_ns = t_sample;
	value->t_update_ns = t_update;
	duoshm__row_encode(value, &r->row[index]);
	r->dirty[index] = 1;
}

void duoshm__registers_real(struct duoshm__registers *r, unsigned index, double value, int64_t raw,
	int64_t t_sample_ns, int64_t t_update_ns)
{
	r->value[index].real = value;
	r->value[index].integer = raw;
	stamp(r, index, t_sample_ns, t_update_ns);
}

void duoshm__registers_integer(
	struct duoshm__registers *r, unsigned index, int64_t value, int64_t now_ns)
{
	r->value[index].integer = value;
	stamp(r, index, now_ns, now_ns);
}

void duoshm__registers_value(struct duoshm__registers *r, unsigned index,
	const struct duoshm_value *value, int64_t now_ns)
{
	struct duoshm_value *mine = &r->value[index];

	mine->real = value->real;
	mine->integer = value->integer;
	memcpy(mine->text, value->text, sizeof mine->text);
	stamp(r, index, now_ns, now_ns);
}

/* ---- text ---- */

static int parse_plain(
	const struct duoshm_register *about, const char *text, struct duoshm_value *out)
{
	switch (about->type) {
	case DUOSHM_TYPE_REAL: return duoshm__quantity(text, about->unit, &out->real);
	case DUOSHM_TYPE_INTEGER: return duoshm__whole(text, INT64_MIN, INT64_MAX, &out->integer);
	case DUOSHM_TYPE_BOOLEAN: return duoshm__truth(text, &out->integer);
	}
	if (strlen(text) >= sizeof out->text)
		return duoshm__invalid("a text has at most %zu characters", sizeof out->text - 1);
	duoshm__copy(out->text, sizeof out->text, text);
	return 0;
}

int duoshm__value_parse(
	const struct duoshm_register *about, const char *text, struct duoshm_value *out)
{
	struct duoshm_value value = {.type = about->type};
	char cause[256];
	double v;
	int err = parse_plain(about, text, &value);

	if (err) {
		duoshm__copy(cause, sizeof cause, duoshm_failure()->cause);
		return duoshm__fail(err, "%s: %s (it is %s)", about->name, cause,
			duoshm_type_name(about->type));
	}
	v = about->type == DUOSHM_TYPE_REAL ? value.real : (double)value.integer;
	if (about->type <= DUOSHM_TYPE_INTEGER && about->low <= about->high &&
		(v < about->low || v > about->high))
		return duoshm__invalid("%s: %s is beyond its limits, %g to %g %s", about->name,
			text, about->low, about->high, about->unit);
	*out = value;
	return 0;
}

void duoshm__value_text(const struct duoshm_register *about, const struct duoshm_value *value,
	char *text, size_t size)
{
	const char *blank = about->unit[0] ? " " : "";

	if (value->alarm == DUOSHM_ALARM_UDF)
		snprintf(text, size, "undefined");
	else if (about->type == DUOSHM_TYPE_TEXT)
		snprintf(text, size, "%s", value->text);
	else if (about->type == DUOSHM_TYPE_BOOLEAN)
		snprintf(text, size, "%s", value->integer ? "on" : "off");
	else if (about->type == DUOSHM_TYPE_INTEGER)
		snprintf(text, size, "%" PRId64 "%s%s", value->integer, blank, about->unit);
	else if (about->writable) /* what was set is shown as it was set */
		snprintf(text, size, "%.10g%s%s", value->real, blank, about->unit);
	else
		snprintf(text, size, "%.*f%s%s", about->precision, value->real, blank, about->unit);
}

/* ---- what clients see ---- */

void duoshm__registers_status(struct duoshm__registers *r, const uint64_t word[DUOSHM__ROW_WORDS])
{
	memcpy(r->row[r->count].word, word, sizeof r->row->word);
	r->dirty[r->count] = 1;
}

void duoshm__registers_signal(struct duoshm__registers *r, const char *text)
{
	struct duoshm__plain_row *row = &r->row[r->count + 1];

	memset(row, 0, sizeof *row);
	duoshm__copy((char *)row->word, sizeof row->word, text);
	r->dirty[r->count + 1] = 1;
}

void duoshm__registers_show(struct duoshm__registers *r, struct duoshm__table *table)
{
	duoshm__table_write(table, r->count + DUOSHM__EXTRA_ROWS, r->row, r->dirty);
}

void duoshm__registers_describe(const struct duoshm__registers *r, struct duoshm__description *to)
{
	for (unsigned i = 0; i < r->count; i++, to++) {
		const struct duoshm_register *about = &r->about[i];

		memset(to, 0, sizeof *to);
		duoshm__copy(to->name, sizeof to->name, about->name);
		duoshm__copy(to->unit, sizeof to->unit, about->unit);
		duoshm__copy(to->description, sizeof to->description, about->description);
		to->type = about->type;
		to->writable = about->writable;
		to->precision = about->precision;
		to->bits = about->bits;
		to->low = about->low;
		to->high = about->high;
		to->lolo = about->lolo;
		to->low_alarm = about->low_alarm;
		to->high_alarm = about->high_alarm;
		to->hihi = about->hihi;
	}
}
