/* SPDX-License-Identifier: MIT */
/*
 * The image of an object (FUZZ_SUBJECT): its calls are made while words of it change. The input says
 * which words, before which call, and to what; and a line of text that is said to a device.
 */
#include "config.h"

#include "fuzz/fuzz.h"
#include "fuzz/subjects.h"

enum { CHANGES = 24, FIRST = 320, SEEDS = 4 * FIRST };

struct change {
	uint32_t word; /* of the object, more than there are go round; an even one: of its first */
	uint16_t moment; /* before which call */
	uint16_t mode;
	uint64_t value;
};

static struct change changes[CHANGES];
static uint64_t before[CHANGES], *memory;
static size_t words;
static uint16_t moment;

static uint64_t changed(const struct change *change, uint64_t old)
{
	switch (change->mode % 4) {
	case 0: return change->value;
	case 1: return old + change->value;
	case 2: return change->value << 8 | 1; /* a length, as a queue's headers have it */
	default: return old ^ change->value;
	}
}

static uint64_t *place(const struct change *change)
{
	size_t first = words < FIRST ? words : FIRST;

	return &memory[change->word % 2 == 0 ? change->word / 2 % first : change->word % words];
}

static bool is_due(const struct change *change)
{
	return change->value != 0 && change->moment % 64 == moment;
}

static void change_words(void)
{
	for (int i = 0; i < CHANGES; i++) {
		uint64_t *word = place(&changes[i]);

		before[i] = is_due(&changes[i]) ? *word : before[i];
		if (is_due(&changes[i]))
			*word = changed(&changes[i], *word);
	}
	moment++;
}

/* The last one first; what the library has written since then stays. */
static void change_back(void)
{
	while (moment-- > 0) {
		for (int i = CHANGES - 1; i >= 0; i--) {
			uint64_t *word = place(&changes[i]);

			if (is_due(&changes[i]) && *word == changed(&changes[i], before[i]))
				*word = before[i];
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct subject *subject;
	size_t bytes;

	if (subject == NULL) {
		subject = subject_make(FUZZ_SUBJECT, fuzz_context());
		subject_between = change_words;
		memory = subject_memory(&bytes);
		words = bytes / sizeof *memory;
	}
	fuzz_take(&data, &size, subject_line, sizeof subject_line);
	subject_line[sizeof subject_line - 1] = 0;
	fuzz_take(&data, &size, changes, sizeof changes);
	moment = 0;
	change_words();
	subject->use();
	if (subject->is_kept)
		change_back();
	subject_reset();
	return 0;
}

size_t fuzz_seed(unsigned nth, uint8_t *to)
{
	static const char *const lines[] = {"set PERIOD=3ms", "config noise:amp=1:seed=5",
		"get PERIOD RATE VOLT", "help", "config square:period=1s:duty=20%:offset=1V",
		"set RUN = off", "status", "set RATE=1e3"};
	static const uint64_t values[] = {1, 8, 120, 900, UINT64_C(1) << 40, UINT64_MAX};
	struct change *change = (void *)(to + sizeof subject_line);

	memcpy(to, lines[nth % 8], strlen(lines[nth % 8]));
	/* Each of the first words in turn, before one of the first calls; the first seed is as it was. */
	for (unsigned i = 0; nth > 0 && i < 4; i++)
		change[i] =
			(struct change){2 * (nth + i * 80), (uint16_t)((nth / FIRST + i * 12) % 48),
				(uint16_t)(nth * 5 + i), values[(nth / 2 + i) % 6]};
	return nth < SEEDS ? sizeof subject_line + sizeof changes : 0;
}
