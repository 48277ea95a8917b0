#!/bin/sh
# SPDX-License-Identifier: MIT
# Who may include what: tools -> device -> public interface, queue -> core -> backends/backend.h, and
# only core/backend_table.c names families. An arrow never runs back.
. "${top_srcdir:?}/tests/lint/common.sh"

# includes FILE: what it includes, with the quotes or angles.
includes() {
	code "$1" | sed -n 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*\(["<][^">]*[">]\).*/\1/p'
}

# own_headers FILE PATTERN: faults every quoted include that PATTERN (of case, hence eval) does not
# allow.
# shellcheck disable=SC2034
own_headers() {
	for header in $(includes "$top_srcdir/$1" | grep '^"' | tr -d '"'); do
		eval "case \$header in $2) ;; *) fault \"\$1\" \"includes \$header\" ;; esac"
	done
}

# no_headers FILE PATTERN WHY
# shellcheck disable=SC2034
no_headers() {
	for header in $(includes "$top_srcdir/$1" | tr -d '"<>'); do
		eval "case \$header in $2) fault \"\$1\" \"includes \$header: $3\" ;; esac"
	done
}

sysv_headers='sys/ipc.h|sys/shm.h|sys/sem.h'
ipc_headers="$sysv_headers|semaphore.h"
public='duoshm.h|duoshm/*.h'

# Family names are words of code, not of comments; posix_fallocate and the like are no family.
names_a_family() {
	code "$top_srcdir/$1" | sed 's/posix_[a-z]*alloc[a-z]*//g; s/posix_madvise//g
		s/POSIX_MADV[A-Z_]*//g; s/_POSIX_[A-Z0-9_]*//g' | grep -n -i -E 'sysv|posix'
}

checked=0
for file in $(project_files | grep -E '\.[ch]$' | grep -v '^tests/'); do
	checked=$((checked + 1))
	case $file in
	include/*)
		own_headers "$file" "$public"
		no_headers "$file" "$ipc_headers|config.h|HAVE_*" 'a public header must stand alone'
		;;
	backends/backend.h)
		own_headers "$file" 'duoshm.h'
		no_headers "$file" "$ipc_headers|sys/mman.h" 'the contract knows no family'
		;;
	backends/sysv/*)
		own_headers "$file" 'config.h|duoshm.h|backends/backend.h|backends/sysv/*'
		no_headers "$file" 'semaphore.h|sys/mman.h' 'that is the other family'
		;;
	backends/posix/*)
		own_headers "$file" 'config.h|duoshm.h|backends/backend.h|backends/posix/*'
		no_headers "$file" "$sysv_headers" 'that is the other family'
		;;
	backends/*.c)
		own_headers "$file" 'config.h|duoshm.h|backends/backend.h'
		no_headers "$file" "$ipc_headers|sys/mman.h" 'what the families share knows none'
		;;
	src/core/*)
		own_headers "$file" 'config.h|duoshm.h|backends/backend.h|core/*'
		no_headers "$file" "$ipc_headers" 'core makes no native call of a family'
		[ "$file" = src/core/backend_table.c ] || {
			found=$(names_a_family "$file") && fault "$file" "names a family: $found"
		}
		;;
	src/queue/*)
		own_headers "$file" 'config.h|duoshm.h|core/*|queue/*'
		no_headers "$file" "$ipc_headers|sys/mman.h" 'queues know no family'
		found=$(names_a_family "$file") && fault "$file" "names a family: $found"
		;;
	src/device/*)
		# connection.c is a part of the library: its failures are the library's
		leaves='core/word.h|core/clock.h|core/failure.h'
		own_headers "$file" "config.h|$public|device/*|$leaves"
		no_headers "$file" "$ipc_headers|sys/mman.h" 'a device knows no family'
		found=$(names_a_family "$file") && fault "$file" "names a family: $found"
		;;
	src/tools/compare* | src/tools/bench_bare* | src/tools/bench_objects* | src/tools/bench_run*)
		own_headers "$file" "config.h|$public|tools/*"
		;;
	src/tools/device* | src/tools/bench_table*)
		own_headers "$file" "config.h|$public|tools/*|device/*"
		no_headers "$file" "$ipc_headers|sys/mman.h" 'programs use the public interface'
		;;
	src/tools/*)
		own_headers "$file" "config.h|$public|tools/*"
		no_headers "$file" "$ipc_headers|sys/mman.h" 'programs use the public interface'
		;;
	src/examples/*)
		own_headers "$file" ''\''nothing of the project but its public headers, in angles'\'
		no_headers "$file" "$ipc_headers|sys/mman.h|config.h" 'examples show the public interface'
		;;
	*) fault "$file" 'belongs to no layer that this lint knows' ;;
	esac
done

# Pure memory, no system call: what lies in shared memory is touched by arithmetic alone.
for file in $(project_files | grep -E '^src/(core/word\.h|queue/ring\.[ch])$'); do
	no_headers "$file" 'unistd.h|time.h|errno.h|fcntl.h|signal.h|pthread.h|sched.h|sys/*|linux/*' \
		'no system call here'
done

[ "$checked" -gt 0 ] || fault . 'found no source file to check'
finish
