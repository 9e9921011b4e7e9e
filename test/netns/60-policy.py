#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What peers may reach: loopback, or what --allow says, and nothing else"""
import re

from lib import LO, LO6, Echo, Scene, true, until, url

OUTSIDE, OUTSIDE6 = "10.60.0.2", "fd00:60::2"  # the server's own, not loopback

with Scene("60", __doc__) as s:
    a, b = s.pair()
    s.hosts_file(b, f"{OUTSIDE} target.test\n{OUTSIDE} other.test\n")
    b.address("10.60.0.77/24")
    for addr in (LO, LO6, OUTSIDE, OUTSIDE6, "10.60.0.77"):
        for port in (7000, 7002, 7003):
            Echo(b, addr, port, f"{addr} {port} ".encode())
    low = Echo(b, OUTSIDE, 7004, f"{OUTSIDE} 7004 ".encode())

    servers = {}

    def serve(name, *options):
        servers[name] = s.serve(b, url("tcp", b.v4, 4000 + len(servers)),
                                key=name, name=name, options=options)

    serve("default")
    serve("prefix", "--allow", "udp://10.60.0.0/27")
    serve("ports", "--allow", "udp://10.60.0.2:7001-7002",
          "--allow", "udp://[fd00:60::]/64:7003")
    serve("named", "--allow", "udp://target.test:7000")
    serve("low", "--allow", "udp://10.60.0.2:7000-7003",
          "--allow", "udp://10.60.0.2:7004?bind=10.60.0.2:99")
    serve("to", "--to", f"udp://{OUTSIDE}:7000")

    # server, target, may be reached
    TARGETS = [
        ("default", "udp://127.0.0.1:7000", True),
        ("default", "udp://[::1]:7000", True),
        ("default", f"udp://{OUTSIDE}:7000", False),
        ("default", f"udp://[{OUTSIDE6}]:7000", False),
        ("default", f"udp://[::ffff:{OUTSIDE}]:7000", False),
        ("default", "udp://0.0.0.0:7000", False),
        ("default", "udp://[::]:7000", False),
        ("default", "udp://target.test:7000", False),
        ("prefix", f"udp://{OUTSIDE}:7000", True),
        ("prefix", "udp://10.60.0.77:7000", False),
        ("prefix", "udp://127.0.0.1:7000", False),
        ("prefix", f"udp://[{OUTSIDE6}]:7000", False),
        ("prefix", "udp://target.test:7002", True),
        ("ports", f"udp://{OUTSIDE}:7000", False),
        ("ports", f"udp://{OUTSIDE}:7002", True),
        ("ports", f"udp://{OUTSIDE}:7003", False),
        ("ports", f"udp://[{OUTSIDE6}]:7003", True),
        ("ports", f"udp://[{OUTSIDE6}]:7002", False),
        ("named", "udp://target.test:7000", True),
        ("named", "udp://target.test:7002", False),
        ("named", "udp://other.test:7000", False),
        ("named", f"udp://{OUTSIDE}:7000", False),
        ("low", f"udp://{OUTSIDE}:7000?bind=10.60.0.2:98", False),
        ("low", f"udp://{OUTSIDE}:7004?bind=10.60.0.2:98", False),
        ("low", f"udp://{OUTSIDE}:7000?bind=10.60.0.2:1098", True),
        ("low", f"udp://{OUTSIDE}:7004?bind=10.60.0.2:99", True),
        ("to", "", True),
        ("to", f"udp://{OUTSIDE}:7000", False),
        ("default", "", False),
    ]
    clients = {}
    for i, name in enumerate(servers):
        config = (f"PrivateKeyFile = {s.key('c')[0]}\n[Peer {name}]\n"
                  f"PublicKey = {s.key(name)[1]}\n"
                  f"Endpoint = {url('tcp', b.v4, 4000 + i)}\n")
        for n, (server, target, _) in enumerate(TARGETS):
            if server == name:
                to = f"To = {target}\n" if target else ""
                config += (f"[Forward]\nFrom = udp://127.0.0.1:{5000 + n}\n"
                           f"{to}Via = {name}\n")
        clients[name] = s.config(a, config, name + "c")
    u = a.udp()

    for n, (name, target, allowed) in enumerate(TARGETS):
        to = (LO, 5000 + n)
        if allowed:
            with s.check(f"{name}: {target or 'no target named'} is reached"):
                answer = u.ask(b"%d" % n, to)
                true(answer and answer.endswith(b" %d" % n), answer)
                port = re.search(r":(\d+)(\?|$)", target or ":7000")[1]
                true(port.encode() in answer, "by its port")
            continue
        with s.check(f"{name}: {target or 'no target named'} is refused, and "
                     "both ends say so"):
            server = servers[name]
            lines, drops = server.log().count("target refused"), server.drops()
            u.send(b"%d" % n, to)
            clients[name].said(
                f'peer refused a flow" peer={name} target="{target}" reason=' +
                ("not_allowed" if target else "bad_target"))
            until(lambda: server.log().count("target refused") > lines,
                  f"{name} says so")
            until(lambda: sum(server.drops().values()) ==
                  sum(drops.values()) + 1, "counted")

    with s.check("a port below 1024 is bound where a rule names it"):
        true((OUTSIDE, 99) in [src for src, _ in low.seen], low.seen)
