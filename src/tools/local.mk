# SPDX-License-Identifier: MIT
# The programs, linked statically with the library. What several of them share is in
# libduoshm-tools.la. To add a program: its name in bin_PROGRAMS, NAME_SOURCES, NAME_LDADD, and its
# man page in dist_man_MANS.
noinst_LTLIBRARIES += libduoshm-tools.la
libduoshm_tools_la_SOURCES = src/tools/common.c src/tools/common.h src/tools/json.c \
	src/tools/json.h src/tools/table.c src/tools/table.h src/tools/units.c
tool_libs = libduoshm-tools.la libduoshm-core.la $(JANSSON_LIBS)

if WITH_TOOLS
bin_PROGRAMS +=
dist_man_MANS +=
endif
