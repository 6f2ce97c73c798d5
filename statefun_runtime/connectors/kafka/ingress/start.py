"""Where a Kafka ingress begins to read: checkpoint first, then `startupPosition`, then `auto.offset.reset`."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import assert_never

from aiokafka import TopicPartition

from statefun_runtime.connectors.kafka.client.protocols import Consumer, Offsets
from statefun_runtime.connectors.kafka.ingress.decision import Decision, GoesOn, Log, decide
from statefun_runtime.connectors.kafka.ingress.position import Found
from statefun_runtime.connectors.kafka.ingress.splits import Splits
from statefun_runtime.connectors.kafka.settings.values import (
    GroupOffsets,
    KafkaIngressSettings,
    OffsetReset,
    SpecificOffsets,
)
from statefun_runtime.core.module.specs import Date, Earliest, Latest

LogEnds = Callable[[list[TopicPartition]], Awaitable[Offsets]]
"""Returns where logs end, whatever transactions are open in them."""

Restarts = Mapping[str, OffsetReset]
"""By topic, where a person says that it is gone on with if its position is lost."""


async def resolve(
    consumer: Consumer,
    spec: KafkaIngressSettings,
    wanted: Iterable[TopicPartition],
    found: Found,
    splits: Splits,
    known_topics: Iterable[str],
    log_ends: LogEnds,
    restarts: Restarts,
) -> dict[TopicPartition, Decision]:
    """Return how some topic partitions are begun with, or gone on with.

    One that was added to a known topic after the last cut begins at its beginning: nothing of it was read.
    """
    known = dict.fromkeys(known_topics)
    first_ever = [tp for tp in wanted if splits.of(tp) is None and tp.topic not in known]
    others = [tp for tp in wanted if tp not in dict.fromkeys(first_ever)]
    decisions = await _resolve_known(consumer, others, found, splits, log_ends, restarts)
    if first_ever:
        beginnings = await consumer.beginning_offsets(first_ever)
        ends = await consumer.end_offsets(first_ever)
        starts = await _first_start(consumer, spec, first_ever, beginnings, ends)
        for tp, offset in starts.items():
            decisions[tp] = GoesOn(Log(offset, offset, found[tp]).at(OffsetReset.EARLIEST))
    return decisions


async def _resolve_known(
    consumer: Consumer,
    wanted: list[TopicPartition],
    found: Found,
    splits: Splits,
    log_ends: LogEnds,
    restarts: Restarts,
) -> dict[TopicPartition, Decision]:
    """Return how some topic partitions are gone on with; those that were never read begin at their beginning.

    With `read_committed` the consumer's ends are in front of what transactions have not decided yet; `log_ends` is
    asked only where a position is behind the others.
    """
    if not wanted:
        return {}
    beginnings = await consumer.beginning_offsets(wanted)
    ends = await consumer.end_offsets(wanted)
    before = {tp: at for tp in wanted if (at := splits.of(tp)) is not None}
    behind = [tp for tp, at in before.items() if at.offset > ends[tp]]
    if behind:
        ends |= await log_ends(behind)
    decisions: dict[TopicPartition, Decision] = {}
    for tp in wanted:
        log = Log(beginnings[tp], ends[tp], found[tp])
        if tp in before:
            restart = restarts.get(tp.topic)
            decisions[tp] = decide(before[tp], log, restart, was_gone=splits.was_gone(tp))
        else:
            decisions[tp] = GoesOn(log.at(OffsetReset.EARLIEST))
    return decisions


async def _first_start(
    consumer: Consumer,
    spec: KafkaIngressSettings,
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
