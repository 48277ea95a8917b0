# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# Sourced by the tests of the programs. Each test gets a folder and a registry of its own, and whatever it starts in the
# background is ended and waited for when it ends. Nothing sleeps to be right: what takes time is polled for, with a bound.

: "${top_srcdir:?is set by make check}" "${top_builddir:?is set by make check}"
: "${DUOSHM_TEST_PREFIX:?is set by make check}" "${DUOSHM_TEST_BACKENDS:?is set by make check}"

test_name=$(basename "$0" .sh)
# The families that have room for a device: not POSIX with 64 KiB of /dev/shm.
roomy=$DUOSHM_TEST_BACKENDS
if [ "${DUOSHM_TEST_PROFILE-}" = tiny-shm ]; then
	case " $roomy " in
	*' sysv '*) roomy=sysv ;;
	*) exit 77 ;;
	esac
fi

# default_backend: what serves where a test names none.
default_backend() {
	unset DUOSHM_BACKEND
	if [ "${DUOSHM_TEST_PROFILE-}" = tiny-shm ]; then
		DUOSHM_BACKEND=$roomy
		export DUOSHM_BACKEND
	fi
}
default_backend
scratch=$(mktemp -d "${TMPDIR:-/tmp}/$DUOSHM_TEST_PREFIX-$test_name.XXXXXX") || exit 99
DUOSHM_DIR=$scratch/registry
export DUOSHM_DIR
mkdir -m 700 "$DUOSHM_DIR" || exit 99
# Objects of this run: unique in the machine, since kernel names are.
# shellcheck disable=SC2034
unique=$DUOSHM_TEST_PREFIX.$$
# shellcheck disable=SC2034
recording=$top_builddir/src/tools/recording
faults=0
cases=0
background=
case_name=$test_name
out=$scratch/out
err=$scratch/err
status=0

device() { "$top_builddir/device" "$@"; }
client() { "$top_builddir/client" "$@"; }
detach() { "$top_builddir/detach" "$@"; }

# With exec, so that $! is the program itself and not a shell around it.
spawn() {
	(exec "$@") &
	background="$background $!"
}

end_background() {
	for pid in $background; do
		# Only who is stopped needs SIGCONT; who is ending may miss a stop by it that a leak checker waits for.
		kill "$pid" 2> /dev/null && is_in_state T "$pid" && kill -CONT "$pid" 2> /dev/null
	done
	for pid in $background; do
		wait "$pid" 2> /dev/null
	done
	background=
}

clean_up() {
	end_background
	for backend in $DUOSHM_TEST_BACKENDS; do
		"$top_builddir/detach" -q -b "$backend" --all --force > /dev/null 2>&1
	done
	rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 99' HUP INT PIPE TERM

fault() {
	faults=$((faults + 1))
	printf '%s: %s: %s\n' "$test_name" "$case_name" "$*"
}

# run PROGRAM ARGUMENT...: standard output to $out, standard error to $err, status to $status.
run() {
	"$@" > "$out" 2> "$err" < /dev/null
	status=$?
}

# expect STATUS PROGRAM ARGUMENT...
expect() {
	wanted=$1
	shift
	run "$@"
	[ "$status" -eq "$wanted" ] && return 0
	fault "status $status and not $wanted: $*"
	sed 's/^/    /' "$out" "$err" | head -n 20
	return 1
}

# has FILE PATTERN, hasnt FILE PATTERN: extended regular expressions.
has() {
	grep -q -E -e "$2" "$1" && return 0
	fault "no \"$2\" in $(basename "$1"):"
	sed 's/^/    /' "$1" | head -n 20
	return 1
}
hasnt() {
	grep -q -E -e "$2" "$1" || return 0
	fault "unexpected \"$2\" in $(basename "$1"):"
	sed 's/^/    /' "$1" | head -n 20
	return 1
}
# says PATTERN: a message on standard error.
says() { has "$err" "$1"; }

# until_true SECONDS COMMAND...: polls 20 times a second.
until_true() {
	tries=$(($1 * 20))
	shift
	while ! "$@" > /dev/null 2>&1; do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || return 1
		sleep 0.05
	done
}

# start_device NAME ARGUMENT...: in the background, ready when this returns; its pid in $device_pid, its output in $scratch/device.log.
start_device() {
	device_name=$1
	shift
	spawn "$top_builddir/device" -n "$device_name" "$@" < /dev/null > "$scratch/device.log" 2>&1
	device_pid=$!
	until_true 10 ready_or_dead
	client -n "$device_name" -q ping > /dev/null 2>&1 && return 0
	fault "device $device_name does not come up:"
	sed 's/^/    /' "$scratch/device.log"
	return 1
}
ready_or_dead() {
	client -n "$device_name" -w 0 ping || ! kill -0 "$device_pid" 2> /dev/null
}

# stop_process PID [SIGNAL]: its status in $status.
stop_process() {
	kill "-${2:-TERM}" "$1" 2> /dev/null
	wait_process "$1"
}
# A stuck process is killed, so that the test ends.
wait_process() {
	until_true 20 gone "$1" || { fault "process $1 does not end"; kill -KILL "$1"; }
	wait "$1" 2> /dev/null
	status=$?
	left=
	for pid in $background; do
		[ "$pid" = "$1" ] || left="$left $pid"
	done
	background=$left
}
# A child that has ended answers kill -0 until it is waited for.
gone() {
	! kill -0 "$1" 2> /dev/null || is_in_state Z "$1"
}
# is_in_state LETTER PID: or it is no more.
is_in_state() {
	state=$(ps -o stat= -p "$2" 2> /dev/null | tr -d ' ')
	case $state in "$1"* | '') return 0 ;; *) return 1 ;; esac
}

# nothing_left: the registry lists nothing, in any family.
nothing_left() {
	"$top_builddir/detach" --list --noheadings > "$scratch/left" 2> "$scratch/left.err"
	[ -s "$scratch/left" ] || return 0
	fault "left behind: $(cat "$scratch/left")"
}

# begin NAME: a case.
begin() {
	case_name=$1
	cases=$((cases + 1))
}

# each_backend FUNCTION...: every case once per built family; $backend is the family, DUOSHM_BACKEND chooses it.
each_backend() {
	for backend in $roomy; do
		DUOSHM_BACKEND=$backend
		export DUOSHM_BACKEND
		for each in "$@"; do
			begin "$each on $backend"
			"$each"
			end_background
		done
	done
	default_backend
}

need() {
	"$top_builddir/client" -V | grep -q -w "$1" && return 0
	printf '%s: skipped: built without %s\n' "$test_name" "$1"
	exit 77
}

finish() {
	printf '%s: %d cases, %d faults\n' "$test_name" "$cases" "$faults"
	[ "$faults" -eq 0 ]
	exit
}
