/* SPDX-License-Identifier: MIT */
/*
 * compare info: what the running system says of both families. Nothing is fixed here: duoshm_probe
 * tries and asks.
 */
#include "config.h"

#include "tools/common.h"
#include "tools/compare.h"
#include "tools/table.h"

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

static const char *yes_or_no(int yes)
{
	return yes ? "yes" : "no";
}

static const char *ability(const struct duoshm_facts *f, unsigned bit)
{
	return f->works ? yes_or_no((f->abilities & bit) != 0) : "-";
}

static const struct table_column limit_columns[] = {
	{"FAMILY", "backend", 0},
	{"LIMIT", "limit", 0},
	{"VALUE", "value", TABLE_RIGHT},
	{"USED", "used", TABLE_RIGHT},
	{"UNIT", "unit", 0},
	{"UNLIMITED", "unlimited", TABLE_EXTRA},
	{"SOURCE", "source", 0},
};

static struct table *limit_table(void)
{
	return table_new(limit_columns, sizeof limit_columns / sizeof *limit_columns, NULL, 1);
}

static void number_cell(
	struct table *table, const struct duoshm_limit *l, int64_t value, const char *unknown)
{
	if (value < 0 || value == INT64_MAX)
		table_none(table, value < 0 ? unknown : "no limit");
	else if (strcmp(l->unit, "bytes") == 0)
		table_bytes(table, value);
	else
		table_integer(table, value, NULL);
}

static struct table *add_limits(struct table *table, const struct duoshm_facts *f)
{
	for (const struct duoshm_limit *l = f->limits; l < f->limits + f->n_limits; l++) {
		table_row(table);
		table_text(table, f->backend);
		table_text(table, l->name);
		number_cell(table, l, l->value, "unknown");
		number_cell(table, l, l->used, NULL);
		table_text(table, l->unit);
		table_bool(table, l->value == INT64_MAX, NULL);
		table_text(table, l->source);
	}
	return table;
}

static void show(const struct duoshm_facts *f)
{
	show_line("", families[0], families[1]);
	show_line("built in", yes_or_no(f[0].built), yes_or_no(f[1].built));
	show_line("works here", yes_or_no(f[0].works), yes_or_no(f[1].works));
	show_line(
		"a sleeper sleeps in", f[0].works ? f[0].bell : "-", f[1].works ? f[1].bell : "-");
	for (size_t i = 0; i < ABILITIES; i++)
		show_line(abilities[i].text, ability(&f[0], abilities[i].bit),
			ability(&f[1], abilities[i].bit));
	for (int i = 0; i < FAMILIES; i++)
		if (!f[i].works)
			printf("%s: %s\n", families[i], f[i].reason);
	putchar('\n');
	table_print_text(add_limits(add_limits(limit_table(), &f[0]), &f[1]));
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
	tool_json_put(family, "limits", table_json(add_limits(limit_table(), f)));
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
