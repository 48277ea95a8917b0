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

void duoshm__row_encode(const struct duoshm_value *value, struct duoshm__plain_row *row)
{
	memset(row, 0, sizeof *row);
	memcpy(row->word, value, sizeof *value);
}

/* ---- reading ---- */

/* The copy that is stable while the latch is as it was found. */
static const struct duoshm__row *enter(
	const struct duoshm__table *table, size_t rows, uint32_t *latch)
{
	/* Acquire: the latch before the words of the copy that it points to. */
	*latch = duoshm__load32_acquire(&table->latch);
	return table->row + (*latch & 1 ? rows : 0);
}

static bool stayed(const struct duoshm__table *table, uint32_t latch)
{
	/*
	 * Acquire: the words before the second look at the latch; pairs with the writer's
	 * fence.
	 */
	atomic_thread_fence(memory_order_acquire);
	return duoshm__load32(&table->latch) == latch;
}

/* Its first bytes, whole words; they may be changing. */
static inline void copy_row(const struct duoshm__row *from, void *to, size_t bytes)
{
	unsigned char *at = to;

	for (size_t w = 0; DUOSHM__WORDWISE && w < bytes / sizeof(uint64_t); w++) {
		uint64_t word = duoshm__load64(&from->word[w]);
		memcpy(at + w * sizeof word, &word, sizeof word);
	}
	if (!DUOSHM__WORDWISE)
		memcpy(to, from, bytes);
}

static int fail_busy(void)
{
	return duoshm__fail(DUOSHM_ERR_BUSY, "the registers change faster than they can be read");
}

int duoshm__table_read(const struct duoshm__table *table, size_t rows, size_t first, size_t count,
	struct duoshm__plain_row *to)
{
	for (unsigned i = 0; i < TRIES; i++) {
		uint32_t latch;
		const struct duoshm__row *from = enter(table, rows, &latch) + first;

		for (size_t r = 0; r < count; r++)
			copy_row(&from[r], &to[r], sizeof to[r]);
		if (stayed(table, latch))
			return 0;
		duoshm__relax();
	}
	return fail_busy();
}

/* What another process wrote may be anything. */
static inline void check_value(struct duoshm_value *value, int type)
{
	value->type = type;
	value->severity &= 3;
	value->alarm &= 7;
	value->text[sizeof value->text - 1] = '\0';
}

int duoshm__table_values(const struct duoshm__table *table, size_t rows, size_t first, size_t count,
	const unsigned char *types, struct duoshm_value *to)
{
	for (unsigned i = 0; i < TRIES; i++) {
		uint32_t latch;
		const struct duoshm__row *from = enter(table, rows, &latch) + first;

		/* Each is checked while it is at hand. */
		for (size_t r = 0; r < count; r++) {
			copy_row(&from[r], &to[r], sizeof to[r]);
			check_value(&to[r], types[r]);
		}
		if (stayed(table, latch))
			return 0;
		duoshm__relax();
	}
	return fail_busy();
}
