#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Names: looked up anew, without waiting, several addresses at a time"""
import time

from lib import (IN, LINK, LO, OUT, Echo, Pinger, Scene, equal, true, until,
                 url)

with Scene("80", __doc__) as s:
    a, b = s.pair()
    for n in (3, 4):
        b.address(f"10.80.0.{n}/24")
    # global addresses, for they are preferred to IPv4 (RFC 6724)
    a.address("2001:db8:80::1/64")
    b.address("2001:db8:80::bad/64")
    # connections to this address are not refused: nothing answers at all
    b.nft("add table inet t; add chain inet t c { type filter hook input "
          "priority 0; }; add rule inet t c ip6 daddr 2001:db8:80::bad drop")
    echo = Echo(b)
    u = a.udp()

    def forward(via, name="client", to=url("udp", LO, OUT), frm=IN, key="c"):
        return s.forward(a, url("udp", LO, frm), to, via, name=name, key=key)

    def link_of(node):
        node.up()
        return node.peer()["link"]

    server = s.serve(b, "tcp://*:3456", peers=("c", "d"))

    with s.check("an IPv6 address that does not answer and an IPv4 one that "
                 "does: up within a second"):
        s.hosts_file(a, f"2001:db8:80::bad server.test\n{b.v4} server.test\n")
        began = time.monotonic()
        client = forward("tcp://server.test:3456")
        client.said("peer up", 2)
        took = time.monotonic() - began
        s.note(f"after {took:.3f} s")
        true(0.2 < took < 1, f"IPv6 first, then IPv4: {took} s")
        equal(link_of(client), url("tcp", b.v4, LINK))
        equal(u.ask(b"fast", (LO, IN)), b"fast")

    with s.check("the other way round: IPv4 refuses, IPv6 answers"):
        client.kill()
        s.hosts_file(a, f"{a.v4} server.test\n{b.v6} server.test\n")
        began = time.monotonic()
        client = forward("tcp://server.test:3456")
        client.said("peer up", 2)
        true(time.monotonic() - began < 0.2, "the refusal is not waited for")
        equal(link_of(client), url("tcp", b.v6, LINK))

    with s.check("the name gets another address, the server goes there: the "
                 "next attempt finds it"):
        ping = Pinger(a, (LO, IN))
        ping.after(time.monotonic())
        server.kill()
        s.hosts_file(a, "10.80.0.3 server.test\n")
        server = s.serve(b, "tcp://10.80.0.3:3456", peers=("c", "d"))
        s.note(f"flowing {ping.after(time.monotonic()):.3f} s after")
        equal(link_of(client), "tcp://10.80.0.3:3456")
        client.kill()
        ping.close()
        u.drain(0.02)

    # now by DNS: a server of ours on the client's host
    s.etc(a, "resolv.conf", "nameserver 127.0.0.53\noptions timeout:1\n")
    s.etc(b, "resolv.conf", "nameserver 127.0.0.53\noptions timeout:1\n")

    def dns(host, *records):
        p = host.start("dnsmasq", "-k", "-C", "/dev/null", "--no-resolv",
                       "--no-hosts", "--listen-address=127.0.0.53",
                       "--bind-interfaces", "--user=root", "--log-facility=-",
                       "--log-queries", *records)
        return p.said("started")

    with s.check("the name comes from DNS"):
        names = dns(a, "--host-record=site.test,10.80.0.3")
        client = forward("tcp://site.test:3456")
        equal(link_of(client), "tcp://10.80.0.3:3456")

    with s.check("DNS gives another address between two attempts"):
        server.kill()
        names.kill()
        names = dns(a, "--host-record=site.test,10.80.0.4")
        server = s.serve(b, "tcp://10.80.0.4:3456", peers=("c", "d"))
        until(lambda: u.ask(b"moved", (LO, IN), 0.2) == b"moved", "flows", 10)
        equal(link_of(client), "tcp://10.80.0.4:3456")
        u.drain(0.02)

    with s.check("DNS is dead: who is connected does not notice, the other "
                 "one waits"):
        names.kill()
        silent = a.udp("127.0.0.53", 53)
        waiting = forward("tcp://site.test:3456", "waiting", frm=1235, key="d")
        true(silent.recv(), "it asks")
        equal(u.ask(b"unhurt", (LO, IN)), b"unhurt")
        equal(waiting.peer()["state"], "down")
        silent.close()

    with s.check("DNS is back: the one that waited comes up"):
        names = dns(a, "--host-record=site.test,10.80.0.4")
        v = a.udp()
        until(lambda: v.ask(b"at last", (LO, 1235), 0.2) == b"at last",
              "flows", 12)

    with s.check("a target's name is looked up at the server; while that "
                 "hangs, other flows go on, and datagrams wait"):
        waiting.kill()
        silent = b.udp("127.0.0.53", 53)
        by_name = forward("tcp://10.80.0.4:3456", "byname",
                          f"udp://target.test:{OUT}", 1236, "d").up()
        w = a.udp()
        for n in range(3):
            w.send(b"%d" % n, (LO, 1236))
        true(silent.recv(), "the server asks")
        equal(u.ask(b"meanwhile", (LO, IN)), b"meanwhile")
        silent.close()
        dns(b, "--host-record=target.test,127.0.0.1")
        equal([w.recv() for _ in range(3)], [b"0", b"1", b"2"])

    with s.check("a target's name that does not exist is refused, with the "
                 "reason"):
        by_name.kill()
        by_name = forward("tcp://10.80.0.4:3456", "unknown",
                          f"udp://unknown.test:{OUT}", 1237, "d").up()
        w.send(b"anybody?", (LO, 1237))
        server.said('target="udp://unknown.test:5678"')
        by_name.said("peer refused a flow")
