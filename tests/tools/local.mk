# SPDX-License-Identifier: MIT
# Add tests here; ../local.mk says which list.
check_scripts += tests/tools/lib.sh
tool_tests += tests/tools/bench.sh tests/tools/capture.sh tests/tools/client.sh tests/tools/compare.sh tests/tools/detach.sh \
	tests/tools/device.sh tests/tools/examples.sh tests/tools/limits.sh tests/tools/options.sh tests/tools/shared.sh \
	tests/tools/words.sh
