/* SPDX-License-Identifier: MIT */
/* The harness itself: what it says of children, gates and counts of system calls. */
#include "config.h"

#include "harness/fixture.h"

static int give(void *arg)
{
	return *(int *)arg;
}

static int hang(void *arg)
{
	(void)arg;
	while (getppid() > 0)
		pause();
	return 0;
}

static void children_tell_how_they_ended(void)
{
	int seven = 7;

	EXPECT(harness_wait(harness_fork(give, &seven)), 7);
	pid_t pid = harness_fork(hang, NULL);
	kill(pid, SIGTERM);
	EXPECT(harness_wait(pid), -SIGTERM);
	EXPECT(harness_wait(harness_spawn(-1, "sh", "-c", "exit 5", (char *)NULL)), 5);
}

static int fail_in_child(void *arg)
{
	const int *which = arg;

	if (freopen("/dev/null", "w", stderr) == NULL)
		return 9;
	CHECK(which != NULL);
	EXPECT(*which, 0);
	EXPECT_TEXT("all", "all");
	EXPECT_PART("all", "is");
	return 0;
}

static void what_fails_in_a_child_reaches_its_parent(void)
{
	int zero = 0, one = 1;

	EXPECT(harness_wait(harness_fork(fail_in_child, NULL)), 1);
	EXPECT(harness_wait(harness_fork(fail_in_child, &one)), 1);
	EXPECT(harness_wait(harness_fork(fail_in_child, &zero)), 1);
}

static int through(void *helper)
{
	CHECK(harness_gate_pass(&((struct helper *)helper)->go));
	harness_gate_open(&((struct helper *)helper)->ready);
	return 0;
}

static void gates_order_processes(void)
{
	struct helper child;

	harness_gate(&child.ready);
	harness_gate(&child.go);
	child.pid = harness_fork(through, &child);
	harness_gate_open(&child.go);
	CHECK(harness_gate_pass(&child.ready));
	finish_helper(&child);
}

static int call_thrice(void *arg)
{
	(void)arg;
	for (int i = 0; i < 3; i++)
		(void)getppid();
	return 0;
}

static int call_nothing(void *arg)
{
	(void)arg;
	return 0;
}

static void system_calls_are_counted_exactly(void)
{
	int nothing = harness_instrumented() ? HARNESS_NO_TRACE
					     : harness_count_calls(call_thrice, call_nothing, NULL);

	if (nothing == HARNESS_NO_TRACE)
		HARNESS_SKIP("system calls cannot be counted here");
	EXPECT(nothing, 0);
	EXPECT(harness_count_calls(call_nothing, call_thrice, NULL), 3);
	EXPECT(harness_count_calls(call_nothing, fail_in_child, NULL), HARNESS_BROKEN);
}

static void names_are_stable_and_apart(void)
{
	CHECK(harness_name("a") == harness_name("a"));
	CHECK(strcmp(harness_name("a"), harness_name("b")) != 0);
	CHECK(strlen(harness_name("a-long-name-for-a-test")) <= 63);
}

static void the_registry_is_empty_and_ours(void)
{
	const char *directory = getenv("DUOSHM_DIR");

	CHECK_FATAL(directory != NULL);
	EXPECT(strncmp(directory, harness_scratch_dir(), strlen(harness_scratch_dir())), 0);
	EXPECT(harness_entries(directory), 0);
}

static const struct harness_case cases[] = {
	{"children tell how they ended", children_tell_how_they_ended},
	{"what fails in a child reaches its parent", what_fails_in_a_child_reaches_its_parent},
	{"gates order processes", gates_order_processes},
	{"system calls are counted exactly", system_calls_are_counted_exactly},
	{"names are stable and apart", names_are_stable_and_apart},
	{"the registry is empty and ours", the_registry_is_empty_and_ours},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return harness_run(argc, argv, "harness", cases);
}
