/* SPDX-License-Identifier: MIT */
/*
 * Scripts, the prompt and the pipe of the device. What a line means is the server's matter, but for
 * "sleep", "source" and comments.
 *
 * The trap: a device that was started in the background must not touch its terminal; it would be
 * stopped for that.
 */
#include "config.h"

#include "tools/device_input.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/common.h"

#ifdef HAVE_EDITLINE
#include <editline/readline.h>
#endif

#define DEPTH        8        /* of scripts that source scripts */
#define TYPING_NS    20000000 /* between two looks at the clients while there is a prompt */
#define LINE_LONGEST (DUOSHM_REPLY_SIZE - 1)
/* One character more, by which do_line() tells a line that is too long, and the terminator. */
#define LINE_SIZE (LINE_LONGEST + 2)

static struct {
	FILE *file;
	char path[256];
	int line;
} scripts[DEPTH];
static int depth;
static int from_pipe; /* the scripts were sourced through the pipe */
static int64_t resume_at;

static struct duoshm__server *prompted; /* NULL: no prompt */
static struct duoshm__server *piped;    /* NULL: no pipe, or its end has come */
static char prompt[DUOSHM_NAME_SIZE + 4];

/* ---- one line ---- */

static int do_sleep(const char *text)
{
	int64_t ns;

	if (tool_time(text, &ns) < 0) {
		tool_error("sleep: not a time: \"%s\"", text);
		return TOOL_USAGE;
	}
	resume_at = tool_now() + ns;
	return TOOL_DONE;
}

/* The rest of the line if it begins with that word, else NULL. */
static char *after_word(char *line, const char *word)
{
	size_t length = strlen(word);

	if (strncmp(line, word, length) != 0 || (line[length] && !strchr(" \t", line[length])))
		return NULL;
	return line + length + strspn(line + length, " \t");
}

static int do_line(struct duoshm__server *server, char *line)
{
	char reply[DUOSHM_REPLY_SIZE];
	size_t length = strcspn(line, "\r\n");
	char *rest;
	int code;

	line[length] = '\0';
	line += strspn(line, " \t");
	if (*line == '#')
		return TOOL_DONE;
	if (length > LINE_LONGEST) {
		tool_error("the line is longer than %d characters", LINE_LONGEST);
		return TOOL_USAGE;
	}
	if (!*line)
		return TOOL_DONE;
	rest = after_word(line, "sleep");
	if (rest)
		return do_sleep(rest);
	rest = after_word(line, "source");
	if (rest)
		return input_script(rest);
	code = duoshm__server_command(server, line, reply);
	if (code < 0) {
		tool_error("%s", reply);
		return tool_status_of(code);
	}
	tool_show_reply(tool_plain_name(duoshm__server_name(server)), line, reply, 1);
	return tool_output_failed() ? TOOL_FAILED : TOOL_DONE;
}

/* Of a line that does not fit, the rest is dropped. 0: no more lines, or an error. */
static int read_line(FILE *file, char line[LINE_SIZE])
{
	int c = 0;

	if (!fgets(line, LINE_SIZE, file))
		return 0;
	if (strlen(line) > LINE_LONGEST && !strchr(line, '\n')) {
		while (c != '\n' && c != EOF)
			c = getc(file);
	}
	return 1;
}

/* ---- scripts ---- */

static void leave_scripts(void)
{
	while (depth > 0)
		fclose(scripts[--depth].file);
}

int input_script(const char *path)
{
	FILE *file;

	if (depth == DEPTH) {
		tool_error("%s: scripts are nested more than %d deep", path, DEPTH);
		return TOOL_FAILED;
	}
	file = fopen(path, "r");
	if (!file) {
		tool_error("%s: %s", *path ? path : "source without a file", strerror(errno));
		return TOOL_FAILED;
	}
	scripts[depth].file = file;
	scripts[depth].line = 0;
	snprintf(scripts[depth].path, sizeof scripts[depth].path, "%s", path);
	depth++;
	return TOOL_DONE;
}

/* Of an error: where it was. At a prompt, and where a pipe asked for it, the device goes on. */
static int abandon(int at, int status)
{
	tool_error("%s:%d: the script ends here", scripts[at].path, scripts[at].line);
	leave_scripts();
	return prompted || from_pipe ? TOOL_DONE : status;
}

int input_run(struct duoshm__server *server, int64_t now)
{
	char line[LINE_SIZE];

	while (depth > 0 && now >= resume_at && !duoshm__server_over(server)) {
		int at = depth - 1;
		int status;

		if (!read_line(scripts[at].file, line)) {
			if (ferror(scripts[at].file)) { /* a directory, for instance */
				tool_error("%s: %s", scripts[at].path, strerror(errno));
				return abandon(at, TOOL_FAILED);
			}
			fclose(scripts[--depth].file);
			continue;
		}
		scripts[at].line++;
		status = do_line(server, line);
		if (status != TOOL_DONE)
			return abandon(at, status);
		now = tool_now();
	}
	return TOOL_DONE;
}

/* ---- the prompt ---- */

/* NULL: the end of the input. */
static void typed(char *line)
{
	char reply[DUOSHM_REPLY_SIZE];

	if (!line) {
		putchar('\n');
		duoshm__server_command(prompted, "exit", reply);
		return;
	}
#ifdef HAVE_EDITLINE
	if (*line)
		add_history(line);
#endif
	do_line(prompted, line);
}

#ifdef HAVE_EDITLINE
static void show_prompt(void);

/* Without leaving its hands for the time of the answer, libedit writes its prompt before it. */
static void typed_line(char *line)
{
	rl_callback_handler_remove();
	typed(line);
	free(line);
	if (!duoshm__server_over(prompted))
		show_prompt();
}

static void show_prompt(void)
{
	rl_inhibit_completion = 1; /* it would be with names of files */
	rl_callback_handler_install(prompt, typed_line);
}

static void read_typing(void)
{
	rl_callback_read_char();
}
#else
static void show_prompt(void)
{
	fputs(prompt, stdout);
	fflush(stdout);
}

static void read_typing(void)
{
	char line[LINE_SIZE];

	typed(read_line(stdin, line) ? line : NULL);
	if (!duoshm__server_over(prompted))
		show_prompt();
}
#endif

/* ---- a pipe ---- */

/* Byte by byte, so that nothing lies in a buffer where poll does not see it. */
static void read_pipe(void)
{
	static char line[LINE_SIZE];
	static size_t length;
	struct duoshm__server *server = piped;
	ssize_t n = read(STDIN_FILENO, line + length, 1);

	if (n == 1 && line[length] != '\n') {
		if (length <= LINE_LONGEST) /* the rest is dropped */
			length++;
		return;
	}
	if (n <= 0)
		piped = NULL;
	line[length] = '\0';
	length = 0;
	/* No script is open here, and only this line can open the next ones. */
	from_pipe = 1;
	do_line(server, line);
}

/* ---- both ---- */

void input_begin(struct duoshm__server *server)
{
	struct stat input;

	if (fstat(STDIN_FILENO, &input) == 0 && !S_ISCHR(input.st_mode))
		piped = server;
	if (tool.json || !isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) ||
		tcgetpgrp(STDIN_FILENO) != getpgrp())
		return;
	prompted = server;
	snprintf(prompt, sizeof prompt, "%.*s> ", DUOSHM_NAME_MAX,
		tool_plain_name(duoshm__server_name(server)));
	show_prompt();
}

void input_wait(struct duoshm__server *server, int64_t ns)
{
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
	int64_t sleep = resume_at - tool_now();
	/* What a pipe holds waits for a script, and for the end of its own sleep. */
	int reads = prompted || (piped && depth == 0 && sleep <= 0);
	int64_t most = reads ? TYPING_NS : sleep > 0 ? sleep : depth ? 0 : ns;

	if (ns > most)
		ns = most;
	if (!reads && ns > 0) {
		duoshm__server_wait(server, ns);
	} else if (reads && poll(&input, 1, (int)((ns + 999999) / 1000000)) > 0) {
		if (prompted)
			read_typing();
		else
			read_pipe();
	}
}

void input_end(void)
{
	leave_scripts();
	if (prompted && tool_stop)
		putchar('\n'); /* behind the prompt that nobody will answer */
#ifdef HAVE_EDITLINE
	if (prompted)
		rl_callback_handler_remove();
#endif
	prompted = NULL;
}
