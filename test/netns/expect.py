# SPDX-License-Identifier: MIT
"""expect.py - what a check says of what it finds, and waiting for things"""
import socket
import subprocess
import time


class Failed(Exception):
    """what a check found wrong"""


def equal(got, want, what=""):
    if isinstance(want, list) and isinstance(got, list) and got != want:
        n = [x == y for x, y in zip(got, want)]
        n = n.index(False) if False in n else len(n)
        raise Failed(f"{what + ': ' if what else ''}{len(got)} of "
                     f"{len(want)} came; number {n}: got {short(got[n:n + 1])}"
                     f", want {short(want[n:n + 1])}")
    if got != want:
        raise Failed(f"{what + ': ' if what else ''}got {short(got)}, "
                     f"want {short(want)}")


def true(value, what):
    if not value:
        raise Failed(what)


def short(value):
    text = repr(value)
    return text if len(text) < 300 else f"{text[:300]}... ({len(text)})"


def until(condition, what, seconds=5.0, step=0.01):
    """poll; the first true value of condition()"""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failed(f"not within {seconds} s: {what}")
        time.sleep(step)


def sh(*command, check=True, **kw):
    r = subprocess.run([str(c) for c in command], capture_output=True,
                       text=True, check=False, timeout=20, **kw)
    if check and r.returncode:
        raise Failed(f"{' '.join(map(str, command))}: {r.stderr.strip()}")
    return r


def url(scheme, addr, port):
    return f"{scheme}://[{addr}]:{port}" if ":" in addr else \
        f"{scheme}://{addr}:{port}"


def family(addr):
    return socket.AF_INET6 if ":" in addr else socket.AF_INET
