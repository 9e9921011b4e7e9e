#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Links through proxies: SOCKS5 and HTTP, real ones and bad ones

The client sees the proxy only; the server is on the proxy's other side.
"""
import contextlib
import select
import socket

from lib import (IN, LINK, LO, OUT, Echo, Scene, Worker, equal, family, true,
                 until, url)

NET = 81
USER, PASS = "us:er", "p@ss:&%w"  # for SOCKS5
USER_URL, PASS_URL = "us%3Aer", "p%40ss%3a%26%25w"
SOCKS_OK = b"\5\0\0\1\n\0\0\1\0\1"


class Scripted(Worker):
    """a proxy that answers by rote: what it reads, what it then says; after
    the last answer it only listens, or, if that is None, hangs up"""

    def __init__(self, host, at, port, script):
        with host:
            self.sock = socket.create_server((at, port), family=family(at))
        self.script, self.open, self.calls = script, {}, 0
        super().__init__(host.scene)

    def turn(self):
        for s in select.select([self.sock, *self.open], [], [], 0.02)[0]:
            if s is self.sock:
                c, _ = s.accept()
                c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.open[c] = [b"", list(self.script)]
                self.calls += 1
            else:
                with contextlib.suppress(ConnectionError):
                    self.heard(s)

    def heard(self, s):
        state = self.open[s]
        data = s.recv(4096)
        state[0] += data
        while state[1] and len(state[0]) >= len(state[1][0][0]):
            want, say = state[1].pop(0)
            true(state[0].startswith(want), f"it said {state[0]!r}")
            state[0] = state[0][len(want):]
            if say is None:
                data = b""
            else:
                s.sendall(say)
        if not data:
            del self.open[s]
            s.close()

    def close(self):
        super().close()
        for s in (self.sock, *self.open):
            s.close()


with Scene("81", __doc__.splitlines()[0]) as s:
    a, p = s.pair("ap")
    b = s.host("b")
    s.cable(p, "eth1", b, "eth0")
    p.sysctl("net.ipv4.ip_forward", 0)
    for host, dev, n in ((p, "eth1", 1), (b, "eth0", 2)):
        host.address(f"10.{NET}.1.{n}/24", dev)
        host.address(f"fd00:{NET}:1::{n}/64", dev)
    b.v4, b.v6 = f"10.{NET}.1.2", f"fd00:{NET}:1::2"
    p.ip("route add unreachable 192.0.2.2")
    s.hosts_file(p, f"{b.v4} inside.test\n")
    s.etc(a, "resolv.conf", "nameserver 127.0.0.53\noptions timeout:1\n")
    asked = a.udp("127.0.0.53", 53)
    target = url("tcp", b.v4, LINK)
    server = s.serve(b, "tcp://*:3456", peers=[f"c{n}" for n in range(4)])
    echo = Echo(b)
    u = a.udp()

    def listening(port, at=p.v4):
        def look():
            with contextlib.suppress(ConnectionRefusedError):
                a.tcp(at, port).close()
                return True
        until(look, f"a proxy listens on {port}")

    def socks(*args, at=p.v4, port=1080):
        proxy = p.start("microsocks", "-i", at, "-p", port, *args)
        listening(port, at)
        return proxy

    def http(*lines, port=3128):
        conf = "\n".join((f"Port {port}", f"Listen {p.v4}", "LogLevel Info",
                          "Timeout 60", "MaxClients 20", *lines, ""))
        proxy = p.start("tinyproxy", "-d", "-c", s.file("tinyproxy", conf))
        listening(port)
        return proxy

    def client(via, link=target, n=0):
        return s.forward(a, url("udp", LO, IN + n), url("udp", LO, OUT),
                         f"{link}?via={via}", name=f"client{n}", key=f"c{n}",
                         options=("--log", "debug"))

    @contextlib.contextmanager
    def check(name):
        """... after which clients and proxies are gone"""
        with s.check(name):
            try:
                yield
            finally:
                for x in s.all:
                    if x is not server:
                        x.kill()

    def through(via, link=target):
        """a session comes up and carries traffic"""
        c = client(via, link).up()
        for n in (0, 1, 1472, 65000):
            equal(u.ask(bytes(n), (LO, IN)), bytes(n))
        return c

    def fails(via, why, link=target, at=f"{p.v4}:1080"):
        """attempts end with that reason, leave no socket, and go on"""
        c = client(via, link)
        c.said(f'error="proxy {at}: {why}"', times=2)
        until(lambda: not a.run("ss", "-Htn", "dst", p.v4).stdout, "closed")
        c.said(f'error="proxy {at}: {why}"', times=3)
        c.kill()

    with s.check("the server is out of reach without a proxy"):
        with contextlib.suppress(OSError):
            a.tcp(b.v4, LINK, 0.2)
            true(False, "it was reached")

    # --- SOCKS5: microsocks ---

    plain = f"socks5://{p.v4}:1080"
    with check("SOCKS5, an IPv4 target"):
        socks()
        c = through(plain)
        equal(c.peer()["link"], url("tcp", p.v4, 1080))
        equal(server.peer(s.key("c0")[1][:8])["link"].split(":")[1],
              f"//10.{NET}.1.1", "who the server sees")

    with check("SOCKS5, all by IPv6"):
        socks(at=p.v6)
        through(f"socks5://[{p.v6}]:1080", url("tcp", b.v6, LINK))

    with check("a name that only the proxy knows is not asked for here"):
        socks()
        through(plain, "tcp://inside.test:3456")
        equal(asked.recv(0), None)

    secret = ("-u", USER, "-P", PASS)
    login = f"socks5://{USER_URL}:{PASS_URL}@{p.v4}:1080"
    with check("SOCKS5 with user and password, percent-encoded"):
        socks(*secret)
        through(login)

    with check("a foreign framing through the same"):
        socks(*secret)
        foreign = url("frames+tcp", b.v4, LINK + 1)
        s.serve(b, foreign, name="server2",
                options=("--to", url("udp", LO, OUT)))
        s.forward(a, url("udp", LO, IN), None, f"{foreign}?via={login}",
                  name="client0")
        equal(u.ask(b"framed", (LO, IN)), b"framed")

    with check("a password that the proxy does not want"):
        socks()
        through(login)

    with check("the proxy wants a password; the next one does not, and the "
                 "dialler comes through"):
        proxy = socks(*secret)
        c = client(plain)
        c.said(f'error="proxy {p.v4}:1080: it wants a user and a password"')
        proxy.kill()
        c.said(f'error="proxy {p.v4}:1080: Connection refused"')
        socks()
        c.up(15)

    with check("a wrong password, a dead port, a host without a way"):
        socks(*secret)
        fails(f"socks5://{USER_URL}:wrong@{p.v4}:1080",
              "it refuses the user or the password")
        fails(login, "the target refuses the connection",
              url("tcp", b.v4, 1))
        fails(login, "the target's network is unreachable from there",
              "tcp://192.0.2.1:1")
        fails(login, "the target is unreachable from there",
              "tcp://192.0.2.2:1")

    # --- HTTP: tinyproxy ---

    plain = f"http://{p.v4}:3128"
    with check("HTTP CONNECT: a number of either family, a name that only the "
               "proxy knows"):
        http()
        for link in (target, url("tcp", b.v6, LINK), "tcp://inside.test:3456"):
            through(plain, link).kill()
        equal(asked.recv(0), None)

    basic = "BasicAuth user secret4"  # it takes letters and digits only
    login = f"http://user:secr%65t4@{p.v4}:3128"
    with check("HTTP CONNECT with user and password"):
        http(basic)
        through(login)

    with check("no password, a wrong one, a port its rules forbid, a dead "
                 "one"):
        at = f"{p.v4}:3128"
        http(basic, f"ConnectPort {LINK}", "ConnectPort 1")
        fails(plain, "it wants a user and a password", at=at)
        fails(f"http://user:wrong@{p.v4}:3128",
              "it refuses the user or the password", at=at)
        fails(login, "it says 403 Access violation", url("tcp", b.v4, 2), at)
        fails(login, "it says 500 Unable to connect", url("tcp", b.v4, 1), at)

    # --- bad ones ---

    hello, asks = b"\5\1\0", b"\5\1\0\1" + socket.inet_aton(b.v4) + b"\x0d\x80"

    def scripted(*script, via="socks5"):
        return Scripted(p, p.v4, 1080, script), f"{via}://{p.v4}:1080"

    for what, why, script, scheme in (
            ("its rules forbid it", "its rules do not allow the target",
             [(hello, b"\5\0"), (asks, b"\5\2\0\1\0\0\0\0\0\0")], "socks5"),
            ("it hangs up at once", "it hung up", [(hello, None)], "socks5"),
            ("it hangs up half-way", "it hung up",
             [(hello, b"\5\0"), (asks, b"\5\0\0"), (b"", None)], "socks5"),
            ("it speaks HTTP", "it does not speak SOCKS5",
             [(hello, b"HTTP/1.1 400 Bad\r\n\r\n")], "socks5"),
            ("it speaks SSH", "it does not speak HTTP",
             [(b"CONNECT ", b"SSH-2.0-x\r\n")], "http"),
            ("its answer does not end", "its answer does not end",
             [(b"CONNECT ", b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 2000)],
             "http")):
        with check(f"a proxy that is none: {what}"):
            bad, via = scripted(*script, via=scheme)
            fails(via, why)
            true(bad.calls >= 2, "it was asked again")
            bad.close()

    with check("proxies that say nothing, half of it, or all but the blank "
                 "line: given up after 10 s, and asked again"):
        head = f"CONNECT {b.v4}:3456 ".encode()
        bad = [Scripted(p, p.v4, port, script) for port, script in (
            (1080, []), (1081, [(hello, b"\5\0"), (asks, SOCKS_OK[:7])]),
            (1082, [(head, b"HTTP/1.1 200 OK\r\nx: y\r\n")]))]
        clients = [client(f"{scheme}://{p.v4}:{port}", n=n)
                   for n, (scheme, port) in enumerate((
                       ("socks5", 1080), ("socks5", 1081), ("http", 1082)))]
        for n, c in enumerate(clients):
            c.said(f'error="proxy {p.v4}:108{n}: it did not connect us '
                   'within 10 s"', 15)
        for x in bad:
            until(lambda x=x: x.calls >= 2, "it is asked again")
            x.close()
        socks()
        clients[0].up(15)

    with check("no password has been logged anywhere, nor is it shown"):
        for node in s.all:
            for word in (USER, PASS, USER_URL, PASS_URL, "secret4", "secr%65t4",
                         "wrong"):
                true(not node.tag.startswith(("client", "server")) or
                     word not in node.log(), f"{node.tag} says {word}")

    with check("stopped while the proxy is being asked"):
        bad, via = scripted()
        c = client(via)
        until(lambda: bad.calls, "the proxy is asked")
        s.stop_nodes()
        bad.close()
