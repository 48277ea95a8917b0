# SPDX-License-Identifier: MIT
# Checks of the project's own rules. nothing_left.sh is the last test of all, see ../local.mk.
sh_tests += \
	tests/lint/exports.sh \
	tests/lint/files.sh \
	tests/lint/guarantees.sh \
	tests/lint/headers.sh \
	tests/lint/layers.sh \
	tests/lint/objects.sh \
	tests/lint/readme.sh
tool_tests += tests/lint/usage.sh
check_scripts += tests/lint/common.sh
if DUOSHM_WITH_SYSV
lint_helpers = tests/lint/holds
else
lint_helpers =
endif
tests_lint_holds_LDADD =
