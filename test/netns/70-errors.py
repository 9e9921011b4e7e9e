#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What is wrong is said in one line, with its place and remedy; exit codes"""
import os

from lib import (CULVERT, IN, LINK, LO, OUT, Process, Scene, equal, sh, true,
                 url)

OK, FAILED, USAGE, NODAEMON = 0, 1, 2, 3
FROM, TO = url("udp", LO, IN), url("udp", LO, OUT)

with Scene("70", __doc__) as s:
    a, b = s.pair()
    key, pub = s.key("s")
    _, peer = s.key("c")
    keys = ["--key", key, "--peer", peer]
    here = url("tcp", b.v4, LINK)
    s.file("open.key", open(key).read(), 0o644)
    s.file("no.key", "this is no key\n")
    s.file("bad.peers", f"{peer} ok\nnonsense name\n")
    s.file("twice.peers", f"{peer} one\n{peer} two\n")
    b.udp(LO, 7000)
    taken = s.serve(b, here)

    confs = []

    def conf(text):
        confs.append(s.file(f"{len(confs)}.office.conf", text))
        return "run", "-c", confs[-1]

    def serve(*args):
        return "serve", "tcp://127.0.0.1:4000", *args

    def forward(*args, frm=FROM, to=TO, via=here):
        return "forward", frm, to, "via", via, *args

    node = f"[Node]\nPrivateKeyFile = {key}\n"

    # what, arguments, exit code, what the line holds
    WRONG = [
        ("a command that does not exist", ("serv",), USAGE,
         ['"serv"', "culvert --help"]),
        ("no link", ("serve", *keys), USAGE, ["serve", "tcp://*:3456"]),
        ("an unknown option", serve("--keey", key), USAGE,
         ['"--keey"', "culvert serve --help"]),
        ("an option of serve for forward", forward(*keys, "--allow", TO),
         USAGE, ['"--allow"', "culvert forward --help"]),
        ("an option without its value", serve("--key"), USAGE,
         ["--key", "FILE"]),
        ("no key", serve(), USAGE, ["culvert genkey", "--plain"]),
        ("no peer", serve("--key", key), USAGE, ["--peer PUBLICKEY"]),
        ("keys and --plain", serve(*keys, "--plain"), USAGE, ["Plain"]),
        ("a peer that is no key", serve("--key", key, "--peer", "xyz"), USAGE,
         ["--peer", '"xyz"', "44 characters"]),
        ("our own key as the peer's", serve("--key", key, "--peer", pub),
         USAGE, ["--peer", "our own public key"]),
        ("a missing key file", serve("--key", "nowhere.key", "--peer", peer),
         FAILED, ["--key", "nowhere.key", "No such file"]),
        ("a key that others may read", serve("--key", "open.key", "--peer",
                                             peer), FAILED,
         ["open.key", "0644", "chmod 600 open.key"]),
        ("a file that holds no key", serve("--key", "no.key", "--peer", peer),
         FAILED, ["no.key", "not a key", "culvert genkey"]),
        ("a missing pre-shared key", serve(*keys, "--psk", "no.psk"), FAILED,
         ["no.psk", "No such file"]),
        ("--psk before --peer", serve("--key", key, "--psk", "x", "--peer",
                                      peer), USAGE, ["--psk", "--peer"]),
        ("a missing peers' file", serve("--key", key, "--peers", "none"),
         FAILED, ["--peers", "none", "No such file"]),
        ("a wrong line in a peers' file", serve("--key", key, "--peers",
                                                "bad.peers"), FAILED,
         ["bad.peers:2", '"nonsense"']),
        ("one peer twice", serve("--key", key, "--peers", "twice.peers"),
         FAILED, ["twice.peers", "same public key"]),
        ("a link that is no URL", ("serve", "127.0.0.1:3456", *keys), USAGE,
         ["127.0.0.1:3456", "tcp://"]),
        ("a link of another scheme", ("serve", "ip://127.0.0.1:1", *keys),
         USAGE, ["ip://127.0.0.1:1", "tcp://host:port"]),
        ("a server that is to be found nowhere", ("serve", "tcp://127.0.0.1:1",
         *keys, "--discoverable"), USAGE, ["--discoverable", "lan://67@"]),
        ("a server that is found without an id", ("serve", "lan://", *keys,
         "--discoverable"), USAGE, ["lan://67@"]),
        ("a server of a LAN without id and key", ("forward",
         "tcp://127.0.0.1:1", "via", "lan://", "--key", key), USAGE,
         ["lan://67@", "--peer"]),
        ("known servers that make no sense", ("forward", "tcp://127.0.0.1:1",
         "via", "lan://67@", "--key", key, "--known-servers", key), FAILED,
         [key + ":1:", "ID KEY NAME"]),
        ("discover by another link", ("discover", "tcp://127.0.0.1:1"), USAGE,
         ["tcp://127.0.0.1:1", "lan://"]),
        ("discover for no time", ("discover", "--timeout", "0"), USAGE,
         ["--timeout", "seconds"]),
        ("discover where nobody is", ("discover", "--timeout", "0.2"), FAILED,
         ["no server", "17239", "--discoverable"]),
        ("a link without a port", ("serve", "tcp://127.0.0.1", *keys), USAGE,
         ["tcp://127.0.0.1", "port"]),
        ("a port that is no port", ("serve", "tcp://127.0.0.1:99999", *keys),
         USAGE, ["tcp://127.0.0.1:99999", "65536"]),
        ("a name to listen on", ("serve", "tcp://some.name:1", *keys), USAGE,
         ["some.name", "address of this machine"]),
        ("a TCP port that is taken", ("serve", here, *keys), FAILED,
         [here, "in use", "another port"]),
        ("an address that is not ours", ("serve", "tcp://192.0.2.1:1", *keys),
         FAILED, ["192.0.2.1", "does not have that address"]),
        ("a UDP port that is taken", forward(*keys, frm="udp://127.0.0.1:7000"),
         FAILED, ["udp://127.0.0.1:7000", "in use", "another port"]),
        ("a foreign framing without a target",
         ("serve", "frames+tcp://127.0.0.1:4000"), USAGE,
         ["frames+tcp://127.0.0.1:4000", "--to udp://HOST:PORT"]),
        ("a key for a foreign framing",
         ("serve", "frames+tcp://127.0.0.1:4000", "--to", TO, "--key", key),
         USAGE, ["--key", "frames+tcp:// has no keys"]),
        ("a peer for a foreign framing",
         ("forward", FROM, "via", "udptunnel+tcp://h:1", "--peer", peer), USAGE,
         ["--peer", "udptunnel+tcp:// has no keys"]),
        ("a target behind a foreign framing", forward(via="frames+tcp://h:1"),
         USAGE, [TO, "TO is the far end's choice"]),
        ("no via", ("forward", FROM, TO, *keys), USAGE,
         ["forward", "via tcp://SERVER:PORT"]),
        ("two peers for forward", forward(*keys, "--peer", pub), USAGE,
         ["one --peer"]),
        ("a target of another scheme", forward(*keys, to="tun://x:1"), USAGE,
         ["tun://x:1", "udp://host:port"]),
        ("a target of another kind", forward(*keys, to="tcp://x:1"), USAGE,
         ["tcp://x:1", "write udp:// here"]),
        ("a target's unknown option", forward(*keys, to=TO + "?bnd=1:2"),
         USAGE, ['"bnd"', "bind"]),
        ("a link option without a value", forward(*keys, via=here + "?mark="),
         USAGE, ["forward: via: ", "?mark= is a number"]),
        ("a proxy that is none", forward(*keys, via=here + "?via=ftp://h:1"),
         USAGE, ["?via= a proxy is socks5:// or http://"]),
        ("a listener behind a proxy",
         ("serve", "tcp://127.0.0.1:4000?via=socks5://h:1", *keys), USAGE,
         ['unknown option "via"']),
        ("a listener on no interface",
         ("serve", "tcp://127.0.0.1:4000?interface=eth9", *keys), FAILED,
         ["interface eth9: no such device"]),
        ("a wrong ?bind=", forward(*keys, to=TO + "?bind=host"), USAGE,
         ["?bind=", "192.0.2.1:5000"]),
        ("a wrong ?peer=", forward(*keys, frm=FROM + "?peer=1.2.3.4"), USAGE,
         ["?peer=", "192.0.2.1:5000"]),
        ("an --allow with too long a prefix", serve(*keys, "--allow",
                                                    "udp://10.0.0.0/33"), USAGE,
         ["--allow", "10.0.0.0/33", "longer"]),
        ("a --max-age that is none", serve(*keys, "--max-age", "soon"), USAGE,
         ["--max-age", '"soon"', "ms"]),
        ("--max-flows 0", serve(*keys, "--max-flows", "0"), USAGE,
         ["--max-flows", '"0"', "from 1"]),
        ("a missing configuration file", ("run", "-c", "no.conf"), FAILED,
         ["no.conf", "No such file"]),
        ("run with no file's name", ("run", "-c"), USAGE,
         ["culvert run -c FILE"]),
        ("nothing to do", conf(node + f"[Peer a]\nPublicKey = {peer}\n"),
         USAGE, ["nothing to do"]),
        ("an unknown key in a file",
         conf(node + "[Peer Office]\nEndpont = tcp://x:1\n"), USAGE,
         ["office.conf:4:", '"Endpont"', 'did you mean "Endpoint"?']),
        ("a key in the wrong section", conf("[Serve]\nEndpoint = tcp://x:1\n"),
         USAGE, ["office.conf:2:", "[Peer]", "[Serve]"]),
        ("an unknown section", conf("[Servr]\n"), USAGE,
         ["office.conf:1:", "[Servr]", "[Serve]"]),
        ("a key given twice", conf(node + f"PrivateKeyFile = {key}\n"), USAGE,
         ["office.conf:3:", "line 2"]),
        ("a Via that is nobody", conf(
            node + f"[Forward]\nFrom = {FROM}\nVia = hq\n"), USAGE,
         ["office.conf:5:", "[Peer hq]"]),
        ("a file in which nothing is to do", conf(
            node + f"[Peer p]\nPublicKey = {peer}\n"), USAGE,
         ["office.conf", "nothing to do"]),
        ("show of a node that is not there", ("show", "cvt70nobody"), NODAEMON,
         ['"cvt70nobody"', "culvert show"]),
        ("genkey into a file that is there", ("genkey", key), FAILED,
         [key, "File exists", "never overwritten"]),
        ("genpsk into a folder that is not", ("genpsk", "no/where"), FAILED,
         ["no/where", "No such file"]),
        ("pubkey of no key", ("pubkey",), USAGE, ["no private key", "genkey"]),
    ]
    for what, args, code, holds in WRONG:
        with s.check(f"{what}: one line, exit code {code}"):
            r = b.run(CULVERT, *args, check=False, cwd=s.dir,
                      stdin=open(os.devnull))
            lines = r.stderr.splitlines()
            equal(r.returncode, code, f"exit code ({r.stderr.strip()})")
            equal(len(lines), 1, f"lines: {r.stderr!r}")
            true(lines[0].startswith("culvert: "), lines[0])
            for part in holds:
                true(part in lines[0], f"{part!r} is in: {lines[0]}")
            equal(r.stdout, "", "standard output")

    with s.check("show where no node runs: one line, exit code 3"):
        user = s.user()
        r = user.run("culvert show", check=False)
        equal((r.returncode, r.stdout), (NODAEMON, ""))
        true("culvert serve" in r.stderr and r.stderr.count("\n") == 1,
             r.stderr)

    with s.check("a port below 1024 without the right: one line with it"):
        user.give(key)
        p = Process(b, user.prefix + ["culvert", "serve",
                                      "tcp://127.0.0.1:99", *keys[2:],
                                      "--key", "s.key"], "low", user.dir)
        equal(p.exit_code(), FAILED)
        true("CAP_NET_BIND_SERVICE" in p.log(), p.log())

    for args in ((), ("--help",), ("serve", "--help"), ("forward", "-h"),
                 ("show", "--help"), ("version",), ("--version",)):
        with s.check(f"culvert {' '.join(args)}: exit code 0, on standard "
                     "output"):
            r = sh(CULVERT, *args)
            true(r.stdout and not r.stderr, r.stderr)
