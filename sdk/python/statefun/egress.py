"""Messages to egresses, and the records that Kafka and Kinesis egresses expect in them."""

import struct
from functools import lru_cache
from typing import Any

from statefun._wire import KafkaProducerRecord, KinesisEgressRecord, TypedValue
from statefun.address import split_typename
from statefun.calls.arguments import refuse, text
from statefun.calls.encoding import delimited
from statefun.types import T, Type, make_protobuf_type, to_bytes, to_typed_value
from statefun.values.carrier import Carrier
from statefun.values.record import Headers, encode_options

_KAFKA_RECORD = make_protobuf_type(KafkaProducerRecord).typename
_new = object.__new__
_KINESIS_RECORD = make_protobuf_type(KinesisEgressRecord)


class EgressMessage(Carrier):
    """A typed value on its way out, through the egress of this typename."""

    __slots__ = ("typename",)

    def __init__(self, typename: str, typed_value: TypedValue) -> None:
        self.typename = _egress_typename(typename)
        if typed_value is None:
            raise ValueError(f"a message to egress {typename} needs a typed_value")
        if type(typed_value) is not TypedValue and not hasattr(typed_value, "has_value"):
            refuse(typed_value, "typed_value", f"a message to egress {typename}", "a TypedValue")
        self.typed_value = typed_value


def egress_message_builder(target_typename: str, value: T, value_type: Type[T]) -> EgressMessage:
    """Build a message for any egress from a value and its type."""
    typename = _egress_typename(target_typename)
    if value is None:
        raise ValueError(f"a message to egress {typename} needs a value; it is None")
    message = EgressMessage(typename, to_typed_value(value, value_type))
    split_typename(typename)
    return message


def kafka_egress_message(
    typename: str,
    topic: str,
    value: Any,
    value_type: Type[Any] | None = None,
    key: str | None = None,
    *,
    headers: Headers | None = None,
    timestamp_ms: int | None = None,
    partition: int | None = None,
) -> EgressMessage:
    """Build a record for a Kafka egress.

    With a `value_type` the record's value is what its serializer writes. Without one a str is
    UTF-8, bytes are themselves, an int is 4 bytes and a float 8 bytes, both big-endian.

    Headers, a timestamp of one's own and the choice of a topic partition need a runtime that knows
    them, as `statefun-runtime` does; others leave them out.
    """
    to = f"a message to Kafka egress {typename}"
    if topic is None or topic == "":
        raise ValueError(f"{to} needs a topic")
    _check_value(value, to)
    data = to_bytes(value, value_type) if value_type is not None else _kafka_bytes(value)
    record = _topic_field(text(topic, "topic", to))
    if data:
        record = delimited(b"\x12", data) + record
    if key:
        record = delimited(b"\x0a", text(key, "key", to).encode()) + record
    elif key is not None:
        text(key, "key", to)
    if headers is not None or timestamp_ms is not None or partition is not None:
        # One encoded message behind another is both of them in one.
        record += encode_options(headers, timestamp_ms, partition, to)
    return _record_message(typename, _KAFKA_RECORD, record)


@lru_cache(maxsize=1024)
def _topic_field(topic: str) -> bytes:
    return delimited(b"\x1a", topic.encode())


def kinesis_egress_message(
    typename: str,
    stream: str,
    value: Any,
    partition_key: str,
    value_type: Type[Any] | None = None,
    explicit_hash_key: str | None = None,
) -> EgressMessage:
    """Build a record for a Kinesis egress; without a `value_type` the value is a str or bytes."""
    to = f"a message to Kinesis egress {typename}"
    if stream is None or stream == "":
        raise ValueError(f"{to} needs a stream")
    _check_value(value, to)
    if partition_key is None:
        raise ValueError(f"{to} needs a partition_key")
    data = to_bytes(value, value_type) if value_type is not None else _kinesis_bytes(value)
    record = KinesisEgressRecord(
        partition_key=text(partition_key, "partition_key", to),
        value_bytes=data,
        stream=text(stream, "stream", to),
    )
    if explicit_hash_key is not None:
        record.explicit_hash_key = text(explicit_hash_key, "explicit_hash_key", to)
    return egress_message_builder(typename, record, _KINESIS_RECORD)


def _record_message(typename: str, value_typename: str, record: bytes) -> EgressMessage:
    # What is no text may be nothing that can be remembered.
    name = _proper_typename if type(typename) is str else _proper_typename.__wrapped__
    message = _new(EgressMessage)
    message.typename = name(typename)
    message.carry(value_typename, record)
    return message


def _kafka_bytes(value: Any) -> bytes:
    text = _text_bytes(value)
    if text is not None:
        return text
    if isinstance(value, int):
        return _int_bytes(value)
    if isinstance(value, float):
        return struct.pack(">d", value)
    raise _unsupported(value, "Kafka", "str, bytes, int or float")


def _kinesis_bytes(value: Any) -> bytes:
    text = _text_bytes(value)
    if text is None:
        raise _unsupported(value, "Kinesis", "str or bytes")
    return text


def _text_bytes(value: Any) -> bytes | None:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, (bytes, bytearray)):
        return bytes(value)
    return None


def _int_bytes(value: int) -> bytes:
    try:
        return struct.pack(">i", value)
    except struct.error as error:
        raise struct.error(
            f"{value} does not fit the 4 bytes of an int in a Kafka record; "
            "choose a value_type, like LongType"
        ) from error


def _unsupported(value: Any, egress: str, supported: str) -> TypeError:
    return TypeError(
        f"a value of type {type(value).__name__} cannot be in a {egress} record as it is; "
        f"give {supported}, or a value_type"
    )


def _egress_typename(typename: str) -> str:
    if typename is None or typename == "":
        raise ValueError(
            "an egress message needs the typename of its egress, like 'com.example/out'"
        )
    return text(typename, "typename", "an egress message")


@lru_cache(maxsize=1024)
def _proper_typename(typename: str) -> str:
    typename = _egress_typename(typename)
    split_typename(typename)
    return typename


def _check_value(value: Any, to: str) -> None:
    if value is None:
        raise ValueError(f"{to} needs a value; it is None")
