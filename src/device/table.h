/* SPDX-License-Identifier: MIT */
/*
 * The table of values that a device shows: two copies behind a latch.
 *
 * The writer changes one copy while readers use the other, then the other way round. So a reader
 * never sees half a value, a snapshot is of one moment, readers never hold up the writer, and a
 * writer that is stopped or killed in the middle never holds up a reader. (The technique is that of
 * Linux's seqcount_latch.)
 */
#ifndef DUOSHM_DEVICE_TABLE_H
#define DUOSHM_DEVICE_TABLE_H

#include "device/device_layout.h"

/* A row in private memory. */
struct duoshm__plain_row {
	uint64_t word[DUOSHM__ROW_WORDS];
};

/*
 * Writes those of `rows` rows that have dirty[i] set, all at one moment, and clears dirty. One
 * writer.
 */
void duoshm__table_write(struct duoshm__table *table, size_t rows,
	const struct duoshm__plain_row *from, unsigned char *dirty);
/* Copies `count` rows from `first`, all of one moment. 0, or BUSY after many overtaken tries. */
int duoshm__table_read(const struct duoshm__table *table, size_t rows, size_t first, size_t count,
	struct duoshm__plain_row *to);
/* The same as values of these types, checked: not an odd alarm, nor a text without an end. */
int duoshm__table_values(const struct duoshm__table *table, size_t rows, size_t first, size_t count,
	const unsigned char *types, struct duoshm_value *to);

void duoshm__row_encode(const struct duoshm_value *value, struct duoshm__plain_row *row);

#endif
