# SPDX-License-Identifier: MIT
# Add a file of this backend here.
if DUOSHM_WITH_SYSV
libduoshm_core_la_SOURCES +=
endif
