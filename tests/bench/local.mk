# SPDX-License-Identifier: MIT
# Benchmarks: run on purpose, never by `make check`.

# Everything, beside the floor. OPTIONS are those of `compare bench`.
OPTIONS =
bench: all
	@./compare$(EXEEXT) bench $(OPTIONS)
.PHONY: bench

# Instructions for each operation, of OPERATIONS only where that is set.
OPERATIONS =
if WITH_TESTS
check_PROGRAMS += tests/bench/instructions
endif
tests_bench_instructions_SOURCES = tests/bench/instructions.c src/tools/bench_table.c \
	src/tools/bench_table.h
tests_bench_instructions_LDADD = libduoshm-core.la
EXTRA_DIST += tests/bench/instructions.sh
bench-instructions: tests/bench/instructions$(EXEEXT)
	@$(AM_TESTS_ENVIRONMENT) $(SHELL) $(srcdir)/tests/bench/instructions.sh $(OPERATIONS) || \
	test $$? -eq 77
.PHONY: bench-instructions

# Other libraries and the kernel's means beside ours. PEERS holds options, such as --repeat=5.
PEERS =
EXTRA_DIST += \
	tests/bench/README.md \
	tests/bench/peer.h \
	tests/bench/peer_boost.cc \
	tests/bench/peer_iceoryx.cc \
	tests/bench/peer_kernel.c \
	tests/bench/peer_zeromq.c \
	tests/bench/peers.sh
bench-peers: all
	@top_builddir='$(abs_top_builddir)' CC='$(CC)' $(SHELL) $(srcdir)/tests/bench/peers.sh $(PEERS)
.PHONY: bench-peers
