#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check, reload, SIGHUP: flows that a change does not touch lose nothing

From the first check on, datagrams pass on four flows; then it is counted how
many of them were lost.
"""
import os
import re
import signal
import socket

from lib import (CULVERT, IN, LINK, LO, OUT, Echo, Process, Scene, equal, sh,
                 true, until, url)

SLOW = "ASAN_OPTIONS" in os.environ  # that costs several times as much
RATE, RELOADS = (5000, 50) if SLOW else (50000, 200)
# kB; what is freed is kept for a while there, and leaks are told at the end
GROWN = 1 << 18 if SLOW else 256
BLAST = os.path.join(os.path.dirname(CULVERT), "test", "bench", "udpblast")
LOAD = 7000  # where the load goes

with Scene("74", __doc__.splitlines()[0]) as s:
    a, b = s.pair()
    link = url("tcp", b.v4, LINK)
    echo = Echo(b)
    other = Echo(b, port=OUT + 1, tag=b"other ")
    u = a.udp()

    def near_text(more="", node="", to=OUT):
        return f"""MaxAge = 5s
{node}
PrivateKeyFile = {s.key("c")[0]}
[Peer far]
PublicKey = {s.key("s")[1]}
Endpoint = {link}
[Forward load]
From = {url("udp", LO, IN)}
To = {url("udp", LO, LOAD)}
Via = far
[Forward echo]
From = {url("udp", LO, IN + 1)}
To = {url("udp", LO, to)}
Via = far
{more}"""

    def far_text(more="", node="", serve=""):
        return f"""MaxAge = 5s
{node}
PrivateKeyFile = {s.key("s")[0]}
[Serve]
Listen = {link}
Allow = udp://127.0.0.1
{serve}
[Peer near]
PublicKey = {s.key("c")[1]}
{more}"""

    def write(node, text):
        return s.file(node.tag + ".conf", f"[Node]\nName = {node.name}\n{text}")

    def reload(node, text=None):
        """change the file; the node does as it says"""
        if text is not None:
            write(node, text)
        r = sh(CULVERT, "reload", node.name, check=False)
        equal((r.returncode, r.stdout, r.stderr), (0, "", ""))

    def refused(node, text, *words):
        """nothing changes, and it is said why, there and by check"""
        path = write(node, text)
        for command, code in ((("check", "-c", path), 2),
                              (("reload", node.name), 1)):
            r = sh(CULVERT, *command, check=False)
            if command[0] == "check" and "cannot" in words[0]:
                equal(r.returncode, 0, r.stderr)  # it is the node's to say
                continue
            equal((r.returncode, r.stderr.count("\n")), (code, 1), r.stderr)
            for word in words:
                true(word in r.stderr, r.stderr)
        node.signal(signal.SIGHUP)
        node.said("not reloaded", times=refused.count + 1)
        refused.count += 1

    refused.count = 0

    def ask(port, want, data=b"?"):
        equal(u.ask(data, (LO, port)), want)

    def answers(host, at):
        with host:
            with socket.socket() as t:
                return t.connect_ex(at) == 0

    far = s.config(b, far_text(), "far")
    near = s.config(a, near_text(), "near").up()
    # its own leaks are nobody's concern
    blast = ["env", "ASAN_OPTIONS=detect_leaks=0", BLAST]
    sink = b.start(*blast, "sink", "-i", "2", "-t", "300", LO, LOAD, tag="sink")
    until(lambda: b.run("ss", "-Hlun", "sport", "=", f":{LOAD}").stdout,
          "the sink is there")
    load = a.start(*blast, "send", "-w", "0.5", "-l", "200", "-b", "16", "-f",
                   "4", "-r", RATE, "-t", "300", LO, IN, tag="load")
    until(lambda: near.peer()["sent"]["datagrams"] > RATE / 10, "the load runs")

    with s.check("check says nothing of what is right"):
        for node in (near, far):
            r = sh(CULVERT, "check", "-c",
                   os.path.join(s.dir, node.tag + ".conf"))
            equal(r.stdout + r.stderr, "")

    with s.check("a forward is added, its target changed, and it is removed"):
        def extra(to):
            return near_text(f"[Forward extra]\nFrom = {url('udp', LO, 2000)}\n"
                             f"To = {url('udp', LO, to)}\nVia = far\n")
        reload(near, extra(OUT))
        ask(2000, b"?")
        reload(near, extra(OUT + 1))
        ask(2000, b"other ?")
        reload(near, near_text())
        a.udp(LO, 2000).close()  # the port is free
        ask(IN + 1, b"?")

    with s.check("a peer is added, given another pre-shared key, and removed"):
        psks = [s.file(f"{n}.psk", sh(CULVERT, "genpsk").stdout)
                for n in (1, 2)]

        def late(psk):
            return far_text(f"[Peer late]\nPublicKey = {s.key('late')[1]}\n"
                            f"PresharedKeyFile = {psk}\n")
        client = s.forward(a, url("udp", LO, 2001), url("udp", LO, OUT), link,
                           key="late", options=["--psk", psks[0]], name="late")
        client.said("link down")
        reload(far, late(psks[0]))
        client.up(8)
        ask(2001, b"?")
        reload(far, late(psks[1]))
        client.said("--psk")
        reload(far, late(psks[0]))
        client.up(8)
        ask(2001, b"?")
        reload(far, far_text())
        until(lambda: client.peer()["state"] != "up", "late is out")
        client.kill()

    with s.check("a target is allowed, and no longer is"):
        wide = Echo(b, addr=b.v4, port=OUT)
        forward = (f"[Forward wide]\nFrom = {url('udp', LO, 2002)}\n"
                   f"To = {url('udp', b.v4, OUT)}\nVia = far\n")
        reload(near, near_text(forward))
        reload(far, far_text(serve=f"Allow = udp://{b.v4}"))
        ask(2002, b"?")
        reload(far, far_text())
        a.udp().send(b"not any more", (LO, 2002))
        near.said("peer refused a flow")
        reload(near, near_text())
        equal([d for _, d in wide.seen], [b"?"])

    with s.check("a port to listen at is added and removed"):
        reload(far, far_text(serve=f"Listen = {url('tcp', b.v4, 3457)}"))
        a.tcp(b.v4, 3457).close()
        reload(far, far_text())
        true(not answers(a, (b.v4, 3457)), "the port still answers")

    with s.check("To is added, changed and removed"):
        forward = f"[Forward to]\nFrom = {url('udp', LO, 2003)}\nVia = far\n"
        reload(near, near_text(forward))
        for to, want in ((OUT, b"?"), (OUT + 1, b"other ?")):
            reload(far, far_text(serve=f"To = {url('udp', LO, to)}"))
            equal(a.udp().ask(b"?", (LO, 2003)), want)
        reload(far, far_text())
        reload(near, near_text())

    with s.check("metrics are added, moved and removed"):
        def scrape(port):
            t = a.tcp(LO, port)
            t.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            true(b" 200 " in t.recv(4096), "metrics")
        for port in (9100, 9101):
            reload(near, near_text(node=f"Metrics = {url('tcp', LO, port)}"))
            scrape(port)
        true(not answers(a, (LO, 9100)), "the old port still answers")
        reload(near, near_text())

    with s.check("settings are changed and changed back, by SIGHUP"):
        for n, line in enumerate((
                "LogLevel = debug", "IdleTimeout = 1h", "Memory = 128",
                "MaxFlows = 1000", "MaxFlowsPerSource = 500", "")):
            for node, text in ((near, near_text), (far, far_text)):
                at = (LO, 9200 + n)
                write(node, text(node=f"{line}\nMetrics = {url('tcp', *at)}"))
                node.signal(signal.SIGHUP)
                until(lambda h=node.host, at=at: answers(h, at),
                      f"{node.tag} has {line or 'its defaults'}")
        reload(near, near_text())
        reload(far, far_text())

    with s.check("MaxFlows counts at once"):
        reload(near, near_text(node="MaxFlows = 1"))
        a.udp().send(b"?", (LO, IN + 1))
        until(lambda: near.dropped("flow_limit") > 0, "counted")
        reload(near, near_text())
        ask(IN + 1, b"?")

    with s.check("an unknown key: the line, and the nearest one"):
        text = near_text().replace("Endpoint", "Endpont")
        at = f"[Node]\nName = x\n{text}".split("\n").index(
            f"Endpont = {link}") + 1
        refused(near, text, f"near.conf:{at}: ",
                'unknown key "Endpont" in [Peer]; did you mean "Endpoint"?')
        true(r'"Endpont\" in [Peer]' in near.log(), "one value in the log")

    with s.check("a section, a value, a URL, a peer that is not there"):
        refused(near, near_text("[Forwards x]\n"), "near.conf:",
                "unknown section [Forwards]; there are [Node], [Serve]")
        refused(near, near_text(node="Memory = lots"), 'Memory = "lots"')
        refused(near, near_text(to="x"), "near.conf:")
        refused(near, near_text().replace("Via = far", "Via = fra", 1),
                'Via = "fra": there is no [Peer fra]')

    with s.check("a port that another program has: nothing else is changed "
                 "either"):
        holder = a.udp(LO, 2005)
        forwards = "".join(
            f"[Forward {n}]\nFrom = {url('udp', LO, n)}\n"
            f"To = {url('udp', LO, OUT)}\nVia = far\n" for n in (2004, 2005))
        refused(near, near_text(forwards), "cannot listen on udp://127.0.0.1:"
                "2005", "another program has it")
        a.udp(LO, 2004).close()
        holder.close()

    with s.check("Name, Plain and the own key cannot change: restart it"):
        path = write(near, near_text())
        with open(path) as f:
            text = f.read()
        for was, to, what in ((f"Name = {near.name}", "Name = another", "Name"),
                              (s.key("c")[0], s.key("late")[0],
                               "the private key")):
            s.file("near.conf", text.replace(was, to))
            r = sh(CULVERT, "reload", near.name, check=False)
            equal(r.returncode, 1)
            true(f"{what} cannot change while the node runs: restart it" in
                 r.stderr, r.stderr)

    with s.check("the file is gone: said, and the node goes on"):
        os.unlink(path)
        r = sh(CULVERT, "reload", near.name, check=False)
        equal(r.returncode, 1)
        true("near.conf: No such file or directory" in r.stderr, r.stderr)
        r = sh(CULVERT, "check", "-c", path, check=False)
        equal(r.returncode, 1)
        ask(IN + 1, b"?")
        reload(near, near_text())

    with s.check("no node, or none of that name: 3; two words: 2"):
        equal(sh(CULVERT, "reload", "nosuch", check=False).returncode, 3)
        equal(sh(CULVERT, "reload", "a", "b", check=False).returncode, 2)

    def some(n):
        """change something of everything there is"""
        reload(near, near_text(
            "".join(f"[Forward {m}]\nFrom = {url('udp', LO, 2100 + m)}\n"
                    f"To = {url('udp', LO, OUT + m % 2)}\nVia = far\n"
                    for m in range(n % 8)),
            node=f"Metrics = {url('tcp', LO, 9100 + n % 2)}"))
        reload(far, far_text(
            f"[Peer late]\nPublicKey = {s.key('late')[1]}\n" * (n % 2),
            serve=f"Listen = {url('tcp', b.v4, 3460 + n % 3)}\n"
            f"Allow = udp://10.0.0.{n % 7}"))

    with s.check("again and again, as fast as it goes"):
        for n in range(40):
            some(n)
        ask(IN + 1, b"?")

    with s.check("of all the load nothing was lost"):
        load.signal(signal.SIGINT)
        load.exit_code(10)
        sink.exit_code(10)
        sent = int(re.search(r"sent=(\d+)", load.log())[1])
        got = int(re.search(r"recv=(\d+)", sink.log())[1])
        s.note(load.log().strip())
        s.note(sink.log().strip())
        drops = {n.tag: n.drops() for n in (near, far)}
        equal(sent - got, 0, f"lost; {drops}")
        true(sent > RATE, f"only {sent} were sent")
        equal([near.log().count("peer up"), far.log().count("peer down")],
              [1, 0], "sessions")

    with s.check(f"{RELOADS} reloads with changes: descriptors and memory are "
                 "the same"):
        def size():
            reload(near, near_text())
            reload(far, far_text())
            return [(n.descriptors(), n.status("VmRSS")) for n in (near, far)]
        before = size()
        for n in range(RELOADS):
            some(n)
        after = size()
        s.note(f"descriptors and kB: {before}, then {after}")
        for n, (fds, _) in zip((near, far), before):
            until(lambda n=n, fds=fds: n.descriptors() <= fds,
                  f"{n.tag} has {fds} descriptors again")
        for (_, rss), (_, rss2) in zip(before, after):
            true(rss2 <= rss + GROWN, f"{rss2 - rss} kB more")

    with s.check("a file that the node's user may not read: said, and it "
                 "goes on"):
        os.chmod(s.dir, 0o711)
        s.file("own.conf", f"[Node]\nName = {s.prefix}own\nPlain = yes\n"
               f"[Serve]\nListen = {url('tcp', b.v4, 3458)}\n", 0o644)
        own = Process(b, [CULVERT, "run", "-c", "own.conf", "--user",
                          "nobody"], "own").said("msg=listening")
        own.name = s.prefix + "own"
        reload(own)
        os.chmod(os.path.join(s.dir, "own.conf"), 0o600)
        r = sh(CULVERT, "reload", own.name, check=False)
        equal(r.returncode, 1)
        true("own.conf: Permission denied" in r.stderr, r.stderr)
        a.tcp(b.v4, 3458).close()
        own.signal(signal.SIGTERM)
        equal(own.exit_code(), 0)

    with s.check("while it stops it does not reload, and stops"):
        far.signal(signal.SIGSTOP)
        sent = near.peer()["sent"]["datagrams"]
        v = a.udp()
        for _ in range(100):
            v.send(bytes(60000), (LO, IN + 1))
        until(lambda: near.peer()["sent"]["datagrams"] == sent + 100,
              "they wait for the link")
        near.signal(signal.SIGTERM)
        near.said("msg=stopping")
        near.signal(signal.SIGHUP)
        near.said("not reloaded", times=refused.count + 1)
        true("stop" in near.log().splitlines()[-1], near.log()[-300:])
        equal(near.exit_code(3), 0)
        far.signal(signal.SIGCONT)
