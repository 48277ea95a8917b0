/* SPDX-License-Identifier: MIT */
/*
 * Tables with chosen columns: text for people, JSON (-J) for programs, from the same cells.
 *
 * Columns are a promise: their names (-o) and JSON keys (with the unit in them) stay. The default choice and
 * the layout of the text may change.
 */
#ifndef DUOSHM_TOOLS_TABLE_H
#define DUOSHM_TOOLS_TABLE_H

#include <stdint.h>

#include "tools/common.h"

#define TABLE_RIGHT 0x1u /* text is aligned to the right */
#define TABLE_EXTRA 0x2u /* only shown when chosen with -o, and in JSON */
#define TABLE_TRAIL 0x4u /* "[...]" remarks and the like: never padded, no heading */

struct table_column {
	const char *name; /* "SIZE": heading, and the name for -o */
	const char *key;  /* "size_bytes": in JSON */
	unsigned flags;
};

struct table;

/* `columns` must outlive the table. */
struct table *table_new(const struct table_column *columns, unsigned count);
/* "NAME,STATE", any case; "+COL" adds to the default. Unknown: ends by tool_usage() with the list. */
void table_choose(struct table *table, const char *list);
void table_no_headings(struct table *table);

/* Begins a row; cells that are not set show as "-" and are null. */
void table_row(struct table *table);
void table_text(struct table *table, unsigned column, const char *format, ...) TOOL_PRINTF(3, 4);
/* `shown` NULL: the number itself. */
void table_integer(struct table *table, unsigned column, int64_t value, const char *shown);
void table_real(struct table *table, unsigned column, double value, const char *shown);

/* What is never printed is freed alone; NULL is fine. */
void table_free(struct table *table);
/* Text, or with -J a document {"schema": SCHEMA, KEY: [ROW...]}. Then frees the table. */
void table_print(struct table *table, const char *schema, const char *key);

/* Numbers of bytes as "8K", or in full: option --bytes. */
extern int table_bytes_in_full;
void table_bytes(struct table *table, unsigned column, uint64_t value);

#endif
