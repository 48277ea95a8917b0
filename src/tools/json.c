/* SPDX-License-Identifier: MIT */
/*
 * JSON by jansson. A struct tool_json is jansson's json_t under another name, so that nothing
 * outside of this file depends on the library being there.
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

void tool_json_put(struct tool_json *into, const char *key, struct tool_json *value)
{
	int result = key ? json_object_set_new(inner(into), key, inner(value))
			 : json_array_append_new(inner(into), inner(value));

	if (result < 0)
		outer(NULL);
}

/* Names of other programs' objects need not be UTF-8. */
static json_t *text_value(const char *text)
{
	json_t *value = json_string(text);

	if (value)
		return value;
	char *ascii = tool_copy(text);
	for (char *c = ascii; *c; c++) {
		if ((unsigned char)*c >= 0x80)
			*c = '?';
	}
	value = json_string(ascii);
	free(ascii);
	return value;
}

void tool_json_text(struct tool_json *into, const char *key, const char *text)
{
	tool_json_put(into, key, outer(text ? text_value(text) : json_null()));
}

void tool_json_integer(struct tool_json *into, const char *key, int64_t value)
{
	tool_json_put(into, key, outer(json_integer(value)));
}

void tool_json_real(struct tool_json *into, const char *key, double value)
{
	tool_json_put(into, key, outer(isfinite(value) ? json_real(value) : json_null()));
}

void tool_json_bool(struct tool_json *into, const char *key, int value)
{
	tool_json_put(into, key, outer(json_boolean(value)));
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

void tool_json_free(struct tool_json *value)
{
	json_decref(inner(value));
}

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

#endif
