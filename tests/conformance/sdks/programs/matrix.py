"""What each SDK does: a message says what to try. Runs on the stock Python SDK and on ours.

usage: matrix.py PORT
"""

import asyncio
import json
import sys
from datetime import timedelta

from aiohttp import web
from statefun import (
    BoolType,
    DoubleType,
    IntType,
    LongType,
    RequestReplyHandler,
    StatefulFunctions,
    StringType,
    ValueSpec,
    egress_message_builder,
    kafka_egress_message,
    make_json_type,
    message_builder,
)

JSON = make_json_type("matrix/json")
HOUR = timedelta(hours=1)
TO = ("matrix/plain", "other")
functions = StatefulFunctions()
late = []


def tell(context, value):
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    context.send_egress(egress_message_builder("matrix/out", text, StringType))


def number(text):
    return float(text) if "." in text or text == "NaN" else int(text)


STATES = [
    ValueSpec("n", IntType),
    ValueSpec("t", StringType, expire_after_write=HOUR),
    ValueSpec("j", JSON, expire_after_call=HOUR),
    ValueSpec("b", BoolType),
]


@functions.bind("matrix/states", specs=STATES)
def states(context, message):
    storage = context.storage
    match message.as_string().split(" ", 1):
        case ["read", name]:
            tell(context, getattr(storage, name))
        case ["n", value]:
            storage.n = number(value)
        case ["n-text"]:
            storage.n = "many"
        case ["t", value]:
            storage.t = value
        case ["t-empty"]:
            storage.t = ""
        case ["t-number"]:
            storage.t = 5
        case ["t-half"]:
            storage.t = "a\ud800"
        case ["j-nan"]:
            storage.j = {"total": float("nan")}
        case ["j-within"]:
            storage.j["items"].append("pear")
        case ["b-number"]:
            storage.b = 2
        case ["delete", name]:
            delattr(storage, name)
        case ["none", name]:
            setattr(storage, name, None)
        case ["undeclared"]:
            storage.undeclared = 1


@functions.bind("matrix/wide", specs=[ValueSpec("l", LongType), ValueSpec("d", DoubleType)])
def wide(context, message):
    storage = context.storage
    match message.as_string().split(" ", 1):
        case ["read", name]:
            tell(context, getattr(storage, name))
        case ["l", value]:
            storage.l = int(value)
        case ["d", value]:
            storage.d = float(value)


@functions.bind("matrix/argument")
def argument(context, message):
    tell(context, message.as_string())


async def send_late(context):
    await asyncio.sleep(0.05)
    try:
        context.send(message_builder(*TO, str_value="late"))
    except Exception:  # noqa: BLE001 — whatever an SDK raises
        return "refused"
    return "lost without a word"


@functions.bind("matrix/plain")
async def plain(context, message):
    match message.as_string().split(" ", 1):
        case ["caller"]:
            caller = context.caller
            tell(context, None if caller is None else f"{caller.typename}/{caller.id}")
        case ["reply"]:
            context.send(message_builder(context.caller.typename, context.caller.id, str_value="x"))
        case ["send"]:
            context.send(message_builder(*TO, str_value="x"))
        case ["send-nothing"]:
            context.send(message_builder(*TO, str_value=None))
        case ["send-empty-id"]:
            context.send(message_builder(TO[0], "", str_value="x"))
        case ["send-number-id"]:
            context.send(message_builder(TO[0], 7, str_value="x"))
        case ["send-large"]:
            context.send(message_builder(*TO, int_value=2**31))
        case ["after", ms]:
            delay = timedelta(milliseconds=float(ms))
            context.send_after(delay, message_builder(*TO, str_value="x"))
        case ["token", token]:
            later = message_builder(*TO, str_value="x")
            context.send_after(timedelta(seconds=1), later, cancellation_token=token)
        case ["token-empty"]:
            later = message_builder(*TO, str_value="x")
            context.send_after(timedelta(seconds=1), later, cancellation_token="")
        case ["cancel", token]:
            context.cancel_delayed_message(token)
        case ["cancel-empty"]:
            context.cancel_delayed_message("")
        case ["kafka"]:
            context.send_egress(kafka_egress_message(typename="matrix/kafka", topic="t", value="v"))
        case ["kafka-int"]:
            context.send_egress(
                kafka_egress_message(typename="matrix/kafka", topic="t", key="k", value=1)
            )
        case ["boom"]:
            raise RuntimeError("boom")
        case ["boom-later"]:
            await asyncio.sleep(0.001)
            raise RuntimeError("boom")
        case ["late"]:
            loop = asyncio.get_running_loop()
            late.append(loop.create_task(send_late(context)))
        case ["late?"]:
            tell(context, await late.pop())


handler = RequestReplyHandler(functions)


async def serve(request):
    body = await request.read()
    if hasattr(handler, "respond_async"):
        answer = await handler.respond_async(body, request.content_type)
        headers = {"Content-Type": answer.content_type, **answer.headers}
        return web.Response(status=answer.status, headers=headers, body=answer.body)
    reply = await handler.handle_async(body)
    return web.Response(body=reply, content_type="application/octet-stream")


if __name__ == "__main__":
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.add_routes([web.post("/", serve)])
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
