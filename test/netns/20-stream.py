#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""However TCP cuts and joins the stream, and wherever it ends"""
import random
import time

from lib import (IN, LINK, LO, OUT, Echo, Relay, Scene, equal, true, until,
                 url)

rng = random.Random(1)


def bytewise(data):
    for byte in data:
        yield bytes([byte])
        time.sleep(0.0001)  # a segment of its own, most of the time


def randomly(data):
    while data:
        n = rng.choice((1, 2, 3, 15, 16, 17, rng.randrange(1, 3000)))
        yield data[:n]
        data = data[n:]


def joined(data):
    """hold on to it, so that more comes with it"""
    time.sleep(0.02)
    yield data


class EndAfter:
    """pass that many bytes, then end both connections"""

    def __init__(self, left):
        self.left, self.done = left, False

    def __call__(self, data):
        yield data[:self.left]
        self.left = max(0, self.left - len(data))
        if not self.left:
            self.done = True
            yield None


with Scene("20", __doc__) as s:
    a, b = s.pair()
    server = s.serve(b, url("tcp", b.v4, LINK))
    relay = Relay(b, b.v4, 3457, (b.v4, LINK))
    client = s.forward(a, url("udp", LO, IN), url("udp", LO, OUT),
                       url("tcp", b.v4, 3457)).up()
    echo = Echo(b)
    u = a.udp()

    def reconnect(cut):
        """a new connection, mistreated from its first byte on"""
        ups = client.log().count("peer up")
        relay.cut = cut
        relay.reset()
        client.said("peer up", 15, ups + 1)

    for name, cut, most, at_once in (
            ("byte by byte", bytewise, 200, 1),
            ("in random pieces", randomly, 9000, 2),
            ("many records at once", joined, 2000, 20)):
        with s.check(f"{name}: handshake and datagrams pass"):
            reconnect(cut)
            for _ in range(40 // at_once):
                sent = [rng.randbytes(rng.randrange(most))
                        for _ in range(at_once)]
                for data in sent:
                    u.send(data, (LO, IN))
                for data in sent:
                    equal(u.recv(), data)

    with s.check("a peer whose stream is cut at any byte of the handshake "
                 "comes up afterwards"):
        relay.cut = EndAfter(1)
        relay.reset()
        for left in (2, 19, 100, 170):
            until(lambda: relay.cut.done, "dialled and cut", 15)
            relay.cut = EndAfter(left)
            u.send(b"hurry", (LO, IN))
        until(lambda: relay.cut.done, "dialled and cut", 15)
        relay.cut = lambda data: [data]
        until(lambda: u.ask(b"again", (LO, IN), 0.2) == b"again", "up", 15)
    u.drain()

    with s.check("of half a record, then the end, nothing is delivered"):
        before = len(echo.seen)
        relay.cut = EndAfter(2000)
        connections = len(relay.first)
        u.send(bytes(5000), (LO, IN))
        until(lambda: len(relay.first) > connections, "dialled again")
        relay.cut = lambda data: [data]
        until(lambda: u.ask(b"next", (LO, IN), 0.2) == b"next", "up again")
        equal({d for _, d in echo.seen[before:]}, {b"next"})
    u.drain()

    with s.check("a record with a flipped bit is counted, not delivered, and "
                 "the link goes on"):
        def flip(data):
            relay.cut = lambda later: [later]
            yield data[:60] + bytes([data[60] ^ 1]) + data[61:]

        before, links = len(echo.seen), client.log().count("peer up")
        forged = server.dropped("forged")
        relay.cut = flip
        u.send(bytes(500), (LO, IN))
        until(lambda: server.dropped("forged") == forged + 1, "counted")
        equal(u.ask(b"next", (LO, IN)), b"next")
        equal([d for _, d in echo.seen[before:]], [b"next"])
        equal(client.log().count("peer up"), links, "links")

    with s.check("garbage inside an authenticated stream ends the link, which "
                 "is dialled anew"):
        links = client.log().count("peer up")
        malformed = server.dropped("malformed")
        relay.pairs[-1][1].sendall(b"\xff\xff\xff" + bytes(40))
        client.said("peer up", 5, links + 1)
        equal(server.dropped("malformed"), malformed + 1)
        equal(u.ask(b"next", (LO, IN)), b"next")

    with s.check("a recorded stream that is played again is dropped and moves "
                 "no session"):
        stale = server.dropped("stale_hello")
        links = server.log().count("peer up")
        t = b.tcp(b.v4)
        t.sendall(relay.first[-1])
        equal(t.recv(1), b"", "the server says")
        equal(server.dropped("stale_hello"), stale + 1)
        equal(u.ask(b"unmoved", (LO, IN)), b"unmoved")
        equal(server.log().count("peer up"), links, "links")

    with s.check("through all of it the flow kept its source port"):
        equal(len({src for src, _ in echo.seen}), 1, "ports")
        true(client.alive() and server.alive(), "both live")
