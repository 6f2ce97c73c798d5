"""Where the Kafka adapters get their clients from: aiokafka's; the simulation gives them others."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import KafkaError, LeaderNotAvailableError, NoError, for_code
from aiokafka.protocol.metadata import MetadataRequest

from statefun_runtime.connectors.kafka.client import inside
from statefun_runtime.connectors.kafka.client.arguments import CONNECTION
from statefun_runtime.connectors.kafka.client.metadata import topics_in
from statefun_runtime.connectors.kafka.client.protocols import (
    Admin,
    Arguments,
    Consumer,
    Offsets,
    Producer,
    Topic,
)

_TRY_MS = 5000
_FIND_S = 10.0

Topics = dict[str, Topic | KafkaError]
"""What there is of each topic, or why that cannot be known."""


class KafkaClients(Protocol):
    """Makes clients; their arguments are aiokafka's, and each is started and stopped by who asked."""

    def make_producer(self, arguments: Arguments) -> Producer:
        """Return a producer."""
        ...

    def make_consumer(self, arguments: Arguments) -> Consumer:
        """Return a consumer."""
        ...

    def make_admin(self, arguments: Arguments) -> Admin:
        """Return an admin client."""
        ...

    async def find_topics(
        self, client: object, topics: Sequence[str], *, may_create: bool
    ) -> Topics:
        """Ask a broker about topics; with `may_create` it makes those that are missing, if it is one that does.

        The client knows their topic partitions afterwards.
        """
        ...

    async def watch(self, consumer: Consumer, topics: Sequence[str]) -> None:
        """Have a consumer keep up with these topics, and no others."""
        ...

    async def silent_brokers(self, client: object) -> list[str]:
        """Return which of the brokers that a client knows give no answer within a moment."""
        ...

    def positions(self, consumer: Consumer) -> Offsets:
        """Return where each topic partition is read next, behind what is no record, too."""
        ...

    async def cluster_id(self, client: object) -> str | None:
        """Return what the cluster calls itself, whatever its addresses; None if it does not say."""
        ...

    async def find_trouble(self, arguments: Arguments) -> Exception | None:
        """Return what keeps a client with these arguments from connecting, which clients themselves do not tell."""
        ...


class AioKafkaClients:
    """The real ones."""

    def make_producer(self, arguments: Arguments) -> Producer:
        """Return a producer."""
        producer: Producer = AIOKafkaProducer(**arguments)
        return producer

    def make_consumer(self, arguments: Arguments) -> Consumer:
        """Return a consumer."""
        consumer: Consumer = AIOKafkaConsumer(**arguments)
        return consumer

    def make_admin(self, arguments: Arguments) -> Admin:
        """Return an admin client."""
        admin: Admin = AIOKafkaAdminClient(**arguments)
        return admin

    async def find_topics(
        self, client: object, topics: Sequence[str], *, may_create: bool
    ) -> Topics:
        """Ask any broker; only a client that was started knows one."""
        found: Topics = {}
        # A client that is stopped meanwhile would never answer.
        async with asyncio.timeout(_FIND_S):
            answer = await inside.ask(client, topics, may_create=may_create)
            for name, error_code, topic in topics_in(answer):
                error = for_code(error_code)
                found[name] = topic if error is NoError else error(name)
            counts = {name: one.partitions for name, one in found.items() if isinstance(one, Topic)}
            for name, known in (await inside.teach(client, counts)).items():
                found[name] = (
                    _as_known(found[name], known) if known else LeaderNotAvailableError(name)
                )
        return found

    async def watch(self, consumer: Consumer, topics: Sequence[str]) -> None:
        """Have a consumer keep up with these topics, and no others."""
        await inside.watch(consumer, topics)

    async def silent_brokers(self, client: object) -> list[str]:
        """Ask each of them."""
        return await inside.silent_brokers(client)

    def positions(self, consumer: Consumer) -> Offsets:
        """Return what the consumer knows."""
        return inside.positions(consumer)

    async def cluster_id(self, client: object) -> str | None:
        """Ask any broker."""
        answer = await inside.ask(client, [], may_create=False)
        found: str | None = getattr(answer, "cluster_id", None)
        return found

    async def find_trouble(self, arguments: Arguments) -> Exception | None:
        """Connect by hand to each server until one can be had; return why the first one could not."""
        wanted = {k: v for k, v in arguments.items() if k in CONNECTION}
        first: Exception | None = None
        for host, port, _ in collect_hosts(arguments["bootstrap_servers"]):
            try:
                connection = await create_conn(host, port, request_timeout_ms=_TRY_MS, **wanted)
                try:
                    # What its versions are, a broker tells to anybody: a login that lacks shows only now.
                    await connection.send(MetadataRequest([], False))
                    return None
                finally:
                    connection.close()
            except (OSError, KafkaError, TimeoutError) as error:
                first = first or error
        return first


def _as_known(found: Topic | KafkaError, partitions: int) -> Topic:
    assert isinstance(found, Topic)
    return replace(found, partitions=partitions)


AIOKAFKA = AioKafkaClients()
