#!/bin/sh
# SPDX-License-Identifier: MIT
# test-long.sh BUILD - what takes long: many seeds, inputs nobody thought of,
# and every figure
set -eu
build=${1:-build}
ninja -C "$build" test/sim/sim test/sim/sim_udp test/bench/udpblast test/bench/prototype \
	test/bench/malloc_count.so test/bench/tload test/bench/wan
"$build/test/sim/sim" --seeds 10001-700000 --budget 1800
"$build/test/sim/sim_udp" --seeds 10001-700000 --budget 1800
python3 test/netns/68-matrix.py "$build/culvert"
export CULVERT_LONG=1
for test in netns/78-iproxy interop/test_iproxy; do
	python3 test/$test.py "$build/culvert"
done
tools/fuzz.sh 600
python3 test/bench/bench.py "$build/culvert" "$build/test/bench/udpblast" \
	"$build/test/bench/prototype" "$build/test/bench/malloc_count.so"
python3 test/bench/churn.py "$build/culvert" 1800
python3 test/bench/lan.py "$build/culvert"
python3 test/bench/transport.py "$build/culvert" "$build/test/bench/tload" \
	"$build/test/bench/wan"
