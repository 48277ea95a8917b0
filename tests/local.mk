# SPDX-License-Identifier: MIT
# Lists that the folders below add to:
#   unit_tests        programs written with CUnit, one per unit; also run under valgrind
#   c_tests           other programs written with CUnit
#   long_tests        the same; these begin first, so that none runs alone at the end
#   tool_tests        shell scripts NAME.sh that run the built programs
#   sh_tests          other shell scripts NAME.sh
#   test_helpers      programs that tests start, no tests themselves
#   check_scripts     shell files that are sourced or started by tests, no tests themselves
# Each test finds in its environment: top_builddir and top_srcdir (absolute), DUOSHM_TEST_TIER (small,
# normal or full), DUOSHM_TEST_PREFIX (begins every object's name, so that the last test knows what
# is ours), DUOSHM_TEST_BACKENDS (the built ones). It makes a registry of its own and sets DUOSHM_DIR.
# A program PATH/NAME is made of PATH/NAME.c unless PATH_NAME_SOURCES says otherwise, and linked with
# $(test_libs) unless PATH_NAME_LDADD does.
unit_tests =
c_tests =
long_tests =
tool_tests =
sh_tests =
test_helpers =
check_scripts =
test_libs = libduoshm-harness.la libduoshm-core.la $(CUNIT_LIBS)

include tests/harness/local.mk
include tests/instrument/local.mk
include tests/unit/local.mk
include tests/fuzz/local.mk
include tests/conformance/local.mk
include tests/process/local.mk
include tests/stress/local.mk
include tests/model/local.mk
include tests/tools/local.mk
include tests/lint/local.mk
include tests/install/local.mk
include tests/cross/local.mk
include tests/profiles/local.mk
include tests/mutants/local.mk
include tests/bench/local.mk

# What is run. All but the last in any order and in parallel; the last one looks for what the others
# left behind.
other_tests =
other_logs =
if WITH_TESTS
if HAVE_CUNIT
other_tests += $(long_tests)
endif
other_tests += $(sh_tests)
check_PROGRAMS += $(lint_helpers)
other_logs += $(sh_tests:.sh=.log)
if WITH_TOOLS
other_tests += $(tool_tests)
other_logs += $(tool_tests:.sh=.log)
endif
if HAVE_CUNIT
other_tests += $(unit_tests) $(c_tests)
other_logs += $(long_tests:=.log) $(unit_tests:=.log) $(c_tests:=.log)
check_PROGRAMS += $(long_tests) $(unit_tests) $(c_tests) $(test_helpers)
endif
if WITH_EXAMPLES
check_PROGRAMS += $(example_programs)
endif
TESTS += $(other_tests) tests/lint/nothing_left.sh
endif
tests/lint/nothing_left.log: $(other_logs)

TEST_EXTENSIONS = .sh
LIMIT = tests/harness/limit$(EXEEXT)
LOG_COMPILER = $(LIMIT)
SH_LOG_COMPILER = $(LIMIT) $(SHELL)
AM_TESTS_ENVIRONMENT = \
	top_builddir='$(abs_top_builddir)'; top_srcdir='$(abs_top_srcdir)'; \
	DUOSHM_TEST_TIER="$${DUOSHM_TEST_TIER:-normal}"; \
	DUOSHM_TEST_PREFIX="t`echo '$(abs_top_builddir)' | cksum | cut -c1-6`"; \
	DUOSHM_TEST_BACKENDS='$(DUOSHM_BACKENDS)'; \
	unset DUOSHM_BACKEND DUOSHM_DIR; \
	CC='$(CC)'; NM='$(NM)'; CFLAGS='$(CFLAGS)'; TEST_CFLAGS='$(SANITIZER_FLAGS) $(COVERAGE_FLAGS)'; \
	export CC NM CFLAGS TEST_CFLAGS; \
	export top_builddir top_srcdir DUOSHM_TEST_TIER DUOSHM_TEST_PREFIX DUOSHM_TEST_BACKENDS;

EXTRA_DIST += $(tool_tests) $(sh_tests) $(check_scripts) tests/lint/nothing_left.sh tests/report.sh

# What was proven, once all has run.
check-local: check-TESTS
	@$(SHELL) $(srcdir)/tests/report.sh $(TEST_LOGS)
clean-local:
	-rm -rf profiles mutants fuzz

# The same tests at length, and those written in C under valgrind.
check-full:
	DUOSHM_TEST_TIER=full $(MAKE) $(AM_MAKEFLAGS) check
	$(MAKE) $(AM_MAKEFLAGS) fuzz SECONDS_EACH=5
check-valgrind:
	DUOSHM_TEST_TIER=small $(MAKE) $(AM_MAKEFLAGS) check TESTS='$(unit_tests)' \
	LOG_COMPILER='$(LIMIT) valgrind --quiet --error-exitcode=1 --leak-check=full --trace-children=no'
.PHONY: check-full check-valgrind
