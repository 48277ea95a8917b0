/* SPDX-License-Identifier: MIT */
/*
 * The geometry of a queue or broadcast in its segment. The trap: the capacity that stands in shared memory is only
 * compared with the one that follows from the caller's figures, and never used.
 */
#include "config.h"

#include "queue/place.h"

#include "core/failure.h"
#include "queue/role_layout.h"

#include <string.h>

#define CAPACITY_MIN 256u

size_t duoshm__place_bytes(size_t header, size_t capacity)
{
	size_t rounded = CAPACITY_MIN;

	while (rounded < capacity) {
		if (rounded > SIZE_MAX / 2)
			return 0;
		rounded *= 2;
	}
	return rounded <= SIZE_MAX - header ? header + rounded : 0;
}

/* The largest power of two that fits; 0: not even the least. */
static uint64_t capacity_of(size_t room)
{
	size_t capacity = CAPACITY_MIN;

	if (room < capacity)
		return 0;
	while (capacity <= room / 2)
		capacity *= 2;
	return capacity;
}

int duoshm__place_find(const struct duoshm_segment *segment, size_t offset, size_t bytes,
	size_t header, bool writes, struct duoshm__place *out)
{
	int result = duoshm__object_check(segment);

	if (result != 0)
		return result;
	if (writes && segment->read_only)
		return duoshm__fail(DUOSHM_ERR_READ_ONLY, "the segment is attached read-only");
	if (offset % DUOSHM__LINE != 0 || offset > segment->size || bytes > segment->size - offset)
		return duoshm__fail(DUOSHM_ERR_INVALID,
			"%zu bytes at offset %zu of a segment of %zu bytes", bytes, offset,
			segment->size);
	uint64_t capacity = bytes < header ? 0 : capacity_of(bytes - header);
	if (capacity == 0)
		return duoshm__fail(DUOSHM_ERR_INVALID, "%zu bytes are too few, it takes %zu",
			bytes, header + CAPACITY_MIN);
	out->address = (unsigned char *)segment->payload + offset;
	out->capacity = capacity;
	return 0;
}

void duoshm__place_format(
	const struct duoshm__place *place, size_t header, uint64_t magic, uint32_t layout)
{
	struct duoshm__place_mark mark = {magic, layout, 0, place->capacity};

	memset(place->address, 0, header + 2 * sizeof(uint64_t));
	memcpy(place->address, &mark, sizeof(mark));
}

int duoshm__place_verify(
	const struct duoshm__place *place, uint64_t magic, uint32_t layout, const char *what)
{
	struct duoshm__place_mark mark;

	memcpy(&mark, place->address, sizeof(mark));
	if (mark.magic != magic)
		return duoshm__fail(DUOSHM_ERR_CORRUPT, "there is no %s at this place", what);
	if (mark.layout != layout)
		return duoshm__fail(DUOSHM_ERR_INCOMPATIBLE,
			"the %s has layout %u, this library %u", what, (unsigned)mark.layout,
			(unsigned)layout);
	if (mark.capacity != place->capacity)
		return duoshm__fail(DUOSHM_ERR_CORRUPT,
			"the %s says %llu bytes, there is room for %llu", what,
			(unsigned long long)mark.capacity, (unsigned long long)place->capacity);
	return 0;
}

int duoshm__place_bells(const struct duoshm_segment *segment, unsigned bells)
{
	if (bells == DUOSHM_NO_BELLS || segment->read_only)
		return 0;
	if (bells >= segment->n_bells || segment->n_bells - bells < 2)
		return duoshm__fail(DUOSHM_ERR_INVALID, "bells %u and %u of a segment that has %u",
			bells, bells + 1, segment->n_bells);
	return 0;
}
