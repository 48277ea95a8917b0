/* SPDX-License-Identifier: MIT */
/*
 * The image of an object (FUZZ_SUBJECT): its calls are made while words of it change. The input says
 * which words, before which call, and to what; and a line of text that is said to a device.
 */
#include "config.h"

#include "fuzz/fuzz.h"
#include "fuzz/subjects.h"

enum { CHANGES = 24, SEEDS = 40 };

struct change {
	uint32_t word;   /* of the object; more than there are go round */
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
	switch (change->mode % 3) {
	case 0: return change->value;
	case 1: return old + change->value;
	default: return old ^ change->value;
	}
}

static bool is_due(const struct change *change)
{
	return change->value != 0 && change->moment % 64 == moment;
}

static void change_words(void)
{
	for (int i = 0; i < CHANGES; i++) {
		uint64_t *word = &memory[changes[i].word % words];

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
			uint64_t *word = &memory[changes[i].word % words];

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
	struct change *change = (void *)(to + sizeof subject_line);

	memcpy(to, lines[nth % 8], strlen(lines[nth % 8]));
	for (unsigned i = 0; i < nth % 8; i++)
		change[i] = (struct change){(nth * 8 + i) * 3 + i % 3 * 1120, (uint16_t)(i * 3),
			(uint16_t)nth, 1 + i * 8};
	return nth < SEEDS ? sizeof subject_line + sizeof changes : 0;
}
