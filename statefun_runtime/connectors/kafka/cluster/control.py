"""What the processes of a cluster say to each other: one topic that all of them read.

key     who says it, to whom (* is everybody), what kind of thing, and its number
"""

import asyncio
from collections.abc import Callable

from aiokafka import TopicPartition

from statefun_runtime.connectors.kafka.client.clients import AIOKAFKA, KafkaClients
from statefun_runtime.connectors.kafka.cluster.passing import Receiver, Sender
from statefun_runtime.connectors.kafka.cluster.topics import Brokers
from statefun_runtime.ports.control import EVERYBODY, Notice


class ControlTopic:
    """The Control of a process, which is known by its name there."""

    def __init__(self, brokers: Brokers, name: str, clients: KafkaClients = AIOKAFKA) -> None:
        self._topic = brokers.control
        self._name = name
        # Everybody reads what is said, and snapshots say much in the same words.
        self._sender = Sender(brokers, clients, compression="gzip")
        self._receiver = Receiver(brokers, clients, TopicPartition(brokers.control, 0))

    def say(self, to: str, kind: str, number: int = 0, content: bytes = b"") -> None:
        """Say something; never waits."""
        self._sender.put(self._topic, 0, f"{self._name} {to} {kind} {number}".encode(), content)

    async def said(self) -> None:
        """Return when all that was said is with the brokers."""
        await self._sender.sent()

    async def run(self, take: Callable[[Notice], None], begun: Callable[[], None]) -> None:
        """Send, and hear all that is said to this process or everybody, until cancelled; raise UnavailableError."""

        def hear(key: bytes, content: bytes) -> None:
            sender, to, kind, number = key.decode().split(" ")
            if to in (self._name, EVERYBODY):
                take(Notice(sender, kind, int(number), content))

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._sender.run())
            await self._receiver.run(hear, start=None, begun=begun)
