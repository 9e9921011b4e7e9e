#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""iproxy version 1: TCP connections by broadcast, to a box without an address"""
import concurrent.futures
import contextlib
import hashlib
import os
import signal
import socket
import struct
import time

from lib import CULVERT, LO, Failed, Node, OUT, Scene, equal, true, until

PORT, WEB, SID = 17238, 7777, 67
LIST, HELLO, ALIVE, ACK, GONE = 8, 10, 4, 2, 3
TABLE = 64
# root, but nothing that needs CAP_NET_RAW
PLAIN = ["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw"]
DISK = bytes(range(256)) * 4096


def packet(flags, client, server=SID, offset=0, data=b""):
    """as doc/protocol.md, section 14, has it"""
    body = struct.pack("!6I", 1, flags, client, server, len(data),
                       offset) + data
    total = 0
    for byte in body:
        total = ((total << 1 & 255 | total >> 7) + byte) & 255
    return struct.pack("!I", total) + body


def socket_on(host, dev="eth0", port=0):
    with host:
        u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    u.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    u.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, dev.encode())
    u.bind(("0.0.0.0", port))
    u.settimeout(2)
    s.sockets.append(u)
    return u


def ask(u, p, to="255.255.255.255"):
    u.sendto(p, (to, PORT))
    got = u.recv(2000)
    return struct.unpack("!6I", got[4:28])[1:4] + (got[28:],)


def serve(link, *options):
    return Node(b, ["serve", link, "--to", f"tcp://{LO}:80", "--plain",
                    *options], "server", "msg=listening")


def forward(link, *options):
    return Node(a, ["forward", f"tcp://{LO}:{WEB}", "via", link, "--plain",
                    *options], "client", "msg=forwarding")


def stop(*nodes):
    for n in nodes:
        n.signal(signal.SIGTERM)
        equal(n.exit_code(), 0, f"{n.tag}'s exit code")


def curl(path="disk"):
    path = os.path.join(s.dir, f"got{time.monotonic_ns()}")
    r = a.run("curl", "-sS", "--max-time", "20", "-o", path,
              f"http://{LO}:{WEB}/disk")
    equal(r.stderr, "")
    with open(path, "rb") as f:
        return f.read()


def upload(data):
    path = os.path.join(s.dir, "up")
    with open(path, "wb") as f:
        f.write(data)
    return path


def comes():
    return a.run("curl", "-sSo", "/dev/null", f"http://{LO}:{WEB}/",
                 check=False).returncode == 0


def fetches(times=1):
    began = time.monotonic()
    for _ in range(times):
        true(curl() == DISK, "the page is another")
    return time.monotonic() - began


def received(dev="eth0"):
    """bytes that came to b"""
    path = f"/sys/class/net/{dev}/statistics/rx_bytes"
    return int(b.run("cat", path).stdout)


def is_over(c):
    """reset, or at least ended"""
    c.settimeout(5)
    try:
        return c.recv(1) == b""
    except ConnectionResetError:
        return True


def is_refused(port=WEB):
    """connected, perhaps, but not for long"""
    try:
        return is_over(a.tcp(LO, port))
    except ConnectionResetError:
        return True


def read_all(c):
    got = b""
    while more := c.recv(1 << 16):
        got += more
    return got


def break_off(c):
    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    c.close()


class Held:
    """connections to a target that says nothing"""

    def __init__(self, count):
        self.all = [a.tcp(LO, WEB) for _ in range(count)]
        for c in self.all:
            c.sendall(b"x")

    def live(self):
        """each gets an answer: to what it said, a bad one"""
        for n, c in enumerate(self.all):
            c.sendall(b"\r\n\r\n")
            try:
                true(c.recv(100), "ended")
            except TimeoutError:
                raise Failed(f"no answer by connection {n}") from None

    def close(self):
        for c in self.all:
            c.close()


def survives(*cables):
    """a page comes although these are unplugged in the middle of it"""
    c = a.tcp(LO, WEB)
    c.sendall(b"GET /disk HTTP/1.1\r\nHost: x\r\n\r\n")
    got = c.recv(1000)
    for port in cables:
        lan.ip(f"link set {port} down")
    began = time.monotonic()
    while len(got.partition(b"\r\n\r\n")[2]) < len(DISK):
        more = c.recv(1 << 16)
        true(more, "it ended")
        got += more
    took = time.monotonic() - began
    for port in cables:
        lan.ip(f"link set {port} up")
    true(got.endswith(DISK), "the page is another")
    s.note(f"after {took:.2f} s")
    true(took < 3, f"{took:.2f} s")


with Scene("79", __doc__) as s:
    a, b = s.pair()
    web = b.start("python3", os.path.join(os.path.dirname(
        os.path.abspath(__file__)), "nas.py"), "eth0", tag="web")
    until(lambda: b.run("curl", "-sS", f"http://{LO}/",
                        check=False).returncode == 0, "the web is there")
    for scheme, link, far in (
            ("broadcast", "iproxy+bcast://67@", None),
            ("broadcast of one interface", "iproxy+bcast://67@eth0", None),
            ("multicast", "iproxy+mcast://67@239.255.1.2%eth0", None),
            ("IPv6 multicast", "iproxy+mcast://67@[ff12::67]", None),
            ("address", f"iproxy+udp://67@*:{PORT}",
             f"iproxy+udp://67@{b.v4}:{PORT}")):
        with s.check(f"a page of 1 MB comes by {scheme}"):
            nodes = serve(link), forward(far or link)
            s.note(f"{len(DISK) / fetches() / 1e6:.1f} MB/s")
            stop(*nodes)
    server, client = serve("iproxy+bcast://67@"), forward("iproxy+bcast://67@")
    with s.check("twenty connections at once, each whole"):
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            for page in pool.map(lambda _: curl(), range(20)):
                true(page == DISK, "a page is another")
    with s.check("who asks for a list is told the id, once"):
        u = socket_on(a)
        equal(ask(u, packet(LIST, 7, 2 ** 32 - 1)),
              (HELLO, 7, SID, b"Hello from 67!"))
        u.settimeout(0.3)
        try:
            true(False, f"once more: {u.recv(2000)}")
        except TimeoutError:
            pass
    with s.check("a list is answered twenty times a second, and no more"):
        time.sleep(1.1)
        u, got = socket_on(a), set()
        for n in range(1, 101):
            u.sendto(packet(LIST, n, 2 ** 32 - 1), (b.v4, PORT))
        u.settimeout(0.3)
        try:
            while True:
                got.add(u.recv(2000))
        except TimeoutError:
            equal(len(got), 20)
    with s.check("a connection that is not known is gone; others' are nobody's"):
        equal(ask(u, packet(0, 9, offset=5, data=b"x"), b.v4),
              (GONE, 9, SID, b""))
        u.settimeout(0.3)
        for p in (packet(GONE, 9), packet(ALIVE, 9, 66), b"\0" * 28,
                  packet(ALIVE, 9)[:-1], packet(5, 9)):
            u.sendto(p, (b.v4, PORT))
        try:
            true(False, f"an answer: {u.recv(2000)}")
        except TimeoutError:
            pass
    with s.check("what comes from a server's own port is nobody's: it would "
                 "speak to itself"):
        u, bad = socket_on(a, port=PORT), server.dropped("malformed")
        u.sendto(packet(ALIVE, 11), (b.v4, PORT))
        until(lambda: server.dropped("malformed") == bad + 1, "it is dropped")
        equal(server.show()["foreign"], 0)
    with s.check("ends and resets are as the programs made them"):
        for n, how in enumerate(("half", "reset", "nobody")):
            to, port = OUT + n, WEB + 1 + n
            link = f"iproxy+bcast://{70 + n}@:{PORT + 100 + n}"
            with b:
                target = socket.create_server((LO, to))
            s.sockets.append(target)
            target.settimeout(5)
            far = Node(b, ["serve", link, "--to",
                           f"tcp://{LO}:{to}", "--plain"], f"far{n}",
                       "msg=listening")
            near = Node(a, ["forward", f"tcp://{LO}:{port}", "via",
                            link, "--plain"],
                        f"near{n}", "msg=forwarding")
            if how == "nobody":
                target.close()
            if how == "nobody":
                true(is_refused(port), "it goes on")
                far.said("target refused")
                stop(near, far)
                continue
            c = a.tcp(LO, port)
            c.sendall(b"question")
            t, _ = target.accept()
            t.settimeout(5)
            if how == "half":
                c.shutdown(socket.SHUT_WR)
                equal(read_all(t), b"question")
                t.sendall(b"answer" * 1000)
                t.close()
                equal(read_all(c), b"answer" * 1000)
            else:
                equal(t.recv(100), b"question")
                break_off(c)
                equal(is_over(t), True)
                t.close()
            stop(near, far)
    with s.check("64 connections, and no more; one that ends makes room"):
        held = Held(TABLE - 1)
        u = socket_on(a)
        u.settimeout(2)
        equal(ask(u, packet(ALIVE, 99), b.v4)[:2], (ACK, 99))
        true(is_refused(), "the 65th is served")
        true(server.dropped("flow_limit") > 0, "it is not counted")
        u.sendto(packet(GONE, 99), (b.v4, PORT))
        for _ in range(3):
            until(comes, "the one place is used again")
        held.live()
        held.close()
        until(comes, "there is room")
    with s.check("a client that was killed leaves nothing that is in the way"):
        client.signal(signal.SIGKILL)
        client.exit_code()
        client = forward("iproxy+bcast://67@")
        fetches()
    with s.check("a server that was killed: old connections end, new ones go"):
        c = a.tcp(LO, WEB)
        c.sendall(b"GET /disk HTTP/1.1\r\n")
        time.sleep(0.2)
        server.signal(signal.SIGKILL)
        server.exit_code()
        server = serve("iproxy+bcast://67@")
        with contextlib.suppress(ConnectionResetError):
            c.sendall(b"Host: x\r\n\r\n")
        true(is_over(c), "it goes on")
        fetches()
    stop(client, server)
    with s.check("the server has no address: the page comes all the same"):
        b.ip("addr flush dev eth0")
        b.sysctl("net.ipv6.conf.all.disable_ipv6", 1)
        server = serve("iproxy+bcast://67@")
        client = forward("iproxy+bcast://67@")
        s.note(f"{len(DISK) / fetches() / 1e6:.1f} MB/s")
        equal(b.ip("-4 addr show dev eth0"), "")
        stop(client, server)
    with s.check("the same without privilege at both ends, rp_filter 0"):
        for host in a, b:
            for at in "all", "eth0":
                host.sysctl(f"net.ipv4.conf.{at}.rp_filter", 0)
        args = "serve", "iproxy+bcast://67@", "--to", f"tcp://{LO}:80"
        server = b.start(*PLAIN, CULVERT, *args, "--plain", tag="unprivileged")
        server.said("msg=listening")
        args = "forward", f"tcp://{LO}:{WEB}", "via", "iproxy+bcast://67@"
        client = a.start(*PLAIN, CULVERT, *args, "--plain", tag="unprivileged")
        client.said("msg=forwarding")
        fetches()
        stop(client, server)
    b.sysctl("net.ipv6.conf.all.disable_ipv6", 0)
    b.address(b.v4 + "/24")
    with s.check("two interfaces of one LAN: nothing twice, few more bytes"):
        lan = s.host("lan")
        lan.ip("link add br0 type bridge")
        lan.ip("link set br0 up")
        for host, dev, port in ((a, "lan0", "p0"), (a, "lan1", "p1"),
                                (b, "lan0", "p2"), (b, "lan1", "p3")):
            s.cable(host, dev, lan, port)
            lan.ip(f"link set {port} master br0")
        a.ip("link set eth0 down")
        for n, host in (1, a), (2, b):
            host.address(f"10.80.0.{n}/24", "lan0")
            host.address(f"10.81.0.{n}/24", "lan1")
        server = serve("iproxy+bcast://67@")
        client = forward("iproxy+bcast://67@")
        fetches()
        before = sum(int(a.run("cat", "/sys/class/net/lan%d/statistics/"
                               "rx_bytes" % n).stdout) for n in (0, 1))
        fetches(4)
        after = sum(int(a.run("cat", "/sys/class/net/lan%d/statistics/"
                              "rx_bytes" % n).stdout) for n in (0, 1))
        ratio = (after - before) / (4 * len(DISK) * (1048 + 28 + 42) / 1048)
        up = os.urandom(200000)
        r = a.run("curl", "-sS", "--data-binary", "@" + upload(up),
                  f"http://{LO}:{WEB}/disk")
        equal(r.stdout, hashlib.sha256(up).hexdigest(), "what came up")
        r = a.run(CULVERT, "discover", "-j", "--timeout", "1",
                  "iproxy+lan://")
        equal(r.stdout.count('"id":67'), 1, "listed")
        s.note(f"{ratio:.2f} times the bytes")
        true(ratio < 1.1, f"{ratio:.2f} times the bytes")
    with s.check("the interface in use is unplugged: the other one goes on"):
        survives("p0", "p2")
    for port in "p2", "p3":
        with s.check(f"the server's {port} is unplugged, which nobody tells the "
                     "client: it goes on"):
            survives(port)
    with s.check("iproxy's nodes stop in order"):
        stop(client, server)
