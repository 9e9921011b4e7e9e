#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""300 idle clients; flows are forgotten after --idle, and only then"""
import time

from lib import (IN, LINK, LO, OUT, Echo, Pinger, Scene, equal, true, until,
                 url)

IDLE = 2

with Scene("40", __doc__) as s:
    a, b = s.pair()
    server, client = s.tunnel(a, b)
    echo = Echo(b)
    crowd = [a.udp() for _ in range(300)]
    fds = server.descriptors(), client.descriptors()

    def ask_all(word):
        for n, u in enumerate(crowd):
            u.send(b"%s %d" % (word, n), (LO, IN))
        return [u.recv() for u in crowd]

    with s.check("300 clients of one port are answered"):
        equal(ask_all(b"first"), [b"first %d" % n for n in range(300)])
        ports = [echo.port_of(b"first %d" % n) for n in range(300)]
        equal(len(set(ports)), 300, "source ports")

    with s.check("they cost a descriptor each at the far end, none here"):
        equal(server.descriptors(), fds[0] + 300)
        equal(client.descriptors(), fds[1])

    def pair_with_idle(port, name, *options):
        """a tunnel of its own whose server forgets after IDLE seconds"""
        srv = s.serve(b, url("tcp", b.v4, port), key=name, name=name,
                      options=["--idle", IDLE])
        cli = s.forward(a, url("udp", LO, port), url("udp", LO, OUT),
                        url("tcp", b.v4, port), peer=name, name=name + "c",
                        options=options).up()
        return srv, cli

    both = pair_with_idle(4001, "both", "--idle", IDLE)
    one = pair_with_idle(4002, "one")
    busy = Pinger(a, (LO, 4001), rate=4)
    quiet = {4001: a.udp(), 4002: a.udp()}
    until(lambda: busy.answers, "the busy one is answered")
    for port, u in quiet.items():
        equal(u.ask(b"quiet %d" % port, (LO, port)), b"quiet %d" % port)
    began = time.monotonic()

    for (srv, cli), port, left, name in (
            (both, 4001, 1, "both ends"), (one, 4002, 0, "the server")):
        with s.check(f"--idle {IDLE} at {name}: silence closes a flow at both "
                     "ends"):
            until(lambda: srv.show()["flows"] == left, "gone at the server")
            took = time.monotonic() - began
            true(took > IDLE - 0.2, f"too early, after {took:.1f} s")
            until(lambda: cli.show()["flows"] == left, "gone at the client")
            true(cli.alive() and srv.alive(), "both live")

    with s.check("what is in use is kept, with its port"):
        busy.unhurt(0)
        equal(len({src for src, d in echo.seen if d.startswith(b"ping")}), 1)

    for port, u in quiet.items():
        with s.check(f"the next datagram makes a new flow, port {port}"):
            before = echo.port_of(b"quiet %d" % port)
            equal(u.ask(b"quiet again %d" % port, (LO, port)),
                  b"quiet again %d" % port)
            true(echo.port_of(b"quiet again %d" % port) != before, "new port")

    with s.check("silence dropped nothing"):
        for node in (*both, *one, server, client):
            equal(node.drops(), {}, node.name)

    with s.check("the 300, idle meanwhile, still have their flows"):
        equal(ask_all(b"then"), [b"then %d" % n for n in range(300)])
        equal([echo.port_of(b"then %d" % n) for n in range(300)], ports)

    with s.check("their client killed and back: what it had is closed, its "
                 "descriptors with it"):
        client.kill()
        client = s.forward(a, url("udp", LO, IN), url("udp", LO, OUT),
                           url("tcp", b.v4, LINK), name="again").up()
        until(lambda: server.descriptors() == fds[0], "closed")
