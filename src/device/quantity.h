/* SPDX-License-Identifier: MIT */
/* Numbers with units, as people write them: "250us", "20 ms", "10Hz", "5mV", "1k", "0.25". */
#ifndef DUOSHM_DEVICE_QUANTITY_H
#define DUOSHM_DEVICE_QUANTITY_H

#include <stddef.h>
#include <stdint.h>

/*
 * A finite number, in `unit` where the text names none. A prefix of the unit (p n u m k M G)
 * counts; k, M and G also without the unit. 0, or INVALID with a cause.
 */
int duoshm__quantity(const char *text, const char *unit, double *out);
/* 0, or INVALID: "0 s is no period between 1e-09 and 1e+09 s". */
int duoshm__between(const char *what, double value, double low, double high, const char *unit);
/* A whole number, decimal or 0x. */
int duoshm__whole(const char *text, int64_t low, int64_t high, int64_t *out);
/* "on", "off", "true", "false", "yes", "no", "1", "0". */
int duoshm__truth(const char *text, int64_t *out);

#endif
