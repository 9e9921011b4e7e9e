#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The scene of examples/howto: fixed ports, phantom ports, two NATs

Rules, commands and the tunnel in Perl are those of the example, in every
pairing of ends; then the same with fixed source ports and no rule.
"""
import os
import re
import subprocess
import time

from lib import CULVERT, LINK, Node, Process, Scene, equal, true, until

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
HOWTO = os.path.join(TOP, "examples", "howto")
ONE, DOOR1 = ("192.168.1.2", 5000), ("192.168.1.2", 7000)
TWO, DOOR2 = ("10.0.0.2", 7000), ("10.0.0.2", 5000)
PROBE = 15  # seconds of silence until a stream is probed
UDP, TCP = "udp", "tcp"

with open(os.path.join(HOWTO, "README.md"), encoding="utf-8") as readme:
    README = readme.read()

with Scene("65", __doc__.splitlines()[0]) as s:
    near, router1, router2, far = (
        s.host(n) for n in ("near", "router1", "router2", "far"))
    for h, dev, at, h2, dev2, at2 in (
            (near, "eth0", ONE[0], router1, "lan", "192.168.1.1"),
            (router1, "wan", "198.51.100.1", router2, "wan", "198.51.100.2"),
            (router2, "lan", "10.0.0.1", far, "eth0", TWO[0])):
        s.cable(h, dev, h2, dev2)
        h.address(at + "/24", dev)
        h2.address(at2 + "/24", dev2)
    near.ip("route add default via 192.168.1.1")
    far.ip("route add default via 10.0.0.1")
    for h in (router1, router2):
        h.sysctl("net.ipv4.ip_forward", 1)

    def rules(*hosts):
        for h in hosts:
            h.run("nft", "-f", os.path.join(HOWTO, h.name + ".nft"))

    rules(near, far, router1, router2)
    for h in (near, far, router1, router2):
        for name in ("udp_timeout", "udp_timeout_stream", *(
                f"tcp_timeout_{state}" for state in (
                    "fin_wait", "close_wait", "last_ack", "time_wait",
                    "close"))):
            h.sysctl("net.netfilter.nf_conntrack_" + name, 1)
    one, two = near.udp(*ONE), far.udp(*TWO)
    ends = {one: (two, DOOR1, DOOR2), two: (one, DOOR2, DOOR1)}

    def exchange(first, word, seconds=5.0):
        """@first speaks, the other answers, each to its door"""
        other, door, far_door = ends[first]
        first.send(word, door)
        equal(other.recv(seconds), word, "is heard")
        equal(other.source, far_door, "from")
        other.send(word + b"!", far_door)
        equal(first.recv(seconds), word + b"!", "is answered")
        equal(first.source, door, "from")

    def start(host, name):
        """what README says behind the prompt @name"""
        line = re.search(rf"^{name}\$ (.*)$", README, re.M)[1]
        for key in ("far", "near"):
            line = line.replace(key + ".key", s.key(key)[0])
            line = line.replace(key.upper() + "PUB", s.key(key)[1])
        program, *args = line.split()
        if program == "culvert":
            return Node(host, args, name, "msg=listening" if "serve" in args
                        else "msg=forwarding")
        return Process(host, [program, *args], name, HOWTO).said("ready")

    def connected():
        """the near end has a connection, and the far one a flow of it"""
        def look():
            return [len(h.run("ss", "-Hnt", "state", "established",
                              f"( sport = {LINK} or dport = {LINK} )"
                              ).stdout.splitlines()) for h in (near, far)]
        until(lambda: look() == [1, 1], "one connection", 15)

    def tracked(host, what):
        """entries of @host's connection tracking"""
        with host:
            with open("/proc/thread-self/net/nf_conntrack") as f:
                return [line for line in f if f" {what} " in line]

    def forget(hosts, what):
        """their entries expire; the next ones live as long as usual"""
        key = "net.netfilter.nf_conntrack_tcp_timeout_established"
        for h in hosts:
            h.sysctl(key, 1)
        # the time an entry has left is set by its last packet
        exchange(one, b"the last before silence")
        for h in hosts:
            until(lambda h=h: not tracked(h, what), f"{h.name} forgets", 10)
            h.sysctl(key, 432000)

    def scene(near_name, far_name):
        """both ends run, each is restarted, conntrack forgets"""
        what = f"{near_name} to {far_name}: "
        a, b = None, start(far, far_name)
        with s.check(what + "the far side speaks first"):
            a = start(near, near_name)
            connected()
            exchange(two, b"two begins")
        with s.check(what + "then the near side, and datagrams of any size"):
            exchange(one, b"one")
            for n in (0, 1, 1472, 9000, 65506):
                exchange(one, bytes(n))
                exchange(two, bytes(n))
        with s.check(what + "the far end restarted; the near side first"):
            b.kill()
            b = start(far, far_name)
            connected()
            exchange(one, b"after the far end's restart")
        with s.check(what + "and again, the far side first"):
            b.kill()
            b = start(far, far_name)
            connected()
            exchange(two, b"after the far end's restart")
        with s.check(what + "the near end restarted, the far side first"):
            a.kill()
            a = start(near, near_name)
            connected()
            exchange(two, b"after the near end's restart")
        return what, a, b

    def stop(*ends):
        for end in ends:
            end.kill()
        until(lambda: not near.run("ss", "-Hntu", "sport", "=", ":5001").stdout
              + far.run("ss", "-Hnt", "state", "established").stdout, "gone")

    def forgotten(what, hosts):
        with s.check(what + "udp entries expire: the near side first, and "
                     "then the far side"):
            forget(hosts, UDP)
            exchange(one, b"one after silence")
            forget(hosts, UDP)
            exchange(two, b"two after silence")

    def near_speaks(what):
        with s.check(what + "the routers forget the connection: the near "
                     "side's next datagram passes"):
            forget([router1, router2], TCP)
            exchange(one, b"one after the routers forgot")

    def far_speaks(what):
        """by a probe; once, for it takes as long with rules as without"""
        with s.check(what + "... the far side speaks first: back within "
                     f"{PROBE} s"):
            forget([router1, router2], TCP)
            began = time.monotonic()
            two.send(b"lost, perhaps", DOOR2)
            until(lambda: (two.send(b"is it back?", DOOR2), one.recv(0.2))[1],
                  "two is heard", PROBE + 5)
            s.note(f"after {time.monotonic() - began:.1f} s")
            one.drain(0.1)
            exchange(two, b"two")

    with s.check("the routers pass no UDP, and nobody listens at the phantom "
                 "ports"):
        near.udp(ONE[0]).send(b"direct", ("198.51.100.2", LINK))
        one.send(b"nobody", DOOR1)
        equal(one.recv(0.1) or two.recv(0.1), None)

    for pair in (("near-nat", "far-perl"), ("near-perl", "far-nat"),
                 ("near-nat", "far-nat")):
        what, a, b = scene(*pair)
        forgotten(what, [near, far])
        if pair == ("near-nat", "far-nat"):
            near_speaks(what)
            far_speaks(what)
        stop(a, b)

    for h in (near, far):
        h.nft("delete table ip phantom")
    for pair in (("near", "far"), ("near-keys", "far-keys")):
        what, a, b = scene(*pair)
        if pair == ("near", "far"):
            near_speaks("no rule, " + what)
        with s.check("no rule, " + what + "neither host has one"):
            for h in (near, far):
                equal(h.run("nft", "list ruleset").stdout, "")
        stop(a, b)

    with s.check("examples/howto/run.sh shows all this"):
        r = subprocess.run([os.path.join(HOWTO, "run.sh"), CULVERT],
                           capture_output=True, text=True, timeout=60,
                           check=False)
        equal(r.returncode, 0, r.stderr)
        equal(r.stdout.count(" heard from "), 8, r.stdout)

    with s.check("and README names every file of the example"):
        for name in os.listdir(HOWTO):
            true(name == "README.md" or name in README, name)
