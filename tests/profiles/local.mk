# SPDX-License-Identifier: MIT
# The suite under other systems' rules; too long for make check.
EXTRA_DIST += \
	tests/profiles/macos-arm64.site \
	tests/profiles/macos.c \
	tests/profiles/macos_rules.c \
	tests/profiles/run \
	tests/profiles/tiny-shm.site

PROFILES = macos-arm64 tiny-shm
check-profiles: all
	@top_srcdir='$(abs_top_srcdir)' top_builddir='$(abs_top_builddir)' MAKE='$(MAKE)' CC='$(CC)' \
	CFLAGS='$(CFLAGS)' DUOSHM_TEST_BACKENDS='$(DUOSHM_BACKENDS)' \
	$(SHELL) $(srcdir)/tests/profiles/run $(PROFILES); \
	status=$$?; test $$status -eq 77 || exit $$status
.PHONY: check-profiles
