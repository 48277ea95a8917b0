# SPDX-License-Identifier: MIT
check_scripts += tests/install/consumer.sh

installcheck-local:
	$(AM_TESTS_ENVIRONMENT) \
	pkgconfigdir='$(pkgconfigdir)' libdir='$(libdir)' bindir='$(bindir)' mandir='$(mandir)' \
	transform='$(transform)' PROGRAMS='$(bin_PROGRAMS:$(EXEEXT)=)' DESTDIR='$(DESTDIR)' \
	PKG_CONFIG='$(PKG_CONFIG)' $(SHELL) $(srcdir)/tests/install/consumer.sh
