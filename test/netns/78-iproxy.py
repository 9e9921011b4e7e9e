#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""iproxy: the command lines of 2002, today's way and that of then"""
import os
import re
import selectors
import socket
import time

from lan import Get, Lan, web
from lib import (CULVERT, LO, Failed, Node, Process, Scene, Worker, equal, sh,
                 true, until)

WEB, ECHO, NEAR = 8080, 8007, 7777
TABLE, EXPIRE = 64, 30
LONG = os.environ.get("CULVERT_LONG")  # what takes long: test-long.sh
SIZE = 1000000
UNPRIVILEGED = ("setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw")


class TcpEcho(Worker):
    """a TCP service on loopback: every byte comes back, half-close too"""

    def __init__(self, host, port=ECHO):
        with host:
            self.listener = socket.create_server((LO, port), backlog=128)
        self.select = selectors.DefaultSelector()
        self.select.register(self.listener, selectors.EVENT_READ)
        self.got = 0
        super().__init__(host.scene)

    def turn(self):
        for key, _ in self.select.select(0.1):
            if key.fileobj is self.listener:
                self.select.register(self.listener.accept()[0],
                                     selectors.EVENT_READ)
                continue
            try:
                data = key.fileobj.recv(65536)
                self.got += len(data)
                key.fileobj.sendall(data)
            except OSError:
                data = b""
            if not data:
                self.select.unregister(key.fileobj)
                key.fileobj.close()

    def close(self):
        super().close()
        for key in list(self.select.get_map().values()):
            key.fileobj.close()
        self.select.close()


def program(host, name, *args, home=None):
    """one of the two, to its end"""
    return host.run("env", f"HOME={home or s.dir}", os.path.join(s.bin, name),
                    *args, check=False)


def start(host, name, *args, tag, home=None):
    """one of the two, running"""
    ready = "msg=listening" if name.endswith("server") else "msg=forwarding"
    node = Node.__new__(Node)
    node.name = s.prefix + tag
    Process.__init__(node, host, [
        "env", f"HOME={home or s.dir}", os.path.join(s.bin, name), *args,
        "--name", node.name], tag)
    return node.said(ready)


def server(host, *args, number=67, tag="server", port=WEB):
    return start(host, "iproxy-server", "-1", "-s", number, "-d", port, *args,
                 tag=tag)


def client(*args, number=67, port=NEAR, tag="client"):
    return start(c, "iproxy-client", "-1", "-s", number, "-p", port, *args,
                 tag=tag)


def stop(*nodes):
    for n in nodes:
        n.signal(15)
        equal(n.exit_code(40), 0, n.tag)


def fetch(port=NEAR, want=None):
    got = Get(c, port).end()
    equal(got[0], want or page)
    s.note(f"{SIZE / 1e6:g} MB: first byte {got[1] * 1e3:.0f} ms, "
           f"{got[2]:.2f} s")


def ask(sock, data=b"?"):
    """echoed, or b"" if the connection is over"""
    got = b""
    try:
        sock.sendall(data)
        while len(got) < len(data):
            part = sock.recv(65536)
            if not part:
                break
            got += part
    except (ConnectionResetError, BrokenPipeError):
        return b""
    return got


def asked():
    """what comes back by a new connection; it may be reset before it is seen"""
    try:
        return ask(c.tcp(LO, NEAR, 5))
    except ConnectionResetError:
        return b""


def home(name):
    path = os.path.join(s.dir, name)
    os.makedirs(path)
    return path


def one_line(r, code, *words):
    equal((r.returncode, r.stdout, r.stderr.count("\n")), (code, "", 1),
          r.stderr)
    for word in words:
        true(word in r.stderr, r.stderr)


with Scene("78", __doc__) as s:
    s.bin = os.path.join(s.dir, "bin")
    os.mkdir(s.bin)
    for end in ("client", "server"):
        os.symlink(CULVERT, os.path.join(s.bin, "iproxy-" + end))
    lan = Lan(s)
    b, c, nas = s.host("b"), s.host("c"), s.host("nas")
    lan.plug(b, addr="10.78.0.1/24")
    lan.plug(c, addr="10.78.0.2/24")
    lan.plug(nas)
    nas.sysctl("net.ipv6.conf.eth0.disable_ipv6", 1)
    _, page = web(s, b, SIZE, WEB)
    _, disk = web(s, nas, SIZE, WEB + 1)
    TcpEcho(b)

    # --- version 1 ---

    with s.check("the paper's lines with -1: served, listed once, fetched"):
        there = server(b, "-v")
        r = program(c, "iproxy-client", "-1", "-l")
        equal((r.returncode, r.stderr), (0, ""))
        true(re.fullmatch(r"Hello from 67!  [0-9a-f:]{17} at eth0\n",
                          r.stdout), r.stdout)
        r = c.run(*UNPRIVILEGED, os.path.join(s.bin, "iproxy-client"), "-1l",
                  check=False)
        equal(r.stdout, "Hello from 67!  0.0.0.0:17238 at eth0\n")
    here = client("-v")
    with s.check("a page of 1 MB"):
        before = lan.count("p1", "RX")
        fetch()
        s.note(f"{lan.count('p1', 'RX') - before} bytes from the server")
    with s.check("discover lists it too"):
        r = c.run(CULVERT, "discover", "-j", "iproxy+lan://")
        true('"id":67' in r.stdout and '"version":"iproxy1"' in r.stdout,
             r.stdout)
        r = c.run(CULVERT, "discover", "iproxy+lan://66@", check=False)
        equal((r.returncode, r.stdout), (1, ""))

    with s.check("killed in mid-transfer, a new one started: over by a GONE"):
        slow = Get(c, rate="200k")
        until(lambda: slow.size() > 50000, "it comes")
        there.kill()
        began = time.monotonic()
        there = server(b, tag="server2")
        try:
            slow.end(20)
            raise Failed("curl was content")
        except Failed as e:
            true("curl" in str(e), str(e))
        took = time.monotonic() - began
        true(took < 7, f"it took {took:.1f} s")
        s.note(f"over after {took:.1f} s")
        fetch()
    stop(here, there)

    with s.check("killed and gone for good: it waits for the server"):
        there = server(b, number=68, tag="lost", port=ECHO)
        here = client(number=68, port=NEAR + 1, tag="left")
        left = c.tcp(LO, NEAR + 1, EXPIRE + 10)
        equal(ask(left), b"?")
        there.kill()
        killed = time.monotonic()

    with s.check("a server without any address: listed, and 1 MB of it"):
        equal(nas.ip("-brief addr show dev eth0").split()[2:], [])
        box = server(nas, number=69, tag="nas", port=WEB + 1)
        r = program(c, "iproxy-client", "-1l")
        true("Hello from 69!" in r.stdout, r.stdout + r.stderr)
        near = client(number=69, tag="tonas")
        fetch(want=disk)
    stop(near, box)

    with s.check("two interfaces on one LAN: nothing twice, either way"):
        lan.plug(c, "eth1", "10.78.0.3/24")
        echo = TcpEcho(b, ECHO + 1)
        far = server(b, number=70, tag="two", port=ECHO + 1)
        near = client(number=70, tag="both")
        data = os.urandom(200000)
        sock = c.tcp(LO, NEAR, 20)
        equal(ask(sock, data) == data, True, "what came back")
        equal(echo.got, len(data))
        sock.close()
        r = program(c, "iproxy-client", "-1", "-l")
        equal(r.stdout.count("Hello from 70!"), 1, r.stdout)
        lan.remove(c, "eth1")
    stop(near, far)

    with s.check("64 connections, the next are refused at once"):
        far = server(b, number=71, tag="table", port=ECHO)
        near = client(number=71, tag="many")
        socks = [c.tcp(LO, NEAR, 5) for _ in range(TABLE)]
        for i, sock in enumerate(socks):
            equal(ask(sock), b"?", f"connection {i + 1}")
        for i in range(6):
            began = time.monotonic()
            equal(asked(), b"", f"connection {TABLE + 1 + i}")
            took = time.monotonic() - began
            true(took < 1, f"refused after {took:.1f} s")
    with s.check("one is closed, and another gets in; the others are unhurt"):
        socks.pop().close()
        # its FINs take their way
        until(lambda: asked() == b"?", "it gets in", 5, 0.2)
        for sock in socks:
            equal(ask(sock), b"?")
    for sock in socks:
        sock.close()
    near.kill()
    far.kill()

    for n, (way, there_at, here_at) in enumerate((
            ("multicast", ("-m",), ("-m",)),
            ("a group on an interface", ("-m", "239.1.2.3%eth0"),
             ("-m", "239.1.2.3%eth0")),
            ("unicast", ("-u",), ("-u", "10.78.0.1")),
            ("unicast, with a port", ("-u", "10.78.0.1:9000"),
             ("-u", "10.78.0.1:9000")))):
        if n % 2 and not LONG:  # the simpler one of each pair is enough
            continue
        with s.check(f"by {way}: listed and fetched"):
            far = server(b, *there_at, number=72, tag=f"far{n}")
            r = program(c, "iproxy-client", "-1", "-l", *here_at)
            equal(r.stdout.count("Hello from 72!"), 1, r.stdout + r.stderr)
            near = client(*here_at, number=72, tag=f"near{n}")
            fetch()
        for node in s.all:
            if node.tag in (f"far{n}", f"near{n}"):
                node.kill()

    # --- today's way ---

    away, near_home = home("away"), home("near")
    with s.check("without -1, the first time: a key is made, and it is said "
                 "what is missing"):
        r = program(c, "iproxy-client", "-s", 67, "-p", NEAR, "-v",
                    home=near_home)
        equal(r.returncode, 1)
        found = re.search(r"public key is (\S{44})\n", r.stderr)
        true(found and "no server 67 answered" in r.stderr, r.stderr)
        r = program(b, "iproxy-server", "-s", 67, "-d", WEB, "-v", home=away)
        equal(r.returncode, 2)
        peers = re.search(r">>(\S+)\n", r.stderr)[1]
        true("made " in r.stderr and "-P KEY" in r.stderr, r.stderr)
        for folder in (away, near_home):
            path = os.path.join(folder, ".config/culvert/iproxy.key")
            equal(os.stat(path).st_mode & 0o777, 0o600)
        with open(peers, "w", encoding="ascii") as f:
            f.write(found[1] + "\n")

    with s.check("the paper's lines as they are: served, listed, fetched"):
        far = start(b, "iproxy-server", "-s", 67, "-d", WEB, "-v", tag="new",
                    home=away)
        r = program(c, "iproxy-client", "-l")
        equal((r.returncode, r.stderr), (0, ""))
        true(re.search(r"(?m)^ +67  ", r.stdout), r.stdout)
        near = start(c, "iproxy-client", "-s", 67, "-p", NEAR, "-v",
                     "--trust-first-use", tag="newc", home=near_home)
        fetch()
        stop(near)
    with s.check("the second time nobody asks; -P names the server's key"):
        near = start(c, "iproxy-client", "-s", 67, "-p", NEAR, tag="second",
                     home=near_home)
        fetch()
        stop(near)
        with open(os.path.join(away, ".config/culvert/iproxy.key"),
                  encoding="ascii") as f:
            pub = sh(CULVERT, "pubkey", input=f.read()).stdout.strip()
        near = start(c, "iproxy-client", "-s67", f"-p{LO}:{NEAR}", "-P", pub,
                     "-k", os.path.join(near_home, ".config/culvert/iproxy.key"),
                     tag="third", home=home("other"))
        fetch()
    stop(near, far)

    # --- what is wrong ---

    with s.check("without --plain: one line, exit code 2"):
        for line in (("serve", "iproxy+bcast://67@", "--to",
                      f"tcp://{LO}:{WEB}"),
                     ("forward", f"tcp://{LO}:{NEAR}", "via",
                      "iproxy+bcast://67@")):
            one_line(b.run(CULVERT, *line, check=False), 2, "--plain")
    WRONG = [
        ("no id", "server", ("-1", "-d", 80), "-s needs"),
        ("an id that is none", "server", ("-1", "-s", "x", "-d", 80),
         "-s needs"),
        ("the id of lists", "client", ("-1", "-s", 4294967295, "-p", 1),
         "4294967294"),
        ("no service", "server", ("-1", "-s", 67), "-d needs"),
        ("no local port", "client", ("-1", "-s", 67), "-p needs"),
        ("-m without -1", "client", ("-s", 67, "-p", 1, "-m"), "add -1"),
        ("-m and -u", "client", ("-1", "-s", 67, "-p", 1, "-m", "-u", LO),
         "not both"),
        ("-u to nobody", "client", ("-1", "-s", 67, "-p", 1, "-u"), "HOST"),
        ("keys of version 1", "client", ("-1", "-s", 67, "-p", 1, "-k", "x"),
         "no keys"),
        ("an unknown option", "server", ("-1", "-s", 67, "-d", 80, "--nosuch"),
         '"--nosuch"'),
        ("a group that is none", "client",
         ("-1", "-s", 67, "-p", 1, "-m", "10.0.0.1"), "group"),
    ]
    for what, end, args, words in WRONG:
        with s.check(f"{what}: one line, exit code 2"):
            one_line(program(b, "iproxy-" + end, *args), 2, words)
    with s.check("a list of nobody: one line, exit code 1"):
        one_line(program(b, "iproxy-client", "-1", "-l"), 1, "17239")
    with s.check("-h: usage, exit code 0"):
        for end in ("client", "server"):
            r = program(b, "iproxy-" + end, "-h")
            equal((r.returncode, r.stderr), (0, ""))
            for word in ("-s ID", "-k FILE", "-P KEY", "-1", "-m [GROUP]"):
                true(word in r.stdout, r.stdout)

    if LONG:
        with s.check(f"the one whose server was killed has ended within {EXPIRE} "
                     "s of that"):
            rest = killed + EXPIRE + 3 - time.monotonic()
            left.settimeout(max(rest, 0.1))
            try:
                equal(left.recv(10), b"")
            except ConnectionResetError:
                pass
            s.note(f"seen {time.monotonic() - killed:.1f} s after it")
