/* SPDX-License-Identifier: MIT */
/*
 * Public structs that begin with their size, so that they can grow: a program built with an older
 * header passes a shorter one, one built with a newer header a longer one.
 */
#ifndef DUOSHM_CORE_SIZED_H
#define DUOSHM_CORE_SIZED_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* What the caller says of an output struct's size; 0 when that is less than `least` or absurd. */
static inline size_t duoshm__sized_room(const void *given, size_t least)
{
	size_t size = 0;

	if (given)
		memcpy(&size, given, sizeof size);
	return size < least || size > 65536 ? 0 : size;
}

/*
 * Fills the caller's struct, whose size stays as it is; what this version does not know becomes
 * zero.
 */
static inline void duoshm__sized_give(
	void *given, size_t size, const void *known, size_t known_size)
{
	size_t common = size < known_size ? size : known_size;

	memset(given, 0, size);
	memcpy(given, known, common);
	memcpy(given, &size, sizeof size);
}

/*
 * Takes the caller's options over the defaults in `known`, whose size stays. False when the size is
 * wrong, or when a part that this version does not know is not zero: it asks for something that
 * would not be done.
 */
static inline bool duoshm__sized_take(const void *given, void *known, size_t known_size)
{
	size_t size = duoshm__sized_room(given, sizeof(size_t));

	if (size == 0)
		return false;
	for (size_t i = known_size; i < size; i++)
		if (((const unsigned char *)given)[i] != 0)
			return false;
	memcpy(known, given, size < known_size ? size : known_size);
	memcpy(known, &known_size, sizeof known_size);
	return true;
}

#endif
