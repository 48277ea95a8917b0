# SPDX-License-Identifier: MIT
# Public headers.
include_HEADERS = include/duoshm.h
duoshmincludedir = $(includedir)/duoshm
duoshminclude_HEADERS = include/duoshm/device.h
