#!/bin/sh
# SPDX-License-Identifier: MIT
# A recording goes through device and client and comes out sample for sample, on each built family; a slow client loses
# nothing, a live one that falls behind is told; and no half file is left looking like a whole one.
# Cases are called by name; what is not quoted holds no blanks.
# shellcheck disable=SC2317,SC2086
. "${top_srcdir:?}/tests/tools/lib.sh"
need sndfile
cd "$scratch" || exit 99

# make_sound FILE FORMAT CHANNELS FRAMES RATE
make_sound() { "$recording" make "$@" || fault "cannot make $1"; }

# same A B: and both hold something.
same() {
	run "$recording" same "$1" "$2"
	[ "$status" -eq 0 ] || { fault "$(cat "$err")"; return 1; }
	has "$out" '^[1-9][0-9]* samples identical'
}

# through ORIGINAL COPY ARGUMENT...: by a device that ends with the recording.
through() {
	original=$1 copy=$2
	shift 2
	start_device "$unique.$backend" --replay="$original" --pace=fast --once || return
	expect 0 client -n "$unique.$backend" capture -o "$copy" "$@"
	wait_process "$device_pid"
	[ "$status" -eq 0 ] || fault "the device ended with status $status: $(cat device.log)"
	nothing_left
}

no_parts() {
	for part in ./*.part-*; do
		[ ! -e "$part" ] || fault "left: $part"
	done
}

every_format() {
	for format in u8 16 24 32 float double; do
		for channels in 1 2 5; do
			case_name="$format with $channels channels on $backend"
			make_sound original.wav $format $channels 20011 44100
			through original.wav copy.wav && same original.wav copy.wav
			rm -f original.wav copy.wav
		done
	done
	no_parts
}

real_recording() {
	sound=$(find /usr/share/sounds /usr/local/share/sounds -name '*.wav' -size -2000k 2> /dev/null |
		sort | head -n 1)
	[ -n "$sound" ] || return 0
	through "$sound" copy.wav && same "$sound" copy.wav
	rm -f copy.wav
}

# The recording's own time, two followers, several captures one after the other.
live() {
	make_sound original.wav 16 2 4800 16000
	start_device "$unique.$backend" --replay=original.wav || return
	for follower in 1 2; do
		spawn "$top_builddir/client" -n "$unique.$backend" monitor --banner CH1 > follower.$follower 2>&1
		eval "follower$follower=\$!"
		until_true 10 grep -q Monitoring follower.$follower || fault "follower $follower does not begin"
	done
	expect 0 client -n "$unique.$backend" capture -o copy.wav
	has "$err" 'copy.wav: 4800 samples of 2 channels at 16000 Hz, 16 bits'
	same original.wav copy.wav
	for follower in 1 2; do
		eval "wait_process \$follower$follower"
		[ "$status" -eq 0 ] || fault "follower $follower: status $status"
		[ "$(grep -c ' CH1 ' follower.$follower)" -eq 4800 ] || fault "follower $follower: $(tail -n 2 follower.$follower)"
	done
	# The next capture plays it once more.
	expect 0 client -n "$unique.$backend" capture -q -o copy.wav
	[ ! -s "$err" ] || fault "not quiet: $(cat "$err")"
	same original.wav copy.wav
	stop_process "$device_pid"
	nothing_left
	rm -f copy.wav
}

# All there is in a stream of numbers, each format read back with nothing of the project.
text_formats() {
	printf 't_s,A (V),B (V)\n0,1.5,-2\n0.5,0.1,1e-09\n1,-0,123456789.125\n' > original.csv
	suffixes='csv raw'
	"$top_builddir/client" -V | grep -q jansson && suffixes='csv jsonl raw'
	for suffix in $suffixes; do
		start_device "$unique.$backend" --replay=original.csv --pace=fast --once || return
		expect 0 client -n "$unique.$backend" capture -o copy.$suffix
		wait_process "$device_pid"
	done
	cmp -s original.csv copy.csv || fault "CSV: $(cat copy.csv)"
	od -A n -t f8 copy.raw | tr -s ' \n' ' ' > raw.txt
	[ "$(cat raw.txt)" = ' 1.5 -2 0.1 1e-09 -0 123456789.125 ' ] || fault "raw: $(cat raw.txt)"
	case $suffixes in
	*jsonl*) check_json ;;
	esac
	start_device "$unique.$backend" --replay=original.csv --pace=fast --once || return
	expect 0 client -n "$unique.$backend" capture -o -
	cmp -s original.csv "$out" || fault "standard output: $(cat "$out")"
	says '^client: standard output: 3 samples'
	wait_process "$device_pid"
	nothing_left
	rm -f copy.*
}
check_json() {
	start_device "$unique.$backend" --replay=original.csv --pace=fast --once || return
	expect 0 client -n "$unique.$backend" capture -J -o -
	wait_process "$device_pid"
	has "$out" '^\{"schema":"duoshm.capture/1",'
	expect 2 client -n "$unique.$backend" capture -J -o copy.csv
	has copy.jsonl '^\{"schema":"duoshm.capture/1",.*"rate_hz":2.0,'
	has copy.jsonl '"values":\[0.1(0*1)?,1(\.0)?e-0?9\]'
	[ "$(wc -l < copy.jsonl)" -eq 4 ] || fault 'JSON Lines: not a line a sample'
}

# A signal has no end: as much as is asked for. The same seed gives the same samples.
signals() {
	for copy in one two; do
		start_device "$unique.$backend" --wave=sine:period=0.1s:noise=5mV --seed=7 --rate=1kHz --pace=fast || return
		expect 0 client -n "$unique.$backend" capture --samples=1k -o $copy.csv
		expect 0 client -n "$unique.$backend" capture --duration=0.2s -o part.wav
		has "$err" 'part.wav: 200 samples'
		stop_process "$device_pid"
		[ "$(wc -l < $copy.csv)" -eq 1001 ] || fault "not 1000 samples: $(wc -l < $copy.csv)"
	done
	sed -n '2,$p' one.csv | cut -d, -f2 | sort -u | wc -l | grep -q '^ *[0-9][0-9][0-9]*$' || fault 'no signal'
	nothing_left
	rm -f one.csv two.csv part.wav
}

# A reader that stops for a while: the device waits for it. A follower beside it that stops is told what it missed.
slow_client() {
	make_sound original.wav 16 8 200000 48000
	start_device "$unique.$backend" --replay=original.wav --pace=fast || return
	spawn "$top_builddir/client" -n "$unique.$backend" monitor --banner CH1 > follower 2> follower.err
	follower=$!
	until_true 10 grep -q Monitoring follower || fault 'the follower does not begin'
	kill -STOP "$follower"
	mkfifo pipe
	spawn "$top_builddir/client" -n "$unique.$backend" capture --output-format=raw -o pipe 2> capture.err
	capture=$!
	{
		head -c 100000
		frames_stand_still
		cat
	} < pipe > copy.raw
	wait_process "$capture"
	[ "$status" -eq 0 ] || fault "the slow capture: status $status: $(cat capture.err)"
	kill -CONT "$follower"
	wait_process "$follower"
	[ "$status" -eq 0 ] || fault "the follower: status $status"
	has follower.err "^client: $unique.$backend: missed [1-9][0-9]* samples"
	missed=$(awk '/missed/ { for (i = 1; i <= NF; i++) if ($i == "missed") n += $(i + 1) } END { print n }' follower.err)
	seen=$(grep -c ' CH1 ' follower)
	[ $((missed + seen)) -eq 200000 ] || fault "$seen seen and $missed missed are not 200000"
	stop_process "$device_pid"
	# 8 channels of 32 bits, left-justified: the upper halves are the file's samples.
	[ "$(wc -c < copy.raw)" -eq 6400000 ] || fault "not all samples: $(wc -c < copy.raw) bytes"
	od -A n -v -t d4 -w4 copy.raw | awk '{ print $1 / 65536 }' > got
	tail -c 3200000 original.wav | od -A n -v -t d2 -w2 | awk '{ print $1 + 0 }' > wanted
	cmp -s got wanted || fault 'a slow client got other samples'
	nothing_left
	rm -f pipe copy.raw got wanted
}
# Polls until the device makes no more frames: all its room is full, since nobody reads.
frames_stand_still() {
	frames=none
	tries=200
	while [ "$tries" -gt 0 ]; do
		now=$(client -n "$unique.$backend" get -t FRAMES)
		[ "$now" != "$frames" ] || break
		frames=$now
		tries=$((tries - 1))
		sleep 0.2
	done < /dev/null
}

# Told to end: what is there is closed in good order.
interrupted() {
	for number in INT TERM; do
		# A job in the background ignores SIGINT; only a newer env gives it back.
		env --default-signal=INT true 2> /dev/null || [ $number = TERM ] || continue
		start_device "$unique.$backend" --rate=1kHz || return
		with_signals "$top_builddir/client" -n "$unique.$backend" capture -o part.wav 2> capture.err
		capture=$!
		until_true 10 some_frames || fault 'nothing is captured'
		stop_process "$capture" $number
		[ "$status" -eq 0 ] || fault "SIG$number: status $status: $(cat capture.err)"
		has capture.err 'part.wav: interrupted after [1-9][0-9]* samples'
		frames=$(sed -n 's/.*interrupted after \([0-9]*\).*/\1/p' capture.err)
		run "$recording" same part.wav part.wav
		has "$out" "^$frames samples identical"
		stop_process "$device_pid"
		rm -f part.wav
	done
	no_parts
	nothing_left
}
with_signals() {
	if [ $number = INT ]; then
		spawn env --default-signal=INT "$@"
	else
		spawn "$@"
	fi
}
some_frames() { [ "$(cat part.*.part-* 2> /dev/null | wc -c)" -gt 500 ]; }

# An output that fails: said, status 1, nothing that looks whole, and what was there before stays.
output_errors() {
	make_sound original.wav 16 2 100000 48000
	start_device "$unique.$backend" --replay=original.wav --pace=fast || return
	expect 1 client -n "$unique.$backend" capture -o no/such/folder/copy.wav
	says '^client: no/such/folder/copy.wav: No such file'
	mkdir -p folder.wav
	expect 1 client -n "$unique.$backend" capture -o folder.wav
	says '^client: folder.wav: '
	if [ "$(id -u)" -ne 0 ]; then
		mkdir -p shut
		chmod 500 shut
		expect 1 client -n "$unique.$backend" capture -o shut/copy.wav
		says '^client: shut/copy.wav: Permission denied'
		echo mine > kept.csv
		chmod 400 kept.csv
		expect 1 client -n "$unique.$backend" capture -o kept.csv
		says '^client: kept.csv: Permission denied'
		[ "$(cat kept.csv)" = mine ] || fault 'a file that must not be written was written'
		rm -rf shut kept.csv
	fi
	# The recording did not begin for any of these: it is whole for the next one.
	expect 0 client -n "$unique.$backend" capture -o copy.wav
	same original.wav copy.wav
	stop_process "$device_pid"
	# A disk that fills: a limit of file size does the same to write.
	make_sound original.wav float 8 200000 48000
	start_device "$unique.$backend" --replay=original.wav --pace=fast || return
	echo before > full.csv
	for suffix in wav csv raw; do
		expect 1 limited -n "$unique.$backend" capture -o full.$suffix
		says "^client: full.$suffix: File too large"
		says "^client: full.$suffix is not whole; its beginning, about [0-9]+ samples, is in .*full.$suffix.part-"
	done
	[ "$(cat full.csv)" = before ] || fault 'what was there is gone'
	[ ! -e full.wav ] || fault 'a half file looks whole'
	rm -f full.* original.wav
	if [ -w /dev/full ]; then
		expect 1 client -n "$unique.$backend" capture --output-format=raw -o /dev/full
		says '^client: /dev/full: No space left'
		for format in csv raw; do
			expect 1 sh -c "\"\$0\" -n $unique.$backend capture --output-format=$format -o - > /dev/full" \
				"$top_builddir/client"
			says '^client: standard output: No space left'
		done
		# What is small fails only when the file is closed.
		printf 't_s,A\n0,1\n1,2\n' > original.csv
		stop_process "$device_pid"
		start_device "$unique.$backend" --replay=original.csv --pace=fast || return
		expect 1 client -n "$unique.$backend" capture --output-format=csv -o /dev/full
		says '^client: /dev/full: No space left'
	fi
	stop_process "$device_pid"
	no_parts
	nothing_left
}
# A reader that goes away ends it as quietly as any program: by SIGPIPE.
broken_pipe() {
	start_device "$unique.$backend" --rate=100kHz --pace=fast || return
	formats='csv raw'
	"$top_builddir/client" -V | grep -q jansson && formats='csv jsonl raw'
	for format in $formats; do
		{
			"$top_builddir/client" -n "$unique.$backend" capture --output-format=$format -o - 2> "$err"
			echo $? > "$scratch/status"
		} | head -c 10 > "$out"
		[ "$(cat "$scratch/status")" -eq 141 ] || fault "$format: status $(cat "$scratch/status")"
		[ ! -s "$err" ] || fault "$format: a closed pipe is told: $(cat "$err")"
	done
	stop_process "$device_pid"
	nothing_left
}

# 2 or 4 MiB, as the shell counts: more than the client's own objects need.
limited() { (ulimit -f 4096 && exec "$top_builddir/client" "$@"); }

# The device dies within a capture: said, status 3, and the file is not as if whole.
device_dies() {
	start_device "$unique.$backend" --rate=1kHz || return
	spawn "$top_builddir/client" -n "$unique.$backend" capture -o part.csv 2> capture.err
	capture=$!
	until_true 10 some_frames || fault 'nothing is captured'
	stop_process "$device_pid" KILL
	wait_process "$capture"
	[ "$status" -eq 3 ] || fault "status $status: $(cat capture.err)"
	has capture.err "^client: $unique.$backend: the device is gone"
	has capture.err '^client: part.csv is not whole; its beginning'
	[ ! -e part.csv ] || fault 'a half file looks whole'
	rm -f part.csv.part-*
	run detach
	nothing_left
}

# What a name points to is replaced, and the link stays; modes follow the umask, or the file before.
places() {
	printf 't_s,A\n0,1\n1,2\n' > original.csv
	echo old > target.csv
	chmod 640 target.csv
	ln -s target.csv link.csv
	start_device "$unique.$backend" --replay=original.csv --pace=fast || return
	expect 0 client -n "$unique.$backend" capture -o link.csv
	[ -L link.csv ] || fault 'the link is gone'
	grep -q '^1,2' target.csv || fault 'the target was not replaced'
	[ -n "$(find target.csv -perm 640)" ] || fault "mode: $(ls -l target.csv)"
	(umask 027 && client -q -n "$unique.$backend" capture -o new.csv)
	[ -n "$(find new.csv -perm 640)" ] || fault "mode of a new one: $(ls -l new.csv)"
	# A link that leads nowhere yet is followed, too; a descriptor is written to where it stands.
	rm -f target.csv
	expect 0 client -n "$unique.$backend" capture -o link.csv
	[ -L link.csv ] || fault 'the dangling link is gone'
	grep -q '^1,2' target.csv || fault 'the dangling link was not followed'
	# So is one of several links, each seen from its own folder; and a circle is none.
	rm -f target.csv
	mkdir -p links
	ln -s ../link.csv links/first.csv
	expect 0 client -n "$unique.$backend" capture -o links/first.csv
	for link in links/first.csv link.csv; do
		[ -L "$link" ] || fault "$link of the chain is gone"
	done
	grep -q '^1,2' target.csv || fault 'the chain of links was not followed'
	ln -s circle.csv links/circle.csv
	expect 1 client -n "$unique.$backend" capture -o links/circle.csv
	says '^client: links/circle.csv: Too many levels|^client: links/circle.csv: Symbolic link loop'
	rm -rf links
	for place in /dev/stdout /dev/fd/7; do
		[ -e "${place%/*}" ] || continue
		echo before > appended
		# shellcheck disable=SC2016
		expect 0 sh -c 'exec "$0" -n "$1" capture --output-format=csv -o "$2" 7>> "$3" >> "$3"' \
			"$top_builddir/client" "$unique.$backend" "$place" "$scratch/appended"
		[ "$(head -n 1 appended)" = before ] || fault "$place: $(cat appended)"
		grep -q '^1,2' appended || fault "$place: nothing was appended"
	done
	expect 0 client -q -n "$unique.$backend" capture -o UPPER.CSV
	stop_process "$device_pid"
	rm -f link.csv target.csv new.csv appended UPPER.CSV
	no_parts
}

each_backend every_format real_recording live text_formats signals slow_client interrupted \
	broken_pipe output_errors device_dies places
finish
