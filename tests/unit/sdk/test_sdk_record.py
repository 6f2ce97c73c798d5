"""What a record has besides key and value: through the SDK, and past those who do not know of it."""

import asyncio

import pytest
from statefun import (
    Context,
    Message,
    RequestReplyHandler,
    StatefulFunctions,
    kafka_egress_message,
)
from statefun._wire import KafkaProducerRecord, ToFunction
from statefun.values.record import CLASSES, RecordMetadata
from test_sdk_wire import REPOSITORY, built, declared

from statefun_runtime.adapters.wire import RecordOptions, decode_kafka_record
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.model.messages import (
    TO_FUNCTION_INVOCATION,
    IngressEncoder,
    address_field,
    field,
    is_invocation,
)
from statefun_runtime.core.model.record_metadata import record_metadata

HEADERS = (("trace", b"\x00"), ("trace", b"2"), ("empty", b""), ("none", None), ("", b"nameless"))
ENCODER = IngressEncoder("t/value")


def test_the_classes_are_what_the_proto_file_says():
    from_classes = set().union(*(built(each.DESCRIPTOR) for each in CLASSES.values()))
    lines = declared(REPOSITORY / "protos/extensions/record.proto")

    assert from_classes == lines


def extended(metadata: bytes) -> bytes:
    return ENCODER.encode_with(b"value", metadata)


def request(*invocations: bytes) -> bytes:
    content = address_field(TypeName("t", "f"), "id") + b"".join(invocations)
    return field(TO_FUNCTION_INVOCATION, content)


def seen_by_a_function(*invocations: bytes) -> list[RecordMetadata | None]:
    seen: list[RecordMetadata | None] = []
    functions = StatefulFunctions()

    @functions.bind("t/f")
    def f(context: Context, message: Message) -> None:
        assert message.raw_value() == b"value"
        seen.append(context.record_metadata)

    asyncio.run(RequestReplyHandler(functions).handle_async(request(*invocations)))
    return seen


def test_a_function_sees_what_the_runtime_forwards():
    whole = extended(record_metadata("orders", 7, 1 << 40, 1_700_000_000_000, HEADERS))
    least = extended(record_metadata("orders", 0, 0, -1, ()))

    assert seen_by_a_function(whole, least, ENCODER.encode(b"value")) == [
        RecordMetadata("orders", 7, 1 << 40, 1_700_000_000_000, HEADERS),
        RecordMetadata("orders", 0, 0, 0),
        None,
    ]


def test_who_does_not_know_of_it_sees_the_contract_only():
    whole = extended(record_metadata("orders", 7, 8, 9, HEADERS))
    assert is_invocation(whole)

    (invocation,) = ToFunction.FromString(request(whole)).invocation.invocations

    assert invocation.argument.typename == "t/value"
    assert invocation.argument.value == b"value"
    assert not invocation.HasField("caller")


def test_without_it_an_invocation_is_what_it_always_was():
    assert ENCODER.encode_with(b"value", b"") == ENCODER.encode(b"value")


def test_a_header_is_found_by_its_name():
    record = RecordMetadata("t", 0, 0, 0, HEADERS)
    assert record.header("trace") == b"2"
    assert record.header("empty") == b""
    assert record.header("none") is None
    assert record.header("other") is None


def kafka(**options: object) -> bytes:
    message = kafka_egress_message("t/out", "topic", "v", key="k", **options)
    return message.raw_value() or b""


def test_the_runtime_reads_what_a_function_asks_for():
    encoded = kafka(headers=HEADERS, timestamp_ms=5, partition=0)

    topic, key, value, options = decode_kafka_record(encoded)

    assert (topic, key, value) == ("topic", b"k", b"v")
    assert options == RecordOptions(HEADERS, 5, 0)
    mapped = decode_kafka_record(kafka(headers={"a": "é", "b": None}))[3]
    assert mapped == RecordOptions((("a", "é".encode()), ("b", None)), None, None)


def test_a_runtime_that_does_not_know_of_it_reads_the_contract():
    record = KafkaProducerRecord.FromString(kafka(headers=HEADERS, partition=3))
    assert (record.topic, record.key, record.value_bytes) == ("topic", "k", b"v")


def test_a_record_that_asks_for_nothing_is_what_it_always_was():
    record = KafkaProducerRecord(topic="topic", key="k", value_bytes=b"v")
    assert kafka() == record.SerializeToString()


TO = "a message to Kafka egress t/out"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"partition": -1}, f"partition of {TO} must be from 0 to 2147483647, not -1"),
        ({"timestamp_ms": 0}, f"timestamp_ms of {TO} must be from 1 to 9223372036854775807, not 0"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(options: dict[str, int], problem: str):
    with pytest.raises(ValueError) as refused:
        kafka(**options)
    assert str(refused.value) == problem
