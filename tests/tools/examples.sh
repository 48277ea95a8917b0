#!/bin/sh
# SPDX-License-Identifier: MIT
# Each example does on each built family what its first comment says, and leaves nothing behind.
# The cases are called by their names.
# shellcheck disable=SC2317
. "${top_srcdir:?}/tests/tools/lib.sh"

example() { expect 0 "$top_builddir/src/examples/$1" "$unique"; }

segment() {
	example 01_segment && has "$out" '^read: hello from another process \(100 bytes\)$'
	nothing_left
}
lock() {
	example 02_lock && has "$out" '^the last holder died: mending the data$'
	nothing_left
}
queue() {
	example 03_queue && has "$out" '^100000 messages, sum 4999950000$'
	nothing_left
}

[ -x "$top_builddir/src/examples/01_segment" ] || { echo 'skipped: built without the examples'; exit 77; }
each_backend segment lock queue
finish
