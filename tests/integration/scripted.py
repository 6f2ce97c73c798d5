"""A function that does as its messages say, and every way to break the contract in a reply.

A message is JSON, `{"text": …, "wrong": …, "times": …}`. Each one adds 1 to the state `seen`, sends the text back to
the egress with that count, and a message to a neighbour. With `wrong` the first `times` replies to it have all of
this, and beside it what must not be.
"""

import json
import time
from collections.abc import Callable
from typing import Any

from statefun import kafka_egress_message
from statefun._wire import FromFunction, ToFunction

from tests.support.wire_builders import Request, incomplete, typed

COMMAND = "application/vnd.t/command"
TOPIC = "out"
KINESIS_RECORD = "type.googleapis.com/io.statefun.sdk.egress.KinesisEgressRecord"
KAFKA_RECORD = "type.googleapis.com/io.statefun.sdk.egress.KafkaProducerRecord"
PLAYGROUND = ("io.statefun.playground", "egress", "io.statefun.playground/EgressRecord")
Reply = Any
Break = Callable[[Reply], None]

_attempts: dict[tuple[str, bytes], int] = {}


def _message(reply: Reply, namespace: str, name: str, id_: str, value: bytes) -> None:
    message = reply.outgoing_messages.add()
    message.target.namespace, message.target.type, message.target.id = namespace, name, id_
    message.argument.CopyFrom(typed(value))


def _delay(reply: Reply, ms: int, name: str, token: str = "") -> None:
    delayed = reply.delayed_invocations.add(delay_in_ms=ms, cancellation_token=token)
    delayed.target.namespace, delayed.target.type, delayed.target.id = "t", name, "later"
    delayed.argument.CopyFrom(typed(b'{"text": "later"}'))


def _unknown_delayed(reply: Reply) -> None:
    _delay(reply, 3_600_000, "script")
    delayed = reply.delayed_invocations.add(delay_in_ms=1)
    delayed.target.namespace, delayed.target.type, delayed.target.id = "nowhere", "x", "y"


def _egress(reply: Reply, namespace: str, name: str, typename: str, value: bytes) -> None:
    record = reply.outgoing_egresses.add(egress_namespace=namespace, egress_type=name)
    record.argument.CopyFrom(typed(value, typename))


def _mutation(reply: Reply, name: str, typename: str, kind: int = 1) -> None:
    mutation = reply.state_mutations.add(mutation_type=kind, state_name=name)
    mutation.state_value.CopyFrom(typed(b"x", typename))


def _twice(reply: Reply) -> None:
    _delay(reply, 3_600_000, "script", "token")
    _delay(reply, 3_600_000, "script", "token")


# What is wrong with a reply → under which cause the worker counts it, and what makes the reply so.
BREAKS: dict[str, tuple[str, Break]] = {
    "unknown-function": ("unknown-function", lambda r: _message(r, "nowhere", "x", "y", b"z")),
    "unknown-delayed-function": ("unknown-function", _unknown_delayed),
    "unknown-egress": ("unknown-egress", lambda r: _egress(r, "t", "nowhere", "t/record", b"z")),
    "egress-type": ("bad-egress-record", lambda r: _egress(r, *PLAYGROUND[:2], "t/record", b"{}")),
    "egress-json": ("bad-egress-record", lambda r: _egress(r, *PLAYGROUND, b'{"topic"')),
    "egress-topic": (
        "bad-egress-record",
        lambda r: _egress(r, *PLAYGROUND, b'{"topic": "nowhere", "payload": "z"}'),
    ),
    "undeclared-state": ("bad-state", lambda r: _mutation(r, "undeclared", "t/value")),
    "state-type": ("bad-state", lambda r: _mutation(r, "seen", "t/other")),
    "state-change": ("bad-state", lambda r: _mutation(r, "seen", "t/value", kind=7)),
    "negative-delay": ("bad-delay", lambda r: _delay(r, -1, "script")),
    "token-twice": ("bad-token", _twice),
    "no-token": (
        "bad-token",
        lambda r: r.delayed_invocations.add(is_cancellation_request=True),
    ),
}
# Replies that are no result at all.
WHOLE: dict[str, tuple[str, bytes]] = {
    "no-message": ("bad-reply", b"\xa2\x06\xff\xff\xff\xff\x0f"),
    "asks-again": ("incomplete-loop", incomplete("seen")),
    "asks-for-nothing": ("incomplete-loop", incomplete()),
    "asks-for-other-type": ("bad-state", incomplete("seen", typename="t/other")),
}
CAUSES = {name: cause for name, (cause, _) in {**BREAKS, **WHOLE}.items()}


async def script(body: bytes) -> bytes:
    """Serve `t/script` and `t/neighbour`; records go to the playground egress, topic `out`."""
    request = Request(body)
    if request.target == "t/neighbour":
        return b""
    if "seen" not in request.state:
        return incomplete("seen")
    reply = FromFunction()
    result = reply.invocation_result
    seen = int(request.state["seen"] or b"0")
    for value in request.values:
        command = json.loads(value)
        seen += 1
        _message(result, "t", "neighbour", request.id, b"n")
        payload = json.dumps({"topic": TOPIC, "payload": f"{request.id} {command['text']} {seen}"})
        _egress(result, *PLAYGROUND, payload.encode())
        _later(result, command)
        wrong = _wrong_now(request.id, value, command)
        if wrong in WHOLE:
            return WHOLE[wrong][1]
        if wrong is not None:
            BREAKS[wrong][1](result)
    mutation = result.state_mutations.add(mutation_type=1, state_name="seen")
    mutation.state_value.CopyFrom(typed(str(seen).encode()))
    return reply.SerializeToString()


def _later(result: Reply, command: dict[str, Any]) -> None:
    """With `later` a message to oneself follows, so many milliseconds from now."""
    if "later" not in command:
        return
    delayed = result.delayed_invocations.add(delay_in_ms=command["later"])
    delayed.target.namespace, delayed.target.type = "t", "script"
    delayed.target.id = command["to"]
    delayed.argument.CopyFrom(typed(json.dumps({"text": command["text"] + "-later"}).encode()))


def _wrong_now(function_id: str, value: bytes, command: dict[str, Any]) -> str | None:
    if "wrong" not in command:
        return None
    attempt = _attempts[function_id, value] = _attempts.get((function_id, value), 0) + 1
    return command["wrong"] if attempt <= command.get("times", 1) else None


async def kafka(body: bytes) -> bytes:
    """Serve any type: the value is `topic|text`; `name text seen` goes to that topic, under the id as key.

    For the text `empty` it is a record with an empty value.
    """
    return _echo(body, KAFKA_RECORD)


async def kinesis(body: bytes) -> bytes:
    """The same to streams: what a record has for both is in the same fields."""
    return _echo(body, KINESIS_RECORD)


def _echo(body: bytes, typename: str) -> bytes:
    request = Request(body)
    if "seen" not in request.state:
        return incomplete("seen")
    reply = FromFunction()
    result = reply.invocation_result
    seen = int(request.state["seen"] or b"0")
    name = request.target.rpartition("/")[2]
    for value in request.values:
        topic, _, text = value.decode().partition("|")
        seen += 1
        said = "" if text == "empty" else f"{name} {text} {seen}"
        _egress(result, "t", "records", typename, _record(topic, request.id, said))
    mutation = result.state_mutations.add(mutation_type=1, state_name="seen")
    mutation.state_value.CopyFrom(typed(str(seen).encode()))
    return reply.SerializeToString()


async def tell(body: bytes) -> bytes:
    """Serve any type: `name type value`, the value in hexadecimal, goes to the topic that the id names."""
    batch = ToFunction.FromString(body).invocation
    reply = FromFunction()
    for invocation in batch.invocations:
        argument = invocation.argument
        said = f"{batch.target.type} {argument.typename} {argument.value.hex()}"
        record = _record(batch.target.id, "", said)
        _egress(reply.invocation_result, "t", "records", KAFKA_RECORD, record)
    return reply.SerializeToString()


async def lines(body: bytes) -> bytes:
    """Serve any type: each value goes to the egress `t/lines` as a line."""
    reply = FromFunction()
    for value in Request(body).values:
        _egress(reply.invocation_result, "t", "lines", "example.tick/Line", value)
    return reply.SerializeToString()


def _record(topic: str, key: str, value: str) -> bytes:
    fields = (key.encode(), value.encode(), topic.encode())
    return b"".join(
        bytes([number << 3 | 2]) + _varint(len(content)) + content
        for number, content in enumerate(fields, 1)
    )


def _varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


_HOURS = {5: 100_000, 7: -100_000}


async def keyed(body: bytes) -> bytes:
    """Serve any type: the value is `topic|number`; the number goes to that topic, some of them as no broker takes them.

    Those that end in 3 have no key, those that end in 5 or 7 a time that is eleven years ahead or past.
    """
    reply = FromFunction()
    for value in Request(body).values:
        topic, _, number = value.decode().partition("|")
        end = int(number) % 10
        hours = _HOURS.get(end)
        record = kafka_egress_message(
            "t/records",
            topic,
            number,
            key=None if end == 3 else f"key{number}",
            timestamp_ms=None if hours is None else int(time.time() + hours * 3600) * 1000,
        ).typed_value
        _egress(reply.invocation_result, "t", "records", KAFKA_RECORD, record.value)
    return reply.SerializeToString()
