/* SPDX-License-Identifier: MIT */
/*
 * device: simulates an I/O device in shared memory, or replays a recording.
 *
 * Here are the options, the messages and the loop; the device itself is src/device, scripts and
 * prompt are device_input.c. No word about a family of shared memory but the option that is handed
 * on.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "device/server.h"
#include "duoshm.h"
#include "tools/common.h"
#include "tools/device_input.h"
#include "tools/json.h"

/*
 * What the command line says. Its keys of [device] are applied after the description, which they
 * overrule.
 */
static struct {
	const char *name, *wave, *period, *bits, *rate, *seed, *replay, *start, *pace, *mode;
	const char *config;
	const char *script;
	int once;
	int64_t duration_ns; /* 0: endless */
} request;

/* The first rows are keys of [device] as well. */
#define N_KEYS 11
static const struct tool_option options[] = {
	{'n', "name", "NAME", NULL, "name of the device (default device0)", .word = &request.name},
	{0, "wave", "WAVE", "signal",
		"with options: sine:period=2s:amp=1V:offset=0V:phase=90deg:duty=25%:noise=5mV",
		.word = &request.wave},
	{0, "period", "TIME", "signal", "of the wave", .word = &request.period},
	{0, "bits", "N", NULL, "quantise to 1 to 64 bits (default 10)", .word = &request.bits},
	{0, "rate", "RATE", NULL, "samples per second (default 10Hz)", .word = &request.rate},
	{0, "seed", "N", "signal", "of the random numbers: the same seed, the same run",
		.word = &request.seed},
	{0, "replay", "FILE", NULL,
		"play a WAV or CSV file, with its rate and bits unless they are given",
		.word = &request.replay},
	{0, "start", "WHEN", "replay", "capture (when the first capture comes; default) or now",
		.word = &request.start},
	{0, "once", NULL, "replay", "end when the replay is over", .flag = &request.once},
	{0, "pace", "PACE", NULL, "real (default), or fast: as fast as captures take it",
		.word = &request.pace},
	{0, "mode", "MODE", NULL, "who may use it, octal, reduced by the umask (default 0600)",
		.word = &request.mode},
	{'C', "config", "FILE", NULL, "description of the device (INI); options are stronger",
		.word = &request.config},
	{0, "duration", "TIME", NULL, "end after that time", .time_ns = &request.duration_ns},
	{0, "script", "FILE", NULL, "do the commands in FILE", .word = &request.script},
	{.name = NULL},
};

static const struct tool_program program = {
	"Usage: %s [OPTION...] [WAVE [PERIOD]]\n"
	"Simulate an I/O device in shared memory: registers, samples, commands.\n"
	"\n"
	"WAVE is SINE, QUADRATIC, TRIANGLE, SQUARE, SAW, PULSE, RAMP, DC, COUNTER or NOISE (three "
	"letters are\n"
	"enough), PERIOD its period in seconds (default 2).\n",
	options,
	"At a terminal it prompts for: start, stop, config, set REG=VALUE, get REG, status, help, "
	"exit, and sleep TIME,\n"
	"source FILE; through a pipe the same, without a prompt. It ends, and removes all it made, "
	"at exit, ^D at\n"
	"the prompt, SIGINT, SIGTERM, SIGHUP and the end of --duration.\n"
	"Exit status: 0 done, 1 failed, 2 usage or description, 3 removed by others, 6 damaged "
	"entry,\n"
	"7 permission; of an error in a script 2 wrong command or value, 3 no such register, 5 "
	"refused.\n"};

static void take_operands(char **operand)
{
	const char **const into[] = {&request.wave, &request.period};

	for (size_t i = 0; i < 2 && operand[i]; i++) {
		if (*into[i])
			tool_usage("unexpected argument: \"%s\"; an option says that already",
				operand[i]);
		*into[i] = operand[i];
	}
	if (operand[0] && operand[1] && operand[2])
		tool_usage("unexpected argument: \"%s\"", operand[2]);
	if (request.wave && request.period && strstr(request.wave, ":period="))
		tool_usage("period: \"%s\" has one already", request.wave);
}

/* Errors of the description and of options are usage: they end the program here. */
static void read_setup(struct duoshm__setup *setup)
{
	duoshm__setup_init(setup);
	if (request.config &&
		(duoshm__setup_read(setup, request.config) < 0 || duoshm__setup_check(setup) < 0)) {
		tool_error("%s", duoshm_failure()->cause);
		exit(TOOL_USAGE);
	}
	for (size_t i = 0; i < N_KEYS; i++) {
		const char *key = options[i].name;
		const char *value = options[i].word ? *options[i].word : request.once ? "on" : NULL;

		if (value && !*value)
			tool_usage("%s: is empty", key);
		if (value && duoshm__setup_set(setup, key, value) < 0)
			tool_usage("%s: %s", key, duoshm_failure()->cause);
	}
	tool_only(setup->replay[0] ? "replay" : "signal");
	if (setup->replay[0] && request.wave)
		tool_usage("unexpected argument: \"%s\": a replay has no wave", request.wave);
	if (!tool.backend && setup->backend[0])
		tool.backend = setup->backend;
}

/* ---- messages ---- */

/* Faults of the recording are failures of a file, not of usage. */
static int report_refusal(struct duoshm *ctx, const struct duoshm__setup *setup, int code)
{
	struct duoshm_failure failure = *duoshm_failure();
	struct duoshm_stat st = DUOSHM_STAT_INIT;

	if (code == DUOSHM_ERR_EXISTS && duoshm_stat(ctx, setup->name, &st) >= 0) {
		tool_error("%s: a %s of that name is there already (%s %s), pid %lld", setup->name,
			duoshm_kind_name(st.kind), st.backend, st.native,
			(long long)st.creator_pid);
		return TOOL_FAILED;
	}
	if (setup->replay[0] && (code == DUOSHM_ERR_INVALID || code == DUOSHM_ERR_NOT_FOUND)) {
		tool_error("%s", failure.cause);
		return TOOL_FAILED;
	}
	return tool_failed(setup->name, code);
}

/* A line of JSON, so that a program that started the device learns when it is there, and where. */
static void print_creation(const struct duoshm_stat *st, int64_t replaced)
{
	struct tool_json *line = tool_json_document("duoshm.created/1");
	char mode[16];

	snprintf(mode, sizeof mode, "%04o", st->mode);
	tool_json_text(line, "device", st->name);
	tool_json_text(line, "backend", st->backend);
	tool_json_text(line, "object", st->native);
	tool_json_integer(line, "size_bytes", (int64_t)st->size);
	tool_json_text(line, "mode", mode);
	tool_json_integer(line, "pid", st->creator_pid);
	if (replaced > 0)
		tool_json_integer(line, "replaced_pid", replaced);
	else
		tool_json_text(line, "replaced_pid", NULL);
	tool_json_print(line, 1);
	tool_output_failed(); /* flushes; what is wrong is said at the end */
}

static void report_creation(
	struct duoshm *ctx, const struct duoshm__server *server, int64_t replaced)
{
	struct duoshm_stat st = DUOSHM_STAT_INIT;

	if (duoshm_stat(ctx, duoshm__server_name(server), &st) < 0)
		return;
	if (tool.json) {
		print_creation(&st, replaced);
		return;
	}
	tool_note("%s: created (%s %s, %llu bytes, mode %04o), pid %lld", st.name, st.backend,
		st.native, (unsigned long long)st.size, st.mode, (long long)st.creator_pid);
	if (replaced > 0)
		tool_note("%s: replaced the remains of pid %lld", st.name, (long long)replaced);
}

/* Who made the orphan that a new device will replace; 0: there is none. */
static int64_t orphan_of(struct duoshm *ctx, const char *name)
{
	struct duoshm_stat st = DUOSHM_STAT_INIT;

	if (duoshm_stat(ctx, name, &st) < 0 || st.state != DUOSHM_ORPHAN)
		return 0;
	return st.creator_pid;
}

/* ---- the loop ---- */

static int run(struct duoshm__server *server, int64_t duration_ns)
{
	int64_t end = duration_ns ? tool_now() + duration_ns : INT64_MAX;
	int status = TOOL_DONE;
	int64_t now;

	input_begin(server);
	while (!tool_stop && (now = tool_now()) < end) {
		int64_t wait;

		status = input_run(server, now);
		wait = duoshm__server_step(server, tool_now());
		if (status != TOOL_DONE || duoshm__server_over(server))
			break;
		input_wait(server, wait < end - now ? wait : end - now);
	}
	input_end();
	if (status == TOOL_DONE && duoshm__server_over(server) < 0)
		status = tool_failed(duoshm__server_name(server), duoshm__server_over(server));
	return status;
}

int main(int argc, char **argv)
{
	static struct duoshm__setup setup; /* large */
	struct duoshm__server *server;
	struct duoshm *ctx;
	int64_t replaced;
	int status, result;

	take_operands(tool_begin(argc, argv, &program));
	read_setup(&setup);
	tool_catch_signals();
	status = request.script ? input_script(request.script) : TOOL_DONE;
	if (status == TOOL_DONE)
		status = tool_context(&ctx);
	if (status != TOOL_DONE)
		return tool_end(status);
	replaced = orphan_of(ctx, setup.name);
	result = duoshm__server_new(ctx, &setup, tool_now(), &server);
	if (result < 0) {
		status = report_refusal(ctx, &setup, result);
	} else {
		report_creation(ctx, server, result == DUOSHM_REPLACED ? replaced : 0);
		status = run(server, request.duration_ns);
		result = duoshm__server_free(server);
		if (result < 0 && status == TOOL_DONE)
			status = tool_failed(setup.name, result);
	}
	duoshm_free(ctx);
	return tool_end(status);
}
