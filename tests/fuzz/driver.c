/* SPDX-License-Identifier: MIT */
/*
 * What all targets are given, and, where libFuzzer is not, their main: mutated seeds, always the
 * same ones, for as long as the tier says.
 *
 *	NAME				so many seconds
 *	NAME FILE...			each file once
 *	NAME --seeds FOLDER		writes the seeds there, for libFuzzer
 *
 * The inputs run in a child. The one that ends it, or takes ten seconds, is kept in the file
 * NAME.input.
 */
#include "config.h"

#include "fuzz/fuzz.h"
#include "harness/harness.h"
#include "harness/internal.h"

#include <sys/mman.h>

enum { HANG_SECONDS = 10, STEP = 256 };

/* ---- what targets are given ------------------------------------------------------------------ */

struct duoshm *fuzz_context(void)
{
	static struct duoshm *ctx;
	struct duoshm_options options = DUOSHM_OPTIONS_INIT;

	if (ctx != NULL)
		return ctx;
	fake_begin();
	options.backend = FAKE_NAME;
	FUZZ_CHECK(duoshm_new(&options, &ctx) == 0);
	return ctx;
}

const char *fuzz_file(const uint8_t *data, size_t size)
{
	const char *path = harness_path("input");
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	FUZZ_CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size && close(fd) == 0);
	return path;
}

#ifdef DUOSHM_LIBFUZZER
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	return harness_scratch_make();
}
#else

/* ---- mutation -------------------------------------------------------------------------------- */

/* Shared with the parent, who keeps what ended the child. */
static struct {
	long done;
	size_t size;
	_Alignas(8) uint8_t data[FUZZ_ROOM + 8];
} * input;

static uint64_t any(uint64_t below)
{
	static uint64_t state = 88172645463325252u;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % below;
}

/* At the edges of lengths, indices and kinds; and words that it has already. */
static uint64_t interesting(void)
{
	static const uint64_t values[] = {0, 1, 2, 3, 7, 8, 9, 16, 63, 64, 127, 128, 255, 256, 1023,
		1024, 1025, 4096, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000,
		UINT32_MAX, UINT32_MAX - 7, (uint64_t)INT64_MAX, UINT64_MAX, UINT64_MAX - 7,
		0x0101010101010101};
	uint64_t value;

	if (any(4) != 0)
		return values[any(sizeof values / sizeof *values)] << (any(4) == 0 ? 8 : 0);
	memcpy(&value, input->data + any(FUZZ_ROOM), sizeof value);
	return value;
}

/* A byte more, or less; text lives on it. */
static void shift(size_t at, bool longer)
{
	if (longer && input->size < FUZZ_ROOM) {
		memmove(input->data + at + 1, input->data + at, input->size++ - at);
	} else if (input->size > 1) {
		memmove(input->data + at, input->data + at + 1, input->size - at - 1);
		input->size--;
	}
}

static void mutate(void)
{
	size_t at = (size_t)any(input->size), other = (size_t)any(input->size), length;
	uint64_t value;

	switch (any(8)) {
	case 0: input->data[at] ^= (uint8_t)(1u << any(8)); break;
	case 1: input->data[at] = (uint8_t)any(256); break;
	case 2:
		memcpy(&value, input->data + at / 8 * 8, sizeof value);
		value += any(33) - 16;
		memcpy(input->data + at / 8 * 8, &value, sizeof value);
		break;
	case 3:
		length = (size_t)any(64);
		if (at + length <= input->size && other + length <= input->size)
			memmove(input->data + at, input->data + other, length);
		break;
	case 4:
		if (any(8) == 0)
			input->size = at + 1;
		else
			shift(at, any(2) == 0);
		break;
	case 5:
		value = interesting();
		memcpy(input->data + at / 4 * 4, &value, 4);
		break;
	default: value = interesting(); memcpy(input->data + at / 8 * 8, &value, sizeof value);
	}
}

/* False: there is none of that number. */
static bool take_seed(unsigned nth)
{
	memset(input->data, 0, sizeof input->data);
	input->size = fuzz_seed(nth, input->data);
	return input->size > 0;
}

/* ---- running --------------------------------------------------------------------------------- */

static void run_one(void)
{
	alarm(HANG_SECONDS * (harness_instrumented() ? 5 : 1));
	(void)LLVMFuzzerTestOneInput(input->data, input->size);
	input->done++;
}

static int run_for(void *seconds)
{
	const clock_t end = (clock_t) * (const long *)seconds * CLOCKS_PER_SEC / 1000;
	unsigned seeds = 0;

	for (; take_seed(seeds); seeds++)
		run_one();
	while (clock() < end) {
		for (int i = 0; i < STEP; i++) {
			(void)take_seed((unsigned)any(seeds));
			for (uint64_t n = any(6) + 1; n > 0; n--)
				mutate();
			run_one();
		}
	}
	return 0;
}

static int run_file(void *path)
{
	FILE *file = fopen(path, "rb");

	if (file == NULL)
		return 99;
	input->size = fread(input->data, 1, FUZZ_ROOM, file);
	fclose(file);
	run_one();
	return 0;
}

static void write_file(const char *path)
{
	FILE *file = fopen(path, "wb");

	if (file == NULL || fwrite(input->data, 1, input->size, file) != input->size)
		perror(path);
	if (file != NULL)
		fclose(file);
}

static int write_seeds(const char *folder)
{
	char path[512];

	for (unsigned i = 0; take_seed(i); i++) {
		snprintf(path, sizeof path, "%s/seed%u", folder, i);
		write_file(path);
	}
	return 0;
}

static int watched(const char *name, int (*run)(void *arg), void *arg)
{
	char path[300];
	pid_t pid = fork();
	int status;

	if (pid == 0)
		exit(run(arg));
	if (waitpid(pid, &status, 0) == pid && status == 0)
		return 0;
	snprintf(path, sizeof path, "%.200s.input", name);
	write_file(path);
	fprintf(stderr, "%s: ended with status 0x%x after %ld inputs; %s has the last one\n", name,
		status, input->done, path);
	return 1;
}

int main(int argc, char **argv)
{
	long milliseconds = harness_scale(300, 1500, 5000);
	int result = 0;

	input = mmap(
		NULL, sizeof *input, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (input == MAP_FAILED || harness_scratch_make() != 0)
		return 99;
	if (argc == 3 && strcmp(argv[1], "--seeds") == 0)
		result = write_seeds(argv[2]);
	else if (argc == 1)
		result = watched(argv[0], run_for, &milliseconds);
	for (int i = 1; i < argc && argv[1][0] != '-'; i++)
		result |= watched(argv[0], run_file, argv[i]);
	harness_remove_tree(harness_scratch_dir());
	if (result == 0)
		harness_proves(9, input->done, "hostile inputs");
	return result;
}
#endif
