/* SPDX-License-Identifier: MIT */
/* The last failure of the calling thread (duoshm_failure), and the log hook. */
#ifndef DUOSHM_CORE_FAILURE_H
#define DUOSHM_CORE_FAILURE_H

#include "duoshm.h"

/* Cold: what leads to a failure stands out of the straight path. */
#if defined __GNUC__
#define DUOSHM__PRINTF(a, b) __attribute__((cold, format(printf, a, b)))
#else
#define DUOSHM__PRINTF(a, b)
#endif

/* Each records and returns `code`. */
int duoshm__fail(int code, const char *cause, ...) DUOSHM__PRINTF(2, 3);
/*
 * With errno and a native call: fail_call(code, errno, "open(\"%s\")", path). code 0:
 * duoshm__code_of_errno's.
 */
int duoshm__fail_call(int code, int system_error, const char *call, ...) DUOSHM__PRINTF(3, 4);
/* What a backend filled in. */
int duoshm__fail_native(const struct duoshm_failure *why);
/* Each replaces words of the record just made, and returns its code. */
int duoshm__set_cause(const char *format, ...) DUOSHM__PRINTF(1, 2);
int duoshm__set_cure(const char *format, ...) DUOSHM__PRINTF(1, 2);
/*
 * The library's code for an errno of a file-system call: PERMISSION, NO_SPACE, LIMIT, NOT_FOUND,
 * SYSTEM.
 */
int duoshm__code_of_errno(int system_error);

/* Log once, where it is decided. ctx may be NULL (then nothing happens). */
void duoshm__log(const struct duoshm *ctx, int level, const char *format, ...) DUOSHM__PRINTF(3, 4);

#endif
