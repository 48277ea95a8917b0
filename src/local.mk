# SPDX-License-Identifier: MIT
include src/core/local.mk
include src/queue/local.mk
include src/device/local.mk
include src/tools/local.mk
include src/examples/local.mk
