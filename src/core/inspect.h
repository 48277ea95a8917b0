/* SPDX-License-Identifier: MIT */
/* What is known of an object from outside: shared by stat, list and reclaim. */
#ifndef DUOSHM_CORE_INSPECT_H
#define DUOSHM_CORE_INSPECT_H

#include "core/object.h"

/* Who has what attached, counted once: the generations in the lifelines of the living, sorted. */
struct duoshm__census {
	uint64_t *generations;
	size_t n, room;
	bool incomplete; /* no memory for all of them */
};
int duoshm__census_take(struct duoshm *ctx, struct duoshm__census *out);
void duoshm__census_free(struct duoshm__census *census);

/*
 * Everything about the object of an entry; takes no lock and fails at nothing: what cannot be learned stays 0, or -1 where
 * the field says so. `locked`: the caller holds the creation lock. `*exists` (may be NULL): the kernel has it.
 */
void duoshm__inspect(struct duoshm *ctx, const struct duoshm__backend *backend,
	const struct duoshm__entry *entry, const struct duoshm__census *census, bool locked,
	struct duoshm_stat *out, bool *exists);
/* For an entry that could not be read: UNKNOWN, with the reason. */
void duoshm__inspect_unreadable(
	const struct duoshm__entry *entry, int result, struct duoshm_stat *out);

#endif
