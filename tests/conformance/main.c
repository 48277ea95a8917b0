/* SPDX-License-Identifier: MIT */
/* The suite's table. */
#include "config.h"

#include "conformance/conformance.h"

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
	return harness_run(argc, argv, "conformance", all);
}
