#!/usr/bin/env bash
# waitress with a hundred idle kept-alive connections answers nobody else, for minutes.
#
# A good guess: connections that are idle cost a place in a list; a new one is answered, or turned away, or an idle one is
# closed for it. waitress multiplexes connections over its threads, so idle ones hold none.
# Found with waitress 3.0.2: `connection_limit` is 100, and counts idle kept-alive connections. The next caller connects (the
# kernel does that), its request stays unread until one of the others has been idle for `channel_timeout` (120 s), and
# nothing is logged but "total open connections reached the connection limit, no longer accepting new connections". A
# client with a pool of more than a hundred connections stands still by itself.
#
# Seen:
#   98 connections answered; the next: no answer within 10 s
#   after five of them are closed: HTTP/1.1 200 OK
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check waitress==3.0.2
cat > "$folder/try.py" <<'PY'
import socket
import sys
import threading

import waitress


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return [b"ok"]


server = waitress.create_server(app, host="127.0.0.1", port=0)
threading.Thread(target=server.run, daemon=True).start()
port = server.effective_port


def ask(timeout):
    there = socket.create_connection(("127.0.0.1", port), timeout=timeout)
    there.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    return there


def answer(there):
    try:
        return there.recv(4096).split(b"\r\n")[0].decode()
    except TimeoutError:
        return None


kept = []
while len(kept) < 110:
    late = ask(10)
    if answer(late) is None:
        break
    kept.append(late)
print(f"{len(kept)} connections answered; the next: no answer within 10 s")
for _ in range(5):
    kept.pop().close()
second = answer(late)
print("after five of them are closed:", second)
sys.exit(not (90 < len(kept) + 5 <= 100 and second == "HTTP/1.1 200 OK"))
PY
"$folder/venv/bin/python" "$folder/try.py" 2>&1
