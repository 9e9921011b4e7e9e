#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Answers leave from the address that was asked"""
from lib import LINK, LO, LO6, OUT, Echo, Scene, equal, url

with Scene("62", __doc__) as s:
    a, b = s.pair()
    far = s.host("far")  # asks the client's host from outside
    s.cable(far, "eth0", a, "eth1")
    ADDRS = ["10.62.9.1", "10.62.9.2", "fd00:62:9::1", "fd00:62:9::2"]
    for addr in ADDRS:
        a.address(addr + ("/64" if ":" in addr else "/24"), "eth1")
    far.address("10.62.9.9/24")
    far.address("fd00:62:9::9/64")
    s.serve(b, url("tcp", b.v4, LINK))
    echo = Echo(b)
    config = (f"PrivateKeyFile = {s.key('c')[0]}\n[Peer server]\n"
              f"PublicKey = {s.key('s')[1]}\n"
              f"Endpoint = {url('tcp', b.v4, LINK)}\n")
    for port, at in ((1234, "0.0.0.0"), (1235, "[::]"), (1236, "*")):
        config += (f"[Forward]\nFrom = udp://{at}:{port}\n"
                   f"To = udp://127.0.0.1:{OUT}\nVia = server\n")
    client = s.config(a, config, "client").up()
    four, six = far.udp("10.62.9.9", 4000), far.udp("fd00:62:9::9", 4000)

    for port, at in ((1234, "0.0.0.0"), (1235, "[::]"), (1236, "*")):
        for addr in ADDRS:
            if port == 1234 and ":" in addr:
                continue
            with s.check(f"on udp://{at}:{port}, {addr} asked, {addr} "
                         "answers"):
                u = six if ":" in addr else four
                word = f"{addr} {port}".encode()
                for size in (0, 500, 20000):
                    equal(u.ask(word + bytes(size), (addr, port)),
                          word + bytes(size))
                    equal(u.source, (addr, port), "answered from")

    with s.check("asked by turns, one socket is answered by both"):
        for n in range(20):
            for u, addrs in ((four, ADDRS[:2]), (six, ADDRS[2:])):
                for addr in addrs:
                    u.send(b"%d %s" % (n, addr.encode()), (addr, 1236))
                got = {u.recv(): u.source[0] for _ in addrs}
                equal(got, {b"%d %s" % (n, x.encode()): x for x in addrs})

    with s.check("each address that was asked is a flow of its own"):
        ports = {echo.port_of(b"19 %s" % x.encode()) for x in ADDRS}
        equal(len(ports), 4)

    with s.check("loopback too"):
        for addr, port in (("127.0.0.7", 1234), ("127.0.0.8", 1236),
                           (LO, 1236), (LO6, 1236)):
            u = a.udp(LO6 if ":" in addr else LO)
            equal(u.ask(b"lo", (addr, port)), b"lo")
            equal(u.source, (addr, port), "answered from")
