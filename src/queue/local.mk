# SPDX-License-Identifier: MIT
# Add a file of this folder here, headers too.
libduoshm_core_la_SOURCES += \
	src/queue/broadcast.c \
	src/queue/broadcast_layout.h \
	src/queue/broadcast_ring.c \
	src/queue/broadcast_ring.h \
	src/queue/endpoint.c \
	src/queue/endpoint.h \
	src/queue/endpoint_layout.h \
	src/queue/queue.c \
	src/queue/queue_layout.h \
	src/queue/ring.c \
	src/queue/ring.h \
	src/queue/role.c \
	src/queue/role.h \
	src/queue/flow.c \
	src/queue/flow.h \
	src/queue/wait.c \
	src/queue/wait.h
