#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Several connections of one session: spread, lost one by one, and back"""
import signal
import time

from lib import IN, LINK, LO, OUT, Echo, Pinger, Scene, equal, true, until, url

LINKS = 4

with Scene("51", __doc__) as s:
    a, b = s.pair()
    link = url("tcp", b.v4, LINK)

    def start_client(links=LINKS, name="client"):
        return s.forward(a, url("udp", LO, IN), url("udp", LO, OUT),
                         f"{link}?connections={links}", name=name)

    def connections(host=None, end="dport"):
        """of the tunnel that are established, by the client's port"""
        text = (host or a).run("ss", "-Htn", "state", "established", end, "=",
                               str(LINK)).stdout
        return {line.split()[2 if end == "dport" else 3].rsplit(":", 1)[1]
                for line in text.splitlines()}

    def all_there(n=LINKS, seconds=5.0):
        until(lambda: client.peer()["links"] == n and
              server.peer()["links"] == n, f"{n} links", seconds, 0.01)

    def reset(host, port):
        """one connection ends, by the client's port"""
        host.run("ss", "-K", "sport" if host is a else "dport", "=", port)

    echo = Echo(b)
    server = s.serve(b, link)
    client = start_client()

    with s.check("four connections, and the session knows them on both ends"):
        all_there()
        equal(len(connections()), LINKS)
        equal(client.log().count("peer up"), 1)

    ping = Pinger(a, (LO, IN), rate=500)
    ping.after(time.monotonic())

    with s.check("traffic goes over each of them, both ways"):
        def carried(host, end):
            text = host.run("ss", "-Htni", end, "=", str(LINK)).stdout
            return [int(w.split(":")[1]) for w in text.split()
                    if w.startswith("bytes_acked:")]
        before = sorted(carried(a, "dport")), sorted(carried(b, "sport"))
        first = ping.sent
        until(lambda: ping.sent > first + 400, "400 questions")
        for old, new in zip(before, (sorted(carried(a, "dport")),
                                     sorted(carried(b, "sport")))):
            equal(len(new), LINKS)
            more = [n - o for o, n in zip(old, new)]
            true(min(more) * 2 > max(more), f"uneven: {more}")

    with s.check("one after the other is reset: nothing but what is under way "
                 "is lost, and it comes back"):
        for i in range(2 * LINKS):
            known = connections()
            first = ping.sent
            reset(a if i % 2 else b, sorted(known)[i % LINKS])
            until(lambda: len(connections() - known) == 1, "another one")
            all_there()
            ping.unhurt(first, 2)
        equal(client.log().count("peer up"), 1)

    with s.check("a half-open one: its successor takes its place at once"):
        port = sorted(connections())[1]
        a.nft("add table inet t; add chain inet t c { type filter hook output "
              "priority 0; }; add rule inet t c tcp sport "
              f"{port} drop")
        reset(a, port)
        all_there()
        until(lambda: port not in connections(b, "sport"),
              "the server has closed it", 3, 0.02)
        a.nft("delete table inet t")
        first = ping.sent
        ping.after(time.monotonic())
        ping.unhurt(first)

    with s.check("one is silent, its packets are dropped: traffic passes it by "
                 "within a second"):
        port = sorted(connections())[2]
        a.nft("add table inet t; add chain inet t c { type filter hook output "
              f"priority 0; }}; add rule inet t c tcp sport {port} drop")
        moment = time.monotonic()
        until(lambda: time.monotonic() - moment > 1, "a second", step=0.05)
        first = ping.sent
        until(lambda: ping.sent > first + 500, "500 questions")
        ping.unhurt(first, 10)
        a.nft("delete table inet t")
        all_there(seconds=20)

    with s.check("the server is killed and back: flows go on, all links"):
        server.kill()
        server = s.serve(b, link)
        s.note(f"flowing {ping.after(time.monotonic()):.3f} s after")
        all_there()
        equal(len(connections()), LINKS)

    with s.check("the client is killed and back: the server drops what the "
                 "old one had"):
        client.kill()
        client = start_client()
        s.note(f"flowing {ping.after(time.monotonic()):.3f} s after")
        all_there()
        until(lambda: connections() == connections(b, "sport"), "the same")

    with s.check("the client moves to another address: the server keeps none "
                 "of the old ones"):
        a.ip("addr del 10.51.0.1/24 dev eth0")
        a.address("10.51.0.9/24")
        a.run("ss", "-K", "dport", "=", str(LINK))
        s.note(f"flowing {ping.after(time.monotonic()):.3f} s after")
        all_there()
        until(lambda: "10.51.0.1:" not in b.run(
            "ss", "-Htn", "state", "established", "sport", "=",
            str(LINK)).stdout, "nothing to the old address", 3)

    with s.check("the server stands still for 2 s: all links live"):
        ups = client.log().count("link down")
        server.signal(signal.SIGSTOP)
        moment = time.monotonic()
        until(lambda: time.monotonic() - moment > 2, "time passes", step=0.1)
        server.signal(signal.SIGCONT)
        ping.after(time.monotonic())
        equal(client.log().count("link down"), ups)
        all_there()

    with s.check("both stop in order, and every connection with them"):
        server.kill()  # one whose log has left nothing out yet
        server = s.serve(b, link)
        all_there()
        client.signal(signal.SIGTERM)
        equal(client.exit_code(), 0)
        until(lambda: server.peer()["links"] == 0, "the server has none")
        true("said goodbye" in server.log(), "goodbye")
        client = start_client(2, "client2")
        until(lambda: client.peer()["links"] == 2, "two")
        ping.after(time.monotonic())
