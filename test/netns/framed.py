# SPDX-License-Identifier: MIT
"""framed.py - both ends of the foreign framings, a second time, from their
descriptions alone: a 16-bit length and a datagram of that length, behind a
preamble on the way to the server if it is rfc1036's udptunnel"""
import socket
import struct
import threading

PREAMBLE = bytes.fromhex("75647074756e6e656c206279206d642e"
                         "00000001030610152128364555667891")


def frame(data):
    return struct.pack("!H", len(data)) + data


class Conn:
    """one connection, from either end"""

    def __init__(self, sock):
        sock.settimeout(5)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock

    def write(self, raw):
        self.sock.sendall(raw)

    def send(self, *datagrams):
        self.write(b"".join(map(frame, datagrams)))

    def exactly(self, n):
        """that many bytes; None at the end of the stream"""
        data = b""
        while len(data) < n:
            more = self.sock.recv(n - len(data))
            if not more:
                return None
            data += more
        return data

    def recv(self, seconds=5.0):
        """the next datagram; None at the end of the stream"""
        self.sock.settimeout(seconds)
        head = self.exactly(2)
        return head and self.exactly(struct.unpack("!H", head)[0])

    def ended(self, seconds=5.0):
        """how it ends: "closed" in order, "reset"; or a datagram comes"""
        try:
            data = self.recv(seconds)
        except ConnectionResetError:
            return "reset"
        return "closed" if data is None else data

    def close(self):
        try:  # for a thread that reads it, too
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()


class Client(Conn):
    """what mullvad's udp2tcp is to tcp2udp; @led: rfc1036's"""

    def __init__(self, host, addr, port, led=False):
        super().__init__(host.tcp(addr, port))
        if led:
            self.write(PREAMBLE)


class Server:
    """a port; each connection is kept, and answered if @echo"""

    def __init__(self, host, addr, port, led=False, echo=True):
        self.led, self.echo, self.conns, self.preambles = led, echo, [], []
        self.port = port
        with host:
            self.sock = socket.create_server((addr, port), backlog=64)
        host.scene.sockets.append(self.sock)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                sock, _ = self.sock.accept()
            except OSError:
                return
            c = Conn(sock)
            if self.led:
                self.preambles.append(c.exactly(32))
            self.conns.append(c)
            if self.echo:
                threading.Thread(target=self.serve, args=(c,),
                                 daemon=True).start()

    @staticmethod
    def serve(c):
        try:
            while (data := c.recv(None)) is not None:
                c.send(data)
        except OSError:
            pass
        c.close()

    def close(self):
        """as if it were killed: port and connections"""
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()
        for c in self.conns:
            c.close()
