#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""test_trace_plot.py TOOL - draws made-up traces, and looks at the SVG; TAP"""
import json
import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET

TOOL = sys.argv[1]
SVG = "{http://www.w3.org/2000/svg}"


def sample(i, **more):
    return dict(t=5_000_000 + 10_000 * i, ev="path", peer="x", rtt=20100,
                min_rtt=20000, rate=25_000_000, cwnd=60000, inflight=40000,
                delivered=250_000 * i, lost=0, state="cruise", mtu=1500,
                **more)


def event(i, ev, **more):
    return dict(t=5_000_000 + 10_000 * i, ev=ev, **more)


def draw(lines, *options):
    """exit code, the SVG's root or nothing"""
    with tempfile.TemporaryDirectory() as d:
        trace, svg = os.path.join(d, "t.jsonl"), os.path.join(d, "t.svg")
        with open(trace, "w") as f:
            f.writelines(x if isinstance(x, str) else json.dumps(x) + "\n"
                         for x in lines)
        r = subprocess.run([sys.executable, TOOL, trace, svg, *options],
                           capture_output=True, text=True)
        return r.returncode, ET.parse(svg).getroot() if os.path.exists(svg) \
            else None


def texts(root):
    return [t.text for t in root.iter(SVG + "text")]


def has_all_panels():
    _, root = draw([sample(i) for i in range(300)], "--title", "a < b",
                   "--rate", "200")
    said = texts(root)
    return all(t in said for t in (
        "a < b", "rate, Mbit/s", "window, KiB", "round trip, ms", "events",
        "bottleneck", "pacing", "delivered", "in flight", "smoothed",
        "minimum", "cruise", "seconds"))


def counts_what_moved():
    _, root = draw([sample(i) for i in range(301)])
    return "75.0 MB in 3.0 s, 200.0 Mbit/s, 0.0% lost" in texts(root)


def counts_events():
    lines = [sample(i) for i in range(300)]
    lines += [event(i, "lost", bytes=1434) for i in range(10, 40)]
    lines += [event(50, "pto"), event(60, "migrate"), event(70, "unheard")]
    said = texts(draw(lines)[1])
    return all(t in said for t in ("lost: 30", "probe (PTO): 1",
                                   "new address: 1")) and \
        not any(t.startswith("spurious") for t in said)


def stays_inside():
    _, root = draw([sample(i) for i in range(300)] +
                   [event(i, "lost") for i in range(300)])
    width = float(root.get("width"))
    at = [float(x) for p in root.iter(SVG + "path")
          for x in re.findall(r"[ML](-?[\d.]+) ", p.get("d"))]
    return at and min(at) >= 0 and max(at) <= width


def draws_who_carried_most():
    other = [dict(sample(i), peer="idle", delivered=0) for i in range(300)]
    _, root = draw(other + [sample(i) for i in range(301)])
    return "75.0 MB in 3.0 s, 200.0 Mbit/s, 0.0% lost" in texts(root)


def bears_a_line_cut_off():
    code, root = draw([sample(i) for i in range(9)] + ['{"t":12,"ev":"pa'])
    return code == 0 and root is not None


def bears_little():
    """one sample, nothing delivered, fields that are missing"""
    return all(draw(lines)[0] == 0 for lines in (
        [sample(0)], [sample(0)] * 3,
        [event(i, "path", peer="x") for i in range(3)]))


def refuses_what_is_no_trace():
    code, root = draw(["nothing\n"])
    return code != 0 and root is None


TESTS = [has_all_panels, counts_what_moved, counts_events, stays_inside,
         draws_who_carried_most, bears_a_line_cut_off, bears_little,
         refuses_what_is_no_trace]
print(f"1..{len(TESTS)}")
bad = 0
for n, test in enumerate(TESTS, 1):
    ok = bool(test())
    bad += not ok
    print(f"{'ok' if ok else 'not ok'} {n} - {test.__name__}")
sys.exit(bad != 0)
