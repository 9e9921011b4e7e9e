# SPDX-License-Identifier: MIT
"""cables.py - interfaces that come and go, and a stream that notices"""
import bisect
import hashlib
import os
import socket
import threading
import time

from expect import Failed, equal, until
from lan import Get


class Cables:
    """a host's two interfaces in a LAN; one has a cable at a time"""

    def __init__(self, lan, host):
        self.lan, self.host, self.now = lan, host, 0
        self.port = [lan.plug(host, f"eth{i}", f"10.{i}.1.1/24")
                     for i in range(2)]
        lan.unplug(self.port[1])

    def change(self, remove, dark=0.3):
        """unplug one, and after @dark seconds plug the other: when that was"""
        old, new = self.now, 1 - self.now
        if remove:
            self.lan.remove(self.host, f"eth{old}")
        else:
            self.lan.unplug(self.port[old])
        time.sleep(dark)
        self.lan.replug(self.port[new])
        up = time.monotonic()
        if remove:  # a new one in its place, without a cable
            self.port[old] = self.lan.plug(self.host, f"eth{old}")
            self.lan.unplug(self.port[old])
        self.now = new
        return up

    def again(self, dark):
        """the same cable out and in: when it was in"""
        self.lan.unplug(self.port[self.now])
        time.sleep(dark)
        self.lan.replug(self.port[self.now])
        return time.monotonic()

    def both(self):
        """plug the other one too, until its addresses are usable"""
        self.lan.replug(self.port[1 - self.now])
        dev = f"eth{1 - self.now}"
        until(lambda: "fe80" in self.host.ip(
            f"-6 addr show dev {dev} -tentative"), f"{dev} has an address")


WAYS = (  # how an interface is lost; what is done for the nth time
    ("one cable out, another in", lambda c, n: c.change(False)),
    ("one interface gone, another in", lambda c, n: c.change(True)),
    ("the cable out and in again", lambda c, n: c.again((0.2, 1.5, 3.0)[n % 3])),
)


class Feed:
    """a service that sends at a steady rate, and its client at the other end
    of a forward: what arrived when, and whether it is what was sent"""

    def __init__(self, a, b, rate=2000000, local=7777, port=8080):
        self.rate, self.sent, self.got = rate, 0, 0
        self.stopped, self.error = threading.Event(), None
        # bytes so far and when, at most one in 2 ms
        self.counts, self.times = [], []
        self.sums = hashlib.sha256(), hashlib.sha256()
        with b:
            self.server = socket.create_server(("127.0.0.1", port))
        with a:
            self.client = socket.create_connection(("127.0.0.1", local), 5)
        self.server.settimeout(5)
        self.peer = self.server.accept()[0]
        self.threads = [threading.Thread(target=f, daemon=True)
                        for f in (self.send, self.receive)]
        for t in self.threads:
            t.start()

    def send(self):
        block, began = os.urandom(1 << 20), time.monotonic()
        try:
            while not self.stopped.wait(0.005):
                due = int((time.monotonic() - began) * self.rate) - self.sent
                at = self.sent % (1 << 20)
                n = self.peer.send(block[at:at + min(due, 1 << 16)]) if due \
                    else 0
                self.sums[0].update(block[at:at + n])
                self.sent += n
            self.peer.shutdown(socket.SHUT_WR)
        except OSError as e:
            self.error = e

    def receive(self):
        self.client.settimeout(30)
        try:
            while data := self.client.recv(1 << 16):
                self.sums[1].update(data)
                self.got += len(data)
                now = time.monotonic()
                if not self.times or now - self.times[-1] > 0.002:
                    self.counts.append(self.got)
                    self.times.append(now)
        except OSError as e:
            self.error = e

    def after(self, when, seconds=10.0, size=1):
        """seconds from @when until @size bytes more had come"""
        first = bisect.bisect_right(self.times, when)
        before = self.counts[first - 1] if first else 0

        def come():
            n = bisect.bisect_left(self.counts, before + size, first)
            return n < len(self.times) and self.times[n]
        return until(come, "the stream goes on", seconds, 0.005) - when

    def moved(self, rounds, change, size=1):
        """@change(n) loses the interface and gives another: seconds from its
        link-up until @size bytes had come, of each round"""
        took = []
        for n in range(rounds):
            self.after(time.monotonic(), size=self.rate * 0.3)
            took.append(self.after(change(n), size=size))
        return took

    def close(self):
        """as it is"""
        self.stopped.set()
        for s in (self.client, self.peer, self.server):
            s.close()

    def end(self):
        """stop; every byte that was sent has come"""
        self.stopped.set()
        for t in self.threads:
            t.join(20)
        self.close()
        if self.error:
            raise Failed(f"the stream ended: {self.error}")
        equal(self.got, self.sent, "bytes")
        equal(self.sums[1].digest(), self.sums[0].digest(), "checksum")


def page_bytes(lan, a, port, want):
    """what the bridge carried to and from the server for one page"""
    before = lan.heard(port) + lan.sent(port)
    equal(Get(a).end()[0], want, "checksum")
    time.sleep(0.1)  # acknowledgements that are delayed
    return lan.heard(port) + lan.sent(port) - before
