"""An ASGI application: answers every request with the reply in the environment; `/slow` takes 20 ms."""

import asyncio
import os
from typing import Any

REPLY = bytes.fromhex(os.environ["REPLY"])


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    assert scope["type"] == "http"
    while (await receive()).get("more_body"):
        pass
    if scope["path"] == "/slow":
        await asyncio.sleep(0.02)
    headers = [
        (b"content-type", b"application/octet-stream"),
        (b"content-length", b"%d" % len(REPLY)),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": REPLY})
