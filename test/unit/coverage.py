#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""coverage.py BUILDDIR [-v] - lines of src/core that the tests ran

The build is one with -Db_coverage=true, made by gcc, in which the tests were
run; what counts is the sum of all of them.  -v names the lines that were not
run.  Exit code 1 below FLOOR percent.
"""
import collections
import glob
import json
import os
import subprocess
import sys

FLOOR = 90.0


def counts(build):
    """{file below src/core: {line: times}}, over all objects of the core"""
    lines = collections.defaultdict(dict)
    notes = sorted(glob.glob(os.path.join(
        build, "libculvert-core.a.p", "src_core_*.gcno")))
    for note in notes:
        # an object none of whose functions ran has notes, but no data
        out = subprocess.run(["gcov", "--json-format", "--stdout", note],
                             cwd=build, capture_output=True, text=True,
                             check=True).stdout
        for text in out.splitlines():
            for f in json.loads(text)["files"]:
                head, core, name = f["file"].rpartition("src/core/")
                if not core:
                    continue
                for n in f["lines"]:
                    seen = lines[name]
                    key = n["line_number"]
                    seen[key] = seen.get(key, 0) + n["count"]
    return lines


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__.splitlines()[0])
    lines = counts(os.path.abspath(sys.argv[1]))
    if not lines:
        sys.exit(f"coverage.py: {sys.argv[1]}: no notes of gcov; configure "
                 "with -Db_coverage=true, build, and run the tests")
    ran = every = 0
    for name in sorted(lines):
        missed = sorted(n for n, times in lines[name].items() if not times)
        here = len(lines[name])
        ran += here - len(missed)
        every += here
        print(f"{name:16} {100 * (here - len(missed)) / here:5.1f} % "
              f"of {here} lines")
        if "-v" in sys.argv[2:] and missed:
            print("    not run: " + " ".join(map(str, missed)))
    percent = 100 * ran / every
    print(f"core coverage: {percent:.1f} % of {every} lines")
    sys.exit(percent < FLOOR)


if __name__ == "__main__":
    main()
