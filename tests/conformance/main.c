/* SPDX-License-Identifier: MIT */
/* The suite's table, and what its files share. */
#include "config.h"

#include "conformance/conformance.h"

struct duoshm *ctx;

static void begin(void)
{
	ctx = new_context();
}

static int remove_it(const struct duoshm_stat *object, void *argument)
{
	(void)argument;
	EXPECT(duoshm_remove(ctx, object->name), 0);
	return 0;
}

static void end(void)
{
	EXPECT(duoshm_list(ctx, 0, remove_it, NULL), 0);
	end_context(ctx);
}

void makes_no_system_call(int (*prepare)(void *arg), int (*work)(void *arg), void *arg)
{
	if (harness_instrumented())
		HARNESS_SKIP("instruments make calls of their own");
	int calls = harness_count_calls(prepare, work, arg);
	if (calls == HARNESS_NO_TRACE)
		HARNESS_SKIP("system calls cannot be counted here");
	EXPECT(calls, 0);
}

int run_together(int (*fn)(void *helper), struct helper *helper, int n)
{
	pid_t pids[8];
	int sum = 0;

	harness_gate(&helper->go);
	for (int i = 0; i < n; i++)
		pids[i] = harness_fork(fn, helper);
	for (int i = 0; i < n; i++)
		harness_gate_open(&helper->go);
	for (int i = 0; i < n; i++)
		sum += harness_wait(pids[i]);
	harness_gate_close(&helper->go);
	return sum;
}

int main(int argc, char **argv)
{
	const struct harness_case *const tables[] = {object_cases, right_cases, inspect_cases,
		semaphore_cases, lock_cases, process_cases, queue_cases};
	static struct harness_case all[300];
	size_t n = 0;

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		for (const struct harness_case *one = tables[i]; one->name != NULL; one++) {
			if (n + 1 == sizeof(all) / sizeof(all[0]))
				return 99;
			all[n++] = *one;
		}
	}
	harness_around(begin, end);
	return harness_run(argc, argv, "conformance", all);
}
