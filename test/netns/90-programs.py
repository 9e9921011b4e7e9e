#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Real programs through the tunnel, while only TCP passes between the hosts:
dig and dnsmasq, iperf3 -u"""
import json
import re

from lib import LINK, LO, LO6, Relay, Scene, equal, true, until, url

with Scene("90", __doc__) as s:
    a, b = s.pair()
    for h in (a, b):
        h.nft("add table inet t; add chain inet t c { type filter hook input "
              "priority 0; }; add rule inet t c iif eth0 meta l4proto udp "
              "counter drop")
    # a busy machine drops nothing for its age
    server = s.serve(b, url("tcp", b.v4, LINK), options=["--max-age", "2000"])
    client = s.config(a, f"""MaxAge = 2s
PrivateKeyFile = {s.key("c")[0]}
[Peer server]
PublicKey = {s.key("s")[1]}
Endpoint = {url("tcp", b.v4, LINK)}
[Forward dns]
From = udp://127.0.0.1:53
To = udp://127.0.0.1:53
Via = server
[Forward dns6]
From = udp://[::1]:53
To = udp://[::1]:53
Via = server
[Forward iperf]
From = udp://127.0.0.1:5201
To = udp://127.0.0.1:5201
Via = server
""", "client").up()
    text = ",".join("x" * 250 for _ in range(14))
    b.start("dnsmasq", "-k", "-C", "/dev/null", "--no-resolv", "--no-hosts",
            "--user=root", "--log-facility=-", "--listen-address=127.0.0.1",
            "--listen-address=::1", "--bind-interfaces",
            "--edns-packet-max=4096", "--host-record=tunnel.test,192.0.2.7",
            *(f"--host-record={n}.many.test,192.0.2.{n}" for n in range(40)),
            f"--txt-record=long.test,{text}").said("started")

    for at in (LO, LO6):
        with s.check(f"dig @{at} is answered through the tunnel"):
            out = a.run("dig", f"@{at}", "+short", "+tries=1", "+time=5",
                        "tunnel.test").stdout
            equal(out.strip(), "192.0.2.7")

    with s.check("an answer of over 3,000 bytes comes whole, in one datagram"):
        out = a.run("dig", f"@{LO}", "+notcp", "+ignore", "+bufsize=4096",
                    "+tries=1", "+time=5", "TXT", "long.test").stdout
        size = int(out.split("MSG SIZE  rcvd: ")[1].split()[0])
        true(size > 3000, f"{size} bytes")
        equal(out.count("x" * 250), 14)

    with s.check("forty names asked at once, each gets its own answer"):
        names = s.file("names", "".join(f"{n}.many.test\n"
                                        for n in range(40)))
        out = a.run("sh", "-c", f"xargs -n 1 -P 40 dig @{LO} +tries=1 +time=5 "
                    f"+noall +answer <{names}").stdout
        got = {line.split()[0]: line.split()[-1]
               for line in out.strip().splitlines()}
        equal(got, {f"{n}.many.test.": f"192.0.2.{n}" for n in range(40)})

    # its control connection is TCP and goes around the tunnel
    Relay(a, LO, 5201, (b.v4, 5201))
    b.start("iperf3", "-s", "--forceflush").said("Server listening")

    def no_room():
        """datagrams that did not fit into a socket other than ours: iperf3's
        holds 20 ms of them, and on a busy machine it waits longer for a CPU"""
        n = -sum(node.dropped("overrun") for node in (client, server))
        for h in (a, b):
            names, values = re.findall(r"^Udp: (.*)", h.run(
                "cat", "/proc/net/snmp").stdout, re.M)
            n += int(dict(zip(names.split(), values.split()))["RcvbufErrors"])
        return n

    for name, args in (("up", ()), ("down", ("-R",))):
        with s.check(f"iperf3 -u, 50 Mbit/s {name}: no loss, little jitter"):
            room = no_room()
            out = a.run("iperf3", "-c", LO, "-u", "-b", "50M", "-t", "2",
                        "-l", "1400", "-J", *args).stdout
            total = json.loads(out)["end"]["sum"]
            lost, iperf = total["lost_packets"], no_room() - room
            s.note(f"{total['bits_per_second'] / 1e6:.1f} Mbit/s, "
                   f"{lost} of {total['packets']} lost, {iperf} by iperf3, "
                   f"jitter {total['jitter_ms']:.3f} ms")
            true(total["packets"] > 8000, f"{total['packets']} packets")
            true(lost <= iperf, f"{lost} lost, {iperf} of these by iperf3; "
                 f"{client.drops()}, {server.drops()}")
            true(total["jitter_ms"] < 5, f"{total['jitter_ms']} ms jitter")

    with s.check("no datagram went between the hosts but in the tunnel"):
        for h in (a, b):
            rules = h.run("nft", "list ruleset").stdout
            true("packets 0 bytes 0" in rules, rules)
        until(lambda: client.peer()["sent"]["datagrams"] > 8000, "counted")
