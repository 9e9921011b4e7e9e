#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""udp-local and udp-server as they are installed: forms, order, restarts"""
import os

from lib import (CULVERT, IN, LINK, LO, LO6, OUT, Echo, Node, Process, Scene,
                 equal, sh, true, until)

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))

with Scene("75", __doc__) as s:
    a, b = s.pair()
    echo = Echo(b)
    u = a.udp()
    root = os.path.join(s.dir, "root")
    bin_dir = os.path.join(root, "usr/local/bin")
    man_dir = os.path.join(root, "usr/local/share/man")

    with s.check("make install puts the command, two names of it, and a page "
                 "for each there"):
        r = sh("make", "-C", TOP, "install",
               f"BUILD={os.path.dirname(CULVERT)}", f"DESTDIR={root}",
               check=False)
        equal(r.returncode, 0, r.stdout[-500:] + r.stderr)
        for name in ("udp-local", "udp-server"):
            equal(os.readlink(os.path.join(bin_dir, name)), "culvert")
        for name in os.listdir(bin_dir):
            true(os.path.exists(os.path.join(man_dir, "man1", name + ".1")),
                 name)

    with s.check("pages are sound, and name every option of the front ends"):
        pages = [os.path.join(d, f) for d, _, files in os.walk(man_dir)
                 for f in files]
        r = sh("mandoc", "-T", "lint", "-W", "warning", *pages, check=False)
        equal((r.returncode, r.stdout + r.stderr), (0, ""))
        for name in ("udp-local", "udp-server"):
            page = sh("mandoc", "-T", "ascii",
                      os.path.join(man_dir, "man1", name + ".1"),
                      ).stdout
            text = "".join(c for i, c in enumerate(page) if c != "\b" and
                           page[i + 1:i + 2] != "\b")
            for word in ("-b", "--binding", "-d", "--destination"):
                true(word in text, f"{word} in {name}.1")

    def front(host, program, args, ready, name=None):
        """one of the two, with its prefix and its name"""
        node = Node.__new__(Node)
        node.name = s.prefix + (name or program)
        Process.__init__(node, host, [os.path.join(bin_dir, program), *args,
                                      "--name", node.name], program)
        return node.said(ready)

    def local(*args, **kw):
        return front(a, "udp-local", args, "msg=forwarding", **kw)

    def server(*args, **kw):
        return front(b, "udp-server", args, "msg=listening", **kw)

    def stop():
        """what is left of a check, whatever became of it"""
        for n in s.all:
            n.kill()

    near, far = s.security("c", ["s"]), s.security("s", ["c"])
    to, link = f"{LO}:{OUT}", f"{b.v4}:{LINK}"
    at = f"{LO}:{IN}"

    # how the two ports are given, to each
    FORMS = [
        ("letters", lambda x, y: ("-b", x, "-d", y)),
        ("letters and values in one", lambda x, y: (f"-b{x}", f"-d{y}")),
        ("long forms", lambda x, y: ("--binding", x, "--destination", y)),
        ("= forms", lambda x, y: (f"--binding={x}", f"--destination={y}")),
        ("the other order", lambda x, y: ("-d", y, "--binding", x)),
    ]
    for what, form in FORMS:
        with s.check(f"{what}, with keys"):
            server(*form(link, to), *far)
            local(*form(at, link), *near)
            equal(u.ask(what.encode(), (LO, IN)), what.encode())
        stop()

    with s.check("whole URLs, options of serve and forward before and behind"):
        server("--max-flows=100", "-b", f"tcp://*:{LINK}", "-d", f"udp://{to}",
               *far, "--allow", "udp://127.0.0.1")
        local(*near, "-b", f"udp://{at}", "-d", f"tcp://{link}",
              f"udp://{LO}:{OUT + 1}", "--max-age", "20")
        Echo(b, port=OUT + 1, tag=b"named ")
        equal(u.ask(b"?", (LO, IN)), b"named ?")
    stop()

    with s.check("a port alone binds every address; IPv6 in brackets"):
        server("-b", f":{LINK}", "-d", to, *far)
        local("-b", f":{IN}", "-d", f"[{b.v6}]:{LINK}", *near)
        for addr in (LO, LO6, a.v4):
            equal(a.udp(addr).ask(addr.encode(), (addr, IN)), addr.encode())
    stop()

    # --- order and restarts ---

    def through(word):
        """an end was restarted: datagrams until one is answered"""
        u.drain(0.01)
        until(lambda: u.ask(word, (LO, IN), 0.2) == word, word, 15)

    def relaunch(what, start_server, start_local):
        with s.check(what + ": the local end first, the server when it likes"):
            near_end = start_local()
            u.send(b"nobody there", (LO, IN))
            near_end.said("cannot connect")
        far_end = start_server()
        with s.check(what + ": and now it goes"):
            through(b"local first")
        for n in (1, 2):
            with s.check(f"{what}: the server killed and relaunched, time {n}"):
                ends = len(echo.seen)
                far_end.kill()
                far_end = start_server()
                through(b"server again %d" % n)
                true(len(echo.seen) > ends, "answered")
            with s.check(f"{what}: the local end killed and relaunched, time "
                         f"{n}"):
                near_end.kill()
                near_end = start_local()
                through(b"local again %d" % n)
        with s.check(f"{what}: both killed, the server first"):
            stop()
            far_end, near_end = start_server(), start_local()
            through(b"server first")
            true(near_end.alive() and far_end.alive(), "both live")
        stop()

    relaunch("tcp", lambda: server("-b", link, "-d", to, *far),
             lambda: local("-b", at, "-d", link, *near))
    for scheme in ("frames+tcp", "udptunnel+tcp"):
        relaunch(scheme,
                 lambda x=scheme: server("-b", f"{x}://{link}", "-d", to),
                 lambda x=scheme: local("-b", at, "-d", f"{x}://{link}"))

    with s.check("after a restart it is a new session, with keys of its own"):
        far_end = server("-b", link, "-d", to, *far)
        near_end = local("-b", at, "-d", link, *near).up()
        far_end.kill()
        far_end = server("-b", link, "-d", to, *far)
        near_end.said("peer up", 10, 2)
        far_end.said("peer up")
    stop()

    # --- what is wrong ---

    WRONG = [
        ("no argument", "udp-local", (), "-b HOST:PORT -d HOST:PORT"),
        ("no -d", "udp-server", ("-b", link), "-b HOST:PORT -d HOST:PORT"),
        ("-b without its value", "udp-local", ("-d", link, "-b"),
         "-b HOST:PORT -d HOST:PORT"),
        ("an unknown option", "udp-local", ("-b", at, "-d", link, "--nosuch"),
         '"--nosuch"'),
        ("an option of the other end", "udp-local",
         ("-b", at, "-d", link, "--allow", "udp://*:53"), '"--allow"'),
        ("a port that is none", "udp-server",
         ("-b", f"{b.v4}:65536", "-d", to, *far), "65536"),
        ("no port", "udp-server", ("-b", b.v4, "-d", to, *far), "port"),
        ("no keys", "udp-local", ("-b", at, "-d", link), "genkey"),
        ("keys, which frames+tcp has not", "udp-server",
         ("-b", f"frames+tcp://{link}", "-d", to, *far), "has no keys"),
        ("a target, which frames+tcp cannot name", "udp-local",
         ("-b", at, "-d", f"frames+tcp://{link}", f"udp://{to}"), "far end"),
    ]
    for what, program, args, words in WRONG:
        with s.check(f"{what}: one line, exit code 2"):
            r = b.run(os.path.join(bin_dir, program), *args, check=False)
            equal((r.returncode, r.stdout, r.stderr.count("\n")), (2, "", 1),
                  r.stderr)
            true(words in r.stderr, r.stderr)

    with s.check("--help: usage on standard output, exit code 0"):
        for program in ("udp-local", "udp-server"):
            r = sh(os.path.join(bin_dir, program), "--help")
            for word in (program, "-b, --binding", "-d, --destination"):
                true(word in r.stdout, r.stdout)
            equal(r.stderr, "")

    with s.check("--print-config prints what culvert run takes"):
        r = sh(os.path.join(bin_dir, "udp-local"), "-b", at, "-d", link, *near,
               "--print-config")
        path = s.file("printed.conf", r.stdout)
        equal(sh(CULVERT, "check", "-c", path).stderr, "")
