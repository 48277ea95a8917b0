#!/bin/sh
# SPDX-License-Identifier: MIT
# What the objects of the library define and need: global names begin with duoshm_ (public) or
# duoshm__ (internal), and each backend is reached by one symbol only, its constant record.
. "${top_srcdir:?}/tests/lint/common.sh"

nm=${NM:-nm}
$nm --version > /dev/null 2>&1 || skip 'no nm'

# objects_of FOLDER: with an object directory of libtool where there is one.
objects_of() {
	find "$top_builddir/$1" -name '*.o' -print | grep -v /tests/ | sort
}

# symbols TYPES FILE...
symbols() {
	types=$1
	shift
	[ "$#" -gt 0 ] || return 0
	# shellcheck disable=SC2086
	$nm -P "$@" 2> /dev/null | awk -v types="$types" 'NF > 1 && $2 ~ "^[" types "]$" { print $1 }' |
		sed 's/^_\(duoshm\)/\1/' | sort -u
}

defined='TDBRCGSVW'
# Paths of a build tree hold no blanks here: make could not work there either.
# shellcheck disable=SC2046,SC2086
{
	library=$(objects_of backends; objects_of src/core; objects_of src/queue)
	symbols $defined $library > "$scratch/defined"
	others=$(objects_of src/core; objects_of src/queue; objects_of src/device; objects_of src/tools)
	symbols U $others > "$scratch/needed"
}
[ -s "$scratch/defined" ] || fault objects 'found no object to check'

# Sanitizers and coverage add names of their own.
grep -v -E '^(duoshm_|__|_*(asan|ubsan|gcov|llvm))' "$scratch/defined" > "$scratch/odd" || :
while read -r name; do
	fault objects "global name without the prefix: $name"
done < "$scratch/odd"

for backend in ${DUOSHM_TEST_BACKENDS:?}; do
	# shellcheck disable=SC2046
	symbols $defined $(objects_of "backends/$backend") | grep -v '^__' > "$scratch/backend"
	count=$(comm -12 "$scratch/backend" "$scratch/needed" | wc -l)
	[ "$count" -eq 1 ] || fault "backends/$backend" "is reached by $count symbols: $(
		comm -12 "$scratch/backend" "$scratch/needed" | tr '\n' ' ')"
done
finish
