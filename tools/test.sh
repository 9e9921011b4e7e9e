#!/bin/sh
# SPDX-License-Identifier: MIT
# The push tier: build, run every test, and close with one count of them all.
set -u
build=${1:-build}
[ -f "$build/build.ninja" ] || meson setup "$build" >/dev/null || exit 1
ninja -C "$build" || exit 1
log=$build/meson-logs/testlog.txt
meson test -C "$build" --print-errorlogs
code=$?
ok=$(grep -c '^ok ' "$log")
bad=$(grep -c '^not ok ' "$log")
[ $code -eq 0 ] || [ "$bad" -gt 0 ] || bad=1
echo "$ok passed, $bad failed"
[ "$bad" -eq 0 ] && [ "$ok" -gt 0 ]
