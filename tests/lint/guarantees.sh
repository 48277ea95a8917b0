#!/bin/sh
# SPDX-License-Identifier: MIT
# The table of guarantees in tests/README.md tells the truth: 1 to 23, each proven by files that are
# there and that `make check` can run, each with its planted defects, and no defect is left out.
. "${top_srcdir:?}/tests/lint/common.sh"

table=$top_srcdir/tests/README.md
mutants=$top_srcdir/tests/mutants

# cell ROW COLUMN
cell() {
	awk -F ' *[|] *' -v row="$1" -v column="$2" '$2 == row { print $(column + 1) }' "$table"
}

# What stands between back-quotes.
quoted() { tr '`' '\n' | sed -n 'n;p'; }

for row in $(seq 1 23); do
	[ -n "$(cell "$row" 2)" ] || fault tests/README.md "has no guarantee $row"
	for test in $(cell "$row" 3 | quoted); do
		[ -e "$top_srcdir/tests/$test" ] || [ -e "$top_srcdir/tests/$test.c" ] ||
			fault tests/README.md "guarantee $row: there is no tests/$test"
	done
	told=$(cell "$row" 7 | quoted | sort)
	there=$(grep -l -x "Guarantee: $row" "$mutants"/*.patch | sed -e 's,.*/,,' -e 's/\.patch$//' | sort)
	[ -n "$there" ] || fault tests/mutants "has no defect for guarantee $row"
	[ "$told" = "$there" ] ||
		fault tests/README.md "guarantee $row: the defects named are not those there: $(echo "$told $there" | tr ' ' '\n' | sort | uniq -u | tr '\n' ' ')"
done
for patch in "$mutants"/*.patch; do
	test=$(sed -n 's/^Test: *//p' "$patch")
	[ -e "$top_srcdir/$test" ] || [ -e "$top_srcdir/$test.c" ] ||
		grep -q -w "${test##*/}" "$top_srcdir/${test%/*}/local.mk" ||
		fault "$patch" "there is no test $test"
done
finish
