"""Where the Kafka adapters get their clients from: aiokafka's; the simulation gives them others."""

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    LeaderNotAvailableError,
    NoError,
    for_code,
)
from aiokafka.protocol.metadata import MetadataRequest

_CONNECTION_ARGUMENTS = frozenset(
    {"client_id", "ssl_context", "security_protocol", "sasl_mechanism", "sasl_plain_username"}
    | {"sasl_plain_password", "sasl_oauth_token_provider"}
)
_TRY_MS = 5000
_FIND_S = 10.0

Topics = dict[str, int | KafkaError]
"""How many partitions each topic has, or why that cannot be known."""


class KafkaClients(Protocol):
    """Makes clients; their arguments and methods are aiokafka's, and each is started and stopped by who asked."""

    def make_producer(self, **arguments: Any) -> Any:
        """Return a producer."""
        ...

    def make_consumer(self, **arguments: Any) -> Any:
        """Return a consumer."""
        ...

    def make_admin(self, **arguments: Any) -> Any:
        """Return an admin client."""
        ...

    async def find_topics(self, client: Any, topics: Sequence[str], *, may_create: bool) -> Topics:
        """Ask a broker about topics; with `may_create` it makes those that are missing, if it is one that does.

        The client knows their topic partitions afterwards.
        """
        ...

    async def cluster_id(self, client: Any) -> str | None:
        """Return what the cluster calls itself, whatever its addresses; None if it does not say."""
        ...

    async def find_trouble(self, arguments: dict[str, Any]) -> Exception | None:
        """Return what keeps a client with these arguments from connecting, which clients themselves do not tell."""
        ...


class AioKafkaClients:
    """The real ones."""

    def make_producer(self, **arguments: Any) -> Any:
        """Return a producer."""
        return AIOKafkaProducer(**arguments)

    def make_consumer(self, **arguments: Any) -> Any:
        """Return a consumer."""
        return AIOKafkaConsumer(**arguments)

    def make_admin(self, **arguments: Any) -> Any:
        """Return an admin client."""
        return AIOKafkaAdminClient(**arguments)

    async def find_topics(self, client: Any, topics: Sequence[str], *, may_create: bool) -> Topics:
        """Ask any broker; only a client that was started knows one."""
        found: Topics = {}
        # A client that is stopped meanwhile would never answer.
        async with asyncio.timeout(_FIND_S):
            answer = await _ask(client, MetadataRequest(list(topics), may_create))
            for error_code, topic, *_, partitions in answer.topics:
                error = for_code(error_code)
                found[topic] = len(partitions) if error is NoError else error(topic)
            await _teach(_inner(client), found)
        return found

    async def cluster_id(self, client: Any) -> str | None:
        """Ask any broker."""
        answer = await _ask(client, MetadataRequest([], False))
        found: str | None = getattr(answer, "cluster_id", None)
        return found

    async def find_trouble(self, arguments: dict[str, Any]) -> Exception | None:
        """Connect by hand to each server until one can be had; return why the first one could not."""
        wanted = {k: v for k, v in arguments.items() if k in _CONNECTION_ARGUMENTS}
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


async def _teach(inner: Any, found: Topics) -> None:
    """Let a client know what was found: it asserts that the topic partitions it is given are known to it."""
    known = inner.cluster.partitions_for_topic
    news = [t for t, n in found.items() if isinstance(n, int) and len(known(t) or ()) < n]
    if not news:
        return
    for topic in news:
        inner.add_topic(topic)
    await inner.force_metadata_update()
    for topic in news:
        # Brokers hear of changes one after another.
        found[topic] = len(known(topic) or ()) or LeaderNotAvailableError(topic)


def _inner(client: Any) -> Any:
    return client.client if hasattr(client, "client") else client._client


async def _ask(client: Any, request: Any) -> Any:
    inner = _inner(client)
    node = inner.get_random_node()
    if node is None:
        raise KafkaConnectionError("no broker is known")
    return await inner.send(node, request)


AIOKAFKA = AioKafkaClients()
