"""What a record has besides key and value: where it came from, its time and its headers.

The messages are those of `protos/extensions/record.proto`: fields that the contract does not have, and that whoever
does not know them skips. They live in a pool of their own, like the contract's.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from statefun._wire import ToFunction
from statefun.calls.arguments import integer, refuse, text

Headers = Mapping[str, bytes | str | None] | Iterable[tuple[str, bytes | str | None]]

_PACKAGE = "statefun.extensions"
_MESSAGES = {
    "RecordHeader": ("string key = 1", "bool has_value = 2", "bytes value = 3"),
    "RecordMetadata": (
        "string topic = 1",
        "int32 partition = 2",
        "int64 offset = 3",
        "int64 timestamp_ms = 4",
        "repeated RecordHeader headers = 5",
    ),
    "InvocationExtension": ("RecordMetadata record = 1000",),
    "RecordOptions": (
        "repeated RecordHeader headers = 1",
        "int64 timestamp_ms = 2",
        "bool has_partition = 3",
        "int32 partition = 4",
    ),
    "KafkaProducerRecordExtension": ("RecordOptions options = 1000",),
}


def _build() -> dict[str, Any]:
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="record.proto", package=_PACKAGE, syntax="proto3"
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for line in fields:
            *label, kind, field_name, _, number = line.split()
            field = message.field.add(name=field_name, number=int(number))
            field.label = kinds.LABEL_REPEATED if label else kinds.LABEL_OPTIONAL
            if kind in _MESSAGES:
                field.type_name = kind
            else:
                field.type = kinds.Type.Value(f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        for name in _MESSAGES
    }


CLASSES = _build()


@dataclass(frozen=True, slots=True)
class RecordMetadata:
    """Where a Kafka record came from, and what it had besides key and value; headers are in their order."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    headers: tuple[tuple[str, bytes | None], ...] = ()

    def header(self, key: str) -> bytes | None:
        """Return the value of the last header of this name; None if there is none, or it has no value."""
        return next((value for name, value in reversed(self.headers) if name == key), None)


def read_metadata(invocation: ToFunction.Invocation) -> RecordMetadata | None:
    """Return what came with an invocation, if something did; the contract's class keeps it as an unknown field."""
    extension = CLASSES["InvocationExtension"].FromString(invocation.SerializeToString())
    if not extension.HasField("record"):
        return None
    record = extension.record
    return RecordMetadata(
        record.topic,
        record.partition,
        record.offset,
        record.timestamp_ms,
        tuple((each.key, each.value if each.has_value else None) for each in record.headers),
    )


def encode_options(
    headers: Headers | None, timestamp_ms: int | None, partition: int | None, of: str
) -> bytes:
    """Return what is appended to an encoded KafkaProducerRecord; nothing, if nothing is asked for."""
    if headers is None and timestamp_ms is None and partition is None:
        return b""
    extension = CLASSES["KafkaProducerRecordExtension"]()
    options = extension.options
    for key, data in _header_pairs(headers, of):
        options.headers.add(key=key, has_value=data is not None, value=data or b"")
    if timestamp_ms is not None:
        options.timestamp_ms = integer(timestamp_ms, "timestamp_ms", of, low=1, bits=64)
    if partition is not None:
        options.has_partition = True
        options.partition = integer(partition, "partition", of, low=0, bits=32)
    encoded: bytes = extension.SerializeToString()
    return encoded


def _header_pairs(headers: Headers | None, of: str) -> Iterator[tuple[str, bytes | None]]:
    pairs = headers.items() if isinstance(headers, Mapping) else headers or ()
    if isinstance(pairs, (str, bytes)) or not isinstance(pairs, Iterable):
        refuse(headers, "headers", of, "a mapping or pairs of name and value")
    for pair in pairs:
        if isinstance(pair, (str, bytes)) or not isinstance(pair, Sequence) or len(pair) != 2:
            refuse(pair, "headers", of, "pairs of name and value")
        key, value = pair
        name = text(key, "the name of a header", of)
        if isinstance(value, str):
            value = text(value, f"header {name!r}", of).encode()
        elif value is not None and not isinstance(value, (bytes, bytearray, memoryview)):
            refuse(value, f"header {name!r}", of, "bytes, a str or None")
        yield name, None if value is None else bytes(value)
