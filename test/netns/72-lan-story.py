#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The box without an address: browsed, logged into, given one, gone on with

A NAS has no address at all, not even of IPv6; its web interface and its sshd
listen on loopback.  A workstation has three interfaces: one to the office and
the world, one to the NAS, one with nothing on it.  It has no privilege, and a
firewall.
"""
import hashlib
import http.client
import json
import os
import subprocess
import time

from lib import (CULVERT, LO, Process, Scene, equal, sh, true, until, url)

WEB, OTHER, SSH = 7777, 7778, 2222
SIZE = 1 << 20
HERE = os.path.dirname(os.path.abspath(__file__))
# root, but nothing that needs CAP_NET_RAW
PLAIN = ["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw"]
# of doc/lan.md
WALL = """
table inet wall {
	chain in {
		type filter hook input priority 0; policy drop;
		iifname lo accept
		ct state established,related accept
		icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
		udp dport PORT accept
	}
}
"""


class Shell:
    """one ssh session, kept open"""

    def __init__(self, host):
        self.p = subprocess.Popen(
            ["ip", "netns", "exec", host.ns, "ssh", "-T", "-p", str(SSH),
             "-i", s.path("user"), "-o", "BatchMode=yes",
             "-o", "StrictHostKeyChecking=no",
             "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
             f"root@{LO}", "sh"], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            bufsize=1)
        s.sockets.append(self)

    def run(self, line):
        """what it prints, on one line"""
        self.p.stdin.write(f"{line}; echo over\n")
        words = []
        while "over" not in words:
            got = self.p.stdout.readline()
            true(got, f"the session ended after {words}")
            words += got.split()
        return " ".join(words[:-1])

    def close(self):
        self.p.kill()
        self.p.wait()
        self.p.stdin.close()
        self.p.stdout.close()


class Story(Scene):
    def path(self, name):
        return os.path.join(self.dir, name)

    def plug(self, lan, host, dev, port):
        """an interface of a host into a LAN"""
        sh("ip", "-n", lan.ns, "link", "add", port, "type", "veth", "peer",
           "name", dev, "netns", host.ns)
        lan.ip(f"link set {port} master br0 up")
        host.ip(f"link set {dev} up")

    def lan(self, name):
        h = self.host(name)
        h.ip("link add br0 type bridge")
        h.ip("link set br0 up")
        return h

    def sshd(self, host):
        """root's home is ours there"""
        home = self.path("home")
        os.makedirs(home + "/.ssh", 0o700)
        sh("ssh-keygen", "-qt", "ed25519", "-N", "", "-f", self.path("user"))
        sh("cp", self.path("user.pub"), home + "/.ssh/authorized_keys")
        sh("dropbearkey", "-t", "ed25519", "-f", self.path("host"))
        self.etc(host, "passwd", f"root:x:0:0:root:{home}:/bin/sh\n")
        return host.start("dropbear", "-FEs", "-r", self.path("host"), "-P",
                          self.path("dropbear.pid"), "-p", f"{LO}:22")

    def wall(self, host, port):
        path = self.file("wall.nft", WALL.replace("PORT", str(port)))
        host.run("nft", "-f", path)


def client(name, *args):
    """a forward of somebody without privilege"""
    n = Process(ws, [*PLAIN, CULVERT, *args], name)
    n.name = s.prefix + name
    return n.said("msg=forwarding")


def shown(node):
    return json.loads(sh(CULVERT, "show", "-j", node.name).stdout)["peers"][0]


def curl(*args):
    return ws.run("curl", "-sS", "--max-time", "5", *args).stdout


def page(*args):
    return curl(*args, f"http://{LO}:{WEB}/")


def get(path="/", body=None):
    """the same connection each time"""
    web.request("POST" if body else "GET", path, body)
    return web.getresponse().read()


def is_posted():
    data = os.urandom(SIZE)
    equal(get("/disk", data).decode(), hashlib.sha256(data).hexdigest())


def settled(node, kind, dev):
    until(lambda: f"{kind} by {dev} (proven)" in shown(node)["way"],
          f"{kind} by {dev}, not {shown(node)['way']}", 8, 0.05)


with Story("72", __doc__.splitlines()[0]) as s:
    office, lan = s.lan("office"), s.lan("lan")
    nas, ws = s.host("nas"), s.host("ws")
    s.plug(lan, nas, "eth0", "nas")
    nas.sysctl("net.ipv6.conf.eth0.disable_ipv6", 1)
    nas.sysctl("net.ipv4.conf.eth0.rp_filter", 1)
    s.plug(office, ws, "eth0", "ws")
    ws.address("10.72.0.2/24")
    ws.ip("route add default via 10.72.0.1")
    s.plug(lan, ws, "eth1", "ws")
    ws.address("192.168.7.2/24", "eth1")
    ws.ip("link add eth2 type veth peer name nowhere")
    ws.ip("link set eth2 up")
    ws.address("172.16.72.2/24", "eth2")
    for dev in ("eth0", "eth1", "eth2"):
        ws.sysctl(f"net.ipv4.conf.{dev}.rp_filter", 1)
    s.wall(nas, 17238)
    s.wall(ws, 17239)
    other = s.host("other")
    s.plug(lan, other, "eth0", "other")
    other.address("192.168.68.1/24")
    for host in (nas, other):
        host.start("python3", os.path.join(HERE, "nas.py"), "eth0", tag="web")
    s.sshd(nas)
    client_pub, server_pub = s.key("c")[1], s.key("s")[1]
    box = s.serve(nas, "lan://67@", options=(
        "--allow", f"tcp://{LO}:80", "--allow", f"tcp://{LO}:22",
        "--discoverable"))
    s.serve(other, "lan://68@", key="o", name="other")

    with s.check("it has no address"):
        equal(nas.ip("-brief addr show dev eth0").split()[2:], [])

    with s.check("it is found"):
        found = [json.loads(line) for line in ws.run(
            *PLAIN, CULVERT, "discover", "-j").stdout.splitlines()]
        equal([(f["id"], f["key"]) for f in found], [(67, server_pub)])

    with s.check("one line, and its page is here"):
        one = client("one", "forward", url("tcp", LO, WEB), url("tcp", LO, 80),
                     "via", "lan://67@", "--key", s.key("c")[0], "--peer",
                     server_pub, "--name", s.prefix + "one")
        true("address: none" in page(), page())
        one.signal(15)
        equal(one.exit_code(), 0)

    both = client("both", "run", "-c", s.file("both.conf", f"""
[Node]
Name = {s.prefix}both
PrivateKeyFile = {s.key("c")[0]}

[Peer nas]
PublicKey = {server_pub}
Endpoint = lan://67@

[Peer other]
PublicKey = {s.key("o")[1]}
Endpoint = lan://68@

[Forward other]
From = tcp://{LO}:{OTHER}
To = tcp://{LO}:80
Via = other

[Forward web]
From = tcp://{LO}:{WEB}
To = tcp://{LO}:80
Via = nas

[Forward ssh]
From = tcp://{LO}:{SSH}
To = tcp://{LO}:22
Via = nas
"""))
    shell = Shell(ws)
    with ws:
        web = http.client.HTTPConnection(LO, WEB, timeout=10)
        web.connect()
    s.sockets.append(web)

    with s.check("a page, 1 MB, and a shell"):
        true(b"address: none" in get(), "its page")
        equal(len(get("/disk")), SIZE)
        shell.run("HERE=kept; true")
        equal(shell.run("ip -brief addr show dev eth0 | wc -w"), "2")
        shell_pid = shell.run("echo $$")

    with s.check("1 MB up to it: what is sent to everybody"):
        began = time.monotonic()
        is_posted()
        s.note(f"{time.monotonic() - began:.2f} s")

    with s.check("the same with packets that its network card has put together"):
        nas.run("ethtool", "-K", "eth0", "gro", "on")
        lan.run("ethtool", "-K", "nas", "tso", "off")
        nas.run("sh", "-c", "cd /sys/class/net/eth0; echo 50 >"
                "napi_defer_hard_irqs; echo 2000000 >gro_flush_timeout")
        is_posted()
        nas.run("ethtool", "-K", "eth0", "gro", "off")

    with s.check("show says how it is reached"):
        way = shown(both)["way"]
        s.note(way)
        true("by eth1" in way, way)
        text = sh(CULVERT, "show", both.name).stdout
        true("  way: " in text, text)
        s.note(box.peer()["way"])
        true(box.peer()["way"].startswith("frame by eth0"), box.peer()["way"])

    with s.check("a second box, by the same node"):
        true("address: 192.168.68.1/24" in curl(f"http://{LO}:{OTHER}/"),
             "its page")

    with s.check("its own page refuses what is no address"):
        true("no address" in page("-d", "address=7"), "400")

    with s.check("its own page gives it an address"):
        curl_says = page("-d", "address=192.168.7.67/24")
        true("address: 192.168.7.67/24" in curl_says, curl_says)

    with s.check("the address answers"):
        ws.run("ping", "-c", "1", "-W", "2", "192.168.7.67", check=False)
        nas.nft("add rule inet wall in icmp type echo-request accept")
        ws.run("ping", "-c", "1", "-W", "2", "192.168.7.67")

    with s.check("the same shell and connection go on, by the address"):
        settled(both, "unicast", "eth1")
        equal(shown(both)["link"], "lan://192.168.7.67:17238")
        equal(shell.run("echo $HERE $$"), f"kept {shell_pid}")
        equal(shell.run("ip -brief -4 addr show dev eth0").split()[2],
              "192.168.7.67/24")
        true(b"address: 192.168.7.67/24" in get(), "the page")
        equal(len(get("/disk")), SIZE)

    with s.check("the cable is moved to an interface that was not there: they "
                 "go on"):
        lan.ip("link del ws")
        s.plug(lan, ws, "usb0", "usb")
        ws.address("192.168.7.3/24", "usb0")
        equal(shell.run("echo $HERE $$"), f"kept {shell_pid}")
        settled(both, "unicast", "usb0")
        equal(len(get("/disk")), SIZE)
        both.said("interface=usb0")

    with s.check("the address is taken away again: they go on"):
        nas.ip("addr flush dev eth0")
        equal(shell.run("echo $HERE $$"), f"kept {shell_pid}")
        equal(len(get("/disk")), SIZE)
        way = shown(both)["way"]
        s.note(way)
        true("by usb0" in way and "unicast" not in way, way)

    with s.check("all of that happened in a sandbox"):
        if "ASAN_OPTIONS" not in os.environ:
            for node in (both, box):
                text = sh(CULVERT, "show", node.name).stdout
                true("seccomp" in text and "net_raw" not in text, text)

    shell.close()
    web.close()
    both.signal(15)
    equal(both.exit_code(), 0, "exit code")
