/* SPDX-License-Identifier: MIT */
/*
 * What all tests written in C share. A test program is a table of cases:
 *
 *	static void counts(void) { CU_ASSERT_EQUAL(1 + 1, 2); }
 *	static const struct harness_case cases[] = {{"one and one is two", counts}, {NULL, NULL}};
 *	int main(int argc, char **argv) { return harness_run(argc, argv, "sums", cases); }
 *
 * Options of the program: [--backend=NAME] [--inline] [--list] [WORD...]: only cases whose name
 * contains a WORD; inline: without the supervising process (for a debugger). Exit status 0 passed,
 * 1 failed, 77 all skipped, 99 the test itself is broken. The summary on standard output is
 * CUnit's.
 *
 * The cases run in a child of a supervisor, which ends whatever they left running and removes their
 * objects and the scratch directory, however they end. DUOSHM_DIR is an empty registry of the
 * program's own; a last case that is added to each suite asserts that no entry is left in it. A
 * case that takes over two minutes fails, in the full tier over ten.
 *
 * CUnit's own assertions are for the case, not for a forked child; those below are for both.
 * Nobody sleeps to be right: gates order processes, harness_until waits for a condition.
 *
 * fixture.h has what many tests begin and end with: contexts, segments, children that stand still.
 */
#ifndef DUOSHM_TESTS_HARNESS_H
#define DUOSHM_TESTS_HARNESS_H

#include <CUnit/Basic.h>
/* What nearly every test asks of the system. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- run.c: programs, suites, cases --------------------------------------------------------- */

struct harness_case {
	const char *name;
	void (*run)(void);
};
/* `cases` ends with {NULL, NULL}. Returns main's result. */
int harness_run(int argc, char **argv, const char *suite, const struct harness_case *cases);
/* The whole suite once per built backend; harness_backend() tells which. */
int harness_run_each(int argc, char **argv, const char *suite, const struct harness_case *cases);
/*
 * What each case begins and ends with (NULL: nothing), told before harness_run. A fatal assertion
 * leaves out the end.
 */
void harness_around(void (*before)(void), void (*after)(void));
/* The backend under test: by --backend, else the suite's, else the first that is built. */
const char *harness_backend(void);
/* A figure by DUOSHM_TEST_TIER: small, normal (default) or full. */
long harness_scale(long small, long normal, long full);
/*
 * Counts towards a guarantee (README.md): `figure` things (plural: "kills") were done, and after
 * each of them it held. Told by the case, not by a child, after what it tells has been verified.
 */
void harness_proves(unsigned guarantee, long figure, const char *what);
/* A case that takes long on purpose got on: its time limit begins anew. */
void harness_goes_on(void);
/* Says that the case cannot be tried here, and returns; in a child, ends it. */
#define HARNESS_SKIP(...)                                                                          \
	do {                                                                                       \
		harness_skip(__VA_ARGS__);                                                         \
		return;                                                                            \
	} while (0)
__attribute__((format(printf, 1, 2))) void harness_skip(const char *format, ...);
/* Runs under the rules of that profile (tests/profiles): "macos-arm64", "tiny-shm". */
bool harness_profile(const char *name);
/* Runs under valgrind, or compiled with a sanitizer: slow, and with system calls of its own. */
bool harness_instrumented(void);

/* ---- check.c: assertions, in a case and in its children -------------------------------------- */

/*
 * In a case these are assertions of CUnit's that tell more; a child of harness_fork that breaks one
 * ends with status 1, and the case sees it in harness_wait. Expressions, so they need no braces. A
 * fatal one leaves the case.
 */
#define CHECK(condition)         HARNESS_CHECK(condition, false)
#define CHECK_FATAL(condition)   HARNESS_CHECK(condition, true)
#define EXPECT(call, want)       HARNESS_EXPECT(call, want, false) /* two numbers are equal */
#define EXPECT_FATAL(call, want) HARNESS_EXPECT(call, want, true)
#define OK(call)                 HARNESS_EXPECT(call, 0, true) /* what the rest of the case needs */
#define EXPECT_TEXT(got, want)   ((void)harness_text(got, want, true, __FILE__, __LINE__))
#define EXPECT_PART(got, part)   ((void)harness_text(got, part, false, __FILE__, __LINE__))

#define HARNESS_CHECK(condition, fatal)                                                            \
	((void)harness_check((condition) ? true : false, #condition, fatal, __FILE__, __LINE__))
#define HARNESS_EXPECT(call, want, fatal)                                                          \
	((void)harness_expect(                                                                     \
		(long long)(call), (long long)(want), #call, fatal, __FILE__, __LINE__))
bool harness_check(bool holds, const char *text, bool fatal, const char *file, int line);
bool harness_expect(
	long long got, long long want, const char *call, bool fatal, const char *file, int line);
bool harness_text(const char *got, const char *want, bool whole, const char *file, int line);

/* ---- scratch.c: names and files of the program's own ----------------------------------------- */

/* The directory for anything; removed with all it holds when the program ends. */
const char *harness_scratch_dir(void);
/*
 * "DIR/stem" in the scratch directory. Like harness_name: the same stem, the same result; at most
 * 256 stems.
 */
const char *harness_path(const char *stem);
/* A name for an object: unique on the machine, the same for the same stem, also in children. */
const char *harness_name(const char *stem);
/* The same with "BACKEND:" in front. */
const char *harness_full_name(const char *backend, const char *stem);
/* Objects that the registry lists and what their states are: number of files that are entries. */
unsigned harness_entries(const char *directory);
/* Removes a directory with all that is in it; follows no link. */
void harness_remove_tree(const char *path);
/* Makes the file, or makes it anew. */
void harness_write(const char *path, const void *bytes, size_t size);
void harness_write_text(const char *path, const char *text);

/* ---- children.c: processes ------------------------------------------------------------------- */

/*
 * Runs `fn` in a forked child, which ends with its result as exit status. -1: the case has failed.
 */
pid_t harness_fork(int (*fn)(void *arg), void *arg);
/* Starts a program, arguments up to NULL. Its standard output goes to `out` (-1: ours). */
pid_t harness_spawn(int out, const char *path, ...);
/*
 * Exit status, or minus the signal that ended it; after a minute it is killed and the result is
 * -1000.
 */
int harness_wait(pid_t pid);
/* The same, or HARNESS_STOPPED once it stands still; for as long as the case may take. */
int harness_wait_stopped(pid_t pid);
#define HARNESS_STOPPED (-1001)
/* "BUILD/path": a program of the build tree; kept until the next call. */
const char *harness_program(const char *path);
/*
 * Runs `fn` in a child to its end, as a part of the case: what it asserts fails the case,
 * HARNESS_SKIP skips it (false).
 */
bool harness_in_child(void (*fn)(void));
/* In `n` children at once, 64 at most. */
bool harness_in_children(unsigned n, void (*fn)(void));
/* SIGKILL and wait: -SIGKILL, or what had ended it before, as harness_wait tells it. */
int harness_kill(pid_t pid);
/* SIGSTOP, and wait until it stands still. */
void harness_stop(pid_t pid);
void harness_continue(pid_t pid);
/* Zeroed memory, shared with children forked from now on; munmap gives it back. */
void *harness_shared(size_t size);

/*
 * A gate between processes, made before the fork: each open lets one pass through; kept until then.
 */
struct harness_gate {
	int fds[2];
};
void harness_gate(struct harness_gate *gate);
void harness_gate_open(struct harness_gate *gate);
/* False after a minute. */
bool harness_gate_pass(struct harness_gate *gate);
void harness_gate_close(struct harness_gate *gate);

/* The monotonic clock, in nanoseconds. */
int64_t harness_now(void);
/* Asks `holds` again and again for up to a minute; its last answer. */
bool harness_until(bool (*holds)(void *arg), void *arg);
/* As the kernel shows it: 'S' sleeps, 'Z' is a zombie; 0: this system does not tell. */
int harness_process_state(pid_t pid);
/*
 * Until the process sleeps in the kernel; false: it ended, or stands still, or this system does not
 * tell.
 */
bool harness_until_asleep(pid_t pid);

/* ---- alone.c: namespaces of one's own -------------------------------------------------------- */

/*
 * Moves the calling process (one thread) into IPC and mount namespaces of its own, with a tmpfs on
 * `directory`. False: refused here; then it may have moved half-way.
 */
bool harness_enter(const char *directory, const char *options);
/* Writes a file that exists, as those of /proc/sys. */
bool harness_put(const char *path, const char *text);

/* ---- calls.c: exact counts of system calls --------------------------------------------------- */

/*
 * The number of system calls that `work` makes in a child, by ptrace, after `prepare` (NULL: none)
 * ran in it. `prepare` and `work` return 0 when all is well. Negative: HARNESS_NO_TRACE (not
 * possible here: skip), HARNESS_BROKEN (the child failed). Calls of its other threads and children
 * are not counted.
 */
#define HARNESS_NO_TRACE (-1)
#define HARNESS_BROKEN   (-2)
int harness_count_calls(int (*prepare)(void *arg), int (*work)(void *arg), void *arg);
/* What the last count saw, as text: "257 9 3" (numbers of the system calls). */
const char *harness_calls_seen(void);

#endif
