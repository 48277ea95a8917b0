#!/bin/sh
# SPDX-License-Identifier: MIT
# A registry for several users, which an administrator made: who may what, with the real programs. Takes root and setpriv.
# Cases are called by name.
# shellcheck disable=SC2317
. "${top_srcdir:?}/tests/tools/lib.sh"

group=65533
# as USER COMMAND...: of the group that meets there.
as() {
	user=$1
	shift
	setpriv --reuid="$user" --regid="$group" --clear-groups "$@"
}
[ "$(id -u)" -eq 0 ] && command -v setpriv > /dev/null || exit 77
chmod 711 "$scratch"
as 65534 "$top_builddir/client" -V > /dev/null 2>&1 || exit 77
DUOSHM_DIR=$scratch/shared
export DUOSHM_DIR

# registry MODE: made by root, of the group.
registry() {
	rm -rf "$DUOSHM_DIR"
	mkdir -m 700 "$DUOSHM_DIR" && chgrp "$group" "$DUOSHM_DIR" && chmod "$1" "$DUOSHM_DIR"
}

# Who may remove the files of others could put his own in their place.
without_sticky_bit() {
	registry 2770
	expect 1 as 65531 "$top_builddir/device" -n "$unique.plain" --duration=50ms
	says 'others may remove files in it .mode without sticky bit.'
	says 'chmod .t it if several users shall meet there'
}

# served MODE: a device of user 65531, with that mode.
served() {
	registry 3770
	name=$unique.$backend
	(umask 0 && exec setpriv --reuid=65531 --regid="$group" --clear-groups \
		"$top_builddir/device" -n "$name" --rate=100Hz --mode="$1" < /dev/null > "$scratch/device.log" 2>&1) &
	device_pid=$!
	background="$background $device_pid"
	until_true 10 as 65531 "$top_builddir/client" -n "$name" -w 0 ping || fault "no device: $(cat "$scratch/device.log")"
}
other() {
	program=$1
	shift
	as 65532 "$top_builddir/$program" "$@"
}

# Who may only read follows and reads; what would need a right to write is refused, and no lane is left.
readers() {
	served 0640
	expect 0 other client -n "$name" get VOLT
	expect 0 other client -n "$name" monitor --num-events=3
	expect 0 other client -n "$name" --num-events=1
	expect 0 other client list
	has "$out" "^$name "
	for verb in 'put PERIOD=1' 'cmd stop' 'capture -o -'; do
		# shellcheck disable=SC2086
		expect 7 other client -n "$name" $verb
		says "takes commands and captures only from who may write to it"
	done
	expect 0 detach --list --noheadings -o KIND
	[ "$(cat "$out")" = device ] || fault "a lane is left: $(cat "$out")"
	# Nor can he take it away, alive or dead.
	expect 7 other detach --force "$name"
	expect 0 other client -n "$name" ping
	stop_process "$device_pid" KILL
	expect 0 other detach
	expect 7 other detach "$name"
	[ -n "$("$top_builddir/detach" --list --noheadings)" ] || fault 'another user took it away'
	expect 7 other device -n "$name" --duration=50ms
	expect 0 as 65531 "$top_builddir/detach"
	has "$out" "^removed $backend "
	nothing_left
	echo "PROVES 15 $backend 7 refusals"
}

# Not for the group: then not even the name's kind can be learned.
strangers() {
	served 0600
	expect 7 other client -n "$name" get VOLT
	expect 0 other client list
	has "$out" "^$name +$backend .*unknown"
	expect 0 other device -n "$unique.mine" --duration=50ms
	stop_process "$device_pid"
	nothing_left
	echo "PROVES 15 $backend 1 refusals"
}

each_backend without_sticky_bit readers strangers
finish
