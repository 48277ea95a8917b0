# SPDX-License-Identifier: MIT
# Add tests here; ../local.mk says which list.
unit_tests += \
	tests/unit/test_lifeline \
	tests/unit/test_name \
	tests/unit/test_process \
	tests/unit/test_registry
