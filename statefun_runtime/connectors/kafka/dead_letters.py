"""Reads a topic of dead letters from its beginning to where it ends now."""

import asyncio
from collections.abc import AsyncIterator

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from statefun_runtime.connectors.kafka.client.arguments import (
    connection_arguments,
    producer_arguments,
)
from statefun_runtime.connectors.kafka.client.clients import AIOKAFKA, KafkaClients
from statefun_runtime.connectors.kafka.client.inside import leave
from statefun_runtime.connectors.kafka.client.protocols import Consumer, Offsets, Topic
from statefun_runtime.connectors.kafka.client.troubles import MISSING
from statefun_runtime.connectors.kafka.settings.values import KafkaEgressSettings
from statefun_runtime.errors import UnavailableError

_POLL_MS = 1000
_CONNECT_LIMIT_S = 15.0


async def read_topic(
    egress: KafkaEgressSettings, topic: str, *, clients: KafkaClients = AIOKAFKA
) -> AsyncIterator[bytes]:
    """Yield the committed values of a topic, in order per topic partition.

    Raise UnavailableError if the topic is not there, or the broker is not.
    """
    consumer = clients.make_consumer(
        connection_arguments(producer_arguments(egress))
        | {"isolation_level": "read_committed", "enable_auto_commit": False}
    )
    try:
        async with asyncio.timeout(_CONNECT_LIMIT_S):
            await consumer.start()
            ends = await _begin(clients, consumer, topic)
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            polled = await consumer.getmany(timeout_ms=_POLL_MS)
            if not polled:
                # What is left are the marks of transactions, or records of one that is still open.
                return
            for records in polled.values():
                for record in records:
                    if record.value is not None:
                        yield record.value
    except (KafkaError, OSError, TimeoutError) as error:
        raise UnavailableError(
            f"dead letters cannot be read from topic '{topic}' at {egress.bootstrap_servers}: "
            f"{str(error) or type(error).__name__}",
            code="SF3020",
        ) from error
    finally:
        await leave(consumer)


async def _begin(clients: KafkaClients, consumer: Consumer, topic: str) -> Offsets:
    """Have the consumer read a topic from its beginning; return where it ends."""
    found = (await clients.find_topics(consumer, [topic], may_create=False))[topic]
    if not isinstance(found, Topic):
        raise KafkaError("there is no such topic yet") if isinstance(found, MISSING) else found
    await clients.watch(consumer, [topic])
    places = [TopicPartition(topic, number) for number in range(found.partitions)]
    consumer.assign(places)
    await consumer.seek_to_beginning(*places)
    return await consumer.end_offsets(places)
