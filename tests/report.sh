#!/bin/sh
# SPDX-License-Identifier: MIT
# report.sh LOG...: what the tests proved of each guarantee, a line each. Adds up their lines
# `PROVES GUARANTEE FAMILY FIGURE WHAT`; the names are those of the table in README.md beside this.
set -u
awk -F ' *[|] *' '
function thousands(n) {
	n = sprintf("%.0f", n)
	while (match(n, /[0-9][0-9][0-9][0-9]($|,)/))
		n = substr(n, 1, RSTART) "," substr(n, RSTART + 1)
	return n
}
FILENAME ~ /README[.]md$/ {
	if ($2 ~ /^[0-9]+$/)
		name[$2 + 0] = $3
	next
}
/^PROVES [0-9]+ / {
	split($0, word, " ")
	what = $0
	sub(/^PROVES [0-9]+ [^ ]+ [0-9]+ /, "", what)
	key = word[2] SUBSEP word[3] SUBSEP what
	if (!(key in sum))
		order[word[2], ++kinds[word[2]]] = word[3] SUBSEP what
	sum[key] += word[4]
}
END {
	for (g = 1; g in name; g++) {
		line = ""
		split("sysv posix -", families, " ")
		for (f = 1; f <= 3; f++) {
			part = ""
			for (k = 1; k <= kinds[g]; k++) {
				split(order[g, k], at, SUBSEP)
				if (at[1] == families[f])
					part = part (part == "" ? "" : ", ") \
						thousands(sum[g, at[1], at[2]]) " " at[2]
			}
			if (part != "")
				line = line (line == "" ? "" : "; ") \
					(families[f] == "-" ? "" : families[f] ": ") part
		}
		printf "guarantee %2d, %s: %s\n", g, name[g], line == "" ? "nothing shown" : line
	}
}' "$(dirname "$0")/README.md" "$@"
