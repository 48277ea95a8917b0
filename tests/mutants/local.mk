# SPDX-License-Identifier: MIT
# Planted defects: `make check-mutants [MUTANTS=NAME...]` sees each of them caught. The folder is
# distributed as it is, so that a patch need not be listed.
EXTRA_DIST += tests/mutants
check-mutants:
	@$(AM_TESTS_ENVIRONMENT) MAKE='$(MAKE)' DISTDIR='$(distdir)' \
	$(SHELL) $(srcdir)/tests/mutants/run $(MUTANTS)
.PHONY: check-mutants
