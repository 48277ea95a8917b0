/* SPDX-License-Identifier: MIT */
/* What the parts of the client share: its options, and how values are shown. */
#ifndef DUOSHM_TOOLS_CLIENT_H
#define DUOSHM_TOOLS_CLIENT_H

#include <stdint.h>

#include "duoshm/device.h"
#include "tools/common.h"
#include "tools/json.h"

enum client_time { CLIENT_TIME_DEVICE, CLIENT_TIME_CLIENT, CLIENT_TIME_NONE };

/* Written by main() while it reads the options. */
struct client_options {
	const char *name;
	int terse, wide;       /* -t, -a */
	const char *format;    /* --format, checked: one conversion of a double */
	int digits;            /* -#, -1: the register's precision */
	const char *separator; /* -F, or NULL */
	enum client_time time;
	int relative, utc;
	uint64_t events;     /* --num-events, 0: no limit */
	int64_t idle_ns;     /* --idle-timeout, 0: none */
	int64_t duration_ns; /* --duration, 0: none */
	uint64_t samples;    /* --samples, 0: no limit */
	int initial_state, banner;
	const char *output;        /* -o */
	const char *output_format; /* --output-format */
	int no_headings;
};
extern struct client_options client;

/* ---- client_show.c: values as text or JSON ---- */

/* The longest number that --format lets through: 309 digits, a width or precision of 99, a text. */
#define CLIENT_VALUE_SIZE 512
/* The value alone, without unit. */
const char *client_value_text(const struct duoshm_register *reg, const struct duoshm_value *value,
	char text[CLIENT_VALUE_SIZE]);
/*
 * "NAME VALUE UNIT" of `get`, or "TIME NAME VALUE UNIT" of a stream; or as -t, -a, -F and -J say.
 * The client's time is that of the call.
 */
void client_show(const struct duoshm_register *reg, const struct duoshm_value *value, int stream);
/* A line of JSON that begins with the device and the register; and a value in it. */
struct tool_json *client_json(const char *schema, const char *name);
void client_json_value(struct tool_json *line, const char *key, const struct duoshm_value *value);
/* The register of that name, what it is and its value, or the exit status with all said. */
int client_look_up(struct duoshm_device *device, const char *name, unsigned *index,
	struct duoshm_register *reg, struct duoshm_value *value);
/* client_failed(), with a line of JSON for what failed. */
int client_item_failed(const char *name, int code);

/* Of a block of the stream: a sample in the stream's unit, and when a frame was taken. */
double client_sample(const struct duoshm_format *f, const struct duoshm_block *b, size_t at);
int64_t client_sample_time(
	const struct duoshm_format *f, const struct duoshm_block *b, unsigned frame);

/* ---- verbs: the exit status ---- */

/* Some take no arguments, and are given none. */
int client_get(struct duoshm_device *device, char **names);
int client_put(struct duoshm_device *device, char **assignments);
/* One line a second of the first channel. */
int client_watch(struct duoshm_device *device, char **none);
int client_monitor(struct duoshm_device *device, char **names);
int client_capture(struct duoshm_device *device, char **none);

/* Reports that the device failed; what it is called is client.name. */
int client_failed(int code);
/*
 * duoshm_device_check(), for those who wait. It notes once when no more is to be expected, and when
 * another device has taken the place of the one that was there (DUOSHM_REPLACED).
 */
int client_check(struct duoshm_device *device);
/*
 * `code` has ended what was done with the device. If that is because it is gone: waits for another
 * one, as long as -w says, and at most until `end`. TOOL_DONE: it is there; else all is said.
 */
int client_await(struct duoshm_device *device, int code, int64_t end);
/* The first failure of several is the one that counts. */
int client_worse(int status, int next);

/* ---- client_file.c: what a capture writes ---- */

struct client_file;

/* Ends by tool_usage() when the options name no format. To be asked before the device is. */
void client_file_check(void);
/* What it is called in messages. */
const char *client_file_title(void);
/* NULL: reported. Regular files are written under another name until they are whole. */
struct client_file *client_file_open(const struct duoshm_format *format);
/* 0, or -1: reported. */
int client_file_write(struct client_file *file, const struct duoshm_block *block);
/*
 * Closes and frees it. With TOOL_DONE the file takes its name. What is not whole is removed when
 * `frames` is 0, else it keeps its other name, which is told. The exit status.
 */
int client_file_close(struct client_file *file, int status, uint64_t frames);

#endif
