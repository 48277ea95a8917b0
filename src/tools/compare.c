/* SPDX-License-Identifier: MIT */
/*
 * compare: shows what really differs between the two families on this machine. info asks the
 * system, semantics tries the calls, bench measures; nothing is left behind.
 */
#include "config.h"

#include "tools/common.h"
#include "tools/compare.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct tool_program program = {
	"Usage: %s [OPTION]... [info]\n"
	"       %s [OPTION]... semantics [EXPERIMENT]...\n"
	"       %s [OPTION]... bench\n"
	"Show what differs between System V and POSIX shared memory on this machine.\n"
	"\n"
	"  info                  built, works, abilities, limits and their use (default)\n"
	"  semantics             try both families, bare and through the library;\n"
	"                        -v shows each call with its result\n"
	"  bench                 measure both families beside what the machine itself takes\n",
	compare_options, NULL};

int compare_scratch_make(char directory[COMPARE_SCRATCH_SIZE])
{
	snprintf(directory, COMPARE_SCRATCH_SIZE, "/tmp/duoshm-compare-XXXXXX");
	if (mkdtemp(directory) != NULL)
		return TOOL_DONE;
	tool_error("%s: %s", directory, strerror(errno));
	return TOOL_FAILED;
}

void compare_scratch_remove(const char *directory)
{
	char path[512];
	DIR *d = opendir(directory);

	for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
		snprintf(path, sizeof path, "%s/%s", directory, e->d_name);
		unlink(path); /* "." and ".." refuse */
	}
	if (d)
		closedir(d);
	if (rmdir(directory) < 0)
		tool_error("%s: %s", directory, strerror(errno));
}

int main(int argc, char **argv)
{
	char **words = tool_begin(argc, argv, &program);
	const char *verb = *words ? *words++ : "info";

	tool_only(verb);
	if (strcmp(verb, "bench") == 0) {
		if (words[0] && words[1])
			tool_usage("unexpected argument: %s", words[1]);
		return tool_end(compare_bench(*words));
	}
	if (strcmp(verb, "semantics") == 0)
		return tool_end(compare_semantics(words));
	if (strcmp(verb, "info") != 0)
		tool_usage("unknown command: %s", verb);
	if (*words)
		tool_usage("unexpected argument: %s", *words);
	return tool_end(compare_info());
}
