/* SPDX-License-Identifier: MIT */
/*
 * Tables: rows of text are kept until the end, since the widths of columns depend on all of them.
 */
#include "config.h"

#include "tools/table.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct table {
	const struct table_column *columns;
	unsigned count;
	unsigned *chosen; /* in the order of printing */
	unsigned n_chosen;
	int headings;
	char **cells; /* rows * count: the text */
	size_t rows, next;
	struct tool_json *array, *object; /* with -J: all rows, this row */
};

int table_bytes_in_full;

static unsigned find_column(const struct table *table, const char *name, size_t length)
{
	char known[512] = "";

	for (unsigned i = 0; i < table->count; i++) {
		const char *column = table->columns[i].name;

		if (strlen(column) == length && strncasecmp(column, name, length) == 0)
			return i;
		tool_append(known, sizeof known, " ", column);
	}
	tool_usage("--output: no column \"%.*s\"; there are %s", (int)length, name, known);
}

struct table *table_new(
	const struct table_column *columns, unsigned count, const char *chosen, int headings)
{
	struct table *table = tool_allocate(1, sizeof *table);

	table->columns = columns;
	table->count = count;
	table->headings = headings;
	/* A name has a letter at least. */
	table->chosen = tool_allocate(count + (chosen ? strlen(chosen) : 0), sizeof *table->chosen);
	table->array = tool.json ? tool_json_array() : NULL;
	for (unsigned i = 0; (!chosen || *chosen == '+') && i < count; i++) {
		if (tool.json || !(columns[i].flags & TABLE_EXTRA))
			table->chosen[table->n_chosen++] = i;
	}
	while (chosen) {
		const char *name = chosen + (*chosen == '+' || *chosen == ',');
		size_t length = strcspn(name, ",");

		table->chosen[table->n_chosen++] = find_column(table, name, length);
		chosen = name[length] ? name + length : NULL;
	}
	return table;
}

void table_row(struct table *table)
{
	table->rows++;
	table->cells = tool_resize(table->cells, table->rows * table->count, sizeof *table->cells);
	if (!tool.json)
		return;
	table->object = tool_json_object();
	tool_json_put(table->array, NULL, table->object);
}

/*
 * Sets the row's next cell, "-" where there is nothing to show. Its JSON key if it is wanted as
 * JSON, else NULL.
 */
static const char *cell(struct table *table, const char *shown)
{
	unsigned column = (unsigned)(table->next % table->count);

	table->cells[table->next++] = tool_copy(shown && *shown ? shown : "-");
	for (unsigned i = 0; tool.json && i < table->n_chosen; i++) {
		if (table->chosen[i] == column)
			return table->columns[column].key;
	}
	return NULL;
}

void table_text(struct table *table, const char *text)
{
	const char *key = cell(table, text);

	if (key)
		tool_json_text(table->object, key, text);
}

void table_none(struct table *table, const char *shown)
{
	const char *key = cell(table, shown);

	if (key)
		tool_json_text(table->object, key, NULL);
}

void table_integer(struct table *table, int64_t value, const char *shown)
{
	char text[TOOL_TEXT_SIZE];
	const char *key;

	snprintf(text, sizeof text, "%" PRId64, value);
	key = cell(table, shown ? shown : text);
	if (key)
		tool_json_integer(table->object, key, value);
}

void table_number(struct table *table, int64_t value, int64_t least)
{
	if (value < least)
		table_none(table, NULL);
	else
		table_integer(table, value, NULL);
}

void table_real(struct table *table, double value)
{
	char text[TOOL_TEXT_SIZE];
	const char *key = cell(table, isfinite(value) ? tool_real_text(value, text) : NULL);

	if (key)
		tool_json_real(table->object, key, value);
}

void table_bool(struct table *table, int value, const char *shown)
{
	const char *key = cell(table, shown);

	if (key)
		tool_json_bool(table->object, key, value);
}

void table_bytes(struct table *table, int64_t value)
{
	char text[TOOL_TEXT_SIZE];

	if (value < 0 || table_bytes_in_full)
		table_number(table, value, 0);
	else
		table_integer(table, value, tool_bytes_text((uint64_t)value, text));
}

/* The text of a cell of a chosen column; row -1 is the headings. */
static const char *shown_at(const struct table *table, ptrdiff_t row, unsigned column)
{
	return row < 0 ? table->columns[column].name
		       : table->cells[(size_t)row * table->count + column];
}

static int width_of(const struct table *table, unsigned column)
{
	size_t width = 0;

	for (ptrdiff_t row = -table->headings; row < (ptrdiff_t)table->rows; row++) {
		size_t length = strlen(shown_at(table, row, column));

		if (length > width)
			width = length;
	}
	return (int)width;
}

void table_print_text(struct table *table)
{
	int *widths = tool_allocate(table->n_chosen, sizeof *widths);

	for (unsigned i = 0; i < table->n_chosen; i++)
		widths[i] = width_of(table, table->chosen[i]);
	for (ptrdiff_t row = -table->headings; row < (ptrdiff_t)table->rows; row++) {
		for (unsigned i = 0; i < table->n_chosen; i++) {
			unsigned column = table->chosen[i];
			int right = (table->columns[column].flags & TABLE_RIGHT) != 0;
			/* The last column is not padded, so that no line ends in blanks. */
			int width = right ? widths[i] : i + 1 < table->n_chosen ? -widths[i] : 0;

			printf("%s%*s", i ? " " : "", width, shown_at(table, row, column));
		}
		putchar('\n');
	}
	free(widths);
	table_free(table);
}

struct tool_json *table_json(struct table *table)
{
	struct tool_json *array = table->array;

	table->array = NULL;
	table_free(table);
	return array;
}

void table_free(struct table *table)
{
	tool_json_free(table->array);
	for (size_t i = 0; i < table->next; i++)
		free(table->cells[i]);
	free(table->cells);
	free(table->chosen);
	free(table);
}

void table_print(struct table *table, const char *schema, const char *key)
{
	struct tool_json *document;

	if (!tool.json) {
		table_print_text(table);
		return;
	}
	document = tool_json_document(schema);
	tool_json_put(document, key, table_json(table));
	tool_json_print(document, 0);
}
