"""Reads topics from one place to another, for a command beside the worker: committed records only."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from statefun_runtime.connectors.kafka.client.arguments import (
    connection_arguments,
    consumer_arguments,
    producer_arguments,
)
from statefun_runtime.connectors.kafka.client.clients import AIOKAFKA, KafkaClients
from statefun_runtime.connectors.kafka.client.inside import leave
from statefun_runtime.connectors.kafka.client.protocols import (
    Arguments,
    Consumer,
    Fetched,
    Offsets,
    Topic,
)
from statefun_runtime.connectors.kafka.client.troubles import MISSING, explain
from statefun_runtime.connectors.kafka.specs import KafkaEgressSpec, KafkaIngressSpec
from statefun_runtime.errors import ConfigError, UnavailableError

_POLL_MS = 1000
_CONNECT_LIMIT_S = 15.0
# A broker that answers, and has no record for so many polls, has none between here and the end.
_EMPTY_POLLS_MAX = 5

# An offset of each topic partition, or a time in milliseconds since 1970.
Where = Mapping[int, int] | int


@dataclass(frozen=True, slots=True)
class Span:
    """What of a topic is read: from `start` (None: what is there first) to `end` (None: to where it ends now)."""

    topic: str
    start: Where | None = None
    end: Where | None = None


class TopicReader:
    """Reads topics of the cluster that an egress or ingress names, with its security settings."""

    def __init__(
        self, spec: KafkaEgressSpec | KafkaIngressSpec, *, clients: KafkaClients = AIOKAFKA
    ) -> None:
        if isinstance(spec, KafkaEgressSpec):
            self._arguments: Arguments = connection_arguments(producer_arguments(spec))
        else:
            self._arguments = connection_arguments(consumer_arguments(spec))
        self._servers = spec.bootstrap_servers
        self._clients = clients

    async def read(self, spans: Sequence[Span]) -> AsyncIterator[tuple[int, Sequence[Fetched]]]:
        """Yield records with the number of their span, one span after the other; their ends are taken first.

        Raise ConfigError if a topic is not there, UnavailableError if the broker is not.
        """
        consumer = self._clients.make_consumer(
            self._arguments
            | {
                "isolation_level": "read_committed",
                "enable_auto_commit": False,
                "auto_offset_reset": "earliest",
            }
        )
        try:
            async with asyncio.timeout(_CONNECT_LIMIT_S):
                await consumer.start()
                limits = [await self._limits(consumer, span) for span in spans]
            for number, (starts, ends) in enumerate(limits):
                async for records in _read_span(consumer, starts, ends):
                    yield number, records
        except (KafkaError, OSError, TimeoutError) as error:
            why = await explain(error, self._clients, self._arguments)
            raise UnavailableError(
                f"topics at {self._servers} cannot be read: {why}", code="SF3031"
            ) from error
        finally:
            await leave(consumer)

    async def _limits(self, consumer: Consumer, span: Span) -> tuple[Offsets, Offsets]:
        """Return where each topic partition is begun, and where it is left."""
        found = (await self._clients.find_topics(consumer, [span.topic], may_create=False))[
            span.topic
        ]
        if isinstance(found, MISSING):
            raise ConfigError(
                f"there is no topic '{span.topic}' at {self._servers}",
                code="SF1136",
                hint="a shadow makes TOPIC.shadow only with --egress-suffix .shadow, and where topics may be made by "
                "themselves; else make it first",
            )
        if not isinstance(found, Topic):
            raise found
        await self._clients.watch(consumer, [span.topic])
        places = [TopicPartition(span.topic, number) for number in range(found.partitions)]
        consumer.assign(places)
        beginnings = await consumer.beginning_offsets(places)
        ends = await consumer.end_offsets(places)
        starts = await _offsets(consumer, span.start, places, beginnings, ends)
        stops = await _offsets(consumer, span.end, places, ends, ends)
        return (
            {place: max(starts[place], beginnings[place]) for place in places},
            {place: min(stops[place], ends[place]) for place in places},
        )


async def _offsets(
    consumer: Consumer,
    where: Where | None,
    places: Iterable[TopicPartition],
    default: Offsets,
    ends: Offsets,
) -> Offsets:
    if where is None:
        return default
    if isinstance(where, int):
        found = await consumer.offsets_for_times(dict.fromkeys(places, where))
        return {
            place: ends[place] if (at := found.get(place)) is None else at.offset
            for place in places
        }
    return {place: where.get(place.partition, default[place]) for place in places}


async def _read_span(
    consumer: Consumer, starts: Offsets, ends: Offsets
) -> AsyncIterator[Sequence[Fetched]]:
    left = {place for place, end in ends.items() if starts[place] < end}
    if not left:
        return
    consumer.assign(sorted(left))
    for place in left:
        consumer.seek(place, starts[place])
    empty = 0
    while left:
        polled = await consumer.getmany(timeout_ms=_POLL_MS)
        empty = 0 if polled else empty + 1
        for place, records in polled.items():
            end = ends[place]
            yield records if records[-1].offset < end else [r for r in records if r.offset < end]
        if empty:
            # Whether the broker is there, which an empty poll does not say.
            await consumer.end_offsets(list(left))
        reached = {place for place in left if await consumer.position(place) >= ends[place]}
        left -= reached
        if empty >= _EMPTY_POLLS_MAX:
            # What is left are the marks of transactions.
            return
