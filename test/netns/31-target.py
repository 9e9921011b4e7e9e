#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A target that is down, comes, goes, never was"""
from lib import (IN, LINK, LO, LO6, OUT, Echo, Scene, equal, true, until, url)

with Scene("31", __doc__) as s:
    a, b = s.pair()
    server = s.serve(b, url("tcp", b.v4, LINK), options=[
        "--allow", "udp://127.0.0.0/8", "--allow", "udp://[::1]",
        "--allow", "udp://10.31.0.0/24", "--allow", "udp://192.0.2.0/24"])
    client = s.config(a, f"""PrivateKeyFile = {s.key("c")[0]}
[Peer server]
PublicKey = {s.key("s")[1]}
Endpoint = {url("tcp", b.v4, LINK)}
[Forward down]
From = {url("udp", LO, IN)}
To = {url("udp", LO, OUT)}
Via = server
[Forward down6]
From = {url("udp", LO6, IN)}
To = {url("udp", LO6, OUT)}
Via = server
[Forward never]
From = udp://127.0.0.1:1236
To = udp://127.0.0.1:9
Via = server
[Forward nobody]
From = udp://127.0.0.1:1237
To = udp://10.31.0.77:9
Via = server
[Forward nowhere]
From = udp://127.0.0.1:1239
To = udp://192.0.2.1:9
Via = server
[Forward good]
From = udp://127.0.0.1:1238
To = udp://127.0.0.1:7000
Via = server
""", "client").up()
    other = Echo(b, LO, 7000)
    u, u6, good = a.udp(), a.udp(LO6), a.udp()
    equal(good.ask(b"before", (LO, 1238)), b"before")

    for sock, at in ((u, LO), (u6, LO6)):
        with s.check(f"target at {at} down: refusals are counted, nothing "
                     "else happens"):
            before = server.dropped("unreachable")
            for n in range(1, 4):
                sock.send(b"too early", (at, IN))
                until(lambda n=n: server.dropped("unreachable") >= before + n,
                      f"{n} refused")
            equal(good.ask(b"others", (LO, 1238)), b"others")

        with s.check(f"target at {at} comes: the very next datagram arrives"):
            echo = Echo(b, at)
            equal(sock.ask(b"now", (at, IN)), b"now")
            equal([d for _, d in echo.seen], [b"now"])
            port = echo.seen[0][0][1]

        with s.check(f"target at {at} goes and comes: same source port"):
            echo.close()
            refused = server.dropped("unreachable")
            sock.send(b"gone", (at, IN))
            until(lambda: server.dropped("unreachable") > refused, "refused")
            echo = Echo(b, at)
            equal(sock.ask(b"back", (at, IN)), b"back")
            equal(echo.seen[0][0][1], port, "port")

    with s.check("a target that is never there: a thousand datagrams, and "
                 "others are not hurt"):
        mark = server.show()["peers"][0]["received"]["datagrams"]
        for n in range(1000):
            u.send(bytes(100), (LO, 1236))
            if n % 20 == 0:
                equal(good.ask(b"%d" % n, (LO, 1238)), b"%d" % n)
        until(lambda: server.show()["peers"][0]["received"]["datagrams"] ==
              mark + 1050, "all went out")
        true(server.dropped("unreachable") >= 50, "refusals are seen")

    with s.check("a host that does not exist: others are not hurt"):
        for n in range(100):
            u.send(bytes(1000), (LO, 1237))
            equal(good.ask(b"%d" % n, (LO, 1238)), b"%d" % n)

    with s.check("a network that nothing leads to: refused, with its reason"):
        u.send(b"anybody?", (LO, 1239))
        server.said('target="udp://192.0.2.1:9" address=192.0.2.1:9 '
                    'reason="Network is unreachable"')
        client.said('target="udp://192.0.2.1:9" reason=system_error')

    with s.check("nothing of this ended a flow, a link or a program"):
        true(server.alive() and client.alive(), "both live")
        equal(client.log().count("peer up"), 1, "links")
        equal((server.show()["flows"], client.show()["flows"]), (5, 5))
