#!/bin/sh
# SPDX-License-Identifier: MIT
# Word size does not matter: a 32-bit client works with a 64-bit device and the other way round, on each built family.
# The 32-bit programs are looked for where tests/cross/run builds them (cross/i686 in the build directory).
# Cases are called by name.
# shellcheck disable=SC2317
. "${top_srcdir:?}/tests/tools/lib.sh"
other=$top_builddir/cross/i686
if ! [ -x "$other/client" ]; then
	printf '%s: skipped: no 32-bit programs; tests/cross/run i686 makes them\n' "$test_name"
	exit 77
fi
device_program=$top_builddir/device client_program=$top_builddir/client

client() { "$client_program" "$@"; }

awk 'BEGIN {
	print "t_s,LEFT (V)"
	for (i = 0; i < 3000; i++)
		printf "%.3f,%.9f\n", i / 1000, sin(i / 7)
}' > "$scratch/original.csv"

registers_commands_and_samples() {
	name=$unique.$backend
	spawn "$device_program" -n "$name" --replay="$scratch/original.csv" --pace=fast < /dev/null > "$scratch/device.log" 2>&1
	device_pid=$!
	expect 0 client -n "$name" -w 10 info
	expect 0 client -n "$name" put RATE=500
	expect 0 client -n "$name" get RATE
	has "$out" '^RATE.* 500'
	expect 0 client -n "$name" capture --output-format=csv -o "$scratch/copy.csv"
	for file in original copy; do
		sed -n '2,$s/.*,//p' "$scratch/$file.csv" > "$scratch/$file.values"
	done
	# Shortest texts against fixed ones: the same numbers.
	awk 'NR == FNR { value[NR] = $1; next } $1 != value[FNR] { exit 1 } END { exit FNR != 3000 }' \
		"$scratch/original.values" "$scratch/copy.values" || fault 'the samples differ'
	expect 0 client -n "$name" cmd exit
	wait_process "$device_pid"
	nothing_left
}

device_program=$other/device
each_backend registers_commands_and_samples
device_program=$top_builddir/device client_program=$other/client
each_backend registers_commands_and_samples
finish
