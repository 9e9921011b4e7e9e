#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""No descriptors left, --max-flows, --max-flows-per-source: who is in stays,
what has been idle for 10 s gives way"""
import resource
import time

from lib import (IN, LINK, LO, OUT, Echo, Pinger, Scene, equal, true, until,
                 url)

GIVES_WAY = 10


def limit(node, descriptors):
    _, hard = resource.prlimit(node.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(node.pid, resource.RLIMIT_NOFILE,
                     (min(descriptors, hard), hard))


with Scene("41", __doc__) as s:
    a, b = s.pair()
    echo = Echo(b)
    server = s.serve(b, url("tcp", b.v4, LINK), peers=("c", "late"))
    client = s.forward(a, url("udp", LO, IN), url("udp", LO, OUT),
                       url("tcp", b.v4, LINK)).up()
    few_server = s.serve(b, url("tcp", b.v4, 3457), key="few", name="few",
                         options=["--max-flows", 6])
    few = s.forward(a, url("udp", LO, 1235), url("udp", LO, OUT),
                    url("tcp", b.v4, 3457), peer="few", name="fewc",
                    options=["--max-flows-per-source", 4]).up()

    idle = [a.udp() for _ in range(20)]
    for n, u in enumerate(idle):
        equal(u.ask(b"idle %d" % n, (LO, IN)), b"idle %d" % n)
    near = [a.udp() for _ in range(4)]
    far = [a.udp(f"127.0.0.{n}") for n in (5, 6)]
    for n, u in enumerate(near + far):
        equal(u.ask(b"few %d" % n, (LO, 1235)), b"few %d" % n)
    since = time.monotonic()
    busy = Pinger(a, (LO, IN))
    until(lambda: busy.answers, "the busy one is answered")
    limit(server, server.descriptors())

    with s.check("a fifth client of one address is refused here, counted, "
                 "others are not"):
        fifth = a.udp()
        for n in range(1, 4):
            fifth.send(b"fifth", (LO, 1235))
            until(lambda n=n: few.dropped("flow_limit") == n, "counted")
        equal(far[0].ask(b"others", (LO, 1235)), b"others")

    with s.check("a seventh flow is refused by the server, which is logged"):
        seventh = a.udp("127.0.0.7")
        seventh.send(b"seventh", (LO, 1235))
        few.said("reason=flow_limit")
        equal(far[1].ask(b"others", (LO, 1235)), b"others")
        equal(few_server.show()["flows"], 6)

    with s.check("without a descriptor a new client is refused, with the "
                 "reason, at both ends"):
        late = a.udp()
        late.send(b"late", (LO, IN))
        server.said("Too many open files")
        client.said("reason=flow_limit")

    with s.check("and the listener pauses instead of spinning"):
        newcomer = s.forward(a, url("udp", LO, 1236), url("udp", LO, OUT),
                             url("tcp", b.v4, LINK), key="late", name="late")
        server.said("accept paused")
        cpu, mark = server.cpu(), time.monotonic()
        until(lambda: time.monotonic() > mark + 1, "a second", step=0.1)
        true(server.cpu() - cpu < 0.3, f"{server.cpu() - cpu} s of CPU")

    with s.check("show works even then, and it does not spin afterwards"):
        equal(server.peer(s.key("c")[1][:8])["state"], "up")
        cpu, mark = server.cpu(), time.monotonic()
        until(lambda: time.monotonic() > mark + 1, "a second", step=0.1)
        true(server.cpu() - cpu < 0.3, f"{server.cpu() - cpu} s of CPU")

    with s.check("who was there does not notice"):
        busy.unhurt(0)
        equal(len({src for src, d in echo.seen if d.startswith(b"ping")}), 1)

    with s.check("a new client gets in when a flow has been idle for 10 s"):
        until(lambda: late.ask(b"late", (LO, IN), 0.1), "late is served", 12)
        took = time.monotonic() - since
        s.note(f"after {took:.1f} s")
        true(took > GIVES_WAY - 0.6, "too early")

    with s.check("so it is with --max-flows-per-source and --max-flows"):
        for u in (fifth, seventh):
            until(lambda u=u: u.ask(b"few", (LO, 1235), 0.1), "served", 3)
        until(lambda: few_server.show()["flows"] == 6, "six")

    with s.check("one that gave way comes back when another is idle"):
        equal(idle[0].ask(b"I was first", (LO, IN)), b"I was first")

    with s.check("descriptors again: the connection that waited comes up"):
        limit(server, server.descriptors() + 50)
        newcomer.up()
        u = a.udp()
        equal(u.ask(b"at last", (LO, 1236)), b"at last")

    with s.check("from the first to the last second the busy one was served"):
        busy.unhurt(0)
        true(server.alive() and client.alive(), "both live")
