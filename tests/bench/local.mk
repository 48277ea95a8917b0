# SPDX-License-Identifier: MIT
# Benchmarks: run on purpose, never by `make check`.

# Instructions for each operation, of OPERATIONS only where that is set.
OPERATIONS =
if WITH_TESTS
check_PROGRAMS += tests/bench/instructions
endif
tests_bench_instructions_LDADD = libduoshm-core.la
EXTRA_DIST += tests/bench/instructions.sh
bench-instructions: all tests/bench/instructions$(EXEEXT)
	@$(AM_TESTS_ENVIRONMENT) $(SHELL) $(srcdir)/tests/bench/instructions.sh $(OPERATIONS) || \
	test $$? -eq 77
.PHONY: bench-instructions
