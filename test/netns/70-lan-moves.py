# SPDX-License-Identifier: MIT
"""Interfaces come and go under a stream to a machine without an address, and
several of them are in one LAN."""
import time

from lib import IN, LO, LONG, OUT, Flood, Scene, Sink, equal, true, until
from lan import Feed, Get, Lan, forward, serve, web

ROUNDS = 50 if LONG else 3
RESUMED = 1.0  # seconds after link-up


class Cables:
    """the workstation's two interfaces; one has a cable at a time"""

    def __init__(self, lan, host):
        self.lan, self.host, self.now = lan, host, 0
        self.port = [lan.plug(host, f"eth{i}", f"10.{i}.1.1/24")
                     for i in range(2)]
        lan.unplug(self.port[1])

    def change(self, remove, dark=0.3):
        """unplug one, and after @dark seconds plug the other: when that was"""
        old, new = self.now, 1 - self.now
        if remove:
            self.lan.remove(self.host, f"eth{old}")
        else:
            self.lan.unplug(self.port[old])
        time.sleep(dark)
        self.lan.replug(self.port[new])
        up = time.monotonic()
        if remove:  # a new one in its place, without a cable
            self.port[old] = self.lan.plug(self.host, f"eth{old}")
            self.lan.unplug(self.port[old])
        self.now = new
        return up

    def again(self, dark):
        self.lan.unplug(self.port[self.now])
        time.sleep(dark)
        self.lan.replug(self.port[self.now])
        return time.monotonic()


def resumes(s, feed, rounds, change):
    """the longest time from link-up to the next bytes"""
    times = []
    for n in range(rounds):
        feed.after(time.monotonic())
        times.append(feed.after(change(n)))
        time.sleep(0.4)
    s.note(f"{rounds} times: on after {sorted(times)[len(times) // 2]:.2f} s, "
           f"at most {max(times):.2f} s")
    true(max(times) <= RESUMED, f"{max(times):.2f} s after link-up: " +
         " ".join(f"{t:.2f}" for t in times))


def moves(s, a, cables, what, change):
    feed = Feed(a, b)
    try:
        with s.check(f"{what}: goes on within {RESUMED} s"):
            resumes(s, feed, ROUNDS, change)
    finally:
        with s.check(f"{what}: every byte came"):
            feed.end()


def page_bytes(lan, a, port, want):
    """what the bridge carried to and from the server for one page"""
    before = lan.heard(port) + lan.sent(port)
    equal(Get(a).end()[0], want, "checksum")
    time.sleep(0.1)
    return lan.heard(port) + lan.sent(port) - before


with Scene("lanv", __doc__) as s:
    lan = Lan(s)
    a, b = s.host("a"), s.host("b")
    for h in (a, b):  # as machines have it: 1 to 1.4 s until IPv6 is usable
        h.sysctl("net.ipv6.conf.default.accept_dad", 1)
    to_b = lan.plug(b)
    cables = Cables(lan, a)
    server, client = serve(b, "lan://67@", "--allow", "udp://127.0.0.1:*"), \
        forward(a)
    client.up()

    moves(s, a, cables, "one cable out, another in",
          lambda n: cables.change(False))
    moves(s, a, cables, "one interface gone, another in",
          lambda n: cables.change(True))
    moves(s, a, cables, "the cable out and in again",
          lambda n: cables.again((0.2, 1.5, 3.0)[n % 3]))

    with s.check("two interfaces in one LAN: not more than 1.1 times the "
                 "bytes"):
        _, want = web(s, b, 4000000)
        one = page_bytes(lan, a, to_b, want)
        lan.replug(cables.port[1 - cables.now])
        time.sleep(2)
        two = page_bytes(lan, a, to_b, want)
        s.note(f"{one} and {two} bytes for 4 MB, {two / one:.3f} times")
        true(two <= 1.1 * one and two <= 1.1 * 4000000, "more bytes")

    with s.check("two interfaces in one LAN: nothing is delivered twice"):
        client.kill()
        client = forward(a, frm=f"udp://{LO}:{IN}", to=f"udp://{LO}:{OUT}").up()
        sink = Sink(b.udp(LO, OUT))
        flood = Flood(a.udp(), (LO, IN), 3000, 200)
        time.sleep(1)
        flood.close()
        until(lambda: len(sink.got) >= 0.99 * flood.sent, "they come")
        time.sleep(0.2)
        numbers = [n for n, _ in sink.got]
        s.note(f"{len(numbers)} of {flood.sent} came")
        equal(len(set(numbers)), len(numbers), "different ones")
