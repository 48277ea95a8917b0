/* SPDX-License-Identifier: MIT */
/*
 * The device's own side of its registers: descriptions and values in private memory, shown to the
 * clients by one write of the table. What a write means to the device (a period, a rate) is the
 * server's matter.
 */
#ifndef DUOSHM_DEVICE_REGISTERS_H
#define DUOSHM_DEVICE_REGISTERS_H

#include "device/table.h"

struct duoshm__registers {
	unsigned count;
	struct duoshm_register about[DUOSHM_REGISTERS_MAX];
	struct duoshm_value value[DUOSHM_REGISTERS_MAX];
	/* as clients see them: count + DUOSHM__EXTRA_ROWS */
	struct duoshm__plain_row row[DUOSHM_REGISTERS_MAX + DUOSHM__EXTRA_ROWS];
	unsigned char dirty[DUOSHM_REGISTERS_MAX + DUOSHM__EXTRA_ROWS];
};

/* What a register is where nothing is said: real, read-only, without limits and alarms (NAN). */
extern const struct duoshm_register duoshm__register_plain;

/* Its index; INVALID: the name is taken, or there are too many. The value is "never set". */
int duoshm__registers_add(struct duoshm__registers *registers, const struct duoshm_register *about);
/* Without regard to case; NOT_FOUND. */
int duoshm__registers_find(const struct duoshm__registers *registers, const char *name);

/* Each sets value, alarm, sequence and time stamps. A real one's integer is its raw count. */
void duoshm__registers_number(struct duoshm__registers *registers, unsigned index, double real,
	int64_t integer, int64_t t_sample_ns, int64_t t_update_ns);
void duoshm__registers_value(struct duoshm__registers *registers, unsigned index,
	const struct duoshm_value *value, int64_t now_ns);

/* Text to a value of the register's type and within its limits; INVALID. */
int duoshm__value_parse(
	const struct duoshm_register *about, const char *text, struct duoshm_value *out);
/* "0.587 V" */
void duoshm__value_text(const struct duoshm_register *about, const struct duoshm_value *value,
	char *text, size_t size);

/* The words of a row after the registers, to be changed; only when all registers are there. */
uint64_t *duoshm__registers_extra(struct duoshm__registers *registers, unsigned which);
/* Writes what changed into the table. */
void duoshm__registers_show(struct duoshm__registers *registers, struct duoshm__table *table);

#endif
