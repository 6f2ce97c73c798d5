#!/usr/bin/env bash
# httpx returns a gzip body that was cut off as if it were whole, and of several gzip members only the first.
#
# A good guess: a body that ends in the middle of its compressed stream raises DecodingError, since a gzip stream knows its
# own end; and a body of two gzip members, which RFC 1952 allows and gzip writes, comes out as both.
# Found with httpx 0.28.1 on Python 3.11: status 200 and no error in either case. Content-Length is right for what was sent,
# so that nothing else tells.
#
# Seen:
#   whole: 6000 of 6000 bytes
#   cut in the middle: 2905 of 6000 bytes, no error
#   two members: 6000 of 12000 bytes, no error
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check httpx==0.28.1
cat > "$folder/try.py" <<'PY'
import gzip
import random
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx

text = bytes(random.Random(1).choices(b"abcdefgh", k=6000))
packed = gzip.compress(text)
bodies = {"/whole": packed, "/cut": packed[: len(packed) // 2], "/two": packed + packed}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = bodies[self.path]
        self.send_response(200)
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}"
whole, cut, two = (httpx.get(url + path, trust_env=False).content for path in bodies)
print(f"whole: {len(whole)} of {len(text)} bytes")
print(f"cut in the middle: {len(cut)} of {len(text)} bytes, no error")
print(f"two members: {len(two)} of {2 * len(text)} bytes, no error")
sys.exit(not (whole == text and 0 < len(cut) < len(text) and two == text))
PY
"$folder/venv/bin/python" "$folder/try.py"
