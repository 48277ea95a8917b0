# SPDX-License-Identifier: MIT
# To add an example: its path without .c in example_programs, and PATH_NAME_LDADD = $(example_libs).
# make check runs each one, without arguments; status 0 is success.
example_programs =
example_libs = libduoshm.la
