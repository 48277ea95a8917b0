/* SPDX-License-Identifier: MIT */
/* compare info: what the running system says of both families. Nothing is fixed here: duoshm_probe tries and asks. */
#include "config.h"

#include "tools/common.h"
#include "tools/compare.h"
#include "tools/json.h"

#include <stdio.h>
#include <string.h>

static const char *const families[] = {"sysv", "posix"};
#define FAMILIES 2

static const struct {
	unsigned bit;
	const char *key, *text;
} abilities[] = {
	{DUOSHM_CAN_TIMED_WAIT, "timed_wait", "semaphore waits with a timeout"},
	{DUOSHM_CAN_RESERVE, "reserve", "memory reserved at creation"},
	{DUOSHM_CAN_KERNEL_LIST, "kernel_list", "kernel lists the objects"},
	{DUOSHM_CAN_ATTACH_LATER, "attach_later", "kernel attaches after removal"},
	{DUOSHM_CAN_COUNT, "count", "kernel counts attachments"},
	{DUOSHM_CAN_UNDO, "undo", "kernel undoes a dead process's operations"},
};
#define ABILITIES (sizeof abilities / sizeof abilities[0])

static void show_line(const char *what, const char *a, const char *b)
{
	printf("%-44s %-22s %s\n", what, a, b);
}

static const char *yes(const struct duoshm_facts *f, unsigned bit)
{
	return !f->works ? "-" : f->abilities & bit ? "yes" : "no";
}

static const char *number(const struct duoshm_limit *l, int64_t value, char text[TOOL_TEXT_SIZE])
{
	if (value < 0)
		return "unknown";
	if (value == INT64_MAX)
		return "no limit";
	if (strcmp(l->unit, "bytes") == 0)
		return tool_bytes_text((uint64_t)value, text);
	snprintf(text, TOOL_TEXT_SIZE, "%lld", (long long)value);
	return text;
}

static void show_limits(const struct duoshm_facts *f)
{
	char value[TOOL_TEXT_SIZE], used[TOOL_TEXT_SIZE];
	for (unsigned i = 0; i < f->n_limits; i++) {
		const struct duoshm_limit *l = &f->limits[i];
		printf("%-8s %-24s %15s %15s  %-12s %s\n", f->backend, l->name,
			number(l, l->value, value), l->used < 0 ? "-" : number(l, l->used, used),
			l->unit, l->source);
	}
}

static void show(const struct duoshm_facts *f)
{
	show_line("", families[0], families[1]);
	show_line("built in", f[0].built ? "yes" : "no", f[1].built ? "yes" : "no");
	show_line("works here", f[0].works ? "yes" : "no", f[1].works ? "yes" : "no");
	show_line(
		"a sleeper sleeps in", f[0].works ? f[0].bell : "-", f[1].works ? f[1].bell : "-");
	for (size_t i = 0; i < ABILITIES; i++)
		show_line(abilities[i].text, yes(&f[0], abilities[i].bit),
			yes(&f[1], abilities[i].bit));
	for (int i = 0; i < FAMILIES; i++)
		if (!f[i].works)
			printf("%s: %s\n", families[i], f[i].reason);
	printf("\n%-8s %-24s %15s %15s  %-12s %s\n", "FAMILY", "LIMIT", "VALUE", "USED", "UNIT",
		"SOURCE");
	show_limits(&f[0]);
	show_limits(&f[1]);
}

static void put_number(struct tool_json *object, const char *key, int64_t value)
{
	if (value < 0)
		tool_json_text(object, key, NULL);
	else
		tool_json_integer(object, key, value);
}

static struct tool_json *json_limits(const struct duoshm_facts *f)
{
	struct tool_json *limits = tool_json_array();
	for (unsigned i = 0; i < f->n_limits; i++) {
		const struct duoshm_limit *l = &f->limits[i];
		struct tool_json *one = tool_json_object();
		tool_json_text(one, "limit", l->name);
		tool_json_text(one, "unit", l->unit);
		tool_json_bool(one, "unlimited", l->value == INT64_MAX);
		put_number(one, "value", l->value == INT64_MAX ? -1 : l->value);
		put_number(one, "used", l->used);
		tool_json_text(one, "source", l->source);
		tool_json_put(limits, NULL, one);
	}
	return limits;
}

static struct tool_json *json_family(const struct duoshm_facts *f, const char *name)
{
	struct tool_json *family = tool_json_object(), *can = tool_json_object();
	tool_json_text(family, "backend", name);
	tool_json_bool(family, "built", f->built);
	tool_json_bool(family, "works", f->works);
	tool_json_text(family, "reason", f->works ? NULL : f->reason);
	tool_json_text(family, "bell", f->works ? f->bell : NULL);
	for (size_t i = 0; i < ABILITIES; i++)
		tool_json_bool(
			can, abilities[i].key, f->works && (f->abilities & abilities[i].bit));
	tool_json_put(family, "abilities", can);
	tool_json_put(family, "limits", json_limits(f));
	return family;
}

int compare_info(void)
{
	struct duoshm_facts facts[FAMILIES] = {DUOSHM_FACTS_INIT, DUOSHM_FACTS_INIT};
	for (int i = 0; i < FAMILIES; i++) {
		if (duoshm_probe(families[i], &facts[i]) < 0)
			snprintf(facts[i].reason, sizeof facts[i].reason, "not built in");
		snprintf(facts[i].backend, sizeof facts[i].backend, "%s", families[i]);
	}
	if (!tool.json) {
		show(facts);
		return TOOL_DONE;
	}
	struct tool_json *document = tool_json_document("duoshm.info/1"), *list = tool_json_array();
	for (int i = 0; i < FAMILIES; i++)
		tool_json_put(list, NULL, json_family(&facts[i], families[i]));
	tool_json_put(document, "families", list);
	tool_json_print(document, 0);
	return TOOL_DONE;
}
