/* SPDX-License-Identifier: MIT */
/* Tables: rows are kept until the end, since the widths of columns depend on all of them. */
#include "config.h"

#include "tools/table.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tools/json.h"

enum cell_kind { CELL_NONE, CELL_TEXT, CELL_INTEGER, CELL_REAL };

struct cell {
	char *shown;
	int64_t integer;
	double real;
	enum cell_kind kind;
};

struct table {
	const struct table_column *columns;
	unsigned count;
	unsigned *chosen; /* in the order of printing */
	unsigned n_chosen;
	int by_user;
	int headings;
	struct cell *cells; /* rows * count */
	size_t rows, capacity;
};

int table_bytes_in_full;

static void choose(struct table *table, unsigned column)
{
	unsigned *more = tool_allocate(table->n_chosen + 1, sizeof *more);

	if (table->n_chosen)
		memcpy(more, table->chosen, table->n_chosen * sizeof *more);
	more[table->n_chosen++] = column;
	free(table->chosen);
	table->chosen = more;
}

struct table *table_new(const struct table_column *columns, unsigned count)
{
	struct table *table = tool_allocate(1, sizeof *table);

	table->columns = columns;
	table->count = count;
	table->headings = 1;
	for (unsigned i = 0; i < count; i++) {
		if (tool.json || !(columns[i].flags & TABLE_EXTRA))
			choose(table, i);
	}
	return table;
}

TOOL_NORETURN static void no_such_column(const struct table *table, const char *name, size_t length)
{
	char known[512] = "";

	for (unsigned i = 0; i < table->count; i++) {
		size_t used = strlen(known);

		snprintf(known + used, sizeof known - used, " %s", table->columns[i].name);
	}
	tool_usage("--output: no column \"%.*s\"; there are%s", (int)length, name, known);
}

static unsigned find_column(const struct table *table, const char *name, size_t length)
{
	for (unsigned i = 0; i < table->count; i++) {
		const char *known = table->columns[i].name;

		if (strlen(known) == length && strncasecmp(known, name, length) == 0)
			return i;
	}
	no_such_column(table, name, length);
}

void table_choose(struct table *table, const char *list)
{
	table->by_user = 1;
	if (*list == '+')
		list++;
	else
		table->n_chosen = 0;
	for (;;) {
		size_t length = strcspn(list, ",");

		choose(table, find_column(table, list, length));
		if (!list[length])
			return;
		list += length + 1;
	}
}

void table_no_headings(struct table *table)
{
	table->headings = 0;
}

void table_row(struct table *table)
{
	if (table->rows == table->capacity) {
		size_t capacity = table->capacity ? 2 * table->capacity : 16;
		struct cell *more = tool_allocate(capacity * table->count, sizeof *more);

		if (table->rows)
			memcpy(more, table->cells, table->rows * table->count * sizeof *more);
		free(table->cells);
		table->cells = more;
		table->capacity = capacity;
	}
	table->rows++;
}

static struct cell *cell_at(const struct table *table, size_t row, unsigned column)
{
	return &table->cells[row * table->count + column];
}

/* What other programs call their objects is not to move the cursor. */
static char *printable(const char *text)
{
	char *copy = tool_copy(text);

	for (char *c = copy; *c; c++) {
		if (iscntrl((unsigned char)*c))
			*c = '?';
	}
	return copy;
}

static struct cell *set(
	struct table *table, unsigned column, enum cell_kind kind, const char *shown)
{
	struct cell *cell = cell_at(table, table->rows - 1, column);

	free(cell->shown);
	cell->shown = printable(shown);
	cell->kind = kind;
	return cell;
}

void table_text(struct table *table, unsigned column, const char *format, ...)
{
	char text[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	set(table, column, CELL_TEXT, text);
}

void table_integer(struct table *table, unsigned column, int64_t value, const char *shown)
{
	char text[TOOL_TEXT_SIZE];

	snprintf(text, sizeof text, "%" PRId64, value);
	set(table, column, CELL_INTEGER, shown ? shown : text)->integer = value;
}

void table_real(struct table *table, unsigned column, double value, const char *shown)
{
	char text[TOOL_TEXT_SIZE];

	set(table, column, CELL_REAL, shown ? shown : tool_real_text(value, text))->real = value;
}

void table_bytes(struct table *table, unsigned column, uint64_t value)
{
	char text[TOOL_TEXT_SIZE];

	table_integer(table, column, (int64_t)value,
		table_bytes_in_full ? NULL : tool_bytes_text(value, text));
}

static const char *shown_at(const struct table *table, size_t row, unsigned column)
{
	const struct cell *cell = cell_at(table, row, column);

	if (cell->kind == CELL_NONE)
		return table->columns[column].flags & TABLE_TRAIL ? "" : "-";
	return cell->shown;
}

static int width_of(const struct table *table, unsigned column)
{
	size_t width = table->headings ? strlen(table->columns[column].name) : 0;

	for (size_t row = 0; row < table->rows; row++) {
		size_t length = strlen(shown_at(table, row, column));

		if (length > width)
			width = length;
	}
	return (int)width;
}

/* `row` as text; the last column is not padded, so that no line ends in blanks. */
static void print_line(const struct table *table, const int *widths, size_t row, int heading)
{
	for (unsigned i = 0; i < table->n_chosen; i++) {
		unsigned column = table->chosen[i];
		unsigned flags = table->columns[column].flags;
		const char *text =
			heading ? table->columns[column].name : shown_at(table, row, column);

		if (heading && (flags & TABLE_TRAIL) && !table->by_user)
			continue;
		if (i && *text)
			fputs(flags & TABLE_TRAIL ? "  " : " ", stdout);
		if (flags & TABLE_RIGHT)
			printf("%*s", widths[i], text);
		else
			printf("%-*s",
				i + 1 < table->n_chosen && !(flags & TABLE_TRAIL) ? widths[i] : 0,
				text);
	}
	putchar('\n');
}

static void print_text(const struct table *table)
{
	int *widths = tool_allocate(table->n_chosen, sizeof *widths);

	for (unsigned i = 0; i < table->n_chosen; i++)
		widths[i] = width_of(table, table->chosen[i]);
	if (table->headings)
		print_line(table, widths, 0, 1);
	for (size_t row = 0; row < table->rows; row++)
		print_line(table, widths, row, 0);
	free(widths);
}

static struct tool_json *row_object(const struct table *table, size_t row)
{
	struct tool_json *object = tool_json_object();

	for (unsigned i = 0; i < table->n_chosen; i++) {
		const struct cell *cell = cell_at(table, row, table->chosen[i]);
		const char *key = table->columns[table->chosen[i]].key;

		switch (cell->kind) {
		case CELL_NONE: tool_json_null(object, key); break;
		case CELL_TEXT: tool_json_text(object, key, cell->shown); break;
		case CELL_INTEGER: tool_json_integer(object, key, cell->integer); break;
		case CELL_REAL: tool_json_real(object, key, cell->real); break;
		}
	}
	return object;
}

static void print_json(const struct table *table, const char *schema, const char *key)
{
	struct tool_json *document = tool_json_document(schema);
	struct tool_json *rows = tool_json_array();

	for (size_t row = 0; row < table->rows; row++)
		tool_json_append(rows, row_object(table, row));
	tool_json_put(document, key, rows);
	tool_json_print(document, 0);
}

void table_free(struct table *table)
{
	if (!table)
		return;
	for (size_t i = 0; i < table->rows * table->count; i++)
		free(table->cells[i].shown);
	free(table->cells);
	free(table->chosen);
	free(table);
}

void table_print(struct table *table, const char *schema, const char *key)
{
	if (tool.json)
		print_json(table, schema, key);
	else
		print_text(table);
	table_free(table);
}
