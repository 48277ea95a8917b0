# SPDX-License-Identifier: MIT
# Add a file of this folder here, headers too.
libduoshm_core_la_SOURCES +=
