#!/bin/sh
# SPDX-License-Identifier: MIT
# make demo [FILE=recording.wav]: the main job on each family in turn. A device replays a recording; two followers watch
# it live, a command is acknowledged, and a lossless capture is compared with the original, sample for sample. Then both
# families side by side, and the proof that nothing is left.

build=$(cd "${DUOSHM_BUILD_DIR:-.}" && pwd) || exit 1
scratch=$(mktemp -d "${TMPDIR:-/tmp}/duoshm-demo.XXXXXX") || exit 1
DUOSHM_DIR=$scratch/registry
export DUOSHM_DIR
unset DUOSHM_BACKEND
name=demo.$$
started=
faults=0

end() {
	exec 2> /dev/null # where a shell would tell of each that it ended
	for pid in $started; do
		kill "$pid" 2> /dev/null && wait "$pid" 2> /dev/null
	done
	"$build/detach" -q --all --force > /dev/null 2>&1
	rm -rf "$scratch"
}
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' HUP TERM

say() { printf '%s\n' "$*"; }
fault() {
	faults=$((faults + 1))
	say "*** $*"
}

# shown COMMAND...: prints it as a user would type it, and runs it.
shown() {
	printf '$ ./%s' "$1"
	program=$1
	shift
	printf ' %s' "$@"
	printf '\n'
	"$build/$program" "$@"
}

# ---- the recording ----

has_library() { "$build/client" -V | grep -q -w "$1"; }

# system_sound: a WAV file of the system of 1 to 10 seconds or so.
system_sound() {
	for folder in /usr/share/sounds/alsa /usr/share/sounds /usr/local/share/sounds; do
		[ -d "$folder" ] || continue
		find "$folder" -name '*.wav' -type f -size +40k -size -2000k 2> /dev/null | sort | head -n 1
	done | head -n 1
}

# A sum of sines, 200 Hz for two seconds.
make_csv() {
	awk 'BEGIN {
		print "t_s,LEFT (V),RIGHT (V)"
		for (i = 0; i < 400; i++)
			printf "%.3f,%.9f,%.9f\n", i / 200, sin(i / 7) + 0.3 * sin(i / 2.3), cos(i / 11)
	}' > "$1"
}

choose_recording() {
	if [ -n "${FILE-}" ]; then
		"$build/device" -q -n "$name" --replay="$FILE" --duration=1ms < /dev/null > "$scratch/why" 2>&1 ||
			{ say "*** $(sed 's/^device: //' "$scratch/why")"; exit 1; }
		original=$(cd "$(dirname "$FILE")" && pwd)/$(basename "$FILE")
		say "The recording is yours: $original"
	elif ! has_library sndfile; then
		original=$scratch/generated.csv
		make_csv "$original"
		say "The recording is generated, as CSV since this is built without libsndfile: generated.csv"
	elif original=$(system_sound) && [ -n "$original" ]; then
		say "The recording is one of the system's sound files: $original"
	else
		original=$scratch/generated.wav
		"$build/src/tools/recording" make "$original" 16 2 96000 48000 || exit 1
		say 'The recording is generated, since the system has no sound files: generated.wav (2 s, stereo)'
	fi
	case $original in
	*.csv | *.CSV) suffix=csv ;;
	*) suffix=wav ;;
	esac
}

# numbers FILE: the channels of a CSV file, one number a line as it reads.
numbers() {
	awk -F '[,;\t]' '
	/^#/ || /^[ \t\r]*$/ { next }
	!names++ {
		for (i = 1; i <= NF; i++) {
			head = tolower($i); gsub(/[ \t"\r]/, "", head)
			if (head ~ /^(t|time)([_(\[].*)?$/ || head ~ /^(frame|sample|index|seq)$/) left[i] = 1
		}
		if ($1 !~ /^[ \t"]*[-+0-9.]/) next
	}
	{ for (i = 1; i <= NF; i++) if (!(i in left)) printf "%.15g\n", $i }' "$1"
}

same_csv() {
	numbers "$1" > "$scratch/a"
	numbers "$2" > "$scratch/b"
	cmp "$scratch/a" "$scratch/b" && say "$(wc -l < "$scratch/a" | tr -d ' ') samples identical"
}

same() {
	if [ "$suffix" = csv ]; then
		same_csv "$1" "$2"
	else
		"$build/src/tools/recording" same "$1" "$2"
	fi
}

# ---- what lies in the kernel ----

# note_objects: what the kernel calls those that are there now.
note_objects() { "$build/detach" --list --noheadings -o OBJECT >> "$scratch/made"; }
# in_kernel OBJECT: as noted: "/NAME", or "KEY id NUMBER".
in_kernel() {
	case $1 in
	/*) [ -e "/dev/shm$1" ] || ls /dev/shm/sem."${1#/}".* > /dev/null 2>&1 ;;
	*) ipcs -m 2> /dev/null | awk -v id="${1##* }" '$2 == id { found = 1 } END { exit !found }' ;;
	esac
}
in_registry() { "$build/detach" --list --noheadings; }

# ---- one family ----

# follower_ready NUMBER: within 5 seconds.
follower_ready() {
	tries=100
	until grep -q Monitoring "$scratch/follower$1"; do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || return 1
		sleep 0.05
	done
}

# follow NUMBER
follow() {
	"$build/client" -n "$name" monitor --banner > "$scratch/follower$1" 2> "$scratch/follower$1.err" &
	eval "follower$1=\$!"
	started="$started $!"
	follower_ready "$1" || fault "follower $1 does not begin"
}

# followed NUMBER: waits for its end, tells what it saw.
followed() {
	eval "wait \"\$follower$1\"" || fault "follower $1 failed: $(cat "$scratch/follower$1.err")"
	missed=$(awk '/missed/ { for (i = 1; i <= NF; i++) if ($i == "missed") sum += $(i + 1) }
		END { print sum + 0 }' "$scratch/follower$1.err")
	seen=$(($(wc -l < "$scratch/follower$1") - 1))
	say "follower $1 saw $seen samples live, missed $missed; the loudest:"
	awk '$4 * $4 > most { most = $4 * $4; line = $0 } END { print "    " line }' "$scratch/follower$1"
}

one_family() {
	copy=copy-$1.$suffix
	say
	say "---- $1 ----"
	say "\$ ./device -n $name --backend=$1 --replay=$(basename "$original")"
	"$build/device" -n "$name" --backend="$1" --replay="$original" < /dev/null 2>&1 &
	device=$!
	started="$started $device"
	"$build/client" -n "$name" -w 10 ping > /dev/null || { fault "the device does not come up on $1"; return; }
	follow 1
	follow 2
	shown client -n "$name" cmd status || fault 'the command was not acknowledged'
	note_objects
	shown client -n "$name" capture -o "$copy" || fault 'the capture failed'
	followed 1
	followed 2
	same "$original" "$copy" || fault "on $1 the copy is not the original"
	shown client -n "$name" cmd exit || fault 'exit was not acknowledged'
	wait "$device" || fault "the device ended with status $?"
}

# ---- all of it ----

say 'duoshm: one interface over System V and POSIX shared memory'
choose_recording
cd "$scratch" || exit 1
families=$("$build/client" -V | sed -n 's/^families: *//p')
for family in $families; do
	one_family "$family"
done

say
say '---- side by side ----'
shown compare info || fault 'compare info failed'

say
say '---- what is left ----'
in_registry > "$scratch/left"
while read -r object; do
	! in_kernel "$object" || fault "left in the kernel: $object"
done < "$scratch/made"
[ ! -s "$scratch/left" ] || fault "left in the registry: $(cat "$scratch/left")"
say "of $(wc -l < "$scratch/made" | tr -d ' ') objects $(wc -l < "$scratch/left" | tr -d ' ') are left in the registry"
case $faults in
0) say 'nothing is left' ;;
1) say '1 fault' ;;
*) say "$faults faults" ;;
esac
[ "$faults" -eq 0 ]
