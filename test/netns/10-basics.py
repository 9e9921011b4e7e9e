#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Datagrams of every size, both families, the command lines as written"""
import os
import signal

from lib import (CULVERT, IN, LINK, LO, LO6, OUT, Echo, Scene, equal, sh, true,
                 until, url)

SIZES = (0, 1, 1472, 9000, 65507)
SERVE = ("culvert serve tcp://127.0.0.1:3456 --key s.key --peer CLIENTPUB "
         "--allow udp://127.0.0.1:5678")
FORWARD = ("culvert forward udp://127.0.0.1:1234 udp://127.0.0.1:5678 "
           "via tcp://127.0.0.1:3456 --key c.key --peer SERVERPUB")

with Scene("10", __doc__) as s:
    a, b = s.pair()
    server = s.serve(b, url("tcp", b.v4, LINK), url("tcp", b.v6, LINK),
                     peers=("c", "c6"))
    client = s.forward(a, url("udp", LO, IN), url("udp", LO, OUT),
                       url("tcp", b.v4, LINK))
    client6 = s.forward(a, url("udp", LO6, IN), url("udp", LO6, OUT),
                        url("tcp", b.v6, LINK), key="c6", name="client6")
    echo, echo6 = Echo(b, LO), Echo(b, LO6)
    v4, v6 = a.udp(LO), a.udp(LO6)

    for u, at, name in ((v4, LO, "IPv4"), (v6, LO6, "IPv6")):
        for size in SIZES:
            with s.check(f"{size} bytes come back, {name}"):
                data = os.urandom(size)
                equal(u.ask(data, (at, IN)), data)
                equal(u.source, (at, IN), "answered from")

    with s.check("sizes mixed in one burst come back whole and in order"):
        burst = [os.urandom(n) for n in
                 (0, 1400, 1400, 1400, 700, 0, 0, 9000, 1, 1, 1, 65507, 64)]
        for data in burst:
            v4.send(data, (LO, IN))
        equal([v4.recv() for _ in burst], burst)

    with s.check("a burst of 1,000 x 1,400 bytes arrives whole"):
        before = len(echo.seen)
        for n in range(1000):
            v4.send(b"%04d" % n + bytes(1396), (LO, IN))
        until(lambda: len(echo.seen) >= before + 1000, "1,000 arrived")
        equal([int(d[:4]) for _, d in echo.seen[before:]], list(range(1000)))
        equal(len(v4.drain()), 1000, "answers")

    with s.check("show -j counts what was carried, and no drop"):
        sizes = list(SIZES) + [len(d) for d in burst] + 1000 * [1400]
        for node in (client, server):
            peer = [p for p in node.show()["peers"]
                    if p["key"] in (s.key("s")[1], s.key("c")[1])][0]
            for way in ("sent", "received"):
                equal(peer[way], {"datagrams": len(sizes),
                                  "bytes": sum(sizes)}, way)
            equal((peer["state"], peer["flows"]), ("up", 1))
        equal((client.drops(), server.drops()), ({}, {}))

    with s.check("show names the node, its key, the peer, its link"):
        text = sh(CULVERT, "show", client.name).stdout
        for part in (f"node {client.name}", s.key("c")[1], "peer server",
                     f"tcp://{b.v4}:{LINK}", "state: up", "flows: 1",
                     "sent: 1018 datagrams"):
            true(part in text, f"{part!r} is in: {text}")

    with s.check("--print-config prints a file that does the same"):
        made = sh(CULVERT, "forward", url("udp", LO, 1235),
                  url("udp", LO, OUT), "via", url("tcp", b.v6, LINK),
                  *s.security("c6", ["s"]), "--max-age", "20", "--name",
                  s.prefix + "printed", "--print-config").stdout
        client6.kill()
        printed = a.start(CULVERT, "run", "-c", s.file("printed.conf", made))
        printed.said("msg=forwarding")
        equal(v4.ask(b"printed", (LO, 1235)), b"printed")

    c = s.host("c")
    u = c.udp()
    Echo(c)
    bare = s.user()  # culvert in its PATH, in a directory of its own
    for key in "sc":
        bare.give(s.key(key)[0])
    nodes = []
    with s.check("the two command lines work exactly as written, not as root"):
        for line in (SERVE, FORWARD):
            line = line.replace("CLIENTPUB", s.key("c")[1])
            line = line.replace("SERVERPUB", s.key("s")[1])
            nodes.append(bare.start(c, line).said("level=info"))
        equal(u.ask(b"as written", (LO, 1234)), b"as written")

    with s.check("show without a name shows all nodes of this user"):
        text = bare.run("culvert show").stdout
        equal([w for w in text.split() if w.endswith(("-1234", "-3456"))],
              ["forward-1234", "serve-3456"])

    with s.check("an orderly stop leaves no control socket"):
        for n in nodes:
            n.signal(signal.SIGTERM)
            equal(n.exit_code(), 0)
        equal(os.listdir(bare.sockets), [])
