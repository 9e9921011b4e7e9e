#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""iproxy version 1, section 14 of doc/protocol.md: codec, client and server.

Written from the text alone. One thread; whoever uses it calls run().
"""
import collections
import heapq
import itertools
import random
import select
import socket
import struct
import time

DATA, FIN, ACK, GONE, KEEPALIVE, LIST, HELLO = 0, 1, 2, 3, 4, 8, 10
LIST_ID = 2**32 - 1
HEADER, MOST = 28, 1048
RESEND, RESEND_LEAST, RESEND_MOST = .1, .004, 1.
KEEP, EXPIRE, LINGER, TABLE = 5., 30., 3., 64
HELLO_WITHIN, HELLO_RATE = .1, 20

Packet = collections.namedtuple("Packet", "flags client server offset data")


class Malformed(Exception):
    pass


# ---- codec -----------------------------------------------------------------


def checksum(data):
    """Of everything behind the checksum."""
    s = 0
    for byte in data:
        s = ((s << 1 | s >> 7) + byte) & 255
    return s


def raw(flags, client, server, offset=0, data=b"", version=1, length=None, wrong=0):
    """A datagram with any mistake that is asked for."""
    length = len(data) if length is None else length
    rest = struct.pack("!6I", version, flags, client, server, length, offset) + data
    return struct.pack("!I", checksum(rest) ^ wrong) + rest


def pack(p):
    return raw(p.flags, p.client, p.server, p.offset % 2**32, p.data)


def unpack(datagram):
    if len(datagram) < HEADER:
        raise Malformed("short")
    total, version, flags, client, server, length, offset = struct.unpack_from("!7I", datagram)
    data = datagram[HEADER:]
    if version != 1:
        raise Malformed(f"version {version}")
    if length != len(data):
        raise Malformed(f"length {length}, not {len(data)}")
    if total != checksum(datagram[4:]):
        raise Malformed("checksum")
    if flags in (DATA, HELLO):
        fits = 1 <= length <= MOST
    elif flags in (FIN, ACK, GONE, KEEPALIVE, LIST):
        fits = length == 0
    else:
        raise Malformed(f"flags {flags}")
    if not fits or offset and flags in (GONE, LIST, HELLO):
        raise Malformed(f"flags {flags}, length {length}, offset {offset}")
    return Packet(flags, client, server, offset, data)


# ---- a lossy way -----------------------------------------------------------


class Lossy:
    """What goes in comes out, or not, or twice, or later; the seed says which."""

    def __init__(self, seed=0, loss=0., twice=0., late=0., most=.02):
        self.random = random.Random(seed)
        self.loss, self.twice, self.late, self.most = loss, twice, late, most
        self.queue, self.order = [], itertools.count()
        self.counts = collections.Counter()

    def put(self, item):
        r, now = self.random, time.monotonic()
        if r.random() < self.loss:
            self.counts["lost"] += 1
            return
        copies = 1
        if r.random() < self.twice:
            self.counts["doubled"] += 1
            copies = 2
        for _ in range(copies):
            delay = 0.
            if r.random() < self.late:
                self.counts["delayed"] += 1
                delay = r.uniform(0, self.most)
            heapq.heappush(self.queue, (now + delay, next(self.order), item))

    def due(self):
        now = time.monotonic()
        while self.queue and self.queue[0][0] <= now:
            yield heapq.heappop(self.queue)[2]

    def next(self):
        return self.queue[0][0] if self.queue else float("inf")


# ---- one connection --------------------------------------------------------


class Resend:
    """RFC 6298, with other limits."""

    def __init__(self):
        self.smoothed = self.variation = None
        self.base = RESEND

    def measured(self, took):
        if self.smoothed is None:
            self.smoothed, self.variation = took, took / 2
        else:
            self.variation += (abs(self.smoothed - took) - self.variation) / 4
            self.smoothed += (took - self.smoothed) / 8
        self.base = max(RESEND_LEAST, 2 * self.smoothed + 4 * self.variation)

    def after(self, repeats):
        return min(RESEND_MOST, self.base * 2 ** min(repeats, 20))


class Connection:
    """Either end. write() and end() send; data and ended tell what came."""

    def __init__(self, port, client, server, address):
        self.port, self.client, self.server, self.address = port, client, server, address
        self.out, self.sent, self.finish, self.finished = bytearray(), 0, False, False
        self.data, self.next, self.ended, self.gone = bytearray(), 0, False, False
        self.room = float("inf")            # for bytes in data
        self.opening = self.ours = False    # a client's
        self.flight, self.flown, self.repeats, self.resend = None, 0., 0, Resend()
        self.heard = self.spoke = time.monotonic()
        self.closed = None                  # since when
        self.counts = collections.Counter()

    def write(self, data, end=False):
        self.out += data
        if end:
            self.end()

    def end(self):
        self.finish = True

    def abort(self):
        """Sends GONE, once, and forgets it."""
        self.send(GONE)
        self.port.forget(self)

    def send(self, flags, offset=0, data=b""):
        self.counts[f"sent {flags}"] += 1
        self.spoke = time.monotonic()
        self.port.send(Packet(flags, self.client, self.server, offset % 2**32, bytes(data)),
                       self.address)

    def due(self):
        """When something is to be done; now if something can be sent."""
        if self.gone:
            return float("inf")
        if self.closed:
            return self.closed + self.port.lingers
        if self.flight:
            again = self.flown + self.resend.after(self.repeats)
        else:
            again = 0. if self.has() else float("inf")
        return min(again, self.spoke + KEEP, self.heard + EXPIRE)

    def has(self):
        return self.opening or self.out or self.finish and not self.finished

    def work(self):
        now = time.monotonic()
        if self.gone:
            return
        if self.closed:
            if now >= self.closed + self.port.lingers:
                self.port.forget(self)
        elif now >= self.heard + EXPIRE:
            self.port.forget(self)
        elif self.flight and now >= self.flown + self.resend.after(self.repeats):
            self.repeats += 1
            self.counts["repeated"] += 1
            self.fly()
        elif not self.flight and self.has():
            self.flight, self.repeats = self.choose(), 0
            self.fly()
        elif now >= self.spoke + KEEP:
            said = self.sent + self.finished
            if self.ours and not said:      # or it would open another
                self.send(ACK, self.next)
            else:
                self.send(KEEPALIVE, said)

    def choose(self):
        if self.opening:
            return KEEPALIVE, 0, b"", None
        if self.out:
            data = bytes(self.out[:MOST])
            return DATA, self.sent, data, self.sent + len(data)
        return FIN, self.sent, b"", self.sent + 1

    def fly(self):
        self.flown = time.monotonic()
        self.send(*self.flight[:3])

    def landed(self):
        if not self.repeats:
            self.resend.measured(time.monotonic() - self.flown)
        flags, _, data, _ = self.flight
        self.flight = None
        if flags == DATA:
            self.sent += len(data)
            del self.out[:len(data)]
        elif flags == FIN:
            self.finished = True
            self.close()
        else:
            self.opening = False

    def close(self):
        if self.finished and self.ended and not self.closed:
            self.closed = time.monotonic()
            self.port.closing(self)

    def came(self, p, address):
        self.counts[f"came {p.flags}"] += 1
        self.heard, self.address = time.monotonic(), address
        if p.flags == GONE:
            if self.ended and self.flight and self.flight[0] == FIN:
                self.landed()               # nothing is lost
            else:
                self.port.forget(self)
            return
        if self.closed and self.port.lingers == LINGER:
            self.closed = self.heard
        if self.opening and self.flight:
            self.landed()
        if p.flags == KEEPALIVE:
            self.send(ACK, self.next)
        elif p.flags == ACK:
            if self.flight and p.offset == self.flight[3] % 2**32:
                self.landed()
        elif p.flags in (DATA, FIN):
            self.take(p)

    def take(self, p):
        ahead = (p.offset - self.next) % 2**32
        if ahead == 0 and not self.ended:
            if len(self.data) + len(p.data) > self.room:
                self.counts["no room"] += 1
                return
            self.data += p.data
            self.next += len(p.data) if p.flags == DATA else 1
            self.ended = p.flags == FIN
            self.send(ACK, self.next)
            self.close()
        elif ahead >= 2**31:
            self.counts["duplicates"] += 1
            self.send(ACK, self.next)
        else:
            self.counts["elsewhere"] += 1


# ---- the ends --------------------------------------------------------------


class Port:
    """A UDP port and its connections."""

    lingers = LINGER                        # those that are closed

    def __init__(self, sock, inward=None, outward=None):
        self.sock = sock
        self.inward, self.outward = inward or Lossy(), outward or Lossy()
        self.connections, self.counts = {}, collections.Counter()
        self.packets = []                   # everything that came

    def send(self, p, address):
        self.outward.put((pack(p), address))

    def due(self):
        return min([self.inward.next(), self.outward.next(),
                    *(c.due() for c in self.connections.values())])

    def work(self):
        for datagram, address in self.inward.due():
            try:
                p = unpack(datagram)
            except Malformed as why:
                self.counts[f"malformed {why}"] += 1
                continue
            self.packets.append((p, address))
            self.came(p, address)
        for c in list(self.connections.values()):
            c.work()
        for datagram, address in self.outward.due():
            try:
                self.sock.sendto(datagram, address)
            except ConnectionRefusedError:
                self.counts["refused"] += 1

    def read(self):
        while select.select([self.sock], [], [], 0)[0]:
            try:
                self.inward.put(self.sock.recvfrom(65536))
            except ConnectionRefusedError:
                self.counts["refused"] += 1

    def came(self, p, address):
        c = self.connections.get((p.client, p.server))
        if c:
            c.came(p, address)
        else:
            self.stranger(p, address)

    def forget(self, c):
        c.gone = True
        self.connections.pop((c.client, c.server), None)

    def closing(self, c):
        """It is kept, to acknowledge what is repeated."""


class Client(Port):
    def __init__(self, sock, address, server=67, **ways):
        super().__init__(sock, **ways)
        self.address, self.server, self.hellos = address, server, []

    def open(self):
        c = Connection(self, random.randrange(1, 2**32), self.server, self.address)
        c.opening = c.ours = True
        self.connections[c.client, c.server] = c
        return c

    def list(self, name=None):
        """Asks; the client id of the question."""
        name = name or random.randrange(1, 2**32)
        self.send(Packet(LIST, name, LIST_ID, 0, b""), self.address)
        return name

    def stranger(self, p, address):
        if p.flags == HELLO:
            self.hellos.append((p, time.monotonic()))
        else:
            self.counts["unknown"] += 1


class Server(Port):
    """opened(connection) may say False: the target refuses."""

    lingers = EXPIRE

    def __init__(self, sock, server=67, opened=lambda c: True, **ways):
        super().__init__(sock, **ways)
        self.server, self.opened, self.answers = server, opened, []
        self.said = collections.deque(maxlen=HELLO_RATE)
        self.order = []                     # those that are closed, the first one first

    def due(self):
        return min([super().due(), *(when for when, _, _ in self.answers)])

    def work(self):
        super().work()
        now = time.monotonic()
        for one in [a for a in self.answers if a[0] <= now]:
            self.answers.remove(one)
            self.hello(*one[1:])

    def hello(self, client, address):
        now = time.monotonic()
        if len(self.said) == HELLO_RATE and now < self.said[0] + 1:
            return
        self.said.append(now)
        self.send(Packet(HELLO, client, self.server, 0, b"Hello from %d!" % self.server), address)

    def came(self, p, address):
        if p.flags == LIST and p.server == LIST_ID:
            when = time.monotonic() + random.uniform(0, HELLO_WITHIN)
            self.answers.append((when, p.client, address))
        elif p.server == self.server:
            super().came(p, address)
        else:
            self.counts["of another server"] += 1

    def stranger(self, p, address):
        if p.flags != KEEPALIVE or p.offset or not p.client:
            self.counts["unknown"] += 1
            if p.flags not in (GONE, LIST):
                self.send(Packet(GONE, p.client, p.server, 0, b""), address)
            return
        if len(self.connections) >= TABLE and self.order:
            self.forget(self.order[0])
        c = Connection(self, p.client, p.server, address)
        if len(self.connections) >= TABLE or self.opened(c) is False:
            c.send(GONE)
            return
        self.connections[p.client, p.server] = c
        c.came(p, address)

    def forget(self, c):
        super().forget(c)
        if c in self.order:
            self.order.remove(c)

    def closing(self, c):
        self.order.append(c)


def run(ports, done, timeout=10):
    """Works until it is done."""
    end = time.monotonic() + timeout
    while True:
        for p in ports:
            p.work()
        if done():
            return
        now = time.monotonic()
        if now > end:
            raise AssertionError("timeout: " + "; ".join(
                f"{c.sent} sent, {len(c.out)} left, {len(c.data)} came, {dict(c.counts)}"
                for p in ports for c in p.connections.values())[:2000])
        wait = max(0., min(end, *(p.due() for p in ports)) - now)
        for sock in select.select([p.sock for p in ports], [], [], min(wait, .05))[0]:
            next(p for p in ports if p.sock is sock).read()
