# SPDX-License-Identifier: MIT
# Add tests here; ../local.mk says which list.
