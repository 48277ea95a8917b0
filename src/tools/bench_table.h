/* SPDX-License-Identifier: MIT */
/* A device that nobody serves, for those who measure how its registers are read. */
#ifndef DUOSHM_TOOLS_BENCH_TABLE_H
#define DUOSHM_TOOLS_BENCH_TABLE_H

#include "duoshm/device.h"

/*
 * As duoshm_segment_create. It has `registers` registers; each one's value is its index. A client
 * connects to it as to any other device, and its owner is this process.
 */
int bench_table_make(
	struct duoshm *ctx, const char *name, unsigned registers, struct duoshm_segment **out);

#endif
