/* SPDX-License-Identifier: MIT */
/*
 * JSON of the programs, built by jansson. Without jansson every call does nothing, and option -J ends the
 * program with a message, so that callers need no condition of their own.
 *
 * A value that is put into an object or array belongs to it; the outermost is given to tool_json_print() or
 * tool_json_write(), which free it.
 */
#ifndef DUOSHM_TOOLS_JSON_H
#define DUOSHM_TOOLS_JSON_H

#include <stdint.h>
#include <stdio.h>

struct tool_json;

struct tool_json *tool_json_object(void);
struct tool_json *tool_json_array(void);
/* An object that begins with {"schema":"NAME"}. */
struct tool_json *tool_json_document(const char *schema);

void tool_json_text(struct tool_json *object, const char *key, const char *text); /* NULL: null */
void tool_json_integer(struct tool_json *object, const char *key, int64_t value);
void tool_json_real(struct tool_json *object, const char *key, double value); /* not finite: null */
void tool_json_bool(struct tool_json *object, const char *key, int value);
void tool_json_null(struct tool_json *object, const char *key);
void tool_json_put(struct tool_json *object, const char *key, struct tool_json *value);
void tool_json_append(struct tool_json *array, struct tool_json *value);
void tool_json_append_real(struct tool_json *array, double value);
void tool_json_append_integer(struct tool_json *array, int64_t value);

/* Indented (`lines` 0) or as one line of a stream; frees it. The caller checks the file. */
void tool_json_write(struct tool_json *value, int lines, FILE *file);
/* The same, to standard output. */
void tool_json_print(struct tool_json *value, int lines);

#endif
