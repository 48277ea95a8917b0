# SPDX-License-Identifier: MIT
# Public headers, installed under the same paths.
nobase_include_HEADERS +=
