"""The functions of the jobs whose savepoints are in tests/support/flink/data, on the stock SDK, with a journal.

usage: moving_stock.py PORT JOURNAL      target and state as sent of every request go to the journal
"""

import json
import sys
from datetime import timedelta
from typing import Any

from aiohttp import web
from google.protobuf.struct_pb2 import Struct
from statefun import (
    BoolType,
    DoubleType,
    FloatType,
    IntType,
    LongType,
    RequestReplyHandler,
    StatefulFunctions,
    StringType,
    ValueSpec,
    kafka_egress_message,
    make_json_type,
    make_protobuf_type,
    simple_type,
)
from statefun.request_reply_pb2 import ToFunction  # type: ignore[import-not-found]

RAW = simple_type("acme.types/Raw", serialize_fn=bytes, deserialize_fn=bytes)
HOUR = timedelta(hours=1)
CART = [
    ValueSpec("count", IntType),
    ValueSpec("total", LongType),
    ValueSpec("name", StringType),
    ValueSpec("vip", BoolType),
    ValueSpec("rate", FloatType),
    ValueSpec("avg", DoubleType),
    ValueSpec("raw", RAW),
    ValueSpec("profile", make_json_type("acme.types/Profile")),
    ValueSpec("proto", make_protobuf_type(Struct, namespace="acme.pb")),
]
TTL = [
    ValueSpec("w", StringType, expire_after_write=HOUR),
    ValueSpec("i", IntType, expire_after_call=HOUR),
    ValueSpec("n", LongType),
    ValueSpec("short", StringType, expire_after_write=timedelta(seconds=1)),
]
functions = StatefulFunctions()


def act(context: Any, message: Any) -> None:
    """Say to an egress what came: once for each invocation that takes effect."""
    caller = context.caller
    said = {
        "to": [context.address.typename, context.address.id],
        "sender": [caller.typename, caller.id] if caller else None,
        "typename": message.value_typename(),
        "value": message.raw_value().hex(),
    }
    context.send_egress(
        kafka_egress_message(
            typename="acme.io/acks", topic="acks", key=said["to"][1] or "-", value=json.dumps(said)
        )
    )


@functions.bind("com.acme.shop/cart", specs=CART)
async def cart(context: Any, message: Any) -> None:
    act(context, message)


@functions.bind("demo/ttl", specs=TTL)
async def ttl(context: Any, message: Any) -> None:
    act(context, message)


@functions.bind("demo/slow", specs=[ValueSpec("seen", StringType), ValueSpec("calls", IntType)])
async def slow(context: Any, message: Any) -> None:
    act(context, message)


@functions.bind("com.acme.shop/timer", specs=[ValueSpec("fired", IntType)])
async def timer(context: Any, message: Any) -> None:
    act(context, message)


@functions.bind("demo/late")
async def late(context: Any, message: Any) -> None:
    act(context, message)


handler = RequestReplyHandler(functions)


def address(one: Any) -> list[str]:
    return [f"{one.namespace}/{one.type}", one.id]


def value(one: Any) -> list[Any]:
    return [one.typename, one.has_value, one.value.hex()]


async def handle(request: web.Request) -> web.Response:
    body = await request.read()
    batch = ToFunction.FromString(body).invocation
    entry = {
        "to": address(batch.target),
        "state": {
            each.state_name: value(each.state_value) if each.HasField("state_value") else None
            for each in batch.state
        },
    }
    answer = await handler.handle_async(body)
    journal.write(json.dumps(entry) + "\n")
    return web.Response(body=answer, content_type="application/octet-stream")


port, path = sys.argv[1:]
journal = open(path, "a", buffering=1)  # noqa: SIM115
app = web.Application(client_max_size=64 << 20)
app.add_routes([web.post("/statefun", handle)])
web.run_app(app, host="127.0.0.1", port=int(port), print=None, access_log=None, backlog=4096)
