/* SPDX-License-Identifier: MIT */
/*
 * The latched table. With the latch even, copy 0 is stable and copy 1 may be under the writer's
 * hand; with the latch odd it is the other way round. The trap: a reader must prove, after it has
 * copied, that the latch did not move.
 */
#include "config.h"

#include "device/table.h"

#include "core/failure.h"

#include <string.h>

#define TRIES 100000

static void write_copy(struct duoshm__row *copy, size_t rows, const struct duoshm__plain_row *from,
	const unsigned char *dirty)
{
	for (size_t i = 0; i < rows; i++)
		for (size_t w = 0; dirty[i] && w < DUOSHM__ROW_WORDS; w++)
			duoshm__store64(&copy[i].word[w], from[i].word[w]);
}

void duoshm__table_write(struct duoshm__table *table, size_t rows,
	const struct duoshm__plain_row *from, unsigned char *dirty)
{
	uint32_t latch = duoshm__load32(&table->latch); /* ours alone to change */

	for (unsigned turn = 0; turn < 2; turn++) {
		/*
		 * Release: the other copy, written last, before the latch that sends readers to it.
		 */
		duoshm__store32_release(&table->latch, ++latch);
		/*
		 * Release: the latch before the words of this copy; pairs with the reader's fence.
		 */
		atomic_thread_fence(memory_order_release);
		write_copy(table->row + (latch & 1 ? 0 : rows), rows, from, dirty);
	}
	memset(dirty, 0, rows);
}

int duoshm__table_read(const struct duoshm__table *table, size_t rows, size_t first, size_t count,
	struct duoshm__plain_row *to)
{
	for (unsigned i = 0; i < TRIES; i++) {
		/* Acquire: the latch before the words of the copy that it points to. */
		uint32_t latch = duoshm__load32_acquire(&table->latch);
		const struct duoshm__row *from = table->row + (latch & 1 ? rows : 0) + first;

		for (size_t r = 0; r < count; r++)
			for (size_t w = 0; w < DUOSHM__ROW_WORDS; w++)
				to[r].word[w] = duoshm__load64(&from[r].word[w]);
		/*
		 * Acquire: the words before the second look at the latch; pairs with the writer's
		 * fence.
		 */
		atomic_thread_fence(memory_order_acquire);
		if (duoshm__load32(&table->latch) == latch)
			return 0;
		duoshm__relax();
	}
	return duoshm__fail(DUOSHM_ERR_BUSY, "the registers change faster than they can be read");
}

void duoshm__row_encode(const struct duoshm_value *value, struct duoshm__plain_row *row)
{
	memset(row, 0, sizeof *row);
	memcpy(row->word, value, sizeof *value);
}

void duoshm__row_decode(const struct duoshm__plain_row *row, int type, struct duoshm_value *out)
{
	memcpy(out, row->word, sizeof *out);
	out->type = type;
	out->severity &= 3;
	out->alarm &= 7;
	out->text[sizeof out->text - 1] = '\0';
}
