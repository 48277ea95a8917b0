/* SPDX-License-Identifier: MIT */
/*
 * What straight paths are made of: short functions that are compiled into their callers, and calls
 * of what is rare kept out of the way.
 */
#ifndef DUOSHM_CORE_FAST_H
#define DUOSHM_CORE_FAST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined __GNUC__
#define DUOSHM__RARE   __attribute__((noinline))
#define DUOSHM__INLINE inline __attribute__((always_inline))
#else
#define DUOSHM__RARE
#define DUOSHM__INLINE inline
#endif

/*
 * Messages in a row, without a wait between them, that make a flow: then it counts how many pass,
 * not how soon the next one is seen.
 */
#define DUOSHM__FLOW 16u

/*
 * Copying without a call, which would make the caller save its registers: for 8 to 64 bytes; two
 * or four moves, which overlap where the length is no power of two. Anything else is for memcpy,
 * which knows the machine.
 */
static DUOSHM__INLINE bool duoshm__is_short(size_t length)
{
	return length - 8 <= 56;
}
static DUOSHM__INLINE void duoshm__copy_short(void *to, const void *from, size_t length)
{
	unsigned char *out = to;
	const unsigned char *in = from;

	if (length == 8) {
		memcpy(out, in, 8);
	} else if (length <= 16) {
		memcpy(out, in, 8);
		memcpy(out + length - 8, in + length - 8, 8);
	} else if (length <= 32) {
		memcpy(out, in, 16);
		memcpy(out + length - 16, in + length - 16, 16);
	} else {
		memcpy(out, in, 32);
		memcpy(out + length - 32, in + length - 32, 32);
	}
}

/*
 * Copying of anything else, at the speed of memcpy; but for a trap that some processors have (AMD
 * Zen 3 and 4; glibc bug 30994): copied by "rep movsb", as memcpy does with long runs, bytes whose
 * place in a page is a few bytes behind their source's take 16 times as long. In pieces that are
 * too short for that it is 3 times. Messages in a ring come to lie so, sooner or later.
 */
#define DUOSHM__PIECE 2048u
static inline void duoshm__copy(void *to, const void *from, size_t length)
{
	unsigned char *out = to;
	const unsigned char *in = from;

	if (length > DUOSHM__PIECE && (((uintptr_t)out - (uintptr_t)in) & 4095) - 1 < 15) {
		for (; length > DUOSHM__PIECE; length -= DUOSHM__PIECE) {
			memcpy(out, in, DUOSHM__PIECE);
			out += DUOSHM__PIECE;
			in += DUOSHM__PIECE;
		}
	}
	if (length != 0)
		memcpy(out, in, length);
}

#endif
