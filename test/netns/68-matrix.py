#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""who finds whom: addresses, routes, reverse path filters, privileges"""
import itertools
import os
import time

from lib import CULVERT, Scene, equal, true

SITUATIONS = {
    # what client and server have on the LAN, a default route, elsewhere
    "same net": ("10.1.1.1/24", "10.1.1.2/24", None, False),
    "foreign": ("10.1.1.1/24", "172.31.5.9/24", None, False),
    "foreign, default here": ("10.1.1.1/24", "172.31.5.9/24", "eth0", True),
    "foreign, default elsewhere": ("10.1.1.1/24", "172.31.5.9/24", "other",
                                   True),
    "server without": ("10.1.1.1/24", None, None, False),
    "client without, but elsewhere": (None, "172.31.5.9/24", None, True),
    "client without": (None, "172.31.5.9/24", None, False),
    "neither": (None, None, None, False),
    "server on 169.254": ("10.1.1.1/24", "169.254.7.7/16", None, False),
}


def other(host, up):
    """a second interface, of nobody's LAN"""
    host.ip("link set other " + ("up" if up else "down"))
    host.ip("addr flush dev other")


def arrange(situation, rp, v6):
    client, server, default, elsewhere = SITUATIONS[situation]
    for n, host, addr in (1, a, client), (2, b, server):
        host.ip("link set eth0 down")
        host.ip("addr flush dev eth0")
        host.sysctl("net.ipv6.conf.all.disable_ipv6", int(not v6))
        for at in "all", "eth0", "other":
            host.sysctl(f"net.ipv4.conf.{at}.rp_filter", rp)
        here = elsewhere and (host is a or default)
        other(host, here)
        if here:
            host.address(f"10.50.{n}.1/24", "other")
        host.ip("link set eth0 up")
        if addr:
            host.address(addr)
        if default:
            host.ip(f"route add default dev {default}")


def finds(privileged):
    key = s.key("s")[0] if privileged else os.path.join(user.dir, "s.key")
    words = ["serve", "lan://67@", "--key", key, "--peer", s.key("c")[1],
             "--discoverable", "--name", s.prefix + "server"]
    before = user.prefix if not privileged else []
    command = [*before, CULVERT if privileged else user.dir + "/bin/culvert",
               *words]
    p = b.start(*command, tag="server")
    p.said("msg=listening")
    began = time.monotonic()
    r = a.run(*user.prefix, "culvert", "discover", "-j", "lan://67@",
              check=False)
    took = time.monotonic() - began
    p.signal(15)
    equal(p.exit_code(), 0, "exit code")
    return took if r.returncode == 0 and '"id":67' in r.stdout else None


def table(found):
    s.note("a client without privileges; seconds, - not found; with "
           "CAP_NET_RAW first, just after the link came up")
    s.note(f"{'':42}"
           "server CAP_NET_RAW    unprivileged")
    s.note(f"{'rp_filter':42}" + "     0     1     2" * 2)
    for v6, name in itertools.product((True, False), SITUATIONS):
        cells = [found[name, rp, v6, root] for root in (True, False)
                 for rp in (0, 1, 2)]
        s.note(f"{name + (', IPv6' if v6 else ''):42}" +
               "".join(f"{'-' if c is None else f'{c:.2f}':>6}"
                       for c in cells))


with Scene("68", __doc__) as s:
    a, b = s.host("a"), s.host("b")
    s.cable(a, "eth0", b, "eth0")
    elsewhere = s.host("c")
    for h in a, b:
        s.cable(h, "other", elsewhere, "to" + h.name)
    user = s.user()
    user.give(s.key("s")[0])
    s.key("c")
    found = {}
    for case in itertools.product(SITUATIONS, (0, 1, 2), (True, False)):
        with s.check("{}, rp_filter {}, {}".format(
                *case[:2], "IPv6" if case[2] else "no IPv6")):
            arrange(*case)
            for root in True, False:
                found[*case, root] = finds(root)
    table(found)

    def count(root, v6=(True, False)):
        return sum(t is not None for k, t in found.items()
                   if k[3] == root and k[2] in v6)

    with s.check("with CAP_NET_RAW every server is found: 54 of 54"):
        equal(count(True), 54)
    with s.check("without any privilege at least 38 of 54 are"):
        s.note(f"{count(False)} of 54")
        true(count(False) >= 38, f"{count(False)} of 54")
    with s.check("with IPv6 and no privilege 27 of 27 are"):
        equal(count(False, (True,)), 27)
