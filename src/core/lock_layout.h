/* SPDX-License-Identifier: MIT */
/*
 * A lock in shared memory that survives its holder: the payload of an object of kind LOCK, with one
 * bell.
 *
 * The word: the holder's lifeline id (51 bits), the number of the handle in that process (10 bits),
 * R: removed, D: a holder died and the data may be torn, S: somebody may sleep on the bell. Every
 * attacher changes it, by compare-and-swap; the remover sets R.
 *
 * The label says which process holds it: shown by stat, and a veto against a mistaken proof of
 * death. Only the holder writes it, right after it has taken the word; `label_of` is the owner part
 * of the word that the label belongs to, 0 while it is being written.
 */
#ifndef DUOSHM_CORE_LOCK_LAYOUT_H
#define DUOSHM_CORE_LOCK_LAYOUT_H

#include "core/lifeline.h"
#include "core/word.h"

#define DUOSHM__LOCK_SLEEPERS    UINT64_C(1)
#define DUOSHM__LOCK_DEAD        UINT64_C(2)
#define DUOSHM__LOCK_REMOVED     UINT64_C(4)
#define DUOSHM__LOCK_FLAGS       UINT64_C(7)
#define DUOSHM__LOCK_OWNER       (~DUOSHM__LOCK_FLAGS)
#define DUOSHM__LOCK_HANDLE_BITS 10
#define DUOSHM__LOCK_ID_SHIFT    (3 + DUOSHM__LOCK_HANDLE_BITS)

struct duoshm__lock {
	struct duoshm__word64 word;
	struct duoshm__word64 label_of;
	struct duoshm__word64 pid;
	struct duoshm__word64 start;
	struct duoshm__word64 boot;
	struct duoshm__word64 since_ns;
	uint8_t spare[16];
};

_Static_assert(sizeof(struct duoshm__lock) == 64, "one cache line");
_Static_assert(
	DUOSHM__LIFE_ID_BITS + DUOSHM__LOCK_ID_SHIFT == 64, "id, handle and flags fill the word");

struct duoshm__lock_label {
	struct duoshm__process process;
	int64_t since_ns;
};
/* core/lock.c: the label of the holder that `word` names; false: it is not (yet) that holder's. */
bool duoshm__lock_label(
	const struct duoshm__lock *lock, uint64_t word, struct duoshm__lock_label *out);

#endif
