/* SPDX-License-Identifier: MIT */
/*
 * client: reads, writes, follows and captures what a device offers. It uses <duoshm/device.h> and
 * nothing else of the library's inside; which family the device lives in is the library's matter.
 */
#include "config.h"

#include "tools/client.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/table.h"

#define AWAIT_NS 20000000LL

struct client_options client = {.name = "device0", .digits = -1};

static int is_gone(int code)
{
	return code == DUOSHM_ERR_PEER_DEAD || code == DUOSHM_ERR_REMOVED;
}

int client_failed(int code)
{
	if (is_gone(code)) {
		tool_error("%s: the device is gone", client.name);
		if (tool.verbose)
			tool_failed(client.name, code);
		return TOOL_NOT_FOUND;
	}
	/* The cause of a time-out names the device. */
	return tool_failed(code == DUOSHM_ERR_TIMEOUT ? NULL : client.name, code);
}

/* Silent: its process lives, and the device may be stuck. */
static const char *state_of(const struct duoshm_device_info *info)
{
	if (info->heartbeat_age_ns > 10 * info->heartbeat_period_ns)
		return "silent";
	return info->running ? "running" : "stopped";
}

int client_check(struct duoshm_device *device)
{
	static const char *told = "running";
	static int64_t due;
	struct duoshm_device_info info = DUOSHM_DEVICE_INFO_INIT;
	int code = duoshm_device_check(device);
	char age[TOOL_TEXT_SIZE];

	if (code == DUOSHM_REPLACED && duoshm_device_info(device, &info) >= 0) {
		tool_note("%s: connected again, pid %" PRId64, client.name, info.pid);
		told = "running";
	}
	if (code != 0 || tool_now() < due || duoshm_device_info(device, &info) < 0)
		return code;
	due = tool_now() + TOOL_SECOND;
	if (strcmp(told, state_of(&info)) == 0)
		return code;
	told = state_of(&info);
	if (strcmp(told, "silent") == 0)
		tool_note("%s: no heartbeat for %s", client.name,
			tool_time_text(info.heartbeat_age_ns, age));
	else if (!info.running)
		tool_note("%s: the device %s", client.name,
			info.total_frames && !info.frames ? "waits for its first capture"
							  : "is stopped");
	return code;
}

int client_await(struct duoshm_device *device, int code, int64_t end)
{
	int64_t now = tool_now();

	if (tool.wait_given && tool.wait_ns < end - now)
		end = now + tool.wait_ns;
	if (!is_gone(code) || tool_stop || now >= end)
		return client_failed(code);
	tool_error("%s: the device is gone; waiting for it to come back", client.name);
	while (is_gone(code) && !tool_stop && tool_now() < end) {
		tool_pause(AWAIT_NS);
		code = client_check(device);
	}
	if (is_gone(code))
		return TOOL_NOT_FOUND;
	return code < 0 ? client_failed(code) : TOOL_DONE;
}

/* ---- options ---- */

/* One conversion of a double and no other: what printf would read from nowhere is refused. */
static void set_format(const char *format)
{
	const char *at = strchr(format, '%');
	size_t width, precision = 0;

	if (at && strlen(format) < 32) {
		at += 1 + strspn(at + 1, "+-0 #");
		width = strspn(at, "0123456789");
		at += width;
		if (*at == '.') {
			precision = strspn(at + 1, "0123456789");
			at += 1 + precision;
		}
		if (width <= 2 && precision <= 2 && *at && strchr("aAeEfFgG", *at) &&
			!strchr(at, '%')) {
			client.format = format;
			return;
		}
	}
	tool_usage("--format: not a format of one number, width and precision up to 99: \"%s\"; "
		   "try %%.6g",
		format);
}

static void set_time(const char *whose)
{
	static const char *const names[] = {"device", "client", "none"}; /* as in the enum */

	for (client.time = CLIENT_TIME_DEVICE; client.time <= CLIENT_TIME_NONE; client.time++) {
		if (strcmp(whose, names[client.time]) == 0)
			return;
	}
	tool_usage("--time: \"%s\"; there are device, client and none", whose);
}

static void set_digits(const char *text)
{
	uint64_t digits;

	if (tool_count(text, &digits) < 0 || digits > 17)
		tool_usage("--digits: not a number of 0 to 17: \"%s\"", text);
	client.digits = (int)digits;
}

#define LINES  "get, monitor, no verb"
#define VALUES "put, " LINES

static const struct tool_option options[] = {
	{'n', "name", "NAME", NULL, "the device (default device0)", .word = &client.name},
	{'t', "terse", NULL, VALUES, "values only", .flag = &client.terse},
	{'a', "all", NULL, LINES, "name, time, value, status, severity", .flag = &client.wide},
	{0, "format", "FORMAT", VALUES, "of real values, such as %.6g", .act = set_format},
	{'#', "digits", "N", VALUES, "digits after the decimal point", .act = set_digits},
	{'F', "separator", "SEP", LINES, "between fields", .word = &client.separator},
	{0, "time", "WHOSE", LINES, "device, client or none", .act = set_time},
	{0, "relative", NULL, LINES, "seconds since the first line", .flag = &client.relative},
	{0, "utc", NULL, LINES, "not the local time zone", .flag = &client.utc},
	{0, "num-events", "N", "monitor, no verb", "end after N lines", .count = &client.events},
	{0, "idle-timeout", "T", "monitor", "end when nothing came for T",
		.time_ns = &client.idle_ns},
	{0, "duration", "T", "monitor, no verb, capture",
		"end after T; capture: that much of the recording", .time_ns = &client.duration_ns},
	{0, "initial-state", NULL, "monitor", "first the values as they are",
		.flag = &client.initial_state},
	{0, "banner", NULL, "monitor", "first a line that tells it is ready",
		.flag = &client.banner},
	{'c', "confirm", NULL, "put", "wait for the acknowledgement (it always does)",
		.flag = NULL},
	{'o', "output", "FILE", "capture, list",
		"the file (.wav .csv .jsonl .raw, - is standard output); the columns",
		.word = &client.output},
	{0, "noheadings", NULL, "list", "no line of headings", .flag = &client.no_headings},
	{0, "output-format", "F", "capture", "wav, csv, jsonl or raw",
		.word = &client.output_format},
	{0, "samples", "N", "capture", "end after N samples of each channel",
		.count = &client.samples},
	{.name = NULL},
};

static const struct tool_program program = {
	"Usage: %s [OPTION]... [VERB [ARGUMENT]...]\n"
	"Talk to a device. Without a verb: one line a second.\n"
	"\n"
	"  list                  the devices that there are\n"
	"  info                  what the device is, with its registers\n"
	"  get REG...            the values of registers\n"
	"  put REG=VALUE...      set registers; the device acknowledges, the value is read back\n"
	"  monitor [REG...]      each sample or change as it comes\n"
	"  capture -o FILE       every sample without a gap, into a file\n"
	"  cmd WORD...           a command; prints the answer\n"
	"  ping                  is the device alive?\n",
	options, NULL};

/* ---- list ---- */

static const struct table_column list_columns[] = {
	{"NAME", "name", 0},
	{"BACKEND", "backend", 0},
	{"PID", "pid", TABLE_RIGHT},
	{"STATE", "state", 0},
	{"CLIENTS", "clients", TABLE_RIGHT},
	{"RATE", "rate_hz", TABLE_RIGHT},
	{"SIGNAL", "signal", 0},
	{"HEARTBEAT", "heartbeat_age_ns", TABLE_RIGHT},
};
#define LIST_COLUMNS (sizeof list_columns / sizeof *list_columns)

struct listing {
	struct duoshm *ctx;
	struct table *table;
};

static void list_details(struct table *table, const struct duoshm_device_info *info)
{
	char text[TOOL_TEXT_SIZE];

	table_text(table, state_of(info));
	table_integer(table, info->clients, NULL);
	table_real(table, info->rate_hz);
	table_text(table, info->signal);
	table_integer(table, info->heartbeat_age_ns, tool_time_text(info->heartbeat_age_ns, text));
}

/* What cannot be asked is listed all the same, with what the registry says of it. */
static int list_one(const struct duoshm_stat *object, void *arg)
{
	struct listing *listing = arg;
	struct duoshm_device_info info = DUOSHM_DEVICE_INFO_INIT;
	struct duoshm_device *device = NULL;
	char name[DUOSHM_NAME_SIZE + 16];

	if (object->kind && object->kind != DUOSHM_KIND_DEVICE)
		return 0; /* of what may not be read the kind is not known */
	table_row(listing->table);
	table_text(listing->table, object->name);
	table_text(listing->table, object->backend);
	table_number(listing->table, object->creator_pid, 1);
	snprintf(name, sizeof name, "%s:%s", object->backend, object->name);
	if (object->state != DUOSHM_ORPHAN &&
		duoshm_device_connect(listing->ctx, name, 0, &device) >= 0 &&
		duoshm_device_info(device, &info) >= 0) {
		list_details(listing->table, &info);
	} else {
		table_text(listing->table,
			object->state == DUOSHM_ORPHAN ? "dead" : duoshm_state_name(object->state));
		for (int i = 0; i < 4; i++)
			table_none(listing->table, NULL);
	}
	duoshm_device_disconnect(device);
	return 0;
}

static int list(struct duoshm *ctx)
{
	struct listing listing = {
		ctx, table_new(list_columns, LIST_COLUMNS, client.output, !client.no_headings)};
	int code;

	code = duoshm_list(ctx, 0, list_one, &listing);
	if (code < 0) {
		table_free(listing.table);
		return tool_failed("list", code);
	}
	table_print(listing.table, "duoshm.devices/1", "devices");
	return TOOL_DONE;
}

/* ---- info ---- */

static const struct table_column register_columns[] = {
	{"REGISTER", "name", 0},
	{"TYPE", "type", 0},
	{"ACCESS", "writable", 0},
	{"UNIT", "unit", 0},
	{"DIGITS", "precision", TABLE_RIGHT},
	{"BITS", "bits", TABLE_RIGHT},
	{"LOW", "low", TABLE_RIGHT},
	{"HIGH", "high", TABLE_RIGHT},
	{"LOLO", "lolo", TABLE_EXTRA},
	{"LOW ALARM", "low_alarm", TABLE_EXTRA},
	{"HIGH ALARM", "high_alarm", TABLE_EXTRA},
	{"HIHI", "hihi", TABLE_EXTRA},
	{"DESCRIPTION", "description", 0},
};
#define REGISTER_COLUMNS (sizeof register_columns / sizeof *register_columns)

static void register_row(struct table *table, const struct duoshm_register *reg)
{
	int limited = reg->low <= reg->high;

	table_row(table);
	table_text(table, reg->name);
	table_text(table, duoshm_type_name(reg->type));
	table_bool(table, reg->writable, reg->writable ? "rw" : "r");
	table_text(table, reg->unit);
	table_integer(table, reg->precision, NULL);
	table_integer(table, reg->bits, reg->bits ? NULL : "-");
	table_real(table, limited ? reg->low : NAN);
	table_real(table, limited ? reg->high : NAN);
	table_real(table, reg->lolo);
	table_real(table, reg->low_alarm);
	table_real(table, reg->high_alarm);
	table_real(table, reg->hihi);
	table_text(table, reg->description);
}

static void info_head(const struct duoshm_device_info *info)
{
	char text[TOOL_TEXT_SIZE];

	printf("device     %s\nbackend    %s %s\n", info->name, info->backend, info->native);
	printf("process    pid %" PRId64 ", heartbeat age %s\n", info->pid,
		tool_time_text(info->heartbeat_age_ns, text));
	printf("state      %s\nsignal     %s\n", state_of(info), info->signal);
	printf("stream     %s Hz, %u channel%s, %u bits\n", tool_real_text(info->rate_hz, text),
		info->channels, tool_plural(info->channels), info->bits);
	printf("samples    %" PRIu64, info->frames);
	if (info->total_frames)
		printf(" of %" PRIu64, info->total_frames);
	printf("\nclients    %u\n\n", info->clients);
}

static void info_json(const struct duoshm_device_info *info, struct table *registers)
{
	struct tool_json *document = tool_json_document("duoshm.device/1");

	tool_json_text(document, "device", info->name);
	tool_json_text(document, "backend", info->backend);
	tool_json_text(document, "object", info->native);
	tool_json_integer(document, "pid", info->pid);
	tool_json_integer(document, "heartbeat_age_ns", info->heartbeat_age_ns);
	tool_json_integer(document, "heartbeat_period_ns", info->heartbeat_period_ns);
	tool_json_text(document, "state", state_of(info));
	tool_json_bool(document, "running", info->running);
	tool_json_integer(document, "started_ns", info->started_ns);
	tool_json_text(document, "signal", info->signal);
	tool_json_real(document, "rate_hz", info->rate_hz);
	tool_json_integer(document, "channels", info->channels);
	tool_json_integer(document, "bits", info->bits);
	tool_json_integer(document, "samples", (int64_t)info->frames);
	tool_json_integer(document, "total_samples", (int64_t)info->total_frames);
	tool_json_integer(document, "clients", info->clients);
	tool_json_put(document, "registers", table_json(registers));
	tool_json_print(document, 0);
}

static int info(struct duoshm_device *device, char **arguments)
{
	struct duoshm_device_info about = DUOSHM_DEVICE_INFO_INIT;
	struct duoshm_register reg;
	struct table *registers = table_new(register_columns, REGISTER_COLUMNS, NULL, 1);
	int code = duoshm_device_info(device, &about);
	int count = code < 0 ? code : duoshm_device_registers(device);

	(void)arguments;
	for (int i = 0; i < count && code >= 0; i++) {
		code = duoshm_device_describe(device, (unsigned)i, &reg);
		if (code >= 0)
			register_row(registers, &reg);
	}
	if (code < 0 || count < 0) {
		table_free(registers);
		return client_failed(code < 0 ? code : count);
	}
	if (tool.json) {
		info_json(&about, registers);
	} else {
		info_head(&about);
		table_print_text(registers);
	}
	return TOOL_DONE;
}

/* ---- cmd, ping ---- */

static int command(struct duoshm_device *device, char **words)
{
	char reply[DUOSHM_REPLY_SIZE] = "";
	char line[4 * DUOSHM_REPLY_SIZE] = ""; /* more than a device takes */
	int code;

	for (; *words; words++)
		tool_append(line, sizeof line, " ", *words);
	code = duoshm_device_command(device, line, reply, sizeof reply, tool.wait_ns);
	if (code >= 0)
		tool_show_reply(tool_plain_name(client.name), line, reply, 0);
	return code < 0 ? client_failed(code) : TOOL_DONE;
}

/* A process may live and its device be stuck: what counts is a heartbeat that is young enough. */
static int ping(struct duoshm_device *device, char **arguments)
{
	struct duoshm_device_info about = DUOSHM_DEVICE_INFO_INIT;
	int64_t deadline = tool_now() + tool.wait_ns;
	char age[TOOL_TEXT_SIZE];
	int code;

	(void)arguments;
	while ((code = duoshm_device_info(device, &about)) >= 0 &&
		(code = duoshm_device_check(device)) >= 0 &&
		about.heartbeat_age_ns > 3 * about.heartbeat_period_ns) {
		if (tool_now() >= deadline || tool_stop) {
			tool_error("%s: pid %" PRId64 " lives, but its heartbeat is %s old",
				client.name, about.pid,
				tool_time_text(about.heartbeat_age_ns, age));
			return TOOL_TIMEOUT;
		}
		tool_pause(10000000);
	}
	if (code < 0)
		return client_failed(code);
	if (tool.json) {
		struct tool_json *document = tool_json_document("duoshm.ping/1");

		tool_json_text(document, "device", about.name);
		tool_json_integer(document, "pid", about.pid);
		tool_json_integer(document, "heartbeat_age_ns", about.heartbeat_age_ns);
		tool_json_print(document, 0);
	} else {
		printf("pid %" PRId64 ", heartbeat age %s\n", about.pid,
			tool_time_text(about.heartbeat_age_ns, age));
	}
	return TOOL_DONE;
}

/* ---- verbs ---- */

struct verb {
	const char *name;
	const char *wants; /* NULL: no argument; in brackets: none is needed */
	/* NULL: list, without a device */
	int (*run)(struct duoshm_device *device, char **arguments);
};
static const struct verb verbs[] = {
	{"list", NULL, NULL},
	{"info", NULL, info},
	{"get", "REG...", client_get},
	{"put", "REG=VALUE...", client_put},
	{"monitor", "[REG...]", client_monitor},
	{"capture", NULL, client_capture},
	{"cmd", "WORD...", command},
	{"ping", NULL, ping},
	{"no verb", NULL, client_watch},
};
#define VERBS (sizeof verbs / sizeof *verbs)

static const struct verb *find_verb(const char *name)
{
	char known[128] = "";

	for (size_t i = 0; i < VERBS - 1; i++) {
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
		tool_append(known, sizeof known, " ", verbs[i].name);
	}
	tool_usage("unknown verb: \"%s\"; there are %s", name, known);
}

static void check_arguments(const struct verb *verb, char **arguments)
{
	tool_only(verb->name);
	if (verb->run)
		tool_check_device_name(client.name);
	if (verb->run == client_capture)
		client_file_check();
	if (!verb->wants && *arguments)
		tool_usage("%s takes no argument: \"%s\"", verb->name, *arguments);
	if (verb->wants && verb->wants[0] != '[' && !*arguments)
		tool_usage("%s: wants %s", verb->name, verb->wants);
	if (verb->run == client_put) {
		for (char **assignment = arguments; *assignment; assignment++) {
			const char *equal = strchr(*assignment, '=');

			if (!equal || equal == *assignment)
				tool_usage("put: not of the form REG=VALUE: \"%s\"", *assignment);
		}
	}
}

static int with_device(struct duoshm *ctx, const struct verb *verb, char **arguments)
{
	struct duoshm_device *device;
	int code = duoshm_device_connect(ctx, client.name, tool.wait_ns, &device);
	int status;

	if (code == DUOSHM_ERR_PEER_DEAD) {
		tool_error("%s: the device is not running: its process is dead", client.name);
		return TOOL_NOT_FOUND;
	}
	if (code < 0)
		return tool_failed(client.name, code);
	tool_catch_signals();
	status = verb->run(device, arguments);
	duoshm_device_disconnect(device);
	return status;
}

int main(int argc, char **argv)
{
	char **arguments = tool_begin(argc, argv, &program);
	const struct verb *verb = *arguments ? find_verb(*arguments++) : &verbs[VERBS - 1];
	struct duoshm *ctx;
	int status;

	check_arguments(verb, arguments);
	status = tool_context(&ctx);
	if (status != TOOL_DONE)
		return tool_end(status);
	status = verb->run ? with_device(ctx, verb, arguments) : list(ctx);
	duoshm_free(ctx);
	return tool_end(status);
}
