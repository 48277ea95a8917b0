/* SPDX-License-Identifier: MIT */
/* Where in a segment a queue or broadcast lies, and how large its ring is. All figures are the caller's and the kernel's. */
#ifndef DUOSHM_QUEUE_PLACE_H
#define DUOSHM_QUEUE_PLACE_H

#include "core/object.h"
#include "queue/place_layout.h"

struct duoshm__place {
	void *address;
	uint64_t capacity; /* of the ring, a power of two */
};

/* Header and ring, the capacity rounded up; 0: more than an address can tell. */
size_t duoshm__place_bytes(size_t header, size_t capacity);
/* INVALID: misaligned, outside of the segment, too small; READ_ONLY when `writes`; FORKED. */
int duoshm__place_find(const struct duoshm_segment *segment, size_t offset, size_t bytes,
	size_t header, bool writes, struct duoshm__place *out);
/* Zeroes the header and the ring's first two words, and marks it. */
void duoshm__place_format(
	const struct duoshm__place *place, size_t header, uint64_t magic, uint32_t layout);
/* CORRUPT: nothing of the kind is there; INCOMPATIBLE: another layout. */
int duoshm__place_verify(
	const struct duoshm__place *place, uint64_t magic, uint32_t layout, const char *what);
/* INVALID unless `bells` is NO_BELLS or the first of two that the segment has, or it is read-only (and has none for us). */
int duoshm__place_bells(const struct duoshm_segment *segment, unsigned bells);

#endif
