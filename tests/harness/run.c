/* SPDX-License-Identifier: MIT */
/*
 * Programs, suites and cases: CUnit under a supervisor. The supervisor only waits, ends what is
 * left of the process group and removes the scratch directory; all else happens in its child, so
 * that a crash, a hang or a kill of a test leaves neither processes nor files. Trap: CUnit passes
 * nothing to a test function; it runs tests in the order of their making, so one function serves
 * all and counts along.
 */
#include "config.h"

#include "harness/harness.h"
#include "harness/internal.h"

#include <stdarg.h>

enum { CASES_MAX = 400, BACKENDS_MAX = 8, CASE_SECONDS = 120, SLOW_FACTOR = 5, FULL_FACTOR = 5 };

struct planned {
	const char *name;
	void (*run)(void);
	const char *backend;
};
static struct planned plan[CASES_MAX];
static unsigned n_planned, next_case, n_skipped;
static bool skips; /* the case that runs */
static void (*before_case)(void), (*after_case)(void);
static const struct planned *current;

static char backend_words[64];
static const char *backends[BACKENDS_MAX];
static unsigned n_backends;
static char suite_names[BACKENDS_MAX][64];

static struct {
	bool alone, list;
	const char *backend;
	char **words;
	int n_words;
} options;

const char *harness_backend(void)
{
	return current != NULL && current->backend != NULL ? current->backend : backends[0];
}

long harness_scale(long small, long normal, long full)
{
	const char *tier = getenv("DUOSHM_TEST_TIER");

	if (tier != NULL && strcmp(tier, "small") == 0)
		return small;
	return tier != NULL && strcmp(tier, "full") == 0 ? full : normal;
}

bool harness_instrumented(void)
{
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
	return true;
#else
#if defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
	return true;
#endif
#endif
	const char *preload = getenv("LD_PRELOAD");
	return preload != NULL && strstr(preload, "vgpreload") != NULL;
#endif
}

bool harness_profile(const char *name)
{
	const char *profile = getenv("DUOSHM_TEST_PROFILE");

	return profile != NULL && strcmp(profile, name) == 0;
}

void harness_skip(const char *format, ...)
{
	va_list arguments;

	if (harness_is_child)
		_exit(HARNESS_SKIPPED);
	va_start(arguments, format);
	printf("skipped: ");
	vprintf(format, arguments);
	printf(" ... ");
	va_end(arguments);
	skips = true;
}

void harness_proves(unsigned guarantee, long figure, const char *what)
{
	const char *backend = current != NULL ? current->backend : NULL;

	/* CUnit is amid a line. */
	printf("\nPROVES %u %s %ld %s\n", guarantee, backend != NULL ? backend : "-", figure, what);
	fflush(stdout);
}

static void say(const char *text)
{
	/* Nothing can be done about a closed standard error. */
	if (write(STDERR_FILENO, text, strlen(text)) < 0)
		return;
}

static void too_slow(int signal_number)
{
	(void)signal_number;
	say("\nharness: out of time: ");
	say(current != NULL ? current->name : "?");
	say("\n");
	_exit(1);
}

void harness_around(void (*before)(void), void (*after)(void))
{
	before_case = before;
	after_case = after;
}

void harness_goes_on(void)
{
	alarm((unsigned)harness_scale(1, 1, FULL_FACTOR) * CASE_SECONDS *
		(harness_instrumented() ? SLOW_FACTOR : 1));
}

/*
 * What a failing case leaves, the ones before it have left too: it is found at the end of the
 * suite.
 */
static void nothing_left_in_registry(void)
{
	harness_end_children();
	CU_ASSERT_EQUAL(harness_entries(getenv("DUOSHM_DIR")), 0);
}

static void run_case(void)
{
	bool ours = plan[next_case].run == nothing_left_in_registry;

	current = &plan[next_case++];
	skips = false;
	harness_goes_on();
	if (before_case != NULL && !ours)
		before_case();
	current->run();
	if (after_case != NULL && !ours)
		after_case();
	alarm(0);
	n_skipped += skips;
}

static bool wanted(const char *name)
{
	for (int i = 0; i < options.n_words; i++) {
		if (strstr(name, options.words[i]) != NULL)
			return true;
	}
	return options.n_words == 0;
}

static int add_case(CU_pSuite suite, const char *name, void (*run)(void), const char *backend)
{
	if (n_planned == CASES_MAX || CU_add_test(suite, name, run_case) == NULL)
		return 99;
	plan[n_planned++] = (struct planned){name, run, backend};
	return 0;
}

static int add_suite(const char *name, const struct harness_case *cases, const char *backend)
{
	CU_pSuite suite = CU_add_suite(name, NULL, NULL);
	int result = suite == NULL ? 99 : 0;

	for (; cases->name != NULL && result == 0; cases++) {
		if (wanted(cases->name))
			result = add_case(suite, cases->name, cases->run, backend);
	}
	if (result == 0)
		result = add_case(suite, "nothing is left in the registry",
			nothing_left_in_registry, backend);
	return result;
}

static int run_suites(void)
{
	struct sigaction action = {.sa_handler = too_slow};

	sigemptyset(&action.sa_mask);
	sigaction(SIGALRM, &action, NULL);
	/* What was said stays said, also when a case is ended by force. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	CU_basic_set_mode(CU_BRM_VERBOSE);
	if (CU_basic_run_tests() != CUE_SUCCESS)
		return 99;
	harness_end_children();
	unsigned failed = CU_get_number_of_failures() + CU_get_number_of_suites_failed();
	unsigned run = CU_get_number_of_tests_run();
	CU_cleanup_registry();
	if (failed != 0)
		return 1;
	return n_skipped > 0 && n_skipped + n_backends >= run ? 77 : 0;
}

/* ---- supervisor ---------------------------------------------------------------------------- */

static volatile sig_atomic_t group;

static void pass_on(int signal_number)
{
	(void)signal_number;
	if (group > 0)
		kill((pid_t)-group, SIGKILL);
}

static int result_of(int status)
{
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	fprintf(stderr, "harness: ended by signal %d\n", WTERMSIG(status));
	return 1;
}

static int supervise(void)
{
	struct sigaction action = {.sa_handler = pass_on};
	int status;

	fflush(NULL);
	pid_t pid = fork();
	if (pid < 0)
		return 99;
	if (pid == 0) {
		setpgid(0, 0);
		exit(run_suites());
	}
	/* Both set the group: whoever comes first. */
	setpgid(pid, pid);
	group = pid;
	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return 99;
	}
	kill(-pid, SIGKILL);
	harness_remove_objects();
	return result_of(status);
}

/* ---- start ---------------------------------------------------------------------------------- */

static int parse_options(int argc, char **argv)
{
	int i;

	for (i = 1; i < argc && argv[i][0] == '-'; i++) {
		if (strcmp(argv[i], "--inline") == 0)
			options.alone = true;
		else if (strcmp(argv[i], "--list") == 0)
			options.list = true;
		else if (strncmp(argv[i], "--backend=", 10) == 0)
			options.backend = argv[i] + 10;
		else
			return 99;
	}
	options.words = argv + i;
	options.n_words = argc - i;
	return 0;
}

static void find_backends(void)
{
	const char *built = options.backend;

	if (built == NULL)
		built = getenv("DUOSHM_TEST_BACKENDS");
	if (built == NULL)
		built = HARNESS_BACKENDS;
	snprintf(backend_words, sizeof(backend_words), "%s", built);
	for (char *word = strtok(backend_words, " ,"); word != NULL && n_backends < BACKENDS_MAX;
		word = strtok(NULL, " ,"))
		backends[n_backends++] = word;
}

static int list_cases(const struct harness_case *cases)
{
	for (; cases->name != NULL; cases++)
		printf("%s\n", cases->name);
	return 0;
}

static int add_suites(const char *suite, const struct harness_case *cases, bool each)
{
	int result = 0;

	if (!each)
		n_backends = 1;
	if (CU_initialize_registry() != CUE_SUCCESS)
		return 99;
	for (unsigned i = 0; i < n_backends && result == 0; i++) {
		snprintf(suite_names[i], sizeof(suite_names[i]), "%s%s%s", suite,
			each ? " on " : "", each ? backends[i] : "");
		result = add_suite(suite_names[i], cases, backends[i]);
	}
	return result;
}

static int start(
	int argc, char **argv, const char *suite, const struct harness_case *cases, bool each)
{
	if (parse_options(argc, argv) != 0) {
		fprintf(stderr, "usage: %s [--backend=NAME] [--inline] [--list] [WORD...]\n",
			argv[0]);
		return 99;
	}
	if (options.list)
		return list_cases(cases);
	find_backends();
	if (n_backends == 0 || harness_scratch_make() != 0)
		return 99;
	int result = add_suites(suite, cases, each);
	if (result == 0)
		result = options.alone ? run_suites() : supervise();
	harness_remove_tree(harness_scratch_dir());
	return result;
}

int harness_run(int argc, char **argv, const char *suite, const struct harness_case *cases)
{
	return start(argc, argv, suite, cases, false);
}

int harness_run_each(int argc, char **argv, const char *suite, const struct harness_case *cases)
{
	return start(argc, argv, suite, cases, true);
}
