#!/bin/sh
# SPDX-License-Identifier: MIT
# Every long option of a program's --help stands in its man page, and the other way round; the
# same for the verbs of those that have verbs.
. "${top_srcdir:?}/tests/lint/common.sh"

options() { grep -o -E -e '(^|[^a-zA-Z0-9-])--[a-z][a-z-]*' | grep -o -E -e '--[a-z-]*[a-z]' | sort -u; }

programs=0
for program in device client detach compare; do
	[ -x "$top_builddir/$program" ] || continue
	programs=$((programs + 1))
	page=$top_srcdir/src/tools/$program.1
	[ -f "$page" ] || { fault "$program" 'has no man page'; continue; }
	"$top_builddir/$program" --help > "$scratch/help" || fault "$program" '--help fails'
	options < "$scratch/help" > "$scratch/in-help"
	# man: \-\-name and \fB--name\fR; mdoc: Fl -name.
	sed 's/\\-/-/g; s/\\f[A-Z]//g; s/\\f([A-Z][A-Z]//g; s/Fl -\([a-z]\)/--\1/g' "$page" > "$scratch/page"
	options < "$scratch/page" > "$scratch/in-page"
	[ -s "$scratch/in-help" ] || fault "$program" 'names no option in --help'
	for option in $(comm -23 "$scratch/in-help" "$scratch/in-page"); do
		fault "$program" "$option is in --help and not in the man page"
	done
	for option in $(comm -13 "$scratch/in-help" "$scratch/in-page"); do
		fault "$program" "$option is in the man page and not in --help"
	done
	if command -v mandoc > /dev/null 2>&1; then
		mandoc -T lint -W warning "$page" > "$scratch/out" 2>&1 ||
			fault "$program" "man page: $(head -n 3 "$scratch/out")"
	fi
done
[ "$programs" -gt 0 ] || skip 'no program was built'
finish
