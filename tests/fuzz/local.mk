# SPDX-License-Identifier: MIT
# Fuzz targets. In `make check` they run mutated seeds for a while; `make fuzz`
# builds them once more, with libFuzzer, and runs each of TARGETS for SECONDS_EACH.
FUZZ_TARGETS = segment semaphore lock queue broadcast device lane entry lifeline describe recording
fuzz_tests = tests/fuzz/segment tests/fuzz/semaphore tests/fuzz/lock tests/fuzz/queue \
	tests/fuzz/broadcast tests/fuzz/device tests/fuzz/lane tests/fuzz/entry \
	tests/fuzz/lifeline tests/fuzz/describe tests/fuzz/recording
c_tests += $(fuzz_tests)
EXTRA_DIST += tests/fuzz/run

if HAVE_CUNIT
check_LTLIBRARIES += libduoshm-fuzz.la libduoshm-subjects.la
endif
subjects = tests/fuzz/subjects.c tests/fuzz/subjects.h
libduoshm_subjects_la_SOURCES = $(subjects)
fake = tests/fuzz/fake_backend.c tests/fuzz/fake_backend.h
libduoshm_fuzz_la_SOURCES = tests/fuzz/driver.c tests/fuzz/fuzz.h $(fake)
# $(fuzz_engine): what tests/fuzz/run links in addition.
fuzz_libs = libduoshm-fuzz.la libduoshm-subjects.la $(device_test_libs) $(fuzz_engine)
image = tests/fuzz/image.c
tests_fuzz_segment_SOURCES = $(image)
tests_fuzz_segment_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_SUBJECT='"segment"'
tests_fuzz_segment_LDADD = $(fuzz_libs)
tests_fuzz_semaphore_SOURCES = $(image)
tests_fuzz_semaphore_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_SUBJECT='"semaphore"'
tests_fuzz_semaphore_LDADD = $(fuzz_libs)
tests_fuzz_lock_SOURCES = $(image)
tests_fuzz_lock_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_SUBJECT='"lock"'
tests_fuzz_lock_LDADD = $(fuzz_libs)
tests_fuzz_queue_SOURCES = $(image)
tests_fuzz_queue_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_SUBJECT='"queue"'
tests_fuzz_queue_LDADD = $(fuzz_libs)
tests_fuzz_broadcast_SOURCES = $(image)
tests_fuzz_broadcast_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_SUBJECT='"broadcast"'
tests_fuzz_broadcast_LDADD = $(fuzz_libs)
tests_fuzz_device_SOURCES = $(image)
tests_fuzz_device_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_SUBJECT='"device"'
tests_fuzz_device_LDADD = $(fuzz_libs)
tests_fuzz_lane_SOURCES = $(image)
tests_fuzz_lane_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_SUBJECT='"lane"'
tests_fuzz_lane_LDADD = $(fuzz_libs)
tests_fuzz_entry_LDADD = $(fuzz_libs)
tests_fuzz_lifeline_LDADD = $(fuzz_libs)
tests_fuzz_describe_LDADD = $(fuzz_libs)
tests_fuzz_recording_LDADD = $(fuzz_libs)

c_tests += tests/fuzz/test_lies tests/fuzz/test_scribbler tests/fuzz/test_private
tests_fuzz_test_lies_SOURCES = tests/fuzz/test_lies.c $(subjects) $(fake)
tests_fuzz_test_lies_CPPFLAGS = $(libduoshm_instrument_la_CPPFLAGS)
tests_fuzz_test_lies_LDADD = $(instrument_libs)
tests_fuzz_test_scribbler_LDADD = libduoshm-subjects.la $(device_test_libs)
tests_fuzz_test_private_LDADD = libduoshm-subjects.la $(device_test_libs)

SECONDS_EACH = 60
TARGETS = $(FUZZ_TARGETS)
fuzz: $(fuzz_tests)
	@top_srcdir='$(abs_top_srcdir)' top_builddir='$(abs_top_builddir)' MAKE='$(MAKE)' \
	$(SHELL) $(srcdir)/tests/fuzz/run $(SECONDS_EACH) $(TARGETS) || test $$? -eq 77
.PHONY: fuzz
