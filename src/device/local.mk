# SPDX-License-Identifier: MIT
# A client's side of a device is part of the library; the server's side is an archive of its own,
# linked to the program "device" and to the tests that need it ($(device_libs)).
libduoshm_core_la_SOURCES +=

noinst_LTLIBRARIES += libduoshm-device.la
libduoshm_device_la_SOURCES =
device_libs = libduoshm-device.la libduoshm-core.la $(SNDFILE_LIBS) $(INIH_LIBS)
