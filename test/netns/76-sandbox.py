#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a running node gave up, from outside; everything still works

A build with sanitizers has no sandbox, for its search for leaks is a
debugger's: there only what --user does is looked at.
"""
import os
import re
import shutil
import signal
import socket
import tempfile

from lib import (CULVERT, IN, LINK, LO, OUT, Echo, Node, Process, Scene, equal,
                 sh, true, until, url)

CONFINED = "ASAN_OPTIONS" not in os.environ
SETS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
NOBODY, STARTS = 65534, 200 if CONFINED else 20
BIND_SERVICE, ADMIN, RAW = 1 << 10, 1 << 12, 1 << 13

with Scene("76", __doc__.splitlines()[0]) as s:
    a, b = s.pair()
    link = url("tcp", b.v4, LINK)
    echo, u = Echo(b), a.udp()
    os.chmod(s.dir, 0o711)

    def status(node):
        with open(f"/proc/{node.pid}/status") as f:
            return dict(line.rstrip("\n").split(":\t", 1) for line in f)

    def ids(node):
        st = status(node)
        return [{int(n) for n in st[k].split()} for k in
                ("Uid", "Gid", "Groups")]

    def has(node, *capabilities):
        """exactly these, and none can come"""
        kept = sum(capabilities)
        got = [int(status(node)[k], 16) for k in SETS]
        if CONFINED:
            equal(got, [0, kept, kept, kept, 0], node.tag)
        else:
            equal([got[1], got[2]], [kept, kept], node.tag)

    def shown(node):
        """what show says of it"""
        return re.search(r"sandbox: (.*)",
                         sh(CULVERT, "show", node.name).stdout)[1]

    def works(data=b"through"):
        equal(u.ask(data, (LO, IN)), data)

    def check(name):
        for p in s.all:  # of the one before
            p.kill()
        return s.check(name)

    def user(*args):
        return ["--user", "nobody", *args]

    with check("of root: no capability in any set; Landlock and seccomp"):
        for n in s.tunnel(a, b):
            works()
            if CONFINED:
                has(n)
                equal(status(n)["NoNewPrivs"], "1")
                equal(status(n)["Seccomp"], "2")
                for words in ("no capabilities", "landlock ABI", "seccomp"):
                    true(words in shown(n), shown(n))
            else:
                equal(shown(n), "no sandbox")

    with s.check("show is answered, eight at once, again and again"):
        server = s.all[-2]
        path = f"/run/culvert/{server.name}.sock"
        for _ in range(20):
            crowd = [socket.socket(socket.AF_UNIX) for _ in range(8)]
            for c in crowd:
                c.settimeout(5)
                c.connect(path)
            for c in crowd:
                c.send(b"show\n")
            true(all(c.recv(100) for c in crowd), "an answer")
            for c in crowd:
                c.close()

    with s.check("it stops in order and leaves no control socket"):
        for n in s.all[-2:]:
            n.signal(signal.SIGTERM)
            equal(n.exit_code(), 0)
        true(not os.path.exists(path), path)

    with check("--user: that user's IDs, no other group, no capability"):
        for n in s.tunnel(a, b, serve=user(),
                          forward=["--user", "nobody:nogroup"]):
            works()
            equal(ids(n), [{NOBODY}] * 3)
            has(n)
            true(shown(n).startswith("user nobody, "), shown(n))

    with check("with --user it goes away and comes back, the same name again"):
        server, client = s.tunnel(a, b, serve=user())
        for n in (1, 2):
            server.signal(signal.SIGTERM)
            equal(server.exit_code(), 0)
            server = s.serve(b, link, options=user())
            client.said("peer up", times=n + 1)
            works()

    for who in ([], user()):
        with check("a name that changes in /etc/hosts is found, "
                   + (" ".join(who) or "as root")):
            s.hosts_file(a, f"{a.v4} server.test\n")
            s.serve(b, link)
            client = s.forward(a, url("udp", LO, IN), url("udp", LO, OUT),
                               "tcp://server.test:3456", options=who)
            client.said("cannot connect", 8)
            s.hosts_file(a, f"{b.v4} server.test\n")
            client.up(10)
            works()

    with check("bind=: ports below 1024, to listen at and as a target's "
               "source, with --user"):
        target = b.udp(LO, 7000)
        low = "udp://127.0.0.1:7000?bind=127.0.0.1:53"
        server = s.serve(b, url("tcp", b.v4, 443),
                         options=user("--allow", low))
        client = s.forward(a, url("udp", LO, IN), low, url("tcp", b.v4, 443),
                           options=user()).up()
        for n in (1, 2):  # the second flow is opened long after the start
            client.kill()
            client = s.forward(a, url("udp", LO, IN), low,
                               url("tcp", b.v4, 443), options=user()).up()
            u.send(b"low", (LO, IN))
            equal(target.recv(), b"low")
            equal(target.source, (LO, 53))
        for n in (server, client):
            has(n, BIND_SERVICE)
            equal(ids(n), [{NOBODY}] * 3)
            true("capability net_bind_service" in shown(n), shown(n))
        target.close()

    for option, kept, word in (("mark=7", ADMIN, "net_admin"),
                               ("interface=eth0", RAW, "net_raw")):
        with check(f"{option}: the capability for it is kept, with --user, "
                   "for the next connection as well"):
            s.serve(b, f"{link}?{option}", options=user())
            client = s.forward(a, url("udp", LO, IN), url("udp", LO, OUT),
                               f"{link}?{option}", options=user()).up()
            works()
            b.run("ss", "-K", "sport", "=", str(LINK))
            client.said("peer up", times=2)
            works()
            for n in s.all[-2:]:
                has(n, kept)
                true(f"capability {word}" in shown(n), shown(n))

    with check("--no-sandbox: everything stays as it was"):
        server, _ = s.tunnel(a, b, serve=["--no-sandbox"])
        works()
        equal(status(server)["Seccomp"], "0")
        true(int(status(server)["CapEff"], 16), "capabilities")
        equal(shown(server), "no sandbox")

    # --- reload ---

    def give(path):
        os.chown(path, NOBODY, NOBODY)

    def conf(listen, more=""):
        """a server's file, which everybody may read"""
        path = s.file("x.conf", f"""[Node]
Name = {s.prefix}x
PrivateKeyFile = {os.path.join(s.dir, "s.mine")}
[Serve]
{"".join(f"Listen = {x}" + chr(10) for x in listen)}{more}
[Peer c]
PublicKey = {s.key("c")[1]}
""", 0o644)
        return path

    def run(path, *options):
        node = Node.__new__(Node)
        node.name = s.prefix + "x"
        Process.__init__(node, b, [CULVERT, "run", "-c", path, *options], "x")
        return node.said("msg=listening")

    def reload(code, words=""):
        r = sh(CULVERT, "reload", s.prefix + "x", check=False)
        equal(r.returncode, code, r.stderr)
        true(words in r.stderr, r.stderr)

    mine = shutil.copy(s.key("s")[0], os.path.join(s.dir, "s.mine"))
    for who in ([], user()):
        with check("reload, the file replaced as editors do, "
                   + (" ".join(who) or "as root")):
            if who:
                give(mine)
            node = run(conf([link]), *who)
            os.rename(conf([link, url("tcp", b.v4, 3457)]),
                      os.path.join(s.dir, "new.conf"))
            os.rename(os.path.join(s.dir, "new.conf"),
                      os.path.join(s.dir, "x.conf"))
            reload(0)
            a.tcp(b.v4, 3457).close()
            equal(ids(node)[0], {NOBODY if who else 0})

    with s.check("... a port below 1024 can no longer be had, and it is said"):
        conf([link, url("tcp", b.v4, 443)])
        reload(1, "ports below 1024 need root or CAP_NET_BIND_SERVICE")

    with s.check("... nor a key that is root's"):
        conf([link])
        os.chown(mine, 0, 0)
        reload(1, "s.mine: Permission denied")
        give(mine)
        reload(0)

    with s.check("... nor a file in a directory that it was not to read"):
        with tempfile.TemporaryDirectory(prefix=s.prefix) as away:
            os.chmod(away, 0o755)
            key = shutil.copy(mine, away)
            give(key)
            with open(conf([link])) as f:
                text = f.read().replace(mine, key)
            s.file("x.conf", text, 0o644)
            reload(*((1, f"{key}: Permission denied") if CONFINED else (0,)))

    # --- a service manager ---

    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.settimeout(5)
    manager.bind(os.path.join(s.dir, "notify"))
    os.chmod(manager.getsockname(), 0o666)
    s.sockets.append(manager)

    def told():
        return manager.recv(200).decode().splitlines()[0]

    def managed(path, *options):
        node = Node.__new__(Node)
        node.name = s.prefix + "x"
        Process.__init__(node, b, [
            "env", f"NOTIFY_SOCKET={manager.getsockname()}", CULVERT, "run",
            "-c", path, *options], "x")
        equal(told(), "READY=1")
        return node

    with check("READY=1, RELOADING=1 and READY=1, STOPPING=1, --user too"):
        node = managed(conf([link]), *user())
        equal(ids(node)[0], {NOBODY})
        node.signal(signal.SIGHUP)
        equal([told(), told()], ["RELOADING=1", "READY=1"])
        s.file("x.conf", "nonsense", 0o644)
        node.signal(signal.SIGHUP)
        equal([told(), told()], ["RELOADING=1", "READY=1"])
        true("not reloaded" in node.log(), "and why it did not")
        node.signal(signal.SIGTERM)
        equal(told(), "STOPPING=1")
        equal(node.exit_code(), 0)

    with check(f"SIGTERM as soon as it is READY: exit code 0, {STARTS} times"):
        path = conf([link])
        for n in range(STARTS):
            node = managed(path)
            node.signal(signal.SIGTERM)
            equal(told(), "STOPPING=1")
            equal(node.exit_code(), 0, f"start {n}")
            node.kill()
            s.all.remove(node)

    with check("STOPPING=1 comes before what is queued is sent, not after; "
               "SIGHUP then makes it READY no more"):
        node = managed(conf([link], f"To = {url('udp', LO, 7001)}"))
        client = s.forward(a, url("udp", LO, IN), None, link,
                           options=["--max-age", "10s"]).up()
        target = b.udp(LO, 7001)
        u.send(b"?", (LO, IN))
        equal(target.recv(), b"?")
        conf([link], f"To = {url('udp', LO, 7001)}\n")
        client.signal(signal.SIGSTOP)
        for _ in range(100):
            target.send(bytes(60000), target.source)
        until(lambda: node.show()["peers"][0]["sent"]["datagrams"] == 100,
              "they wait for the link")
        node.signal(signal.SIGTERM)
        equal(told(), "STOPPING=1")
        true(node.alive(), "it has ended already")
        node.signal(signal.SIGHUP)
        equal(node.exit_code(3), 0)
        manager.setblocking(False)
        rest = []
        while True:
            try:
                rest.append(told())
            except BlockingIOError:
                break
        equal(set(rest) - {"STOPPING=1"}, set(), "told")

    # --- what is wrong ---

    def refused(code, words, r):
        equal((r.returncode, r.stderr.count("\n")), (code, 1), r.stderr)
        true(words in r.stderr, r.stderr)

    with check("an unknown user or group, or --user without being root: one "
               "line"):
        args = ["serve", "tcp://127.0.0.1:4000", *s.security("s", ["c"])]
        for name, words in (("nosuch", 'there is no user "nosuch"'),
                            ("nobody:nosuch", 'there is no group "nosuch"')):
            refused(2, f"--user: {words}",
                    sh(CULVERT, *args, "--user", name, check=False))
        some = s.user()
        some.give(s.key("s")[0])
        refused(1, "only root may become", some.run(
            "culvert serve tcp://127.0.0.1:4000 --key s.key --peer "
            f"{s.key('c')[1]} --user root", check=False))
