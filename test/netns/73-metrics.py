#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Metrics by HTTP and through the control socket, show --flows; who may ask,
and who asks too much"""
import glob
import json
import os
import resource
import signal
import socket
import stat

from exposition import Reply, get, get_request, read, read_by_other
from lib import (CULVERT, IN, LINK, LO, OUT, Echo, Pinger, Process, Scene,
                 equal, sh, true, until, url)

PORT, CROWD, LISTED = 9100, 10000, 2048
OPEN = "application/openmetrics-text"

soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
# what a node has freed is not kept under a sanitizer either: it is measured
os.environ["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + \
    ":quarantine_size_mb=1:thread_local_quarantine_size_kb=64"

with Scene("73", __doc__) as s:
    a, b = s.pair()
    echo = Echo(b)
    path = os.path.join(s.dir, "client.sock")
    server = s.serve(b, url("tcp", b.v4, LINK), peers=("c", "many"),
                     options=["--metrics", url("tcp", LO, PORT), "--peers",
                              s.file("odd", f'{s.key("odd")[1]} o"d\\d\n'),
                              "--max-age", "1s"])
    client = s.forward(a, url("udp", LO, IN), url("udp", LO, OUT),
                       url("tcp", b.v4, LINK),
                       options=["--metrics", "unix://" + path]).up()
    peer = s.key("c")[1][:8]
    u = a.udp()
    for n in range(20):
        equal(u.ask(b"%d" % n, (LO, IN)), b"%d" % n)
    stranger = b.tcp(b.v4)
    stranger.send(b"\0\4abcd")
    until(lambda: server.drops(), "a drop")

    def scrape(more="", where="/metrics", method="GET"):
        return Reply(b.tcp(LO, PORT), get_request(where, method, more))

    def metrics(*names):
        # somebody may be running a node of before there were any
        return read(sh(CULVERT, "metrics", *names, check=False).stdout)

    with s.check("a scrape is sound: types, names, units, no sample twice"):
        r = scrape()
        equal((r.status, r.head["Content-Type"]),
              ("HTTP/1.1 200 OK", "text/plain; version=0.0.4; charset=utf-8"))
        equal(len(read_by_other(r.text, "parser")), len(read(r.text)))

    with s.check("OpenMetrics for who accepts it: sound too, the same samples"):
        r = scrape(f"Accept: {OPEN};version=1.0.0,text/plain;q=0.5\r\n")
        true(r.head["Content-Type"].startswith(OPEN + "; version=1.0.0"), r.head)
        true(r.text.endswith("\n# EOF\n"), r.text[-20:])
        names = [line.split()[:-1] for line in
                 read_by_other(r.text, "openmetrics.parser")]
        equal(names, [line.split()[:-1] for line in
                      read_by_other(scrape().text, "parser")])

    with s.check("every number is that of show -j"):
        m, shown = read(scrape().text), server.show()
        their = server.peer(peer)
        for where, labels, scope in ((shown, {"node": server.name}, ""),
                                     (their, {"node": server.name,
                                              "peer": peer}, "peer_")):
            for key, name in (("sent", "sent"), ("received", "received")):
                for what, unit in (("datagrams", "datagrams"),
                                   ("bytes", "datagram_bytes")):
                    equal(get(m, f"{scope}{name}_{unit}_total", **labels),
                          where[key][what], f"{scope}{name} {unit}")
            equal(get(m, scope + "handshakes_total", **labels),
                  where["handshakes"])
            equal(get(m, scope + "flows", **labels), where["flows"])
        equal(get(m, "peer_received_datagrams_total", node=server.name,
                  peer=peer), 20)
        equal(get(m, "flows_limit", node=server.name), shown["flows_max"])
        equal(get(m, "buffer_bytes", node=server.name), shown["buffer_bytes"])
        equal(get(m, "buffer_allocations_total", node=server.name),
              shown["buffer_allocations"])
        equal(get(m, "build_info", node=server.name,
                  version=shown["version"]), 1)

    with s.check("every drop has its reason, of datagrams or of packets"):
        counts = {}
        for (name, labels), value in m.items():
            if name.startswith("culvert_dropped_"):
                reason = dict(x.split("=") for x in labels)["reason"]
                counts[reason.strip('"')] = value
        equal(counts, shown["dropped"])
        true(get(m, "dropped_packets_total", node=server.name,
                 reason="malformed"), "the stranger was counted")
        equal(get(m, "dropped_datagrams_total", node=server.name,
                  reason="malformed"), None)

    with s.check("a peer is up, with the age of its link and its round trip"):
        until(lambda: client.peer()["rtt_us"], "a round trip was measured")
        m, shown = metrics(client.name), client.peer()
        of = {"node": client.name, "peer": "server"}
        equal((get(m, "peer_up", **of), get(m, "peer_links", **of)), (1, 1))
        true(0 < get(m, "peer_link_age_seconds", **of) < 60, "age")
        true(0 < get(m, "peer_rtt_seconds", **of) < 1, "round trip")
        true(0 < get(m, "uptime_seconds", node=client.name) < 60, "uptime")

    with s.check("one that was never there is down, without age, round trip and "
                 "drops; its name is quoted"):
        m, of = metrics(server.name), {"node": server.name,
                                       "peer": 'o\\"d\\\\d'}
        equal((get(m, "peer_up", **of), get(m, "peer_links", **of)), (0, 0))
        equal(get(m, "peer_link_age_seconds", **of), None)
        equal(get(m, "peer_rtt_seconds", **of), None)
        equal([x for x in m if "peer_dropped" in x[0] and 'o\\"d' in str(x)], [])
        true("peer=o\"d\\d state=down" in
             sh(CULVERT, "top", "-n", 1, "-d", 0.1, server.name).stdout, "top")

    with s.check("culvert metrics makes one exposition of all nodes"):
        m = metrics()
        for n in (server, client):
            true(get(m, "uptime_seconds", node=n.name), n.name)
        equal({labels[0] for _, labels in metrics(client.name)},
              {f'node="{client.name}"'})

    with s.check("a node that is not there: exit code 3"):
        equal(sh(CULVERT, "metrics", "cvt73no", check=False).returncode, 3)

    # --- HTTP ---

    for where in ("/", "/metrics?name[]=x"):
        with s.check(f"GET {where} is the same"):
            equal(scrape(where=where).status, "HTTP/1.1 200 OK")

    with s.check("HEAD has the length, and no body"):
        r = scrape(method="HEAD")
        equal((r.status, r.body), ("HTTP/1.1 200 OK", b""))
        true(abs(r.length - scrape().length) < 10, f"{r.length}")

    for what, request, status in (
            ("another path", get_request("/metric"), "404 Not Found"),
            ("another method", get_request(method="POST"),
             "405 Method Not Allowed"),
            ("another protocol", b"GET /metrics SIP/2.0\r\n\r\n",
             "400 Bad Request"),
            ("HTTP/0.9", b"GET /metrics\r\n\r\n", "400 Bad Request"),
            ("nothing", b"\r\n\r\n", "400 Bad Request"),
            ("zeros", b"\0" * 90 + b"\r\n\r\n", "400 Bad Request"),
            ("more than a request may have", b"GET / HTTP/1.1\r\nX: " +
             b"y" * 5000, "431 Request Header Fields Too Large")):
        with s.check(f"{what}: {status}"):
            r = Reply(b.tcp(LO, PORT), request)
            equal(r.status, "HTTP/1.1 " + status)
            equal(r.head.get("Allow"),
                  "GET, HEAD" if status[:3] == "405" else None)

    with s.check("a request in pieces is one"):
        t = b.tcp(LO, PORT)
        for byte in get_request()[:-1]:
            t.send(bytes([byte]))
        equal(Reply(t, b"\n").status, "HTTP/1.1 200 OK")

    # --- who may ask ---

    with s.check("a unix socket is its owner's only"):
        equal(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        t = socket.socket(socket.AF_UNIX)
        t.connect(path)
        read(Reply(t, get_request()).text)
        user = s.user()
        r = sh(*user.prefix, "/usr/bin/python3", "-c",
               "import socket; socket.socket(socket.AF_UNIX)"
               f".connect('{path}')", check=False)
        true("PermissionError" in r.stderr, r.stderr)

    with s.check("another user's request is not answered, even if the socket "
                 "lets him in"):
        control = f"/run/culvert/{client.name}.sock"
        folder = os.stat("/run/culvert")
        os.chmod("/run/culvert", 0o711)
        os.chmod(control, 0o666)
        try:
            r = user.run(f"culvert show {control}", check=False)
        finally:
            os.chmod("/run/culvert", stat.S_IMODE(folder.st_mode))
        equal((r.returncode, r.stdout), (3, ""))

    with s.check("an address that others reach is worth a warning, loopback "
                 "is not"):
        n = s.serve(b, "tcp://127.0.0.1:4001", name="seen",
                    options=["--metrics", "tcp://*:9101"])
        n.said("may read the metrics")
        true("may read the metrics" not in server.log(), server.log())
        with a:
            t = socket.create_connection((b.v6, 9101), 5)
        read(Reply(t, get_request()).text)
        n.kill()

    with s.check("a path that was left behind is taken over, one in use not"):
        client.signal(signal.SIGKILL)
        client.exit_code()
        client = s.config(a, f"Metrics = unix://{path}\nMaxAge = 1s\n"
                          "PrivateKeyFile = "
                          f"{s.key('c')[0]}\n[Peer server]\nPublicKey = "
                          f"{s.key('s')[1]}\nEndpoint = "
                          f"{url('tcp', b.v4, LINK)}\n[Forward]\nFrom = "
                          f"{url('udp', LO, IN)}\nTo = {url('udp', LO, OUT)}\n"
                          "Via = server\n", "client").up()
        r = a.run(CULVERT, "serve", "tcp://127.0.0.1:4002", "--plain",
                  "--name", s.prefix + "no", "--metrics", "unix://" + path,
                  check=False)
        equal(r.returncode, 1)
        true(path in r.stderr and "in use" in r.stderr, r.stderr)

    for what, where, code, holds in (
            ("a port that is taken", url("tcp", LO, PORT), 1,
             "choose another port"),
            ("a name", "tcp://some.name:9100", 2, "address of this machine"),
            ("no URL", "127.0.0.1:9100", 2, "no scheme"),
            ("a folder that is not", "unix:///no/where", 1, "No such file")):
        with s.check(f"--metrics of {what}: one line, exit code {code}"):
            r = b.run(CULVERT, "serve", "tcp://127.0.0.1:4003", "--plain",
                      "--metrics", where, check=False)
            equal((r.returncode, r.stderr.count("\n")), (code, 1), r.stderr)
            true(holds in r.stderr and where in r.stderr, r.stderr)

    # --- who asks too much ---

    busy = Pinger(a, (LO, IN))
    until(lambda: busy.answers, "answers")

    with s.check(f"{CROWD} connections, silent, half, or without a reader: "
                 "the node does not notice, who asks next is answered"):
        memory, fds = server.status("VmRSS"), server.descriptors()
        crowd, most, drops = [], 0, (client.drops(), server.drops())
        with b:
            for n in range(CROWD):
                t = socket.socket()
                t.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
                t.setblocking(False)
                t.connect_ex((LO, PORT))
                crowd.append(t)
                try:
                    t.send([b"", b"GET /metrics", get_request()][n % 3])
                except OSError:
                    pass  # not connected yet, or given up already
                if not n % 500:
                    most = max(most, server.descriptors())
        r = until(lambda: scrape().status, "a scrape")
        equal(r, "HTTP/1.1 200 OK")
        true(most <= fds + 9, f"{most} descriptors, {fds} before")
        grown = server.status("VmRSS") - memory
        s.note(f"{most - fds} descriptors and {grown} KiB more")
        true(grown < 4096, f"{grown} KiB")
        for t in crowd:
            t.close()
        # as many packets at once are too many for the kernel, whose queue in
        # front of all sockets holds 1000: what it drops there no node sees
        busy.unhurt(0, lost=busy.sent // 20)
        equal((client.drops(), server.drops()), drops, "drops")
        gaps = [y - x for (_, x), (_, y) in zip(busy.answers, busy.answers[1:])]
        true(max(gaps) < 0.5, f"silent for {max(gaps):.2f} s")

    with s.check("who says nothing is hung up on within 6 seconds"):
        mark = busy.sent
        t = b.tcp(LO, PORT, 6)
        equal(t.recv(1), b"")
        busy.unhurt(mark)
    busy.close()

    # --- show --flows ---

    def flows(node):
        every = json.loads(sh(CULVERT, "show", "--flows", "-j",
                              node.name).stdout)
        equal(every["name"], node.name)
        return every

    with s.check("show --flows: who, by whom, where to, how much"):
        v = a.udp()
        for n in range(7):
            equal(v.ask(b"%d" % n, (LO, IN)), b"%d" % n)
        text = f"{LO}:{v.at[1]}"
        f = [f for f in flows(client)["list"]
             if f["from"].get("address") == text][0]
        equal((f["kind"], f["from"]["edge"], f["to"], f["target"], f["kept"]),
              ("dgram", "udp", {"peer": "server"}, url("udp", LO, OUT), False))
        equal((f["sent"], f["received"]), (7, 7))
        true(f["idle_seconds"] < 30, f)
        line = [x for x in sh(CULVERT, "show", "--flows",
                              client.name).stdout.splitlines() if text in x]
        equal(line[0].split()[:6],
              ["dgram", text, "server", url("udp", LO, OUT), "7", "7"])

    with s.check("at the far end too: its peer, and the target it reached"):
        f = [f for f in flows(server)["list"] if f["sent"] == 7][0]
        equal((f["from"], f["to"], f["target"]),
              ({"peer": peer}, {"edge": "udp"}, url("udp", LO, OUT)))

    with s.check(f"of many flows {LISTED} are listed: the kept one, then the "
                 "last that were used"):
        sink = b.udp(LO, 7000)
        many = s.forward(a, url("udp", LO, 1235) + f"?peer={LO}:7001",
                         url("udp", LO, 7000), url("tcp", b.v4, LINK),
                         key="many", name="many",
                         options=["--max-age", "5s"]).up()
        with a:
            for n in range(LISTED + 52):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as t:
                    t.bind(("127.0.0.9", 10000 + n))
                    t.sendto(b"%d" % n, (LO, 1235))
                    last = t.getsockname()
                equal(sink.recv(), b"%d" % n)
        every = flows(many)
        equal((every["flows"], len(every["list"])), (LISTED + 53, LISTED))
        equal([f["kept"] for f in every["list"]],
              [True] + [False] * (LISTED - 1))
        equal(every["list"][1]["from"]["address"], "%s:%d" % last)
        true("and 53 more, idle longer" in
             sh(CULVERT, "show", "--flows", many.name).stdout, "the rest")
        many.kill()

    # --- names ---

    def at_once(count, command):
        """that many programs, which begin at the same instant"""
        gate = os.path.join(s.dir, "gate")
        os.mkfifo(gate)
        every = [Process(a, ["sh", "-c", f"read x <{gate}; exec {command(n)}"],
                         f"twin{n}") for n in range(count)]
        with open(gate, "w"):
            for p in every:
                until(lambda p=p: gate in map(os.path.realpath, glob.glob(
                    f"/proc/{p.pid}/fd/*")), "it stands at the gate")
        os.unlink(gate)
        return every

    with s.check("eight nodes of one name at the same instant: one runs, seven "
                 "say why not"):
        name = s.prefix + "twin"
        for _ in range(4):
            with socket.socket(socket.AF_UNIX) as t:  # of one that was killed
                t.bind(f"/run/culvert/{name}.sock")
            twins = at_once(8, lambda n: f"{CULVERT} serve --plain "
                            f"tcp://127.0.0.1:{4100 + n} --name {name}")
            until(lambda: sum(not p.alive() for p in twins) == 7, "seven end")
            for p in twins:
                if not p.alive():
                    equal(p.exit_code(), 1)
                    true(f'is called "{name}" already' in p.log(), p.log())
            one = [p for p in twins if p.alive()][0].said("msg=listening")
            equal(sh(CULVERT, "show", name).returncode, 0)
            one.signal(signal.SIGTERM)
            equal(one.exit_code(), 0)
            true(not os.path.exists(f"/run/culvert/{name}.sock"), "it is gone")

    with s.check("without a name each of them finds one"):
        twins = at_once(8, lambda n: f"{CULVERT} serve --plain "
                        f"tcp://127.0.0.{n + 1}:7373")
        names = {p.said("node=").log().split("node=")[1].split()[0]
                 for p in twins}
        equal(len(names), 8)
        true("serve-7373" in names, names)
        for name in names:
            equal(sh(CULVERT, "show", name).returncode, 0)
        for p in twins:
            p.signal(signal.SIGTERM)
            equal(p.exit_code(), 0)

    with s.check("an orderly stop removes the metrics' socket"):
        client.signal(signal.SIGTERM)
        equal(client.exit_code(), 0)
        true(not os.path.exists(path), path)
