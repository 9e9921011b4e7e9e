#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The network goes away, comes back, gives other addresses

In the long tier (CULVERT_LONG=1) it goes away for longer than a peer may be
silent.
"""
import time

from lib import (IN, LINK, LO, LONG, OUT, Echo, Pinger, Scene, equal, true,
                 until, url)

USER_TIMEOUT = 15  # s: TCP's patience with what is not acknowledged


def pass_time(seconds):
    end = time.monotonic() + seconds
    until(lambda: time.monotonic() > end, "time passes", seconds + 5, 0.05)


class Site:
    """two hosts of their own, a tunnel, and traffic in it"""

    def __init__(self, names, net):
        self.a, self.b = s.pair(names, net)
        tag = names[0]
        self.server = s.serve(self.b, url("tcp", self.b.v4, LINK),
                              name="server" + tag)
        self.client = s.forward(self.a, url("udp", LO, IN),
                                url("udp", LO, OUT),
                                url("tcp", self.b.v4, LINK),
                                name="client" + tag).up()
        self.echo = Echo(self.b)
        self.ping = Pinger(self.a, (LO, IN), rate=50)
        until(lambda: self.ping.answers, "traffic flows")

    def ports(self):
        return len({src for src, _ in self.echo.seen})


with Scene("50", __doc__.splitlines()[0]) as s:
    cut, moved, renumbered = Site("ab", 50), Site("cd", 51), Site("ef", 52)

    # the old address is gone, a router's rebinding: nothing says so to TCP
    moved.a.ip("addr del 10.51.0.1/24 dev eth0")
    moved.a.address("10.51.0.9/24")
    moved_at = time.monotonic()

    with s.check("the link is down for 3 s: flows go on, on the same "
                 "connection"):
        cut.b.ip("link set eth0 down")
        pass_time(3)
        cut.b.ip("link set eth0 up")
        took = cut.ping.after(time.monotonic())
        s.note(f"flowing {took:.3f} s after the link was up")
        equal(cut.client.log().count("peer up"), 1, "connections")
        equal(cut.ports(), 1, "source ports at the target")

    with s.check("packets are lost for 2 s, both ways: flows go on"):
        cut.a.nft("add table inet t; add chain inet t c { type filter hook "
                  "input priority 0; }; add rule inet t c iif eth0 drop")
        pass_time(2)
        cut.a.nft("flush chain inet t c")
        s.note(f"flowing {cut.ping.after(time.monotonic()):.3f} s after")
        equal(cut.ports(), 1, "source ports at the target")

    with s.check("the client's address changes and its system resets the "
                 "connection: the session goes on, source port kept"):
        h = renumbered.a
        h.ip("addr del 10.52.0.1/24 dev eth0")
        h.address("10.52.0.9/24")
        h.run("ss", "-K", "dport", "=", str(LINK))
        took = renumbered.ping.after(time.monotonic())
        s.note(f"flowing after {took:.3f} s")
        equal(renumbered.server.peer()["link"].split(":")[1], "//10.52.0.9")
        equal(renumbered.ports(), 1, "source ports at the target")

    with s.check("the client's address changes and nobody tells: the session "
                 f"goes on within {USER_TIMEOUT} s and some, port kept"):
        moved.ping.after(moved_at, USER_TIMEOUT + 5)
        s.note(f"flowing after {time.monotonic() - moved_at:.1f} s")
        equal(moved.server.peer()["link"].split(":")[1], "//10.51.0.9")
        equal(moved.ports(), 1, "source ports at the target")

    if LONG:
        with s.check("all packets are lost for 35 s: the peer is given up, "
                     "found again, source port kept"):
            cut.a.nft("add rule inet t c iif eth0 drop")
            pass_time(35)
            true(cut.client.peer()["state"] != "up", "given up")
            cut.a.nft("flush chain inet t c")
            s.note(f"flowing {cut.ping.after(time.monotonic(), 12):.3f} s "
                   "after")
            equal(cut.ports(), 1, "source ports at the target")
