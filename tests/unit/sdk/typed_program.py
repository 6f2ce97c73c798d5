"""A user's program; test_sdk_typing.py hands it to mypy --strict and never runs it.

Each `type: ignore` marks a mistake that mypy must find: an unneeded one is an error as well.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, assert_type

from google.protobuf.wrappers_pb2 import StringValue
from statefun import (
    BoolType,
    Context,
    EgressMessage,
    IntType,
    Message,
    RequestReplyHandler,
    SdkAddress,
    StatefulFunctions,
    StringType,
    Type,
    TypedContext,
    TypeSerializer,
    ValueSpec,
    egress_message_builder,
    kafka_egress_message,
    kinesis_egress_message,
    make_json_type,
    make_protobuf_type,
    message_builder,
    simple_type,
)

functions = StatefulFunctions()

JSON = make_json_type("com.example/json")
WRAPPED = make_protobuf_type(StringValue)
TEXT = simple_type("com.example/text", serialize_fn=str.encode, deserialize_fn=bytes.decode)

SEEN = ValueSpec("seen", IntType)
NAME = ValueSpec(name="name", type=StringType, expire_after_write=timedelta(days=1))
FLAG = ValueSpec("flag", BoolType, expire_after_call=timedelta(days=1))


class UpperSerializer(TypeSerializer[str]):
    def serialize(self, value: str) -> bytes:
        return value.upper().encode()

    def deserialize(self, byte: bytes) -> str:
        return byte.decode()


class UpperType(Type[str]):
    def __init__(self) -> None:
        super().__init__("com.example/upper")

    def serializer(self) -> TypeSerializer[str]:
        return UpperSerializer()


@dataclass
class Item:
    name: str


ITEM = make_json_type("com.example/item", Item)


class CartState:
    seen: int | None
    item: Item | None


@functions.bind(
    "com.example/cart", [ValueSpec("seen", IntType), ValueSpec("item", ITEM)], storage=CartState
)
async def cart(context: TypedContext[CartState], message: Message) -> None:
    assert_type(context.storage.seen, int | None)
    assert_type(context.storage.item, Item | None)
    assert_type(message.as_type(ITEM), Item | None)
    context.storage.item = Item("pear")
    del context.storage.seen


@functions.bind("com.example/user", specs=[SEEN, NAME, FLAG])
async def user(context: Context, message: Message) -> None:
    seen: int = (context.storage.seen or 0) + 1
    context.storage.seen = seen
    del context.storage.name

    assert_type(context.address, SdkAddress)
    assert_type(context.caller, SdkAddress | None)
    assert_type(message.is_int(), bool)
    assert_type(message.as_int(), int | None)
    assert_type(message.as_string(), str | None)
    assert_type(message.as_double(), float | None)
    assert_type(message.as_bool(), bool | None)
    assert_type(message.raw_value(), bytes | None)
    assert_type(message.typed_value.typename, str)
    assert_type(message.as_type(TEXT), str | None)
    assert_type(message.as_type(TEXT, required=True), str)
    assert_type(message.as_type(WRAPPED, required=True).value, str)
    assert_type(message.as_string(required=True).upper(), str)
    assert_type(message.as_int(required=True), int)
    assert_type(message.as_type(WRAPPED), StringValue | None)
    assert_type(message.as_type(UpperType()), str | None)
    json: Any = message.as_type(JSON)

    outgoing = message_builder("com.example/user", "bob", str_value=json["text"])
    assert_type(outgoing, Message)
    context.send(outgoing)
    context.send(message_builder("com.example/user", target_id="bob", value="x", value_type=TEXT))
    context.send(Message("com.example/user", "bob", message.typed_value))
    context.send_after(timedelta(seconds=1), outgoing, cancellation_token="token")
    context.cancel_delayed_message("token")
    if context.caller is not None:
        context.send(message_builder(context.caller.typename, context.caller.id, bool_value=True))


@functions.bind("com.example/out")
def out(context: Context, message: Message) -> None:
    record = kafka_egress_message("com.example/kafka", "topic", "v", key=context.address.id)
    assert_type(record, EgressMessage)
    context.send_egress(record)
    context.send_egress(kinesis_egress_message("com.example/kinesis", "stream", b"v", "key"))
    context.send_egress(egress_message_builder("com.example/out", {"x": 1}, JSON))


# What bind gives back has the type of what it was given.
asynchronous: Callable[[Context, Message], Awaitable[None]] = user
plain: Callable[[Context, Message], None] = out

handler = RequestReplyHandler(functions)


async def handle(body: bytes) -> bytes:
    return await handler.handle_async(body) or handler.handle_sync(body)


def takes_any_type(type_: Type) -> str:
    """Plain `Type` needs no parameter, as in programs for the stock SDK."""
    return type_.typename


def mistakes(context: Context, message: Message) -> None:
    message_builder("a/b", "1")  # type: ignore[call-overload]
    message_builder("a/b", "1", int_value="x")  # type: ignore[call-overload]
    message_builder("a/b", "1", int_value=1, str_value="x")  # type: ignore[call-overload]
    message_builder("a/b", "1", value=1)  # type: ignore[call-overload]
    message.as_int() + 1  # type: ignore[operator]
    context.send(egress_message_builder("a/b", 1, IntType))  # type: ignore[arg-type]
    context.send_after(5, message)  # type: ignore[arg-type]
    print(context.caller.id)  # type: ignore[union-attr]
    ValueSpec("seen", int)  # type: ignore[arg-type]
    functions.register("a/b", handle)  # type: ignore[arg-type]


@functions.bind("com.example/wrong")  # type: ignore[type-var]
def wrong(context: Context) -> None: ...
