#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""nas.py DEVICE - the web interface of a box: http://127.0.0.1/, on loopback

Its page shows the address of DEVICE, and sets it.  /disk is 1 MB of bytes; what
is posted there comes back as its checksum.
"""
import hashlib
import html
import http.server
import ipaddress
import subprocess
import sys
import urllib.parse

DISK = bytes(range(256)) * 4096


def addresses():
    r = subprocess.run(["ip", "-brief", "addr", "show", "dev", sys.argv[1]],
                       capture_output=True, text=True, check=True)
    return " ".join(r.stdout.split()[2:]) or "none"


class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept

    def answer(self, body, kind="text/html", status=200):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/disk":
            self.answer(DISK, "application/octet-stream")
            return
        self.answer(f"""<title>NAS</title>
<h1>NAS 67</h1>
<p>address: {html.escape(addresses())}</p>
<form method=post><input name=address placeholder=192.168.7.67/24>
<button>set</button></form>
""".encode())

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.path == "/disk":
            self.answer(hashlib.sha256(body).hexdigest().encode())
            return
        form = urllib.parse.parse_qs(body.decode())
        try:
            new = ipaddress.ip_interface(form["address"][0])
        except (KeyError, ValueError) as e:
            self.answer(f"no address: {e}\n".encode(), "text/plain", 400)
            return
        subprocess.run(["ip", "addr", "replace", str(new), "dev", sys.argv[1]],
                       check=True)
        self.do_GET()

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer.request_queue_size = 128
http.server.ThreadingHTTPServer(("127.0.0.1", 80), Page).serve_forever()
