#!/usr/bin/env bash
# aiohttp's web.run_app(shutdown_timeout=N) takes up to 2 N seconds to stop: 120 s by default, which outlasts the 30 s that
# Kubernetes waits, and the 90 s of systemd.
#
# A good guess: N seconds after SIGTERM what is still running is cancelled, and the process ends.
# Found with aiohttp 3.14.5: one request that runs long is waited for twice, once by the runner and once by the server that
# it closes afterwards.
#
# Seen (N = 2):
#   stopped 4.0 s after SIGTERM
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check aiohttp==3.14.5
cat > "$folder/serve.py" <<'PY'
import asyncio
import sys

from aiohttp import web


async def handle(request):
    print("working", flush=True)
    await asyncio.sleep(1000)


app = web.Application()
app.add_routes([web.get("/", handle)])
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), shutdown_timeout=2, print=None)
PY
cat > "$folder/try.py" <<'PY'
import socket
import subprocess
import sys
import time

with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
server = subprocess.Popen([sys.executable, sys.argv[1], str(port)], stdout=subprocess.PIPE)
for _ in range(200):
    try:
        there = socket.create_connection(("127.0.0.1", port))
        break
    except OSError:
        time.sleep(0.05)
there.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
assert server.stdout.readline() == b"working\n"
began = time.monotonic()
server.terminate()
server.wait(60)
took = time.monotonic() - began
print(f"stopped {took:.1f} s after SIGTERM")
sys.exit(not 3.5 < took < 6.0)
PY
"$folder/venv/bin/python" "$folder/try.py" "$folder/serve.py"
