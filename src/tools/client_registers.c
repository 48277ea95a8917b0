/* SPDX-License-Identifier: MIT */
/* The client's get and put: registers one by one; one that fails does not keep the others from being done. */
#include "config.h"

#include "tools/client.h"

#include <string.h>

#include "tools/json.h"

int client_worse(int status, int next)
{
	return status != TOOL_DONE ? status : next;
}

/* The register `name` and what it is, or the exit status with all said. */
static int look_up(struct duoshm_device *device, const char *name, unsigned *index,
	struct duoshm_register *reg)
{
	int found = duoshm_device_find(device, name);
	int code;

	if (found == DUOSHM_ERR_NOT_FOUND || found == DUOSHM_ERR_NAME) {
		client_show_missing(name);
		return TOOL_NOT_FOUND;
	}
	if (found < 0)
		return client_failed(found);
	code = duoshm_device_describe(device, (unsigned)found, reg);
	if (code < 0)
		return client_failed(code);
	*index = (unsigned)found;
	return TOOL_DONE;
}

static int get(struct duoshm_device *device, const char *name)
{
	struct duoshm_register reg;
	struct duoshm_value value;
	unsigned index;
	int status = look_up(device, name, &index, &reg);
	int code;

	if (status != TOOL_DONE)
		return status;
	code = duoshm_device_read(device, index, &value);
	if (code < 0)
		return client_failed(code);
	client_show_register(&reg, &value);
	return TOOL_DONE;
}

int client_get(struct duoshm_device *device, char **names)
{
	int status = TOOL_DONE;

	for (; *names; names++)
		status = client_worse(status, get(device, *names));
	return status;
}

/* "Old : PERIOD 2 s" */
static void show_side(
	const char *side, const struct duoshm_register *reg, const struct duoshm_value *value)
{
	char text[CLIENT_VALUE_SIZE];

	printf("%s : %s %s%s%s\n", side, reg->name, client_value_text(reg, value, text),
		reg->unit[0] ? " " : "", reg->unit);
}

static void put_json_value(
	struct tool_json *line, const char *key, const struct duoshm_value *value)
{
	switch (value->type) {
	case DUOSHM_TYPE_REAL: tool_json_real(line, key, value->real); break;
	case DUOSHM_TYPE_TEXT: tool_json_text(line, key, value->text); break;
	case DUOSHM_TYPE_BOOLEAN: tool_json_bool(line, key, value->integer != 0); break;
	default: tool_json_integer(line, key, value->integer); break;
	}
}

static void show_change(const struct duoshm_register *reg, const struct duoshm_value *before,
	const struct duoshm_value *after)
{
	struct tool_json *line;
	char text[CLIENT_VALUE_SIZE];

	if (tool.json) {
		line = tool_json_document("duoshm.put/1");
		tool_json_text(line, "device", client.name);
		tool_json_text(line, "register", reg->name);
		put_json_value(line, "old", before);
		put_json_value(line, "new", after);
		tool_json_text(line, "unit", reg->unit);
		tool_json_print(line, 1);
	} else if (client.terse) {
		puts(client_value_text(reg, after, text));
	} else {
		show_side("Old", reg, before);
		show_side("New", reg, after);
	}
}

/* The new value is read back: what the device made of it, not what was asked for. */
static int put(struct duoshm_device *device, const char *name, const char *text)
{
	struct duoshm_register reg;
	struct duoshm_value before, after;
	unsigned index;
	int status = look_up(device, name, &index, &reg);
	int code;

	if (status != TOOL_DONE)
		return status;
	code = duoshm_device_read(device, index, &before);
	if (code < 0)
		return client_failed(code);
	code = duoshm_device_write(device, index, text, tool.wait_ns);
	if (code < 0)
		return client_failed(code);
	code = duoshm_device_read(device, index, &after);
	if (code < 0)
		return client_failed(code);
	show_change(&reg, &before, &after);
	return TOOL_DONE;
}

int client_put(struct duoshm_device *device, char **assignments)
{
	int status = TOOL_DONE;

	for (; *assignments; assignments++) {
		char *equal = strchr(*assignments, '=');

		*equal = '\0'; /* main() has seen that it is there */
		status = client_worse(status, put(device, *assignments, equal + 1));
	}
	return status;
}
