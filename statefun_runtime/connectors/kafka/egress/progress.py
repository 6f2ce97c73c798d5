"""The progress topic of an egress: who publishes, and how far.

One compacted topic per application and egress, on the egress's own cluster, with one record per kind: the last claim
and the last marker. Only the egress's own transactional id writes to it, so initialising that id ends whatever could
hide a marker from `read_committed`.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import asdict

from aiokafka import TopicPartition
from aiokafka.admin import NewTopic
from aiokafka.errors import InvalidReplicationFactorError, TopicAlreadyExistsError, for_code

from statefun_runtime.connectors.kafka.client.arguments import connection_arguments
from statefun_runtime.connectors.kafka.client.clients import KafkaClients
from statefun_runtime.connectors.kafka.client.inside import leave
from statefun_runtime.connectors.kafka.client.protocols import Admin, Arguments, Topic
from statefun_runtime.connectors.kafka.client.troubles import DENIED, MISSING
from statefun_runtime.connectors.kafka.egress.memory import Memory
from statefun_runtime.connectors.kafka.egress.records import Record
from statefun_runtime.core.checkpoints.commits import Claim, Marker
from statefun_runtime.core.outboxes.epoch_outbox import Outboxes
from statefun_runtime.errors import CorruptionError, UnavailableError

_KINDS: dict[str, type[Claim] | type[Marker]] = {"claim": Claim, "marker": Marker}
_SETTINGS = {
    "cleanup.policy": "compact",
    "segment.bytes": "1048576",
    "min.cleanable.dirty.ratio": "0.1",
}
_READ_LIMIT_S = 30.0
_REPLICAS_WANTED = 3
_LOOKS_MAX = 20
_LOOK_AGAIN_S = 0.1
_OFFSETS_TOPIC = "__consumer_offsets"


def encode(one: Claim | Marker) -> tuple[bytes, bytes]:
    """Return key and value of a claim's or marker's record."""
    kind = "claim" if isinstance(one, Claim) else "marker"
    return kind.encode(), json.dumps(asdict(one)).encode()


def decode(key: bytes, value: bytes) -> Claim | Marker:
    """Read a record of a progress topic."""
    try:
        return _KINDS[key.decode()](**json.loads(value))
    except (KeyError, ValueError, TypeError) as error:
        raise CorruptionError(
            f"a record of the progress topic cannot be read: {error}", code="SF5005"
        ) from error


async def make_topic(
    clients: KafkaClients,
    topic: str,
    producer_arguments: Arguments,
    memory: Memory,
    outboxes: Outboxes[Record],
    tell: Callable[[str], None],
) -> str | None:
    """Make the progress topic if it is not there, and should not be; return the id of its cluster.

    `tell` hears of replicas that are missing. Raise what `memory` raises if the topic was there, or the cluster is
    another one.
    """
    admin = clients.make_admin(connection_arguments(producer_arguments))
    try:
        await admin.start()
        cluster = await clients.cluster_id(admin)
        memory.check_cluster(cluster, outboxes)
        found = await _find(clients, admin, topic)
        memory.check_topic(topic, is_there=found is not None)
        wanted = await _replicas_wanted(clients, admin)
        if found is None:
            await _make(admin, topic, wanted)
            found = await _find_new(clients, admin, topic)
        lacking = None if found is None else replicas_lacking(topic, found, wanted)
        if lacking is not None:
            tell(lacking)
        return cluster
    finally:
        await admin.close()


async def _find(clients: KafkaClients, admin: Admin, topic: str) -> Topic | None:
    found = (await clients.find_topics(admin, [topic], may_create=False))[topic]
    if isinstance(found, Topic):
        return found if found.partitions else None
    if not isinstance(found, MISSING):
        raise found
    return None


async def _find_new(clients: KafkaClients, admin: Admin, topic: str) -> Topic | None:
    """Return what was made just now; brokers hear of it one after another."""
    for _ in range(_LOOKS_MAX):
        found = await _find(clients, admin, topic)
        if found is not None:
            return found
        await asyncio.sleep(_LOOK_AGAIN_S)
    return None


async def _replicas_wanted(clients: KafkaClients, admin: Admin) -> int:
    """What the operator has chosen for the cluster's own topics is right for ours, too; some do not exist yet."""
    found = (await clients.find_topics(admin, [_OFFSETS_TOPIC], may_create=False))[_OFFSETS_TOPIC]
    if isinstance(found, Topic) and found.replicas:
        return found.replicas
    return min(_REPLICAS_WANTED, len((await admin.describe_cluster())["brokers"]))


async def _make(admin: Admin, topic: str, replicas: int) -> None:
    """Make the topic; with fewer replicas where there are not so many brokers now."""
    for count in range(replicas, 0, -1):
        new = NewTopic(topic, num_partitions=1, replication_factor=count, topic_configs=_SETTINGS)
        response = await admin.create_topics([new])
        errors = [for_code(code) for _, code, *_ in response.topic_errors if code]
        if errors and issubclass(errors[0], InvalidReplicationFactorError) and count > 1:
            continue
        for error in errors:
            if issubclass(error, DENIED):
                raise error(topic)
            if not issubclass(error, TopicAlreadyExistsError):
                raise UnavailableError(
                    f"the progress topic {topic} cannot be made: {error.__name__}", code="SF3004"
                )
        return


def replicas_lacking(topic: str, found: Topic, wanted: int) -> str | None:
    """Return what has to be said of the replicas of a progress topic."""
    if found.replicas < wanted:
        return (
            f"has a progress topic with a replication factor of {found.replicas}, and the cluster's own topics have "
            f"{wanted}: give {topic} more with kafka-reassign-partitions"
        )
    if found.in_sync < found.replicas:
        return f"has a progress topic of which {found.in_sync} of {found.replicas} replicas are in sync: {topic}"
    return None


async def read_until(
    clients: KafkaClients, topic: str, own: Claim, producer_arguments: Arguments
) -> list[Claim | Marker]:
    """Read committed records of the progress topic until one's own newest claim has come back."""
    arguments = connection_arguments(producer_arguments)
    consumer = clients.make_consumer(
        arguments
        | {
            "isolation_level": "read_committed",
            "enable_auto_commit": False,
            "auto_offset_reset": "earliest",
        }
    )
    place = TopicPartition(topic, 0)
    seen: list[Claim | Marker] = []
    try:
        await consumer.start()
        consumer.assign([place])
        await consumer.seek_to_beginning(place)
        async with asyncio.timeout(_READ_LIMIT_S):
            while True:
                polled = await consumer.getmany(timeout_ms=200)
                for record in polled.get(place, ()):
                    one = decode(record.key or b"", record.value or b"")
                    seen.append(one)
                    # The client's end offset may be too early; one's own claim is not.
                    if one == own:
                        return seen
    except TimeoutError:
        raise UnavailableError(
            f"the progress topic {topic} does not show what was written to it", code="SF3005"
        ) from None
    finally:
        await leave(consumer)
