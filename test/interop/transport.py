# SPDX-License-Identifier: MIT
"""Section 12 of doc/protocol.md a second time, on top of reference.py.

One thread, one timer, no congestion control: a packet that is not acknowledged in time
is lost, and what was in it is sent again.
"""
import collections
import random
import select
import socket
import time

from reference import (DONE, INITIATION, NOT_ALLOWED, PLAIN, RESPONSE, UNKNOWN_FLOW, Dropped,
                       Initiation, Link, Malformed, Session, ack, frame, frames, respond, stream)

WINDOW, SESSION_WINDOW = 1 << 20, 8 << 20
LARGEST, SESSION_LARGEST = 16 << 20, 32 << 20
SMALL = 1280 - 28                       # 12.6: what every path takes, without IPv4 and UDP
PROBE, REORDER, IN_FLIGHT = .25, 3, 64
# 12.2: what asks on a byte stream; on datagram links it is all but QUIET
LOUD = {"STREAM", "WINDOW", "SESSION_WINDOW", "OPEN", "OPENED", "RESET"}
QUIET = {"PADDING", "TIME", "ACK", "CLOSE"}


class Spans:
    """Sets of numbers, as sorted pairs (from, to), the latter not in them."""

    def __init__(self):
        self.all = []

    def add(self, low, high):
        """The part of it that is new, in numbers."""
        before, out = sum(b - a for a, b in self.all), []
        for a, b in self.all:
            if b < low or high < a:
                out.append((a, b))
            else:
                low, high = min(a, low), max(b, high)
        self.all = sorted(out + [(low, high)]) if low < high else out
        return sum(b - a for a, b in self.all) - before

    def __contains__(self, number):
        return any(a <= number < b for a, b in self.all)

    def without(self, low, high):
        """What of low to high is not in it."""
        out = []
        for a, b in self.all:
            if low < a:
                out.append((low, min(a, high)))
            low = max(low, b)
            if low >= high:
                break
        return [(a, b) for a, b in out + [(low, high)] if a < b]

    def prefix(self):
        return self.all[0][1] if self.all and self.all[0][0] == 0 else 0


class UdpLink:
    """12.1: a UDP datagram is one packet. `lose(packet)` says which are lost on the way."""

    def __init__(self, sock, address=None):
        self.sock, self.address, self.begun = sock, address, 0.
        self.lose_out = self.lose_in = lambda packet: False
        self.limit = SMALL

    def send(self, *packets):
        for one in packets:
            if not self.lose_out(one):
                self.sock.sendto(one, self.address)

    def recv(self, timeout=3):
        self.sock.settimeout(max(timeout, .0001))
        while True:
            packet, self.source = self.sock.recvfrom(1 << 16)
            if not self.lose_in(packet):
                return packet

    def close(self):
        self.sock.close()


class Stream:
    """Both directions of a STREAM flow, under the number that we write."""

    def __init__(self, name):
        self.name, self.opened, self.code = name, False, None
        self.out, self.end, self.next, self.end_sent = bytearray(), False, 0, False
        self.acked, self.end_acked, self.again = Spans(), False, []
        self.told_taken, self.limit = 0, WINDOW             # what the peer's WINDOW said
        self.data, self.have, self.final = bytearray(), Spans(), None
        self.taken, self.said, self.window = 0, 0, WINDOW   # what ours said
        self.unsure = False                                 # ... which may have been lost
        self.hold = False                                   # the consumer does not read

    def write(self, data, end=False):
        self.out += data
        self.end = self.end or end

    def got(self, offset, data, end):
        """12.3: bytes in any order; Malformed beyond the window or the end."""
        top = offset + len(data)
        if end and self.final not in (None, top) or self.final is not None and top > self.final \
                or end and self.have.all and self.have.all[-1][1] > top:
            raise Malformed("final size")
        if top > self.said + self.window:
            raise Malformed("beyond the window")
        if end:
            self.final = top
        self.data += bytes(max(0, top - len(self.data)))
        for low, high in self.have.without(offset, top):
            self.data[low:high] = data[low - offset:high - offset]
        if bytes(self.data[offset:top]) != data:
            raise Malformed("other bytes than before")
        self.have.add(offset, top)

    def ready(self):
        return self.have.prefix()

    def ended(self):
        return self.final is not None and self.ready() == self.final

    def delivered(self):
        return self.end_acked and self.acked.prefix() == len(self.out)

    def over(self):
        return self.code is not None or self.ended() and self.delivered() and \
            self.taken == self.final


class Transport(Session):
    """A session whose streams are reliable on any link; the caller drives it with step()."""

    def __init__(self, *args, **how):
        super().__init__(*args, **how)
        self.streams, self.past, self.accepts = {}, {}, lambda target: None
        self.control, self.sent, self.seen = [], collections.OrderedDict(), Spans()
        self.top = self.largest_acked = -1
        self.acks = Spans()                 # the numbers of ours that were acknowledged
        self.session_limit, self.session_window = SESSION_WINDOW, SESSION_WINDOW
        self.owed, self.owed_since, self.quiet = False, 0., False
        self.counts, self.packets = collections.Counter(), []
        self.probe, self.sizes = PROBE, collections.Counter()
        self.wholes, self.ended, self.parts = {}, set(), random.getrandbits(29)
        self.answered = True                # whether challenges are answered

    # -- links, keys

    def dial(self, address, udp=True):
        """Initiator, on a new link: a handshake; what was under way is lost."""
        if udp:
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
            self.link = UdpLink(sock, address)
        else:
            self.link = Link(socket.create_connection(address, 3))
            self.link.limit = 16000
        self.links = {0: self.link}
        self.udp = udp
        for number in list(self.sent):
            self.lost(number)
        self.handshake()
        return self

    def handshake(self, **hello):
        wait = .3
        while True:
            self.pending = Initiation(self.node, self.peer, self.psk, self.cookie, **hello)
            self.link.send(self.pending.packet)
            try:
                packet = self.link.recv(wait if self.udp else 3)
                while packet[0] & ~PLAIN != RESPONSE:
                    self.take(packet)
                    packet = self.link.recv(wait if self.udp else 3)
            except TimeoutError:
                wait = min(2 * wait, 5)
                if wait == 5:
                    raise
                continue
            return self.turn(self.pending.response(packet))

    def turn(self, keys, confirm=True):
        """4.3: numbers go on, whatever the keys."""
        if self.keys:
            keys.number = self.keys.number
        self.previous, self.keys = self.keys, keys
        if confirm:
            self.send(frame("LINK", 0) if not self.udp and self.agreed() > 1 else b"",
                      frame("PING", 0))

    def serve(self, sock, timeout=5):
        """Responder, on a datagram port or a listener: until the first packet."""
        self.answers = True
        self.udp = sock.type == socket.SOCK_DGRAM
        if self.udp:
            self.link = UdpLink(sock)
        else:
            sock.settimeout(timeout)
            self.link = Link(sock.accept()[0])
            self.link.limit = 16000
            for number in list(self.sent):
                self.lost(number)
        self.links, keys = {0: self.link}, self.keys
        begin = time.monotonic()
        while self.keys is keys:
            self.take(self.link.recv(timeout))
            if time.monotonic() - begin > timeout:
                raise TimeoutError("no session")
        return self

    def take(self, packet):
        """One packet; what it held is in self.packets too."""
        kind = packet[0] & ~PLAIN
        if kind == INITIATION:
            answer, keys, who = respond(self.node, packet, self.psk)
            if not self.node.plain and keys.stamp <= getattr(self, "stamp", 0) or \
                    self.peer not in (None, who):
                raise Dropped("stamp or peer")
            self.stamp, self.next = keys.stamp, keys
            if self.udp:
                self.link.sock.sendto(answer, self.link.source)
            else:
                self.link.send(answer)
            return
        if kind == RESPONSE:
            return                          # of an initiation that was repeated
        for keys in (self.keys, self.previous, self.next):
            if keys and keys.mine == packet[1:8]:
                text = keys.open(packet)
                if keys is self.next:
                    self.next = None
                    self.turn(keys, confirm=False)
                return self.read(int.from_bytes(packet[8:16], "big"), text, len(packet))
        raise Dropped("no keys")

    def read(self, number, text, size):
        """12.2: all of a packet, then whether it is acknowledged."""
        if number in self.seen:
            raise Dropped("number seen")
        if number > self.top and self.udp:  # 12.7
            self.top, self.link.address = number, self.link.source
        self.sizes[size] += 1
        kept, asks, names = True, False, []
        for one in frames(text):
            names.append(one)
            asks = asks or (one[0] not in QUIET if self.udp else one[0] in LOUD)
            kept = self.meet(one) and kept
        self.packets.append((number, names))
        if kept:
            self.seen.add(number, number + 1)
        if kept and asks and (self.udp or self.streams or self.past):
            if not self.owed:
                self.owed_since = time.monotonic()
            self.owed = True

    # -- frames

    def meet(self, one):
        """What a frame does; False if something in it could not be kept."""
        name = one[0]
        self.counts[name] += 1
        if name == "ACK":
            self.acknowledged(one[1], one[3])
        elif name == "PING" and not self.udp:
            self.send(frame("PONG", one[1]))
        elif name == "PATH_CHALLENGE" and self.answered:
            self.send(frame("PATH_RESPONSE", one[1]))
        elif name == "OPEN" and one[2] == 1:
            self.opens(one[1] ^ 1, one[3])
        elif name in ("OPEN", "DGRAM") or name in ("OPENED", "RESET") and one[1] ^ 1 in self.flows:
            self.flow(one)
        elif name in ("OPENED", "RESET", "WINDOW", "STREAM"):
            return self.of_stream(one)
        elif name == "PART":
            self.part(*one[1:])
        elif name == "SESSION_WINDOW":
            if one[1] > SESSION_LARGEST:
                raise Malformed("session window")
            self.session_limit = max(self.session_limit, one[1])
        if name not in ("PADDING", "ACK", "STREAM", "WINDOW", "PART"):
            self.log.append(one)
        return True

    def flow(self, one):
        """Flows of datagrams, as in section 7."""
        flow = one[1] ^ 1
        if one[0] == "OPEN":
            code = NOT_ALLOWED if one[2] != 2 else self.reach(one[3])
            if code is None:
                self.flows[flow] = "open"
            self.queue("OPENED" if code is None else "RESET", flow, *[code] * (code is not None))
        elif one[0] == "OPENED":
            self.flows[flow] = "open"
        elif one[0] == "RESET":
            self.flows.pop(flow, None)
        elif flow not in self.flows:
            self.queue("RESET", flow, UNKNOWN_FLOW)

    def part(self, flow, number, whole, offset, data):
        """12.8: a datagram that is complete is in the log as a DGRAM."""
        if not self.udp:
            raise Malformed("a part on a byte stream")
        if number in self.ended:
            return
        if flow ^ 1 not in self.flows:
            self.ended.add(number)
            return self.queue("RESET", flow ^ 1, UNKNOWN_FLOW)
        x = self.wholes.setdefault(number, (flow, Spans(), bytearray(whole)))
        if x[0] != flow or len(x[2]) != whole or \
                x[1].add(offset, offset + len(data)) != len(data):
            raise Malformed("contradicts a part before it")
        x[2][offset:offset + len(data)] = data
        if x[1].prefix() == whole:
            self.ended.add(number)
            del self.wholes[number]
            self.log.append(("DGRAM", flow, whole, bytes(x[2])))

    def cut(self, flow, data, size=1100):
        """12.8: the parts of a datagram, frames for a packet each."""
        self.parts += 1
        return [frame("PART", flow, self.parts, len(data), at, data[at:at + size])
                for at in range(0, len(data), size)]

    def opens(self, name, target):
        if name in self.past:
            return
        if name in self.streams:
            return self.queue("OPENED", name)
        code = self.accepts(target)
        if code is not None:
            self.past[name] = None
            return self.queue("RESET", name, code)
        self.streams[name] = Stream(name)
        self.streams[name].opened, self.streams[name].target = True, target
        self.queue("OPENED", name)

    def of_stream(self, one):
        name, s = one[0], self.streams.get(one[1] ^ 1)
        if not s:
            if name == "OPENED" and one[1] ^ 1 in self.past:
                self.queue("RESET", one[1] ^ 1, DONE)
            return name != "STREAM" or one[1] ^ 1 in self.past
        if name == "OPENED":
            s.opened = True
        elif name == "RESET":
            s.code = one[2] if s.code is None else s.code
        elif name == "WINDOW":
            if one[3] > LARGEST or one[2] > s.next:
                raise Malformed("window")
            s.told_taken = max(s.told_taken, one[2])
            s.limit = max(s.limit, one[2] + one[3])
        else:
            s.got(*one[2:])
            if not s.hold:
                s.taken = s.ready()
        return True

    def queue(self, name, *values):
        self.control.append((name, frame(name, *values)))

    # -- what was sent

    def stream(self, target):
        """A new STREAM flow; bytes may follow at once."""
        self.number += 2
        self.streams[self.number] = Stream(self.number)
        self.queue("OPEN", self.number, 1, target)
        return self.streams[self.number]

    def reset(self, s, code=DONE):
        s.code = code
        self.queue("RESET", s.name, code)

    def acknowledged(self, largest, spans):
        if largest >= self.keys.number:
            raise Malformed("ACK of a number never sent")
        for low, high in spans:
            self.acks.add(low, high + 1)
            for number in [n for n in self.sent if low <= n <= high]:
                self.probe = PROBE
                for s, item in self.sent.pop(number)[1]:
                    if item[0] == "STREAM":
                        s.acked.add(item[1], item[2])
                        s.end_acked = s.end_acked or item[3]
        self.largest_acked = max(self.largest_acked, largest)
        for number in [n for n in self.sent if n <= self.largest_acked - REORDER]:
            self.lost(number)

    def lost(self, number):
        """12.3: what was in it is to be sent again."""
        for s, item in self.sent.pop(number)[1]:
            if item[0] == "STREAM" and s.code is None:
                s.again += [(a, b) for a, b in s.acked.without(item[1], item[2])]
                s.end_sent = s.end_sent and not item[3]
            elif item[0] == "WINDOW":
                s.unsure = True
            elif item[0] in ("OPEN", "OPENED", "RESET"):
                self.control.append(item)
        self.counts["lost"] += 1

    def room(self):
        """12.4: what the session's window leaves."""
        return self.session_limit - sum(s.next - s.told_taken for s in self.streams.values()
                                        if s.code is None)

    def bytes_of(self, s, room):
        """The next bytes of a stream that may go, with what to remember of them."""
        if s.again:
            low, high = s.again.pop(0)
            high, rest = min(high, low + room), high
            if high < rest:
                s.again.insert(0, (high, rest))
        else:
            low = s.next
            high = min(len(s.out), low + room, s.limit, low + max(0, self.room()))
        end = s.end and not s.end_sent and high == len(s.out)
        if low == high and not end:
            return b"", None
        s.next, s.end_sent = max(s.next, high), s.end_sent or end
        self.counts["bytes"] += high - low
        return stream(s.name, low, bytes(s.out[low:high]), end), ("STREAM", low, high, end)

    def windows(self):
        """WINDOW for each stream of which half of the window, or a quarter of the
        session's, was taken and not told."""
        live = [s for s in self.streams.values() if s.code is None]
        much = sum(s.taken - s.said for s in live) >= self.session_window // 4
        for s in live:
            if s.unsure or s.taken - s.said >= s.window // 2 or much and s.taken > s.said:
                s.said, s.unsure = s.taken, False
                yield s, ("WINDOW",), frame("WINDOW", s.name, s.taken, s.window)

    def fill(self):
        """The next packet: its text and what to remember of it."""
        limit = self.link.limit - 16 - 16 * (not self.keys.plain)
        out, items = b"", []
        if self.owed:
            out += ack([(a, b - 1) for a, b in self.seen.all[-24:][::-1]],
                       int((time.monotonic() - self.owed_since) * 1e6))
            self.owed = False
        if len(self.sent) >= IN_FLIGHT:
            return out, items
        for s, item, made in self.windows():
            out += made
            items.append((s, item))
        while self.control and len(out) + len(self.control[0][1]) <= limit:
            item = self.control.pop(0)
            out += item[1]
            items.append((None, item))
        for s in [s for s in self.streams.values() if s.code is None]:
            while limit - len(out) > 40:
                made, item = self.bytes_of(s, limit - len(out) - 30)
                if not item:
                    break
                out += made
                items.append((s, item))
        return out, items

    def transmit(self, text, items):
        number = self.keys.number
        if items:
            self.sent[number] = time.monotonic(), items
        self.send(text)

    def flush(self):
        while self.link.address if self.udp else True:
            text, items = self.fill()
            if not text:
                break
            self.transmit(text, items)
        for s in [s for s in self.streams.values() if s.over()]:
            self.past[s.name] = self.streams.pop(s.name)

    def step(self, timeout=.01):
        """Sends what may go, reads what is there, finds what is lost."""
        now = time.monotonic()
        late = [n for n, (when, _) in self.sent.items() if now - when > self.probe]
        for number in late:
            self.lost(number)
        if late:
            self.probe = min(2 * self.probe, 2)
        self.flush()
        for count in range(50):
            buffered = not self.udp and len(self.link.got) >= 3 and \
                len(self.link.got) >= 3 + int.from_bytes(self.link.got[:3], "big")
            if not buffered and not select.select([self.link.sock], [], [],
                                                  0 if count else timeout)[0]:
                break
            try:
                self.take(self.link.recv(1))
            except Dropped:
                self.counts["dropped"] += 1
            except (TimeoutError, ConnectionRefusedError):
                break
        self.flush()

    def until(self, what, timeout=10):
        """Steps until it is true."""
        end = time.monotonic() + timeout
        while not what():
            self.step()
            if time.monotonic() > end:
                raise TimeoutError(f"not within {timeout} s; {dict(self.counts)}")

    def wait(self, name, timeout=3):
        """The next frame of that name; the others are passed by."""
        found = []

        def look():
            while self.log and not found:
                one = self.log.pop(0)
                found.extend([one] * (one[0] == name))
            return found
        self.until(look, timeout)
        return found[0]

    def barrier(self, timeout=3):
        """Everything sent before has been seen when this returns."""
        number = self.raw(frame("PING", self.keys.number))
        self.until(lambda: number in self.acks or ("PONG", number) in self.log, timeout)

    def raw(self, *parts, **how):
        """A packet that is not remembered: what is lost of it stays lost."""
        self.send(*parts, **how)
        return self.keys.number - 1
