# SPDX-License-Identifier: MIT
"""probe.py - small questions of our own: over the path, and to the service"""
import socket
import struct
import threading
import time

from lab import B, Inside

PULL, RR = 1, 3
ECHO = 5500


def hello(op, size):
    """how tload is greeted"""
    return struct.pack("=IIQQ", 0x544c4f44, op, 0, size)


class Probe:
    """datagrams from a to b and back, beside what carries the load"""

    def __init__(self):
        with Inside("b"):
            self.far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.far.bind((B, ECHO))
        with Inside("a"):
            self.near = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.near.connect((B, ECHO))
        self.far.settimeout(0.1)
        self.near.settimeout(0.001)
        self.over = threading.Event()
        self.echo = threading.Thread(target=self.answer, daemon=True)
        self.echo.start()

    def answer(self):
        while not self.over.is_set():
            try:
                data, who = self.far.recvfrom(100)
                self.far.sendto(data, who)
            except TimeoutError:
                continue

    def ask(self, seconds, every=0.005):
        """seconds each answer took that came"""
        end = time.monotonic() + seconds
        took, due = [], time.monotonic()
        while (now := time.monotonic()) < end + 0.5:
            if due <= now < end:
                self.near.send(struct.pack("=d", now))
                due += every
            try:
                at, = struct.unpack("=d", self.near.recv(100))
                took.append(time.monotonic() - at)
            except TimeoutError:
                pass
        if not took:
            raise RuntimeError("no answer to any probe")
        return took

    def close(self):
        self.over.set()
        self.echo.join()
        self.near.close()
        self.far.close()


def connect(to, side="a", seconds=10):
    """a connection, and when the connect() began that was accepted"""
    end = time.monotonic() + seconds
    while True:
        with Inside(side):
            s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        s.settimeout(seconds)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        at = time.monotonic()
        try:
            s.connect(to)
            return s, at
        except ConnectionRefusedError:
            s.close()
            if at > end:
                raise
            time.sleep(0.0003)


def first_byte(to, side="a", seconds=10):
    """ms from connect() to the first byte of what was asked for"""
    s, at = connect(to, side, seconds)
    with s:
        s.send(hello(PULL, 1000))
        if not s.recv(1):
            raise RuntimeError("the connection was closed without a byte")
        return (time.monotonic() - at) * 1e3
