#!/bin/sh
# SPDX-License-Identifier: MIT
# What runs each test passes its status on, and ends one that hangs, after telling where it hangs.
limit=${top_builddir:?}/tests/harness/limit
scratch=$(mktemp -d) || exit 99
trap 'rm -rf "$scratch"' EXIT
faults=0

# ends STATUS COMMAND...
ends() {
	wanted=$1
	shift
	DUOSHM_TEST_LIMIT=1 "$limit" "$@" > "$scratch/out" 2>&1
	status=$?
	[ "$status" -eq "$wanted" ] && return
	echo "limit: status $status and not $wanted: $*"
	faults=$((faults + 1))
}
# says PATTERN
says() {
	grep -q -e "$1" "$scratch/out" && return
	echo "limit: no \"$1\" in:"
	cat "$scratch/out"
	faults=$((faults + 1))
}

ends 0 true
ends 77 sh -c 'exit 77'
# shellcheck disable=SC2016
ends 143 sh -c 'kill -TERM $$'
ends 99 "$scratch/no/such"
says 'no/such'
ends 99
says usage

# One that cleans up when it is asked to end, with all that it started; and one that does not listen.
# shellcheck disable=SC2016
ends 1 sh -c 'trap "echo cleans; exit 0" TERM; sleep 1000; :' a-test
says '^limit: a-test: no end after 1 s'
says 'sleep 1000'
says '^cleans'
# shellcheck disable=SC2016
ends 1 sh -c 'trap "" TERM; echo $$ > "$0"; exec sleep 1000' "$scratch/pid"
! kill -0 "$(cat "$scratch/pid")" 2> /dev/null || {
	echo 'limit: it goes on'
	faults=$((faults + 1))
}
[ "$faults" -eq 0 ]
