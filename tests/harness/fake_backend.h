/* SPDX-License-Identifier: MIT */
/*
 * A family of kernel objects that is a table in shared, anonymous memory: the third backend, and
 * the one that does what it is told. It counts the native calls, fails the nth with a chosen error,
 * or kills the process at the nth; and it knows what is left. Processes forked after fake_begin
 * share it. A segment lies between pages that nobody may touch, up to the line before the second:
 * one line too far is a fault in any build.
 */
#ifndef DUOSHM_TESTS_FAKE_BACKEND_H
#define DUOSHM_TESTS_FAKE_BACKEND_H

#include "backends/backend.h"

#define FAKE_NAME "fake"

extern const struct duoshm__backend fake_backend;

/* An empty world, and the library's table leads to it under FAKE_NAME; until fake_end. */
void fake_begin(void);
void fake_end(void);

/* From now on calls count from 1. What is set holds for one call; 0 takes it back. */
void fake_fail(unsigned nth, int code);
enum fake_moment { FAKE_BEFORE, FAKE_AFTER };
void fake_kill(unsigned nth, enum fake_moment moment);
/* Calls since then; and which one was failed last: "create". */
unsigned fake_calls(void);
const char *fake_failed(void);

/* Kernel names that exist: segments and sets. */
unsigned fake_names(void);
/* Of this process: attachments and open sets that were not given back. */
int fake_attachments(void);
int fake_open_bells(void);

#endif
