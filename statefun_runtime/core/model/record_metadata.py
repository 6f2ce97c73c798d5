"""What a record has besides key and value, as protos/extensions/record.proto has it."""

from collections.abc import Iterable

from statefun_runtime.core.model.messages import field, varint

_INVOCATION_RECORD = varint(1000 << 3 | 2)


def record_metadata(
    topic: str,
    partition: int,
    offset: int,
    timestamp_ms: int,
    headers: Iterable[tuple[str, bytes | None]],
) -> bytes:
    """Encode where a record came from, its time and its headers, as the field more of an invocation."""
    content = b"".join(
        (
            field(b"\x0a", topic.encode()),
            _number(b"\x10", partition),
            _number(b"\x18", offset),
            _number(b"\x20", timestamp_ms),
            *(field(b"\x2a", _header(key, value)) for key, value in headers),
        )
    )
    return field(_INVOCATION_RECORD, content)


def _number(tag: bytes, number: int) -> bytes:
    # A record from before Kafka had timestamps has -1.
    return tag + varint(number) if number > 0 else b""


def _header(key: str, value: bytes | None) -> bytes:
    head = field(b"\x0a", key.encode()) if key else b""
    return head if value is None else head + b"\x10\x01" + field(b"\x1a", value)
