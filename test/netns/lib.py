# SPDX-License-Identifier: MIT
"""lib.py - what the namespace tests share

A test is a scene, then numbered checks, printed as TAP:

    with Scene("10", "datagrams of every size") as s:
        a, b = s.pair()                    # two hosts and a cable
        ...
        with s.check("an empty datagram comes back"):
            equal(u.ask(b"", to), b"")

A check that fails is reported and the next one runs.  Hosts are namespaces;
the test itself opens sockets in them.  Whatever a scene started is gone when
it ends, however it ends; what a killed run left is removed by the next.
"""
import contextlib
import ctypes
import fcntl
import glob
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

from expect import Failed, equal, family, sh, short, true, until, url
from traffic import (LO, OUT, Echo, Flood, Pinger, Relay, Sink, Udp, Worker,
                     watch)

__all__ = ["CULVERT", "Echo", "Failed", "Flood", "Host", "IN", "LINK", "LO",
           "LO6", "LONG", "Node", "OUT", "Pinger", "Process", "Relay", "Scene",
           "Sink", "Udp", "User", "Worker", "equal", "family", "sh", "short",
           "true", "until", "url", "watch"]

CULVERT = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else "culvert"
LONG = bool(os.environ.get("CULVERT_LONG"))  # the tests of the long tier too
LINK, IN = 3456, 1234  # ports, as the manual has them
LO6 = "::1"

libc = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def alone(what):
    """no other test does it at the same time"""
    with open(f"/run/lock/culvert-{what}", "w") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


class Process:
    """a program on a host, and what it prints"""

    def __init__(self, host, command, tag, cwd=None):
        self.tag, self.host = tag, host
        self.path = os.path.join(host.scene.dir, f"{tag}.{len(host.scene.all)}")
        self.out = open(self.path, "wb")
        self.popen = subprocess.Popen(
            ["ip", "netns", "exec", host.ns, *map(str, command)],
            stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.out,
            cwd=cwd or host.scene.dir, start_new_session=True)
        self.pid = self.popen.pid
        host.scene.all.append(self)

    def log(self):
        with open(self.path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def said(self, text, seconds=5.0, times=1):
        """wait for a text in what it printed"""
        def look():
            if self.popen.poll() is not None and text not in self.log():
                raise Failed(f"{self.tag} ended, code {self.popen.returncode}:"
                             f" {self.log()[-500:]}")
            return self.log().count(text) >= times
        until(look, f"{self.tag} says {text!r}", seconds, 0.005)
        return self

    def signal(self, number):
        os.kill(self.pid, number)

    def exit_code(self, seconds=5.0):
        until(lambda: self.popen.poll() is not None, f"{self.tag} ends",
              seconds, 0.002)
        return self.popen.returncode

    def kill(self):
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.wait()
        self.out.close()

    def alive(self):
        return self.popen.poll() is None

    def status(self, key):
        """a number of /proc/PID/status, kB for sizes"""
        with open(f"/proc/{self.pid}/status") as f:
            return int(re.search(rf"{key}:\s+(\d+)", f.read())[1])

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def cpu(self):
        """seconds of CPU so far"""
        with open(f"/proc/{self.pid}/stat") as f:
            t = f.read().rsplit(")", 1)[1].split()
        return (int(t[11]) + int(t[12])) / os.sysconf("SC_CLK_TCK")


class Node(Process):
    """a running culvert"""

    def __init__(self, host, args, name, ready):
        self.name = host.scene.prefix + name
        super().__init__(host, [CULVERT, *args, "--name", self.name], name)
        self.said(ready)

    def show(self):
        return json.loads(sh(CULVERT, "show", "-j", self.name).stdout)

    def peer(self, name=None):
        """what show says of a peer: the only one, or by name"""
        peers = self.show()["peers"]
        return [p for p in peers if name in (None, p["name"])][0]

    def up(self, seconds=5.0):
        until(lambda: self.peer()["state"] == "up", f"{self.tag} up", seconds,
              0.02)
        return self

    def dropped(self, name):
        return self.show()["dropped"][name]

    def drops(self):
        """every drop that was counted"""
        return {k: n for k, n in self.show()["dropped"].items() if n}


class Host:
    """a namespace; `with host:` opens sockets in it"""

    def __init__(self, scene, name):
        self.scene, self.name, self.ns = scene, name, scene.prefix + name
        self.home = threading.local()
        sh("ip", "netns", "add", self.ns)
        self.fd = os.open(f"/run/netns/{self.ns}", os.O_RDONLY)
        # addresses are usable at once
        self.sysctl("net.ipv6.conf.default.accept_dad", 0)
        self.ip("link set lo up")

    def __enter__(self):
        self.home.fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        self.enter(self.fd)
        return self

    def __exit__(self, *_):
        self.enter(self.home.fd)
        os.close(self.home.fd)

    @staticmethod
    def enter(fd):
        if libc.setns(fd, 0x40000000):  # CLONE_NEWNET
            raise OSError(ctypes.get_errno(), "setns")

    def ip(self, line):
        return sh("ip", "-n", self.ns, *line.split()).stdout

    def run(self, *command, **kw):
        return sh("ip", "netns", "exec", self.ns, *command, **kw)

    def nft(self, rules):
        self.run("nft", rules)

    def sysctl(self, key, value):
        self.run("sysctl", "-qw", f"{key}={value}")

    def address(self, addr, dev="eth0"):
        self.ip(f"addr add {addr} dev {dev}")

    def start(self, *command, tag=None):
        return Process(self, command, tag or os.path.basename(command[0]))

    def udp(self, addr=LO, port=0, reuse=False):
        return Udp(self, addr, port, reuse)

    def tcp(self, addr, port=LINK, seconds=5.0):
        with self:
            s = socket.create_connection((addr, port), seconds)
        self.scene.sockets.append(s)
        return s

    def queues(self, port):
        """bytes in the send queues of TCP connections to or from @port"""
        total, want = 0, f":{port:04X}"
        with self:
            for path in ("tcp", "tcp6"):
                with open(f"/proc/thread-self/net/{path}") as f:
                    for line in f.readlines()[1:]:
                        w = line.split()
                        if want in (w[1][-5:], w[2][-5:]) and w[3] == "01":
                            total += int(w[4].split(":")[0], 16)
        return total


class User:
    """somebody who is not root, in a directory of his own"""

    ID = 65534

    def __init__(self, scene):
        os.chmod(scene.dir, 0o711)
        self.dir = os.path.join(scene.dir, "home")
        self.sockets = os.path.join(self.dir, "culvert")
        os.mkdir(self.dir, 0o700)
        os.chown(self.dir, self.ID, self.ID)
        os.mkdir(os.path.join(self.dir, "bin"), 0o755)
        shutil.copy(CULVERT, os.path.join(self.dir, "bin", "culvert"))
        self.prefix = ["setpriv", f"--reuid={self.ID}", f"--regid={self.ID}",
                       "--clear-groups", "env", f"PATH={self.dir}/bin",
                       f"XDG_RUNTIME_DIR={self.dir}"]

    def give(self, path):
        """put a file into the directory, as this user's"""
        to = os.path.join(self.dir, os.path.basename(path))
        shutil.copy(path, to)
        os.chown(to, self.ID, self.ID)

    def start(self, host, line):
        return Process(host, self.prefix + line.split(), line.split()[1],
                       self.dir)

    def run(self, line, **kw):
        return sh(*self.prefix, *line.split(), cwd=self.dir, **kw)


class Scene:
    """hosts, keys and programs of one test file"""

    def __init__(self, number, title):
        if os.geteuid():
            print("Bail out! namespaces need root: sudo python3", *sys.argv)
            sys.exit(1)
        self.prefix, self.title = "cvt" + number, title
        self.hosts, self.all, self.workers, self.sockets = {}, [], [], []
        self.count = self.failures = 0
        self.keys = {}

    def __enter__(self):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        self.lock = open(f"/run/lock/culvert-{self.prefix}", "w")
        fcntl.flock(self.lock, fcntl.LOCK_EX)  # one run at a time
        self.sweep()
        self.dir = tempfile.mkdtemp(prefix=self.prefix)
        self.began = time.monotonic()
        for line in self.title.splitlines():
            print(f"# {line}", flush=True)
        return self

    def __exit__(self, kind, value, trace):
        try:
            if kind and kind is not SystemExit:
                self.report("the scene is set up", value, trace)
            elif not kind:
                with self.check("what still runs stops in order"):
                    self.stop_nodes()
            if self.failures:
                self.dump()
        finally:
            self.clear()
        if kind is SystemExit:
            return False
        print(f"1..{self.count}")
        print(f"# {time.monotonic() - self.began:.1f} s", flush=True)
        sys.exit(1 if self.failures or not self.count else 0)

    def clear(self):
        """nothing of it is left"""
        try:
            for w in self.workers:
                w.close()
            for p in self.all:
                p.kill()
            for s in self.sockets:
                s.close()
        finally:
            for h in self.hosts.values():
                os.close(h.fd)
            self.sweep()
            shutil.rmtree(self.dir, ignore_errors=True)
            self.lock.close()

    def stop_nodes(self):
        """exit code 0, and no sanitizer, if there is one, has complained"""
        nodes = [p for p in self.all if isinstance(p, Node) and p.alive()]
        for n in nodes:
            n.signal(signal.SIGCONT)
            n.signal(signal.SIGTERM)
        for n in nodes:
            equal(n.exit_code(10), 0, f"{n.tag}'s exit code")
        for p in self.all:
            found = re.search(r"ERROR: \w+Sanitizer.*|runtime error: .*",
                              p.log())
            true(not found, found and f"{p.tag}: {found[0]}")

    def sweep(self):
        """namespaces of this file, what still runs in them, their sockets"""
        for path in glob.glob(f"/run/netns/{self.prefix}*"):
            ns = os.path.basename(path)
            for pid in sh("ip", "netns", "pids", ns,
                          check=False).stdout.split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            sh("ip", "netns", "del", ns, check=False)
            with alone("etc"):
                shutil.rmtree(f"/etc/netns/{ns}", ignore_errors=True)
                with contextlib.suppress(OSError):
                    os.rmdir("/etc/netns")  # if nobody has something there
        for path in glob.glob(f"/run/culvert/{self.prefix}*.sock"):
            os.unlink(path)

    # --- checks ---

    @contextlib.contextmanager
    def check(self, name):
        began = time.monotonic()
        try:
            yield
            for w in self.workers:
                if w.error and not w.stopped.is_set():
                    w.stopped.set()
                    raise w.error
        except Exception as e:  # one check fails, the others run
            self.report(name, e, e.__traceback__)
            return
        self.count += 1
        print(f"ok {self.count} - {name}", flush=True)
        if time.monotonic() - began > 1:
            print(f"#   took {time.monotonic() - began:.1f} s", flush=True)

    def report(self, name, error, trace):
        self.count += 1
        self.failures += 1
        print(f"not ok {self.count} - {name}")
        where = [f for f in traceback.extract_tb(trace)
                 if os.path.basename(f.filename) == os.path.basename(
                     sys.argv[0])]
        for f in where[-1:]:
            print(f"#   line {f.lineno}: {f.line}")
        print(f"#   {type(error).__name__}: {error}", flush=True)

    def note(self, text):
        print(f"# {text}", flush=True)

    def dump(self):
        for p in self.all:
            for line in p.log().splitlines()[-12:]:
                print(f"# {p.tag}: {line}")

    # --- hosts ---

    def host(self, name):
        self.hosts[name] = Host(self, name)
        return self.hosts[name]

    def cable(self, a, dev_a, b, dev_b):
        sh("ip", "-n", a.ns, "link", "add", dev_a, "type", "veth", "peer",
           "name", dev_b, "netns", b.ns)
        for h, dev in ((a, dev_a), (b, dev_b)):
            h.ip(f"link set {dev} up")
        for h, dev in ((a, dev_a), (b, dev_b)):
            until(lambda h=h, dev=dev: "LOWER_UP" in h.ip(f"link show {dev}"),
                  "the cable is up")

    def pair(self, names="ab", net=None):
        """two hosts: a has .1 and ::1 in a net of this file, b .2 and ::2"""
        net = net or int(re.sub(r"\D", "", self.prefix))
        a, b = (self.host(n) for n in names)
        self.cable(a, "eth0", b, "eth0")
        for n, h in ((1, a), (2, b)):
            h.v4, h.v6 = f"10.{net}.0.{n}", f"fd00:{net}::{n}"
            h.address(h.v4 + "/24")
            h.address(h.v6 + "/64")
        return a, b

    def user(self):
        return User(self)

    def etc(self, host, name, text):
        """a file that programs on @host find in /etc; may be changed later"""
        folder = f"/etc/netns/{host.ns}"
        with alone("etc"):
            os.makedirs(folder, exist_ok=True)
        # in place, for it is mounted over the other one
        with open(os.path.join(folder, name), "w") as f:
            f.write(text)

    def hosts_file(self, host, text):
        self.etc(host, "hosts", f"127.0.0.1 localhost\n{text}")

    # --- culvert ---

    def file(self, name, text="", mode=0o600):
        path = os.path.join(self.dir, name)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def key(self, name):
        """path of a private key, and its public key"""
        if name not in self.keys:
            path = os.path.join(self.dir, name + ".key")
            self.keys[name] = (path, sh(CULVERT, "genkey",
                                        path).stdout.strip())
        return self.keys[name]

    def security(self, key, peers, link="tcp:"):
        if "+" in link.split(":")[0]:  # foreign framings have no keys
            return []
        args = ["--key", self.key(key)[0]]
        for p in peers:
            args += ["--peer", self.key(p)[1]]
        return args

    def serve(self, host, *links, options=(), key="s", peers=("c",),
              name="server"):
        args = ["serve", *links, *self.security(key, peers, links[0]), *options]
        return Node(host, args, name, "msg=listening")

    def forward(self, host, frm, to, via, options=(), key="c", peer="s",
                name="client"):
        words = [frm, to, "via", via] if to else [frm, "via", via]
        args = ["forward", *words, *self.security(key, [peer], via), *options]
        return Node(host, args, name, "msg=forwarding")

    def config(self, host, text, name):
        """a node from a file, in which {prefix} and {key} are filled in"""
        text = f"[Node]\nName = {self.prefix}{name}\n{text}"
        n = Node.__new__(Node)
        n.name = self.prefix + name
        Process.__init__(n, host, [CULVERT, "run", "-c",
                                   self.file(name + ".conf", text)], name)
        return n.said("msg=forwarding" if "[Forward" in text
                      else "msg=listening")

    def tunnel(self, a, b, addr=LO, serve=(), forward=()):
        """server on b, client on a, one port: what most tests begin with"""
        server = self.serve(b, url("tcp", b.v4, LINK), options=serve)
        client = self.forward(a, url("udp", addr, IN), url("udp", addr, OUT),
                              url("tcp", b.v4, LINK), options=forward)
        return server, client.up()
