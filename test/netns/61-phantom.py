#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Two programs with fixed ports on both sides, either of which may begin

  app1 10.61.1.9:5000 -- 10.61.1.1:5001 gate1 =TCP= gate2 10.61.2.1:5000 --
  10.61.2.9:5001 app2: each takes the gate beside it for the other program.
"""
from lib import LINK, Scene, equal, until, url

APP1, GATE1 = ("10.61.1.9", 5000), ("10.61.1.1", 5001)
APP2, GATE2 = ("10.61.2.9", 5001), ("10.61.2.1", 5000)

with Scene("61", __doc__.splitlines()[0]) as s:
    gate1, gate2 = s.pair(("gate1", "gate2"))
    app1, app2 = s.host("app1"), s.host("app2")
    for app, gate, at, beside in ((app1, gate1, APP1, GATE1),
                                  (app2, gate2, APP2, GATE2)):
        s.cable(app, "eth0", gate, "eth1")
        app.address(at[0] + "/24")
        gate.address(beside[0] + "/24", "eth1")
    one, two = app1.udp(*APP1), app2.udp(*APP2)

    def start_server():
        return s.serve(gate2, url("tcp", gate2.v4, LINK),
                       options=["--allow", "udp://10.61.2.9:5001"])

    def start_client():
        return s.forward(gate1, f"udp://{GATE1[0]}:5001?peer={APP1[0]}:5000",
                         f"udp://{APP2[0]}:5001?bind={GATE2[0]}:5000",
                         url("tcp", gate2.v4, LINK))

    def both_ways(first, word):
        """@first speaks, the other answers, each to the gate beside it"""
        ends = [(one, GATE1), (two, GATE2)]
        if first is two:
            ends.reverse()
        (speaker, door), (listener, far_door) = ends
        speaker.send(word, door)
        equal(listener.recv(), word, "the listener hears")
        equal(listener.source, far_door, "from")
        listener.send(word + b"!", far_door)
        equal(speaker.recv(), word + b"!", "the speaker is answered")
        equal(speaker.source, door, "from")

    def ready():
        until(lambda: server.show()["flows"] == 1, "the flow is there unasked")

    server, client = start_server(), start_client()
    with s.check("the far side may speak first"):
        ready()
        both_ways(two, b"two begins")

    with s.check("then either"):
        both_ways(one, b"one")
        both_ways(two, b"two")

    with s.check("server killed and back: the far side first, same ports"):
        server.kill()
        server = start_server()
        ready()
        both_ways(two, b"after the server's restart")

    with s.check("client killed and back: the far side first, same ports"):
        client.kill()
        client = start_client()
        client.up()
        ready()
        both_ways(two, b"after the client's restart")

    with s.check("both killed and back: the near side first, same ports"):
        server.kill()
        client.kill()
        client, server = start_client(), start_server()
        client.up()
        both_ways(one, b"after both")

    with s.check("the connection reset: the far side first, same ports"):
        ups = client.log().count("peer up")
        gate2.run("ss", "-K", "sport", "=", str(LINK))
        client.said("peer up", 5, ups + 1)
        both_ways(two, b"after the reset")

    with s.check("nobody else beside gate 2 enters"):
        app2.udp("10.61.2.9", 5999).send(b"EVIL", GATE2)
        both_ways(two, b"own")

    with s.check("a second program beside gate 1 cannot have the port as "
                 "well: refused and logged, the first keeps it"):
        app1.udp(APP1[0], 5009).send(b"me too", GATE1)
        client.said("peer refused a flow")
        both_ways(one, b"first")
        both_ways(two, b"second")
