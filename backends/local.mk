# SPDX-License-Identifier: MIT
# One folder per kernel family; each is built or not as a whole.
libduoshm_core_la_SOURCES += backends/backend.h backends/common.c backends/failure.c
include backends/sysv/local.mk
include backends/posix/local.mk
