#!/bin/sh
# SPDX-License-Identifier: MIT
# The contract, on POSIX.
exec "${top_builddir:?}/tests/conformance/conformance" --backend=posix "$@"
