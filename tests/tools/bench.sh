#!/bin/sh
# SPDX-License-Identifier: MIT
# compare bench measures what it is asked for, says so in text, CSV and JSON alike, and leaves nothing.
# No time is asserted.
. "${top_srcdir:?}/tests/tools/lib.sh"

if [ -n "${DUOSHM_TEST_PROFILE-}" ]; then
	echo 'bench: skipped: the limits of a profile leave no room for its queues'
	exit 77
fi
measure() { "$top_builddir/compare" bench --repeat=2 --duration=1ms --warmup=100us "$@"; }
# bench STATUS OPTION...; where there is one CPU only, what is measured is no good result: status 1.
bench() {
	wanted=$1
	shift
	expect "$wanted" measure "$@"
}
can_place=0
if ! measure --test=pingpong --size=8 --wait=spin > /dev/null 2> "$err"; then
	says 'could not be put on two CPUs' && can_place=1
fi

families=$(echo "$DUOSHM_TEST_BACKENDS" | wc -w)
csv=$scratch/results.csv json=$scratch/results.json

# have FILE PATTERN...: all of them
have() {
	file=$1
	shift
	for pattern; do
		has "$file" "$pattern"
	done
}

# rows TEST: lines of the CSV file.
rows() { grep -c "^$1," "$csv"; }
# want NUMBER TEST
want() { [ "$(rows "$2")" -eq "$1" ] || fault "$2: $(rows "$2") rows instead of $1"; }

begin 'each test measures the floor and both families'
bench "$can_place" --test=pingpong,inplace,oneway,staged,broadcast --size=8,4Ki --wait=adaptive \
	--clients=0,2 --csv="$csv"
have "$out" 'round trip, 8B, adaptive' 'one way, 4KiB' 'publish, 8B, adaptive, 2 clients' 'x floor'
for family in $DUOSHM_TEST_BACKENDS; do
	has "$out" "^  $family "
done
has "$csv" '^test,wait,backend,size,clients,count,operations,p50_ns,.*,ratio_high,batch,good$'
for test in pingpong inplace oneway staged; do
	want $((2 * (1 + families))) "$test"
done
want $((4 * families)) broadcast
awk -F, 'NR > 1 && !($7 > 0 && $8 > 0 && $9 >= $8 && $12 >= $8 && $13 > 0) { exit 1 }' "$csv" ||
	fault 'a row without operations, or whose percentiles are in disorder'

begin 'sleeping and hand-offs have floors of their own'
bench "$can_place" --test=pingpong,handoff --wait=sleep --size=8 --csv="$csv"
want $((2 * families)) pingpong
want $((2 * families)) handoff
for family in $DUOSHM_TEST_BACKENDS; do
	has "$csv" "^pingpong,sleep,floor-$family,"
done

begin 'only floors'
bench "$can_place" --test=floor --size=4Ki --wait=spin --csv="$csv"
have "$csv" '^pingpong,spin,floor,4096,' '^memcpy,,floor,4096,'
hasnt "$csv" ',(sysv|posix),'

begin 'one family'
for family in $DUOSHM_TEST_BACKENDS; do
	bench "$can_place" -b "$family" --test=oneway --size=64 --csv="$csv"
	want 2 oneway
done

begin 'JSON: every parameter echoed'
if "$top_builddir/compare" --version | grep -q jansson; then
	for form in "--json=$json" "--json $json"; do
		# As a user may write it.
		# shellcheck disable=SC2086
		bench "$can_place" --test=pingpong --size=8 --wait=spin $form
		has "$out" 'round trip'
		have "$json" '"schema": "duoshm.bench/1"' '"processor"' '"repeat": 2' '"test": "pingpong"' \
			'"duration_ns": 1000000' '"warmup_ns": 100000' '"size": "8"' '"wait": "spin"' '"cpus"' \
			'"floor_p50_ns"' '"ratio_to_floor"' '"ratio_low"' '"ratio_high"' '"p50_ns"' '"p99_ns"' \
			'"rate_per_s"' '"good"'
	done
	bench "$can_place" --test=pingpong --size=8 --wait=spin -J
	has "$out" '^\{$'
	has "$out" '"results"'
	hasnt "$out" '^round trip'
fi

begin 'one CPU gives no good results'
cpu=$(sed -n 's/^Cpus_allowed_list:[^0-9]*\([0-9]*\).*/\1/p' /proc/self/status 2> /dev/null)
if [ -n "$cpu" ]; then
	bench 1 --cpus="$cpu" --test=pingpong --size=8 --wait=adaptive --csv="$csv"
	has "$out" 'no good result'
	has "$err" 'could not be put on two CPUs'
	[ "$(grep -c ',1$' "$csv")" -eq 0 ] || fault 'a result is called good'
fi

begin 'wrong usage'
for wrong in --test=nosuch --size=7 --size=17Mi --size= --wait=never --clients=65 --cpus=0,0 \
	--cpus=99999 --repeat=0 --duration=0 --duration=-1ms; do
	bench 2 "$wrong"
done
bench 2 file
expect 2 "$top_builddir/compare" info --size=8
has "$err" 'only with bench'
bench 1 --test=pingpong --csv="$scratch/no/such"

begin 'a signal ends it, and nothing is left'
its_directory() {
	for each in /tmp/duoshm-compare-*/"bench$pid-"*; do
		[ -e "$each" ] && dirname "$each" && return
	done
	false
}
for signal in HUP TERM; do
	spawn "$top_builddir/compare" bench --test=broadcast --clients=1 --duration=60s > "$out" 2> "$err"
	pid=$!
	until_true 10 its_directory || fault 'no scratch directory'
	directory=$(its_directory)
	stop_process "$pid" "$signal"
	[ "$(kill -l "$status")" = "$signal" ] || fault "SIG$signal: status $status"
	[ ! -e "$directory" ] || fault "left: $directory"
done

begin 'nor of the floor, whose semaphores have no registry'
# That nothing is left, the last test sees where this is alone in the system.
# By until_true.
# shellcheck disable=SC2317
its_sides() { [ "$(pgrep -P "$pid" | wc -l)" -ge 2 ]; }
for test in handoff contention; do
	command -v pgrep > /dev/null 2>&1 || break
	spawn "$top_builddir/compare" bench --test="$test" --clients=1 --duration=60s > "$out" 2> "$err"
	pid=$!
	until_true 10 its_sides || fault 'no sides'
	stop_process "$pid" TERM
	[ "$(kill -l "$status")" = TERM ] || fault "status $status"
done
nothing_left
finish
