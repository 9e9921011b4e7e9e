#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""churn.py CULVERT [SECONDS] - ends that come and go under constant traffic

  old client ─── new server        a node that lives throughout, and at its
  new clients ── old server        other end those that are killed in turn

each by native links and by frames+tcp.  Every few seconds something happens;
then every flow must be answered again within 5 s and one step of back-off.
The two that lived throughout must not have grown.
"""
import os
import random
import select
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "netns"))

from lib import (CULVERT, LINK, LO, OUT, Echo, Node, Scene, Worker, equal, sh,
                 true, until, url)

SECONDS = float(sys.argv[2]) if len(sys.argv) > 2 else 360
RECOVER = 5 + 10  # seconds: what is asked, and CV_DIAL_MAX
RATE, SOCKETS = 50, 3  # of each port: questions a second, clients
OLD, OLD_FRAMES, NEW, NEW_FRAMES = range(LINK, LINK + 4)  # servers' ports
PORTS = [1001, 1002, 2001, 2002, 2003]  # by frames the second and the last
GROWN = 1024  # kB that allocator and kernel may keep

rng = random.Random(1)


class Traffic(Worker):
    """clients that ask all the time; what each has heard last"""

    def __init__(self, host, ports):
        self.to = [(LO, p) for p in ports for _ in range(SOCKETS)]
        self.udp = [host.udp() for _ in self.to]
        self.number = {u.sock: n for n, u in enumerate(self.udp)}
        self.round = 0
        self.heard = [(-1, 0.0)] * len(self.to)  # round, when
        self.answers = 0
        super().__init__(host.scene)

    def turn(self):
        for u, to in zip(self.udp, self.to):
            u.send(b"%d" % self.round + bytes(100 + self.round % 900), to)
        self.round += 1
        end = time.monotonic() + 1 / RATE
        while (left := end - time.monotonic()) > 0:
            for sock in select.select(list(self.number), [], [], left)[0]:
                self.hear(sock)

    def hear(self, sock):
        try:
            data = sock.recv(2048)
        except ConnectionRefusedError:
            return
        self.answers += 1
        n = self.number[sock]
        said = int(data.split(b"\0", 1)[0])
        self.heard[n] = max(self.heard[n], (said, time.monotonic()))

    def silent(self, since):
        """ports at which some client has no answer to a question of @since"""
        return {to[1] for to, (n, _) in zip(self.to, self.heard) if n < since}

    def recovered(self):
        """seconds until every client was answered what it asks from now on"""
        began, since = time.monotonic(), self.round + 1
        until(lambda: not self.silent(since), "every flow goes on",
              RECOVER, 0.01)
        return time.monotonic() - began


with Scene("churn", __doc__.splitlines()[0]) as s:
    a, b = s.pair(net=91)
    Echo(b)
    peers = {n: s.key(n) for n in ("old", "new", "k", "c1", "c2")}

    def foreign(port):
        return url("frames+tcp", b.v4, port)

    def server_text(key, port, clients, more=""):
        return f"""IdleTimeout = 20s
PrivateKeyFile = {peers[key][0]}
[Serve]
Listen = {url("tcp", b.v4, port)}
Listen = {foreign(port + 1)}
To = {url("udp", LO, OUT)}
{more}
""" + "".join(f"[Peer {c}]\nPublicKey = {peers[c][1]}\n" for c in clients)

    def client_text(key, server, port, forwards, more=""):
        return f"""IdleTimeout = 20s
{more}
PrivateKeyFile = {peers[key][0]}
[Peer far]
PublicKey = {peers[server][1]}
Endpoint = {url("tcp", b.v4, port)}
""" + "".join(f"[Forward f{p}]\nFrom = {url('udp', LO, p)}\nVia = {via}\n"
              for p, via in forwards)

    def old_server(more=""):
        return server_text("old", OLD, ["c1", "c2"], more)

    def old_client(more=""):
        return client_text("k", "new", NEW, [
            (1001, "far"), (1002, foreign(NEW_FRAMES))], more)

    def node(host, name, text):
        return lambda: s.config(host, text, name)

    start = {
        "server": node(b, "server", server_text("new", NEW, ["k"])),
        "client 1": node(a, "c1", client_text("c1", "old", OLD,
                                              [(2001, "far")])),
        "client 2": node(a, "c2", client_text("c2", "old", OLD,
                                              [(2002, "far")])),
        "client 3": lambda: Node(
            a, ["forward", url("udp", LO, 2003), "via", foreign(OLD_FRAMES),
                "--idle", "20"], "c3", "msg=forwarding"),
    }
    lived = {"old server": node(b, "olds", old_server())(),
             "old client": node(a, "oldc", old_client())()}
    young = {name: begin() for name, begin in start.items()}
    traffic = Traffic(a, PORTS)

    # --- what happens; each ends when it is over ---

    def replace(name):
        young[name].kill()
        s.all.remove(young[name])
        young[name] = start[name]()

    def kill_server():
        replace("server")

    def kill_client():
        replace(rng.choice(["client 1", "client 2", "client 3"]))

    def kill_all():
        for name in list(young):
            replace(name)

    def reset():
        """every connection is answered by RST, and so is every new one"""
        b.nft("add table inet t; add chain inet t c { type filter hook input "
              "priority 0; }; add rule inet t c tcp dport "
              f"{OLD}-{NEW_FRAMES} reject with tcp reset")
        until(lambda: not a.run("ss", "-Htn", "state", "established", "dport",
                                "ge", f":{OLD}").stdout, "all are reset", 5)
        b.nft("delete table inet t")

    def cable():
        a.ip("link set eth0 down")
        time.sleep(rng.uniform(0.2, 3))
        a.ip("link set eth0 up")

    def freeze():
        one = rng.choice(list(lived.values()) + list(young.values()))
        one.signal(signal.SIGSTOP)
        time.sleep(rng.uniform(0.2, 3))
        one.signal(signal.SIGCONT)

    def reload():
        more = rng.choice(["", "MaxAge = 100ms", "Memory = 32"])
        for n, text in ((lived["old server"], old_server(
                f"Listen = {url('tcp', b.v4, rng.randrange(4000, 4008))}\n"
                f"Allow = udp://10.0.0.{rng.randrange(8)}")),
                        (lived["old client"], old_client(more))):
            s.file(n.tag + ".conf", f"[Node]\nName = {n.name}\n{text}")
            sh(CULVERT, "reload", n.name)

    EVENTS = [kill_server, kill_client, reset, cable, freeze, reload, kill_all]
    took = {e.__name__: [] for e in EVENTS}

    def happen(event):
        event()
        took[event.__name__].append(traffic.recovered())

    def settled():
        """both that live, their original configuration, nothing else"""
        for n, text in ((lived["old server"], old_server()),
                        (lived["old client"], old_client())):
            s.file(n.tag + ".conf", f"[Node]\nName = {n.name}\n{text}")
            sh(CULVERT, "reload", n.name)
        # flows without traffic, and buffers that nobody needs, go
        flows = {"old server": 3 * SOCKETS, "old client": 2 * SOCKETS}
        until(lambda: all(lived[k].show()["flows"] == n
                          for k, n in flows.items()), "flows are gone", 40)
        time.sleep(21)  # CV_TRIM, twice: what was not used in between is freed
        return {k: (n.descriptors(), n.status("VmRSS"))
                for k, n in lived.items()}

    rounds = []

    def churn(seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for event in rng.sample(EVENTS, len(EVENTS)):
                happen(event)
                time.sleep(rng.uniform(0, 2))
            rounds.append([n.status("VmRSS") for n in lived.values()])

    with s.check(f"every flow goes on after every event within {RECOVER} s, "
                 f"for {SECONDS / 4:.0f} s"):
        traffic.recovered()
        churn(SECONDS / 4)
    before = settled()  # malloc has what it will keep
    s.note(f"descriptors and kB of those that live: {before}")

    with s.check(f"and for {SECONDS * 3 / 4:.0f} s more"):
        churn(SECONDS * 3 / 4)
    for name, times in took.items():
        times.sort()
        s.note(f"{name}: {len(times)} times, back after {times[0]:.2f} to "
               f"{times[-1]:.2f} s, half within {times[len(times) // 2]:.2f}")
    asked = traffic.round * len(traffic.to)
    s.note(f"{asked} asked, {traffic.answers} answered, "
           f"{100 * traffic.answers / asked:.1f} %")

    with s.check("those that lived throughout hold no more than at the "
                 "beginning"):
        after = settled()
        s.note(f"descriptors and kB: {after}; at ten moments "
               f"{rounds[::max(1, len(rounds) // 10)]}")
        # what malloc keeps comes and goes, by some 2 MB, and malloc_trim()
        # gives it back; what leaks stays: the least of a quarter
        n = len(rounds) // 4
        early, late = ([min(rss) for rss in zip(*part)]
                       for part in (rounds[n:2 * n], rounds[-n:]))
        s.note(f"kB at least: {early} in the second quarter, {late} in the last")
        for i, (k, (fds, _)) in enumerate(before.items()):
            true(lived[k].alive(), f"{k} lives")
            equal(after[k][0], fds, f"{k}: descriptors")
            true(late[i] <= early[i] + GROWN, f"{k}: {late[i] - early[i]} kB "
                 "more")
    for k, n in lived.items():
        s.note(f"{k} dropped: {n.drops()}")
