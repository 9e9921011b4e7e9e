#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""lan.py CULVERT [PART...] - machines of one LAN, whatever addresses they have

Every figure that is asked of lan://, discovery and iproxy version 1, one line
each: its value, the yardsticks of the same run, what is wanted, ok or NOT.
Then what each kind of culvert process took: CPU and memory.  The exit code
speaks of wrong data and of parts that failed, never of time.
"""
import argparse
import contextlib
import json
import os
import re
import signal
import socket
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "netns"))

from report import Report, median, quiet
from cables import WAYS, Cables, Feed, page_bytes
from discovery import Watch
from lan import (TARGET, URL, Get, Lan, Unprivileged, forward, security, serve,
                 strict, web)
from lib import CULVERT, LO, Node, Scene, equal, until

MB = 1000000
CAP = 3 * MB  # bytes a second of sealed packets that each end floods
HEADERS = 14 + 20 + 8  # of a broadcast packet
DATA, HEADER = 1048, 28  # of a packet of iproxy version 1
BARE, TO = 8081, 17300  # ports of what is measured without culvert
KNOWN = 7778  # and of a forward to an address that is known
FLOWS = 200000  # bytes until a stream is said to flow


class Ground(Scene):
    """hosts and programs of one part; nothing of it is left"""

    def __init__(self):
        super().__init__("lanb", "")
        self.costs = {}  # by kind of process: [(CPU seconds, kB)]

    def __exit__(self, *_):
        # a second Ctrl-C is not to leave half of it
        old = signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.clear()
        signal.signal(signal.SIGINT, old)

    def end(self, *nodes):
        """stop them in order; what they have taken"""
        for n in nodes:
            kind = re.sub(r"\d+$", "", n.tag)
            self.costs.setdefault(kind, []).append((n.cpu(),
                                                    n.status("VmRSS")))
            n.signal(signal.SIGTERM)
        for n in nodes:
            equal(n.exit_code(20), 0, f"{n.tag}'s exit code")


class Bench:
    """parts, each on a ground of its own"""

    def __init__(self, ground, report, options):
        self.s, self.add, self.note, self.o = ground, report.add, report.note, \
            options

    def times(self, n):
        return max(2, int(n * self.o.scale))

    # --- a page of a box without an IPv4 address ---

    def page(self):
        lan = Lan(self.s)
        a, b = self.s.host("a"), self.s.host("b")
        lan.plug(a, addr="10.1.1.1/24")
        lan.plug(b)
        _, want = web(self.s, b)
        at = link_local(b)
        _, other = web(self.s, b, MB, BARE, at + "%eth0")
        bare = dict(port=BARE, addr=f"[{at}%25eth0]")
        server = serve(b, URL, "--peer", self.s.key("c2")[1], "udp://[::]:3456")
        def known():
            return Node(a, ["forward", f"tcp://{LO}:{KNOWN}", TARGET, "via",
                            f"udp://[{at}%eth0]:3456", *security(
                                self.s, "c2", "s")], "known", "msg=forwarding")

        firsts, colds, yards, bares = [], [], [], []
        for _ in range(self.times(10)):
            began = time.monotonic()
            client = forward(a)
            get = Get(a)
            first, total = fetched(get, want)
            firsts.append(get.began - began + first)
            colds.append(total)
            there = known()
            yards.append(fetched(Get(a, KNOWN), want)[1])
            bares.append(fetched(Get(a, **bare), other)[1])
            self.s.end(client, there)
        self.pages("cold", colds, yards, bares)
        client, there = forward(a).up(), known().up()
        until(lambda: client.peer()["way"].startswith("unicast"), "unicast")
        warms, yards = [], []
        for _ in range(self.times(30)):
            warms.append(fetched(Get(a), want)[1])
            yards.append(fetched(Get(a, KNOWN), want)[1])
            bares.append(fetched(Get(a, **bare), other)[1])
        self.s.end(client, there, server)
        self.pages("warm", warms, yards, bares)
        self.add("first byte, client started", median(firsts), "s",
                 ("<=", 1), {"worst": max(firsts)})

    def pages(self, how, got, known, bare):
        """beside culvert to an address that is known, and TCP without it"""
        got, known = median(got), median(known)
        self.add(how, got * 1e3, "ms", None, {
            "udp://": known * 1e3, "bare TCP": median(bare) * 1e3})
        self.add(how + ", of udp://", got / known, "times", ("<=", 2))

    # --- only what goes to everybody passes ---

    def cast(self):
        """neither has an address, nor the privilege to send frames"""
        lan, who = Lan(self.s), Unprivileged(self.s)
        a, b, third = (self.s.host(x) for x in "abc")
        lan.plug(a)
        to_b, to_third = lan.plug(b), lan.plug(third)
        for h in a, b:
            strict(h, 0, v6=False)
        lan.bridge.nft("add table bridge t; add chain bridge t f { type filter "
                       "hook forward priority 0; }; add rule bridge t f "
                       "ether daddr != ff:ff:ff:ff:ff:ff drop")
        size = self.times(10) * MB
        _, want = web(self.s, b, size)
        server = who.start(b, "serve", URL, *who.security("s", "c"), "--allow",
                           TARGET, name="server").said("msg=listening")
        client = who.start(a, "forward", f"tcp://{LO}:7777", TARGET, "via",
                           URL, *who.security("c", "s"), name="client")
        client.said("peer up")
        meter = Meter(lan.bridge)
        total = fetched(Get(a), want)[1]
        meter.close()
        self.s.end(client, server)
        self.add(f"{size / MB:.0f} MB", size * 8 / total / 1e6, "Mbit/s",
                 (">=", 20))
        self.add("a third host sees", meter.busiest(to_third, "tx"), "bytes/s")
        self.add("sealed, of the server", meter.busiest(to_b, "rx", HEADERS),
                 "bytes/s", ("<=", CAP))

    # --- discovery ---

    def discover(self):
        lan = Lan(self.s)
        a = self.s.host("a")
        lan.plug(a, addr="192.168.7.2/24")
        for count, limit in ((20, 2), (200, 3)):
            count = self.times(count)
            boxes = [self.box(lan, n) for n in range(1, count + 1)]
            for one in boxes:
                one.said("msg=listening", 30)
            tries = [self.asked(a, count) for _ in range(3)]
            self.add(f"{count} boxes, found", min(t[0] for t in tries),
                     "boxes", (">=", count))
            self.add(f"{count} boxes, command ends", max(
                t[1] for t in tries), "s", ("<=", limit))
            self.add(f"{count} boxes, in 100 ms", max(t[2] for t in tries),
                     "answers", ("<=", 100))
            self.s.end(*boxes)
            for one in boxes:
                lan.remove(one.host, "eth0")

    def box(self, lan, n):
        host = self.s.hosts.get(f"b{n}") or self.s.host(f"b{n}")
        lan.plug(host)
        return Node(host, ["serve", f"lan://{n}@", *self.s.security(
            f"k{n}", ["c"]), "--discoverable"], f"server{n}", "")

    def asked(self, host, count):
        """found, seconds, answers in the busiest 100 ms"""
        watch = Watch(host)
        began = time.monotonic()
        p = host.start(CULVERT, "discover", "-j", tag="discover")
        kb, status = 0, 0
        while not status:
            with contextlib.suppress(AttributeError, OSError, TypeError):
                kb = p.status("VmHWM")
            time.sleep(0.005)
            status, code, used = os.wait4(p.pid, os.WNOHANG)
        took = time.monotonic() - began
        watch.end()
        p.popen.returncode = os.waitstatus_to_exitcode(code)
        equal(p.popen.returncode, 0, "exit code of discover")
        self.s.costs.setdefault("discover", []).append(
            (used.ru_utime + used.ru_stime, kb))
        found = [json.loads(line) for line in p.log().splitlines()]
        equal(sorted((f["id"], f["key"]) for f in found), sorted(
            (n, self.s.key(f"k{n}")[1]) for n in range(1, count + 1)))
        return len(found), took, watch.busiest()

    # --- interfaces come and go ---

    def lan_of_two(self):
        """the client's cables and the server's port; DAD as machines do"""
        lan = Lan(self.s)
        a, b = self.s.host("a"), self.s.host("b")
        for h in a, b:
            h.sysctl("net.ipv6.conf.default.accept_dad", 1)
        to_b = lan.plug(b)
        return lan, to_b, Cables(lan, a), a, b

    def move(self):
        _, _, cables, a, b = self.lan_of_two()
        server, client = serve(b), forward(a)
        client.up()
        for what, change in WAYS:
            feed = Feed(a, b)
            self.s.sockets.append(feed)  # closed, however this ends
            took = feed.moved(self.times(50),
                              lambda n, c=change: c(cables, n), FLOWS)
            feed.end()
            self.add(what, max(took), "s", ("<=", 1),
                     {"median": median(took), "of": len(took)})
        self.s.end(client, server)

    def double(self):
        lan, port, cables, a, b = self.lan_of_two()
        size = 4 * MB
        _, want = web(self.s, b, size)
        server, client = serve(b), forward(a)
        client.up()
        until(lambda: client.peer()["way"].startswith("unicast"), "unicast")
        one = page_bytes(lan, a, port, want)
        cables.both()
        fetched(Get(a), want)
        two = median([page_bytes(lan, a, port, want) for _ in range(3)])
        self.s.end(client, server)
        self.add("bytes per byte", two / size, "", ("<=", 1.1),
                 {"one interface": one / size})

    # --- iproxy version 1 ---

    def iproxy(self):
        a, b = self.far(1.0)
        _, want = web(self.s, b)
        for link in "iproxy+bcast://67@", "iproxy+udp://67@":
            udp = "udp" in link
            server = Node(b, ["serve", link + "*:17238" * udp, "--to",
                              f"tcp://{LO}:8080", "--plain"], "server",
                          "msg=listening")
            client = Node(a, ["forward", f"tcp://{LO}:7777", "via",
                              link + "10.1.1.2:17238" * udp, "--plain"],
                          "client", "msg=forwarding")
            fetched(Get(a), want)
            got, bare = [], []
            for _ in range(5):
                bare.append(ping_pong(a, b, MB))
                got.append(fetched(Get(a), want)[1])
            self.s.end(client, server)
            name = link.split(":")[0].split("+")[1]
            took, yard = median(got), median(bare)
            self.add(f"{name}, 1 MB", took, "s", None,
                     {"ping-pong": yard, "1 ms": -(-MB // DATA) / 1e3})
            self.add(f"{name}, of a ping-pong", yard / took, "", (">=", 0.9))

    def far(self, ms):
        """two hosts, joined by wan: that much there and back"""
        a, b, w = (self.s.host(x) for x in "abw")
        w.sysctl("net.ipv6.conf.all.disable_ipv6", 1)
        for n, h in (1, a), (2, b):
            self.s.cable(w, f"w{h.name}", h, "eth0")
            h.run("ethtool", "-K", "eth0", "tso", "off",
                  "tx-udp-segmentation", "off")
            w.run("ethtool", "-K", f"w{h.name}", "gro", "off")
            h.address(f"10.1.1.{n}/24")
        wan = w.start(self.o.wan, "wa", "wb", "--rt", "--delay", ms / 2)
        until(lambda: not wan.alive() or a.run(
            "ping", "-c1", "-W1", "10.1.1.2", check=False).returncode == 0,
              "wan joins them")
        equal(wan.alive(), True, "wan runs")
        return a, b


class Meter(threading.Thread):
    """bytes of a host's interfaces, fifty times a second"""

    def __init__(self, host):
        super().__init__(daemon=True)
        self.host, self.samples, self.stop = host, [], threading.Event()
        self.start()

    def run(self):
        with self.host:
            while True:
                with open("/proc/thread-self/net/dev") as f:
                    lines = [x.replace(":", " ").split() for x in f][2:]
                self.samples.append((time.monotonic(), {
                    w[0]: {"rx": (int(w[1]), int(w[2])),
                           "tx": (int(w[9]), int(w[10]))} for w in lines}))
                if self.stop.wait(0.02):
                    return

    def close(self):
        self.stop.set()
        self.join()

    def busiest(self, port, way, less=0):
        """most bytes in a second, without @less bytes of every packet"""
        series = [(t, d[port][way][0] - less * d[port][way][1])
                  for t, d in self.samples]
        most, first = 0, 0
        for t, n in series:
            while t - series[first][0] > 1:
                first += 1
            most = max(most, n - series[first][1])
        return most


def link_local(host):
    return re.search(r"inet6 (fe80[^/]*)/",
                     host.ip("-6 addr show dev eth0"))[1]


def fetched(get, want):
    """the page is right: seconds to the first byte, and to the last"""
    got, first, total = get.end()
    equal(got, want, "checksum")
    return first, total


def ping_pong(a, b, size):
    """seconds for @size bytes, one packet a round trip, by bare sockets"""
    socks = []
    for h in b, a:
        with h:
            socks.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    far, near = socks
    far.bind(("10.1.1.2", TO))
    near.connect(("10.1.1.2", TO))
    near.settimeout(5)
    far.settimeout(5)
    packets = -(-size // DATA)

    def answer():
        for _ in range(packets + 1):
            data, at = far.recvfrom(2048)
            far.sendto(data[:HEADER], at)

    t = threading.Thread(target=answer, daemon=True)
    t.start()
    packet = bytes(HEADER + DATA)
    for n in range(packets + 1):
        if n == 1:  # the first one was ARP's
            began = time.monotonic()
        near.send(packet)
        near.recv(2048)
    took = time.monotonic() - began
    t.join()
    for s in socks:
        s.close()
    return took


PARTS = {name: getattr(Bench, name) for name in (
    "page", "cast", "discover", "move", "double", "iproxy")}


def arguments():
    p = argparse.ArgumentParser(
        description=__doc__.split("\n\n", 1)[1], epilog="Parts: " +
        " ".join(PARTS), formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("culvert")
    p.add_argument("part", nargs="*")
    p.add_argument("--wan", help="default: test/bench/wan beside CULVERT")
    p.add_argument("--json", metavar="FILE", help="all figures, in the end")
    p.add_argument("--scale", type=float, default=1, metavar="X",
                   help="of all counts; below 1 to see that it works")
    o = p.parse_intermixed_args()
    for name in o.part:
        if name not in PARTS:
            p.error(f"no part {name}; there are {' '.join(PARTS)}")
    o.part = o.part or list(PARTS)
    o.wan = os.path.abspath(o.wan or os.path.join(
        os.path.dirname(CULVERT), "test", "bench", "wan"))
    return o


def costs(report, ground):
    for kind, every in ground.costs.items():
        cpu, kb = zip(*every)
        report.add(kind, sum(cpu), "s CPU", None,
                   {"RSS MB": max(kb) / 1024, "processes": len(every)})


def measure(o, report):
    """every part that is asked for: how many have failed"""
    failed = 0
    for report.part in o.part:
        with Ground() as ground:
            quiet(report)
            try:
                PARTS[report.part](Bench(ground, report, o))
                costs(report, ground)
            except Exception as e:  # one part fails, the others run
                failed += 1
                report.failed(f"{type(e).__name__}: {e}")
                ground.dump()
    return failed


def main():
    o = arguments()
    # a shell's job in the background would not hear of it
    signal.signal(signal.SIGINT, signal.default_int_handler)
    report = Report(o.json and os.path.abspath(o.json))
    with contextlib.suppress(PermissionError):
        os.nice(-10)  # what others do with nice hurts less
    try:
        return bool(measure(o, report))
    except KeyboardInterrupt:
        report.note("interrupted")
        return 130
    finally:
        report.end()


if __name__ == "__main__":
    sys.exit(main())
