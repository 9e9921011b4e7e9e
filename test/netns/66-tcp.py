#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""TCP connections of programs: whole, in order, ended as their ends end them"""
import hashlib
import os
import signal
import socket
import struct
import threading
import time

from lib import (IN, LINK, LO, LONG, OUT, Scene, equal, sh, true, until, url,
                 CULVERT)

FAR = OUT + 1  # where nobody listens
PROXIED = OUT + 3  # where a PROXY header is wanted
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
BULK = (256 if LONG else 48) << 20


def listen(host, addr=LO, port=OUT):
    with host:
        s = socket.create_server((addr, port), backlog=4096)
    s.settimeout(5)
    host.scene.sockets.append(s)
    return s


def meet(a, server, port=IN):
    """a client and its connection at the target"""
    client = a.tcp(LO, port)
    far, _ = server.accept()
    far.settimeout(5)
    a.scene.sockets.append(far)
    return client, far


def hears(s, data):
    got = b""
    while len(got) < len(data):
        more = s.recv(len(data) - len(got))
        true(more, f"ended after {len(got)} of {len(data)} bytes")
        got += more
    equal(got, data)


def break_off(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def is_refused(host, port):
    """connected, perhaps, but not for long"""
    try:
        is_reset(host.tcp(LO, port))
    except ConnectionResetError:
        pass


def is_reset(s):
    try:
        data = s.recv(1)
    except (ConnectionResetError, BrokenPipeError):
        return
    true(False, f"no reset but {data!r}")


def is_over(s):
    """ended or broken off: its process was killed"""
    try:
        equal(s.recv(1), b"")
    except ConnectionResetError:
        pass


def transfer(sender, receiver, size):
    """bytes of no pattern one way; returns seconds"""
    block, sent = os.urandom(1 << 20), hashlib.blake2b()

    def send():
        for n in range(size // len(block)):
            data = struct.pack("!I", n) + block[4:]
            sent.update(data)
            sender.sendall(data)
        sender.shutdown(socket.SHUT_WR)
    thread = threading.Thread(target=send)
    began, got, count = time.monotonic(), hashlib.blake2b(), 0
    thread.start()
    while data := receiver.recv(1 << 20):
        got.update(data)
        count += len(data)
    thread.join()
    equal((count, got.digest()), (size, sent.digest()), "bytes")
    return time.monotonic() - began


def forward(link, name="client"):
    return s.forward(a, url("tcp", LO, IN), url("tcp", LO, OUT),
                     url(link, b.v4, LINK), name=name).up()


def carry(client, link):
    """what every link must do"""
    with s.check(f"{link}: there and back, whoever speaks first"):
        c, t = meet(a, target)
        t.sendall(b"220 ready")
        hears(c, b"220 ready")
        for n in range(200):
            c.sendall(b"question %d" % n)
            hears(t, b"question %d" % n)
            t.sendall(b"answer %d" % n)
            hears(c, b"answer %d" % n)

    with s.check(f"{link}: a client's FIN arrives, and the answer behind it"):
        c.shutdown(socket.SHUT_WR)
        equal(t.recv(1), b"")
        t.sendall(b"all of it")
        t.close()
        hears(c, b"all of it")
        equal(c.recv(1), b"")
        until(lambda: client.peer()["flows"] == 0, "the flow is gone")

    with s.check(f"{link}: a RST is a RST at the other end, both ways"):
        c, t = meet(a, target)
        c.sendall(b"x")
        hears(t, b"x")
        break_off(c)
        is_reset(t)
        c, t = meet(a, target)
        break_off(t)
        is_reset(c)
        until(lambda: client.peer()["flows"] == 0, "the flows are gone")

    with s.check(f"{link}: said and closed at once: all arrives"):
        c = a.tcp(LO, IN)
        c.sendall(b"hello and goodbye")
        c.close()
        t, _ = target.accept()
        hears(t, b"hello and goodbye")
        equal(t.recv(1), b"")
        t.close()

    for way in ("there", "back"):
        with s.check(f"{link}: {BULK >> 20} MiB {way}, every byte"):
            c, t = meet(a, target)
            ends = (c, t) if way == "there" else (t, c)
            seconds = transfer(*ends, BULK)
            s.note(f"{BULK * 8 / seconds / 1e9:.2f} Gbit/s")
            c.close()
            t.close()

    with s.check(f"{link}: a reader that stops stops its writer, nobody else"):
        c, t = meet(a, target)
        c.settimeout(1)
        put = 0
        try:
            while put < 1 << 30:
                put += c.send(bytes(1 << 16))
        except TimeoutError:
            pass
        true(put < 256 << 20, f"{put} bytes were taken")
        other, far = meet(a, target)
        other.sendall(b"past it")
        hears(far, b"past it")
        c.shutdown(socket.SHUT_WR)
        got = 0
        while data := t.recv(1 << 20):
            got += len(data)
        equal(got, put)
        for x in (c, t, other, far):
            x.close()


def serve():
    return s.serve(b, url("tcp", b.v4, LINK), url("udp", b.v4, LINK),
                   peers=("c", "c2", "c3", "c4", "c5", "c6"),
                   options=("--allow", f"tcp://{LO}:*", "--allow",
                            f"tcp://{b.v4}:*", "--allow", "tcp://far:*",
                            "--allow", f"tcp://{LO}:{PROXIED}?proxy=v2"))


def goes_on(c):
    """made before or while the server was started anew"""
    c.sendall(b"question")
    t, _ = target.accept()
    t.settimeout(5)
    hears(t, b"question")
    t.sendall(b"answer")
    t.close()
    hears(c, b"answer")
    equal(c.recv(1), b"")


with Scene("66", __doc__) as s:
    a, b = s.pair()
    s.hosts_file(b, f"{b.v4} far\n")
    server = serve()
    target = listen(b)
    for link in ("tcp", "udp"):
        client = forward(link)
        carry(client, link)
        if link == "tcp":
            client.kill()

    with s.check("a target where nobody listens: RST, and a line says why"):
        nobody = s.forward(a, url("tcp", LO, 1235), url("tcp", LO, FAR),
                           url("tcp", b.v4, LINK), key="c2", name="nobody")
        until(lambda: nobody.peer()["state"] == "up", "up")
        is_refused(a, 1235)
        nobody.said("connection_refused")
        server.said("Connection refused")
        nobody.kill()

    with s.check("a target that is not allowed: RST, and both say so"):
        other = s.forward(a, url("tcp", LO, 1236), "tcp://192.0.2.1:80",
                          url("tcp", b.v4, LINK), key="c3", name="other")
        other.up()
        is_refused(a, 1236)
        other.said("not_allowed")
        server.said("no --allow covers it")
        other.kill()

    with s.check("a target by name"):
        named = s.forward(a, url("tcp", LO, 1237), f"tcp://far:{FAR + 1}",
                          url("tcp", b.v4, LINK), key="c4", name="named")
        named.up()
        there = listen(b, b.v4, FAR + 1)
        c, t = meet(a, there, 1237)
        c.sendall(b"by name")
        hears(t, b"by name")
        named.kill()

    proxied = listen(b, LO, PROXIED)
    knows = s.forward(a, url("tcp", LO, 1240) + "?proxy=v2",
                      url("tcp", LO, PROXIED) + "?proxy=v2",
                      url("udp", b.v4, LINK), key="c5", name="knows").up()
    told = SIGNATURE + b"\x21\x11\0\x0c" + socket.inet_aton("198.51.100.7") \
        + socket.inet_aton("203.0.113.1") + struct.pack("!HH", 4321, 80)

    with s.check("PROXY header in, PROXY header out, bytes untouched"):
        c = a.tcp(LO, 1240)
        for n in range(len(told)):
            c.sendall(told[n:n + 1])
        c.sendall(b"GET /")
        t, _ = proxied.accept()
        t.settimeout(5)
        hears(t, told[:20] + socket.inet_aton(LO)
              + struct.pack("!HH", 4321, PROXIED) + b"GET /")
        t.sendall(b"200")
        hears(c, b"200")
        c.close()
        equal(t.recv(1), b"")
        t.close()

    with s.check("no PROXY header where one is expected: closed, and said"):
        c = a.tcp(LO, 1240)
        c.sendall(b"GET / HTTP/1.1\r\n\r\n")
        try:
            equal(c.recv(1), b"")
        except ConnectionResetError:
            pass
        knows.said("no PROXY header of version 2")
    knows.signal(signal.SIGTERM)
    equal(knows.exit_code(), 0)

    with s.check("a target that wants a header gets one, whoever asks"):
        plain = s.forward(a, url("tcp", LO, 1241), url("tcp", LO, PROXIED),
                          url("tcp", b.v4, LINK), key="c6", name="plain").up()
        c, t = meet(a, proxied, 1241)
        c.sendall(told)
        hears(t, SIGNATURE + b"\x20\0\0\0" + told)
        c.close()
        t.close()
        plain.kill()

    with s.check("--to is where streams go that name no target"):
        to = s.serve(b, url("tcp", b.v4, LINK + 1), name="to", peers=("c2",),
                     options=("--to", url("tcp", LO, OUT)))
        bare = s.forward(a, url("tcp", LO, 1243), None,
                         url("tcp", b.v4, LINK + 1), key="c2",
                         name="bare").up()
        c, t = meet(a, target, 1243)
        c.sendall(b"anywhere")
        hears(t, b"anywhere")
        c.close()
        t.close()
        bare.kill()
        to.kill()

    with s.check("a header where no rule says so is refused"):
        asks = s.forward(a, url("tcp", LO, 1242),
                         url("tcp", LO, OUT) + "?proxy=v2",
                         url("tcp", b.v4, LINK), key="c6", name="asks").up()
        is_refused(a, 1242)
        server.said("no --allow covers it with ?proxy=v2")
        asks.kill()

    with s.check("udp:// and tcp:// do not mix, and the line says what to do"):
        r = sh(CULVERT, "forward", url("tcp", LO, 1238), url("udp", LO, OUT),
               "via", url("tcp", b.v4, LINK), *s.security("c", ["s"]),
               check=False)
        equal(r.returncode, 2)
        true("write tcp:// here too" in r.stderr, r.stderr)

    with s.check("udp: the server is killed and back: what was open ends, a "
                 "connection made at once is held"):
        for _ in range(3):
            c, t = meet(a, target)
            c.sendall(b"before")
            hears(t, b"before")
            server.kill()
            server = serve()
            # the client knows the server's start to a round trip only
            began = time.monotonic()
            until(lambda: time.monotonic() - began > 0.01, "time passes")
            goes_on(a.tcp(LO, IN))
            is_reset(c)
            is_over(t)

    with s.check("tcp: the same, and one made while it was away"):
        other = s.forward(a, url("tcp", LO, 1239), url("tcp", LO, OUT),
                          url("tcp", b.v4, LINK), key="c2", name="away").up()
        c, t = meet(a, target, 1239)
        c.sendall(b"before")
        hears(t, b"before")
        server.kill()
        until(lambda: other.peer()["state"] != "up", "it is away")
        held = a.tcp(LO, 1239)
        server = serve()
        goes_on(held)
        goes_on(a.tcp(LO, 1239))
        is_reset(c)
        is_over(t)
        other.kill()

    with s.check("SIGTERM lets a transfer finish, and accepts nothing more"):
        c, t = meet(a, target)
        c.sendall(b"before")
        hears(t, b"before")
        client.signal(signal.SIGTERM)
        client.said("msg=stopping streams=1")
        until(lambda: a.run("ss", "-Htln", f"sport = :{IN}").stdout == "",
              "the port is closed")
        transfer(c, t, 16 << 20)
        t.sendall(b"thanks")
        t.close()
        hears(c, b"thanks")
        equal(c.recv(1), b"")
        equal(client.exit_code(), 0)

    with s.check("a second SIGTERM ends it at once"):
        client = forward("tcp", "second")
        c, t = meet(a, target)
        client.signal(signal.SIGTERM)
        client.said("msg=stopping")
        time.sleep(0.3)
        true(client.alive(), "it waits")
        client.signal(signal.SIGTERM)
        equal(client.exit_code(2), 0)
        is_reset(c)
        is_reset(t)
