/* SPDX-License-Identifier: MIT */
/* What differs between the kinds of objects where no file of a kind is at hand: stat and removal. */
#ifndef DUOSHM_CORE_KIND_H
#define DUOSHM_CORE_KIND_H

#include "duoshm.h"

#include <stdbool.h>

/* Whether an object of kind `actual` may be opened by who wants `wanted`. */
bool duoshm__kind_fits(int wanted, int actual);
/* Marks the words of the payload that its users look at, so that no call on it succeeds again. */
void duoshm__kind_mark_removed(int kind, void *payload, size_t size);
/* Fills the fields of a stat that only this kind has. The payload may be hostile. */
void duoshm__kind_stat(int kind, const void *payload, size_t size, struct duoshm_stat *out);

#endif
