"""`functions.py PORT`: the functions that the state folders of this place were made with."""

import asyncio
import json
import sys
from datetime import timedelta

from aiohttp import web
from statefun import (
    Context,
    IntType,
    Message,
    RequestReplyHandler,
    StatefulFunctions,
    ValueSpec,
    egress_message_builder,
    kafka_egress_message,
    message_builder,
    simple_type,
)

TEXT = simple_type("old/text", serialize_fn=str.encode, deserialize_fn=bytes.decode)
RECORD = simple_type("io.statefun.playground/EgressRecord", str.encode, bytes.decode)
FAR = timedelta(days=3650)

_functions = StatefulFunctions()


@_functions.bind("old/counter", specs=[ValueSpec("seen", IntType)])
async def counter(context: Context, message: Message) -> None:
    """Show `<id> <count> <text>` in two HTTP topics; some texts ask for more."""
    seen = (context.storage.seen or 0) + 1
    context.storage.seen = seen
    text = message.as_type(TEXT) or ""
    if text == "fail":
        raise ValueError("this id always fails")
    for topic in ("out", "kept"):
        value = json.dumps({"topic": topic, "payload": f"{context.address.id} {seen} {text}"})
        context.send_egress(
            egress_message_builder(
                target_typename="io.statefun.playground/egress", value=value, value_type=RECORD
            )
        )
    if text.startswith("later"):
        delayed = message_builder(
            "old/counter", context.address.id, value=f"delayed {text}", value_type=TEXT
        )
        context.send_after(FAR, delayed, cancellation_token=text)
    if text.startswith("kafka"):
        for name in ("old/exactly", "old/least"):
            context.send_egress(
                kafka_egress_message(
                    typename=name, topic="results", key=context.address.id, value=f"{seen} {text}"
                )
            )


@_functions.bind("old/slow")
async def slow(context: Context, message: Message) -> None:
    """Never answer."""
    await asyncio.sleep(100_000)


_handler = RequestReplyHandler(_functions)


async def _handle(request: web.Request) -> web.Response:
    try:
        body = await _handler.handle_async(await request.read())
    except ValueError as error:
        return web.Response(status=500, text=str(error))
    return web.Response(body=body, content_type="application/octet-stream")


if __name__ == "__main__":
    application = web.Application(client_max_size=1 << 28)
    application.router.add_post("/", _handle)
    print("serving", flush=True)
    web.run_app(application, host="127.0.0.1", port=int(sys.argv[1]), print=None)
