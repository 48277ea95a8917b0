/* SPDX-License-Identifier: MIT */
/* The lifeline file of another process: its life, its attachments, its sweeping away. */
#include "config.h"

#include "core/lifeline.h"
#include "core/lifeline_layout.h"
#include "fuzz/fuzz.h"
#include "harness/harness.h"

enum { ID = 77 };

static void count(uint64_t generation, int64_t pid, void *arg)
{
	FUZZ_CHECK(generation != 0 && pid > 0);
	++*(size_t *)arg;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *directory = duoshm_directory(fuzz_context());
	size_t attachments = 0;
	unsigned unreadable;
	char path[DUOSHM__PATH_SIZE];

	duoshm__life_path(directory, ID, path);
	FUZZ_CHECK(rename(fuzz_file(data, size), path) == 0);
	(void)duoshm__life_of(directory, ID, NULL);
	FUZZ_CHECK(duoshm__lifeline_scan(directory, count, &attachments, &unreadable) == 0);
	/* And our own, which lists what we have. */
	FUZZ_CHECK(attachments <= size / 8 + DUOSHM__LIFE_SLOTS && unreadable <= 1);
	duoshm__life_sweep(directory);
	return 0;
}

size_t fuzz_seed(unsigned nth, uint8_t *to)
{
	struct duoshm__life_head head = {.magic = DUOSHM__LIFE_MAGIC,
		.layout = DUOSHM__LIFE_LAYOUT,
		.flags = nth == 1 ? DUOSHM__LIFE_MAPPED : 0,
		.pid = nth == 2 ? 0x7fffffff : getpid()};
	uint64_t slots[] = {7, 5, 5, 0, UINT64_MAX};

	duoshm__store32(&head.used, nth == 3 ? UINT32_MAX : 5);
	memcpy(to, &head, sizeof head);
	memcpy(to + sizeof head, slots, sizeof slots);
	return nth < 4 ? sizeof head + sizeof slots : 0;
}
