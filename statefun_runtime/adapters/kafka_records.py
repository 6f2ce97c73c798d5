"""Records for Kafka, as functions send them and as checkpoints keep them."""

import asyncio
import logging
from typing import Any

from aiokafka.errors import KafkaError

from statefun_runtime.adapters.wire import decode_kafka_record
from statefun_runtime.core.messages import field, read_varint
from statefun_runtime.ports.egress import RecordRefused

log = logging.getLogger("statefun.egress")

RECORD_TYPENAME = "type.googleapis.com/io.statefun.sdk.egress.KafkaProducerRecord"
RECORD_OVERHEAD_BYTES = 70
_TOPIC_NAME_MAX = 249
_LEAVE_S = 2.0

Record = tuple[str, bytes | None, bytes]


def prepare_record(typename: str, value: bytes, *, record_bytes_max: int) -> Record:
    """Return topic, key and value of a KafkaProducerRecord; raise RecordRefused if the broker could not take it."""
    if typename != RECORD_TYPENAME:
        raise RecordRefused(f"a record must be of type '{RECORD_TYPENAME}', found '{typename}'")
    try:
        topic, key, content = decode_kafka_record(value)
    except ValueError as error:
        raise RecordRefused(str(error)) from error
    if not topic or len(topic) > _TOPIC_NAME_MAX:
        raise RecordRefused(f"{topic!r} is not the name of a topic")
    if len(key) + len(content) > record_bytes_max:
        raise RecordRefused(
            f"a record of {len(key) + len(content)} bytes for topic '{topic}' is larger than "
            f"max.request.size allows ({record_bytes_max})"
        )
    return topic, key or None, content


def encode_record(record: Record) -> bytes:
    """Return a record as a checkpoint keeps it."""
    topic, key, content = record
    keyed = b"\x00" if key is None else field(b"\x01", key)
    return b"".join((field(b"", topic.encode()), keyed, content))


def decode_record(data: bytes) -> Record:
    """Read what `encode_record` made."""
    size, offset = read_varint(data, 0)
    topic, offset = data[offset : offset + size].decode(), offset + size
    if not data[offset]:
        return topic, None, data[offset + 1 :]
    size, offset = read_varint(data, offset + 1)
    return topic, data[offset : offset + size], data[offset + size :]


async def leave(client: Any) -> None:
    """Stop a producer or consumer, within a moment; what it could not do any more is not needed."""
    try:
        async with asyncio.timeout(_LEAVE_S):
            await client.stop()
    except (KafkaError, OSError, TimeoutError) as error:
        log.debug("a client left with an error: %s", error)
