# SPDX-License-Identifier: MIT
# Add a file of this folder here, headers too.
libduoshm_core_la_SOURCES += \
	src/core/clock.h \
	src/core/context.h \
	src/core/failure.h \
	src/core/header_layout.h \
	src/core/lifeline.h \
	src/core/name.h \
	src/core/object.h \
	src/core/process.h \
	src/core/registry.h \
	src/core/word.h
