# SPDX-License-Identifier: MIT
"""The lines of the manual, as they stand there, between two machines without any
address: lan://, bcast:// of an interface, mcast:// of an interface."""
import json

from lib import Scene, equal, true
from lan import (CULVERT, TARGET, Get, Lan, Unprivileged, forward, security,
                 serve, start, strict, web)

# what discover is told: "culvert discover -j" is a line of its own
LINKS = {"lan://67@": [], "bcast://67@eth0": ["bcast://67@eth0"],
         "mcast://67@239.255.67.86%eth0": ["mcast://67@239.255.67.86%eth0"]}
SIX = "mcast://67@[ff12::e043:5654%eth0]"


def found(ws, link):
    """what discover says of the box"""
    r = ws.run(CULVERT, "discover", "-j", *link)
    return [json.loads(x)["id"] for x in r.stdout.splitlines()]


def session(s, who, link):
    """a page of 1 MB by a forward without privilege: how it went"""
    box = start(nas, "serve", link, "--key", s.key("s")[0], "--peer",
                s.key("c")[1], "--allow", TARGET, "--discoverable",
                name="box" + link[:2])
    box.said("msg=listening")
    servers = found(ws, LINKS[link])
    client = who.start(ws, "forward", "tcp://127.0.0.1:7777", TARGET, "via",
                       link, "--key", who.key("c"), "--peer", s.key("s")[1],
                       name="ws" + link[:2])
    client.said("msg=forwarding")
    try:
        return servers, Get(ws).end()
    finally:
        for p in (client, box):
            p.kill()


with Scene("lanl", __doc__) as s:
    who = Unprivileged(s)
    lan, nas, ws = Lan(s), s.host("nas"), s.host("ws")
    for host in (nas, ws):
        lan.plug(host)
        strict(host, 1, False)
    _, checksum = web(s, nas)
    for link in LINKS:
        with s.check(f"{link} is found and carries a page"):
            servers, (got, first, took) = session(s, who, link)
            s.note(f"first byte {first:.3f} s, 1 MB {took:.3f} s")
            equal(servers, [67])
            equal(got, checksum)
            true(first <= 1, f"the first byte came after {first} s")

    for host in (nas, ws):
        strict(host, 1)
    with s.check(f"{SIX}, by IPv6 link-local"):
        server, client = serve(nas, SIX), forward(ws, SIX).up()
        equal(Get(ws).end()[0], checksum)
        for n in (client, server):
            n.kill()
    with s.check("two clients on one machine: the second one asks from "
                 "another port"):
        server = serve(nas)
        other = start(ws, "forward", "tcp://127.0.0.1:7778", TARGET, "via",
                      "lan://67@", *security(s, "c2", "s"), name="other")
        other.said("msg=forwarding")
        client = forward(ws).up()
        equal(Get(ws).end()[0], checksum)
        for n in (other, client, server):
            n.kill()
