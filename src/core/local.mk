# SPDX-License-Identifier: MIT
# Add a file of this folder here, headers too.
libduoshm_core_la_SOURCES += \
	src/core/clock.c \
	src/core/clock.h \
	src/core/context.h \
	src/core/entry.c \
	src/core/entry_text.c \
	src/core/entry_text.h \
	src/core/failure.c \
	src/core/failure.h \
	src/core/file.c \
	src/core/file.h \
	src/core/header_layout.h \
	src/core/life.c \
	src/core/life.h \
	src/core/lifeline.c \
	src/core/lifeline.h \
	src/core/lifeline_layout.h \
	src/core/name.c \
	src/core/name.h \
	src/core/object.h \
	src/core/presence.c \
	src/core/process.c \
	src/core/process.h \
	src/core/process_look.c \
	src/core/process_look.h \
	src/core/random.c \
	src/core/random.h \
	src/core/registry.c \
	src/core/registry.h \
	src/core/word.h
