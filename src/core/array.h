/* SPDX-License-Identifier: MIT */
/* Growing arrays in private memory. */
#ifndef DUOSHM_CORE_ARRAY_H
#define DUOSHM_CORE_ARRAY_H

#include "core/failure.h"

#include <errno.h>
#include <stdlib.h>

/*
 * The array of `count` items with room for one more: `items`, or what it was moved to. NULL: no
 * memory, the failure is set and `items` stays. The room is always the next power of two, so that
 * nobody keeps it.
 */
static inline void *duoshm__array_grow(void *items, size_t count, size_t item_size)
{
	if (count != 0 && (count & (count - 1)) != 0)
		return items;
	size_t bytes = (count == 0 ? 1 : 2 * count) * item_size;
	void *grown = realloc(items, bytes);
	if (!grown)
		duoshm__fail_call(DUOSHM_ERR_NO_SPACE, ENOMEM, "realloc(%zu)", bytes);
	return grown;
}

/* For qsort: numbers of 64 bits. */
static inline int duoshm__array_by_number(const void *left, const void *right)
{
	const uint64_t *l = left, *r = right;
	return (*l > *r) - (*l < *r);
}

#endif
