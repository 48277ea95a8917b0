#!/bin/sh
# SPDX-License-Identifier: MIT
# What runs each test passes its status on, and ends one that hangs, after telling where it hangs.
limit=${top_builddir:?}/tests/harness/limit
scratch=$(mktemp -d) || exit 99
trap 'rm -rf "$scratch"' EXIT
trap 'exit 99' HUP INT TERM
faults=0

fault() {
	echo "limit: $*"
	faults=$((faults + 1))
}
# ends SECONDS STATUS COMMAND...
ends() {
	seconds=$1 wanted=$2
	shift 2
	DUOSHM_TEST_LIMIT=$seconds "$limit" "$@" > "$scratch/out" 2>&1
	status=$?
	[ "$status" -eq "$wanted" ] || fault "status $status and not $wanted: $*"
}
# says PATTERN
says() { grep -q -e "$1" "$scratch/out" || fault "no \"$1\" in: $(cat "$scratch/out")"; }

ends 100 0 true
ends 100 77 sh -c 'exit 77'
# shellcheck disable=SC2016
ends 100 143 sh -c 'kill -TERM $$'
ends 100 99 "$scratch/no/such"
says 'no/such'
ends 100 99
says usage

# One that cleans up when it is asked to end, with all that it started; also where it stands still.
# shellcheck disable=SC2016
ends 2 1 sh -c 'trap "echo cleans; exit 0" TERM; sleep 1000; :' a-test
says '^limit: a-test: no end after 2 s'
says ' sleep 1000$'
says '^cleans'
# shellcheck disable=SC2016
ends 2 1 sh -c 'trap "echo cleans; exit 0" TERM; kill -STOP $$; sleep 1000'
says '^cleans'
# And one that does not listen.
# shellcheck disable=SC2016
ends 1 1 sh -c 'trap "" TERM; echo $$ > "$0"; exec sleep 1000' "$scratch/pid"
! kill -0 "$(cat "$scratch/pid")" 2> /dev/null || fault 'it goes on'

# Who ends the one that runs it ends the test.
for signal in HUP TERM; do
	# shellcheck disable=SC2016
	"$limit" sh -c 'trap "echo hears; exit 3" HUP TERM; kill "-$0" "$PPID"; while :; do :; done' "$signal" > "$scratch/out" 2>&1
	[ $? -eq 3 ] || fault "not ended by $signal"
	says '^hears'
done
[ "$faults" -eq 0 ]
