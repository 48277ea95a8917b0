#!/bin/sh
# SPDX-License-Identifier: MIT
# What the four programs have in common: help, version, wrong usage, a standard output that cannot be written, units, the
# choice of a family and of a registry.
# shellcheck disable=SC2016
. "${top_srcdir:?}/tests/tools/lib.sh"

one_usage_line() {
	[ "$(wc -l < "$err")" -eq 2 ] || fault "not two lines: $(cat "$err")"
	has "$err" "^$1: "
	has "$err" "^Try '$1 --help'"
	[ ! -s "$out" ] || fault 'usage errors went to standard output'
}

begin 'help and version'
for program in device client detach compare; do
	for option in -h --help; do
		expect 0 "$top_builddir/$program" $option
		has "$out" "^Usage: $program"
		[ ! -s "$err" ] || fault "$program $option wrote to standard error"
	done
	expect 0 "$top_builddir/$program" -V
	has "$out" "^$program \(duoshm\) [0-9]"
	for backend in $DUOSHM_TEST_BACKENDS; do
		has "$out" "^families:.* $backend"
	done
done

begin 'wrong usage'
for program in device client detach compare; do
	expect 2 "$top_builddir/$program" --no-such-option
	one_usage_line "$program"
done
expect 2 client frobnicate
one_usage_line client
expect 2 client get
expect 2 client put VOLT
expect 2 client put =1
expect 2 client ping VOLT
expect 2 client -w soon ping
expect 2 client -w -1 ping
expect 2 client -w nan ping
expect 2 client -w 1x ping
expect 2 client --duration=0 monitor
expect 2 client --duration=-1s monitor
expect 2 client --num-events=0 monitor
expect 2 client --num-events=1.5 monitor
expect 2 client --num-events=-3 monitor
expect 2 client --digits=99 get VOLT
expect 2 client --time=noon
for format in '%s' '%d' 'x' '%.6g%n' '%g%g' '%.*g' '%lg' '%'; do
	expect 2 client --format="$format" get VOLT
done
expect 2 client capture
expect 2 client capture -o file
expect 2 client capture -o x.mp3
expect 2 client capture -o x.wav --output-format=mp3
expect 2 client capture -o - --output-format=wav
for wrong in '-o x.csv get VOLT' '--samples=1 get VOLT' '--initial-state get VOLT' '--num-events=1 get VOLT' \
	'--banner' '-t list' '--confirm get VOLT' '--utc put VOLT=1' '--noheadings info' '--output-format=csv monitor'; do
	# shellcheck disable=SC2086
	expect 2 client $wrong
	says '^client: --[a-z-]*: only with '
done
expect 2 client get --format=%.400f VOLT
expect 2 client get --format=%5000f VOLT
expect 2 client --duration=1e30 monitor
says '^client: --duration: .*years'
expect 2 detach --list --all
expect 2 detach --list --dry-run
expect 2 detach --list --force "$unique"
expect 2 detach --force
expect 2 detach --all "$unique"
for option in --system --noheadings --bytes --output=NAME; do
	expect 2 detach $option
	says "^detach: ${option%%=*}: only with --list"
done
# What is quoted does not act on the terminal.
expect 2 client -n "$(printf '\033[31mred')" ping
says '^client: "\\x1b\[31mred"'
expect 2 detach --list -o NAME,COLOUR
has "$err" 'no column "COLOUR"; there are NAME KIND'
expect 2 client list -o COLOUR

begin 'operands'
# After -- and where a number begins it is no option; options may follow operands.
expect 3 detach -1
says '^detach: -1: no such object'
expect 3 detach "$unique" -q -- --force
says '^detach: --force: no such object'
expect 2 client -w 0 -n "$unique" ping -1
says 'ping takes no argument: "-1"'

begin 'units'
# With no such device, -w is the time that it takes; what is no time is told at once.
for time in 0 0s 0.01 10ms 10000us .01s 1e-2; do
	expect 3 client -n "$unique" -w "$time" ping
done

begin 'families'
expect 2 client -b nosuch ping
for backend in $DUOSHM_TEST_BACKENDS; do
	says "$backend"
done
expect 2 detach -b nosuch
for backend in $DUOSHM_TEST_BACKENDS; do
	says "$backend"
done
for program in client detach compare device; do
	expect 2 "$top_builddir/$program" -b nosuch
	expect 2 env DUOSHM_BACKEND=nosuch "$top_builddir/$program"
	says "^$program: DUOSHM_BACKEND: no backend \"nosuch\"; there are auto"
done
for backend in sysv posix; do
	case " $DUOSHM_TEST_BACKENDS " in
	*" $backend "*)
		expect 3 client -b "$backend" -n "$unique" -w 0 ping
		expect 3 client -n "$backend:$unique" -w 0 ping
		expect 0 detach -b "$backend"
		;;
	*)
		expect 2 client -b "$backend" -n "$unique" -w 0 ping
		expect 2 detach -b "$backend"
		;;
	esac
done

begin 'names'
long=$(printf '%064d' 0)
for name in '' "$long" a/b ../a Abc ü .hidden 'a b' "posix:" nosuch:a; do
	expect 2 client -n "$name" -w 0 ping
	[ "$(wc -l < "$err")" -ge 1 ] || fault "nothing is said of \"$name\""
	expect 2 detach -n "$name"
done
# Devices have shorter names than other objects.
expect 2 client -n "$(printf '%049d' 0)" -w 0 ping
says '1 to 48 '
expect 3 client -n "$(printf '%048d' 0)" -w 0 ping

begin 'standard output'
expect 0 sh -c '"$0" -h | :' "$top_builddir/client"
for program in client detach compare device; do
	expect 1 sh -c '"$0" -V >&-' "$top_builddir/$program"
	has "$err" "^$program: standard output: "
	if [ -w /dev/full ]; then
		expect 1 sh -c '"$0" -V > /dev/full' "$top_builddir/$program"
		has "$err" "^$program: standard output: "
	fi
done
expect 1 sh -c '"$0" --list >&-' "$top_builddir/detach"
# A closed descriptor must not become a file of the registry that messages are written into.
if [ -d /proc/self/fd ]; then
	spawn sh -c 'exec "$0" -n "$1" -w 60 ping 0<&- >&- 2>&-' "$top_builddir/client" "$unique"
	for fd in 0 1 2; do
		until_true 10 test "/proc/$!/fd/$fd" -ef /dev/null || fault "descriptor $fd is $(readlink "/proc/$!/fd/$fd")"
	done
	end_background
fi

begin 'registry'
mkdir "$scratch/real"
chmod 700 "$scratch/real"
ln -s "$scratch/real" "$scratch/link"
: > "$scratch/plain"
for program in client detach; do
	word=--list
	[ $program = detach ] || word=list
	for bad in "$scratch/link" "$scratch/plain" "$scratch/none/such"; do
		run "$top_builddir/$program" --dir="$bad" "$word"
		case $status in 1 | 7) ;; *) fault "status $status for $bad" ;; esac
		[ "$(grep -c -F "$bad" "$err")" -eq 1 ] || fault "not told once of $bad: $(cat "$err")"
	done
	mkdir -p "$scratch/open"
	chmod 777 "$scratch/open"
	run "$top_builddir/$program" --dir="$scratch/open" "$word"
	[ "$status" -ne 0 ] || fault 'a registry that everybody may write is used'
	if [ "$(id -u)" -ne 0 ]; then
		mkdir -p "$scratch/shut"
		chmod 000 "$scratch/shut"
		expect 7 "$top_builddir/$program" --dir="$scratch/shut" "$word"
	else
		mkdir -p "$scratch/other"
		chown 65534 "$scratch/other"
		run "$top_builddir/$program" --dir="$scratch/other" "$word"
		[ "$status" -ne 0 ] || fault 'the registry of another user is used'
		[ "$(grep -c -F "$scratch/other" "$err")" -eq 1 ] || fault "not told once: $(cat "$err")"
	fi
done
[ -z "$(ls -A "$scratch/real")" ] || fault 'something was made behind a symbolic link'

begin 'completion'
# completes WORD... : the words as bash splits them, = and : apart; the last is to be completed. What it proposes.
completes() {
	bash -c '
		. "$0"
		compopt() { :; }
		COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
		_duoshm "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
		echo "${COMPREPLY[*]}"' "$top_srcdir/src/tools/completion/duoshm-client" "$@" 2>&1
}
# proposes WORDS WORD...
proposes() {
	wanted=$1
	shift
	[ "$(completes "$@")" = "$wanted" ] || fault "$*: proposed \"$(completes "$@")\" and not \"$wanted\""
}
if command -v bash > /dev/null 2>&1; then
	mkdir "$scratch/bin"
	for program in device client detach compare; do
		ln -s "$top_builddir/$program" "$scratch/bin/duoshm-$program"
	done
	PATH=$scratch/bin:$PATH
	start_device "$unique" || fault 'no device'
	proposes posix duoshm-client --backend = p
	proposes device duoshm-client --time = d
	proposes 'wav csv jsonl raw' duoshm-client capture --output-format = ''
	proposes 'monitor' duoshm-client mo
	proposes '' duoshm-client ping ''
	proposes 'NAME' duoshm-client list -o N
	proposes 'start stop status' duoshm-client cmd st
	proposes "$unique" duoshm-client --name = "$unique"
	proposes "$unique" duoshm-client -n posix : "$unique"
	proposes 'PERIOD' duoshm-client -n "$unique" get VOLT PER
	proposes 'PERIOD=' duoshm-client --name = "$unique" put PER
	proposes '--samples=' duoshm-client capture --sam
	proposes "$unique" duoshm-detach "$unique"
	proposes 'saw' duoshm-device sa
	proposes 'capture now' duoshm-device --start = ''
	proposes 'holder-dies holder-dies-undo' duoshm-compare semantics hold
	stop_process "$device_pid"
fi

begin 'JSON'
if "$top_builddir/client" -V | grep -q jansson; then
	expect 0 detach --list -J
	has "$out" '"schema": "duoshm.objects/1"'
	has "$out" '"objects": \[\]'
else
	expect 1 detach --list -J
	says 'jansson'
fi
finish
