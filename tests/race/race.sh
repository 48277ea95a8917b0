#!/bin/sh
# SPDX-License-Identifier: MIT
# The library and race.c, compiled by themselves with ThreadSanitizer: two threads on one mapping run
# every kind of object, on each family, and it finds no race. Only in the full tier: compiling it is
# what takes the time.
set -u
: "${top_srcdir:?is set by make check}" "${top_builddir:?is set by make check}"
skip() {
	echo "race.sh: skipped: $*"
	exit 77
}
case ${DUOSHM_TEST_TIER-} in
full) turns=30000 ;;
*) skip 'the full tier compiles the library for it' ;;
esac
work=$(mktemp -d) || exit 99
DUOSHM_DIR=$work/registry
export DUOSHM_DIR
trap 'rm -rf "$work"' EXIT
mkdir -m 700 "$DUOSHM_DIR"
cd "$work" || exit 99

flags='-O1 -g -w -fsanitize=thread'
echo 'int main(void) { return 0; }' > empty.c
link='-Wl,--wrap=shmat,--wrap=shmdt'
# CC and flags are words.
# shellcheck disable=SC2086
if ! $CC $flags $link -o empty empty.c 2> /dev/null || ! ./empty; then
	skip "$CC does not link, or this system does not run, $flags $link"
fi
set -- "$top_srcdir"/backends/*.c "$top_srcdir"/src/queue/*.c "$top_srcdir"/src/device/table.c
for backend in $DUOSHM_TEST_BACKENDS; do
	set -- "$@" "$top_srcdir/backends/$backend"/*.c
done
for file in "$top_srcdir"/src/core/*.c; do
	[ "${file##*/}" = lock.c ] || set -- "$@" "$file"
done
# Two files may have one name, so each has its number. All that the compiler gets is words.
includes="-I$top_builddir -I$top_srcdir/include -I$top_srcdir -I$top_srcdir/src -I$top_srcdir/tests"
for file in "$top_srcdir/tests/race/race.c" "$@"; do
	number=$((${number-0} + 1))
	echo "$CC $flags $includes -c -o $number.o $file"
done | xargs -P "$(getconf _NPROCESSORS_ONLN 2> /dev/null || echo 2)" -I '{}' sh -c '{}' || exit 1
# shellcheck disable=SC2086
$CC $flags $link -o race ./*.o -lpthread -lrt -lm || exit 1

for backend in $DUOSHM_TEST_BACKENDS; do
	DUOSHM_BACKEND=$backend TSAN_OPTIONS='exitcode=66 halt_on_error=1' \
		./race "$turns" "$DUOSHM_TEST_PREFIX-race-1" "$DUOSHM_TEST_PREFIX-race-2" > figure || {
		echo "race.sh: $backend: failed"
		DUOSHM_BACKEND=$backend ./race 0 - -
		exit 1
	}
	echo "PROVES 23 $backend $(cat figure) operations under the thread sanitizer"
done
