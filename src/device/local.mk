# SPDX-License-Identifier: MIT
# A client's side of a device is part of the library; the server's side is an archive of its own,
# linked to the program "device" and to the tests that need it ($(device_libs)).
libduoshm_core_la_SOURCES += \
	src/device/connection.c src/device/connection.h src/device/connection_lane.c \
	src/device/device_layout.h src/device/lane_layout.h src/device/lane_queues.c \
	src/device/table.c src/device/table.h src/device/text.h

noinst_LTLIBRARIES += libduoshm-device.la
libduoshm_device_la_SOURCES = \
	src/device/describe.c src/device/describe.h src/device/lane.c src/device/lane.h \
	src/device/quantity.c src/device/quantity.h \
	src/device/registers.c src/device/registers.h \
	src/device/replay.c src/device/replay.h src/device/replay_csv.c src/device/replay_sound.c \
	src/device/server.c src/device/server.h src/device/server_build.c \
	src/device/server_commands.c src/device/server_state.h \
	src/device/signal.c src/device/signal.h
device_libs = libduoshm-device.la libduoshm-core.la $(SNDFILE_LIBS) $(INIH_LIBS) -lm
