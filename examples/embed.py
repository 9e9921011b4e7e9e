#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""embed.py [LIBRARY] - culvert from Python, by ctypes and nothing else

Two nodes without a loop, and the streams between them: what a program in any
language needs of the library.  The bytes go through memory here; in a program
they go through whatever it has, a WebSocket for example.
"""
import ctypes as c
import sys
import time

lib = c.CDLL(sys.argv[1] if len(sys.argv) > 1 else "libculvert.so.0")
KEYTEXT, NO_LOOP = 45, 1
P, S, U64, SIZE = c.c_void_p, c.c_char_p, c.c_uint64, c.c_size_t
STATE = c.CFUNCTYPE(None, P, S, c.c_int)
ACCEPT = c.CFUNCTYPE(c.c_int, P, P, S, S)
FLOW = c.CFUNCTYPE(None, P, P)
DGRAM = c.CFUNCTYPE(None, P, P, c.POINTER(c.c_char), SIZE)
CLOSED = c.CFUNCTYPE(None, P, P, c.c_int)


class Options(c.Structure):  # struct culvert_options, in its order
    _fields_ = [("size", SIZE), ("flags", c.c_uint), ("loop", P), ("fds", P),
                ("nfds", SIZE), ("user", P), ("log", P), ("state", STATE),
                ("accept", ACCEPT), ("opened", FLOW), ("dgram", DGRAM),
                ("closed", CLOSED), ("stopped", P), ("woken", P),
                ("request", P)]


class Diag(c.Structure):
    _fields_ = [("line", c.c_uint), ("text", c.c_char * 320)]


for name, result, *args in [
        ("culvert_strerror", S, c.c_int), ("culvert_version", S),
        ("culvert_free", None, P), ("culvert_close", None, P),
        ("culvert_open", c.c_int, P, S, S, c.POINTER(P)),
        ("culvert_send", c.c_int, P, S, SIZE),
        ("culvert_link_open", c.c_int, P, S, U64, c.POINTER(P)),
        ("culvert_link_input", c.c_int, P, S, SIZE, U64),
        ("culvert_link_output", SIZE, P, S, SIZE, U64)]:
    f = getattr(lib, name)
    f.restype, f.argtypes = result, args


def now():
    return time.monotonic_ns() // 1000


def keypair():
    private, public = (c.create_string_buffer(KEYTEXT) for _ in range(2))
    lib.culvert_genkey(private, 0)
    lib.culvert_pubkey(public, private)
    return private.value, public.value


class Node:
    """a node, and the one stream it has"""

    def __init__(self, name, key, peer, peer_key):
        self.name, self.node, self.link = name, P(), P()
        self.got = []
        text = (b"[Node]\nPrivateKey = %s\n[Peer %s]\nPublicKey = %s\n"
                % (key, peer, peer_key))
        # the callbacks must live as long as the node does
        self.options = Options(
            size=c.sizeof(Options), flags=NO_LOOP,
            state=STATE(self.state), accept=ACCEPT(self.accept),
            dgram=DGRAM(self.dgram))
        diag = Diag()
        if lib.culvert_new(c.byref(self.node), text, SIZE(len(text)),
                           c.byref(self.options), c.byref(diag)):
            sys.exit(f"{name}: {diag.text.decode()}")

    def state(self, _, peer, up):
        print(f"{self.name}: {peer.decode()} is {'up' if up else 'down'}")

    def accept(self, _, flow, peer, target):
        print(f"{self.name}: {peer.decode()} asks for {target.decode()}")
        return 0

    def dgram(self, _, flow, data, size):
        self.got.append(data[:size])
        if self.name == "server":
            lib.culvert_send(flow, data[:size].upper(), size)

    def output(self):
        buf = c.create_string_buffer(65536)
        n = lib.culvert_link_output(self.link, buf, len(buf), now())
        return buf.raw[:n]


def main():
    (ckey, cpub), (skey, spub) = keypair(), keypair()
    server = Node("server", skey, b"client", cpub)
    client = Node("client", ckey, b"server", spub)
    lib.culvert_link_open(client.node, b"server", now(), c.byref(client.link))
    lib.culvert_link_open(server.node, None, now(), c.byref(server.link))
    flow = P()
    err = lib.culvert_open(client.node, b"server", b"app://upper",
                           c.byref(flow))
    if err:
        sys.exit(lib.culvert_strerror(err).decode())
    for word in (b"hello", b"", b"from python" * 1000):
        lib.culvert_send(flow, word, len(word))
    moved = True
    while moved:
        moved = False
        for one, other in ((client, server), (server, client)):
            piece = one.output()
            moved = moved or bool(piece)
            if piece:
                lib.culvert_link_input(other.link, piece, len(piece), now())
    for data in client.got:
        print(f"client: got {len(data)} bytes: {data[:11].decode()}")
    lib.culvert_close(flow)
    lib.culvert_free(client.node)
    lib.culvert_free(server.node)
    print(f"culvert {lib.culvert_version().decode()}: done")


main()
