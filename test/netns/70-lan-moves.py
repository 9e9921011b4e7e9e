# SPDX-License-Identifier: MIT
"""Interfaces come and go under a stream to a machine without an address, and
several of them are in one LAN."""
import time

from cables import WAYS, Cables, Feed, page_bytes
from lan import Lan, forward, serve, web
from lib import IN, LO, OUT, Flood, Scene, Sink, true, equal, until

ROUNDS = 3  # test/bench/lan.py has 50
RESUMED = 1.0  # seconds after link-up


def moves(s, what, change):
    feed = Feed(a, b)
    try:
        with s.check(f"{what}: goes on within {RESUMED} s"):
            took = feed.moved(ROUNDS, lambda n: change(cables, n))
            s.note("on after " + " ".join(f"{t:.2f} s" for t in took))
            true(max(took) <= RESUMED, f"{max(took):.2f} s after link-up")
    finally:
        with s.check(f"{what}: every byte came"):
            feed.end()


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

    for what, change in WAYS:
        moves(s, what, change)

    with s.check("two interfaces in one LAN: not more than 1.1 times the "
                 "bytes"):
        _, want = web(s, b, 4000000)
        one = page_bytes(lan, a, to_b, want)
        cables.both()
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
