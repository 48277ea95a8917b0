/* SPDX-License-Identifier: MIT */
/*
 * JSON by jansson. A struct tool_json is jansson's json_t under another name, so that nothing outside of this
 * file depends on the library being there.
 */
#include "config.h"

#include "tools/json.h"

#include "tools/common.h"

#ifdef HAVE_JANSSON

#include <jansson.h>
#include <math.h>
#include <stdlib.h>

static json_t *inner(struct tool_json *value)
{
	return (json_t *)value;
}

static struct tool_json *outer(json_t *value)
{
	if (value)
		return (struct tool_json *)value;
	tool_error("out of memory");
	exit(TOOL_FAILED);
}

struct tool_json *tool_json_object(void)
{
	return outer(json_object());
}

struct tool_json *tool_json_array(void)
{
	return outer(json_array());
}

void tool_json_put(struct tool_json *object, const char *key, struct tool_json *value)
{
	if (json_object_set_new(inner(object), key, inner(value)) < 0)
		outer(NULL);
}

void tool_json_append(struct tool_json *array, struct tool_json *value)
{
	if (json_array_append_new(inner(array), inner(value)) < 0)
		outer(NULL);
}

/* Names of other programs' objects need not be UTF-8. */
static struct tool_json *text_value(const char *text)
{
	json_t *value = text ? json_string(text) : json_null();

	if (value || !text)
		return outer(value);
	char *ascii = tool_copy(text);
	for (char *c = ascii; *c; c++) {
		if ((unsigned char)*c >= 0x80)
			*c = '?';
	}
	value = json_string(ascii);
	free(ascii);
	return outer(value);
}

static struct tool_json *real_value(double value)
{
	return outer(isfinite(value) ? json_real(value) : json_null());
}

void tool_json_text(struct tool_json *object, const char *key, const char *text)
{
	tool_json_put(object, key, text_value(text));
}

void tool_json_integer(struct tool_json *object, const char *key, int64_t value)
{
	tool_json_put(object, key, outer(json_integer(value)));
}

void tool_json_real(struct tool_json *object, const char *key, double value)
{
	tool_json_put(object, key, real_value(value));
}

void tool_json_bool(struct tool_json *object, const char *key, int value)
{
	tool_json_put(object, key, outer(value ? json_true() : json_false()));
}

void tool_json_null(struct tool_json *object, const char *key)
{
	tool_json_put(object, key, outer(json_null()));
}

void tool_json_append_real(struct tool_json *array, double value)
{
	tool_json_append(array, real_value(value));
}

void tool_json_append_integer(struct tool_json *array, int64_t value)
{
	tool_json_append(array, outer(json_integer(value)));
}

/* Numbers read back as the same number: 17 digits only where 15 do not say it. */
static int all_short(json_t *value)
{
	const char *key;
	json_t *item;
	size_t index;
	char text[TOOL_TEXT_SIZE];

	if (json_is_real(value)) {
		snprintf(text, sizeof text, "%.15g", json_real_value(value));
		return strtod(text, NULL) == json_real_value(value);
	}
	json_array_foreach(value, index, item)
	{
		if (!all_short(item))
			return 0;
	}
	json_object_foreach(value, key, item)
	{
		if (!all_short(item))
			return 0;
	}
	return 1;
}

void tool_json_write(struct tool_json *value, int lines, FILE *file)
{
	size_t digits = all_short(inner(value)) ? 15 : 17;

	json_dumpf(inner(value), file,
		JSON_REAL_PRECISION(digits) | (lines ? JSON_COMPACT : JSON_INDENT(2)));
	fputc('\n', file);
	json_decref(inner(value));
}

#else

/* Never reached: option -J has ended the program. */
struct tool_json {
	int none;
};
static struct tool_json nothing;

struct tool_json *tool_json_object(void)
{
	return &nothing;
}

struct tool_json *tool_json_array(void)
{
	return &nothing;
}

void tool_json_put(struct tool_json *object, const char *key, struct tool_json *value)
{
	(void)object, (void)key, (void)value;
}

void tool_json_append(struct tool_json *array, struct tool_json *value)
{
	(void)array, (void)value;
}

void tool_json_text(struct tool_json *object, const char *key, const char *text)
{
	(void)object, (void)key, (void)text;
}

void tool_json_integer(struct tool_json *object, const char *key, int64_t value)
{
	(void)object, (void)key, (void)value;
}

void tool_json_real(struct tool_json *object, const char *key, double value)
{
	(void)object, (void)key, (void)value;
}

void tool_json_bool(struct tool_json *object, const char *key, int value)
{
	(void)object, (void)key, (void)value;
}

void tool_json_null(struct tool_json *object, const char *key)
{
	(void)object, (void)key;
}

void tool_json_append_real(struct tool_json *array, double value)
{
	(void)array, (void)value;
}

void tool_json_append_integer(struct tool_json *array, int64_t value)
{
	(void)array, (void)value;
}

void tool_json_write(struct tool_json *value, int lines, FILE *file)
{
	(void)value, (void)lines, (void)file;
}

#endif

struct tool_json *tool_json_document(const char *schema)
{
	struct tool_json *document = tool_json_object();

	tool_json_text(document, "schema", schema);
	return document;
}

void tool_json_print(struct tool_json *value, int lines)
{
	tool_json_write(value, lines, stdout);
}
