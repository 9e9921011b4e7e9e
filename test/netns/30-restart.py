#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Either end killed, restarted, first; connections reset: flows go on"""
import signal
import time

from lib import (IN, LINK, LO, OUT, Echo, Pinger, Scene, equal, true, until,
                 url)

with Scene("30", __doc__) as s:
    a, b = s.pair()
    link = url("tcp", b.v4, LINK)

    def start_client():
        return s.forward(a, url("udp", LO, IN), url("udp", LO, OUT), link)

    def ports():
        """source ports at the target, of what was seen since the last call"""
        seen = {src[1] for src, _ in echo.seen[ports.since:]}
        ports.since = len(echo.seen)
        return seen

    ports.since = 0
    echo = Echo(b)

    with s.check("the client may be there before the server"):
        client = start_client()
        ping = Pinger(a, (LO, IN))
        client.said("cannot connect")
        true(client.alive() and not ping.answers, "it waits")
        server = s.serve(b, link)
        s.note(f"flowing {ping.after(time.monotonic()):.3f} s after the "
               "server was there")

    with s.check("a datagram sent while the server was not there, up to a "
                 "second ago, arrives"):
        server.kill()
        client.said("link down")
        u = a.udp()
        u.send(b"held", (LO, IN))
        server = s.serve(b, link)
        equal(u.recv(), b"held")

    ping.after(time.monotonic())
    ports()
    ping.after(time.monotonic())
    before = ports()

    def keeps_ports(name, end_link):
        with s.check(f"{name}: flows go on, from the same source port"):
            ups = client.log().count("peer up")
            moment = time.monotonic()
            end_link()
            client.said("peer up", 5, ups + 1)
            s.note(f"flowing again after {ping.after(moment):.3f} s")
            equal(ports() | before, before)

    keeps_ports("the connection is reset by the client's system",
                lambda: a.run("ss", "-K", "dport", "=", str(LINK)))
    keeps_ports("the connection is reset by the server's system",
                lambda: b.run("ss", "-K", "sport", "=", str(LINK)))
    keeps_ports("the connection is reset ten times in a row",
                lambda: [(b.run("ss", "-K", "sport", "=", str(LINK)),
                          until(lambda: b.run("ss", "-Htn", "sport", "=",
                                              str(LINK)).stdout, "redialled"))
                         for _ in range(10)])

    with s.check("server killed and back under traffic: flowing again, from "
                 "a new source port"):
        server.kill()
        server = s.serve(b, link)
        s.note(f"flowing {ping.after(time.monotonic()):.3f} s after the "
               "server was back")
        ports()
        ping.after(time.monotonic())
        equal(ports() & before, set(), "ports as before")

    with s.check("server away for 3 s: flowing again within 5 s"):
        server.kill()
        mark = time.monotonic()
        until(lambda: time.monotonic() - mark > 3, "time passes", step=0.1)
        server = s.serve(b, link)
        s.note(f"flowing {ping.after(time.monotonic()):.3f} s after the "
               "server was back")

    with s.check("server stopped in order and back: flowing again"):
        server.signal(signal.SIGTERM)
        equal(server.exit_code(), 0)
        until(lambda: client.peer()["state"] == "down", "the client sees it")
        server = s.serve(b, link)
        s.note(f"flowing {ping.after(time.monotonic()):.3f} s after the "
               "server was back")

    with s.check("client killed and back under traffic: flowing again, and "
                 "the server forgets what the old one had"):
        client.kill()
        client = start_client()
        s.note(f"flowing {ping.after(time.monotonic()):.3f} s after the "
               "client was back")
        until(lambda: server.show()["flows"] == 1, "one flow is left")
        true(len(server.show()["peers"]) == 1, "it is the same peer")

    with s.check("the connection is watched by keep-alive on both ends"):
        for h, port in ((a, "dport"), (b, "sport")):
            text = h.run("ss", "-Htno", port, "=", str(LINK)).stdout
            true("keepalive" in text or "timer:(on" in text, text)

    with s.check("both ends killed and back"):
        server.kill()
        client.kill()
        client, server = start_client(), s.serve(b, link)
        s.note(f"flowing {ping.after(time.monotonic()):.3f} s after both "
               "were back")
