"""Asks a Kafka cluster what a module needs to know of it, and changes nothing."""

import asyncio
from dataclasses import dataclass, field

from aiokafka.errors import KafkaError

from statefun_runtime.adapters.http.probe import Destination, reach, why_not
from statefun_runtime.connectors.kafka.client.arguments import (
    connection_arguments,
    consumer_arguments,
    producer_arguments,
)
from statefun_runtime.connectors.kafka.client.clients import AIOKAFKA, KafkaClients
from statefun_runtime.connectors.kafka.client.protocols import Admin, Arguments
from statefun_runtime.connectors.kafka.client.troubles import is_refusal, words
from statefun_runtime.connectors.kafka.settings.values import (
    KafkaEgressSettings,
    KafkaIngressSettings,
)
from statefun_runtime.core.module.checks import Check, counted
from statefun_runtime.errors import ConfigError

_PORT = 9092
_CLOSE_S = 2.0


class ClusterAway(Exception):
    """A cluster cannot be asked; the text says why."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """What a cluster said: how many brokers it has, and the partitions of each topic that was asked for."""

    brokers: int
    partitions: dict[str, int] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


async def ask_cluster(
    spec: KafkaIngressSettings | KafkaEgressSettings,
    topics: tuple[str, ...] = (),
    clients: KafkaClients = AIOKAFKA,
) -> Cluster:
    """Return what the cluster of an ingress or egress says; raises ClusterAway, or ConfigError for a property."""
    if isinstance(spec, KafkaIngressSettings):
        arguments = consumer_arguments(spec)
    else:
        arguments = producer_arguments(spec)
    admin = clients.make_admin(connection_arguments(arguments))
    try:
        await admin.start()
        brokers = len((await admin.describe_cluster())["brokers"])
        # To ask for a topic by name may create it.
        there = {t["topic"]: len(t["partitions"]) for t in await admin.describe_topics()}
    except (KafkaError, OSError) as error:
        raise ClusterAway(await _reason(error, clients, arguments)) from error
    finally:
        await _close(admin)
    found = {topic: there[topic] for topic in topics if topic in there}
    return Cluster(brokers, found, tuple(topic for topic in topics if topic not in there))


async def _close(admin: Admin) -> None:
    try:
        async with asyncio.timeout(_CLOSE_S):
            await admin.close()
    except (KafkaError, OSError):
        # What was asked has been answered, or not; either is told already.
        return


async def _reason(error: Exception, clients: KafkaClients, arguments: Arguments) -> str:
    """Return why a cluster cannot be asked: the client itself does not tell connections from all else."""
    trouble = await clients.find_trouble(arguments)
    if is_refusal(trouble):
        return words(trouble, arguments)
    reasons: list[str] = []
    for server in str(arguments["bootstrap_servers"]).split(","):
        try:
            await reach(_destination(server.strip()), None)
        except OSError as failure:
            reasons.append(why_not(failure))
        else:
            name = type(error).__name__
            return f"a broker takes connections, but does not answer as Kafka ({name}); look at 'security.protocol'"
    return ", ".join(dict.fromkeys(reasons))


def _destination(server: str) -> Destination:
    host, _, port = server.rpartition("://")[2].rpartition(":")
    return Destination(host.strip("[]"), int(port) if port.isdigit() else _PORT)


async def check_cluster(
    subject: str, spec: KafkaIngressSettings | KafkaEgressSettings, topics: tuple[str, ...]
) -> Check:
    """Return how asking the cluster of an ingress or egress about some topics went."""
    try:
        cluster = await ask_cluster(spec, topics)
    except ConfigError as error:
        return Check(subject, False, error.message, error.hint)
    except ClusterAway as error:
        return Check(subject, False, str(error), "start it, or mend 'address' and 'properties'")
    parts = [counted(cluster.brokers, "broker")]
    parts += [f"{t} has {counted(n, 'partition')}" for t, n in cluster.partitions.items()]
    if cluster.missing:
        missing = (f"topic {topic} does not exist" for topic in cluster.missing)
        found = "; ".join([*parts, *missing])
        return Check(subject, False, found, "create it; the worker would wait for it")
    return Check(subject, True, "; ".join(parts))
