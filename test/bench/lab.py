# SPDX-License-Identifier: MIT
"""lab.py - a long bad path in network namespaces, and what is sent over it

Namespace a is the client's, 10.77.0.1; b is the server's, 10.77.0.2; wan joins
the two in w.  On a bare path there is a veth alone.  In m is a client that
moves: it has two uplinks to a, which translates addresses.
"""
import contextlib
import ctypes
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

A, B, LO = "10.77.0.1", "10.77.0.2", "127.0.0.1"
PORT, LINK, SSH = 5201, 3456, 5222
HZ = os.sysconf("SC_CLK_TCK")
NS = "cvx"
LIBC = ctypes.CDLL(None, use_errno=True)


class Path:
    """what wan is told, one way in ms, and what that allows"""

    def __init__(self, delay, rate, more="", lost=0.0):
        self.rtt, self.rate, self.lost = 2 * delay, rate, lost
        self.args = f"--delay {delay} --rate {rate} {more}".split()


PATHS = {
    "b": Path(10, 200),
    "c": Path(50, 100, "--loss 1", 0.01),
    "d": Path(100, 20, "--loss 5", 0.05),
    "e": Path(15, 50, "--burst 2,5 --reorder 1,2", 0.02),
    "fair": Path(20, 50),
    "far": Path(50, 100),
    "codel": Path(20, 50, "--codel 1"),
    "bare": None,
}


class Missing(Exception):
    """a program or a property that a part needs"""


def sh(line, check=True):
    return subprocess.run(line.split() if isinstance(line, str) else line,
                          capture_output=True, text=True, check=check)


def until(what, seconds, name):
    end = time.monotonic() + seconds
    while not (got := what()):
        if time.monotonic() > end:
            raise TimeoutError(f"{name}: not within {seconds} s")
        time.sleep(0.005)
    return got


def pairs(line):
    """key=value, numbers as such"""
    return {k: float(v) for k, v in re.findall(r"(\w+)=(-?[\d.]+)", line)}


def cpu(pid):
    with open(f"/proc/{pid}/stat") as f:
        t = f.read().rsplit(")", 1)[1].split()
    return (int(t[11]) + int(t[12])) / HZ


def rss(pid):
    """resident kB"""
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1])


class Inside:
    """sockets opened in `with` belong to a namespace of ours"""

    def __init__(self, side):
        self.path = f"/run/netns/{NS}{side}"

    def __enter__(self):
        self.home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        with open(self.path) as f:
            self.go(f.fileno())

    def __exit__(self, *_):
        self.go(self.home)
        os.close(self.home)

    @staticmethod
    def go(fd):
        if LIBC.setns(fd, 0x40000000):  # CLONE_NEWNET
            raise OSError(ctypes.get_errno(), "setns")


class Lab:
    """namespaces and programs; leaving it removes all of them"""

    def __init__(self, culvert, tload, wan, options):
        self.culvert, self.tload, self.wan = culvert, tload, wan
        self.options = options
        self.procs = []

    def __enter__(self):
        self.lock = open(f"/run/lock/culvert-{NS}", "w")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit("another run is under way")
        for s in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(s, lambda *_: sys.exit(1))
        # a shell's job in the background would not hear of it
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self.dir = tempfile.mkdtemp(prefix="culvert-transport-")
        self.pub = {n: sh([self.culvert, "genkey", self.file(n + ".key")]
                          ).stdout.strip() for n in "sc"}
        return self

    def __exit__(self, *_):
        # a second Ctrl-C is not to leave half of it
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.down()
        shutil.rmtree(self.dir, ignore_errors=True)

    def file(self, name):
        return os.path.join(self.dir, name)

    def said(self):
        """the last lines of what ran"""
        for name in sorted(os.listdir(self.dir)):
            if name.endswith((".log", ".err")):
                with open(self.file(name), errors="replace") as f:
                    for line in f.read().splitlines()[-3:]:
                        yield f"{name}: {line[:200]}"

    # --- namespaces ---

    def down(self):
        for p in self.procs:
            if p.poll() is None:
                p.kill()
            p.wait()
        self.procs = []
        for ns in re.findall(rf"^{NS}\w", sh("ip netns list").stdout, re.M):
            for pid in sh(f"ip netns pids {ns}", False).stdout.split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            sh(f"ip netns del {ns}", False)

    def up(self, name, seed=1):
        """a fresh path, one of PATHS"""
        self.down()
        for old in os.listdir(self.dir):
            if old.endswith((".log", ".err")):
                os.unlink(self.file(old))
        path = PATHS[name]
        for side in "ab" if path is None else "abw":
            sh(f"ip netns add {NS}{side}")
            sh(f"ip -n {NS}{side} link set lo up")
        if path is None:
            sh(f"ip -n {NS}a link add eth0 type veth peer name eth0 netns "
               f"{NS}b")
        else:
            self.join()
        self.host("a", 1)
        self.host("b", 2)
        for side in "ab":
            until(lambda: "LOWER_UP" in sh(
                f"ip -n {NS}{side} link show eth0").stdout, 5, "cable")
        if path:
            self.emulate(path, seed)
        return path

    @staticmethod
    def join():
        sh(f"ip netns exec {NS}w sysctl -qw "
           "net.ipv6.conf.all.disable_ipv6=1")
        for x in "ab":
            sh(f"ip -n {NS}w link add w{x} txqueuelen 10000 type veth peer "
               f"name eth0 netns {NS}{x}")
            sh(f"ip -n {NS}w link set w{x} up")
            # whole frames: the stack cuts its super-packets before the wire
            sh(f"ip netns exec {NS}{x} ethtool -K eth0 tso off "
               "tx-udp-segmentation off")
            sh(f"ip netns exec {NS}w ethtool -K w{x} gro off")

    @staticmethod
    def host(side, n):
        ns, other = NS + side, 3 - n
        sh(f"ip -n {ns} link set eth0 address 02:77:00:00:00:0{n}")
        sh(f"ip -n {ns} addr add 10.77.0.{n}/24 dev eth0")
        sh(f"ip -n {ns} link set eth0 mtu 1500 up")
        sh(f"ip -n {ns} neigh replace 10.77.0.{other} lladdr "
           f"02:77:00:00:00:0{other} dev eth0 nud permanent")
        for k, v in (("tcp_rmem", "4096 131072 33554432"),
                     ("tcp_wmem", "4096 65536 33554432"),
                     ("tcp_no_metrics_save", "1")):
            sh(["ip", "netns", "exec", ns, "sysctl", "-qw",
                f"net.ipv4.{k}={v}"])

    def emulate(self, path, seed):
        log = self.file("wan.log")
        p = self.start("w", [self.wan, "wa", "wb", "--rt", "--seed", seed,
                             *path.args], log)
        time.sleep(0.2)
        if p.poll() is not None:
            with open(log) as f:
                raise Missing(f.read().strip())
        self.path = p

    def passed(self):
        """what the path did from b to a by now: its counters by name"""
        self.path.send_signal(signal.SIGINT)
        self.path.wait()
        with open(self.file("wan.log")) as f:
            words = re.search(r"(?m)^ba (.*)$", f.read())[1].split()
        return {k: int(n) for k, n in zip(words[::2], words[1::2])}

    def roam(self):
        """m with two uplinks, of which the first is used"""
        sh(f"ip netns add {NS}m")
        sh(f"ip -n {NS}m link set lo up")
        sh(f"ip netns exec {NS}a sysctl -qw net.ipv4.ip_forward=1")
        rules = ["add table ip n", "add chain ip n p { type nat hook "
                 "postrouting priority srcnat; }"]
        for i in (1, 2):
            sh(f"ip -n {NS}m link add up{i} type veth peer name up{i} netns "
               f"{NS}a")
            sh(f"ip -n {NS}m link set up{i} up")
            sh(f"ip -n {NS}a link set up{i} up")
            sh(f"ip -n {NS}a addr add 10.78.{i}.1/24 dev up{i}")
            sh(f"ip -n {NS}a addr add 10.77.0.1{i}/24 dev eth0")
            sh(f"ip netns exec {NS}a sysctl -qw "
               f"net.ipv4.conf.up{i}.rp_filter=1")
            rules.append(f"add rule ip n p ip saddr 10.78.{i}.0/24 oifname "
                         f"eth0 snat to 10.77.0.1{i} random")
        sh(["ip", "netns", "exec", NS + "a", "nft", "; ".join(rules)])
        self.move(0)

    def move(self, k):
        """the other uplink, an address never used before, the old one gone"""
        i = 1 + k % 2
        lines = [f"addr add 10.78.{i}.{2 + k % 250}/24 dev up{i}",
                 f"route replace default via 10.78.{i}.1 dev up{i}",
                 f"addr flush dev up{3 - i}"]
        subprocess.run(["ip", "-n", NS + "m", "-batch", "-"],
                       input="\n".join(lines), text=True, check=True,
                       capture_output=True)

    @staticmethod
    def counters(side, dev="eth0"):
        """bytes received and sent"""
        d = json.loads(sh(f"ip -n {NS}{side} -s -j link show {dev}").stdout)
        return (d[0]["stats64"]["rx"]["bytes"], d[0]["stats64"]["tx"]["bytes"])

    # --- programs ---

    def start(self, side, command, log=None, **kw):
        err = open(log, "w") if log else subprocess.DEVNULL
        p = subprocess.Popen(
            ["ip", "netns", "exec", NS + side, *map(str, command)],
            stdin=subprocess.DEVNULL, stderr=err, text=True,
            **{"stdout": err, **kw})
        if log:
            err.close()
        self.procs.append(p)
        return p

    def listening(self, side, port, udp=False):
        until(lambda: f":{port} " in sh(
            f"ip netns exec {NS}{side} ss -{'lun' if udp else 'ltn'}H"
        ).stdout, 5, f"port {port}")

    def sink(self, port=PORT, cc=None):
        """the service: tload in b"""
        p = self.start("b", [self.tload, "serve", port, *([cc] if cc else [])],
                       preexec_fn=many)
        self.listening("b", port)
        return p

    def load(self, side, op, to, *more):
        """begin a load; result() waits for it, not for ever"""
        p = self.start(side, [self.tload, op, *to, *more],
                       self.file("tload.err"), stdout=subprocess.PIPE)
        p.patience = 30 + more[more.index("-t") + 1] if "-t" in more else 90
        return p

    @staticmethod
    def result(p, seconds=None):
        try:
            out = p.communicate(timeout=seconds or p.patience)[0]
        except subprocess.TimeoutExpired:
            raise RuntimeError("the load does not come to its end") from None
        if not out:
            raise RuntimeError(f"the load ended with code {p.returncode}")
        return dict(pairs(out), code=p.returncode)


def many():
    """as many descriptors as can be had"""
    import resource
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))


# --- what carries: to() is where the load connects ---

class Kernel:
    """TCP straight through the path"""

    def __init__(self, lab, cc, side="a", **_):
        self.port = 5300 + ["bbr", "cubic"].index(cc)
        self.server = lab.sink(self.port, cc)
        self.pids = []

    def to(self):
        return B, self.port


class Ssh:
    """ssh -L; its server is not root's"""

    def __init__(self, lab, side="a", **_):
        sshd = os.environ.get("SSHD") or shutil.which(
            "sshd", path=os.environ["PATH"] + ":/usr/sbin")
        if not sshd:
            raise Missing("no sshd: apt-get install openssh-server, or SSHD=")
        os.chmod(lab.dir, 0o755)
        for k in ("host", "user"):
            if not os.path.exists(lab.file(k)):
                sh(["ssh-keygen", "-qt", "ed25519", "-N", "", "-f",
                    lab.file(k)])
        os.chown(lab.file("host"), 65534, 65534)
        with open(lab.file("sshd.conf"), "w") as f:
            f.write(f"Port {SSH}\nHostKey {lab.file('host')}\nUsePAM yes\n"
                    f"AuthorizedKeysFile {lab.file('user.pub')}\n"
                    "StrictModes no\nPidFile none\n")
        lab.sink()
        self.server = lab.start("b", [
            "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
            sshd, "-D", "-e", "-f", lab.file("sshd.conf")],
            lab.file("sshd.log"))
        lab.listening("b", SSH)
        self.client = lab.start(side, [
            "ssh", "-NT", "-p", SSH, "-i", lab.file("user"), "-o",
            "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o",
            "UserKnownHostsFile=/dev/null",
            "-L", f"{LO}:{PORT}:{LO}:{PORT}", f"nobody@{B}"],
            lab.file("ssh.log"))
        lab.listening(side, PORT)
        self.pids = [self.server.pid, self.client.pid]

    def to(self):
        return LO, PORT


class Culvert:
    """what this is all about; the server's side sends, so it is traced"""

    def __init__(self, lab, side="a", trace=None, wait=True, more=(), **_):
        self.lab, self.side, o = lab, side, lab.options
        query = f"?cc={o.cc}" if o.cc else ""
        lab.sink()
        self.server = lab.start("b", [
            lab.culvert, "serve", f"{o.via}://0.0.0.0:{LINK}{query}", "--key",
            lab.file("s.key"), "--peer", lab.pub["c"], "--allow",
            f"tcp://{LO}:{PORT}", "--name", NS + "-s",
            *(["--trace", trace] if trace else []), *more],
            lab.file("server.log"), preexec_fn=many)
        lab.listening("b", LINK, o.via == "udp")
        self.more, self.query = more, query
        self.client = None
        if wait:
            self.dial()
            lab.listening(side, PORT)
            self.up()

    def dial(self):
        self.client = self.lab.start(self.side, [
            self.lab.culvert, "forward", f"tcp://{LO}:{PORT}",
            f"tcp://{LO}:{PORT}", "via",
            f"{self.lab.options.via}://{B}:{LINK}{self.query}", "--key",
            self.lab.file("c.key"), "--peer", self.lab.pub["s"], "--name",
            NS + "-c", *self.more],
            self.lab.file("client.log"), preexec_fn=many)
        self.pids = [self.server.pid, self.client.pid]

    def up(self, seconds=10):
        until(lambda: self.state() == "up", seconds, "peer up")

    def state(self):
        for who in ("server", "client"):
            p = getattr(self, who)
            if p and p.poll() is not None:
                raise RuntimeError(f"{who} ended: {self.log(who)}")
        text = sh([self.lab.culvert, "show", "-j", NS + "-c"], False).stdout
        return json.loads(text)["peers"][0]["state"] if text else "none"

    def drops(self):
        """what the server has refused, by reason"""
        text = sh([self.lab.culvert, "show", "-j", NS + "-s"]).stdout
        return {k: n for k, n in json.loads(text)["dropped"].items() if n}

    def log(self, who):
        with open(self.lab.file(who + ".log")) as f:
            return f.read()[-300:].strip()

    def to(self):
        return LO, PORT


def carrier(lab, kind, **kw):
    if kind == "culvert":
        return Culvert(lab, **kw)
    return Ssh(lab, **kw) if kind == "ssh" else Kernel(lab, kind, **kw)
