#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""transport.py CULVERT TLOAD WAN [PART...] - TCP over UDP on long bad paths

Every figure that is asked of streams over udp://, one line each: its value,
the yardsticks of the same run, what is wanted, ok or NOT.  Each trial has
fresh namespaces, a fresh path by WAN and fresh programs.  A PART is a name or
the beginning of one: bulk is bulk-b bulk-c bulk-d bulk-e; none is all.  Paths:

  b  20 ms, 200 Mbit/s              c  100 ms, 1 % lost, 100 Mbit/s
  d  200 ms, 5 % lost, 20 Mbit/s    e  30 ms, 2 % lost in bursts, 1 %
                                       reordered, 50 Mbit/s
"""
import argparse
import os
import subprocess
import sys

from hardship import HARDSHIPS
from lab import PATHS, Lab, Missing, carrier, cpu
from probe import Probe, first_byte
from report import Report, median, quiet

KERNELS = ("bbr", "cubic")
COLD = {"b": 188, "c": 88, "d": 15, "e": 46.5}
PAYLOAD = 1434 / 1514  # of a frame of full size
SECONDS = {"b": 25, "c": 110, "d": 130, "e": 35}  # of request and response
TAIL = {"c": 1.7, "d": 2.0}  # p99, round trips


class Bench:
    """parts; each takes a lab, reports figures"""

    def __init__(self, lab, report, options):
        self.lab, self.report, self.o = lab, report, options
        self.add = report.add

    def kinds(self, *yards):
        return [self.o.subject, *(y for y in yards if y != self.o.subject)]

    def seconds(self, s):
        return max(2, s * self.o.scale)

    def split(self, results):
        """the subject's result, and those of the others"""
        results = dict(results)
        return results.pop(self.o.subject), results

    def figure(self, name, unit, values, want=None):
        """values: of every kind, the subject's first"""
        mine, yards = self.split(values)
        self.add(name, mine, unit, want, yards)

    # --- throughput ---

    def pull(self, kind, path, n=1, seed=1, trace=None):
        self.lab.up(path, seed)
        c = carrier(self.lab, kind, trace=trace)
        return self.lab.result(self.lab.load(
            "a", "pull", c.to(), "-t", self.seconds(13), "-n", n))

    def pulls(self, path, n=1):
        """by kind, the median of all trials, which differ in their seed"""
        got = {}
        for kind in self.kinds(*KERNELS):
            tries = [self.pull(kind, path, n, seed, self.trace(kind, n, seed))
                     for seed in range(1, self.o.trials + 1)]
            got[kind] = sorted(tries, key=lambda t: t["mbit"])[
                len(tries) // 2]
        return got

    def trace(self, kind, n, seed):
        if self.o.plots and kind == "culvert" and n == 1 and seed == 1:
            return self.lab.file("trace.jsonl")
        return None

    def bulk(self, path):
        got = self.pulls(path)
        p = PATHS[path]
        room = p.rate * (1 - p.lost)
        self.figure("cold", "Mbit/s", {k: t["mbit"] for k, t in got.items()},
                    (">=", COLD[path]))
        self.figure("warm", "Mbit/s", {k: t["late_mbit"]
                                       for k, t in got.items()},
                    (">=", 0.95 * room * PAYLOAD))
        if self.o.plots:
            self.plot(path)

    def plot(self, path):
        trace = self.lab.file("trace.jsonl")
        if not os.path.exists(trace):
            return
        os.makedirs(self.o.plots, exist_ok=True)
        tool = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                            "..", "..", "tools", "trace_plot.py")
        p = PATHS[path]
        title = (f"{path}: {p.rtt:.0f} ms, {p.rate} Mbit/s" +
                 (f", {p.lost:.0%} lost" if p.lost else ""))
        subprocess.run([sys.executable, tool, trace,
                        os.path.join(self.o.plots, f"bulk-{path}.svg"),
                        "--title", title, "--rate", str(p.rate)], check=True)
        os.unlink(trace)

    def streams(self, path):
        got = self.pulls(path, 50)
        self.figure("total", "Mbit/s", {k: t["mbit"] for k, t in got.items()},
                    (">=", COLD[path]))
        self.figure("least", "of share",
                    {k: t["least"] * 50 / t["bytes"] if t["bytes"] else 0
                     for k, t in got.items()}, (">=", 1 / 3))
        if t := [k for k, t in got.items() if t["bad"]]:
            self.report.note(f"wrong bytes: {t}")

    def wire(self, path):
        size = {"b": 100e6, "c": 60e6, "d": 20e6, "e": 40e6}[path]
        got = {}
        for kind in self.kinds("bbr"):
            self.lab.up(path)
            c = carrier(self.lab, kind)
            before = [self.lab.counters(s)[1] for s in "ab"]
            t = self.lab.result(self.lab.load(
                "a", "pull", c.to(), "-b", int(size * self.o.scale)))
            after = [self.lab.counters(s)[1] for s in "ab"]
            got[kind] = (sum(after) - sum(before)) / t["bytes"]
        self.figure("bytes per byte", "", got,
                    ("<=", 1.15 if path == "d" else 1.08))

    # --- manners ---

    def fair(self, cc, want):
        """share of a kernel's flow beside the subject, and beside BBR"""
        got, rates = {}, {}
        for kind in self.kinds("bbr"):
            self.lab.up("fair")
            mine = carrier(self.lab, kind)
            other = ("10.77.0.2", 5400)
            self.lab.sink(5400, cc)
            loads = [self.lab.load("a", "pull", to, "-t", self.seconds(30))
                     for to in (mine.to(), other)]
            rate = [self.lab.result(p)["mbit"] for p in loads]
            got[kind] = rate[1] / max(sum(rate), 1e-9)
            rates[kind] = rate[0]
        self.figure(f"share of {cc} beside it", "", got, (">=", want))
        self.figure("own rate", "Mbit/s", rates)

    def queue(self):
        got, middle = {}, {}
        for kind in self.kinds(*KERNELS):
            self.lab.up("b")
            c = carrier(self.lab, kind)
            probe = Probe()
            base = median(probe.ask(1.0))
            load = self.lab.load("a", "pull", c.to(), "-t", self.seconds(13))
            probe.ask(self.seconds(13) / 3)  # until it is warm
            times = sorted(probe.ask(self.seconds(13) / 2))
            self.lab.result(load)
            probe.close()
            got[kind] = (times[len(times) * 95 // 100] - base) * 1e3
            middle[kind] = (times[len(times) // 2] - base) * 1e3
        self.figure("delay p95", "ms", got, ("<=", 15))
        self.figure("delay p50", "ms", middle)

    def codel(self):
        """a queue that drops early (RFC 8289): what ECN would spare"""
        rate, lost = {}, {}
        for kind in self.kinds(*KERNELS):
            self.lab.up("codel")
            c = carrier(self.lab, kind)
            rate[kind] = self.lab.result(self.lab.load(
                "a", "pull", c.to(), "-t", self.seconds(13)))["mbit"]
            path = self.lab.passed()
            lost[kind] = 100 * path["early"] / path["rx"]
        self.figure("rate", "Mbit/s", rate)
        self.figure("dropped early", "%", lost)

    # --- latency ---

    def rr(self, path):
        """alone: all kinds at once, for they hardly disturb each other"""
        rtt = self.lab.up(path).rtt
        loads = {k: self.lab.load("a", "rr", carrier(self.lab, k).to(), "-t",
                                  self.seconds(SECONDS[path]))
                 for k in self.kinds("bbr")}
        self.latency({k: self.lab.result(p) for k, p in loads.items()},
                     ("<=", rtt + 0.5),
                     ("<=", rtt * TAIL[path]) if path in TAIL else None)

    def latency(self, got, p50, p99):
        self.figure("p50", "ms", {k: t["p50"] for k, t in got.items()}, p50)
        self.figure("p99", "ms", {k: t["p99"] for k, t in got.items()}, p99)
        for k, t in got.items():
            if t["unanswered"]:
                self.report.note(f"{k}: {t['unanswered']:.0f} unanswered")
        self.report.note(f"{self.report.part}: " + ", ".join(
            f"{k} {t['n']:.0f} samples" for k, t in got.items()))

    def rr_bulk(self):
        got = {}
        for kind in self.kinds(*KERNELS):
            rtt = self.lab.up("b").rtt
            c = carrier(self.lab, kind)
            s = self.seconds(20)
            bulk = self.lab.load("a", "pull", c.to(), "-t", s + 4)
            self.lab.load("a", "rr", c.to(), "-t", 3).communicate()
            got[kind] = self.lab.result(self.lab.load("a", "rr", c.to(), "-t",
                                                      s))
            self.lab.result(bulk)
        self.latency(got, None, ("<=", rtt + 15))

    def firstbyte(self):
        """1 ms is the machine's: one round trip alone takes one"""
        rtt = self.lab.up("far").rtt
        cold, warm = [], []
        for _ in range(3 if self.o.scale < 1 else 7):
            rtt = self.lab.up("far").rtt
            c = carrier(self.lab, self.o.subject, wait=False)
            if self.o.subject == "culvert":
                c.dial()
            cold.append(first_byte(c.to()))
            warm += [first_byte(c.to()) for _ in range(3)]
        k = carrier(self.lab, "bbr") if self.o.subject != "bbr" else c
        yard = {"bbr": median([first_byte(k.to()) for _ in range(5)]) / rtt}
        self.add("cold", median(cold) / rtt, "RTT", ("<=", 2 + 1 / rtt), yard)
        self.add("warm", median(warm) / rtt, "RTT", ("<=", 1 + 1 / rtt), yard)

    # --- no path but the machine ---

    def veth(self):
        """rounds in turn, for the machine's mood changes"""
        rounds = {k: [] for k in self.kinds("ssh", "bbr")}
        for _ in range(self.o.trials if self.o.trials > 1 else 3):
            for kind in list(rounds):
                try:
                    rounds[kind].append(self.bare(kind))
                except Missing as e:
                    self.report.note(f"{kind}: {e}")
                    del rounds[kind]
        got = {k: {f: median([r[f] for r in v]) for f in v[0]}
               for k, v in rounds.items()}
        self.figure("one stream", "Gbit/s", {k: t["gbit"]
                                             for k, t in got.items()},
                    (">=", 6))
        mine, yards = self.split(got)
        self.add("ratio to ssh -L", mine["gbit"] / yards["ssh"]["gbit"]
                 if "ssh" in yards else None, "", (">=", 1.4))
        for i, end in enumerate(("server", "client")):
            self.figure(f"CPU of {end}", "s/GB",
                        {k: t[end] for k, t in got.items() if end in t},
                        ("<=", 1.2)) if end in mine else None
        self.figure("rr p50", "ms", {k: t["rr"] for k, t in got.items()},
                    ("<=", 0.15))
        self.figure("rr p99", "ms", {k: t["p99"] for k, t in got.items()})

    def bare(self, kind):
        self.lab.up("bare")
        c = carrier(self.lab, kind)
        rr = self.lab.result(self.lab.load("a", "rr", c.to(), "-t",
                                           self.seconds(4)))
        ends = [family(p) for p in c.pids]
        before = [sum(map(cpu, e)) for e in ends]
        t = self.lab.result(self.lab.load("a", "pull", c.to(), "-t",
                                          self.seconds(6)))
        # ssh forks for each connection; those are there from the first on
        used = [sum(map(cpu, e)) - b for e, b in zip(ends, before)]
        got = dict(gbit=t["mbit"] / 1e3, rr=rr["p50"], p99=rr["p99"])
        got.update({end: u / (t["bytes"] / 1e9)
                    for end, u in zip(("server", "client"), used)})
        return got

    def sum50(self):
        """tload compares every byte with the pattern"""
        for op in ("pull", "push"):
            self.lab.up("bare")
            c = carrier(self.lab, self.o.subject)
            size = -(-(1 << 30) // 50)
            t = self.lab.result(self.lab.load("a", op, c.to(), "-n", 50, "-b",
                                              size))
            self.add(f"{op} right bytes", t["bytes"] if not t["code"] else 0,
                     "bytes", (">=", 1 << 30))
            self.add(f"{op} rate", t["mbit"] / 1e3, "Gbit/s")


def family(pid):
    """a process and its children"""
    every = [pid]
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        for child in f.read().split():
            every += family(int(child))
    return every


def parts():
    """by name, what takes a bench"""
    every = {}
    for x in "bcde":
        every[f"bulk-{x}"] = lambda b, x=x: b.bulk(x)
    for x in "cde":
        every[f"streams50-{x}"] = lambda b, x=x: b.streams(x)
    for x in "bcd":
        every[f"wire-{x}"] = lambda b, x=x: b.wire(x)
    every["fair-bbr"] = lambda b: b.fair("bbr", 0.35)
    every["fair-cubic"] = lambda b: b.fair("cubic", 0.25)
    every["queue"] = Bench.queue
    every["codel"] = Bench.codel
    for x in "bcde":
        every[f"rr-{x}"] = lambda b, x=x: b.rr(x)
    every["rr-bulk-b"] = Bench.rr_bulk
    every["firstbyte"] = Bench.firstbyte
    every["veth"] = Bench.veth
    every["sum50"] = Bench.sum50
    return {**every, **HARDSHIPS}


def arguments():
    p = argparse.ArgumentParser(
        description=__doc__.split("\n\n", 1)[1], epilog="Parts: " +
        " ".join(parts()), formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("culvert")
    p.add_argument("tload")
    p.add_argument("wan")
    p.add_argument("part", nargs="*")
    p.add_argument("--json", metavar="FILE", help="all figures, in the end")
    p.add_argument("--plots", metavar="DIR",
                   help="of the bulk transfers, bulk-b.svg and so on")
    p.add_argument("--trials", type=int, default=1, metavar="N",
                   help="seeds of the path; medians are reported")
    p.add_argument("--scale", type=float, default=1, metavar="X",
                   help="of all durations; below 1 to see that it works")
    p.add_argument("--via", default="udp", choices=("udp", "tcp"))
    p.add_argument("--cc", help="of culvert's links")
    p.add_argument("--subject", default="culvert",
                   choices=("culvert", "ssh", *KERNELS),
                   help="what is measured in culvert's place")
    return p.parse_intermixed_args()


def chosen(names):
    every = parts()
    for n in names:
        if not [k for k in every if k == n or k.startswith(n + "-")]:
            sys.exit(f"no part {n}; there are {' '.join(every)}")
    return {k: f for k, f in every.items() if not names or any(
        k == n or k.startswith(n + "-") for n in names)}


def main():
    o = arguments()
    todo = chosen(o.part)
    if os.geteuid():
        sys.exit("namespaces need root")
    tools = [os.path.abspath(x) for x in (o.culvert, o.tload, o.wan)]
    report = Report(o.json and os.path.abspath(o.json))
    o.plots = o.plots and os.path.abspath(o.plots)
    try:
        os.nice(-10)  # what others do with nice hurts less
    except PermissionError:
        report.note("no right to a better priority")
    try:
        with Lab(*tools, o) as lab:
            for report.part, part in todo.items():
                lab.down()
                quiet(report)
                try:
                    part(Bench(lab, report, o))
                except Exception as e:  # one part fails, the others run
                    report.failed(f"{type(e).__name__}: {e}")
                    for line in lab.said():
                        report.note(line)
    except KeyboardInterrupt:
        report.note("interrupted")
        return 130
    finally:
        report.end()
    return bool(report.missed())


if __name__ == "__main__":
    sys.exit(main())
