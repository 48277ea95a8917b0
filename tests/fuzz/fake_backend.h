/* SPDX-License-Identifier: MIT */
/*
 * A family of kernel objects that is a table in the process's own memory: nothing outlives the
 * process, and nobody else sees it. A segment ends at a page that nobody may touch, up to the line
 * before it, and begins behind another: one line too far is a fault in any build.
 */
#ifndef DUOSHM_TESTS_FAKE_BACKEND_H
#define DUOSHM_TESTS_FAKE_BACKEND_H

#define FAKE_NAME "fake"

/* From here on the library's table leads to it under FAKE_NAME. */
void fake_begin(void);

#endif
