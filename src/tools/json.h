/* SPDX-License-Identifier: MIT */
/*
 * JSON of the programs, built by jansson. Without jansson every call does nothing, and option -J
 * ends the program with a message, so that callers need no condition of their own.
 *
 * A value that is put into an object or array belongs to it; the outermost is given to
 * tool_json_print() or tool_json_write(), which free it, or to tool_json_free().
 */
#ifndef DUOSHM_TOOLS_JSON_H
#define DUOSHM_TOOLS_JSON_H

#include <stdint.h>
#include <stdio.h>

struct tool_json;

#ifdef HAVE_JANSSON

struct tool_json *tool_json_object(void);
struct tool_json *tool_json_array(void);
/* An object that begins with {"schema":"NAME"}. */
struct tool_json *tool_json_document(const char *schema);

/* Put a value into an object under its key, or with key NULL at the end of an array. */
void tool_json_text(struct tool_json *into, const char *key, const char *text); /* NULL: null */
void tool_json_integer(struct tool_json *into, const char *key, int64_t value);
void tool_json_real(struct tool_json *into, const char *key, double value); /* not finite: null */
void tool_json_bool(struct tool_json *into, const char *key, int value);
void tool_json_put(struct tool_json *into, const char *key, struct tool_json *value);

/* Indented (`lines` 0) or as one line of a stream; frees it. The caller checks the file. */
void tool_json_write(struct tool_json *value, int lines, FILE *file);
/* The same, to standard output. */
void tool_json_print(struct tool_json *value, int lines);

/* What is not printed after all; NULL is fine. */
void tool_json_free(struct tool_json *value);

#else

/* Never reached: option -J has ended the program. */
#define tool_json_object()                  ((struct tool_json *)NULL)
#define tool_json_array()                   ((struct tool_json *)NULL)
#define tool_json_document(schema)          ((void)(schema), (struct tool_json *)NULL)
#define tool_json_put(into, key, value)     ((void)(into), (void)(key), (void)(value))
#define tool_json_text(into, key, value)    tool_json_put(into, key, value)
#define tool_json_integer(into, key, value) tool_json_put(into, key, value)
#define tool_json_real(into, key, value)    tool_json_put(into, key, value)
#define tool_json_bool(into, key, value)    tool_json_put(into, key, value)
#define tool_json_write(value, lines, file) ((void)(value), (void)(lines), (void)(file))
#define tool_json_print(value, lines)       ((void)(value), (void)(lines))
#define tool_json_free(value)               ((void)(value))

#endif

#endif
