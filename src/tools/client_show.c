/* SPDX-License-Identifier: MIT */
/* How the client shows values: for people, with chosen fields, or as JSON Lines. */
#include "config.h"

#include "tools/client.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#define TIME_SIZE 64

const char *client_value_text(const struct duoshm_register *reg, const struct duoshm_value *value,
	char text[CLIENT_VALUE_SIZE])
{
	/* --format is checked; compilers warn of a format that they cannot read. */
	int (*print)(char *, size_t, const char *, ...) = snprintf;
	int digits = client.digits >= 0 ? client.digits : reg->precision;

	switch (value->type) {
	case DUOSHM_TYPE_REAL:
		if (client.format)
			print(text, CLIENT_VALUE_SIZE, client.format, value->real);
		else
			snprintf(text, CLIENT_VALUE_SIZE, "%.*f",
				digits < 0 || digits > 17 ? 6 : digits, value->real);
		break;
	case DUOSHM_TYPE_TEXT: snprintf(text, CLIENT_VALUE_SIZE, "%s", value->text); break;
	case DUOSHM_TYPE_BOOLEAN:
		snprintf(text, CLIENT_VALUE_SIZE, "%s", value->integer ? "on" : "off");
		break;
	default: snprintf(text, CLIENT_VALUE_SIZE, "%" PRId64, value->integer); break;
	}
	return text;
}

/* "2026-11-23 10:15:42.100213"; the calendar is of the computer's time zone unless --utc. */
static void calendar(int64_t ns, char text[TIME_SIZE])
{
	time_t seconds = (time_t)(ns / TOOL_SECOND);
	int64_t rest = ns % TOOL_SECOND;
	struct tm broken;
	char date[32];

	if (ns <= 0 ||
		!(client.utc ? gmtime_r(&seconds, &broken) : localtime_r(&seconds, &broken))) {
		snprintf(text, TIME_SIZE, "%-26s", "never");
		return;
	}
	strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S", &broken);
	snprintf(text, TIME_SIZE, "%s.%06" PRId64, date, rest / 1000);
}

/* The time field, empty with --time=none. Relative times count from the first one shown. */
static const char *time_text(int64_t t_device_ns, int64_t t_client_ns, char text[TIME_SIZE])
{
	static int64_t origin;
	int64_t ns = client.time == CLIENT_TIME_CLIENT ? t_client_ns : t_device_ns;

	text[0] = '\0';
	if (client.time == CLIENT_TIME_NONE)
		return text;
	if (client.relative) {
		if (!origin)
			origin = ns;
		snprintf(text, TIME_SIZE, "%.6f", (double)(ns - origin) * 1e-9);
		return text;
	}
	calendar(ns, text);
	return text;
}

void client_json_value(struct tool_json *line, const char *key, const struct duoshm_value *value)
{
	switch (value->type) {
	case DUOSHM_TYPE_REAL: tool_json_real(line, key, value->real); break;
	case DUOSHM_TYPE_TEXT: tool_json_text(line, key, value->text); break;
	case DUOSHM_TYPE_BOOLEAN: tool_json_bool(line, key, value->integer != 0); break;
	default: tool_json_integer(line, key, value->integer); break;
	}
}

struct tool_json *client_json(const char *schema, const char *name)
{
	struct tool_json *line = tool_json_document(schema);

	tool_json_text(line, "device", tool_plain_name(client.name));
	tool_json_text(line, "register", name);
	return line;
}

static void show_json(
	const struct duoshm_register *reg, const struct duoshm_value *value, int64_t t_client_ns)
{
	struct tool_json *line = client_json("duoshm.sample/1", reg->name);

	tool_json_integer(line, "seq", (int64_t)value->sequence);
	if (client.time != CLIENT_TIME_NONE)
		tool_json_integer(line, "t_device_ns", value->t_sample_ns);
	if (client.time == CLIENT_TIME_CLIENT)
		tool_json_integer(line, "t_client_ns", t_client_ns);
	client_json_value(line, "value", value);
	if (value->type == DUOSHM_TYPE_REAL && reg->bits)
		tool_json_integer(line, "raw", value->integer);
	tool_json_text(line, "unit", reg->unit);
	tool_json_text(line, "severity", duoshm_severity_name(value->severity));
	tool_json_text(line, "status", duoshm_alarm_name(value->alarm));
	tool_json_print(line, 1);
}

double client_sample(const struct duoshm_format *f, const struct duoshm_block *b, size_t at)
{
	double sample = f->sample_type == DUOSHM_SAMPLE_INT32
				? (double)((const int32_t *)b->samples)[at]
				: ((const double *)b->samples)[at];

	/* Adding 0 would make 0 of -0. */
	sample *= f->scale;
	return f->offset != 0 ? sample + f->offset : sample;
}

int64_t client_sample_time(
	const struct duoshm_format *f, const struct duoshm_block *b, unsigned frame)
{
	return b->t_first_ns + (f->rate_hz > 0 ? (int64_t)((double)frame * 1e9 / f->rate_hz) : 0);
}

/* NAME in a column of its own, or followed by -F's separator. */
static void show_name(const char *name)
{
	if (client.separator)
		printf("%s%s", name, client.separator);
	else
		printf("%-30s ", name);
}

void client_show(const struct duoshm_register *reg, const struct duoshm_value *value, int stream)
{
	const char *separator = client.separator ? client.separator : " ";
	int64_t t_client_ns = tool_real_time();
	char time[TIME_SIZE], text[CLIENT_VALUE_SIZE];

	client_value_text(reg, value, text);
	if (tool.json) {
		show_json(reg, value, t_client_ns);
		return;
	}
	if (client.terse && !client.wide) {
		puts(text);
		return;
	}
	if (client.wide || !stream)
		show_name(reg->name);
	if ((client.wide || stream) && *time_text(value->t_sample_ns, t_client_ns, time))
		printf("%s%s", time, separator);
	if (stream && !client.wide)
		printf("%s%s", reg->name, separator);
	fputs(text, stdout);
	if (reg->unit[0] && !client.wide)
		printf("%s%s", separator, reg->unit);
	if (client.wide || value->severity != DUOSHM_NO_ALARM)
		printf("%s%s%s%s", separator, duoshm_alarm_name(value->alarm), separator,
			duoshm_severity_name(value->severity));
	putchar('\n');
}

static void show_error(const char *name, const char *error)
{
	struct tool_json *line = client_json("duoshm.error/1", name);

	tool_json_text(line, "error", error);
	tool_json_print(line, 1);
}

/* The line that stands for a register which does not exist. */
static void show_missing(const char *name)
{
	if (tool.json) {
		show_error(name, "no such register");
		return;
	}
	show_name(name);
	puts("*** no such register");
}

int client_item_failed(const char *name, int code)
{
	if (tool.json)
		show_error(name, tool_cause(code));
	return client_failed(code);
}

int client_look_up(struct duoshm_device *device, const char *name, unsigned *index,
	struct duoshm_register *reg, struct duoshm_value *value)
{
	int code = duoshm_device_find(device, name);

	if (code == DUOSHM_ERR_NOT_FOUND || code == DUOSHM_ERR_NAME) {
		show_missing(name);
		return TOOL_NOT_FOUND;
	}
	*index = (unsigned)code;
	if (code >= 0)
		code = duoshm_device_describe(device, *index, reg);
	if (code >= 0)
		code = duoshm_device_read(device, *index, value);
	return code < 0 ? client_item_failed(name, code) : TOOL_DONE;
}
