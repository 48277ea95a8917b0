# SPDX-License-Identifier: MIT
# Add a file of this backend here.
if DUOSHM_WITH_POSIX
libduoshm_core_la_SOURCES += \
	backends/posix/posix.c \
	backends/posix/posix.h \
	backends/posix/posix_limits.c \
	backends/posix/posix_list.c \
	backends/posix/posix_name.c \
	backends/posix/posix_sem.c \
	backends/posix/posix_shm.c
endif
