#!/bin/sh
# SPDX-License-Identifier: MIT
# What a user reads where the system is full of the remains of the dead: which limit, what it is, how much is used, and
# what frees it. In IPC and mount namespaces of its own. Cases are called by name.
# shellcheck disable=SC2317
if [ "${1-}" != inside ]; then
	[ -z "${DUOSHM_TEST_PROFILE-}" ] || exit 77
	users=
	[ "$(id -u)" -eq 0 ] || users='--user --map-root-user'
	# shellcheck disable=SC2086
	unshare $users --ipc --mount --fork sh -c 'mount -t tmpfs -o size=64k tmpfs /dev/shm && echo 2 > /proc/sys/kernel/shmmni' \
		2> /dev/null || exit 77
	# shellcheck disable=SC2086
	exec unshare $users --ipc --mount --fork --kill-child "$0" inside
fi
. "${top_srcdir:?}/tests/tools/lib.sh"
mount -t tmpfs -o size=64k tmpfs /dev/shm && echo 2 > /proc/sys/kernel/shmmni || exit 99

names_the_limit() {
	case $backend in
	sysv) says 'kernel.shmmni is 2 and 2 segments are in use' ;;
	posix) says '/dev/shm holds 65536 bytes, 65536 are in use' ;;
	esac
}

# Two devices fit; they die, and the third is told of their remains.
full_of_remains() {
	for i in 1 2; do
		start_device "$unique.dead$i"
		stop_process "$device_pid" KILL
	done
	expect 1 device -n "$unique.third" --duration=50ms
	names_the_limit
	says 'duoshm-detach.* would free 2'
	expect 0 detach
	expect 0 device -n "$unique.third" --duration=50ms
	nothing_left
	[ "$faults" -gt 0 ] || echo "PROVES 20 $backend 1 messages of a program"
}

# A device fits, its client's lane does not.
no_room_for_a_lane() {
	start_device "$unique.small"
	start_device "$unique.other"
	expect 1 client -n "$unique.small" cmd status
	names_the_limit
	hasnt "$err" detach
	expect 0 client -n "$unique.small" get VOLT
	[ "$faults" -gt 0 ] || echo "PROVES 20 $backend 1 messages of a program"
}

each_backend full_of_remains no_room_for_a_lane
finish
