/* SPDX-License-Identifier: MIT */
/*
 * device: simulates an I/O device in shared memory, or replays a recording.
 *
 * Here are the options, the messages and the loop; the device itself is src/device, scripts and prompt are
 * device_input.c. No word about a family of shared memory but the option that is handed on.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "device/server.h"
#include "duoshm.h"
#include "tools/common.h"
#include "tools/device_input.h"

static const char usage[] =
	"Usage: %s [OPTION...] [WAVE [PERIOD]]\n"
	"Simulate an I/O device in shared memory: registers, samples, commands.\n"
	"\n"
	"WAVE is SINE, QUADRATIC, TRIANGLE, SQUARE, SAW, PULSE, RAMP, DC, COUNTER or NOISE (three "
	"letters are\n"
	"enough), PERIOD its period in seconds (default 2).\n"
	"\n"
	"  -n, --name=NAME       name of the device (default device0)\n"
	"  -b, --backend=FAMILY  sysv, posix or auto\n"
	"  -C, --config=FILE     description of the device (INI); options are stronger\n"
	"      --wave=WAVE       with options: "
	"sine:period=2s:amp=1V:offset=0V:phase=90deg:duty=25%:noise=5mV\n"
	"      --period=TIME     of the wave\n"
	"      --bits=N          quantise to 1 to 64 bits (default 10)\n"
	"      --rate=RATE       samples per second (default 10Hz)\n"
	"      --seed=N          of the random numbers: the same seed, the same run\n"
	"      --replay=FILE     play a WAV or CSV file, with its rate and bits unless they are "
	"given\n"
	"      --start=WHEN      of a replay: capture (when the first capture comes; default) or "
	"now\n"
	"      --once            end when the replay is over\n"
	"      --pace=PACE       real (default), or fast: as fast as captures take it\n"
	"      --duration=TIME   end after that time\n"
	"      --script=FILE     do the commands in FILE\n"
	"      --mode=MODE       who may use it, octal, reduced by the umask (default 0600)\n"
	"      --dir=DIR         the registry directory\n"
	"  -q, --quiet           errors only\n"
	"  -v, --verbose         tell more; twice: each step\n"
	"  -h, --help            this text\n"
	"  -V, --version         version and the families built in\n"
	"\n"
	"At a terminal it prompts for: start, stop, config, set REG=VALUE, get REG, status, help, "
	"exit, and sleep TIME,\n"
	"source FILE. It ends, and removes all it made, at exit, SIGINT, SIGTERM and the end of "
	"--duration.\n"
	"Exit status: 0 done, 1 failed, 2 usage or description, 7 permission.\n";

/* Options that mean the same as keys of [device] have the key's place in this list. */
static const char *const keys[] = {"name", "wave", "period", "bits", "rate", "seed", "replay",
	"start", "once", "pace", "mode"};
#define N_KEYS (sizeof keys / sizeof *keys)
enum {
	KEY_NAME,
	KEY_WAVE,
	KEY_PERIOD,
	KEY_BITS,
	KEY_RATE,
	KEY_SEED,
	KEY_REPLAY,
	KEY_START,
	KEY_ONCE,
	KEY_PACE,
	KEY_MODE
};
enum { OPTION_KEY = TOOL_OWN_OPTION, OPTION_DURATION = OPTION_KEY + 32, OPTION_SCRIPT };

static const struct option options[] = {
	{"name", required_argument, NULL, 'n'},
	{"backend", required_argument, NULL, 'b'},
	{"config", required_argument, NULL, 'C'},
	{"wave", required_argument, NULL, OPTION_KEY + KEY_WAVE},
	{"period", required_argument, NULL, OPTION_KEY + KEY_PERIOD},
	{"bits", required_argument, NULL, OPTION_KEY + KEY_BITS},
	{"rate", required_argument, NULL, OPTION_KEY + KEY_RATE},
	{"seed", required_argument, NULL, OPTION_KEY + KEY_SEED},
	{"replay", required_argument, NULL, OPTION_KEY + KEY_REPLAY},
	{"start", required_argument, NULL, OPTION_KEY + KEY_START},
	{"once", no_argument, NULL, OPTION_KEY + KEY_ONCE},
	{"pace", required_argument, NULL, OPTION_KEY + KEY_PACE},
	{"mode", required_argument, NULL, OPTION_KEY + KEY_MODE},
	{"duration", required_argument, NULL, OPTION_DURATION},
	{"script", required_argument, NULL, OPTION_SCRIPT},
	{"dir", required_argument, NULL, TOOL_OPTION_DIR},
	{"quiet", no_argument, NULL, 'q'},
	{"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0},
};

/* What the command line says; keys are applied after the description, which they overrule. */
struct request {
	const char *value[N_KEYS];
	const char *config;
	const char *script;
	int64_t duration_ns; /* 0: endless */
};

static void read_options(int argc, char **argv, struct request *request)
{
	int option;

	while ((option = getopt_long(argc, argv, "n:C:b:qvhV", options, NULL)) >= 0) {
		if (option >= OPTION_KEY && option < OPTION_KEY + (int)N_KEYS)
			request->value[option - OPTION_KEY] = optarg ? optarg : "on";
		else if (option == 'n')
			request->value[KEY_NAME] = optarg;
		else if (option == 'C')
			request->config = optarg;
		else if (option == OPTION_SCRIPT)
			request->script = optarg;
		else if (option != OPTION_DURATION)
			tool_option(option, optarg);
		else if (tool_time(optarg, &request->duration_ns) < 0 || request->duration_ns == 0)
			tool_usage("--duration: not a time of more than 0: \"%s\"", optarg);
	}
	if (argc - optind > 2)
		tool_usage("unexpected argument: \"%s\"", argv[optind + 2]);
	if (optind < argc)
		request->value[KEY_WAVE] = argv[optind];
	if (optind + 1 < argc)
		request->value[KEY_PERIOD] = argv[optind + 1];
}

/* Errors of the description and of options are usage: they end the program here. */
static void read_setup(const struct request *request, struct duoshm__setup *setup)
{
	duoshm__setup_init(setup);
	if (request->config && duoshm__setup_read(setup, request->config) < 0) {
		tool_error("%s", duoshm_failure()->cause);
		exit(TOOL_USAGE);
	}
	for (size_t i = 0; i < N_KEYS; i++)
		if (request->value[i] && duoshm__setup_set(setup, keys[i], request->value[i]) < 0)
			tool_usage("%s: %s", keys[i], duoshm_failure()->cause);
	if (duoshm__setup_check(setup, request->config ? request->config : "device") < 0)
		tool_usage("%s", duoshm_failure()->cause);
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

static void report_creation(
	struct duoshm *ctx, const struct duoshm__server *server, int result, int64_t replaced)
{
	struct duoshm_stat st = DUOSHM_STAT_INIT;

	if (duoshm_stat(ctx, duoshm__server_name(server), &st) < 0)
		return;
	tool_note("%s: created (%s %s, %llu bytes, mode %04o), pid %lld", st.name, st.backend,
		st.native, (unsigned long long)st.size, st.mode, (long long)st.creator_pid);
	if (result == DUOSHM_REPLACED && replaced > 0)
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

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int run(struct duoshm__server *server, int64_t duration_ns)
{
	int64_t end = duration_ns ? tool_now() + duration_ns : INT64_MAX;
	int prompting = input_prompt(server);
	int status = TOOL_DONE;
	int64_t now;

	while (!tool_stop && (now = tool_now()) < end) {
		int64_t wait;

		status = input_run(server, now);
		wait = duoshm__server_step(server, tool_now());
		if (status != TOOL_DONE || duoshm__server_over(server))
			break;
		wait = least(wait, least(input_due(now), end - now));
		if (prompting)
			input_wait(wait);
		else if (wait > 0)
			duoshm__server_wait(server, wait);
	}
	input_end();
	if (status == TOOL_DONE && duoshm__server_over(server) < 0)
		status = tool_failed(duoshm__server_name(server), duoshm__server_over(server));
	return status;
}

int main(int argc, char **argv)
{
	static struct duoshm__setup setup; /* large */
	struct request request = {0};
	struct duoshm__server *server;
	struct duoshm *ctx;
	int64_t replaced;
	int status, result;

	tool_begin(argv, usage);
	read_options(argc, argv, &request);
	read_setup(&request, &setup);
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
		report_creation(ctx, server, result, replaced);
		status = run(server, request.duration_ns);
		duoshm__server_free(server);
	}
	duoshm__setup_free(&setup);
	duoshm_free(ctx);
	return tool_end(status);
}
