#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""seeds.py - write the first inputs of every fuzz target to corpus/NOUN

What fuzzing found lies beside them, under names that are its SHA-1.
"""
import os
import struct

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")
KEY = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA{}="
KEY1, KEY2, KEY3 = (KEY.format(c) for c in "EIM")


def varint(v):
    for bits, lead in ((6, 0), (14, 1), (30, 2), (62, 3)):
        if v < 1 << bits:
            n = (bits + 2) // 8
            return (v | lead << bits).to_bytes(n, "big")
    raise ValueError(v)


# frames, as doc/protocol.md has them in section 5
def ping(v=7):
    return b"\x01" + struct.pack(">Q", v)


def pong(v=7):
    return b"\x02" + struct.pack(">Q", v)


def close(code=0):
    return b"\x03" + varint(code)


def time(us):
    return b"\x04" + struct.pack(">I", us)


def link(number):
    return b"\x05" + varint(number)


def opening(flow, target, kind=2):
    return b"\x08" + varint(flow) + bytes([kind, *varint(len(target))]) + \
        target


def opened(flow):
    return b"\x09" + varint(flow)


def reset(flow, code):
    return b"\x0a" + varint(flow) + varint(code)


def dgram(flow, seg, data, length=None):
    return b"\x10" + varint(flow) + varint(seg) + \
        varint(len(data) if length is None else length) + data


def part(flow, number, whole, offset, data, length=None):
    return b"\x11" + varint(flow) + varint(number) + varint(whole) + \
        varint(offset) + varint(len(data) if length is None else length) + data


TARGET = b"udp://127.0.0.1:9"
FRAMES = {
    "ping": ping() + pong(1 << 63),
    "close": close(3) + close(70000),
    "time": time(0) + time(0xffffffff),
    "link": time(0) + link(3) + link(1 << 20),
    "open": opening(2, TARGET) + opened(3) + reset(2, 1),
    "open-kinds": opening(0, b"", 1) + opening(1 << 40, b"x", 3),
    "open-longest": opening(2, b"u" * 400) + opening(2, b"u" * 401),
    "train": time(5) + dgram(2, 100, bytes(250)) + dgram(2, 100, bytes(100)),
    "parts": part(2, 9, 150, 0, bytes(75)) + part(2, 9, 150, 75, bytes(75)),
    "parts-beyond": part(2, 9, 150, 0, bytes(75)) + part(2, 9, 99, 50, b"x" * 50),
    "parts-huge": part(2, 1 << 40, 65507, 65506, b"x") +
    part(2, 9, 65508, 0, b"x"),
    "empty": dgram(2, 0, b"") + dgram(1, 1, b"abc"),
    "padding": bytes(40) + ping(),
    "nonsense": dgram(2, 0, b"abc"),
    "short": dgram(2, 100, bytes(20), 100),
    "huge": dgram(1, 65507, b"x") + dgram(1, 65508, b"x"),
}


def record(packet, size=None):
    return (len(packet) if size is None else size).to_bytes(3, "big") + packet


RECORDS = {
    "two": b"\x01\x00\x00\x00\x05" + record(bytes(16)) + record(bytes(300)),
    "more": b"\x01\x00\x00\x00\x20" + record(bytes(40)) + record(bytes(9), 60),
    "small": b"\x00\x01\x00\x00\x00" + record(bytes(15)),
    "large": b"\x00\x00\x40\x00\x00" + record(bytes(64)) + record(bytes(65)),
    "one-short": b"\x01\x00\x00\x00\x01" + record(bytes(39), 40),
    "none": b"\x00\x00\x00\x00\x00",
}

URLS = {
    "udp": "udp://192.0.2.1:53",
    "v6": "udp://[2001:db8::1]:53?bind=192.0.2.1:5000",
    "all": "http+x://user:pa:ss@host.example:65535/pa/th?a=b&c=&d&e=f=g",
    "any": "tcp://*:*",
    "listen": "tcp://:8443",
    "localhost": "udp://localhost:1?peer=[::1]:2",
    "options": "a://b?1=1&2=2&3=3&4=4&5=5&6=6&7=7&8=8&9=9",
    "bad-port": "udp://h:65536",
    "bad-bracket": "udp://[::1:53",
    "bare-v6": "udp://::1:53",
    "long": "udp://" + "h" * 505,
}

ADDRS = {
    "v4": "\x18192.0.2.1",
    "v4-port": "\x20127.0.0.1:65535",
    "v6": "\x402001:db8::1",
    "v6-port": "\x7f[fe80::1]:53",
    "mapped": "\x60::ffff:192.0.2.1",
    "full": "\x301:2:3:4:5:6:7:8",
    "gap": "\x081::8",
    "tail": "\x081:2:3:4:5:6:1.2.3.4",
    "any": "\x00::",
    "port": "\x00:53",
    "star": "\x00*:1",
    "zeroes": "\x101:0:0:2:0:0:0:3",
    "leading": "\x10010.0.0.1",
    "nine": "\x001:2:3:4:5:6:7:8:9",
    "prefix": "\x04P" + "x" * 15 + "X" + "x" * 15,
    "no-prefix": "\x05P" + "x" * 15 + "X" + "x" * 15,
}

RULES = {
    "net": "udp://10.1.2.3:1500\nudp://10.0.0.0/8:1000-2000\n",
    "v6": "udp://[fd00::7]:53?bind=:80\nudp://[fd00::]/8\n"
          "udp://[fd00::7]/128:53?bind=[::]:80\n",
    "name": "udp://dns.example:53\nudp://dns.example:53\nudp://other:*\n",
    "any": "udp://localhost:9\nudp://*:*\nudp://*:9-8\n",
    "loopback": "udp://127.0.0.1:53?bind=127.0.0.1:53\n",
    "bind": "udp://10.1.1.2:5001?bind=10.1.1.1:53\n"
            "udp://10.1.1.2:5001?bind=10.1.1.1:53\n",
    "bad": "udp://h:1\ntcp://h:1\nudp://[::1\nudp://1.2.3.4/33\n"
           "udp://h?x=y\nudp://h/x\nudp://h:x\nudp:/h\n",
}

PLAIN_BYTES = {
    "none": b"",
    "one": b"f",
    "two": b"fo",
    "three": b"foo",
    "user": b"Aladdin:open sesame",
    "high": b"\xfb\xef\xbe\xff\xff\xff\x00",
    "digits": b"ABCXYZabcxyz0189+/=-_",
}

SERVER = f"""# a server
[Node]
Name = office-1
PrivateKey = {KEY1}
LogLevel = debug
MaxAge = 50ms
IdleTimeout = 3m
MaxFlows = 100000
MaxFlowsPerSource = 1000
Memory = 64M
ServerNumber = 7

[Serve]
Listen = tcp://:8443
Listen = tcp://[::1]:8444
Allow = udp://10.0.0.0/8:1000-2000
Allow = udp://dns.example:53
To = udp://127.0.0.1:53?bind=:5353

[Peer laptop]
PublicKey = {KEY2}
PresharedKey = {KEY3}
"""
CLIENT = f"""[Node]
PrivateKeyFile = /etc/culvert/my.key
[Peer office]
PublicKey = {KEY2}
PresharedKeyFile = psk
Endpoint = tcp://office.example:8443
[Forward dns]
From = udp://127.0.0.1:5353?peer=127.0.0.1:9
To = udp://10.0.0.1:53?bind=10.0.0.2:53
Via = office
; the server's choice
[Forward any]
From = udp://:5354
Via = office
"""
PLAIN = """[Node]
Plain = yes
PeersFile = peers
[Serve]
Listen = tcp://:1
"""
PEERS = f"{KEY2} one\n# none\n{KEY3}\n"
CONFS = {
    "server": SERVER,
    "client": CLIENT,
    "plain": PLAIN,
    "peers": f"[Node]\nPrivateKey = {KEY1}\nPeersFile = peers\n"
             f"[Serve]\nListen = tcp://:1\n\0{PEERS}",
    "peers-twice": SERVER + "\0" + PEERS,
    "peers-bad": SERVER + f"\0{KEY3} two words\n",
    "crlf": CLIENT.replace("\n", " \r\n"),
    "typo": "[Node]\nPrivatKey = x\n",
    "misplaced": "[Serve]\nEndpoint = tcp://h:1\n",
    "twice": "[Node]\nName = a\nName = b\n",
    "range": "[Node]\nMaxAge = 11s\n",
    "section": "[Nod]\n",
    "before": "Name = a\n",
    "no-value": "[Node]\nName =\n",
    "long": "[Node]\nName = " + "x" * 1100,
    "plain-keyed": PLAIN + f"[Node]\nPrivateKey = {KEY1}\n",
    "nobody": CLIENT.replace("Via = office", "Via = offices"),
    "no-endpoint": CLIENT.replace("Endpoint", "# Endpoint"),
    "same-peers": f"[Node]\nPrivateKey={KEY1}\n[Serve]\nListen=tcp://:1\n"
                  f"[Peer a]\nPublicKey={KEY2}\n[Peer b]\nPublicKey={KEY2}\n",
}

KEYS = {
    "one": KEY1,
    "high": "/" * 42 + "8=",
    "loose": KEY.format("F"),
    "loose-2": KEY.format("G"),
    "short": KEY1[1:],
    "letters": "0123456789abcdefghijklmnopqrstuvwxyzABCDEFE=",
}


# events of fuzz_node.c, in its order
(PACKET, BYTES, TIME, CLIENT_SAYS, FLOW_SAYS, CLOSE, LATE, PIN, POLICY, BLOCK,
 CUT, WIRE, RESTART, DRAIN, FAILURE, SETTLE, LINE) = (
    bytes([i]) for i in range(17))
TO_A, TO_B = 0, 1


def packet(to, frames, number=b"\0", more=0):
    frames = bytes(len(frames) % 2) + frames
    head = bytes([to]) + number + bytes([len(frames) // 2, more])
    return PACKET + head + frames


def says(client, size, parts=0):
    return CLIENT_SAYS + bytes([client, size, parts])


def wait(units, shift):
    return TIME + bytes([units | shift << 3])


MS, SECOND, MINUTE = wait(0, 10), wait(0, 20), wait(7, 23)
OPEN = packet(TO_B, opening(2, TARGET))
NODES = {
    "datagrams": says(1, 100) + SETTLE + FLOW_SAYS + b"\x01\x50\0" + SETTLE,
    "train": says(1, 40, 0x85) + says(1, 0) + says(2, 255, 0x82) + SETTLE,
    "opens": OPEN + packet(TO_B, dgram(2, 100, bytes(150))) + OPEN + SETTLE +
    packet(TO_B, reset(2, 0)) + packet(TO_B, dgram(2, 3, b"abc")),
    "refuses": POLICY + b"\2" + says(1, 9) + SETTLE + OPEN + POLICY + b"\3" +
    OPEN + SETTLE,
    "resolves": POLICY + b"\1" + OPEN + packet(TO_B, dgram(2, 3, b"abc")) +
    LATE + b"\1" + says(2, 5) + SETTLE + LATE + b"\0" + SETTLE,
    "large": OPEN + packet(TO_B, dgram(2, 256, b"", 0x2000), more=0x20) +
    packet(TO_B, dgram(2, 1, b"", 0x0800), more=8),
    "flood": packet(TO_B, b"".join(opening(2 * i, b"") for i in range(70))),
    "replays": packet(TO_B, ping()) + packet(TO_B, ping(), b"\xff") +
    packet(TO_B, ping(), b"\x7f") +
    packet(TO_A, pong(), b"\x80" + b"\xff" * 8),
    "late": OPEN + packet(TO_B, time(1000000)) + SECOND +
    packet(TO_B, time(1000001) + dgram(2, 3, b"abc")) + wait(3, 20) +
    packet(TO_B, time(1000002) + dgram(2, 3, b"abc")),
    "blocked": BLOCK + b"\0" + says(1, 255, 0x80) * 4 + wait(0, 17) +
    says(1, 9) + BLOCK + b"\0" + SETTLE,
    "many": says(1, 40, 0xff) + says(1, 9) + SETTLE,
    "poor": BLOCK + b"\0" + (says(1, 9) + MS * 2) * 6,
    "held": CUT + b"\0" + says(1, 50) + says(2, 50) + WIRE + b"\1" + SETTLE +
    FLOW_SAYS + b"\1\5\0",
    "expires": CUT + b"\0" + says(1, 50) + MINUTE + WIRE + b"\1" + SETTLE,
    "pinned": says(1, 5) + SETTLE + PIN + b"\0" + PIN + b"\1" + CUT + b"\0" +
    MINUTE + WIRE + b"\1" + SETTLE + RESTART + b"\1" + WIRE + b"\1" + MINUTE,
    "pinned-there": says(1, 5) + SETTLE + PIN + b"\1" + RESTART + b"\0" +
    WIRE + b"\1" + SETTLE + says(1, 5) + SETTLE,
    "restarts": says(1, 5) + SETTLE + RESTART + b"\1" + WIRE + b"\1" + SETTLE +
    says(1, 5) + SETTLE + RESTART + b"\0" + WIRE + b"\1" + SETTLE + says(1, 5),
    "moves": says(1, 5) + WIRE + b"\0" + packet(TO_B | 2, ping()) + SETTLE,
    "rekeys": says(1, 5) + MINUTE * 4 + says(1, 5) + SETTLE,
    "goodbye": says(1, 5) + DRAIN + b"\0" + SETTLE + packet(TO_B, close()),
    "closes": says(1, 5) + SETTLE + CLOSE + b"\1" + SETTLE + says(1, 5) +
    SETTLE + CLOSE + b"\0" + SETTLE,
    "resets": says(1, 5) + SETTLE + packet(TO_A, reset(3, 1)) + says(1, 5) +
    packet(TO_A, reset(3, 2)) + packet(TO_A, dgram(3, 3, b"abc")),
    "fails": FAILURE + b"\0" + says(1, 5) + FAILURE + b"\1" + OPEN + SETTLE,
    "crowded": b"".join(says(i, 1) for i in range(6)) + wait(2, 22) +
    says(7, 1) + SETTLE,
    "bytes": b"".join(BYTES + bytes([TO_B, 20, t]) + bytes(19)
                      for t in (1, 2, 3, 4, 0x11, 0x12, 0x14)),
}

# with several links: mode 32
JOIN = (WIRE + b"\1" + SETTLE) * 2
SPREADS = {
    "spreads": JOIN + says(1, 40, 0x85) + SETTLE + says(1, 90) + SETTLE,
    "one-blocked": JOIN + BLOCK + b"\0" + says(1, 255, 0x80) + SETTLE +
    says(1, 9) + CUT + b"\1" + BLOCK + b"\0" + SETTLE,
    "all-blocked": JOIN + b"".join(
        BLOCK + bytes([to]) + says(1, 255, 0x80) for to in (0, 2, 4)) +
    SETTLE + BLOCK + b"\2" + SETTLE,
    "mends": JOIN + LINE + b"\x40" + says(1, 40) + SETTLE + LINE + b"\x42" +
    LINE + b"\x44" + says(1, 40) + SETTLE,
    "narrow": JOIN + LINE + b"\x80" + LINE + b"\x82" + says(1, 255, 0xff) +
    SETTLE + BLOCK + b"\0" + BLOCK + b"\2" + SETTLE,
    "replaces": JOIN + WIRE + b"\0" + packet(TO_B | 6, link(1) + ping()) +
    SETTLE,
    "no-place": WIRE + b"\0" + packet(TO_B | 2, time(1) + link(200)) + SETTLE,
    "breaks": JOIN + says(1, 9) + SETTLE + CUT + b"\0" + FLOW_SAYS +
    b"\1\x50\0" + CUT + b"\1" + SETTLE,
    "bound": JOIN + BLOCK + b"\0" + BLOCK + b"\2" + says(1, 9) + CUT +
    b"\2" + says(2, 9) + SETTLE,
    "leaves": JOIN + says(1, 9) + DRAIN + b"\0" + SETTLE,
}

# events of fuzz_handshake.c, and what may happen to a packet
(DIAL, STRANGER, PASSES, KEPT, CHANGED, ANY, CLAIM, PLAIN_CLAIM, LOAD, BREAKS,
 REKEY, ANEW, SPEAKS, BLOCKS, DIAL_QUIETLY, REKEY_OVER, LINK) = (
    bytes([i]) for i in range(17))
(GOES, LOST, TWICE, IS_KEPT, EXTRA, SPOILED, CUT_OFF) = (
    bytes([i]) for i in range(7))
A_BIT = b"\x00\x50\x01"        # in the sealed part, mac1 left wrong
A_BIT_FIXED = b"\x80\x50\x01"  # and made right


def after(units, shift):
    return PASSES + bytes([units | shift << 3])


SOON, LATER = after(3, 13), after(7, 20)
HANDSHAKES = {
    "plainly": DIAL + GOES * 4 + SPEAKS,
    "twice": DIAL + TWICE * 3 + SPEAKS,
    "lost": DIAL + LOST + LATER + DIAL + GOES + LOST + LATER + DIAL + GOES,
    "replayed": DIAL + IS_KEPT + b"\0" + IS_KEPT + b"\1" + SOON + KEPT +
    b"\1" + KEPT + b"\2" + LATER + STRANGER + KEPT + b"\x01",
    "spoiled": DIAL + SPOILED + A_BIT + LATER + DIAL + SPOILED + A_BIT_FIXED,
    "response": DIAL + GOES + EXTRA + A_BIT_FIXED + SOON + DIAL + GOES +
    SPOILED + A_BIT + LATER,
    "cut-off": DIAL + CUT_OFF + b"\x10" + CUT_OFF + b"\x80" + LATER,
    "loaded": LOAD + DIAL + GOES * 4 + SPEAKS,
    "cookie": LOAD + DIAL + GOES + SPOILED + A_BIT + LATER + LOAD + DIAL +
    GOES + TWICE + GOES * 3,
    "claims": STRANGER + CLAIM + b"\0\0\1\5\0\1" + SOON + GOES + CLAIM +
    b"\0\1\1\5\0\2" + SOON + CLAIM + b"\0\4\0\2\1\5\0\3" + SOON + CLAIM +
    b"\0\0\0\5\0\4",
    "claims-loaded": STRANGER + LOAD + CLAIM + b"\0\0\1\5\0\1" + SOON + GOES + CLAIM +
    b"\0\2\1\5\0\2",
    "claims-plain": STRANGER + PLAIN_CLAIM + b"\0\1\0\5\0\1" + SOON + GOES +
    PLAIN_CLAIM + b"\0\0\0\5\0\1" + SOON + GOES + BREAKS + b"\0" + DIAL +
    GOES * 2 + SOON + PLAIN_CLAIM +
    b"\0\1\0\5\0\1",
    "rekeys-often": DIAL + GOES * 3 + (SOON + REKEY + GOES * 3) * 4,
    "unread": STRANGER + BLOCKS + b"\1" + b"".join(
        CLAIM + b"\0\x10\1\5\0" + bytes([i]) for i in range(9)),
    "rekeys": DIAL + GOES * 3 + REKEY + GOES + IS_KEPT + b"\0" + LATER +
    REKEY + LOST + LATER,
    "restarts": DIAL + GOES * 3 + ANEW + b"\1" + DIAL + GOES * 3 + ANEW +
    b"\0" + DIAL,
    "breaks": DIAL + IS_KEPT + b"\2" + GOES + BREAKS + b"\0" + DIAL + GOES +
    CHANGED + b"\5" + A_BIT_FIXED,
    "any": DIAL + GOES * 2 + b"".join(ANY + bytes([to, what]) + bytes(20)
                                      for to in (0, 1) for what in range(5)),
}


# with several links: modes 16 and 32
JOINED = DIAL + GOES * 3 + DIAL * 2
LINKED = {
    "joins": JOINED + SPEAKS,
    "joins-at-once": DIAL + GOES * 3 + DIAL_QUIETLY * 2 + SPEAKS,
    "replaces": JOINED + STRANGER + LINK + b"\3\1" + LINK + b"\0\2" + SPEAKS,
    "too-many": JOINED + STRANGER + LINK + b"\3\3" + LINK + b"\3\xff",
    "moves": JOINED + STRANGER + CLAIM + b"\3\x10\1\5\0\1" + SOON + SPEAKS,
    "moves-away": DIAL + GOES * 3 + BREAKS + b"\0" + LATER + DIAL + GOES * 3 +
    DIAL + STRANGER + LINK + b"\4\1",
    "rekeys-over": JOINED + REKEY_OVER + b"\1" + SOON + GOES * 3 +
    REKEY_OVER + b"\2" + BREAKS + b"\2" + SOON + GOES * 3 + DIAL,
    "doubts": DIAL + GOES * 3 + DIAL_QUIETLY * 2 + BREAKS + b"\1" +
    DIAL_QUIETLY + BREAKS + b"\2" + DIAL + GOES * 3 + SPEAKS,
    "waits": DIAL + GOES * 3 + DIAL_QUIETLY + BREAKS + b"\1" +
    DIAL_QUIETLY * 2 + BREAKS + b"\1" + LATER + GOES * 3,
    "restarts-there": JOINED + ANEW + b"\1" + DIAL + GOES * 3 + DIAL * 2,
}


def coded(texts):
    return {k: v.encode("latin-1") for k, v in texts.items()}


def in_modes(events, modes, suffix=""):
    return {k + suffix: bytes([modes]) + v for k, v in events.items()}


# events of fuzz_port.c: frames of A, a datagram of A's, time; modes lead
def frames_of_a(data):
    return b"\0\0" + bytes([len(data)]) + data


def say(n):
    return b"\7" + bytes([n])


STEP, TWO_SECONDS = b"\2\x50", b"\2\xa1"
PORTS = {
    "parts": b"\0" + say(5) + say(255) + STEP + say(21) + STEP,
    "parts-plain-lossy": b"\1" + b"\x08\0\x40\4\x10" + say(99) + STEP +
    say(77) + TWO_SECONDS,
    "parts-narrow": b"\0" + say(255) + b"\x0d\1" + say(201) + STEP + say(9) +
    TWO_SECONDS + say(255) + STEP,
    "parts-poor": b"\4" + say(255) * 6 + b"\x0e\3" + say(255) + STEP,
    "parts-restart": b"\0" + say(255) + b"\x0c\1" + say(255) + STEP +
    b"\x0c\0" + STEP,
    "parts-forged": b"\x08" + say(1) + STEP +
    frames_of_a(part(2, 1, 100, 0, bytes(40))) +
    frames_of_a(part(2, 1, 100, 60, bytes(40))) +
    frames_of_a(part(2, 1, 100, 40, bytes(20))) +
    frames_of_a(part(2, 1, 100, 40, bytes(20))) + TWO_SECONDS,
    "parts-overlap": b"\x08" + say(1) + STEP +
    frames_of_a(part(2, 1 << 40, 100, 0, bytes(40)) +
                part(2, 1 << 40, 100, 39, bytes(40))) +
    frames_of_a(part(4, 5, 100, 0, bytes(40))),
    "parts-first": b"\x0c" + say(1) + STEP + b"".join(
        frames_of_a(b"".join(part(2, 20 * i + k, 65507, 9, b"x")
                             for k in range(20))) for i in range(6)) +
    TWO_SECONDS,
}


CORPORA = {
    "port": PORTS,
    "addr": coded(ADDRS),
    "base64": PLAIN_BYTES,
    "conf": coded(CONFS),
    "frame": FRAMES,
    "handshake": in_modes(HANDSHAKES, 0) |
    in_modes(HANDSHAKES, 1, "-plain") |
    in_modes({k: HANDSHAKES[k] for k in ("plainly", "loaded")}, 6, "-differ") |
    in_modes({k: HANDSHAKES[k] for k in ("lost", "rekeys")}, 10, "-slow") |
    in_modes(LINKED, 16) | in_modes(LINKED, 17, "-plain") |
    in_modes({"joins": LINKED["joins"]}, 48, "-fewer") |
    in_modes({"joins": LINKED["joins"]}, 24, "-slow"),
    "keytext": coded(KEYS),
    "node": in_modes(NODES, 0) |
    in_modes({k: NODES[k] for k in ("opens", "restarts")}, 1, "-plain") |
    in_modes({k: NODES[k] for k in ("poor", "large", "held")}, 4, "-poor") |
    in_modes({"crowded": NODES["crowded"]}, 8, "-flows") |
    in_modes(SPREADS, 32, "-links") |
    in_modes({"bound": SPREADS["bound"]}, 33, "-plain-links") |
    in_modes({k: NODES[k] for k in ("train", "moves")}, 18, "-slow"),
    "policy": coded(RULES),
    "record": RECORDS,
    "url": coded(URLS),
}


PREAMBLE = b"udptunnel by md.\0\0\0\x01\x03\x06\x10\x15\x21\x28\x36\x45\x55\x66x\x91"


def framed(*lengths):
    return b"".join(struct.pack(">H", n) + bytes([n & 255]) * n
                    for n in lengths)


STREAMS = {
    "one": framed(5),
    "train": framed(100, 100, 100, 40, 100),
    "empty": framed(0, 0, 1, 0),
    "growing": framed(1, 2, 3, 4),
    "large": framed(65507, 3),
    "over-long": framed(65508, 2, 65535, 2),
    "half": framed(9)[:-3],
    "led": PREAMBLE + framed(3, 3),
    "half-led": PREAMBLE[:20],
    "almost-led": PREAMBLE[:31] + b"!" + framed(3),
    "http": b"GET / HTTP/1.1\r\n\r\n",
    "ike": b"IKETCP" + framed(9),
    "tls": b"\x16\x03\x01\x00\x40\x01" + bytes(60),
}

SOCKS = {
    "granted": b"\5\0" + b"\5\0\0\1" + bytes(6),
    "by-name": b"\5\0" + b"\5\0\0\3\4abcd\0\1" + b"tunnel",
    "by-six": b"\5\0" + b"\5\0\0\4" + bytes(18),
    "password": b"\5\2\1\0" + b"\5\0\0\1" + bytes(6),
    "wrong-password": b"\5\2\1\1",
    "no-method": b"\5\xff",
    "refused": b"\5\0" + b"\5\2\0\1" + bytes(6),
    "four": b"\4\x5a" + bytes(6),
    "odd-address": b"\5\0" + b"\5\0\0\x09" + bytes(6),
    "http": b"HTTP/1.1 400 Bad Request\r\n\r\n",
}

HEADS = {
    "ok": b"HTTP/1.1 200 OK\r\n\r\ntunnel",
    "fields": b"HTTP/1.0 200 Connection established\r\nVia: x\r\nA: b\r\n\r\n",
    "interim": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n",
    "password": b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
    "refused": b"HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno!",
    "bare-lf": b"HTTP/1.1 200 OK\nA: b\n\n",
    "no-http": b"SSH-2.0-OpenSSH_9.2\r\n",
    "long": b"HTTP/1.1 200 OK\r\n" + b"A: " + b"b" * 9000 + b"\r\n\r\n",
    "odd-status": b"HTTP/1.1 2x0 OK\r\n\r\n",
    "unquoted": b"HTTP/1.1 500 \"\\ \x01\xff\r\n\r\n",
    "cut-status": b"HTTP/1.1 503 " + b"x" * 90 + b"\r\n\r\n",
    "unended": b"HTTP/1.1 200 OK\r\nA: b\r\n",
}

VIAS = {
    "socks": "socks5://proxy:1080",
    "password": "socks5://me:se%20cret@[2001:db8::1]:1080",
    "http": "http://me:@proxy.example:3128",
    "user": "http://me@proxy:3128",
    "bad-hex": "http://me:%zz@proxy:3128",
    "nul": "http://me:%00@proxy:3128",
    "no-port": "socks5://proxy",
    "path": "http://proxy:1/x",
    "slash": "http://proxy:1/",
    "empty": "http://:@proxy:1",
    "colon": "http://a%3ab:c@proxy:1",
    "half": "socks5://me@proxy:1",
    "scheme": "ftp://proxy:1",
}


def asked(answers):
    return {f"{k}-{which:02x}": bytes([which]) + v
            for k, v in answers.items() for which in (0, 0x11)}


CORPORA |= {
    "framing": {f"{k}-{start}": bytes([start, 9]) + v
                for k, v in STREAMS.items() for start in range(3)},
    "frameq": {
        "flows": bytes([0, 0, 0, 100, 9] * 6 + [1, 60, 2, 0, 5, 5, 0]),
        "held": bytes([0x20, 1, 1, 0, 3] * 9 + [3, 200] * 9 + [4, 9, 1, 0]),
        "held-many": bytes([6, 90, 0, 9, 63] * 4 + [3, 0, 4, 0, 5, 0]),
        "blocked": bytes([0x10, 0, 5, 220, 0xbf] * 12 + [2, 0, 7] + [1, 255]),
        "large": bytes([0, 0, 255, 227, 0] * 4 + [1, 60]),
        "empty": bytes([0, 0, 0, 0, 0] * 5 + [5, 0]),
        "begun": bytes([0, 0, 0, 50, 3, 2, 0, 9, 0, 5, 0, 50, 3, 1, 60, 3, 0,
                        1, 60]),
    },
    "socks5": asked(SOCKS),
    "http_connect": asked(HEADS),
    "via": coded(VIAS),
}


# discovery: section 13.2
def item(kind, value):
    return struct.pack(">BH", kind, len(value)) + value


def question(wanted=0, window=500, known=(), version=1):
    q = struct.pack(">BBBBQIHH", 0x20, version, 0, 0, 7, wanted, window,
                    len(known))
    return (q + b"".join(struct.pack(">I", k) for k in known)).ljust(
        1200, b"\0")


def answer(*items):
    return struct.pack(">BBBBQII", 0x21, 1, 0, 0, 7, 67, 1500) + \
        b"".join(items)


BOOT = item(6, b"bootboot")
CORPORA["discover"] = {
    "question": question(),
    "wanted": question(wanted=67),
    "known": question(known=range(280)),
    "too-many": question(known=range(281)),
    "window": question(window=10001),
    "version": question(version=2),
    "short": question()[:1199],
    "answer": answer(item(1, b"k" * 32), BOOT, item(2, b"box"),
                     item(3, b"0.1.0"), item(4, b"tcp://127.0.0.1:80"),
                     item(5, b"\0\0\0\5"), item(7, b"eth0"),
                     item(8, b"\x18\x0a\1\1\1"),
                     item(8, b"\x40\xfe\x80" + b"\0" * 13 + b"\1"),
                     item(9, b"\2")),
    "plain": answer(BOOT),
    "no-boot": answer(item(1, b"k" * 32)),
    "escape": answer(BOOT, item(2, b"\x1b[31m\0\xff")),
    "long-name": answer(BOOT, item(2, b"n" * 64)),
    "addresses": answer(BOOT, *[item(8, b"\x20\1\2\3\4")] * 9),
    "cut": answer(BOOT, b"\2\0\x09cut"),
}


def main():
    for noun, inputs in CORPORA.items():
        folder = os.path.join(TOP, noun)
        os.makedirs(folder, exist_ok=True)
        for name, data in inputs.items():
            with open(os.path.join(folder, name), "wb") as f:
                f.write(data)


if __name__ == "__main__":
    main()
