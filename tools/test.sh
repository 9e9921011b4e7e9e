#!/bin/sh
# SPDX-License-Identifier: MIT
# test.sh BUILD - the push tier: build, run every test as it is and under
# sanitizers, print the core's coverage, close with one count of them all
set -u
build=${1:-build}
passed=0 failed=0
failures=$(mktemp)
trap 'rm -f "$failures"' EXIT

if [ "$(id -u)" -ne 0 ]; then
	echo "test: network namespaces need root; type: sudo make test" >&2
	exit 1
fi

# name_failures LOG - what failed in which test of a run, and what it said
name_failures() {
	awk '/^test: / { name = $0; sub(/^test: *[^:]*:/, "", name) }
		/^not ok / || (/^result: / && !/exit status 0$/) {
			print name ": " $0
			more = 4
			next
		}
		/^#/ && more-- > 0 { print; next }
		{ more = 0 }' "$1" >>"$failures"
}

# count LOG CODE - add the TAP lines of a run to the total
count() {
	name_failures "$1"
	ok=$(grep -c '^ok ' "$1")
	bad=$(grep -c '^not ok ' "$1")
	# a test that crashed or timed out has no line that says so
	[ "$2" -eq 0 ] || [ "$bad" -gt 0 ] || bad=1
	[ "$2" -eq 0 ] || [ -s "$failures" ] || echo "see $1" >>"$failures"
	passed=$((passed + ok)) failed=$((failed + bad))
}

# pass DIR OPTIONS -- TESTS - configure, build and run
pass() {
	dir=$1
	shift
	options=
	while [ "$1" != -- ]; do
		options="$options $1"
		shift
	done
	shift
	# shellcheck disable=SC2086
	[ -f "$dir/build.ninja" ] || meson setup $options "$dir" >/dev/null ||
		exit 1
	echo "== $dir"
	mkdir -p "$dir/meson-logs"
	: >"$dir/meson-logs/testlog.txt"
	# all of it once: one test installs it; else what these tests need
	[ "$dir" != "$build" ] || ninja -C "$dir" --quiet || {
		failed=$((failed + 1))
		echo "$dir does not build: see above" >>"$failures"
		return
	}
	# many mostly wait: more at once than there are processors
	meson test -C "$dir" --print-errorlogs --num-processes 4 "$@"
	count "$dir/meson-logs/testlog.txt" $?
}

pass "$build" --
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=1
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
pass "$build-asan" -Db_sanitize=address,undefined -Dbuildtype=debug \
	-Doptimization=1 \
	-- --no-suite once --suite unit --suite fault --suite conform --suite sim \
	--suite fuzz --suite cli --suite api --suite interop --suite netns
pass "$build-cov" -Db_coverage=true -Dbuildtype=debug \
	-- --no-suite once --suite unit --suite fault
echo "== coverage"
if python3 test/unit/coverage.py "$build-cov"; then
	passed=$((passed + 1))
else
	failed=$((failed + 1))
	echo "coverage: see above" >>"$failures"
fi

# last, where whoever reads only the end finds it
cat "$failures"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
