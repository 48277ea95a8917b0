# SPDX-License-Identifier: MIT
# Storms of kills: small ones in `make check`, large ones in `make stress`.
long_tests += tests/stress/test_storms
tests_stress_test_storms_SOURCES = \
	tests/stress/device.c \
	tests/stress/steps.c \
	tests/stress/storm.c \
	tests/stress/storm.h \
	tests/stress/stress.c \
	tests/stress/test_storms.c \
	tests/stress/traffic.c \
	tests/stress/words.c

# Whichever comes first ends it: kills, or hours (empty: no limit). BACKEND: one family only. SEED
# repeats a run's random numbers.
KILLS = 100000
HOURS =
SEED =
stress: all tests/stress/test_storms$(EXEEXT)
	@$(AM_TESTS_ENVIRONMENT) \
	KILLS='$(KILLS)' HOURS='$(HOURS)' SEED='$(SEED)' BACKEND='$(BACKEND)'; export KILLS HOURS SEED BACKEND; \
	tests/stress/test_storms$(EXEEXT) $${BACKEND:+--backend="$$BACKEND"}
.PHONY: stress
