#!/bin/sh
# SPDX-License-Identifier: MIT
# The last test: what the others created is gone. It asks the system itself and not the library.
# Everything that a test makes bears $DUOSHM_TEST_PREFIX in its name. With DUOSHM_TEST_ALONE=1 the
# run has kernel objects of its own (a namespace), and then there must be none at all.
. "${top_srcdir:?}/tests/lint/common.sh"
prefix=${DUOSHM_TEST_PREFIX:?is set by make check}

# sysv_ids m|s: ids of the System V segments or sets.
sysv_ids() {
	case $1 in
	m) table=/proc/sysvipc/shm ;;
	s) table=/proc/sysvipc/sem ;;
	esac
	if [ -r "$table" ]; then
		awk 'NR > 1 { print $2 }' "$table"
	else
		ipcs "-$1" 2> /dev/null | awk -v kind="$1" '$1 == kind { print $2 }'
	fi
}

# our_processes: programs of the build tree that still run, but for what runs this test.
our_processes() {
	for exe in /proc/[0-9]*/exe; do
		[ "$exe" != "/proc/$PPID/exe" ] || continue
		target=$(readlink "$exe" 2> /dev/null) || continue
		case $target in
		"$top_builddir"/*) echo "${exe#/proc/} $target" ;;
		esac
	done
}

# A process that was told to end may still be ending.
tries=50
while [ -n "$(our_processes)" ] && [ "$tries" -gt 0 ]; do
	tries=$((tries - 1))
	sleep 0.1
done
left=$(our_processes)
[ -z "$left" ] || fault processes "$left"

for folder in /dev/shm /var/run/shm; do
	[ -d "$folder" ] || continue
	left=$(find "$folder" -name "*$prefix*" 2> /dev/null)
	[ -z "$left" ] || fault "$folder" "$left"
done
left=$(find "${TMPDIR:-/tmp}" -maxdepth 1 -name "*$prefix*" 2> /dev/null)
[ -z "$left" ] || fault "${TMPDIR:-/tmp}" "$left"

# A System V segment has no name but the one in its header: attach it and look.
if [ -x "$top_builddir/tests/lint/holds" ]; then
	for id in $(sysv_ids m); do
		"$top_builddir/tests/lint/holds" "$id" "$prefix" && fault "segment $id" "holds $prefix"
	done
fi

if [ "${DUOSHM_TEST_ALONE-}" = 1 ]; then
	left=$(sysv_ids m | tr '\n' ' ')
	[ -z "$left" ] || fault 'System V segments' "$left$(cat /proc/sysvipc/shm 2> /dev/null)"
	left=$(sysv_ids s | tr '\n' ' ')
	[ -z "$left" ] || fault 'System V semaphore sets' "$left$(cat /proc/sysvipc/sem 2> /dev/null)"
	left=$(find /dev/shm -type f 2> /dev/null)
	[ -z "$left" ] || fault /dev/shm "$left"
fi
finish
