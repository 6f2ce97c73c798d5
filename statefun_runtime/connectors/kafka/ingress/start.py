"""Where a Kafka ingress begins to read: checkpoint first, then `startupPosition`, then `auto.offset.reset`."""

from collections.abc import Awaitable, Callable
from typing import assert_never

from aiokafka import TopicPartition

from statefun_runtime.connectors.kafka.client.protocols import Consumer, Offsets
from statefun_runtime.connectors.kafka.settings.specs import (
    GroupOffsets,
    KafkaIngressSpec,
    OffsetReset,
    SpecificOffsets,
)
from statefun_runtime.core.module.specs import Date, Earliest, Latest
from statefun_runtime.errors import UnavailableError

NO_PARTITION = -1
"""A split of this number says in a checkpoint that its topic did not exist: all that it ever holds came later."""


def split_name(topic: str, partition: int) -> str:
    """Return the name of a split in checkpoints; a topic's name holds no slash."""
    return f"{topic}/{partition}"


async def resolve_start(
    consumer: Consumer,
    spec: KafkaIngressSpec,
    topic_partitions: list[TopicPartition],
    restored: dict[str, int],
    log_ends: Callable[[list[TopicPartition]], Awaitable[Offsets]],
) -> Offsets:
    """Return the first offset to read of each topic partition; raise UnavailableError if one has vanished.

    With `read_committed` the consumer's ends are in front of what transactions have not decided yet; `log_ends` returns
    the ends of the logs themselves, which is asked for only where a position is behind the others.
    """
    beginnings = await consumer.beginning_offsets(topic_partitions)
    ends = await consumer.end_offsets(topic_partitions)
    known_topics = {name.rpartition("/")[0] for name in restored}
    positions: Offsets = {}
    fresh = []
    for topic_partition in topic_partitions:
        offset = restored.get(split_name(topic_partition.topic, topic_partition.partition))
        if offset is not None:
            if offset > ends[topic_partition]:
                ends |= await log_ends([topic_partition])
            _check_restored(spec, topic_partition, offset, beginnings, ends)
            positions[topic_partition] = offset
        elif topic_partition.topic in known_topics:
            # It was added after the last cut or the first look, so nothing of it was read.
            positions[topic_partition] = beginnings[topic_partition]
        else:
            fresh.append(topic_partition)
    if fresh:
        positions.update(await _first_start(consumer, spec, fresh, beginnings, ends))
    return positions


def _check_restored(
    spec: KafkaIngressSpec,
    topic_partition: TopicPartition,
    offset: int,
    beginnings: Offsets,
    ends: Offsets,
) -> None:
    first, end = beginnings[topic_partition], ends[topic_partition]
    if first <= offset <= end:
        return
    # Not a thing to wait for, but one for a person to decide.
    raise PositionVanished(
        f"ingress '{spec.id}' cannot go on at topic {topic_partition.topic}, partition "
        f"{topic_partition.partition}, offset {offset}: the broker has offsets {first} to {end}",
        code="SF3003",
        hint="records are lost, or the topic was made anew; to go on without them, start with a new state "
        "folder (--state-dir) and a startupPosition of your choice",
    )


def vanished(spec: KafkaIngressSpec, offsets: Offsets) -> "PositionVanished":
    """Return the error for offsets that the broker does not have any more."""
    places = ", ".join(
        f"topic {tp.topic}, partition {tp.partition}, offset {offset}"
        for tp, offset in offsets.items()
    )
    return PositionVanished(
        f"ingress '{spec.id}' cannot go on: the broker does not have {places} any more",
        code="SF3003",
        hint="records between that offset and the first one kept are lost; to go on without them, "
        "start with a new state folder (--state-dir) and a startupPosition of your choice",
    )


class PositionVanished(UnavailableError):
    """A position of a checkpoint does not exist any more; waiting does not help."""


async def _first_start(
    consumer: Consumer,
    spec: KafkaIngressSpec,
    fresh: list[TopicPartition],
    beginnings: Offsets,
    ends: Offsets,
) -> Offsets:
    reset = beginnings if spec.offset_reset is OffsetReset.EARLIEST else ends
    match spec.startup:
        case Earliest():
            wanted = {tp: beginnings[tp] for tp in fresh}
        case Latest():
            wanted = {tp: ends[tp] for tp in fresh}
        case GroupOffsets():
            wanted = await _committed(consumer, fresh)
        case SpecificOffsets(offsets):
            wanted = await _committed(consumer, fresh)
            wanted.update(
                (tp, offset)
                for topic, partition, offset in offsets
                if (tp := TopicPartition(topic, partition)) in fresh
            )
        case Date(timestamp_ms):
            found = await consumer.offsets_for_times(dict.fromkeys(fresh, timestamp_ms))
            wanted = {tp: ends[tp] if (at := found.get(tp)) is None else at.offset for tp in fresh}
        case _:
            assert_never(spec.startup)
    return {
        tp: offset
        if (offset := wanted.get(tp, -1)) >= 0 and beginnings[tp] <= offset <= ends[tp]
        else reset[tp]
        for tp in fresh
    }


async def _committed(consumer: Consumer, topic_partitions: list[TopicPartition]) -> Offsets:
    offsets = {tp: await consumer.committed(tp) for tp in topic_partitions}
    return {tp: offset for tp, offset in offsets.items() if offset is not None}
