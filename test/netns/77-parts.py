# SPDX-License-Identifier: MIT
"""Datagrams larger than a packet, over links of datagrams"""
import os
import time

from lib import IN, LINK, LO, OUT, Echo, Scene, equal, true, until, url

LARGEST = 65507
SIZES = sorted({0, 1, 2, 700, 1200, *range(1390, 1480, 7), 1452, 1472, 1500,
                2000, 2800, 2900, 4096, 8192, 9000, 16384, 20000, 32768, 40000,
                48000, 65000, 65135, 65500, LARGEST - 1, LARGEST})

with Scene("77", __doc__) as s:
    a, b = s.pair()
    echo = Echo(b)
    u = a.udp()
    link = url("udp", b.v4, LINK)
    server = s.serve(b, link, url("tcp", b.v4, LINK))

    def forward(via=link):
        return s.forward(a, url("udp", LO, IN), url("udp", LO, OUT), via).up()

    def mtu(size):
        for h in (a, b):
            h.ip(f"link set eth0 mtu {size}")

    def there_and_back(sizes):
        for size in sizes:
            word = os.urandom(size)
            got = u.ask(word, (LO, IN))
            true(got == word, f"{size} bytes came back as "
                              f"{None if got is None else len(got)}")

    client = forward()

    with s.check("the very first datagram of a flow is the largest there is"):
        there_and_back([LARGEST])

    with s.check("a cable of 1,500: datagrams of every size, byte for byte"):
        there_and_back(SIZES)

    with s.check("300 of random sizes, each once, in any order"):
        words = {}
        for n in range(300):
            word = n.to_bytes(4, "big") + os.urandom(
                int.from_bytes(os.urandom(2), "big") % (LARGEST - 4))
            words[word[:4]] = word
            u.send(word, (LO, IN))
            got = u.recv(5)
            true(got is not None and words.pop(got[:4], None) == got,
                 f"datagram {n}")
        equal(words, {})

    with s.check("what WireGuard sends by default, in bursts"):
        sent, came = set(), 0
        for n in range(100):
            for k in range(20):
                word = (n * 20 + k).to_bytes(4, "big") * 363
                sent.add(word)
                u.send(word, (LO, IN))
            time.sleep(.005)
        for word in u.drain():
            true(word in sent, "one that was sent, once")
            sent.remove(word)
            came += 1
        s.note(f"{came} of 2000 came back")
        true(came > 1900, f"{came} of 2000")

    with s.check("a cable of 1,280: the same"):
        mtu(1280)
        client.kill()
        server.kill()
        server = s.serve(b, link, url("tcp", b.v4, LINK))
        client = forward()
        there_and_back([LARGEST])
        there_and_back(SIZES)
        for node in (client, server):
            equal(node.dropped("too_big"), 0)
            equal(node.dropped("malformed"), 0)
        mtu(1500)

    with s.check("the path becomes narrow while they go"):
        for h in (a, b):  # trains are to be seen as packets
            h.run("ethtool", "-K", "eth0", "tx-udp-segmentation", "off",
                  "gso", "off")
        client.kill()
        server.kill()
        server = s.serve(b, link, url("tcp", b.v4, LINK))
        client = forward()
        there_and_back([20000])
        for node in (client, server):
            until(lambda: node.peer()["path"]["mtu"] == 1500, "1,500 found", 5)
        for h in (a, b):
            h.nft("add table inet t; add chain inet t c { type filter hook "
                  "input priority 0; }; add rule inet t c iifname eth0 "
                  "ip length > 1300 drop")

        def flows():
            word = os.urandom(20000)
            return u.ask(word, (LO, IN), .3) == word
        until(flows, "it is found, and parts are smaller", 15)
        u.drain()
        there_and_back([5000, 20000, LARGEST])
        for h in (a, b):
            h.nft("delete table inet t")

    with s.check("a part is lost now and then: its datagram is, and counted"):
        before = server.dropped("incomplete")
        b.nft("add table inet t; add chain inet t c { type filter hook input "
              f"priority 0; }}; add rule inet t c udp dport {LINK} "
              "numgen random mod 100 < 3 drop")
        for n in range(200):
            u.send(n.to_bytes(4, "big") * 2500, (LO, IN))
            time.sleep(.004)
        b.nft("delete table inet t")
        back = u.drain()
        equal(len(set(back)), len(back))
        for word in back:
            equal(len(word), 10000)
            equal(word, word[:4] * 2500)
        until(lambda: server.dropped("incomplete") > before, "counted", 3)
        true(len(back) > 100, f"{len(back)} of 200")
        s.note(f"{len(back)} of 200 came back, "
               f"{server.dropped('incomplete') - before} incomplete")
        there_and_back([LARGEST])

    with s.check("over TCP nothing is cut, and nothing else changes"):
        client.kill()
        client = forward(url("tcp", b.v4, LINK))
        there_and_back(SIZES)

    with s.check("over IPv6"):
        client.kill()
        server.kill()
        server = s.serve(b, url("udp", b.v6, LINK))
        client = forward(url("udp", b.v6, LINK))
        there_and_back([LARGEST])
        there_and_back(SIZES)

    with s.check("over a LAN, by frames and by addresses"):
        client.kill()
        server.kill()
        server = s.serve(b, "lan://eth0", options=["--allow",
                                                   url("udp", LO, "*")])
        client = forward("lan://eth0")
        there_and_back([LARGEST])
        there_and_back(SIZES)
