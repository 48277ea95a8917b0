/* SPDX-License-Identifier: MIT */
/*
 * The client's get and put: registers one by one; one that fails does not keep the others from
 * being done.
 */
#include "config.h"

#include "tools/client.h"

#include <string.h>

int client_worse(int status, int next)
{
	return status != TOOL_DONE ? status : next;
}

static int get(struct duoshm_device *device, const char *name)
{
	struct duoshm_register reg;
	struct duoshm_value value;
	unsigned index;
	int status = client_look_up(device, name, &index, &reg, &value);

	if (status == TOOL_DONE)
		client_show(&reg, &value, 0);
	return status;
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

static void show_change(const struct duoshm_register *reg, const struct duoshm_value *before,
	const struct duoshm_value *after)
{
	struct tool_json *line;
	char text[CLIENT_VALUE_SIZE];

	if (tool.json) {
		line = client_json("duoshm.put/1", reg->name);
		client_json_value(line, "old", before);
		client_json_value(line, "new", after);
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
	int status = client_look_up(device, name, &index, &reg, &before);
	int code;

	if (status != TOOL_DONE)
		return status;
	code = duoshm_device_write(device, index, text, tool.wait_ns);
	if (code >= 0)
		code = duoshm_device_read(device, index, &after);
	if (code < 0)
		return client_item_failed(name, code);
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
