# SPDX-License-Identifier: MIT
# Add a file of this backend here.
if DUOSHM_WITH_SYSV
libduoshm_core_la_SOURCES += \
	backends/sysv/sysv.c \
	backends/sysv/sysv.h \
	backends/sysv/sysv_limits.c \
	backends/sysv/sysv_list.c \
	backends/sysv/sysv_name.c \
	backends/sysv/sysv_sem.c \
	backends/sysv/sysv_shm.c
endif
