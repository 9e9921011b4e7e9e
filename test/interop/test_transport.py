#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Section 12 of doc/protocol.md: drives the command against transport.py, prints TAP.

usage: test_transport.py CULVERT [PATTERN]   (only checks whose name has PATTERN)
"""
import hashlib
import itertools
import json
import os
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True

import test_reference as base
from test_reference import CULVERT, HOST, Command, check, equal, flipped, free_port, true

import reference as ref
from reference import Initiation, Node, ack, frame, stream
from transport import LARGEST, SESSION_LARGEST, SESSION_WINDOW, WINDOW, Transport

base.CHECKS.clear()
NAMES = itertools.count()
MODES = (False, True)
BAD_TARGET, REFUSED, ABORTED = 3, 6, 9


# ---- surroundings ----------------------------------------------------------


class Target:
    """A TCP service; what it does with a connection is its subclass's matter."""

    def __init__(self):
        self.listener = socket.create_server((HOST, 0), backlog=2048)
        self.url = f"tcp://{HOST}:{self.listener.getsockname()[1]}".encode()
        self.connections = []
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                c = self.listener.accept()[0]
            except OSError:
                return
            self.connections.append(c)
            threading.Thread(target=self.guarded, args=(c,), daemon=True).start()

    def guarded(self, c):
        try:
            self.talk(c)
        except OSError:
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()
        for c in self.connections:
            c.close()


class Echo(Target):
    def talk(self, c):
        while data := c.recv(1 << 16):
            c.sendall(data)
        c.shutdown(socket.SHUT_WR)


class Silent(Target):
    """Accepts, never reads."""

    def talk(self, c):
        pass


class Source(Target):
    """Sends without end."""

    def talk(self, c):
        while True:
            c.sendall(bytes(1 << 16))


class Serve(base.Serve):
    def __init__(self, *args, scheme="udp", **how):
        self.name = f"ref{os.getpid()}-{next(NAMES)}"
        super().__init__("--allow", "tcp://127.0.0.0/8", "--allow", "udp://127.0.0.0/8",
                         "--name", self.name, *args, scheme=scheme, **how)
        self.scheme = scheme

    def session(self, i=0, **how):
        s = Transport(self.nodes[i], self.node.public, **how)
        self.sessions.append(s.dial(self.address, self.scheme == "udp"))
        return s

    def dropped(self):
        return show(self.name)["dropped"]

    def stop(self):
        stops(self)


class Forward(Command):
    """culvert forward tcp:// tcp:// via a reference server."""

    FROM, TO = "tcp", b"tcp://192.0.2.1:80"

    def __init__(self, *args, plain=False, scheme="udp"):
        self.node, client = Node(plain=plain, max_age=2_000_000), Node()
        self.client = None if plain else client.public
        if scheme == "udp":
            self.link = base.udp()
            self.link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        else:
            self.link = socket.create_server((HOST, 0))
        self.name, self.port = f"ref{os.getpid()}-{next(NAMES)}", free_port()
        keys = ["--plain"] if plain else ["--key", base.key_file(base.secret(client)),
                                          "--peer", base.text(self.node.public)]
        super().__init__("forward", f"{self.FROM}://{HOST}:{self.port}", self.TO.decode(), "via",
                         f"{scheme}://{HOST}:{self.link.getsockname()[1]}", *keys,
                         "--name", self.name, *args, ready="msg=forwarding")

    def session(self):
        s = Transport(self.node, self.client)
        s.accepts = lambda target: None
        self.sessions.append(s.serve(self.link))
        return s

    def app(self):
        c = socket.create_connection((HOST, self.port), 5)
        c.settimeout(10)
        return c

    def dropped(self):
        return show(self.name)["dropped"]

    def stop(self):
        stops(self)

    def __exit__(self, *exception):
        self.link.close()
        super().__exit__(*exception)


class Datagrams(Forward):
    """The same of udp://."""

    FROM, TO = "udp", b"udp://192.0.2.1:53"


def stops(command):
    """A second signal, since the first waits for streams that are open."""
    Command.stop(command)
    time.sleep(.05)
    if command.process.poll() is None:
        command.process.send_signal(signal.SIGTERM)


def show(name):
    out = subprocess.run([CULVERT, "show", "-j", name], capture_output=True, text=True, check=True)
    return json.loads(out.stdout)


def new_drops(v, before):
    """What was dropped since, by name; not zeros."""
    return {k: n - before[k] for k, n in v.dropped().items() if n != before[k]}


def echoes(s, stream, data, end=True, timeout=30):
    """All of it comes back, and with end the end does."""
    begin = len(stream.data) if not stream.out else len(stream.out)
    stream.write(data, end)
    s.until(lambda: stream.code is not None or
            (stream.ended() if end else stream.ready() == begin + len(data)), timeout)
    equal(stream.code, None)
    equal(hashlib.md5(stream.data[begin:]).digest(), hashlib.md5(data).digest())


def malformed(v, s, *parts, count=1):
    """A packet with these is counted malformed, not acknowledged, and nothing else ends."""
    before = v.dropped()
    number = s.raw(*parts)
    s.barrier()
    equal(new_drops(v, before), {"malformed": count})
    true(number not in s.acks, "acknowledged what is malformed")
    return number


def unheard(function, *args):
    """It may be cut off."""
    try:
        function(*args)
    except OSError:
        pass


def resets(c):
    """The connection was broken off, not ended."""
    try:
        c.recv(1)
    except ConnectionResetError:
        return
    raise AssertionError("no reset")


def linger0(c):
    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    c.close()


# ---- reference client -> culvert serve udp:// ------------------------------


@check("serve udp: sealed and plain: echo of 3 MB, half-close, another stream after it")
def _():
    for plain in MODES:
        with Echo() as echo, Serve(plain=plain) as v:
            s = v.session()
            one, two = s.stream(echo.url), s.stream(echo.url)
            echoes(s, one, os.urandom(3 << 20))
            echoes(s, two, b"first", end=False)
            echoes(s, two, b"last")
            s.until(lambda: not s.streams)
            echoes(s, s.stream(echo.url), b"")
            equal(s.counts["TIME"] + s.counts["LINK"] + s.counts["PONG"], 0)
            equal(sum(v.dropped().values()), 0)


@check("serve udp: PING is answered by ACK alone; within 25 ms")
def _():
    for plain in MODES:
        with Serve(plain=plain) as v:
            s = v.session()
            s.barrier()
            s.packets.clear()
            begin = time.monotonic()
            s.barrier()
            took = time.monotonic() - begin
            true(took < .06, f"{took} s")
            names = {one[0] for _, p in s.packets for one in p}
            true("ACK" in names and names <= {"ACK", "PADDING", "PING"}, names)


@check("serve udp: packets lost both ways are sent again in new ones")
def _():
    for plain in MODES:
        with Echo() as echo, Serve(plain=plain) as v:
            s, r = v.session(), random.Random(7)
            s.link.lose_in = s.link.lose_out = lambda packet: r.random() < .05
            one = s.stream(echo.url)
            echoes(s, one, os.urandom(1 << 20), timeout=60)
            true(s.counts["lost"] > 10, "nothing was lost")
            s.link.lose_in = s.link.lose_out = lambda packet: False
            s.until(lambda: not s.streams)
            echoes(s, s.stream(echo.url), b"after")
            equal(sum(v.dropped().values()), 0)


@check("serve udp: ACK tells the very numbers that came, the newest 24 ranges of them")
def _():
    with Serve() as v:
        s = v.session()
        s.barrier()
        base_number = s.keys.number + 10
        for i in range(40):
            s.raw(frame("PING", i), number=base_number + 2 * i)
        s.keys.number = base_number + 80
        seen = []
        s.acknowledged = lambda largest, spans: seen.append(spans)
        end = time.monotonic() + .5
        while time.monotonic() < end:
            s.step()
        true(max(len(spans) for spans in seen) == 24, [len(x) for x in seen])
        equal(seen[-1], [(n, n) for n in range(base_number + 78, base_number + 31, -2)])
        del s.acknowledged
        s.raw(*[frame("PADDING")] * 5)      # asks for nothing
        s.barrier()


@check("serve udp: STREAM in any order, overlapping, repeated, with and without a length")
def _():
    with Echo() as echo, Serve() as v:
        s = v.session()
        one = s.stream(echo.url)
        s.until(lambda: one.opened)
        data = os.urandom(5000)
        for size, (low, high) in zip(itertools.cycle((1, 2, 4, 8)),
                                     ((4000, 5000), (0, 10), (500, 1500), (0, 600), (5, 7),
                                      (1400, 2400), (1500, 1500), (2400, 3400), (2000, 3000),
                                      (3000, 4100), (4500, 5000), (3300, 4300))):
            s.raw(stream(one.name, low, data[low:high], high == 5000, bool(low % 1000), size=size))
        s.until(one.ended)
        equal(bytes(one.data), data)
        for low, high in ((0, 1000), (4000, 5000), (5000, 5000)):
            number = s.raw(stream(one.name, low, data[low:high]))
            s.barrier()
            true(number in s.acks, "repeated bytes are not acknowledged")
        equal(sum(v.dropped().values()), 0)


@check("serve udp: RESET codes of OPEN; RESET by either end")
def _():
    with Echo() as echo, Silent() as silent, Serve() as v:
        s, wrong = v.session(), []
        for target, code in ((b"tcp://192.0.2.1:9", ref.NOT_ALLOWED), (b"nonsense", BAD_TARGET),
                             (b"tcp://", BAD_TARGET), (b"http://127.0.0.1:80", BAD_TARGET),
                             (b"", BAD_TARGET), (b"tcp://127.0.0.1:65536", BAD_TARGET),
                             (f"tcp://{HOST}:{free_port()}".encode(), REFUSED)):
            one = s.stream(target)
            s.until(lambda: one.code is not None or one.opened)
            s.until(lambda: one.code is not None)
            if one.code != code:
                wrong.append((target, one.code, code))
        equal(wrong, [])
        one = s.stream(silent.url)
        s.until(lambda: one.opened and silent.connections)
        linger0(silent.connections.pop())
        s.until(lambda: one.code is not None)
        equal(one.code, ABORTED)
        two = s.stream(silent.url)
        s.until(lambda: two.opened and silent.connections)
        s.reset(two, ABORTED)
        s.barrier()
        silent.connections[-1].settimeout(3)
        resets(silent.connections[-1])
        echoes(s, s.stream(echo.url), b"others")


@check("serve udp: OPEN again of an open stream: OPENED; of one that is over: ignored")
def _():
    with Echo() as echo, Serve() as v:
        s = v.session()
        one = s.stream(echo.url)
        s.until(lambda: one.opened)
        s.barrier()
        before = s.counts["OPENED"]
        s.raw(frame("OPEN", one.name, 1, echo.url))
        s.until(lambda: s.counts["OPENED"] > before)
        equal(len(echo.connections), 1)
        echoes(s, one, b"all")
        s.until(lambda: not s.streams)
        s.barrier()
        s.barrier()
        before = s.counts["OPENED"], s.counts["RESET"]
        numbers = [s.raw(frame("OPEN", one.name, 1, echo.url)),
                   s.raw(stream(one.name, 0, b"all", True))]
        s.barrier()
        true(all(n in s.acks for n in numbers), "not acknowledged")
        equal((s.counts["OPENED"], s.counts["RESET"]), before)
        equal(len(echo.connections), 1)


@check("serve udp: datagrams, each packet with its OPEN until OPENED")
def _():
    for plain in MODES:
        with Serve(plain=plain) as v:
            s = v.session()
            flow = s.open(v.url)
            for data in (b"", b"a", os.urandom(1000)):
                s.raw(frame("OPEN", flow, 2, v.url), frame("DGRAM", flow, len(data), data))
                got, far = v.target.recvfrom(70000)
                equal(got, data)
            s.wait("OPENED")
            for data in (b"", b"b", os.urandom(1000)):
                v.target.sendto(data, far)
                equal(s.wait("DGRAM"), ("DGRAM", flow + 1, len(data), data))
            equal(sum(v.dropped().values()), 0)


def narrow(s, size=1252):
    """The loopback takes any packet; this path no larger ones."""
    if s.udp:
        s.link.lose_in = lambda packet: len(packet) > size


def opened(v, **how):
    """A session and a flow of datagrams in it, to v's target."""
    s = v.session(**how)
    narrow(s)
    flow = s.open(v.url)
    s.raw(frame("OPEN", flow, 2, v.url))
    s.wait("OPENED")
    v.target.settimeout(3)
    s.raw(frame("DGRAM", flow, 2, b"hi"))
    return s, flow, v.target.recvfrom(70000)[1]


def quiet(v, seconds=.2):
    """Nothing comes to the target."""
    v.target.settimeout(seconds)
    try:
        raise AssertionError(f"{len(v.target.recv(70000))} bytes came")
    except TimeoutError:
        v.target.settimeout(3)


LARGE = 1253, 1452, 2800, 9000, 30000, 65506, 65507


@check("serve udp: datagrams in parts, both ways, in any order, mixed with others")
def _():
    for plain in MODES:
        with Serve(plain=plain) as v:
            s, flow, far = opened(v)
            for size in LARGE:
                data = os.urandom(size)
                for order in (iter, reversed, lambda x: random.sample(x, len(x))):
                    for one in order(s.cut(flow, data)):
                        s.raw(one)
                    equal(v.target.recv(70000), data)
                v.target.sendto(data, far)
                equal(s.wait("DGRAM"), ("DGRAM", flow + 1, size, data))
            datas = [os.urandom(5000 + n) for n in range(30)]
            for one in random.sample(parts := [x for d in datas for x in s.cut(flow, d)],
                                     len(parts)):
                s.raw(one)
            equal(sorted(v.target.recv(70000) for _ in datas), sorted(datas))
            equal(sum(v.dropped().values()), 0)
            equal(s.wholes, {})


@check("serve udp: parts that are sent are of one size, in order, with one number, acknowledged "
       "or not sent again")
def _():
    with Serve() as v:
        s, flow, far = opened(v)
        numbers = []
        for size in LARGE:
            s.packets.clear()
            v.target.sendto(os.urandom(size), far)
            s.wait("DGRAM")
            got = [one for _, names in s.packets for one in names if one[0] == "PART"]
            equal({one[1] for one in got}, {flow + 1})
            equal(len({one[2] for one in got}), 1)
            equal([one[4] for one in got], [sum(len(x[5]) for x in got[:n])
                                            for n in range(len(got))])
            sizes = [len(one[5]) for one in got]
            true(len(got) > 1 and max(sizes[:-1]) - min(sizes[:-1]) <= 128 and
                 sizes[-1] <= max(sizes), sizes)
            numbers.append(got[0][2])
        equal(numbers, list(range(numbers[0], numbers[0] + len(LARGE))))
        narrow(s, 1000)
        s.packets.clear()
        v.target.sendto(bytes(20000), far)
        s.until(lambda: time.monotonic(), 1)
        end = time.monotonic() + 1
        s.until(lambda: time.monotonic() > end, 3)
        narrow(s)
        s.packets.clear()
        v.target.sendto(b"next", far)
        equal(s.wait("DGRAM"), ("DGRAM", flow + 1, 4, b"next"))
        true(not any(one[0] == "PART" for _, names in s.packets for one in names), "sent again")


@check("serve udp: one part is lost: no datagram, counted after a second, and a late one is "
       "nothing")
def _():
    for plain in MODES:
        with Serve(plain=plain) as v:
            s, flow, _ = opened(v)
            for missing in (0, 1, -1):
                before, whole = v.dropped(), s.cut(flow, os.urandom(4000))
                lost = whole.pop(missing)
                numbers = [s.raw(one) for one in whole]
                s.barrier()
                true(all(n in s.acks for n in numbers), "not acknowledged")
                equal(new_drops(v, before), {})
                data = os.urandom(4000)
                for one in s.cut(flow, data):
                    s.raw(one)
                equal(v.target.recv(70000), data)
                s.until(lambda: new_drops(v, before) == {"incomplete": 1}, 3)
                number = s.raw(lost)
                s.barrier()
                true(number in s.acks, "not acknowledged")
                quiet(v)
                equal(new_drops(v, before), {"incomplete": 1})


@check("serve udp: a packet that comes twice, a part that does")
def _():
    for plain in MODES:
        with Serve(plain=plain) as v:
            s, flow, _ = opened(v)
            data, before = os.urandom(4000), v.dropped()
            for one in s.cut(flow, data):
                packet = s.keys.seal(one)
                s.link.send(packet, packet)
            equal(v.target.recv(70000), data)
            s.barrier()
            equal(new_drops(v, before), {"replayed": 4})
            first, *rest = s.cut(flow, data)
            s.raw(first)
            before = v.dropped()
            number = s.raw(first)
            s.barrier()
            equal(new_drops(v, before), {"malformed": 1, "incomplete": 1})
            true(number not in s.acks, "acknowledged")
            for one in rest:
                s.raw(one)
            s.barrier()
            quiet(v)
            equal(new_drops(v, before), {"malformed": 1, "incomplete": 1})


@check("serve udp: parts that contradict each other, or themselves")
def _():
    def part(number, whole, at, size, to=0):
        return frame("PART", flow + to, number, whole, at, bytes(size))
    for plain in MODES:
        with Serve(plain=plain) as v:
            s, flow, _ = opened(v)
            other = s.open(v.url)
            s.raw(frame("OPEN", other, 2, v.url))
            s.wait("OPENED")
            for bad in (part(7, 100, 0, 0), part(7, 0, 0, 0), part(7, 0, 0, 1),
                        part(7, 100, 100, 1), part(7, 100, 99, 2), part(7, 65508, 0, 9),
                        part(7, 2**61, 5, 5), part(7, 100, 2**61, 5), part(7, 100, 5, 5)[:-1]):
                malformed(v, s, bad)
            for n, bad in enumerate(((100, 0, 11), (100, 19, 10), (100, 12, 3), (100, 5, 60),
                                     (101, 50, 10), (99, 50, 10), (100, 50, 10, other - flow))):
                before = v.dropped()
                s.raw(part(100 + n, 100, 10, 10))
                number = s.raw(part(100 + n, *bad))
                s.barrier()
                equal(new_drops(v, before), {"malformed": 1, "incomplete": 1})
                true(number not in s.acks, "acknowledged")
            before = v.dropped()
            for n in range(65):
                s.raw(part(200, 60000, 500 + 2 * n, 1))
            s.barrier()
            equal(new_drops(v, before), {"incomplete": 1})
            quiet(v)
    with Serve(scheme="tcp") as v:
        s, flow, _ = opened(v)
        malformed(v, s, part(7, 100, 0, 10))


@check("serve udp: first parts without end, or of flows that are not: bounds of memory and words")
def _():
    with Serve() as v:
        s, flow, _ = opened(v)
        size = lambda: int(open(f"/proc/{v.process.pid}/statm").read().split()[1]) * 4096
        before, memory = v.dropped(), size()
        for n in range(3000):
            s.raw(frame("PART", flow, 1000 + n, 65507, 0, bytes(1000)))
            if n % 100 == 99:
                s.barrier()
        s.until(lambda: new_drops(v, before) == {"incomplete": 3000}, 5)
        true(size() - memory < 8 << 20, f"{size() - memory} bytes more")
        data = os.urandom(65507)
        s.parts = 9000
        for one in s.cut(flow, data):
            s.raw(one)
        equal(v.target.recv(70000), data)
        before, resets = v.dropped(), s.counts["RESET"]
        for one in s.cut(flow + 100, data):
            s.raw(one)
        s.barrier()
        equal(new_drops(v, before), {"unknown_flow": 1})
        s.until(lambda: s.counts["RESET"] > resets)


@check("serve udp: who puts none together, or smaller ones, is sent none")
def _():
    for largest in (0, 3000):
        with Serve() as v:
            v.nodes[0].largest = largest
            s, flow, far = opened(v)
            before = v.dropped()
            for size in (3000, 3001, 60000):
                v.target.sendto(bytes(size), far)
            v.target.sendto(b"next", far)
            if largest:
                equal(s.wait("DGRAM"), ("DGRAM", flow + 1, 3000, bytes(3000)))
            equal(s.wait("DGRAM"), ("DGRAM", flow + 1, 4, b"next"))
            equal(new_drops(v, before), {"too_big": 2 + (not largest)})


@check("forward udp: each packet with a part holds the OPEN until OPENED came, then none")
def _():
    for size in (1500, 20000, 65507):
        with Datagrams() as v:
            s, app = v.session(), base.udp()
            narrow(s)
            data, packets, first = os.urandom(size), [], s.top + 1
            for _ in range(2):
                s.packets.clear()
                app.sendto(data, (HOST, v.port))
                while not any(one[0] == "DGRAM" for one in s.log):
                    s.take(s.link.recv())
                    s.control.clear()       # OPENED would be in there
                    if s.packets:           # one before was of any size
                        s.send(ack([(max(a, first), b - 1) for a, b in s.seen.all[-24:][::-1]
                                    if b > first]))
                equal(s.wait("DGRAM")[3], data)
                packets = [names for _, names in s.packets
                           if any(one[0] == "PART" for one in names)]
                true(len(packets) > 1, "not cut")
                for names in packets:
                    kinds = [one[0] for one in names]
                    true("OPEN" in kinds and kinds.index("OPEN") < kinds.index("PART"), kinds)
            s.raw(frame("OPENED", packets[0][-1][1] ^ 1))
            s.barrier()
            s.packets.clear()
            app.sendto(data, (HOST, v.port))
            equal(s.wait("DGRAM")[3], data)
            true(not any(one[0] == "OPEN" for _, names in s.packets for one in names), "OPEN")


@check("serve udp: PATH_CHALLENGE is answered with its token")
def _():
    for plain in MODES:
        with Serve(plain=plain) as v:
            s = v.session()
            s.raw(frame("PATH_CHALLENGE", 2**64 - 3))
            equal(s.wait("PATH_RESPONSE"), ("PATH_RESPONSE", 2**64 - 3))
            s.raw(frame("PATH_RESPONSE", 12345))    # nobody asked
            s.barrier()
            equal(sum(v.dropped().values()), 0)


@check("serve udp: no word to what is not authentic; two initiations at once are two responses")
def _():
    with Serve() as v:
        sock = base.udp()
        good = Initiation(v.nodes[0], v.node.public)
        for wrong in (flipped(good.packet, 140), Initiation(Node(), v.node.public).packet,
                      Initiation(v.nodes[0], Node().public).packet, b"", b"\x04", os.urandom(100),
                      b"\x04" + os.urandom(60), b"\x14" + bytes(40), good.packet[:-1],
                      good.packet + b"\0"):
            sock.sendto(wrong, v.address)
        other = Initiation(v.nodes[0], v.node.public)
        sock.sendto(good.packet, v.address)
        sock.sendto(other.packet, v.address)
        good.response(sock.recv(2000))
        other.response(sock.recv(2000))
        true(not select.select([sock], [], [], .2)[0], "another answer")
        v.session().barrier()


@check("serve udp: rekey in mid-stream: numbers go on, previous keys for what is under way")
def _():
    with Echo() as echo, Serve() as v:
        s = v.session()
        one = s.stream(echo.url)
        for _ in range(3):
            echoes(s, one, os.urandom(100_000), end=False)
            top = s.keys.number
            s.handshake()
            true(s.keys.number > top, "numbers began anew")
        echoes(s, one, b"end")


@check("serve udp: another datagram socket after a handshake of its own: streams go on")
def _():
    with Echo() as echo, Serve() as v:
        s = v.session()
        one = s.stream(echo.url)
        echoes(s, one, b"before", end=False)
        old = s.link
        s.dial(v.address)
        echoes(s, one, os.urandom(500_000))
        old.close()
        equal(len(echo.connections), 1)


# ---- windows ---------------------------------------------------------------


@check("serve udp: a peer that never takes gets 1 MiB of a stream, and then what WINDOW says")
def _():
    for plain in MODES:
        with Source() as source, Echo() as echo, Serve(plain=plain) as v:
            s = v.session()
            one = s.stream(source.url)
            one.hold = True
            s.until(lambda: one.ready() == WINDOW, 30)
            idle(s, 1)
            equal(one.ready(), WINDOW)
            echoes(s, s.stream(echo.url), os.urandom(100_000))
            s.raw(frame("WINDOW", one.name, 0, WINDOW - 5))     # not larger: nothing
            one.window = WINDOW + 5000
            s.raw(frame("WINDOW", one.name, 0, one.window))
            s.until(lambda: one.ready() == one.window)
            one.taken, one.said = 1000, 1000
            s.raw(frame("WINDOW", one.name, 1000, one.window))
            s.until(lambda: one.ready() == one.window + 1000)
            idle(s, .3)
            equal(one.ready(), one.window + 1000)


def idle(s, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        s.step()


@check("serve udp: a peer that never takes gets 8 MiB of all streams; RESET gives room")
def _():
    with Source() as source, Serve() as v:
        s = v.session()
        many = [s.stream(source.url) for _ in range(SESSION_WINDOW // WINDOW + 2)]
        for one in many:
            one.hold = True

        def total():
            return sum(one.ready() for one in many if one.code is None)
        s.until(lambda: total() >= SESSION_WINDOW, 60)
        idle(s, 1)
        equal(total(), SESSION_WINDOW)
        s.reset(max(many, key=lambda one: one.ready()))
        s.until(lambda: total() >= SESSION_WINDOW, 30)
        idle(s, .5)
        equal(total(), SESSION_WINDOW)


@check("serve udp: a target that never reads: WINDOW stops; a byte beyond is malformed")
def _():
    with Silent() as silent, Echo() as echo, Serve() as v:
        s = v.session()
        one = s.stream(silent.url)
        one.write(os.urandom(24 << 20))
        last, since = -1, time.monotonic()
        while time.monotonic() - since < 1.5:
            s.step()
            if one.next != last:
                last, since = one.next, time.monotonic()
        true(one.next == one.limit, f"{one.next} of {one.limit}")
        malformed(v, s, stream(one.name, one.limit, b"x"))
        malformed(v, s, stream(one.name, 2**61, b"x"))
        number = s.raw(stream(one.name, one.limit - 1, bytes(one.out[one.limit - 1:one.limit])))
        s.barrier()
        true(number in s.acks, "the last byte within the window")
        echoes(s, s.stream(echo.url), os.urandom(100_000))


@check("serve udp: WINDOW above 16 MiB, or for more than was sent, is malformed")
def _():
    with Silent() as silent, Echo() as echo, Serve() as v:
        s = v.session()
        one = s.stream(silent.url)
        s.until(lambda: one.opened)
        malformed(v, s, frame("WINDOW", one.name, 0, LARGEST + 1))
        malformed(v, s, frame("WINDOW", one.name, 1, WINDOW))
        malformed(v, s, frame("SESSION_WINDOW", SESSION_LARGEST + 1))
        for good in (frame("WINDOW", one.name, 0, LARGEST), frame("SESSION_WINDOW", SESSION_LARGEST),
                     frame("SESSION_WINDOW", 0), frame("WINDOW", one.name, 0, 0)):
            number = s.raw(good)
            s.barrier()
            true(number in s.acks, f"not acknowledged: {good}")
        echoes(s, s.stream(echo.url), b"others")


# ---- hostile ---------------------------------------------------------------


@check("serve udp: ACK of a number never sent is malformed, also below 0")
def _():
    with Echo() as echo, Serve() as v:
        s = v.session()
        s.barrier()
        for wrong in (ack([(2**40, 2**40)]), ack([(2**62 - 1, 2**62 - 1)]),
                      b"\x0d" + b"\0\0\0\x05", b"\x0d" + b"\0\0\x01\0\0\0"):
            malformed(v, s, wrong)
        echoes(s, s.stream(echo.url), b"others")


@check("serve udp: an ACK with thousands of ranges costs nothing but itself")
def _():
    with Echo() as echo, Serve() as v:
        s = v.session()
        one = s.stream(echo.url)
        echoes(s, one, os.urandom(3 << 20), end=False)
        idle(s, .2)
        spans = [(n, n) for n in range(s.top, s.top - 1000, -2)]
        for _ in range(200):
            s.raw(ack(spans))
        echoes(s, one, b"end")


@check("serve udp: contradicting ends of a stream are malformed")
def _():
    with Silent() as silent, Echo() as echo, Serve() as v:
        s = v.session()
        one, two = s.stream(silent.url), s.stream(silent.url)
        s.until(lambda: one.opened and two.opened)
        s.raw(stream(one.name, 0, b"0123456789", True))
        s.barrier()
        for wrong in (stream(one.name, 10, b"x"), stream(one.name, 9, b"xy"),
                      stream(one.name, 0, b"01234", True), stream(one.name, 11, b"", True),
                      stream(one.name, 9, b"9x", True)):
            malformed(v, s, wrong)
        s.raw(stream(two.name, 0, b"0123456789"))
        s.raw(stream(two.name, 20, b"0123456789"))
        s.barrier()
        for wrong in (stream(two.name, 5, b"", True), stream(two.name, 15, b"", True),
                      stream(two.name, 25, b"1234", True)):
            malformed(v, s, wrong)
        number = s.raw(stream(two.name, 30, b"", True))
        s.barrier()
        true(number in s.acks, "the right end")
        echoes(s, s.stream(echo.url), b"others")


@check("serve udp: replayed, truncated and bit-flipped packets are dropped and counted")
def _():
    with Echo() as echo, Serve() as v:
        s = v.session()
        one = s.stream(echo.url)
        echoes(s, one, b"before", end=False)
        packet = s.keys.seal(frame("PING", 1))
        s.link.send(packet)
        s.barrier()
        for wrong, name, times in ((packet, "replayed", 3), (packet[:-1], "forged", 2),
                                   (packet[:33], "forged", 1), (flipped(packet, 20), "forged", 1),
                                   (flipped(packet, len(packet) - 1), "forged", 1),
                                   (flipped(packet, 15), "forged", 1),
                                   (flipped(packet, 3), "unknown_index", 1)):
            before = v.dropped()
            s.link.send(*[wrong] * times)
            s.barrier()
            equal(new_drops(v, before), {name: times})
        counted = {}
        for size in range(1, 32):
            before = v.dropped()
            s.link.send(packet[:size])
            s.barrier()
            counted[size] = new_drops(v, before)
        true(all(sum(c.values()) == 1 for c in counted.values()), counted)
        echoes(s, one, b"after")


@check("serve udp: forged packets from elsewhere do not move the session")
def _():
    with Echo() as echo, Serve() as v:
        s = v.session()
        one = s.stream(echo.url)
        echoes(s, one, b"before", end=False)
        old = s.keys.seal(frame("PING", 1))
        s.barrier()
        elsewhere = base.udp()
        packet = s.keys.seal(frame("PING", 1))
        elsewhere.sendto(flipped(packet, 20), v.address)
        elsewhere.sendto(packet[:-1], v.address)
        elsewhere.sendto(old, v.address)    # authentic, but not of the highest number
        echoes(s, one, os.urandom(200_000))
        true(not select.select([elsewhere], [], [], .1)[0], "something was sent there")


@check("serve udp: STREAM and WINDOW for a flow never opened: not acknowledged until it is")
def _():
    with Echo() as echo, Serve() as v:
        s = v.session()
        number = s.raw(stream(100, 0, b"early", True))
        odd = s.raw(stream(101, 0, b"early", True))
        s.barrier()
        true(number not in s.acks, "acknowledged, but not kept")
        true(odd not in s.acks, "acknowledged a stream of its own that it never opened")
        s.number = 98
        one = s.stream(echo.url)
        echoes(s, one, b"early")


@check("serve udp: thousands of OPEN: refused at the limit, the others go on")
def _():
    with Silent() as silent, Echo() as echo, Serve("--max-flows", "100", peers=2) as v:
        s, other = v.session(), v.session(1)
        one = other.stream(echo.url)
        echoes(other, one, b"before", end=False)
        names = [s.stream(silent.url) for _ in range(3000)]
        s.until(lambda: all(n.opened or n.code is not None for n in names), 30)
        codes = {c: sum(n.code == c for n in names) for c in {n.code for n in names}}
        equal(set(codes), {None, 4})
        true(codes[None] == 99, codes)
        echoes(other, one, os.urandom(100_000))
        before = v.dropped()
        s.raw(*[frame("OPEN", 10_000 + 2 * i, 1, b"x") for i in range(65)])
        s.barrier()
        equal(new_drops(v, before), {"malformed": 1})


@check("serve udp: numbers of streams in any order, none left out")
def _():
    with Echo() as echo, Serve() as v:
        s, numbers = v.session(), [4 * i for i in range(150)] + [4 * i + 2 for i in range(150)]
        random.Random(3).shuffle(numbers)
        streams = []
        for number in numbers:
            s.number = number - 2
            streams.append(s.stream(echo.url))
            streams[-1].write(b"%d" % number, True)
        s.until(lambda: all(one.ended() for one in streams), 30)
        equal([bytes(one.data) for one in streams], [b"%d" % n for n in numbers])


@check("serve udp: who never acknowledges holds up nobody else")
def _():
    with Source() as source, Echo() as echo, Serve(peers=2) as v:
        s, other = v.session(), v.session(1)
        for _ in range(10):
            s.stream(source.url)
        s.flush()                           # and never a word again
        one = other.stream(echo.url)
        begin = time.monotonic()
        while time.monotonic() - begin < 3:
            echoes(other, one, os.urandom(50_000), end=False)
        echoes(other, one, b"end")
        true(show(v.name)["buffer_bytes"] < 64 << 20, "memory")


@check("serve udp: STREAM as far as the window, with holes, of many streams")
def _():
    with Silent() as silent, Echo() as echo, Serve(peers=2) as v:
        s, other = v.session(), v.session(1)
        names = [s.stream(silent.url) for _ in range(40)]
        s.until(lambda: all(n.opened for n in names))
        fits, beyond = [], []
        for i, n in enumerate(names):       # the session's window is raised by what waits, so far
            for at in range(WINDOW - 1, 0, -30_000):
                (fits if i < SESSION_LARGEST // WINDOW else beyond).append(s.raw(stream(n.name, at, b"x")))
            s.barrier()
        s.barrier()
        true(all(n in s.acks for n in fits), "not acknowledged what fits")
        kept = sum(n in s.acks for n in beyond)
        true(kept == 0, f"{kept} of {len(beyond)} packets beyond the session's window kept")
        equal(v.dropped()["malformed"], len(beyond))
        echoes(other, other.stream(echo.url), os.urandom(300_000))
        true(show(v.name)["buffer_bytes"] < 64 << 20, "memory")


# ---- paths -----------------------------------------------------------------


def moved(s):
    """The session on another port of this address; the old socket."""
    old, s.link.sock = s.link.sock, base.udp()
    s.link.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    return old


@check("serve udp: a new source address gets 3 times its bytes until it is validated")
def _():
    for plain in MODES:
        with Source() as source, Serve(plain=plain) as v:
            s = v.session()
            one = s.stream(source.url)
            s.until(lambda: one.ready() > 3 * WINDOW, 30)
            old = moved(s)
            s.answered, sent, got, begin, heard = False, 0, 0, time.monotonic(), []
            original = s.keys.seal

            def seal(text, **how):
                nonlocal sent
                packet = original(text, **how)
                sent += len(packet)
                return packet
            s.keys.seal = seal
            s.raw(frame("PING", 1), bytes(500))
            begin = time.monotonic()
            while time.monotonic() - begin < .25:
                if select.select([s.link.sock], [], [], .02)[0]:
                    packet = s.link.recv()
                    got += len(packet)
                    s.take(packet)
                    heard.append((len(packet), [one[0] for one in s.packets[-1][1]
                                                if one[0] != "PADDING"]))
            true(0 < got <= 3 * sent, f"{got} bytes for {sent}: {heard}")
            challenges = [one for one in s.log if one[0] == "PATH_CHALLENGE"]
            true(challenges, "no challenge")
            s.keys.seal, s.answered = original, True
            s.raw(frame("PATH_RESPONSE", challenges[-1][1]))
            where = one.ready()
            s.until(lambda: one.ready() > where + 2 * WINDOW, 30)
            old.close()


@check("serve udp: a new address that does not answer: back to the last that did")
def _():
    with Source() as source, Serve() as v:
        s = v.session()
        one = s.stream(source.url)
        s.until(lambda: one.ready() > WINDOW, 30)
        old = moved(s)
        s.raw(frame("PING", 1))
        s.link.sock, dead = old, s.link.sock
        where = one.ready()
        # nothing is said from the old address: a packet from there would move it back
        send, s.link.send = s.link.send, lambda *packets: None
        heard, begin = 0, time.monotonic()
        while time.monotonic() - begin < 30 and heard < 3:
            if select.select([old], [], [], .05)[0]:
                s.take(s.link.recv())
                heard = sum("STREAM" in [o[0] for o in p] for _, p in s.packets[-200:]) and \
                    (heard + 1 if time.monotonic() - begin > .5 else 0)
        true(heard, "never came back")
        s.link.send = send
        s.until(lambda: one.ready() > where + 2 * WINDOW, 30)
        count = 0
        while select.select([dead], [], [], 0)[0]:
            dead.recv(1 << 16)
            count += 1
        true(1 <= count <= 8, f"{count} packets to the address that is not validated")


@check("serve udp: the source address changes again and again: not a byte is lost")
def _():
    for plain in MODES:
        with Echo() as echo, Serve(plain=plain) as v:
            s = v.session()
            one, old = s.stream(echo.url), []
            for _ in range(8):
                echoes(s, one, os.urandom(200_000), end=False)
                old.append(moved(s))
            echoes(s, one, b"end")
            for sock in old:
                sock.close()


# ---- culvert forward via udp:// -> reference server ------------------------


def echo_server(s, seconds=20, until=lambda: False):
    """The reference sends back what comes, and the end, until it is said or all is over."""
    end = time.monotonic() + seconds
    while not until():
        s.step()
        for one in list(s.streams.values()):
            if one.ready() > len(one.out) or one.ended() and not one.end:
                one.write(bytes(one.data[len(one.out):one.ready()]), one.ended())
        if time.monotonic() > end:
            raise TimeoutError(f"{dict(s.counts)}")


def app_echo(c, data, out):
    """An application: sends all and the end, and reads all."""
    def write():
        unheard(c.sendall, data)
        unheard(c.shutdown, socket.SHUT_WR)
    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    got = b""
    try:
        while more := c.recv(1 << 16):
            got += more
        out.append(got == data)
    except OSError as e:
        out.append(e)


def through(v, s, size, seconds=30):
    out, c = [], v.app()
    t = threading.Thread(target=app_echo, args=(c, os.urandom(size), out), daemon=True)
    t.start()
    echo_server(s, seconds, lambda: bool(out))
    equal(out, [True])
    c.close()


@check("forward udp: sealed and plain: OPEN of kind 1 with the target, 2 MB there and back")
def _():
    for plain in MODES:
        with Forward(plain=plain) as v:
            s = v.session()
            through(v, s, 2 << 20)
            opens = [o for _, p in s.packets for o in p if o[0] == "OPEN"]
            equal({o[2:] for o in opens}, {(1, v.TO)})
            true(all(o[1] % 2 == 0 for o in opens), opens)
            through(v, s, 0)
            through(v, s, 1)
            echo_server(s, 5, lambda: not s.streams)
            equal(s.counts["TIME"] + s.counts["LINK"] + s.counts["PONG"], 0)
            numbers = [n for n, _ in s.packets]
            equal(len(numbers), len(set(numbers)))
            equal(sum(v.dropped().values()), 0)


@check("forward udp: packets lost both ways")
def _():
    for plain in MODES:
        with Forward(plain=plain) as v:
            s, r = v.session(), random.Random(11)
            s.link.lose_in = s.link.lose_out = lambda packet: r.random() < .05
            through(v, s, 1 << 20, 60)
            equal(sum(v.dropped().values()), 0)


@check("forward udp: RESET refuses a connection, RESET ends one, the application's does")
def _():
    with Forward() as v:
        s = v.session()
        s.accepts = lambda target: REFUSED
        c = v.app()
        c.sendall(b"x")
        s.until(lambda: select.select([c], [], [], 0)[0])
        resets(c)
        s.accepts = lambda target: None
        c = v.app()
        c.sendall(b"hello")
        s.until(lambda: any(o.ready() == 5 for o in s.streams.values()))
        one, = s.streams.values()
        linger0(c)
        s.until(lambda: one.code is not None)
        equal(one.code, ABORTED)
        c = v.app()
        c.sendall(b"hello")
        s.until(lambda: any(o.ready() == 5 for o in s.streams.values()))
        one, = s.streams.values()
        s.reset(one, ABORTED)
        s.barrier()
        resets(c)
        s.raw(frame("OPENED", one.name))    # it was overtaken by RESET
        before = s.counts["RESET"]
        s.until(lambda: s.counts["RESET"] > before)
        through(v, s, 1000)


@check("forward udp: initiations again after 0.3 s, 0.6 s, 1.2 s; each with a later stamp")
def _():
    with Forward() as v:
        times, stamps = [], []
        v.link.settimeout(5)
        for _ in range(4):
            packet = v.link.recv(2000)
            times.append(time.monotonic())
            equal(len(packet), 168)
            stamps.append(ref.respond(v.node, packet)[1].stamp)
        gaps = [b - a for a, b in zip(times, times[1:])]
        for gap, wanted in zip(gaps, (.3, .6, 1.2)):
            true(wanted * .8 < gap < wanted * 1.3 + .1, gaps)
        equal(stamps, sorted(set(stamps)))
        through(v, v.session(), 10_000)


def next_initiation(sock):
    """Everything before it is left unread."""
    sock.settimeout(10)
    while sock.recv(2000, socket.MSG_PEEK)[0] & ~ref.PLAIN != ref.INITIATION:
        sock.recv(2000)


@check("forward udp: streams that the peer that was started anew cannot have met come to it, others end")
def _():
    for plain, case in itertools.product(MODES, ("after", "before", "unsaid", "both")):
        if plain and case != "after":
            continue
        with Forward(plain=plain) as v:
            s = v.session()
            old, data = v.app(), os.urandom(100_000)
            old.sendall(b"hello")
            s.until(lambda: any(o.ready() == 5 for o in s.streams.values()))
            s.barrier()
            early = v.app() if case == "before" else None
            if early:
                early.sendall(data[:1000])
                time.sleep(.01)             # it may have gone to the one that is no more
            v.node.begin()
            if case == "unsaid":
                v.node.up = lambda: 0
            if case == "both":
                v.node.began -= 5           # the old one was heard meanwhile
            time.sleep(.01)
            new = early or v.app()
            new.sendall(data[1000 * bool(early):])
            new.shutdown(socket.SHUT_WR)
            next_initiation(v.link)
            s = v.session()
            if case == "after":
                s.until(lambda: any(o.ended() for o in s.streams.values()))
                equal([bytes(o.data) == data for o in s.streams.values()], [True])
            else:
                s.barrier()
                resets(new)
                equal(len(s.streams), 0)
            resets(old)
            through(v, s, 10_000)


@check("what a node says of how long it has been up")
def _():
    for plain in MODES:
        begin = time.monotonic()
        with Forward(plain=plain) as v:
            time.sleep(.3)
            s = v.session()
            true(300_000 <= s.keys.up <= 1e6 * (time.monotonic() - begin), s.keys.up)


@check("forward udp: with no word for a long time a stream is held, and goes on")
def _():
    with Forward() as v:
        s = v.session()
        c, out = v.app(), []
        data = os.urandom(400_000)
        threading.Thread(target=app_echo, args=(c, data, out), daemon=True).start()
        echo_server(s, 10, lambda: any(o.ready() > 50_000 for o in s.streams.values()))
        time.sleep(2.5)                     # neither reads nor writes
        echo_server(s, 20, lambda: bool(out))
        equal(out, [True])


@check("forward udp: malformed packets are counted, the stream goes on")
def _():
    with Forward() as v:
        s = v.session()
        c = v.app()
        c.sendall(b"hello")
        s.until(lambda: any(o.ready() == 5 for o in s.streams.values()))
        one, = s.streams.values()
        for wrong in (ack([(2**40, 2**40)]), frame("WINDOW", one.name, 6, WINDOW),
                      frame("WINDOW", one.name, 0, LARGEST + 1),
                      stream(one.name, WINDOW, b"x"), frame("SESSION_WINDOW", SESSION_LARGEST + 1)):
            malformed(v, s, wrong)
        s.raw(stream(one.name, 0, b"world", True))
        s.barrier()
        malformed(v, s, stream(one.name, 5, b"x"))
        malformed(v, s, stream(one.name, 0, b"w", True))
        equal(c.recv(100), b"world")
        equal(c.recv(100), b"")
        c.close()
        through(v, s, 1000)


@check("forward udp: PATH_CHALLENGE is answered; PING by ACK")
def _():
    with Forward() as v:
        s = v.session()
        s.raw(frame("PATH_CHALLENGE", 77))
        equal(s.wait("PATH_RESPONSE"), ("PATH_RESPONSE", 77))
        s.barrier()
        equal(s.counts["PONG"], 0)


@check("forward udp: the window of a stream holds it back at 1 MiB, of all at 8 MiB")
def _():
    with Forward() as v:
        s = v.session()
        s.opens = lambda name, target: (Transport.opens(s, name, target),
                                        setattr(s.streams[name], "hold", True))
        apps = [v.app() for _ in range(SESSION_WINDOW // WINDOW + 2)]

        for c in apps:
            threading.Thread(target=unheard, args=(c.sendall, bytes(3 << 20)),
                             daemon=True).start()
        s.until(lambda: sum(o.ready() for o in s.streams.values()) == SESSION_WINDOW, 30)
        idle(s, 1)
        equal(sum(o.ready() for o in s.streams.values()), SESSION_WINDOW)
        true(all(o.ready() <= WINDOW for o in s.streams.values()), "beyond the window")
        del s.opens
        for o in s.streams.values():
            o.hold, o.taken = False, o.ready()
        s.until(lambda: all(o.ready() == 3 << 20 for o in s.streams.values()), 30)
        for c in apps:
            linger0(c)
        s.until(lambda: not s.streams)


# ---- streams over TCP links ------------------------------------------------


@check("serve tcp: sealed and plain: streams both ways, and they outlive their connection")
def _():
    for plain in MODES:
        with Echo() as echo, Serve(plain=plain, scheme="tcp") as v:
            s = v.session()
            one, two = s.stream(echo.url), s.stream(echo.url)
            echoes(s, one, os.urandom(3 << 20), end=False)
            for cut in (20_000, 300_000, 900_000):
                data = os.urandom(1 << 20)
                begin = len(two.out)
                two.write(data)
                s.until(lambda: two.ready() > begin + cut, 20)
                s.link.close()
                s.dial(v.address, udp=False)
                s.until(lambda: two.ready() == len(two.out), 20)
                equal(bytes(two.data[begin:]), data)
            echoes(s, one, b"end")
            echoes(s, two, b"end")
            s.until(lambda: not s.streams)
            equal(len(echo.connections), 2)


@check("serve tcp: the connection is cut with a reset and with much unread")
def _():
    with Echo() as echo, Source() as source, Serve(scheme="tcp") as v:
        s = v.session()
        one = s.stream(source.url)
        for _ in range(5):
            where = one.ready()
            s.until(lambda: one.ready() > where + 200_000, 20)
            linger0(s.link.sock)
            s.dial(v.address, udp=False)
        echoes(s, s.stream(echo.url), os.urandom(100_000))


@check("forward tcp: streams outlive the connection")
def _():
    for plain in MODES:
        with Forward(plain=plain, scheme="tcp") as v:
            s = v.session()
            c, out = v.app(), []
            data = os.urandom(3 << 20)
            threading.Thread(target=app_echo, args=(c, data, out), daemon=True).start()
            for cut in (100_000, 1_000_000, 2_000_000):
                echo_server(s, 20, lambda: any(o.ready() > cut for o in s.streams.values()))
                s.link.close()
                s.serve(v.link, 15)
            echo_server(s, 30, lambda: bool(out))
            equal(out, [True])


@check("serve tcp: in sessions without a STREAM flow no ACK is sent, with one it is")
def _():
    with Echo() as echo, Serve(scheme="tcp") as v:
        s = v.session()
        flow = s.open(v.url)
        s.wait("OPENED")
        s.raw(frame("DGRAM", flow, 1, b"x"))
        idle(s, .2)
        equal(s.counts["ACK"], 0)
        one = s.stream(echo.url)
        echoes(s, one, b"x")
        s.until(lambda: s.counts["ACK"] > 0)


@check("serve tcp: who never reads its connection holds up nobody else")
def _():
    with Source() as source, Echo() as echo, Serve(scheme="tcp", peers=2) as v:
        s, other = v.session(), v.session(1)
        for _ in range(10):
            s.stream(source.url)
        s.flush()                           # and never a word again
        one, begin = other.stream(echo.url), time.monotonic()
        while time.monotonic() - begin < 2:
            echoes(other, one, os.urandom(50_000), end=False)
        echoes(other, one, b"end")
        true(show(v.name)["buffer_bytes"] < 64 << 20, "memory")


@check("forward tcp: the first packet stays within 512 bytes with streams waiting")
def _():
    with Forward(scheme="tcp") as v:
        for _ in range(2):                  # a session that is new, and one that goes on
            apps = [v.app() for _ in range(3)]
            for c in apps:
                c.sendall(os.urandom(30_000))
            time.sleep(.2)
            link = ref.Link(v.link.accept()[0])
            answer, keys, _who = ref.respond(v.node, link.recv())
            link.send(answer)
            first = link.recv()
            true(len(first) <= 512, f"{len(first)} bytes behind the handshake")
            list(ref.frames(keys.open(first)))
            link.close()


@check("serve tcp: malformed packets are counted, links and streams go on")
def _():
    with Echo() as echo, Serve(scheme="tcp", peers=2) as v:
        s, other = v.session(), v.session(1)
        one, two = s.stream(echo.url), other.stream(echo.url)
        echoes(s, one, b"a", end=False)
        echoes(other, two, b"a", end=False)
        for wrong in (ack([(2**40, 2**40)]), frame("WINDOW", one.name, 2, WINDOW),
                      frame("WINDOW", one.name, 0, LARGEST + 1),
                      stream(one.name, 2 * WINDOW, b"x"), frame("SESSION_WINDOW", SESSION_LARGEST + 1)):
            before = v.dropped()
            s.raw(wrong)
            s.barrier()
            equal(new_drops(v, before), {"malformed": 1})
        echoes(s, one, b"end")
        echoes(other, two, b"end")


if __name__ == "__main__":
    sys.exit(base.main() if os.geteuid() or "CVTREF" in os.environ else base.inside_namespace())
