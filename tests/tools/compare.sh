#!/bin/sh
# SPDX-License-Identifier: MIT
# compare shows what the system says, and what both families do; over the library they do the same.
. "${top_srcdir:?}/tests/tools/lib.sh"

compare() { expect "$1" "$top_builddir/compare" ${2+"$2"} ${3+"$3"} ${4+"$4"}; }

# column NUMBER: the outcomes of the matrix's NUMBER-th subject; the columns have fixed widths. Where
# shmmax is small, too much is a LIMIT of System V before it is too much memory.
column() {
	awk -v from=$((46 + 21 * ($1 - 1))) -v profile="${DUOSHM_TEST_PROFILE-}" 'NR > 1 {
		outcome = substr($0, from, 20)
		sub(/ *$/, "", outcome)
		if (profile == "macos-arm64") sub(/^NO_SPACE/, "LIMIT", outcome)
		print outcome
	}' "$out"
}

begin 'info shows both families'
compare 0 info
for family in sysv posix; do
	has "$out" "$family"
done
has "$out" '^works here +(yes|no) +(yes|no)$'
for family in $DUOSHM_TEST_BACKENDS; do
	has "$out" "^$family +[a-z]"
done

begin 'info without a verb'
cp "$out" "$scratch/info"
compare 0
sed 's/ *[0-9].*//' "$out" > "$scratch/now"
sed 's/ *[0-9].*//' "$scratch/info" | diff - "$scratch/now" > "$scratch/diff" ||
	fault "differs from info: $(cat "$scratch/diff")"

begin 'over the library both families do the same'
compare 0 semantics
cp "$out" "$scratch/matrix"
[ "$(wc -l < "$out")" -gt 12 ] || fault 'fewer than 12 experiments'
subjects=$(head -n 1 "$out" | wc -w)
# Bare subjects come first, the library's are as many. Only collision may differ: one family has no keys.
first=$((subjects / 2 + 1))
column "$first" | sed '$d' > "$scratch/reference"
grep -q -E '[^ ]' "$scratch/reference" || fault 'the reference is empty'
number=$first
while [ "$number" -lt "$subjects" ]; do
	number=$((number + 1))
	column "$number" | sed '$d' | diff "$scratch/reference" - > "$scratch/diff" ||
		fault "differs: $(cat "$scratch/diff")"
done
for outcome in 'EXISTS' '1000 of 1000' 'memory stays' 'NOT_FOUND' 'a new one' 'stays, then replaced' \
	'OWNER_DEAD, held' 'REMOVED' 'FORKED' '0666 became 0600' 'SIG(SEGV|BUS)' 'NAME'; do
	has "$out" "$outcome"
done
hasnt "$out" 'failed|signal'

begin 'evidence names the calls'
compare 0 -v semantics size
has "$out" 'duoshm_segment_create\(name, 1000, 0600\) = 0'
compare 0 -v semantics fork
has "$out" 'child: exited with 0'
hasnt "$out" 'signal 0| $'

begin 'wrong words'
compare 2 nonsense
says 'unknown command: nonsense'
compare 2 semantics nonsense
says 'no such experiment: nonsense; there are create-twice .* collision'
compare 2 info too-much
says 'unexpected argument'

begin 'JSON'
if "$top_builddir/compare" -J > "$out" 2> "$err"; then
	has "$out" '"schema": *"duoshm.info/1"'
	compare 0 -J semantics
	has "$out" '"schema": *"duoshm.semantics/1"'
	has "$out" '"call": *"duoshm_segment_create'
	has "$out" '"result": *"EXISTS"'
	has "$out" '"cause": *"the '
	has "$out" '"errno": *"E[A-Z]+"'
	if command -v python3 > /dev/null 2>&1; then
		python3 -m json.tool < "$out" > "$scratch/json" 2>&1 || fault "no JSON: $(cat "$scratch/json")"
	fi
else
	says 'jansson'
fi

begin 'ended by a signal'
# Not INT, which a shell lets its background jobs ignore. What it makes bears its pid.
its_directory() {
	for each in "/tmp/duoshm-compare-"*"/cmp$pid-"*; do
		[ -e "$each" ] && dirname "$each" && return
	done
	false
}
for signal in HUP TERM; do
	spawn "$top_builddir/compare" semantics > "$out" 2> "$err"
	pid=$!
	until_true 10 its_directory || fault 'no scratch directory'
	directory=$(its_directory)
	stop_process "$pid" "$signal"
	[ "$(kill -l "$status")" = "$signal" ] || fault "SIG$signal: status $status"
	[ ! -e "$directory" ] || fault "left: $directory"
done

begin 'a closed standard output'
"$top_builddir/compare" info >&- 2> "$err" && fault 'status 0'
says 'standard output'
nothing_left
finish
