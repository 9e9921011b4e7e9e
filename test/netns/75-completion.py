#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Completion in bash, zsh and fish: commands, options, files, running nodes"""
import os
import pty
import select
import subprocess
import time

from lib import CULVERT, LO, Scene, equal, sh, true, until, url

LEVELS = {"error", "warn", "info", "debug"}

# as bash calls it: the words, with : and = apart
BASH = """
source <(culvert completion bash)
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_culvert
printf '%s\\n' "${COMPREPLY[@]}"
"""


def bash(*words):
    return set(sh("bash", "--norc", "-c", BASH, "bash", "culvert", *words,
                  env=env, cwd=s.dir).stdout.split("\n")) - {""}


def fish(*words):
    line = " ".join(["culvert", *words])
    r = sh("fish", "--no-config", "-c", "culvert completion fish | source; "
           f"complete -C '{line}'", env=env, cwd=s.dir)
    equal(r.stderr, "")
    return {x.split("\t")[0] for x in r.stdout.splitlines()}


class Zsh:
    """an interactive one: completion exists in no other"""

    def __init__(self):
        self.pid, self.fd = pty.fork()
        if not self.pid:
            os.chdir(s.dir)
            os.execvpe("zsh", ["zsh", "-f", "-i"], env)
        self.text = ""
        self.run("autoload -U compinit; compinit -u -D; unsetopt zle_bracketed"
                 "; zstyle ':completion:*' list-prompt ''; LISTMAX=9999; "
                 "zstyle ':completion:*' verbose no; PS1=; stty cols 300")
        self.run("source <(culvert completion zsh)")

    def read(self, what, seconds=10):
        """up to a text, which is taken away with what was before it"""
        end = time.monotonic() + seconds
        while what not in self.text and time.monotonic() < end:
            if select.select([self.fd], [], [], 0.05)[0]:
                self.text += os.read(self.fd, 1 << 16).decode()
        true(what in self.text, f"{what!r} in {self.text[-300:]!r}")
        before, _, self.text = self.text.partition(what)
        return before

    def run(self, line):
        os.write(self.fd, f"{line}; echo do''ne\n".encode())
        return self.read("done\r\n")

    def completed(self, line):
        """what a tab makes of a line of which one thing can come"""
        os.write(self.fd, line.encode() + b"\t")
        os.write(self.fd, b"\x01print -r -- '[\x05]'\n")
        return self.read("]\r\n").rsplit("[", 1)[1]

    def close(self):
        os.close(self.fd)
        os.waitpid(self.pid, 0)


with Scene("75", __doc__) as s:
    b = s.host("b")
    bin_dir = os.path.join(s.dir, "bin")
    os.mkdir(bin_dir)
    os.symlink(CULVERT, os.path.join(bin_dir, "culvert"))
    env = {**os.environ, "PATH": bin_dir + ":" + os.environ["PATH"],
           "HOME": s.dir, "TERM": "xterm", "XDG_CONFIG_HOME": s.dir,
           "XDG_DATA_HOME": s.dir}
    s.key("s"), s.key("c")
    nodes = [s.serve(b, url("tcp", LO, port), name=name)
             for port, name in ((4000, "one"), (4001, "two"))]
    names = {n.name for n in nodes}
    commands = {line.split()[1] for line in sh(CULVERT, "--help").stdout
                .splitlines() if line.startswith("  culvert ")}
    options = {line.split()[0] for line in
               sh(CULVERT, "serve", "--help").stdout.splitlines()
               if line.startswith("  --")}
    true(len(commands) > 10 and len(options) > 10, f"{commands} {options}")

    for name, ask in (("bash", bash), ("fish", fish)):
        with s.check(f"{name}: every command, and those that begin so"):
            equal(ask("") & commands, commands)
            equal(ask("gen"), {"genkey", "genpsk"})

        with s.check(f"{name}: every option of a command, of it only"):
            equal(ask("serve", "--") & options, options)
            true("--allow" not in ask("forward", "--"), "of serve only")
            equal(ask("show", "-"), {"-j", "--flows"})
            equal(ask("top", "-"), {"-n", "-d"})
            equal(ask("forward", "udp://a:1", "vi"), {"via"})

        with s.check(f"{name}: running nodes"):
            for command in ("show", "top", "metrics", "reload"):
                equal(ask(command, "cvt75"), names, command)
            equal(ask("show", "-j", "cvt75o"), {nodes[0].name})

        with s.check(f"{name}: files where a file is expected, not elsewhere"):
            for words in (("serve", "--key"), ("serve", "--psk"),
                          ("serve", "tcp://x:1", "--peers"), ("run", "-c"),
                          ("genkey",)):
                equal(ask(*words, "s."), {"s.key"}, " ".join(words))
            equal(ask("serve", "--peer", "s."), set())
            equal(ask("top", "-n", "s."), set())

        with s.check(f"{name}: the words that an option takes"):
            equal(ask("serve", "--log", ""), LEVELS)
            equal(ask("completion", ""), {"bash", "zsh", "fish"})

        with s.check(f"{name}: nothing where nothing is known"):
            equal(ask("nonsense", ""), set())
            equal(ask("serve", "--peer", ""), set())

    with s.check("bash: behind an option's ="):
        equal(bash("serve", "--log", "="), LEVELS)
        equal(bash("serve", "--log", "=", "w"), {"warn"})
        equal(bash("serve", "--key", "=", "s."), {"s.key"})

    with s.check("fish: behind an option's ="):
        equal(fish("serve", "--log=w"), {"--log=warn"})
        equal(fish("serve", "--key=s."), {"--key=s.key"})

    with s.check("bash itself calls it"):
        equal(sh("bash", "--norc", "-c", "source <(culvert completion bash); "
                 "complete -p culvert", env=env).stdout,
              "complete -F _culvert culvert\n")

    zsh = Zsh()
    for what, line, want in (
            ("a command", "culvert met", "culvert metrics"),
            ("an option", "culvert serve --pl", "culvert serve --plain"),
            ("a running node", "culvert show cvt75o", "culvert show cvt75one"),
            ("a file", "culvert serve --key s.k", "culvert serve --key s.key"),
            ("a file behind =", "culvert serve --key=s.k",
             "culvert serve --key=s.key"),
            ("a word behind =", "culvert serve --log=w",
             "culvert serve --log=warn"),
            ("a word", "culvert completion z", "culvert completion zsh")):
        with s.check(f"zsh: {what}"):
            equal(zsh.completed(line), want)
    zsh.close()

    with s.check("another shell: one line, exit code 2"):
        r = sh(CULVERT, "completion", "csh", check=False)
        equal((r.returncode, r.stdout, r.stderr.count("\n")), (2, "", 1))
