# SPDX-License-Identifier: MIT
"""report.py - figures, what is wanted of them, and how the machine felt"""
import json
import os
import time


def median(values):
    return sorted(values)[len(values) // 2]


def number(x):
    if isinstance(x, str):
        return x
    if x is None:
        return "-"
    return f"{x:,.0f}" if abs(x) >= 1000 else f"{x:.4g}"


class Report:
    """one line for each figure, and all of them as JSON in the end"""

    def __init__(self, path=None):
        self.path, self.figures, self.part = path, [], ""

    def add(self, name, value, unit, want=None, yard=None):
        """want: (">=" or "<=", limit) or nothing; yard: {name: value}"""
        ok = None if not want else value is not None and (
            value >= want[1] if want[0] == ">=" else value <= want[1])
        self.figures.append(dict(
            part=self.part, name=name, value=value, unit=unit, ok=ok,
            wanted=want, yardsticks=yard or {}))
        beside = "  ".join(f"{k} {number(v)}" for k, v in (yard or {}).items())
        wanted = f"{want[0]} {number(want[1])}" if want else ""
        print(f"{self.part + ' ' + name:<34} {number(value):>9} {unit:<10} "
              f"{beside:<34} {wanted:<10} "
              f"{'' if ok is None else 'ok' if ok else 'NOT'}", flush=True)

    def failed(self, error):
        """a part that could not be measured is a figure that is missed"""
        self.figures.append(dict(part=self.part, name="part", value=None,
                                 ok=False, error=str(error)))
        print(f"{self.part:<34} NOT: {error}", flush=True)

    def note(self, text):
        print(f"# {text}", flush=True)

    def missed(self):
        return [f for f in self.figures if f["ok"] is False]

    def end(self):
        if self.path:
            with open(self.path, "w") as f:
                json.dump(dict(load=os.getloadavg(), figures=self.figures), f,
                          indent=1)
                f.write("\n")
        judged = [f for f in self.figures if f["ok"] is not None]
        if judged:
            print(f"# {len(judged) - len(self.missed())} of {len(judged)} ok")


def ticks():
    """of all cores: of programs, of programs with nice, and in all"""
    with open("/proc/stat") as f:
        t = [int(x) for x in f.readline().split()[1:9]]
    return sum(t) - t[1] - t[3] - t[4], t[1], sum(t)


def quiet(report):
    """say so if others use the machine before a part of ours begins"""
    before = ticks()
    time.sleep(0.4)
    busy, niced, every = (b - a for a, b in zip(before, ticks()))
    if (busy + niced) * 100 > 10 * every:
        report.note(f"{report.part}: others use {busy / every:.0%} of the "
                    f"machine and with nice {niced / every:.0%}, load "
                    f"{os.getloadavg()[0]:.2f}: figures will be too low")
