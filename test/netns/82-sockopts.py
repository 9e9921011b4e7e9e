#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Options of a link's socket: mark, interface, cc, mptcp; two cables"""
import re
import signal
import time

from lib import (CULVERT, IN, LINK, LO, OUT, Echo, Pinger, Scene, equal, true,
                 until, url)

NET = 82

with Scene("82", __doc__.splitlines()[0]) as s:
    a, b = s.pair()
    s.cable(a, "eth1", b, "eth1")
    for n, h in ((1, a), (2, b)):
        h.second = f"10.{NET}.1.{n}"
        h.address(h.second + "/24", "eth1")
        h.sysctl("net.mptcp.enabled", 1)
        port, mark = ("dport", 77) if h is a else ("sport", 0x1234)
        h.nft("add table inet t; add counter inet t marked; "
              "add counter inet t bare; add chain inet t "
              "o { type filter hook output priority 0; }; "
              f"add rule inet t o tcp {port} 3456 meta mark {mark} counter "
              f"name marked; add rule inet t o tcp {port} 3456 meta mark 0 "
              "counter name bare")
    echo = Echo(b)
    u = a.udp()
    here, there = url("tcp", b.v4, LINK), url("tcp", b.second, LINK)
    user = s.user()

    def packets(name):
        """of the link, with and without a mark, that left either host"""
        return [int(re.search(r"packets (\d+)", h.run(
            "nft", "list", "counter", "inet", "t", name).stdout)[1])
            for h in (a, b)]

    def serve(options="", link="tcp://*:3456"):
        return s.serve(b, link + options)

    def client(link, *options):
        return s.forward(a, url("udp", LO, IN), url("udp", LO, OUT), link,
                         options=options)

    def sockets(host, *args):
        """established connections of the link, as ss has them"""
        return host.run("ss", "-Htni", *args, "state", "established",
                        f"( sport = {LINK} or dport = {LINK} )").stdout

    def mptcp(host):
        """how many of them are MPTCP's: its own list, not TCP's subflows"""
        return len(host.run("ss", "-HnM", "state", "established",
                            f"( sport = {LINK} or dport = {LINK} )"
                            ).stdout.splitlines())

    def capable():
        """connections on which the other end has said MP_CAPABLE: as its
        answer at the client, in its last word at the server"""
        return [int(h.run("nstat", "-asz", f"MPTcpExtMPCapable{name}RX").stdout
                    .split()[-2]) for h, name in ((a, "SYNACK"), (b, "ACK"))]

    def flows():
        for n in (0, 1, 1472, 65000):
            equal(u.ask(bytes(n), (LO, IN)), bytes(n))

    def check(name):
        for node in s.all:
            node.kill()
        return s.check(name)

    with check("mark=, decimal and hexadecimal: on every packet of either "
               "end, and on none without it"):
        server = serve()
        c = client(here).up()
        flows()
        equal(packets("marked"), [0, 0])
        true(min(packets("bare")) > 5, "but it was there")
        server.kill()
        c.kill()
        until(lambda: not sockets(a) + sockets(b), "the link is gone")
        bare = packets("bare")
        serve("?mark=0x1234")
        client(here + "?mark=77").up()
        flows()
        true(min(packets("marked")) > 5, packets("marked"))
        equal(packets("bare"), bare)

    with check("interface= of an endpoint: out by that cable, against the "
               "routes"):
        a.ip(f"route add 10.{NET}.0.0/24 dev eth1 metric 1000")
        server = serve()
        client(here).up()
        true(url("tcp", a.v4, 0)[:-1] in server.peer()["link"], "by eth0")
        s.all[-1].kill()
        client(here + "?interface=eth1").up()
        flows()
        true(url("tcp", a.second, 0)[:-1] in server.peer()["link"],
             "by eth1")

    with check("interface= of a listener: it hears that cable only"):
        serve("?interface=eth1")
        client(there).up()
        flows()
        s.all[-1].kill()
        client(here).said('error="Connection refused"')

    with check("interface= that is missing: said at every attempt, and found "
               "once it is there"):
        serve()
        c = client(here + "?interface=eth9", "--log", "debug")
        c.said('error="interface eth9: no such device"', times=2)
        a.ip("link set eth1 down")
        a.ip("link set eth1 name eth9")
        a.ip("link set eth9 up")
        a.ip(f"route add 10.{NET}.0.0/24 dev eth9 metric 1000")
        c.up(15)
        a.ip("link set eth9 down")
        a.ip("link set eth9 name eth1")
        a.ip("link set eth1 up")

    with check("cc= on both ends"):
        has, other = (a.run("sysctl", "-n", f"net.ipv4.tcp_{key}").stdout
                      .split() for key in ("congestion_control",
                                           "available_congestion_control"))
        other = [name for name in other if name not in has][0]
        serve(f"?cc={other}")
        client(here).up()
        true(f" {has[0]} " in sockets(a), "the system's choice")
        true(f" {other} " in sockets(b), "the listener's")
        s.all[-1].kill()
        client(f"{here}?cc={other}").up()
        flows()
        true(f" {other} " in sockets(a), "the endpoint's")

    with check("cc= that the kernel does not have: what it has is said"):
        c = client(here + "?cc=nonsense", "--log", "debug")
        c.said('error="cc nonsense: this kernel has ', times=2)
        true(re.search(r'kernel has [a-z_ ]*\breno\b[a-z_ ]*"', c.log()),
             c.log())

    def refused(want, options, start=b.start):
        for option in options:
            p = start(CULVERT, "serve", "tcp://127.0.0.1:4000?" + option,
                      "--plain", "--name", s.prefix + "refused")
            equal(p.exit_code(), 1, option)
            equal(p.log().count("\n"), 1, "lines")
            for word in (want, "cannot listen on tcp://127.0.0.1:4000?"):
                true(word in p.log(), p.log())

    with check("a listener's options are refused at the start"):
        refused("interface eth9: no such device", ["interface=eth9"])
        refused("cc nonsense: this kernel has ", ["cc=nonsense"])

    with check("mark= wants a capability, and says which"):
        refused("mark: needs CAP_NET_ADMIN", ["mark=7"],
                lambda *args: user.start(b, " ".join(["culvert", *args[1:]])))
        c = user.start(a, f"culvert forward udp://{LO}:{IN} via {here}?mark=7 "
                       f"--plain --name {s.prefix}unmarked")
        c.said('error="mark: needs CAP_NET_ADMIN"')

    # --- MPTCP ---

    with check("mptcp=yes on both ends: MPTCP it is, on both"):
        before = capable()
        serve("?mptcp=yes")
        c = client(here + "?mptcp=yes").up()
        flows()
        equal((mptcp(a), mptcp(b)), (1, 1))
        equal(capable(), [n + 1 for n in before])
        equal(c.peer()["link"], here)

    with s.check("... with mark=, interface= and cc= as well"):
        for node in s.all:
            node.kill()
        before = packets("marked")
        serve(f"?mptcp=yes&cc={other}&mark=0x1234")
        client(f"{here}?mptcp=yes&cc={other}&mark=77&interface=eth0").up()
        flows()
        equal((mptcp(a), mptcp(b)), (1, 1))
        for h in (a, b):
            true(f" {other} " in sockets(h), sockets(h))
        true(all(n > old + 5 for n, old in zip(packets("marked"), before)),
             packets("marked"))

    with check("mptcp=yes on one end only, either: TCP, and it works"):
        for listen, dial in (("?mptcp=yes", ""), ("", "?mptcp=yes")):
            before = capable()
            serve(listen)
            client(here + dial).up()
            flows()
            equal(capable(), before, "no MPTCP")
            for node in s.all:
                node.kill()

    with check("MPTCP survives stops, restarts and hang-ups as TCP does"):
        server = serve("?mptcp=yes")
        c = client(here + "?mptcp=yes").up()
        ping = Pinger(a, (LO, IN))
        ping.after(time.monotonic())
        server.kill()
        c.said("link down")
        server = serve("?mptcp=yes")
        s.note(f"flowing {ping.after(time.monotonic(), 15):.3f} s after the "
               "server was back")
        server.signal(signal.SIGSTOP)
        server.signal(signal.SIGCONT)
        ping.after(time.monotonic())
        server.signal(signal.SIGTERM)
        equal(server.exit_code(), 0)
        c.said("link down", times=2)
        ping.close()

    with check("two cables, the one in use is cut: the session does not "
               "notice, traffic goes on over the other"):
        b.run("ip", "mptcp", "endpoint", "add", b.second, "dev", "eth1",
              "signal")
        for h in (a, b):
            h.run("ip", "mptcp", "limits", "set", "subflow", 2,
                  "add_addr_accepted", 2)
        server = serve("?mptcp=yes")
        c = client(here + "?mptcp=yes").up()
        until(lambda: len(re.findall("tcp-ulp-mptcp", sockets(a))) == 2,
              "a second subflow")
        ping = Pinger(a, (LO, IN))
        ping.after(time.monotonic())
        a.ip("link set eth0 down")
        cut = time.monotonic()
        s.note(f"flowing {ping.after(cut, 20):.3f} s after the cut")
        equal(c.log().count("peer up"), 1, "connections")
        ping.close()
        a.ip("link set eth0 up")

    with check("a kernel without MPTCP: TCP, and one line says so"):
        for h in (a, b):
            h.sysctl("net.mptcp.enabled", 0)
        server = serve("?mptcp=yes")
        c = client(here + "?mptcp=yes").up()
        flows()
        b.run("ss", "-K", "sport", "=", str(LINK))
        c.said("peer up", 5, 2)
        for node in (server, c):
            equal(node.log().count("this kernel has no MPTCP"), 1, node.tag)
        equal((mptcp(a), mptcp(b)), (0, 0))
