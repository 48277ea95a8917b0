/* SPDX-License-Identifier: MIT */
/*
 * The content of a lifeline file: a head, then slots of generations that grow into the sparse rest
 * of the file.
 *
 * Who writes what: only the process that the file stands for. The head is written before the file
 * gets its name, `used` grows later; a slot holds the generation of an attached object, or 0.
 * Readers take a copy by pread (a mapping of a file that its owner cuts short would be SIGBUS), and
 * believe nothing that they read.
 */
#ifndef DUOSHM_CORE_LIFELINE_LAYOUT_H
#define DUOSHM_CORE_LIFELINE_LAYOUT_H

#include "core/word.h"

#include <stddef.h>

#define DUOSHM__LIFE_MAGIC     0x316566696c647564u /* "dudlife1", little-endian */
#define DUOSHM__LIFE_LAYOUT    1u
#define DUOSHM__LIFE_FILE_SIZE 1048576u
#define DUOSHM__LIFE_SLOTS     ((DUOSHM__LIFE_FILE_SIZE - sizeof(struct duoshm__life_head)) / 8)
/*
 * A mapping holds the lock: it is free only when the process is dead, or another program by exec.
 */
#define DUOSHM__LIFE_MAPPED 0x1u

struct duoshm__life_head {
	uint64_t magic;
	uint32_t layout;
	uint32_t flags;
	int64_t pid;
	uint64_t start;
	uint64_t boot;
	struct duoshm__word32 used; /* slots from 0 on that may hold something */
	uint32_t spare_1;
	uint64_t spare_2[2];
};

_Static_assert(sizeof(struct duoshm__life_head) == 64, "the slots follow at 64");
_Static_assert(offsetof(struct duoshm__life_head, used) == 40, "part of the layout");
_Static_assert(DUOSHM__LIFE_SLOTS == 131064, "part of the layout");

#endif
