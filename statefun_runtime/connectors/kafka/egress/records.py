"""Records for Kafka, as functions send them and as checkpoints keep them."""

from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import NamedTuple

from statefun_runtime.adapters.wire import (
    RecordOptions,
    decode_kafka_record,
    with_kafka_topic,
)
from statefun_runtime.connectors.kafka.client.protocols import Batch, Producer
from statefun_runtime.connectors.kafka.settings.names import why_no_topic
from statefun_runtime.core.model.dead_letter import KAFKA_RECORD
from statefun_runtime.core.outboxes.form import RecordForm
from statefun_runtime.ports.egress import RecordRefused

RECORD_TYPENAME = KAFKA_RECORD
RECORD_OVERHEAD_BYTES = 70
# One is made for every record: the class, called, takes three times as long.
_new = tuple.__new__


class Record(NamedTuple):
    """A record for Kafka: `encoded` is all of it as the function sent it, `options` what it asks for besides."""

    topic: str
    key: bytes | None
    value: bytes
    encoded: bytes
    options: RecordOptions | None


def prepare_record(
    typename: str,
    value: bytes,
    *,
    record_bytes_max: int,
    partitions: Callable[[str], int | None],
    topic_suffix: str = "",
) -> Record:
    """Return a KafkaProducerRecord in parts; raise RecordRefused if the broker could not take it.

    It is for the topic that it names with `topic_suffix` behind it, also when a checkpoint gives it back.
    """
    if typename != RECORD_TYPENAME:
        raise RecordRefused(f"a record must be of type '{RECORD_TYPENAME}', found '{typename}'")
    try:
        topic, key, content, options = decode_kafka_record(value)
    except ValueError as error:
        raise RecordRefused(str(error)) from error
    if topic_suffix:
        topic += topic_suffix
        value = with_kafka_topic(value, topic)
    defect = why_no_topic(topic)
    if defect is not None:
        raise RecordRefused(defect)
    size = len(key) + len(content)
    if options is not None:
        size += options.size_bytes
        _check_options(topic, options, partitions)
    if size > record_bytes_max:
        raise RecordRefused(
            f"a record of {size} bytes for topic '{topic}' is larger than "
            f"max.request.size allows ({record_bytes_max})"
        )
    return _new(Record, (topic, key or None, content, value, options))


def _check_options(
    topic: str, options: RecordOptions, partitions: Callable[[str], int | None]
) -> None:
    count, partition = partitions(topic), options.partition
    if options.timestamp_ms is not None and options.timestamp_ms < 0:
        raise RecordRefused(f"a record has the negative timestamp {options.timestamp_ms}")
    if partition is not None and (partition < 0 or (count is not None and partition >= count)):
        raise RecordRefused(
            f"a record is for partition {partition} of topic '{topic}', which has {count or 'no such'}"
        )


def append_with_options(batch: Batch, record: Record, options: RecordOptions) -> bool:
    """Put a record into a batch with its headers and its time; return whether there was room."""
    headers = list(options.headers)
    added = batch.append(
        timestamp=options.timestamp_ms, key=record.key, value=record.value, headers=headers
    )
    return added is not None


def batches(producer: Producer, records: list[Record]) -> Iterator[tuple[Batch, int]]:
    """Yield records in as few batches of a producer as hold them, with how many are in each."""
    start = 0
    while start < len(records):
        batch, first = producer.create_batch(), start
        append = batch.append
        while start < len(records):
            _, key, value, _, options = records[start]
            if options is None:
                is_in = append(timestamp=None, key=key, value=value) is not None
            else:
                is_in = append_with_options(batch, records[start], options)
            if not is_in:
                break
            start += 1
        assert start > first, "a record that was checked does not fit into a batch"
        batch.close()
        yield batch, start - first


def read_record(data: bytes) -> Record:
    """Read a record as a checkpoint keeps it: as the function sent it."""
    topic, key, content, options = decode_kafka_record(data)
    return _new(Record, (topic, key or None, content, data, options))


def _size_of(record: Record) -> int:
    return len(record.value) + RECORD_OVERHEAD_BYTES


FORM: RecordForm[Record] = RecordForm(attrgetter("encoded"), read_record, _size_of)
