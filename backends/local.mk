# SPDX-License-Identifier: MIT
# One folder per kernel family; each is built or not as a whole.
include backends/sysv/local.mk
include backends/posix/local.mk
