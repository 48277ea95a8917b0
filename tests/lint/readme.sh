#!/bin/sh
# SPDX-License-Identifier: MIT
# The program in README.md compiles without a warning and does on every built family what the text
# below it says.
. "${top_srcdir:?}/tests/lint/common.sh"

awk '/^```c$/ { inside = 1; next } /^```$/ { inside = 0 } inside' "$top_srcdir/README.md" \
	> "$scratch/readme.c"
[ -s "$scratch/readme.c" ] || { fault README.md 'holds no C program'; finish; }
lines=$(wc -l < "$scratch/readme.c")
[ "$lines" -le 24 ] || fault README.md "its program has $lines lines"

# In the build tree libtool knows what the library needs.
# shellcheck disable=SC2086
"$top_builddir/libtool" --quiet --mode=link --tag=CC ${CC:-cc} ${CFLAGS-} ${TEST_CFLAGS-} -std=gnu11 \
	-Wall -Wextra -Wconversion -Wshadow -Werror -I"$top_srcdir/include" "$scratch/readme.c" \
	-o "$scratch/readme" "$top_builddir/libduoshm.la" > "$scratch/out" 2>&1 ||
	fault README.md "its program does not compile: $(head -n 5 "$scratch/out")"
[ -x "$scratch/readme" ] || finish

for backend in ${DUOSHM_TEST_BACKENDS:?}; do
	DUOSHM_DIR=$scratch/registry-$backend DUOSHM_BACKEND=$backend
	export DUOSHM_DIR DUOSHM_BACKEND
	mkdir -m 700 "$DUOSHM_DIR"
	"$scratch/readme" > "$scratch/output" 2>&1 || fault README.md "its program fails on $backend"
	[ "$(cat "$scratch/output")" = "hello through $backend" ] ||
		fault README.md "its program prints something else on $backend: $(cat "$scratch/output")"
done
finish
