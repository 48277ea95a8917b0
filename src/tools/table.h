/* SPDX-License-Identifier: MIT */
/*
 * Tables with chosen columns: text for people, JSON (-J) for programs, from the same cells.
 *
 * Columns are a promise: their names (-o) and JSON keys (with the unit in them) stay. The default
 * choice and the layout of the text may change.
 */
#ifndef DUOSHM_TOOLS_TABLE_H
#define DUOSHM_TOOLS_TABLE_H

#include <stdint.h>

#include "tools/common.h"
#include "tools/json.h"

#define TABLE_RIGHT 0x1u /* text is aligned to the right */
#define TABLE_EXTRA 0x2u /* only shown when chosen with -o, and in JSON */

struct table_column {
	const char *name; /* "SIZE": heading, and the name for -o */
	const char *key;  /* "size_bytes": in JSON */
	unsigned flags;
};

struct table;

/*
 * `columns` must outlive the table. `chosen` is the list of -o or NULL: "NAME,STATE", any case;
 * "+COL" adds to the default. An unknown column ends the program by tool_usage() with the list.
 */
struct table *table_new(
	const struct table_column *columns, unsigned count, const char *chosen, int headings);

/* Begins a row; its cells follow, each column's in turn. */
void table_row(struct table *table);
/* NULL is null in JSON; that and an empty text show as "-". */
void table_text(struct table *table, const char *text);
/* Null in JSON, for people as `shown`, or "-". */
void table_none(struct table *table, const char *shown);
/* `shown` NULL: the number itself. */
void table_integer(struct table *table, int64_t value, const char *shown);
/* A number that is there from `least` on; less shows as "-" and is null. */
void table_number(struct table *table, int64_t value, int64_t least);
/* Not finite: shows as "-" and is null. */
void table_real(struct table *table, double value);
void table_bool(struct table *table, int value, const char *shown);
/* "8K", or in full: option --bytes; below 0: "-" and null. */
extern int table_bytes_in_full;
void table_bytes(struct table *table, int64_t value);

/* What is never printed is freed alone. */
void table_free(struct table *table);
/* Text, or with -J a document {"schema": SCHEMA, KEY: [ROW...]}. Then frees the table. */
void table_print(struct table *table, const char *schema, const char *key);
/* The two by themselves: the text, and with -J the array [ROW...]; each frees the table. */
void table_print_text(struct table *table);
struct tool_json *table_json(struct table *table);

#endif
