#!/bin/sh
# SPDX-License-Identifier: MIT
# peers.sh [--cpus=A,B] [--repeat=N] [--seconds=S] [--peers=NAME,...]: what else is installed here for
# messages between two processes, beside the library and the floor of `compare bench`; prints one
# table. From a build directory, or by `make bench-peers`. Needs Linux and a C compiler; the drivers
# are compiled here, with -O2, and no peer is needed to build the project.
#
# All run on the same two CPUs, polling where they can. Each column is measured in rounds: the library
# and its floor, every peer, the library and its floor again. A cell is compared with the floor of its
# own round, and a round in which the floor moved is measured again: the machine drifts more than many
# of these differ. What a peer leaves behind when it is killed is removed.
set -u
LC_ALL=C
export LC_ALL
sources=$(cd "$(dirname "$0")" && pwd) || exit 1
compare=$(cd "${top_builddir:-.}" && pwd)/compare
command="peers.sh${*:+ $*}"
cpus='' repeat=3 seconds=0.2
peers='ring deep-ring ucx-posix ucx-sysv uct-posix uct-sysv iceoryx boost zeromq pipe socket mqueue sysv-msg'

for option; do
	case $option in
	--cpus=*,*) cpus=${option#*=} ;;
	--repeat=*) repeat=${option#*=} ;;
	--seconds=*) seconds=${option#*=} ;;
	--peers=*) peers=$(echo "${option#*=}" | tr ',' ' ') ;;
	*)
		sed -n 's/^# \(peers.sh .*\]\):.*/Usage: \1/p' "$0" >&2
		exit 2
		;;
	esac
done
[ -x "$compare" ] || {
	echo "peers.sh: no program $compare; build it, and start this from the build directory" >&2
	exit 1
}
[ -n "$cpus" ] || cpus=$(awk '/^Cpus_allowed_list/ {
	for (n = split($2, part, ","); i < n && found < 2; ) {
		split(part[++i], range, "-")
		last = range[2] == "" ? range[1] : range[2]
		for (cpu = range[1]; cpu <= last && found < 2; cpu++)
			list = list (found++ ? "," : "") cpu
	}
	print list
}' /proc/self/status)
first=${cpus%%,*} second=${cpus#*,}
[ "$first" != "$second" ] || {
	echo 'peers.sh: needs two CPUs' >&2
	exit 1
}

scratch=$(mktemp -d "${TMPDIR:-/tmp}/bench-peers.XXXXXX") || exit 1
child='' server='' roudi=''

# ---- what is started, and how it ends ----

# stop PID: ends it, unless it has ended, and waits for it.
stop() {
	[ -n "$1" ] || return 0
	kill "$1" 2> /dev/null
	wait "$1" 2> /dev/null
}

# iceoryx keeps files for each process, and removes them when that ends orderly.
forget_child() {
	[ -z "$child" ] || rm -f "/tmp/bench-peer-$child-"*
	child=
}

# It removes what it made, unless a failure of its own stops it.
end_roudi() {
	[ -n "$roudi" ] || return 0
	stop "$roudi" || rm -f /tmp/roudi /tmp/roudi.lock /tmp/iox-unique-roudi.lock \
		/dev/shm/iceoryx_mgmt "/dev/shm/$(id -gn)"
	roudi=
}

end() {
	stop "$child"
	forget_child
	stop "$server"
	end_roudi
	rm -rf "$scratch"
}
trap end EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# run COMMAND...: in the scratch folder, its output in `out` there; a signal to us is not kept waiting.
run() {
	(cd "$scratch" && exec "$@") > "$scratch/out" 2> "$scratch/why" &
	child=$!
	wait "$child"
	status=$?
	forget_child
	return "$status"
}

note() { printf '%s\n' "$*" >> "$scratch/notes"; }

# ---- drivers ----

# build NAME TITLE SOURCE HEADER COMPILER FLAGS...
build() {
	name=$1 title=$2 source=$3 header=$4 language=$5
	shift 5
	# Compilers may hold options.
	# shellcheck disable=SC2086
	case $language in
	c) set -- ${CC:-cc} -std=c11 -O2 "$sources/$source" "$@" ;;
	*) set -- ${CXX:-c++} -std=c++17 -O2 "$sources/$source" "$@" ;;
	esac
	if ! echo "#include <$header>" | "$@" -E -x "$language" - > /dev/null 2>&1; then
		note "not installed: $title ($header)"
	elif ! "$@" -o "$scratch/$name" 2> "$scratch/why"; then
		note "$title does not compile: $(grep -m 1 -i error "$scratch/why")"
	else
		return 0
	fi
	return 1
}

# pool SIZE COUNT: chunks of iceoryx; it must never run out of them.
pool() { printf '[[segment.mempool]]\nsize = %d\ncount = %d\n' $(($1 + 128)) "$2"; }

start_roudi() {
	command -v iox-roudi > "$scratch/out" || {
		note 'not installed: iceoryx (iox-roudi)'
		return 1
	}
	{
		printf '[general]\nversion = 1\n[[segment]]\n'
		pool 64 600
		pool 4096 600
		pool 65536 150
		pool 1048576 150
	} > "$scratch/roudi.toml"
	iox-roudi -m off -l off -c "$scratch/roudi.toml" > "$scratch/roudi" 2>&1 &
	roudi=$!
	tries=0
	until grep -q 'ready for clients' "$scratch/roudi"; do
		tries=$((tries + 1))
		if [ "$tries" -gt 100 ] || ! kill -0 "$roudi" 2> /dev/null; then
			note "iceoryx: iox-roudi does not start: $(tail -n 1 "$scratch/roudi")"
			stop "$roudi"
			roudi=
			return 1
		fi
		sleep 0.1
	done
}

# prepare PEER: true if it can be measured.
prepare() {
	case $1 in
	ring | deep-ring | pipe | socket | mqueue | sysv-msg)
		[ -x "$scratch/kernel" ] || build kernel "$1" peer_kernel.c mqueue.h c -lrt
		;;
	boost)
		build boost 'Boost message_queue' peer_boost.cc \
			boost/interprocess/ipc/message_queue.hpp c++ -lpthread -lrt
		;;
	zeromq) build zeromq ZeroMQ peer_zeromq.c zmq.h c -lzmq ;;
	iceoryx)
		for folder in /usr/include/iceoryx/v2* /usr/local/include/iceoryx/v2*; do
			[ -d "$folder" ] && break
		done
		build iceoryx iceoryx peer_iceoryx.cc iceoryx_posh/popo/untyped_publisher.hpp c++ \
			"-I$folder" -liceoryx_posh -liceoryx_hoofs -liceoryx_platform -lpthread &&
			start_roudi
		;;
	ucx-* | uct-*)
		command -v ucx_perftest > /dev/null && return
		note "not installed: $1 (ucx_perftest)"
		return 1
		;;
	*)
		echo "peers.sh: no peer \"$1\"" >&2
		exit 2
		;;
	esac
}

# ---- measuring; each prints nanoseconds an operation ----

# ucx_test LAYER-TRANSPORT KIND SIZE: ucp by tag matching, which copies out; uct, the layer below, shows
# short messages where they lie.
ucx_test() {
	suffix=lat count=$((200000000 / ($3 + 1000)))
	[ "$2" = pingpong ] || suffix=bw
	[ "$3" -lt 1048576 ] || count=500
	case $1$3 in
	ucx-*) echo "tag_$suffix -s $3 -w $((count / 10)) -n $count" ;;
	uct-*4096) echo "am_$suffix -x ${1#*-} -d memory -D bcopy -s $3 -w $((count / 10)) -n $count" ;;
	uct-*) echo "am_$suffix -x ${1#*-} -d memory -s $3 -w $((count / 10)) -n $count" ;;
	esac
}

# It prints half a round trip's median in microseconds, and messages a second over all.
ucx() {
	case $1-$3 in uct-*-65536 | uct-*-1048576) return 3 ;; esac
	port=$((20000 + ($$ + measured) % 10000))
	UCX_TLS=${1#*-},self
	export UCX_TLS
	ucx_perftest -c "$first" -p "$port" > "$scratch/server" 2>&1 &
	server=$!
	tries=0
	# shellcheck disable=SC2046
	until run ucx_perftest 127.0.0.1 -c "$second" -p "$port" -f -v -t $(ucx_test "$@"); do
		tries=$((tries + 1))
		if [ "$tries" -gt 50 ] || ! kill -0 "$server" 2> /dev/null; then
			cat "$scratch/out" >> "$scratch/why"
			stop "$server"
			server=
			return 1
		fi
		sleep 0.1
	done
	wait "$server"
	server=
	awk -F, -v kind="$2" 'END { print kind == "pingpong" ? $2 * 2000 : 1e9 / $NF }' \
		"$scratch/out" > "$scratch/value"
}

# driver PROGRAM TRANSPORT KIND SIZE
driver() {
	run "$scratch/$1" "$2" "$3" "$4" "$seconds" "$first" "$second" || return
	cp "$scratch/out" "$scratch/value"
}

# record COLUMN ATTEMPT WHO VALUE
record() { printf '%s %s %s %s\n' "$@" >> "$scratch/records"; }

# peer WHO KIND SIZE: one that failed, or does not take this size, is not asked again.
peer() {
	[ ! -e "$scratch/no-$1-$2-$3" ] || return 0
	case $1 in
	ucx-* | uct-*) ucx "$@" ;;
	boost | zeromq | iceoryx) driver "$1" "$@" ;;
	*) driver kernel "$@" ;;
	esac
	case $? in
	0) record "$2-$3" "$measured" "$1" "$(cat "$scratch/value")" ;;
	3) : > "$scratch/no-$1-$2-$3" ;;
	*)
		: > "$scratch/no-$1-$2-$3"
		note "$1 failed, $2 of $3 bytes: $(tail -n 1 "$scratch/why")"
		;;
	esac
}

# ours KIND SIZE: the library and its floor.
ours() {
	tests=$1
	[ "$1" = oneway ] || tests=$1,inplace
	case $1$2 in oneway8 | oneway64) tests=oneway,staged ;; esac
	run "$compare" bench -q --dir="$scratch/registry" --test="$tests" --size="$2" --wait=spin \
		--cpus="$cpus" --repeat=3 --csv="$scratch/csv" || {
		echo "peers.sh: compare bench failed: $(tail -n 1 "$scratch/why")" >&2
		exit 1
	}
	awk -F, -v kind="$1" -v where="$1-$2 $measured" '
	NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
	$1 == kind || $3 != "floor" { print where, $3 ($1 == kind ? "" : "-" $1), $at["p50_ns"] }
	' "$scratch/csv" >> "$scratch/records"
}

# steady COLUMN: the floors before and after the peers differ by less than a fifth.
steady() {
	awk -v where="$1 $measured" '
	$1 " " $2 == where && $3 == "floor" { value[n++] = $4 }
	END { exit !(value[0] < 1.2 * value[1] && value[1] < 1.2 * value[0]) }' "$scratch/records"
}

# column KIND SIZE: one round.
column() {
	for attempt in 1 2 3; do
		measured=$((measured + 1))
		[ ! -t 2 ] || printf '\r\033[Kround %s of %s: %s, %s bytes' "$round" "$repeat" "$1" "$2" >&2
		ours "$1" "$2"
		for who in $present; do
			peer "$who" "$1" "$2"
		done
		ours "$1" "$2"
		steady "$1-$2" && break
		[ "$attempt" -lt 3 ] || break
		grep -v "^$1-$2 $measured " "$scratch/records" > "$scratch/kept"
		mv "$scratch/kept" "$scratch/records"
	done
	steady "$1-$2" || unsteady=$((unsteady + 1))
}

# ---- what is printed ----

line_of() { "$@" 2>&1 | sed 's/\x1b\[[0-9;]*m//g' | grep -m 1 '[0-9]\.[0-9]'; }

versions() {
	for who in $present; do
		case $who in
		ucx-*) echo "UCX $(ucx_info -v | sed -n 's/^# Version //p')" ;;
		iceoryx) echo "iceoryx $(line_of iox-roudi -v | sed 's/.*: *//')" ;;
		boost) macro boost/version.hpp BOOST_LIB_VERSION 'Boost ' ;;
		zeromq) macro zmq.h 'ZMQ_VERSION_MAJOR ZMQ_VERSION_MINOR ZMQ_VERSION_PATCH' 'ZeroMQ ' ;;
		esac
	done | uniq | paste -s -d , - | sed 's/,/, /g'
}

# macro HEADER NAMES TITLE
macro() {
	# shellcheck disable=SC2086
	printf '#include <%s>\n@%s\n' "$1" "$2" | ${CC:-cc} -E -P -x c - 2> /dev/null |
		sed -n 's/^@ *//p' | tr -d '"' | tr ' _' '..' | sed "s/^/$3/"
}

heading() {
	echo "Machine: $(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1), CPUs $cpus," \
		"$(uname -s) $(uname -r) $(uname -m)"
	# shellcheck disable=SC2086
	echo "Compilers: $(line_of ${CC:-cc} --version); $(line_of ${CXX:-c++} --version); -O2"
	echo "Peers: $(versions)"
	echo "Command: $command"
	echo
	echo 'How many times slower than the floor: 1.00 is the floor, less is better.'
	echo "Medians of $repeat rounds, in each against the floor of that round."
	echo
}

table() {
	awk -v columns="$columns" -v rows="floor sysv posix sysv-staged posix-staged sysv-inplace posix-inplace $present" '
	function median(list, n,   i, j, v) {
		for (i = 2; i <= n; i++)
			for (j = i; j > 1 && list[j] < list[j - 1]; j--) {
				v = list[j]; list[j] = list[j - 1]; list[j - 1] = v
			}
		return n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2
	}
	function human(bytes) {
		return bytes < 1024 ? bytes " B" : bytes < 1048576 ? bytes / 1024 " KiB" : bytes / 1048576 " MiB"
	}
	function digits(value) {
		return sprintf(value < 0.1 ? "%.2g" : value < 10 ? "%.2f" : value < 100 ? "%.1f" : "%.0f", value)
	}
	# The floor itself: a time, or a rate.
	function absolute(kind, bytes, ns) {
		if (kind == "pingpong")
			return ns < 1000 ? sprintf("%.0f ns", ns) : sprintf("%.1f us", ns / 1000)
		return bytes <= 64 ? sprintf("%.3g M/s", 1000 / ns) : sprintf("%.3g GB/s", bytes / ns)
	}
	# Of the run before the peers and the one after them.
	{ sum[$1, $2, $3] += $4; times[$1, $2, $3]++; seen[$1, $2] = 1 }
	function collect(column, who,   key, part) {
		delete list
		count = 0
		for (key in seen) {
			split(key, part, SUBSEP)
			if (part[1] != column || !((column, part[2], who) in sum))
				continue
			value = sum[column, part[2], who] / times[column, part[2], who]
			floor = sum[column, part[2], "floor"] / times[column, part[2], "floor"]
			list[++count] = absolutes ? value : value / floor
		}
		return count
	}
	function put(text, width) { printf "| %*s ", width, text }
	END {
		title["sysv"] = "duoshm sysv"; title["posix"] = "duoshm posix"
		title["sysv-staged"] = "duoshm sysv, 32 published together"
		title["posix-staged"] = "duoshm posix, 32 published together"
		title["sysv-inplace"] = "duoshm sysv, in place"
		title["posix-inplace"] = "duoshm posix, in place"
		title["ring"] = "textbook ring of 64 KiB"; title["deep-ring"] = "textbook ring of 4 MiB"
		title["ucx-posix"] = "UCX posix"; title["ucx-sysv"] = "UCX sysv"
		title["uct-posix"] = "UCX posix, in place"; title["uct-sysv"] = "UCX sysv, in place"
		title["iceoryx"] = "iceoryx, in place"; title["boost"] = "Boost message_queue"
		title["zeromq"] = "ZeroMQ ipc://"; title["socket"] = "Unix socket"
		title["mqueue"] = "POSIX message queue"; title["sysv-msg"] = "System V message queue"
		n = split(columns, column, " ")
		for (c = 1; c <= n; c++) {
			split(column[c], part, "-")
			absolutes = 1
			collect(column[c], "floor")
			floors[c] = absolute(part[1], part[2], median(list, count))
			heads[c] = (part[1] == "pingpong" ? "round trip " : "one way ") human(part[2])
			width[c] = length(heads[c])
		}
		absolutes = 0
		printf "| %-35s ", ""
		for (c = 1; c <= n; c++) put(heads[c], width[c])
		printf "|\n|%s", "-------------------------------------"
		for (c = 1; c <= n; c++) printf "|%s:", substr("-------------------------", 1, width[c] + 1)
		printf "|\n| %-35s ", "the floor, measured"
		for (c = 1; c <= n; c++) put(floors[c], width[c])
		print "|"
		for (r = 1; r <= split(rows, row, " "); r++) {
			printf "| %-35s ", row[r] in title ? title[row[r]] : row[r]
			for (c = 1; c <= n; c++)
				put(collect(column[c], row[r]) ? digits(median(list, count)) : "-", width[c])
			print "|"
		}
	}' "$scratch/records"
}

remarks() {
	echo
	echo 'Copied in and out; "in place", no payload is copied: compare those with each other. "-": not'
	echo 'measured, or messages of that size are not carried. All look at what arrives, first word, last'
	echo 'word and one between; in place at less: UCX (its own ucx_perftest) and ours at the first word.'
	[ "$unsteady" -eq 0 ] ||
		echo "The floor moved by a fifth or more in $unsteady of the rounds, three times in a row."
	[ ! -s "$scratch/notes" ] || cat "$scratch/notes"
}

# ---- the whole ----

: > "$scratch/records"
: > "$scratch/notes"
columns='pingpong-8 pingpong-4096 pingpong-65536 pingpong-1048576 oneway-8 oneway-64 oneway-65536 oneway-1048576'
present='' measured=0 unsteady=0
for who in $peers; do
	prepare "$who" && present="$present $who"
done
round=0
while [ "$round" -lt "$repeat" ]; do
	round=$((round + 1))
	for each in $columns; do
		column "${each%-*}" "${each#*-}"
	done
done
[ ! -t 2 ] || printf '\r\033[K' >&2
end_roudi
heading
table
remarks
