/* SPDX-License-Identifier: MIT */
/*
 * Entry text, both ways. It is read while its writer may be at it, and in a directory of several
 * users anybody may have written it: what is not exactly what the writer below writes is CORRUPT.
 * The check sum tells a torn text; it proves nothing about who wrote it.
 */
#include "config.h"

#include "core/registry.h"

#include "core/failure.h"
#include "core/name.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VERSION_LINE "duoshm-entry 1\n"
#define SUM_FORMAT   "sum: 0x%016" PRIx64 "\n"
#define SUM_SIZE     24
#define BODY_SIZE    (DUOSHM__ENTRY_TEXT_SIZE - SUM_SIZE)
#define NO_NATIVE    "-"

/* Every number of an entry, in the order of its lines: key, member, its type, how it is written. */
#define NUMBERS(X)                                                                                 \
	X("ready", ready, bool, "%" PRIu64)                                                        \
	X("removing", removing, bool, "%" PRIu64)                                                  \
	X("kind", kind, int, "%" PRIu64)                                                           \
	X("persistent", persistent, bool, "%" PRIu64)                                              \
	X("reserved", reserved, bool, "%" PRIu64)                                                  \
	X("bells", bells, unsigned, "%" PRIu64)                                                    \
	X("size", size, uint64_t, "%" PRIu64)                                                      \
	X("footprint", footprint, uint64_t, "%" PRIu64)                                            \
	X("generation", generation, uint64_t, "0x%" PRIx64)                                        \
	X("owner", owner, uint64_t, "0x%" PRIx64)                                                  \
	X("pid", creator.pid, int64_t, "%" PRIi64)                                                 \
	X("start", creator.start, uint64_t, "%" PRIu64)                                            \
	X("boot", creator.boot, uint64_t, "0x%" PRIx64)                                            \
	X("created", created_ns, int64_t, "%" PRIi64)                                              \
	X("mode", mode, unsigned, "0%" PRIo64)                                                     \
	X("segment-id", native.segment_id, int64_t, "%" PRIi64)                                    \
	X("bells-id", native.bells_id, int64_t, "%" PRIi64)

#define NUMBER_FORMAT(key, member, type, format) key " " format "\n"
#define NUMBER_VALUE(key, member, type, format)  (uint64_t) entry->member,

_Static_assert(BODY_SIZE % sizeof(uint64_t) == 0, "the sum is of whole words");

/* As FNV-1a, by words instead of bytes: a change of one word always changes the sum. */
static uint64_t sum_of(const char *text)
{
	uint64_t sum = 0xcbf29ce484222325u;
	for (size_t at = 0; at < BODY_SIZE; at += sizeof(uint64_t)) {
		uint64_t word;
		memcpy(&word, text + at, sizeof word);
		sum = (sum ^ word) * 0x100000001b3u;
	}
	return sum;
}

static bool is_word(const char *text)
{
	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++) {
		if (*text <= ' ' || *text > '~')
			return false;
	}
	return true;
}

int duoshm__entry_format(const struct duoshm__entry *entry, char text[DUOSHM__ENTRY_TEXT_SIZE])
{
	const char *native = entry->native.text[0] != '\0' ? entry->native.text : NO_NATIVE;
	if (!is_word(entry->name) || !is_word(entry->backend) || !is_word(native))
		return duoshm__fail(DUOSHM_ERR_INVALID, "a name of the entry cannot be written");
	char made[DUOSHM__ENTRY_TEXT_SIZE];
	int length = snprintf(made, BODY_SIZE,
		VERSION_LINE "name %s\nbackend %s\nnative %s\n" NUMBERS(NUMBER_FORMAT) "%s",
		entry->name, entry->backend, native, NUMBERS(NUMBER_VALUE) "");
	if (length < 0 || length >= BODY_SIZE)
		return duoshm__fail(DUOSHM_ERR_INVALID, "the entry does not fit its file");
	memset(made + length, ' ', (size_t)(BODY_SIZE - length));
	made[BODY_SIZE - 1] = '\n';
	char sum[SUM_SIZE + 1];
	snprintf(sum, sizeof sum, SUM_FORMAT, sum_of(made));
	memcpy(made + BODY_SIZE, sum, SUM_SIZE);
	memcpy(text, made, sizeof made);
	return 0;
}

/* Takes the line "key value" from the text; false if it is another one, or longer than `size`. */
static bool take(const char **at, const char *key, char *value, size_t size)
{
	size_t length = strlen(key);
	if (strncmp(*at, key, length) != 0 || (*at)[length] != ' ')
		return false;
	const char *begin = *at + length + 1;
	size_t room = strcspn(begin, "\n");
	if (begin[room] != '\n' || room >= size)
		return false;
	memcpy(value, begin, room);
	value[room] = '\0';
	*at = begin + room + 1;
	return is_word(value);
}

/* Negative numbers come out as the 64-bit words that stand for them. */
static bool take_number(const char **at, const char *key, uint64_t *out)
{
	char value[24], *end;
	if (!take(at, key, value, sizeof value) || value[0] == '+')
		return false;
	errno = 0;
	*out = strtoull(value, &end, 0);
	return errno == 0 && *end == '\0';
}

static bool take_names(const char **at, struct duoshm__entry *out)
{
	struct duoshm__name parsed;
	if (!take(at, "name", out->name, sizeof out->name) ||
		duoshm__name_parse(out->name, &parsed) != 0 || parsed.backend[0] != '\0' ||
		!take(at, "backend", out->backend, sizeof out->backend) ||
		!take(at, "native", out->native.text, sizeof out->native.text))
		return false;
	if (strcmp(out->native.text, NO_NATIVE) == 0)
		out->native.text[0] = '\0';
	return true;
}

static bool take_numbers(const char **at, struct duoshm__entry *out)
{
	uint64_t number;
#define NUMBER_TAKE(key, member, type, format)                                                     \
	if (!take_number(at, key, &number) || (uint64_t)(type)number != number)                    \
		return false;                                                                      \
	out->member = (type)number;
	NUMBERS(NUMBER_TAKE)
	return out->bells <= DUOSHM_BELLS_MAX && out->kind >= 0 && out->mode <= 0777;
}

int duoshm__entry_parse(const char text[DUOSHM__ENTRY_TEXT_SIZE], struct duoshm__entry *out)
{
	char body[BODY_SIZE + 1], sum[SUM_SIZE + 1];
	snprintf(sum, sizeof sum, SUM_FORMAT, sum_of(text));
	if (memcmp(text + BODY_SIZE, sum, SUM_SIZE) != 0)
		return duoshm__fail(DUOSHM_ERR_CORRUPT, "its check sum is wrong");
	memcpy(body, text, BODY_SIZE);
	body[BODY_SIZE] = '\0';
	if (strncmp(body, VERSION_LINE, strlen(VERSION_LINE)) != 0)
		return duoshm__fail(DUOSHM_ERR_INCOMPATIBLE, "it was written by another version");
	struct duoshm__entry made = *out;
	const char *at = body + strlen(VERSION_LINE);
	if (!take_names(&at, &made) || !take_numbers(&at, &made))
		return duoshm__fail(
			DUOSHM_ERR_CORRUPT, "a line of it is missing or makes no sense");
	*out = made;
	return 0;
}
