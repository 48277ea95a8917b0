#!/bin/sh
# SPDX-License-Identifier: MIT
# The shared library exports exactly the functions that the public headers declare.
. "${top_srcdir:?}/tests/lint/common.sh"

nm=${NM:-nm}
library=
for file in "$top_builddir"/.libs/libduoshm.so "$top_builddir"/.libs/libduoshm.dylib; do
	[ -f "$file" ] && library=$file
done
[ -n "$library" ] || skip 'no shared library was built'
case $library in
*.dylib) $nm -gUP "$library" ;;
*) $nm -DP --defined-only "$library" ;;
esac | awk '$2 ~ /^[TDBRVW]$/ { sub(/@.*/, "", $1); sub(/^_duoshm/, "duoshm", $1); print $1 }' |
	sort -u > "$scratch/exported"

# declared: functions of the headers after the preprocessor: names before a parenthesis, in
# statements that define no type and no inline function.
for header in $(cd "$top_srcdir/include" && find . -name '*.h' | sed 's|^\./||'); do
	printf '#include "%s"\n' "$header"
done > "$scratch/all.c"
# CC may hold options.
# shellcheck disable=SC2086
${CC:-cc} -E -P -I"$top_srcdir/include" "$scratch/all.c" > "$scratch/all.i" ||
	fault include 'the headers do not pass the preprocessor'
tr '\n' ' ' < "$scratch/all.i" | sed 's/__attribute__ *(([^()]*\(([^()]*)[^()]*\)*))//g' | sed 's/[;{}]/\
/g' |
	grep -v -E '(^|[^a-z_])(typedef|static)[^a-z_]' |
	sed -n 's/^[^(=]*[ *]\(duoshm_[a-z0-9_]*\) *(.*/\1/p' | sort -u > "$scratch/declared"

[ -s "$scratch/declared" ] || fault include 'found no declaration to compare with'
comm -23 "$scratch/declared" "$scratch/exported" > "$scratch/hidden"
while read -r name; do fault "$name" 'declared but not exported'; done < "$scratch/hidden"
comm -13 "$scratch/declared" "$scratch/exported" | grep -v '^DUOSHM_' > "$scratch/extra" || :
while read -r name; do fault "$name" 'exported but not declared'; done < "$scratch/extra"
printf '%s: %d functions\n' "$lint" "$(wc -l < "$scratch/declared")"
finish
