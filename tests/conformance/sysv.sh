#!/bin/sh
# SPDX-License-Identifier: MIT
# The contract, on System V.
exec "${top_builddir:?}/tests/conformance/conformance" --backend=sysv "$@"
