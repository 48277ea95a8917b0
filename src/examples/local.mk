# SPDX-License-Identifier: MIT
# To add an example: its path without .c in example_programs, and PATH_NAME_LDADD = $(example_libs).
# tests/tools/examples.sh runs each one on each built family; status 0 is success.
example_programs = src/examples/01_segment src/examples/02_lock src/examples/03_queue
example_libs = libduoshm.la
src_examples_01_segment_LDADD = $(example_libs)
src_examples_02_lock_LDADD = $(example_libs)
src_examples_03_queue_LDADD = $(example_libs)
