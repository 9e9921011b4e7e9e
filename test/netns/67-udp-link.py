#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Links of UDP: up, told to the user, restarted, moved, and silent"""
import os
import re
import time

from lib import (CULVERT, IN, LINK, LO, OUT, Echo, Pinger, Scene, equal, sh,
                 true, until, url)

with Scene("67", __doc__) as s:
    a, b = s.pair()
    echo = Echo(b)
    u = a.udp()
    link = url("udp", b.v4, LINK)

    def forward(via=link, name="client", options=()):
        return s.forward(a, url("udp", LO, IN), url("udp", LO, OUT), via,
                         name=name, options=options)

    def back(word, seconds=5.0):
        """until an answer comes: seconds it took"""
        began = time.monotonic()
        def ask():
            u.send(word, (LO, IN))
            return u.recv(0.05) == word
        until(ask, f"{word!r} comes back", seconds, 0.0)
        return time.monotonic() - began

    server = s.serve(b, link)
    client = forward()

    with s.check("the session comes up, and show says over what"):
        client.up()
        server.up()
        equal(client.peer()["link"], link)
        true(server.peer()["link"].startswith(f"udp://{a.v4}:"),
             server.peer()["link"])
        equal(client.peer()["links"], 1)

    with s.check("datagrams of any size that fits go there and back"):
        for size in (0, 1, 500, 1200):
            word = os.urandom(size)
            equal(u.ask(word, (LO, IN)), word)

    with s.check("no key is known of: not a byte comes back, whatever is "
                 "said"):
        x = a.udp(a.v4)
        for first in (1, 2, 3, 4, 0x11, 0x12, 0x14, 0, 99, 255):
            for size in (0, 1, 15, 16, 48, 100, 128, 176, 192, 500, 1400):
                p = bytes([first])[:size] + os.urandom(max(size - 1, 0))
                x.send(p, (b.v4, LINK))
        equal(x.recv(0.5), None)
        equal(u.ask(b"still there", (LO, IN)), b"still there")

    with s.check("the server is killed and comes back: the flow goes on"):
        server.kill()
        server = s.serve(b, link)
        s.note(f"after {back(b'one', 45):.2f} s")
        client.up()

    with s.check("it is stopped in order: the client knows at once"):
        server.signal(15)
        equal(server.exit_code(), 0)
        until(lambda: client.peer()["state"] != "up", "down", 2, 0.02)
        server = s.serve(b, link)
        s.note(f"after {back(b'two', 15):.2f} s")

    with s.check("the client is killed and comes back"):
        client.kill()
        client = forward()
        s.note(f"after {back(b'three', 5):.2f} s")
        equal(server.peer()["state"], "up")

    with s.check("the client gets another address: told at once, and no "
                 "handshake"):
        ping = Pinger(a, (LO, IN), rate=200)
        ping.after(time.monotonic())
        hands = client.peer()["handshakes"]
        a.ip(f"addr del {a.v4}/24 dev eth0")
        a.address("10.67.0.11/24")
        s.note(f"flowing {ping.after(time.monotonic(), 5):.3f} s after")
        until(lambda: server.peer()["link"].startswith("udp://10.67.0.11:"),
              "the server knows", 2, 0.02)
        equal(client.peer()["handshakes"], hands)
        ping.close()
        a.ip("addr del 10.67.0.11/24 dev eth0")
        a.address(a.v4 + "/24")
        back(b"home", 5)

    with s.check("an idle client gets another address: the server is told at "
                 "once"):
        # none for a moment: two changes, of which the second is told too
        for old, new in ((a.v4, "10.67.0.12"), ("10.67.0.12", a.v4)):
            a.ip(f"addr del {old}/24 dev eth0")
            a.address(new + "/24")
            until(lambda: server.peer()["link"].startswith(f"udp://{new}:"),
                  "the server knows", 2, 0.01)

    with s.check("show tells the granted socket buffers"):
        for node in (client, server):
            way = node.peer()["way"]
            got = re.fullmatch(r"socket buffers of (\d+) KiB in, (\d+) KiB out",
                               way)
            true(got and all(int(n) > 100 for n in got.groups()), way)
            true(f"  way: {way}\n" in sh(CULVERT, "show", node.name).stdout,
                 "as text")

    with s.check("a server on all addresses answers from the one asked"):
        server.kill()
        client.kill()
        b.address("10.67.0.22/24")
        server = s.serve(b, f"udp://*:{LINK}", f"tcp://*:{LINK}")
        client = forward(f"udp://10.67.0.22:{LINK}")
        back(b"other", 5)
        equal(client.peer()["link"], f"udp://10.67.0.22:{LINK}")

    with s.check("IPv6"):
        client.kill()
        client = forward(url("udp", b.v6, LINK))
        back(b"six", 5)
        equal(client.peer()["link"], url("udp", b.v6, LINK))
        true(server.peer()["link"].startswith(f"udp://[{a.v6}]:"),
             server.peer()["link"])

    with s.check("two addresses of which the first is dead"):
        client.kill()
        a.address("2001:db8:67::1/64")
        b.address("2001:db8:67::bad/64")
        b.nft("add table inet t; add chain inet t c { type filter hook input "
              "priority 0; }; add rule inet t c ip6 daddr 2001:db8:67::bad "
              "drop")
        s.hosts_file(a, f"2001:db8:67::bad server.test\n{b.v4} server.test\n")
        client = forward(f"udp://server.test:{LINK}")
        took = back(b"second", 12)
        s.note(f"after {took:.2f} s")
        equal(client.peer()["link"], link)

    with s.check("nobody there: it goes on trying, and comes up when there "
                 "is"):
        server.kill()
        client.kill()
        client = forward()
        time.sleep(1)
        true(client.alive(), "it lives")
        true(client.peer()["state"] != "up", "not up")
        server = s.serve(b, link)
        s.note(f"after {back(b'there', 12):.2f} s")

    with s.check("?connections= is refused, and why"):
        r = a.run(CULVERT, "forward", url("udp", LO, 77), url("udp", LO, OUT),
                  "via", link + "?connections=2", *s.security("c", ["s"]),
                  check=False)
        equal(r.returncode, 2)
        true("?connections= is for tcp://" in r.stderr, r.stderr)
