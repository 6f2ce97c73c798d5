"""The topics of a cluster, and how its brokers are reached.

statefun-NAME-log       what was decided: the commit log; compacted, one topic partition
statefun-NAME-control   what its processes say to each other; kept for minutes, one topic partition
statefun-NAME-inbox     what its workers send each other; kept for minutes, one topic partition a slot
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from aiokafka import TopicPartition
from aiokafka.admin import NewTopic
from aiokafka.errors import (
    InvalidReplicationFactorError,
    KafkaError,
    TopicAlreadyExistsError,
    for_code,
)

from statefun_runtime.config.cluster import ClusterSettings
from statefun_runtime.connectors.kafka.client.arguments import client_arguments
from statefun_runtime.connectors.kafka.client.clients import AIOKAFKA, KafkaClients
from statefun_runtime.connectors.kafka.client.inside import leave
from statefun_runtime.connectors.kafka.client.protocols import Admin, Arguments, Topic
from statefun_runtime.connectors.kafka.client.troubles import MISSING, explain
from statefun_runtime.errors import ConfigError, UnavailableError

SLOTS_MAX = 64
HTTP_PARTITIONS = 32
HTTP_BYTES_MAX = 32 * 1024 * 1024
_REPLICAS_WANTED = 3
_LIMIT_S = 30.0
_LOOKS_MAX = 50
_LOOK_AGAIN_S = 0.1
_MINUTES_MS = 10 * 60 * 1000
_LOG = {"cleanup.policy": "compact", "segment.bytes": "4194304", "min.cleanable.dirty.ratio": "0.1"}
_HTTP = {
    "cleanup.policy": "delete",
    "retention.ms": str(7 * 24 * 3600 * 1000),
    "max.message.bytes": str(HTTP_BYTES_MAX),
}
_PASSING = {
    "cleanup.policy": "delete",
    "retention.ms": str(_MINUTES_MS),
    "segment.ms": str(_MINUTES_MS // 2),
}


@dataclass(frozen=True, slots=True)
class Brokers:
    """Where the topics of a cluster are, and how they are reached; `name` is the cluster's."""

    name: str
    servers: str
    properties: tuple[tuple[str, str], ...] = ()

    @property
    def log(self) -> str:
        """The topic of what was decided."""
        return f"statefun-{self.name}-log"

    @property
    def control(self) -> str:
        """The topic of what processes say to each other."""
        return f"statefun-{self.name}-control"

    @property
    def inbox(self) -> str:
        """The topic of what workers send each other."""
        return f"statefun-{self.name}-inbox"

    @property
    def http(self) -> str:
        """The topic of what came in over HTTP."""
        return f"statefun-{self.name}-http"

    @property
    def leader_id(self) -> str:
        """The transactional id of who leads."""
        return f"statefun-{self.name}-leader"

    def arguments(self) -> Arguments:
        """Return the arguments of any client; raise ConfigError if a file of theirs is unusable."""
        return client_arguments(self.servers, self.properties, "--kafka")


def brokers_of(settings: ClusterSettings) -> Brokers:
    """Return the brokers that settings name."""
    return Brokers(settings.name, settings.servers, settings.properties)


async def make_topics(brokers: Brokers, clients: KafkaClients = AIOKAFKA) -> None:
    """Make what is not there of a cluster's topics; raise UnavailableError if that cannot be done."""
    arguments = brokers.arguments()
    admin = clients.make_admin(arguments)
    wanted: dict[str, tuple[int, Mapping[str, str]]] = {
        brokers.log: (1, _LOG),
        brokers.control: (1, _PASSING),
        brokers.inbox: (SLOTS_MAX, _PASSING),
        brokers.http: (HTTP_PARTITIONS, _HTTP),
    }
    try:
        async with asyncio.timeout(_LIMIT_S):
            await admin.start()
            missing = await _missing(clients, admin, list(wanted))
            replicas = min(_REPLICAS_WANTED, len((await admin.describe_cluster())["brokers"]))
            for topic in missing:
                await _make(admin, topic, *wanted[topic], replicas)
            await _wait_for(clients, admin, missing)
    except (KafkaError, OSError, TimeoutError) as error:
        raise await away(brokers, clients, arguments, error) from error
    finally:
        await admin.close()


async def require_topics(brokers: Brokers, clients: KafkaClients = AIOKAFKA) -> None:
    """Raise ConfigError if there is no cluster of this name at these brokers."""
    arguments = brokers.arguments()
    admin = clients.make_admin(arguments)
    try:
        async with asyncio.timeout(_LIMIT_S):
            await admin.start()
            missing = await _missing(clients, admin, [brokers.control])
    except (KafkaError, OSError, TimeoutError) as error:
        raise await away(brokers, clients, arguments, error) from error
    finally:
        await admin.close()
    if missing:
        raise ConfigError(
            f"there is no cluster '{brokers.name}' at {brokers.servers}: no process of it was ever started",
            code="SF1144",
            hint="name it with --cluster as its processes do",
        )


async def inbox_ends(
    brokers: Brokers, slots: Collection[int], clients: KafkaClients = AIOKAFKA
) -> dict[int, int]:
    """Return, by slot, where its inbox ends now; raise UnavailableError if that cannot be known."""
    arguments = brokers.arguments()
    consumer = clients.make_consumer(arguments | {"enable_auto_commit": False})
    places = {slot: TopicPartition(brokers.inbox, slot) for slot in slots}
    try:
        async with asyncio.timeout(_LIMIT_S):
            await consumer.start()
            ends = await consumer.end_offsets(list(places.values()))
    except (KafkaError, OSError, TimeoutError) as error:
        raise await away(brokers, clients, arguments, error) from error
    finally:
        await leave(consumer)
    return {slot: ends[place] for slot, place in places.items()}


async def away(
    brokers: Brokers, clients: KafkaClients, arguments: Arguments, error: BaseException
) -> UnavailableError:
    """Return why the brokers of a cluster cannot be used, in words."""
    why = await explain(error, clients, arguments)
    return UnavailableError(f"cluster '{brokers.name}': {why}", code="SF3063")


async def _missing(clients: KafkaClients, admin: Admin, topics: Sequence[str]) -> list[str]:
    found = await clients.find_topics(admin, topics, may_create=False)
    missing = []
    for name, topic in found.items():
        if isinstance(topic, MISSING) or (isinstance(topic, Topic) and not topic.partitions):
            missing.append(name)
        elif not isinstance(topic, Topic):
            raise topic
    return missing


async def _make(
    admin: Admin, topic: str, partitions: int, settings: Mapping[str, str], replicas: int
) -> None:
    """Make a topic, in which a record stands when all but one of its replicas have it."""
    for count in range(replicas, 0, -1):
        configs = {**settings, "min.insync.replicas": str(max(1, count - 1))}
        new = NewTopic(
            topic, num_partitions=partitions, replication_factor=count, topic_configs=configs
        )
        response = await admin.create_topics([new])
        errors = [for_code(code) for _, code, *_ in response.topic_errors if code]
        if errors and issubclass(errors[0], InvalidReplicationFactorError) and count > 1:
            continue
        for error in errors:
            if not issubclass(error, TopicAlreadyExistsError):
                raise error(topic)
        return


async def _wait_for(clients: KafkaClients, admin: Admin, topics: Sequence[str]) -> None:
    """Brokers hear of what was made one after another."""
    for _ in range(_LOOKS_MAX):
        if not topics or not await _missing(clients, admin, topics):
            return
        await asyncio.sleep(_LOOK_AGAIN_S)
