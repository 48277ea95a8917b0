/* SPDX-License-Identifier: MIT */
/*
 * The text of a registry entry. Its check sum keeps torn text out, not hostile one: so it is put
 * right here. What is understood can be written, and is then understood the same.
 */
#include "config.h"

#include "fuzz/fuzz.h"

enum { SUM = 24, BODY = DUOSHM__ENTRY_TEXT_SIZE - SUM };

static void put_sum(char *text)
{
	uint64_t sum = 0xcbf29ce484222325u, word;
	char line[SUM + 1];

	for (size_t at = 0; at < BODY; at += sizeof word) {
		memcpy(&word, text + at, sizeof word);
		sum = (sum ^ word) * 0x100000001b3u;
	}
	snprintf(line, sizeof line, "sum: 0x%016llx\n", (unsigned long long)sum);
	memcpy(text + BODY, line, SUM);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(DUOSHM__ENTRY_TEXT_SIZE), again[DUOSHM__ENTRY_TEXT_SIZE];
	struct duoshm__entry entry, second;

	FUZZ_CHECK(text != NULL);
	fuzz_take(&data, &size, text, DUOSHM__ENTRY_TEXT_SIZE);
	(void)duoshm__entry_parse(text, &entry);
	put_sum(text);
	duoshm__entry_init(&entry, "x", "fake");
	second = entry;
	if (duoshm__entry_parse(text, &entry) == 0) {
		FUZZ_CHECK(entry.bells <= DUOSHM_BELLS_MAX && entry.mode <= 0777);
		FUZZ_CHECK(strlen(entry.name) < sizeof entry.name && !strchr(entry.name, '/'));
		FUZZ_CHECK(duoshm__entry_format(&entry, again) == 0);
		FUZZ_CHECK(duoshm__entry_parse(again, &second) == 0);
		FUZZ_CHECK(second.size == entry.size && second.owner == entry.owner &&
			   strcmp(second.native.text, entry.native.text) == 0);
	}
	free(text);
	return 0;
}

size_t fuzz_seed(unsigned nth, uint8_t *to)
{
	struct duoshm__entry entry;

	if (nth == 3)
		return 0;
	duoshm__entry_init(&entry, nth == 0 ? "a" : "device0.0123abcd", "posix");
	entry.kind = (int)nth + 1;
	entry.size = entry.footprint = nth == 2 ? UINT64_MAX : 4096;
	entry.owner = entry.generation = 0x123456789abcdu << nth;
	strcpy(entry.native.text, nth == 1 ? "/duoshm.a.1" : "0x5d03a1f2");
	FUZZ_CHECK(duoshm__entry_format(&entry, (char *)to) == 0);
	return DUOSHM__ENTRY_TEXT_SIZE;
}
