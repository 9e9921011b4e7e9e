#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""culvert top: in a terminal of any size, which it gives back, and as lines"""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

from lib import (CULVERT, IN, LINK, LO, OUT, Echo, Pinger, Scene, equal, sh,
                 true, until, url)

TAKE, GIVE = "\x1b[?1049h\x1b[?7l\x1b[?25l", "\x1b[?25h\x1b[?7h\x1b[?1049l"
RATE = 200  # datagrams a second, about


class Terminal:
    """one with a program in it"""

    def __init__(self, scene, *args, lines=24, columns=100, env=()):
        self.fd, self.tty = pty.openpty()
        self.size(lines, columns)
        self.before = termios.tcgetattr(self.tty)
        self.text = ""
        self.popen = subprocess.Popen(
            [CULVERT, "top", *args], stdin=self.tty, stdout=self.tty,
            stderr=self.tty, start_new_session=True,
            env={**os.environ, "NO_COLOR": "", **dict(env)},
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        scene.terminals.append(self)

    def size(self, lines, columns):
        fcntl.ioctl(self.tty, termios.TIOCSWINSZ,
                    struct.pack("HHHH", lines, columns, 0, 0))

    def read(self):
        while select.select([self.fd], [], [], 0)[0]:
            self.text += os.read(self.fd, 1 << 16).decode()
        return self.text

    def pictures(self):
        """complete ones, as lists of lines without styles"""
        every = re.findall(r"\x1b\[H(.*?)\x1b\[J", self.read(), re.DOTALL)
        return [re.split(r"\r+\n", re.sub(r"\x1b\[\d*[mK]", "", p))
                for p in every]

    def shows(self, condition, what, seconds=5, seen=None):
        """the first picture from now, or number @seen, on of which it is true"""
        seen = len(self.pictures()) if seen is None else seen
        return until(lambda: next((p for p in self.pictures()[seen:]
                                   if condition(p)), None), what, seconds)

    def key(self, keys):
        os.write(self.fd, keys)

    def ended(self):
        """its exit code; the terminal is as it was"""
        until(lambda: self.popen.poll() is not None, "it ends", 3)
        true(self.read().endswith(GIVE), repr(self.text[-80:]))
        equal(termios.tcgetattr(self.tty), self.before, "terminal's settings")
        return self.popen.returncode

    def close(self):
        self.popen.kill()
        self.popen.wait()
        os.close(self.fd)
        os.close(self.tty)


def row(picture, name):
    return next(p.split() for p in picture if p.strip().startswith(name))


def number(text):
    factor = {"-": 0, "k": 1e3, "M": 1e6}.get(text[-1], 1)
    return float(text.rstrip("kM").replace("-", "0")) * factor


with Scene("74", __doc__) as s:
    s.terminals = []
    a, b = s.pair()
    Echo(b)
    link = url("tcp", b.v4, LINK)
    server = s.serve(b, link, peers=("c", "shut"))
    client = s.forward(a, url("udp", LO, IN), url("udp", LO, OUT), link).up()
    busy = Pinger(a, (LO, IN), rate=RATE)
    until(lambda: busy.answers, "answers")

    t = Terminal(s)
    with s.check("node and peer, with what they carry a second"):
        p = t.shows(lambda p: "-" not in row(p, client.name)[4:], "rates")
        true(p[0].split()[:3] == ["node,", "its", "peers"], p[0])
        for name in (client.name, "server"):
            r = row(p[p.index(next(x for x in p if client.name in x)):], name)
            equal(r[1], "up")
            for got, want in zip(map(number, r[4:8]),
                                 (RATE, RATE * 70, RATE, RATE * 70)):
                true(want / 2 < got < want * 1.5, f"{want}: {r}")
        true(server.name in "".join(p), "all nodes are there")

    with s.check("every second"):
        p = [len(t.pictures()), time.monotonic()]
        until(lambda: len(t.pictures()) >= p[0] + 3, "three more")
        took = time.monotonic() - p[1]
        true(2 < took < 3.6, f"{took:.1f} s")

    one = Terminal(s, server.name)
    for lines, columns in ((24, 40), (3, 100), (2, 10), (1, 1), (50, 200)):
        with s.check(f"a window of {lines} lines and {columns} columns is "
                     "respected at once"):
            seen, began = len(one.pictures()), time.monotonic()
            one.size(lines, columns)
            p = one.shows(lambda p: len(p) == min(lines, 4) and
                        max(map(len, p)) <= columns, "another picture",
                        seen=seen)
            true(time.monotonic() - began < 0.9, "not with the next second")
            if lines == 3:
                true(p[2].startswith("and 2 more"), p[2])

    one.key(b"q")

    with s.check("a drop has its name"):
        shut = s.forward(a, url("udp", LO, 1235), url("udp", LO, 7999),
                         link, key="shut", name="shut")
        u = a.udp()

        def dropped():
            u.send(b"nobody there", (LO, 1235))
            return any("unreachable:" in x for p in t.pictures()[-2:]
                       for x in p)
        until(dropped, "unreachable", step=0.05)
        shut.kill()

    with s.check("a node that ends is gone, one that comes back is there"):
        t.shows(lambda p: "shut" not in "".join(p), "it is gone")
        one = Terminal(s, client.name)
        one.shows(lambda p: client.name in p[1], "it is there")
        client.signal(signal.SIGTERM)
        equal(client.exit_code(), 0)
        one.shows(lambda p: p[1] == f"waiting for a node called {client.name}",
                  "it is waited for")
        client = s.forward(a, url("udp", LO, IN), url("udp", LO, OUT),
                           link).up()
        one.shows(lambda p: len(p) == 3 and number(row(p, "server")[4]) > 9,
                  "it carries again")

    with s.check("Ctrl-Z gives the terminal back, fg takes it again"):
        t.key(b"\x1a")
        until(lambda: os.waitid(os.P_PID, t.popen.pid, os.WSTOPPED |
                                os.WNOHANG | os.WNOWAIT), "it is stopped")
        true(t.read().endswith(GIVE), repr(t.text[-80:]))
        equal(termios.tcgetattr(t.tty), t.before)
        t.popen.send_signal(signal.SIGCONT)
        t.shows(lambda p: client.name in "".join(p), "a picture")
        true(TAKE in t.text[t.text.rindex(GIVE):], "it was taken")

    with s.check("another key does not end it, q does"):
        t.key(b"x")
        t.shows(lambda p: True, "a picture")
        t.key(b"q")
        equal(t.ended(), 0)

    with s.check("Ctrl-C ends it"):
        one.key(b"\x03")
        equal(one.ended(), 0)

    for number_of in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        with s.check(f"{number_of.name} ends it, and it gives the terminal "
                     "back"):
            t = Terminal(s)
            t.shows(lambda p: True, "a picture")
            t.popen.send_signal(number_of)
            equal(t.ended(), 0)

    with s.check("styles, but not with NO_COLOR"):
        for value, styled in (("", True), ("1", False)):
            t = Terminal(s, env=[("NO_COLOR", value)])
            t.shows(lambda p: True, "a picture")
            equal(bool(re.search(r"\x1b\[\d+m", t.text)), styled)
            t.key(b"q")
            equal(t.ended(), 0)

    with s.check("-n ends it after as many pictures"):
        t = Terminal(s, "-n", "3", "-d", "0.2")
        equal(t.ended(), 0)
        equal(len(t.pictures()), 3)

    with s.check("a terminal that goes away ends it"):
        t = Terminal(s)
        t.shows(lambda p: True, "a picture")
        os.close(t.fd)
        t.fd = os.open(os.devnull, os.O_RDONLY)
        until(lambda: t.popen.poll() is not None, "it ends")

    # --- no terminal ---

    with s.check("elsewhere it is a line for each node and peer, every -d "
                 "seconds"):
        began = time.monotonic()
        out = sh(CULVERT, "top", "-n", 3, "-d", 0.3, client.name).stdout
        true(0.8 < time.monotonic() - began < 2, "in time")
        lines = out.splitlines()
        equal(len(lines), 6, out)
        for n, line in enumerate(lines):
            r = dict(x.split("=") for x in line.split())
            equal(r["node"], client.name)
            equal(r.get("peer"), "server" if n % 2 else None)
            for key in ("sent_datagrams", "received_datagrams"):
                true(RATE / 2 < float(r[key]) < RATE * 1.5, line)
            equal(r["state"], "up")
        true("\x1b" not in out, "no styles")

    with s.check("who stops reading its lines ends it: exit code 1"):
        p = subprocess.Popen([CULVERT, "top", "-d", "0.1"],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        p.stdout.readline()
        p.stdout.close()
        equal(p.wait(5), 1)
        true(b"Broken pipe" in p.stderr.read(), "it is said why")

    for args, code in ((("cvt74nobody",), 3), (("-n", "0"), 2), (("-n",), 2),
                       (("-d", "fast"), 2), (("-x",), 2), (("a", "b"), 2)):
        with s.check(f"top {' '.join(args)}: one line, exit code {code}"):
            r = sh(CULVERT, "top", *args, check=False)
            equal((r.returncode, r.stdout, r.stderr.count("\n")),
                  (code, "", 1), r.stderr)

    busy.close()
    for t in s.terminals:
        t.close()
