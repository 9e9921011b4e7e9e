#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""test_install.py BUILD SOURCE - the installed library, and programs on it; TAP

Everything is compiled and run against a tree that `meson install` made, found
by its own pkg-config file: nothing here knows the build directory.
"""
import glob
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

BUILD, SOURCE = map(os.path.abspath, sys.argv[1:3])
CC = os.environ.get("CC", "cc")
CXX = os.environ.get("CXX", "c++")
WARN = ["-Wall", "-Wextra", "-pedantic", "-Werror"]
PATIENCE = 10


class Tree:
    """the installed tree"""

    def __init__(self, top):
        self.top, self.dest = top, os.path.join(top, "dest")
        run("meson", "install", "-C", BUILD, "--no-rebuild", "--quiet",
            "--destdir", self.dest)
        pc = self.find("culvert.pc")
        prefix = re.search("^prefix=(.*)$", read(pc), re.M)[1]
        self.prefix = self.dest + prefix
        self.env = dict(os.environ, PKG_CONFIG_PATH=os.path.dirname(pc))
        self.lib = os.path.dirname(self.find("libculvert.so"))
        self.env["LD_LIBRARY_PATH"] = self.lib

    def find(self, name):
        found = glob.glob(f"{self.dest}/**/{name}", recursive=True)
        assert len(found) == 1, f"{name}: {found}"
        return found[0]

    def flags(self, *args):
        """what pkg-config says, with this tree's place as the prefix"""
        return run("pkg-config", f"--define-variable=prefix={self.prefix}",
                   *args, "culvert", env=self.env).split()

    def compile(self, name, *more, static=False):
        out = os.path.join(self.top, name + ("-static" if static else ""))
        how = ["--static"] if static else []
        run(CC, "-std=c11", "-D_GNU_SOURCE", *WARN,
            *(["-static"] if static else []),
            "-o", out, f"{SOURCE}/examples/{name}.c",
            *self.flags(*how, "--cflags", "--libs"), *more)
        return out


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def run(*args, env=None, err=subprocess.STDOUT):
    r = subprocess.run(args, stdout=subprocess.PIPE, stderr=err, text=True,
                       env=env, timeout=120, check=False)
    assert r.returncode == 0, f"{' '.join(args)}: {r.stdout}"
    return r.stdout


def free_port(kind):
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def test_files(t):
    """header, libraries, pkg-config file, manual and command are there"""
    for name in ("culvert.h", "libculvert.a", "libculvert.so.0", "culvert.1",
                 "culvert"):
        assert os.path.exists(t.find(name)), name
    assert run("pkg-config", "--modversion", "culvert", env=t.env).strip() \
        == run(t.find("culvert"), "version").split()[-1]


def test_soname(t):
    """the name that programs are linked to has the interface's version"""
    dynamic = run("readelf", "-dW", f"{t.lib}/libculvert.so")
    assert re.search(r"SONAME.*\[libculvert\.so\.0\]", dynamic), dynamic
    needed = set(re.findall(r"NEEDED.*\[(\w+)", dynamic))
    assert needed <= {"libev", "libcares", "libcrypto", "libc", "libm", "ld"}, \
        needed
    assert not re.search(r"RPATH|RUNPATH|TEXTREL", dynamic), dynamic


def test_exports(t):
    """it exports what its header declares, each with a version"""
    table = run("readelf", "--dyn-syms", "-W", f"{t.lib}/libculvert.so")
    defined = {line.split()[7] for line in table.splitlines()
               if re.match(r"\s+\d+:.*(GLOBAL|WEAK).*(?<!UND) \S+$", line)
               and " UND " not in line}
    declared = set(re.findall(r"\b(culvert_\w+)\(", "".join(re.findall(
        r"^CULVERT_API[^;]*;", read(t.find("culvert.h")), re.M))))
    assert declared, "no function is declared"
    assert defined == {f"{name}@@CULVERT_0" for name in declared} | \
        {"CULVERT_0"}, defined


def test_header(t):
    """the header is sound C99, C11 and C++, alone and twice"""
    flags = t.flags("--cflags")
    for cc, ext, stds in ((CC, "c", ("c99", "c11", "c17")),
                          (CXX, "cc", ("c++11", "c++17", "c++20"))):
        path = f"{t.top}/header.{ext}"
        with open(path, "w", encoding="utf-8") as f:
            f.write("#include <culvert.h>\n#include <culvert.h>\n"
                    "int main(void) { return culvert_version() == 0; }\n")
        for std in stds:
            run(cc, f"-std={std}", *WARN, "-Wshadow", "-o",
                f"{t.top}/header", path, *flags, *t.flags("--libs"))
        run(f"{t.top}/header", env=t.env)


def expect(text, *patterns):
    at = 0
    for p in patterns:
        m = re.compile(p).search(text, at)
        assert m, f"{p} is not in {text}"
        at = m.end()


def test_one_process(t):
    """examples/one_process.c"""
    text = run(t.compile("one_process", "-lev"),
               str(free_port(socket.SOCK_STREAM)), env=t.env)
    expect(text, "client asks for app://echo", 'client: got "hello"',
           'client: got "and again"', 'client: got "and again"')
    expect(text, "client: stopped")
    expect(text, "server: stopped")


def no_loop(program, env):
    expect(run(program, env=env), "asks for app://ping", 'right: got "ping"',
           'left: got "pong"')


def test_no_loop(t):
    """examples/no_loop.c"""
    no_loop(t.compile("no_loop"), t.env)


def test_static(t):
    """the same, with the library and all that it needs inside"""
    program = t.compile("no_loop", static=True)
    assert "NEEDED" not in run("readelf", "-dW", program)
    no_loop(program, dict(os.environ))


def test_embed(t):
    """examples/embed.py"""
    text = run(sys.executable, f"{SOURCE}/examples/embed.py",
               f"{t.lib}/libculvert.so.0")
    expect(text, "server is up", "asks for app://upper",
           "got 5 bytes: HELLO", "got 0 bytes", "got 11000 bytes: FROM PYTHON",
           "done")


class Program:
    """one of the two programs, and what it says"""

    def __init__(self, env, *args):
        self.proc = subprocess.Popen(args, env=env, stderr=subprocess.PIPE)
        self.said = ""

    def hear(self, word):
        """until it says this, from now on"""
        end = time.monotonic() + PATIENCE
        self.said = ""
        while word not in self.said:
            left = end - time.monotonic()
            assert left > 0 and select.select([self.proc.stderr], [], [],
                                              left)[0], \
                f"{word} was never heard: {self.said}"
            piece = os.read(self.proc.stderr.fileno(), 4096)
            assert piece, f"it ended: {self.said}"
            self.said += piece.decode()

    def end(self, number):
        self.proc.send_signal(number)
        self.proc.communicate(timeout=PATIENCE)
        return self.proc.returncode


def test_restarts(t):
    """udp_local and udp_server, two processes; each goes down and comes back"""
    local = t.compile("udp_local")
    server = t.compile("udp_server")
    tcp = f"127.0.0.1:{free_port(socket.SOCK_STREAM)}"
    udp = free_port(socket.SOCK_DGRAM)
    target = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    running = []

    def launch(*args):
        p = Program(t.env, *args)
        running.append(p)
        return p

    def up(who):
        who.hear("peer up")

    def talk(word):
        client.send(word)
        data, at = target.recvfrom(100)
        assert data == word, data
        target.sendto(word[::-1], at)
        assert client.recv(100) == word[::-1]

    with target, client:
        for s in (target, client):
            s.settimeout(PATIENCE)
            s.bind(("127.0.0.1", 0))
        client.connect(("127.0.0.1", udp))
        to = f"127.0.0.1:{target.getsockname()[1]}"
        serve = (server, tcp, f"udp://{to}")
        forward = (local, str(udp), tcp, to)
        try:
            # the near end first: it waits for the other
            b = launch(*forward)
            b.hear("cannot connect")
            a = launch(*serve)
            up(b)
            talk(b"first")
            for number in (signal.SIGKILL, signal.SIGTERM):
                # the far end goes and comes back: a new session
                code = a.end(number)
                assert code == (-9 if number == signal.SIGKILL else 0), code
                b.hear("link down")
                a = launch(*serve)
                up(b)
                talk(b"after the server")
                # and the near end
                code = b.end(number)
                assert code == (-9 if number == signal.SIGKILL else 0), code
                b = launch(*forward)
                up(b)
                talk(b"after the client")
        finally:
            for p in running:
                if p.proc.poll() is None:
                    p.end(signal.SIGKILL)


def test_usage(t):
    """they say what is wrong, in a line, and in their exit code"""
    for name in ("udp_local", "udp_server"):
        program = os.path.join(t.top, name)
        r = subprocess.run([program], env=t.env, capture_output=True,
                           text=True, timeout=PATIENCE, check=False)
        assert r.returncode == 2 and r.stderr.count("\n") == 1, r
        r = subprocess.run([program, "nonsense", "nonsense", "x"], env=t.env,
                           capture_output=True, text=True, timeout=PATIENCE,
                           check=False)
        assert r.returncode == 1 and r.stderr.count("\n") == 1, r


def main():
    tests = [f for n, f in globals().items() if n.startswith("test_")]
    top = tempfile.mkdtemp(prefix="culvert-install-")
    bad = 0
    print(f"1..{len(tests)}")
    try:
        tree = Tree(top)
        for i, test in enumerate(tests, 1):
            try:
                test(tree)
                print(f"ok {i} - {test.__doc__}", flush=True)
            except (AssertionError, OSError, subprocess.SubprocessError) as e:
                bad += 1
                print(f"not ok {i} - {test.__doc__}")
                print("".join(f"# {line}\n" for line in
                              str(e).splitlines()), flush=True)
    finally:
        shutil.rmtree(top)
    return bad != 0


if __name__ == "__main__":
    sys.exit(main())
