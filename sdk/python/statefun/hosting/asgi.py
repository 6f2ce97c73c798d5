"""For ASGI servers and frameworks: `app = asgi_application(functions)`, alone or mounted at a path."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from statefun.calls.bundle_run import BundleRun
from statefun.calls.bundles import BUNDLE, is_bundle
from statefun.calls.failures import Response
from statefun.handler import TURN_S, RequestReplyHandler
from statefun.hosting.served import Served, handler_of, headers_of, refusal

Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
Application = Callable[[Event, Receive, Send], Awaitable[None]]


def asgi_application(functions: Served) -> Application:
    """Return an application that answers every POST; bundles in parts, so that a slow address holds up no other."""
    handler = handler_of(functions)

    async def application(scope: Event, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        if scope["type"] != "http":
            raise ValueError(f"functions are called over HTTP, not over {scope['type']!r}")
        body = await _body(receive)
        if body is None:
            return
        content_type = _content_type(scope)
        refused = refusal(scope["method"])
        if refused is not None:
            await _respond(refused, send)
        elif is_bundle(content_type):
            await _answer_bundle(handler, body, send)
        else:
            await _respond(await handler.respond_async(body, content_type), send)

    return application


async def _live(receive: Receive, send: Send) -> None:
    while True:
        event = await receive()
        await send({"type": f"{event['type']}.complete"})
        if event["type"] == "lifespan.shutdown":
            return


async def _body(receive: Receive) -> bytes | None:
    """Return the whole body; None if whoever asked has left."""
    parts: list[bytes] = []
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            return None
        parts.append(event.get("body", b""))
        if not event.get("more_body", False):
            return b"".join(parts)


def _content_type(scope: Event) -> str:
    found = (value for name, value in scope["headers"] if name.lower() == b"content-type")
    return bytes(next(found, b"")).decode("latin-1")


async def _respond(response: Response, send: Send) -> None:
    await _begin(response.status, headers_of(response), send)
    await send({"type": "http.response.body", "body": response.body})


async def _begin(status: int, headers: dict[str, str], send: Send) -> None:
    pairs = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})


async def _answer_bundle(handler: RequestReplyHandler, body: bytes, send: Send) -> None:
    parts: list[bytes] = []
    is_there = asyncio.Event()

    def write(data: bytes) -> None:
        parts.append(data)
        is_there.set()

    try:
        run = BundleRun(handler, body, write)
    except ValueError as error:
        await _respond(Response(400, "text/plain", str(error).encode()), send)
        return
    await _begin(200, {"content-type": BUNDLE}, send)
    async with asyncio.TaskGroup() as tasks:
        has_begun = False
        while not has_begun or run.left or parts:
            has_begun = has_begun or run.begin(tasks.create_task, turn_s=TURN_S)
            if parts:
                data = b"".join(parts)
                parts.clear()
                await send({"type": "http.response.body", "body": data, "more_body": True})
            elif has_begun:
                is_there.clear()
                await is_there.wait()
            # Others have a turn before the next batches begin.
            await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": b""})
