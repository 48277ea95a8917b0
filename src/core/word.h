/* SPDX-License-Identifier: MIT */
/*
 * Shared words: the only way to reach a word in shared memory that another process may change. A
 * word is loaded once into a local, the local is checked, and the local is used. Every access has
 * an explicit memory order in its name; the caller's comment says which two accesses it orders. No
 * system call here.
 *
 * A test build looks in at each access: before each write, and at each value that was read.
 */
#ifndef DUOSHM_CORE_WORD_H
#define DUOSHM_CORE_WORD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct duoshm__word32 {
	_Atomic uint32_t value;
};
struct duoshm__word64 {
	_Alignas(8) _Atomic uint64_t value;
};

_Static_assert(sizeof(struct duoshm__word32) == 4, "a shared word has the size of its value");
_Static_assert(sizeof(struct duoshm__word64) == 8, "a shared word has the size of its value");
_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "32-bit atomics must be lock-free");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "64-bit atomics must be lock-free");

#ifndef DUOSHM__WRITES
#define DUOSHM__WRITES(word)            ((void)0)
#define DUOSHM__READ(bits, word, value) (value)
#endif

#define DUOSHM__WORD(bits)                                                                         \
	static inline uint##bits##_t duoshm__load##bits(const struct duoshm__word##bits *w)        \
	{                                                                                          \
		return DUOSHM__READ(                                                               \
			bits, w, atomic_load_explicit(&w->value, memory_order_relaxed));           \
	}                                                                                          \
	static inline uint##bits##_t duoshm__load##bits##_acquire(                                 \
		const struct duoshm__word##bits *w)                                                \
	{                                                                                          \
		return DUOSHM__READ(                                                               \
			bits, w, atomic_load_explicit(&w->value, memory_order_acquire));           \
	}                                                                                          \
	static inline void duoshm__store##bits(struct duoshm__word##bits *w, uint##bits##_t v)     \
	{                                                                                          \
		DUOSHM__WRITES(w);                                                                 \
		atomic_store_explicit(&w->value, v, memory_order_relaxed);                         \
	}                                                                                          \
	static inline void duoshm__store##bits##_release(                                          \
		struct duoshm__word##bits *w, uint##bits##_t v)                                    \
	{                                                                                          \
		DUOSHM__WRITES(w);                                                                 \
		atomic_store_explicit(&w->value, v, memory_order_release);                         \
	}                                                                                          \
	/* acquires on success and on failure, releases on success; *expected as in C11 */         \
	static inline bool duoshm__cas##bits(                                                      \
		struct duoshm__word##bits *w, uint##bits##_t *expected, uint##bits##_t desired)    \
	{                                                                                          \
		DUOSHM__WRITES(w);                                                                 \
		if (atomic_compare_exchange_strong_explicit(&w->value, expected, desired,          \
			    memory_order_acq_rel, memory_order_acquire))                           \
			return true;                                                               \
		*expected = DUOSHM__READ(bits, w, *expected);                                      \
		return false;                                                                      \
	}                                                                                          \
	static inline uint##bits##_t duoshm__exchange##bits(                                       \
		struct duoshm__word##bits *w, uint##bits##_t v)                                    \
	{                                                                                          \
		DUOSHM__WRITES(w);                                                                 \
		return DUOSHM__READ(                                                               \
			bits, w, atomic_exchange_explicit(&w->value, v, memory_order_acq_rel));    \
	}                                                                                          \
	static inline uint##bits##_t duoshm__or##bits(                                             \
		struct duoshm__word##bits *w, uint##bits##_t v)                                    \
	{                                                                                          \
		DUOSHM__WRITES(w);                                                                 \
		return DUOSHM__READ(                                                               \
			bits, w, atomic_fetch_or_explicit(&w->value, v, memory_order_acq_rel));    \
	}

DUOSHM__WORD(32)
DUOSHM__WORD(64)

/*
 * Data that may change while it is copied, and are looked at only when it is known that they did
 * not, are copied by memcpy. ThreadSanitizer calls that a race: for it they are copied by words.
 */
#if defined __SANITIZE_THREAD__
#define DUOSHM__WORDWISE 1
#elif defined __has_feature
#define DUOSHM__WORDWISE __has_feature(thread_sanitizer)
#else
#define DUOSHM__WORDWISE 0
#endif

/* Tells the processor that this is a spin loop. */
static inline void duoshm__relax(void)
{
#if defined __GNUC__ && (defined __x86_64__ || defined __i386__)
	__builtin_ia32_pause();
#elif defined __GNUC__ && defined __aarch64__
	__asm__ __volatile__("yield");
#endif
}

#endif
