/* SPDX-License-Identifier: MIT */
/*
 * compare semantics: what the two families really do, tried on this machine. Each experiment is one
 * function in the verbs of compare_subject.h; it is run on the bare calls of both families and on
 * this library over each, and its evidence is every call with its result. Nothing here is asserted:
 * the outcome is what came out.
 */
#include "config.h"

#include "tools/common.h"
#include "tools/compare.h"
#include "tools/compare_subject.h"
#include "tools/json.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef MAP_ANONYMOUS
#define MAP_ANONYMOUS MAP_ANON
#endif

/* ---- evidence ------------------------------------------------------------------------------ */

const char *evidence_errno(int error)
{
	static char other[16];
	static const struct {
		int number;
		const char *name;
	} names[] = {{EACCES, "EACCES"}, {EAGAIN, "EAGAIN"}, {EEXIST, "EEXIST"}, {EFBIG, "EFBIG"},
		{EIDRM, "EIDRM"}, {EINTR, "EINTR"}, {EINVAL, "EINVAL"}, {EMFILE, "EMFILE"},
		{ENAMETOOLONG, "ENAMETOOLONG"}, {ENOENT, "ENOENT"}, {ENOMEM, "ENOMEM"},
		{ENOSPC, "ENOSPC"}, {ENOSYS, "ENOSYS"}, {EPERM, "EPERM"}, {ERANGE, "ERANGE"}};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (names[i].number == error)
			return names[i].name;
	snprintf(other, sizeof other, "errno %d", error);
	return other;
}

TOOL_PRINTF(2, 0)
static void append(struct evidence *e, const char *format, va_list arguments)
{
	size_t room = sizeof e->text - 1 - e->length;
	int n = vsnprintf(e->text + e->length, room, format, arguments);
	if (n >= 0 && (size_t)n < room)
		e->length += (unsigned)n + 1;
	e->text[e->length] = 0;
}

void evidence_note(struct trial *t, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	append(t->evidence, format, arguments);
	va_end(arguments);
}

int evidence_call(struct trial *t, int result, const char *call, ...)
{
	int saved = errno;
	char text[256];
	va_list arguments;
	va_start(arguments, call);
	vsnprintf(text, sizeof text, call, arguments);
	va_end(arguments);
	evidence_note(t, "%s = %s%s", text, result < 0 ? "-1 " : "ok",
		result < 0 ? evidence_errno(saved) : "");
	if (result < 0)
		evidence_outcome(t, "%s", evidence_errno(saved));
	errno = saved;
	return result < 0 ? -1 : 0;
}

int evidence_sleep(struct trial *t, int result, const char *call)
{
	if (evidence_call(t, result, "%s", call) < 0 && errno == EINTR)
		evidence_outcome(t, "sleeps on");
	return result;
}

int evidence_poll(
	struct trial *t, int64_t timeout_ns, int (*attempt)(struct trial *t), const char *call)
{
	int64_t deadline = tool_now() + timeout_ns;
	int result;
	while ((result = attempt(t)) < 0 && errno == EAGAIN && tool_now() < deadline)
		tool_pause(1000000);
	evidence_call(t, result, "%s for %d ms", call, (int)(timeout_ns / 1000000));
	if (result < 0 && errno == EAGAIN)
		evidence_outcome(t, "still taken");
	return result;
}

void evidence_outcome(struct trial *t, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(t->evidence->outcome, sizeof t->evidence->outcome, format, arguments);
	va_end(arguments);
}

/* ---- children ------------------------------------------------------------------------------ */

/* What a process of its own begins with; 0, or -1. */
static int begin(struct trial *t, const struct trial *of)
{
	*t = (struct trial){.subject = of->subject,
		.evidence = of->evidence,
		.directory = of->directory,
		.name = of->name};
	return t->subject->verbs->begin ? t->subject->verbs->begin(t) : 0;
}

/*
 * Starts a child that does `work` as a process of its own (a fresh trial, begun there), and then
 * dies by SIGKILL, so that nothing is tidied up. Returns its pid.
 */
static pid_t start_child(const struct trial *t, void (*work)(struct trial *))
{
	struct rlimit no_core = {0, 0};
	struct trial own;
	pid_t pid = fork();
	if (pid != 0)
		return pid;
	setrlimit(RLIMIT_CORE, &no_core);
	if (begin(&own, t) == 0)
		work(&own);
	kill(getpid(), SIGKILL);
	_exit(1);
}

static int end_child(struct trial *t, pid_t pid)
{
	int status = 0;
	if (pid < 0) {
		evidence_call(t, -1, "fork()");
		return -1;
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	evidence_note(t, signal ? "child: ended by signal %d" : "child: exited with %d",
		signal ? signal : WEXITSTATUS(status));
	return signal;
}

static int in_child(struct trial *t, void (*work)(struct trial *))
{
	return end_child(t, start_child(t, work));
}

/* ---- experiments ----------------------------------------------------------------------------- */

#define SIZE 1000

static int create(struct trial *t)
{
	return t->subject->verbs->create(t, SIZE, 0600);
}

static int reopen(struct trial *t)
{
	return t->subject->verbs->open(t, false);
}

static void create_twice(struct trial *t)
{
	struct trial again = *t;
	if (create(&again) == 0)
		evidence_outcome(t, "both succeed");
}

static void size_seen(struct trial *t)
{
	if (t->subject->verbs->detach(t) == 0 && reopen(t) == 0)
		evidence_outcome(t, "%zu of %d", t->size, SIZE);
}

static void zero_fill(struct trial *t)
{
	size_t set = 0;
	for (size_t i = 0; i < t->size; i++)
		set += ((unsigned char *)t->memory)[i] != 0;
	evidence_note(t, "%zu of %zu bytes are not zero", set, t->size);
	evidence_outcome(t, set ? "not zero" : "zero");
}

static void remove_attached(struct trial *t)
{
	memcpy(t->memory, "before", 7);
	if (t->subject->verbs->remove(t) < 0)
		return;
	bool kept = strcmp(t->memory, "before") == 0;
	memcpy(t->memory, "after", 6);
	evidence_note(
		t, "memory read and written after the removal: %s", kept ? "as it was" : "changed");
	evidence_outcome(t, kept ? "memory stays" : "memory lost");
}

static void attach_removed(struct trial *t)
{
	if (t->subject->verbs->remove(t) == 0)
		t->subject->verbs->late_attach(t);
}

static void create_removed(struct trial *t)
{
	struct trial again = *t;
	if (t->subject->verbs->remove(t) < 0)
		return;
	memcpy(t->memory, "old", 4);
	if (create(&again) < 0)
		return;
	evidence_outcome(t, "%s", *(char *)again.memory ? "the old one" : "a new one");
	again.subject->verbs->remove(&again);
	again.subject->verbs->detach(&again);
}

static void create_and_write(struct trial *t)
{
	if (create(t) == 0)
		memcpy(t->memory, "child", 6);
}

static void creator_dies(struct trial *t)
{
	in_child(t, create_and_write);
	if (reopen(t) < 0)
		return;
	evidence_note(t, "memory: \"%.5s\"", (char *)t->memory);
	if (t->subject->verbs->detach(t) == 0 && create(t) == 0)
		evidence_outcome(t, "stays, then replaced");
	else
		evidence_outcome(t, "stays, in the way");
}

static void take_it(struct trial *t)
{
	if (t->subject->verbs->semaphore_open(t) == 0)
		t->subject->verbs->wait(t, 0);
}

static void take_it_with_undo(struct trial *t)
{
	t->undo = true;
	take_it(t);
}

/* The next one tries to have the semaphore that a dead process took. */
static void take_in_child(struct trial *t, void (*take)(struct trial *), const char *outcome)
{
	if (t->subject->verbs->semaphore_create(t, 1) < 0)
		return;
	in_child(t, take);
	if (t->subject->verbs->wait(t, 200000000) == 0)
		evidence_outcome(t, "%s", outcome);
}

static void holder_dies(struct trial *t)
{
	take_in_child(t, take_it, "given back");
}

static void hold_it(struct trial *t)
{
	t->subject->verbs->hold(t);
}

static void holder_dies_with_undo(struct trial *t)
{
	if (!t->subject->verbs->hold) {
		take_in_child(t, take_it_with_undo, "given back silently");
		return;
	}
	in_child(t, hold_it);
	t->subject->verbs->take_over(t);
}

static void on_alarm(int signal)
{
	(void)signal;
}

static void wait_for_it(struct trial *t)
{
	struct sigaction action = {.sa_handler = on_alarm};
	struct itimerval second = {{0, 0}, {1, 0}};
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &second, NULL);
	if (t->subject->verbs->semaphore_open(t) == 0 && t->subject->verbs->block(t) == 0)
		evidence_outcome(t, "taken");
}

static void waiter_removed(struct trial *t)
{
	if (t->subject->verbs->semaphore_create(t, 0) < 0)
		return;
	pid_t pid = start_child(t, wait_for_it);
	/* The child sleeps by then; if not, the calls in the evidence show it. */
	tool_pause(200000000);
	t->subject->verbs->semaphore_remove(t);
	end_child(t, pid);
}

static void write_inherited(struct trial *t)
{
	memcpy(t->memory, "child", 6);
	evidence_note(t, "child: memcpy(memory, \"child\") through the inherited mapping");
}

static void forked(struct trial *t)
{
	pid_t pid = fork();
	if (pid == 0) {
		if (t->subject->verbs->inherit)
			t->subject->verbs->inherit(t);
		else
			write_inherited(t);
		_exit(0);
	}
	end_child(t, pid);
	evidence_note(t, "parent: memory is \"%.5s\"", (char *)t->memory);
	if (strcmp(t->memory, "child") == 0)
		evidence_outcome(t, "child shares it");
}

static void umask_applied(struct trial *t)
{
	mode_t before = umask(077);
	int made = t->subject->verbs->create(t, SIZE, 0666);
	umask(before);
	if (made < 0)
		return;
	int mode = t->subject->verbs->mode(t);
	if (mode >= 0)
		evidence_outcome(t, "0666 became %04o", (unsigned)mode);
}

static void write_read_only(struct trial *t)
{
	if (t->subject->verbs->open(t, true) < 0)
		return;
	signal(SIGSEGV, SIG_DFL);
	signal(SIGBUS, SIG_DFL);
	*(volatile char *)t->memory = 1;
	evidence_outcome(t, "written");
}

static void read_only(struct trial *t)
{
	int signal = in_child(t, write_read_only);
	if (signal == SIGSEGV || signal == SIGBUS)
		evidence_outcome(t, signal == SIGSEGV ? "SIGSEGV" : "SIGBUS");
}

/* More than memory, swap and /dev/shm together can give, so that a refusal costs nothing. */
static size_t too_much(void)
{
	struct statvfs fs;
	uint64_t bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE) * 4;
	if (statvfs("/dev/shm", &fs) == 0)
		bytes += (uint64_t)fs.f_blocks * fs.f_frsize;
	return bytes > SIZE_MAX / 2 ? SIZE_MAX / 2 : (size_t)bytes;
}

static void more_than_there_is(struct trial *t)
{
	if (t->subject->verbs->create(t, too_much(), 0600) == 0)
		evidence_outcome(t, "promised");
}

static void name_too_long(struct trial *t)
{
	t->subject->verbs->long_name(t, 300);
}

static void key_collision(struct trial *t)
{
	t->subject->verbs->collide(t);
}

static const struct experiment {
	const char *id, *question;
	bool created; /* it begins with a segment of SIZE bytes */
	void (*run)(struct trial *t);
} experiments[] = {
	{"create-twice", "exclusive creation of a name that exists", true, create_twice},
	{"size", "the size an opener sees of 1000 bytes", true, size_seen},
	{"zero-fill", "new memory", true, zero_fill},
	{"remove-attached", "removed while attached", true, remove_attached},
	{"attach-removed", "attaching after the removal", true, attach_removed},
	{"create-removed", "creating again while the old one is attached", true, create_removed},
	{"creator-dies", "the creator is killed", false, creator_dies},
	{"holder-dies", "a semaphore's holder is killed", false, holder_dies},
	{"holder-dies-undo", "the same with SEM_UNDO, or a lock", false, holder_dies_with_undo},
	{"waiter-removed", "a waiter, when the semaphore is removed", false, waiter_removed},
	{"fork", "the attachment in a forked child", true, forked},
	{"umask", "mode 0666 under umask 077", false, umask_applied},
	{"read-only", "writing to read-only memory", true, read_only},
	{"too-much", "asking for more memory than there is", false, more_than_there_is},
	{"long-name", "a name of 300 characters", false, name_too_long},
	{"collision", "two names with the same key", false, key_collision},
};
#define EXPERIMENTS (sizeof experiments / sizeof experiments[0])
static bool chosen[EXPERIMENTS];

static const struct subject subjects[] = {
#ifdef DUOSHM_WITH_SYSV
	{"sysv", &compare_bare_sysv, NULL, NULL},
#endif
#ifdef DUOSHM_WITH_POSIX
	{"posix", &compare_bare_posix, NULL, NULL},
#endif
#ifdef DUOSHM_WITH_SYSV
	{"duoshm/sysv", &compare_library, &compare_bare_sysv, "sysv"},
#endif
#ifdef DUOSHM_WITH_POSIX
	{"duoshm/posix", &compare_library, &compare_bare_posix, "posix"},
#endif
};
#define SUBJECTS (sizeof subjects / sizeof subjects[0])

/* ---- running and showing them -------------------------------------------------------------- */

/*
 * In a child of its own: what an experiment breaks (its umask, its signals, its memory) ends with
 * it.
 */
static void run(const struct experiment *x, const struct subject *s, struct evidence *e,
	const char *directory)
{
	char name[64];
	snprintf(name, sizeof name, "cmp%ld-%s", (long)getpid(), x->id);
	struct trial plan = {.subject = s, .evidence = e, .directory = directory, .name = name};
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		struct trial t;
		int begun = begin(&t, &plan);
		if (begun == 0 && (!x->created || create(&t) == 0))
			x->run(&t);
		unsigned length = e->length;
		if (begun == 0)
			s->verbs->end(&t);
		e->length = length; /* tidying up is no evidence */
		e->text[length] = 0;
		_exit(0);
	}
	int status = 0;
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (pid < 0 || !WIFEXITED(status))
		snprintf(e->outcome, sizeof e->outcome, pid < 0 ? "fork failed" : "signal %d",
			WTERMSIG(status));
	if (!e->outcome[0])
		snprintf(e->outcome, sizeof e->outcome, "failed");
}

/* Those that are named, or all; a misspelt one is wrong usage, before anything is run. */
static void choose(char *const *only)
{
	for (size_t x = 0; !*only && x < EXPERIMENTS; x++)
		chosen[x] = true;
	for (; *only; only++) {
		char known[512] = "";
		size_t x = 0;
		while (x < EXPERIMENTS && strcmp(*only, experiments[x].id) != 0)
			tool_append(known, sizeof known, " ", experiments[x++].id);
		if (x < EXPERIMENTS)
			chosen[x] = true;
		else
			tool_usage("no such experiment: %s; there are %s", *only, known);
	}
}

/* Of the lines of evidence. */
static const char *next(const char *line)
{
	return line + strlen(line) + 1;
}

/* The last column is not padded, so that no line ends in blanks. */
static void show_matrix(struct evidence (*results)[SUBJECTS])
{
	printf("%-44s", "");
	for (size_t s = 0; s < SUBJECTS; s++)
		printf(" %*s", s + 1 < SUBJECTS ? -20 : 0, subjects[s].title);
	putchar('\n');
	for (size_t x = 0; x < EXPERIMENTS; x++) {
		if (!chosen[x])
			continue;
		printf("%-44s", experiments[x].question);
		for (size_t s = 0; s < SUBJECTS; s++)
			printf(" %*s", s + 1 < SUBJECTS ? -20 : 0, results[x][s].outcome);
		putchar('\n');
		for (size_t s = 0; tool.verbose && s < SUBJECTS; s++)
			for (const char *line = results[x][s].text; *line; line = next(line))
				printf("    %-13s %s\n", subjects[s].title, line);
	}
}

/* "CALL = RESULT ERRNO: CAUSE", of which only the first two are always there; else it is a note. */
static struct tool_json *json_line(const char *line)
{
	struct tool_json *step = tool_json_object();
	const char *equals = strstr(line, " = "), *cause = equals ? strstr(equals, ": ") : NULL;
	char call[256], result[32] = "", error[32] = "";
	if (!equals) {
		tool_json_text(step, "note", line);
		return step;
	}
	snprintf(call, sizeof call, "%.*s", (int)(equals - line), line);
	sscanf(equals + 3, "%31[^ :] %31[^:]", result, error);
	tool_json_text(step, "call", call);
	tool_json_text(step, "result", result);
	tool_json_text(step, "errno", *error ? error : NULL);
	if (cause)
		tool_json_text(step, "cause", cause + 2);
	return step;
}

static struct tool_json *json_lines(const char *line)
{
	struct tool_json *lines = tool_json_array();
	for (; *line; line = next(line))
		tool_json_put(lines, NULL, json_line(line));
	return lines;
}

static void show_json(struct evidence (*results)[SUBJECTS])
{
	struct tool_json *document = tool_json_document("duoshm.semantics/1");
	struct tool_json *list = tool_json_array();
	for (size_t x = 0; x < EXPERIMENTS; x++) {
		if (!chosen[x])
			continue;
		struct tool_json *one = tool_json_object(), *trials = tool_json_array();
		tool_json_text(one, "experiment", experiments[x].id);
		tool_json_text(one, "question", experiments[x].question);
		for (size_t s = 0; s < SUBJECTS; s++) {
			struct tool_json *trial = tool_json_object();
			tool_json_text(trial, "subject", subjects[s].title);
			tool_json_text(trial, "outcome", results[x][s].outcome);
			tool_json_put(trial, "evidence", json_lines(results[x][s].text));
			tool_json_put(trials, NULL, trial);
		}
		tool_json_put(one, "trials", trials);
		tool_json_put(list, NULL, one);
	}
	tool_json_put(document, "experiments", list);
	tool_json_print(document, 0);
}

int compare_semantics(char *const *only)
{
	char directory[COMPARE_SCRATCH_SIZE];
	size_t bytes = sizeof(struct evidence) * EXPERIMENTS * SUBJECTS;
	choose(only);
	tool_catch_signals();
	/* Shared, since each trial runs in a process of its own. */
	struct evidence(*results)[SUBJECTS] =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (results == MAP_FAILED) {
		tool_error("semantics: %s", strerror(errno));
		return TOOL_FAILED;
	}
	int status = compare_scratch_make(directory);
	if (status != TOOL_DONE)
		return status;
	for (size_t x = 0; x < EXPERIMENTS; x++)
		for (size_t s = 0; s < SUBJECTS && !tool_stop; s++)
			if (chosen[x])
				run(&experiments[x], &subjects[s], &results[x][s], directory);
	compare_scratch_remove(directory);
	if (tool_stop)
		return TOOL_STOPPED;
	if (tool.json)
		show_json(results);
	else
		show_matrix(results);
	munmap(results, bytes);
	return TOOL_DONE;
}
