#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""An orderly stop: what was sent is delivered, exit code 0, in time"""
import signal
import time

from lib import IN, LINK, LO, OUT, Pinger, Echo, Scene, equal, true, until, url

COUNT, SIZE = 500, 1000

with Scene("72", __doc__) as s:
    a, b = s.pair()
    link = url("tcp", b.v4, LINK)
    sink = b.udp(LO, 7000)
    u = a.udp()

    def start():
        for p in s.all:  # of a check that failed
            p.kill()
        srv = s.serve(b, link)
        cli = s.forward(a, url("udp", LO, IN), url("udp", LO, 7000),
                        link).up()
        u.send(b"first", (LO, IN))
        equal(sink.recv(), b"first")
        return srv, cli

    def delivered():
        return [int(d[:4]) for d in sink.drain(0.2)]

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        with s.check(f"{number.name} to the client: what was sent just before "
                     "arrives, exit code 0"):
            server, client = start()
            for n in range(COUNT):
                u.send(b"%04d" % n + bytes(SIZE - 4), (LO, IN))
            client.signal(number)
            began = time.monotonic()
            equal(client.exit_code(2), 0)
            s.note(f"ended after {time.monotonic() - began:.3f} s")
            equal(delivered(), list(range(COUNT)))

    with s.check("SIGTERM to the server: answers given just before arrive, "
                 "exit code 0"):
        server, client = start()
        back = sink.source
        for n in range(COUNT):
            sink.send(b"%04d" % n + bytes(SIZE - 4), back)
        server.signal(signal.SIGTERM)
        equal(server.exit_code(2), 0)
        equal([int(d[:4]) for d in u.drain(0.2)], list(range(COUNT)))

    with s.check("the client is told, and tries again"):
        client.said("the peer said goodbye")
        client.said("cannot connect")
        client.kill()

    with s.check("SIGTERM under traffic both ways: nothing sent before it is "
                 "lost"):
        server, client = start()
        echo = Echo(b)
        both = s.forward(a, url("udp", LO, 1235), url("udp", LO, OUT), link,
                         name="both")
        client.kill()
        ping = Pinger(a, (LO, 1235), rate=2000)
        until(lambda: len(ping.answers) > 200, "traffic")
        sent = ping.sent
        both.signal(signal.SIGTERM)
        equal(both.exit_code(2), 0)
        numbers = {int(d[5:]) for _, d in echo.seen}
        equal([n for n in range(sent) if n not in numbers][20:], [], "lost")
        ping.close()
        server.kill()

    with s.check("with a peer that takes nothing it ends within two seconds"):
        server, client = start()
        server.signal(signal.SIGSTOP)
        until(lambda: (u.send(bytes(60000), (LO, IN)),
                       client.dropped("aged"))[1], "the link is full")
        client.signal(signal.SIGTERM)
        began = time.monotonic()
        equal(client.exit_code(3), 0)
        took = time.monotonic() - began
        s.note(f"after {took:.3f} s")
        true(took < 2, f"{took} s")
        server.kill()

    with s.check("a second signal ends it at once"):
        server, client = start()
        server.signal(signal.SIGSTOP)
        until(lambda: (u.send(bytes(60000), (LO, IN)),
                       client.dropped("aged"))[1], "the link is full")
        client.signal(signal.SIGTERM)
        client.said("msg=stopping")
        client.signal(signal.SIGTERM)
        began = time.monotonic()
        client.exit_code(3)
        took = time.monotonic() - began
        true(took < 0.3, f"{took} s")
        server.kill()
