# SPDX-License-Identifier: MIT
# Add a file of this folder here, headers too.
libduoshm_core_la_SOURCES += \
	src/core/array.h \
	src/core/backend_table.c \
	src/core/bell.c \
	src/core/clock.c \
	src/core/clock.h \
	src/core/context.c \
	src/core/context.h \
	src/core/entry.c \
	src/core/entry_text.c \
	src/core/failure.c \
	src/core/failure.h \
	src/core/fast.h \
	src/core/file.c \
	src/core/file.h \
	src/core/header_layout.h \
	src/core/inspect.c \
	src/core/life.c \
	src/core/lifeline.c \
	src/core/lifeline.h \
	src/core/lifeline_layout.h \
	src/core/lock.c \
	src/core/lock_layout.h \
	src/core/name.c \
	src/core/name.h \
	src/core/object.h \
	src/core/object_create.c \
	src/core/object_open.c \
	src/core/object_remove.c \
	src/core/process.c \
	src/core/process.h \
	src/core/process_look.c \
	src/core/random.c \
	src/core/random.h \
	src/core/registry.c \
	src/core/registry.h \
	src/core/segment.c \
	src/core/semaphore.c \
	src/core/semaphore_layout.h \
	src/core/sized.h \
	src/core/spin.c \
	src/core/spin.h \
	src/core/word.h
