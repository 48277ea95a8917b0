/* SPDX-License-Identifier: MIT */
/* What is known of an object from outside: shared by stat, list and reclaim. */
#ifndef DUOSHM_CORE_INSPECT_H
#define DUOSHM_CORE_INSPECT_H

#include "core/object.h"

/* Who has what attached, counted once: the generations in the lifelines of the living, sorted. */
struct duoshm__census {
	uint64_t *generations;
	size_t n;
	bool incomplete; /* no memory for all of them */
};
int duoshm__census_take(struct duoshm *ctx, struct duoshm__census *out);
void duoshm__census_free(struct duoshm__census *census);

/*
 * Everything about an object; takes no lock and fails at nothing: what cannot be learned stays 0, or -1 where the field
 * says so. Where the creation lock is held, half-built is the work of a dead one. `census` NULL: who has it attached is
 * not asked. False: the kernel has it no more.
 */
bool duoshm__inspect(const struct duoshm_segment *outside, const struct duoshm__census *census,
	struct duoshm_stat *out);
/*
 * True when a create may take the name: its creator is proven dead, or there is nothing left behind the entry, or a removal
 * stopped half-way.
 */
bool duoshm__inspect_remains(const struct duoshm_segment *outside);
/* For an entry that could not be read: UNKNOWN, with the reason. */
void duoshm__inspect_unreadable(
	const struct duoshm__entry *entry, int result, struct duoshm_stat *out);

#endif
