# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# Sourced by the lints: which files are the project's, and how a lint reports.

: "${top_srcdir:?is set by make check}" "${top_builddir:?is set by make check}"
lint=$(basename "$0")
scratch=$(mktemp -d) || exit 99
trap 'rm -rf "$scratch"' EXIT
: > "$scratch/faults"

# fault FILE TEXT: one thing that is wrong; goes on.
fault() {
	printf '%s: %s: %s\n' "$lint" "$1" "$2" | tee -a "$scratch/faults"
}

# finish: the test's result.
finish() {
	count=$(wc -l < "$scratch/faults")
	printf '%s: %d faults\n' "$lint" "$count"
	[ "$count" -eq 0 ]
	exit
}

skip() {
	printf '%s: skipped: %s\n' "$lint" "$*"
	exit 77
}

# project_files: every file of the project, relative to $top_srcdir, one a line.
project_files() {
	if [ -e "$top_srcdir/.git" ] && git -C "$top_srcdir" rev-parse > /dev/null 2>&1; then
		git -C "$top_srcdir" ls-files
	else
		(cd "$top_srcdir" && find LICENSE NEWS README.md bootstrap configure.ac Makefile.am \
			duoshm.pc.in .ci include backends src tests m4/duoshm_*.m4 -type f \
			! -name '*.o' ! -name '*.lo' ! -name '*.la' ! -name '*.a' ! -name '*.log' \
			! -name '*.trs' ! -name .dirstamp ! -path '*/.deps/*' ! -path '*/.libs/*' \
			-exec grep -l -I . {} + | while read -r file; do
			# Text alone; a program lies beside its source, and may be a script of libtool's.
			[ -f "$file.c" ] || printf '%s\n' "$file"
		done)
	fi
}

# code FILE: its text without comments and string literals' content kept.
code() {
	awk '
	{
		line = $0; out = ""
		while (line != "") {
			if (inside) {
				at = index(line, "*/")
				if (!at) { line = ""; break }
				line = substr(line, at + 2); inside = 0
			} else {
				at = index(line, "/*")
				if (!at) { out = out line; line = ""; break }
				out = out substr(line, 1, at - 1) " "
				line = substr(line, at + 2); inside = 1
			}
		}
		print out
	}' "$1"
}
