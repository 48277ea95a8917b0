/* SPDX-License-Identifier: MIT */
/*
 * Registers as the device has them: values with alarm, sequence and time stamps, texts to values
 * and back. How clients see them is table.c.
 */
#include "config.h"

#include "device/registers.h"

#include "core/failure.h"
#include "device/quantity.h"
#include "device/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

const struct duoshm_register duoshm__register_plain = {
	.type = DUOSHM_TYPE_REAL,
	.precision = 3,
	.low = NAN,
	.high = NAN,
	.lolo = NAN,
	.low_alarm = NAN,
	.high_alarm = NAN,
	.hihi = NAN,
};

int duoshm__registers_add(struct duoshm__registers *r, const struct duoshm_register *about)
{
	struct duoshm_value *value;

	if (duoshm__registers_find(r, about->name) >= 0)
		return duoshm__invalid("two registers are named %s", about->name);
	if (r->count == DUOSHM_REGISTERS_MAX)
		return duoshm__invalid("more than %d registers", DUOSHM_REGISTERS_MAX);
	r->about[r->count] = *about;
	if (isnan(about->low)) {
		r->about[r->count].low = 1;
		r->about[r->count].high = 0;
	}
	value = &r->value[r->count];
	memset(value, 0, sizeof *value);
	value->type = about->type;
	value->severity = DUOSHM_INVALID;
	value->alarm = DUOSHM_ALARM_UDF;
	duoshm__row_encode(value, &r->row[r->count]);
	r->dirty[r->count] = 1;
	return (int)r->count++;
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

void duoshm__registers_number(struct duoshm__registers *r, unsigned index, double real,
	int64_t integer, int64_t t_sample_ns, int64_t t_update_ns)
{
	r->value[index].real = real;
	r->value[index].integer = integer;
	stamp(r, index, t_sample_ns, t_update_ns);
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
	DUOSHM__SET(out->text, text);
	return 0;
}

int duoshm__value_parse(
	const struct duoshm_register *about, const char *text, struct duoshm_value *out)
{
	struct duoshm_value value = {.type = about->type};
	double v;
	int err = parse_plain(about, text, &value);

	if (err)
		return duoshm__blame("%s register", duoshm_type_name(about->type));
	v = about->type == DUOSHM_TYPE_REAL ? value.real : (double)value.integer;
	if (about->type <= DUOSHM_TYPE_INTEGER && about->low <= about->high &&
		(v < about->low || v > about->high))
		return duoshm__invalid("%s is beyond its limits, %g to %g%s%s", text, about->low,
			about->high, about->unit[0] ? " " : "", about->unit);
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

uint64_t *duoshm__registers_extra(struct duoshm__registers *r, unsigned which)
{
	r->dirty[r->count + which] = 1;
	return r->row[r->count + which].word;
}

void duoshm__registers_show(struct duoshm__registers *r, struct duoshm__table *table)
{
	duoshm__table_write(table, r->count + DUOSHM__EXTRA_ROWS, r->row, r->dirty);
}
