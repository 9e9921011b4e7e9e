# SPDX-License-Identifier: MIT
"""A session between any two machines on one cable, whatever their addresses:
nine situations, each with rp_filter 0, 1 and 2, with IPv6 and without."""
import concurrent.futures
import itertools
import socket
import time

from lib import IN, LO, OUT, Failed, Scene, true
from lan import URL, Unprivileged, start, strict

CLIENT, SERVER = "10.1.1.1/24", "172.31.5.9/24"
# addresses of the client and the server on their cable; what else they have
SITUATIONS = {
    "same net": (CLIENT, "10.1.1.2/24", None),
    "foreign net": (CLIENT, SERVER, None),
    "foreign, default here": (CLIENT, SERVER, "here"),
    "foreign, default elsewhere": (CLIENT, SERVER, "elsewhere"),
    "server has none": (CLIENT, None, None),
    "client has none here": (None, SERVER, "client elsewhere"),
    "client has none": (None, SERVER, None),
    "neither has one": (None, None, None),
    "server on 169.254": (CLIENT, "169.254.7.9/16", None),
}
UP = 3  # seconds
TOGETHER = 8  # situations at a time


def elsewhere(host, net, default):
    """another interface of the host, that leads to nobody"""
    host.scene.cable(host, "other", host.scene.hosts["void"], host.name)
    host.address(f"192.168.{net}.1/24", "other")
    if default:
        host.ip(f"route add default via 192.168.{net}.254")


def addresses(a, b, situation):
    client, server, more = SITUATIONS[situation]
    for host, addr, net in ((a, client, 1), (b, server, 2)):
        if addr:
            host.address(addr)
        if more == "here":
            gate = addr.rsplit(".", 1)[0] + ".254"
            host.ip(f"route add default via {gate} dev eth0")
        if more == "elsewhere":
            elsewhere(host, net, True)
    if more == "client elsewhere":
        elsewhere(a, 1, False)


def echoes(a, b, seconds=2.0):
    """a datagram goes through the forward and comes back"""
    there, here = b.udp(LO, OUT), a.udp()
    try:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            here.send(b"word", (LO, IN))
            if there.recv(0.2) == b"word":
                there.send(b"back", there.source)
                if here.recv(0.5) == b"back":
                    return True
        return False
    finally:
        there.close()
        here.close()


class Trial:
    """one situation: two hosts, a cable, sessions with and without privilege"""

    def __init__(self, scene, who, number, what):
        self.scene, self.who, self.number = scene, who, number
        self.situation, self.rp, self.v6 = what

    def hosts(self):
        a, b = (self.scene.host(f"{x}{self.number}") for x in "ab")
        self.scene.cable(a, "eth0", b, "eth0")
        for h in (a, b):
            strict(h, self.rp, self.v6)
        addresses(a, b, self.situation)
        return a, b

    def serve(self, b, privileged):
        args = ["serve", URL, "--peer", self.scene.key("c")[1],
                "--allow", "udp://127.0.0.1:*"]
        name = f"s{self.number}{int(privileged)}"
        if privileged:
            return start(b, *args, "--key", self.scene.key("s")[0], name=name)
        return self.who.start(b, *args, "--key", self.who.key("s"), name=name)

    def reached(self, a, b, privileged):
        """seconds until the peer was up, or None; the programs end"""
        server = self.serve(b, privileged)
        server.said("msg=listening")
        began = time.monotonic()
        client = self.who.start(
            a, "forward", f"udp://127.0.0.1:{IN}", f"udp://127.0.0.1:{OUT}",
            "via", URL, "--key", self.who.key("c"), "--peer",
            self.scene.key("s")[1], name=f"c{self.number}{int(privileged)}")
        try:
            client.said("peer up", UP)
            took = time.monotonic() - began
            return took if echoes(a, b) else None
        except Failed:
            return None
        finally:
            for p in (client, server):
                p.kill()

    def run(self):
        a, b = self.hosts()
        return [self.reached(a, b, p) for p in (True, False)]


def table(s, results):
    """a line for each situation; columns: IPv6 on and off, rp_filter 0 1 2"""
    s.note(f"{'seconds until the peer is up':<28} server CAP_NET_RAW        "
           "       no privilege")
    s.note(f"{'':<28} IPv6, rp 0 1 2  no IPv6       IPv6            no IPv6")
    for name in SITUATIONS:
        cells = []
        for who, v6, rp in itertools.product((0, 1), (True, False), range(3)):
            took = results[name, rp, v6][who]
            cells.append("  - " if took is None else f"{took:4.1f}")
        groups = ["".join(cells[i:i + 3]) for i in range(0, 12, 3)]
        s.note(f"{name:<28} " + "   ".join(groups))


def count(results, who, v6=(True, False)):
    return sum(r[who] is not None for k, r in results.items() if k[2] in v6)


def missing(results, who, v6=(True, False)):
    return [k for k, r in results.items() if r[who] is None and k[2] in v6]


with Scene("lanm", __doc__) as s:
    who = Unprivileged(s)
    s.host("void")
    every = list(itertools.product(SITUATIONS, range(3), (True, False)))
    with concurrent.futures.ThreadPoolExecutor(TOGETHER) as pool:
        trials = [Trial(s, who, n, what) for n, what in enumerate(every)]
        results = dict(zip(every, pool.map(Trial.run, trials)))
    table(s, results)
    with s.check("54 of 54 with CAP_NET_RAW on the server"):
        true(count(results, 0) == 54, f"{missing(results, 0)}")
    with s.check("38 of 54 without any privilege"):
        s.note(f"{count(results, 1)} of 54")
        true(count(results, 1) >= 38, f"{missing(results, 1)}")
    with s.check("27 of 27 with IPv6 without any privilege"):
        true(count(results, 1, (True,)) == 27, f"{missing(results, 1, (True,))}")
