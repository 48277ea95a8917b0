/* SPDX-License-Identifier: MIT */
/*
 * Contexts: a choice of family, a registry and a lifeline; and how a public name finds its family.
 *
 * The trap: a bare name in a context of family auto means an object, not a family. So a name is
 * looked for in the registry before a family is chosen for it, and an orphan never hides a living
 * object of the same name.
 */
#include "config.h"

#include "core/context.h"
#include "core/failure.h"
#include "core/process.h"
#include "core/sized.h"

#include <stdlib.h>
#include <string.h>

/* NULL for auto; NO_BACKEND. */
static int chosen_backend(const char *name, const struct duoshm__backend **out)
{
	const char *environment = getenv("DUOSHM_BACKEND");

	if (!name && environment && environment[0] != '\0')
		name = environment;
	if (!name)
		name = DUOSHM_DEFAULT_BACKEND;
	*out = NULL;
	return strcmp(name, "auto") == 0 ? 0 : duoshm__backend_named(name, out);
}

/* Without write permission to the registry there is no lifeline, and objects can only be read. */
static int fill(struct duoshm *ctx, const struct duoshm_options *options)
{
	int result = chosen_backend(options->backend, &ctx->backend);

	if (result < 0)
		return result;
	ctx->log = options->log;
	ctx->log_arg = options->log_arg;
	result = duoshm__process_init();
	if (result < 0)
		return result;
	ctx->forks = duoshm__forks();
	result = duoshm__registry_open(options->directory, &ctx->registry);
	if (result < 0)
		return result;
	result = duoshm__lifeline_open(ctx->registry.directory, &ctx->lifeline);
	if (result == DUOSHM_ERR_PERMISSION) {
		duoshm__log(ctx, DUOSHM_LOG_NOTICE, "%s: not writable, objects can only be read",
			ctx->registry.directory);
		return 0;
	}
	if (result < 0) {
		duoshm__registry_close(&ctx->registry);
		return duoshm__registry_fail(ctx->registry.directory);
	}
	return 0;
}

int duoshm_new(const struct duoshm_options *given, struct duoshm **out)
{
	struct duoshm_options options = DUOSHM_OPTIONS_INIT;
	if (!out)
		return duoshm__fail(DUOSHM_ERR_INVALID, "duoshm_new: no place for the result");
	if (given && !duoshm__sized_take(given, &options, sizeof options))
		return duoshm__fail(DUOSHM_ERR_INVALID,
			"duoshm_new: the options were not made with DUOSHM_OPTIONS_INIT, or ask "
			"for something that this version does not know");
	struct duoshm *ctx = calloc(1, sizeof *ctx);
	if (!ctx)
		return duoshm__fail(DUOSHM_ERR_NO_SPACE, "no memory for a context");
	int result = fill(ctx, &options);
	if (result == 0)
		*out = ctx;
	else
		free(ctx);
	return result;
}

int duoshm_free(struct duoshm *ctx)
{
	if (!ctx)
		return 0;
	unsigned handles = atomic_load_explicit(&ctx->handles, memory_order_acquire);
	if (handles > 0)
		return duoshm__fail(
			DUOSHM_ERR_BUSY, "%u handles of this context are still open", handles);
	bool forked = ctx->forks != duoshm__forks();
	duoshm__lifeline_close(ctx->lifeline);
	/* In a child the at-fork handler closed the copy; the number may be another's by now. */
	if (!forked)
		duoshm__registry_close(&ctx->registry);
	free(ctx);
	if (forked)
		return duoshm__fail(DUOSHM_ERR_FORKED, "the context was made by the parent "
						       "process; its memory in this one is freed");
	return 0;
}

const char *duoshm_backend(const struct duoshm *ctx)
{
	return ctx && ctx->backend ? ctx->backend->name : "auto";
}

const char *duoshm_directory(const struct duoshm *ctx)
{
	return ctx ? ctx->registry.directory : "";
}

int duoshm__context_check(const struct duoshm *ctx)
{
	if (!ctx)
		return duoshm__fail(DUOSHM_ERR_INVALID, "the context is NULL");
	if (ctx->forks != duoshm__forks()) {
		duoshm__fail(DUOSHM_ERR_FORKED, "the context was made by the parent process");
		return duoshm__set_cure("make a context of its own in the child with duoshm_new");
	}
	return 0;
}

/* The one family that is asked for, or NULL: any. */
static int asked_for(const struct duoshm *ctx, const struct duoshm__name *name,
	const struct duoshm__backend **out)
{
	*out = ctx->backend;
	return name->backend[0] == '\0' ? 0 : duoshm__backend_named(name->backend, out);
}

bool duoshm__context_orphaned(const struct duoshm *ctx, const struct duoshm__entry *entry)
{
	return entry->removing ||
	       (!entry->persistent && duoshm__life_of(ctx->registry.directory, entry->owner,
					      &entry->creator) == DUOSHM__DEAD);
}

/*
 * The words of an absent object; another family that has the name is told, be it built in or not.
 */
static int absent(struct duoshm *ctx, const char *name, const struct duoshm__backend *asked)
{
	const char *family, *of = asked ? asked->name : "";
	struct duoshm__entry entry;

	for (unsigned i = 0; (family = duoshm__family_at(i)); i++) {
		/* Of any family: one that is built was asked, and has it since then at the most. */
		if (strcmp(family, of) == 0 || (!asked && duoshm__backend_find(family)) ||
			duoshm__entry_read(&ctx->registry, name, family, &entry) != 0)
			continue;
		if (!duoshm__backend_find(family))
			return duoshm__fail(DUOSHM_ERR_OTHER_BACKEND,
				"\"%s:%s\" exists (creator: process %lld), but this build has no "
				"%s",
				family, name, (long long)entry.creator.pid, family);
		duoshm__fail(DUOSHM_ERR_OTHER_BACKEND,
			"there is no %s object \"%s\"; \"%s:%s\" exists (creator: process %lld)",
			of, name, family, name, (long long)entry.creator.pid);
		return duoshm__set_cure("open \"%s:%s\", or use the backend auto", family, name);
	}
	return duoshm__fail(DUOSHM_ERR_NOT_FOUND, "there is no %s%sobject \"%s\" in %s", of,
		asked ? " " : "", name, ctx->registry.directory);
}

/* Any family: the first that has the name, unless only a later one's object lives. */
static int find_anywhere(struct duoshm *ctx, const char *name,
	const struct duoshm__backend **backend, struct duoshm__entry *entry)
{
	const struct duoshm__backend *family;
	int found = DUOSHM_ERR_NOT_FOUND;

	for (unsigned i = 0; (family = duoshm__backend_at(i)); i++) {
		struct duoshm__entry other;
		int result = duoshm__entry_read(&ctx->registry, name, family->name, &other);

		if (result == DUOSHM_ERR_NOT_FOUND)
			continue;
		if (found == 0 && (result < 0 || !duoshm__context_orphaned(ctx, entry) ||
					  duoshm__context_orphaned(ctx, &other)))
			continue;
		found = result;
		*backend = family;
		*entry = other;
	}
	return found == DUOSHM_ERR_NOT_FOUND ? absent(ctx, name, NULL) : found;
}

int duoshm__context_find(struct duoshm *ctx, const struct duoshm__name *name,
	const struct duoshm__backend **backend, struct duoshm__entry *entry)
{
	const struct duoshm__backend *asked;
	int result = asked_for(ctx, name, &asked);

	if (result < 0)
		return result;
	if (!asked)
		return find_anywhere(ctx, name->text, backend, entry);
	*backend = asked;
	result = duoshm__entry_read(&ctx->registry, name->text, asked->name, entry);
	return result == DUOSHM_ERR_NOT_FOUND ? absent(ctx, name->text, asked) : result;
}

int duoshm__context_choose(
	struct duoshm *ctx, const struct duoshm__name *name, const struct duoshm__backend **out)
{
	struct duoshm__entry entry = {0};
	const struct duoshm__backend *asked;
	int result = asked_for(ctx, name, &asked);

	if (result < 0)
		return result;
	if (!asked)
		find_anywhere(ctx, name->text, &asked, &entry);
	if (!asked)
		return duoshm__backend_prefer(ctx, out);
	*out = asked;
	return 0;
}
