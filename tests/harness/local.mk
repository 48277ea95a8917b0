# SPDX-License-Identifier: MIT
# What all tests written in C share. Add files here.
if HAVE_CUNIT
check_LTLIBRARIES += libduoshm-harness.la
endif
libduoshm_harness_la_SOURCES = \
	tests/harness/alone.c \
	tests/harness/calls.c \
	tests/harness/check.c \
	tests/harness/children.c \
	tests/harness/fixture.c \
	tests/harness/fixture.h \
	tests/harness/harness.h \
	tests/harness/internal.h \
	tests/harness/message.c \
	tests/harness/message.h \
	tests/harness/run.c \
	tests/harness/scratch.c
libduoshm_harness_la_CPPFLAGS = $(AM_CPPFLAGS) -DHARNESS_BACKENDS='"$(DUOSHM_BACKENDS)"'
unit_tests += tests/harness/test_harness
# Runs each test, see ../local.mk.
check_PROGRAMS += tests/harness/limit
tests_harness_limit_LDADD =
sh_tests += tests/harness/limit.sh
EXTRA_DIST += tests/README.md
