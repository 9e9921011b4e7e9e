# SPDX-License-Identifier: MIT
"""lan.py - hosts on a bridge, and what is carried between them

A Lan is a namespace with a bridge.  plug() gives a host a cable to it, with or
without an address; unplug() takes the cable out of the bridge, so that the host
sees its carrier go.  What a station of the LAN sees is counted at the bridge's
port.
"""
import hashlib
import os
import re
import subprocess
import time

from expect import Failed, equal, sh, until
from lib import CULVERT, Node, Process

URL = "lan://67@"


class Lan:
    """a bridge in a namespace of its own"""

    def __init__(self, scene, name="x"):
        self.scene, self.bridge, self.ports = scene, scene.host(name), 0
        self.bridge.ip("link add br0 type bridge")
        self.bridge.sysctl("net.ipv6.conf.br0.disable_ipv6", 1)
        self.bridge.ip("link set br0 up")

    def plug(self, host, dev="eth0", addr=None):
        """a new cable from @host's @dev: the port of the bridge"""
        self.ports += 1
        port = f"p{self.ports}"
        sh("ip", "-n", self.bridge.ns, "link", "add", port, "type", "veth",
           "peer", "name", dev, "netns", host.ns)
        self.bridge.sysctl(f"net.ipv6.conf.{port}.disable_ipv6", 1)
        self.bridge.ip(f"link set {port} master br0 up")
        if addr:
            host.address(addr, dev)
        host.ip(f"link set {dev} up")
        return port

    def unplug(self, port):
        """no carrier at the host any more"""
        self.bridge.ip(f"link set {port} down")

    def replug(self, port):
        self.bridge.ip(f"link set {port} up")

    def remove(self, host, dev):
        """the interface is gone"""
        host.ip(f"link del {dev}")

    def sent(self, *ports):
        """bytes that the bridge sent out of @ports"""
        return sum(self.count(p, "TX") for p in ports)

    def heard(self, *ports):
        """bytes that came into the bridge by @ports"""
        return sum(self.count(p, "RX") for p in ports)

    def count(self, port, way):
        text = self.bridge.ip(f"-s link show {port}")
        return int(re.search(rf"{way}:.*\n\s+(\d+)", text)[1])

    def slow(self, port, mbit):
        """what the bridge sends to the host, and the host's own rate"""
        self.bridge.run("tc", "qdisc", "replace", "dev", port, "root", "tbf",
                        "rate", f"{mbit}mbit", "burst", "32k", "latency",
                        "50ms")


def strict(host, rp, v6=True, devs=("eth0",)):
    """its rp_filter, and whether it speaks IPv6"""
    for dev in ("all", *devs):
        host.sysctl(f"net.ipv4.conf.{dev}.rp_filter", rp)
    for dev in devs:
        host.sysctl(f"net.ipv6.conf.{dev}.disable_ipv6", int(not v6))


def web(scene, host, size=1000000, port=8080, bind="127.0.0.1"):
    """a web server, on loopback if need be, with one page: its checksum"""
    page = os.urandom(size)
    folder = os.path.join(scene.dir, f"web{port}")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "page"), "wb") as f:
        f.write(page)
    p = Process(host, ["python3", "-m", "http.server", str(port), "--bind",
                       bind], "web", folder)
    until(lambda: listens(host, port), "the web server listens", 10, 0.05)
    return p, hashlib.sha256(page).hexdigest()


def listens(host, port):
    return f":{port} " in host.run("ss", "-ltnH").stdout


class Get:
    """curl of a page, running; its exit code, checksum and times"""

    def __init__(self, host, port=7777, name="page", rate=None,
                 addr="127.0.0.1"):
        self.path = os.path.join(host.scene.dir, f"got{time.monotonic_ns()}")
        line = ["ip", "netns", "exec", host.ns, "curl", "-sS", "-m", "60",
                "-o", self.path, "-w", "%{time_starttransfer} %{time_total}"]
        if rate:
            line += ["--limit-rate", rate]
        self.began = time.monotonic()
        self.popen = subprocess.Popen(
            [*line, f"http://{addr}:{port}/{name}"], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def size(self):
        return os.path.getsize(self.path) if os.path.exists(self.path) else 0

    def end(self, seconds=60):
        """(checksum, seconds to the first byte, seconds)"""
        try:
            out, err = self.popen.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            raise Failed(f"curl has {self.size()} bytes after {seconds} s")
        if self.popen.returncode:
            raise Failed(f"curl ends with {self.popen.returncode}: {err}")
        with open(self.path, "rb") as f:
            got = hashlib.sha256(f.read()).hexdigest()
        os.unlink(self.path)
        first, total = map(float, out.split())
        return got, first, total


class Unprivileged:
    """nodes of a user who may nothing: no capability, no group"""

    def __init__(self, scene):
        self.scene, self.user = scene, scene.user()
        at = self.user.prefix.index("env")
        self.prefix = [*self.user.prefix[:at], "--bounding-set=-all",
                       "--inh-caps=-all", *self.user.prefix[at:]]
        for k in ("s", "c"):
            self.user.give(scene.key(k)[0])

    def key(self, name):
        return os.path.join(self.user.dir, name + ".key")

    def security(self, own, peer):
        return ["--key", self.key(own), "--peer", self.scene.key(peer)[1]]

    def start(self, host, *args, name):
        line = [*self.prefix, "culvert", *args, "--name",
                self.scene.prefix + name]
        return Process(host, line, name, self.user.dir)


def start(host, *args, name):
    """a node with all privileges; its log is looked at, not its socket"""
    return Process(host, [CULVERT, *args, "--name", host.scene.prefix + name],
                   name)


TARGET = "tcp://127.0.0.1:8080"


def security(scene, own, peer):
    return ["--key", scene.key(own)[0], "--peer", scene.key(peer)[1]]


def serve(host, url=URL, *more):
    """a node that lets its peer reach the web server"""
    return Node(host, ["serve", url, *security(host.scene, "s", "c"), "--allow",
                       TARGET, *more], "server", "msg=listening")


def forward(host, url=URL, frm="tcp://127.0.0.1:7777", to=TARGET):
    return Node(host, ["forward", frm, to, "via", url,
                       *security(host.scene, "c", "s")], "client",
                "msg=forwarding")
