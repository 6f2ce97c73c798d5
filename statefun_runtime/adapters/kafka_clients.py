"""Where the Kafka adapters get their clients from: aiokafka's; the simulation gives them others."""

from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient


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


AIOKAFKA = AioKafkaClients()
