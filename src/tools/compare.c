/* SPDX-License-Identifier: MIT */
/*
 * compare: shows what really differs between the two families on this machine. info asks the system, semantics
 * tries the calls; neither leaves anything behind.
 */
#include "config.h"

#include "tools/common.h"
#include "tools/compare.h"

#include <string.h>

static const char usage[] =
	"Usage: %s [OPTION]... [info]\n"
	"       %s [OPTION]... semantics [EXPERIMENT]...\n"
	"Show what differs between System V and POSIX shared memory on this machine.\n"
	"\n"
	"  info                  built, works, abilities, limits and their use (default)\n"
	"  semantics             try both families, bare and through the library;\n"
	"                        -v shows each call with its result\n"
	"\n" TOOL_COMMON_HELP;

int main(int argc, char **argv)
{
	static const struct option options[] = {TOOL_LONG_OPTIONS, {NULL, 0, NULL, 0}};
	int option;

	tool_begin(argv, usage);
	while ((option = getopt_long(argc, argv, TOOL_SHORT_OPTIONS, options, NULL)) != -1)
		tool_option(option, optarg);
	const char *verb = optind < argc ? argv[optind++] : "info";
	if (strcmp(verb, "semantics") == 0)
		return tool_end(compare_semantics(argv + optind));
	if (strcmp(verb, "info") != 0)
		tool_usage("unknown command: %s", verb);
	if (optind < argc)
		tool_usage("unexpected argument: %s", argv[optind]);
	return tool_end(compare_info());
}
