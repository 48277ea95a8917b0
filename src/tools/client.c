/* SPDX-License-Identifier: MIT */
/*
 * client: reads, writes, follows and captures what a device offers. It uses <duoshm/device.h> and nothing else of the
 * library's inside; which family the device lives in is the library's matter.
 */
#include "config.h"

#include "tools/client.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tools/json.h"
#include "tools/table.h"

struct client_options client = {.name = "device0", .digits = -1};

/* clang-format off */
static const char usage[] =
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
	"  ping                  is the device alive?\n"
	"\n"
	"  -n, --name=NAME       the device (default device0)\n"
	"  -t, --terse           values only\n"
	"  -a, --all             name, time, value, status, severity\n"
	"      --format=FORMAT   of real values, such as %.6g\n"
	"  -#, --digits=N        digits after the decimal point\n"
	"  -F, --separator=SEP   between fields\n"
	"      --time=WHOSE      device, client or none\n"
	"      --relative        seconds since the first line\n"
	"      --utc             not the local time zone\n"
	"      --num-events=N    monitor: end after N lines\n"
	"      --idle-timeout=T  monitor: end when nothing came for T\n"
	"      --duration=T      end after T; capture: that much of the recording\n"
	"      --initial-state   monitor: first the values as they are\n"
	"      --banner          monitor: first a line that tells it is ready\n"
	"  -c, --confirm         put: wait for the acknowledgement (it always does)\n"
	"  -o, --output=FILE     capture: the file, .wav .csv .jsonl or .raw; - is standard output\n"
	"  -o, --output=COLUMNS  list: the columns\n"
	"      --noheadings      list: no line of headings\n"
	"      --output-format=F capture: wav, csv, jsonl or raw\n"
	"      --samples=N       capture: end after N samples of each channel\n"
	"\n" TOOL_COMMON_HELP;
/* clang-format on */

enum {
	OPTION_FORMAT = TOOL_OWN_OPTION,
	OPTION_TIME,
	OPTION_RELATIVE,
	OPTION_UTC,
	OPTION_EVENTS,
	OPTION_IDLE,
	OPTION_DURATION,
	OPTION_INITIAL,
	OPTION_BANNER,
	OPTION_OUTPUT_FORMAT,
	OPTION_SAMPLES,
	OPTION_NO_HEADINGS
};

static const struct option long_options[] = {{"name", required_argument, NULL, 'n'},
	{"terse", no_argument, NULL, 't'}, {"all", no_argument, NULL, 'a'},
	{"format", required_argument, NULL, OPTION_FORMAT},
	{"digits", required_argument, NULL, '#'}, {"separator", required_argument, NULL, 'F'},
	{"time", required_argument, NULL, OPTION_TIME},
	{"relative", no_argument, NULL, OPTION_RELATIVE}, {"utc", no_argument, NULL, OPTION_UTC},
	{"num-events", required_argument, NULL, OPTION_EVENTS},
	{"idle-timeout", required_argument, NULL, OPTION_IDLE},
	{"duration", required_argument, NULL, OPTION_DURATION},
	{"initial-state", no_argument, NULL, OPTION_INITIAL},
	{"banner", no_argument, NULL, OPTION_BANNER}, {"confirm", no_argument, NULL, 'c'},
	{"output", required_argument, NULL, 'o'},
	{"output-format", required_argument, NULL, OPTION_OUTPUT_FORMAT},
	{"samples", required_argument, NULL, OPTION_SAMPLES},
	{"noheadings", no_argument, NULL, OPTION_NO_HEADINGS}, TOOL_LONG_OPTIONS,
	{NULL, 0, NULL, 0}};

int client_failed(int code)
{
	if (code == DUOSHM_ERR_PEER_DEAD || code == DUOSHM_ERR_REMOVED) {
		tool_error("%s: the device is gone", client.name);
		if (tool.verbose)
			tool_failed(client.name, code);
		return TOOL_NOT_FOUND;
	}
	return tool_failed(client.name, code);
}

/* ---- options ---- */

/* One conversion of a double and no other: what printf would read from nowhere is refused. */
static void set_format(const char *format)
{
	const char *at = strchr(format, '%');

	if (at && strlen(format) < 32) {
		at += 1 + strspn(at + 1, "+-0 #");
		at += strspn(at, "0123456789");
		if (*at == '.')
			at += 1 + strspn(at + 1, "0123456789");
		if (*at && strchr("aAeEfFgG", *at) && !strchr(at, '%')) {
			client.format = format;
			return;
		}
	}
	tool_usage("--format: not a format of one number: \"%s\"; try %%.6g", format);
}

static void set_time(const char *whose)
{
	if (strcmp(whose, "device") == 0)
		client.time = CLIENT_TIME_DEVICE;
	else if (strcmp(whose, "client") == 0)
		client.time = CLIENT_TIME_CLIENT;
	else if (strcmp(whose, "none") == 0)
		client.time = CLIENT_TIME_NONE;
	else
		tool_usage("--time: \"%s\"; there are device, client and none", whose);
}

static int64_t a_time(const char *option, const char *text)
{
	int64_t ns;

	if (tool_time(text, &ns) < 0 || ns == 0)
		tool_usage("--%s: not a time of more than 0: \"%s\"", option, text);
	return ns;
}

static uint64_t a_count(const char *option, const char *text, uint64_t least, uint64_t most)
{
	uint64_t count;

	if (tool_count(text, &count) < 0 || count < least || count > most)
		tool_usage("--%s: not a number of %" PRIu64 " or more that makes sense: \"%s\"",
			option, least, text);
	return count;
}

static void own_option(int option, const char *text)
{
	switch (option) {
	case 'n': client.name = text; break;
	case 't': client.terse = 1; break;
	case 'a': client.wide = 1; break;
	case '#': client.digits = (int)a_count("digits", text, 0, 17); break;
	case 'F': client.separator = text; break;
	case 'c': break;
	case 'o': client.output = text; break;
	case OPTION_FORMAT: set_format(text); break;
	case OPTION_TIME: set_time(text); break;
	case OPTION_RELATIVE: client.relative = 1; break;
	case OPTION_UTC: client.utc = 1; break;
	case OPTION_EVENTS: client.events = a_count("num-events", text, 1, UINT64_MAX); break;
	case OPTION_IDLE: client.idle_ns = a_time("idle-timeout", text); break;
	case OPTION_DURATION: client.duration_ns = a_time("duration", text); break;
	case OPTION_INITIAL: client.initial_state = 1; break;
	case OPTION_BANNER: client.banner = 1; break;
	case OPTION_OUTPUT_FORMAT: client.output_format = text; break;
	case OPTION_SAMPLES: client.samples = a_count("samples", text, 1, UINT64_MAX); break;
	case OPTION_NO_HEADINGS: client.no_headings = 1; break;
	default: tool_option(option, text);
	}
}

/* ---- list ---- */

enum { L_NAME, L_BACKEND, L_PID, L_STATE, L_CLIENTS, L_RATE, L_SIGNAL, L_HEARTBEAT };
static const struct table_column list_columns[] = {{"NAME", "name", 0}, {"BACKEND", "backend", 0},
	{"PID", "pid", TABLE_RIGHT}, {"STATE", "state", 0}, {"CLIENTS", "clients", TABLE_RIGHT},
	{"RATE", "rate_hz", TABLE_RIGHT}, {"SIGNAL", "signal", 0},
	{"HEARTBEAT", "heartbeat_age_ns", TABLE_RIGHT}};
#define LIST_COLUMNS (sizeof list_columns / sizeof *list_columns)

struct listing {
	struct duoshm *ctx;
	struct table *table;
};

static void list_details(struct table *table, const struct duoshm_device_info *info)
{
	char text[TOOL_TEXT_SIZE];

	table_text(table, L_STATE, "%s", info->running ? "running" : "stopped");
	table_integer(table, L_CLIENTS, info->clients, NULL);
	table_real(table, L_RATE, info->rate_hz, NULL);
	table_text(table, L_SIGNAL, "%s", info->signal);
	table_integer(table, L_HEARTBEAT, info->heartbeat_age_ns,
		tool_time_text(info->heartbeat_age_ns, text));
}

/* What cannot be asked is listed all the same, with what the registry says of it. */
static int list_one(const struct duoshm_stat *object, void *arg)
{
	struct listing *listing = arg;
	struct duoshm_device_info info = DUOSHM_DEVICE_INFO_INIT;
	struct duoshm_device *device = NULL;
	char name[DUOSHM_NAME_SIZE + 16];

	if (object->kind != DUOSHM_KIND_DEVICE)
		return 0;
	table_row(listing->table);
	table_text(listing->table, L_NAME, "%s", object->name);
	table_text(listing->table, L_BACKEND, "%s", object->backend);
	table_integer(listing->table, L_PID, object->creator_pid, NULL);
	table_text(listing->table, L_STATE, "%s",
		object->state == DUOSHM_ORPHAN ? "dead" : duoshm_state_name(object->state));
	snprintf(name, sizeof name, "%s:%s", object->backend, object->name);
	if (object->state != DUOSHM_ORPHAN &&
		duoshm_device_connect(listing->ctx, name, 0, &device) >= 0 &&
		duoshm_device_info(device, &info) >= 0)
		list_details(listing->table, &info);
	duoshm_device_disconnect(device);
	return 0;
}

static int list(struct duoshm *ctx)
{
	struct listing listing = {ctx, table_new(list_columns, LIST_COLUMNS)};
	int code;

	if (client.output)
		table_choose(listing.table, client.output);
	if (client.no_headings)
		table_no_headings(listing.table);
	code = duoshm_list(ctx, 0, list_one, &listing);
	if (code < 0) {
		table_free(listing.table);
		return tool_failed("list", code);
	}
	table_print(listing.table, "duoshm.devices/1", "devices");
	return TOOL_DONE;
}

/* ---- info ---- */

static const struct table_column info_columns[] = {{"REGISTER", "name", 0}, {"TYPE", "type", 0},
	{"ACCESS", "access", 0}, {"UNIT", "unit", 0}, {"DIGITS", "precision", TABLE_RIGHT},
	{"BITS", "bits", TABLE_RIGHT}, {"LOW", "low", TABLE_RIGHT}, {"HIGH", "high", TABLE_RIGHT},
	{"DESCRIPTION", "description", 0}};

static void info_head(const struct duoshm_device_info *info)
{
	char text[TOOL_TEXT_SIZE];

	printf("device     %s\nbackend    %s %s\n", info->name, info->backend, info->native);
	printf("process    pid %" PRId64 ", heartbeat age %s\n", info->pid,
		tool_time_text(info->heartbeat_age_ns, text));
	printf("state      %s\nsignal     %s\n", info->running ? "running" : "stopped",
		info->signal);
	printf("stream     %s Hz, %u channel%s, %u bits\n", tool_real_text(info->rate_hz, text),
		info->channels, info->channels == 1 ? "" : "s", info->bits);
	printf("samples    %" PRIu64, info->frames);
	if (info->total_frames)
		printf(" of %" PRIu64, info->total_frames);
	printf("\nclients    %u\n\n", info->clients);
}

static void info_table(const struct duoshm_register *registers, unsigned count)
{
	struct table *table = table_new(info_columns, sizeof info_columns / sizeof *info_columns);

	for (unsigned i = 0; i < count; i++) {
		const struct duoshm_register *reg = &registers[i];

		table_row(table);
		table_text(table, 0, "%s", reg->name);
		table_text(table, 1, "%s", duoshm_type_name(reg->type));
		table_text(table, 2, "%s", reg->writable ? "rw" : "r");
		if (reg->unit[0])
			table_text(table, 3, "%s", reg->unit);
		table_integer(table, 4, reg->precision, NULL);
		if (reg->bits)
			table_integer(table, 5, reg->bits, NULL);
		if (reg->low <= reg->high) {
			table_real(table, 6, reg->low, NULL);
			table_real(table, 7, reg->high, NULL);
		}
		table_text(table, 8, "%s", reg->description);
	}
	table_print(table, "", "");
}

static struct tool_json *register_json(const struct duoshm_register *reg)
{
	struct tool_json *object = tool_json_object();
	int limited = reg->low <= reg->high;

	tool_json_text(object, "name", reg->name);
	tool_json_text(object, "type", duoshm_type_name(reg->type));
	tool_json_bool(object, "writable", reg->writable);
	tool_json_text(object, "unit", reg->unit);
	tool_json_integer(object, "precision", reg->precision);
	tool_json_integer(object, "bits", reg->bits);
	tool_json_real(object, "low", limited ? reg->low : NAN);
	tool_json_real(object, "high", limited ? reg->high : NAN);
	tool_json_real(object, "lolo", reg->lolo);
	tool_json_real(object, "low_alarm", reg->low_alarm);
	tool_json_real(object, "high_alarm", reg->high_alarm);
	tool_json_real(object, "hihi", reg->hihi);
	tool_json_text(object, "description", reg->description);
	return object;
}

static void info_json(const struct duoshm_device_info *info,
	const struct duoshm_register *registers, unsigned count)
{
	struct tool_json *document = tool_json_document("duoshm.device/1");
	struct tool_json *array = tool_json_array();

	tool_json_text(document, "device", info->name);
	tool_json_text(document, "backend", info->backend);
	tool_json_text(document, "object", info->native);
	tool_json_integer(document, "pid", info->pid);
	tool_json_integer(document, "heartbeat_age_ns", info->heartbeat_age_ns);
	tool_json_integer(document, "heartbeat_period_ns", info->heartbeat_period_ns);
	tool_json_bool(document, "running", info->running);
	tool_json_integer(document, "started_ns", info->started_ns);
	tool_json_text(document, "signal", info->signal);
	tool_json_real(document, "rate_hz", info->rate_hz);
	tool_json_integer(document, "channels", info->channels);
	tool_json_integer(document, "bits", info->bits);
	tool_json_integer(document, "samples", (int64_t)info->frames);
	tool_json_integer(document, "total_samples", (int64_t)info->total_frames);
	tool_json_integer(document, "clients", info->clients);
	for (unsigned i = 0; i < count; i++)
		tool_json_append(array, register_json(&registers[i]));
	tool_json_put(document, "registers", array);
	tool_json_print(document, 0);
}

static int info(struct duoshm_device *device)
{
	struct duoshm_device_info about = DUOSHM_DEVICE_INFO_INIT;
	struct duoshm_register *registers;
	int code = duoshm_device_info(device, &about);
	int count = code < 0 ? code : duoshm_device_registers(device);

	if (count < 0)
		return client_failed(count);
	registers = tool_allocate((size_t)count, sizeof *registers);
	for (int i = 0; i < count && code >= 0; i++)
		code = duoshm_device_describe(device, (unsigned)i, &registers[i]);
	if (code >= 0 && tool.json)
		info_json(&about, registers, (unsigned)count);
	if (code >= 0 && !tool.json) {
		info_head(&about);
		info_table(registers, (unsigned)count);
	}
	free(registers);
	return code < 0 ? client_failed(code) : TOOL_DONE;
}

/* ---- cmd, ping ---- */

static char *join(char **words)
{
	size_t size = 1;
	char *text;

	for (char **word = words; *word; word++)
		size += strlen(*word) + 1;
	text = tool_allocate(size, 1);
	for (char **word = words; *word; word++) {
		strcat(text, *word);
		if (word[1])
			strcat(text, " ");
	}
	return text;
}

static int command(struct duoshm_device *device, char **words)
{
	char reply[DUOSHM_REPLY_SIZE] = "";
	char *line = join(words);
	int code = duoshm_device_command(device, line, reply, sizeof reply, tool.wait_ns);
	size_t length = strlen(reply);

	if (code < 0) {
		free(line);
		return client_failed(code);
	}
	if (tool.json) {
		struct tool_json *document = tool_json_document("duoshm.reply/1");

		tool_json_text(document, "device", client.name);
		tool_json_text(document, "command", line);
		tool_json_text(document, "reply", reply);
		tool_json_print(document, 0);
	} else if (length) {
		printf("%s%s", reply, reply[length - 1] == '\n' ? "" : "\n");
	}
	free(line);
	return TOOL_DONE;
}

/* A process may live and its device be stuck: what counts is a heartbeat that is young enough. */
static int ping(struct duoshm_device *device)
{
	struct duoshm_device_info about = DUOSHM_DEVICE_INFO_INIT;
	struct timespec rest = {.tv_nsec = 10000000};
	int64_t deadline = tool_now() + tool.wait_ns;
	char age[TOOL_TEXT_SIZE];

	for (;;) {
		int code = duoshm_device_info(device, &about);

		if (code >= 0)
			code = duoshm_device_check(device);
		if (code < 0)
			return client_failed(code);
		tool_time_text(about.heartbeat_age_ns, age);
		if (about.heartbeat_age_ns <= 3 * about.heartbeat_period_ns)
			break;
		if (tool_now() >= deadline || tool_stop) {
			tool_error("%s: pid %" PRId64 " lives, but its heartbeat is %s old",
				client.name, about.pid, age);
			return TOOL_TIMEOUT;
		}
		nanosleep(&rest, NULL);
	}
	if (tool.json) {
		struct tool_json *document = tool_json_document("duoshm.ping/1");

		tool_json_text(document, "device", client.name);
		tool_json_integer(document, "pid", about.pid);
		tool_json_integer(document, "heartbeat_age_ns", about.heartbeat_age_ns);
		tool_json_print(document, 0);
	} else {
		printf("pid %" PRId64 ", heartbeat age %s\n", about.pid, age);
	}
	return TOOL_DONE;
}

/* ---- verbs ---- */

static int do_info(struct duoshm_device *device, char **arguments)
{
	(void)arguments;
	return info(device);
}

static int do_ping(struct duoshm_device *device, char **arguments)
{
	(void)arguments;
	return ping(device);
}

static int do_capture(struct duoshm_device *device, char **arguments)
{
	(void)arguments;
	return client_capture(device);
}

static int do_watch(struct duoshm_device *device, char **arguments)
{
	(void)arguments;
	return client_watch(device);
}

struct verb {
	const char *name;
	int least, most; /* arguments; most -1: any number */
	const char *wants;
	int (*run)(
		struct duoshm_device *device, char **arguments); /* NULL: list, without a device */
};
static const struct verb verbs[] = {
	{"list", 0, 0, "nothing", NULL},
	{"info", 0, 0, "nothing", do_info},
	{"get", 1, -1, "REG...", client_get},
	{"put", 1, -1, "REG=VALUE...", client_put},
	{"monitor", 0, -1, "[REG...]", client_monitor},
	{"capture", 0, 0, "-o FILE", do_capture},
	{"cmd", 1, -1, "WORD...", command},
	{"ping", 0, 0, "nothing", do_ping},
};
static const struct verb no_verb = {"", 0, 0, "nothing", do_watch};

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	}
	tool_usage(
		"unknown verb: \"%s\"; there are list info get put monitor capture cmd ping", name);
}

static void check_arguments(const struct verb *verb, char **arguments)
{
	int count = 0;

	while (arguments[count])
		count++;
	if (count < verb->least || (verb->most >= 0 && count > verb->most))
		tool_usage("%s: wants %s", verb->name, verb->wants);
	if (verb->run == client_put) {
		for (char **assignment = arguments; *assignment; assignment++) {
			const char *equal = strchr(*assignment, '=');

			if (!equal || equal == *assignment)
				tool_usage("put: not of the form REG=VALUE: \"%s\"", *assignment);
		}
	}
	if (verb->run == do_capture)
		client_file_check();
	else if (client.output && verb->run)
		tool_usage("--output: only with capture and list");
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
	const struct verb *verb = &no_verb;
	struct duoshm *ctx;
	int option, status;

	tool_begin(argv, usage);
	while ((option = getopt_long(
			argc, argv, "n:ta#:F:co:" TOOL_SHORT_OPTIONS, long_options, NULL)) != -1)
		own_option(option, optarg);
	if (optind < argc)
		verb = find_verb(argv[optind++]);
	check_arguments(verb, argv + optind);
	status = tool_context(&ctx);
	if (status != TOOL_DONE)
		return tool_end(status);
	status = verb->run ? with_device(ctx, verb, argv + optind) : list(ctx);
	duoshm_free(ctx);
	return tool_end(status);
}
