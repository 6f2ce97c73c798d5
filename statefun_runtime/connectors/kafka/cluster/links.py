"""Channels between workers of different machines: an inbox each, a topic partition that all others write to.

    key     the life in which it was sent, by its nonce; the slot of its sender; its number among what that one sent here

Frames of other lives may be in an inbox: they are of no plan any more, and passed over. One that is missing or comes out of
turn breaks the channel.
"""

import asyncio
from collections import defaultdict

from aiokafka import TopicPartition

from statefun_runtime.connectors.kafka.client.clients import AIOKAFKA, KafkaClients
from statefun_runtime.connectors.kafka.cluster.passing import Receiver, Sender
from statefun_runtime.connectors.kafka.cluster.topics import Brokers
from statefun_runtime.core.cluster.troubles import channel_broken
from statefun_runtime.ports.team import TakeFrame


class TopicLinks:
    """The Links of the worker of a slot; `start` is an offset of its inbox behind which all of this life's frames are."""

    def __init__(
        self,
        brokers: Brokers,
        nonce: str,
        slot: int,
        start: int,
        clients: KafkaClients = AIOKAFKA,
    ) -> None:
        self._topic = brokers.inbox
        self._nonce = nonce
        self._slot = slot
        self._start = start
        self._sender = Sender(brokers, clients)
        self._receiver = Receiver(brokers, clients, TopicPartition(brokers.inbox, slot))
        self._sent: dict[int, int] = defaultdict(int)
        self._received: dict[int, int] = defaultdict(int)
        self._take: TakeFrame | None = None

    def attach(self, take: TakeFrame) -> None:
        """Say who takes what comes."""
        self._take = take

    def send(self, slot: int, frame: bytes) -> None:
        """Send a frame; what is sent before `run` waits for it."""
        self._sent[slot] += 1
        key = f"{self._nonce} {self._slot} {self._sent[slot]}".encode()
        self._sender.put(self._topic, slot, key, frame)

    @property
    def waiting_bytes(self) -> int:
        """The size of what no broker has yet."""
        return self._sender.waiting_bytes

    async def run(self) -> None:
        """Carry frames until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._sender.run())
            await self._receiver.run(self._receive, start=self._start, begun=lambda: None)

    def _receive(self, key: bytes, frame: bytes) -> None:
        nonce, slot_text, number_text = key.decode().split(" ")
        if nonce != self._nonce:
            return
        slot, number = int(slot_text), int(number_text)
        self._received[slot] += 1
        if number != self._received[slot]:
            raise channel_broken(
                f"the channel from worker {slot} is broken: frame {number} came for {self._received[slot]}"
            )
        assert self._take is not None
        self._take(slot, frame)
