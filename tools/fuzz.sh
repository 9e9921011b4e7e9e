#!/bin/sh
# SPDX-License-Identifier: MIT
# fuzz.sh SECONDS [TARGET...] - each target of test/fuzz under clang's libFuzzer
# fuzz.sh merge [TARGET...] - what these runs found goes into the corpus, if it
# reaches code that nothing there reaches
set -eu
cd "$(dirname "$0")/.."
dir=build-fuzz
case ${1:-} in
merge) ;;
'' | *[!0-9]*)
	echo "usage: fuzz.sh SECONDS [TARGET...] | fuzz.sh merge [TARGET...]" >&2
	exit 2
	;;
esac
what=$1
shift

tools/deps.sh clang libclang-rt-14-dev
[ -f $dir/build.ninja ] ||
	CC=clang meson setup -Dfuzz=true -Dbuildtype=debugoptimized \
		-Db_sanitize=address -Db_lundef=false $dir >/dev/null
ninja -C $dir --quiet fuzz
if [ $# -eq 0 ]; then
	for target in test/fuzz/fuzz_*.c; do
		target=${target##*/fuzz_}
		set -- "$@" "${target%.c}"
	done
fi

# freed memory that is used again soon is what makes this fast, and no notes of
# who asked for it: a finding is run again for these
export ASAN_OPTIONS=detect_leaks=1:quarantine_size_mb=1
ASAN_OPTIONS=$ASAN_OPTIONS:malloc_context_size=0:max_malloc_fill_size=0
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
mkdir -p $dir/findings

# number FILE PATTERN - the number behind the last match
number() {
	sed -n "s/.*$2 *\([0-9]*\).*/\1/p" "$1" | tail -n 1
}

# run TARGET - fuzz it; one line, and false if there is a finding
run() {
	log=$dir/$1.log
	mkdir -p "$dir/found/$1"
	if nice "$dir/test/fuzz/fuzz_$1" -max_total_time="$what" -timeout=10 \
		-entropic=0 -reload=0 \
		-print_final_stats=1 -artifact_prefix="$dir/findings/$1-" \
		"$dir/found/$1" "test/fuzz/corpus/$1" >"$log" 2>&1; then
		end=$(number "$log" 'DONE *cov:')
		echo "$1: $(number "$log" average_exec_per_sec:) execs/s," \
			"$end edges," \
			"$((end - $(number "$log" 'INITED cov:'))) of them new"
		return 0
	fi
	echo "$1: $(grep -m 1 -E 'does not hold|runtime error|ERROR:' "$log" ||
		tail -n 1 "$log")"
	echo "$1: see $log and $dir/findings/$1-*"
	return 1
}

merge() {
	"$dir/test/fuzz/fuzz_$1" -set_cover_merge=1 -use_counters=0 \
		"test/fuzz/corpus/$1" "$dir/found/$1" >"$dir/$1.log" 2>&1
	echo "$1: $(find "test/fuzz/corpus/$1" -type f | wc -l) inputs"
}

bad=0
for target; do
	if [ "$what" = merge ]; then
		merge "$target"
	else
		run "$target" || bad=1
	fi
done
exit $bad
