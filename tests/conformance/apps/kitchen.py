"""Every feature of the protocol behind one function, `conf/kitchen`.

Its argument is a comma-separated list of the commands below. Run as `python kitchen.py PORT` it
serves POST /statefun, on this project's SDK and on the stock one.
"""

import sys
from datetime import timedelta

from statefun import (
    BoolType,
    Context,
    IntType,
    Message,
    RequestReplyHandler,
    StatefulFunctions,
    StringType,
    ValueSpec,
    egress_message_builder,
    kafka_egress_message,
    kinesis_egress_message,
    make_json_type,
    message_builder,
)

JSON = make_json_type("conf.types/json")

functions = StatefulFunctions()


@functions.bind(
    "conf/kitchen",
    specs=[
        ValueSpec("a", IntType),
        ValueSpec("b", BoolType, expire_after_write=timedelta(days=1)),
        ValueSpec("c", StringType, expire_after_call=timedelta(minutes=5)),
        ValueSpec("d", JSON),
    ],
)
async def kitchen(context, message):
    commands = message.as_string() if message.is_string() else "types"
    for command in commands.split(","):
        if command in COMMANDS:
            COMMANDS[command](context)


def other(**value) -> Message:
    return message_builder("conf.other/fn", "t-1", **value)


def to_kafka(context: Context, **record) -> None:
    context.send_egress(kafka_egress_message(typename="conf.io/kafka", topic="out", **record))


def send(context: Context) -> None:
    context.send(other(str_value="hi"))


def send_to_self(context: Context) -> None:
    context.send(message_builder(context.address.typename, context.address.id, str_value="noop"))


def send_primitives(context: Context) -> None:
    for value in (
        {"bool_value": True},
        {"bool_value": False},
        {"int_value": -1},
        {"int_value": 0},
        {"long_value": -(2**40)},
        {"float_value": 1.5},
        {"double_value": -2.25},
        {"str_value": ""},
        {"str_value": "\u00e9\u4e2d"},
        {"value": {"k": [1, 2]}, "value_type": JSON},
    ):
        context.send(other(**value))


def reply(context: Context) -> None:
    caller = context.caller
    context.send(message_builder(caller.typename, caller.id, str_value="re"))


def send_to_kinesis(context: Context) -> None:
    message = kinesis_egress_message(
        typename="conf.io/kinesis",
        stream="s",
        partition_key="p",
        explicit_hash_key="h",
        value="v",
    )
    context.send_egress(message)


def send_to_generic_egress(context: Context) -> None:
    context.send_egress(egress_message_builder("conf.io/generic", {"x": 1}, JSON))


def increment_a(context: Context) -> None:
    context.storage.a = (context.storage.a or 0) + 1


def flip_b(context: Context) -> None:
    context.storage.b = not context.storage.b


def set_c(context: Context) -> None:
    context.storage.c = "see"


def set_d(context: Context) -> None:
    context.storage.d = {"x": 1}


def delete_a(context: Context) -> None:
    del context.storage.a


def delete_c(context: Context) -> None:
    del context.storage.c


def boom(context: Context) -> None:
    raise RuntimeError("boom")


COMMANDS = {
    "send": send,
    "self": send_to_self,
    "prims": send_primitives,
    "delay": lambda context: context.send_after(
        timedelta(milliseconds=1500), other(str_value="later")
    ),
    "delay0": lambda context: context.send_after(timedelta(0), other(str_value="now")),
    "delaytok": lambda context: context.send_after(
        timedelta(hours=1), other(str_value="later"), "tok-1"
    ),
    "cancel": lambda context: context.cancel_delayed_message("tok-1"),
    "kafka": lambda context: to_kafka(context, key="k", value="v"),
    "kafkanokey": lambda context: to_kafka(context, value="v"),
    "kafkaint": lambda context: to_kafka(context, key="k", value=1337),
    "kafkajson": lambda context: to_kafka(context, key="k", value={"x": 1}, value_type=JSON),
    "kinesis": send_to_kinesis,
    "egress": send_to_generic_egress,
    "seta": increment_a,
    "setb": flip_b,
    "setc": set_c,
    "setd": set_d,
    "dela": delete_a,
    "delc": delete_c,
    "reply": reply,
    "boom": boom,
}


def main() -> None:
    from aiohttp import web

    handler = RequestReplyHandler(functions)

    async def handle(request: web.Request) -> web.Response:
        answer = await handler.handle_async(await request.read())
        return web.Response(body=answer, content_type="application/octet-stream")

    app = web.Application()
    app.add_routes([web.post("/statefun", handle)])
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)


if __name__ == "__main__":
    main()
