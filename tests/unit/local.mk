# SPDX-License-Identifier: MIT
# Add tests here; ../local.mk says which list.
unit_tests += \
	tests/unit/test_backend \
	tests/unit/test_broadcast_ring \
	tests/unit/test_lifeline \
	tests/unit/test_messages \
	tests/unit/test_name \
	tests/unit/test_object \
	tests/unit/test_process \
	tests/unit/test_registry \
	tests/unit/test_ring \
	tests/unit/test_words

# What processes sleep on.
sleepers = tests/unit/sleepers.c tests/unit/sleepers.h
tests_unit_test_messages_SOURCES = tests/unit/test_messages.c $(sleepers)
tests_unit_test_words_SOURCES = tests/unit/test_words.c $(sleepers)

# The device's own side is in an archive of its own.
unit_tests += tests/unit/test_describe tests/unit/test_lanes tests/unit/test_registers \
	tests/unit/test_replay tests/unit/test_server tests/unit/test_signal
served = tests/unit/served.c tests/unit/served.h
tests_unit_test_lanes_SOURCES = tests/unit/test_lanes.c $(served)
tests_unit_test_server_SOURCES = tests/unit/test_server.c $(served)
device_test_libs = libduoshm-harness.la $(device_libs) $(CUNIT_LIBS)
tests_unit_test_describe_LDADD = $(device_test_libs)
tests_unit_test_lanes_LDADD = $(device_test_libs)
tests_unit_test_registers_LDADD = $(device_test_libs)
tests_unit_test_replay_LDADD = $(device_test_libs)
tests_unit_test_server_LDADD = $(device_test_libs)
tests_unit_test_signal_LDADD = $(device_test_libs)

# Of the programs' own code.
if WITH_TOOLS
unit_tests += tests/unit/test_bench
endif
tests_unit_test_bench_SOURCES = tests/unit/test_bench.c src/tools/bench_stats.c \
	src/tools/bench_stats.h
tests_unit_test_bench_LDADD = $(test_libs) libduoshm-tools.la $(JANSSON_LIBS) -lm
