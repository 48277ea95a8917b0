/* SPDX-License-Identifier: MIT */
/*
 * The public segment: an object whose payload is the caller's. The life cycle is object_*.c's; the
 * bells are bell.c's. Here is what only segments have: kinds of the device layer, publishing, and
 * memory that this library did not make.
 */
#include "config.h"

#include "core/failure.h"
#include "core/object.h"
#include "core/sized.h"

#include <stdio.h>
#include <string.h>

int duoshm_segment_create(struct duoshm *ctx, const char *name, size_t size,
	const struct duoshm_create *options, struct duoshm_segment **out)
{
	struct duoshm_create known = DUOSHM_CREATE_INIT;
	struct duoshm__recipe recipe = {.size = size};

	if (options && !duoshm__sized_take(options, &known, sizeof known))
		return duoshm__fail(DUOSHM_ERR_INVALID,
			"segment_create: options not made with DUOSHM_CREATE_INIT");
	recipe.kind = known.kind;
	recipe.bells = known.bells;
	if (known.kind != DUOSHM_KIND_SEGMENT && known.kind != DUOSHM_KIND_DEVICE &&
		known.kind != DUOSHM_KIND_LANE)
		return duoshm__fail(DUOSHM_ERR_INVALID,
			"segment_create: kind %d (%s) is no segment", known.kind,
			duoshm_kind_name(known.kind));
	return duoshm__object_create(ctx, name, &recipe, &known, out);
}

int duoshm_segment_publish(struct duoshm_segment *segment)
{
	int result = duoshm__object_check(segment);

	return result < 0 ? result : duoshm__object_publish(segment);
}

int duoshm_segment_open(struct duoshm *ctx, const char *name, unsigned flags, int64_t timeout_ns,
	struct duoshm_segment **out)
{
	int kind = flags & DUOSHM_ANY_KIND ? DUOSHM_KIND_ANY : DUOSHM_KIND_SEGMENT;

	return duoshm__object_open(ctx, name, kind, 1, flags, timeout_ns, out);
}

/* ---- adopted memory ---- */

/* FAMILY:NATIVE; without a family, the context's. What NATIVE looks like is the family's affair. */
static int parse_native(const struct duoshm *ctx, const char *text,
	const struct duoshm__backend **backend, const char **native)
{
	const char *colon = text ? strchr(text, ':') : NULL;
	char family[8] = "";

	*backend = ctx->backend;
	*native = text;
	if (colon && (size_t)(colon - text) < sizeof family) {
		memcpy(family, text, (size_t)(colon - text));
		if (!*backend || duoshm__backend_find(family) || strcmp(family, "id") != 0) {
			int result = duoshm__backend_named(family, backend);
			if (result < 0)
				return result;
			*native = colon + 1;
		}
	}
	if (*backend && text && **native != '\0' && strlen(*native) < DUOSHM__NATIVE_SIZE)
		return 0;
	duoshm__fail(DUOSHM_ERR_NAME, "\"%.80s\" does not name a segment of the kernel's",
		text ? *native : "");
	return duoshm__set_cure("write FAMILY:NAME, FAMILY:0xKEY or FAMILY:id:NUMBER");
}

static int attach_raw(struct duoshm_segment *segment, const char *native)
{
	struct duoshm__entry *entry = &segment->entry;
	struct duoshm_failure why = {0};

	duoshm__entry_init(entry, native, segment->backend->name);
	snprintf(entry->native.text, sizeof entry->native.text, "%s", native);
	int result =
		segment->backend->attach(&entry->native, segment->read_only, &segment->map, &why);
	if (result < 0)
		return duoshm__fail_native(&why);
	entry->kind = DUOSHM_KIND_SEGMENT;
	entry->size = segment->map.length;
	segment->payload = segment->map.address;
	return 0;
}

int duoshm_segment_adopt(
	struct duoshm *ctx, const char *text, unsigned flags, struct duoshm_segment **out)
{
	const struct duoshm__backend *backend;
	const char *native;
	int result = duoshm__context_check(ctx);

	if (result < 0)
		return result;
	if (!out || (flags & ~DUOSHM_READ_ONLY))
		return duoshm__fail(DUOSHM_ERR_INVALID,
			"adopt: flags 0x%x, of which READ_ONLY is known", flags);
	result = parse_native(ctx, text, &backend, &native);
	if (result < 0)
		return result;
	struct duoshm_segment *segment = duoshm__object_new(ctx, backend);
	if (!segment)
		return DUOSHM_ERR_NO_SPACE;
	segment->read_only = (flags & DUOSHM_READ_ONLY) != 0;
	result = attach_raw(segment, native);
	if (result == 0)
		*out = segment;
	else
		duoshm__object_discard(segment);
	return result;
}

/* ---- what a handle tells ---- */

void *duoshm_segment_data(const struct duoshm_segment *segment)
{
	return duoshm__object_check(segment) == 0 ? segment->payload : NULL;
}

size_t duoshm_segment_size(const struct duoshm_segment *segment)
{
	return segment ? (size_t)segment->entry.size : 0;
}

const char *duoshm_segment_name(const struct duoshm_segment *segment)
{
	if (!segment)
		return "";
	return segment->header ? segment->entry.name : segment->entry.native.text;
}

const char *duoshm_segment_backend(const struct duoshm_segment *segment)
{
	return segment ? segment->backend->name : "";
}

int duoshm_segment_kind(const struct duoshm_segment *segment)
{
	int result = duoshm__object_check(segment);

	return result < 0 ? result : segment->entry.kind;
}

int duoshm_segment_removed(const struct duoshm_segment *segment)
{
	int result = duoshm__object_check(segment);

	if (result < 0)
		return result;
	return duoshm__object_removed(segment) || duoshm__object_gone(segment);
}

int duoshm_segment_owner_alive(const struct duoshm_segment *segment)
{
	int result = duoshm__object_check(segment);

	if (result < 0)
		return result;
	if (!segment->header)
		return duoshm__fail(DUOSHM_ERR_UNSUPPORTED,
			"%s was not made by this library: nobody knows its owner",
			segment->entry.native.text);
	switch (duoshm__object_life(segment, segment->entry.owner, &segment->entry.creator)) {
	case DUOSHM__ALIVE: return 1;
	case DUOSHM__DEAD: return 0;
	case DUOSHM__UNPROVEN: break;
	}
	return duoshm__fail(DUOSHM_ERR_UNSUPPORTED, "whether process %lld lives cannot be proven",
		(long long)segment->entry.creator.pid);
}

int duoshm_segment_close(struct duoshm_segment *segment)
{
	return duoshm__object_close(segment);
}
