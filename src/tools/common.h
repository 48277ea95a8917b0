/* SPDX-License-Identifier: MIT */
/*
 * What the programs share: common options, messages, exit status, units, the end of standard output.
 *
 * A program begins with tool_begin(), hands every option it does not know itself to tool_option(), and
 * ends with `return tool_end(status)`. Data go to standard output, messages to standard error.
 * A failed or closed standard output is found at tool_end() at the latest; endless output asks
 * tool_output_failed() now and then.
 */
#ifndef DUOSHM_TOOLS_COMMON_H
#define DUOSHM_TOOLS_COMMON_H

#include <getopt.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>

#include "duoshm.h"

#if defined(__GNUC__)
#define TOOL_PRINTF(text, first) __attribute__((format(printf, text, first)))
#define TOOL_NORETURN            __attribute__((noreturn))
#else
#define TOOL_PRINTF(text, first)
#define TOOL_NORETURN _Noreturn
#endif

/* Exit status: a promise of the man pages. */
enum tool_status {
	TOOL_DONE = 0,
	TOOL_FAILED = 1,
	TOOL_USAGE = 2,     /* also errors in a description file */
	TOOL_NOT_FOUND = 3, /* or not running */
	TOOL_TIMEOUT = 4,
	TOOL_REFUSED = 5,      /* by the device */
	TOOL_INCOMPATIBLE = 6, /* or corrupt */
	TOOL_PERMISSION = 7
};

#define TOOL_SECOND 1000000000LL

/* The running program and its common options: one record, written by tool_begin and tool_option only. */
struct tool {
	char program[32];      /* as it was called, without its folder: begins every message */
	const char *usage;     /* text of --help, "%s" stands for the program's name */
	const char *backend;   /* -b, or NULL */
	const char *directory; /* --dir, or NULL */
	int64_t wait_ns;       /* -w; default 1 s */
	int json;              /* -J */
	int quiet;             /* -q: errors only */
	int verbose;           /* -v, counted */
};
extern struct tool tool;

/*
 * Common options: append TOOL_SHORT_OPTIONS to the own short ones, and TOOL_LONG_OPTIONS to the table of
 * long ones (before the closing zeros). Own long-only options count from TOOL_OWN_OPTION.
 */
#define TOOL_SHORT_OPTIONS "b:w:JqvhV"
enum { TOOL_OPTION_DIR = 256, TOOL_OWN_OPTION = 300 };
/* clang-format off */
#define TOOL_LONG_OPTIONS                                     \
	{"backend", required_argument, NULL, 'b'},            \
	{"dir", required_argument, NULL, TOOL_OPTION_DIR},    \
	{"wait", required_argument, NULL, 'w'},               \
	{"json", no_argument, NULL, 'J'},                     \
	{"quiet", no_argument, NULL, 'q'},                    \
	{"verbose", no_argument, NULL, 'v'},                  \
	{"help", no_argument, NULL, 'h'},                     \
	{"version", no_argument, NULL, 'V'}
/* clang-format on */
/* The lines of --help that belong to them. */
#define TOOL_COMMON_HELP                                                                           \
	"  -b, --backend=FAMILY  sysv, posix or auto\n"                                            \
	"      --dir=DIR         the registry directory\n"                                         \
	"  -w, --wait=SEC        give up after this time (default 1.0)\n"                          \
	"  -J, --json            JSON output\n"                                                    \
	"  -q, --quiet           errors only\n"                                                    \
	"  -v, --verbose         tell more; twice: each step\n"                                    \
	"  -h, --help            this text\n"                                                      \
	"  -V, --version         version and the families built in\n"

/* Names the program, guards descriptors 0 to 2 (a closed one would be reused by the registry), ignores SIGPIPE. */
void tool_begin(char **argv, const char *usage);
/* A common option, or the end by tool_usage() for anything else ('?' and ':' of getopt_long included). */
void tool_option(int option, const char *argument);
/* Flushes standard output; the status to return from main. After SIGPIPE the program ends by that signal. */
int tool_end(int status);

/* ---- messages ---- */

/* "program: TEXT" on standard error. */
void tool_error(const char *format, ...) TOOL_PRINTF(1, 2);
/* The same, unless -q. */
void tool_note(const char *format, ...) TOOL_PRINTF(1, 2);
/* "program: TEXT", "Try 'program --help' ...", exit 2. */
TOOL_NORETURN void tool_usage(const char *format, ...) TOOL_PRINTF(1, 2);
/* The exit status of a DUOSHM_ERR_* code; 0 of what is no error. */
int tool_status_of(int code);
/*
 * Reports the thread's last failure, "program: WHAT: cause" and the cure; returns the exit status of
 * `code`. `what` may be NULL. A record that belongs to another code is not used.
 */
int tool_failed(const char *what, int code);

/* ---- context ---- */

/* A context from -b and --dir whose log goes to standard error as -q and -v say. TOOL_DONE, or reported. */
int tool_context(struct duoshm **out);
/* For a family other than -b's (NULL: the default). `out_code` (may be NULL) gets the library's code; silent. */
int tool_context_of(const char *backend, struct duoshm **out, int *out_code);

/* ---- end by signal ---- */

/* SIGINT, SIGTERM and SIGHUP set tool_stop instead of ending the process; waits are interrupted. */
void tool_catch_signals(void);
extern volatile sig_atomic_t tool_stop; /* the signal's number */

/* ---- standard output ---- */

/* 1: it cannot be written any more (reported by tool_end). Flushes. */
int tool_output_failed(void);

/* ---- numbers with units: 0, or -1 and nothing written ---- */

/* NUMBER[PREFIX][UNIT], as "10Hz", "5mV", "64KiB", "1k", "2.5"; prefixes n u m k K M G T Ki Mi Gi Ti. */
int tool_quantity(const char *text, const char *unit, double *out);
/* "250us", "20ms", "2s", "5min", "1h"; a bare number is in seconds. 0 or more. */
int tool_time(const char *text, int64_t *ns);
/* "4096", "1k", "2M": a whole number of at least 0. */
int tool_count(const char *text, uint64_t *out);

/* Their inverse for tables: "8K", "1.5M"; "43ms", "2h". */
#define TOOL_TEXT_SIZE 32
const char *tool_bytes_text(uint64_t bytes, char text[TOOL_TEXT_SIZE]);
const char *tool_time_text(int64_t ns, char text[TOOL_TEXT_SIZE]);
/* The shortest decimal text that reads back as the same number. */
const char *tool_real_text(double value, char text[TOOL_TEXT_SIZE]);

/* Nanoseconds of the monotonic and of the real-time clock. */
int64_t tool_now(void);
int64_t tool_real_time(void);

/* Memory, or the end with a message: never NULL. */
void *tool_allocate(size_t count, size_t size);
char *tool_copy(const char *text);

#endif
