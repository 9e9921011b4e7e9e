#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""One UDP port for all of a LAN: sessions with keys, discovery, and iproxy
version 1 beside them, to a box without any address"""
import json

from lib import CULVERT, Scene, equal, true
from lan import Get, Lan, start, strict, web

LINKS = (("lan://67@", "iproxy+bcast://67@"),
         ("bcast://67@eth0", "iproxy+mcast://67@239.255.67.86%eth0"),
         ("mcast://67@239.255.67.86%eth0", "iproxy+bcast://67@eth0"))
SERVICE, SESSION, OLD = "tcp://127.0.0.1:8080", 7777, 7778


def serve(keyed, old):
    box = start(nas, "serve", keyed, old, "--key", s.key("s")[0], "--peer",
                s.key("c")[1], "--plain", "--to", SERVICE, "--discoverable",
                name="box")
    return box.said("msg=listening")


def forward(via, port, *args):
    client = start(ws, "forward", f"tcp://127.0.0.1:{port}", *args, "via", via,
                   name=f"c{port}")
    return client.said("msg=forwarding")


def pages(keyed, old):
    """one by a session and one by iproxy, at the same time"""
    nodes = [forward(keyed, SESSION, SERVICE, "--key", s.key("c")[0], "--peer",
                     s.key("s")[1]),
             forward(old, OLD, "--plain")]
    try:
        gets = [Get(ws, SESSION), Get(ws, OLD)]
        for get in gets:
            equal(get.end()[0], checksum)
    finally:
        for n in nodes:
            n.kill()


def found(*link):
    r = ws.run(CULVERT, "discover", "-j", "--timeout", "1", *link)
    return [json.loads(x) for x in r.stdout.splitlines()]


with Scene("lanp", __doc__) as s:
    lan, nas, ws = Lan(s), s.host("nas"), s.host("ws")
    for host in (nas, ws):
        lan.plug(host)
    _, checksum = web(s, nas)
    for keyed, old in LINKS:
        with s.check(f"{keyed} with keys and {old} beside it"):
            box = serve(keyed, old)
            pages(keyed, old)
            box.kill()
    with s.check("both are found, each by its own question"):
        box = serve("lan://67@", "iproxy+bcast://67@")
        equal([(x["id"], x["version"] == "iproxy1") for x in found()],
              [(67, False)])
        equal([(x["id"], x["version"]) for x in found("iproxy+lan://")],
              [(67, "iproxy1")])
    with s.check("the log says which of the two is plain"):
        equal([line.count("plain=yes") for line in box.log().splitlines()
               if "msg=listening" in line], [0, 1])
        shown = nas.run(CULVERT, "show", s.prefix + "box").stdout
        true("plain: nothing" not in shown, shown)
        box.kill()
    with s.check("frames to a station do not pass: everybody is spoken to"):
        for host in (nas, ws):
            strict(host, 0, v6=False)
        lan.bridge.nft("add table bridge t; add chain bridge t f { type filter "
                       "hook forward priority 0; }; add rule bridge t f "
                       "ether daddr != ff:ff:ff:ff:ff:ff drop")
        box = serve("lan://67@", "iproxy+bcast://67@")
        client = forward("lan://67@", SESSION, SERVICE, "--key", s.key("c")[0],
                         "--peer", s.key("s")[1])
        equal(Get(ws, SESSION).end()[0], checksum)
        true("way=broadcast" in client.log(), client.log())
        client.kill()
        box.kill()
    with s.check("another group on the same port is refused in words"):
        r = nas.run(CULVERT, "serve", "mcast://67@239.1.1.1",
                    "mcast://67@239.1.1.2", "--key", s.key("s")[0], "--peer",
                    s.key("c")[1], check=False)
        equal(r.returncode, 1)
        true("another group" in r.stderr, r.stderr)
