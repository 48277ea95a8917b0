# SPDX-License-Identifier: MIT
# The library once more, compiled to look in at its own accesses; see instrument.h. A test that wants
# it links $(instrument_libs) instead of $(test_libs).
if HAVE_CUNIT
check_LTLIBRARIES += libduoshm-instrument.la
endif
libduoshm_instrument_la_SOURCES = $(libduoshm_core_la_SOURCES) $(libduoshm_device_la_SOURCES) \
	tests/instrument/hooks.h tests/instrument/instrument.c tests/instrument/instrument.h
libduoshm_instrument_la_CPPFLAGS = -include $(srcdir)/tests/instrument/hooks.h $(AM_CPPFLAGS)
instrument_libs = libduoshm-harness.la libduoshm-instrument.la $(SNDFILE_LIBS) $(INIH_LIBS) -lm \
	$(CUNIT_LIBS)
c_tests += tests/instrument/test_instrument
tests_instrument_test_instrument_LDADD = $(instrument_libs)
