/* SPDX-License-Identifier: MIT */
/* The context, and the table of backends: the one place that knows which families are built in. */
#ifndef DUOSHM_CORE_CONTEXT_H
#define DUOSHM_CORE_CONTEXT_H

#include "backends/backend.h"
#include "core/lifeline.h"
#include "core/name.h"
#include "core/registry.h"

#include <stdatomic.h>

struct duoshm {
	const struct duoshm__backend *backend; /* NULL: auto */
	struct duoshm__registry registry;
	struct duoshm__lifeline *lifeline; /* NULL: the registry is not writable for us */
	duoshm_log_fn *log;
	void *log_arg;
	unsigned forks;
	_Atomic unsigned handles; /* open ones; duoshm_free wants 0 */
};

/* ---- core/backend_table.c ---- */

/* The built-in families, preferred first; NULL after the last. */
const struct duoshm__backend *duoshm__backend_at(unsigned index);
const struct duoshm__backend *duoshm__backend_find(const char *name); /* NULL: not built in */
/* The names of all families, built in or not; NULL after the last. */
const char *duoshm__family_at(unsigned index);
/* NO_BACKEND, with the built ones in the cause; then *out is NULL. */
int duoshm__backend_named(const char *name, const struct duoshm__backend **out);
/*
 * The preferred family of those that work here, tried for real until it is known to. UNAVAILABLE,
 * with each one's reason; or why the registry does not let one be tried.
 */
int duoshm__backend_prefer(struct duoshm *ctx, const struct duoshm__backend **out);
/*
 * Puts `backend` in front of the table's under its name, for the rest of the process (tests: the
 * fake backend); NULL takes it back.
 */
void duoshm__backend_replace(const struct duoshm__backend *backend);

/* ---- core/context.c ---- */

/* INVALID for NULL, FORKED in a child of its maker. */
int duoshm__context_check(const struct duoshm *ctx);
/* Is the owner of an owned object proven dead, or its removal begun? */
bool duoshm__context_orphaned(const struct duoshm *ctx, const struct duoshm__entry *entry);
/*
 * The family for a name to be opened, and its registry entry: the family written before the name,
 * the context's, or (auto) the one whose object lives. NOT_FOUND: no entry in any family asked for;
 * OTHER_BACKEND: only in a family that was not asked for. With the other errors of
 * duoshm__entry_read (CORRUPT, PERMISSION) *backend is set.
 */
int duoshm__context_find(struct duoshm *ctx, const struct duoshm__name *name,
	const struct duoshm__backend **backend, struct duoshm__entry *entry);
/*
 * The family for a name to be made: written, the context's, or (auto) the one that has the name
 * already, else the preferred one that works.
 */
int duoshm__context_choose(
	struct duoshm *ctx, const struct duoshm__name *name, const struct duoshm__backend **out);

#endif
