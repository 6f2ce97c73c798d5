"""aiohttp: answers every request with a fixed reply; `/slow` takes 20 ms. Arguments: port, reply in hex."""

import asyncio
import sys

from aiohttp import web

REPLY = bytes.fromhex(sys.argv[2])


async def handle(request: web.Request) -> web.Response:
    await request.read()
    if request.path == "/slow":
        await asyncio.sleep(0.02)
    return web.Response(body=REPLY, content_type="application/octet-stream")


app = web.Application(client_max_size=64 * 1024 * 1024)
app.add_routes([web.post("/{name}", handle)])
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), keepalive_timeout=1, print=None)
