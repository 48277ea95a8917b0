/* SPDX-License-Identifier: MIT */
/*
 * What the programs share: options, messages, exit status, the end of standard output. Units and
 * texts of numbers are in units.c.
 *
 * The trap: with a standard descriptor closed, the next file that is opened takes its number, and
 * what is printed lands in that file; tool_begin fills the gaps. And a full disk shows at the last
 * flush only.
 */
#include "config.h"

#include "tools/common.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "duoshm/device.h"
#include "tools/json.h"

struct tool tool = {.wait_ns = TOOL_SECOND};
volatile sig_atomic_t tool_stop;

#define OPTIONS_MAX 40

static const struct tool_program *program;
static const struct tool_option *rows[OPTIONS_MAX]; /* its own, then the common ones */
static int given[OPTIONS_MAX];
static size_t n_rows;

static int output_errno;        /* of the first failed flush */
static int pipe_signal_ignored; /* by who started us: then nothing is to be raised */

/* ---- messages ---- */

/* What is quoted may hold control characters, which would act on a terminal. */
void tool_error(const char *format, ...)
{
	char raw[4096], text[4 * sizeof raw];
	size_t length = 0;
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(raw, sizeof raw, format, arguments);
	va_end(arguments);
	for (const char *c = raw; *c; c++) {
		unsigned char byte = (unsigned char)*c;

		length +=
			(size_t)snprintf(text + length, 5, iscntrl(byte) ? "\\x%02x" : "%c", byte);
	}
	fflush(stdout);
	fprintf(stderr, "%s: %.*s\n", tool.program, (int)length, text);
}

_Noreturn void tool_exit_usage(void)
{
	fprintf(stderr, "Try '%s --help' for more information.\n", tool.program);
	exit(TOOL_USAGE);
}

int tool_status_of(int code)
{
	switch (code) {
	case DUOSHM_ERR_INVALID:
	case DUOSHM_ERR_NAME:
	case DUOSHM_ERR_NO_BACKEND: return TOOL_USAGE;
	case DUOSHM_ERR_NOT_FOUND:
	case DUOSHM_ERR_OTHER_BACKEND:
	case DUOSHM_ERR_REMOVED:
	case DUOSHM_ERR_PEER_DEAD: return TOOL_NOT_FOUND;
	case DUOSHM_ERR_TIMEOUT: return TOOL_TIMEOUT;
	case DUOSHM_ERR_REFUSED:
	case DUOSHM_ERR_READ_ONLY: return TOOL_REFUSED;
	case DUOSHM_ERR_WRONG_KIND:
	case DUOSHM_ERR_CORRUPT:
	case DUOSHM_ERR_INCOMPATIBLE: return TOOL_INCOMPATIBLE;
	case DUOSHM_ERR_PERMISSION: return TOOL_PERMISSION;
	default: return code < 0 ? TOOL_FAILED : TOOL_DONE;
	}
}

/* A registry that must not be entered is a matter of permission, one that is full is not. */
static int status_of_failure(int code, const struct duoshm_failure *failure)
{
	if (code == DUOSHM_ERR_REGISTRY &&
		(failure->system_error == EACCES || failure->system_error == EPERM))
		return TOOL_PERMISSION;
	return tool_status_of(code);
}

const char *tool_cause(int code)
{
	const struct duoshm_failure *failure = duoshm_failure();

	return failure->code == code && failure->cause[0] ? failure->cause : duoshm_strerror(code);
}

int tool_failed(const char *what, int code)
{
	const struct duoshm_failure *failure = duoshm_failure();
	int known = failure->code == code;

	tool_error("%s%s%s", what ? what : "", what ? ": " : "", tool_cause(code));
	if (known && failure->cure[0])
		tool_error("hint: %s", failure->cure);
	if (known && failure->call[0] && tool.verbose)
		tool_error("call: %s: %s", failure->call, strerror(failure->system_error));
	return known ? status_of_failure(code, failure) : tool_status_of(code);
}

/* ---- begin, options, end ---- */

/*
 * Descriptors 0 to 2 are always ours: a closed one gets an end of /dev/null that fails as a closed
 * one does.
 */
static void guard_descriptors(void)
{
	for (int fd = 0; fd <= 2; fd++) {
		if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF)
			continue;
		if (open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) != fd)
			_exit(TOOL_FAILED);
	}
}

static void name_program(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;
	const char *base = slash ? slash + 1 : path;

	snprintf(tool.program, sizeof tool.program, "%s", base && *base ? base : "duoshm");
}

static void ignore_signals(void)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	struct sigaction before = {.sa_handler = SIG_DFL};

	sigaction(SIGPIPE, &ignore, &before);
	sigaction(SIGXFSZ, &ignore, NULL); /* a file limit is an error of write, not the end */
	pipe_signal_ignored = before.sa_handler == SIG_IGN;
}

_Noreturn static void version(const char *argument)
{
	(void)argument;
	printf("%s (duoshm) %s\nfamilies:", tool.program, DUOSHM_VERSION);
	for (const char *const *family = duoshm_backends(); *family; family++)
		printf(" %s", *family);
	printf("\nlibraries:%s\n", DUOSHM_LIBRARIES);
	exit(tool_end(TOOL_DONE));
}

void tool_want_json(void)
{
#ifndef HAVE_JANSSON
	tool_error("--json: not available: built without jansson");
	exit(TOOL_FAILED);
#endif
	tool.json = 1;
}

static void want_json(const char *argument)
{
	(void)argument;
	tool_want_json();
}

static void set_wait(const char *argument)
{
	if (tool_time(argument, &tool.wait_ns) < 0)
		tool_usage("--wait: not a time of 0 to 285 years: \"%s\"", argument);
	tool.wait_given = 1;
}

_Noreturn static void help(const char *argument);

static const struct tool_option common_options[] = {
	{'b', "backend", "FAMILY", NULL, "sysv, posix or auto", .word = &tool.backend},
	{0, "dir", "DIR", NULL, "the registry directory", .word = &tool.directory},
	{'w', "wait", "SEC", NULL, "give up after this time (default 1.0)", .act = set_wait},
	{'J', "json", NULL, NULL, "JSON output", .act = want_json},
	{'q', "quiet", NULL, NULL, "errors only", .flag = &tool.quiet},
	{'v', "verbose", NULL, NULL, "tell more; twice: each step", .flag = &tool.verbose},
	{'h', "help", NULL, NULL, "this text", .act = help},
	{'V', "version", NULL, NULL, "version and the families built in", .act = version},
	{.name = NULL},
};

/* A common option that the program has one of its own in place of. */
static int is_replaced(const struct tool_option *row)
{
	const struct tool_option *own = program->options;

	while (own && own->name && strcmp(own->name, row->name) != 0)
		own++;
	return own && own->name && own != row;
}

static void help_lines(const struct tool_option *row)
{
	for (; row->name; row++) {
		char letter[] = "    ";
		const char *argument = row->argument ? row->argument : "";
		int width;

		if (is_replaced(row))
			continue;
		if (row->letter)
			snprintf(letter, sizeof letter, "-%c, ", row->letter);
		width = *argument == '[' ? printf("  %s--%s[=%s", letter, row->name, argument + 1)
					 : printf("  %s--%s%s%s", letter, row->name,
						   *argument ? "=" : "", argument);
		printf("%*s%s%s%s\n", width < 24 ? 24 - width : 1, "", row->with ? row->with : "",
			row->with ? ": " : "", row->help);
	}
}

_Noreturn static void help(const char *argument)
{
	const char *text = program->usage;
	const char *mark;

	(void)argument;
	while ((mark = strstr(text, "%s"))) {
		printf("%.*s%s", (int)(mark - text), text, tool.program);
		text = mark + 2;
	}
	printf("%s\n", text);
	if (program->options) {
		help_lines(program->options);
		putchar('\n');
	}
	help_lines(common_options);
	if (program->more)
		printf("\n%s", program->more);
	exit(tool_end(TOOL_DONE));
}

static void take_option(const struct tool_option *row, const char *argument)
{
	if (row->flag)
		++*row->flag;
	else if (row->word)
		*row->word = argument;
	else if (row->act)
		row->act(argument);
	else if (row->time_ns && (tool_time(argument, row->time_ns) < 0 || *row->time_ns == 0))
		tool_usage("--%s: not a time of more than 0, up to 285 years: \"%s\"", row->name,
			argument);
	else if (row->count && (tool_count(argument, row->count) < 0 || *row->count == 0))
		tool_usage("--%s: not a number of 1 or more that makes sense: \"%s\"", row->name,
			argument);
}

/*
 * The tables in the terms of getopt_long; a long option without a letter has its row's number
 * behind all letters.
 */
static void compile_options(const struct tool_option *row, struct option *longs, char *letters)
{
	for (; row && row->name; row++) {
		int value = row->letter ? row->letter : (int)(UCHAR_MAX + 1 + n_rows);
		int may_do_without = row->argument && row->argument[0] == '[';
		int takes = !row->argument   ? no_argument
			    : may_do_without ? optional_argument
					     : required_argument;

		if (is_replaced(row))
			continue;
		longs[n_rows] = (struct option){row->name, takes, NULL, value};
		/* A letter takes none that may be left out: "-J4" is a slip. */
		if (row->letter)
			snprintf(letters + strlen(letters), 3, "%c%s", row->letter,
				takes == required_argument ? ":" : "");
		rows[n_rows++] = row;
	}
}

static int is_negative_number(const char *text)
{
	return text[0] == '-' && text[1] && strchr(".0123456789", text[1]);
}

/*
 * In getopt_long's order mode "+", so that operands between options can be looked at here: it takes
 * -1 for an option.
 */
static char **read_options(int argc, char **argv)
{
	struct option longs[OPTIONS_MAX + 1] = {{.name = NULL}};
	char letters[2 * OPTIONS_MAX + 2] = "+";
	int operands = 1, only_operands = 0;

	compile_options(program->options, longs, letters);
	compile_options(common_options, longs, letters);
	while (optind < argc) {
		int at = optind, letter, i = 0;

		if (only_operands || is_negative_number(argv[at])) {
			argv[operands++] = argv[optind++];
			continue;
		}
		letter = getopt_long(argc, argv, letters, longs, NULL);
		if (letter == -1) {
			only_operands = optind > at; /* it passed a "--" */
			if (!only_operands)
				argv[operands++] = argv[optind++];
			continue;
		}
		if (letter == '?') /* getopt_long has said what is wrong */
			tool_exit_usage();
		while (longs[i].val != letter)
			i++;
		given[i] = 1;
		take_option(rows[i], optarg);
	}
	argv[operands] = NULL;
	return argv + 1;
}

static int holds(const char *list, const char *word)
{
	size_t length = strlen(word);

	for (const char *at = list; (at = strstr(at, word)); at++) {
		if ((at == list || at[-1] == ' ') && (!at[length] || at[length] == ','))
			return 1;
	}
	return 0;
}

void tool_only(const char *mode)
{
	for (size_t i = 0; i < n_rows; i++) {
		const char *with = rows[i]->with;

		if (given[i] && with && !holds(with, mode) && !(tool.json && holds(with, "--json")))
			tool_usage("--%s: only with %s", rows[i]->name, with);
	}
}

/* By every program alike, also by one that does not open it. */
static void check_family(void)
{
	const char *name = tool.backend ? tool.backend : getenv("DUOSHM_BACKEND");
	char known[64] = "auto";

	for (const char *const *family = duoshm_backends(); *family; family++)
		tool_append(known, sizeof known, ", ", *family);
	if (name && (*name ? !holds(known, name) : name == tool.backend))
		tool_usage("%s: no backend \"%s\"; there are %s",
			tool.backend ? "--backend" : "DUOSHM_BACKEND", name, known);
}

char **tool_begin(int argc, char **argv, const struct tool_program *which)
{
	guard_descriptors();
	name_program(argv[0]);
	argv[0] = tool.program; /* getopt_long begins its messages with it */
	program = which;
	ignore_signals();
	argv = read_options(argc, argv);
	check_family();
	return argv;
}

int tool_output_failed(void)
{
	int error = errno; /* of a write that has failed already */

	if (fflush(stdout) < 0)
		error = errno;
	if (ferror(stdout) && !output_errno)
		output_errno = error;
	return ferror(stdout) != 0;
}

static void end_by(int number)
{
	signal(number, SIG_DFL);
	raise(number);
}

int tool_end(int status)
{
	if (status == TOOL_STOPPED)
		end_by((int)tool_stop);
	if (!tool_output_failed() && fclose(stdout) == 0)
		return status;
	if (!output_errno)
		output_errno = errno;
	if (output_errno != EPIPE)
		tool_error("standard output: %s", strerror(output_errno));
	else if (!pipe_signal_ignored)
		end_by(SIGPIPE);
	return status == TOOL_DONE ? TOOL_FAILED : status;
}

const char *tool_plain_name(const char *name)
{
	const char *colon = strchr(name, ':');

	return colon ? colon + 1 : name;
}

void tool_check_device_name(const char *name)
{
	const char *plain = tool_plain_name(name);
	size_t length = strspn(plain, "abcdefghijklmnopqrstuvwxyz0123456789._-");

	if (plain[length] || length < 1 || length > DUOSHM_DEVICE_NAME_MAX || plain[0] == '.')
		tool_usage("\"%s\" is no device's name: that has 1 to %d of a-z 0-9 . _ - and no "
			   "dot at the beginning",
			name, DUOSHM_DEVICE_NAME_MAX);
}

void tool_show_reply(const char *device, const char *command, const char *reply, int lines)
{
	if (tool.json) {
		struct tool_json *document = tool_json_document("duoshm.reply/1");

		tool_json_text(document, "device", device);
		tool_json_text(document, "command", command);
		tool_json_text(document, "reply", reply);
		tool_json_print(document, lines);
	} else if (*reply) {
		puts(reply);
	}
}

/* ---- context ---- */

static void log_line(void *arg, int level, const char *text)
{
	(void)arg;
	if (level <= DUOSHM_LOG_WARNING + tool.verbose &&
		!(tool.quiet && level > DUOSHM_LOG_WARNING))
		tool_error("%s", text);
}

int tool_context_of(const char *backend, struct duoshm **out)
{
	struct duoshm_options options = DUOSHM_OPTIONS_INIT;

	options.backend = backend;
	options.directory = tool.directory;
	options.log = log_line;
	return duoshm_new(&options, out);
}

int tool_context(struct duoshm **out)
{
	int code = tool_context_of(tool.backend, out);
	int family = code == DUOSHM_ERR_NO_BACKEND || code == DUOSHM_ERR_UNAVAILABLE;

	return code < 0 ? tool_failed(family ? tool.backend : NULL, code) : TOOL_DONE;
}

/* ---- signals ---- */

static void stop(int number)
{
	tool_stop = number;
}

void tool_catch_signals(void)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction action = {.sa_handler = stop};
	struct sigaction before;

	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		/* What the starter ignores (nohup, a shell's background job) stays ignored. */
		if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
			sigaction(numbers[i], &action, NULL);
	}
}

/* ---- time, memory ---- */

static int64_t clock_ns(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (int64_t)now.tv_sec * TOOL_SECOND + now.tv_nsec;
}

int64_t tool_now(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

int64_t tool_real_time(void)
{
	return clock_ns(CLOCK_REALTIME);
}

void tool_pause(int64_t ns)
{
	struct timespec rest = {
		.tv_sec = (time_t)(ns / TOOL_SECOND), .tv_nsec = (long)(ns % TOOL_SECOND)};

	nanosleep(&rest, NULL);
}

static void *never_null(void *memory)
{
	if (memory)
		return memory;
	tool_error("out of memory");
	exit(TOOL_FAILED);
}

void *tool_allocate(size_t count, size_t size)
{
	return never_null(calloc(count ? count : 1, size ? size : 1));
}

void *tool_resize(void *memory, size_t count, size_t size)
{
	return never_null(count > SIZE_MAX / size ? NULL : realloc(memory, count * size));
}

char *tool_copy(const char *text)
{
	return never_null(strdup(text));
}
