"""What chaos lets functions do: count, and tell what came when, over Kafka and over HTTP.

chaos/both      "HERE THERE text": `<count>;<text>` to topic HERE of egress chaos/here, and to THERE of chaos/there
chaos/counter   "text": `<id> <count> <text>` to the HTTP topic `out`; a text that ends with ! goes to chaos/late
                later, too
chaos/late      as chaos/counter, to the topic `late`
"""

import json
from datetime import timedelta
from typing import Any

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

LATER = timedelta(milliseconds=700)
TEXT = simple_type("chaos/text", serialize_fn=str.encode, deserialize_fn=bytes.decode)
RECORD = simple_type("io.statefun.playground/EgressRecord", str.encode, bytes.decode)
SEEN = ValueSpec("seen", IntType)

_functions = StatefulFunctions()


def _text(message: Message) -> str:
    text = message.as_type(TEXT)
    assert text is not None
    return text


def _count(context: Context) -> int:
    seen = (context.storage.seen or 0) + 1
    context.storage.seen = seen
    return seen


def _show(context: Context, topic: str, text: str) -> None:
    payload = f"{context.address.id} {_count(context)} {text}"
    value = json.dumps({"topic": topic, "payload": payload})
    context.send_egress(
        egress_message_builder(
            target_typename="io.statefun.playground/egress", value=value, value_type=RECORD
        )
    )


@_functions.bind("chaos/both", specs=[SEEN])
async def both(context: Context, message: Message) -> None:
    here, there, text = _text(message).split(" ")
    value = f"{_count(context)};{text}"
    for name, topic in (("chaos/here", here), ("chaos/there", there)):
        context.send_egress(
            kafka_egress_message(typename=name, topic=topic, key=context.address.id, value=value)
        )


@_functions.bind("chaos/counter", specs=[SEEN])
async def counter(context: Context, message: Message) -> None:
    text = _text(message)
    _show(context, "out", text)
    if text.endswith("!"):
        later = message_builder(
            target_typename="chaos/late", target_id=context.address.id, value=text, value_type=TEXT
        )
        context.send_after(LATER, later)


@_functions.bind("chaos/late", specs=[SEEN])
async def late(context: Context, message: Message) -> None:
    _show(context, "late", _text(message))


handle: Any = RequestReplyHandler(_functions).handle_async
