#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""who serves on this LAN: everybody is found, nobody is flooded"""
import json
import os
import socket
import subprocess
import time

from discovery import PORT, QUESTION, Watch, question
from lan import Lan
from lib import CULVERT, IN, LO, OUT, Node, Scene, equal, true, until, url

FEW = 20


def plug(host):
    lan.plug(host)
    return host


def box(number, *options, key=None, name=None, link="lan://{}@"):
    host = plug(s.host(name or f"b{number}"))
    return serve(host, number, *options, key=key, link=link)


def serve(host, number, *options, key=None, link="lan://{}@"):
    return s.serve(host, link.format(number), options=options,
                   key=key or f"k{number}", name=host.name)


def discover(*args, check=True):
    """servers by id, and seconds"""
    began = time.monotonic()
    r = a.run(CULVERT, "discover", "-j", *args, check=check)
    took = time.monotonic() - began
    return [json.loads(line) for line in r.stdout.splitlines()], took, r


def forward(*options, known="known", check=False):
    return a.run("timeout", "10", CULVERT, "forward", url("tcp", LO, IN),
                 url("tcp", LO, OUT), "via", "lan://67@", "--key",
                 s.key("c")[0], "--known-servers",
                 os.path.join(s.dir, known), *options, check=check,
                 stdin=subprocess.DEVNULL)


def forwards(name, *options, known="known"):
    return Node(a, ["forward", url("tcp", LO, IN), url("tcp", LO, OUT), "via",
                    "lan://67@", "--key", s.key("c")[0], "--known-servers",
                    os.path.join(s.dir, known), *options], name,
                "msg=forwarding")


def stop(node):
    node.signal(15)
    equal(node.exit_code(), 0, "exit code")


with Scene("69", __doc__) as s:
    lan = Lan(s, "lan")
    a = plug(s.host("a"))
    a.address("192.168.7.2/24")
    user = s.user()

    with s.check("without --discoverable there is silence"):
        quiet = box(66)
        w = Watch(a)
        found, took, r = discover(check=False)
        w.end()
        equal((found, r.returncode), ([], 1))
        true("no server answered" in r.stderr, r.stderr)
        true(took < 3.2, f"{took:.2f} s")
        true(len(w.seen) > 4 and not w.answers(), "questions, and no answer")
        stop(quiet)

    with s.check(f"{FEW} boxes are found within 2 s"):
        boxes = [box(n, "--discoverable") for n in range(1, FEW + 1)]
        w = Watch(a)
        found, took, _ = discover()
        w.end()
        equal([f["id"] for f in found], list(range(1, FEW + 1)))
        equal([f["key"] for f in found],
              [s.key(f"k{n}")[1] for n in range(1, FEW + 1)])
        true(took < 2.0, f"{took:.2f} s")
        s.note(f"{took:.2f} s, {len(w.answers())} answers, "
               f"{w.busiest()} in 100 ms")

    with s.check("an answer is never longer than a question, nor a second"):
        asked = [n for _, kind, n in w.seen if kind == QUESTION]
        equal(set(asked), {1200})
        true(max(n for _, _, n in w.answers()) <= 1200, "longer")
        true(len(w.answers()) <= FEW * 2, f"{len(w.answers())} answers")

    with s.check("what is told is right"):
        one = found[4]
        equal((one["id"], one["name"], one["interface"], one["services"]),
              (5, s.prefix + "b5", "eth0", ["loopback"]))
        true(any(addr.startswith("fe80::") for addr in one["addresses"]),
             one["addresses"])
        true(one["ways"] and 0 <= one["rtt_us"] < 500000, one)

    with s.check("one is asked for: it is there at once"):
        found, took, _ = discover("lan://7@")
        equal([f["id"] for f in found], [7])
        true(took < 1, f"{took:.2f} s")
        _, _, r = discover("lan://99@", "--timeout", "1", check=False)
        equal(r.returncode, 1)

    with s.check("a flood is answered 20 times a second at most"):
        with a:
            u = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        to = (boxes[0].host.ip("-6 addr show dev eth0").split(
            "inet6 ")[1].split("/")[0], PORT, 0, 2)
        with a:
            scope = socket.if_nametoindex("eth0")
        to = (*to[:3], scope)
        u.settimeout(0.3)
        began = time.monotonic()
        for n in range(500):
            u.sendto(question(n + 1), to)
            time.sleep(0.001)  # not more than its buffer takes
        seconds = int(time.monotonic() - began) + 1
        got = 0
        try:
            while u.recv(2048):
                got += 1
        except TimeoutError:
            pass
        true(1 <= got <= 20 * seconds, f"{got} answers in {seconds} s")
        true(boxes[0].dropped("flood") >= 500 - 20 * seconds,
             boxes[0].drops())

    with s.check("a question that is too short is not answered"):
        time.sleep(1)
        u.sendto(question(1000, size=1199), to)
        u.sendto(question(1001, size=100), to)
        try:
            true(False, f"an answer of {len(u.recv(2048))} bytes")
        except TimeoutError:
            pass
        u.sendto(question(1002), to)
        true(len(u.recv(2048)) <= 1200, "longer")
        u.close()
    for b in boxes:
        stop(b)

    with s.check("a box without any address is found, and said to be there"):
        host = plug(s.host("bare"))
        host.sysctl("net.ipv6.conf.all.disable_ipv6", 1)
        equal(host.ip("addr show dev eth0").count("inet"), 0)
        bare = serve(host, 68, "--discoverable")
        found, took, _ = discover("-l")
        equal([(f["id"], f["addresses"]) for f in found], [(68, [])])
        stop(bare)

    with s.check("who has no IPv6 and a strict reverse path filter hears it"):
        a.sysctl("net.ipv6.conf.all.disable_ipv6", 1)
        a.sysctl("net.ipv4.conf.all.rp_filter", 1)
        bare = serve(host, 68, "--discoverable")
        host.address("10.99.0.1/24")
        found, took, _ = discover("lan://68@")
        equal([(f["id"], f["addresses"]) for f in found],
              [(68, ["10.99.0.1/24"])])
        stop(bare)
        a.sysctl("net.ipv6.conf.all.disable_ipv6", 0)

    with s.check("two interfaces of ours on one LAN: one line, one answer"):
        lan.plug(a, "eth1")
        two = box(69, "--discoverable")
        w = Watch(two.host)
        found, _, _ = discover()
        w.end()
        equal([f["id"] for f in found], [69])
        equal(len(w.answers()), 1, "answers")
        lan.remove(a, "eth1")

    with s.check("who serves on this host is found too"):
        r = two.host.run(CULVERT, "discover", "-j", "lan://69@")
        equal(json.loads(r.stdout)["id"], 69)

    with s.check("a firewall: the rule that is named lets answers in"):
        a.nft("add table inet t; add chain inet t input { type filter hook "
              "input priority 0; policy drop; }; add rule inet t input "
              "ct state established,related accept; "
              "add rule inet t input icmpv6 type != 1 accept")
        ask = user.prefix + ["culvert", "discover"]
        r = a.run(*ask, "--timeout", "1", check=False)
        equal((r.returncode, r.stdout), (1, ""))
        rule = r.stderr[r.stderr.index("(nft ") + 5:r.stderr.rindex(")")]
        equal(rule, "add rule inet filter input udp dport 17239 accept")
        a.nft(rule.replace("filter", "t", 1))
        true(" 69 " in a.run(*ask, "lan://69@").stdout, "found")
        a.nft("delete table inet t")
        stop(two)

    with s.check("--watch tells of those that come"):
        p = a.start(CULVERT, "discover", "--watch", "-j", "--timeout", "8",
                    tag="watch")
        time.sleep(0.5)
        nas = box(67, "--discoverable", "--allow", "tcp://127.0.0.1:*",
                  key="s", name="nas")
        until(lambda: '"id":67' in p.log(), "it is told", 8)
        true('"gone":false' in p.log(), p.log())

    with s.check("a key that is new is not taken without being asked"):
        r = forward()
        equal(r.returncode, 1)
        true(s.key("s")[1] in r.stderr and "--trust-first-use" in r.stderr,
             r.stderr)
        true(not os.path.exists(os.path.join(s.dir, "known")), "written")

    with s.check("with --trust-first-use it is, and kept"):
        c = forwards("first", "--trust-first-use").up()
        stop(c)
        with open(os.path.join(s.dir, "known")) as f:
            equal(f.read().split()[:2], ["67", s.key("s")[1]])
        c = forwards("again").up()
        stop(c)

    with s.check("two servers with one id: both are shown, none is chosen"):
        twin = box(67, "--discoverable", key="t", name="twin")
        found, _, _ = discover()
        equal({f["key"] for f in found if f["id"] == 67},
              {s.key("s")[1], s.key("t")[1]})
        r = forward("--trust-first-use", known="other")
        equal(r.returncode, 1)
        true("2 servers say they are 67" in r.stderr, r.stderr)
        c = forwards("chosen").up()  # whose key is known
        stop(c)

    with s.check("a changed key is refused"):
        stop(nas)
        for options in [], ["--trust-first-use"]:
            r = forward(*options)
            equal(r.returncode, 1)
            true("HAS CHANGED" in r.stderr and s.key("s")[1] in r.stderr and
                 s.key("t")[1] in r.stderr, r.stderr)
        stop(twin)

    with s.check("--watch ends when its time is over"):
        equal(p.exit_code(10), 0)
