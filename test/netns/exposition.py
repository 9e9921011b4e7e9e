# SPDX-License-Identifier: MIT
"""exposition.py - a strict reader of Prometheus' text format 0.0.4, and of HTTP

What the format leaves open is decided for the worse: every name has its HELP
and TYPE, in this order and before its samples, which stand together.
"""
import re
import subprocess

from expect import Failed, equal, true

NAME = r"culvert_[a-z][a-z_]*[a-z]"
LABEL = r'[a-z]+="(?:[^"\\\n]|\\["\\n])*"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}}) "
                    r"(\d+|\d+\.\d{6})")
UNITS = re.compile(r"_(ms|us|minutes|kb|mb|kib|mib|bits|percent)(_|$)")


def read(text):
    """{(name, (label, ...)): value}"""
    true(text.endswith("\n") and "\r" not in text, "lines end in a line feed")
    known, samples, now, kind = set(), {}, None, None
    for n, line in enumerate(text[:-1].split("\n"), 1):
        words = line.split(" ", 3)
        if words[:2] == ["#", "HELP"]:
            now, kind = words[2], None
            true(re.fullmatch(NAME, now), f"line {n}: {line}")
            true(words[3] and now not in known, f"line {n}: again {now}")
            known.add(now)
        elif words[:2] == ["#", "TYPE"]:
            equal((words[2], kind), (now, None), f"line {n}")
            kind = words[3]
            true(kind in ("counter", "gauge"), line)
            equal(now.endswith("_total"), kind == "counter", line)
            true(not UNITS.search(now), f"{now} is no base unit")
        else:
            m = SAMPLE.fullmatch(line)
            true(m and m[1] == now and kind, f"line {n}: {line!r}")
            labels = tuple(sorted(re.findall(LABEL, m[2])))
            true(labels and (now, labels) not in samples,
                 f"line {n}: again {line}")
            equal(len({part.split("=")[0] for part in labels}), len(labels),
                  "each label once")
            samples[now, labels] = float(m[3])
    true(samples, "there are samples")
    return samples


def get(samples, name, **labels):
    want = tuple(sorted(f'{k}="{v}"' for k, v in labels.items()))
    return samples.get(("culvert_" + name, want))


PARSER = """
import sys
from prometheus_client.{} import text_string_to_metric_families as families
for f in families(sys.stdin.read()):
    for s in f.samples:
        print(s.name, sorted(s.labels.items()), s.value)
"""


def read_by_other(text, module):
    """the same by Prometheus' own Python client; in samples' order"""
    r = subprocess.run(["/usr/bin/python3", "-c", PARSER.format(module)],
                       input=text, capture_output=True, text=True, timeout=20,
                       check=False)
    if r.returncode or r.stderr:
        raise Failed(r.stderr)
    return r.stdout.splitlines()


class Reply:
    """of an HTTP server that hangs up, checked for its framing"""

    def __init__(self, sock, request):
        if request:
            sock.sendall(request)
        data = b""
        while piece := sock.recv(1 << 16):
            data += piece
        head, _, self.body = data.partition(b"\r\n\r\n")
        self.status, *lines = head.decode().split("\r\n")
        self.head = dict(line.split(": ", 1) for line in lines)
        equal(self.head["Connection"], "close")
        self.length = int(self.head["Content-Length"])
        if not (request or b"").startswith(b"HEAD"):
            equal(len(self.body), self.length, "Content-Length")
        self.text = self.body.decode()


def get_request(path="/metrics", method="GET", more=""):
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\n{more}\r\n".encode()
