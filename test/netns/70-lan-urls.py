# SPDX-License-Identifier: MIT
"""lan://, bcast:// and mcast:// as the manual writes them: a page of 1 MB from
a server whose machine has no address."""
from lib import Scene, equal
from lan import (TARGET, Get, Lan, forward, security, serve, start, strict,
                 web)

URLS = ("lan://67@", "bcast://67@eth0", "mcast://67@239.255.67.86%eth0",
        "mcast://67@[ff12::e043:5654%eth0]")


def page(a, want):
    got, first, total = Get(a).end()
    equal(got, want, "the page's checksum")
    return first, total


def unaddressed(s, a, b, want, url):
    server, client = serve(b, url, "--discoverable"), forward(a, url)
    client.up()
    first, total = page(a, want)
    s.note(f"first byte {first * 1e3:.0f} ms, 1 MB in {total:.2f} s; "
           f"{client.peer()['link']}")
    client.kill()
    server.kill()


with Scene("lanu", __doc__) as s:
    lan = Lan(s)
    a, b, c = s.host("a"), s.host("b"), s.host("c")
    lan.plug(a, addr="10.1.1.1/24")
    lan.plug(b)
    lan.plug(c)
    _, want = web(s, b)
    for url in URLS:
        with s.check(f"{url}: a page of 1 MB"):
            unaddressed(s, a, b, want, url)
    for h in (a, b):
        strict(h, 0, v6=False)
    for url in URLS[:3]:
        with s.check(f"{url}, without IPv6 and nothing but frames there"):
            unaddressed(s, a, b, want, url)
    for h in (a, b):
        strict(h, 1, v6=False)
    with s.check("lan://67@, with reverse path filters that drop everything"):
        unaddressed(s, a, b, want, URLS[0])
    with s.check("two clients on one machine: the second one asks from "
                 "another port"):
        server = serve(b, URLS[0])
        other = start(a, "forward", "tcp://127.0.0.1:7778", TARGET, "via",
                      URLS[0], *security(s, "c2", "s"), name="other")
        other.said("msg=forwarding")
        client = forward(a, URLS[0]).up()
        page(a, want)
        for n in (other, client, server):
            n.kill()
