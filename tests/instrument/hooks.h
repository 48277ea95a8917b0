/* SPDX-License-Identifier: MIT */
/*
 * Included before everything else in the test build of the library: what core/word.h does at each
 * access of a shared word. No header may be included here: config.h comes later, and says which of
 * the system's names are wanted.
 */
#ifndef DUOSHM_TESTS_HOOKS_H
#define DUOSHM_TESTS_HOOKS_H

void instrument_write(const volatile void *word, const char *access);
unsigned int instrument_read32(const volatile void *word, unsigned int value);
unsigned long long instrument_read64(const volatile void *word, unsigned long long value);

#define DUOSHM__WRITES(word)            instrument_write(word, __func__)
#define DUOSHM__READ(bits, word, value) instrument_read##bits(word, value)

#endif
