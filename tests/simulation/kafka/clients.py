"""The Kafka clients that the adapters use, in front of a fake cluster, with a network that delays and loses.

Requests travel on their own: one that was sent arrives although its sender has died or given up, perhaps late.
Requests are sent again until they are answered or a limit has passed, as aiokafka does; a commit has no limit.
"""

import asyncio
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    OffsetOutOfRangeError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
)

from statefun_runtime.connectors.kafka.client.protocols import Topic
from tests.simulation.kafka.cluster import RETRIABLE, Cluster, Pair, Partition, Place
from tests.simulation.machine.loop import Process, current_process

_REQUEST_LIMIT_S = 5.0
_BACKOFF_S = 0.1
_IDLE_POLL_S = 20.0


class Network:
    """Carries requests of one process to the cluster; `trouble` is the chance that one goes wrong."""

    def __init__(
        self,
        cluster: Cluster,
        process: Process,
        rng: Any,
        trouble: Callable[[], float],
        is_cut: Callable[[], bool] = lambda: False,
        sends: Callable[[Process], None] = lambda _: None,
    ) -> None:
        self.cluster = cluster
        self.process = process
        self.rng = rng
        self.trouble = trouble
        self.is_cut = is_cut
        self.sends = sends
        self._loop = asyncio.get_running_loop()
        self._world = _WORLD

    async def ask(
        self, request: Callable[[], Any], *, limit_s: float | None = _REQUEST_LIMIT_S
    ) -> Any:
        """Return the answer to a request, which may arrive more than once."""
        began_s = self._loop.time()
        while True:
            self.process.check()
            answer = await self.once(request)
            if answer is not None:
                ok, result = answer
                if ok:
                    return result
                if not isinstance(result, RETRIABLE):
                    raise result
            if limit_s is not None and self._loop.time() - began_s > limit_s:
                raise KafkaTimeoutError
            await asyncio.sleep(_BACKOFF_S * (0.5 + self.rng.random()))

    async def once(self, request: Callable[[], Any]) -> tuple[bool, Any] | None:
        """Send a request once; None if it is not known what became of it."""
        self.sends(self.process)
        rng, bad = self.rng, self.rng.random() < self.trouble()
        there_s = 0.0003 + rng.random() * 0.002
        answered: asyncio.Future[tuple[bool, Any]] = self._loop.create_future()
        if (bad and rng.random() < 0.3) or self.is_cut():
            return None
        if bad and rng.random() < 0.5:
            there_s += rng.random() * 2.5
        is_lost = bad and rng.random() < 0.5
        self._loop.call_later(
            there_s, self._arrive, request, answered, is_lost, context=self._world.copy()
        )
        try:
            async with asyncio.timeout(0.6):
                return await answered
        except TimeoutError:
            return None

    def _arrive(
        self,
        request: Callable[[], Any],
        answered: "asyncio.Future[tuple[bool, Any]]",
        is_lost: bool,
    ) -> None:
        if self.cluster.is_away:
            return
        try:
            answer: tuple[bool, Any] = True, request()
        except KafkaError as error:
            answer = False, error
        if not is_lost and not self.is_cut():

            def hear() -> None:
                if not answered.done():
                    answered.set_result(answer)

            self._loop.call_later(0.0003, hear)


def _world_context() -> Any:
    import contextvars

    return contextvars.copy_context()


_WORLD = _world_context()


class FakeClients:
    """A KafkaClients whose clients belong to the process that makes them."""

    def __init__(self, network: Network, log: Callable[[str], None]) -> None:
        self._network = network
        self._log = log

    def make_producer(self, arguments: Any) -> Any:
        return FakeProducer(self._network, self._log, arguments)

    def make_consumer(self, arguments: Any) -> Any:
        return FakeConsumer(self._network, arguments)

    def make_admin(self, arguments: Any) -> Any:
        return FakeAdmin(self._network)

    async def find_topics(
        self, client: object, topics: Sequence[str], *, may_create: bool
    ) -> dict[str, Any]:
        cluster = self._network.cluster
        there = cluster.topics
        found: dict[str, Any] = await self._network.ask(
            lambda: {
                topic: Topic(len(there[topic]), cluster.ids[topic], 1, 1)
                if topic in there
                else UnknownTopicOrPartitionError(topic)
                for topic in topics
            }
        )
        return found

    async def watch(self, consumer: object, topics: Sequence[str]) -> None:
        await self._network.ask(lambda: None)

    async def silent_brokers(self, client: object) -> list[str]:
        return ["simulated"] if self._network.cluster.is_away else []

    def positions(self, consumer: Any) -> dict[TopicPartition, int]:
        return dict(consumer.read_up_to)

    async def cluster_id(self, client: object) -> str:
        answer: str = await self._network.ask(lambda: "simulated")
        return answer

    async def find_trouble(self, arguments: dict[str, Any]) -> None:
        return None


class _Batch:
    def __init__(self, bytes_max: int) -> None:
        self.pairs: list[Pair] = []
        self._room = bytes_max

    def append(self, *, timestamp: None, key: bytes | None, value: bytes | None) -> object:
        size = len(key or b"") + len(value or b"") + 20
        if size > self._room:
            return None
        self._room -= size
        self.pairs.append((key, value))
        return self

    def close(self) -> None:
        pass


class FakeProducer:
    """An AIOKafkaProducer, transactional or not; after an error it is good for nothing but `stop`."""

    def __init__(self, network: Network, log: Callable[[str], None], arguments: Any) -> None:
        self._network = network
        self._log = log
        self._id = arguments.get("transactional_id")
        self._timeout_s = arguments.get("transaction_timeout_ms", 60_000) / 1000
        self._batch_bytes = arguments.get("max_batch_size", 16_384)
        self._epoch: int | None = None
        self._sequences: dict[Place, int] = {}
        self._turns: dict[Place, asyncio.Future[Any]] = {}
        self._error: KafkaError | None = None
        self._is_stopped = False
        self._sent = 0
        self._number = 0

    async def start(self) -> None:
        cluster = self._network.cluster
        if self._id is None:
            cluster.plain_count += 1
            self._who = f"plain-{cluster.plain_count}"
            await self._network.ask(lambda: None)
            return
        self._who = self._id
        self._epoch = await self._network.ask(
            lambda: cluster.init(self._id, self._timeout_s), limit_s=20.0
        )

    async def stop(self) -> None:
        self._is_stopped = True

    async def begin_transaction(self) -> None:
        self._check()
        self._sent = 0
        self._number += 1

    def create_batch(self) -> _Batch:
        return _Batch(self._batch_bytes)

    async def send_and_wait(self, topic: str, value: bytes, key: bytes, *, partition: int) -> None:
        await self._produce((topic, partition), [(key, value)])

    async def send_batch(
        self, batch: _Batch, topic: str, *, partition: int
    ) -> "asyncio.Future[None]":
        """Batches of one topic partition leave in turn."""
        self._check()
        place = (topic, partition)
        before = self._turns.get(place)
        loop = asyncio.get_running_loop()
        task = loop.create_task(self._in_turn(before, place, batch.pairs))
        self._turns[place] = task
        return task

    async def send(
        self, topic: str, value: bytes, key: bytes, *, partition: int
    ) -> "asyncio.Future[None]":
        self._check()
        batch = _Batch(1 << 30)
        batch.pairs.append((key, value))
        return await self.send_batch(batch, topic, partition=partition)

    async def _in_turn(self, before: Any, place: Place, pairs: list[Pair]) -> None:
        if before is not None:
            await asyncio.wait([before])
        await self._produce(place, pairs)

    async def _produce(self, place: Place, pairs: list[Pair]) -> None:
        self._check()
        cluster, sequence = self._network.cluster, self._sequences.get(place, -1) + 1
        number = self._number
        self._sequences[place] = sequence
        if place[0].endswith("-http") and cluster.before_put(self._network.process):
            await asyncio.sleep(0.001)
            self._check()
        if cluster.inbox_slowness_s and place[0].endswith("-inbox"):
            await asyncio.sleep(self._network.rng.random() * cluster.inbox_slowness_s)
        self._sent += 1
        try:
            await self._network.ask(
                lambda: cluster.produce(
                    self._who, self._epoch, place, sequence, pairs, number=number
                )
            )
        except KafkaError as error:
            self._error = error if self._id is not None else None
            raise

    async def commit_transaction(self) -> None:
        """No limit: waits for the coordinator. Now and then the connection is cut, and nobody knows."""
        self._check()
        network, cluster, epoch = self._network, self._network.cluster, self._epoch
        if not self._sent:
            return
        number = self._number
        assert epoch is not None

        def commit() -> None:
            cluster.commit(self._who, epoch, number)

        is_unclear = bool(cluster.unclear_commits) and self._who.endswith("-leader")
        cluster.unclear_commits -= is_unclear
        if network.rng.random() < network.trouble() or is_unclear:
            if not is_unclear or network.rng.random() < 0.6:
                await network.once(commit)
            self._error = KafkaConnectionError("the connection was cut during a commit")
            self._log("kafka: unclear commit")
            raise self._error
        try:
            await network.ask(commit, limit_s=None)
        except KafkaError as error:
            self._error = error
            raise

    def _check(self) -> None:
        self._network.process.check()
        if self._error is not None:
            raise self._error
        assert not self._is_stopped


class FakeConsumer:
    """An AIOKafkaConsumer with topic partitions assigned by hand."""

    def __init__(self, network: Network, arguments: Any) -> None:
        self._network = network
        self._is_committed = arguments.get("isolation_level") == "read_committed"
        self._group = arguments.get("group_id", "")
        self.read_up_to: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self._client = self

    async def start(self) -> None:
        await self._network.ask(lambda: None)

    async def stop(self) -> None:
        self.read_up_to = {}

    async def set_topics(self, topics: list[str]) -> None:
        await self._network.ask(lambda: None)

    def assign(self, topic_partitions: list[TopicPartition]) -> None:
        self.read_up_to = dict.fromkeys(topic_partitions, 0)

    def seek(self, topic_partition: TopicPartition, offset: int) -> None:
        self.read_up_to[topic_partition] = offset

    async def seek_to_beginning(self, topic_partition: TopicPartition) -> None:
        self.read_up_to[topic_partition] = 0

    def pause(self, *topic_partitions: TopicPartition) -> None:
        self._paused.update(topic_partitions)

    def resume(self, *topic_partitions: TopicPartition) -> None:
        self._paused.difference_update(topic_partitions)

    async def beginning_offsets(self, topic_partitions: list[TopicPartition]) -> Any:
        return await self._network.ask(lambda: dict.fromkeys(topic_partitions, 0))

    async def end_offsets(self, topic_partitions: list[TopicPartition]) -> Any:
        """With read_committed what is told may be too early: the broker hears late of what its coordinator did."""
        lag = self._network.rng.randint(0, 6) if self._is_committed else 0
        return await self._network.ask(
            lambda: {
                place: max(0, (p.stable if self._is_committed else len(p.records)) - lag)
                for place in topic_partitions
                for p in [self._partition(place)]
            }
        )

    async def committed(self, topic_partition: TopicPartition) -> int | None:
        place = tuple(topic_partition)
        known: int | None = await self._network.ask(
            lambda: self._network.cluster.groups.get((self._group, place))
        )
        return known

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        def tell() -> None:
            for place, offset in offsets.items():
                self._network.cluster.groups[self._group, tuple(place)] = offset

        await self._network.ask(tell)

    async def position(self, topic_partition: TopicPartition) -> int:
        return self.read_up_to[topic_partition]

    def highwater(self, topic_partition: TopicPartition) -> int:
        return len(self._partition(topic_partition).records)

    def _partition(self, topic_partition: TopicPartition) -> Partition:
        return self._network.cluster.partition((topic_partition.topic, topic_partition.partition))

    async def getmany(self, *, timeout_ms: int, max_records: int | None = None) -> Any:
        """Return what is there; wait for something otherwise, longer than was asked: nobody minds, and it is cheap."""
        loop = asyncio.get_running_loop()
        ends_s = loop.time() + _IDLE_POLL_S
        while True:
            found = await self._network.ask(self._fetch, limit_s=None)
            if found:
                some = {}
                for place, records in found.items():
                    count = self._network.rng.randint(1, len(records))
                    some[place] = records[:count]
                    self.read_up_to[place] = records[count - 1].offset + 1
                return some
            if loop.time() >= ends_s:
                return {}
            # What has come while the answer was on its way wakes nobody.
            if not self._fetch():
                await self._changed(ends_s - loop.time())

    def _fetch(self) -> dict[TopicPartition, list[Any]]:
        found = {}
        for place, position in self.read_up_to.items():
            partition = self._partition(place)
            if position > len(partition.records):
                raise OffsetOutOfRangeError({place: position})
            if place in self._paused:
                continue
            records = [
                SimpleNamespace(
                    topic=place.topic,
                    partition=place.partition,
                    offset=offset,
                    key=record.key,
                    value=record.value,
                )
                for offset, record in partition.visible(position, committed=self._is_committed)
            ]
            if records:
                found[place] = records
        return found

    async def _changed(self, limit_s: float) -> None:
        if self._fetch():
            # It has come while the answer that there is nothing was on its way.
            return
        changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        for place in self.read_up_to:
            self._partition(place).waiters.append(changed)
        try:
            async with asyncio.timeout(limit_s):
                await changed
        except TimeoutError:
            return


class FakeAdmin:
    """An AIOKafkaAdminClient, as far as the progress topic needs one."""

    def __init__(self, network: Network) -> None:
        self._network = network

    async def start(self) -> None:
        await self._network.ask(lambda: None)

    async def close(self) -> None:
        current_process().check()

    async def describe_cluster(self) -> dict[str, Any]:
        return {"brokers": [1]}

    async def create_topics(self, topics: list[Any]) -> SimpleNamespace:
        (topic,) = topics
        cluster = self._network.cluster

        def make() -> int:
            if topic.name in cluster.topics:
                return int(TopicAlreadyExistsError.errno)
            cluster.make_topic(topic.name, topic.num_partitions)
            return 0

        code = await self._network.ask(make)
        return SimpleNamespace(topic_errors=[(topic.name, code, None)])
