#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""iproxy: the command lines of 2002, today's way and that of then"""
import os
import re
import socket
import time

from lan import Get, Lan, web
from lib import CULVERT, LO, Node, Process, Scene, equal, sh, true

WEB, SILENT, NEAR, EXPIRE = 8080, 8007, 7777, 30
LONG = os.environ.get("CULVERT_LONG")  # what takes long: test-long.sh
SIZE = 1000000
UNPRIVILEGED = ("setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw")


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


def listing(*args):
    """iproxy-client, while something else is done"""
    return Process(c, ["env", f"HOME={s.dir}", os.path.join(
        s.bin, "iproxy-client"), *args], "list")


def stop(*nodes):
    for n in nodes:
        n.signal(15)
        equal(n.exit_code(40), 0, n.tag)


def fetch(port=NEAR, want=None):
    got = Get(c, port).end()
    equal(got[0], want or page)
    s.note(f"{SIZE / 1e6:g} MB: first byte {got[1] * 1e3:.0f} ms, "
           f"{got[2]:.2f} s")


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

    # --- version 1 ---

    if LONG:
        with s.check("killed and gone for good: it waits for the server"):
            with nas:
                silent = socket.create_server((LO, SILENT))
            s.sockets.append(silent)
            there = server(nas, number=68, tag="lost", port=SILENT)
            here = client(number=68, port=NEAR + 1, tag="left")
            left = c.tcp(LO, NEAR + 1, EXPIRE + 10)
            left.sendall(b"?")
            s.sockets.append(silent.accept()[0])
            equal(s.sockets[-1].recv(10), b"?")
            there.kill()
            killed = time.monotonic()

    with s.check("the paper's lines with -1, of a box without any address: "
                 "served, listed once, 1 MB fetched; discover lists it too"):
        equal(nas.ip("-brief addr show dev eth0").split()[2:], [])
        there = server(nas, "-v", port=WEB + 1)
        lists = [listing("-1", "-l"), Process(c, [
            *UNPRIVILEGED, os.path.join(s.bin, "iproxy-client"), "-1l"],
            "plain"), c.start(CULVERT, "discover", "-j", "iproxy+lan://"),
            c.start(CULVERT, "discover", "iproxy+lan://66@")]
        here = client("-v")
        before = lan.count("p3", "RX")
        fetch(want=disk)
        s.note(f"{lan.count('p3', 'RX') - before} bytes from the server")
        said = [(p.exit_code(), p.log()) for p in lists]
        true(re.fullmatch(r"Hello from 67!  [0-9a-f:]{17} at eth0\n",
                          said[0][1]), said[0])
        equal(said[1], (0, "Hello from 67!  0.0.0.0:17238 at eth0\n"))
        true('"id":67' in said[2][1] and '"version":"iproxy1"' in said[2][1],
             said[2])
        equal(said[0][0] + said[2][0], 0)
        true(said[3][0] == 1 and "Hello" not in said[3][1], said[3])
    stop(here, there)

    for number, more in ((72, ((), ())), (74, (("239.1.2.3%eth0",),
                                               ("10.78.0.1:9000",)))):
        if more[0] and not LONG:  # the simpler pair is enough
            continue
        with s.check(" ".join(("by multicast, and by unicast beside it: listed "
                               "and fetched", *more[0], *more[1]))):
            by_group, by_addr = ("-m", *more[0]), ("-u", *more[1])
            to_addr = ("-u", *(more[1] or ("10.78.0.1",)))
            far = [server(nas, *by_group, number=number, tag=f"group{number}",
                          port=WEB + 1),
                   server(b, *by_addr, number=number + 1,
                          tag=f"unicast{number}")]
            lists = [listing("-1", "-l", *way) for way in (by_group, to_addr)]
            for n, way, want in (0, by_group, disk), (1, to_addr, page):
                near = client(*way, number=number + n, tag=f"near{number + n}")
                fetch(want=want)
                stop(near)
            for n, p in enumerate(lists):
                equal(p.exit_code(), 0, p.log())
                equal(p.log().count(f"Hello from {number + n}!"), 1, p.log())
            stop(*far)

    # --- today's way ---

    away, near_home = home("away"), home("near")
    with s.check("without -1, the first time: a key is made, and it is said "
                 "what is missing"):
        nobody = listing("-1", "-l")
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

    with s.check("a list of nobody: one line, exit code 1"):
        equal(nobody.exit_code(), 1)
        true("17239" in nobody.log() and nobody.log().count("\n") == 1,
             nobody.log())

    with s.check("the paper's lines as they are: served, listed, fetched"):
        far = start(b, "iproxy-server", "-s", 67, "-d", WEB, "-v", tag="new",
                    home=away)
        r = listing("-l")
        near = start(c, "iproxy-client", "-s", 67, "-p", NEAR, "-v",
                     "--trust-first-use", tag="newc", home=near_home)
        fetch()
        equal(r.exit_code(), 0)
        true(re.search(r"(?m)^ +67  ", r.log()), r.log())
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
