#!/bin/sh
# SPDX-License-Identifier: MIT
# The device as a user starts it: its messages, its end, scripts, the prompt, wrong input.
# The cases are called by their names.
# shellcheck disable=SC2317
. "${top_srcdir:?}/tests/tools/lib.sh"

first_line() {
	name=$unique.first
	expect 0 device -n "$name" --duration=50ms
	says "^device: $name: created \\($backend [^ ]+, [0-9]+ bytes, mode 0600\\), pid [0-9]+\$"
	expect 0 device -q -n "$name" --duration=50ms --mode=0644
	[ ! -s "$err" ] || fault "-q says something: $(cat "$err")"
	nothing_left
}

second_of_the_name() {
	name=$unique.two
	start_device "$name" || return
	expect 1 device -n "$name"
	says "$name: a device of that name is there already .*, pid $device_pid\$"
	stop_process "$device_pid" TERM
	[ "$status" -eq 0 ] || fault "SIGTERM: status $status"
	nothing_left
}

# SIGINT is ignored by what a shell starts in the background, hence the command.
ends() {
	name=$unique.ends
	start_device "$name" || return
	stop_process "$device_pid" TERM
	[ "$status" -eq 0 ] || fault "SIGTERM: status $status"
	nothing_left
	start_device "$name" || return
	expect 0 client -n "$name" cmd exit
	wait_process "$device_pid"
	[ "$status" -eq 0 ] || fault "exit: status $status"
	nothing_left
}

remains_are_replaced() {
	name=$unique.dead
	start_device "$name" || return
	dead=$device_pid
	stop_process "$dead" KILL
	expect 0 device -n "$name" --duration=50ms
	says "$name: replaced the remains of pid $dead\$"
	nothing_left
}

writes_and_commands() {
	name=$unique.set
	start_device "$name" SQUARE 3 || return
	expect 0 client -n "$name" put PERIOD=500ms
	has "$out" 'Old : PERIOD +3' && has "$out" 'New : PERIOD +0.5'
	expect 5 client -n "$name" put PERIOD=0
	says 'beyond its limits'
	expect 5 client -n "$name" put VOLT=1
	says 'read-only'
	expect 5 client -n "$name" put PERIOD=on
	expect 5 client -n "$name" cmd nonsense
	says 'unknown command'
	expect 0 client -n "$name" cmd stop
	has "$out" stopped
	expect 0 client -n "$name" get RUN
	has "$out" 'RUN +(0|off|false)'
	stop_process "$device_pid" TERM
	nothing_left
}

json_lines() {
	"$top_builddir/device" -V | grep -q jansson || return 0
	name=$unique.json
	printf 'get PERIOD\nexit\n' > "$scratch/ask"
	expect 0 device -J -n "$backend:$name" --script="$scratch/ask"
	has "$out" "^{\"schema\":\"duoshm.created/1\",\"device\":\"$name\",\"backend\":\"$backend\".*\"replaced_pid\":null}\$"
	has "$out" "^{\"schema\":\"duoshm.reply/1\",\"device\":\"$name\",\"command\":\"get PERIOD\",\"reply\":\"PERIOD 2 s\"}\$"
	[ ! -s "$err" ] || fault "more is said: $(cat "$err")"
	nothing_left
}

script_file() {
	name=$unique.script
	printf '# a comment\n\nset PERIOD=1s\nsource %s\nstatus\nexit\n' "$scratch/inner" > "$scratch/outer"
	printf 'sleep 20ms\nconfig triangle:period=4s\n' > "$scratch/inner"
	expect 0 device -q -n "$name" --duration=10s --script="$scratch/outer"
	has "$out" 'New : PERIOD 1 s' && has "$out" 'VOLT triangle:period=4s' && has "$out" bye
	printf 'status\nset NOSUCH=1\nstatus\n' > "$scratch/outer"
	expect 3 device -q -n "$name" --script="$scratch/outer"
	says 'no such register: NOSUCH' && says 'outer:2: the script ends here'
	expect 1 device -n "$name" --script="$scratch/nothing"
	says 'nothing: No such file'
	nothing_left
}

# Commands through a pipe, which may end in the middle of a line; its end does not end the device.
piped_commands() {
	name=$unique.piped
	printf 'get PERIOD\nsleep 20ms\nnonsense\nsource\n  set PERIOD=3s\nexit' |
		"$top_builddir/device" -q -n "$name" --duration=20s > "$out" 2> "$err" || fault 'exit: failed'
	has "$out" '^PERIOD 2 s$' && has "$out" 'New : PERIOD 3 s' && has "$out" '^bye$'
	hasnt "$out" '> '
	says 'unknown command "nonsense"' && says 'source without a file'
	echo 'get PERIOD' > "$scratch/file"
	# shellcheck disable=SC2016
	expect 0 sh -c '"$0" -q -n "$1" --duration=200ms < "$2"' "$top_builddir/device" "$name" "$scratch/file"
	[ "$(cat "$out")" = 'PERIOD 2 s' ] || fault "a file: $(cat "$out")"
	nothing_left
}

# An error in a script that the pipe asked for is told like any other, also after the pipe's end.
piped_scripts() {
	name=$unique.sourced
	printf 'sleep 20ms\nnonsense\nset PERIOD=9s\n' > "$scratch/inner"
	printf 'source %s\n' "$scratch/inner" > "$scratch/outer"
	printf 'source %s\nget PERIOD\nexit\n' "$scratch/outer" > "$scratch/ask"
	"$top_builddir/device" -q -n "$name" --duration=20s < "$scratch/ask" > "$out" 2> "$err" || fault "status $?"
	says 'unknown command "nonsense"' && says 'inner:2: the script ends here'
	has "$out" '^PERIOD 2 s$' && has "$out" '^bye$'
	printf 'source %s' "$scratch/inner" > "$scratch/ask"
	"$top_builddir/device" -q -n "$name" --duration=500ms < "$scratch/ask" > "$out" 2> "$err" || fault "at the end: status $?"
	says 'inner:2: the script ends here'
	expect 2 device -q -n "$name" --script="$scratch/outer"
	nothing_left
}

# Nothing of a line that is too long is done; a comment may be of any length.
long_lines() {
	name=$unique.long
	{
		printf 'get PERIOD%501s\n' ''
		printf '#%900s set PERIOD=9s\n' ''
		printf 'get PERIOD%502s\n' ''
		printf '%511s set PERIOD=9s\n' ''
		printf '%2000s set PERIOD=9s\n' ''
		printf 'get PERIOD\nexit\n'
	} > "$scratch/long"
	"$top_builddir/device" -q -n "$name" --duration=20s < "$scratch/long" > "$out" 2> "$err" || fault "status $?"
	[ "$(grep -c '^device: the line is longer than 511 characters$' "$err")" -eq 3 ] || fault "not three: $(cat "$err")"
	[ "$(grep -c '^PERIOD 2 s$' "$out")" -eq 2 ] || fault "not two answers: $(cat "$out")"
	hasnt "$out" 'PERIOD 9'
	expect 2 device -q -n "$name" --script="$scratch/long"
	says 'longer than 511 characters' && says 'long:3: the script ends here'
	has "$out" '^PERIOD 2 s$'
	nothing_left
}

description_file() {
	"$top_builddir/device" -V | grep -q inih || return 0
	name=$unique.plant
	printf '[device]\nname = %s\nrate = 50Hz\n[register TEMP]\nunit = degC\nwave = dc:offset=21\n' \
		"$name" > "$scratch/plant.ini"
	printf '[register SET]\naccess = rw\nlow = 0\nhigh = 9\nvalue = 3\n' >> "$scratch/plant.ini"
	start_device "$name" -C "$scratch/plant.ini" || return
	expect 0 client -n "$name" get SET
	has "$out" 'SET +3.000'
	expect 5 client -n "$name" put SET=10
	expect 0 client -n "$name" info
	has "$out" '50 Hz, 1 channel'
	stop_process "$device_pid" TERM
	printf '[device]\ncolour = red\n' > "$scratch/wrong.ini"
	expect 2 device -C "$scratch/wrong.ini"
	says 'wrong.ini:2: unknown key "colour"'
	expect 2 device -C "$scratch/missing.ini"
	nothing_left
}

replay_of_csv() {
	name=$unique.csv
	i=0
	echo 't_s,A,B' > "$scratch/in.csv"
	while [ "$i" -lt 300 ]; do
		echo "$i,$((i * 7 % 31)).25,-$((i + 1))"
		i=$((i + 1))
	done >> "$scratch/in.csv"
	start_device "$name" --replay="$scratch/in.csv" --pace=fast --once || return
	expect 0 client -n "$name" capture -o "$scratch/out.csv"
	wait_process "$device_pid"
	[ "$status" -eq 0 ] || fault "--once: status $status"
	tail -n +2 "$scratch/in.csv" | cut -d, -f2- > "$scratch/in.samples"
	tail -n +2 "$scratch/out.csv" | cut -d, -f2- > "$scratch/out.samples"
	cmp "$scratch/in.samples" "$scratch/out.samples" || fault 'the samples differ'
	nothing_left
}

# wrong STATUS MESSAGE ARGUMENT...
wrong() {
	wanted_status=$1
	wanted_words=$2
	shift 2
	expect "$wanted_status" device -n "$unique.wrong" "$@"
	says "$wanted_words"
}

wrong_input() {
	wrong 2 'unknown wave "sinus"' sinus
	for period in 0 -1 nan inf 2V; do
		wrong 2 '^device: period:' "--period=$period"
	done
	# A negative number is an operand and no option.
	for period in 0 -1 -0.5 -.5 nan inf; do
		wrong 2 '^device: period:' SIN "$period"
	done
	for bits in 0 65 x 1.5; do
		wrong 2 '^device: bits:' "--bits=$bits"
	done
	wrong 2 '^device: rate:' --rate=0
	wrong 2 '^device: mode:' --mode=0777
	wrong 2 '^device: --duration' --duration=soon
	wrong 2 'unexpected argument: "more"' SIN 1 more
	wrong 2 'Try .device --help' --nonsense
	wrong 2 'no backend "dos"; there are auto' --backend=dos
	wrong 2 'replay: is empty' --replay=
	wrong 2 'wave: sine:amp=1X: "1X" is not a number in V' --wave=sine:amp=1X
	# What contradicts itself, or would be ignored.
	for with in --wave=sine --period=1 --seed=1 SIN; do
		wrong 2 'signal|a replay has no wave' --replay="$scratch/any.wav" "$with"
	done
	wrong 2 'once: only with replay' --once
	wrong 2 'start: only with replay' --start=now
	wrong 2 'unexpected argument: "SIN"; an option' SIN --wave=sine
	wrong 2 'unexpected argument: "1"; an option' SIN 1 --period=1
	wrong 2 'has one already' SIN:period=1s 1
	wrong 1 "$scratch: Is a directory" --script="$scratch"
	if "$top_builddir/device" -V | grep -q inih; then
		wrong 2 'is not a regular file' -C /dev/zero
	fi
	for name in '' a/b ABC "$(printf '%065d' 0)" "$(printf '%049d' 0)" .dot; do
		expect 2 device -n "$name" --duration=50ms
		says '^device: '
	done
	: > "$scratch/empty.wav"
	printf '1,2\n3\n' > "$scratch/ragged.csv"
	wrong 1 'missing.wav: No such file' --replay="$scratch/missing.wav"
	wrong 1 'empty.wav: is empty' --replay="$scratch/empty.wav"
	wrong 1 'ragged.csv: line 2: columns: 1 instead of 2' --replay="$scratch/ragged.csv"
	wrong 1 'not a regular file' --replay="$scratch"
	nothing_left
}

closed_output() {
	begin 'closed standard output'
	"$top_builddir/device" --help >&- 2> "$err"
	[ "$?" -eq 1 ] || fault 'a closed standard output is no error'
	says 'standard output: Bad file descriptor'
	[ -c /dev/full ] || return 0
	"$top_builddir/device" --help > /dev/full 2> "$err"
	[ "$?" -eq 1 ] || fault 'a full standard output is no error'
}

prompt() {
	command -v script > /dev/null 2>&1 || return 0
	script --version 2> /dev/null | grep -q util-linux || return 0
	name=$unique.tty
	# A tab completes no names of files.
	printf 'get\tPERIOD\nset PERIOD=3s\nexit\n' |
		script -qec "$top_builddir/device --duration=10s -n $name" /dev/null > "$out" 2>&1 ||
		fault 'the device ends otherwise than by exit'
	has "$out" "^$name> " && has "$out" 'PERIOD 2 s' && has "$out" 'New : PERIOD 3 s'
	nothing_left
}

each_backend first_line second_of_the_name ends remains_are_replaced writes_and_commands json_lines script_file piped_commands \
	piped_scripts long_lines description_file replay_of_csv prompt
begin 'wrong input'
wrong_input
closed_output
finish
