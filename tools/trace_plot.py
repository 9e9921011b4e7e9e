#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""trace_plot.py TRACE.jsonl OUT.svg - draw one transfer that --trace has told

Panels, one above the other: rate, window, round-trip time, and what happened
(losses, probes, changes of the path) as ticks.
"""
import argparse
import collections
import contextlib
import json
import math
import sys
from html import escape

WIDTH, LEFT, RIGHT, TOP = 960, 104, 16, 64
PLOT = WIDTH - LEFT - RIGHT
HEIGHT, GAP, ROW = 168, 42, 22
BLUE, ORANGE, GREEN, GREY, INK = ("#0072b2", "#d55e00", "#009e73", "#9aa3ab",
                                  "#24292f")
STATES = ["#f0c75e", "#b7a6d9", "#cfd8dc", "#8fc1a9", "#e8a598", "#9fc5e8"]
EVENTS = [("lost", "lost", "#c62828"), ("spurious", "spurious", ORANGE),
          ("pto", "probe (PTO)", "#7b1fa2"), ("mtu", "path MTU", GREEN),
          ("migrate", "new address", BLUE)]
DASH = ' stroke-dasharray="5 3"'
STYLE = """
text { font: 12px system-ui, "Segoe UI", Helvetica, Arial, sans-serif;
  fill: #24292f }
.title { font-size: 16px; font-weight: 600 }
.head { font-weight: 600 }
.small { font-size: 11px; fill: #57606a }
.grid { stroke: #e4e8ec; fill: none; shape-rendering: crispEdges }
.axis { stroke: #8c959f; fill: none; shape-rendering: crispEdges }
.line { fill: none; stroke-linejoin: round }
"""


def read(path, peer=None):
    """samples and events of one peer, the one that carried most; times begin
    at 0.  The last line may be cut off where the program was killed."""
    rows = []
    try:
        with open(path, encoding="utf-8") as f:
            for line in f:
                with contextlib.suppress(ValueError):
                    rows.append(json.loads(line))
    except OSError as e:
        sys.exit(f"{path}: {e.strerror}")
    rows = [r for r in rows if isinstance(r, dict) and "t" in r and "ev" in r]
    paths = [r for r in rows if r["ev"] == "path"]
    if not paths:
        sys.exit(f"{path}: no line with \"ev\":\"path\"")
    if peer is None:
        peer = max(paths, key=lambda r: r.get("delivered", 0)).get("peer")
    rows = [r for r in rows if r.get("peer", peer) == peer]
    rows.sort(key=lambda r: r["t"])
    begin = rows[0]["t"]
    for r in rows:
        r["s"] = (r["t"] - begin) / 1e6
    return ([r for r in rows if r["ev"] == "path"],
            [r for r in rows if r["ev"] != "path"])


def busy(samples, events):
    """without the time before the first byte moved and after the last"""
    ends = [(a["s"], b["s"]) for a, b in zip(samples, samples[1:])
            if b.get("delivered", 0) > a.get("delivered", 0)]
    if not ends:
        return samples, events
    first, last = ends[0][0], ends[-1][1]
    pad = 0.02 * (last - first)

    def cut(rows):
        return [dict(r, s=r["s"] - first) for r in rows
                if first <= r["s"] <= last + pad]
    return cut(samples), cut(events)


def series(samples, key, scale):
    return [(r["s"], r[key] * scale) for r in samples
            if isinstance(r.get(key), (int, float))]


def delivery(samples, bins=160):
    """rate of what was delivered, in Mbit/s, by steps of equal time"""
    points = series(samples, "delivered", 1)
    if len(points) < 2:
        return []
    step = max((points[-1][0] - points[0][0]) / bins, 1e-6)
    out, (t0, d0) = [], points[0]
    for t, d in points[1:]:
        if t - t0 >= step:
            out.append(((t + t0) / 2, max(0, d - d0) * 8e-6 / (t - t0)))
            t0, d0 = t, d
    return out


def ticks(top, wanted):
    """round numbers from 0 to @top, some @wanted of them"""
    raw = max(top, 1e-9) / wanted
    size = 10 ** math.floor(math.log10(raw))
    step = next(m * size for m in (1, 2, 5, 10) if raw <= m * size)
    return [i * step for i in range(int(top / step + 1e-9) + 1)]


def label(v):
    return f"{v:,.0f}" if v >= 10 or v == int(v) else f"{v:.3g}"


def percentile(values, p):
    return sorted(values)[int(p * (len(values) - 1))] if values else 0


class Drawing:
    """an SVG that grows downwards"""

    def __init__(self, seconds):
        self.seconds, self.y, self.out, self.clips = seconds, TOP, [], 0

    def x(self, s):
        return LEFT + PLOT * s / self.seconds

    def text(self, x, y, what, kind="", anchor="start"):
        self.out.append(f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" '
                        f'text-anchor="{anchor}">{escape(str(what))}</text>')

    def rect(self, x, y, w, h, fill):
        self.out.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" '
                        f'height="{h:.1f}" fill="{fill}"/>')

    def rule(self, d, kind):
        self.out.append(f'<path d="{d}" class="{kind}"/>')

    def legend(self, items, y):
        """from the right: (name, colour, dashed)"""
        x = WIDTH - RIGHT
        for name, colour, dash in reversed(items):
            x -= 7 * len(name) + 4
            self.text(x, y, name, "small")
            x -= 26
            self.out.append(f'<path d="M{x:.1f} {y - 4}h20" stroke="{colour}" '
                            f'stroke-width="2.5"{DASH if dash else ""}/>')
            x -= 12

    def columns(self, height):
        for s in ticks(self.seconds, 10):
            self.rule(f"M{self.x(s):.1f} {self.y}v{height}", "grid")

    def curve(self, points, top, colour, dash):
        """highest and lowest of every half pixel, not every sample"""
        kept, column = [], []
        for s, v in points:
            at = round(self.x(s) * 2)
            if column and column[0][0] != at:
                kept += squeeze(column)
                column = []
            column.append((at, v))
        kept += squeeze(column)
        d = "M" + "L".join(f"{at / 2:.1f} "
                           f"{self.y + HEIGHT * (1 - v / top):.1f}"
                           for at, v in kept)
        self.out.append(f'<path d="{d}" class="line" stroke="{colour}" '
                        f'stroke-width="1.6" clip-path="url(#c{self.clips})"'
                        f'{DASH if dash else ""}/>')

    def panel(self, name, unit, curves, top=None):
        """curves: (name, colour, dashed, points), first drawn first"""
        curves = [c for c in curves if c[3]]
        values = [v for c in curves for _, v in c[3]]
        top = (top or max(values, default=1)) * 1.08 or 1
        self.text(LEFT, self.y - 8, f"{name}, {unit}", "head")
        self.legend([c[:3] for c in curves], self.y - 8)
        self.columns(HEIGHT)
        for v in ticks(top, 5):
            y = self.y + HEIGHT * (1 - v / top)
            self.rule(f"M{LEFT} {y:.1f}h{PLOT}", "grid")
            self.text(LEFT - 8, y + 4, label(v), "small", "end")
        self.clips += 1
        self.out.append(f'<clipPath id="c{self.clips}"><rect x="{LEFT}" '
                        f'y="{self.y}" width="{PLOT}" height="{HEIGHT}"/>'
                        "</clipPath>")
        for _, colour, dash, points in curves:
            self.curve(points, top, colour, dash)
        self.rule(f"M{LEFT} {self.y}v{HEIGHT}h{PLOT}", "axis")
        self.y += HEIGHT + GAP

    def states(self, samples):
        """a strip that says what the model was doing"""
        names, spans = [], []
        for r in samples:
            s = r.get("state")
            if s is None:
                continue
            if s not in names:
                names.append(s)
            if spans and spans[-1][0] == s:
                spans[-1][2] = r["s"]
            else:
                if spans:
                    spans[-1][2] = r["s"]
                spans.append([s, r["s"], r["s"]])
        if not spans:
            return
        colour = {n: STATES[i % len(STATES)] for i, n in enumerate(names)}
        for n, a, b in spans:
            x = self.x(a)
            self.rect(x, self.y, max(0.5, self.x(b) - x), 10, colour[n])
        self.text(LEFT, self.y - 8, "state", "head")
        self.legend([(n, colour[n], False) for n in names], self.y - 8)
        self.y += 10 + GAP

    def events(self, events):
        rows = [(kind, name, colour, [e["s"] for e in events
                                      if e["ev"] == kind])
                for kind, name, colour in EVENTS]
        rows = [r for r in rows if r[3] or r[0] == "lost"]
        self.text(LEFT, self.y - 8, "events", "head")
        self.columns(ROW * len(rows))
        top = self.y
        for _, name, colour, times in rows:
            self.out.append(f'<path d="{self.marks(times)}" fill="none" '
                            f'stroke="{colour}"/>')
            self.text(LEFT - 8, self.y + 15, f"{name}: {len(times):,}",
                      "small", "end")
            self.y += ROW
        self.rule(f"M{LEFT} {top}V{self.y}h{PLOT}", "axis")

    def marks(self, times):
        """a tick for each pixel's events, the higher the more there are"""
        count = collections.Counter(int(self.x(s)) + 0.5 for s in times)
        most = max(count.values(), default=1)
        room = ROW - 5
        return "".join(
            f"M{x} {self.y + ROW}v{-room * (0.4 + 0.6 * n / most):.1f}"
            for x, n in sorted(count.items()))

    def time(self):
        for s in ticks(self.seconds, 10):
            self.text(self.x(s), self.y + 16, label(s), "small", "middle")
        self.text(LEFT + PLOT / 2, self.y + 34, "seconds", "small", "middle")
        self.y += 44

    def svg(self, title, note):
        return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" '
                f'height="{self.y}" viewBox="0 0 {WIDTH} {self.y}" '
                f'role="img"><title>{escape(title)}</title><style>{STYLE}'
                '</style><rect width="100%" height="100%" fill="#fff"/>'
                f'<text x="{LEFT}" y="24" class="title">{escape(title)}'
                f'</text><text x="{WIDTH - RIGHT}" y="24" class="small" '
                f'text-anchor="end">{escape(note)}</text>\n' +
                "\n".join(self.out) + "\n</svg>\n")


def squeeze(column):
    """what is left of the samples of one column: at most two"""
    if not column:
        return []
    low, high = (f(column, key=lambda p: p[1]) for f in (min, max))
    return [low] if low == high else sorted(
        (low, high), key=column.index)


def draw(samples, events, title, rate=None):
    d = Drawing(max(samples[-1]["s"], 1e-3))
    got = delivery(samples)
    paced = series(samples, "pacing", 8e-6)
    model = series(samples, "rate", 8e-6)
    steady = [v for _, v in (paced or model)]
    top = max([v for _, v in got] + [percentile(steady, 0.97), rate or 0])
    d.states(samples)
    d.panel("rate", "Mbit/s", [
        ("bottleneck", GREY, True, [(0, rate), (d.seconds, rate)]
         if rate else []),
        ("pacing" if not paced else "model", ORANGE, False, model),
        ("pacing", GREEN, False, paced),
        ("delivered", BLUE, False, got)], top)
    window = series(samples, "cwnd", 1 / 1024)
    flight = series(samples, "inflight", 1 / 1024)
    d.panel("window", "KiB", [("window", ORANGE, False, window),
                              ("in flight", BLUE, False, flight)],
            max([percentile([v for _, v in window], 0.99)] +
                [v for _, v in flight]))
    d.panel("round trip", "ms", [
        ("smoothed", BLUE, False, series(samples, "rtt", 1e-3)),
        ("minimum", GREEN, True, series(samples, "min_rtt", 1e-3))])
    d.events(events)
    d.time()
    return d.svg(title, summary(samples))


def summary(samples):
    a, b = samples[0], samples[-1]
    size = b.get("delivered", 0) - a.get("delivered", 0)
    lost = b.get("lost", 0) - a.get("lost", 0)
    seconds = max(b["s"] - a["s"], 1e-6)
    return (f"{size / 1e6:,.1f} MB in {seconds:.1f} s, "
            f"{size * 8e-6 / seconds:,.1f} Mbit/s, "
            f"{lost / max(1, size + lost):.1%} lost")


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    p.add_argument("trace")
    p.add_argument("svg")
    p.add_argument("--title", default="culvert")
    p.add_argument("--rate", type=float, metavar="MBIT",
                   help="what the path can carry, drawn as a line")
    p.add_argument("--peer", help="whose path; else the one that carried most")
    o = p.parse_args()
    samples, events = busy(*read(o.trace, o.peer))
    with open(o.svg, "w", encoding="utf-8") as f:
        f.write(draw(samples, events, o.title, o.rate))


if __name__ == "__main__":
    main()
