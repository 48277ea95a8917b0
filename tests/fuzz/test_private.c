/* SPDX-License-Identifier: MIT */
/*
 * What goes into shared memory, and what comes of it. Into it: no address of this process and
 * nothing of what its heap and stack held before, in no padding either. Out of it: a number is
 * never taken for a process that may be signalled, wherever it stands.
 */
#include "config.h"

#include "fuzz/subjects.h"
#include "harness/fixture.h"

enum { POISON = 0xa7, STACK = 65536, BLOCKS = 256, MAPS = 512 };

/* ---- nothing private ------------------------------------------------------------------------- */

static struct {
	uint64_t from, to;
} maps[MAPS];
static unsigned n_maps;

static void read_maps(void)
{
	FILE *file = fopen("/proc/self/maps", "r");
	unsigned long long from, to;
	char line[512];

	n_maps = 0;
	while (file != NULL && n_maps < MAPS && fgets(line, sizeof line, file) != NULL) {
		if (sscanf(line, "%llx-%llx", &from, &to) != 2)
			continue;
		/* A sanitizer's own are half of all numbers. */
		if (to - from > 1u << 30)
			continue;
		maps[n_maps].from = from;
		maps[n_maps++].to = to;
	}
	if (file != NULL)
		fclose(file);
}

static bool is_address(uint64_t word)
{
	for (unsigned i = 0; i < n_maps; i++)
		if (word >= maps[i].from && word < maps[i].to)
			return true;
	return false;
}

/* Between any two calls: what the next one finds on its stack, and in new memory. */
static void poison(void)
{
	volatile unsigned char stack[STACK];
	void *block[BLOCKS];

	for (size_t i = 0; i < sizeof stack; i++)
		stack[i] = POISON;
	for (unsigned i = 0; i < BLOCKS; i++) {
		block[i] = malloc(16 + i * 16);
		if (block[i] != NULL)
			memset(block[i], POISON, 16 + i * 16);
	}
	for (unsigned i = 0; i < BLOCKS; i++)
		free(block[i]);
}

/* Runs `fn` with a subject, in a child, which tells a figure through `go`. */
static long tell(int (*fn)(void *helper), const char *subject)
{
	struct helper helper = {.stem = subject};
	long figure = 0;

	harness_gate(&helper.go);
	int result = harness_wait(harness_fork(fn, &helper));
	EXPECT(result, 0);
	if (result == 0)
		CHECK(read(helper.go.fds[0], &figure, sizeof figure) == sizeof figure);
	harness_gate_close(&helper.go);
	return figure;
}

static void told(struct helper *helper, long figure)
{
	CHECK(write(helper->go.fds[1], &figure, sizeof figure) == sizeof figure);
}

static int look_at(void *helper)
{
	static const unsigned char pattern[4] = {POISON, POISON, POISON, POISON};
	struct helper *from = helper;
	struct duoshm *ctx = new_context();
	size_t size;

	subject_between = poison;
	poison();
	const struct subject *subject = subject_make(from->stem, ctx);
	for (int i = 0; i < 3; i++)
		subject->use();
	read_maps();
	const unsigned char *bytes = subject_memory(&size);
	for (size_t at = 0; at + sizeof pattern <= size; at++)
		CHECK(memcmp(bytes + at, pattern, sizeof pattern) != 0);
	for (size_t at = 0; at + 8 <= size; at += 4) {
		uint64_t word;
		memcpy(&word, bytes + at, sizeof word);
		CHECK(!is_address(word));
	}
	subject_end();
	told(from, (long)size);
	return duoshm_free(ctx);
}

static void nothing_private_is_shared(void)
{
	long total = 0;

	for (const struct subject *subject = subjects; subject->name != NULL; subject++) {
		if (harness_profile("tiny-shm") && strcmp(subject->name, "lane") == 0)
			continue;
		total += tell(look_at, subject->name);
	}
	harness_proves(12, total, "bytes without anything private");
}

/* ---- no pid is signalled --------------------------------------------------------------------- */

static volatile sig_atomic_t signals;

static void count(int signal_number)
{
	(void)signal_number;
	signals++;
}

/* Notices each signal that can be noticed; the others would end or stop it. */
static int be_victim(void *helper)
{
	setpgid(0, 0);
	for (int number = 1; number < 32; number++)
		signal(number, count);
	int result = helper_stays(helper);
	return signals > 0 ? 2 : result;
}

static int64_t victim;
static unsigned word_now;

/* An id that no process has, the pid beside it, and one word more. */
static void lay_pid(void)
{
	size_t size;
	uint64_t *words = subject_memory(&size);

	for (unsigned i = word_now; i < word_now + 3 && i < size / 8; i++)
		words[i] = (uint64_t)victim;
}

static int use_with_pid(void *helper)
{
	struct duoshm *ctx = new_context();
	const struct subject *subject = subject_make(((struct helper *)helper)->stem, ctx);
	long places = 0;
	size_t size;

	(void)subject_memory(&size);
	subject_between = lay_pid;
	for (int turn = 0; turn < 2; turn++, victim = -victim) {
		for (word_now = 0; word_now < size / 8 && word_now < 128; word_now++) {
			lay_pid();
			subject->use();
			subject_reset();
			places++;
		}
	}
	subject_between = NULL;
	subject_end();
	told(helper, places);
	return duoshm_free(ctx);
}

static void no_number_is_signalled(void)
{
	static const char *const names[] = {"segment", "semaphore", "lock", "queue", "broadcast"};
	struct helper helper;
	long places = 0;

	start_helper(&helper, be_victim, NULL, 0);
	victim = helper.pid;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		places += tell(use_with_pid, names[i]);
	finish_helper(&helper);
	harness_proves(18, places, "places of a pid");
}

static const struct harness_case cases[] = {
	{"nothing private is shared", nothing_private_is_shared},
	{"no number is signalled", no_number_is_signalled},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return harness_run_each(argc, argv, "private", cases);
}
