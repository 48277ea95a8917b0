/* SPDX-License-Identifier: MIT */
/*
 * What the programs share: common options, messages, exit status, units, the end of standard
 * output.
 *
 * A program begins with tool_begin(), which reads its options by the table that --help is printed
 * from, and ends with `return tool_end(status)`. Data go to standard output, messages to standard
 * error. A failed or closed standard output is found at tool_end() at the latest; endless output
 * asks tool_output_failed() now and then.
 */
#ifndef DUOSHM_TOOLS_COMMON_H
#define DUOSHM_TOOLS_COMMON_H

#include <signal.h>
#include <stdint.h>
#include <stdio.h>

#include "duoshm.h"

#if defined(__GNUC__)
#define TOOL_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define TOOL_PRINTF(text, first)
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

/*
 * An option: its line of --help, and where it goes: to one of the last five. A table ends with a
 * row without a name.
 */
struct tool_option {
	int letter; /* 0: none */
	const char *name;
	const char
		*argument; /* what --help calls it, "[FILE]": may be left out; NULL: takes none */
	const char *with;  /* the modes that it makes sense in, "get, put"; NULL: all */
	const char *help;
	int *flag;         /* counts how often it was given */
	const char **word; /* gets the argument as it is */
	int64_t *time_ns;  /* a time of more than 0 */
	uint64_t *count;   /* a number of 1 or more */
	void (*act)(const char *argument);
};

struct tool_program {
	const char *usage; /* --help before the options; "%s" stands for the program's name */
	const struct tool_option
		*options; /* its own, in place of a common one of that name; or NULL */
	const char *more; /* --help after the options, or NULL */
};

/* The running program and its common options: one record, written by tool_begin only. */
struct tool {
	char program[32];      /* as it was called, without its folder: begins every message */
	const char *backend;   /* -b, or NULL */
	const char *directory; /* --dir, or NULL */
	int64_t wait_ns;       /* -w; default 1 s */
	int wait_given;        /* it was given */
	int json;              /* -J */
	int quiet;             /* -q: errors only */
	int verbose;           /* -v, counted */
};
extern struct tool tool;

/*
 * Guards descriptors 0 to 2 (a closed one would be reused by the registry), ignores SIGPIPE, and
 * reads the common options and the program's own. Returns the operands, NULL behind the last; -1
 * and -.5 are operands, for no option is a digit. Wrong options end the program by tool_usage().
 */
char **tool_begin(int argc, char **argv, const struct tool_program *program);
/* What -J does: sets tool.json, where JSON can be written. */
void tool_want_json(void);
/* Wrong usage if an option was given that is not for this mode. */
void tool_only(const char *mode);
/*
 * Flushes standard output; the status to return from main. After SIGPIPE, and when tool_stop is set
 * and `status` is TOOL_STOPPED, the program ends by that signal.
 */
int tool_end(int status);
#define TOOL_STOPPED (-1)

/* ---- messages ---- */

/* "program: TEXT" on standard error, control characters made visible. */
void tool_error(const char *format, ...) TOOL_PRINTF(1, 2);
/* The same, unless -q. */
#define tool_note(...) (tool.quiet ? (void)0 : tool_error(__VA_ARGS__))
/* "program: TEXT", "Try 'program --help' ...", exit 2. */
#define tool_usage(...) (tool_error(__VA_ARGS__), tool_exit_usage())
_Noreturn void tool_exit_usage(void);
/* The exit status of a DUOSHM_ERR_* code; 0 of what is no error. */
int tool_status_of(int code);
/*
 * Reports the thread's last failure, "program: WHAT: cause" and the cure; returns the exit status
 * of `code`. `what` may be NULL. A record that belongs to another code is not used.
 */
int tool_failed(const char *what, int code);

/* Of the thread's last failure if it is of that code, else what the code means. */
const char *tool_cause(int code);

/* ---- context ---- */

/*
 * A context from -b and --dir whose log goes to standard error as -q and -v say. TOOL_DONE, or
 * reported.
 */
int tool_context(struct duoshm **out);
/* For a family other than -b's (NULL: the default). The library's code; silent. */
int tool_context_of(const char *backend, struct duoshm **out);

/* ---- end by signal ---- */

/* SIGINT, SIGTERM and SIGHUP set tool_stop instead of ending the process; waits are interrupted. */
void tool_catch_signals(void);
extern volatile sig_atomic_t tool_stop; /* the signal's number */

/* ---- standard output ---- */

/*
 * 1: it cannot be written any more (reported by tool_end). Flushes. To be asked right after
 * writing, for the sake of errno.
 */
int tool_output_failed(void);

/* Wrong usage unless a device can have that name, with or without a family before it. */
void tool_check_device_name(const char *name);
/* The name without the family before it. */
const char *tool_plain_name(const char *name);
/* A device's answer to a command: its text, or a document of JSON (`lines`: on one line). */
void tool_show_reply(const char *device, const char *command, const char *reply, int lines);

/* ---- numbers with units: 0, or -1 and nothing written ---- */

/* "250us", "20ms", "2s", "5min", "1h"; a bare number is in seconds. 0 or more. */
int tool_time(const char *text, int64_t *ns);
/* "4096", "1k", "2.5M", "4Ki": a whole number of at least 0; k K M G T Ki Mi Gi Ti. */
int tool_count(const char *text, uint64_t *out);

/* Their inverse for tables: "8K", "1.5M"; "43ms", "2h". */
#define TOOL_TEXT_SIZE 32
const char *tool_bytes_text(uint64_t bytes, char text[TOOL_TEXT_SIZE]);
const char *tool_time_text(int64_t ns, char text[TOOL_TEXT_SIZE]);
/* The shortest decimal text that reads back as the same number. */
const char *tool_real_text(double value, char text[TOOL_TEXT_SIZE]);

/* "" or "s". */
const char *tool_plural(uint64_t count);
/* Appends a word to a list of them; what does not fit is cut off. */
void tool_append(char *list, size_t size, const char *separator, const char *word);

/* Nanoseconds of the monotonic and of the real-time clock. */
int64_t tool_now(void);
int64_t tool_real_time(void);
/* A signal ends it early. */
void tool_pause(int64_t ns);

/* Memory, or the end with a message: never NULL. Zeroed, or as realloc leaves it. */
void *tool_allocate(size_t count, size_t size);
void *tool_resize(void *memory, size_t count, size_t size);
char *tool_copy(const char *text);

#endif
