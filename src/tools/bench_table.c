/* SPDX-License-Identifier: MIT */
/*
 * A device's object and nothing behind it; device_layout.h says what is where. Its values never
 * change: what reading takes when nobody writes.
 */
#include "config.h"

#include "tools/bench_table.h"

#include "device/table.h"

#include <string.h>

static void lay_out(struct duoshm__device_header *head, unsigned registers)
{
	*head = (struct duoshm__device_header){.magic = DUOSHM__DEVICE_MAGIC,
		.layout = DUOSHM__DEVICE_LAYOUT,
		.registers = registers,
		.format = {.channels = 1, .bits = 10, .sample_type = DUOSHM_SAMPLE_INT32}};
	head->descriptions_at = duoshm__line_up(sizeof *head);
	head->table_at = duoshm__line_up(
		(size_t)head->descriptions_at + registers * sizeof(struct duoshm_register));
	head->stream_at = duoshm__line_up((size_t)head->table_at + duoshm__table_bytes(registers));
}

/* The second copy of the table is never looked at, for the latch stays where it is. */
static void fill(const struct duoshm__device_header *head, char *payload)
{
	struct duoshm__table *table = (void *)(payload + head->table_at);
	struct duoshm_register about = {.name = "R", .type = DUOSHM_TYPE_INTEGER};

	memcpy(payload, head, sizeof *head);
	for (unsigned i = 0; i < head->registers; i++) {
		struct duoshm_value value = {.type = about.type, .integer = i};

		memcpy(payload + head->descriptions_at + i * sizeof about, &about, sizeof about);
		memcpy(&table->row[i], &value, sizeof value);
	}
}

int bench_table_make(
	struct duoshm *ctx, const char *name, unsigned registers, struct duoshm_segment **out)
{
	struct duoshm_create options = DUOSHM_CREATE_INIT;
	struct duoshm__device_header head;

	lay_out(&head, registers);
	options.kind = DUOSHM_KIND_DEVICE;
	options.flags = DUOSHM_UNPUBLISHED;
	int result = duoshm_segment_create(ctx, name, (size_t)head.stream_at, &options, out);
	if (result < 0)
		return result;
	fill(&head, duoshm_segment_data(*out));
	return duoshm_segment_publish(*out);
}
