/* SPDX-License-Identifier: MIT */
/*
 * compare: shows what really differs between the two families on this machine. info asks the
 * system, semantics tries the calls; neither leaves anything behind.
 */
#include "config.h"

#include "tools/common.h"
#include "tools/compare.h"

#include <string.h>

static const struct tool_program program = {
	"Usage: %s [OPTION]... [info]\n"
	"       %s [OPTION]... semantics [EXPERIMENT]...\n"
	"Show what differs between System V and POSIX shared memory on this machine.\n"
	"\n"
	"  info                  built, works, abilities, limits and their use (default)\n"
	"  semantics             try both families, bare and through the library;\n"
	"                        -v shows each call with its result\n",
	NULL, NULL};

int main(int argc, char **argv)
{
	char **words = tool_begin(argc, argv, &program);
	const char *verb = *words ? *words++ : "info";

	if (strcmp(verb, "semantics") == 0)
		return tool_end(compare_semantics(words));
	if (strcmp(verb, "info") != 0)
		tool_usage("unknown command: %s", verb);
	if (*words)
		tool_usage("unexpected argument: %s", *words);
	return tool_end(compare_info());
}
