/* SPDX-License-Identifier: MIT */
/*
 * What `compare bench` measures of a device's registers, while nobody writes them: one of them, and
 * many that are of one moment.
 */
#include "config.h"

#include "tools/bench.h"
#include "tools/bench_table.h"

#include <stdlib.h>
#include <string.h>

#define REGISTERS 1000

/* Reads `count` registers from `first`: from a device, or by plain loads. */
typedef int read_fn(void *from, unsigned first, unsigned count, struct duoshm_value *out);

static int by_device(void *from, unsigned first, unsigned count, struct duoshm_value *out)
{
	return duoshm_device_snapshot(from, first, count, out);
}

static int by_copy(void *from, unsigned first, unsigned count, struct duoshm_value *out)
{
	const struct duoshm_value *values = from;

	memcpy(out, &values[first], count * sizeof *out);
	return 0;
}

/* `each` at a time, until the clock is looked at after the last of them; and all are verified. */
static int read_all(
	struct bench_side *side, read_fn *read, void *from, unsigned registers, unsigned each)
{
	struct duoshm_value *out = tool_allocate(registers, sizeof *out);
	bool goes_on = true;
	int result = 0;

	bench_go(side);
	while (result == 0 && goes_on) {
		int64_t begin = tool_now();
		for (unsigned i = 0; result == 0 && i < registers; i += each)
			result = read(from, i, each, &out[i]);
		goes_on = bench_record(side, begin, tool_now(), registers / each);
		for (unsigned i = 0; result == 0 && i < registers; i++)
			if (out[i].integer != (int64_t)i)
				result = bench_failed(side, "register %u came wrong", i);
		memset(out, 0, registers * sizeof *out);
	}
	free(out);
	return result;
}

static int read_device(struct bench_side *side, unsigned registers, unsigned each)
{
	struct duoshm_segment *segment = NULL;
	struct duoshm_device *device = NULL;
	int result = bench_table_make(side->ctx, side->name, registers, &segment);

	if (result >= 0)
		result = duoshm_device_connect(side->ctx, side->name, 0, &device);
	if (result < 0)
		result = bench_refused(side, "device", result);
	else
		result = read_all(side, by_device, device, registers, each);
	(void)duoshm_device_disconnect(device);
	(void)duoshm_segment_close(segment);
	(void)duoshm_remove(side->ctx, side->name);
	return result;
}

static int read_memory(struct bench_side *side, unsigned registers, unsigned each)
{
	struct duoshm_value *values = side->memory;

	for (unsigned i = 0; i < registers; i++)
		values[i].integer = i;
	return read_all(side, by_copy, values, registers, each);
}

static int run_register(struct bench_side *side)
{
	return read_device(side, REGISTERS, 1);
}

static int floor_register(struct bench_side *side)
{
	return read_memory(side, REGISTERS, 1);
}

static int run_snapshot(struct bench_side *side)
{
	return read_device(side, (unsigned)side->of->count, (unsigned)side->of->count);
}

static int floor_snapshot(struct bench_side *side)
{
	return read_memory(side, (unsigned)side->of->count, (unsigned)side->of->count);
}

static const uint64_t counts[] = {10, 100, REGISTERS, BENCH_END};

const struct bench_test bench_register = {.name = "register",
	.title = "read a register",
	.unit = "read",
	.flags = BENCH_ALONE,
	.sides = 1,
	.run = run_register,
	.floor = floor_register};

const struct bench_test bench_snapshot = {.name = "snapshot",
	.title = "snapshot of registers",
	.unit = "snapshot",
	.flags = BENCH_ALONE,
	.counts = counts,
	.sides = 1,
	.run = run_snapshot,
	.floor = floor_snapshot};
