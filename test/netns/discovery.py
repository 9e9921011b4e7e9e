# SPDX-License-Identifier: MIT
"""discovery.py - packets of discovery: made, watched and counted"""
import socket
import struct
import threading
import time

PORT, ASKING = 17238, 17239
QUESTION, ANSWER = 0x20, 0x21


def question(nonce, window=0, wanted=0, size=1200):
    return struct.pack("!BBBBQIHH", QUESTION, 1, 0, 0, nonce, wanted, window,
                       0).ljust(size, b"\0")


class Watch(threading.Thread):
    """packets of discovery on an interface: (time, type, bytes)"""

    def __init__(self, host, dev="eth0"):
        super().__init__(daemon=True)
        with host:
            self.s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM,
                                   socket.htons(3))
        self.s.bind((dev, 3))
        self.s.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # RCVBUFFORCE
        self.s.setsockopt(socket.SOL_SOCKET, 35, 1)  # TIMESTAMPNS
        self.s.settimeout(0.1)
        self.seen, self.on = [], True
        self.start()

    def run(self):
        while self.on:
            try:
                data, control, _, at = self.s.recvmsg(2048, 64)
            except TimeoutError:
                continue
            head = {0x0800: 28, 0x86dd: 48}.get(at[1])
            if not head or len(data) <= head:
                continue
            ports = struct.unpack("!HH", data[head - 8:head - 4])
            if PORT in ports and data[head] in (QUESTION, ANSWER):
                s, ns = struct.unpack("qq", control[0][2][:16])
                self.seen.append((s + ns / 1e9, data[head],
                                  len(data) - head))

    def end(self):
        time.sleep(0.15)
        self.on = False
        self.join()
        self.s.close()
        return self.seen

    def answers(self):
        return [s for s in self.seen if s[1] == ANSWER]

    def busiest(self):
        """as many answers as there are in any 100 ms"""
        times, most, first = sorted(t for t, _, _ in self.answers()), 0, 0
        for i, t in enumerate(times):
            while t - times[first] >= 0.1:
                first += 1
            most = max(most, i - first + 1)
        return most
