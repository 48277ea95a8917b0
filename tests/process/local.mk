# SPDX-License-Identifier: MIT
# Tests that need processes or a machine of their own. Add tests here; ../local.mk says which list.
c_tests += \
	tests/process/adopt \
	tests/process/calls \
	tests/process/disturbed \
	tests/process/limits \
	tests/process/namespaces \
	tests/process/outside \
	tests/process/peers \
	tests/process/proofs \
	tests/process/squat \
	tests/process/test_faults \
	tests/process/test_points_words
long_tests += \
	tests/process/test_points_device \
	tests/process/test_points_objects \
	tests/process/test_points_queue
test_helpers += tests/process/peer
tests_process_peer_LDADD = libduoshm-core.la

# These have the system's calls for their own.
native = tests/harness/native.c tests/harness/native.h
tests_process_test_faults_SOURCES = tests/process/test_faults.c $(native)
tests_process_test_faults_LDADD = $(device_test_libs)
tests_process_disturbed_SOURCES = tests/process/disturbed.c $(native)
tests_process_outside_LDADD = $(device_test_libs)

# What each process does at each of its points.
points = tests/process/points.c tests/process/points.h
tests_process_test_points_device_SOURCES = tests/process/test_points_device.c $(points)
tests_process_test_points_device_LDADD = $(instrument_libs)
tests_process_test_points_objects_SOURCES = tests/process/test_points_objects.c $(points)
tests_process_test_points_objects_LDADD = $(instrument_libs)
tests_process_test_points_queue_SOURCES = tests/process/test_points_queue.c $(points)
tests_process_test_points_queue_LDADD = $(instrument_libs)
tests_process_test_points_words_SOURCES = tests/process/test_points_words.c $(points) $(sleepers)
tests_process_test_points_words_LDADD = $(instrument_libs)
