#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Floods of connections, from one address and from 65536: who has a key, or
something to say, gets in within two seconds meanwhile; memory and descriptors
are bounded, what was refused is counted
"""
import base64
import collections
import contextlib
import os
import random
import resource
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "interop"))

import reference
from lib import (IN, LINK, LO, OUT, Echo, Node, Relay, Scene, Worker, equal,
                 true, until, url)

SLOW = "ASAN_OPTIONS" in os.environ  # the node takes what it can
WITHIN = 10 if SLOW else 2  # seconds
# kB; what is freed is kept for a while there, and leaks are told at the end
GROWN = 1 << 20 if SLOW else 2048
CROWD, ENOUGH = 3000, 300 if SLOW else 3000  # open at once; counted drops
STRANGERS, SOURCE = 1024, 64  # CV_LINKS_STRANGER, CV_LINKS_SOURCE
FLOWS, FLOWS_SOURCE = 512, 128  # --max-flows, --max-flows-per-source
REST = 40  # descriptors for other things

rng = random.Random(43)
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Flood(Worker):
    """connects all the time, says something and stays until it is one of
    the oldest"""

    def __init__(self, host, port, source, say):
        self.host, self.to, self.say = host, (b.v4, port), say
        self.source = source
        self.open, self.made = collections.deque(), 0
        super().__init__(host.scene)

    def loop(self):
        with self.host:
            super().loop()

    def turn(self):
        t = socket.socket()
        t.settimeout(0.02)  # a flood waits for nobody
        t.setsockopt(socket.IPPROTO_IP, 15, 1)  # IP_FREEBIND
        with contextlib.suppress(OSError):  # closed by the node: as it should
            t.bind((self.source(), 0))
            t.connect(self.to)
            self.made += 1
            t.sendall(self.say())
        self.open.append(t)
        while len(self.open) > CROWD:
            self.open.popleft().close()

    def close(self):
        super().close()
        for t in self.open:
            t.close()


def garbage():
    return rng.randbytes(rng.randrange(3, 400))


def record(packet):
    return len(packet).to_bytes(3, "big") + packet


with Scene("43", __doc__) as s:
    a, b = s.pair()
    a.ip("route add local 10.200.0.0/16 dev lo")
    b.ip(f"route add 10.200.0.0/16 via {a.v4}")
    for h in (a, b):
        h.sysctl("net.ipv4.tcp_max_syn_backlog", 8192)
    Echo(b)
    server = s.serve(b, url("tcp", b.v4, LINK), peers=("c", "d"))
    frames = Node(b, ["serve", url("frames+tcp", b.v4, 4000), "--to",
                      url("udp", LO, OUT), "--max-flows", str(FLOWS),
                      "--max-flows-per-source", str(FLOWS_SOURCE)],
                  "frames", "msg=listening")

    # a genuine initiation, as somebody on the way hears it
    relay = Relay(b, b.v4, 3999, (b.v4, LINK))
    s.forward(a, url("udp", LO, 1300), url("udp", LO, OUT),
              url("tcp", b.v4, 3999), key="d", name="heard").up().kill()
    heard = relay.first[0][:171]
    relay.close()

    # of keys that are unknown there, but whose mac1 is right
    key = base64.b64decode(s.key("s")[1])
    unknown = [record(reference.Initiation(reference.Node(), key).packet)
               for _ in range(200)]

    FLOODS = {  # what they say, and the names under which that is counted
        "nothing": (lambda: b"", ["stranger"]),
        "garbage": (garbage, ["malformed", "stranger"]),
        "initiations of unknown keys": (
            lambda: rng.choice(unknown), ["unknown_peer", "under_load"]),
        "a peer's initiation, heard before": (
            lambda: heard, ["stale_hello", "under_load"]),
    }

    def counted(node, names):
        dropped = node.show()["dropped"]
        return sum(dropped[n] for n in names)

    def native():
        """a peer starts"""
        return s.forward(a, url("udp", LO, IN), url("udp", LO, OUT),
                         url("tcp", b.v4, LINK), name="client")

    def foreign():
        """a program without keys"""
        return Node(a, ["forward", url("udp", LO, IN), "via",
                        url("frames+tcp", b.v4, 4000)], "client",
                    "msg=forwarding")

    def newcomer(start, who):
        """seconds from its start until what it is asked is answered"""
        for p in s.all:  # of a check that failed
            if p.tag == "client":
                p.kill()
        began, u = time.monotonic(), a.udp()
        client = start()
        until(lambda: u.ask(who, (LO, IN), 0.1) == who, "answered", 10, 0)
        took = time.monotonic() - began
        client.kill()
        return took

    # where they come from: how many connections that is to be worth, how
    # long a newcomer may take
    SOURCES = {
        "one address": (lambda: "10.200.0.1", SOURCE, WITHIN),
        "65536 addresses": (
            lambda: f"10.200.{rng.randrange(256)}.{rng.randrange(256)}",
            STRANGERS, WITHIN),
        "the peer's own address": (lambda: a.v4, SOURCE, 5 * WITHIN),
    }

    def flooded(node, where, most, what, say, names):
        flood = None
        port, start = (LINK, native) if node is server else (4000, foreign)
        source, _, within = SOURCES[where]
        before, was = counted(node, names), set(node.drops())
        with s.check(f"{node.tag}: {what}, from {where}"):
            flood = Flood(a, port, source, say)
            until(lambda: counted(node, names) >= before + ENOUGH,
                  f"{ENOUGH} are counted as {' or '.join(names)}", 30, 0.2)
            fds, took = 0, []
            for n in range(3):
                took.append(newcomer(start, b"newcomer %d" % n))
                fds = max(fds, node.descriptors())
            s.note(f"{flood.made} connections; in after "
                   f"{', '.join(f'{t:.2f}' for t in took)} s; {fds} "
                   f"descriptors, {node.status('VmRSS')} kB")
            # two of three: where the node waits for a CPU its backlog is full,
            # and the kernel of who is turned away asks again each second
            true(sorted(took)[1] < within, f"after {took} s")
            true(fds <= most + REST, f"{fds} descriptors")
            # an answer may be on its way when the newcomer goes
            new = set(node.drops()) - was - {*names, "link_lost", "no_session"}
            equal(new, set(), "counted under other names")
        if flood:
            flood.close()
            s.workers.remove(flood)

    newcomer(native, b"warm")
    newcomer(foreign, b"warm")
    every = [(server, where, most, what, *FLOODS[what])
             for what in FLOODS for where, (_, most, _) in SOURCES.items()]
    every += [(frames, where, most, what, say, names)
              for what, say, names in (
                  ("nothing", lambda: b"", ["stranger"]),
                  ("HTTP", lambda: b"GET / HTTP/1.0\r\n\r\n" + bytes(16),
                   ["malformed", "stranger"]))
              for where, most in (("one address", 2 * FLOWS_SOURCE),
                                  ("65536 addresses", 2 * FLOWS))]
    sizes = {}
    for one in every:
        flooded(*one)
        sizes.setdefault(one[0].tag, one[0].status("VmRSS"))

    with s.check("memory is what it was after the first of these floods"):
        for node in (server, frames):
            rss = node.status("VmRSS")
            s.note(f"{node.tag}: {sizes[node.tag]} kB, then {rss} kB")
            true(rss <= sizes[node.tag] + GROWN, f"{node.tag}: {rss} kB")

    with s.check("when it is over nothing of it is left"):
        for node in (server, frames):
            until(lambda n=node: n.descriptors() <= REST, f"{node.tag}: "
                  "descriptors", 8)
            true(node.alive(), "lives")
        newcomer(native, b"after")
        newcomer(foreign, b"after")
