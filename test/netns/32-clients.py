#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Many clients: each its own flow and answers; strangers get nowhere"""
from lib import (IN, LINK, LO, LO6, OUT, Echo, Scene, equal, true, until, url)


def talk(clients, to, rounds):
    """all ask at once, again and again; what each got"""
    got = {c: [] for c in clients}
    for n in range(rounds):
        for i, c in enumerate(clients):
            c.send(b"%d:%d" % (i, n), to)
        for c in clients:
            got[c].append(c.recv())
    return list(got.values())


def own(count, rounds):
    return [[b"%d:%d" % (i, n) for n in range(rounds)] for i in range(count)]


with Scene("32", __doc__) as s:
    a, b = s.pair()
    for n in "cde":
        s.key(n)
    peers = s.file("peers", f"# who may come\n{s.key('c')[1]} carol\n"
                            f"{s.key('d')[1]} dave\n\n{s.key('e')[1]}\n")
    server = s.serve(b, url("tcp", b.v4, LINK), peers=(),
                     options=["--peers", peers])
    client = s.forward(a, url("udp", LO, IN), url("udp", LO, OUT),
                       url("tcp", b.v4, LINK)).up()
    echo = Echo(b)

    with s.check("two clients of one port get their own answers"):
        pair = [a.udp() for _ in range(2)]
        equal(talk(pair, (LO, IN), 50), own(2, 50))
        equal(len({src for src, _ in echo.seen}), 2, "far source ports")

    with s.check("fifty clients of one port get their own answers"):
        crowd = pair + [a.udp() for _ in range(48)]
        del echo.seen[:]
        equal(talk(crowd, (LO, IN), 20), own(50, 20))
        ports = {}
        for (_, port), data in echo.seen:
            ports.setdefault(data.split(b":")[0], set()).add(port)
        equal({len(p) for p in ports.values()}, {1}, "a port for each")
        equal(len(set.union(*ports.values())), 50, "all different")

    with s.check("a stranger that sends to a flow's port at the far end is "
                 "never delivered"):
        victim = crowd[0]
        equal(victim.ask(b"0:real", (LO, IN)), b"0:real")
        port = echo.port_of(b"0:real")
        for at in (LO, "127.0.0.2", b.v4):
            stranger = b.udp(at)
            for _ in range(5):
                stranger.send(b"EVIL", (LO, port))
        # it would have been there before this
        equal(victim.ask(b"0:next", (LO, IN)), b"0:next")
        equal(echo.port_of(b"0:next"), port, "port")
        equal(stranger.drain(0.05), [], "and gets nothing")

    with s.check("a stranger that sends to the client's port is a client"):
        del echo.seen[:]
        stranger = a.udp("127.0.0.9")
        equal(stranger.ask(b"new", (LO, IN)), b"new")
        equal(victim.ask(b"0:old", (LO, IN)), b"0:old")
        true(echo.port_of(b"new") != echo.port_of(b"0:old"), "own port")

    with s.check("clients of other programs, with other keys, as well"):
        dave = s.forward(a, url("udp", LO6, IN), url("udp", LO, OUT),
                         url("tcp", b.v4, LINK), key="d", name="dave").up()
        eve = s.forward(a, url("udp", LO, 1235), url("udp", LO, OUT),
                        url("tcp", b.v4, LINK), key="e", name="eve").up()
        u, v, w = a.udp(), a.udp(LO6), a.udp()
        for n in range(20):
            for sock, to in ((u, (LO, IN)), (v, (LO6, IN)), (w, (LO, 1235))):
                sock.send(b"%d %d" % (n, to[1]), to)
            for sock, to in ((u, (LO, IN)), (v, (LO6, IN)), (w, (LO, 1235))):
                equal(sock.recv(), b"%d %d" % (n, to[1]))

    with s.check("show has each peer by its name, with its flows"):
        flows = {p["name"]: p["flows"] for p in server.show()["peers"]}
        equal(flows, {"carol": 52, "dave": 1, s.key("e")[1][:8]: 1})

    with s.check("one of them killed: its flows go on its return, the others "
                 "do not notice"):
        dave.kill()
        equal(u.ask(b"others", (LO, IN)), b"others")
        dave = s.forward(a, url("udp", LO6, IN), url("udp", LO, OUT),
                         url("tcp", b.v4, LINK), key="d", name="dave2").up()
        until(lambda: server.peer("dave")["flows"] == 0, "flows are closed")
        equal(v.ask(b"again", (LO6, IN)), b"again")
        equal(server.peer("carol")["flows"], 52)

    with s.check("nothing was dropped on the way"):
        for node in (server, client, eve):
            drops = node.drops()
            drops.pop("link_lost", None)  # of the one that was killed
            equal(drops, {}, node.name)
