# SPDX-License-Identifier: MIT
# The contract C1 to C12 as one program, run once per built backend: each backend's script is a test
# of its own.
test_helpers += tests/conformance/conformance
tests_conformance_conformance_SOURCES = \
	tests/conformance/conformance.h \
	tests/conformance/inspect.c \
	tests/conformance/locks.c \
	tests/conformance/main.c \
	tests/conformance/objects.c \
	tests/conformance/processes.c \
	tests/conformance/queues.c \
	tests/conformance/rights.c \
	tests/conformance/semaphores.c
check_scripts += tests/conformance/posix.sh tests/conformance/sysv.sh
if HAVE_CUNIT
if DUOSHM_WITH_SYSV
sh_tests += tests/conformance/sysv.sh
endif
if DUOSHM_WITH_POSIX
sh_tests += tests/conformance/posix.sh
endif
endif
