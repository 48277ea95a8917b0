# SPDX-License-Identifier: MIT
# Add tests here; ../local.mk says which list.
check_scripts += tests/tools/lib.sh
