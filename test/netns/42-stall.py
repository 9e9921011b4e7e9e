#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A peer that stops reading: nothing late, nothing hoarded, others served"""
import signal
import struct

from lib import (IN, LINK, LO, OUT, Echo, Flood, Pinger, Scene, Sink, equal,
                 true, until, url, watch)

STALL, RATE = 4, 4000
QUEUE = 200_000  # bytes that the kernel may hold for one stalled peer
GROWTH = 24_000  # kB: the queue of 8 MiB, twice, and its buffers


with Scene("42", __doc__) as s:
    a, b = s.pair()
    server = s.serve(b, url("tcp", b.v4, LINK), peers=("c", "d"))
    client = s.forward(a, url("udp", LO, IN), url("udp", LO, 7000),
                       url("tcp", b.v4, LINK)).up()
    source = a.udp()
    target = b.udp(LO, 7000)
    sink = Sink(target)

    with s.check("before: 4,000 x 1,000 B a second arrive, none of them late"):
        flood = Flood(source, (LO, IN), RATE)
        until(lambda: len(sink.got) > RATE, "a second of them")
        ages = [age for _, age in sink.got]
        true(sorted(ages)[len(ages) // 2] < 0.02, "half within 20 ms")
        equal([n for n, _ in sink.got], list(range(len(sink.got))))

    with s.check("server stopped for 4 s: bounded memory here and in the "
                 "kernel"):
        before = client.status("VmRSS")
        server.signal(signal.SIGSTOP)
        stalled = flood.sent
        queue, rss = watch(STALL, lambda: a.queues(LINK),
                           lambda: client.status("VmRSS"))
        s.note(f"send queue {queue} B, memory {before} -> {rss} kB")
        true(0 < queue <= QUEUE, f"{queue} bytes in the send queue")
        true(rss - before <= GROWTH, f"grew by {rss - before} kB")

    with s.check("what arrives then is fresh, and goes on arriving"):
        del sink.got[:]
        server.signal(signal.SIGCONT)
        until(lambda: len(sink.got) > RATE, "a second of them")
        ages = [age for _, age in sink.got]
        s.note(f"first: number {sink.got[0][0]} of {flood.sent}, "
               f"{ages[0]:.3f} s old; oldest {max(ages):.3f} s")
        true(max(ages) <= 1, "none older than a second")
        true(sink.got[0][0] > stalled + RATE, "nothing of the first second")
        tail = ages[-RATE // 2:]
        true(max(tail) < 0.3, f"later ones too, {max(tail):.3f} s")

    with s.check("every datagram was delivered, or dropped under a name"):
        flood.close()
        sent = client.show()["sent"]["datagrams"]
        until(lambda: sum(client.drops().values()) + sum(
            server.drops().values()) + server.show()["received"]["datagrams"]
            == sent, f"{sent} accounted for")
        s.note(f"client {client.drops()}, server {server.drops()}")
        # how much of it was in the server's kernel meanwhile is the kernel's
        # choice: up to tcp_rmem if the machine was busy before
        true(client.dropped("aged") + server.dropped("late") > RATE, "aged")

    # now the other way: a client that does not read its answers
    with s.check("one client stopped: the server holds little for it, and "
                 "serves another"):
        other = s.forward(a, url("udp", LO, 1235), url("udp", LO, OUT),
                          url("tcp", b.v4, LINK), key="d", name="other").up()
        Echo(b)
        ping = Pinger(a, (LO, 1235))
        until(lambda: ping.answers, "the other one is served")
        source.send(struct.pack("!dI", 0, 0), (LO, IN))
        until(lambda: sink.got[-1][0] == 0, "the port is known")
        back = target.source
        client.signal(signal.SIGSTOP)
        before = server.status("VmRSS")
        flood = Flood(target, back, RATE)
        mark = ping.sent
        queue, rss = watch(STALL, lambda: b.queues(LINK),
                           lambda: server.status("VmRSS"))
        flood.close()
        s.note(f"send queue {queue} B, memory {before} -> {rss} kB")
        true(0 < queue <= QUEUE, f"{queue} bytes in the send queues")
        true(rss - before <= GROWTH, f"grew by {rss - before} kB")
        ping.unhurt(mark)

    answers = Sink(source)

    def fresh_answers(limit):
        del answers.got[:]
        client.signal(signal.SIGCONT)
        until(lambda: len(answers.got) > RATE // 2, "answers")
        oldest = max(age for _, age in answers.got)
        s.note(f"the oldest {oldest:.3f} s")
        true(oldest <= limit, f"{oldest} s old")

    with s.check("it reads again: what comes then is fresh, though it is the "
                 "first that ever came"):
        flood = Flood(target, back, RATE)
        fresh_answers(1)

    with s.check("stopped for 2 s under traffic: fresh as well"):
        client.signal(signal.SIGSTOP)
        watch(2, lambda: 0)
        fresh_answers(1)
