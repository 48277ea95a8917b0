/* SPDX-License-Identifier: MIT */
/*
 * The header at the start of every segment of ours; the payload follows at DUOSHM__HEADER_SIZE.
 *
 * It says what an opener compares with the registry entry, and no more: who made the object, when
 * and with which rights, the entry alone knows, which nobody but its owner can write.
 *
 * Who writes what: the creator fills the first lines while it holds the creation lock, `ready` last
 * (release); nobody writes them again. `removed` is set by who removes the object: it tells who has
 * the object attached, and proves nothing to anybody else, for a hostile attacher may set it too.
 * The statistics line is written by every read-write attacher, relaxed and unordered: it is shown,
 * never relied on.
 */
#ifndef DUOSHM_CORE_HEADER_LAYOUT_H
#define DUOSHM_CORE_HEADER_LAYOUT_H

#include "core/word.h"

#include <stddef.h>

#define DUOSHM__MAGIC       0x316d68736f756475u /* "uduoshm1", little-endian */
#define DUOSHM__LAYOUT      1u
#define DUOSHM__BYTE_ORDER  0x01020304u
#define DUOSHM__HEADER_SIZE 256u

struct duoshm__header {
	/* line 0: identity; creator */
	struct duoshm__word64 ready; /* DUOSHM__MAGIC once everything else is written */
	uint32_t layout;
	uint32_t byte_order;
	uint64_t generation;
	uint64_t size; /* payload bytes asked for */
	uint32_t kind;
	uint32_t bells;
	uint8_t spare_0[24];
	/* line 1: the full name, zero-padded; creator */
	char name[64];
	/* line 2: removal; the remover */
	struct duoshm__word32 removed;
	uint8_t spare_2[60];
	/* line 3: statistics; every read-write attacher */
	struct duoshm__word64 attached_ns;
	struct duoshm__word64 detached_ns;
	struct duoshm__word64 changed_ns;
	struct duoshm__word64 last_pid;
	uint8_t spare_3[32];
};

_Static_assert(
	sizeof(struct duoshm__header) == DUOSHM__HEADER_SIZE, "header size is part of the layout");
_Static_assert(offsetof(struct duoshm__header, name) == 64, "line 1");
_Static_assert(offsetof(struct duoshm__header, removed) == 128, "line 2");
_Static_assert(offsetof(struct duoshm__header, attached_ns) == 192, "line 3");

#endif
