#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The culvert protocol, version 1, a second time: from doc/protocol.md alone.

Section numbers are of that text. Small before fast; every value that a test may
want to get wrong (stamp, number, cookie, length of a varint) is a parameter.
"""
import hashlib
import hmac
import os
import socket
import struct
import time

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

INITIATION, RESPONSE, COOKIE, DATA, PLAIN = 1, 2, 3, 4, 0x10
DONE, UNKNOWN_FLOW, NOT_ALLOWED, BAD_TARGET, FLOW_LIMIT, SYSTEM_ERROR = range(6)
NO_PSK = bytes(32)


class Dropped(Exception):
    """A packet that the text says to drop."""


class Malformed(Exception):
    """Frames that the text says to drop."""


class Closed(Exception):
    """The other end closed the connection."""


# ---- 1 Conventions ---------------------------------------------------------


def varint(value, size=1):
    """RFC 9000, section 16, in at least `size` bytes."""
    for log, n in enumerate((1, 2, 4, 8)):
        if n >= size and value < 1 << 8 * n - 2:
            return (value | log << 8 * n - 2).to_bytes(n, "big")
    raise ValueError(value)


def HASH(data):
    return hashlib.blake2s(data).digest()


def MAC(key, data):
    return hashlib.blake2s(data, key=key, digest_size=16).digest()


def HMAC(key, data):
    return hmac.new(key, data, hashlib.blake2s).digest()


def seal(key, n, ad, text):
    return ChaCha20Poly1305(key).encrypt(bytes(4) + struct.pack("<Q", n), text, ad)


def unseal(key, n, ad, text):
    try:
        return ChaCha20Poly1305(key).decrypt(bytes(4) + struct.pack("<Q", n), text, ad)
    except InvalidTag:
        raise Dropped("does not open") from None


# ---- 2 Identities and keys -------------------------------------------------


def public(private):
    return private.public_key().public_bytes(serialization.Encoding.Raw,
                                             serialization.PublicFormat.Raw)


def dh(private, other):
    return private.exchange(X25519PublicKey.from_public_bytes(other))


class Node:
    """One end: its key, its instance, its clock. In plain mode a random identity."""

    def __init__(self, private=None, plain=False, max_age=50_000, links=0,
                 largest=65507):
        self.private = X25519PrivateKey.from_private_bytes(private or os.urandom(32))
        self.public = public(self.private)
        self.plain, self.max_age, self.last, self.links = plain, max_age, 0, links
        self.largest = largest
        self.begin()

    def begin(self):
        """A process was started that knows nothing of earlier ones."""
        self.instance, self.began = int.from_bytes(os.urandom(8), "big"), time.monotonic()

    def up(self):
        return max(1, min(int((time.monotonic() - self.began) * 1e6), 2**32 - 1))

    def stamp(self):
        self.last = max(self.last + 1, time.time_ns() // 1000)
        return self.last

    def hello(self, stamp=None, version=1):
        return struct.pack(">HHIQQII", version, self.links, self.max_age, stamp or self.stamp(),
                           self.instance, self.largest, self.up())


# ---- 3 Records -------------------------------------------------------------


class Link:
    """A TCP connection that carries packets as records."""

    def __init__(self, sock):
        self.sock, self.got = sock, b""
        self.begun = 0.                     # when an initiation was there at the latest
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @staticmethod
    def record(packet):
        return len(packet).to_bytes(3, "big") + packet

    def send(self, *packets):
        for one in packets:
            if one[0] & ~PLAIN == INITIATION:
                self.space()
            self.sock.sendall(self.record(one))

    def space(self):
        """4.1: at least 20 ms between two initiations, as the far end sees them: it may
        read one late, but not later than it answers."""
        time.sleep(max(0., self.begun + .022 - time.monotonic()))
        self.begun = time.monotonic()

    def recv(self, timeout=3):
        self.sock.settimeout(timeout)
        while len(self.got) < 3 or len(self.got) < 3 + int.from_bytes(self.got[:3], "big"):
            try:
                data = self.sock.recv(1 << 17)
            except ConnectionError:
                data = b""
            if not data:
                raise Closed
            self.got += data
        length = int.from_bytes(self.got[:3], "big")
        if not 16 <= length <= 65603:
            raise Malformed(f"record of {length} bytes")
        packet, self.got = self.got[3:3 + length], self.got[3 + length:]
        self.begun = self.begun and time.monotonic()
        return packet

    def close(self):
        self.sock.close()


# ---- 4.1 The handshake: Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s --------------


class Noise:
    """The symmetric state (Noise, section 5.2). Every key here seals one text only."""

    def __init__(self, responder):
        self.ck = self.h = HASH(b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s")
        self.mix_hash(b"culvert 1")
        self.mix_hash(responder)

    def hkdf(self, data, count):
        temp, out = HMAC(self.ck, data), [b""]
        for i in range(1, count + 1):
            out.append(HMAC(temp, out[-1] + bytes([i])))
        return out[1:]

    def mix_hash(self, data):
        self.h = HASH(self.h + data)

    def mix_key(self, data):
        self.ck, self.k = self.hkdf(data, 2)

    def mix_psk(self, psk):
        self.ck, data, self.k = self.hkdf(psk, 3)
        self.mix_hash(data)

    def e(self, e):
        self.mix_hash(e)
        self.mix_key(e)

    def seal(self, text):
        sealed = seal(self.k, 0, self.h, text)
        self.mix_hash(sealed)
        return sealed

    def open(self, sealed):
        text = unseal(self.k, 0, self.h, sealed)
        self.mix_hash(sealed)
        return text

    def split(self):
        return self.hkdf(b"", 2)


def new_index(server=0):
    return struct.pack(">H", server) + os.urandom(5)


def header(kind, index):
    return bytes([kind]) + index


def with_macs(body, receiver, cookie=None):
    """mac1 and mac2 behind a handshake packet."""
    body += MAC(HASH(b"mac1----" + receiver), body)
    return body + (MAC(cookie + bytes(16), body) if cookie else bytes(16))


def check_mac1(packet, receiver):
    if packet[-32:-16] != MAC(HASH(b"mac1----" + receiver), packet[:-32]):
        raise Dropped("mac1")


def read_hello(text):
    version, links, max_age, stamp, instance, largest, up = struct.unpack(">HHIQQII", text)
    if version != 1:
        raise Dropped("version")
    return max_age, stamp, instance, links, largest, up


class Initiation:
    """What the initiator sends, and what it makes of the answer."""

    def __init__(self, node, peer, psk=NO_PSK, cookie=None, **hello):
        self.node, self.peer, self.psk, self.index = node, peer, psk, new_index()
        if node.plain:
            self.packet = header(INITIATION + PLAIN, self.index) + node.public + node.hello(**hello)
            return
        self.e = X25519PrivateKey.generate()
        self.noise = n = Noise(peer)
        n.e(public(self.e))
        n.mix_key(dh(self.e, peer))                           # es
        s = n.seal(node.public)
        n.mix_key(dh(node.private, peer))                     # ss
        body = header(INITIATION, self.index) + public(self.e) + s + n.seal(node.hello(**hello))
        self.packet = with_macs(body, peer, cookie)
        self.mac1 = self.packet[136:152]

    def response(self, packet):
        kind, size = (RESPONSE + PLAIN, 48) if self.node.plain else (RESPONSE, 128)
        if packet[:8] != header(kind, self.index) or len(packet) != size:
            raise Dropped("not the response")
        if self.node.plain:
            return Keys(True, self.index, packet[9:16], None, None, read_hello(packet[16:48]))
        check_mac1(packet, self.node.public)
        n, re = self.noise, packet[16:48]
        n.e(re)
        n.mix_key(dh(self.e, re))                             # ee
        n.mix_key(dh(self.node.private, re))                  # se
        n.mix_psk(self.psk)
        hello = read_hello(n.open(packet[48:96]))
        return Keys(False, self.index, packet[9:16], *n.split(), hello)

    def cookie(self, packet):
        """4.2: the cookie that the responder wants to see again."""
        if packet[:8] != header(COOKIE, self.index) or len(packet) != 56:
            raise Dropped("not the cookie")
        return unseal(cookie_key(self.peer, self.mac1, packet[8:24]), 0, self.mac1, packet[24:])


def respond(node, packet, psk=NO_PSK, cookie=None, peers=None):
    """The responder: a response, keys (not confirmed yet), the initiator's identity."""
    index, kind = new_index(), INITIATION + PLAIN * node.plain
    if packet[0] != kind or len(packet) != (72 if node.plain else 168):
        raise Dropped("not an initiation")
    head = header(kind + 1, packet[1:8]) + b"\0" + index
    if node.plain:
        keys = Keys(True, index, packet[1:8], None, None, read_hello(packet[40:]))
        return head + node.hello(), keys, packet[8:40]
    check_mac1(packet, node.public)
    if cookie and packet[152:] != MAC(cookie + bytes(16), packet[:152]):
        raise Dropped("mac2")
    n, re = Noise(node.public), packet[8:40]
    n.e(re)
    n.mix_key(dh(node.private, re))                           # es
    rs = n.open(packet[40:88])
    if peers is not None and rs not in peers:
        raise Dropped("unknown peer")
    n.mix_key(dh(node.private, rs))                           # ss
    hello = read_hello(n.open(packet[88:136]))
    e = X25519PrivateKey.generate()
    n.e(public(e))
    n.mix_key(dh(e, re))                                      # ee
    n.mix_key(dh(e, rs))                                      # se
    n.mix_psk(psk)
    body = head + public(e) + n.seal(node.hello())
    receives, sends = n.split()
    return with_macs(body, rs), Keys(False, index, packet[1:8], sends, receives, hello), rs


# ---- 4.2 Cookies -----------------------------------------------------------


def cookie_key(responder, mac1, salt):
    return HASH(HASH(b"cookie--" + responder) + mac1 + salt)


def cookie_packet(node, initiation, cookie):
    mac1, salt = initiation[136:152], os.urandom(16)
    sealed = seal(cookie_key(node.public, mac1, salt), 0, mac1, cookie)
    return header(COOKIE, initiation[1:8]) + salt + sealed


# ---- 4.3 Data --------------------------------------------------------------


class Keys:
    """One handshake's outcome: keys, indices, numbers and the replay window."""

    WINDOW = 8192

    def __init__(self, plain, mine, theirs, sends, receives, hello):
        self.plain, self.mine, self.theirs = plain, mine, theirs
        self.sends, self.receives = sends, receives
        self.max_age, self.stamp, self.instance, self.links, self.largest, self.up = hello
        self.number, self.top, self.seen = 0, -1, 0

    def seal(self, text, number=None, index=None):
        if number is None:
            number, self.number = self.number, self.number + 1
        head = header(DATA + PLAIN * self.plain, index or self.theirs) + struct.pack(">Q", number)
        return head + (text if self.plain else seal(self.sends, number, b"", text))

    def open(self, packet):
        if packet[:8] != header(DATA + PLAIN * self.plain, self.mine):
            raise Dropped("no keys")
        number = int.from_bytes(packet[8:16], "big")
        text = packet[16:] if self.plain else unseal(self.receives, number, b"", packet[16:])
        ahead = number - self.top
        if ahead > 0:
            self.seen = (self.seen << ahead if ahead < self.WINDOW else 0) | 1
            self.seen &= (1 << self.WINDOW) - 1
            self.top = number
        elif ahead <= -self.WINDOW or self.seen >> -ahead & 1:
            raise Dropped("number seen or too old")
        else:
            self.seen |= 1 << -ahead
        return text


# ---- 5 Frames --------------------------------------------------------------

# Q u64, I u32, B u8, v varint, d varint length and that many bytes; ACK and STREAM
# have functions of their own, ack() and stream()
FRAMES = {0x00: ("PADDING", ""), 0x01: ("PING", "Q"), 0x02: ("PONG", "Q"), 0x03: ("CLOSE", "v"),
          0x04: ("TIME", "I"), 0x05: ("LINK", "v"), 0x06: ("PATH_CHALLENGE", "Q"),
          0x07: ("PATH_RESPONSE", "Q"), 0x08: ("OPEN", "vBd"), 0x09: ("OPENED", "v"),
          0x0a: ("RESET", "vv"), 0x0b: ("WINDOW", "vvv"), 0x0c: ("SESSION_WINDOW", "v"),
          0x0d: ("ACK", "vvvv"), 0x10: ("DGRAM", "vvd"), 0x11: ("PART", "vvvvd"),
          0x14: ("STREAM", "vv"),
          0x15: ("STREAM", "vv"), 0x16: ("STREAM", "vvd"), 0x17: ("STREAM", "vvd")}
NUMBERS = {name: number for number, (name, _) in FRAMES.items()}


def frame(name, *values, size=1):
    """One frame; every varint in it has at least `size` bytes."""
    out = bytes([NUMBERS[name]])
    for code, value in zip(FRAMES[out[0]][1], values):
        if code == "v":
            out += varint(value, size)
        elif code == "d":
            out += varint(len(value), size) + value
        else:
            out += struct.pack(">" + code, value)
    return out


def frames(data):
    """The frames of a packet, as tuples; Malformed after those that are right."""

    def take(n):
        nonlocal data
        if n > len(data):
            raise Malformed("does not fit")
        head, data = data[:n], data[n:]
        return head

    def take_varint():
        first = take(1)
        rest = take((1 << (first[0] >> 6)) - 1)
        return int.from_bytes(bytes([first[0] & 63]) + rest, "big")

    while data:
        kind = take(1)[0]
        if kind not in FRAMES:
            raise Malformed(f"type {kind}")
        name, codes = FRAMES[kind]
        one = [name]
        for code in codes:
            if code == "v":
                one.append(take_varint())
            elif code == "d":
                one.append(take(take_varint()))
            else:
                one.append(struct.unpack(">" + code, take(struct.calcsize(">" + code)))[0])
        if name == "ACK":
            one[1:] = [one[1], one[2], ranges(one[1], one[4], [(take_varint(), take_varint())
                                                               for _ in range(one[3])])]
        if name == "STREAM":
            one[3:] = [one[3] if kind & 2 else take(len(data)), kind & 1 == 1]
        if name == "DGRAM" and (one[2] > 65507 or (one[2] == 0) != (one[3] == b"")):
            raise Malformed("train")
        if name == "PART" and not (one[5] and one[4] + len(one[5]) <= one[3] <= 65507):
            raise Malformed("part")
        yield tuple(one)


def ranges(largest, first, rest):
    """RFC 9000, section 19.3.1: the numbers from low to high, highest range first."""
    out, low = [(largest - first, largest)], largest - first
    for gap, length in rest:
        high = low - gap - 2
        low = high - length
        out.append((low, high))
    if low < 0:
        raise Malformed("ACK below 0")
    return out


def ack(spans, delay=0):
    """12.2: of (low, high), highest first."""
    (low, high), *rest = spans
    out = [high, delay, len(rest), high - low]
    for after, top in rest:
        out += [low - top - 2, top - after]
        low = after
    return bytes([NUMBERS["ACK"]]) + b"".join(map(varint, out))


def stream(flow, offset, data, end=False, length=True, size=1):
    """12.3: without a length it takes what is left of the packet."""
    head = bytes([0x14 | 2 * length | end]) + varint(flow, size) + varint(offset, size)
    return head + (varint(len(data), size) if length else b"") + data


def now32():
    return time.monotonic_ns() // 1000 & 0xffffffff


def train(flow, *datagrams, size=1, when=None):
    """TIME, and a DGRAM: all have the length of the first, the last at most that."""
    when = now32() if when is None else when
    return frame("TIME", when) + frame("DGRAM", flow, len(datagrams[0]), b"".join(datagrams),
                                       size=size)


def datagrams(segment, data):
    return [data[at:at + segment] for at in range(0, len(data), segment)] if segment else [b""]


# ---- 6 Sessions, 7 Flows ---------------------------------------------------


class Session:
    """The relation to one peer, in either role; the caller drives it with wait()."""

    def __init__(self, node, peer=None, psk=NO_PSK, reach=lambda target: None):
        self.node, self.peer, self.psk, self.reach = node, peer, psk, reach
        self.link = self.keys = self.previous = self.next = self.cookie = None
        self.flows, self.number, self.log = {}, -2, []
        self.links, self.answers = {}, False    # by number; whether it is the responder

    def dial(self, address):
        """Initiator: a new link, a handshake, and a PING under the new keys."""
        self.link = Link(socket.create_connection(address, 3))
        self.links = {0: self.link}
        self.handshake()
        return self

    def agreed(self):
        return max(1, min(self.node.links, self.keys.links))

    def join(self, address, number):
        """Initiator: a further link; it counts once something came in on it."""
        link = Link(socket.create_connection(address, 3))
        self.send(frame("LINK", number), frame("PING", number), over=link)
        self.links[number] = link
        while ("PONG", number) not in self.pump(link):
            pass
        return link

    def place(self, link, text):
        """Responder: a link that is new takes the place that LINK says."""
        number = 0
        for _, one in zip(range(2), frames(text)):
            number = one[1] if one[0] == "LINK" else number
        if number >= self.agreed():
            raise Malformed(f"link {number}")
        old, self.links[number] = self.links.get(number), link
        if old:
            old.close()

    def handshake(self, **hello):
        self.pending = Initiation(self.node, self.peer, self.psk, self.cookie, **hello)
        self.link.send(self.pending.packet)
        got = self.pump(self.link)
        while not isinstance(got, Keys):    # a rekey: the current keys go on meanwhile
            self.log += got
            got = self.pump(self.link)
        self.turn(got)

    def turn(self, keys, confirm=True):
        self.restarted = self.keys is not None and self.keys.instance != keys.instance
        if self.restarted:      # the peer forgot its flows; ours are opened again
            self.flows = {flow: "closed" for flow in self.flows if flow % 2 == 0}
        self.previous, self.keys = self.keys, keys
        if confirm:
            self.send(frame("LINK", 0) if self.agreed() > 1 else b"", frame("PING", 0))

    def accept(self, listener):
        """Responder: a connection, its initiation, and a packet under the new keys."""
        listener.settimeout(5)
        link = Link(listener.accept()[0])
        self.answers = True
        self.pump(link)
        while self.next:
            self.log += self.pump(link)
        return self

    def pump(self, link, timeout=3):
        """One packet. Returns keys of a response, or the frames of a data packet."""
        packet = link.recv(timeout)
        kind = packet[0] & ~PLAIN
        if kind == COOKIE:
            self.cookie = self.pending.cookie(packet)
            self.pending = Initiation(self.node, self.peer, self.psk, self.cookie)
            link.begun = 0.
            link.send(self.pending.packet)
            return self.pump(link, timeout)
        if kind == RESPONSE:
            return self.pending.response(packet)
        if kind == INITIATION:
            answer, keys, who = respond(self.node, packet, self.psk)
            if keys.stamp <= getattr(self, "stamp", 0) or self.peer not in (None, who):
                raise Dropped("stamp or peer")
            self.stamp, self.next = keys.stamp, keys
            self.fresh = link not in self.links.values()
            link.send(answer)
            return []
        for keys in (self.keys, self.previous, self.next):
            if keys and keys.mine == packet[1:8]:
                text = keys.open(packet)
                if keys is self.next:       # confirmed
                    self.next, self.link = None, link
                    self.turn(keys, confirm=False)
                    if self.fresh:          # the peer has moved
                        for old in self.links.values():
                            old.close()
                        self.links = {}
                if self.answers and link not in self.links.values():
                    self.place(link, text)
                return [self.react(one, link) for one in frames(text)]
        raise Dropped("no keys")

    def react(self, one, link=None):
        """What the text makes an end answer; flows are kept by the number we write."""
        name, flow = one[0], one[1] ^ 1 if len(one) > 1 else 0
        if name == "PING":
            self.send(frame("PONG", one[1]), over=link)
        elif name == "OPEN":
            code = NOT_ALLOWED if one[2] != 2 else self.reach(one[3])
            if flow in self.flows or code is None:
                self.flows[flow] = "open"
                self.send(frame("OPENED", flow))
            else:
                self.send(frame("RESET", flow, code))
        elif name == "OPENED" and flow in self.flows:
            self.flows[flow] = "open"
        elif name == "RESET":
            self.flows.pop(flow, None)
        elif name == "DGRAM" and flow not in self.flows:
            self.send(frame("RESET", flow, UNKNOWN_FLOW))
        return one

    def send(self, *parts, over=None, **how):
        (over or self.link).send(self.keys.seal(b"".join(parts), **how))

    def open(self, target=b"", kind=2, size=1):
        """A new flow; datagrams may follow at once."""
        self.number += 2
        self.flows[self.number] = "opening"
        self.send(frame("OPEN", self.number, kind, target, size=size))
        return self.number

    def wait(self, name, timeout=3):
        """The next frame of that name; the others are passed by."""
        while True:
            while self.log:
                one = self.log.pop(0)
                if one[0] == name:
                    return one
            self.log += self.pump(self.link, timeout)
