/* SPDX-License-Identifier: MIT */
/*
 * What a fuzz target offers, and what it is given. Linked with clang's libFuzzer it is a fuzzer
 * (`make fuzz`), with driver.c alone a test: mutated seeds for a while, or the files that it is
 * given. Objects are the fake backend's: the library's own code, and nothing outlives the process.
 */
#ifndef DUOSHM_TESTS_FUZZ_H
#define DUOSHM_TESTS_FUZZ_H

#include "core/object.h"
#include "fuzz/fake_backend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FUZZ_ROOM 8192 /* bytes of the longest input */

/* ---- the target's ---- */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* The nth seed, its length; 0: there are no more. `to` is zeroed. */
size_t fuzz_seed(unsigned nth, uint8_t *to);

/* ---- driver.c ---- */

/* Of the fake backend, in a registry of the process's own; the same each time. */
struct duoshm *fuzz_context(void);
/* The input as a file. */
const char *fuzz_file(const uint8_t *data, size_t size);
/* What must hold, in any build. */
#define FUZZ_CHECK(condition) ((condition) ? (void)0 : abort())

/* Takes a part off an input; what is missing is 0. */
static inline void fuzz_take(const uint8_t **data, size_t *size, void *to, size_t length)
{
	size_t there = length < *size ? length : *size;

	memset(to, 0, length);
	memcpy(to, *data, there);
	*data += there;
	*size -= there;
}

#endif
