/* SPDX-License-Identifier: MIT */
/*
 * The table of families: which are built in, which one is preferred, and whether one works here.
 * The only file of core that names a family; adding one is one line in each of the lists below.
 *
 * The trap: an explicit family must touch nothing of the other one, so a family is only tried
 * (really creating and removing objects) when `auto` has to choose, until it is known to work.
 */
#include "config.h"

#include "core/failure.h"
#include "core/object.h"
#include "core/sized.h"

#include <stdio.h>
#include <string.h>

#ifdef DUOSHM_WITH_SYSV
extern const struct duoshm__backend duoshm__sysv_backend;
#define SYSV(use) use,
#else
#define SYSV(use)
#endif
#ifdef DUOSHM_WITH_POSIX
extern const struct duoshm__backend duoshm__posix_backend;
#define POSIX(use) use,
#else
#define POSIX(use)
#endif

static const char *const posix_names[] = {POSIX("posix") SYSV("sysv") NULL};
static const char *const sysv_names[] = {SYSV("sysv") POSIX("posix") NULL};
static const struct duoshm__backend *const built[] = {
	POSIX(&duoshm__posix_backend) SYSV(&duoshm__sysv_backend) NULL};

#define FAMILIES_MAX 4
static const struct duoshm__backend *replacement; /* tests only, before any thread */
static _Atomic bool works[FAMILIES_MAX];          /* known to */

/* configure's --with-default-backend; with its `auto`, POSIX is first: its memory is reserved. */
const char *const *duoshm_backends(void)
{
	return strcmp(DUOSHM_DEFAULT_BACKEND, "sysv") == 0 ? sysv_names : posix_names;
}

const struct duoshm__backend *duoshm__backend_at(unsigned index)
{
	const char *name = duoshm_backends()[index];

	return name ? duoshm__backend_find(name) : NULL;
}

const char *duoshm__family_at(unsigned index)
{
	static const char *const families[] = {"posix", "sysv", NULL};

	return families[index];
}

const struct duoshm__backend *duoshm__backend_find(const char *name)
{
	if (replacement && strcmp(replacement->name, name) == 0)
		return replacement;
	for (const struct duoshm__backend *const *b = built; *b; b++)
		if (strcmp((*b)->name, name) == 0)
			return *b;
	return NULL;
}

void duoshm__backend_replace(const struct duoshm__backend *backend)
{
	replacement = backend;
	for (unsigned i = 0; i < FAMILIES_MAX; i++)
		atomic_store_explicit(&works[i], false, memory_order_relaxed);
}

int duoshm__backend_named(const char *name, const struct duoshm__backend **out)
{
	char names[64] = "";

	*out = duoshm__backend_find(name);
	if (*out)
		return 0;
	for (const char *const *n = duoshm_backends(); *n; n++) {
		size_t used = strlen(names);

		snprintf(names + used, sizeof names - used, "%s%s", used ? " " : "", *n);
	}
	duoshm__fail(
		DUOSHM_ERR_NO_BACKEND, "there is no backend \"%.32s\"; built in: %s", name, names);
	return duoshm__set_cure("name one of: %s auto", names);
}

/*
 * 0, or as duoshm__object_try. One that is full, or whose names are taken, works, and says so where
 * it is used: where an object goes must not depend on the moment. That one works is kept: relaxed,
 * for two threads that try at once find the same.
 */
static int try_family(struct duoshm *ctx, unsigned index, struct duoshm_failure *why)
{
	if (atomic_load_explicit(&works[index], memory_order_relaxed))
		return 0;
	int result = duoshm__object_try(ctx, duoshm__backend_at(index), why);
	if (result == 0)
		atomic_store_explicit(&works[index], true, memory_order_relaxed);
	if (why->code == DUOSHM_ERR_LIMIT || why->code == DUOSHM_ERR_NO_SPACE ||
		why->code == DUOSHM_ERR_COLLISION)
		return 0;
	return result;
}

int duoshm__backend_prefer(struct duoshm *ctx, const struct duoshm__backend **out)
{
	char reasons[240] = "", reason[256];
	const struct duoshm__backend *backend;

	for (unsigned i = 0; i < FAMILIES_MAX && (backend = duoshm__backend_at(i)); i++) {
		struct duoshm_failure why = {0};
		size_t used = strlen(reasons);
		int result = try_family(ctx, i, &why);

		if (result == 0) {
			*out = backend;
			return 0;
		}
		if (why.code == 0)
			return result;
		duoshm__native_reason(&why, reason, sizeof reason);
		snprintf(reasons + used, sizeof reasons - used, "%s%s: %.100s", used ? "; " : "",
			backend->name, reason);
	}
	return duoshm__fail(DUOSHM_ERR_UNAVAILABLE, "no family works here: %s", reasons);
}

int duoshm_probe(const char *name, struct duoshm_facts *out)
{
	struct duoshm_facts facts = DUOSHM_FACTS_INIT;
	const struct duoshm__backend *backend;
	size_t size = duoshm__sized_room(out, offsetof(struct duoshm_facts, n_limits));

	if (!name || !size)
		return duoshm__fail(DUOSHM_ERR_INVALID,
			"duoshm_probe needs a name and a struct with its size set");
	int result = duoshm__backend_named(name, &backend);
	if (result < 0)
		return result;
	snprintf(facts.backend, sizeof facts.backend, "%s", backend->name);
	snprintf(facts.bell, sizeof facts.bell, "%s", backend->bell_call);
	facts.built = 1;
	backend->probe(&facts);
	duoshm__sized_give(out, size, &facts, sizeof facts);
	return 0;
}
