#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Ends that do not match: said by a running node, and mended by a restart"""
import os
import stat

from lib import (CULVERT, IN, LINK, LO, OUT, Echo, Node, Scene, equal, sh,
                 true, until, url)

WRONG = "wrong --peer, our key is unknown there, or only one end uses --plain"

with Scene("71", __doc__) as s:
    a, b = s.pair()
    link, FROM, TO = url("tcp", b.v4, LINK), url("udp", LO, IN), \
        url("udp", LO, OUT)
    for name in ("p1", "p2"):
        s.file(name + ".psk", sh(CULVERT, "genpsk").stdout)
    psk1, psk2 = (["--psk", os.path.join(s.dir, f"p{n}.psk")] for n in (1, 2))
    Echo(b)
    u = a.udp()

    def plain(side):
        if side == "serve":
            return Node(b, ["serve", link, "--plain"], "server",
                        "msg=listening")
        return Node(a, ["forward", FROM, TO, "via", link, "--plain"],
                    "client", "msg=forwarding")

    def sealed(side, key=None, peer=None, psk=()):
        if side == "serve":
            return s.serve(b, link, key=key or "s", peers=(peer or "c",),
                           options=psk)
        return s.forward(a, FROM, TO, link, key=key or "c", peer=peer or "s",
                         options=psk)

    def mismatch(what, server, client, server_says, client_says=WRONG):
        with s.check(f"{what}: both ends say why, nothing is carried"):
            srv, cli = server(), client()
            u.send(b"refused?", (LO, IN))
            cli.said(client_says)
            srv.said(f'reason="{server_says}"')
            until(lambda: cli.log().count("link down") > 2, "tried again")
            true(cli.alive() and srv.alive(), "both live on")
            equal(srv.show()["received"]["datagrams"], 0, "carried")
            true(srv.drops() or cli.drops(), "counted")
            # slower and slower, not as fast as it can
            true(cli.log().count("link down") < 20, "backs off")
        srv.kill()
        cli.kill()
        u.drain(0.01)

    mismatch("the client has a wrong --peer", lambda: sealed("serve"),
             lambda: sealed("forward", peer="other"), "bad_mac")
    mismatch("the server does not know the client", lambda: sealed("serve"),
             lambda: sealed("forward", key="other"), "unknown_peer")
    mismatch("different pre-shared keys",
             lambda: sealed("serve", psk=psk1),
             lambda: sealed("forward", psk=psk2), "closed by the other end",
             "--psk")
    mismatch("a pre-shared key at one end only",
             lambda: sealed("serve", psk=psk1), lambda: sealed("forward"),
             "closed by the other end", "--psk")
    mismatch("the server plain, the client sealed", lambda: plain("serve"),
             lambda: sealed("forward"),
             "one end uses --plain and the other does not")
    mismatch("the server sealed, the client plain", lambda: sealed("serve"),
             lambda: plain("forward"),
             "one end uses --plain and the other does not")

    with s.check("an unreachable server: where, and why"):
        client = sealed("forward")
        client.said(f'cannot connect" peer=server link={link} '
                    'error="Connection refused"')
        client.kill()

    with s.check("an unknown name: which, and why"):
        client = s.forward(a, FROM, TO, "tcp://nowhere.invalid:1")
        client.said("cannot connect")
        true("link=tcp://nowhere.invalid:1" in client.log(), client.log())
        client.kill()

    for what, server, client in (
            ("keys and the same pre-shared key",
             lambda: sealed("serve", psk=psk1),
             lambda: sealed("forward", psk=psk1)),
            ("--plain at both ends", lambda: plain("serve"),
             lambda: plain("forward"))):
        with s.check(f"{what}: works"):
            srv, cli = server(), client().up()
            equal(u.ask(b"works", (LO, IN)), b"works")
            srv.kill()
            cli.kill()

    with s.check("genkey FILE: mode 0600 whatever the umask, prints the "
                 "public key"):
        path = os.path.join(s.dir, "new.key")
        r = sh("sh", "-c", f"umask 0; {CULVERT} genkey {path}")
        equal(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        with open(path) as f:
            private = f.read()
        equal(sh(CULVERT, "pubkey", input=private).stdout, r.stdout)
        equal((len(private), len(r.stdout)), (45, 45))

    with s.check("genkey >FILE makes the file private"):
        path = os.path.join(s.dir, "redirected.key")
        sh("sh", "-c", f"umask 022; {CULVERT} genkey >{path}")
        equal(stat.S_IMODE(os.stat(path).st_mode), 0o600)

    with s.check("a key is never overwritten"):
        with open(path) as f:
            before = f.read()
        equal(sh(CULVERT, "genkey", path, check=False).returncode, 1)
        with open(path) as f:
            equal(f.read(), before)

    with s.check("no two keys are alike"):
        made = {sh(CULVERT, word).stdout
                for word in ("genkey", "genpsk") for _ in range(10)}
        equal(len(made), 20)
