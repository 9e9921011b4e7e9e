#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Strangers on the server's port: counted, closed, no harm to others"""
import random
import time

from lib import (IN, LINK, LO, Echo, Failed, Pinger, Scene, equal, true,
                 until, url)

rng = random.Random(7)
RFC1036 = bytes.fromhex("7564 7074 756e 6e65 6c20 6279 206d 642e 0000 0001"
                        "0306 1015 2128 3645 5566 7891")
TLS = bytes.fromhex("1603 0100 c801 0000 c403 03") + rng.randbytes(190)


def record(length, body):
    return length.to_bytes(3, "big") + body


# name, bytes, the drop that is counted
HOSTILE = [
    ("length 0", record(0, b""), "malformed"),
    ("length 15", record(15, bytes(15)), "malformed"),
    ("length 513, too long for a stranger", record(513, b""), "malformed"),
    ("length 65604", record(65604, bytes(100)), "malformed"),
    ("length 0xffffff", record(0xffffff, bytes(100)), "malformed"),
    ("an HTTP request", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "malformed"),
    ("a TLS hello", TLS, "malformed"),
    ("udptunnel's preamble", RFC1036, "malformed"),
    ("random bytes", b"\x80" + rng.randbytes(4000), "malformed"),
    ("a packet of an unknown type", record(16, b"\x09" + bytes(15)),
     "malformed"),
    ("a random initiation", record(168, b"\x01" + rng.randbytes(167)),
     "bad_mac"),
    ("an initiation of another length", record(167, b"\x01" + bytes(166)),
     "malformed"),
    ("data under no keys", record(48, b"\x04" + rng.randbytes(47)),
     "unknown_index"),
    ("a response nobody asked for", record(128, b"\x02" + bytes(127)),
     "unknown_index"),
    ("a cookie nobody asked for", record(56, b"\x03" + bytes(55)),
     "unknown_index"),
    ("a plain initiation", record(72, b"\x11" + bytes(71)), "plain"),
]


def closed(t, seconds):
    """seconds until the server closed the connection"""
    began = time.monotonic()
    t.settimeout(seconds)
    try:
        data = t.recv(4096)
    except ConnectionResetError:
        data = b""
    except TimeoutError:
        raise Failed(f"still open after {seconds} s") from None
    equal(data, b"", "the server answers a stranger")
    return time.monotonic() - began


with Scene("21", __doc__) as s:
    a, b = s.pair()
    server, client = s.tunnel(a, b)
    Echo(b)
    ping = Pinger(a, (LO, IN))
    until(lambda: ping.answers, "the tunnel works")

    for name, data, drop in HOSTILE:
        with s.check(f"{name}: {drop}, closed at once"):
            before = server.dropped(drop)
            t = a.tcp(b.v4)
            t.sendall(data)
            true(closed(t, 4) < 1, "closed within a second")
            equal(server.dropped(drop), before + 1, "counted")
            t.close()

    fds = server.descriptors()
    with s.check("a thousand hostile connections leave no descriptor and "
                 "no memory behind"):
        rss = server.status("VmRSS")
        for i in range(1000):
            t = a.tcp(b.v4)
            t.sendall(HOSTILE[i % len(HOSTILE)][1])
            closed(t, 4)
            t.close()
        until(lambda: server.descriptors() <= fds, "descriptors are closed")
        true(server.status("VmRSS") <= rss + 1024, "grew by over 1 MB")

    with s.check("200 silent strangers keep no peer of the same address out"):
        crowd = [a.tcp(b.v4) for _ in range(200)]
        began = time.monotonic()
        client.kill()
        client = s.forward(a, url("udp", LO, IN), url("udp", LO, 5678),
                           url("tcp", b.v4, LINK))
        client.said("peer up", 3)
        s.note(f"up after {time.monotonic() - began:.3f} s")
        true(server.descriptors() <= fds + 70, "strangers are limited")
        true(server.dropped("stranger") >= 130, "and counted")

    with s.check("a client that was authenticated before is not one of them"):
        ping.after(time.monotonic())
        mark = ping.sent
        crowd += [a.tcp(b.v4) for _ in range(200)]
        ping.unhurt(mark)
        for t in crowd:
            t.close()

    with s.check("one that says nothing is closed after 5 s, and so is one "
                 "that stops in the middle of a record"):
        until(lambda: server.descriptors() <= fds, "the crowd is gone", 8)
        silent, late = a.tcp(b.v4), a.tcp(b.v4)
        late.sendall(record(168, b"\x01" + bytes(50)))
        took = [closed(silent, 8)]
        took.append(took[0] + closed(late, 8))
        true(all(4.5 < t < 6.5 for t in took), f"after {took} s")

    with s.check("all the while the peer's traffic went on unhurt"):
        mark = ping.sent
        for _, data, _ in HOSTILE * 5:
            t = a.tcp(b.v4)
            t.sendall(data)
        ping.unhurt(mark)
        true(server.alive(), "the server lives")
