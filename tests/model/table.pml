/* SPDX-License-Identifier: MIT */
/*
 * The latched table of registers, src/device/table.c: two copies of a row of two words. What is read
 * is of one moment, and never older than what was read before; a writer that was killed anywhere
 * holds up nobody.
 */
#define PROCS 2 /* writer, reader */
#define LATCH 4 /* words 0 to 3: copy 0, copy 1 */
#define WORDS 5
#define DEPTH 8
#include "c11.pml"

/* mutants */
#define LATCH_RELAXED   1 /* its store without release: before the other copy is complete */
#define NO_WRITE_FENCE  2 /* between the latch and the copy that it gives up */
#define READ_RELAXED    3 /* its load without acquire */
#define NO_READ_FENCE   4 /* between the copy and the second look at the latch */
#define NO_SECOND_LOOK  5

bool killed;

/* @ src/device/table.c duoshm__table_write */
inline write(me, value) {
	turn = 0;
	do
	:: turn == 2 -> break
	:: else ->
		latch++;
		store(me, LATCH, RIGHT(LATCH_RELAXED), latch); /* = duoshm__store32_release(&table->latch, ++latch) */
		BUT(NO_WRITE_FENCE, fence_release(me)); /* = atomic_thread_fence(memory_order_release) */
		at = (latch % 2 -> 0 : 2);
		store(me, at, RELAXED, value); /* = write_copy(table->row + (latch & 1 ? 0 : rows), rows, from, dirty) */
		store(me, at + 1, RELAXED, value);
		turn++
	od
}

/* @ src/device/table.c enter */
inline enter(me) {
	load(me, LATCH, RIGHT(READ_RELAXED), latch); /* = duoshm__load32_acquire(&table->latch) */
	at = (latch % 2 -> 2 : 0) /* = table->row + (*latch & 1 ? rows : 0) */
}

/* @ src/device/table.c stayed */
inline stayed(me) {
	BUT(NO_READ_FENCE, fence_acquire(me)); /* = atomic_thread_fence(memory_order_acquire) */
	load(me, LATCH, RELAXED, again) /* = duoshm__load32(&table->latch) == latch */
}

/* @ src/device/table.c duoshm__table_values */
inline read(me) {
	do
	:: enter(me); /* = enter(table, rows, &latch) */
		load(me, at, RELAXED, first); /* = copy_row(&from[r], &to[r], sizeof to[r]) */
		load(me, at + 1, RELAXED, second);
		stayed(me); /* = stayed(table, latch) */
		if
		:: again == latch || mutant == NO_SECOND_LOOK -> break
		:: else
		fi
	od
}

proctype writer(byte me) {
	byte latch, turn, at;

	{ write(me, 1); write(me, 2); write(me, 3) } unless { killed }
}

proctype reader(byte me) {
	byte latch, at, first, second, again, before, turns;

	do
	:: turns == 3 -> break
	:: else ->
		read(me);
		assert(first == second && first >= before);
		before = first;
		turns++
	od
}

init {
	atomic { TAKE_MUTANT; run writer(0); run reader(1) }
	if
	:: killed = true
	:: skip
	fi
}
