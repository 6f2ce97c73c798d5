"""What the adapters use of Kafka's clients: aiokafka's have no types, and the simulation has others."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from aiokafka import TopicPartition

# Of a client, by the names of aiokafka.
Arguments = dict[str, Any]
Offsets = dict[TopicPartition, int]
Header = tuple[str, bytes | None]


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as its cluster has it; one that is made anew has another id, and old brokers tell none.

    `replicas` and `in_sync` are those of the topic partition that has the fewest.
    """

    partitions: int
    id: str | None = None
    replicas: int = 0
    in_sync: int = 0


class Fetched(Protocol):
    """A record of a topic."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[Header]: ...


class OffsetAtTime(Protocol):
    """Where the first record is that is not older than a time."""

    @property
    def offset(self) -> int: ...


class Batch(Protocol):
    """Records of one topic partition that are sent together."""

    def append(
        self,
        *,
        timestamp: int | None,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[Header] = (),
    ) -> object | None:
        """Add a record; return None if there is no room for it."""
        ...

    def close(self) -> None:
        """Nothing is added any more."""
        ...


class Client(Protocol):
    """What is common to producers and consumers."""

    async def start(self) -> None:
        """Connect."""
        ...

    async def stop(self) -> None:
        """Leave."""
        ...


class Producer(Client, Protocol):
    """Sends batches; with a transactional id in transactions."""

    def create_batch(self) -> Batch:
        """Return an empty batch."""
        ...

    async def send_batch(
        self, batch: Batch, topic: str, *, partition: int
    ) -> "asyncio.Future[object]":
        """Take a batch; what is returned is done when the broker has it."""
        ...

    async def send_and_wait(
        self, topic: str, value: bytes, key: bytes, *, partition: int
    ) -> object:
        """Send a record, and return when the broker has it."""
        ...

    async def send(
        self, topic: str, value: bytes, key: bytes, *, partition: int
    ) -> "asyncio.Future[object]":
        """Take a record; what is returned is done when the broker has it."""
        ...

    async def begin_transaction(self) -> None:
        """What is sent from now on is committed together."""
        ...

    async def commit_transaction(self) -> None:
        """Commit what was sent; has no time limit."""
        ...


class Consumer(Client, Protocol):
    """Reads the topic partitions that it is told to."""

    def assign(self, partitions: list[TopicPartition]) -> None:
        """Read these, and no others."""
        ...

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Go on at an offset."""
        ...

    async def seek_to_beginning(self, *partitions: TopicPartition) -> object:
        """Go on at the first offset there is."""
        ...

    def pause(self, *partitions: TopicPartition) -> None:
        """Return no records of these."""
        ...

    def resume(self, *partitions: TopicPartition) -> None:
        """Return records of these again."""
        ...

    async def getmany(
        self, *, timeout_ms: int, max_records: int | None = None
    ) -> Mapping[TopicPartition, Sequence[Fetched]]:
        """Return records, in order per topic partition."""
        ...

    async def beginning_offsets(self, partitions: list[TopicPartition]) -> Offsets:
        """Return the first offsets."""
        ...

    async def end_offsets(self, partitions: list[TopicPartition]) -> Offsets:
        """Return the offsets behind the last ones."""
        ...

    async def offsets_for_times(
        self, timestamps: Mapping[TopicPartition, int]
    ) -> Mapping[TopicPartition, OffsetAtTime | None]:
        """Return where the first record is that is not older than a time in ms."""
        ...

    async def committed(self, partition: TopicPartition) -> int | None:
        """Return the offset that the consumer group was told."""
        ...

    async def commit(self, offsets: Offsets) -> None:
        """Tell the consumer group."""
        ...

    async def position(self, partition: TopicPartition) -> int:
        """Return the offset that is read next, behind what is no record, too."""
        ...

    def highwater(self, partition: TopicPartition) -> int | None:
        """Return the offset behind the last record, as of the last fetch."""
        ...


class Admin(Protocol):
    """Asks a cluster, and makes topics; what it answers is aiokafka's."""

    async def start(self) -> None:
        """Connect."""
        ...

    async def close(self) -> None:
        """Leave."""
        ...

    async def describe_cluster(self) -> Mapping[str, Any]:
        """Return the brokers, among other things."""
        ...

    async def describe_topics(self) -> Sequence[Mapping[str, Any]]:
        """Return all topics with their partitions."""
        ...

    async def create_topics(self, topics: list[Any]) -> Any:
        """Make topics; the answer has an error code for each."""
        ...
