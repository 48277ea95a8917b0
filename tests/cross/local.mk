# SPDX-License-Identifier: MIT
# Other systems' compilers: tests/cross/run, from a build directory.
EXTRA_DIST += \
	tests/cross/CUnit/Basic.h \
	tests/cross/CUnit/CUnit.h \
	tests/cross/cunit.c \
	tests/cross/run
