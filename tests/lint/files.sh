#!/bin/sh
# SPDX-License-Identifier: MIT
# Every file says its licence at its head, none names the machine it was written on, and each script
# that is started is executable.
. "${top_srcdir:?}/tests/lint/common.sh"

# Spelled so that this file does not find itself.
private='/[w]ork/|/tmp/[d]uo/|/[h]ome/[a-z]|[p]ypi\.org|[p]kg\.dev|[s]hared/[A-Z]'

count=0
for file in $(project_files); do
	path=$top_srcdir/$file
	[ -f "$path" ] || continue
	count=$((count + 1))
	case $file in
	LICENSE | NEWS | *.md | .gitignore | .clang-format | *.patch | tests/*.csv | tests/*.ini | tests/*.txt) ;;
	*)
		head -n 3 "$path" | grep -q 'SPDX-License-Identifier: MIT' ||
			fault "$file" 'has no SPDX line at its head'
		;;
	esac
	found=$(grep -n -I -E "$private" "$path" | head -n 1)
	[ -z "$found" ] || fault "$file" "names something of one machine: $found"
	case $file in
	*.[ch])
		found=$(grep -n '[[:space:]]$' "$path" | head -n 1)
		[ -z "$found" ] || fault "$file" "blank at the end of a line: $found"
		;;
	esac
done
[ "$count" -gt 0 ] || fault . 'found no file'
for file in bootstrap .ci/run; do
	[ -x "$top_srcdir/$file" ] || fault "$file" 'is not executable'
done
finish
