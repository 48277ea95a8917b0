/* SPDX-License-Identifier: MIT */
/*
 * Random bits from the kernel: generations and lifeline ids, which nobody can guess or meet twice.
 */
#ifndef DUOSHM_CORE_RANDOM_H
#define DUOSHM_CORE_RANDOM_H

#include <stdint.h>

/* 1 to 64 bits, never 0. SYSTEM where the kernel has none to give. */
int duoshm__random(unsigned bits, uint64_t *out);

#endif
