#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""frames+tcp://, between culvert, programs that speak it, and hostile ones"""
import contextlib
import os
import signal
import socket
import struct
import time

from framed import Client, Server, frame
from lib import (CULVERT, IN, LINK, LO, OUT, Echo, Flood, Pinger, Scene,
                 Sink, equal, sh, short, true, until, url, watch)

LINES = ("culvert serve frames+tcp://127.0.0.1:3456 "
         "--to udp://127.0.0.1:5678",
         "culvert forward udp://127.0.0.1:1234 "
         "via frames+tcp://127.0.0.1:3456")
SIZES = (0, 1, 1472, 9000, 65507)
IDLE = 300
# bytes that the kernel may hold for one stalled peer: as many as a congestion
# window grew to, which is more where answers wait for a slow reader's CPU
QUEUE = 400_000 if "ASAN_OPTIONS" in os.environ else 200_000
STALL, RATE = 4, 4000

with Scene("63", __doc__) as s:
    a, b = s.pair()
    link = url("frames+tcp", b.v4, LINK)

    def serve(*options, name="server", port=LINK, to=url("udp", LO, OUT)):
        return s.serve(b, url("frames+tcp", b.v4, port), name=name,
                       options=("--to", to, *options))

    def forward(*options, name="client", port=IN, to=LINK):
        return s.forward(a, url("udp", LO, port), None,
                         url("frames+tcp", b.v4, to), name=name,
                         options=options)

    with s.check("the two command lines work exactly as written"):
        lines = [a.start(CULVERT, *line.split()[1:]) for line in LINES]
        for p, said in zip(lines, ("msg=listening", "msg=forwarding")):
            p.said(said)
        true("neither authenticated" not in lines[0].log(), "loopback only")
        here, asked = Echo(a), a.udp()
        equal(asked.ask(b"as written", (LO, IN)), b"as written")
        for p in lines:
            p.signal(signal.SIGTERM)
            equal(p.exit_code(), 0)
        here.close()

    # --- culvert accepts; clients are this file's own ---

    server = serve()
    target = b.udp(LO, OUT)
    c = Client(a, b.v4, LINK)

    def passes(c, data=b"ping", at=None):
        """a datagram to the target, and the same back"""
        at = at or target
        c.send(data)
        equal(at.recv(), data, "to the target")
        at.send(data, at.source)
        equal(c.recv(), data, "back")

    with s.check("it says that the port is open to everybody, and needs no "
                 "keys"):
        true("neither authenticated nor encrypted" in server.log(),
             server.log())

    for size in SIZES:
        with s.check(f"{size} bytes, there and back"):
            passes(c, os.urandom(size))

    with s.check("byte by byte"):
        for byte in frame(b"slowly") + frame(b"again"):
            c.write(bytes([byte]))
        equal([target.recv() for _ in range(2)], [b"slowly", b"again"])

    with s.check("two and a half at once, and the rest"):
        raw = frame(b"one") + frame(b"two") + frame(b"three")
        c.write(raw[:-3])
        equal([target.recv(), target.recv()], [b"one", b"two"])
        c.write(raw[-3:])
        equal(target.recv(), b"three")

    with s.check("1,000 in one write arrive whole and in order"):
        burst = [b"%04d" % n + bytes(n % 7) for n in range(1000)]
        c.send(*burst)
        equal([target.recv() for _ in burst], burst)

    with s.check("half a frame, then the end: nothing of it is sent"):
        d = Client(a, b.v4, LINK)
        d.write(frame(b"whole") + frame(b"cut off")[:-1])
        d.close()
        equal(target.recv(), b"whole")
        until(lambda: server.show()["flows"] == 1, "its flow ended")
        passes(c)
        equal(target.drain(), [])

    with s.check("connections that are reset before they are accepted leave "
                 "nothing behind"):
        server.signal(signal.SIGSTOP)
        for _ in range(100):
            d = Client(a, b.v4, LINK)
            d.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                              struct.pack("ii", 1, 0))
            d.sock.close()
        server.signal(signal.SIGCONT)
        passes(c)
        equal(server.show()["flows"], 1)

    with s.check("lengths of 65,508 and 65,535 are skipped and counted, and "
                 "the connection lives"):
        for size in (65508, 65535, 65535):
            c.send(bytes(size), b"behind %d" % size)
            equal(target.recv(), b"behind %d" % size)
        equal(server.dropped("too_big"), 3)
        passes(c)

    with s.check("nobody but the target reaches the client"):
        passes(c)
        to = target.source
        stranger = b.udp()
        stranger.send(b"injected", to)
        target.send(b"genuine", to)
        equal(c.recv(), b"genuine")

    with s.check("the target is not there: the connection lives, and it is "
                 "served when it comes"):
        target.close()
        c.send(b"lost", b"lost too")
        until(lambda: server.dropped("unreachable"), "ICMP says so")
        target = b.udp(LO, OUT)
        c.send(b"found")
        equal(target.recv(), b"found")

    with s.check("connections have flows of their own"):
        more = [Client(a, b.v4, LINK) for _ in range(5)]
        for n, d in enumerate(more):
            d.send(b"from %d" % n)
            equal(target.recv(), b"from %d" % n)
            target.send(b"to %d" % n, target.source)
        equal([d.recv() for d in more], [b"to %d" % n for n in range(5)])
        equal(server.show()["flows"], 6)
        for d in more:
            d.close()
        until(lambda: server.show()["flows"] == 1, "they ended")

    with s.check("who speaks something else is told from frames"):
        for raw, why in (
                (bytes.fromhex("75647074756e6e656c206279206d642e"
                               "00000001030610152128364555667891"),
                 "use udptunnel+tcp://"),
                (b"IKETCP", "RFC 9329"),
                (b"GET / HTTP/1.1\r\n\r\n", "HTTP"),
                (bytes.fromhex("160301020001000100"), "TLS")):
            d = Client(a, b.v4, LINK)
            d.write(raw)
            true(d.ended() in ("closed", "reset"), "it is closed")
            server.said(why)
        passes(c)

    with s.check("a datagram of 30,052 bytes that begins like udptunnel is "
                 "one"):
        d = Client(a, b.v4, LINK)
        data = b"ptunnel by md" + os.urandom(30052 - 13)
        passes(d, data)
        d.close()

    with s.check("the connection is watched by keep-alive"):
        until(lambda: "keepalive" in b.run(
            "ss", "-Htno", "sport", "=", str(LINK)).stdout, "ss shows it")

    with s.check(f"{IDLE} idle connections, and all of them work"):
        before = server.status("VmRSS")
        many = [Client(a, b.v4, LINK) for _ in range(IDLE)]
        for d in many:
            passes(d, b"hello")
        grew = server.status("VmRSS") - before
        s.note(f"{grew / IDLE:.1f} kB each, {server.descriptors()} "
               "descriptors")
        true(grew < IDLE * 20, f"{grew} kB more")
        for d in many:
            passes(d, b"still here")
            d.close()
        until(lambda: server.show()["flows"] == 1, "all flows ended")

    # --- a client that does not read ---

    with s.check("a client that does not read: little is held for it, others "
                 "are served"):
        echo_at = Echo(b, LO, OUT + 1)
        other = serve(name="other", port=LINK + 1, to=url("udp", LO, OUT + 1))
        far = forward(port=IN + 1, to=LINK + 1, name="far")
        ping = Pinger(a, (LO, IN + 1))
        until(lambda: ping.answers, "another server is up")
        deaf, lively = Client(a, b.v4, LINK), Client(a, b.v4, LINK)
        deaf.send(b"here I am")
        equal(target.recv(), b"here I am")
        to = target.source
        before = server.status("VmRSS")
        flood = Flood(target, to, RATE)
        mark = ping.sent

        def served():
            lively.send(b"I read")
            return 0

        queue, rss, _ = watch(STALL, lambda: b.queues(LINK),
                              lambda: server.status("VmRSS"), served)
        flood.close()
        s.note(f"send queue {queue} B, memory {before} -> {rss} kB")
        true(0 < queue <= QUEUE, f"{queue} bytes in the kernel's queues")
        true(rss - before < 10_000, f"grew by {rss - before} kB")
        true(server.dropped("aged") > RATE, "what waited too long went")
        ping.unhurt(mark)
        target.drain()
        passes(lively)

    with s.check("it reads again, and what is fresh comes: not only the "
                 "oldest"):
        flood = Flood(target, to, RATE)
        last = None
        end = time.monotonic() + 5
        while last is None or last < RATE // 2:
            data = deaf.recv()
            sent, last = struct.unpack("!dI", data[:12])
            true(time.monotonic() < end, "nothing new came")
            if sent < flood.began:  # of the flood before: in the kernel
                last = None
        age = time.monotonic() - sent
        flood.close()
        true(age < 1, f"{age:.2f} s old")
        for d in (deaf, lively):
            d.close()
        for n in (other, far):
            n.kill()
        ping.close()
        target.drain()

    # --- limits ---

    with s.check("a connection that never sent anything gives way at once, "
                 "whether there are too many in all or of one address"):
        nodes = [serve("--idle", "1", limit, "3", name=f"limited{n}",
                       port=LINK + 2 + n, to=url("udp", LO, OUT + 2))
                 for n, limit in enumerate(("--max-flows",
                                            "--max-flows-per-source"))]
        theirs, three = b.udp(LO, OUT + 2), []
        for n, node in enumerate(nodes):
            mute, old, young = (Client(a, b.v4, LINK + 2 + n)
                                for _ in range(3))
            passes(old, at=theirs)
            passes(young, at=theirs)
            fourth = Client(a, b.v4, LINK + 2 + n)
            passes(fourth, at=theirs)
            equal(mute.ended(), "closed", "the one that never sent anything")
            three.append((old, young, fourth))
            full = Client(a, b.v4, LINK + 2 + n)
            equal(full.ended(), "closed")
            node.said("no room for another flow")

    with s.check("few descriptors: one address gets three quarters of the "
                 "connections they allow, the others are turned away"):
        tight = b.start("prlimit", "--nofile=300:300", CULVERT, "serve",
                        url("frames+tcp", b.v4, LINK + 6), "--to",
                        url("udp", LO, OUT), tag="tight")
        tight.said("msg=listening")
        many = [Client(a, b.v4, LINK + 6) for _ in range(100)]
        for n, d in enumerate(many):
            with contextlib.suppress(OSError):
                d.send(b"%d" % n)
        served = len(set(target.drain()))
        s.note(f"{served} of {len(many)} with 300 descriptors")
        true(60 <= served <= 86, f"{served} served")
        true("accept paused" not in tight.log(), "it accepts all the while")
        for d in many:
            d.close()
        tight.kill()
        target.drain()

    with s.check("halves of long frames on many connections leave memory for "
                 "the others"):
        poor = serve("--memory", "4", name="poor", port=LINK + 10)
        d = Client(a, b.v4, LINK + 10)
        passes(d)
        halves = [Client(a, b.v4, LINK + 10) for _ in range(100)]
        for h in halves:
            with contextlib.suppress(OSError):
                h.write(frame(bytes(60000))[:50000])
        poor.said("memory is scarce")
        for size in (1, 500, 1400):
            d.write(frame(bytes(size))[:-1])
            d.write(bytes(1))
            equal(target.recv(), bytes(size))
        passes(d, bytes(2000))
        for h in (*halves, d):
            h.close()
        until(lambda: poor.show()["flows"] == 0, "all flows ended")
        poor.kill()

    with s.check("a new configuration: connections stay, or end if they "
                 "would reach something else"):
        text = f"""[Serve]
Listen = {url("frames+tcp", b.v4, LINK + 7)}
To = {url("udp", LO, OUT)}
"""
        node = s.config(b, text, "reloaded")
        d = Client(a, b.v4, LINK + 7)
        passes(d)
        path = os.path.join(s.dir, "reloaded.conf")
        sh(CULVERT, "reload", node.name)
        passes(d)
        with open(path, encoding="utf-8") as f:
            before = f.read()
        s.file("reloaded.conf", before.replace(f":{OUT}", f":{OUT + 3}"))
        sh(CULVERT, "reload", node.name)
        true(d.ended() in ("closed", "reset"), "closed")
        elsewhere = b.udp(LO, OUT + 3)
        d = Client(a, b.v4, LINK + 7)
        d.send(b"elsewhere")
        equal(elsewhere.recv(), b"elsewhere")
        s.file("reloaded.conf", before.replace(f":{LINK + 7}", ":3999"))
        sh(CULVERT, "reload", node.name)
        true(d.ended() in ("closed", "reset"), "closed")
        d = Client(a, b.v4, 3999)
        passes(d)
        node.kill()

    with s.check("a target by name; one that nobody knows closes the "
                 "connection and says so"):
        s.hosts_file(b, f"{LO} target.test\n")
        named = serve(name="named", port=LINK + 8,
                      to=f"udp://target.test:{OUT}")
        d = Client(a, b.v4, LINK + 8)
        passes(d, b"by name")
        d.close()
        s.etc(b, "resolv.conf", "nameserver 127.0.0.1\n")
        unknown = serve(name="unknown", port=LINK + 9,
                        to=f"udp://nobody.test:{OUT}")
        d = Client(a, b.v4, LINK + 9)
        true(d.ended(20) in ("closed", "reset"), "closed")
        unknown.said("target refused")
        for n in (named, unknown):
            n.kill()

    server.kill()
    c.close()

    # --- culvert connects; the server is this file's own ---

    with s.check("the client is there before its server, says so once, and a "
                 "datagram waits for it"):
        client = forward()
        u, v = a.udp(), a.udp()
        for _ in range(50):
            u.send(b"too early", (LO, IN))
            v.send(b"too early", (LO, IN))
        client.said("cannot connect")
        until(lambda: client.show()["flows"] == 2, "two flows")
        peer = Server(b, b.v4, LINK)
        equal(u.recv(), b"too early")
        equal(client.log().count("Connection refused"), 1)
        u.drain()
        v.drain()

    for size in SIZES:
        with s.check(f"{size} bytes, there and back"):
            data = os.urandom(size)
            equal(u.ask(data, (LO, IN)), data)

    with s.check("two clients get their own answers, over a connection each"):
        for n in range(50):
            u.send(b"u%d" % n, (LO, IN))
            v.send(b"v%d" % n, (LO, IN))
        equal([u.recv() for _ in range(50)], [b"u%d" % n for n in range(50)])
        equal([v.recv() for _ in range(50)], [b"v%d" % n for n in range(50)])
        equal(len(peer.conns), 2)
        equal(client.show()["foreign"], 2)

    with s.check("a burst of 1,000 x 1,400 bytes comes back whole"):
        for n in range(1000):
            u.send(b"%04d" % n + bytes(1396), (LO, IN))
        equal([int(u.recv()[:4]) for _ in range(1000)], list(range(1000)))

    with s.check("the server ends a connection: there is another without "
                 "being asked, and old datagrams are not sent again"):
        for conn in peer.conns[:]:
            conn.close()
        until(lambda: len(peer.conns) == 4, "connected again")
        equal(u.ask(b"again", (LO, IN)), b"again")
        equal(u.drain(), [])
        true(client.alive(), "the client lives on")

    with s.check("server killed and restarted under traffic"):
        ping = Pinger(a, (LO, IN))
        until(lambda: ping.answers, "it flows")
        peer.close()
        client.said("Connection refused", 5, 1)
        until(lambda: client.show()["foreign"] == 0, "all are lost")
        peer = Server(b, b.v4, LINK)
        took = ping.after(time.monotonic())
        s.note(f"flowing {took:.3f} s after the server was back")
        true(took < 0.5, f"{took:.3f} s")
        ping.close()

    with s.check("away for 3 s without traffic: back by itself"):
        peer.close()
        until(lambda: client.show()["foreign"] == 0, "all are lost")
        watch(3, lambda: 0)
        peer = Server(b, b.v4, LINK)
        until(lambda: client.show()["foreign"] == 3, "back", 11)
        equal(u.ask(b"back", (LO, IN)), b"back")

    with s.check("a server that accepts and hangs up at once is not called "
                 "without end"):
        peer.close()
        until(lambda: client.show()["foreign"] == 0, "all are lost")
        rude = Server(b, b.v4, LINK, echo=False)
        before, mark = len(rude.conns), time.monotonic()
        while time.monotonic() < mark + 2:
            for conn in rude.conns[:]:
                conn.close()
            u.send(b"hello?", (LO, IN))
            time.sleep(0.01)
        calls = (len(rude.conns) - before) / 3
        s.note(f"{calls:.1f} calls for each flow in 2 s")
        true(calls < 8, f"{calls} calls")
        rude.close()
        client.kill()

    with s.check("an idle flow ends, and its connection in order"):
        peer = Server(b, b.v4, LINK, echo=False)
        client = forward("--idle", "1")
        u.send(b"hello", (LO, IN))
        until(lambda: peer.conns, "connected")
        equal(peer.conns[0].recv(), b"hello")
        equal(peer.conns[0].ended(), "closed")
        equal(client.show()["flows"], 0)
        client.kill()
        peer.close()

    with s.check("stopped in order, what was queued is still sent"):
        peer = Server(b, b.v4, LINK, echo=False)
        client = forward()
        u.send(b"first", (LO, IN))
        until(lambda: peer.conns, "connected")
        for n in range(100):
            u.send(b"%d" % n, (LO, IN))
        client.signal(signal.SIGTERM)
        equal([peer.conns[0].recv() for _ in range(102)],
              [b"first", *(b"%d" % n for n in range(100)), None])
        equal(client.exit_code(), 0)
        peer.close()

    with s.check("a connection never idles out; the one silent longest gives "
                 "way after a while"):
        for n, (old, young, fourth) in enumerate(three):

            def room():
                """whether the newest one is taken, once another is old"""
                d = Client(a, b.v4, LINK + 2 + n)
                d.send(b"room?")
                return d if theirs.recv(0.3) else d.close()

            new = until(room, "one gives way", 15, 0.1)
            equal(old.ended(), "closed", "the one silent longest")
            passes(young, at=theirs)
            passes(fourth, at=theirs)
            for d in (young, fourth, new):
                d.close()
            nodes[n].kill()
        theirs.close()

    # --- culvert at both ends ---

    with s.check("server stopped for 4 s: bounded memory here and in the "
                 "kernel"):
        target.close()
        sink = Sink(b.udp(LO, OUT))
        server, client = serve(), forward()
        flood = Flood(u, (LO, IN), RATE)
        until(lambda: len(sink.got) > RATE // 2, "it flows")
        before = client.status("VmRSS")
        server.signal(signal.SIGSTOP)
        stalled = flood.sent
        queue, rss = watch(STALL, lambda: a.queues(LINK),
                           lambda: client.status("VmRSS"))
        s.note(f"send queue {queue} B, memory {before} -> {rss} kB")
        true(0 < queue <= QUEUE, f"{queue} bytes in the kernel's queue")
        true(rss - before < 10_000, f"grew by {rss - before} kB")

    with s.check("what comes then is the newest"):
        del sink.got[:]
        server.signal(signal.SIGCONT)
        until(lambda: len(sink.got) > RATE, "a second of them")
        flood.close()
        # TCP's receive buffer is the other system's, and frames have no time
        fresh = [n for n, age in sink.got if n > stalled + STALL * RATE // 2]
        old = len(sink.got) - len(fresh)
        s.note(f"{old} of before and of the first half of the stall, in the "
               f"kernel's buffers; {len(fresh)} after it")
        tail = [age for _, age in sink.got[-RATE // 2:]]
        true(max(tail) < 0.3, f"{max(tail):.3f} s old")
        true(len(fresh) > RATE // 2, "fresh ones")
        sink.close()
        sink.udp.close()

    with s.check("server killed and back: flowing again"):
        Echo(b)
        ping = Pinger(a, (LO, IN))
        until(lambda: ping.answers, "it flows")
        server.kill()
        server = serve()
        took = ping.after(time.monotonic())
        s.note(f"{took:.3f} s after the server was back")
        ping.close()

    with s.check("show counts what was carried"):
        show = server.show()
        true(show["received"]["datagrams"] and show["sent"]["datagrams"],
             short(show))
        equal(show["foreign"], show["flows"])

    # --- somebody else's program ---

    with s.check("Columbia's udptunnel sends to us"):
        flows = server.show()["flows"]
        columbia = a.start("udptunnel", "-c", f"{b.v4}/{LINK}", f"{LO}/4000")
        hers = a.udp(LO, 4001)
        until(lambda: server.show()["flows"] == flows + 1, "it is connected")
        before = server.show()["received"]["datagrams"]
        for size in (1, 1472, 9000, 65507):
            hers.send(bytes(size), (LO, 4000))
        until(lambda: server.show()["received"]["datagrams"] >= before + 4,
              "four came")
        columbia.kill()
        until(lambda: server.show()["flows"] == flows, "its flow ended")

    with s.check("we send to Columbia's udptunnel"):
        b.start("udptunnel", "-s", "4005", f"{LO}/4006")
        until(lambda: b.run("ss", "-Htln", "sport", "=", "4005").stdout,
              "it listens")
        there = b.udp(LO, 4006, reuse=True)  # it has it, too
        forward(port=IN + 5, to=4005, name="toward")
        for size in (1, 1472, 9000, 65507):
            data = os.urandom(size)
            u.send(data, (LO, IN + 5))
            equal(there.recv(), data)
