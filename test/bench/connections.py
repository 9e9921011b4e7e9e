#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""connections.py CULVERT WAN [--seconds N] [--cc NAME] [--out FILE.json]

What connections=4 is worth over a path with loss: 1,000 datagrams a second of
200 to 1,200 bytes, as one flow and as 20, 1 % of the path's packets lost each
way, 25 and 50 ms one way.  Each trial has fresh relays; one connection and
four take turns.  A datagram that does not arrive is late for ever.
"""
import argparse
import ctypes
import json
import os
import random
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

LIBC = ctypes.CDLL(None, use_errno=True)
A, B, IN, OUT, LINK = "10.97.0.1", "10.97.0.2", 7001, 7002, 7003
RATE, LATE = 1000, 0.150
HEAD = struct.Struct("!Id")


def sh(line, check=True):
    return subprocess.run(line.split(), capture_output=True, text=True,
                          check=check)


def down():
    for ns in re.findall(r"^cvc\w+", sh("ip netns list").stdout, re.M):
        for pid in sh(f"ip netns pids {ns}", check=False).stdout.split():
            os.kill(int(pid), 9)
        sh(f"ip netns del {ns}", check=False)


def up():
    down()
    for side in "ABW":
        sh(f"ip netns add cvc{side}")
        sh(f"ip -n cvc{side} link set lo up")
    for side, addr in (("A", A), ("B", B)):
        sh(f"ip -n cvc{side} link add eth0 type veth peer name {side} netns "
           "cvcW")
        sh(f"ip -n cvc{side} addr add {addr}/24 dev eth0")
        sh(f"ip -n cvcW link set {side} up")
        sh(f"ip -n cvc{side} link set eth0 up")
        sh(f"ip netns exec cvc{side} ethtool -K eth0 tso off gso off gro off")


def enter(side, command, **kw):
    return subprocess.Popen(["ip", "netns", "exec", "cvc" + side] +
                            [str(c) for c in command],
                            stdout=subprocess.DEVNULL, **kw)


def in_namespace(side, what):
    """run @what in a thread inside a namespace"""
    def run():
        with open(f"/run/netns/cvc{side}") as f:
            if LIBC.setns(f.fileno(), 0x40000000):  # CLONE_NEWNET
                raise OSError(ctypes.get_errno(), "setns")
        what()
    t = threading.Thread(target=run)
    t.start()
    return t


class Load:
    """datagrams with a number and a time, and when they came"""

    def __init__(self, flows, seconds):
        self.flows, self.seconds = flows, seconds
        self.took, self.twice, self.sent = {}, 0, 0
        self.ready, self.over = threading.Event(), threading.Event()

    def receive(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)
            s.bind(("127.0.0.1", OUT))
            s.settimeout(0.1)
            self.ready.set()
            while not self.over.is_set():
                try:
                    number, at = HEAD.unpack_from(s.recv(2048))
                except TimeoutError:
                    continue
                self.twice += number in self.took
                self.took[number] = time.monotonic() - at

    def send(self):
        socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                 for _ in range(self.flows)]
        dice = random.Random(7)
        began = time.monotonic()
        while self.sent < RATE * self.seconds:
            wait = began + self.sent / RATE - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            data = HEAD.pack(self.sent, time.monotonic())
            socks[self.sent % self.flows].sendto(
                data.ljust(dice.randint(200, 1200), b"."),
                ("127.0.0.1", IN))
            self.sent += 1
        time.sleep(2)
        self.over.set()
        for s in socks:
            s.close()

    def run(self):
        there = in_namespace("B", self.receive)
        self.ready.wait()
        in_namespace("A", self.send).join()
        there.join()


def show(name):
    text = sh(f"{args.culvert} show -j {name}", check=False).stdout
    return json.loads(text)["peers"][0] if text else {"links": 0}


def until(what):
    end = time.monotonic() + 30
    while not what():
        if time.monotonic() > end:
            sys.exit("not within 30 s: " + open(f"{WORK}/log").read())
        time.sleep(0.05)


def trial(flows, delay, links, seed):
    wan = enter("W", [args.wan, "A", "B", "--loss", 1, "--delay", delay,
                      "--seed", seed], stderr=subprocess.DEVNULL)
    with open(f"{WORK}/log", "w") as log:
        relays = [
            enter("B", [args.culvert, "serve", f"tcp://{B}:{LINK}", "--key",
                        f"{WORK}/s.key", "--peer", PUB["c"], "--name",
                        "wan-server"], stderr=log),
            enter("A", [args.culvert, "forward", f"udp://127.0.0.1:{IN}",
                        f"udp://127.0.0.1:{OUT}", "via",
                        f"tcp://{B}:{LINK}?connections={links}" +
                        (f"&cc={args.cc}" if args.cc else ""), "--key",
                        f"{WORK}/c.key", "--peer", PUB["s"], "--name",
                        "wan-client"], stderr=log)]
        until(lambda: show("wan-client")["links"] == links)
        load = Load(flows, args.seconds)
        load.run()
        peer = show("wan-client")
    for p in (*relays, wan):
        p.terminate()
    for p in (*relays, wan):
        p.wait()
    every = sorted(load.took.get(i, 9e9) for i in range(load.sent))
    late = sum(t > LATE for t in every)
    t = dict(flows=flows, delay_ms=delay, connections=links, seed=seed,
             late=late / len(every), lost=1 - len(load.took) / load.sent,
             p50=every[len(every) // 2], p99=every[len(every) * 99 // 100],
             twice=load.twice, dropped=peer["dropped"])
    if args.out:
        with open(args.out, "a") as f:
            f.write(json.dumps(t) + "\n")
    return t


def ms(t):
    return f"{t * 1e3:.0f}" if t < 1e6 else "lost"


p = argparse.ArgumentParser()
p.add_argument("culvert")
p.add_argument("wan")
p.add_argument("--seconds", type=int, default=20)
p.add_argument("--trials", type=int, default=1)
p.add_argument("--cc")
p.add_argument("--out")
args = p.parse_args()
WORK = tempfile.mkdtemp(prefix="culvert-wan-")
PUB = {n: sh(f"{args.culvert} genkey {WORK}/{n}.key").stdout.strip()
       for n in "sc"}
print("| flows | one way | connections | later than 150 ms | lost | p50 ms | "
      "p99 ms | ÷ one |")
print("|---|---|---|---|---|---|---|---|")
up()
try:
    for seed in range(1, args.trials + 1):
        for flows in (1, 20):
            for delay in (25, 50):
                one = None
                for links in (1, 4):
                    t = trial(flows, delay, links, seed)
                    one = one or t["late"]
                    print(f"| {flows} | {delay} ms | {links} | "
                          f"{t['late']:.2%} | {t['lost']:.2%} | "
                          f"{ms(t['p50'])} | {ms(t['p99'])} | "
                          f"{t['late'] / max(one, 1e-9):.2f} |", flush=True)
finally:
    down()
