# SPDX-License-Identifier: MIT
# What all tests written in C share. Add files here.
if HAVE_CUNIT
check_LTLIBRARIES += libduoshm-harness.la
endif
libduoshm_harness_la_SOURCES =
