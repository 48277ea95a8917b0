#!/bin/sh
# SPDX-License-Identifier: MIT
# The verbs of the client against a living device, a dying one and none, on each built family.
# Cases are called by name.
# shellcheck disable=SC2317
. "${top_srcdir:?}/tests/tools/lib.sh"

json=no
"$top_builddir/client" -V | grep -q jansson && json=yes

# lines N: standard output has that many.
lines() { [ "$(wc -l < "$out")" -eq "$1" ] || fault "$(wc -l < "$out") lines and not $1: $(head -n 5 "$out")"; }
time_of='[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}'

verbs() {
	name=$unique.$backend
	start_device "$name" SINE 1 --rate=100Hz || return
	expect 0 client -n "$name" ping
	has "$out" "^pid $device_pid, heartbeat age [0-9]+[mu]?s$"
	expect 0 client -n "$backend:$name" info
	has "$out" "^backend +$backend "
	has "$out" '^VOLT +real +r +V'
	expect 0 client -n "$name" --num-events=1
	has "$out" "^$time_of VOLT -?[01]\.[0-9]+ V"
	lines 1
	expect 0 client list -o NAME,PID,BACKEND --noheadings
	has "$out" "^$name +$device_pid +$backend$"

	expect 0 client -n "$name" get VOLT PERIOD
	has "$out" '^VOLT {27}-?[01]\.[0-9]+ V'
	has "$out" '^PERIOD +1\.0+ s$'
	expect 0 client -n "$name" get period
	expect 0 client -n "$name" get -t PERIOD RUN
	[ "$(tr '\n' ' ' < "$out")" = '1.000 on ' ] || fault "terse: $(cat "$out")"
	expect 0 client -n "$name" get -a --utc VOLT
	has "$out" "^VOLT +$time_of -?[0-9.]+ [A-Z_]+ [A-Z_]+$"
	expect 0 client -n "$name" get --format=%.2e -F, PERIOD
	[ "$(cat "$out")" = 'PERIOD,1.00e+00,s' ] || fault "format: $(cat "$out")"
	expect 0 client -n "$name" get -# 1 -t PERIOD
	[ "$(cat "$out")" = 1.0 ] || fault "digits: $(cat "$out")"
	expect 3 client -n "$name" get NOSUCH PERIOD NOTHIS
	has "$out" '^NOSUCH +\*\*\* no such register$'
	has "$out" '^PERIOD +1\.0+ s$'
	has "$out" '^NOTHIS +\*\*\* no such register$'

	expect 0 client -n "$name" put PERIOD=0.5s AMPLITUDE=2
	printf 'Old : PERIOD 1.000 s\nNew : PERIOD 0.500 s\n' > "$scratch/wanted"
	head -n 2 "$out" | cmp -s - "$scratch/wanted" || fault "put: $(cat "$out")"
	has "$out" '^New : AMPLITUDE 2\.0+ V'
	# However long a number is, all of it is shown.
	expect 0 client -n "$name" put AMPLITUDE=1e15
	[ "$(sed -n 's/^New : AMPLITUDE \([0-9]*\)\..* V$/\1/p' "$out" | tr -d '\n' | wc -c)" -ge 16 ] ||
		fault "1e15: $(cat "$out")"
	expect 0 client -n "$name" get --format=%.99f -t AMPLITUDE
	[ "$(tr -d '\n' < "$out" | wc -c)" -ge 116 ] || fault "not 99 digits: $(cat "$out")"
	expect 0 client -n "$name" put AMPLITUDE=2
	expect 3 client -n "$name" put NOSUCH=1 PERIOD=0.25
	has "$out" '^New : PERIOD 0\.250 s'
	for wrong in VOLT=1 PERIOD=0 PERIOD=-1 PERIOD=nan PERIOD=soon PERIOD= RUN=perhaps SEED=1.5; do
		expect 5 client -n "$name" put "$wrong"
		says "^client: $name: .*${wrong%%=*}"
	done
	expect 0 client -n "$name" get -t PERIOD
	[ "$(cat "$out")" = 0.250 ] || fault "a refused value was taken: $(cat "$out")"

	expect 0 client -n "$name" cmd get PERIOD
	has "$out" 'PERIOD 0\.25'
	expect 5 client -n "$name" cmd frobnicate
	says "^client: $name: "
	expect 0 client -n "$name" cmd stop
	expect 0 client -n "$name" get -t RUN
	[ "$(cat "$out")" = off ] || fault 'stop did not stop'
	expect 0 client -n "$name" cmd exit
	wait_process "$device_pid"
	[ "$status" -eq 0 ] || fault "the device ended with status $status"
	expect 3 client -n "$name" -w 0 get VOLT
	says "^client: $name: "
	nothing_left
}

monitors() {
	name=$unique.$backend
	start_device "$name" SINE 1 --rate=200Hz || return
	expect 0 client -n "$name" monitor --num-events=20
	lines 20
	has "$out" "^$time_of VOLT -?[01]\.[0-9]+ V"
	[ "$(cut -c 1-26 "$out" | sort -u | wc -l)" -eq 20 ] || fault 'time stamps are not of the samples'
	expect 0 client -n "$name" monitor --num-events=2 --time=none VOLT
	has "$out" '^VOLT '
	expect 0 client -n "$name" monitor --num-events=3 --relative VOLT
	head -n 1 "$out" | grep -q '^0\.000000 VOLT' || fault "relative: $(cat "$out")"
	# What is shown first counts.
	expect 0 client -n "$name" monitor --num-events=3 --banner --initial-state VOLT PERIOD
	has "$out" "^Monitoring $name: VOLT PERIOD$"
	has "$out" ' PERIOD 1\.0+ s$'
	lines 4
	expect 0 client -n "$name" monitor --num-events=1 --initial-state --duration=20s PERIOD
	lines 1
	# Updates between two looks are told once, at the end; how many there are is the machine's affair.
	expect 0 client -n "$name" monitor --num-events=4 FRAMES
	lines 4
	[ "$(grep -c 'missed [0-9]* updates* of FRAMES$' "$err")" -le 1 ] || fault "missed: $(cat "$err")"
	expect 3 client -n "$name" monitor --num-events=2 NOSUCH VOLT
	has "$out" '^NOSUCH +\*\*\* no such register$'
	lines 3
	expect 0 client -n "$name" monitor --duration=20ms VOLT

	# A register beside the stream is told when it changes.
	spawn "$top_builddir/client" -n "$name" monitor --banner --num-events=1 PERIOD \
		> "$scratch/changes" 2>&1
	watcher=$!
	until_true 10 grep -q Monitoring "$scratch/changes"
	expect 0 client -n "$name" put PERIOD=3
	wait_process "$watcher"
	has "$scratch/changes" ' PERIOD 3\.0+ s$'
	# Nothing happens to it any more.
	expect 0 client -n "$name" monitor --idle-timeout=50ms PERIOD
	lines 0
	# A reader that goes away ends it quietly.
	"$top_builddir/client" -n "$name" monitor 2> "$err" | head -n 1 > "$out"
	lines 1
	[ ! -s "$err" ] || fault "a closed pipe is told: $(cat "$err")"
	if [ "$json" = yes ]; then
		expect 0 client -n "$name" monitor --num-events=2 -J
		lines 2
		has "$out" '^\{"schema":"duoshm.sample/1","device":"[^"]*","register":"VOLT","seq":[0-9]+,"t_device_ns":[0-9]+,"value":[-0-9.e]+,"raw":[0-9]+,"unit":"V",'
		expect 0 client -n "$name" info -J
		has "$out" '"schema": "duoshm.device/1"'
		expect 0 client -n "$name" put -J PERIOD=1
		has "$out" '"old":3.0,"new":1.0'
		expect 3 client -n "$name" get -J NOSUCH
		has "$out" '"error":"no such register"'
		# The device's name is not what was typed, and what is refused is told as well.
		expect 5 client -n "$backend:$name" put -J VOLT=1 PERIOD=1
		has "$out" "^\{\"schema\":\"duoshm.error/1\",\"device\":\"$name\",\"register\":\"VOLT\",\"error\":\".*read-only"
		has "$out" '"old":1.0,"new":1.0'
	fi
	stop_process "$device_pid"
	[ "$status" -eq 0 ] || fault "SIGTERM: status $status"
	nothing_left
}

# told N TIMES PATTERN: in what the Nth client of device_goes printed.
told() { [ "$(grep -c -E -e "$3" "$scratch/wait.$1")" -ge "$2" ]; }
# Who waits when the device goes is told, whatever it waits in, and goes over to the next one. A capture does not: it ends,
# and what it has does not look whole.
device_goes() {
	name=$unique.$backend
	start_device "$name" SINE --rate=50Hz || return
	pids=
	number=0
	for verb in 'monitor --banner VOLT' 'monitor --banner PERIOD' '' 'monitor -w 0'; do
		number=$((number + 1))
		# shellcheck disable=SC2086
		spawn "$top_builddir/client" -n "$name" $verb > "$scratch/wait.$number" 2>&1
		pids="$pids $!"
	done
	returns=0
	for end in KILL TERM; do
		spawn "$top_builddir/client" -n "$name" capture -o "$scratch/part.csv" > "$scratch/capture" 2>&1
		capture=$!
		until_true 10 lane_is_there || fault 'no lane is listed'
		for number in 1 2 3; do
			until_true 10 test -s "$scratch/wait.$number" || fault "nothing comes from $number"
		done
		stop_process "$device_pid" "$end"
		wait_process "$capture"
		[ "$status" -eq 3 ] || fault "SIG$end: status $status of a capture"
		has "$scratch/capture" "^client: $name: the device is gone$"
		[ ! -e "$scratch/part.csv" ] || fault 'the capture looks whole'
		[ "$end" = TERM ] || { expect 0 client list && has "$out" "^$name +$backend .*dead"; }
		returns=$((returns + 1))
		for number in 1 2 3; do
			until_true 10 told "$number" "$returns" "^client: $name: the device is gone; waiting" ||
				{ fault "SIG$end: $number is not told: $(tail -n 3 "$scratch/wait.$number")" && return; }
		done
		dead=$device_pid
		start_device "$name" SINE --rate=50Hz || return
		[ "$end" = TERM ] || has "$scratch/device.log" "^device: $name: replaced the remains of pid $dead$"
		for number in 1 2 3; do
			until_true 10 told "$number" 1 "^client: $name: connected again, pid $device_pid$" ||
				{ fault "SIG$end: $number is not back: $(tail -n 3 "$scratch/wait.$number")" && return; }
			# What comes from the new device.
			until_true 10 shows_after "$number" || { fault "SIG$end: nothing comes from $number any more" && return; }
		done
		echo "PROVES 5 $backend 3 reconnections"
	done
	# shellcheck disable=SC2086
	set -- $pids
	wait_process "$4"
	[ "$status" -eq 3 ] || fault "status $status of who was told not to wait"
	has "$scratch/wait.4" "^client: $name: the device is gone$"
	stop_process "$device_pid"
	stop_process "$3"
	[ "$status" -eq 3 ] || fault "status $status of who was ended while it waited"
	stop_process "$1" KILL
	stop_process "$2" KILL
	nothing_left
}
shows_after() { sed '1,/connected again, pid '"$device_pid"'/d' "$scratch/wait.$1" | grep -q -E "^$time_of "; }

is_stuck() {
	client -n "$name" -w 0 ping
	[ $? -eq 4 ]
}
is_silent() {
	run client list
	grep -q "^$name .* silent " "$out"
}
# A process that lives and does nothing: a time-out, and not "gone".
device_hangs() {
	name=$unique.$backend
	start_device "$name" || return
	kill -STOP "$device_pid"
	until_true 10 is_stuck || fault 'ping does not see that the heartbeat stands still'
	expect 4 client -n "$name" -w 0 ping
	says "pid $device_pid lives, but its heartbeat"
	expect 4 client -n "$name" -w 0.1 cmd status
	expect 4 client -n "$name" -w 0.1 put PERIOD=1
	expect 0 client -n "$name" get PERIOD
	# Who waits for it is told once, and lists show it.
	until_true 10 is_silent || fault "not silent: $(cat "$out")"
	expect 0 client -n "$name" monitor --duration=2500ms VOLT
	[ "$(grep -c "^client: $name: no heartbeat for [0-9]*s$" "$err")" -eq 1 ] || fault "told: $(cat "$err")"
	kill -CONT "$device_pid"
	expect 0 client -n "$name" -w 5 ping
	expect 0 client -n "$name" cmd stop
	expect 0 client -n "$name" info
	has "$out" '^state +stopped$'
	expect 0 client -n "$name" --num-events=2
	says "^client: $name: the device is stopped$"
	stop_process "$device_pid"
	nothing_left
}

# A client may come first.
waits_for_device() {
	name=$unique.$backend
	spawn "$top_builddir/client" -n "$name" -w 20 get VOLT > "$scratch/first" 2>&1
	first=$!
	start_device "$name" || return
	wait_process "$first"
	[ "$status" -eq 0 ] || fault "status $status: $(cat "$scratch/first")"
	has "$scratch/first" '^VOLT '
	stop_process "$device_pid"
}

# What bears the name and is no device, or was one and is damaged.
no_device() {
	name=$unique.$backend
	start_device "$name" || return
	lane=
	spawn "$top_builddir/client" -n "$name" capture -o - > /dev/null 2>&1
	capturer=$!
	until_true 10 lane_is_there || fault 'no lane is listed'
	lane=$(lane_name)
	expect 6 client -n "$lane" -w 0 ping
	says "^client: "
	stop_process "$capturer"
	[ "$status" -eq 0 ] || fault "a capture that is told to end: status $status"
	stop_process "$device_pid"
	nothing_left
}
# Bytes that make no sense, where the system shows objects as files: said, and nothing else.
damaged() {
	name=$unique.$backend
	start_device "$name" || return
	object=/dev/shm$("$top_builddir/detach" --list --noheadings -o OBJECT)
	if [ -f "$object" ]; then
		kill -STOP "$device_pid" # it would take the rubbish for a removal, and end
		head -c 512 "$object" > "$scratch/head"
		for at in 0 64 512; do
			yes rubbish | dd of="$object" bs=64 seek=$((at / 64)) count=8 iflag=fullblock conv=notrunc 2> /dev/null
			run client -n "$name" -w 0 get VOLT
			[ "$status" -eq 6 ] || fault "rubbish at $at: status $status: $(cat "$err")"
			says "^client: $name: "
		done
		dd if="$scratch/head" of="$object" conv=notrunc 2> /dev/null
		: > "$object"
		run client -n "$name" -w 0 get VOLT
		case $status in 3 | 6) ;; *) fault "an empty object: status $status" ;; esac
	fi
	stop_process "$device_pid" KILL
	expect 0 detach
	nothing_left
}
lane_name() { "$top_builddir/detach" --list --noheadings -o KIND,NAME | awk '$1 == "lane" { print $2 }'; }
lane_is_there() { [ -n "$(lane_name)" ]; }

each_backend verbs monitors device_goes device_hangs waits_for_device no_device damaged

begin 'the other family'
# shellcheck disable=SC2086
set -- $roomy
if [ $# -ge 2 ]; then
	name=$unique.other
	start_device "$name" -b "$1" || fault 'no device'
	expect 3 client -b "$2" -n "$name" -w 0 ping
	says "$1"
	expect 0 client -b auto -n "$name" ping
	stop_process "$device_pid"
	# The same name in both, side by side.
	start_device "$1:$name" --seed=1
	one=$device_pid
	start_device "$2:$name" --seed=2
	expect 0 client -b auto list -o NAME,BACKEND --noheadings
	[ "$(grep -c "^$name " "$out")" -eq 2 ] || fault "not both are listed: $(cat "$out")"
	expect 0 client -n "$1:$name" ping
	has "$out" "^pid $one,"
	expect 0 client -n "$2:$name" ping
	has "$out" "^pid $device_pid,"
	stop_process "$one"
	stop_process "$device_pid"
fi
nothing_left
finish
