# SPDX-License-Identifier: MIT
# The programs, linked statically with the library. What several of them share is in
# libduoshm-tools.la. To add a program: its name in bin_PROGRAMS, NAME_SOURCES, NAME_LDADD, and its
# man page in dist_man_MANS.
noinst_LTLIBRARIES += libduoshm-tools.la
libduoshm_tools_la_SOURCES = src/tools/common.c src/tools/common.h src/tools/json.c \
	src/tools/json.h src/tools/table.c src/tools/table.h src/tools/units.c
tool_libs = libduoshm-tools.la libduoshm-core.la $(JANSSON_LIBS) -lm

if WITH_TOOLS
bin_PROGRAMS += client detach device compare
noinst_PROGRAMS += src/tools/recording
dist_man_MANS += src/tools/client.1 src/tools/compare.1 src/tools/detach.1 src/tools/device.1
bashcompletiondir = $(datadir)/bash-completion/completions
dist_bashcompletion_DATA = src/tools/completion/duoshm-client \
	src/tools/completion/duoshm-compare src/tools/completion/duoshm-detach \
	src/tools/completion/duoshm-device
client_SOURCES = src/tools/client.c src/tools/client.h src/tools/client_capture.c \
	src/tools/client_file.c src/tools/client_monitor.c src/tools/client_registers.c \
	src/tools/client_show.c
client_LDADD = $(tool_libs) $(SNDFILE_LIBS)
compare_SOURCES = src/tools/bench.c src/tools/bench.h src/tools/bench_bare.c \
	src/tools/bench_bare.h src/tools/bench_device.c src/tools/bench_objects.c \
	src/tools/bench_queue.c src/tools/bench_report.c src/tools/bench_run.c \
	src/tools/bench_stats.c src/tools/bench_stats.h src/tools/bench_table.c \
	src/tools/bench_table.h src/tools/bench_words.c \
	src/tools/compare.c src/tools/compare.h src/tools/compare_duoshm.c \
	src/tools/compare_info.c src/tools/compare_posix.c src/tools/compare_semantics.c \
	src/tools/compare_subject.h src/tools/compare_sysv.c
compare_LDADD = $(tool_libs)
device_SOURCES = src/tools/device.c src/tools/device_input.c src/tools/device_input.h
device_LDADD = libduoshm-tools.la $(device_libs) $(JANSSON_LIBS) $(EDITLINE_LIBS)
detach_SOURCES = src/tools/detach.c
detach_LDADD = $(tool_libs)
src_tools_recording_SOURCES = src/tools/recording.c
src_tools_recording_LDADD = $(tool_libs) $(SNDFILE_LIBS)
EXTRA_DIST += src/tools/demo.sh
endif
