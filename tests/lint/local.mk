# SPDX-License-Identifier: MIT
# Checks of the project's own rules. nothing_left.sh is the last test of all, see ../local.mk.
sh_tests += \
	tests/lint/files.sh \
	tests/lint/headers.sh \
	tests/lint/layers.sh
check_scripts += tests/lint/common.sh
if DUOSHM_WITH_SYSV
lint_helpers = tests/lint/holds
else
lint_helpers =
endif
tests_lint_holds_LDADD =
