#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""udptunnel+tcp://: rfc1036's handshake in front of the frames, both roles"""
import os

from framed import PREAMBLE, Client, Conn, Server, frame
from lib import (IN, LINK, LO, OUT, Echo, Pinger, Scene, equal, true, until,
                 url)

SIZES = (0, 1, 1472, 9000, 65507)
FIRST = 65502  # what rfc1036's server takes as the first frame

with Scene("64", __doc__) as s:
    a, b = s.pair()
    link = url("udptunnel+tcp", b.v4, LINK)
    server = s.serve(b, link, options=("--to", url("udp", LO, OUT)))
    target = b.udp(LO, OUT)

    # --- culvert accepts ---

    c = Client(a, b.v4, LINK, led=True)
    for size in SIZES:
        with s.check(f"{size} bytes, there and back"):
            data = os.urandom(size)
            c.send(data)
            equal(target.recv(), data)
            target.send(data, target.source)
            equal(c.recv(), data)
    c.close()

    with s.check("the server says nothing before the first answer"):
        d = Client(a, b.v4, LINK, led=True)
        d.send(b"question")
        equal(target.recv(), b"question")
        target.send(b"answer", target.source)
        equal(d.exactly(8), frame(b"answer"))
        d.close()

    with s.check("preamble and frames byte by byte"):
        d = Conn(a.tcp(b.v4, LINK))
        for byte in PREAMBLE + frame(b"slowly"):
            d.write(bytes([byte]))
        equal(target.recv(), b"slowly")
        d.close()

    with s.check("preamble, two frames and a half in one write"):
        d = Conn(a.tcp(b.v4, LINK))
        raw = PREAMBLE + frame(b"one") + frame(b"two") + frame(b"three")
        d.write(raw[:-2])
        equal([target.recv(), target.recv()], [b"one", b"two"])
        d.write(raw[-2:])
        equal(target.recv(), b"three")
        d.close()

    with s.check("a first frame of 65,507 bytes is taken all the same"):
        d = Client(a, b.v4, LINK, led=True)
        data = os.urandom(65507)
        d.send(data)
        equal(target.recv(), data)
        d.close()

    with s.check("no preamble, or a wrong one: closed, and said why"):
        for raw in (frame(b"hello"), PREAMBLE[:-1] + b"\0", b"GET / HTTP/1.1"):
            d = Conn(a.tcp(b.v4, LINK))
            d.write(raw)
            true(d.ended() in ("closed", "reset"), "closed")
        server.said("no udptunnel handshake", times=3)
        equal(target.drain(), [])

    server.kill()
    target.close()

    # --- culvert connects ---

    peer = Server(b, b.v4, LINK, led=True)
    client = s.forward(a, url("udp", LO, IN), None, link)
    u, v = a.udp(), a.udp()

    with s.check("the first frame of a connection has at most 65,502 bytes"):
        u.send(bytes(65507), (LO, IN))
        u.send(bytes(FIRST + 1), (LO, IN))
        until(lambda: client.dropped("too_big") == 2, "both are counted")
        data = os.urandom(FIRST)
        equal(u.ask(data, (LO, IN)), data)
        data = os.urandom(65507)
        equal(u.ask(data, (LO, IN)), data, "the second one may be longer")

    with s.check("the preamble is as it should be, once a connection"):
        equal(v.ask(b"another client", (LO, IN)), b"another client")
        equal(peer.preambles, [PREAMBLE, PREAMBLE])

    for size in SIZES:
        with s.check(f"{size} bytes, there and back"):
            data = os.urandom(size)
            equal(u.ask(data, (LO, IN)), data)

    with s.check("after a reconnect it comes again, before what waited"):
        ping = Pinger(a, (LO, IN))
        until(lambda: ping.answers, "it flows")
        peer.close()
        until(lambda: client.show()["foreign"] == 0, "all are lost")
        peer = Server(b, b.v4, LINK, led=True)
        until(lambda: len(peer.preambles) == 3, "all are back", 11)
        equal(peer.preambles, 3 * [PREAMBLE])
        equal(u.ask(b"again", (LO, IN)), b"again")
        ping.close()
    peer.close()

    # --- culvert at both ends, and at the wrong ones ---

    with s.check("culvert to culvert"):
        server = s.serve(b, link, options=("--to", url("udp", LO, OUT)),
                         name="second")
        echo = Echo(b)
        until(lambda: client.show()["foreign"] == 3, "connected", 11)
        for size in SIZES[:-1] + (FIRST,):
            data = os.urandom(size)
            equal(u.ask(data, (LO, IN)), data)

    with s.check("a server of the other framing says what to use"):
        wrong = s.serve(b, url("frames+tcp", b.v4, LINK + 1), name="wrong",
                        options=("--to", url("udp", LO, OUT)))
        s.forward(a, url("udp", LO, IN + 1), None,
                  url("udptunnel+tcp", b.v4, LINK + 1), name="lost")
        u.send(b"hello?", (LO, IN + 1))
        wrong.said("use udptunnel+tcp://")
        s.forward(a, url("udp", LO, IN + 2), None,
                  url("frames+tcp", b.v4, LINK), name="bare")
        u.send(b"hello?", (LO, IN + 2))
        server.said("use frames+tcp://")
