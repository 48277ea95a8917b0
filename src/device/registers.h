/* SPDX-License-Identifier: MIT */
/*
 * The device's own side of its registers: descriptions and values in private memory, shown to the clients by
 * one write of the table. What a write means to the device (a period, a rate) is the server's matter.
 */
#ifndef DUOSHM_DEVICE_REGISTERS_H
#define DUOSHM_DEVICE_REGISTERS_H

#include "device/table.h"

struct duoshm__registers {
	unsigned count, room;
	struct duoshm_register *about;
	struct duoshm_value *value;
	struct duoshm__plain_row *row; /* count + DUOSHM__EXTRA_ROWS of them, when sealed */
	unsigned char *dirty;
};

void duoshm__registers_free(struct duoshm__registers *registers);
/* Its index; INVALID: the name is taken, or there are too many. The value is "never set". */
int duoshm__registers_add(struct duoshm__registers *registers, const struct duoshm_register *about);
/* After the last one: makes the rows. */
int duoshm__registers_seal(struct duoshm__registers *registers);
/* Without regard to case; NOT_FOUND. */
int duoshm__registers_find(const struct duoshm__registers *registers, const char *name);

/* Each sets value, alarm, sequence and time stamps. */
void duoshm__registers_real(struct duoshm__registers *registers, unsigned index, double value,
	int64_t raw, int64_t t_sample_ns, int64_t t_update_ns);
void duoshm__registers_integer(
	struct duoshm__registers *registers, unsigned index, int64_t value, int64_t now_ns);
void duoshm__registers_value(struct duoshm__registers *registers, unsigned index,
	const struct duoshm_value *value, int64_t now_ns);

/* Text to a value of the register's type and within its limits; INVALID, with a cause that names the register. */
int duoshm__value_parse(
	const struct duoshm_register *about, const char *text, struct duoshm_value *out);
/* "0.587 V" */
void duoshm__value_text(const struct duoshm_register *about, const struct duoshm_value *value,
	char *text, size_t size);

/* The rows after the registers; marks them as changed. */
void duoshm__registers_status(
	struct duoshm__registers *registers, const uint64_t word[DUOSHM__ROW_WORDS]);
void duoshm__registers_signal(struct duoshm__registers *registers, const char *text);
/* Writes what changed into the table. */
void duoshm__registers_show(struct duoshm__registers *registers, struct duoshm__table *table);
/* Writes the descriptions into the object. */
void duoshm__registers_describe(
	const struct duoshm__registers *registers, struct duoshm__description *to);

#endif
