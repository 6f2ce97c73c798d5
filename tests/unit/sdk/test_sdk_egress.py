"""Messages to egresses, and the records that Kafka and Kinesis find in them."""

import struct

import pytest
from statefun import (
    EgressMessage,
    IntType,
    LongType,
    egress_message_builder,
    kafka_egress_message,
    kinesis_egress_message,
    make_json_type,
)
from statefun._wire import KafkaProducerRecord, KinesisEgressRecord

JSON = make_json_type("com.example/json")
EGRESS = "com.example/out"


def kafka_record(value: object, **parts: object) -> KafkaProducerRecord:
    message = kafka_egress_message(EGRESS, "topic", value, **parts)
    assert message.typename == EGRESS
    assert (
        message.value_typename() == "type.googleapis.com/io.statefun.sdk.egress.KafkaProducerRecord"
    )
    return KafkaProducerRecord.FromString(message.raw_value())


def kinesis_record(value: object, **parts: object) -> KinesisEgressRecord:
    message = kinesis_egress_message(EGRESS, "stream", value, "pk", **parts)
    assert message.typename == EGRESS
    assert (
        message.value_typename() == "type.googleapis.com/io.statefun.sdk.egress.KinesisEgressRecord"
    )
    return KinesisEgressRecord.FromString(message.raw_value())


def test_a_value_leaves_with_its_type():
    message = egress_message_builder(target_typename=EGRESS, value={"x": 1}, value_type=JSON)

    assert message.typename == EGRESS
    assert message.value_typename() == "com.example/json"
    assert message.raw_value() == b'{"x": 1}'


@pytest.mark.parametrize(
    ("value", "data"),
    [
        ("é", "é".encode()),
        ("", b""),
        (b"x", b"x"),
        (bytearray(b"x"), b"x"),
        (1337, b"\x00\x00\x05\x39"),
        (-1, b"\xff\xff\xff\xff"),
        (0, b"\x00\x00\x00\x00"),
        (True, b"\x00\x00\x00\x01"),
        (1.5, b"\x3f\xf8\x00\x00\x00\x00\x00\x00"),
    ],
)
def test_a_kafka_value_without_a_type_is_raw(value: object, data: bytes):
    assert kafka_record(value).value_bytes == data


def test_a_kafka_value_with_a_type_is_what_its_serializer_writes():
    assert kafka_record({"x": 1}, value_type=JSON).value_bytes == b'{"x": 1}'
    assert kafka_record(2**40, value_type=LongType).value_bytes[0] == 0x09
    assert kafka_record(0, value_type=IntType).value_bytes == b""


def test_a_kafka_record_has_its_topic_and_perhaps_a_key():
    assert kafka_record("v", key="k") == KafkaProducerRecord(
        key="k", value_bytes=b"v", topic="topic"
    )
    assert kafka_record("v") == KafkaProducerRecord(value_bytes=b"v", topic="topic")


def test_a_kinesis_record_has_its_stream_its_partition_key_and_perhaps_a_hash_key():
    assert kinesis_record(b"v", explicit_hash_key="h") == KinesisEgressRecord(
        partition_key="pk", value_bytes=b"v", stream="stream", explicit_hash_key="h"
    )
    assert kinesis_record("é") == KinesisEgressRecord(
        partition_key="pk", value_bytes="é".encode(), stream="stream"
    )
    assert kinesis_record({"x": 1}, value_type=JSON).value_bytes == b'{"x": 1}'


REFUSALS = [
    (
        lambda: egress_message_builder("", 1, IntType),
        ValueError,
        "an egress message needs the typename of its egress, like 'com.example/out'",
    ),
    (
        lambda: egress_message_builder(EGRESS, None, IntType),
        ValueError,
        "a message to egress com.example/out needs a value; it is None",
    ),
    (
        lambda: egress_message_builder(EGRESS, 1, None),
        TypeError,
        "a value type must be a statefun Type, like IntType, not None",
    ),
    (
        lambda: EgressMessage(EGRESS, None),
        ValueError,
        "a message to egress com.example/out needs a typed_value",
    ),
    (
        lambda: kafka_egress_message("", "topic", "v"),
        ValueError,
        "an egress message needs the typename of its egress, like 'com.example/out'",
    ),
    (
        lambda: kafka_egress_message(EGRESS, "", "v"),
        ValueError,
        "a message to Kafka egress com.example/out needs a topic",
    ),
    (
        lambda: kafka_egress_message(EGRESS, "topic", None),
        ValueError,
        "a message to Kafka egress com.example/out needs a value; it is None",
    ),
    (
        lambda: kafka_egress_message(EGRESS, "topic", {"x": 1}),
        TypeError,
        "a value of type dict cannot be in a Kafka record as it is; "
        "give str, bytes, int or float, or a value_type",
    ),
    (
        lambda: kafka_egress_message(EGRESS, "topic", 2**31),
        struct.error,
        "2147483648 does not fit the 4 bytes of an int in a Kafka record; "
        "choose a value_type, like LongType",
    ),
    (
        lambda: kinesis_egress_message(EGRESS, "", "v", "pk"),
        ValueError,
        "a message to Kinesis egress com.example/out needs a stream",
    ),
    (
        lambda: kinesis_egress_message(EGRESS, "stream", None, "pk"),
        ValueError,
        "a message to Kinesis egress com.example/out needs a value; it is None",
    ),
    (
        lambda: kinesis_egress_message(EGRESS, "stream", "v", None),
        ValueError,
        "a message to Kinesis egress com.example/out needs a partition_key",
    ),
    (
        lambda: kinesis_egress_message(EGRESS, "stream", 5, "pk"),
        TypeError,
        "a value of type int cannot be in a Kinesis record as it is; "
        "give str or bytes, or a value_type",
    ),
]


@pytest.mark.parametrize(("attempt", "error", "message"), REFUSALS)
def test_a_refusal_says_what_was_wrong(attempt, error, message):
    with pytest.raises(error) as refusal:
        attempt()
    assert str(refusal.value) == message
