# SPDX-License-Identifier: MIT
"""hardship.py - parts of transport.py: a crowd, a client that moves, a flood"""
import select
import socket
import sys
import threading
import time

from lab import (B, LINK, LO, NS, PATHS, PORT, Culvert, Inside, Missing, many,
                 rss, sh, until)
from probe import RR, connect, first_byte, hello

IDLE = 10000
SPOOFED, SPOOF_SECONDS = 200000, 10


def mine(bench):
    if bench.o.subject != "culvert":
        raise Missing("this is asked of culvert alone")


# --- a crowd ---

def crowd(n):
    """connections that have all had an answer, so both ends stand"""
    every, waiting = [], {}
    poll = select.epoll()
    for _ in range(n):
        with Inside("a"):
            s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        s.connect((LO, PORT))
        s.send(hello(RR, 0) + bytes(64))
        every.append(s)
        waiting[s.fileno()] = s
        poll.register(s, select.EPOLLIN)
        while len(waiting) > 200:
            hear(poll, waiting)
    while waiting:
        hear(poll, waiting)
    poll.close()
    return every


def hear(poll, waiting):
    ready = poll.poll(10)
    if not ready:
        raise TimeoutError(f"{len(waiting)} connections have no answer")
    for fd, _ in ready:
        if not waiting.pop(fd).recv(64):
            raise RuntimeError("a connection was closed")
        poll.unregister(fd)


def idle(bench):
    mine(bench)
    many()
    n = int(IDLE * min(1, bench.o.scale))
    bench.lab.up("bare")
    c = Culvert(bench.lab)
    for s in crowd(20):
        s.close()
    time.sleep(1)
    before = [rss(p) for p in c.pids]
    began = time.monotonic()
    every = crowd(n)
    took = time.monotonic() - began
    peak = [rss(p) for p in c.pids]
    time.sleep(12)  # what was needed to open them is given back
    for end, p, b, top in zip(("server", "client"), c.pids, before, peak):
        bench.add(f"{end} per connection", (rss(p) - b) / n, "KiB",
                  ("<=", 4))
        bench.report.note(f"{end}: {b} kB before, {top} kB when {n} stood, "
                          f"{rss(p)} kB after 12 s")
    bench.add("connections", n / took, "per s")
    for s in every:
        s.close()


# --- a client that moves ---

def migrate(bench):
    mine(bench)
    still = moved(bench, 0)[1]["gap"] * 1e3
    for changes in (1, max(2, int(100 * min(1, bench.o.scale)))):
        size, t = moved(bench, changes)
        name = f"{changes} change{'s' if changes > 1 else ''}"
        bench.add(f"{name}: stall", t["gap"] * 1e3, "ms",
                  ("<=", 2 * PATHS["b"].rtt + 50), {"without": still})
        bench.add(f"{name}: missing or wrong", size - t["bytes"] + t["bad"],
                  "bytes", ("<=", 0))
        bench.add(f"{name}: rate", t["mbit"], "Mbit/s")


def moved(bench, changes, every=0.5):
    """a transfer's size and what the load says of it"""
    path = bench.lab.up("b")
    bench.lab.roam()
    Culvert(bench.lab, side="m")
    # more than the path can carry while all this happens
    size = int((changes + 5) * every * path.rate * 1e6 / 8)
    load = bench.lab.load("m", "pull", (LO, PORT), "-b", size)
    time.sleep(4 * every)
    for k in range(1, changes + 1):
        bench.lab.move(k)
        time.sleep(every)
        if load.poll() is not None:
            raise RuntimeError(f"the transfer ended after {k} changes")
    return size, bench.lab.result(load, 300)


# --- a flood ---

def openings(bench, n=16):
    """first datagrams of clients, real ones, of which each is different"""
    got = []
    with Inside("b"):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((B, LINK))
    s.settimeout(5)
    for _ in range(n):
        p = bench.lab.start("a", [
            bench.lab.culvert, "forward", f"tcp://{LO}:{PORT}",
            f"tcp://{LO}:{PORT}", "via", f"udp://{B}:{LINK}", "--key",
            bench.lab.file("c.key"), "--peer", bench.lab.pub["s"], "--name",
            NS + "-o"], bench.lab.file("opening.log"))
        got.append(s.recv(2048))
        p.kill()
        p.wait()
    s.close()
    return got


def flood(bench):
    mine(bench)
    if bench.o.via != "udp":
        raise Missing("needs udp://")
    bench.lab.up("bare")
    sh(f"ip -n {NS}b route add default via 10.77.0.1")
    path = bench.lab.file("openings")
    with open(path, "w") as f:
        f.writelines(d.hex() + "\n" for d in openings(bench))
    c = Culvert(bench.lab)
    first_byte(c.to())
    c.client.kill()
    c.client.wait()
    before, counted = rss(c.server.pid), bench.lab.counters("b")
    seconds = max(5, SPOOF_SECONDS * bench.o.scale)
    p = bench.lab.start("a", [sys.executable, __file__, path, seconds],
                        bench.lab.file("flood.log"))
    peak = Peak(c.server.pid)
    time.sleep(2)
    rx, tx = (b - a for a, b in zip(counted, bench.lab.counters("b")))
    began = time.monotonic()
    c.dial()
    bench.add("client connects", connecting(c, began), "s", ("<=", 2))
    first = first_byte(c.to())
    p.wait(seconds + 30)
    with open(bench.lab.file("flood.log")) as f:
        sent = int(f.read())
    bench.add("spoofed", sent / seconds, "per s",
              (">=", SPOOFED / SPOOF_SECONDS * 0.98))
    bench.report.note(f"{sent} spoofed; dropped: {c.drops()}")
    bench.add("first byte", first, "ms")
    bench.add("amplified", tx / max(1, rx), "times", ("<=", 3))
    bench.add("memory grown", peak.end() - before, "KiB", ("<=", 4096))


def connecting(c, began):
    def look():
        try:
            return c.state() == "up"
        except RuntimeError:
            raise
        except (IndexError, KeyError):
            return False
    until(look, 20, "peer up during the flood")
    return time.monotonic() - began


class Peak(threading.Thread):
    """the most memory that a process had"""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.most, self.over = pid, 0, threading.Event()
        self.start()

    def run(self):
        while not self.over.wait(0.05):
            self.most = max(self.most, rss(self.pid))

    def end(self):
        self.over.set()
        self.join()
        return self.most


def spoof(path, seconds):
    """openings from addresses and ports drawn at random; each third is as it
    was sent, of the others some bytes are"""
    import random
    import struct
    rng = random.Random(1)
    with open(path) as f:
        kinds = [bytes.fromhex(line) for line in f]
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    far = socket.inet_aton(B)
    began, sent = time.monotonic(), 0
    while (t := time.monotonic() - began) < seconds:
        if sent > t * SPOOFED / SPOOF_SECONDS:
            time.sleep(0.001)
            continue
        data = kinds[sent % len(kinds)]
        if sent % 3:
            at = rng.randrange(len(data) - 8)
            data = data[:at] + rng.randbytes(8) + data[at + 8:]
        s.sendto(struct.pack(
            "!BBHHHBBHI4sHHHH", 0x45, 0, 28 + len(data), sent & 0xffff, 0, 64,
            17, 0, rng.randrange(0x0b000000, 0x7e000000), far,
            rng.randrange(1024, 65536), LINK, 8 + len(data), 0) + data, (B, 0))
        sent += 1
    print(sent)


HARDSHIPS = {"idle": idle, "migrate": migrate, "flood": flood}

if __name__ == "__main__":
    spoof(sys.argv[1], float(sys.argv[2]))
