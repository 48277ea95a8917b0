#!/bin/sh
# SPDX-License-Identifier: MIT
# Part of make installcheck: what was installed serves a stranger. The program of README.md is built
# by what pkg-config says and run on every built family; programs and pages are in their places.
. "${top_srcdir:?}/tests/lint/common.sh"

root=${DESTDIR-}
PKG_CONFIG_PATH=$root${pkgconfigdir:?}
PKG_CONFIG_SYSROOT_DIR=$root
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR
pkg_config=${PKG_CONFIG:-pkg-config}

version=$("$pkg_config" --modversion duoshm) || fault duoshm.pc 'pkg-config does not find it'
built=$("$pkg_config" --variable=backends duoshm)
[ "$built" = "${DUOSHM_TEST_BACKENDS:?}" ] || fault duoshm.pc "says that it has backends $built"

awk '/^```c$/ { inside = 1; next } /^```$/ { inside = 0 } inside' "$top_srcdir/README.md" \
	> "$scratch/consumer.c"
# Flags are words.
# shellcheck disable=SC2046,SC2086
${CC:-cc} ${CFLAGS-} ${TEST_CFLAGS-} "$scratch/consumer.c" -o "$scratch/consumer" \
	$("$pkg_config" --cflags --libs duoshm) > "$scratch/out" 2>&1 ||
	fault consumer "does not build: $(head -n 5 "$scratch/out")"
LD_LIBRARY_PATH=$root${libdir:?}${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
DYLD_LIBRARY_PATH=$LD_LIBRARY_PATH
export LD_LIBRARY_PATH DYLD_LIBRARY_PATH
for backend in $DUOSHM_TEST_BACKENDS; do
	mkdir -m 700 "$scratch/$backend"
	output=$(DUOSHM_DIR=$scratch/$backend DUOSHM_BACKEND=$backend "$scratch/consumer" 2>&1)
	[ "$output" = "hello through $backend" ] || fault consumer "prints on $backend: $output"
done

for program in ${PROGRAMS-}; do
	installed=$(echo "$program" | sed "${transform:?}")
	page=$root${mandir:?}/man1/$installed.1
	said=$("$root${bindir:?}/$installed" --version) || fault "$installed" '--version fails'
	case $said in
	*"$version"*) ;;
	*) fault "$installed" "is of another version than the library: $said" ;;
	esac
	[ -s "$page" ] || fault "$page" 'is not there'
done
finish
