#!/usr/bin/env bash
# Neither asyncio nor uvloop races the addresses of a name by default, and uvloop cannot be asked to: behind a dead first
# address the second, which is well, is reached after the kernel has given up, two minutes later.
#
# A good guess: connecting to a name with several addresses follows RFC 8305 as browsers and curl do, and an extension of
# asyncio takes asyncio's arguments.
# Found with Python 3.11 and uvloop 0.23.0: asyncio's create_connection tries one address after the other unless it is given
# happy_eyeballs_delay; uvloop's refuses that argument with a TypeError.
#
# Seen:
#   asyncio, as it is: no connection within 3 s
#   asyncio, happy_eyeballs_delay=0.25: connected
#   uvloop, happy_eyeballs_delay=0.25: TypeError
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check uvloop==0.23.0
cat > "$folder/try.py" <<'PY'
import asyncio
import socket
import sys

import uvloop

live = socket.create_server(("127.0.0.1", 0))
port = live.getsockname()[1]
# Nobody takes what the backlog of this one holds, so that it answers no more connections.
dead = socket.create_server(("127.0.0.2", port), backlog=0)
filling = [socket.socket() for _ in range(2)]
for each in filling:
    each.setblocking(False)
    each.connect_ex(("127.0.0.2", port))


async def getaddrinfo(host, port, **_):
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in ("127.0.0.2", "127.0.0.1")]


async def connect(**how):
    loop = asyncio.get_running_loop()
    if not isinstance(loop, uvloop.Loop):
        loop.getaddrinfo = getaddrinfo
    try:
        async with asyncio.timeout(3):
            transport, _ = await loop.create_connection(asyncio.Protocol, "two.test", port, **how)
    except TimeoutError:
        return "no connection within 3 s"
    except TypeError:
        return "TypeError"
    transport.abort()
    return "connected"


race = {"happy_eyeballs_delay": 0.25}
seen = []
for loop, run, how in (
    ("asyncio", asyncio.run, {}),
    ("asyncio", asyncio.run, race),
    ("uvloop", uvloop.run, race),
):
    seen.append(run(connect(**how)))
    print(f"{loop}, {'happy_eyeballs_delay=0.25' if how else 'as it is'}: {seen[-1]}")
sys.exit(seen != ["no connection within 3 s", "connected", "TypeError"])
PY
"$folder/venv/bin/python" "$folder/try.py"
