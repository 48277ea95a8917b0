#!/bin/sh
# SPDX-License-Identifier: MIT
# detach: what it lists, what it removes, what it refuses, on each built family and on both at once.
# Cases are called by name.
# shellcheck disable=SC2317
. "${top_srcdir:?}/tests/tools/lib.sh"

json=no
"$top_builddir/client" -V | grep -q jansson && json=yes

# object NAME COLUMN...: of the list.
object() { "$top_builddir/detach" --list --noheadings --bytes -o "NAME,$2" | awk -v n="$1" '$1 == n { $1 = ""; print substr($0, 2) }'; }
state() { object "$1" STATE | sort -u; }
orphan() {
	start_device "$1" || return
	stop_process "$device_pid" KILL
	[ "$(state "$1")" = orphan ] || fault "$1 is no orphan: $(state "$1")"
}
# native NAME: what the kernel calls it; in_kernel OBJECT: is it there? Asked of the system itself.
native() { object "$1" OBJECT; }
in_kernel() {
	case $1 in
	/*) [ -e "/dev/shm$1" ] ;;
	# By the id: the key follows the entry's inode, which another test may have by now.
	*) ipcs -m | grep -q "^0x[0-9a-f]* *${1##* } " ;;
	esac
}
can_look() { [ -d /dev/shm ] && command -v ipcs > /dev/null 2>&1; }

lists() {
	name=$unique.$backend
	start_device "$name" --mode=0640 || return
	expect 0 detach --list
	head -n 1 "$out" | grep -q '^NAME  *KIND  *BACKEND  *OBJECT  *SIZE MODE OWNER' || fault "headings: $(head -n 1 "$out")"
	has "$out" "^$name +device +$backend .* 0640 +[^ ]+ +$device_pid live +[1-9]$"
	hasnt "$out" ' $'
	expect 0 detach --list --bytes -o name,size,kind --noheadings
	has "$out" "^$name +[0-9]{4,} device$"
	expect 0 detach --list --noheadings "$name"
	has "$out" "^$name +device"
	expect 3 detach --list --noheadings "$unique.none"
	[ ! -s "$out" ] || fault "one that was not named is listed: $(cat "$out")"
	expect 0 detach --list -o +WHY,COMMAND
	has "$out" ' ATTACHED +WHY +COMMAND$'
	if [ "$json" = yes ]; then
		expect 0 detach --list -J
		has "$out" '"schema": "duoshm.objects/1"'
		has "$out" "\"name\": \"$name\""
		has "$out" "\"backend\": \"$backend\""
		has "$out" '"size_bytes": [0-9]+'
		has "$out" "\"pid\": $device_pid"
		has "$out" '"state": "live"'
	fi
	stop_process "$device_pid"
	expect 0 detach --list --noheadings
	[ ! -s "$out" ] || fault "not empty: $(cat "$out")"
}

orphans() {
	start_device "$unique.lives" || return
	lives=$device_pid
	orphan "$unique.dead" || return
	dead=$device_pid
	object=$(native "$unique.dead")
	if can_look; then
		in_kernel "$object" || fault "the system does not know $object"
	fi
	expect 0 detach --dry-run
	has "$out" "^would remove $backend .*$unique\.dead: .*$dead is dead +\[(ipcrm -m|rm /dev/shm/|posixshm)"
	[ "$(state "$unique.dead")" = orphan ] || fault 'a dry run removed it'
	expect 0 detach
	[ "$(wc -l < "$out")" -eq 1 ] || fault "not one is removed: $(cat "$out")"
	has "$out" "^removed $backend .*$unique\.dead: .*$dead is dead"
	[ -z "$(state "$unique.dead")" ] || fault 'it is still there'
	! can_look || ! in_kernel "$object" || fault "the system still has $object"
	[ "$(state "$unique.lives")" = live ] || fault 'what lives was removed'
	expect 0 detach
	[ ! -s "$out" ] || fault "a second time: $(cat "$out")"
	has "$err" 'nothing to remove'
	expect 0 client -n "$unique.lives" ping
	stop_process "$lives"
	if [ "$json" = yes ]; then
		orphan "$unique.dead"
		expect 3 detach -J "$unique.none"
		has "$out" '"action": "not found"'
		has "$out" '"size_bytes": null'
		expect 0 detach -J
		has "$out" '"action": "removed"'
		has "$out" "\"name\": \"$unique.dead\""
	fi
	nothing_left
}

lanes_of() { "$top_builddir/detach" --list --noheadings -o NAME,STATE | grep "^$1\.[0-9a-f]* "; }
has_lanes() { [ "$(lanes_of "$1" | wc -l)" -eq "$2" ]; }
# Devices and clients killed and stopped in a heap: what goes is what is dead, all of it and nothing else.
storm() {
	storms=2
	[ "${DUOSHM_TEST_TIER-}" != full ] || storms=10
	while [ "$storms" -gt 0 ]; do
		storms=$((storms - 1))
		dead=
		for each in one two three; do
			start_device "$unique.$each" --rate=100Hz || return
			eval "$each=$device_pid"
			spawn "$top_builddir/client" -n "$unique.$each" capture -o - > /dev/null 2>&1
			eval "of_$each=$!"
			until_true 10 has_lanes "$unique.$each" 1 || fault "no lane of $each"
		done
		# shellcheck disable=SC2154
		kill -STOP "$of_one" "$three" "$of_three"
		# shellcheck disable=SC2154
		kill -KILL "$one" "$of_one" "$of_two"
		for each in "$one" "$of_one" "$of_two"; do
			wait_process "$each"
		done
		# A device that lives removes the lanes of the dead by itself.
		# shellcheck disable=SC2154
		until_true 10 has_lanes "$unique.two" 0 || fault "a lane is left: $(lanes_of "$unique.two")"
		dead=$({ echo "$unique.one" && lanes_of "$unique.one" | cut -d ' ' -f 1; } | sort | tr '\n' ' ')
		expect 0 detach --dry-run
		found=$(sed -n "s/^would remove $backend .* \(${unique}[^:]*\): .*/\1/p" "$out" | sort | tr '\n' ' ')
		[ "$found" = "$dead" ] || fault "would remove \"$found\" and not \"$dead\""
		expect 0 detach
		lines=$(wc -l < "$out")
		if [ "$lines" -ne 2 ] || [ "$(grep -c ^removed "$out")" -ne 2 ]; then
			fault "removed: $(cat "$out")"
		fi
		[ "$(state "$unique.two")/$(state "$unique.three")" = live/live ] || fault 'what lives was removed'
		has_lanes "$unique.three" 1 || fault 'the lane of a stopped client was removed'
		kill -CONT "$three" "$of_three"
		expect 0 client -n "$unique.three" ping
		# shellcheck disable=SC2154
		stop_process "$of_three"
		# shellcheck disable=SC2154
		stop_process "$two"
		stop_process "$three"
		nothing_left
		echo "PROVES 8 $backend 2 reclaims"
		echo "PROVES 6 $backend 3 stops"
	done
}

# The command that is told does the same: the object is gone, and detach tidies up the entry.
native_command() {
	[ "$(uname)" = Linux ] && can_look || return 0
	orphan "$unique.dead" || return
	object=$(native "$unique.dead")
	command=$("$top_builddir/detach" --list --noheadings -o COMMAND)
	sh -c "$command" > /dev/null 2>&1 || fault "fails: $command"
	! in_kernel "$object" || fault "it is still there after: $command"
	# An entry without object.
	expect 0 detach --list --noheadings
	has "$out" "^$unique\.dead "
	expect 0 detach
	nothing_left
}

# By name, too, with and without its family.
entry_without_object() {
	[ "$(uname)" = Linux ] && can_look || return 0
	for name in "$unique.dead" "$backend:$unique.dead"; do
		orphan "$unique.dead" || return
		sh -c "$("$top_builddir/detach" --list --noheadings -o COMMAND)" > /dev/null 2>&1
		expect 0 detach --list --noheadings "$name"
		has "$out" "^$unique\.dead "
		expect 0 detach -n "$name"
		has "$out" "^removed $backend .*$unique\.dead: an entry without object"
		nothing_left
		expect 3 detach -n "$name"
		says "^detach: $name: no such object\$"
	done
}

names() {
	start_device "$unique.lives" || return
	lives=$device_pid
	orphan "$unique.one" || return
	orphan "$unique.two" || return
	# Named twice is named once.
	expect 3 detach -n "$unique.none" -n "$unique.one" "$unique.one"
	[ "$(wc -l < "$err")" -eq 1 ] || fault "more is said: $(cat "$err")"
	says "^detach: $unique\.none: no such object"
	has "$out" "^removed $backend .*$unique\.one"
	[ "$(state "$unique.two")" = orphan ] || fault 'one that was not named is gone'
	expect 1 detach "$unique.lives"
	says "alive: pid $lives; --force removes it"
	expect 0 client -n "$unique.lives" ping
	expect 0 detach --dry-run --force "$unique.lives"
	has "$out" "^would remove $backend .*$unique\.lives"
	expect 0 client -n "$unique.lives" ping
	expect 1 detach --all
	has "$out" "^removed $backend .*$unique\.two"
	says "$unique.lives: alive"
	[ "$(state "$unique.lives")" = live ] || fault 'all means not what is alive'
	expect 0 detach --force "$backend:$unique.lives"
	has "$out" "^removed $backend .*$unique\.lives"
	# The device learns it and ends, with an error.
	wait_process "$lives"
	[ "$status" -ne 0 ] || fault 'the device did not notice that its object was removed'
	nothing_left
	start_device "$unique.lives" || return
	expect 0 detach --all --force
	wait_process "$device_pid"
	nothing_left
}

# What other programs made is shown and never touched; so is an object whose entry is gone.
foreign() {
	[ "$(uname)" = Linux ] && can_look && command -v ipcmk > /dev/null 2>&1 || return 0
	start_device "$unique.lost" || return
	lost=$(native "$unique.lost")
	kill -KILL "$device_pid"
	wait_process "$device_pid"
	rm -f "$DUOSHM_DIR/$unique.lost@"*
	if [ "$backend" = sysv ]; then
		id=$(ipcmk -M 4096 | sed 's/[^0-9]//g')
		seen="id $id\$"
	else
		seen="/$unique.other$"
		printf 'hello' > "/dev/shm/$unique.other"
	fi
	expect 0 detach --list --noheadings
	hasnt "$out" "$seen"
	expect 0 detach --list --system --noheadings -o STATE,OBJECT
	has "$out" "^foreign +.*$seen"
	has "$out" "^[a-z]+ +$lost"
	run detach --all --force
	hasnt "$out" "$seen"
	if [ "$backend" = sysv ]; then
		ipcs -m -i "$id" > /dev/null 2>&1 || fault 'a foreign segment was removed'
		ipcrm -m "$id"
		expect 3 detach "$unique.other"
	else
		[ "$(cat "/dev/shm/$unique.other")" = hello ] || fault 'a foreign object was touched'
		rm -f "/dev/shm/$unique.other"
	fi
	# The object without entry is no longer known by name; a person with the command can remove it.
	expect 3 client -n "$unique.lost" -w 0 ping
	if in_kernel "$lost"; then
		case $lost in
		/*) rm -f "/dev/shm$lost" "/dev/shm$lost".* "/dev/shm/sem.${lost#/}".* ;;
		*) ipcrm -M "${lost%% *}" -S "${lost%% *}" ;; # the set has the same key
		esac
	fi
}

# A registry entry that makes no sense is told of, and does not keep the rest from being done.
damaged_entry() {
	start_device "$unique.broken" || return
	stop_process "$device_pid" KILL
	object=$(native "$unique.broken")
	for entry in "$DUOSHM_DIR/$unique.broken@"*; do
		cp "$entry" "$scratch/entry"
		printf 'rubbish' > "$entry"
	done
	orphan "$unique.dead" || return
	# What cannot be read is shown, and nothing invented of it; it may be a device.
	expect 0 detach --list --noheadings
	has "$out" "^$unique\.broken +- +$backend +- +- +- +- +- +unknown +-$"
	expect 0 client list --noheadings
	has "$out" "^$unique\.broken +$backend +- +unknown "
	run detach
	has "$out" "^removed $backend .*$unique\.dead"
	expect 0 detach --list --noheadings -o NAME,STATE
	hasnt "$out" "$unique.dead"
	run client -n "$unique.broken" -w 0 ping
	case $status in 3 | 6) ;; *) fault "status $status for a damaged entry" ;; esac
	[ "$(wc -l < "$err")" -ge 1 ] || fault 'nothing is said'
	expect 1 detach "$unique.broken"
	says 'its registry entry is damaged; --force removes it$'
	expect 0 detach --force "$unique.broken"
	[ ! -e "$entry" ] || fault 'the damaged entry is still there'
	cp "$scratch/entry" "$entry"
	run detach --all --force
	nothing_left
	! can_look || ! in_kernel "$object" || fault "the system still has $object"
}

each_backend lists orphans storm native_command entry_without_object names foreign damaged_entry

begin 'both families'
# shellcheck disable=SC2086
set -- $roomy
if [ $# -ge 2 ]; then
	for backend in "$@"; do
		DUOSHM_BACKEND=$backend
		export DUOSHM_BACKEND
		orphan "$unique.same"
	done
	unset DUOSHM_BACKEND
	expect 0 detach --list --noheadings
	[ "$(wc -l < "$out")" -eq 2 ] || fault "not both are listed: $(cat "$out")"
	expect 0 detach -b "$1" --dry-run
	[ "$(wc -l < "$out")" -eq 1 ] || fault "-b $1 is not kept to: $(cat "$out")"
	expect 0 detach "$2:$unique.same"
	[ "$(wc -l < "$out")" -eq 1 ] || fault "not the one that was named: $(cat "$out")"
	expect 3 detach -b "$2" "$unique.same"
	says "$1"
	expect 0 detach "$unique.same"
	has "$out" "^removed $1 "
fi
nothing_left
finish
