/* SPDX-License-Identifier: MIT */
/*
 * The header at the start of every segment of ours; the payload follows at DUOSHM__HEADER_SIZE.
 *
 * Who writes what: the creator fills the first lines while it holds the creation lock, `ready` last (release);
 * nobody writes them again. `removed` is set by who removes the object. The statistics line is written by every
 * read-write attacher, relaxed and unordered: it is shown, never relied on.
 */
#ifndef DUOSHM_CORE_HEADER_LAYOUT_H
#define DUOSHM_CORE_HEADER_LAYOUT_H

#include "core/word.h"

#include <stddef.h>

#define DUOSHM__MAGIC       0x316d68736f756475u /* "uduoshm1", little-endian */
#define DUOSHM__LAYOUT      1u
#define DUOSHM__BYTE_ORDER  0x01020304u
#define DUOSHM__HEADER_SIZE 512u

struct duoshm__header {
	/* line 0: identity; creator */
	struct duoshm__word64 ready; /* DUOSHM__MAGIC once everything else is written */
	uint32_t layout;
	uint32_t byte_order;
	uint64_t generation;
	uint64_t size; /* payload bytes asked for */
	uint64_t owner;
	int64_t creator_pid;
	uint64_t creator_start;
	uint64_t creator_boot;
	/* line 1: the rest of it; creator */
	int64_t created_ns;
	uint32_t kind;
	uint32_t bells;
	uint32_t persistent;
	uint32_t reserved;
	uint32_t mode;
	uint32_t uid;
	uint32_t gid;
	uint32_t spare_1;
	uint8_t spare_2[24];
	/* line 2: the full name, zero-padded; creator */
	char name[64];
	/* line 3: removal; the remover */
	struct duoshm__word32 removed;
	uint8_t spare_3[60];
	/* line 4: statistics; every read-write attacher */
	struct duoshm__word64 attached_ns;
	struct duoshm__word64 detached_ns;
	struct duoshm__word64 changed_ns;
	struct duoshm__word64 last_pid;
	uint8_t spare_4[32];
	uint8_t spare_5[192];
};

_Static_assert(
	sizeof(struct duoshm__header) == DUOSHM__HEADER_SIZE, "header size is part of the layout");
_Static_assert(offsetof(struct duoshm__header, created_ns) == 64, "line 1");
_Static_assert(offsetof(struct duoshm__header, name) == 128, "line 2");
_Static_assert(offsetof(struct duoshm__header, removed) == 192, "line 3");
_Static_assert(offsetof(struct duoshm__header, attached_ns) == 256, "line 4");

#endif
