# SPDX-License-Identifier: MIT
# Tests that need processes or a machine of their own. Add tests here; ../local.mk says which list.
c_tests += \
	tests/process/adopt \
	tests/process/calls \
	tests/process/namespaces \
	tests/process/peers \
	tests/process/test_killed
test_helpers += tests/process/peer
tests_process_peer_LDADD = libduoshm-core.la
