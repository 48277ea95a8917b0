#!/bin/sh
# SPDX-License-Identifier: MIT
# instructions.sh [OPERATION...]: how many instructions of user space an operation of the library
# takes on each family, counted by callgrind: the same on a busy machine as on a quiet one, so that a
# regression shows. What the kernel does is not in it. 77: no valgrind.
set -u
program=${top_builddir:?}/tests/bench/instructions
times=1000
if ! valgrind --tool=callgrind --version > /dev/null 2>&1; then
	echo 'instructions: no valgrind, which counts'
	exit 77
fi
scratch=$(mktemp -d) || exit 99
trap 'rm -rf "$scratch"' EXIT
DUOSHM_DIR=$scratch/registry
export DUOSHM_DIR
mkdir -m 700 "$DUOSHM_DIR" || exit 99

# count FAMILY OPERATION: of all its turns
count() {
	LD_BIND_NOW=1 valgrind --tool=callgrind --toggle-collect=measured \
		--callgrind-out-file="$scratch/out" "$program" "$1" "$2" "$times" > "$scratch/log" 2>&1 ||
		{ cat "$scratch/log" >&2; return 1; }
	sed -n 's/^.*Collected : \([0-9]*\).*/\1/p' "$scratch/log"
}

families=${DUOSHM_TEST_BACKENDS:?}
# Families and operations are words.
# shellcheck disable=SC2086
printf '%-18s' 'instructions' $families
echo
set -- "${*:-}"
"$program" | while read -r operation divisor; do
	case " $1 " in
	"  " | *" $operation "*) ;;
	*) [ "$operation" = nothing ] || continue ;;
	esac
	row=$(printf '%-18s' "$operation")
	for family in $families; do
		counted=$(count "$family" "$operation") || exit 1
		[ "$operation" = nothing ] && loop=$counted && continue
		row="$row$(echo "$counted $loop $times $divisor" |
			awk '{ printf "%-18.1f", ($1 - $2) / $3 / $4 }')"
	done
	[ "$operation" = nothing ] || echo "$row"
done
