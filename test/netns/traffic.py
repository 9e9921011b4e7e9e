# SPDX-License-Identifier: MIT
"""traffic.py - programs at the ends of a tunnel, and one between them"""
import select
import socket
import struct
import threading
import time

from expect import family, true, until

LO = "127.0.0.1"
OUT = 5678  # where services listen


class Udp:
    """a program's UDP socket"""

    def __init__(self, host, addr=LO, port=0, reuse=False):
        with host:
            self.sock = socket.socket(family(addr), socket.SOCK_DGRAM)
        for force in (32, 33):  # SO_SNDBUFFORCE, SO_RCVBUFFORCE
            self.sock.setsockopt(socket.SOL_SOCKET, force, 8 << 20)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
        self.sock.bind((addr, port))
        self.at = self.sock.getsockname()[:2]
        self.source = None  # of the last datagram
        self.scene = host.scene
        host.scene.sockets.append(self)

    def send(self, data, to):
        try:
            self.sock.sendto(data, to)
        except ConnectionRefusedError:
            self.sock.sendto(data, to)  # that was an earlier one's error

    def recv(self, seconds=5.0):
        """the next datagram; None after that time"""
        self.sock.settimeout(max(seconds, 0.001))
        try:
            data, source = self.sock.recvfrom(1 << 16)
        except TimeoutError:
            return None
        self.source = source[:2]
        return data

    def ask(self, data, to, seconds=5.0):
        self.send(data, to)
        return self.recv(seconds)

    def drain(self, quiet=0.3):
        """everything that comes until nothing does for that long"""
        every = []
        while (data := self.recv(quiet)) is not None:
            every.append(data)
        return every

    def close(self):
        self.sock.close()


class Worker:
    """a thread that runs turn() until it is closed"""

    def __init__(self, scene):
        self.stopped = threading.Event()
        self.error = None
        self.thread = threading.Thread(target=self.loop, daemon=True)
        scene.workers.append(self)
        self.thread.start()

    def loop(self):
        try:
            while not self.stopped.is_set():
                self.turn()
        except Exception as e:  # told by the check that is running
            self.error = e

    def close(self):
        self.stopped.set()
        self.thread.join(5)


class Echo(Worker):
    """a service that answers every datagram with itself"""

    def __init__(self, host, addr=LO, port=OUT, tag=b""):
        self.udp, self.tag = Udp(host, addr, port), tag
        self.seen = []  # (source, first bytes), in order
        super().__init__(host.scene)

    def turn(self):
        data = self.udp.recv(0.05)
        if data is not None:
            self.seen.append((self.udp.source, data[:64]))
            self.udp.send(self.tag + data, self.udp.source)

    def port_of(self, data):
        """the source port from which @data came last"""
        return [s[1] for s, d in self.seen if d == data[:64]][-1]

    def close(self):
        super().close()
        self.udp.close()


class Pinger(Worker):
    """a client that asks all the time; what it sees of an interruption"""

    def __init__(self, host, to, addr=LO, rate=200):
        self.udp, self.to, self.gap = Udp(host, addr), to, 1 / rate
        self.sent, self.answers = 0, []  # (number, time)
        super().__init__(host.scene)

    def turn(self):
        self.udp.send(b"ping %d" % self.sent, self.to)
        self.sent += 1
        end = time.monotonic() + self.gap
        while (left := end - time.monotonic()) > 0:
            data = self.udp.recv(left)
            if data is not None:
                self.answers.append((int(data[5:]), time.monotonic()))

    def after(self, moment, seconds=5.0):
        """seconds from @moment to the first answer that came after it to a
        question that was asked after it"""
        first = self.sent
        got = until(lambda: [t for n, t in list(self.answers)
                             if n > first and t > moment],
                    "traffic flows again", seconds, 0.005)
        return got[0] - moment

    def unhurt(self, since, lost=0):
        """all questions from number @since on were answered"""
        last = self.sent
        until(lambda: self.answers and self.answers[-1][0] >= last, "answers")
        missing = set(range(since, last)) - {n for n, _ in self.answers}
        true(len(missing) <= lost,
             f"{len(missing)} of {last - since} unanswered")

    def close(self):
        super().close()
        self.udp.close()


class Sink(Worker):
    """notes the number of each datagram of a Flood, and how old it came"""

    def __init__(self, udp):
        self.udp, self.got = udp, []
        super().__init__(udp.scene)

    def turn(self):
        data = self.udp.recv(0.05)
        if data:
            sent, number = struct.unpack("!dI", data[:12])
            self.got.append((number, time.monotonic() - sent))


class Flood(Worker):
    """@rate datagrams a second, each with its time and number"""

    def __init__(self, udp, to, rate, size=1000):
        self.udp, self.to, self.rate, self.size = udp, to, rate, size
        self.sent, self.began = 0, time.monotonic()
        super().__init__(udp.scene)

    def turn(self):
        due = int((time.monotonic() - self.began) * self.rate)
        for _ in range(self.sent, due):
            self.udp.send(struct.pack("!dI", time.monotonic(), self.sent) +
                          bytes(self.size - 12), self.to)
            self.sent += 1
        self.stopped.wait(0.002)


def watch(seconds, *values):
    """the largest of each value over that time"""
    most = [0] * len(values)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        most = [max(m, v()) for m, v in zip(most, values)]
        time.sleep(0.05)
    return most


class Relay(Worker):
    """a TCP relay between the ends that can mistreat what it carries

    cut(data) makes pieces of what goes to the server, and back; they are
    sent one by one.  A piece of None closes both connections.
    """

    def __init__(self, host, at, port, to):
        with host:
            self.sock = socket.create_server(
                (at, port), family=family(at), backlog=64)
        self.host, self.to = host, to
        self.cut = lambda data: [data]
        self.first = []  # of each connection, the first bytes to the server
        self.pairs = []
        self.resets = threading.Event()
        super().__init__(host.scene)

    def turn(self):
        if self.resets.is_set():
            for pair in list(self.pairs):
                self.drop(pair, True)
            self.resets.clear()
        watch = {self.sock: None}
        for pair in self.pairs:
            watch[pair[0]], watch[pair[1]] = pair, pair
        ready, _, _ = select.select(list(watch), [], [], 0.02)
        for s in ready:
            if s is self.sock:
                self.accept()
            elif watch[s] in self.pairs:
                self.carry(watch[s], s)

    def accept(self):
        client, _ = self.sock.accept()
        try:
            with self.host:
                server = socket.create_connection(self.to, 5)
        except OSError:
            client.close()
            return
        for s in (client, server):
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pairs.append((client, server))
        self.first.append(b"")

    def carry(self, pair, source):
        to_server = source is pair[0]
        target = pair[1] if to_server else pair[0]
        try:
            data = source.recv(1 << 16)
            if to_server and len(self.first[-1]) < 256:
                self.first[-1] += data
            for piece in self.cut(data) if data else [None]:
                if piece is None:
                    self.drop(pair)
                    return
                target.sendall(piece)
        except OSError:
            self.drop(pair)

    def drop(self, pair, reset=False):
        if pair in self.pairs:
            self.pairs.remove(pair)
        for s in pair:
            if reset:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             struct.pack("ii", 1, 0))
            s.close()

    def reset(self):
        """all connections end with RST"""
        self.resets.set()
        until(lambda: not self.resets.is_set(), "the relay resets")

    def close(self):
        super().close()
        self.sock.close()
        for pair in list(self.pairs):
            self.drop(pair)
