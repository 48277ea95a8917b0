#!/bin/sh
# SPDX-License-Identifier: MIT
# Each public header compiles alone, without a warning, as C11 and as C++17.
. "${top_srcdir:?}/tests/lint/common.sh"

# try HEADER LANGUAGE STANDARD SUFFIX
try() {
	printf '#include <%s>\n#include <%s>\n' "$1" "$1" > "$scratch/a.$4"
	# CC may hold options.
	# shellcheck disable=SC2086
	${CC:-cc} -x "$2" "-std=$3" -Wall -Wextra -Wpedantic -Wconversion -Werror \
		-D_POSIX_C_SOURCE=200809L -c -o "$scratch/a.o" -I"$top_srcdir/include" "$scratch/a.$4" \
		> "$scratch/out" 2>&1 || fault "$1" "as $3: $(head -n 5 "$scratch/out")"
}

echo 'int main() { return 0; }' > "$scratch/probe.cc"
plusplus=no
# shellcheck disable=SC2086
${CC:-cc} -x c++ -std=c++17 -c -o "$scratch/a.o" "$scratch/probe.cc" > /dev/null 2>&1 && plusplus=yes

count=0
for header in $(cd "$top_srcdir/include" && find . -name '*.h' | sed 's|^\./||'); do
	count=$((count + 1))
	try "$header" c c11 c
	[ "$plusplus" = no ] || try "$header" c++ c++17 cc
done
[ "$count" -gt 0 ] || fault include 'found no header'
printf '%s: %d headers, C++ %s\n' "$lint" "$count" "$plusplus"
finish
