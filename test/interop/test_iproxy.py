#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Section 14 of doc/protocol.md: drives the command against iproxy.py, prints TAP.

usage: test_iproxy.py CULVERT [PATTERN]   (only checks whose name has PATTERN)
"""
import hashlib
import itertools
import os
import random
import socket
import sys
import threading
import time

sys.dont_write_bytecode = True

import test_reference as base
from test_reference import HOST, Command, check, equal, free_port, true, udp
from test_transport import Echo, Silent, Target, linger0, resets, show, stops

import iproxy
from iproxy import (ACK, DATA, FIN, GONE, HELLO, KEEPALIVE, LIST, LIST_ID, MOST, Client, Lossy,
                    Malformed, Packet, Server, pack, raw, run, unpack)

base.CHECKS.clear()
NAMES = itertools.count()
ID = 67
SEEDS = range(1, 6)
CLEAR, BAD = {}, {"loss": .1, "twice": .1, "late": .2, "most": .01}


# ---- surroundings ----------------------------------------------------------


class Greeter(Target):
    """Speaks first."""

    def talk(self, c):
        c.sendall(b"SSH-2.0-hello\r\n")
        while data := c.recv(1 << 16):
            c.sendall(data)
        c.shutdown(socket.SHUT_WR)


class Duplex(Target):
    """Sends its own while it reads all of the other's; keeps that."""

    def __init__(self, data):
        self.mine, self.theirs, self.ended = data, bytearray(), threading.Event()
        super().__init__()

    def talk(self, c):
        t = threading.Thread(target=lambda: (c.sendall(self.mine), c.shutdown(socket.SHUT_WR)))
        t.start()
        while data := c.recv(1 << 16):
            self.theirs += data
        t.join()
        self.ended.set()


class Held(Silent):
    """Accepts; a check does the rest with take()."""

    def take(self):
        end = time.monotonic() + 5
        while not self.connections:
            true(time.monotonic() < end, "the target was not dialled")
            time.sleep(.005)
        c = self.connections.pop(0)
        c.settimeout(5)
        return c


class Serve(Command):
    """culvert serve --to a target."""

    def __init__(self, target):
        self.address, self.clients = (HOST, free_port(socket.SOCK_DGRAM)), []
        self.name = f"iproxy{os.getpid()}-{next(NAMES)}"
        to = target if isinstance(target, str) else target.url.decode()
        super().__init__("serve", f"iproxy+udp://{ID}@{HOST}:{self.address[1]}", "--to", to,
                         "--plain", "--name", self.name, ready="msg=listening", max_age=0)

    def client(self, seed=0, ways=CLEAR, **how):
        c = Client(udp(), self.address, ID, inward=Lossy(seed, **ways),
                   outward=Lossy(~seed, **ways), **how)
        self.clients.append(c)
        return c

    def link(self):
        return Wire(udp(), self.address)

    def dropped(self):
        return show(self.name)["dropped"]

    def stop(self):
        stops(self)

    def __exit__(self, *exception):
        for c in self.clients:
            c.sock.close()
        super().__exit__(*exception)


class Forward(Command):
    """culvert forward via a reference server, or via a Wire."""

    def __init__(self):
        self.sock, self.port = udp(), free_port()
        self.name, self.apps = f"iproxy{os.getpid()}-{next(NAMES)}", []
        super().__init__("forward", f"tcp://{HOST}:{self.port}", "via",
                         f"iproxy+udp://{ID}@{HOST}:{self.sock.getsockname()[1]}", "--plain",
                         "--name", self.name, ready="msg=forwarding", max_age=0)

    def server(self, seed=0, ways=CLEAR, **how):
        return Server(self.sock, ID, inward=Lossy(seed, **ways), outward=Lossy(~seed, **ways), **how)

    def app(self):
        c = socket.create_connection((HOST, self.port), 5)
        c.settimeout(10)
        self.apps.append(c)
        return c

    def opens(self):
        """An application, a Wire that has answered its KEEPALIVE, and its client id."""
        c, w = self.app(), Wire(self.sock)
        p = w.wait(KEEPALIVE)
        w.send(ACK, p.client)
        return c, w, p.client

    def dropped(self):
        return show(self.name)["dropped"]

    def stop(self):
        stops(self)

    def __exit__(self, *exception):
        for c in self.apps:
            c.close()
        self.sock.close()
        super().__exit__(*exception)


class Wire:
    """Packets by hand."""

    def __init__(self, sock, address=None):
        self.sock, self.address, self.log = sock, address, []

    def send(self, flags, client, offset=0, data=b"", server=ID, **wrong):
        self.sock.sendto(raw(flags, client, server, offset % 2**32, data, **wrong), self.address)

    def recv(self, timeout=3.):
        self.sock.settimeout(timeout)
        try:
            datagram, self.address = self.sock.recvfrom(65536)
        except TimeoutError:
            return None
        self.log.append((time.monotonic(), unpack(datagram)))
        return self.log[-1][1]

    def wait(self, flags, timeout=3., client=None):
        """The next one with these; others are passed over."""
        end = time.monotonic() + timeout
        while (left := end - time.monotonic()) > 0:
            p = self.recv(left)
            if p and p.flags == flags and client in (None, p.client):
                return p
        raise AssertionError(f"no packet with flags {flags}; came {[p for _, p in self.log]}")

    def quiet(self, seconds=.25, unless=()):
        """Nothing comes, but for these flags."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            p = self.recv(left)
            true(p is None or p.flags in unless, f"{p} came")

    def open(self, client=None):
        client = client or random.randrange(1, 2**32)
        self.send(KEEPALIVE, client)
        equal(self.wait(ACK), Packet(ACK, client, ID, 0, b""))
        return client

    def give(self, client, offset, data, flags=DATA):
        """Sent until it is acknowledged."""
        for _ in range(60):
            self.send(flags, client, offset, data)
            end = time.monotonic() + .2
            while (left := end - time.monotonic()) > 0:
                p = self.recv(left)
                if p and (p.flags, p.offset) == (ACK, offset + (len(data) or 1)):
                    return
        raise AssertionError(f"offset {offset} is not acknowledged; "
                             f"of {len(self.log)} came last {self.last(client)}")

    def last(self, client):
        return [p._replace(data=p.data[:9]) for _, p in self.log if p.client == client][-3:]

    def take(self, client, offset, flags=DATA):
        """The next one, which it acknowledges."""
        p = self.wait(flags, client=client)
        equal(p.offset, offset)
        self.send(ACK, client, offset + (len(p.data) or 1))
        return p.data


def resent(w):
    """The time from the next DATA to its repetition."""
    w.wait(DATA)
    w.wait(DATA)
    (one, p), (two, again) = w.log[-2:]
    equal(again, p)
    return two - one


def same(got, wanted):
    equal((len(got), hashlib.md5(got).digest()), (len(wanted), hashlib.md5(wanted).digest()))


def reads(c, data):
    """These come next, by TCP."""
    got = b""
    while len(got) < len(data):
        more = c.recv(len(data) - len(got))
        true(more, f"the end after {len(got)} of {len(data)} bytes")
        got += more
    same(got, data)


def ends(c):
    equal(c.recv(100), b"")


def still(c, seconds=.2):
    """Nothing comes by TCP."""
    c.settimeout(seconds)
    try:
        equal(c.recv(100), "nothing")
    except TimeoutError:
        c.settimeout(5)


class Thread(threading.Thread):
    """Does one thing beside; result, and what() for run()."""

    def __init__(self, function, *args):
        super().__init__(daemon=True)
        self.function, self.args, self.result, self.error = function, args, None, None
        self.start()

    def run(self):
        try:
            self.result = self.function(*self.args)
        except Exception as e:
            self.error = e

    def over(self):
        if self.error:
            raise self.error
        return not self.is_alive()


def everything(c):
    got = b""
    while data := c.recv(1 << 16):
        got += data
    return got


def sends(c, data):
    c.sendall(data)
    c.shutdown(socket.SHUT_WR)


def malformed():
    """Datagrams that are none: raw() arguments, of a DATA that would fit."""
    yield {"data": b"xxx", "wrong": 1}
    yield {"data": b"xxx", "length": 4}
    yield {"data": b"xxx", "length": 2}
    yield {"data": b"xxx", "length": 2**32 - 1}
    yield {"data": b"x" * (MOST + 1)}
    yield {"data": b""}
    yield {"data": b"xxx", "flags": FIN}
    yield {"data": b"xxx", "flags": ACK}
    yield {"data": b"xxx", "flags": KEEPALIVE}
    for flags in (5, 6, 7, 9, 11, 12, 16, 2**31, 2**32 - 1):
        yield {"flags": flags}


def mistakes(w, client, offset):
    count = 0
    for one in malformed():
        how = dict(one)
        w.send(how.pop("flags", DATA), client, offset, how.pop("data", b""), **how)
        count += 1
    return count


def unlike(w, client, offset):
    """Datagrams whose first words are not those of version 1."""
    good = raw(DATA, client, ID, offset, b"xxx")
    all_of_them = (raw(DATA, client, ID, offset, b"xxx", wrong=1 << 8),
                   raw(DATA, client, ID, offset, b"xxx", version=2),
                   raw(DATA, client, ID, offset, b"xxx", version=0), good[:27], good[:5], b"\0")
    for one in all_of_them:
        w.sock.sendto(one, w.address)
    return len(all_of_them)


def fuzz(w, client, seed, count=4000):
    """Packets that are nearly right."""
    r = random.Random(seed)
    few = lambda *these: r.choice((*these, r.randrange(2**32), r.randrange(9)))
    for i in range(count):
        data = r.randbytes(r.choice((0, 0, 1, 3, MOST, MOST + 1)))
        name = few(client ^ 1, client + 1, i + 1000)
        w.sock.sendto(raw(few(0, 1, 2, 3, 4, 8, 10), name, few(ID, ID, ID, LIST_ID),
                          few(0, 0, 1, 2**32 - 1), data, version=few(1, 1, 1, 1),
                          length=few(*[len(data)] * 6), wrong=few(*[0] * 9) % 256), w.address)
        while w.sock in base.select.select([w.sock], [], [], 0)[0]:
            w.sock.recv(4096)


# ---- the reference alone ---------------------------------------------------


@check("codec: known datagrams, and what is none")
def _():
    # 1, 4, 1 and 67 are rotated by 20, 16, 12 and 8: 0x10 + 4 + 0x10 + 0x43
    equal(raw(KEEPALIVE, 1, 67).hex(), "00000067" "00000001" "00000004" "00000001" "00000043"
          "00000000" "00000000")
    equal(iproxy.checksum(b"\x80\x00"), 1)
    equal(iproxy.checksum(b"\xff\x01"), 0)
    for p in (Packet(DATA, 5, 67, 2**32 - 1, b"x" * MOST), Packet(FIN, 1, 2, 3, b""),
              Packet(HELLO, 9, 67, 0, b"Hello from 67!"), Packet(LIST, 7, LIST_ID, 0, b"")):
        equal(unpack(pack(p)), p)
        for bit in range(8 * len(pack(p))):
            bad = bytearray(pack(p))
            bad[bit // 8] ^= 1 << bit % 8
            try:
                raise AssertionError(f"bit {bit} is not seen: {unpack(bytes(bad))}")
            except Malformed:
                pass


@check("the reference talks to itself under loss, duplicates and reordering")
def _():
    for seed in SEEDS:
        mine, theirs = random.Random(seed).randbytes(20000), random.Random(~seed).randbytes(30000)
        server = Server(udp(), ID, inward=Lossy(seed, **BAD), outward=Lossy(seed + 9, **BAD),
                        opened=lambda c: c.write(theirs, True))
        client = Client(udp(), server.sock.getsockname(), ID)
        c = client.open()
        c.write(mine, True)
        run([client, server], lambda: c.closed and all(
            s.closed for s in server.connections.values()), 30)
        same(c.data, theirs)
        same(next(iter(server.connections.values())).data, mine)
        true(server.inward.counts["lost"] and server.outward.counts["lost"], "nothing was lost")
        server.sock.close()
        client.sock.close()


# ---- reference client -> culvert serve -------------------------------------


@check("serve: both directions at once, 300 KB each")
def _():
    mine, theirs = os.urandom(300_000), os.urandom(300_000)
    with Duplex(theirs) as target, Serve(target) as v:
        client = v.client()
        c = client.open()
        c.write(mine, True)
        run([client], lambda: c.closed, 30)
        true(target.ended.wait(5), "no end at the target")
        same(target.theirs, mine)
        same(c.data, theirs)
        equal(v.dropped()["malformed"], 0)


@check("serve: empty streams; ten connections beside one another")
def _():
    with Echo() as echo, Serve(echo) as v:
        client = v.client()
        cs = [client.open() for i in range(10)]
        for i, c in enumerate(cs):
            c.write(bytes([i]) * (i // 2 * 700), True)
        run([client], lambda: all(c.closed for c in cs))
        for i, c in enumerate(cs):
            same(c.data, bytes([i]) * (i // 2 * 700))


@check("serve: the client ends first, what the target says goes on")
def _():
    with Held() as held, Serve(held) as v:
        client = v.client()
        c = client.open()
        c.write(b"question", True)
        run([client], lambda: c.finished)
        t = held.take()
        reads(t, b"question")
        ends(t)
        data = os.urandom(20000)
        t.sendall(data)
        run([client], lambda: len(c.data) == len(data))
        same(c.data, data)
        true(not c.ended, "ended early")
        t.close()
        run([client], lambda: c.closed)


@check("serve: the target ends first, what the client says goes on")
def _():
    with Held() as held, Serve(held) as v:
        client = v.client()
        c = client.open()
        c.write(b"hello")
        run([client], lambda: not c.out)
        t = held.take()
        sends(t, b"all there is")
        run([client], lambda: c.ended)
        equal(bytes(c.data), b"all there is")
        data = os.urandom(20000)
        c.write(data)
        run([client], lambda: not c.out)
        reads(t, b"hello" + data)
        still(t)
        c.end()
        run([client], lambda: c.closed)
        ends(t)


@check("serve: the target speaks first")
def _():
    with Greeter() as greeter, Serve(greeter) as v:
        client = v.client()
        c = client.open()
        run([client], lambda: c.data == b"SSH-2.0-hello\r\n")
        equal(c.counts["sent 0"], 0)
        c.write(b"x", True)
        run([client], lambda: c.closed)


@check("serve: 10 % loss, duplicates and reordering both ways, five seeds")
def _():
    with Echo() as echo, Serve(echo) as v:
        for seed in SEEDS:
            client, data = v.client(seed, BAD), random.Random(seed).randbytes(40_000)
            cs = [client.open(), client.open()]
            for c in cs:
                c.write(data, True)
            run([client], lambda: all(c.closed for c in cs), 40)
            for c in cs:
                same(c.data, data)
            true(client.inward.counts["lost"] > 5, "nothing was lost")
        equal(v.dropped()["malformed"], 0)


@check("serve: LIST is answered with HELLO within 100 ms, at most 20 times a second")
def _():
    with Silent() as target, Serve(target) as v:
        w = v.link()
        for client in (1, 2**32 - 1, 12345):
            begin = time.monotonic()
            w.send(LIST, client, server=LIST_ID)
            equal(w.wait(HELLO, 1), Packet(HELLO, client, ID, 0, b"Hello from 67!"))
            true(time.monotonic() - begin < .2, "late")
        time.sleep(1.1)
        w.log.clear()
        begin = time.monotonic()
        while time.monotonic() < begin + .9:
            w.send(LIST, 7, server=LIST_ID)
            w.recv(.005)
        w.quiet(.3, unless=(HELLO,))
        first = w.log[0][0]
        count = sum(at < first + 1 for at, p in w.log)
        true(10 <= count <= 21, f"{count} answers in a second")
        equal(target.connections, [])


@check("serve: KEEPALIVE is answered with what is expected, FIN counts one")
def _():
    with Held() as held, Serve(held) as v:
        w = v.link()
        client = w.open()
        for flags, data, offset, wanted in ((DATA, b"12345", 0, 5), (DATA, b"678", 5, 8),
                                            (FIN, b"", 8, 9)):
            w.send(flags, client, offset, data)
            equal(w.wait(ACK).offset, wanted)
            w.send(KEEPALIVE, client, wanted)
            equal(w.wait(ACK), Packet(ACK, client, ID, wanted, b""))
            w.send(flags, client, offset, data)
            equal(w.wait(ACK).offset, wanted)
        w.send(DATA, client, 9, b"more")
        w.send(FIN, client, 9)
        w.send(KEEPALIVE, client, 9)
        equal(w.wait(ACK).offset, 9)
        t = held.take()
        reads(t, b"12345678")
        ends(t)
        t.close()
        equal(w.take(client, 0, FIN), b"")
        w.send(FIN, client, 8)              # it is closed, and still known
        equal(w.wait(ACK).offset, 9)


@check("serve: GONE for what belongs to no connection, nothing for GONE and LIST")
def _():
    with Held() as held, Serve(held) as v:
        w = v.link()
        for client, (flags, offset, data) in enumerate(
                ((DATA, 1, b"x"), (DATA, 2**32 - 1, b"x"), (FIN, 0, b""), (FIN, 5, b""),
                 (ACK, 0, b""), (ACK, 7, b"")), 100):
            w.send(flags, client, offset, data)
            equal(w.recv(), Packet(GONE, client, ID, 0, b""))
        w.send(GONE, 200)
        w.send(LIST, 201)                   # not the LIST id
        w.quiet()
        equal(held.connections, [])


@check("serve: a target that refuses is GONE, and so is one that resets")
def _():
    with Serve(f"tcp://{HOST}:{free_port()}") as v:
        client = v.client()
        c = client.open()
        run([client], lambda: c.gone)
        c = client.open()
        c.write(b"hello")
        run([client], lambda: c.gone)
    with Held() as held, Serve(held) as v:
        w = v.link()
        client = w.open()
        w.give(client, 0, b"x")
        linger0(held.take())
        w.wait(GONE, client=client)
        w.quiet()                           # once
        w.send(DATA, client, 1, b"y")
        equal(w.recv().flags, GONE)


@check("serve: GONE resets the target's connection at once")
def _():
    with Held() as held, Serve(held) as v:
        w = v.link()
        client = w.open()
        w.give(client, 0, b"x")
        t = held.take()
        reads(t, b"x")
        w.send(GONE, client)
        w.quiet()
        resets(t)
        w.send(DATA, client, 1, b"y")
        equal(w.recv().flags, GONE)


@check("serve: malformed datagrams are dropped and counted, the connection goes on")
def _():
    with Echo() as echo, Serve(echo) as v:
        w = v.link()
        client = w.open()
        w.give(client, 0, b"a")
        equal(w.take(client, 0), b"a")
        before = v.dropped()["malformed"]
        count = mistakes(w, client, 1)
        w.quiet()
        got = v.dropped()["malformed"] - before
        w.give(client, 1, b"b")
        equal(w.take(client, 1), b"b")
        equal(got, count)


@check("serve: what does not begin as version 1 does is dropped, and counted too")
def _():
    with Echo() as echo, Serve(echo) as v:
        w = v.link()
        client = w.open()
        before = v.dropped()
        count = unlike(w, client, 0)
        w.quiet()
        got = sum(v.dropped().values()) - sum(before.values())
        w.give(client, 0, b"b")
        equal(w.take(client, 0), b"b")
        equal(got, count)


@check("serve: packets that are nearly right do no harm")
def _():
    with Echo() as echo, Serve(echo) as v:
        w = v.link()
        client = w.open()
        for seed in SEEDS:
            fuzz(w, client, seed)
            w.give(client, seed - 1, b"%d" % seed)
        w.give(client, 5, b"", FIN)


@check("serve: another server's packets are not answered, and change nothing")
def _():
    with Held() as held, Serve(held) as v:
        w = v.link()
        client = w.open()
        w.give(client, 0, b"x")
        for server in (0, 66, 68, ID << 8, LIST_ID):
            for flags, data in ((KEEPALIVE, b""), (DATA, b"y"), (FIN, b""), (ACK, b""),
                                (GONE, b"")):
                w.send(flags, client, 1 if data else 0, data, server=server)
                w.send(flags, client + 1, 0, data, server=server)
        w.quiet()
        w.give(client, 1, b"z")
        t = held.take()
        reads(t, b"xz")
        still(t)
        equal(held.connections, [])


@check("serve: the same from a second address is acknowledged, and no byte comes twice")
def _():
    with Held() as held, Serve(held) as v:
        one, two = v.link(), v.link()
        client = one.open()
        sent = b""
        for i in range(30):
            data = os.urandom(1 + 35 * i)
            for w in random.sample((one, two, one, two), 4):
                w.send(DATA, client, len(sent), data)
            sent += data
            for w in (one, two):
                for _ in range(2):
                    equal(w.wait(ACK), Packet(ACK, client, ID, len(sent), b""))
        two.send(KEEPALIVE, client, len(sent))
        two.wait(ACK)
        t = held.take()
        reads(t, sent)
        t.sendall(b"answer")                # to who was heard last
        equal(two.take(client, 0), b"answer")
        two.send(FIN, client, len(sent))
        one.send(FIN, client, len(sent))
        one.wait(ACK)
        ends(t)
        equal(held.connections, [])


@check("serve: DATA that does not begin at the next byte, and ACK of something else")
def _():
    with Held() as held, Serve(held) as v:
        w = v.link()
        client = w.open()
        w.give(client, 0, b"0123456789")
        for offset, data in ((0, b"abcde"), (3, b"x"), (9, b"xyz")):    # had, or begins so
            w.send(DATA, client, offset, data)
            equal(w.wait(ACK), Packet(ACK, client, ID, 10, b""))
        for flags, offset, data in ((DATA, 11, b"a"), (DATA, 1 << 30, b"a"), (FIN, 11, b"")):
            w.send(flags, client, offset, data)
        w.quiet()
        t = held.take()
        t.sendall(b"answer")
        p = w.wait(DATA)
        for offset in (0, 1, 5, 2**32 - 1):
            w.send(ACK, client, offset)
        equal(w.wait(DATA), p)              # again
        w.send(ACK, client, 6)
        t.sendall(b"more")
        equal(w.take(client, 6), b"more")
        w.give(client, 10, b"!")
        reads(t, b"0123456789!")
        w.send(ACK, client, 100)            # never sent: of another connection
        w.send(DATA, client, 11, b"?")
        w.wait(GONE, client=client)


@check("serve: only KEEPALIVE opens, and what is gone is not opened again by a late one")
def _():
    with Held() as held, Serve(held) as v:
        w = v.link()
        w.send(DATA, 4711, 0, b"first")
        equal(w.recv().flags, GONE)
        client = w.open()
        held.take()
        w.send(GONE, client)
        w.send(KEEPALIVE, client)
        equal(w.recv().flags, GONE)
        equal(held.connections, [])


@check("serve: one DATA at a time, sent again at doubled intervals, the same each time")
def _():
    with Held() as held, Serve(held) as v:
        w = v.link()
        client = w.open()
        held.take().sendall(os.urandom(50_000))
        first = w.wait(DATA)
        equal((first.offset, len(first.data) <= MOST), (0, True))
        w.log[:] = w.log[-1:]
        w.quiet(3.4, unless=(DATA,))
        times = [at for at, p in w.log]
        equal({p for _, p in w.log}, {first})
        gaps = [b - a for a, b in zip(times, times[1:])]
        for got, wanted in zip(gaps, (.1, .2, .4, .8, 1)):
            true(wanted * .8 < got < wanted * 1.5 + .1, f"{gaps}")
        true(len(gaps) >= 4, f"{gaps}")
        w.send(ACK, client, len(first.data))
        equal(w.wait(DATA).offset, len(first.data))


@check("serve: the interval follows the round trip, of packets that were not repeated")
def _():
    with Held() as held, Serve(held) as v:
        w = v.link()
        client = w.open()
        t = held.take()
        t.sendall(b"slow")
        for _ in range(3):
            w.wait(DATA)
        w.send(ACK, client, 4)
        t.sendall(b"slow")
        gap = resent(w)
        true(.08 < gap < .7, f"{gap} s after one that was repeated")
        w.quiet(.01, unless=(DATA,))
        w.send(ACK, client, 8)
        offset = 8
        for _ in range(40):
            t.sendall(b"x")
            w.take(client, offset)
            offset += 1
        t.sendall(b"y")
        gap = resent(w)
        true(.0035 < gap < .095, f"{gap} s on a fast way")


@check("serve: GONE for the FIN of one that ended both ways closes it, in good order")
def _():
    with Held() as held, Serve(held) as v:
        w = v.link()
        client = w.open()
        w.give(client, 0, b"x")
        w.give(client, 1, b"", FIN)
        t = held.take()
        reads(t, b"x")
        ends(t)
        t.shutdown(socket.SHUT_WR)
        w.wait(FIN)
        w.send(GONE, client)
        w.quiet(.3, unless=(FIN,))
        w.quiet(.3)
        w.send(FIN, client, 1)
        equal(w.wait(ACK).offset, 2)
        ends(t)


@check("serve: a target that does not read holds up the sender, which is kept and goes on")
def _():
    with Held() as held, Serve(held) as v:
        w = v.link()
        client, sent, refused = w.open(), 0, 0
        t = held.take()
        block, sum_sent = os.urandom(MOST), hashlib.md5()
        while not refused:
            true(sent < 60 << 20, "60 MB are taken without a reader")
            w.send(DATA, client, sent, block)
            refused = 1
            while refused:
                p = w.recv(.5)
                if p is None:
                    break
                refused = p.offset != sent + MOST
            if not refused:
                sent += MOST
                sum_sent.update(block)
        w.send(KEEPALIVE, client, sent)
        equal(w.wait(ACK).offset, sent)
        w.send(DATA, client, sent - MOST, block)
        equal(w.wait(ACK).offset, sent)
        got, left = hashlib.md5(), sent
        while left:
            data = t.recv(min(left, 1 << 20))
            true(data, "the end")
            got.update(data)
            left -= len(data)
        equal(got.digest(), sum_sent.digest())
        w.give(client, sent, b"last")
        reads(t, b"last")


@check("serve: the table: a 65th is GONE, and comes in when one was closed")
def _():
    with Echo() as echo, Serve(echo) as v:
        w, client = v.link(), v.client()
        cs = [client.open() for _ in range(64)]
        run([client], lambda: not any(c.opening for c in cs))
        for _ in range(3):
            w.send(KEEPALIVE, 1000)
            equal(w.wait(GONE), Packet(GONE, 1000, ID, 0, b""))
        for c in (cs[5], cs[9]):
            c.end()
            run([client], lambda c=c: c.closed)
        for name, known in ((1001, {9}), (1002, set())):
            w.open(name)
            w.give(name, 0, b"in")
            equal(w.take(name, 0), b"in")
            for i in (5, 9):                # the one that was closed first gives way
                w.send(FIN, cs[i].client, 0)
                equal((i, w.wait(ACK if i in known else GONE).client), (i, cs[i].client))
        w.send(KEEPALIVE, 1003)
        w.wait(GONE)
        cs[20].abort()
        client.work()
        w.open(1004)
        run([client], lambda: client.outward.next() == float("inf"))
        live = [c for c in cs if not c.closed and not c.gone]
        equal(len(live), 61)
        for c in live:
            c.write(b"still here", True)
        run([client], lambda: all(c.closed for c in live))
        for c in live:
            equal(bytes(c.data), b"still here")


def long(name):
    """A check that test-long.sh has time for."""
    return check(name, slow=True) if os.environ.get("CULVERT_LONG") else lambda f: f


@long("serve: KEEPALIVE after 5 s; the end after 30 s of silence, not sooner")
def _():
    with Held() as held, Serve(held) as v:
        w = v.link()
        client = w.open()
        w.give(client, 0, b"x")
        begin = time.monotonic()
        t = held.take()
        reads(t, b"x")
        equal(w.wait(KEEPALIVE, 8), Packet(KEEPALIVE, client, ID, 0, b""))
        true(4.5 < time.monotonic() - begin < 6.5, "not after 5 s")
        w.wait(KEEPALIVE, 8)
        true(9 < time.monotonic() - begin < 12, "not again")
        still(t, begin + 27 - time.monotonic())
        t.settimeout(8)
        resets(t)
        true(29 < time.monotonic() - begin < 33, "not after 30 s")
        w.log.clear()
        while w.recv(.2):
            pass
        w.send(DATA, client, 1, b"y")
        equal(w.wait(GONE).client, client)


# ---- culvert forward -> reference server -----------------------------------


@check("forward: KEEPALIVE of offset 0 opens, again at doubled intervals until it is answered")
def _():
    with Forward() as v:
        a, w = v.app(), Wire(v.sock)
        first = w.wait(KEEPALIVE)
        equal(first, Packet(KEEPALIVE, first.client, ID, 0, b""))
        true(first.client, "client id 0")
        w.quiet(2, unless=(KEEPALIVE,))
        times = [at for at, p in w.log]
        equal({p for _, p in w.log}, {first})
        gaps = [y - x for x, y in zip(times, times[1:])]
        for got, wanted in zip(gaps, (.1, .2, .4, .8)):
            true(wanted * .8 < got < wanted * 1.5 + .1, f"{gaps}")
        w.send(ACK, first.client)
        a.sendall(b"hello")
        equal(w.take(first.client, 0), b"hello")
        w.quiet(1)
        names = {v.opens()[2] for _ in range(20)}
        equal(len(names | {first.client}), 21)
        true(max(names) > 2**24, "ids are not random")


@check("forward: both directions at once, 300 KB each")
def _():
    mine, theirs = os.urandom(300_000), os.urandom(300_000)
    with Forward() as v:
        server = v.server(opened=lambda c: c.write(theirs, True))
        a = v.app()
        out, back = Thread(sends, a, mine), Thread(everything, a)
        run([server], lambda: out.over() and back.over() and all(
            c.closed for c in server.connections.values()), 30)
        same(back.result, theirs)
        same(next(iter(server.connections.values())).data, mine)
        equal(v.dropped()["malformed"], 0)


@check("forward: the server speaks first; either end ends first and the other goes on")
def _():
    with Forward() as v:
        server = v.server(opened=lambda c: c.write(b"banner"))
        a, b = v.app(), v.app()
        run([server], lambda: len(server.connections) == 2)
        for app, first in ((a, True), (b, False)):
            reader = Thread(reads, app, b"banner")
            run([server], reader.over)
            app.sendall(b"a" if first else b"b")
        run([server], lambda: all(c.data for c in server.connections.values()))
        ca, cb = sorted(server.connections.values(), key=lambda c: bytes(c.data))
        data = os.urandom(20_000)
        a.shutdown(socket.SHUT_WR)
        run([server], lambda: ca.ended)
        ca.write(data)
        reader = Thread(reads, a, data)
        run([server], reader.over)
        ca.end()
        run([server], lambda: ca.closed)
        ends(a)
        cb.end()
        run([server], lambda: cb.finished)
        ends(b)
        b.sendall(data)
        run([server], lambda: len(cb.data) == 20_001)
        same(cb.data[1:], data)
        true(not cb.ended, "ended early")
        b.shutdown(socket.SHUT_WR)
        run([server], lambda: cb.closed)


@check("forward: 10 % loss, duplicates and reordering both ways, five seeds")
def _():
    with Forward() as v:
        for seed in SEEDS:
            mine, theirs = (random.Random(s).randbytes(40_000) for s in (seed, ~seed))
            server = v.server(seed, BAD, opened=lambda c: c.write(theirs, True))
            a = v.app()
            out, back = Thread(sends, a, mine), Thread(everything, a)
            run([server], lambda: out.over() and back.over() and server.connections and all(
                c.closed for c in server.connections.values()), 40)
            same(back.result, theirs)
            equal(len(server.connections), 1)
            same(next(iter(server.connections.values())).data, mine)
            true(server.inward.counts["lost"] > 5, "nothing was lost")
            while v.sock in base.select.select([v.sock], [], [], .1)[0]:
                v.sock.recv(4096)


@check("forward: GONE resets the application, when it opens and later")
def _():
    with Forward() as v:
        a, w, client = v.opens()
        a.sendall(b"x")
        equal(w.take(client, 0), b"x")
        w.send(GONE, client)
        resets(a)
        a = v.app()
        client = w.wait(KEEPALIVE).client
        w.send(GONE, client)
        resets(a)
        w.quiet()
        with_server = v.server(opened=lambda c: False)
        a = Thread(resets, v.app())
        run([with_server], a.over)


@check("forward: GONE for the FIN of one that ended both ways closes it, in good order")
def _():
    with Forward() as v:
        a, w, client = v.opens()
        w.give(client, 0, b"bye")
        w.give(client, 3, b"", FIN)
        a.shutdown(socket.SHUT_WR)
        w.wait(FIN)
        w.send(GONE, client)
        w.quiet(.2, unless=(FIN,))
        w.quiet(.3)
        reads(a, b"bye")
        ends(a)


@check("forward: an application that resets sends GONE, once, and is forgotten")
def _():
    with Forward() as v:
        a, w, client = v.opens()
        a.sendall(b"x")
        equal(w.take(client, 0), b"x")
        linger0(a)
        equal(w.wait(GONE), Packet(GONE, client, ID, 0, b""))
        w.send(DATA, client, 0, b"y")
        w.send(KEEPALIVE, client)
        w.quiet()


@check("forward: malformed datagrams are dropped and counted, the connection goes on")
def _():
    with Forward() as v:
        a, w, client = v.opens()
        w.give(client, 0, b"a")
        before = v.dropped()["malformed"]
        count = mistakes(w, client, 1)
        w.quiet()
        got = v.dropped()["malformed"] - before
        w.give(client, 1, b"b")
        reads(a, b"ab")
        equal(got, count)


@check("forward: packets that are nearly right do no harm")
def _():
    with Forward() as v:
        a, w, client = v.opens()
        for seed in SEEDS:
            fuzz(w, client, seed)
            w.give(client, seed - 1, b"%d" % seed)
        reads(a, b"12345")
        w.give(client, 5, b"", FIN)
        ends(a)


@check("forward: packets of other servers and other clients are dropped without a word")
def _():
    with Forward() as v:
        a, w, client = v.opens()
        w.give(client, 0, b"x")
        for other, server in ((client, 66), (client, LIST_ID), (client ^ 1, ID), (0, ID)):
            for flags, data in ((KEEPALIVE, b""), (DATA, b"y"), (FIN, b""), (ACK, b""),
                                (GONE, b""), (LIST, b""), (HELLO, b"Hello")):
                w.send(flags, other, 1 if flags in (DATA, FIN) else 0, data, server=server)
        w.quiet()
        w.give(client, 1, b"z")
        reads(a, b"xz")
        still(a)


@check("forward: DATA twice, from two addresses, ahead and behind: no byte comes twice")
def _():
    with Forward() as v:
        a, w, client = v.opens()
        other, sent = Wire(udp(), w.address), b""
        for i in range(30):
            data = os.urandom(1 + 35 * i)
            for one in random.sample((w, w, other), 3):
                one.send(DATA, client, len(sent), data)
            sent += data
            w.send(DATA, client, len(sent) + 1, b"ahead")
            w.send(DATA, client, len(sent) - 1, b"behind")
            w.give(client, len(sent) - len(data), data)
        w.send(FIN, client, len(sent) - 1)
        w.send(FIN, client, len(sent) + 1)
        reads(a, sent)
        still(a)
        w.give(client, len(sent), b"", FIN)
        ends(a)
        other.sock.close()


@long("forward: one that is closed still acknowledges a FIN that comes again, for 3 s")
def _():
    with Forward() as v:
        a, w, client = v.opens()
        a.shutdown(socket.SHUT_WR)
        equal(w.take(client, 0, FIN), b"")
        w.give(client, 0, b"", FIN)
        ends(a)
        a.close()
        w.quiet(.5)
        for _ in range(3):                  # each puts it off
            time.sleep(1.5)
            w.send(FIN, client, 0)
            equal(w.wait(ACK), Packet(ACK, client, ID, 1, b""))
        time.sleep(4)
        w.send(FIN, client, 0)
        w.quiet()


@check("forward: an application that does not read is waited for", slow=True)
def _():
    with Forward() as v:
        a, w, client = v.opens()
        sent, block = 0, os.urandom(MOST)
        while True:
            true(sent < 60 << 20, "60 MB are taken without a reader")
            w.send(DATA, client, sent, block)
            p = w.wait(ACK)
            if p.offset == sent:            # no room: it only says that it is there
                break
            equal(p.offset, sent + MOST)
            sent += MOST
        w.send(KEEPALIVE, client, sent)
        equal(w.wait(ACK).offset, sent)
        for at in range(0, sent, MOST):
            reads(a, block)
        w.give(client, sent, b"last")
        reads(a, b"last")


@long("forward: KEEPALIVE after 5 s; the end after 30 s of silence, not sooner")
def _():
    with Forward() as v:
        a, w, client = v.opens()
        begin = time.monotonic()
        a.sendall(b"x")
        equal(w.take(client, 0), b"x")
        equal(w.wait(KEEPALIVE, 8), Packet(KEEPALIVE, client, ID, 1, b""))
        true(4.5 < time.monotonic() - begin < 6.5, "not after 5 s")
        still(a, begin + 27 - time.monotonic())
        a.settimeout(8)
        resets(a)
        true(29 < time.monotonic() - begin < 33, "not after 30 s")


if __name__ == "__main__":
    sys.exit(base.main() if os.geteuid() or "CVTREF" in os.environ else base.inside_namespace())
