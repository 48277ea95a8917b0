#!/bin/sh
# SPDX-License-Identifier: MIT
# model.sh [MODEL...]: SPIN on the models beside this file. Each must hold, and each of its mutants must be
# refuted; a line for each, and figures. First: do the models quote the sources as they are?
# In the full tier all models, in the normal one two that take no time, in the small one none.
# README.md tells what a model says.
set -u
here=$(cd "$(dirname "$0")" && pwd)
top_srcdir=${top_srcdir:-$here/../..}
tier=${DUOSHM_TEST_TIER:-full}
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
passed=0 failed=0 refuted=0 proven=0

# count RESULT TEXT
count() {
	case $1 in
	ok) passed=$((passed + 1)) ;;
	*) failed=$((failed + 1)) ;;
	esac
	printf '%-7s %s\n' "$1" "$2"
}

# quotes MODEL: each access that it quotes is in the function that it names, and in that order.
quotes() {
	sed -n -e 's,.*/\* @ \([^ ]*\) \([^ ]*\) \*/.*,@ \1 \2,p' -e 's,.*/\* = \(.*\) \*/.*,= \1,p' \
		"$here/$1.pml" > "$work/quotes"
	while read -r kind text name; do
		case $kind in
		@) # the function's body in one line, from its name on
			body=$(awk -v name="$name" '
				index($0, name "(") && /^[a-z]/ { inside = 1 }
				inside { gsub(/[ \t]+/, " "); printf "%s ", $0 }
				inside && /^}/ { exit }' "$top_srcdir/$text" | sed 's/( /(/g')
			where=$text:$name
			[ -n "$body" ] || echo "$1: no $where"
			;;
		*)
			quote=$text${name:+ $name}
			case $body in
			*"$quote"*) body=${body#*"$quote"} ;;
			*) echo "$1: $where has no more: $quote" ;;
			esac
			;;
		esac
	done < "$work/quotes"
}

# compile MODEL VARIANT
compile() {
	mkdir -p "$work/$1$2" && cd "$work/$1$2" || exit 99
	cp "$here"/*.pml .
	spin -a ${2:+"-D$2"} "$1.pml" > spin.log 2>&1 &&
		${CC:-cc} -w -O1 -DSAFETY -DHC4 -DNOFAIR -DVECTORSZ=4096 -o pan pan.c > cc.log 2>&1
}

# check MUTANT: holds, refuted, or why not
check() {
	MUTANT=$1 ./pan -w22 -m400000 > pan.log 2>&1
	if grep -q 'max search depth too small\|out of memory' pan.log; then
		echo unfinished
	elif grep -q '^pan:[0-9]*: ' pan.log; then
		echo refuted
	elif grep -q 'errors: 0$' pan.log; then
		echo holds
	else
		echo broken
	fi
}

# model NAME VARIANT
model() {
	if ! compile "$1" "$2"; then
		count FAILED "$1 $2: $(head -n 1 spin.log cc.log)"
		return
	fi
	result=$(check 0)
	states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' pan.log)
	if [ "$result" = holds ]; then
		proven=$((proven + 1))
		count ok "$1${2:+ $2}: holds ($states states)"
	else
		count FAILED "$1${2:+ $2}: $result: $(grep -m 1 '^pan:' pan.log)"
	fi
	sed -n "\,^/\* mutants${2:+ $2} \*/,,\,^/\* mutants [A-Z]\|^\$,s,^#define \([A-Z_]*\) *\([0-9]*\).*,\1 \2,p" \
		"$1.pml" > mutants
	while read -r mutant number; do
		result=$(check "$number")
		if [ "$result" = refuted ]; then
			refuted=$((refuted + 1))
			count ok "$1${2:+ $2}: $mutant is refuted"
		else
			count FAILED "$1${2:+ $2}: $mutant: $result"
		fi
	done < mutants
}

for file in "$here"/*.pml; do
	name=$(basename "$file" .pml)
	wrong=$(quotes "$name")
	if [ -z "$wrong" ]; then
		count ok "$name: quotes the sources as they are"
	else
		count FAILED "$wrong"
	fi
done
if ! command -v spin > /dev/null || ! ${CC:-cc} --version > /dev/null 2>&1; then
	echo "$passed passed, $failed failed"
	echo 'model: skipped: no spin, or no compiler'
	[ "$failed" -eq 0 ] || exit 1
	exit 77
fi
[ "$#" -gt 0 ] || case $tier in
small) ;;
normal) set -- readers semaphore ;;
*) set -- ring broadcast wait readers semaphore lock table ;;
esac
for name; do
	model "$name" ''
	if grep -q '^/\* mutants CALM' "$here/$name.pml"; then
		model "$name" CALM
	fi
done
if [ "$failed" -eq 0 ] && [ "$proven" -gt 0 ]; then
	echo "PROVES 23 - $proven models"
	echo "PROVES 23 - $refuted refuted mutants of models"
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
