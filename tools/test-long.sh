#!/bin/sh
# SPDX-License-Identifier: MIT
# test-long.sh BUILD - what takes long: many seeds, inputs nobody thought of,
# and every figure
set -eu
build=${1:-build}
ninja -C "$build" test/sim/sim test/sim/sim_udp test/bench/udpblast test/bench/prototype \
	test/bench/malloc_count.so
"$build/test/sim/sim" --seeds 10001-700000 --budget 1800
"$build/test/sim/sim_udp" --seeds 10001-700000 --budget 1800
tools/fuzz.sh 600
python3 test/bench/bench.py "$build/culvert" "$build/test/bench/udpblast" \
	"$build/test/bench/prototype" "$build/test/bench/malloc_count.so"
python3 test/bench/churn.py "$build/culvert" 1800
